"""How machine code computes each elementwise operation: an expression of numbers, in the language of generated code.

A value without an expression here has no machine-code form; the step that holds it runs on NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autodiff.rules import activations, elementwise, shape
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

# Functions of one number, by the name that generated code calls them by; {} is 32 or 64.
UNARY = {
    activations.logistic: "sigmoid{}({})",
    elementwise.tanh: "tanh{}({})",
    elementwise.exp: "exp{}({})",
    elementwise.log: "np.log({1})",
    elementwise.sqrt: "np.sqrt({1})",
    elementwise.sin: "np.sin({1})",
    elementwise.cos: "np.cos({1})",
    elementwise.square: "({1} * {1})",
    elementwise.negative: "(-{1})",
    elementwise.positive: "{1}",
    stop_gradient: "{1}",
    elementwise.absolute: "abs({1})",
    elementwise.reciprocal: "(f{0}(1.0) / {1})",
    activations.rectifier: "(f{0}(0.0) if {1} <= f{0}(0.0) else {1})",
    elementwise.sign: "(f{0}(1.0) if {1} > f{0}(0.0) else (f{0}(-1.0) if {1} < f{0}(0.0) else {1}))",
    np.logical_not: "(not {1})",
    np.invert: "(not {1})",
}
LARGEST_POWER = 8  # written out as products


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
    if float(exponent).is_integer() and 1 <= abs(exponent) <= LARGEST_POWER:
        product = f"({' * '.join([x] * int(abs(exponent)))})"
        return product if exponent > 0 else f"({real}(1.0) / {product})"
    number = repr(float(exponent)).replace("inf", "np.inf").replace("nan", "np.nan")
    return f"({x} ** {real}({number}))"


def _larger(value: Value, real: str, x: str, y: str) -> str:
    return f"({x} if ({x} >= {y} or {x} != {x}) else {y})"


def _smaller(value: Value, real: str, x: str, y: str) -> str:
    return f"({x} if ({x} <= {y} or {x} != {x}) else {y})"


def _clip(value: Value, real: str, x: str, low: str, high: str) -> str:
    """Bounds that cross give the upper one, as in NumPy."""
    x = x if value.args[1] is None else f"({low} if {x} < {low} else {x})"
    return x if value.args[2] is None else f"({high} if {x} > {high} else {x})"


OTHERS: dict[Any, Expression] = {
    elementwise.power_by_number: _power,
    elementwise.maximum: _larger,
    elementwise.minimum: _smaller,
    elementwise.clipped: _clip,
    elementwise.where: lambda value, real, condition, x, y: f"({x} if {condition} else {y})",
    shape.cast: lambda value, real, x, *dtype: x,
}


def has_expression(value: Value) -> bool:
    """Whether machine code knows the operation, on numbers of these types."""
    if value.op not in BINARY and value.op not in UNARY and value.op not in OTHERS:
        return False
    floats = {a.dtype for a in value.args if isinstance(a, Value) and a.dtype.kind == "f"}
    kinds = {a.dtype.kind for a in value.args if isinstance(a, Value)}
    if not kinds <= {"f", "b"} or len(floats) > 1:
        return False
    if value.op in COMPARISONS:
        return "f" in kinds and "b" not in kinds
    if value.op in LOGIC:
        return kinds == {"b"}
    return value.dtype in (np.float32, np.float64) and floats <= {value.dtype}


def number_type(dtype: np.dtype) -> str:
    """What generated code calls the type of numbers."""
    return "f64" if dtype == np.float64 else "f32"
