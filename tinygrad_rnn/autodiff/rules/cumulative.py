"""Running sums, products and differences.

The derivative of a running product is a linear recurrence. It is computed by doubling, in log2(n) rounds of plain
products and sums, so that it never divides (zeros do no harm) and can itself be differentiated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import Primitive, linear, overrides, primitive
from .arrays import in_dtype, total_in_dtype
from .axes import along_axis, flat_or_axis, one_axis


def _reversed(a: Any, axis: int) -> Any:
    return a[along_axis(axis, a.ndim, slice(None, None, -1))]


def linear_recurrence(a: Any, b: Any, axis: int) -> Any:
    """R with r[k] = a[k] r[k-1] + b[k] along an axis, and r[0] = b[0].

    After a round with shift s, each element combines the 2s steps that end there: b holds their sum, and ``a`` the
    factor of all that comes before them.
    """
    n, shift = a.shape[axis], 1
    while shift < n:
        early, late = (along_axis(axis, a.ndim, slice(*ends)) for ends in ((None, shift), (shift, None)))
        before = along_axis(axis, a.ndim, slice(None, n - shift))
        b = np.concatenate([b[early], b[late] + a[late] * b[before]], axis=axis)
        a = np.concatenate([a[early], a[late] * a[before]], axis=axis)
        shift *= 2
    return b


running_sum = linear(
    lambda a, axis: np.cumsum(a, axis=axis),
    lambda g, ans, a, axis: _reversed(np.cumsum(_reversed(g, axis), axis=axis), axis),
    name="cumsum",
)


def _shifted(a: Any, axis: int, fill: Any) -> Any:
    """A, moved on by one place along an axis."""
    return np.concatenate([fill, a[along_axis(axis, a.ndim, slice(None, -1))]], axis=axis)


def _cumprod_vjp(g: Any, ans: Any, a: Any, axis: int) -> Any:
    """Y[k] = a[k] y[k-1]: its cotangents follow the same recurrence, backwards."""
    if a.shape[axis] == 0:
        return g
    first = along_axis(axis, a.ndim, slice(None, 1))
    factors = _shifted(_reversed(a, axis), axis, np.zeros_like(a[first]))
    arriving = _reversed(linear_recurrence(factors, _reversed(g, axis), axis), axis)
    return arriving * _shifted(ans, axis, np.ones_like(a[first]))


def _cumprod_jvp(v: Any, ans: Any, a: Any, axis: int) -> Any:
    if a.shape[axis] == 0:
        return v
    first = along_axis(axis, a.ndim, slice(None, 1))
    return linear_recurrence(a, v * _shifted(ans, axis, np.ones_like(a[first])), axis)


running_product = primitive(lambda a, axis: np.cumprod(a, axis=axis), [_cumprod_vjp], [_cumprod_jvp], name="cumprod")


def _flat_unless(axis: int | None, a: Any, dtype: Any) -> tuple[Any, int]:
    return flat_or_axis(in_dtype(a, dtype, "fiu"), axis)


@overrides(np.cumsum)
def cumsum(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """np.cumsum; without an axis, of the flattened array."""
    a, along = _flat_unless(axis, a, dtype)
    return total_in_dtype(running_sum(a, axis=along), dtype)


@overrides(np.cumprod)
def cumprod(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """np.cumprod; without an axis, of the flattened array."""
    a, along = _flat_unless(axis, a, dtype)
    return total_in_dtype(running_product(a, axis=along), dtype)


def cumulative(run: Primitive, start: float) -> Any:
    """NumPy's newer form of a running sum or product, which can include the value that it starts with."""

    def run_along(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
        if axis is None and np.ndim(x) > 1:
            raise ValueError(f"np.cumulative_{run.name[3:]} of shape {np.shape(x)}: say along which axis=")
        x, along = _flat_unless(0 if axis is None else axis, x, dtype)
        result = total_in_dtype(run(x, axis=along), dtype)
        if not include_initial:
            return result
        first = np.full_like(x[along_axis(along, x.ndim, slice(None, 1))], start, shape=_one_long(x.shape, along))
        return np.concatenate([first, result], axis=along)

    return run_along


def _one_long(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The shape with length 1 along an axis."""
    return (*shape[:axis], 1, *shape[axis + 1 :])


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    overrides(np.cumulative_sum)(cumulative(running_sum, 0))
    overrides(np.cumulative_prod)(cumulative(running_product, 1))


def _beside(a: Any, more: Any, axis: int) -> Any:
    """The values to put beside an array along an axis: an array as it is, or a number repeated for every row."""
    return more if np.ndim(more) else np.broadcast_to(more, _one_long(a.shape, axis))


@overrides(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """np.diff: the differences of neighbours, n times over, of an array with values before and after it."""
    if n < 0:
        raise ValueError(f"diff: n={n} must not be negative")
    if n == 0:
        return a
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = one_axis(axis, a.ndim)
    parts = [part if part is a else _beside(a, part, axis) for part in (prepend, a, append) if part is not None]
    a = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)
    difference = np.not_equal if a.dtype == bool else np.subtract
    for _ in range(n):
        a = difference(a[along_axis(axis, a.ndim, slice(1, None))], a[along_axis(axis, a.ndim, slice(None, -1))])
    return a
