"""Transposes of matrices that other matrices are multiplied by, as a weight is at every time step.

BLAS takes up to twice as long for ``g @ W.T`` as for ``h @ W``, because it reads ``W.T`` across the order of memory.
So a matrix that is used again and again is copied into the order of its transpose, once. Nobody writes to an array of
the graph, so the copy stays right; it lives as long as the matrix.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

LARGE = 64 * 64  # the number of elements from which a product takes notice
FEW = 4  # rows; with fewer of them, BLAS reads a matrix as it lies
OFTEN = 3  # the use that makes the copy: by then, the copy has cost less than doing without
STRIP = 16  # rows that are copied at once, and stay in the first cache meanwhile


class _Used:
    """A matrix that was multiplied by: how often, and the copy of its transpose, if there is one."""

    def __init__(self, matrix: np.ndarray) -> None:
        key = id(matrix)
        self.alive = weakref.ref(matrix, lambda _: _used.pop(key, None))
        self.times = 0
        self.copy: np.ndarray | None = None


_used: dict[int, _Used] = {}


def transposed(matrix: Any, rows: Any) -> Any:
    """The transpose of a matrix, to multiply ``rows`` by: a view, or the copy if the matrix is used often."""
    if not (type(matrix) is type(rows) is np.ndarray and pays(matrix, len(rows), OFTEN)):
        return matrix.T
    if isinstance(matrix.base, np.ndarray) or not matrix.flags.c_contiguous:  # a view is another object at each step
        return matrix.T
    used = _used.get(id(matrix))
    if used is None:
        used = _used[id(matrix)] = _Used(matrix)
    used.times += 1
    if used.copy is None and used.times >= OFTEN:
        used.copy = np.empty(matrix.shape[::-1], matrix.dtype)
        copy_transposed(matrix, used.copy)
    return matrix.T if used.copy is None else used.copy


def pays(matrix: np.ndarray, rows: int, times: int) -> bool:
    """Return True if a copy of a transpose takes less time than it saves in so many products with so many rows."""
    return matrix.size >= LARGE and rows >= FEW and times >= OFTEN


def copy_transposed(matrix: np.ndarray, out: np.ndarray) -> None:
    """Write the transpose of a matrix to an array."""
    for first in range(0, len(matrix), STRIP):
        out[:, first : first + STRIP] = matrix[first : first + STRIP].T
