"""Calls of a model on batches and examples: arrays in, arrays out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff.scope import no_grad

if TYPE_CHECKING:
    from ..data import Batch


def call_with(model: Any, batch: Batch, state: Any = None) -> tuple[Any, Any]:
    """Return a model's prediction for a batch, and the state for the next batch; see ``training.predict``."""
    asked_for = parameters_of(type(model).forward)
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
            "parameter lengths, so padding would be taken for data. Give it one, or pass predict= to fit."
        )
    result = model(batch.inputs, **keywords)
    if not isinstance(result, tuple):
        return result, None
    if len(result) != 2:
        raise ValueError(
            f"{type(model).__name__} returns {len(result)} values; fit takes a prediction, or (prediction, state). "
            "For anything else pass predict=, a function of (model, batch, state) that returns those two."
        )
    prediction, state = result
    return prediction, state if "state" in asked_for else None


def predictions(model: Any, inputs: Any, batch_size: int) -> Any:
    """Return a model's predictions for examples; see ``Module.predict``."""
    from ..data import Batches
    from ..data.examples import as_inputs, first_example

    inputs, sequences = as_inputs(inputs, dtype_of(model))
    options: dict[str, Any] = {"input_sequences": sequences, "batch_first": batch_first(model)}
    found: list[np.ndarray] = []
    with evaluating(model), no_grad():
        axis = batch_axis(lambda count: call_with(model, first_example(inputs[0], 0, count, **options))[0])
        for batch in Batches(inputs, np.zeros(len(inputs)), batch_size=batch_size, **options):
            prediction = np.asarray(call_with(model, batch)[0])
            rows = np.moveaxis(prediction, axis, 0)
            lengths = np.zeros(0, int) if batch.lengths is None else batch.lengths
            timed = lengths.size > 0 and (axis == 1 or prediction.ndim > 2) and rows.shape[1] == lengths.max()
            found += [row[:length] for row, length in zip(rows, lengths)] if timed else list(rows)
    return np.stack(found) if len({row.shape for row in found}) == 1 else found


def batch_axis(prediction_of: Callable[[int], Any]) -> int:
    """Return the axis of a prediction along which examples lie: 1 if they are sequences, because time comes first.

    Raises:
        ValueError: the prediction's shape is the same for any number of examples.
    """
    one, two = np.shape(prediction_of(1)), np.shape(prediction_of(2))
    axes = [axis for axis, (m, n) in enumerate(zip(one, two)) if m != n]
    if not axes:
        raise ValueError(
            f"the model's prediction has shape {one} for one example and {two} for two: it needs one for each example. "
            "An array of sequences is (N, T, n): pass a single one as X[None], those without features as X[..., None]"
        )
    return axes[0]


def batch_first(model: Any) -> bool:
    """Return True if a model takes examples first, because a layer in it was made with ``batch_first=True``."""
    return any(getattr(module, "batch_first", False) for module in model.modules())


def dtype_of(model: Any) -> Any:
    """The dtype of all parameters of a model; None if there are several."""
    found = {parameter.dtype for parameter in model.parameters()}
    return found.pop() if len(found) == 1 else None


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """A context in which a model is in evaluation mode; its earlier mode returns afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@lru_cache(maxsize=64)
def parameters_of(function: Callable[..., Any]) -> frozenset[str]:
    """The names of a function's parameters."""
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some functions written in C don't have a signature
        return frozenset()


def _uneven(lengths: np.ndarray | None) -> bool:
    return lengths is not None and lengths.size > 0 and lengths.min() != lengths.max()
