"""Machine code for what puts pieces together: assembled slices, stacks, updates of a part, running sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autodiff.rules import cumulative, indexing, shape
from ..elements.addresses import Place, aligned, sliced
from ..elements.expressions import number, number_type
from ..elements.function import MachineCode, NoMachineCode
from ..graph.values import Value, name_of_operation
from .placement import Placement


class Pieces:
    """A writer of operations that put pieces together.

    Args:
        code: where to.
        placement: where the elements lie.
    """

    def __init__(self, code: MachineCode, placement: Placement) -> None:
        self._code, self._placement = code, placement
        self.of: dict[Any, Any] = {
            indexing.assemble: self._assemble,
            indexing.updated: self._update,
            shape.stacked: self._stack,
            cumulative.running_sum: self._running_sum,
        }

    def write(self, value: Value) -> None:
        """Write one of the operations in ``of``, to its home."""
        self._code.kernel("pieces", self.of[value.op](value))

    def _assemble(self, value: Value) -> list[str]:
        """Zeros, to which each piece is added in its place."""
        home, indices = self._placement.home(value), _indices(value.shape)
        lines = self._code.nest(value.shape, [f"{home.at(indices)} = {number(0, number_type(value.dtype))}"])
        for piece, index in zip(value.args, value.keywords["indices"]):
            place, own = _part(value, home, index), _indices(piece.shape)
            lines += self._code.nest(piece.shape, [f"{place.at(own)} += {self._placement.place_of(piece).at(own)}"])
        return lines

    def _stack(self, value: Value) -> list[str]:
        home = self._placement.home(value)
        axis = value.keywords.get("axis", 0) % value.ndim
        lines: list[str] = []
        for i, piece in enumerate(value.args):
            if not isinstance(piece, Value):
                raise NoMachineCode("a stack of Tensors and numbers")
            place, own = _part(value, home, (*(slice(None),) * axis, i)), _indices(piece.shape)
            lines += self._code.nest(piece.shape, [f"{place.at(own)} = {self._placement.place_of(piece).at(own)}"])
        return lines

    def _update(self, value: Value) -> list[str]:
        """A copy, with another part."""
        before, new, index = value.args
        home, indices = self._placement.home(value), _indices(value.shape)
        if not isinstance(before, Value):
            raise NoMachineCode(f"{name_of_operation(value)} of this form")
        lines = self._code.nest(value.shape, [f"{home.at(indices)} = {self._placement.place_of(before).at(indices)}"])
        place = _part(value, home, index)
        written = np.broadcast_to(np.empty((), bool), value.shape)[index].shape
        own = _indices(written)
        if not isinstance(new, Value):
            text = number(new, number_type(value.dtype))
        elif new.ndim > len(written):
            raise NoMachineCode(f"{name_of_operation(value)} of this form")
        else:
            text = self._placement.place_of(new).at(aligned(own, new.shape))
        return lines + self._code.nest(written, [f"{place.at(own)} = {text}"])

    def _running_sum(self, value: Value) -> list[str]:
        a = value.args[0]
        axis = (value.args[1] if len(value.args) > 1 else value.keywords["axis"]) % a.ndim
        home, indices = self._placement.home(value), _indices(a.shape)
        before = [f"{index} - 1" if i == axis else index for i, index in enumerate(indices)]
        source = self._placement.place_of(a).at(indices)
        step = f"{source} + {home.at(before)} if {indices[axis]} > 0 else {source}"
        return self._code.nest(a.shape, [f"{home.at(indices)} = {step}"])


def _part(value: Value, home: Place, index: Any) -> Place:
    """The place of a part of a Value."""
    index = index if isinstance(index, tuple) else (index,)
    place = sliced(home, value.shape, index) if indexing.is_basic(index) else None
    if place is None or value.dtype.kind != "f":
        raise NoMachineCode(f"{name_of_operation(value)} of this form")
    return place


def _indices(sizes: tuple[int, ...]) -> list[str]:
    return [f"i{axis}" for axis in range(len(sizes))]
