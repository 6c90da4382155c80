"""Statistics and norms: functions of other primitives, so none of them needs a rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..registry import overrides
from .arrays import in_dtype, in_real_numbers
from .axes import Axis, counted_axes, reduced_axes, several_axes
from .reductions import count_along, selected


def root(x: Any) -> Any:
    """The square root of numbers that are never negative, with gradient 0 (not inf) at 0.

    The inner choice matters: the outer one alone would still multiply the infinite slope by 0, which is NaN.
    """
    return np.where(x == 0, 0, np.sqrt(np.where(x == 0, 1, x)))


@overrides(np.var)
def var(
    a: Any, axis: Axis = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False, where: Any = True,
    correction: float | None = None,
) -> Any:  # fmt: skip
    """np.var: the mean square of the deviations from the mean."""
    if ddof and correction is not None:
        raise ValueError("ddof and correction are two names of one setting: give one of them")
    axis = counted_axes(axis, a.ndim)
    a = selected(in_dtype(a, dtype), where, 0)
    deviations = a - np.mean(a, axis=axis, keepdims=True, where=where)
    total = np.sum(np.square(deviations), axis=axis, keepdims=keepdims, where=where)
    return total / count_along(a, axis, keepdims, where, less=ddof if correction is None else correction)


@overrides(np.std)
def std(
    a: Any, axis: Axis = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False, where: Any = True,
    correction: float | None = None,
) -> Any:  # fmt: skip
    """np.std; the standard deviation of constants has gradient 0."""
    return root(var(a, axis, dtype, ddof, keepdims, where, correction))


@overrides(np.ptp)
def ptp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.ptp: the largest less the smallest."""
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


def reduced_axes_last(a: Any, axes: tuple[int, ...]) -> Any:
    """A, with the axes to reduce joined into the last axis."""
    moved = np.moveaxis(a, sorted(axes), range(a.ndim - len(axes), a.ndim))
    kept = moved.shape[: a.ndim - len(axes)]
    return np.reshape(moved, (*kept, math.prod(a.shape[i] for i in axes)))


@overrides(np.median)
def median(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.median: the middle one, or the mean of the two in the middle; NaN if there is a NaN."""
    axes = tuple(range(a.ndim)) if axis is None else several_axes(axis, a.ndim)
    rows = reduced_axes_last(a, axes)
    n = rows.shape[-1]
    if n == 0:
        return np.mean(a, axis=axes, keepdims=keepdims)  # NaN, and NumPy's warning
    ordered = np.sort(rows, axis=-1)
    middle = np.mean(ordered[..., (n - 1) // 2 : n // 2 + 1], axis=-1)
    last = ordered[..., -1]  # sorting puts NaNs there
    found = np.where(np.isnan(last), last, middle)
    if not keepdims:
        return found
    return np.reshape(found, tuple(1 if i in axes else size for i, size in enumerate(a.shape)))


# The part of the way from one element to the next at which each method of NumPy's finds a quantile between the two.
BETWEEN: dict[str, Any] = {
    "linear": lambda part: part,
    "lower": lambda part: 0 * part,
    "higher": np.ceil,
    "midpoint": lambda part: np.ceil(part) / 2,
}


@overrides(np.quantile)
def quantile(a: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Any:
    """np.quantile: the number below which lies a part q of the elements; NaN if there is a NaN."""
    if method not in BETWEEN:
        raise TypeError(f"np.quantile of a Tensor takes the methods {', '.join(BETWEEN)}, not {method!r}")
    if not (np.all(np.greater_equal(q, 0)) and np.all(np.less_equal(q, 1))):
        raise ValueError("Quantiles must be in the range [0, 1]")
    axes = tuple(range(a.ndim)) if axis is None else several_axes(axis, a.ndim)
    ordered = np.sort(reduced_axes_last(a, axes), axis=-1)
    n = ordered.shape[-1]
    if n == 0:
        raise IndexError(f"quantile of shape {a.shape} along {axis}: there are no elements")
    place = np.multiply(q, n - 1)
    below = np.floor(place).astype(int)
    dtype = a.dtype if method in ("lower", "higher") else np.result_type(a, q if np.ndim(q) == 0 else np.asarray(q))
    part = BETWEEN[method](place - below).astype(dtype)
    low, high = (np.take(ordered, np.minimum(i, n - 1), axis=-1) for i in (below, below + 1))
    found = np.where(part < 0.5, low + (high - low) * part, high - (high - low) * (1 - part))
    last = ordered[(..., -1, *[None] * np.ndim(q))]  # sorting puts NaNs there
    found = np.moveaxis(np.where(np.isnan(last), last, found), range(-np.ndim(q), 0), range(np.ndim(q)))
    if not keepdims:
        return found
    return np.reshape(found, np.shape(q) + tuple(1 if i in axes else size for i, size in enumerate(a.shape)))


@overrides(np.percentile)
def percentile(a: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Any:
    """np.percentile: the quantile of q hundredths."""
    return quantile(a, np.true_divide(q, a.dtype.type(100)), axis, method, keepdims)


def _variables(m: Any, y: Any, by_rows: bool) -> Any:
    """The variables, one in each row, with an observation in each column."""
    if max(np.ndim(m), np.ndim(y)) > 2:
        raise ValueError(f"cov of shapes {np.shape(m)}, {np.shape(y)}: takes vectors and matrices")
    rows = np.atleast_2d(m) if by_rows or np.ndim(m) == 1 else np.transpose(np.atleast_2d(m))
    if y is None or not len(rows):
        return rows
    more = np.atleast_2d(y)
    return np.concatenate([rows, more if by_rows or np.shape(more)[0] == 1 else np.transpose(more)])


@overrides(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, *, dtype: Any = None
) -> Any:  # fmt: skip
    """np.cov: the covariances of variables, one in each row unless ``rowvar`` is False."""
    rows = _variables(m, y, rowvar)
    rows = in_dtype(rows, np.result_type(rows, np.float64) if dtype is None else dtype)
    deviations = rows - np.mean(rows, axis=1, keepdims=True)
    less = (0 if bias else 1) if ddof is None else ddof
    return np.squeeze(deviations @ deviations.T / count_along(rows, 1, False, True, less=less))


@overrides(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """np.corrcoef: the covariances of variables, each divided by its standard deviation."""
    found = cov(x, y, rowvar, dtype=dtype)
    if found.ndim == 0:
        return found / found
    deviation = np.sqrt(np.diagonal(found))
    return np.clip(found / deviation[:, None] / deviation[None, :], -1, 1)


@overrides(np.average)
def average(a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """np.average; weights have the shape of ``a``, or have one element for each place along ``axis``."""
    axis = None if axis is None else several_axes(axis, a.ndim, "axis")
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        return (mean, np.full(mean.shape, np.size(a) / max(np.size(mean), 1))) if returned else mean
    if np.shape(weights) != np.shape(a):
        if axis is None or len(axis) != 1 or np.shape(weights) != (np.shape(a)[axis[0]],):
            raise ValueError(
                f"average: weights of shape {np.shape(weights)} for an array of shape {np.shape(a)}: give one for each "
                "element, or one for each place along axis="
            )
        weights = np.reshape(weights, (-1, *[1] * (np.ndim(a) - 1 - axis[0])))
    a = in_real_numbers(a)
    total = np.sum(np.broadcast_to(weights, np.shape(a)), axis=axis, keepdims=keepdims)
    mean = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (mean, total) if returned else mean


@overrides(np.nansum)
def nansum(a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, where: Any = True) -> Any:
    """np.nansum: NaNs count as 0, and pass no gradient."""
    return np.sum(np.where(np.isnan(a), 0, a), axis=axis, dtype=dtype, keepdims=keepdims, where=where)


@overrides(np.nanmean)
def nanmean(a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, where: Any = True) -> Any:
    """np.nanmean: NaNs are left out."""
    axis = reduced_axes(axis, a.ndim)
    return np.mean(a, axis=axis, dtype=dtype, keepdims=keepdims, where=np.logical_not(np.isnan(a)) & where)


@overrides(np.nanprod)
def nanprod(a: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False, where: Any = True) -> Any:
    """np.nanprod: NaNs count as 1, and pass no gradient."""
    return np.prod(np.where(np.isnan(a), 1, a), axis=axis, dtype=dtype, keepdims=keepdims, where=where)


@overrides(np.nanvar)
def nanvar(a: Any, axis: Axis = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """np.nanvar: NaNs are left out."""
    return var(a, reduced_axes(axis, a.ndim), dtype, ddof, keepdims, np.logical_not(np.isnan(a)))


@overrides(np.nanstd)
def nanstd(a: Any, axis: Axis = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """np.nanstd: NaNs are left out."""
    return std(a, reduced_axes(axis, a.ndim), dtype, ddof, keepdims, np.logical_not(np.isnan(a)))


def _without_nans(extreme: Any, least: float, a: Any, axis: Axis, keepdims: bool) -> Any:
    """The largest or smallest element: NaNs are left out, by taking them for the least; NaN without any other."""
    if a.dtype.kind != "f":
        return extreme(a, axis=axis, keepdims=keepdims)
    missing = np.isnan(a)
    found = extreme(np.where(missing, least, a), axis=axis, keepdims=keepdims)
    return np.where(np.all(missing, axis=axis, keepdims=keepdims), np.nan, found)


@overrides(np.nanmax)
def nanmax(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.nanmax: NaNs are left out; NaN if there is nothing else."""
    return _without_nans(np.max, -np.inf, a, axis, keepdims)


@overrides(np.nanmin)
def nanmin(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.nanmin: NaNs are left out; NaN if there is nothing else."""
    return _without_nans(np.min, np.inf, a, axis, keepdims)


# --- norms: each has gradient 0 at 0 ---------------------------------------------------------------------------------


def _largest(sizes: Any, axis: Axis, keepdims: bool = False) -> Any:
    """The largest of numbers that are never negative; 0 for an empty array."""
    return (np.max if 0 not in sizes.shape else np.sum)(sizes, axis=axis, keepdims=keepdims)


def vector_norm(x: Any, ord: Any, axis: Axis, keepdims: bool) -> Any:
    """The norm of vectors along ``axis``, for any order that NumPy has."""
    if isinstance(ord, str):
        raise ValueError(f"linalg.norm: no order {ord!r} for vectors")
    size = np.abs(x)
    if ord is None or ord == 2:
        return root(np.sum(np.square(x), axis=axis, keepdims=keepdims))
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if ord == np.inf:
        return _largest(size, axis, keepdims)
    if ord == -np.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.where(x == 0, 0 * x, np.ones_like(x)), axis=axis, keepdims=keepdims)
    ord = float(ord)  # NumPy's own float64 would promote float32
    total = np.sum(np.where(size == 0, 0, np.where(size == 0, 1, size) ** ord) if ord > 0 else size**ord,
                   axis=axis, keepdims=keepdims)  # fmt: skip
    nothing = 0 if ord > 0 else np.inf  # as 0 ** (1 / ord) is
    return np.where(total == 0, nothing, np.where(total == 0, 1, total) ** (1 / ord))


def matrix_norm(x: Any, ord: Any, axis: tuple[int, int], keepdims: bool) -> Any:
    """The norm of matrices in two axes, for any order that NumPy has."""
    if ord is None or ord == "fro":
        return vector_norm(x, 2, axis, keepdims)
    x = np.moveaxis(x, axis, (-2, -1))
    if ord in (1, -1, np.inf, -np.inf):
        sums = np.sum(np.abs(x), axis=-2 if ord in (1, -1) else -1)
        found = _largest(sums, -1) if ord > 0 else np.min(sums, axis=-1)
    elif ord in (2, -2, "nuc"):
        values = np.linalg.svd(x, compute_uv=False)
        found = np.sum(values, axis=-1) if ord == "nuc" else _largest(values, -1) if ord == 2 else values[..., -1]
    else:
        raise ValueError(f"linalg.norm: no order {ord!r} for matrices")
    return np.expand_dims(found, axis) if keepdims else found


@overrides(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.linalg.norm, of vectors or of matrices."""
    x = in_real_numbers(x)
    if axis is None and ord is None:
        return vector_norm(x, 2, None, keepdims)
    axes = tuple(range(np.ndim(x))) if axis is None else axis if isinstance(axis, tuple) else (int(axis),)
    axes = several_axes(axes, np.ndim(x), "axis")
    if len(axes) == 1:
        return vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return matrix_norm(x, ord, axes, keepdims)
    raise ValueError(f"linalg.norm: of shape {np.shape(x)} along {axis}: vectors have one axis, matrices two")


def norm_of_vectors(x: Any, /, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """np.linalg.vector_norm: the elements along the given axes (one, several, or all) are one vector."""
    x = in_real_numbers(x)
    if axis is not None:
        if not isinstance(axis, (int, np.integer, tuple)):
            raise TypeError("'axis' must be None, an integer or a tuple of integers")
        axis = several_axes(axis, x.ndim)
    return vector_norm(x, ord, axis, keepdims)
