"""The arrangement of lines in a program: the loops over time, their directions, and the lines around them."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from ..backward.grain import references
from ..equations.arithmetic import is_sum
from ..equations.expressions import Expression, Reference, Steps, Sum
from ..equations.lines import Line
from ..equations.not_writable import NotWritable
from ..equations.quantities import Quantity


class Loop:
    """Lines that run together, step by step.

    Attributes:
        lines: the lines of the loop's body.
        sums: lines without steps whose sums over steps are added up in the loop.
        backwards: whether it runs from the last step to the first.
    """

    def __init__(self, lines: list[Line], backwards: bool) -> None:
        self.lines = lines
        self.sums: list[Line] = []
        self.backwards = backwards

    @property
    def steps(self) -> Steps:
        """The steps that the loop takes."""
        return tuple(sorted({t for line in self.lines for t in line.steps}))

    @property
    def quantities(self) -> set[Quantity]:
        """The quantities that it computes."""
        return {line.quantity for line in self.lines}

    def body(self) -> Iterator[tuple[Line, Steps, Expression]]:
        """The statements of one step, in order: a line, the steps for which it holds, and what is computed."""
        for line in self.lines:
            yield line, line.steps, line.expression
        for line in self.sums:
            for term in _terms(line.expression):
                assert isinstance(term, Sum)
                yield line, term.steps, term.inner

    def __hash__(self) -> int:
        return id(self)


Unit = Any  # a Loop, or a Line that runs once


def _terms(expression: Expression) -> tuple[Expression, ...]:
    return expression.operands if is_sum(expression) else (expression,)


def program(lines: list[Line]) -> list[Unit]:
    """The program of lines: loops and single statements, each after the values that it reads.

    Raises:
        NotWritable: there is no such order, because a loop waits for something that waits for the loop.
    """
    loops: dict[Any, list[Line]] = {}
    units: list[Unit] = []
    for line in lines:
        if line.steps and len(line.steps) > 1:
            loops.setdefault(line.quantity.loop, []).append(line)
    single = {line for line in lines if not line.steps}
    for line in lines:
        if len(line.steps) == 1:  # a start, or a step that is different from the others
            own = loops.get(line.quantity.loop)
            main = {t for other in own or () for t in other.steps}
            if own is not None and line.steps[0] in main:
                own.append(line)
            else:
                single.add(line)
    units = [Loop(_in_step_order(group), _runs_backwards(group)) for group in loops.values()]
    units += [line for line in lines if line in single]
    units = _fused(_in_order(units))
    _take_sums(units)
    return units


def straight(lines: list[Line]) -> list[tuple[Line, int | None]]:
    """Every line at every step as a separate statement, after the values that it reads; this is always possible."""
    visits = [(line.quantity.order.get(t, inf), line, t) for line in lines for t in line.steps or (None,)]
    return [(line, t) for _, line, t in sorted(visits, key=lambda visit: visit[0])]


def _first_order(unit: Unit) -> float:
    if isinstance(unit, Loop):
        return min(line.quantity.order[t] for line in unit.lines for t in line.steps)
    steps = unit.steps or (None,)
    return min(unit.quantity.order.get(t, float("inf")) for t in steps)


def _runs_backwards(group: list[Line]) -> bool:
    order = next(line.quantity.order for line in group if len(line.steps) > 1)
    steps = next(line.steps for line in group if len(line.steps) > 1)
    return order[steps[0]] > order[steps[-1]]


def _in_step_order(group: list[Line]) -> list[Line]:
    """The lines of a loop's body, each after the values of the same step that it reads."""
    moved = [line.quantity.sensitivity and line.quantity.sensitivity.by for line in group]
    remaining = sorted(group, key=lambda line: (_rank(line, moved), line.quantity.order[line.steps[-1]]))
    found: list[Line] = []
    while remaining:
        first = next((line for line in remaining if not _waits(line, remaining)), None)
        if first is None:
            raise NotWritable("a step in which two lines wait for each other")
        found.append(first)
        remaining.remove(first)
    return found


def _rank(line: Line, moved: list[Any]) -> int:
    """The rank of a line, so that derivatives by the same quantity stand together."""
    return moved.index(line.quantity.sensitivity and line.quantity.sensitivity.by)


def _waits(line: Line, others: list[Line]) -> bool:
    """Return True if a line reads the result of another line of the same step."""
    read = {(r.quantity, t) for r, steps in references(line.expression, line.steps) if r.shift == 0 for t in steps}
    return any((other.quantity, t) in read for other in others if other is not line for t in other.steps)


Visit = tuple[Quantity, "int | None"]


def _lines(unit: Unit) -> list[Line]:
    return unit.lines if isinstance(unit, Loop) else [unit]


def _gives(unit: Unit) -> set[Visit]:
    """The values that a unit computes: pairs of a quantity and a step."""
    return {(line.quantity, t) for line in _lines(unit) for t in line.steps or (None,)}


def _reads(unit: Unit) -> Iterator[Reference]:
    for line in _lines(unit):
        for reference, _ in references(line.expression, line.steps):
            yield reference


def _values_read(unit: Unit) -> set[Visit]:
    return {
        (reference.quantity, reference.step(t))
        for line in _lines(unit)
        for reference, steps in references(line.expression, line.steps)
        for t in steps or (None,)
    }


def _in_order(units: list[Unit]) -> list[Unit]:
    gives = {unit: _gives(unit) for unit in units}
    needs: dict[Unit, set[Unit]] = {}
    for unit in units:
        read = _values_read(unit)
        needs[unit] = {other for other in units if other is not unit and not read.isdisjoint(gives[other])}
    remaining = sorted(units, key=_first_order)
    found: list[Unit] = []
    done: set[Unit] = set()
    while remaining:
        ready = next((unit for unit in remaining if needs[unit] <= done), None)
        if ready is None:
            raise NotWritable("loops that wait for each other")
        found.append(ready)
        done.add(ready)
        remaining.remove(ready)
    return found


# --- one loop instead of several -------------------------------------------------------------------------------------


def _fused(units: list[Unit]) -> list[Unit]:
    """The loops, with those in the same direction joined into one if no step reads a later value."""
    while True:
        for i, first in enumerate(units):
            for j in range(i + 1, len(units)):
                second = units[j]
                if not (isinstance(first, Loop) and isinstance(second, Loop)):
                    continue
                if _can_join(first, second, units[i + 1 : j], units):
                    try:
                        joined = Loop(_in_step_order([*first.lines, *second.lines]), first.backwards)
                    except NotWritable:
                        continue
                    rest = [unit for unit in units if unit is not first and unit is not second]
                    try:
                        units = _in_order([*rest, joined])
                    except NotWritable:
                        continue
                    break
            else:
                continue
            break
        else:
            return units


def _can_join(first: Loop, second: Loop, between: list[Unit], units: list[Unit]) -> bool:
    if first.backwards != second.backwards or not set(first.steps) & set(second.steps):
        return False
    computed = first.quantities
    direction = -1 if first.backwards else 1
    for reference in _reads(second):
        if reference.quantity in computed and (reference.shift is None or reference.shift * direction > 0):
            return False
    return all(line.quantity.order for line in second.lines)


def _take_sums(units: list[Unit]) -> None:
    """Move sums over the steps of a loop into it, as running sums."""
    for loop in [unit for unit in units if isinstance(unit, Loop)]:
        before: set[Visit] = set()
        for unit in units[: units.index(loop)]:
            before |= _gives(unit)
        for line in [unit for unit in units if isinstance(unit, Line) and not unit.steps]:
            terms = _terms(line.expression)
            if not all(isinstance(term, Sum) and set(term.steps) <= set(loop.steps) for term in terms):
                continue
            quantities = {r.quantity for term in terms for r, _ in references(term, ())}
            own = not quantities.isdisjoint(loop.quantities) or _is_backward(loop)
            if own and all(_is_there(term, loop, before) for term in terms):
                loop.sums.append(line)
                units.remove(line)


def _is_backward(loop: Loop) -> bool:
    return any(line.quantity.adjoint_of is not None for line in loop.lines)


def _is_there(term: Expression, loop: Loop, before: set[Visit]) -> bool:
    """Return True if everything that a sum reads has been computed when the loop reaches the step that reads it."""
    given, direction = _gives(loop), -1 if loop.backwards else 1
    for reference, steps in references(term, ()):
        if reference.quantity.adjoint_of is None and _is_backward(loop):
            continue  # all of the forward pass
        for t in steps or (None,):
            at = reference.step(t)
            done = (reference.quantity, at) in given and at is not None and (at - (t or 0)) * direction <= 0
            if not done and (reference.quantity, at) not in before:
                return False
    return True
