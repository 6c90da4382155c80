"""The encoding of symbols as one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import whole_number

Array = npt.NDArray[Any]


def one_hot(indices: npt.ArrayLike, size: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """A row of zeros with a one at each index.

    Args:
        indices: whole numbers from 0 to ``size - 1``, of any shape (...).
        size: the length of a row.
        dtype: the dtype of the result.

    Returns:
        An array of shape (..., size).

    Raises:
        TypeError: if the indices aren't whole numbers.
        ValueError: if one of them is out of range.

    Example:
        >>> one_hot([2, 0], 3)
        array([[0., 0., 1.],
               [1., 0., 0.]], dtype=float32)
    """
    size = whole_number("size", size)
    array = np.asarray(indices)
    if array.size == 0:
        return np.zeros((*array.shape, size), dtype)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"one_hot takes whole numbers as indices, not {array.dtype}")
    if array.min() < 0 or array.max() >= size:
        wrong = np.argwhere((array < 0) | (array >= size))[0]
        place = tuple(wrong.tolist())
        raise ValueError(f"one_hot: index {array[place]} at {place} is outside 0 to {size - 1}")
    rows = np.zeros((array.size, size), dtype)
    rows[np.arange(array.size), array.ravel()] = 1
    return rows.reshape(*array.shape, size)
