"""Functions that give an array another shape: all linear, so each needs only its transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import linear, overrides, without_gradient
from .arrays import array_of
from .axes import one_axis, several_axes

# Joining has its own file; its functions can be imported from here, too.
from .joining import joined, stacked

__all__ = ["astype", "broadcast_to", "cast", "expand_dims", "joined", "moveaxis", "reshape", "squeeze", "stacked",
           "swapaxes", "transpose"]  # fmt: skip


def _back_to_shape(g: Any, ans: Any, a: Any, *args: Any, **kwargs: Any) -> Any:
    return np.reshape(g, a.shape)


def _transposed_axes(g: Any, ans: Any, a: Any, axes: Any = None) -> Any:
    return np.transpose(g, None if axes is None else tuple(int(i) for i in np.argsort(several_axes(axes, a.ndim))))


reshape = linear(lambda a, shape: np.reshape(a, shape), _back_to_shape, None, name="reshape")
squeeze = overrides(np.squeeze)(linear(lambda a, axis=None: np.squeeze(a, axis), _back_to_shape, None, name="squeeze"))
expand_dims = overrides(np.expand_dims)(
    linear(
        lambda a, axis: np.expand_dims(a, tuple(axis) if isinstance(axis, (list, np.ndarray)) else axis),
        _back_to_shape,
        None,
        name="expand_dims",
    )
)
transpose = overrides(np.transpose)(
    linear(lambda a, axes=None: np.transpose(a, axes), _transposed_axes, None, name="transpose")
)
swapaxes = overrides(np.swapaxes)(
    linear(
        lambda a, axis1, axis2: np.swapaxes(a, axis1, axis2),
        lambda g, ans, a, axis1, axis2: np.swapaxes(g, axis1, axis2),
        None,
        None,
        name="swapaxes",
    )
)
moveaxis = overrides(np.moveaxis)(
    linear(
        lambda a, source, destination: np.moveaxis(a, source, destination),
        lambda g, ans, a, source, destination: np.moveaxis(g, destination, source),
        None,
        None,
        name="moveaxis",
    )
)


@overrides(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """np.rollaxis: an axis moved in front of another."""
    axis, start = one_axis(axis, a.ndim), start + a.ndim if start < 0 else start
    if not 0 <= start <= a.ndim:
        raise np.exceptions.AxisError(f"rollaxis: start={start} is not among the {a.ndim} axes")
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


# The backward pass undoes broadcasting and dtypes by itself, so the transposes of these two are the identity.
broadcast_to = overrides(np.broadcast_to)(
    linear(
        lambda array, shape: np.broadcast_to(array, shape), lambda g, ans, array, shape: g, None, name="broadcast_to"
    )
)
cast = linear(lambda a, dtype: a.astype(dtype), lambda g, ans, a, dtype: g, None, name="astype")


def astype(a: Any, dtype: Any) -> Any:
    """The array with its elements in another dtype; the cotangent gets the array's own dtype again."""
    return cast(a, np.dtype(dtype))


copy = overrides(np.copy)(linear(lambda a: a.copy(), lambda g, ans, a: g, name="copy"))

# --- compositions ----------------------------------------------------------------------------------------------------


@overrides(np.reshape)
def ordered_reshape(a: Any, shape: Any, order: str = "C") -> Any:
    """np.reshape, by rows (C) or by columns (F)."""
    if order == "C":
        return reshape(a, shape)
    if order != "F":
        raise ValueError(f"reshape: order={order!r} depends on memory layout, which a Tensor hides: use 'C' or 'F'")
    return np.transpose(reshape(np.transpose(a), shape[::-1] if isinstance(shape, (tuple, list)) else shape))


@overrides(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """np.ravel: all elements in one axis."""
    return ordered_reshape(a, (np.size(a),), order)


def _each(arrays: tuple[Any, ...], f: Any) -> Any:
    return f(arrays[0]) if len(arrays) == 1 else tuple(f(array_of(a)) for a in arrays)


@overrides(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """np.atleast_1d."""
    return _each(arys, lambda a: a if np.ndim(a) else np.reshape(a, (1,)))


@overrides(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """np.atleast_2d: vectors become rows."""
    return _each(arys, lambda a: a if np.ndim(a) >= 2 else np.reshape(a, (1, np.size(a))))


@overrides(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """np.atleast_3d: a vector (n,) becomes (1, n, 1), a matrix (m, n) becomes (m, n, 1)."""
    return _each(arys, lambda a: a if np.ndim(a) >= 3 else np.expand_dims(np.atleast_2d(a), -1))


@overrides(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """np.broadcast_arrays."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


@overrides(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """np.meshgrid: the coordinates of each point of a grid."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing={indexing!r} is not 'xy' or 'ij'")
    n = len(xi)
    axes = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grid = [np.reshape(x, [np.size(x) if axes[i] == axis else 1 for axis in range(n)]) for i, x in enumerate(xi)]
    return tuple(grid) if sparse else broadcast_arrays(*grid)


if hasattr(np, "matrix_transpose"):  # NumPy 2

    @overrides(np.matrix_transpose)
    def matrix_transpose(x: Any, /) -> Any:
        """np.matrix_transpose: each matrix of a stack, transposed."""
        if np.ndim(x) < 2:
            raise ValueError(f"matrix_transpose of shape {np.shape(x)}: a matrix has two axes")
        return np.swapaxes(x, -1, -2)


@overrides(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Any:
    """np.full_like; the gradient goes to the fill value."""
    dtype = (np.result_type(a) if hasattr(a, "dtype") else np.asarray(a).dtype) if dtype is None else dtype
    filling = fill_value.astype(dtype) if hasattr(fill_value, "astype") else np.asarray(fill_value, dtype)
    return np.broadcast_to(filling, np.shape(a) if shape is None else shape)


if hasattr(np, "astype"):  # NumPy 2.1
    overrides(np.astype)(lambda x, dtype, /, *, copy=True: astype(x, dtype))

without_gradient(
    np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like, np.result_type, np.may_share_memory
)
