"""log(sum(exp)), softmax and its logarithm, accurate to the last digits at any magnitude.

Adding one number to all elements changes none of the probabilities. So the largest element is subtracted first,
exactly, and only then exponentials are formed and summed: x - logsumexp(x) would subtract two large numbers, and exp(x
- logsumexp(x)), the usual form of the derivative, would have only their remaining digits. In the sum, the largest
element contributes 1, so only the others are summed, for log1p: log(1 + 1e-20) would be 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..registry import elementwise, overrides, primitive
from .activations import exponential, is_object_array, sigmoid
from .arrays import array_of, in_real_numbers
from .axes import Axis, all_axes, reduced_axes
from .joining import without_lists
from .reductions import restore

# --- the sum of exponentials, on plain arrays ------------------------------------------------------------------------


def _rows(a: Any, axis: Axis) -> Any:
    """A view of an array with the axes to reduce joined into the last axis; None if its memory has another order."""
    if type(a) is not np.ndarray or a.dtype.kind == "O" or not a.flags.c_contiguous:
        return None
    axes = all_axes(axis, a.ndim)
    reduced = math.prod(a.shape[i] for i in axes)
    at_end = axes == tuple(range(a.ndim - len(axes), a.ndim))
    return a.reshape(a.size // reduced, reduced) if at_end and reduced > 1 else None


def _largest(a: Any, axis: Axis) -> tuple[Any, Any]:
    """The largest element along the axes, which are kept, and its places among the rows of `_rows`, if any."""
    rows = _rows(a, axis)
    if rows is None:
        return np.max(a, axis=axis, keepdims=True), None
    places = np.arange(len(rows)), np.argmax(rows, axis=-1)  # both at once: argmax takes no longer than max
    reduced = len(all_axes(axis, a.ndim))
    return rows[places].reshape(a.shape[: a.ndim - reduced] + (1,) * reduced), places


def _shifted(a: Any, axis: Axis) -> tuple[Any, Any, Any]:
    """A less its largest element along the axes (less 0 if that isn't finite); the subtracted element; its places."""
    largest, places = _largest(a, axis)
    if not is_object_array(a):
        largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(over="ignore"):  # a difference too large for the dtype is -inf
        return a - largest, largest, places


def _log_sum(shifted: Any, axis: Axis, places: Any) -> Any:
    """log(sum(exp(shifted))) with the axes kept, where the largest element along them, at these places, is 0."""
    weights = np.exp(shifted)
    if is_object_array(weights):
        return np.log(np.sum(weights, axis=axis, keepdims=True))
    with np.errstate(divide="ignore"):  # -inf is the answer where every element is -inf
        return np.log1p(_others(weights, axis, places))


def _others(weights: Any, axis: Axis, places: Any) -> Any:
    """The sum of weights less 1, the largest of them, with the axes kept; -1 where all weights are 0.

    The largest is left out rather than subtracted from the sum, which may have rounded the others away.
    """
    if places is not None:
        weights.reshape(len(places[0]), -1)[places] -= 1
        return np.sum(weights, axis=axis, keepdims=True)
    largest = weights == 1
    rest = np.sum(weights - largest, axis=axis, keepdims=True)
    return rest + (np.sum(largest, axis=axis, keepdims=True, dtype=weights.dtype) - 1)


# --- logsumexp -------------------------------------------------------------------------------------------------------


def _logsumexp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    a = in_real_numbers(array_of(a))
    if a.size == 0:
        total = np.full_like(np.sum(a, axis=axis, keepdims=True), -np.inf)  # the logarithm of an empty sum
    else:
        shifted, largest, places = _shifted(a, axis)
        total = _log_sum(shifted, axis, places) + largest
    return total if keepdims else np.squeeze(total, axis=axis)[()]


def _shares(a: Any, axis: Axis = None) -> Any:
    """softmax(a); 0 where every element is -inf."""
    weights = np.exp(a if np.size(a) == 0 else _shifted(a, axis)[0])
    total = np.sum(weights, axis=axis, keepdims=True)
    return weights / np.where(total == 0, 1, total)


def _softmax_along(v: Any, ans: Any, a: Any, axis: Axis = None) -> Any:
    """The Jacobian of softmax is symmetric, so this is both its vjp and its jvp."""
    return ans * (v - np.sum(ans * v, axis=axis, keepdims=True))


shares = primitive(_shares, [_softmax_along], [_softmax_along], name="softmax")


log_sum_exp = primitive(
    _logsumexp,
    [lambda g, ans, a, axis=None, keepdims=False: restore(g, axis, keepdims) * shares(a, axis=axis)],
    [lambda v, ans, a, axis=None, keepdims=False: np.sum(v * shares(a, axis=axis), axis=axis, keepdims=keepdims)],
)


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
    a = in_real_numbers(without_lists(None, a))
    return log_sum_exp(a, axis=reduced_axes(axis, np.ndim(a)), keepdims=keepdims)


# --- softmax and its logarithm ---------------------------------------------------------------------------------------


def _softmax(a: Any, axis: Axis = None) -> Any:
    a = in_real_numbers(array_of(a))
    if a.size == 0:
        return np.exp(a)
    with np.errstate(over="ignore"):
        weights = exponential(a - _largest(a, axis)[0])
    weights /= np.sum(weights, axis=axis, keepdims=True)
    return weights


softmax_of = primitive(_softmax, [_softmax_along], [_softmax_along], name="softmax")


def _log_softmax(a: Any, axis: Axis = None) -> Any:
    a = in_real_numbers(array_of(a))
    if a.size == 0:
        return np.exp(a)
    shifted, _, places = _shifted(a, axis)
    shifted -= _log_sum(shifted, axis, places)  # in place: a new array costs as much as the exponentials
    return shifted


log_softmax_of = primitive(
    _log_softmax,
    [lambda g, ans, a, axis=None: g - np.exp(ans) * np.sum(g, axis=axis, keepdims=True)],
    [lambda v, ans, a, axis=None: v - np.sum(np.exp(ans) * v, axis=axis, keepdims=True)],
    name="log_softmax",
)


def softmax(x: Any, axis: Axis = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis, without overflow.

    Args:
        x: Tensor or array.
        axis: int, tuple of ints, or None for all.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.softmax(np.array([1000.0, 1000.0])).tolist()
        [0.5, 0.5]
    """
    x = in_real_numbers(without_lists(None, x))
    return softmax_of(x, axis=reduced_axes(axis, np.ndim(x)))


def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """log(softmax(x)) along an axis, without overflow.

    Args:
        x: Tensor or array.
        axis: int, tuple of ints, or None for all.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.log_softmax(np.array([-2000.0, 0.0])).tolist()
        [-2000.0, 0.0]
    """
    x = in_real_numbers(without_lists(None, x))
    return log_softmax_of(x, axis=reduced_axes(axis, np.ndim(x)))


# --- of two numbers --------------------------------------------------------------------------------------------------


def _share(ans: Any, mine: Any, other: Any, scale: float = 1.0) -> Any:
    """exp(mine) / (exp(mine) + exp(other)), from their difference; 0 where both are -inf."""
    same = (mine == other) & np.isinf(mine)  # whose difference is NaN; that of finite equals has a slope
    apart = np.where(same, 0, mine) - np.where(same, 0, other)
    return np.where(ans == -np.inf, 0, sigmoid(scale * apart))


def _shares_of_two(scale: float = 1.0) -> list[Any]:
    return [lambda ans, x, y: _share(ans, x, y, scale), lambda ans, x, y: _share(ans, y, x, scale)]


logaddexp = overrides(np.logaddexp)(elementwise(np.logaddexp, *_shares_of_two()))
logaddexp2 = overrides(np.logaddexp2)(elementwise(np.logaddexp2, *_shares_of_two(math.log(2))))
