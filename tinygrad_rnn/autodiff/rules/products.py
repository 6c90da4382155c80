"""Products of vectors, matrices and tensors all functions of other primitives, so none needs a rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..registry import overrides
from .axes import one_axis, several_axes
from .linalg import matmul
from .statistics import norm_of_vectors

# NumPy 2 has some of its functions a second time, in numpy.linalg.
_OF_LINALG = np.linalg.__dict__


@overrides(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    """np.vdot: the sum of products of all elements."""
    return np.dot(np.ravel(a), np.ravel(b))


@overrides(np.inner)
def inner(a: Any, b: Any) -> Any:
    """np.inner: the last axis of a against the last of b."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    return np.tensordot(a, b, axes=(-1, -1))


@overrides(np.outer)
def outer(a: Any, b: Any) -> Any:
    """np.outer: every element of a times every element of b."""
    return np.reshape(a, (np.size(a), 1)) * np.reshape(b, (1, np.size(b)))


@overrides(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """np.tensordot, as one matrix product: free axes of a by summed ones, and summed ones by free axes of b."""
    if isinstance(axes, (int, np.integer)):
        axes = (list(range(np.ndim(a) - axes, np.ndim(a))), list(range(axes)))
    of_a, of_b = (list(part) if isinstance(part, (list, tuple)) else [part] for part in axes)
    of_a, of_b = list(several_axes(of_a, np.ndim(a), "axes")), list(several_axes(of_b, np.ndim(b), "axes"))
    summed = [np.shape(a)[i] for i in of_a]
    if summed != [np.shape(b)[i] for i in of_b]:
        raise ValueError(f"tensordot of {np.shape(a)} and {np.shape(b)} along {axes}: the summed axes differ in size")
    free_a = [i for i in range(np.ndim(a)) if i not in of_a]
    free_b = [i for i in range(np.ndim(b)) if i not in of_b]
    left, right = [np.shape(a)[i] for i in free_a], [np.shape(b)[i] for i in free_b]
    rows = np.reshape(np.transpose(a, free_a + of_a), (math.prod(left), math.prod(summed)))
    columns = np.reshape(np.transpose(b, of_b + free_b), (math.prod(summed), math.prod(right)))
    return np.reshape(rows @ columns, (*left, *right))


@overrides(np.kron)
def kron(a: Any, b: Any) -> Any:
    """np.kron: a, with each element replaced by its product with b."""
    ndim = max(np.ndim(a), np.ndim(b))
    of_a, of_b = ((1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b))
    left, right = [size for n in of_a for size in (n, 1)], [size for n in of_b for size in (1, n)]
    spread = np.reshape(a, left) * np.reshape(b, right)
    return np.reshape(spread, tuple(n * m for n, m in zip(of_a, of_b)))


@overrides(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """np.cross, of vectors with three elements."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(f"cross of {np.shape(a)} and {np.shape(b)}: vectors need three elements")
    a1, a2, a3 = (a[..., i] for i in range(3))
    b1, b2, b3 = (b[..., i] for i in range(3))
    return np.stack([a2 * b3 - a3 * b2, a3 * b1 - a1 * b3, a1 * b2 - a2 * b1], axis=axisc)


def _products_of_vectors(a: Any, b: Any, axis: int | None) -> Any:
    """The products of vectors along an axis of each, counted separately in each; by default the last."""
    axis = -1 if axis is None else axis
    of_a, of_b = one_axis(axis, np.ndim(a)), one_axis(axis, np.ndim(b))
    if np.shape(a)[of_a] != np.shape(b)[of_b]:
        raise ValueError(f"vecdot of {np.shape(a)} and {np.shape(b)} along axis {axis}: vectors differ in length")
    if axis >= 0:
        a, b = np.moveaxis(a, of_a, -1), np.moveaxis(b, of_b, -1)
    return np.sum(a * b, axis=min(axis, -1))


if hasattr(np, "vecdot"):  # NumPy 2

    @overrides(np.vecdot)
    def vecdot(x1: Any, x2: Any, /, *, axis: int | None = None) -> Any:
        """np.vecdot: the products of vectors along an axis, by default the last."""
        return _products_of_vectors(x1, x2, axis)


def _has_two_axes(name: str, matrix: Any) -> None:
    if np.ndim(matrix) < 2:
        raise ValueError(f"{name} of a matrix of shape {np.shape(matrix)}: a matrix has two axes")


if hasattr(np, "matvec"):  # NumPy 2.2

    @overrides(np.matvec)
    def matvec(x1: Any, x2: Any, /) -> Any:
        """np.matvec: matrices times vectors, stack by stack."""
        _has_two_axes("matvec", x1)
        return np.squeeze(np.matmul(x1, np.expand_dims(x2, -1)), -1)

    @overrides(np.vecmat)
    def vecmat(x1: Any, x2: Any, /) -> Any:
        """np.vecmat: vectors times matrices, stack by stack."""
        _has_two_axes("vecmat", x2)
        return np.squeeze(np.matmul(np.expand_dims(x1, -2), x2), -2)


@overrides(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """np.linalg.matrix_power, by squaring."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"matrix_power of shape {a.shape}: takes square matrices")
    if n < 0:
        a, n = np.linalg.inv(a), -n
    if n == 0:  # the identity, even if the matrix holds NaN; but still a function of the matrix
        return np.where(False, a, np.eye(a.shape[-1], dtype=a.dtype))
    result: Any = None
    while n:
        n, odd = divmod(n, 2)
        if odd:
            result = a if result is None else result @ a
        a = a @ a if n else a
    return np.copy(result)


def cheapest_order(sizes: list[int]) -> dict[tuple[int, int], int]:
    """The cheapest order of products of matrices (sizes[i], sizes[i + 1]): where to split each part (i, j)."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            costs = [cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i, j] = min(costs)
            split[i, j] = i + costs.index(cost[i, j])
    return split


@overrides(np.linalg.multi_dot)
def multi_dot(arrays: Any) -> Any:
    """np.linalg.multi_dot: a chain of matrix products, in the cheapest order."""
    arrays = list(arrays)
    if len(arrays) == 2:
        return np.dot(*arrays)
    first, last = np.ndim(arrays[0]), np.ndim(arrays[-1])
    if len(arrays) < 2 or not {first, last} <= {1, 2} or any(np.ndim(a) != 2 for a in arrays[1:-1]):
        shapes = ", ".join(str(np.shape(a)) for a in arrays)
        raise ValueError(f"multi_dot of shapes {shapes}: takes matrices, two or more; the ends may be vectors")
    if first == 1:
        arrays[0] = np.reshape(arrays[0], (1, -1))
    if last == 1:
        arrays[-1] = np.reshape(arrays[-1], (-1, 1))
    split = cheapest_order([*(np.shape(a)[0] for a in arrays), np.shape(arrays[-1])[1]])

    def product(i: int, j: int) -> Any:
        return arrays[i] if i == j else product(i, split[i, j]) @ product(split[i, j] + 1, j)

    result = product(0, len(arrays) - 1)
    kept = result.shape[(1 if first == 1 else 0) : (1 if last == 1 else 2)]
    return np.reshape(result, kept)


def outer_of_vectors(x1: Any, x2: Any, /) -> Any:
    """np.linalg.outer: as np.outer, but it doesn't flatten."""
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(f"outer of shapes {np.shape(x1)} and {np.shape(x2)}: takes two vectors")
    return outer(x1, x2)


def _second_name(name: str, function: Any) -> None:
    if name in _OF_LINALG:
        overrides(_OF_LINALG[name])(function)


_second_name("matmul", matmul)
_second_name("outer", outer_of_vectors)
_second_name("tensordot", tensordot)
_second_name("cross", lambda a, b, /, *, axis=-1: cross(a, b, axis=axis))
_second_name("vecdot", lambda x1, x2, /, *, axis=-1: _products_of_vectors(x1, x2, axis))
_second_name("matrix_transpose", lambda x, /: np.swapaxes(x, -1, -2))
_second_name("trace", lambda x, /, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype))
_second_name("diagonal", lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1))
_second_name("vector_norm", norm_of_vectors)
_second_name("matrix_norm", lambda x, /, *, keepdims=False, ord="fro": np.linalg.norm(x, ord, (-2, -1), keepdims))
