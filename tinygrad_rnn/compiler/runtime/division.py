"""Whole quotients and remainders for machine code, with NumPy's signs, zeros, infinities and NaN.

Python's own differ from NumPy's: there, -1 // inf is -0.0; in NumPy it is -1.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .fast_functions import f32, f64


def remainder(x: Any, y: Any) -> Any:
    """Return x - floor(x / y) y, which has the sign of y."""
    rest = np.fmod(x, y)
    if rest == 0:
        return np.copysign(rest, y)
    return rest + y if (y < 0) != (rest < 0) else rest


def floor_divide(x: Any, y: Any, one: Any) -> Any:
    """Return floor(x / y); ``one`` has the type of the numbers."""
    if y == 0:
        return x / y
    rest = np.fmod(x, y)
    exact = (x - rest) / y
    if rest != 0 and (y < 0) != (rest < 0):
        exact = exact - one
    if exact == 0:
        return np.copysign(exact, x / y)
    whole = np.floor(exact)
    return whole + one if exact - whole > 0.5 else whole


def floor_divide32(x: Any, y: Any) -> Any:
    """Return floor(x / y)."""
    return floor_divide(x, y, f32(1))


def floor_divide64(x: Any, y: Any) -> Any:
    """Return floor(x / y)."""
    return floor_divide(x, y, f64(1))
