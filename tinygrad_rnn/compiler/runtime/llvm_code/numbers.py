"""Numbers while they are translated: what NumPy's types make of two of them, and LLVM's instructions for it."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from llvmlite import ir

TYPES = {
    "f32": ir.FloatType(),
    "f64": ir.DoubleType(),
    "i32": ir.IntType(32),
    "i64": ir.IntType(64),
    "bool": ir.IntType(1),
}
CONTRACT = ("contract",)  # a product and a sum may become one instruction, nothing else may change
IN_ANY_ORDER = ("contract", "reassoc", "nsz")  # a sum may be added up in any order, too

FLOATING = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
WHOLE = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
BITWISE = {ast.LShift: "shl", ast.RShift: "ashr", ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor"}
COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


class NotTranslated(Exception):
    """Something in generated text that has no translation here."""


class Builder(ir.IRBuilder):
    """A writer of LLVM's language, with what LLVM may change of arithmetic on floats."""

    flags: tuple[str, ...] = CONTRACT


class Number(NamedTuple):
    """A number: the name of its type, and what holds it."""

    kind: str
    value: Any

    @property
    def is_float(self) -> bool:
        """True for a floating-point number."""
        return self.kind[0] == "f"


def constant(x: bool | int | float) -> Number:
    """A number that stands in the text."""
    kind = "bool" if isinstance(x, bool) else "i64" if isinstance(x, int) else "f64"
    return Number(kind, ir.Constant(TYPES[kind], int(x) if kind == "bool" else x))


def converted(builder: Builder, x: Number, kind: str) -> Number:
    """A number as one of another type."""
    if x.kind == kind:
        return x
    type_, order = TYPES[kind], list(TYPES)
    if kind == "bool":
        raise NotTranslated("a number as a condition")
    if isinstance(x.value, ir.Constant):
        folded = x.value.constant
        return Number(kind, ir.Constant(type_, float(folded) if kind[0] == "f" else int(folded)))
    if kind[0] == "f":
        if x.is_float:
            return Number(
                kind, (builder.fpext if order.index(kind) > order.index(x.kind) else builder.fptrunc)(x.value, type_)
            )
        return Number(kind, (builder.uitofp if x.kind == "bool" else builder.sitofp)(x.value, type_))
    if x.is_float:
        return Number(kind, builder.fptosi(x.value, type_))
    if x.kind == "bool":
        return Number(kind, builder.zext(x.value, type_))
    return Number(kind, (builder.sext if kind == "i64" else builder.trunc)(x.value, type_))


def alike(builder: Builder, a: Number, b: Number) -> tuple[Number, Number]:
    """Two numbers in the type that holds both: as in NumPy, float64 for a float and a whole number."""
    kinds = {a.kind, b.kind}
    if len(kinds) == 1 and kinds & {"f32", "f64", "i64"}:
        return a, b
    kind = "f64" if a.is_float or b.is_float else "i64"
    return converted(builder, a, kind), converted(builder, b, kind)


def arithmetic(builder: Builder, op: type[ast.operator], a: Number, b: Number) -> Number:
    """The result of an operator of Python's."""
    a, b = alike(builder, a, b)
    if op is ast.Div and not a.is_float:
        a, b = converted(builder, a, "f64"), converted(builder, b, "f64")
    if a.is_float and op in FLOATING:
        return Number(a.kind, getattr(builder, FLOATING[op])(a.value, b.value, flags=builder.flags))
    if a.is_float and op is ast.Pow:
        return intrinsic(builder, "pow", a, b)
    if not a.is_float and op in WHOLE:
        return Number("i64", getattr(builder, WHOLE[op])(a.value, b.value))  # as NumPy's: it may wrap
    if not a.is_float and op in BITWISE:
        return Number("i64", getattr(builder, BITWISE[op])(a.value, b.value))
    if not a.is_float and op in (ast.FloorDiv, ast.Mod):
        return _divided(builder, op, a, b)
    raise NotTranslated(f"{op.__name__} of {a.kind}")


def _divided(builder: Builder, op: type[ast.operator], a: Number, b: Number) -> Number:
    """The floor of a quotient of whole numbers, or the remainder, which has the sign of the divisor.

    A processor stops at a division by 0, and at that of the smallest number by -1: neither is asked of it.
    """
    integer = a.value.type
    zero, one = ir.Constant(integer, 0), ir.Constant(integer, 1)
    is_special = builder.icmp_unsigned("<=", builder.add(b.value, one), one)  # -1 or 0
    divisor = builder.select(is_special, one, b.value)
    quotient, rest = builder.sdiv(a.value, divisor), builder.srem(a.value, divisor)
    differs = builder.icmp_signed("<", builder.xor(rest, divisor), zero)
    is_off = builder.and_(builder.icmp_signed("!=", rest, zero), differs)
    if op is ast.Mod:
        return Number("i64", builder.select(is_off, builder.add(rest, divisor), rest))
    floor = builder.select(is_off, builder.sub(quotient, one), quotient)
    is_negative = builder.icmp_signed("<", b.value, zero)
    return Number("i64", builder.select(builder.and_(is_special, is_negative), builder.sub(zero, a.value), floor))


def negative(builder: Builder, a: Number) -> Number:
    """Minus a number."""
    if isinstance(a.value, ir.Constant):
        return Number(a.kind, ir.Constant(a.value.type, -a.value.constant))
    if a.is_float:
        return Number(a.kind, builder.fneg(a.value))
    a = converted(builder, a, "i64")
    return Number("i64", builder.neg(a.value))


def compared(builder: Builder, op: type[ast.cmpop], a: Number, b: Number) -> Number:
    """The result of a comparison; nothing compares with NaN, which differs from everything."""
    if op not in COMPARISONS:
        raise NotTranslated(op.__name__)
    a, b = alike(builder, a, b)
    if not a.is_float:
        return Number("bool", builder.icmp_signed(COMPARISONS[op], a.value, b.value))
    compare = builder.fcmp_unordered if op is ast.NotEq else builder.fcmp_ordered
    return Number("bool", compare(COMPARISONS[op], a.value, b.value))


def chosen(builder: Builder, condition: Number, a: Number, b: Number) -> Number:
    """The one number or the other; both have been computed."""
    if a.kind != b.kind:
        a, b = alike(builder, a, b)
    return Number(a.kind, builder.select(truth(condition), a.value, b.value))


def truth(condition: Number) -> Any:
    """The value of LLVM's that holds a condition."""
    if condition.kind != "bool":
        raise NotTranslated("a number as a condition")
    return condition.value


def intrinsic(builder: Builder, name: str, *args: Number) -> Number:
    """A function of LLVM's own."""
    kind = args[0].kind
    function = builder.module.declare_intrinsic(
        f"llvm.{name}", [TYPES[kind]], ir.FunctionType(TYPES[kind], [TYPES[kind]] * len(args))
    )
    return Number(kind, builder.call(function, [a.value for a in args], fastmath=builder.flags))
