"""Machine code for arrays that are assembled from pieces: slices, stacks, updates of a part, running sums."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ...autodiff.rules import cumulative, indexing, shape
from ..elements.addresses import Place, aligned, part
from ..elements.expressions import TYPES, WHOLE_NUMBER, converted, literal
from ..elements.function import MachineCode, NoMachineCode
from ..graph.values import Value, name_of
from .placement import Placement

RUNNING = {cumulative.running_sum: "+", cumulative.running_product: "*"}


class Pieces:
    """A writer of operations that put pieces together."""

    def __init__(self, code: MachineCode, placement: Placement) -> None:
        self._code, self._placement = code, placement
        self._lines: dict[Any, Any] = {
            indexing.getitem: self._gather,
            indexing.assemble: self._assemble,
            indexing.updated: self._update,
            shape.stacked: self._stack,
            **dict.fromkeys(RUNNING, self._running),
        }
        self.of = dict.fromkeys(self._lines, self._write)

    def _write(self, value: Value) -> None:
        self._code.kernel("pieces", self._lines[value.op](value))

    def _assemble(self, value: Value) -> list[str]:
        """Write zeros, and add each piece in its place."""
        home, indices = self._placement.home(value), _indices(value.shape)
        lines = self._code.nest(value.shape, [f"{home.at(indices)} = {literal(0, value.dtype)}"])
        for piece, index in zip(value.args, value.keywords["indices"]):
            place, own = self._part(value, home, index)
            term = self._placement.place_of(piece).at(aligned(_indices(own), piece.shape))
            lines += self._code.nest_along(own, _in_memory(place, own), [f"{place.at(_indices(own))} += {term}"])
        return lines

    def _gather(self, value: Value) -> list[str]:
        """Write the elements at the places in an array of whole numbers."""
        base, index = value.args
        place, _ = self._part(base, self._placement.place_of(base), index)
        indices = _indices(value.shape)
        line = f"{self._placement.home(value).at(indices)} = {place.at(indices)}"
        return self._code.nest_along(value.shape, _in_memory(place, value.shape), [line])

    def _stack(self, value: Value) -> list[str]:
        home = self._placement.home(value)
        axis = value.keywords.get("axis", 0) % value.ndim
        lines: list[str] = []
        for i, piece in enumerate(value.args):
            if not isinstance(piece, Value):
                raise NoMachineCode("a stack of Tensors and numbers")
            place, own = self._part(value, home, (*(slice(None),) * axis, i))
            term = self._placement.place_of(piece).at(_indices(own))
            lines += self._code.nest(own, [f"{place.at(_indices(own))} = {term}"])
        return lines

    def _update(self, value: Value) -> list[str]:
        """Write a copy in which one part is replaced."""
        before, new, index = value.args
        home, indices = self._placement.home(value), _indices(value.shape)
        if not isinstance(before, Value):
            raise NoMachineCode(f"{name_of(value.op)} of this form")
        lines = self._code.nest(value.shape, [f"{home.at(indices)} = {self._placement.place_of(before).at(indices)}"])
        place, written = self._part(value, home, index)
        own = _indices(written)
        if not isinstance(new, Value):
            text = literal(new, value.dtype)
        elif new.ndim > len(written):
            raise NoMachineCode(f"{name_of(value.op)} of this form")
        else:
            text = converted(self._placement.place_of(new).at(aligned(own, new.shape)), new.dtype, value.dtype)
        return lines + self._code.nest(written, [f"{place.at(own)} = {text}"])

    def _running(self, value: Value) -> list[str]:
        """Write a running sum or product: each element, combined with the result before it."""
        a = value.args[0]
        axis = (value.args[1] if len(value.args) > 1 else value.keywords["axis"]) % a.ndim
        home, indices = self._placement.home(value), _indices(a.shape)
        before = home.at([f"{index} - 1" if i == axis else index for i, index in enumerate(indices)])
        source = converted(self._placement.place_of(a).at(indices), a.dtype, value.dtype)
        step = f"{source} {RUNNING[value.op]} {before} if {indices[axis]} > 0 else {source}"
        return self._code.nest(a.shape, [f"{home.at(indices)} = {step}"])

    def _part(self, value: Value, place: Place, index: Any) -> tuple[Place, tuple[int, ...]]:
        """The place of a part of a Value that lies in a place, and the shape of the part."""
        index = index if isinstance(index, tuple) else (index,)
        if not {value.dtype, *(each.dtype for each in index if isinstance(each, Value))} <= TYPES:
            raise NoMachineCode(f"an index into elements of type {value.dtype}")
        return part(place, value.shape, index, self._place_along), indexing.selected_shape(value.shape, index)

    def _place_along(self, index: Value, indices: list[str], length: int) -> str:
        """The text of an element of an index: a place along an axis, checked and counted from the front."""
        element = self._placement.place_of(index).at(indices)
        if index.array is None or np.any(index.array < 0):
            return f"place_along({converted(element, index.dtype, WHOLE_NUMBER)}, {self._code.written(length)})"
        if index.size and np.max(index.array) >= length:
            raise NoMachineCode("an index that is out of bounds")  # NumPy says it
        return element


def _in_memory(place: Place, sizes: tuple[int, ...]) -> list[int]:
    """The order of loops over a part that stays longest with what is in the caches; the last axis is the innermost.

    The diagonals of tables, ``tables[row, :, column]``, touch each table once, and not once for each diagonal.
    """
    texts = place.indices_of(_indices(sizes))

    def slowest(axis: int) -> int:
        return next((n for n, text in enumerate(texts) if f"i{axis}" in re.findall(r"\w+", text)), 0)

    return [*sorted(range(len(sizes) - 1), key=slowest), *range(len(sizes))[-1:]]


def _indices(sizes: tuple[int, ...]) -> list[str]:
    return [f"i{axis}" for axis in range(len(sizes))]
