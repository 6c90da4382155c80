"""Special functions: ``erf``, which NumPy lacks, and ``sinc``, whose derivatives at 0 are limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..registry import Primitive, elementwise, overrides
from .arrays import array_of

# W. J. Cody, "Rational Chebyshev approximation for the error function", Mathematics of Computation 23 (1969):
# numerator and denominator, highest power first, for erf near 0, and for erfc in the middle and in the tail.
NEAR_0 = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
TAIL = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip
NEAR, FAR = 0.46875, 4.0


def _ratio(x: Any, coefficients: Sequence[Sequence[float]]) -> Any:
    numerator, denominator = (np.polyval(c, x) for c in coefficients)
    return numerator / denominator


def _erf(x: Any) -> Any:
    x = array_of(x)
    z = x.astype(np.float64)  # the approximations were made for double precision
    size = np.abs(z)
    near = z * _ratio(np.square(np.minimum(size, NEAR)), NEAR_0)
    middle = 1 - np.exp(-np.square(size)) * _ratio(np.clip(size, NEAR, FAR), MIDDLE)
    far = np.maximum(size, FAR)
    inverse = 1 / np.square(far)
    tail = 1 - np.exp(-np.square(far)) / far * (1 / math.sqrt(math.pi) - inverse * _ratio(inverse, TAIL))
    result = np.where(size <= NEAR, near, np.copysign(np.where(size <= FAR, middle, tail), z))
    return result.astype(x.dtype) if x.dtype.kind == "f" else result


error_function = elementwise(_erf, lambda ans, x: 2 / math.sqrt(math.pi) * np.exp(-x * x), name="erf")


def erf(x: Any) -> Any:
    """The error function, 2/√π ∫₀ˣ exp(-t²) dt, element by element.

    Args:
        x: Tensor, array or number.

    Example:
        >>> import tinygrad_rnn as tr
        >>> round(float(tr.erf(0.5)), 6)
        0.5205
    """
    return error_function(x)


# --- sin(πx) / (πx) --------------------------------------------------------------------------------------------------


def _sinc(x: Any, order: int = 0) -> Any:
    """The derivative of sinc of this order: π^k f_k(πx), where f_k is that of sin(u)/u, without cancellation.

    From ``u f_0 = sin u`` follows ``u f_k + k f_{k-1} = sin(u + kπ/2)``. Near 0, where this recurrence loses digits,
    f_k is the sum of its Taylor series.
    """
    if order == 0:
        return np.sinc(x)
    x = array_of(x)
    u = math.pi * x.astype(np.float64)
    near = np.abs(u) <= order + 3
    by_series, large = np.where(near, u, 0.0), np.where(near, np.inf, u)
    with np.errstate(invalid="ignore"):
        found = np.sin(large) / large
        for k in range(1, order + 1):
            found = (np.sin(large + k * math.pi / 2) - k * found) / large
    result = math.pi**order * np.where(near, _taylor_series(by_series, order), found)
    return result.astype(x.dtype) if x.dtype.kind == "f" else result


def _taylor_series(u: Any, order: int) -> Any:
    """The derivative of sin(u)/u of this order, for small u: Σ (-1)^m u^(2m-k) / ((2m-k)! (2m+1)), from 2m = k on."""
    total = np.zeros_like(u)
    for m in range((order + 1) // 2, order + 25):
        power = 2 * m - order
        total = total + (-1) ** m * u**power / (math.factorial(power) * (2 * m + 1))
    return total


sinc_derivative: Primitive = elementwise(
    _sinc, lambda ans, x, order=0: sinc_derivative(x, order=order + 1), name="sinc"
)


@overrides(np.sinc)
def sinc(x: Any) -> Any:
    """np.sinc: sin(πx) / (πx), with all its derivatives right at 0 and near it."""
    return sinc_derivative(x)
