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
from collections.abc import Iterable, Sequence

from ...autodiff.rules import indexing, linalg, reductions
from .. import thresholds
from ..elements.expressions import TYPES, has_expression
from ..elements.function import MachineCode, NoMachineCode
from ..graph.values import Value, operands
from ..loops.loop import Loop
from ..numpy_code.writer import Writer, as_tuple
from ..program.program import Step
from ..runtime.blas import matmul, together
from . import weight_gradients
from .loop import MachineLoop
from .passes import is_summed_in_pass
from .schedule import Schedule
from .stepped_loop import SteppedLoop


def lines_for(writer: Writer, order: list[Step], kept: Iterable[Value]) -> list[str]:
    """The lines of the calling function that compute these Values and Loops.

    Args:
        writer: the Writer of the calling function.
        order: the Values and Loops to compute, each after its operands.
        kept: the Values that are read afterwards.
    """
    writer.globals["matmul"] = matmul  # NumPy's, on threads of ours
    writer.globals["together"] = together
    passes, products = ElementPasses(writer, order, kept), Products(writer)
    lines: list[str] = []
    for step in order:
        needed = step.reads(writer.program.results[step]) if isinstance(step, Loop) else operands(step)
        lines += products.before(needed)
        if isinstance(step, Loop):
            lines += passes.before(needed)
            lines += _loop(writer, step)
        elif not passes.takes(step):
            lines += passes.before(needed)
            if step.op is not None and not products.takes(step):
                lines += writer.straight(step)
    return [*lines, *products.flush(), *passes.flush()]


def _loop(writer: Writer, loop: Loop) -> list[str]:
    code = MachineCode(writer)
    try:
        MachineLoop(Schedule(code), loop).write()
    except NoMachineCode as why:
        writer.left_to_numpy.append(str(why))
        return SteppedLoop(writer, loop).lines()
    return code.call()


class _Collected(ABC):
    """Operations of one kind, collected until somebody needs their results.

    Args:
        writer: the Writer of the calling function.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.waiting: list[Value] = []

    def before(self, needed: Sequence[Value]) -> list[str]:
        """The lines that have to run before these Values, or views of them, are read: those of all, or none."""
        return self.flush() if any(v in needed for v in self.waiting) else []

    def flush(self) -> list[str]:
        """The lines that compute everything collected so far."""
        values, self.waiting = self.waiting, []
        return self._lines(values) if values else []

    @abstractmethod
    def _lines(self, values: Sequence[Value]) -> list[str]:
        """The lines that compute these Values together."""


class Products(_Collected):
    """Collects products of matrices, and sums over rows, until somebody needs their results."""

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
    axes = value.keywords.get("axis")
    axes = axes if isinstance(axes, tuple) else (axes,)
    return a.dtype == value.dtype and None not in axes and sorted(i % a.ndim for i in axes) == list(range(a.ndim - 1))


def _is_assembled(value: Value) -> bool:
    """Return True for pieces added up in an array: NumPy calls a function for each element whose place is in an index.

    The opposite, elements taken by an index, is left to NumPy, which names an index that is out of bounds.
    """
    return value.op is indexing.assemble and {value.dtype, *(v.dtype for v in operands(value))} <= TYPES


class ElementPasses(_Collected):
    """Collects elementwise operations, sums of their results, and arrays assembled from pieces, until they are needed.

    Args:
        writer: the Writer of the calling function.
        order: all that it computes.
        kept: the Values that are read afterwards.
    """

    def __init__(self, writer: Writer, order: Sequence[Step], kept: Iterable[Value]) -> None:
        super().__init__(writer)
        self.straight = [step for step in order if isinstance(step, Value)]
        loops = [step for step in order if isinstance(step, Loop)]
        self.kept = {*kept, *(v for loop in loops for v in loop.reads(writer.program.results[loop]))}

    def takes(self, value: Value) -> bool:
        """Collect a Value, if it is one to be computed in a pass."""
        is_one = value.op is not None and value.size >= thresholds.SMALLEST_PASS
        is_one = is_one and (has_expression(value) or _is_assembled(value))
        is_one = is_one or (is_summed_in_pass(value, self.writer.fixed) and value.args[0] in self.waiting)
        if is_one:
            self.waiting.append(value)
        return is_one

    def _lines(self, values: Sequence[Value]) -> list[str]:
        code = MachineCode(self.writer)
        schedule = Schedule(code)
        placement = schedule.placement
        placement.add_users(self.straight)
        placement.kept |= self.kept
        try:
            schedule.write(values)
        except NoMachineCode:
            return [line for value in values for line in self.writer.straight(value)]
        self.writer.names.update({v: placement.passed(placement.homes[v]) for v in values if v in placement.writes})
        return code.call()
