"""The places of Values in a function of machine code: its arguments, arrays of its own, or parts of others.

A Value that is a state, a row of a result and a part of a concatenation is written to all three places as soon as it is
computed, and read from the first. A Value that is only read in the pass that computes it has no place.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Set

from ...autodiff.rules import shape
from ..elements.addresses import Place, part, viewed, whole
from ..elements.expressions import TYPES
from ..elements.function import MachineCode, NoMachineCode
from ..graph.values import Value, name_of
from ..loops.storage import parts_of


class Placement:
    """The places of all Values of one function.

    Attributes:
        code: the function to write to.
        homes: where each Value is read from.
        writes: where it is written to.
        sums: where it is added up over time.
        parts: for each concatenation, the parts that have to be copied into it.
        users: for each Value, the Values that read it.
        kept: the Values that are read outside.
        panels: the matrices that were packed ahead of a loop, and whether they are transposed.
    """

    def __init__(self, code: MachineCode) -> None:
        self.code = code
        self.homes: dict[Value, Place] = {}
        self.writes: dict[Value, list[Place]] = {}
        self.sums: dict[Value, list[Place]] = {}
        self.parts: dict[Value, list[tuple[Place, Value]]] = {}
        self.users: dict[Value, set[Value]] = {}
        self.kept: set[Value] = set()
        self.panels: dict[tuple[Value, bool], str] = {}

    def add_users(self, values: Iterable[Value]) -> None:
        """Note which Values these read."""
        for value in values:
            for v in value.operands:
                self.users.setdefault(v, set()).add(value)

    # --- reading -----------------------------------------------------------------------------------------------------

    def place_of(self, value: Value) -> Place:
        """The place that a Value is read from."""
        if value not in self.homes:
            place = None
            if value.op is shape.broadcast_to:  # a repeated smaller array isn't written out
                place = self.viewed(value)
            self.homes[value] = place or self._outside(value)
        return self.homes[value]

    def _outside(self, value: Value) -> Place:
        """The parameter for a Value from outside, as an array whose elements are contiguous."""
        if value.dtype not in TYPES:
            raise NoMachineCode(f"elements of type {value.dtype}")
        name = self.code.writer.operand(value)
        if not self.code.is_buffer(name):
            name = f"ascontiguousarray({name})" if value.ndim else f"asarray({name})"
        return whole(self.code.argument(name), value.shape)

    def viewed(self, value: Value) -> Place | None:
        """The place of a view, in the place of its base; None if no such place describes it."""
        return viewed(value, self.place_of(value.args[0]), self.code.written)

    def view(self, value: Value) -> bool:
        """Read a view from its base, with other indices; return False if it has to be copied first."""
        base, place = self.place_of(value.args[0]), self.viewed(value)
        if place is None and value.op is shape.reshape and base.is_whole:
            place = self._reshaped(value, base)
        if place is None and value.op is not shape.reshape:
            raise NoMachineCode(f"{name_of(value.op)} of this form")
        if place is not None:
            self.homes[value] = place
        return place is not None

    def copied(self, value: Value) -> Place:
        """A new array as the home of a Value that will be reshaped."""
        base = value.args[0]
        place = whole(self.code.numbered_buffer("temporary", base.shape, base.dtype), base.shape)
        self.homes[value] = self._reshaped(value, place)
        return place

    def _reshaped(self, value: Value, base: Place) -> Place:
        """The place of an array in another shape: the same memory, passed as a second argument."""
        return whole(self.code.argument(f"{self.passed(base)}.reshape({value.shape!r})"), value.shape)

    def passed(self, place: Place) -> str:
        """The outer expression for the array of a place, which has to be all of it."""
        if not place.is_whole:
            raise NoMachineCode("a part of an array that is read afterwards")
        return self.code.passed(place.array)

    # --- writing -----------------------------------------------------------------------------------------------------

    def is_wanted(self, value: Value, computed: Set[Value]) -> bool:
        """Return True if a Value has to be written: to a certain place, or because later Values read it, too."""
        return value in self.kept or value in self.writes or not self.users.get(value, set()) <= computed

    def home(self, value: Value) -> Place:
        """The place that a computed Value is read from: an array of its own, if no other place is required."""
        if value not in self.writes:
            array = self.code.numbered_buffer("temporary", value.shape, value.dtype)
            self.writes[value] = [whole(array, value.shape)]
        self.homes[value] = self.writes[value][0]
        return self.homes[value]

    def write_to(self, place: Place, value: Value) -> None:
        """Register a place to which a Value is written as soon as it is computed."""
        self.writes.setdefault(value, []).append(place)

    def join(self, value: Value, computed: Container[Value] = ()) -> None:
        """Place the parts of a concatenation side by side.

        Args:
            value: the whole.
            computed: the Values that have still to be computed, and so can be written there at once; all others are
                copied.
        """
        if value.keywords["axis"] is None:
            raise NoMachineCode("a concatenation of flattened arrays")
        self.home(value)
        for one in parts_of(value, computed):
            index = (*(slice(None),) * (one.axis % value.ndim), slice(one.start, one.stop))
            for target in self.writes[value]:
                place = part(target, value.shape, index, self.code.written)
                if one.is_in_place:
                    self.write_to(place, one.piece)
                else:
                    self.parts.setdefault(value, []).append((place, one.piece))
