"""Sequences of unequal length in one array, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import whole_number

Array = npt.NDArray[Any]


def pad(
    sequences: Sequence[npt.ArrayLike],
    *,
    value: float = 0,
    length: int | None = None,
    batch_first: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Put sequences of unequal length side by side, the short ones filled up at their ends.

    Args:
        sequences: B arrays of shapes (T_b, ...), alike but for their lengths T_b, which may be 0.
        value: the value that fills up the short ones.
        length: the number T of steps of the result; by default that of the longest sequence.
        batch_first: whether the result is (B, T, ...) instead of (T, B, ...).
        dtype: the dtype of the result; by default that of their concatenation in NumPy.

    Returns:
        ``(padded, lengths)``: an array (T, B, ...), and the lengths T_b, of shape (B,).

    Raises:
        TypeError: if the arguments aren't sequences of numbers.
        ValueError: if there are no sequences, if their shapes don't match, if one is longer
            than ``length``, or if ``value`` can't be represented in the dtype.

    Example:
        >>> padded, lengths = pad([[1, 2, 3], [4]])
        >>> padded
        array([[1, 4],
               [2, 0],
               [3, 0]])
        >>> lengths
        array([3, 1])
    """
    unpadded = Unpadded(sequences, value, length, batch_first, dtype)
    return unpadded.columns(), unpadded.lengths


class Unpadded:
    """Sequences that fit side by side, before they are put into one array; the arguments are those of ``pad``."""

    def __init__(
        self,
        sequences: Sequence[npt.ArrayLike],
        value: float = 0,
        length: int | None = None,
        batch_first: bool = False,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        arrays = _as_arrays(sequences)
        filled = [array for array in arrays if array.size] or arrays  # [] has no dtype of its own
        result_dtype = np.result_type(*filled) if dtype is None else np.dtype(dtype)
        self.lengths = np.array([len(array) for array in arrays], np.int64)
        longest = int(self.lengths.max())
        self._steps = longest if length is None else whole_number("length", length, minimum=0)
        if longest > self._steps:
            raise ValueError(
                f"pad: sequence {int(self.lengths.argmax())} has {longest} steps, more than "
                f"length={self._steps}; cut it, or pass a greater length"
            )
        self._of_a_step = filled[0].shape[1:]
        self._batch_first = batch_first
        self._fill = _converted(np.asarray(value), result_dtype, "the padding value")
        self._arrays = [_converted(a, result_dtype, f"sequence {number}") for number, a in enumerate(arrays)]

    def columns(self, part: slice = slice(None)) -> Array:
        """The padded array of all sequences, or of some, as long as that of all."""
        arrays = self._arrays[part]
        if arrays and self._steps > 0 and all(len(array) == self._steps for array in arrays):
            return np.stack(arrays, axis=0 if self._batch_first else 1)
        layout = (len(arrays), self._steps) if self._batch_first else (self._steps, len(arrays))
        padded = np.full((*layout, *self._of_a_step), self._fill)
        for row, array in zip(padded if self._batch_first else padded.swapaxes(0, 1), arrays):
            if array.size:
                row[: len(array)] = array
        return padded


def unpad(padded: Array, lengths: npt.ArrayLike, *, batch_first: bool = False) -> list[Array]:
    """Take the sequences out of a padded array: the inverse of ``pad``.

    Args:
        padded: an array (T, B, ...).
        lengths: the lengths of its sequences, of shape (B,).
        batch_first: whether ``padded`` is (B, T, ...).

    Returns:
        B arrays of shapes (T_b, ...); they are views of ``padded``.

    Raises:
        ValueError: if the lengths don't fit the array.
    """
    rows = padded if batch_first else padded.swapaxes(0, 1)
    counts = np.asarray(lengths)
    if counts.shape != (len(rows),) or not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(
            f"unpad: of a batch of {len(rows)} sequences, lengths must be {len(rows)} whole "
            f"numbers, not {counts.dtype} of shape {counts.shape}"
        )
    if ((counts < 0) | (counts > rows.shape[1])).any():
        raise ValueError(
            f"unpad: lengths must be from 0 to {rows.shape[1]}, the steps there are, not {counts.tolist()}"
        )
    return [row[:count] for row, count in zip(rows, counts.tolist(), strict=True)]


def _as_arrays(sequences: Sequence[npt.ArrayLike]) -> list[Array]:
    """The sequences as arrays whose shapes differ in length alone."""
    arrays = [np.asarray(sequence) for sequence in sequences]
    if not arrays:
        raise ValueError("pad: there are no sequences")
    trailing = next((array.shape[1:] for array in arrays if array.size), arrays[0].shape[1:])
    for number, array in enumerate(arrays):
        if array.ndim == 0:
            raise ValueError(f"pad: sequence {number} is a single number, not a sequence of steps")
        if array.dtype.kind not in "biufc":
            raise TypeError(
                f"pad: sequence {number} holds {array.dtype}, not numbers; "
                "a vocabulary's encode() turns text into numbers"
            )
        if array.shape[1:] != trailing and array.shape != (0,):
            raise ValueError(
                f"pad: sequence {number} has steps of shape {array.shape[1:]}, the ones before it {trailing}"
            )
    return arrays


def _converted(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    """The array in another dtype; only rounding to a shorter float may change its numbers."""
    if array.dtype == dtype:
        return array
    if dtype.kind in "fc":
        keeps = np.can_cast(array.dtype, dtype, "same_kind")
    else:
        with np.errstate(invalid="ignore"):  # NaN has no whole number, as the comparison shows
            keeps = bool((array.astype(dtype) == array).all())
    if not keeps:
        values = f" {array}" if array.ndim == 0 else ""
        raise ValueError(
            f"pad: {dtype} can't hold {name}{values} of {array.dtype}; "
            "pass a dtype that can, such as dtype=np.int64 or dtype=np.float32"
        )
    return array.astype(dtype, copy=False)
