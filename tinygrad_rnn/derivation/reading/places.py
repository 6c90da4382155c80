"""The places of operations in the incomplete steps at both ends of a plain loop.

An operation on constants alone leaves no recording, and neither does one that the loss doesn't need: so the first steps
and the last one may have fewer operations than others. What such a step has is known by its neighbours: whole steps
tell from which place an operation reads each of its operands, and how many steps before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...autodiff.rules import elementwise
from .items import Item


class Slot(NamedTuple):
    """A place in a step."""

    step: int  # the number of the step, 0 for the first whole step; negative before it
    place: int  # the place of the operation in the step


class _Read(NamedTuple):
    """An operand that whole steps read: from a place in the step that is a number of steps before."""

    place: int
    ago: int


class Places:
    """The operations of incomplete steps beside whole ones.

    Args:
        items: the operations of a stretch, in the order of recording.
        first: the position where the whole steps begin.
        period: the number of operations in a whole step.
        steps: the number of whole steps.

    Attributes:
        slots: the Slot of each Item that has one, by its id.
    """

    def __init__(self, items: Sequence[Item], first: int, period: int, steps: int) -> None:
        end = first + steps * period
        self.slots = {id(item): Slot(*divmod(k, period)) for k, item in enumerate(items[first:end])}
        self._taken = set(self.slots.values())
        self._model = items[end - period : end]
        self._reads = [[self._read(given, steps - 1) for given in item.inputs] for item in self._model]
        self._fixed = [self._same_at_all(items[first + place : end : period]) for place in range(period)]
        self._readers: dict[int, list[tuple[Item, int]]] = {}
        for item in items:
            for position, given in enumerate(item.inputs):
                self._readers.setdefault(id(given), []).append((item, position))
        beside = [*items[:first], *items[end:]]
        before = -1
        while len(self.slots) > before:
            before = len(self.slots)
            for item in reversed(beside):
                self._put(item, self._as_readers_tell(item))
            for item in beside:
                self._put(item, self._as_operands_tell(item))
        for item in beside:
            self._move(item)

    def _read(self, given: Any, step: int) -> _Read | None:
        slot = self.slots.get(id(given))
        return _Read(slot.place, step - slot.step) if slot else None

    def _operand(self, place: int, position: int) -> _Read | None:
        """The operand of a whole step, if there is one in this position: not all steps have as many."""
        reads = self._reads[place]
        return reads[position] if position < len(reads) else None

    @staticmethod
    def _same_at_all(items: Sequence[Item]) -> list[bool]:
        """The answer for each operand: True if it is one parameter, one array of data, or one number at all steps."""
        columns = zip(*(item.inputs for item in items))
        return [_has_name(column[0]) and all(_is_same(given, column[0]) for given in column) for column in columns]

    def _put(self, item: Item, choices: Iterator[Slot]) -> None:
        if id(item) in self.slots:
            return
        found = next((s for s in choices if s not in self._taken and self._fits(item, s)), None)
        if found is not None:
            self.slots[id(item)] = found
            self._taken.add(found)

    def _move(self, item: Item) -> None:
        """Move an Item to the step of its operands: a sum that leaves out steps is read by a later one."""
        slot = self.slots.get(id(item))
        if slot is None:
            return
        given = zip(map(self.slots.get, map(id, item.inputs)), self._reads[slot.place])
        steps = [at.step + read.ago for at, read in given if at and read and at.place == read.place]
        moved = slot._replace(step=max(steps, default=slot.step))
        if moved not in self._taken:
            self._taken.add(moved)
            self.slots[id(item)] = moved

    def _as_readers_tell(self, item: Item) -> Iterator[Slot]:
        for reader, position in self._readers.get(id(item), ()):
            slot = self.slots.get(id(reader))
            read = self._operand(slot.place, position) if slot else None
            if slot and read:
                yield from self._standing_for(Slot(slot.step - read.ago, read.place))

    def _as_operands_tell(self, item: Item) -> Iterator[Slot]:
        for position, given in enumerate(item.inputs):
            slot = self.slots.get(id(given))
            if slot is None:
                continue
            for place in range(len(self._model)):
                read = self._operand(place, position)
                if read and read.place == slot.place:
                    yield Slot(slot.step + read.ago, place)

    def _standing_for(self, slot: Slot) -> Iterator[Slot]:
        """The Slots whose value may be read as that of one Slot: its own, and a term where the sum is 0 + x."""
        yield slot
        if self._model[slot.place].op is elementwise.add:
            terms = (term for term in self._reads[slot.place] if term and not term.ago)
            yield from (Slot(slot.step, term.place) for term in terms)

    def _fits(self, item: Item, slot: Slot) -> bool:
        """Return True if an Item does what whole steps do at this place, with operands from the same places."""
        model, reads, fixed = self._model[slot.place], self._reads[slot.place], self._fixed[slot.place]
        if item.operation != model.operation or item.shape != model.shape or len(item.inputs) != len(fixed):
            return False
        for given, own, read, is_fixed in zip(item.inputs, model.inputs, reads, fixed):
            at = self.slots.get(id(given))
            if read is None:
                if at is not None or (is_fixed and not _is_same(own, given)):
                    return False
            elif at is None:
                is_later = slot.step > 0 and not read.ago  # at first, what is read may be a learnt state
                if is_later and isinstance(given, Item) and _has_name(given):  # V h_T is no W_t h_t
                    return False
            elif at not in self._standing_for(Slot(slot.step - read.ago, read.place)):
                return False
        return True


def _has_name(given: Any) -> bool:
    """Return True for a parameter, an array of data, or a number, which is its own name."""
    return _is_number(given) or (isinstance(given, Item) and (given.parameter or given.data) is not None)


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (_is_number(one) and _is_number(other) and one == other)


def _is_number(given: Any) -> bool:
    return isinstance(given, (int, float))
