"""Examples as people have them, a pair ``(X, y)`` of arrays or lists, made into batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .batches import Batches
from .epochs import Array, Batch

BATCH_SIZE = 32
"""The number of examples in a batch by default."""

GivesSequences = Callable[[Callable[[int], Batch]], bool]
"""A test of whether predictions are sequences. It gets a function that makes a batch of a number of examples."""


def batches_of(
    data: Any,
    gives_sequences: GivesSequences,
    *,
    batch_size: int | None = None,
    rng: np.random.Generator | None = None,
    batch_first: bool = False,
    dtype: Any = None,
) -> Batches:
    """Return the batches of a pair ``(X, y)``, or of a list of pairs ``(x, y)``.

    Args:
        data: the pair. X is a list of sequences (T_n, ...), an array of them with the examples first, (N, T, ...), or,
            if its numbers are real, an array of vectors (N, n). If the length of y isn't that of X, but that of X's
            second axis, X is taken to be time first, (T, N, ...).
        gives_sequences: a test that is called if the targets, all of one shape, could be sequences or not.
        batch_size: the number of examples in a batch; 32 by default.
        rng: a generator (or a seed) that shuffles the examples anew for every epoch; None leaves them in order.
        batch_first: whether batches are (B, T, ...) instead of (T, B, ...).
        dtype: the dtype for real numbers; None leaves them as they are.

    Raises:
        TypeError: the data are no such pair, or hold something else than numbers.
        ValueError: there are no examples, or not as many targets as inputs.
    """
    inputs, targets = _pair(data)
    inputs, input_sequences = as_inputs(inputs, dtype)
    targets = _as_targets(targets, dtype)
    if len(inputs) != len(targets):
        if not (isinstance(inputs, np.ndarray) and input_sequences and inputs.shape[1] == len(targets)):
            raise ValueError(
                f"X holds {len(inputs)} examples, but y {len(targets)}: of shapes {_shape(inputs)} and "
                f"{_shape(targets)}. Examples come first: X is (N, T, n), y (N, ...)"
            )
        inputs = inputs.swapaxes(0, 1)
    options: dict[str, Any] = {"input_sequences": input_sequences, "batch_first": batch_first}
    lengths = {np.shape(target)[:1] for target in targets}
    if len(lengths) > 1:
        sequences = True
    elif lengths == {()} or lengths == {(0,)}:
        sequences = False
    else:
        sequences = gives_sequences(lambda count: first_example(inputs[0], targets[0], count, **options))
    uneven = input_sequences and len({len(sequence) for sequence in inputs}) > 1
    return Batches(
        inputs,
        targets,
        batch_size=BATCH_SIZE if batch_size is None else batch_size,
        rng=rng,
        target_sequences=sequences,
        bucketed=uneven and rng is not None,
        **options,
    )


def as_inputs(given: Any, dtype: Any = None) -> tuple[Any, bool]:
    """Return inputs as an array or a list of arrays, examples first, and whether each is a sequence.

    With a dtype, real numbers are converted to it.

    Whole numbers (N, T) are sequences of symbols, real numbers (N, n) are vectors. Members of a list are sequences.
    """
    if isinstance(given, (list, tuple)):
        arrays = _arrays(given, "X", dtype)
        if arrays[0].ndim:
            return arrays, True
        given = np.stack(arrays)
    array = _numbers(given, "X", dtype)
    if array.ndim == 0:
        raise TypeError(f"X is one number, {array}, not examples")
    if not len(array):
        raise ValueError("there are no examples")
    return array, array.ndim > 2 or (array.ndim == 2 and array.dtype.kind in "iub")


def first_example(inputs: Any, target: Any, count: int, **options: Any) -> Batch:
    """Return a batch that holds the first example several times."""
    if np.ndim(target):
        options["target_sequences"] = True
    return next(iter(Batches([inputs] * count, [target] * count, batch_size=count, **options)))


def _pair(data: Any) -> tuple[Any, Any]:
    """X and y, out of a pair or a list of pairs."""
    if isinstance(data, tuple) and len(data) == 2:
        return data
    if isinstance(data, list) and data and all(_is_example(one) for one in data):
        inputs, targets = zip(*data)
        return list(inputs), list(targets)
    what = f"a {type(data).__name__} of {len(data)}" if isinstance(data, (list, tuple)) else f"a {type(data).__name__}"
    raise TypeError(
        "the data are a pair (X, y) of arrays or lists, inputs and targets, or data.Batches or data.StreamBatches, not "
        f"{what}"
    )


def _is_example(one: Any) -> bool:
    """Return True for a pair of an input and its target."""
    return isinstance(one, tuple) and len(one) == 2 and hasattr(one[0], "__len__")


def _as_targets(given: Any, dtype: Any) -> Any:
    """Targets as an array, or as a list of arrays of different lengths."""
    if not isinstance(given, (list, tuple)):
        array = _numbers(given, "y", dtype)
        if array.ndim == 0:
            raise TypeError(f"y is one {type(given).__name__}, {str(given)[:80]}, not a target for each example")
        return array
    arrays = _arrays(given, "y", dtype)
    return np.stack(arrays) if len({array.shape for array in arrays}) == 1 else arrays


def _arrays(given: Any, name: str, dtype: Any) -> list[Array]:
    if not given:
        raise ValueError(f"there are no examples: {name} is empty")
    arrays = [_numbers(one, f"{name}[{number}]", dtype) for number, one in enumerate(given)]
    for number, array in enumerate(arrays):
        if array.ndim != arrays[0].ndim or array.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(
                f"{name}[{number}] has shape {array.shape}, where {name}[0] has {arrays[0].shape}: sequences may "
                "differ in length alone"
            )
    return arrays


def _numbers(given: Any, name: str, dtype: Any) -> Array:
    """A user's data as an array of numbers."""
    try:
        array = np.asarray(given)
    except ValueError:  # NumPy's error for lists of unequal length
        array = np.empty((), object)
    if array.dtype.kind == "O":
        raise TypeError(
            f"{name} is not an array of numbers: it is a {type(given).__name__} of unequal parts, or of objects. Pass "
            "sequences of unequal length as a list of arrays"
        )
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} holds {array.dtype}, not numbers; a vocabulary's encode() turns text into numbers")
    return array.astype(dtype, copy=False) if dtype is not None and array.dtype.kind == "f" else array


def _shape(examples: Any) -> str:
    if isinstance(examples, np.ndarray):
        return str(examples.shape)
    return f"a list of {len(examples)}, the first {np.shape(examples[0])}"
