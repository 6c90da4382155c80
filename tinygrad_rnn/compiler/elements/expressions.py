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

BITS = {np.bitwise_and: "&", np.bitwise_or: "|", np.bitwise_xor: "^"}  # whole numbers; for conditions they are logical
OPERATORS = {
    elementwise.add: "+", elementwise.subtract: "-", elementwise.multiply: "*", elementwise.divide: "/",
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "==", np.not_equal: "!=",
    np.logical_and: "and", np.logical_or: "or", np.logical_xor: "!=", **BITS,
}  # fmt: skip
OF_CONDITIONS = {
    np.bitwise_and: "and", np.bitwise_or: "or", np.bitwise_xor: "!=",
    elementwise.multiply: "and", elementwise.add: "or", elementwise.minimum: "and", elementwise.maximum: "or",
}  # fmt: skip
COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
LOGIC = {np.logical_and, np.logical_or, np.logical_xor, np.logical_not}

# Machine code has these under NumPy's names.
OF_ONE = """
    log2 log10 exp2 expm1 sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh
    floor ceil trunc rint fabs degrees radians
"""
OF_TWO = "fmod copysign hypot arctan2"
TESTS = (np.isnan, np.isinf, np.isfinite, np.signbit)  # of numbers
RECTIFIED = "({real}(0.0) if {0} <= {real}(0.0) else {0})"
SOFTPLUS = f"(log1p_of_share{{bits}}(exp{{bits}}(-abs({{0}}))) + {RECTIFIED})"
# The first of two numbers if a condition holds, else the second; the second of two equal ones, as NumPy does.
CHOICE = "({{0}} if ({}) else {{1}})"

# The text of an operation on numbers: {0}, {1}, ... of the type {real}, f32 or f64, which has so many {bits}.
TEXTS: dict[Any, str] = {
    **{op: f"({{0}} {sign} {{1}})" for op, sign in OPERATORS.items()},
    **{getattr(elementwise, name): f"np.{name}({{0}})" for name in OF_ONE.split()},
    **{getattr(elementwise, name): f"np.{name}({{0}}, {{1}})" for name in OF_TWO.split()},
    **{test: f"np.{test.__name__}({{0}})" for test in TESTS},
    activations.logistic: "sigmoid{bits}({0})",
    elementwise.tanh: "tanh{bits}({0})",
    elementwise.exp: "exp{bits}({0})",
    elementwise.log: "log{bits}({0})",
    elementwise.log1p: "log1p{bits}({0})",
    elementwise.square: "({0} * {0})",
    elementwise.negative: "(-{0})",
    stop_gradient: "{0}",
    elementwise.absolute: "abs({0})",
    elementwise.reciprocal: "({real}(1.0) / {0})",
    activations.rectifier: RECTIFIED,
    elementwise.sign: "({real}(1.0) if {0} > {real}(0.0) else {real}(-1.0) if {0} < {real}(0.0) else abs({0}))",
    activations.soft_rectifier: SOFTPLUS,
    activations.log_logistic: f"(-{SOFTPLUS.replace('{0}', '(-{0})')})",
    special.error_function: "{real}(erf({0}))",
    np.logical_not: "(not {0})",
    np.invert: "(~{0})",
    # Bits that are shifted beyond the last are lost; NumPy takes a negative number of places for a large one.
    np.left_shift: "({0} << {1} if 0 <= {1} and {1} < 64 else i64(0))",
    np.right_shift: "({0} >> ({1} if 0 <= {1} and {1} < 64 else i64(63)))",
    elementwise.maximum: CHOICE.format("{0} > {1} or {0} != {0}"),
    elementwise.minimum: CHOICE.format("{0} < {1} or {0} != {0}"),
    elementwise.fmax: CHOICE.format("{0} > {1} or {1} != {1}"),
    elementwise.fmin: CHOICE.format("{0} < {1} or {1} != {1}"),
    elementwise.power_of: "({0} ** {1})",
    elementwise.floor_divide: "floor_divide{bits}({0}, {1})",
    elementwise.remainder: "remainder({0}, {1})",
    elementwise.heaviside: "({real}(0) if {0} < 0 else {real}(1) if {0} > 0 else {1} if {0} == 0 else {0})",
    elementwise.where: "({1} if {0} else {2})",
    log_probabilities.logaddexp: "logaddexp{bits}({0}, {1})",
    log_probabilities.logaddexp2: "np.logaddexp2({0}, {1})",
}
OF_WHOLE_NUMBERS = {
    elementwise.floor_divide: "(i64(0) if {1} == 0 else {0} // {1})",
    elementwise.remainder: "(i64(0) if {1} == 0 else {0} % {1})",
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
    real = number_type(computed)
    if value.op in FORMS:
        text = FORMS[value.op](value, real, *args)
    else:
        texts = OF_WHOLE_NUMBERS if computed.kind == "i" and value.op in OF_WHOLE_NUMBERS else TEXTS
        text = texts[value.op].format(*args, real=real, bits=real[1:])
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


def _clip(value: Value, real: str, x: str, low: str, high: str) -> str:
    """The expression of a clip; as in NumPy, crossed bounds give the upper one, and a NaN bound gives NaN."""
    x = x if value.args[1] is None else TEXTS[elementwise.maximum].format(x, low)
    return x if value.args[2] is None else TEXTS[elementwise.minimum].format(x, high)


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


FORMS: dict[Any, Callable[..., str]] = {
    elementwise.power_by_number: _power,
    elementwise.clipped: _clip,
    elementwise.rounded: _rounded,
    elementwise.finite: _finite,
}
# Operations that whole numbers have, too, in 64 bits; a result of fewer bits is wrapped, as in NumPy.
WHOLE = {
    elementwise.add, elementwise.subtract, elementwise.multiply, elementwise.where, elementwise.negative,
    elementwise.absolute, elementwise.square, elementwise.maximum, elementwise.minimum, elementwise.clipped,
    stop_gradient, np.invert, np.left_shift, np.right_shift, *OF_WHOLE_NUMBERS, *BITS,
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
    if op not in TEXTS and op not in FORMS:
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
