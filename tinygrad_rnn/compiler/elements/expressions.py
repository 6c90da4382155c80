"""Expressions that compute elementwise operations on single numbers, in the language of generated code.

A value without an expression here has no machine-code form; the step that holds it runs on NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autodiff.rules import activations, elementwise, log_probabilities, shape, special
from .. import thresholds
from ..graph.trace import stop_gradient
from ..graph.values import Value

Expression = Callable[..., str]

BINARY = {
    elementwise.add: "+", elementwise.subtract: "-", elementwise.multiply: "*", elementwise.divide: "/",
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "==", np.not_equal: "!=",
    np.logical_and: "and", np.logical_or: "or", np.logical_xor: "!=",
}  # fmt: skip
BITS = {np.bitwise_and: "&", np.bitwise_or: "|", np.bitwise_xor: "^"}  # whole numbers; for conditions they are logical
OF_CONDITIONS = {
    np.bitwise_and: "and", np.bitwise_or: "or", np.bitwise_xor: "!=",
    elementwise.multiply: "and", elementwise.add: "or", elementwise.minimum: "and", elementwise.maximum: "or",
}  # fmt: skip
COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
LOGIC = {np.logical_and, np.logical_or, np.logical_xor, np.logical_not}

# Machine code has these under NumPy's names.
BY_NAME = """
    log2 log10 exp2 expm1 sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh
    floor ceil trunc rint fabs degrees radians
"""
TESTS = (np.isnan, np.isinf, np.isfinite, np.signbit)  # of numbers
SOFTPLUS = "(log1p_of_share{0}(exp{0}(-abs({1}))) + (f{0}(0.0) if {1} <= f{0}(0.0) else {1}))"

# Functions of one number, by the name that generated code calls them by; {} is 32 or 64.
UNARY = {
    activations.logistic: "sigmoid{}({})",
    elementwise.tanh: "tanh{}({})",
    elementwise.exp: "exp{}({})",
    elementwise.log: "log{}({})",
    elementwise.log1p: "log1p{}({})",
    elementwise.square: "({1} * {1})",
    elementwise.negative: "(-{1})",
    stop_gradient: "{1}",
    elementwise.absolute: "abs({1})",
    elementwise.reciprocal: "(f{0}(1.0) / {1})",
    activations.rectifier: "(f{0}(0.0) if {1} <= f{0}(0.0) else {1})",
    elementwise.sign: "(f{0}(1.0) if {1} > f{0}(0.0) else f{0}(-1.0) if {1} < f{0}(0.0) else abs({1}))",
    activations.soft_rectifier: SOFTPLUS,
    activations.log_logistic: f"(-{SOFTPLUS.replace('{1}', '(-{1})')})",
    special.error_function: "f{0}(erf({1}))",
    np.logical_not: "(not {1})",
    np.invert: "(~{1})",
    **{getattr(elementwise, name): f"np.{name}({{1}})" for name in BY_NAME.split()},
    **{test: f"np.{test.__name__}({{1}})" for test in TESTS},
}


def expression(value: Value, args: list[str]) -> str | None:
    """The expression of an elementwise Value whose operands have these names; None if there is none.

    The numbers are of the type in which the Value is computed (``computed_in``).
    """
    computed = computed_in(value)
    if computed is None:
        return None
    if value.op is shape.cast:
        return converted(args[0], value.args[0].dtype, value.dtype)
    if computed.kind == "b" and value.op in OF_CONDITIONS:
        return f"({args[0]} {OF_CONDITIONS[value.op]} {args[1]})"
    if computed.kind == "b" and value.op is np.invert:
        return f"(not {args[0]})"
    if value.op in BINARY or value.op in BITS:
        text = f"({args[0]} {BINARY.get(value.op) or BITS[value.op]} {args[1]})"
    elif value.op in UNARY:
        text = UNARY[value.op].format("64" if computed == np.float64 else "32", args[0])
    elif value.op in DIVIDES and computed.kind == "i":
        text = DIVIDES[value.op].format(*args)
    else:
        text = OTHERS[value.op](value, number_type(computed), *args)
    is_narrow = value.dtype.kind in "iu" and value.dtype != np.int64
    return converted(text, np.dtype(np.int64), value.dtype) if is_narrow else text


def _power(value: Value, real: str, x: str) -> str:
    exponent = value.keywords["exponent"]
    if exponent == 0.5:
        return f"np.sqrt({x})"
    if float(exponent).is_integer() and 1 <= abs(exponent) <= thresholds.LARGEST_POWER:
        factor = x if exponent > 0 else f"({real}(1.0) / {x})"
        return f"({' * '.join([factor] * int(abs(exponent)))})"
    return f"({x} ** {number(exponent, real)})"


def _choice(condition: str) -> Expression:
    """The first of two numbers if a condition holds, else the second; the second of two equal ones, as NumPy does."""
    text = f"({{0}} if ({condition}) else {{1}})"
    return lambda value, real, x, y: text.format(x, y)


_larger = _choice("{0} > {1} or {0} != {0}")
_smaller = _choice("{0} < {1} or {0} != {0}")


def _clip(value: Value, real: str, x: str, low: str, high: str) -> str:
    """The expression of a clip; as in NumPy, crossed bounds give the upper one, and a NaN bound gives NaN."""
    x = x if value.args[1] is None else _larger(value, real, x, low)
    return x if value.args[2] is None else _smaller(value, real, x, high)


def _rounded(value: Value, real: str, x: str, *_: str) -> str:
    decimals = value.args[1] if len(value.args) > 1 else value.keywords.get("decimals", 0)
    scale = f"{real}({10.0 ** abs(decimals)!r})"
    if decimals == 0:
        return f"np.rint({x})"
    return f"(np.rint({x} * {scale}) / {scale})" if decimals > 0 else f"(np.rint({x} / {scale}) * {scale})"


def _finite(value: Value, real: str, x: str) -> str:
    limits = np.finfo(value.dtype)
    found = [value.keywords[name] for name in ("nan", "posinf", "neginf")]
    nan, top, bottom = (
        number(default if a is None else a, real) for a, default in zip(found, (0.0, limits.max, limits.min))
    )
    return f"({nan} if {x} != {x} else {top} if {x} == np.inf else {bottom} if {x} == -np.inf else {x})"


def _of_two(name: str) -> Expression:
    return lambda value, real, x, y: f"np.{name}({x}, {y})"


def _step(value: Value, real: str, x: str, at_zero: str) -> str:
    return f"({real}(0) if {x} < 0 else {real}(1) if {x} > 0 else {at_zero} if {x} == 0 else {x})"


OTHERS: dict[Any, Expression] = {
    elementwise.power_by_number: _power,
    elementwise.maximum: _larger,
    elementwise.minimum: _smaller,
    elementwise.fmax: _choice("{0} > {1} or {1} != {1}"),
    elementwise.fmin: _choice("{0} < {1} or {1} != {1}"),
    elementwise.clipped: _clip,
    elementwise.rounded: _rounded,
    elementwise.finite: _finite,
    elementwise.power_of: lambda value, real, x, y: f"({x} ** {y})",
    elementwise.floor_divide: lambda value, real, x, y: f"floor_divide{real[1:]}({x}, {y})",
    elementwise.remainder: lambda value, real, x, y: f"remainder({x}, {y})",
    elementwise.fmod: _of_two("fmod"),
    elementwise.copysign: _of_two("copysign"),
    elementwise.heaviside: _step,
    elementwise.hypot: _of_two("hypot"),
    elementwise.arctan2: _of_two("arctan2"),
    log_probabilities.logaddexp: lambda value, real, x, y: f"logaddexp{real[1:]}({x}, {y})",
    log_probabilities.logaddexp2: _of_two("logaddexp2"),
    elementwise.where: lambda value, real, condition, x, y: f"({x} if {condition} else {y})",
}
DIVIDES = {
    elementwise.floor_divide: "(i64(0) if {1} == 0 else {0} // {1})",
    elementwise.remainder: "(i64(0) if {1} == 0 else {0} % {1})",
}


ARITHMETIC = {elementwise.add, elementwise.subtract, elementwise.multiply}
# Operations that whole numbers have, too, in 64 bits; a result of fewer bits is wrapped, as in NumPy.
WHOLE = {
    *ARITHMETIC, elementwise.where, elementwise.negative, elementwise.absolute, elementwise.square,
    elementwise.maximum, elementwise.minimum, elementwise.clipped, stop_gradient, np.invert, *DIVIDES, *BITS,
}  # fmt: skip
TYPES = set(map(np.dtype, ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "f4", "f8")))
THROUGH_32_BITS = set(map(np.dtype, ("i1", "i2", "i4", "u1", "u2")))  # NumPy's way from a float: NaN is then no place
CONDITION, WHOLE_NUMBER = np.dtype(bool), np.dtype(np.int64)


def has_expression(value: Value) -> bool:
    """Return True if machine code has the operation on numbers of these types."""
    return computed_in(value) is not None


def computed_in(value: Value) -> np.dtype | None:
    """The type to which an elementwise operation converts its operands, as NumPy does; None without machine code.

    The type is a float type, bool, or int64, which stands for all whole numbers.
    """
    op = value.op
    if op is shape.cast:
        return value.args[0].dtype if {value.args[0].dtype, value.dtype} <= TYPES else None
    if not any(op in table for table in (BINARY, UNARY, OTHERS, BITS)):
        return None
    dtypes = [a.dtype for a in value.args if isinstance(a, (Value, np.generic))]
    if not {value.dtype, *dtypes} <= TYPES:
        return None
    if op in LOGIC:
        return CONDITION
    if op in COMPARISONS:
        return _common(dtypes, [a for a in value.args if not isinstance(a, (Value, np.generic))])
    if op in TESTS:
        return dtypes[0] if dtypes[0].kind == "f" else np.dtype(np.float64)
    if value.dtype.kind == "f":
        return value.dtype
    if value.dtype.kind == "b":
        is_one = op in OF_CONDITIONS or op in (np.invert, elementwise.where, stop_gradient)
        return CONDITION if is_one and set(dtypes) <= {CONDITION} else None
    is_power = op is elementwise.power_by_number and value.keywords["exponent"] in range(1, thresholds.LARGEST_POWER)
    return WHOLE_NUMBER if op in WHOLE or is_power else None


def operand_type(user: Value, place: int) -> np.dtype:
    """The type in which an elementwise operation that has an expression takes the operand in this place."""
    computed = computed_in(user)
    assert computed is not None
    return CONDITION if user.op is elementwise.where and place == 0 else computed


def _common(dtypes: list[np.dtype], numbers: list[Any]) -> np.dtype:
    """The type in which numbers of these types are compared; Python's own numbers take the type of the others."""
    dtype = np.result_type(*dtypes)
    if dtype.kind == "f":
        return dtype
    if any(isinstance(a, float) for a in numbers):
        return np.dtype(np.float64)
    return CONDITION if dtype.kind == "b" and all(isinstance(a, bool) for a in numbers) else WHOLE_NUMBER


def converted(text: str, old: np.dtype, new: np.dtype) -> str:
    """The expression that converts a number of one type to another type."""
    if old == new:
        return text
    if new.kind == "b":
        return f"({text} != 0)"
    if new.kind == "f":
        real = number_type(new)
        return f"({real}(1.0) if {text} else {real}(0.0))" if old.kind == "b" else f"{real}({text})"
    if old.kind == "f" and new in THROUGH_32_BITS:
        text = f"i32({text})"
    whole = text if old == WHOLE_NUMBER else f"i64({text})"
    return whole if new == WHOLE_NUMBER else f"np.{new.name}({whole})"


def literal(a: Any, dtype: np.dtype) -> str:
    """The text of a constant as a number of a type."""
    if dtype.kind == "b":
        return str(bool(a))
    return f"i64({int(a)})" if dtype.kind in "iu" else number(a, number_type(dtype))


def number(a: Any, real: str) -> str:
    """The text of a number of a type, also if it is infinite or NaN."""
    return f"{real}({float(a)!r})".replace("inf", "np.inf").replace("nan", "np.nan")


def number_type(dtype: np.dtype) -> str:
    """The name of a number's type in generated code."""
    return "f64" if dtype == np.float64 else "f32"
