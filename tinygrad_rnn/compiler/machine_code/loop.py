"""Loops as machine code: where the states, the rows of sequences and the results of a loop over time lie."""

from __future__ import annotations

from ...autodiff.rules import linalg, shape
from ..graph.shapes import is_view, multiplications
from ..graph.values import Value, label, operands
from ..loops.loop import Carried, Loop
from .addresses import Place, row, viewed, whole
from .function import NoMachineCode
from .independent_rows import batch_of
from .products import factors, goes_by_tiles
from .schedule import Schedule


class MachineLoop:
    """Writes one loop.

    Args:
        schedule: where to.
        loop: which.

    Raises:
        NoMachineCode: it can't be written.
    """

    def __init__(self, schedule: Schedule, loop: Loop) -> None:
        self.schedule, self.loop = schedule, loop
        self.code, self.placement = schedule.code, schedule.placement
        self.results = schedule.code.writer.program.results[loop]
        self.body = loop.body(self.results)
        self.inside = set(self.body)
        self.late_copies: list[tuple[Place, Value]] = []

    def write(self) -> None:
        """Write the loop."""
        code, loop = self.code, self.loop
        if not code.starts_inside:
            code.rows = batch_of(loop, self.results)
            code.work = loop.steps * sum(multiplications(v) for v in self.body if v.op is linalg.matmul)
        self.placement.add_users(self.body)
        self._inputs()
        self._results()
        for value in reversed(self.body):
            if value.op is shape.joined:
                self.placement.join(value, self.inside)
        self.placement.kept |= {v for _, v in self.late_copies}
        steps = code.size(loop.steps)
        with code.loop(f"for s in range({steps}):"):
            code.line(f"t = {steps} - 1 - s" if loop.backwards else "t = s")
            self.schedule.write(self.body)
            for place, value in self.late_copies:
                self.schedule.elements.copy(place, value)

    # --- what it reads -----------------------------------------------------------------------------------------------

    def _inputs(self) -> None:
        rows, fixed = self.loop.inputs(self.results)
        for v in rows:
            self.placement.homes[v] = row(self.placement.place_of(self.loop.slices[v]))
        tiled = [v for v in self.body if v.op is linalg.matmul and goes_by_tiles(v, inside=True)]
        for v in fixed:
            place = None
            if v.op is shape.transpose and all(user in tiled for user in self.body if v in operands(user)):
                place = viewed(v, self.placement.place_of(v.args[0]))  # packing reads it transposed, without a copy
            self.placement.homes[v] = place or self.placement.place_of(v)
        for product in tiled:
            if factors(product)[1] in fixed:
                self.schedule.products.pack(product)

    # --- what it gives -----------------------------------------------------------------------------------------------

    def _results(self) -> None:
        for carried in self.loop.carried:
            self._state(carried)
        states = {*self.loop.befores, *(c.after for c in self.loop.carried)}
        for result in self.results:
            if result.how == "rows" and result.inner not in states:
                self._rows(result, result.inner)
            elif result.how == "sum":
                self._sum(result, result.inner)

    def _place(self, value: Value, place: Place) -> None:
        if value in self.inside and not is_view(value):
            self.placement.write_to(place, value)
        else:
            self.late_copies.append((place, value))

    def _state(self, carried: Carried) -> None:
        name, start = label(carried.before), carried.start
        results = {(result.how, result.inner): result for result in self.results}
        before = results.get(("rows", carried.before))
        after = results.get(("rows", carried.after))
        last = results.get(("last", carried.before))
        if after is not None and (after in self.code.writer.names or after.inner in self.loop.befores):
            after = None
        if before is None and after is None:
            array = self.code.buffer(f"turns_{name}", (2, *start.shape), start.dtype)
            self._start(f"turns_{name}", "0", start)
            here, there = "s % 2", "1 - s % 2"
            if last is not None:
                self.code.writer.names[last] = f"turns_{name}[{self.loop.steps % 2}, ...]"
        else:
            array = self.code.buffer(f"all_{name}", (self.loop.steps + 1, *start.shape), start.dtype)
            backwards = self.loop.backwards
            first, end = ("-1", "0") if backwards else ("0", "-1")
            here, there = ("t + 1", "t") if backwards else ("t", "t + 1")
            earlier, later = ("[1:]", "[:-1]") if backwards else ("[:-1]", "[1:]")
            self._start(f"all_{name}", first, start)
            for result, rows in ((before, earlier), (after, later), (last, f"[{end}, ...]")):
                if result is not None:
                    self.code.writer.names[result] = f"all_{name}{rows}"
        self.placement.homes[carried.before] = whole(array, start.shape, here)
        self._place(carried.after, whole(array, start.shape, there))

    def _start(self, passed: str, lead: str, start: Value) -> None:
        """Put the first state where it belongs: row ``lead`` of an array."""
        if self.code.starts_inside:
            self.schedule.elements.copy(whole(self.code.argument(passed), start.shape, lead), start)
        else:
            self.code.before.append(f"copyto({passed}[{lead}, ...], {self.code.writer.operand(start)})")

    def _rows(self, result: Value, inner: Value) -> None:
        array = self.code.buffer(label(result), result.shape, result.dtype)
        self.code.writer.names[result] = label(result)
        self._place(inner, whole(array, inner.shape, "t"))

    def _sum(self, result: Value, inner: Value) -> None:
        array = self.code.buffer(label(result), result.shape, result.dtype)
        self.code.writer.names[result] = label(result)
        self.code.before.append(f"{label(result)}.fill(0)")
        if inner not in self.inside or is_view(inner):
            raise NoMachineCode("a sum over time of something that isn't computed in the loop")
        self.placement.sums.setdefault(inner, []).append(whole(array, inner.shape))
