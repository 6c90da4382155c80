"""Functions on grids: evenly spaced numbers, slopes, areas and convolutions, all functions of other primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import overrides
from .arrays import in_dtype, in_real_numbers
from .axes import along_axis, one_axis, several_axes


@overrides(np.linspace)
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    """np.linspace: numbers at equal distances between two, or arrays between two arrays."""
    if num < 0:
        raise ValueError(f"linspace: num={num} must not be negative")
    gaps = num - 1 if endpoint else num
    start, stop = in_real_numbers(start), in_real_numbers(stop)
    difference = np.subtract(stop, start)
    places = np.reshape(np.arange(num) / max(gaps, 1), (num, *[1] * np.ndim(difference)))
    points = start + difference * places.astype(np.result_type(difference), copy=False)
    points = np.moveaxis(in_dtype(points, dtype), 0, axis)
    return (points, difference / gaps if gaps else difference * np.nan) if retstep else points


@overrides(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """np.gradient, for grids of equal distances: central differences, and one-sided ones at both ends."""
    axes = range(f.ndim) if axis is None else several_axes(axis, f.ndim)
    if edge_order != 1 or any(np.ndim(h) for h in varargs):
        raise TypeError(
            "np.gradient of a Tensor takes edge_order=1 and one distance for each axis. Write other differences with "
            "slices: (f[2:] - f[:-2]) / (x[2:] - x[:-2])."
        )
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(f"gradient: {len(varargs)} distances for {len(axes)} axes")
    distances = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    f = in_real_numbers(f)
    slopes = tuple(_slope(f, h, i) for h, i in zip(distances, axes))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f: Any, h: Any, axis: int) -> Any:
    if f.shape[axis] < 2:
        raise ValueError(f"gradient of shape {f.shape} along axis {axis}: needs at least 2 elements")
    ends = (0, 2), (-2, None), (2, None), (None, -2)
    first, last, onward, back = (f[along_axis(axis, f.ndim, slice(*part))] for part in ends)
    inside = (onward - back) / 2
    return np.concatenate([np.diff(first, axis=axis), inside, np.diff(last, axis=axis)], axis=axis) / h


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """np.trapezoid: the area under a curve, trapezium by trapezium."""
    y = np.moveaxis(y, one_axis(axis, np.ndim(y)), -1)
    if x is not None:
        dx = np.diff(np.moveaxis(x, axis, -1) if np.ndim(x) > 1 else x)
    return np.sum(dx * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)


if hasattr(np, "trapezoid"):  # NumPy 2
    overrides(np.trapezoid)(trapezoid)


@overrides(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """np.convolve: the sums of products of one sequence with the other, turned round, at all places."""
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    if max(np.ndim(a), np.ndim(v)) > 1:
        raise ValueError(f"convolve of {np.shape(a)} and {np.shape(v)}: takes sequences, with one axis each")
    if np.size(a) < np.size(v):
        a, v = v, a
    n, m = np.size(a), np.size(v)
    if mode not in ("full", "same", "valid") or m == 0:
        raise ValueError(f"convolve: mode={mode!r} of {n} and {m} elements; modes are 'full', 'same' and 'valid'")
    whole = np.lib.stride_tricks.sliding_window_view(np.pad(a, m - 1), m) @ np.flip(v)
    start, length = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}[mode]
    return whole[start : start + length]
