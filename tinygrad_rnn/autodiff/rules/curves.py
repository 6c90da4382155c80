"""Curves through given points or with given coefficients: functions of other primitives, so none needs a rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import overrides
from .arrays import array_of, in_real_numbers
from .indexing import getitem


@overrides(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """np.interp: straight lines between points; outside of them, the value at the nearest one, or ``left``, ``right``.

    At a point the slope is that of the line to its right, at the last point that of the last line.
    """
    xp, fp = (in_real_numbers(array_of(a)) for a in (xp, fp))
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.size:
        raise ValueError(f"interp: points xp of shape {xp.shape} and fp of shape {fp.shape}: takes as many of each")
    inside = np.clip(x, xp[0], xp[-1])
    i = np.clip(np.searchsorted(xp, inside, side="right") - 1, 0, max(xp.size - 2, 0))
    j = np.minimum(i + 1, xp.size - 1)
    left_x, right_x, left_y, right_y = (getitem(a, at) for a in (xp, fp) for at in (i, j))
    width = np.where(np.equal(left_x, right_x), 1, right_x - left_x)
    found = left_y + (right_y - left_y) / width * (inside - left_x)
    found = found if left is None else np.where(np.less(x, xp[0]), left, found)
    found = found if right is None else np.where(np.greater(x, xp[-1]), right, found)
    return found.astype(np.float64, copy=False)


@overrides(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """np.polyval: a polynomial with the coefficients p, that of the highest power first, by Horner's method."""
    p, x = (a if hasattr(a, "shape") else np.asarray(a) for a in (p, x))
    value = np.zeros_like(x)
    for coefficient in p:
        value = value * x + coefficient
    return value


@overrides(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """np.vander: a row of powers for each element, from the highest to the zeroth unless ``increasing``."""
    if x.ndim != 1:
        raise ValueError(f"vander of shape {x.shape}: takes a vector")
    x = x.astype(np.promote_types(x.dtype, int))  # as NumPy does, with float32 as well
    n = len(x) if N is None else N
    powers = np.ones((len(x), min(n, 1)), x.dtype)
    if n > 1:
        powers = np.concatenate([powers, np.cumprod(np.broadcast_to(x[:, None], (len(x), n - 1)), axis=1)], axis=1)
    return powers if increasing else powers[:, ::-1]
