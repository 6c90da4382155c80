"""Arrays while they are translated: where elements lie, and how they are read and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from llvmlite import ir

from .numbers import TYPES, Builder, NotTranslated, Number, converted

# The bits of whole numbers that are of 64 bits everywhere else.
SHORT = {
    "i8": 8,
    "i16": 16,
    "i32": 32,
    "u8": 8,
    "u16": 16,
    "u32": 32,
}
IN_MEMORY = {**TYPES, "bool": ir.IntType(8), **{kind: ir.IntType(bits) for kind, bits in SHORT.items()}}
BYTES = {"f32": 4, "f64": 8, "i64": 8, "bool": 1, **{kind: bits // 8 for kind, bits in SHORT.items()}}
ONE = ir.Constant(TYPES["i64"], 1)


class Array(NamedTuple):
    """An array.

    Attributes:
        kind: the type of its elements.
        pointer: its first element.
        shape: the lengths of its axes.
        strides: how many elements further the next index of an axis is; None for a whole one: then the next element.
    """

    kind: str
    pointer: Any
    shape: tuple[Any, ...]
    strides: tuple[Any, ...]

    @property
    def form(self) -> tuple[Any, ...]:
        """The properties of an array for which a function is written."""
        return self.kind, tuple([stride is ONE for stride in self.strides])

    def at(self, builder: Builder, indices: Sequence[Number]) -> Array:
        """The part with these first indices; all of them give an array of no axes: one element."""
        if len(indices) > len(self.shape):
            raise NotTranslated("too many indices")
        pointer, flags = self.pointer, ("nsw",)
        steps = []
        for index, stride, n in zip(indices, self.strides, self.shape):
            i = converted(builder, index, "i64").value
            if isinstance(i, ir.Constant) and i.constant < 0:  # counted from the end
                i = builder.add(n, i)
            steps.append(i if stride is ONE else builder.mul(i, stride, flags=flags))
        if steps:
            offset = steps[0]
            for step in steps[1:]:
                offset = builder.add(offset, step, flags=flags)
            pointer = builder.gep(pointer, [offset], inbounds=True)
        return Array(self.kind, pointer, self.shape[len(indices) :], self.strides[len(indices) :])

    def load(self, builder: Builder) -> Number:
        """The one element."""
        loaded = builder.load(self._element(), align=BYTES[self.kind])
        if self.kind == "bool":
            return Number("bool", builder.icmp_unsigned("!=", loaded, ir.Constant(loaded.type, 0)))
        return Number("i64", widened(builder, loaded, self.kind)) if self.kind in SHORT else Number(self.kind, loaded)

    def store(self, builder: Builder, x: Number) -> None:
        """Write the one element."""
        value = converted(builder, x, "i64" if self.kind in SHORT else self.kind).value
        if self.kind == "bool":
            value = builder.zext(value, IN_MEMORY["bool"])
        elif self.kind in SHORT:
            value = builder.trunc(value, IN_MEMORY[self.kind])
        builder.store(value, self._element(), align=BYTES[self.kind])

    def _element(self) -> Any:
        if self.shape:
            raise NotTranslated("a part of an array as a number")
        return self.pointer


def widened(builder: Builder, value: Any, kind: str) -> Any:
    """A whole number of few bits as one of 64."""
    return (builder.zext if kind[0] == "u" else builder.sext)(value, TYPES["i64"])


def wrapped(builder: Builder, x: Number, kind: str) -> Number:
    """A whole number as it is in few bits."""
    value = builder.trunc(converted(builder, x, "i64").value, IN_MEMORY[kind])
    return Number("i64", widened(builder, value, kind))
