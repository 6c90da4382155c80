"""A model and its loss on a batch, compiled as one function."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..compiler import compile
from ..compiler.compiled import Prepared
from ..data import Batch
from ..nn import Module
from .compiled_layers import say_not_compiled
from .history import History
from .prediction import Loss, Predict, loss_and_state


class CompiledStep:
    """``loss_and_state`` of a batch and a state, compiled; what can't be compiled runs as it is.

    Models look at lengths, and a plan has to be right for all values of an array. Where all lengths are the same, they
    are no more than two plain numbers, by which a plan can go.

    Args:
        model: The model.
        loss: As in ``fit``.
        predict: As in ``fit``.
        executor: As in ``tinygrad_rnn.compile``.
        history: Is told if it isn't compiled, and why.
    """

    def __init__(self, model: Module, loss: Loss, predict: Predict, executor: str, history: History) -> None:
        self.eager = partial(loss_and_state, model, loss, predict)
        said = partial(say_not_compiled, history, "the whole step")
        self._compiled = compile(partial(_step, model, loss, predict), executor=executor, fallback=said)

    def __call__(self, batch: Batch, state: Any) -> Any:
        """The loss, and the state that the model carries on."""
        return self._compiled(*_arguments(batch, state))

    def prepared(self, batch: Batch, state: Any) -> Prepared | None:
        """What would run; None if it isn't compiled."""
        return self._compiled.prepared(*_arguments(batch, state))


def _arguments(batch: Batch, state: Any) -> tuple[Any, ...]:
    plain = batch._replace(lengths=None, target_lengths=None)
    return plain, _in_short(batch.lengths), _in_short(batch.target_lengths), state


def _step(
    model: Module, loss: Loss, predict: Predict, batch: Batch, lengths: Any, target_lengths: Any, state: Any
) -> Any:
    batch = batch._replace(lengths=_written_out(lengths), target_lengths=_written_out(target_lengths))
    return loss_and_state(model, loss, predict, batch, state)


def _in_short(lengths: np.ndarray | None) -> Any:
    """Lengths that are all the same as (how many, how long); others as they are."""
    if lengths is None or not lengths.size or lengths.min() != lengths.max():
        return lengths
    return lengths.size, int(lengths[0])


def _written_out(lengths: Any) -> Any:
    return np.full(*lengths) if isinstance(lengths, tuple) else lengths
