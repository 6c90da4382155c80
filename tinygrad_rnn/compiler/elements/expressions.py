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
    np.bitwise_and: "and", np.bitwise_or: "or", np.bitwise_xor: "!=",
}  # fmt: skip
COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
LOGIC = {
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert,
}  # fmt: skip

# Those of numba, which keep NumPy's zeros, infinities and NaN; its sign, floor_divide and remainder don't.
OF_NUMBA = """
    log log2 log10 log1p exp2 expm1 sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh
    floor ceil trunc rint fabs degrees radians
"""
TESTS = (np.isnan, np.isinf, np.isfinite, np.signbit)  # of numbers
SOFTPLUS = "(np.log1p(exp{0}(-abs({1}))) + (f{0}(0.0) if {1} <= f{0}(0.0) else {1}))"

# Functions of one number, by the name that generated code calls them by; {} is 32 or 64.
UNARY = {
    activations.logistic: "sigmoid{}({})",
    elementwise.tanh: "tanh{}({})",
    elementwise.exp: "exp{}({})",
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
    np.invert: "(not {1})",
    **{getattr(elementwise, name): f"np.{name}({{1}})" for name in OF_NUMBA.split()},
    **{test: f"np.{test.__name__}({{1}})" for test in TESTS},
}


def expression(value: Value, args: list[str]) -> str | None:
    """The expression of an elementwise Value of numbers that have these names; None if there is none."""
    if not has_expression(value):
        return None
    bits = "64" if value.dtype == np.float64 else "32"
    if value.op in BINARY:
        return f"({args[0]} {BINARY[value.op]} {args[1]})"
    if value.op in UNARY:
        return UNARY[value.op].format(bits, args[0])
    return OTHERS[value.op](value, f"f{bits}", *args)


def _power(value: Value, real: str, x: str) -> str:
    exponent = value.keywords["exponent"]
    if exponent == 0.5:
        return f"np.sqrt({x})"
    if float(exponent).is_integer() and 1 <= abs(exponent) <= thresholds.LARGEST_POWER:
        factor = x if exponent > 0 else f"({real}(1.0) / {x})"
        return f"({' * '.join([factor] * int(abs(exponent)))})"
    return f"({x} ** {number(exponent, real)})"


def _choice(condition: str) -> Expression:
    """The first of two numbers if a condition holds, else the second: of equals, as of zeros, the second, as NumPy."""
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
    elementwise.hypot: _of_two("hypot"),
    elementwise.arctan2: _of_two("arctan2"),
    log_probabilities.logaddexp: _of_two("logaddexp"),
    log_probabilities.logaddexp2: _of_two("logaddexp2"),
    elementwise.where: lambda value, real, condition, x, y: f"({x} if {condition} else {y})",
    shape.cast: lambda value, real, x, *dtype: f"{real}({x})",
}


MIXED = {elementwise.add, elementwise.subtract, elementwise.multiply, elementwise.divide, elementwise.where}
WHOLE = {elementwise.negative, elementwise.absolute, elementwise.maximum, elementwise.minimum, elementwise.square,
         elementwise.remainder, elementwise.floor_divide, np.remainder, np.floor_divide}  # fmt: skip


def has_expression(value: Value) -> bool:
    """Return True if machine code has the operation on numbers of these types."""
    if value.op not in BINARY and value.op not in UNARY and value.op not in OTHERS:
        return False
    floats = {a.dtype for a in value.args if isinstance(a, Value) and a.dtype.kind == "f"}
    kinds = {a.dtype.kind for a in value.args if isinstance(a, Value)}
    if value.op is shape.cast:
        return kinds <= {"f", "b", "i"} and value.dtype in (np.float32, np.float64)
    if "i" in kinds:
        return _has_whole_expression(value)
    if not kinds <= {"f", "b"} or len(floats) > 1:
        return False
    if value.op in TESTS:
        return kinds == {"f"}
    if value.op in COMPARISONS:
        return "f" in kinds and "b" not in kinds
    if value.op in LOGIC:
        return kinds == {"b"}
    return value.dtype in (np.float32, np.float64) and floats <= {value.dtype}


def _has_whole_expression(value: Value) -> bool:
    """Return True if machine code has the operation on 64-bit integers, and perhaps on others besides."""
    dtypes = {a.dtype for a in value.args if isinstance(a, Value)}
    if any(dtype.kind == "i" and dtype != np.int64 for dtype in dtypes):
        return False
    if value.op in COMPARISONS:
        return not any(dtype.kind == "b" for dtype in dtypes)
    if value.op in MIXED:
        return value.dtype in (np.int64, np.float64) and np.float32 not in dtypes
    return value.op in WHOLE and value.dtype == np.int64 and not any(dtype.kind == "f" for dtype in dtypes)


def number(a: Any, real: str) -> str:
    """The text of a number of a type, be it infinite or NaN."""
    return f"{real}({float(a)!r})".replace("inf", "np.inf").replace("nan", "np.nan")


def number_type(dtype: np.dtype) -> str:
    """The name of a number's type in generated code."""
    return "f64" if dtype == np.float64 else "f32"
