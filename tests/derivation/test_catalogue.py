"""Every function of the catalogue, in a plain loop over time: its lines give autograd's gradients, in every style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.autodiff.samples import SAMPLES, Sample
from tinygrad_rnn.autodiff.trees import leaves
from tinygrad_rnn.derivation.equations.not_writable import NotWritable

# The operations for which NumPy alone has no short form, or which return several arrays; evaluate() computes them.
WITHOUT_TEXT = {"fft", "rfft", "irfft", "output", "erf", "cofactors", "vjp_of_index_update", "vjp_of_einsum"}
SHARES = 32  # of the samples


def network(sample: Sample) -> Any:
    """A loss of a state that reads a sample's result at three steps."""

    def loss(p: dict[str, Any]) -> Any:
        state: Any = 0.1
        for t in range(3):
            found = leaves(sample.f(*[a * (1 + 0.01 * t) for a in p.values()]))
            state = np.tanh(sum(np.sum(weighted(np.real(a))) for a in found) * 0.01 + state * 0.5)
        return state

    return loss


def weighted(a: Any) -> Any:
    """An array times weights that all differ; else the gradient of a softmax would be rounding alone."""
    return a * np.linspace(0.2, 0.4, np.size(a)).reshape(np.shape(a))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.one_in(8)
@pytest.mark.parametrize("samples", [SAMPLES[k::SHARES] for k in range(SHARES)], ids=range(SHARES))
def test_every_function_can_be_derived(samples: Sequence[Sample]) -> None:
    wrong = []
    for sample in samples:
        try:
            with np.errstate(all="ignore"):
                derivation = tr.derive(network(sample), {f"p{i}": a for i, a in enumerate(sample.inputs)})
            assert str(derivation) and derivation.latex() and derivation.html()
        except Exception as error:
            wrong.append(f"{sample.name}: {type(error).__name__}: {error}")
            continue
        try:
            derivation.source()
        except NotWritable as error:
            if str(error) not in WITHOUT_TEXT and not sample.name.startswith("sinc"):  # of order 1
                wrong.append(f"{sample.name}: {error}")
    assert wrong == []


def test_a_part_of_an_array_that_ends_at_its_start_is_written_so() -> None:
    derivation = tr.derive(lambda p: np.sum(p["x"][:0:-1] * np.array([1.0, 2.0])), {"x": np.ones(3)})
    assert "x[:0:-1]" in str(derivation) and "x[:0:-1]" in derivation.source()


def test_rows_that_are_chosen_by_data_differ_from_use_to_use() -> None:
    """The places of a second array were taken for those of the first, whose arrays were gone."""
    words, scores, links = [1, 2, 2, 1, 0], np.ones((5, 3)), np.ones((3, 3))

    def loss(p: dict[str, Any]) -> Any:
        total, state = 0.0, np.zeros(3)
        for t in range(1, 5):
            state = np.tanh(p["scores"][t] + state @ p["links"])
            total = total + state[words[t]] + p["links"][words[t - 1], words[t]]
        return total

    for _ in range(5):
        derivation = tr.derive(loss, {"scores": scores, "links": links})
        assert "[words_t, words_{t+1}]" in str(derivation)  # beside state[words_{t+1}]
