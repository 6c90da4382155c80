"""Functions that reduce an array along some axes, and the sum that undoes broadcasting."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from ..registry import Primitive, linear, overrides, primitive, without_gradient
from .arrays import in_dtype, total_in_dtype
from .axes import Axis, all_axes, counted_axes, reduced_axes
from .elementwise import masked


def restore(g: Any, axis: Axis, keepdims: bool) -> Any:
    """Restore the axes of a reduced array, with size 1, so that it broadcasts against the array it was reduced from."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def size_along(x: Any, axis: Axis) -> int:
    """The number of elements that a reduction along ``axis`` combines."""
    return int(x.size) if axis is None else math.prod(x.shape[i] for i in all_axes(axis, x.ndim))


def spread(g: Any, shape: tuple[int, ...]) -> Any:
    """``np.broadcast_to``, without its overhead for a single number such as the cotangent of a loss."""
    if not isinstance(g, np.generic):
        return np.broadcast_to(g, shape)
    return np.ndarray(shape, g.dtype, g, strides=(0,) * len(shape))


# --- sums ------------------------------------------------------------------------------------------------------------


def _sum(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.add.reduce(a, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]  # np.sum, without its overhead


def _sum_transposed(g: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return spread(restore(g, axis, keepdims), a.shape)


sum = linear(_sum, _sum_transposed)


def sum_to_shape(g: Any, shape: tuple[int, ...]) -> Any:
    """The sum of ``g`` over the axes along which an array of this shape was repeated; this undoes broadcasting.

    Broadcasting is undone only here: rules return cotangents in the shape of the result.

    Raises:
        ValueError: an array of this shape doesn't broadcast to that of ``g``.
    """
    leading = g.ndim - len(shape)
    if leading > 0 and g.shape[leading:] == shape:  # the common case: one row of biases for a batch of rows
        if leading == 1 and type(g) is np.ndarray:
            return np.add.reduce(g, 0)  # NumPy takes as long to read a keyword as to add up a few rows
        return np.add.reduce(g, axis=tuple(range(leading)))
    if leading < 0 or any(n not in (1, m) for n, m in zip(shape, g.shape[leading:])):
        raise ValueError(f"an array of shape {shape} doesn't broadcast to {g.shape}")
    repeated = (i for i, n in enumerate(shape, leading) if n == 1 and g.shape[i] != 1)
    g = sum(g, axis=(*range(leading), *repeated), keepdims=True)
    return np.reshape(g, shape) if leading else g


def _mean(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    if a.dtype.char in "fd":  # np.mean, without its overhead, which is five times the rest for a small array
        return _sum(a, axis, keepdims) / a.dtype.type(size_along(a, axis))
    return np.mean(a, axis=axis, keepdims=keepdims)


def _mean_transposed(g: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return spread(restore(g, axis, keepdims) / size_along(a, axis), a.shape)


mean = linear(_mean, _mean_transposed)

# --- the largest and the smallest ------------------------------------------------------------------------------------


def _extremes(ans: Any, a: Any, axis: Axis, keepdims: bool) -> tuple[Any, Any]:
    """A mask of the elements that equal the extreme one, and their number; a NaN, if there is one, is the extreme."""
    chosen = (a == restore(ans, axis, keepdims)) | (a != a)
    return chosen, np.sum(chosen, axis=axis, keepdims=True).astype(a.dtype)


def _extreme_vjp(g: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    chosen, n = _extremes(ans, a, axis, keepdims)
    return masked(restore(g, axis, keepdims) / n, chosen)


def _extreme_jvp(v: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    chosen, n = _extremes(ans, a, axis, keepdims)
    return np.sum(masked(v / n, chosen), axis=axis, keepdims=keepdims)


def _reduced_by(reduce: Any) -> Any:
    """NumPy's reduction, with none but the arguments that rules know."""
    return lambda a, axis=None, keepdims=False: reduce(a, axis=axis, keepdims=keepdims)


max = primitive(_reduced_by(np.max), [_extreme_vjp], [_extreme_jvp], name="max")
min = primitive(_reduced_by(np.min), [_extreme_vjp], [_extreme_jvp], name="min")

# --- the product -----------------------------------------------------------------------------------------------------


def _products_of_others(a: Any, axis: Axis) -> Any:
    """The product, for each element, of all others that are reduced with it; correct with any number of zeros.

    It is the product of all elements before times the product of all elements after; nothing is divided.
    """
    if math.prod(a.shape) == 0:
        return np.ones_like(a)
    axes = all_axes(axis, a.ndim)
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(a, axes, last)
    kept = moved.shape[: a.ndim - len(axes)]
    rows = np.reshape(moved, (*kept, -1))
    one = np.ones_like(rows, shape=(*kept, 1))
    before = np.concatenate([one, np.cumprod(rows[..., :-1], axis=-1)], axis=-1)
    after = np.concatenate([one, np.cumprod(rows[..., :0:-1], axis=-1)], axis=-1)[..., ::-1]
    return np.moveaxis(np.reshape(before * after, moved.shape), last, axes)


def _prod_vjp(g: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return restore(g, axis, keepdims) * _products_of_others(a, axis)


def _prod_jvp(v: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.sum(v * _products_of_others(a, axis), axis=axis, keepdims=keepdims)


prod = primitive(_reduced_by(np.prod), [_prod_vjp], [_prod_jvp], name="prod")

# --- NumPy's functions, with their other arguments ------------------------------------------------------------------


def selected(a: Any, where: Any, otherwise: Any) -> Any:
    """The elements for which a reduction's ``where`` holds, and a number instead of the others.

    These may be NaN, and get no gradient.
    """
    if where is True:
        return a
    if np.broadcast_shapes(np.shape(where), a.shape) != a.shape:
        raise ValueError(f"where= of shape {np.shape(where)} doesn't broadcast to {a.shape}")
    return np.where(where, a, otherwise)


def count_along(a: Any, axis: Axis, keepdims: bool, where: Any, less: float = 0) -> Any:
    """The number of elements in a reduction, less a correction: a number, or an array if a mask selects elements."""
    if where is True:
        return builtins.max(size_along(a, axis) - less, 0)
    counted = np.sum(np.broadcast_to(where, a.shape), axis=axis, keepdims=keepdims)
    return np.maximum(counted - less, 0).astype(a.dtype if a.dtype.kind == "f" else np.float64)


@overrides(np.sum)
def masked_sum(
    a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """np.sum."""
    axis = reduced_axes(axis, a.ndim)
    a = in_dtype(a, dtype, "fiu")
    total = sum(selected(a, where, 0), axis=axis, keepdims=keepdims)
    return total_in_dtype(total if initial is None else total + initial, dtype)


@overrides(np.mean)
def masked_mean(a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, where: Any = True) -> Any:
    """np.mean."""
    axis = counted_axes(axis, a.ndim) if where is True else reduced_axes(axis, a.ndim)
    a = in_dtype(a, dtype)
    if where is True:
        return mean(a) if axis is None and not keepdims else mean(a, axis=axis, keepdims=keepdims)
    return masked_sum(a, axis, keepdims=keepdims, where=where) / count_along(a, axis, keepdims, where)


@overrides(np.prod)
def masked_prod(
    a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """np.prod."""
    axis = reduced_axes(axis, a.ndim)
    a = in_dtype(a, dtype, "fiu")
    product = prod(selected(a, where, 1), axis=axis, keepdims=keepdims)
    return total_in_dtype(product if initial is None else product * initial, dtype)


def _extreme(reduce: Primitive, choose: Any, a: Any, axis: Axis, keepdims: bool, initial: Any, where: Any) -> Any:
    axis = reduced_axes(axis, a.ndim)
    if initial is None:
        if where is not True:
            raise ValueError(f"np.{reduce.name} with where= needs initial=, the result where nothing is left to choose")
        return reduce(a, axis=axis, keepdims=keepdims)
    if size_along(a, axis) == 0:
        return masked_sum(a, axis, keepdims=keepdims) + initial  # a sum over nothing: zeros of the right shape
    return choose(reduce(selected(a, where, initial), axis=axis, keepdims=keepdims), initial)


@overrides(np.max, np.amax)
def masked_max(a: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None, where: Any = True) -> Any:
    """np.max; equal elements share the gradient equally."""
    return _extreme(max, np.maximum, a, axis, keepdims, initial, where)


@overrides(np.min, np.amin)
def masked_min(a: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None, where: Any = True) -> Any:
    """np.min; equal elements share the gradient equally."""
    return _extreme(min, np.minimum, a, axis, keepdims, initial, where)


without_gradient(
    np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.lexsort, np.argpartition, np.searchsorted,
    np.digitize, np.nonzero, np.flatnonzero, np.argwhere, np.any, np.all, np.count_nonzero, np.allclose, np.array_equal,
    np.linalg.matrix_rank,
)  # fmt: skip
