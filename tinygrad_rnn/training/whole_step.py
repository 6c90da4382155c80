"""A model and its loss on a batch, compiled as one function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..compiler import compile
from ..data import Batch
from ..nn import Module
from .compiled_layers import say_not_compiled
from .history import History
from .prediction import Loss, Predict, loss_and_state


def compiled_step(
    model: Module, loss: Loss, predict: Predict, executor: str, history: History
) -> Callable[[Batch, Any], Any]:
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
    said = partial(say_not_compiled, history, "the whole step")
    step = compile(partial(_step, model, loss, predict), executor=executor, fallback=said)

    def of_batch(batch: Batch, state: Any) -> Any:
        plain = batch._replace(lengths=None, target_lengths=None)
        return step(plain, _in_short(batch.lengths), _in_short(batch.target_lengths), state)

    return of_batch


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
