"""Functions of single numbers in generated text: LLVM's own, those of the C library, and a few instructions."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir

from .arrays import SHORT, wrapped
from .numbers import (
    TYPES,
    Builder,
    NotTranslated,
    Number,
    alike,
    arithmetic,
    chosen,
    compared,
    constant,
    converted,
    intrinsic,
    negative,
)

Function = Callable[..., Number]

OF_LLVM = (
    "exp", "exp2", "log", "log2", "log10", "sqrt", "sin", "cos", "floor", "ceil", "trunc", "rint", "fabs", "copysign",
)  # fmt: skip
OF_C = {
    "log1p": "log1p", "expm1": "expm1", "tan": "tan", "arcsin": "asin", "arccos": "acos", "arctan": "atan",
    "sinh": "sinh", "cosh": "cosh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "erf": "erf",
    "cbrt": "cbrt", "hypot": "hypot", "arctan2": "atan2", "fmod": "fmod",
}  # fmt: skip


def _of_llvm(name: str) -> Function:
    return lambda builder, *args: intrinsic(builder, name, *_floats(builder, args))


def _of_c(name: str) -> Function:
    """A function of the C library, whose name for float32 ends in an f."""

    def call(builder: Builder, *given: Number) -> Number:
        args = _floats(builder, given)
        type_ = TYPES[args[0].kind]
        full = name if args[0].kind == "f64" else f"{name}f"
        function = builder.module.globals.get(full)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(type_, [type_] * len(args)), full)
            function.attributes.add("nounwind")
        return Number(args[0].kind, builder.call(function, [a.value for a in args], fastmath=builder.flags))

    return call


def _floats(builder: Builder, args: Any) -> list[Number]:
    """Numbers as floats of one type."""
    kind = "f32" if all(a.kind == "f32" for a in args) else "f64"
    return [converted(builder, a, kind) for a in args]


def _absolute(builder: Builder, x: Number) -> Number:
    if x.is_float:
        return intrinsic(builder, "fabs", x)
    return chosen(
        builder, compared(builder, ast.Lt, x, constant(0)), negative(builder, x), converted(builder, x, "i64")
    )


def _least(op: type[ast.cmpop]) -> Function:
    def least(builder: Builder, a: Number, b: Number) -> Number:
        a, b = alike(builder, a, b)
        if a.is_float:
            raise NotTranslated("min or max of floats")
        return chosen(builder, compared(builder, op, b, a), b, a)

    return least


def _is_nan(builder: Builder, x: Number) -> Number:
    return compared(builder, ast.NotEq, x, x)


def _against_infinity(op: type[ast.cmpop]) -> Function:
    def test(builder: Builder, x: Number) -> Number:
        return compared(builder, op, intrinsic(builder, "fabs", x), converted(builder, constant(math.inf), x.kind))

    return test


def _sign_bit(builder: Builder, x: Number) -> Number:
    bits = ir.IntType(32 if x.kind == "f32" else 64)
    return Number("bool", builder.icmp_signed("<", builder.bitcast(x.value, bits), ir.Constant(bits, 0)))


def _float_of_bits(builder: Builder, n: Number) -> Number:
    kind = "f32" if n.kind == "i32" else "f64"
    return Number(kind, builder.bitcast(n.value, TYPES[kind]))


def _bits_of_float(builder: Builder, x: Number) -> Number:
    kind = "i32" if x.kind == "f32" else "i64"
    return Number(kind, builder.bitcast(x.value, TYPES[kind]))


def _scaled(factor: float) -> Function:
    return lambda builder, x: arithmetic(builder, ast.Mult, x, converted(builder, constant(factor), x.kind))


def _logaddexp2(builder: Builder, x: Number, y: Number) -> Number:
    """The logarithm to the base 2 of a sum of two powers, as NumPy computes it: the larger, and a correction."""
    x, y = _floats(builder, [x, y])
    real = lambda number: converted(builder, constant(number), x.kind)  # noqa: E731
    difference = arithmetic(builder, ast.Sub, x, y)
    larger = chosen(builder, compared(builder, ast.Gt, difference, real(0.0)), x, y)
    small = FUNCTIONS["exp2"](builder, negative(builder, intrinsic(builder, "fabs", difference)))
    rest = arithmetic(builder, ast.Mult, FUNCTIONS["log1p"](builder, small), real(1 / math.log(2)))
    result = arithmetic(builder, ast.Add, larger, rest)
    result = chosen(builder, _is_nan(builder, difference), difference, result)
    same = arithmetic(builder, ast.Add, x, real(1.0))
    return chosen(builder, compared(builder, ast.Eq, x, y), same, result)


# By the names by which generated text calls them.
FUNCTIONS: dict[str, Function] = {
    **{kind: partial(converted, kind=kind) for kind in ("f32", "f64", "i32", "i64")},
    **{name: _of_llvm(name) for name in OF_LLVM},
    **{name: _of_c(name_in_c) for name, name_in_c in OF_C.items()},
    **{kind.replace("i", "int").replace("u", "uint"): partial(wrapped, kind=kind) for kind in SHORT},
    "abs": _absolute,
    "min": _least(ast.Lt),
    "max": _least(ast.Gt),
    "maximum": _of_llvm("maximum"),  # of floats: NaN if one of them is
    "isnan": _is_nan,
    "isinf": _against_infinity(ast.Eq),
    "isfinite": _against_infinity(ast.Lt),
    "signbit": _sign_bit,
    "float_of_bits": _float_of_bits,
    "bits_of_float": _bits_of_float,
    "degrees": _scaled(180 / math.pi),
    "radians": _scaled(math.pi / 180),
    "logaddexp2": _logaddexp2,
}
COSTLY = {*OF_LLVM, *OF_C, "logaddexp2"} - {"sqrt", "floor", "ceil", "trunc", "rint", "fabs", "copysign"}
