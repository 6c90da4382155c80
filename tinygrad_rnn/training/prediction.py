"""A model's work on a batch: its prediction, the state that it carries on, and its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..autodiff.scope import no_grad
from ..data import Batch, Epochs
from ..nn import Module
from ..nn.calling import call_with, evaluating, parameters_of

Loss = Callable[..., Any]
Predict = Callable[[Any, Batch, Any], tuple[Any, Any]]


def predict(model: Module, batch: Any, state: Any = None) -> Any:
    """Call a model with a batch, and with the state, lengths and targets if its ``forward`` has such parameters.

    The simplest form is ``forward(inputs)``. If ``forward`` has a parameter ``state``, it gets the state after the last
    batch (None at a fresh start) and returns ``(prediction, state)``. A parameter ``lengths`` gets the lengths of the
    padded sequences, and a parameter ``target`` gets the targets, for teacher forcing.

    Args:
        model: the model.
        batch: the batch to predict from; or examples, an array or a list of sequences.
        state: the state to start from.

    Returns:
        ``(prediction, state)``; the state is None if the model has none to carry on. For examples, the predictions
        alone, as ``model.predict`` returns them.

    Raises:
        ValueError: the batch is padded and the model takes no ``lengths``.
    """
    return call_with(model, batch, state) if isinstance(batch, Batch) else model.predict(batch)


def loss_of(loss: Loss, prediction: Any, batch: Batch) -> Any:
    """The loss of a prediction: ``loss(prediction, targets)``, with ``lengths=`` of padded targets if it takes them.

    Raises:
        ValueError: the loss isn't one number.
    """
    value = loss(prediction, batch.targets, **keywords_for(loss, batch))
    if np.size(value) != 1:
        raise ValueError(
            f"the loss has shape {np.shape(value)}; training needs one number: a mean or a sum over the batch"
        )
    return value


def keywords_for(function: Callable[..., Any], batch: Batch) -> dict[str, Any]:
    """The keywords of a loss or a metric for a batch: the lengths of padded targets, if it has that parameter."""
    padded = batch.target_lengths is not None and "lengths" in parameters_of(function)
    return {"lengths": batch.target_lengths} if padded else {}


def loss_and_state(model: Module, loss: Loss, predict: Predict, batch: Batch, state: Any) -> tuple[Any, Any]:
    """The loss of a model on a batch, and the state for the next batch."""
    prediction, state = predict(model, batch, state)
    return loss_of(loss, prediction, batch), state


def totals_of(
    model: Module,
    data: Iterable[Batch],
    loss: Loss,
    predict: Predict,
    parted: Iterable[tuple[tuple[float, int], bool, Any]],
    measured: Callable[[], Sequence[float]] = tuple,
) -> tuple[np.ndarray, np.ndarray]:
    """The weighted sums of the loss and the metrics over some parts of all batches, and the weights of all batches.

    ``parted`` gives for each batch the weight of its loss and its number of targets, the weight of its metrics; whether
    it continues the one before; and the parts to compute, each with its share of the batch's loss. ``measured`` returns
    the metrics of the last prediction, means over its targets.
    """
    totals, weights = np.zeros(1 + len(measured())), np.zeros(2)
    with evaluating(model), _unmoved(data), no_grad():
        states: list[Any] = []
        for (weight, count), continues, parts in parted:
            before = states if continues and states else [None] * len(parts)
            states = []
            for (part, share), state in zip(parts, before):
                with np.errstate(**without_targets(share)):
                    value, state = loss_and_state(model, loss, predict, part, state)
                states.append(state)
                totals[0] += share and weight and share * weight * float(value)  # the mean of no targets is no number
                totals[1:] += counted(measured(), part)
            weights += weight, count
    return totals, weights


def without_targets(share: float) -> dict[str, Any]:
    """The ``np.errstate`` for a part of a batch: the loss of one in which no target counts is 0/0, and isn't used."""
    return {} if share else {"invalid": "ignore", "divide": "ignore"}


@contextmanager
def _unmoved(data: Iterable[Batch]) -> Iterator[None]:
    """A context that restores the present place in the data, which must be the beginning of an epoch."""
    if not isinstance(data, Epochs):
        yield
        return
    if data.position != 0:
        raise ValueError(
            f"evaluate: {data.position} of {len(data)} batches have been handed out already. Make separate batches "
            "to evaluate on, from the same data"
        )
    place = data.state_dict()
    try:
        yield
    finally:
        data.load_state_dict(place)


def count_targets(batch: Batch) -> int:
    """The number of targets in a batch, without the padding."""
    return int(np.size(batch.targets) if batch.target_lengths is None else batch.target_lengths.sum())


def counted(metrics: Sequence[float], batch: Batch) -> np.ndarray:
    """The metrics of a batch times its number of targets: 0 if there are none, whose mean is no number."""
    count = count_targets(batch)
    return count * np.array(metrics) if count else np.zeros(len(metrics))


def count_inputs(batch: Batch) -> int:
    """The number of input steps in a batch, without the padding; a vector for a whole sequence counts as one."""
    if batch.lengths is not None:
        return int(batch.lengths.sum())
    one_to_many = batch.target_lengths is not None
    return int(np.prod(np.shape(batch.inputs)[: 1 if one_to_many else 2]))
