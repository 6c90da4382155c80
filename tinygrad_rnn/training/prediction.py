"""How a model meets a batch: its prediction, the state that it carries on, and its loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from ..autodiff.scope import no_grad
from ..data import Batch, Epochs
from ..nn import Module

Loss = Callable[..., Any]
Predict = Callable[[Any, Batch, Any], tuple[Any, Any]]


def predict(model: Module, batch: Batch, state: Any = None) -> tuple[Any, Any]:
    """Call a model with a batch, and with what else its ``forward`` asks for by name.

    ``forward(inputs)`` is the least. One that has a parameter ``state`` gets the state where the last batch left it
    (None at a fresh start) and gives ``(prediction, state)``; one that has a parameter ``lengths`` is told how long
    the padded sequences are; one that has a parameter ``target`` gets the targets, for teacher forcing.

    Args:
        model: The model.
        batch: What it predicts from.
        state: The state to start from.

    Returns:
        ``(prediction, state)``; the state is None if the model has none to carry on.

    Raises:
        ValueError: The batch is padded and the model takes no ``lengths``.
    """
    asked_for = _parameters(type(model).forward)
    keywords: dict[str, Any] = {}
    if "state" in asked_for:
        keywords["state"] = state
    if "target" in asked_for:
        keywords["target"] = batch.targets
    if "lengths" in asked_for:
        keywords["lengths"] = batch.lengths
    elif _uneven(batch.lengths):
        raise ValueError(
            f"this batch holds sequences of unequal length, padded, but forward() of {type(model).__name__} has no "
            "parameter lengths, so padding would pass for data. Give it one, or pass predict= to fit."
        )
    result = model(batch.inputs, **keywords)
    if not isinstance(result, tuple):
        return result, None
    if len(result) != 2:
        raise ValueError(
            f"{type(model).__name__} gives {len(result)} values; fit understands a prediction, or (prediction, state). "
            "For anything else pass predict=, a function of (model, batch, state) that gives those two."
        )
    prediction, state = result
    return prediction, state if "state" in asked_for else None


def loss_of(loss: Loss, prediction: Any, batch: Batch) -> Any:
    """The loss of a prediction: ``loss(prediction, targets)``, told ``lengths=`` of padded targets if it asks for them.

    Raises:
        ValueError: It isn't one number.
    """
    keywords = {}
    if batch.target_lengths is not None and "lengths" in _parameters(loss):
        keywords["lengths"] = batch.target_lengths
    value = loss(prediction, batch.targets, **keywords)
    if np.size(value) != 1:
        raise ValueError(
            f"the loss has shape {np.shape(value)}; training needs one number: a mean or a sum over the batch"
        )
    return value


def loss_and_state(model: Module, loss: Loss, predict: Predict, batch: Batch, state: Any) -> tuple[Any, Any]:
    """The loss of a model on a batch, and the state that it carries on."""
    prediction, state = predict(model, batch, state)
    return loss_of(loss, prediction, batch), state


def evaluate(model: Module, data: Iterable[Batch], loss: Loss, *, predict: Predict = predict) -> float:
    """The mean loss of a model on data, without learning from it.

    The model is put into evaluation mode meanwhile. States are carried from batch to batch where the data say so.
    ``Batches`` and ``StreamBatches`` are gone through once and then stand where they stood before, so they give the
    same batches every time.

    Args:
        model: The model.
        data: Batches.
        loss: ``loss(prediction, targets)``, a mean over the targets.
        predict: How the model is called.

    Returns:
        The mean over all targets: a batch counts for as many targets as it has.

    Raises:
        ValueError: There are no batches, or the data don't stand at the beginning of an epoch.
    """
    total, weight = total_loss(model, data, loss, predict, lambda batch: [(batch, 1.0)])
    if weight == 0:
        raise ValueError("evaluate: there are no batches to evaluate the model on")
    return total / weight


def total_loss(
    model: Module, data: Iterable[Batch], loss: Loss, predict: Predict, parts_of: Callable[[Batch], Any]
) -> tuple[float, float]:
    """The sum of the losses of some parts of all batches, and how many targets all batches have.

    Args:
        model: The model.
        data: Batches.
        loss: As in ``evaluate``.
        predict: As in ``evaluate``.
        parts_of: The parts of a batch that are to be computed, each with its share in the batch's loss.
    """
    total = weight = 0.0
    with evaluating(model), _unmoved(data), no_grad():
        states: list[Any] = []
        for batch in data:
            parts = parts_of(batch)
            before = states if batch.continues and states else [None] * len(parts)
            states = []
            for (part, share), state in zip(parts, before):
                value, state = loss_and_state(model, loss, predict, part, state)
                states.append(state)
                total += count_targets(batch) * share * float(value)
            weight += count_targets(batch)
    return total, weight


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """In evaluation mode, and back in the mode that the model was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def _unmoved(data: Iterable[Batch]) -> Iterator[None]:
    """Put data back to the place where they stand, which must be the beginning of an epoch."""
    if not isinstance(data, Epochs):
        yield
        return
    if data.position != 0:
        raise ValueError(
            f"evaluate: {data.position} of {len(data)} batches have been handed out already. Make batches of their own "
            "to evaluate on, from the same data"
        )
    place = data.state_dict()
    try:
        yield
    finally:
        data.load_state_dict(place)


def count_targets(batch: Batch) -> int:
    """How many targets a batch has, without the padding."""
    return int(np.size(batch.targets) if batch.target_lengths is None else batch.target_lengths.sum())


def count_inputs(batch: Batch) -> int:
    """How many time steps of input a batch has, without the padding; a vector for a whole sequence counts as one."""
    if batch.lengths is not None:
        return int(batch.lengths.sum())
    one_to_many = batch.target_lengths is not None
    return int(np.prod(np.shape(batch.inputs)[: 1 if one_to_many else 2]))


def _uneven(lengths: np.ndarray | None) -> bool:
    return lengths is not None and lengths.size > 0 and lengths.min() != lengths.max()


@lru_cache(maxsize=64)
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    """The names of a function's parameters."""
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some functions written in C don't tell
        return frozenset()
