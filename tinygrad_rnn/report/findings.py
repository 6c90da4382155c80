"""The contents of the report, found by the functions that users call; nothing here depends on HTML."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from .. import nn
from ..comparison import Report, compare
from ..derivation import Derivation, derive
from ..explanation import BPTTTerms, Flow, bptt_terms, gradient_flow, spectral_radius
from ..language import CharacterVocabulary, LanguageModel, train_on_text
from ..manual import worked_example as article
from ..manual.paths import sum_over_paths
from ..manual.worked_example_slips import Slip, slips
from ..training import History
from ..viz import Picture, draw
from .networks import Recorded, worked_example

FLOW_STEPS, FLOW_INPUTS, FLOW_UNITS = 100, 8, 32
SAMPLE_LENGTH, PRIME_LENGTH, TEMPERATURE = 400, 60, 0.6
PARAGRAPH = re.compile(r"\n\n(?=[A-Z][a-z]* [a-z][^\n]{20})")


class Example(NamedTuple):
    """The worked example, examined in every way."""

    network: Recorded  # the recorded network
    picture: Picture  # its unrolled graph
    derivation: Derivation  # its backpropagation through time, written out
    comparison: Report  # its gradients: autograd, by hand, finite differences
    terms: BPTTTerms  # the terms that add up to ``∂L/∂W``, from the recorded graph
    apart: float  # the largest difference between these and the terms by hand (``manual.paths``)
    new_loss: float  # the loss after one step of gradient descent
    slips: tuple[Slip, ...]  # the places where the article's lines differ from its own formulas


def study_example() -> Example:
    """Draw, derive, compare and take apart the article's worked example."""
    network = worked_example()
    trace, back = article.run()
    terms = bptt_terms(network.terms, network.parameters["W"])
    by_hand = sum_over_paths(trace).terms.W[[t - 1 for t in terms.rows]]
    return Example(
        network,
        draw(network.loss, title="1, 3, 5 in; 5, 3, 1 out"),
        derive(network.loss),
        compare(network.loss, back, referee="always"),
        terms,
        float(np.max(np.abs(terms.terms - by_hand))),
        float(article.computed()["new loss"]),
        slips(),
    )


class CellFlow(NamedTuple):
    """The gradient's flow through one cell."""

    cell: str  # its name, "LSTM"
    setting: str  # the setting, such as "forget bias 3"
    flow: Flow  # the gradient at every step


def study_flows(seed: int = 0) -> list[CellFlow]:
    """The gradient of the last step's loss on its way back through 100 steps of an RNN, an LSTM and a GRU.

    Each is shown as it is initialised, and with one setting that changes how the gradient decays.
    """
    rng = np.random.default_rng(seed)
    xs = rng.normal(size=(FLOW_STEPS, FLOW_INPUTS))
    found = []
    for name, setting, cell in _cells(seed):
        ys, _ = nn.unroll(cell, xs)
        *_, flow = gradient_flow(np.sum(ys[-1])).flows  # of an LSTM's h and c the latter, through which it flows
        found.append(CellFlow(name, setting, flow))
    return found


def _cells(seed: int) -> list[tuple[str, str, Any]]:
    sizes = (FLOW_INPUTS, FLOW_UNITS)
    keywords: dict[str, Any] = {"seed": seed, "dtype": np.float64}
    linear = nn.RNNCell(*sizes, activation=lambda a: a, **keywords)
    weights = linear.state_dict()
    linear.load_state_dict({**weights, "W": weights["W"] * 1.1 / spectral_radius(weights["W"])})
    open_gru = nn.GRUCell(*sizes, **keywords)
    biases = open_gru.state_dict()
    biases["b"][FLOW_UNITS : 2 * FLOW_UNITS] = 3  # of r, z, n: z, the gate that keeps the state
    open_gru.load_state_dict(biases)
    return [
        ("RNN", "as initialised", nn.RNNCell(*sizes, **keywords)),
        ("RNN", "linear, spectral radius 1.1", linear),
        ("LSTM", "as initialised", nn.LSTMCell(*sizes, **keywords)),
        ("LSTM", "forget bias 3", nn.LSTMCell(*sizes, forget_bias=3.0, **keywords)),
        ("GRU", "as initialised", nn.GRUCell(*sizes, **keywords)),
        ("GRU", "update bias 3", open_gru),
    ]


class Learned(NamedTuple):
    """The result of learning from a text."""

    source: str  # the source of the text
    length: int  # its number of characters
    model: LanguageModel  # the trained model
    history: History  # the history of training
    bits: float  # the bits that the model needs for an unseen character
    bits_without: float  # the bits for a character without a model
    prime: str  # an unseen piece of the text, which the model continues
    before: str  # the text that it wrote before training
    after: str  # the text that it writes after training


def learn(text: str, source: str, *, seed: int, seconds: float, progress: bool | str | None) -> Learned:
    """Train a character model on a text and let it write, before and after.

    Args:
        text: the text to learn.
        source: the name of the text.
        seed: the seed of everything random.
        seconds: how long to train.
        progress: whether to show a bar; None for a bar on a terminal only, "lines" for lines instead.
    """
    model, history, unseen = train_on_text(text, seconds=seconds, seed=seed, progress=progress)
    untrained = LanguageModel(CharacterVocabulary.from_text(text), seed=np.random.default_rng(seed))
    prime = beginning(model.vocabulary.decode(unseen[:10_000]))
    side_by_side = 16 if len(unseen) > 2_000 else 1
    steps = min(100, len(unseen) // side_by_side - 1)
    return Learned(
        source,
        len(text),
        model,
        history,
        model.bits_per_symbol(unseen, batch_size=side_by_side, steps=steps),
        float(np.log2(len(model.vocabulary))),
        prime,
        untrained.sample(SAMPLE_LENGTH, prime, temperature=TEMPERATURE, seed=seed),
        model.sample(SAMPLE_LENGTH, prime, temperature=TEMPERATURE, seed=seed),
    )


def beginning(text: str) -> str:
    """A text to continue: the beginning of the first paragraph of prose, or of the text if there is none."""
    paragraph = PARAGRAPH.search(text)
    start = paragraph.end() if paragraph else 0
    return text[start : start + PRIME_LENGTH]
