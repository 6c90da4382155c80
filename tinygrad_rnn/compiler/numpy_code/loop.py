"""Loops of the NumPy executor: what runs step by step, with every array where it has to be.

The rows of all sequences come from one ``zip``. A state lies in an array of T+1 rows if somebody reads it afterwards,
so that a step writes its result straight to where the next one reads it, and where the weight's gradient finds all of
them; otherwise two buffers take turns. What is put side by side (the cotangents of four gates) is computed where it
will lie. All else goes to temporaries, which are used again as soon as nothing reads them any more.
"""

from __future__ import annotations

import numpy as np

from ...autodiff.rules import shape
from ..graph.shapes import acts_by_element, has_several_results, is_view
from ..graph.values import Value, label, operands
from ..loops.loop import Carried, Loop
from .generated import Buffer
from .kernels import READS_AFTER_WRITING, statements, view
from .writer import Writer


class LoopWriter:
    """Writes one loop."""

    def __init__(self, writer: Writer, loop: Loop) -> None:
        self.writer, self.loop = writer, loop
        self.results = writer.program.results[loop]
        self.body = loop.body(self.results)
        self.names: dict[Value, str] = {}
        self.targets: dict[Value, str] = {}  # where a Value has to be, if that is decided already
        self.rows: dict[str, str] = {}  # loop variable -> the array whose rows it is
        self.copies: list[tuple[str, Value]] = []  # to be copied at the end of a step
        self.sums: list[tuple[str, Value]] = []  # to be added up at the end of a step
        self.pieces: dict[Value, list[tuple[str, Value]]] = {}  # of a concatenation, those to be copied into it
        self.turning: set[str] = set()
        self.before: list[str] = []
        self.inside: list[str] = []
        self.at_end: list[str] = []
        self.after: list[str] = []
        self.free: dict[tuple[tuple[int, ...], np.dtype], list[str]] = {}
        self.temporaries: dict[Value, str] = {}

    def lines(self) -> list[str]:
        """The loop, with what comes before and after it."""
        rows, fixed = self.loop.inputs(self.results)
        for v in rows:
            self.names[v] = self._row(f"{label(v)}_t", self.writer.operand(self.loop.slices[v]), v)
        for v in fixed:
            self.names[v] = self.writer.operand(v)
        for carried in self.loop.carried:
            self._state(carried)
        states = {*self.loop.befores, *(c.after for c in self.loop.carried)}
        for result in self.results:
            if result.how == "rows" and result.inner not in states:
                self._result_rows(result, result.inner)
            elif result.how == "sum":
                self._result_sum(result, result.inner)
        for value in self.body:
            if value.op is shape.joined and value.keywords["axis"] is not None:
                self._join_in_place(value)
        self._steps()
        copies = [f"copyto({target}, {self._operand(value)})" for target, value in self.copies]
        sums = [f"add({name}, {self._operand(value)}, out={name})" for name, value in self.sums]
        step = [*self.inside, *sums, *copies, *self.at_end] or ["pass"]
        return [*self.before, self._header(), *(f"    {line}" for line in step), *self.after]

    def _header(self) -> str:
        if not self.rows:
            return f"for _ in range({self.loop.steps}):"
        order = "[::-1]" if self.loop.backwards else ""
        return f"for {', '.join(self.rows)}, in zip({', '.join(array + order for array in self.rows.values())}):"

    def _row(self, variable: str, array: str, like: Value) -> str:
        self.rows[variable] = array if like.ndim else f"numbers({array})"
        return variable

    def _operand(self, a: object) -> str:
        return self.writer.operand(a, self.names)

    def _buffer(self, name: str, like: Value, leading: tuple[int, ...] = ()) -> str:
        self.writer.buffers[name] = Buffer((*leading, *like.shape), like.dtype)
        return name

    def _place(self, value: Value, target: str) -> None:
        """Have a Value computed into its target, or copied there if it already is elsewhere."""
        if value in self.targets or value not in self.body or is_view(value):
            self.copies.append((target, value))
        else:
            self.targets[value] = target

    # --- where results go --------------------------------------------------------------------------------------------

    def _state(self, carried: Carried) -> None:
        name = self.names[carried.before] = label(carried.before)
        results = {(result.how, result.inner): result for result in self.results}
        after_is_ours = carried.after not in self.targets and carried.after not in self.loop.befores
        before = results.get(("rows", carried.before))
        after = results.get(("rows", carried.after)) if after_is_ours else None
        last = results.get(("last", carried.before))
        if before is not None or after is not None:
            self._kept_state(carried, name, before, after, last)
        else:
            self._passing_state(carried, name, last)
        self._place(carried.after, f"{name}_next")

    def _kept_state(
        self, carried: Carried, name: str, before: Value | None, after: Value | None, last: Value | None
    ) -> None:
        """All states in one array of T+1 rows, the start first (or, for a loop that runs backwards, last)."""
        array = self._buffer(f"all_{name}", carried.start, (self.loop.steps + 1,))
        first, end = ("-1", "0") if self.loop.backwards else ("0", "-1")
        earlier, later = (f"{array}[1:]", f"{array}[:-1]") if self.loop.backwards else (f"{array}[:-1]", f"{array}[1:]")
        self.before.append(f"copyto({array}[{first}, ...], {self.writer.operand(carried.start)})")
        self._row(name, earlier, carried.before)
        self._row(f"{name}_next", later, carried.before)
        for result, where in ((before, earlier), (after, later), (last, f"{array}[{end}]")):
            if result is not None:
                self.writer.names[result] = where

    def _passing_state(self, carried: Carried, name: str, last: Value | None) -> None:
        """Two buffers that take turns: nobody asks for old states."""
        following = f"{name}_next"
        for turn in (name, following):
            self.before.append(f"{turn} = {self._buffer(f'{turn}_buffer', carried.start)}")
        self.before.append(f"copyto({name}, {self.writer.operand(carried.start)})")
        self.turning.add(following)
        self.at_end.append(f"{name}, {following} = {following}, {name}")
        if last is not None:
            self.writer.names[last] = name

    def _result_rows(self, result: Value, inner: Value) -> None:
        self.writer.names[result] = self._buffer(label(result), inner, (self.loop.steps,))
        self._place(inner, self._row(f"{label(result)}_t", label(result), inner))

    def _result_sum(self, result: Value, inner: Value) -> None:
        name = self.writer.names[result] = self._buffer(label(result), inner)
        self.before.append(f"{name}.fill(0)")
        self.sums.append((name, inner))

    def _join_in_place(self, whole: Value) -> None:
        """Have the pieces of a concatenation computed where they will lie."""
        if whole not in self.targets:
            self.targets[whole] = self._buffer(label(whole), whole)
        target, starts = self.targets[whole], whole.keywords["starts"]
        axis = whole.keywords["axis"] % whole.ndim - whole.ndim
        self.pieces[whole] = []
        for piece, start, stop in zip(whole.args, starts, starts[1:]):
            index = f"[..., {start}:{stop}{', :' * (-axis - 1)}]"
            name = f"{label(whole)}_from_{start}_to_{stop}"
            if target in self.rows:
                self._row(name, self.rows[target] + index, piece)
            else:  # of buffers that take turns, each step has another one
                lines = self.inside if target in self.turning else self.before
                lines.append(f"{name} = {target}{index}")
            if piece in self.targets or piece not in self.body or is_view(piece) or piece.dtype != whole.dtype:
                self.pieces[whole].append((name, piece))
            else:
                self.targets[piece] = name

    # --- one step ----------------------------------------------------------------------------------------------------

    def _steps(self) -> None:
        last_read = self._last_reads()
        for place, value in enumerate(self.body):
            if value in self.pieces:
                self.names[value] = self.targets[value]
                self.inside += [f"copyto({name}, {self._operand(piece)})" for name, piece in self.pieces[value]]
            elif is_view(value):
                self.names[value] = label(value)
                self.inside.append(f"{label(value)} = {view(value, self._operand(value.args[0]))}")
            elif has_several_results(value):
                self.names[value] = label(value)
                self.inside.append(f"{label(value)} = {self.writer.call(value, self.names)}")
            else:
                self._operation(value, [v for v in self.temporaries if last_read[v] == place])
            for v in [v for v in self.temporaries if last_read[v] <= place]:
                self.free.setdefault((v.shape, v.dtype), []).append(self.temporaries.pop(v))

    def _last_reads(self) -> dict[Value, int]:
        """The place of the last operation that reads each Value, through whatever view of it."""
        last = {value: place for place, value in enumerate(self.body)}
        for place, value in enumerate(self.body):
            for v in operands(value):
                if v in last:
                    last[v] = place
        for _, value in (*self.copies, *self.sums):
            if value in last:
                last[value] = len(self.body)
        for value in reversed(self.body):
            if is_view(value) or has_several_results(value):  # which may be its operands, as they are
                for v in operands(value):
                    if v in last:
                        last[v] = max(last[v], last[value])
        return last

    def _operation(self, value: Value, dying: list[Value]) -> None:
        args = [self._operand(a) for a in value.args]
        target = self.targets.get(value)
        if target is None:
            target = self._in_place(value, dying) or self._temporary(value)
        self.names[value] = target
        lines = statements(value, target, args)
        self.inside += lines or [f"copyto({target}, {self.writer.call(value, self.names)})"]

    def _in_place(self, value: Value, dying: list[Value]) -> str | None:
        """The temporary of an operand that nobody reads any more after this."""
        if not acts_by_element(value.op) or value.op in READS_AFTER_WRITING:
            return None
        for v in dying:
            if v in operands(value) and (v.shape, v.dtype) == (value.shape, value.dtype):
                self.temporaries[value] = self.temporaries.pop(v)
                return self.temporaries[value]
        return None

    def _temporary(self, value: Value) -> str:
        waiting = self.free.get((value.shape, value.dtype))
        name = waiting.pop() if waiting else self._buffer(f"temporary_{len(self.writer.buffers)}", value)
        self.temporaries[value] = name
        return name
