"""Loops of the NumPy executor: the operations of each step, with the place of every array.

The rows of all sequences come from one ``zip``, and so do those of arrays to which steps write. ``loops.storage``
decides where everything lies; here these places get names. All else goes to temporaries, which are reused as soon as
nothing reads them any more (liveness).
"""

from __future__ import annotations

from operator import attrgetter

from ...autodiff.rules import linalg, shape, transposes
from ..graph.shapes import has_several_results, is_view
from ..graph.values import Value, label
from ..loops.loop import Loop, LoopResult
from ..loops.storage import Slot, State, Storage
from ..runtime import blas
from ..runtime.scan import scanned
from .generated import Buffer
from .kernels import statements, view
from .rooms import Liveness, Rooms
from .writer import Writer


class LoopWriter:
    """A writer of one loop."""

    def __init__(self, writer: Writer, loop: Loop) -> None:
        self.writer, self.loop = writer, loop
        self.storage = Storage(loop, writer.program.results[loop])
        self.body = self.storage.body
        self.names: dict[Value, str] = {}
        self.slots: dict[Slot, str] = {}  # the names of the places decided so far
        self.targets: dict[Value, str] = {}  # the place of a Value, if it isn't a temporary
        self.rows: dict[str, str] = {}  # loop variable -> the array whose rows it is
        self.turning: set[str] = set()
        self.before: list[str] = []
        self.inside: list[str] = []
        self.at_end: list[str] = []
        self.rooms = Rooms()
        kept = [*(value for _, value in self._copies()), *(result.inner for result in self.storage.sums)]
        self.liveness = Liveness(
            self.body, attrgetter("operands"), kept, lambda v: is_view(v) or has_several_results(v)
        )
        self._ends = "", ""  # for a state that is kept: the place of the first one, and of those after each step

    def lines(self) -> list[str]:
        """The loop, with what comes before it."""
        for v in self.storage.rows:
            self.names[v] = self._row(f"{label(v)}_t", self.writer.operand(self.loop.slices[v]), v)
        for v in self.storage.fixed:
            self.names[v] = self._weight(v)
        for state in self.storage.states:
            self._state(state)
        for result in self.storage.row_results:
            self.slots[result] = self._row(f"{label(result)}_t", self.writer.add_buffer(result), result.inner)
        for result in self.storage.sums:
            self.writer.names[result] = self._buffer(label(result), result.inner)
            self.before.append(f"{label(result)}.fill(0)")
        for whole in self.storage.parts:
            self._parts(whole)
        self.targets |= {value: self.slots[slots[0]] for value, slots in self.storage.writes.items()}
        self._steps()
        step = [*self.inside, *self._sums_and_copies(), *self.at_end] or ["pass"]
        loop = [self._header(), *(f"    {line}" for line in step)]
        return [*self.before, *(loop if self.loop.linear is None else self._unless_scanned(loop, *self.loop.linear))]

    def _unless_scanned(self, loop: list[str], factor: Value, term: Value) -> list[str]:
        """A linear recurrence: a scan, and the loop in case the scan refuses."""
        (state,) = self.storage.states
        start, out = self._ends if state.is_kept else (self.names[state.carried.before],) * 2
        args = [self.loop.steps, start, *map(self.writer.operand, (factor, term)), out, self.loop.backwards]
        scan = f"{self.writer.named(scanned, 'scan')}({', '.join(map(str, args))})"
        return [f"if not {scan}:", *(f"    {line}" for line in loop)]

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

    def _weight(self, v: Value) -> str:
        """A Value that all steps read. If they multiply by the transpose of a matrix, it is laid out for them once."""
        name = self.writer.operand(v)
        factors = [p.args[0] for p in self.storage.body if p.op is linalg.matmul and p.args[1] is v]
        if v.op is not shape.transpose or v.ndim != 2 or not factors or factors[0].ndim != 2:
            return name
        if v.size < transposes.LARGE and all(self.writer.fixed is None or n in self.writer.fixed for n in v.shape):
            return name
        once, times = self.writer.named(blas.laid_out, "laid_out"), len(factors) * self.loop.steps
        copy = self._buffer(f"{label(v)}_copy", v)
        self.before.append(f"{label(v)}_once = {once}({name}, {factors[0].shape[0]}, {times}, {copy})")
        return f"{label(v)}_once"

    # --- what the places are called ----------------------------------------------------------------------------------

    def _state(self, state: State) -> None:
        carried = state.carried
        name = self.names[carried.before] = label(carried.before)
        self.slots[state] = f"{name}_next"
        if state.is_kept:
            self._kept(state, name)
        else:
            self._passing(state, name)

    def _kept(self, state: State, name: str) -> None:
        """Keep all states in one array, the start first (or, in a loop that runs backwards, last)."""
        start = state.carried.start
        array = self._buffer(f"all_{name}", start, (self.loop.steps + 1,))
        first, end = ("-1", "0") if self.loop.backwards else ("0", "-1")
        earlier, later = (f"{array}[1:]", f"{array}[:-1]") if self.loop.backwards else (f"{array}[:-1]", f"{array}[1:]")
        self._ends = f"{array}[{first}, ...]", later
        self.before.append(f"copyto({self._ends[0]}, {self.writer.operand(start)})")
        self._row(name, earlier, start)
        self._row(f"{name}_next", later, start)
        for result, where in ((state.before, earlier), (state.after, later), (state.last, f"{array}[{end}]")):
            if result is not None:
                self.writer.names[result] = where

    def _passing(self, state: State, name: str) -> None:
        """Two buffers that take turns."""
        following = f"{name}_next"
        for turn in (name, following):
            self.before.append(f"{turn} = {self._buffer(f'{turn}_buffer', state.carried.start)}")
        self.before.append(f"copyto({name}, {self.writer.operand(state.carried.start)})")
        self.turning.add(following)
        self.at_end.append(f"{name}, {following} = {following}, {name}")
        if state.last is not None:
            self.writer.names[state.last] = name

    def _parts(self, whole: Value) -> None:
        """Give parts of a concatenation their places: views of its array."""
        slots = self.storage.writes.get(whole)
        target = self.targets[whole] = self.slots[slots[0]] if slots else self._buffer(label(whole), whole)
        for part in self.storage.parts[whole]:
            index = f"[..., {part.start}:{part.stop}{', :' * (-part.axis - 1)}]"
            name = self.slots[part] = f"{label(whole)}_from_{part.start}_to_{part.stop}"
            if target in self.rows:
                self._row(name, self.rows[target] + index, part.piece)
            else:  # if buffers take turns, it is another one at each step
                lines = self.inside if target in self.turning else self.before
                lines.append(f"{name} = {target}{index}")
                if target in self.turning:
                    self.turning.add(name)

    def _sums_and_copies(self) -> list[str]:
        """The lines at the end of a step: sums and copies."""
        sums = [(self.writer.names[result], self._operand(result.inner)) for result in self.storage.sums]
        copies = [f"copyto({self.slots[slot]}, {self._operand(value)})" for slot, value in self._copies()]
        return [*(f"add({name}, {value}, out={name})" for name, value in sums), *copies]

    def _copies(self) -> list[tuple[Slot, Value]]:
        """The copies of Values wanted in several places, or wanted without being computed."""
        others = [(slot, value) for value, slots in self.storage.writes.items() for slot in slots[1:]]
        return [*((slot, value) for slot, value in others if isinstance(slot, (State, LoopResult))), *self.storage.late]

    # --- one step ----------------------------------------------------------------------------------------------------

    def _steps(self) -> None:
        for place, value in enumerate(self.body):
            self._step(place, value)

    def _step(self, place: int, value: Value) -> None:
        """Add the lines of the operation at this position; temporaries that are not read after it become free."""
        if value in self.storage.parts:
            self.names[value] = self.targets[value]
            others = [p for p in self.storage.parts[value] if self.targets.get(p.piece) != self.slots[p]]
            self.inside += [f"copyto({self.slots[part]}, {self._operand(part.piece)})" for part in others]
        elif is_view(value):
            self.names[value] = label(value)
            self.inside.append(f"{label(value)} = {view(value, self._operand(value.args[0]))}")
        elif has_several_results(value):
            self.names[value] = label(value)
            self.inside.append(f"{label(value)} = {self.writer.call(value, self.names)}")
        else:
            self._operation(value)
        self.rooms.release(self.liveness.ending(place))

    def _operation(self, value: Value) -> None:
        args = [self._operand(a) for a in value.args]
        target = self.names[value] = self.targets.get(value) or self._temporary(value)
        lines = statements(value, target, args)
        self.inside += lines or [f"copyto({target}, {self.writer.call(value, self.names)})"]

    def _temporary(self, value: Value) -> str:
        return self.rooms.taken(value, self.writer.buffers, f"temporary_{len(self.writer.buffers)}")
