"""How a model meets a batch: its prediction, the state that it carries on, and its loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from ..autodiff.scope import no_grad
from ..autodiff.tensor import Tensor
from ..autodiff.trees import tree_map
from ..data import Batch
from ..nn import Module

Loss = Callable[..., Any]
Predict = Callable[[Any, Batch, Any], tuple[Any, Any]]


def predict(model: Module, batch: Batch, state: Any = None) -> tuple[Any, Any]:
    """Call a model with a batch, and with what else its ``forward`` asks for by name.

    ``forward(inputs)`` is the least. One that has a parameter ``state`` gets the state where the last batch left it
    (None at a fresh start) and gives ``(prediction, state)``; one that has a parameter ``lengths`` is told how long
    the padded sequences are.

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
    keywords = {}
    if "state" in asked_for:
        keywords["state"] = state
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


def evaluate(model: Module, data: Iterable[Batch], loss: Loss, *, predict: Predict = predict) -> float:
    """The mean loss of a model on data, without learning from it.

    The model is put into evaluation mode meanwhile. States are carried from batch to batch where the data say so.

    Args:
        model: The model.
        data: Batches.
        loss: ``loss(prediction, targets)``, a mean over the targets.
        predict: How the model is called.

    Returns:
        The mean over all targets: a batch counts for as many targets as it has.

    Raises:
        ValueError: There are no batches.
    """
    total = weight = 0.0
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            state = None
            for batch in data:
                prediction, state = predict(model, batch, state if batch.continues else None)
                total += count_targets(batch) * float(loss_of(loss, prediction, batch))
                weight += count_targets(batch)
    finally:
        model.train(was_training)
    if weight == 0:
        raise ValueError("evaluate: there are no batches to evaluate the model on")
    return total / weight


def count_targets(batch: Batch) -> int:
    """How many targets a batch has, without the padding."""
    return int(np.size(batch.targets) if batch.target_lengths is None else batch.target_lengths.sum())


def count_inputs(batch: Batch) -> int:
    """How many time steps of input a batch has, without the padding."""
    shape = np.shape(batch.inputs)
    return int(np.prod(shape[:2]) if batch.lengths is None else batch.lengths.sum())


def detached(state: Any) -> Any:
    """The same state outside the graph: gradients end here, and so does the memory that they need."""
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, state)


def _uneven(lengths: np.ndarray | None) -> bool:
    return lengths is not None and lengths.size > 0 and lengths.min() != lengths.max()


@lru_cache(maxsize=64)
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    """The names of a function's parameters."""
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some functions written in C don't tell
        return frozenset()
