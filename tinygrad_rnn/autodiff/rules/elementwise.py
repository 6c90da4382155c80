"""Functions that act on each element by itself: each needs one derivative per argument.

Each row reads ``row(f, derivative of the first argument, of the second, ...)``; a derivative gets the result ``ans``
first, since many are shortest in terms of it (tanh' = 1 - tanh²). For functions that select rather than scale
(``where``, ``maximum``), the rules select as well: a product would turn 0·inf into NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..registry import Primitive, Rule, elementwise, linear, overrides, primitive, without_gradient
from .arrays import array_of, in_real_numbers


def row(f: Any, *derivatives: Rule | int) -> Primitive:
    """Declare NumPy's ``f``, a function of single elements, with its derivatives."""
    return overrides(f)(elementwise(f, *derivatives))


# --- arithmetic ------------------------------------------------------------------------------------------------------

add = row(np.add, 1, 1)
subtract = row(np.subtract, 1, -1)
negative = row(np.negative, -1)
positive = row(np.positive, 1)
multiply = overrides(np.multiply)(linear(np.multiply, lambda g, ans, x, y: g * y, lambda g, ans, x, y: g * x))
multiply.by_element = True

_by_divisor = [lambda g, ans, x, y: g / y, lambda g, ans, x, y: -g * ans / y]
divide = overrides(np.divide)(primitive(np.divide, _by_divisor, _by_divisor, by_element=True))
reciprocal = row(np.reciprocal, lambda ans, x: -ans * ans)


def _power_of_base(ans: Any, x: Any, y: Any) -> Any:
    """The derivative by x: y x^(y-1), which is 0 where y is 0, even at x = 0."""
    y = in_real_numbers(y)
    return y * x ** np.where((x == 0) & (y == 0), 1, y - 1)


def _power_of_exponent(ans: Any, x: Any, y: Any) -> Any:
    """The derivative by y: x^y log x, which is 0 where x is 0."""
    return ans * np.log(np.where(x == 0, 1, in_real_numbers(x)))


power_of = elementwise(np.power, _power_of_base, _power_of_exponent)
power_by_number = elementwise(
    lambda x, exponent: x**exponent,
    lambda ans, x, exponent: np.zeros_like(x) if exponent == 0 else exponent * x ** (exponent - 1),
    name="power",
)
float_power = row(np.float_power, _power_of_base, _power_of_exponent)


@overrides(np.power)
def power(x: Any, y: Any) -> Any:
    """``x**y``; a plain number as exponent, the common case, has a shorter rule and keeps the dtype of x."""
    return power_by_number(x, exponent=y) if isinstance(y, (int, float)) else power_of(x, y)


square = row(np.square, lambda ans, x: x + x)  # 2 x; but a number would first have to become an array
sqrt = row(np.sqrt, lambda ans, x: 0.5 / ans)
cbrt = row(np.cbrt, lambda ans, x: 1 / (3 * ans * ans))
_per_length = [
    lambda ans, x, y: x / np.where(ans == 0, 1, ans),  # 0 at the origin, as for every norm here
    lambda ans, x, y: y / np.where(ans == 0, 1, ans),
]
hypot = row(np.hypot, *_per_length)

# --- rounding: steps have derivative 0, remainders that of their argument -------------------------------

sign = row(np.sign, 0)
heaviside = row(np.heaviside, 0, lambda ans, x, at_zero: x == 0)
copysign = row(np.copysign, lambda ans, x, y: np.copysign(1, x) * np.copysign(1, y), 0)
floor = row(np.floor, 0)
ceil = row(np.ceil, 0)
trunc = row(np.trunc, 0)
rint = row(np.rint, 0)
floor_divide = row(np.floor_divide, 0, 0)
remainder = row(np.remainder, 1, lambda ans, x, y: -np.floor_divide(x, y))
fmod = row(np.fmod, 1, lambda ans, x, y: -np.trunc(x / y))
rounded = overrides(np.round, np.around)(
    elementwise(lambda a, decimals=0: np.round(a, decimals), 0, None, name="round")
)


@overrides(np.divmod)
def divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """np.divmod: quotient and remainder."""
    return np.floor_divide(x, y), np.remainder(x, y)


# --- exponentials and their like -------------------------------------------------------------------------------------

exp = row(np.exp, lambda ans, x: ans)
exp2 = row(np.exp2, lambda ans, x: ans * math.log(2))
expm1 = row(np.expm1, lambda ans, x: np.exp(x))
log = row(np.log, lambda ans, x: 1 / x)
log2 = row(np.log2, lambda ans, x: 1 / (x * math.log(2)))
log10 = row(np.log10, lambda ans, x: 1 / (x * math.log(10)))
log1p = row(np.log1p, lambda ans, x: 1 / (1 + x))

# --- circular and hyperbolic functions -------------------------------------------------------------------------------

sin = row(np.sin, lambda ans, x: np.cos(x))
cos = row(np.cos, lambda ans, x: -np.sin(x))
tan = row(np.tan, lambda ans, x: 1 + ans * ans)
arcsin = row(np.arcsin, lambda ans, x: 1 / np.sqrt((1 - x) * (1 + x)))
arccos = row(np.arccos, lambda ans, x: -1 / np.sqrt((1 - x) * (1 + x)))
arctan = row(np.arctan, lambda ans, x: 1 / (1 + x * x))


def _over_square(a: Any, x: Any, y: Any) -> Any:
    """The number a over the square of the distance of (x, y) from the origin."""
    x, y = in_real_numbers(x), in_real_numbers(y)
    return a / (x * x + y * y)


arctan2 = row(np.arctan2, lambda ans, y, x: _over_square(x, x, y), lambda ans, y, x: -_over_square(y, x, y))
sinh = row(np.sinh, lambda ans, x: np.cosh(x))
cosh = row(np.cosh, lambda ans, x: np.sinh(x))
tanh = row(np.tanh, lambda ans, x: 1 - ans * ans)
arcsinh = row(np.arcsinh, lambda ans, x: 1 / np.sqrt(x * x + 1))
arccosh = row(np.arccosh, lambda ans, x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)))
arctanh = row(np.arctanh, lambda ans, x: 1 / ((1 - x) * (1 + x)))
degrees = row(np.degrees, lambda ans, x: np.full_like(x, 180 / math.pi))
radians = row(np.radians, lambda ans, x: np.full_like(x, math.pi / 180))
overrides(np.rad2deg)(degrees)
overrides(np.deg2rad)(radians)

# --- parts of a number: a real one is its own real part ---------------------------------------------------------------

real = overrides(np.real)(elementwise(lambda val: np.real(val), 1, name="real"))
imag = overrides(np.imag)(elementwise(lambda val: np.imag(val), 0, name="imag"))
conjugate = row(np.conjugate, 1)
angle = overrides(np.angle)(elementwise(lambda z, deg=False: np.angle(z, deg), 0, None, name="angle"))


@overrides(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """np.real_if_close: a real array unchanged."""
    return np.positive(a)


# --- masks -----------------------------------------------------------------------------------------------------------

BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def masked(g: Any, mask: Any) -> Any:
    """The values of g where the mask holds, and 0 elsewhere, even where g is infinite or NaN.

    It is recorded as ``np.where(mask, g, 0)``, which it equals. On plain arrays it picks bits, in a fortieth of the
    time if the mask is irregular: ``np.where`` branches for each element.
    """
    if type(g) is type(mask) is np.ndarray and mask.dtype == np.bool_ and g.dtype.kind == "f":
        bits = BITS.get(g.dtype.itemsize)
        if bits is not None:
            return (g.view(bits) & -mask.view(np.int8)).view(g.dtype)  # -1 has all bits set
    return np.where(mask, g, 0)


# --- choices ---------------------------------------------------------------------------------------------------------

absolute = row(np.absolute, lambda ans, x: np.sign(x))
fabs = row(np.fabs, lambda ans, x: np.sign(x))


def _share(g: Any, mine: Any, other: Any, wins: Any) -> Any:
    """The share of a cotangent for one of two arguments: all for the chosen one, half for each of two equals."""
    return masked(g, wins) + masked(g / 2, mine == other)


def _choice(f: Any, wins: Any) -> Primitive:
    """A choice between two: ``wins(mine, other)`` is True where the first one is taken, also for NaNs."""
    rules = [lambda g, ans, x, y: _share(g, x, y, wins(x, y)), lambda g, ans, x, y: _share(g, y, x, wins(y, x))]
    return overrides(f)(primitive(f, rules, rules, by_element=True))


maximum = _choice(np.maximum, lambda mine, other: (mine > other) | (mine != mine))
minimum = _choice(np.minimum, lambda mine, other: (mine < other) | (mine != mine))
fmax = _choice(np.fmax, lambda mine, other: (mine > other) | (other != other))
fmin = _choice(np.fmin, lambda mine, other: (mine < other) | (other != other))

_of_chosen = [None, lambda g, ans, c, x, y: masked(g, c), lambda g, ans, c, x, y: masked(g, np.logical_not(c))]
where = primitive(
    lambda condition, x, y: np.where(condition, x, y), _of_chosen, _of_chosen, name="where", by_element=True
)


@overrides(np.where)
def chosen(condition: Any, x: Any = None, y: Any = None) -> Any:
    """np.where; no gradient reaches the condition."""
    if x is None and y is None:
        return np.nonzero(condition)
    if x is None or y is None:
        raise ValueError("where takes a condition alone, or with both choices: np.where(condition, x, y)")
    if getattr(condition, "dtype", None) != np.bool_:
        condition = np.not_equal(condition, 0)
    return where(condition, x, y)


@overrides(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """np.select: the choice of the first condition that holds, else the default."""
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    for dtype in {array_of(condition).dtype for condition in condlist} - {np.dtype(bool)}:
        raise TypeError(f"select: conditions are arrays of booleans, such as a > 0; one is of {dtype}")
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        result = np.where(condition, choice, result)
    return result


def _below(x: Any, bound: Any) -> Any:
    return np.zeros_like(x, dtype=bool) if bound is None else x < bound


def _above(x: Any, bound: Any) -> Any:
    return np.zeros_like(x, dtype=bool) if bound is None else x > bound


_of_clipped = [  # if the bounds cross, the result is the upper one
    lambda g, ans, a, lo, hi: masked(g, ~(_below(a, lo) | _above(a, hi))),
    lambda g, ans, a, lo, hi: masked(g, _below(a, lo) & ~_above(lo, hi)),
    lambda g, ans, a, lo, hi: masked(g, _above(a if lo is None else np.maximum(a, lo), hi)),
]
clipped = primitive(lambda a, lo, hi: np.clip(a, lo, hi), _of_clipped, _of_clipped, name="clip", by_element=True)


@overrides(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """a, kept within bounds; at the bounds themselves the gradient still passes."""
    return clipped(a, min if a_min is None else a_min, max if a_max is None else a_max)


_of_finite = [lambda g, ans, x, **replacements: masked(g, np.isfinite(x))]
finite = primitive(
    lambda x, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
    _of_finite,
    _of_finite,
    name="nan_to_num",
    by_element=True,
)


@overrides(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """np.nan_to_num: elements that aren't finite are replaced by numbers, and pass no gradient."""
    return finite(x, nan=nan, posinf=posinf, neginf=neginf)


# --- without a gradient: the result is a plain array -----------------------------------------------------------------

without_gradient(
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.isnan, np.isinf, np.isfinite, np.isposinf, np.isneginf, np.signbit, np.isclose, np.isin, np.isreal, np.iscomplex,
    np.isrealobj, np.iscomplexobj, np.logical_and, np.logical_or, np.logical_not, np.logical_xor,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift,
)  # fmt: skip
