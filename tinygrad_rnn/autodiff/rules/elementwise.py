"""Functions that act on each element by itself: one derivative per argument is all they need.

Each row reads ``elementwise(f, derivative of the first argument, of the second, ...)``; a derivative gets the result
``ans`` first, since many are shortest in terms of it (tanh' = 1 - tanh²). Where a choice is selected rather than scaled
(``where``, ``maximum``), the rules select as well: a product would turn 0·inf into NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import elementwise, linear, overrides, primitive, without_gradient

# --- arithmetic ------------------------------------------------------------------------------------------------------

add = overrides(np.add)(elementwise(np.add, 1, 1))
subtract = overrides(np.subtract)(elementwise(np.subtract, 1, -1))
negative = overrides(np.negative)(elementwise(np.negative, -1))
positive = overrides(np.positive)(elementwise(np.positive, 1))
multiply = overrides(np.multiply)(linear(np.multiply, lambda g, ans, x, y: g * y, lambda g, ans, x, y: g * x))

_by_divisor = [lambda g, ans, x, y: g / y, lambda g, ans, x, y: -g * ans / y]
divide = overrides(np.divide)(primitive(np.divide, _by_divisor, _by_divisor))


def _power_of_base(ans: Any, x: Any, y: Any) -> Any:
    """Y x^(y-1), which is 0 where y is 0, even at x = 0."""
    return y * x ** np.where(y == 0, 1, y - 1)


def _power_of_exponent(ans: Any, x: Any, y: Any) -> Any:
    """x^y log x, which is 0 where x is 0."""
    return ans * np.log(np.where(x == 0, 1, x))


power_of = elementwise(np.power, _power_of_base, _power_of_exponent)
power_by_number = elementwise(
    lambda x, exponent: x**exponent,
    lambda ans, x, exponent: np.zeros_like(x) if exponent == 0 else exponent * x ** (exponent - 1),
    name="power",
)


@overrides(np.power, np.float_power)
def power(x: Any, y: Any) -> Any:
    """X to the power y; a plain number as exponent, the common case, has a shorter rule and keeps the dtype of x."""
    return power_by_number(x, exponent=y) if isinstance(y, (int, float)) else power_of(x, y)


# --- exponentials and their like -------------------------------------------------------------------------------------

exp = overrides(np.exp)(elementwise(np.exp, lambda ans, x: ans))
log = overrides(np.log)(elementwise(np.log, lambda ans, x: 1 / x))
sqrt = overrides(np.sqrt)(elementwise(np.sqrt, lambda ans, x: 0.5 / ans))
square = overrides(np.square)(elementwise(np.square, lambda ans, x: 2 * x))
tanh = overrides(np.tanh)(elementwise(np.tanh, lambda ans, x: 1 - ans * ans))


def is_object_array(x: Any) -> bool:
    """Whether x holds Python objects (Scalars), not numbers."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "O"


def _element_method(x: Any, name: str) -> Any:
    """What NumPy does for its own functions on an object array: call each element's method of that name."""
    return np.frompyfunc(lambda element: getattr(element, name)(), 1, 1)(x)


def _sigmoid(x: Any) -> Any:
    if is_object_array(x):
        return _element_method(x, "sigmoid")
    decay = np.exp(
        -np.abs(x)
    )  # in (0, 1] whatever the sign of x, so nothing overflows and both tails keep their digits
    return np.where(np.asarray(x) >= 0, 1, decay) / (1 + decay)


def _relu(x: Any) -> Any:
    return _element_method(x, "relu") if is_object_array(x) else np.maximum(x, 0)


logistic = elementwise(_sigmoid, lambda ans, x: ans * (1 - ans), name="sigmoid")
rectifier = elementwise(_relu, lambda ans, x: x > 0, name="relu")


def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + exp(-x)), element by element, without overflow.

    Args:
        x: Tensor, array (also of Scalars) or number.

    Example:
        >>> import tinygrad_rnn as tr
        >>> float(tr.sigmoid(0.0)), float(tr.sigmoid(-800.0))
        (0.5, 0.0)
    """
    return logistic(x)


def relu(x: Any) -> Any:
    """max(x, 0), element by element; its derivative at 0 is 0.

    Args:
        x: Tensor, array (also of Scalars) or number.

    Example:
        >>> import tinygrad_rnn as tr
        >>> tr.relu([-1.0, 2.0]).tolist()
        [0.0, 2.0]
    """
    return rectifier(x)


# --- choices ---------------------------------------------------------------------------------------------------------

absolute = overrides(np.absolute, np.fabs)(elementwise(np.absolute, lambda ans, x: np.sign(x)))


def _share(g: Any, mine: Any, other: Any, wins: Any) -> Any:
    """All of g to the winner; half to each of two equals."""
    return np.where(mine == other, g / 2, np.where(wins, g, 0))


_of_larger = [lambda g, ans, x, y: _share(g, x, y, x > y), lambda g, ans, x, y: _share(g, x, y, y > x)]
_of_smaller = [lambda g, ans, x, y: _share(g, x, y, x < y), lambda g, ans, x, y: _share(g, x, y, y < x)]
maximum = overrides(np.maximum)(primitive(np.maximum, _of_larger, _of_larger))
minimum = overrides(np.minimum)(primitive(np.minimum, _of_smaller, _of_smaller))

_of_chosen = [None, lambda g, ans, c, x, y: np.where(c, g, 0), lambda g, ans, c, x, y: np.where(c, 0, g)]
where = overrides(np.where)(
    primitive(lambda condition, x, y: np.where(condition, x, y), _of_chosen, _of_chosen, name="where")
)


def _below(x: Any, bound: Any) -> Any:
    return np.zeros_like(x, dtype=bool) if bound is None else x < bound


def _above(x: Any, bound: Any) -> Any:
    return np.zeros_like(x, dtype=bool) if bound is None else x > bound


_of_clipped = [
    lambda g, ans, a, lo, hi: np.where(_below(a, lo) | _above(a, hi), 0, g),
    lambda g, ans, a, lo, hi: np.where(_below(a, lo), g, 0),
    lambda g, ans, a, lo, hi: np.where(_above(a, hi), g, 0),
]
clipped = primitive(lambda a, lo, hi: np.clip(a, lo, hi), _of_clipped, _of_clipped, name="clip")


@overrides(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """a, kept within bounds; at the bounds themselves the gradient still passes."""
    return clipped(a, min if a_min is None else a_min, max if a_max is None else a_max)


# --- without a gradient: the result is a plain array
# --------------------------------------------------------------------

without_gradient(
    np.sign, np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.isnan, np.isinf, np.isfinite, np.signbit, np.logical_and, np.logical_or, np.logical_not, np.logical_xor,
)  # fmt: skip
