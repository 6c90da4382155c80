"""A language model: it reads a text symbol by symbol, and predicts the next one after each.

    symbol -> embedding -> recurrent cell -> Linear -> logits of the next symbol

The embedding and the output layer take all time steps at once, so that only the recurrence itself is a loop. An
embedding equals a one-hot vector times a matrix, without the multiplication by zeros.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import nn
from ..autodiff import scope
from ..autodiff.scope import no_grad
from ..compiler import compile
from ..data import StreamBatches, train_validation_split
from ..nn import init
from ..optim import Adam
from ..training import History, evaluate, fit
from .vocabulary import CharacterVocabulary, Vocabulary

CELLS = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}


class LanguageModel(nn.Module):
    """A model that predicts the next character or word of a text.

    Args:
        vocabulary: the symbols; the model keeps them, so that it can read and write text.
        cell: "RNN", "LSTM" or "GRU"; or a cell of your own, which takes inputs of size ``embedding_size`` and returns
            outputs of size ``units``.
        units: d, the size of the cell's output.
        embedding_size: n, the size of a symbol's vector.
        layers: the number of cells on top of each other, each reading the outputs of the one below. (A cell of your own
            counts as one layer; ``nn.StackedCell`` makes one cell of several.)
        dropout: in training, the probability with which an element of a layer's input, or of the last layer's output,
            is dropped. Source: Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization" (2014).
        executor: the executor of the loop over time, compiled (see ``tinygrad_rnn.compile``): "numpy", about twice as
            fast as uncompiled; "llvm", faster still, after some seconds for compiling; None: don't compile. A cell
            that can't be compiled runs as it is. Each executor gives the same bits every time, but other bits than the
            others.
        seed: an int or a numpy.random.Generator.
        dtype: of the parameters.

    Attributes:
        embedding: (k, n), a row for every symbol.
        cell: the recurrent cell; a ``StackedCell`` of several layers.
        output: the layer from the cell's output to the logits.

    Example:
        >>> from tinygrad_rnn.language import CharacterVocabulary
        >>> model = LanguageModel(CharacterVocabulary.from_text("hello"), units=8, seed=0)
        >>> logits, state = model(np.zeros((5, 2), int))  # T = 5, B = 2
        >>> logits.shape
        (5, 2, 4)
        >>> len(model.sample(10, seed=0))
        10
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        cell: Any = "LSTM",
        *,
        units: int = 128,
        embedding_size: int = 64,
        layers: int = 1,
        dropout: float = 0.0,
        executor: str | None = "numpy",
        seed: init.Seed = None,
        dtype: Any = np.float32,
    ) -> None:
        rng = init.generator(seed)
        if isinstance(cell, str):
            if cell not in CELLS:
                raise ValueError(f"LanguageModel: cell {cell!r} is not one of {', '.join(CELLS)}; or pass a cell")
            sizes = [embedding_size, *[units] * (layers - 1)]
            stack = [CELLS[cell](size, units, seed=rng, dtype=dtype) for size in sizes]
            cell = stack[0] if layers == 1 else nn.StackedCell(stack)
        elif layers != 1:
            raise ValueError("LanguageModel: layers= is for a cell by name; stack your own by nn.StackedCell")
        self.vocabulary = vocabulary
        self.embedding = nn.Parameter(rng.normal(size=(len(vocabulary), embedding_size)).astype(dtype))
        self.cell = cell
        self.output = nn.Linear(units, len(vocabulary), seed=rng, dtype=dtype)
        self.dropout = nn.Dropout(dropout, seed=rng.spawn(1)[0]) if dropout else nn.Sequential()
        self._loops = self._layers
        if executor is not None:
            self._loops = [compile(layer, fallback=_warn, executor=executor) for layer in self._layers]

    def forward(self, symbols: Any, state: Any = None) -> tuple[Any, Any]:
        """Read symbols and predict the next one after each.

        Args:
            symbols: the numbers of the symbols, (T, B); (T,) without a batch.
            state: the state after the text before them; None at the beginning of a text.

        Returns:
            Logits (T, B, k), and the state after the last symbol.
        """
        return self._read(self._loops, symbols, state)

    @property
    def _layers(self) -> list[Any]:
        """The cells, the lowest first. Each reads the whole sequence before the next one starts."""
        return self.cell.cells if type(self.cell) is nn.StackedCell else [self.cell]

    def _read(self, layers: Sequence[Any], symbols: Any, state: Any) -> tuple[Any, Any]:
        stacked = type(self.cell) is nn.StackedCell
        before = state if stacked and state is not None else [state] * len(layers)
        after = []
        ys = self.dropout(self.embedding[symbols])
        for number, (layer, start) in enumerate(zip(layers, before)):
            with scope(layer=number if stacked else None):
                ys, end = nn.unroll(layer, ys, start)
            ys = self.dropout(ys)
            after.append(end)
        return self.output(ys), tuple(after) if stacked else after[0]

    def sample(self, length: int, prime: str = "", *, temperature: float = 1.0, seed: init.Seed = 0) -> str:
        """Write a text, symbol by symbol, drawn from the model's predictions.

        Args:
            length: the number of symbols to write.
            prime: a text to continue. Without it the model starts from a line end or, if its vocabulary has none, from
                its most frequent symbol.
            temperature: 1 draws from the probabilities as they are; lower values prefer likely symbols, and 0 always
                takes the likeliest one; higher values make unlikely symbols more frequent.
            seed: an int or a numpy.random.Generator.

        Returns:
            ``prime`` and its continuation.

        Raises:
            ValueError: a negative temperature or length, a prime that isn't in the vocabulary, or a model whose weights
                have become infinite or NaN.
        """
        if length < 0 or not temperature >= 0:
            raise ValueError(f"sample: length={length} and temperature={temperature} must not be negative")
        rng = init.generator(seed)
        given = self.vocabulary.encode(prime)
        drawn: list[int] = []
        following = given if given.size else np.array([self._first_symbol()])
        state = None
        with no_grad():
            for _ in range(length):
                logits, state = self._read(self._layers, following, state)  # a single step isn't worth compiling
                drawn.append(_draw(np.asarray(logits)[-1], temperature, rng))
                following = np.array(drawn[-1:])
        return self.vocabulary.decode([*given, *drawn])

    def bits_per_symbol(self, text: str | np.ndarray, *, batch_size: int = 16, steps: int = 100) -> float:
        """The average number of bits that the model needs for a symbol of a text: log₂ of its perplexity.

        For characters this is the usual measure, bits per character; without any model it would be log₂ k.

        Args:
            text: a text, or the numbers of its symbols (N,).
            batch_size: the number of pieces of the text that are read side by side, each from a fresh state.
            steps: the number of symbols read at a time.

        Raises:
            ValueError: the text is too short for that, or holds symbols that aren't in the vocabulary.
        """
        symbols = self.vocabulary.encode(text) if isinstance(text, str) else text
        stream = StreamBatches(symbols, batch_size=batch_size, steps=steps)
        return evaluate(self, stream, nn.cross_entropy) / math.log(2)

    def _first_symbol(self) -> int:
        return self.vocabulary.index("\n") if "\n" in self.vocabulary else 0


class TrainedOnText(NamedTuple):
    """The result of ``train_on_text``.

    Attributes:
        model: the trained model; ``model.sample(...)`` lets it write.
        history: the history of training.
        validation_text: the numbers of the end of the text, which the model hasn't seen; ``model.bits_per_symbol``
            takes them.
    """

    model: LanguageModel
    history: History
    validation_text: np.ndarray


def train_on_text(
    text: str | np.ndarray,
    *,
    vocabulary: Vocabulary | None = None,
    cell: Any = "LSTM",
    units: int = 128,
    embedding_size: int = 64,
    executor: str | None = "numpy",
    batch_size: int = 32,
    steps_per_batch: int = 50,
    learning_rate: float = 5e-3,
    layers: int = 1,
    dropout: float = 0.0,
    validation: float = 0.05,
    validate: bool = False,
    seed: int = 0,
    **limits: Any,
) -> TrainedOnText:
    """Train a language model on a text, with everything set to what works for a small one.

    Args:
        text: the text to learn; or the numbers of its symbols (N,), mapped from a file perhaps, together with the
            vocabulary that they belong to.
        vocabulary: the symbols of the text; by default its characters.
        cell: as in ``LanguageModel``.
        units: as in ``LanguageModel``.
        embedding_size: as in ``LanguageModel``.
        executor: as in ``LanguageModel``.
        batch_size: the number of streams through the text side by side.
        steps_per_batch: the number of time steps that gradients flow back through.
        learning_rate: Adam's.
        layers: as in ``LanguageModel``.
        dropout: as in ``LanguageModel``.
        validation: the fraction of the text, at its end, that is kept from the model.
        validate: True to validate on that part after each epoch, or after the number of steps in ``validate_every=``.
            The model then gets the best weights.
        seed: the seed of everything random.
        **limits: passed to ``fit``: ``seconds=25``, ``steps=``, ``epochs=``, ``progress=``, ``callbacks=``...

    Returns:
        The model, the history and the part of the text that was kept from it.

    Example:
        >>> from tinygrad_rnn.language import python_documentation
        >>> text = python_documentation()[:5_000]
        >>> model, history, validation = train_on_text(text, units=16, batch_size=8, steps=10)
        >>> bool(history.losses[-1] < history.losses[0])
        True
    """
    if vocabulary is None:
        if not isinstance(text, str):
            raise TypeError("train_on_text: numbers need the vocabulary that they belong to; pass vocabulary= too")
        vocabulary = CharacterVocabulary.from_text(text)
    symbols = vocabulary.encode(text) if isinstance(text, str) else text
    rng = np.random.default_rng(seed)
    model = LanguageModel(
        vocabulary,
        cell,
        units=units,
        embedding_size=embedding_size,
        layers=layers,
        dropout=dropout,
        executor=executor,
        seed=rng,
    )
    train, held_out = train_validation_split(symbols, validation=validation)
    stream = StreamBatches(train, batch_size=batch_size, steps=steps_per_batch, rng=rng)
    optimizer = Adam(model.parameters(), lr=learning_rate)
    whole_step = not dropout and not limits.get("metrics")  # neither random numbers nor metrics can be compiled
    options: dict[str, Any] = {"executor": executor, "whole_step": whole_step, "unit": vocabulary.kind, **limits}
    if validate:
        streams = max(1, min(16, (len(held_out) - 1) // 100))
        options["validation"] = StreamBatches(held_out, batch_size=streams, steps=min(100, len(held_out) - 1))
    history = fit(model, stream, nn.cross_entropy, optimizer, **options)
    return TrainedOnText(model, history, held_out)


def _draw(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> int:
    """A symbol drawn from softmax(logits / temperature)."""
    if not np.isfinite(logits.max()):
        raise ValueError("sample: the model's logits are infinite or NaN, and so are its weights; train it anew")
    if temperature == 0:
        return int(np.argmax(logits))
    scaled = (logits - logits.max()).astype(np.float64) / temperature
    cumulated = np.cumsum(np.exp(scaled))
    return int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))


def _warn(why: object) -> None:
    warnings.warn(f"the cell isn't compiled: {why}", UserWarning, stacklevel=2)
