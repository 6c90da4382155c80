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
    if not (type(matrix) is type(rows) is np.ndarray and matrix.size >= LARGE and len(rows) >= FEW):
        return matrix.T
    if matrix.base is not None or not matrix.flags.c_contiguous:  # a view is another object at each step
        return matrix.T
    used = _used.get(id(matrix))
    if used is None:
        used = _used[id(matrix)] = _Used(matrix)
    used.times += 1
    if used.copy is None and used.times >= OFTEN:
        used.copy = transposed_copy(matrix)
    return matrix.T if used.copy is None else used.copy


def transposed_copy(matrix: np.ndarray) -> np.ndarray:
    """The transpose of a matrix, row by row in memory."""
    copy = np.empty(matrix.shape[::-1], matrix.dtype)
    for first in range(0, len(matrix), STRIP):
        copy[:, first : first + STRIP] = matrix[first : first + STRIP].T
    return copy
