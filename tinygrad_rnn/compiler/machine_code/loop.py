"""Loops as machine code: where the states, the rows of sequences and the results of a loop over time lie."""

from __future__ import annotations

from collections.abc import Sequence

from ...autodiff.rules import linalg, shape
from .. import thresholds
from ..elements.addresses import Place, row, whole
from ..elements.expressions import has_expression
from ..elements.function import NoMachineCode
from ..graph.shapes import is_view, multiplications
from ..graph.values import Value, label
from ..loops.independent_rows import batch_of
from ..loops.loop import Loop, LoopResult
from ..loops.storage import Slot, State, Storage
from . import passes
from .placement import Placement
from .products import factors, goes_by_tiles, pack
from .schedule import write


class MachineLoop:
    """A writer of one loop.

    Raises:
        NoMachineCode: it can't be written.
    """

    def __init__(self, placement: Placement, loop: Loop) -> None:
        self.placement, self.code, self.loop = placement, placement.code, loop
        self.results = placement.code.writer.program.results[loop]
        self.storage = Storage(loop, self.results)
        self.slots: dict[Slot, Place] = {}

    def write(self) -> None:
        """Write the loop."""
        code, loop, storage = self.code, self.loop, self.storage
        if not code.starts_inside and not code.parts:
            code.rows = batch_of(loop, self.results)
            code.work = work_of(loop, self.results)
        self.placement.add_users(storage.body)
        self._inputs()
        for state in storage.states:
            self._state(state)
        for result in storage.row_results:
            self.slots[result] = whole(self._array(result), result.inner.shape, "t")
        for result in storage.sums:
            self._sum(result)
        for value, slots in storage.writes.items():
            for slot in slots:
                if slot in self.slots:
                    self.placement.write_to(self.slots[slot], value)
        for value in storage.body[::-1]:
            if value.op is shape.joined:
                self.placement.join(value, set(storage.body))
        self.placement.kept |= {v for _, v in storage.late}
        steps = code.size(loop.steps)
        with code.loop(f"for s in range({steps}):"):
            code.line(f"t = {steps} - 1 - s" if loop.backwards else "t = s")
            write(self.placement, storage.body)
            for slot, value in storage.late:
                passes.copy(self.placement, self.slots[slot], value)

    # --- what it reads -----------------------------------------------------------------------------------------------

    def _inputs(self) -> None:
        body, fixed = self.storage.body, self.storage.fixed
        for v in self.storage.rows:
            self.placement.homes[v] = row(self.placement.place_of(self.loop.slices[v]))
        tiled = [v for v in body if v.op is linalg.matmul and goes_by_tiles(v, inside=True)]
        stacks = [v for v in body if v.op in (linalg.matmul, linalg.contraction) and v.ndim > 2]
        for v in fixed:
            place = None
            if v.op is shape.transpose:
                users = [user for user in body if v in user.operands]
                if all(user in tiled for user in users) or all(user in stacks for user in users):
                    place = self.placement.viewed(v)  # read as it lies, without a copy
            self.placement.homes[v] = place or self.placement.place_of(v)
        for product in tiled:
            if factors(product)[1] in fixed:
                pack(self.placement, product)

    # --- where it writes ---------------------------------------------------------------------------------------------

    def _state(self, state: State) -> None:
        carried, backwards, steps = state.carried, self.loop.backwards, self.loop.steps
        name, start = label(carried.before), carried.start
        if state.is_kept:
            passed, length = f"all_{name}", steps + 1
            first, end = ("-1", "0") if backwards else ("0", "-1")
            here, there = ("t + 1", "t") if backwards else ("t", "t + 1")
            earlier, later = ("[1:]", "[:-1]") if backwards else ("[:-1]", "[1:]")
        else:
            passed, length = f"turns_{name}", 2
            first, end = "0", f"{steps} % 2"
            here, there, earlier, later = "s % 2", "1 - s % 2", "", ""
        array = self.code.buffer(passed, (length, *start.shape), start.dtype)
        self._start(passed, first, start)
        for result, rows in ((state.before, earlier), (state.after, later), (state.last, f"[{end}, ...]")):
            if result is not None:
                self.code.writer.names[result] = f"{passed}{rows}"
        self.placement.homes[carried.before] = whole(array, start.shape, here)
        self.slots[state] = whole(array, start.shape, there)

    def _start(self, passed: str, lead: str, start: Value) -> None:
        """Write the first state to its place: row ``lead`` of an array."""
        if self.code.starts_inside:
            passes.copy(self.placement, whole(self.code.argument(passed), start.shape, lead), start)
        else:
            self.code.before.append(f"copyto({passed}[{lead}, ...], {self.code.writer.operand(start)})")

    def _array(self, result: LoopResult) -> str:
        """A new array for one result."""
        self.code.writer.names[result] = label(result)
        return self.code.buffer(label(result), result.shape, result.dtype)

    def _sum(self, result: LoopResult) -> None:
        array = self._array(result)
        self.code.before.append(f"{label(result)}.fill(0)")
        if result.inner not in self.storage.body or is_view(result.inner):
            raise NoMachineCode("a sum over time of something that isn't computed in the loop")
        self.placement.sums.setdefault(result.inner, []).append(whole(array, result.inner.shape))


def work_of(loop: Loop, results: Sequence[LoopResult]) -> int:
    """The work of a loop, counted in multiplications of a large product."""
    return loop.steps * sum(map(_work, loop.body(results)))


def _work(value: Value) -> int:
    """The work of one operation, counted in multiplications of a large product."""
    if value.op is linalg.matmul:
        return multiplications(value)
    if is_view(value):
        return 0
    if has_expression(value):
        return thresholds.ELEMENT * value.size
    return thresholds.ELEMENT_ALONG_AXES * max(v.size for v in (value, *value.operands))
