"""Repeating, turning, shifting, padding and sorting: the same elements in other places."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..registry import linear, overrides
from .axes import along_axis, flat_or_axis, one_axis, several_axes
from .indexing import assemble

# --- repeating -------------------------------------------------------------------------------------------------------


@overrides(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """np.tile: copies side by side, ``reps`` of them along each axis."""
    reps = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
    ndim = max(np.ndim(A), len(reps))
    shape = (1,) * (ndim - np.ndim(A)) + np.shape(A)
    reps = (1,) * (ndim - len(reps)) + reps
    lengths = tuple(r * n for r, n in zip(reps, shape))
    if all(n == 1 or r == 1 for r, n in zip(reps, shape)):
        return np.broadcast_to(A, lengths)
    between = [size for n in shape for size in (1, n)]
    repeated = [size for r, n in zip(reps, shape) for size in (r, n)]
    return np.reshape(np.broadcast_to(np.reshape(A, between), repeated), lengths)


@overrides(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """np.repeat: each element several times; ``repeats`` is one number, or one for each place along the axis."""
    a, axis = flat_or_axis(a, axis)
    if not isinstance(repeats, (int, np.integer)):
        return np.take(a, np.repeat(np.arange(a.shape[axis]), repeats), axis=axis)
    before, n, after = a.shape[:axis], a.shape[axis], a.shape[axis + 1 :]
    if n == 1:
        return np.broadcast_to(a, (*before, int(repeats), *after))
    spread = np.broadcast_to(np.expand_dims(a, axis + 1), (*before, n, int(repeats), *after))
    return np.reshape(spread, (*before, n * int(repeats), *after))


# --- turning and shifting --------------------------------------------------------------------------------------------


@overrides(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """np.flip: elements in reverse order along one axis, several, or all."""
    axes = range(m.ndim) if axis is None else several_axes(axis, m.ndim)
    return m[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(m.ndim))]


@overrides(np.fliplr)
def fliplr(m: Any) -> Any:
    """np.fliplr: the second axis in reverse order."""
    return flip(m, 1)


@overrides(np.flipud)
def flipud(m: Any) -> Any:
    """np.flipud: the first axis in reverse order."""
    return flip(m, 0)


@overrides(np.rot90)
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """np.rot90: turned by k right angles, from the first of two axes towards the second."""
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    if not all(-m.ndim <= axis < m.ndim for axis in axes):
        raise ValueError(f"Axes={axes} out of range for array of ndim={m.ndim}.")
    first, second = several_axes(axes, m.ndim, "axes")
    k = operator.index(k) % 4
    if k == 0:
        return np.copy(m)
    if k == 2:
        return flip(m, (first, second))
    return np.swapaxes(flip(m, second), first, second) if k == 1 else flip(np.swapaxes(m, first, second), second)


@overrides(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """np.roll: shifted elements; those that leave at one end enter at the other."""
    if axis is None:
        return np.reshape(roll(np.ravel(a), shift, 0), a.shape)
    axes = [one_axis(i, a.ndim) for i in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if np.ndim(shift) > 1:
        raise ValueError(f"roll: shifts of shape {np.shape(shift)}: give a number, or one for each axis")
    for s, i in np.broadcast(shift, axes):
        n = a.shape[i]
        cut = -int(s) % n if n else 0
        ends = (slice(cut, None), slice(None, cut))
        a = np.concatenate([a[along_axis(int(i), a.ndim, end)] for end in ends], axis=int(i))
    return a


# --- windows ---------------------------------------------------------------------------------------------------------


@overrides(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """np.lib.stride_tricks.sliding_window_view: every window, its elements along new axes at the end."""
    sizes = tuple(window_shape) if isinstance(window_shape, (tuple, list)) else (window_shape,)
    axes: tuple[int, ...] = tuple(range(x.ndim))
    if axis is not None:
        axes = tuple(one_axis(i, x.ndim) for i in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(sizes) != len(axes):
        raise ValueError(f"sliding_window_view of shape {x.shape}: windows {sizes} along axes {axes} differ in number")
    for size, along in zip(sizes, axes):
        places = x.shape[along] - int(size) + 1
        if size < 0 or places < 1:
            raise ValueError(f"sliding_window_view of shape {x.shape}: no window of {size} fits along axis {along}")
        inside = np.add.outer(np.arange(places), np.arange(int(size)))
        x = np.moveaxis(np.take(x, inside, axis=along), along + 1, -1)
    return x


# --- padding ---------------------------------------------------------------------------------------------------------

Width = tuple[tuple[int, int], ...]


def _without_padding(g: Any, ans: Any, a: Any, width: Width) -> Any:
    return g[tuple(slice(before, before + n) for (before, _), n in zip(width, a.shape))]


padded = linear(lambda a, width: np.pad(a, width), _without_padding, name="pad")


@overrides(np.pad)
def pad(
    array: Any, pad_width: Any, mode: Any = "constant", *, constant_values: Any = 0, reflect_type: str = "even"
) -> Any:
    """np.pad with constants, or with copies of the array's own elements."""
    width = tuple((operator.index(b), operator.index(a)) for b, a in np.broadcast_to(pad_width, (array.ndim, 2)))
    if not width:  # a number has no axis to be padded along
        return np.copy(array)
    if mode == "constant":
        inside = padded(array, width=width)
        if isinstance(constant_values, (int, float)) and constant_values == 0:
            return inside
        return inside + np.pad(np.zeros(array.shape, array.dtype), width, constant_values=constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap") or reflect_type != "even":
        raise TypeError(
            f"np.pad(mode={mode!r}, reflect_type={reflect_type!r}) has no derivative rule here. Use 'constant', "
            "'edge', 'reflect', 'symmetric' or 'wrap', or join the array and its margins with np.concatenate."
        )
    for axis, (before, after) in enumerate(width):
        if before or after:
            array = np.take(array, np.pad(np.arange(array.shape[axis]), (before, after), mode=mode), axis=axis)
    return array


# --- diagonals and triangles -----------------------------------------------------------------------------------------


def _on_diagonal(n: int, m: int, offset: int) -> tuple[Any, Any]:
    """The rows and columns of a diagonal of an n × m matrix."""
    first_row, first_column = max(-offset, 0), max(offset, 0)
    along = np.arange(max(min(n - first_row, m - first_column), 0))
    return along + first_row, along + first_column


@overrides(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """np.diagonal of the matrices in two axes; the diagonal becomes the last axis."""
    axis1, axis2 = operator.index(axis1), operator.index(axis2)
    if a.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    moved = np.moveaxis(a, several_axes((axis1, axis2), a.ndim, "axis"), (-2, -1))
    n, m = moved.shape[-2:]
    return moved[(..., *_on_diagonal(n, m, offset))]


@overrides(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    """np.trace: the sum of a diagonal."""
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@overrides(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """np.diag: the diagonal of a matrix, or the matrix with a vector as its diagonal."""
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(f"diag of shape {v.shape}: takes a vector or a matrix")
    n = v.shape[0] + abs(k)
    return assemble(v, indices=(_on_diagonal(n, n, k),), shape=(n, n))


@overrides(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """np.diagflat: the matrix with the elements of v on a diagonal."""
    return diag(np.ravel(v), k)


lower = overrides(np.tril)(
    linear(lambda m, k=0: np.tril(m, k), lambda g, ans, m, k=0: np.tril(g, k), None, name="tril")
)
upper = overrides(np.triu)(
    linear(lambda m, k=0: np.triu(m, k), lambda g, ans, m, k=0: np.triu(g, k), None, name="triu")
)

# --- sorting ---------------------------------------------------------------------------------------------------------


@overrides(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Any:
    """np.sort; equal elements keep their order for every ``kind``, so each gets its own gradient."""
    a, axis = (np.ravel(a), 0) if axis is None else (a, one_axis(axis, a.ndim))
    return np.take_along_axis(a, np.argsort(a, axis=axis, kind="stable"), axis=axis)
