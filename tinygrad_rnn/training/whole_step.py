"""A model and its loss on a batch, compiled as one function."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..autodiff.trees import leaves
from ..compiler import compile
from ..compiler.compiled import Prepared
from ..data import Batch
from ..nn import Module
from .compiled_layers import say_not_compiled
from .history import History
from .prediction import Loss, Predict, loss_and_state

TIME_FIRST, BATCH_FIRST = "time first", "batch first"  # all sequences of a batch are as long as its shape says


class CompiledStep:
    """``loss_and_state`` of a batch and a state, compiled; if it can't be compiled, it runs as it is.

    The history records the reason if it isn't compiled.

    Models look at lengths, and a plan has to be right for all values of an array. If all sequences are as long as their
    batch, its shape says so, and lengths need not be an array.
    """

    def __init__(self, model: Module, loss: Loss, predict: Predict, executor: str, history: History) -> None:
        self.eager = partial(loss_and_state, model, loss, predict)
        said = partial(say_not_compiled, history, "the whole step")
        self._compiled = compile(partial(_step, model, loss, predict), executor=executor, fallback=said)

    def __call__(self, batch: Batch, state: Any) -> Any:
        """The loss, and the state for the next batch."""
        return self._compiled(*_arguments(batch, state))

    def prepared(self, batch: Batch, state: Any) -> Prepared | None:
        """The executable for a call, or None if it isn't compiled."""
        return self._compiled.prepared(*_arguments(batch, state))


def _arguments(batch: Batch, state: Any) -> tuple[Any, ...]:
    plain = batch._replace(lengths=None, target_lengths=None)
    return plain, _in_short(batch.lengths, batch.inputs), _in_short(batch.target_lengths, batch.targets), state


def _step(
    model: Module, loss: Loss, predict: Predict, batch: Batch, lengths: Any, target_lengths: Any, state: Any
) -> Any:
    batch = batch._replace(
        lengths=_written_out(lengths, batch.inputs), target_lengths=_written_out(target_lengths, batch.targets)
    )
    return loss_and_state(model, loss, predict, batch, state)


def _in_short(lengths: np.ndarray | None, sequences: Any) -> Any:
    """Equal lengths in a short form: one word if they are the length of the batch, else (count, length)."""
    if lengths is None or not lengths.size or lengths.min() != lengths.max():
        return lengths
    short = lengths.size, int(lengths[0])
    return next((word for word in (TIME_FIRST, BATCH_FIRST) if short == _of_shape(sequences, word)), short)


def _written_out(lengths: Any, sequences: Any) -> Any:
    short = _of_shape(sequences, lengths) if isinstance(lengths, str) else lengths
    return np.full(*short) if isinstance(short, tuple) else short


def _of_shape(sequences: Any, word: str) -> tuple[int, ...]:
    """The number of sequences in a batch, (T, B, ...) or (B, T, ...), or in a tree of batches, and its length."""
    first, second = (*np.shape(leaves(sequences)[0]), 0, 0)[:2]
    return (second, first) if word == TIME_FIRST else (first, second)
