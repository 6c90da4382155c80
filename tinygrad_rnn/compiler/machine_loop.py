"""Loops as machine code: where the states, the rows of sequences and the results of a loop over time lie."""

from __future__ import annotations

from ..autodiff.rules import linalg, shape
from .loop import Carried, Loop, Result
from .machine_code import MachineCode, NoMachineCode, factors, goes_by_tiles, multiplications
from .machine_threads import batch_of
from .places import Place, row, viewed, whole
from .shapes import is_view
from .values import Value, label, operands


class MachineLoop:
    """Writes one loop.

    Args:
        code: where to.
        loop: which.

    Raises:
        NoMachineCode: it can't be written.
    """

    def __init__(self, code: MachineCode, loop: Loop) -> None:
        self.code, self.loop = code, loop
        self.body = loop.body()
        self.inside = set(self.body)
        self.late_copies: list[tuple[Place, Value]] = []

    def write(self) -> None:
        """Write the loop."""
        code = self.code
        if not code.starts_inside:
            code.rows = batch_of(self.loop, self.body)
            code.work = self.loop.steps * sum(multiplications(v) for v in self.body if v.op is linalg.matmul)
        code.add_users(self.body)
        self._inputs()
        for carried in self.loop.carried:
            self._state(carried)
        for key, result in self.loop.results.items():
            if key.kind == "rows":
                self._rows(result, key.inner)
            elif key.kind == "sum":
                self._sum(result, key.inner)
        for value in reversed(self.body):
            if value.op is shape.joined:
                code.join(value, self.inside)
        code.kept |= {v for _, v in self.late_copies}
        steps = code.sizes.setdefault(self.loop.steps, f"n{len(code.sizes)}")
        code.line(f"for s in range({steps}):")
        outside, code.depth = code.depth, code.depth + "    "
        code.line(f"t = {steps} - 1 - s" if self.loop.backwards else "t = s")
        code.schedule(self.body)
        for place, value in self.late_copies:
            code.copy(place, value)
        code.depth = outside

    # --- what it reads -----------------------------------------------------------------------------------------------

    def _inputs(self) -> None:
        rows, fixed = self.loop.inputs(self.body)
        for v in rows:
            early = self.loop.early(v)
            assert early is not None
            self.code.homes[v] = row(self.code.place_of(early))
        tiled = [v for v in self.body if v.op is linalg.matmul and goes_by_tiles(v, inside=True)]
        for v in fixed:
            place = None
            if v.op is shape.transpose and all(user in tiled for user in self.body if v in operands(user)):
                place = viewed(v, self.code.place_of(v.args[0]))  # packing reads it transposed, without a copy
            self.code.homes[v] = place or self.code.place_of(v)
        for product in tiled:
            if factors(product)[1] in fixed:
                self.code.pack(product)

    # --- what it gives -----------------------------------------------------------------------------------------------

    def _place(self, value: Value, place: Place) -> None:
        if value in self.inside and not is_view(value):
            self.code.writes.setdefault(value, []).append(place)
        else:
            self.late_copies.append((place, value))

    def _state(self, carried: Carried) -> None:
        name, start = label(carried.before), carried.start
        results = self.loop.results
        before = results.get(Result("before", carried.before))
        after = results.get(Result("after", carried.after))
        last = results.get(Result("last", carried.before))
        if after is not None and after in self.code.writer.names:
            after = None
        if before is None and after is None:
            array = self.code.buffer(f"turns_{name}", (2, *start.shape), start.dtype)
            self.code.start_with(f"turns_{name}", "0", start)
            here, there = "s % 2", "1 - s % 2"
            if last is not None:
                self.code.writer.names[last] = f"turns_{name}[{self.loop.steps % 2}]"
        else:
            array = self.code.buffer(f"all_{name}", (self.loop.steps + 1, *start.shape), start.dtype)
            backwards = self.loop.backwards
            first, end = ("-1", "0") if backwards else ("0", "-1")
            here, there = ("t + 1", "t") if backwards else ("t", "t + 1")
            earlier, later = ("[1:]", "[:-1]") if backwards else ("[:-1]", "[1:]")
            self.code.start_with(f"all_{name}", first, start)
            for result, rows in ((before, earlier), (after, later), (last, f"[{end}]")):
                if result is not None:
                    self.code.writer.names[result] = f"all_{name}{rows}"
        self.code.homes[carried.before] = whole(array, start.shape, here)
        self._place(carried.after, whole(array, start.shape, there))

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
        self.code.sums.setdefault(inner, []).append(whole(array, inner.shape))
