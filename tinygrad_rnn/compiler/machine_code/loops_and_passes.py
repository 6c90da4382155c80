"""Large programs with machine code: each loop is a function of it, and so is each pass over elements outside of loops.

A loop with an operation that has no machine code runs on NumPy, with machine code for the elementwise work of its
steps.

For each elementwise operation, NumPy would read and write whole sequences; in one pass, they go through memory once.
NumPy computes all else, above all the large products before and after the loops. Products that can wait for each
other, such as the gradients of weights, are divided among threads together, since threads that sleep in between take
time to wake.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from ...autodiff.rules import indexing, linalg, reductions
from .. import thresholds
from ..elements.expressions import TYPES, has_expression
from ..elements.function import MachineCode, NoMachineCode
from ..graph.shapes import is_view, reduced_axes
from ..graph.values import Value
from ..loops.independent_rows import batch_of
from ..loops.loop import Loop, LoopResult
from ..numpy_code.writer import Writer, as_tuple
from ..program.program import Step
from ..runtime.blas import matmul, together
from ..runtime.threads import are_enough
from . import weight_gradients
from .loop import MachineLoop, work_of
from .passes import is_summed_in_pass
from .placement import Placement
from .schedule import write
from .stepped_loop import SteppedLoop
from .weight_gradients import PARTS


def lines_for(writer: Writer, order: list[Step], kept: Iterable[Value]) -> list[str]:
    """The lines of the calling function that compute these Values and Loops."""
    writer.globals["matmul"] = matmul  # NumPy's, on threads of ours
    writer.globals["together"] = together
    passes, products = ElementPasses(writer, order, kept), Products(writer)
    lines: list[str] = []
    for step in order:
        needed = writer.program.reads(step)
        lines += products.before(needed)
        lines += passes.making_way_for(step, needed)
        if passes.takes(step):
            continue
        if isinstance(step, Loop):
            lines += _loop(writer, step)
        elif step.op is not None and not products.takes(step):
            lines += writer.straight(step)
    return [*lines, *products.flush(), *passes.flush()]


def _loop(writer: Writer, loop: Loop) -> list[str]:
    code = MachineCode(writer)
    try:
        MachineLoop(Placement(code), loop).write()
    except NoMachineCode as why:
        writer.left_to_numpy.append(str(why))
        return SteppedLoop(writer, loop).lines()
    return code.call()


class _Collected(ABC):
    """Steps of one kind, collected until somebody needs their results."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.waiting: list[Any] = []

    @abstractmethod
    def made(self) -> Sequence[Value]:
        """The Values that are computed by what has been collected."""

    def before(self, needed: Sequence[Value]) -> list[str]:
        """The lines that have to run before these Values, or views of them, are read: those of all, or none."""
        return self.flush() if any(v in needed for v in self.made()) else []

    def flush(self) -> list[str]:
        """The lines that compute everything collected so far."""
        steps, self.waiting = self.waiting, []
        return self._lines(steps) if steps else []

    @abstractmethod
    def _lines(self, steps: Sequence[Any]) -> list[str]:
        """The lines that compute these steps together."""


class Products(_Collected):
    """Collects products of matrices, and sums over rows, until somebody needs their results."""

    def made(self) -> list[Value]:
        """The products and sums."""
        return self.waiting

    def takes(self, value: Value) -> bool:
        """Collect a Value, if it is a product or a sum to be computed together with others."""
        is_product = value.op is linalg.matmul and all(a.ndim == 2 for a in value.args)
        is_one = is_product or (bool(self.waiting) and _is_sum_over_rows(value))
        if is_one:
            self.waiting.append(value)
            self.writer.add_buffer(value)
        return is_one

    def _lines(self, values: Sequence[Value]) -> list[str]:
        by_rows = [v for v in values if weight_gradients.goes_by_rows(v)]
        by_rows += [v for v in values if v.op is reductions.sum and weight_gradients.goes_along(v, by_rows)]
        values = [v for v in values if v not in by_rows]
        lines = weight_gradients.lines_for(self.writer, by_rows) if by_rows else []
        written = {v: as_tuple([*map(self.writer.operand, v.args), self.writer.names[v]]) for v in values}
        products = [text for v, text in written.items() if v.op is linalg.matmul]
        sums = [text for v, text in written.items() if v.op is reductions.sum]
        if not sums and len(products) == 1:
            return [*lines, f"matmul{products[0]}"]
        return [*lines, f"together({as_tuple(products)}, {as_tuple(sums)})"] if written else lines


def _is_sum_over_rows(value: Value) -> bool:
    """Return True for a sum over all axes but the last."""
    if value.op is not reductions.sum or value.ndim != 1 or value.keywords.get("keepdims"):
        return False
    (a,) = value.args
    return a.dtype == value.dtype and reduced_axes(value) == {*range(a.ndim - 1)}


def _is_indexed(value: Value) -> bool:
    """Return True for pieces added up in an array, for which NumPy calls a function for each element.

    And for elements taken by places that are known; NumPy takes others, and names one out of bounds.
    """
    if not {value.dtype, *(v.dtype for v in value.operands)} <= TYPES or is_view(value):
        return False
    if value.op is not indexing.getitem:
        return value.op is indexing.assemble
    index = value.args[1]
    arrays = [a for a in (index if isinstance(index, tuple) else (index,)) if isinstance(a, Value)]
    return all(a.array is not None and a.dtype.kind in "iu" for a in arrays)


class ElementPasses(_Collected):
    """Collects what goes through sequences, until somebody needs its results.

    These are elementwise operations, sums of their results, arrays assembled from pieces; and loops whose rows are
    divided among threads. Passes before and after such a loop, and gradients of its weights, are one function with it,
    if each thread can stay with its rows: it then reads what it wrote itself, and threads don't have to meet in
    between.
    """

    def __init__(self, writer: Writer, order: Sequence[Step], kept: Iterable[Value]) -> None:
        super().__init__(writer)
        self._kinds: dict[Step, str] = {}  # of the waiting
        self.straight = [step for step in order if isinstance(step, Value)]
        loops = [step for step in order if isinstance(step, Loop)]
        self.kept = {*kept, *(v for loop in loops for v in writer.program.reads(loop))}
        self._later: list[Value] = []  # what NumPy computes from the results

    def made(self) -> list[Value]:
        """The Values that are computed by what has been collected."""
        results = self.writer.program.results
        computed = [v for step in self.waiting for v in (results[step] if isinstance(step, Loop) else [step])]
        return [*computed, *self._later]

    def making_way_for(self, step: Step, needed: Sequence[Value]) -> list[str]:
        """The lines that have to run before a step, if it can't be collected with those that are waiting."""
        kind = self._kind(step)
        if not kind:
            return self.before(needed)
        return [] if kind in ("gradient", "later") or self._fits(step) else self.flush()

    def takes(self, step: Step) -> bool:
        """Collect a step, if it is one of those."""
        kind = self._kind(step)
        if kind == "later":
            self._later.append(step)  # type: ignore[arg-type]
        elif kind:
            self.waiting.append(step)
            self._kinds[step] = kind
            if kind == "gradient":
                self.writer.add_buffer(step)  # type: ignore[arg-type]
        return bool(kind)

    def _kind(self, step: Step) -> str:
        """The way in which a step is collected: as a loop, a gradient or a pass, or for NumPy later; "" for none."""
        if isinstance(step, Loop):
            return "loop" if self._rows(step) else ""
        if self._is_gradient(step):
            return "gradient"
        if self._is_pass(step):
            return "pass"
        made = self.made()
        return "later" if step.op is not linalg.matmul and any(v in made for v in step.operands) else ""

    @property
    def _gradients(self) -> list[Any]:
        return [step for step, kind in self._kinds.items() if kind == "gradient"]

    def _is_pass(self, step: Value) -> bool:
        is_one = step.op is not None and step.size >= thresholds.SMALLEST_PASS
        is_one = is_one and (has_expression(step) or _is_indexed(step))
        return is_one or (is_summed_in_pass(step, self.writer.fixed) and step.args[0] in self.waiting)

    def _is_gradient(self, value: Value) -> bool:
        """Return True for the gradient of a weight or a bias that threads can sum up after a loop that is waiting."""
        if weight_gradients.goes_by_rows(value):
            sequences: Sequence[Value] = weight_gradients.factors(value) or ()
        elif _is_sum_over_rows(value) and weight_gradients.goes_along(value, self._gradients):
            sequences = value.args
        else:
            return False
        rows = next((self._rows(step) for step in self.waiting if isinstance(step, Loop)), 0)
        made = [a for a in sequences if a in self.made()]
        return bool(made) and all(_has_rows(a, rows) and a not in self._later for a in made)

    def _rows(self, loop: Loop) -> int:
        """The number of rows that threads share; 0 if one thread is faster, or there are more threads than parts."""
        results = self.writer.program.results[loop]
        is_large = work_of(loop, results) > thresholds.SMALL_LOOP and are_enough(PARTS)
        return batch_of(loop, results) if is_large else 0

    def _fits(self, step: Step) -> bool:
        """Return True if threads can stay with their rows in a step and in all that are waiting, where it matters."""
        read = self.writer.program.reads(step)
        gradients = self._gradients
        if any(v in self._later or v in gradients for v in read):
            return False
        steps = [*(step for step in self.waiting if step not in gradients), step]
        loops = [step for step in steps if isinstance(step, Loop)]
        if not loops:
            return True
        rows, made = self._rows(loops[0]), {*self.made()}
        return all(self._goes_along(step, rows, made) for step in steps)

    def _goes_along(self, step: Step, rows: int, made: Container[Value]) -> bool:
        """Return True if a step computes these rows, each from the same row of what is computed together with it."""
        if isinstance(step, Loop):
            sequences = {*step.slices.values()}
            read = [v for v in self.writer.program.reads(step) if v in made]
            return self._rows(step) == rows and all(v in sequences and _has_rows(v, rows) for v in read)
        if not has_expression(step):
            return is_summed_in_pass(step, self.writer.fixed) and _has_rows(step.args[0], rows)
        return _has_rows(step, rows) and all(
            _has_rows(a, rows) and a.ndim == step.ndim for a in step.operands if a in made
        )

    def _lines(self, steps: Sequence[Step]) -> list[str]:
        groups: list[list[Any]] = [[*group] for _, group in groupby(steps, self._kinds.__getitem__)]
        lines: list[str] = []
        if len(groups) > 1:
            with suppress(NoMachineCode):
                lines = self._together(groups)
        for group in groups if not lines else ():
            kind = self._kinds[group[0]]
            if kind == "loop":
                lines += [line for loop in group for line in _loop(self.writer, loop)]
            elif kind == "gradient":
                lines += weight_gradients.lines_for(self.writer, group)
            else:
                lines += self._pass(group)
        later, self._later, self._kinds = self._later, [], {}
        return [*lines, *(line for value in later for line in self.writer.straight(value))]

    def _together(self, groups: Sequence[Sequence[Any]]) -> list[str]:
        """Loops and passes as one function, each thread of which computes some parts of the rows."""
        code = MachineCode(self.writer)
        placement = self._placement(code)
        code.parts = PARTS
        code.rows = max(self._rows(step) for group in groups for step in group if isinstance(step, Loop))
        for group in groups:
            kind = self._kinds[group[0]]
            if kind == "loop":
                code.take_rows()
                for loop in group:
                    MachineLoop(placement, loop).write()
            elif kind == "gradient":
                weight_gradients.write(code, group)
            else:
                with code.each_part():
                    write(placement, group)
                self._name(group, placement)
        return code.call()

    def _pass(self, values: Sequence[Value]) -> list[str]:
        """Operations around loops as one function, on one thread."""
        code = MachineCode(self.writer)
        placement = self._placement(code)
        try:
            write(placement, values)
        except NoMachineCode:
            return [line for value in values for line in self.writer.straight(value)]
        self._name(values, placement)
        return code.call()

    def _placement(self, code: MachineCode) -> Placement:
        placement = Placement(code)
        placement.add_users(self.straight)
        placement.kept |= self.kept
        return placement

    def _name(self, values: Sequence[Value], placement: Placement) -> None:
        self.writer.names.update({v: placement.passed(placement.homes[v]) for v in values if v in placement.writes})


def _has_rows(value: Value, rows: int) -> bool:
    """Return True for a sequence (T, rows, ...); for a result of a loop, if it is that of each step."""
    is_sequence = not isinstance(value, LoopResult) or value.how == "rows"
    return is_sequence and value.ndim > 1 and value.shape[1] == rows
