"""Functions that reduce an array along some axes, and the sum that undoes broadcasting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..registry import linear, overrides, primitive, without_gradient

Axis = Any  # int, tuple of ints or None, as in NumPy


def restore(g: Any, axis: Axis, keepdims: bool) -> Any:
    """Give a reduced array its axes back, with size 1, so that it broadcasts against what it was reduced from."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def size_along(x: Any, axis: Axis) -> int:
    """How many elements a reduction along ``axis`` takes together."""
    if axis is None:
        return math.prod(x.shape)
    return math.prod(x.shape[i] for i in (axis if isinstance(axis, tuple) else (axis,)))


def _sum(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.add.reduce(a, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]  # np.sum, less its overhead


def _sum_transposed(g: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.broadcast_to(restore(g, axis, keepdims), a.shape)


sum = overrides(np.sum)(linear(_sum, _sum_transposed))


def sum_to_shape(g: Any, shape: tuple[int, ...]) -> Any:
    """Undo broadcasting: sum ``g`` over the axes along which an array of this shape was repeated.

    This is the only place where that happens: rules return cotangents in the shape of the result.
    """
    if g.ndim < len(shape):  # a rule may also leave size-1 axes out
        return np.broadcast_to(g, shape)
    leading = g.ndim - len(shape)
    repeated = [i + leading for i, n in enumerate(shape) if n == 1 and g.shape[i + leading] != 1]
    axes = (*range(leading), *repeated)
    if axes:
        g = sum(g, axis=axes, keepdims=bool(repeated))
        if repeated and leading:
            g = np.reshape(g, shape)
    return g if g.shape == shape else np.broadcast_to(g, shape)


def _mean(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.mean(a, axis=axis, keepdims=keepdims)


def _mean_transposed(g: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.broadcast_to(restore(g, axis, keepdims) / size_along(a, axis), a.shape)


mean = overrides(np.mean)(linear(_mean, _mean_transposed))


def _max(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims)


def _min(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.min(a, axis=axis, keepdims=keepdims)


def _shares(ans: Any, a: Any, axis: Axis, keepdims: bool) -> Any:
    """1 at the extreme element, 1/n at each of n equal ones, 0 elsewhere. A NaN, if there is one, is the extreme."""
    chosen = (a == restore(ans, axis, keepdims)) | (a != a)
    return np.where(chosen, 1 / np.sum(chosen, axis=axis, keepdims=True).astype(a.dtype), 0)


def _extreme_vjp(g: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return restore(g, axis, keepdims) * _shares(ans, a, axis, keepdims)


def _extreme_jvp(v: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.sum(v * _shares(ans, a, axis, keepdims), axis=axis, keepdims=keepdims)


max = overrides(np.max, np.amax)(primitive(_max, [_extreme_vjp], [_extreme_jvp]))
min = overrides(np.min, np.amin)(primitive(_min, [_extreme_vjp], [_extreme_jvp]))


def _logsumexp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    a = np.asarray(a)
    largest = np.max(a, axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    total = np.log(np.sum(np.exp(a - largest), axis=axis, keepdims=True)) + largest
    return total if keepdims else np.squeeze(total, axis=axis)


def _weights(ans: Any, a: Any, axis: Axis, keepdims: bool) -> Any:
    """softmax(a), from its logsumexp; 0 where every element is -inf."""
    total = restore(ans, axis, keepdims)
    return np.exp(a - np.where(total == -np.inf, 0, total))


def _logsumexp_vjp(g: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return restore(g, axis, keepdims) * _weights(ans, a, axis, keepdims)


def _logsumexp_jvp(v: Any, ans: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.sum(v * _weights(ans, a, axis, keepdims), axis=axis, keepdims=keepdims)


log_sum_exp = primitive(_logsumexp, [_logsumexp_vjp], [_logsumexp_jvp])


def logsumexp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log(sum(exp(a))) along an axis, without overflow; its gradient is softmax(a).

    Args:
        a: Tensor or array.
        axis: int, tuple of ints, or None for all.
        keepdims: keep the reduced axes with size 1.

    Example:
        >>> import tinygrad_rnn as tr
        >>> round(float(tr.logsumexp([1000.0, 1000.0])), 4)
        1000.6931
    """
    return log_sum_exp(a, axis=axis, keepdims=keepdims)


without_gradient(np.argmax, np.argmin, np.argsort, np.any, np.all, np.count_nonzero, np.allclose, np.array_equal)
