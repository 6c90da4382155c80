"""The storage of a loop's arrays (buffer assignment): decided here, as data, and written out by each executor.

A state lies in one array of T+1 rows if it is read afterwards: each step writes its result where the next step reads
it, and where the gradient of a weight finds all states. Otherwise two buffers take turns. Results have arrays of their
own. Parts of a concatenation (the cotangents of four gates) are computed directly in their places.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from ...autodiff.rules import shape
from ..graph.shapes import is_view
from ..graph.values import Value
from .loop import Carried, Loop, LoopResult


class State(NamedTuple):
    """A component of the state, and which results are parts of its array."""

    carried: Carried  # the component
    before: LoopResult | None  # its result at each step, before the step: all rows but the one after the last step
    after: LoopResult | None  # its result at each step, after the step: all rows but the first state
    last: LoopResult | None  # its result after the last step

    @property
    def is_kept(self) -> bool:
        """True if all states lie in one array of T+1 rows; False if two buffers take turns."""
        return self.before is not None or self.after is not None


class Part(NamedTuple):
    """A part of a concatenation."""

    whole: Value  # the concatenation
    axis: int  # the axis of the concatenation, counted from the last one: -1, -2, ...
    start: int  # the index where it begins
    stop: int  # the index where it ends
    piece: Value  # the Value that lies there
    is_in_place: bool  # whether the piece is computed there; if not, it is copied


Slot = State | LoopResult | Part


class Storage:
    """The places of all Values that a loop reads and computes.

    Attributes:
        body: the Values that each step computes, in order.
        rows: the rows of sequences that it reads.
        fixed: the Values that it reads from outside, the same at each step.
        states: the components of the state.
        row_results: results with an array of their own, a row for each step.
        sums: results to which each step adds.
        parts: the parts of each concatenation in the body that is written part by part; outer concatenations come
            first.
        writes: for each Value of the body, the slots to which it belongs; it is computed in the first one. The slot of
            a State is the state after the step.
        late: the Values that are copied to their slots at the end of a step, since they are views or not computed.
    """

    def __init__(self, loop: Loop, results: Sequence[LoopResult]) -> None:
        self.body = loop.body(results)
        self.rows, self.fixed = loop.inputs(results)
        self.writes: dict[Value, list[Slot]] = {}
        self.late: list[tuple[Slot, Value]] = []
        self._inside = set(self.body)
        self.states = _states(loop, results)
        of_states = {result for state in self.states for result in (state.before, state.after)}
        self.row_results = [r for r in results if r.how == "rows" and r not in of_states]
        self.sums = [r for r in results if r.how == "sum"]
        for state in self.states:
            self._place(state.carried.after, state)
        for result in self.row_results:
            self._place(result.inner, result)
        self.parts: dict[Value, list[Part]] = {}
        for value in reversed(self.body):
            if value.op is shape.joined and value.keywords["axis"] is not None:
                self.parts[value] = parts_of(value, self._inside)
                for part in self.parts[value]:
                    if part.is_in_place:
                        self.writes.setdefault(part.piece, []).append(part)

    def _place(self, value: Value, slot: Slot) -> None:
        if value in self._inside and not is_view(value):
            self.writes.setdefault(value, []).append(slot)
        else:
            self.late.append((slot, value))


def _states(loop: Loop, results: Sequence[LoopResult]) -> list[State]:
    found: dict[tuple[str, Value], LoopResult] = {(result.how, result.inner): result for result in results}
    states = []
    for carried in loop.carried:
        before = found.get(("rows", carried.before))
        # A Value that is another state before the step lies with that state; if two states become the same Value, the
        # first
        # has the rows.
        after = None if carried.after in loop.befores else found.pop(("rows", carried.after), None)
        states.append(State(carried, before, after, found.get(("last", carried.before))))
    return states


def parts_of(whole: Value, computed: Container[Value] = ()) -> list[Part]:
    """The parts of a concatenation along an axis.

    Args:
        whole: the concatenation.
        computed: the Values that have still to be computed, and so can be written to their parts at once.
    """
    axis, starts = whole.keywords["axis"] % whole.ndim - whole.ndim, whole.keywords["starts"]
    return [
        Part(whole, axis, start, stop, v, v in computed and not is_view(v) and v.dtype == whole.dtype)
        for v, start, stop in zip(whole.args, starts, starts[1:])
    ]
