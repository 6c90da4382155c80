"""Running many edited derivations: values that an edit doesn't reach are taken from the right run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..equations.expressions import Expression, Number, Parameter, Reference
from ..equations.lines import Line, in_order_of_computation
from ..equations.making import zeros
from ..equations.parts import closure, parts, replaced
from ..equations.quantities import Quantity
from ..running.evaluate import Run, Running, compiled, compiled_line
from .edits import SOME_STEPS, Edit
from .kinks import is_kink

if TYPE_CHECKING:
    from .derived import Derived

Visit = tuple[Line, "int | None", Run]


class NotYet(LookupError):
    """The error for a value that is read before it is computed: nobody can have written this."""


class Values(dict[Any, Any]):
    """The values of a quantity by step: zeros before the first and after the last."""

    def __init__(self, zeros: np.ndarray, known: Iterable[Any]) -> None:
        super().__init__()
        self.zeros, self.known = zeros, known

    def __missing__(self, t: Any) -> Any:
        if t in self.known:
            raise NotYet(t)
        return self.zeros


class Needed(Values):
    """The values of a quantity by step, each computed when it is first read."""

    def __init__(self, quantity: Quantity, empty: tuple[np.ndarray, set[Any]], compute: Callable[..., Any]) -> None:
        super().__init__(*empty)
        self.quantity, self.compute = quantity, compute

    def __missing__(self, t: Any) -> Any:
        if t not in self.known:
            return self.zeros
        self[t] = self.compute(self.quantity, t)
        return self[t]


class Bench:
    """The right run of a derivation, and runs of it with some lines edited.

    Args:
        derivation: the derivation.
        parameters: other values than the recorded ones, by their own names.
        data: other arrays than the recorded ones, by name.

    Attributes:
        visits: each line at each of its steps, in the order of computation, with its function.
    """

    def __init__(
        self,
        derivation: Derived,
        parameters: Mapping[str, np.ndarray] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.derivation = derivation
        self.data = {**derivation.given, **(derivation.data if data is None else data)}
        values = derivation.parameters if parameters is None else parameters
        self.parameters = {derivation.names[name]: value for name, value in values.items()}
        self.shapes = {derivation.names[name]: value.shape for name, value in values.items()}
        self.lines = derivation.lines
        self._functions = {line: compiled_line(line) for line in self.lines}
        self._empty = {q: (np.zeros(q.shape), set(q.steps or (None,))) for q in self._quantities()}
        self.visits = [(line, t, self._functions[line]) for line, t in in_order_of_computation(self.lines)]
        self._reached: dict[frozenset[Quantity], _Plan] = {}
        self._reached_from: dict[Quantity, set[str]] = {}
        self._gradients: dict[str, np.ndarray] = {}
        self.right = Running(self.parameters, self.data)
        for quantity, empty in self._empty.items():
            self.right.values[quantity] = Values(*empty)
        for line, t, function in self.visits:
            self.right.values[line.quantity][t] = function(self.right, t)
        for line, t in _left_by_the_last_step(self.lines):
            with contextlib.suppress(NotYet):
                self.right.values[line.quantity][t] = self._functions[line](self.right, t)
        self._compute_unread()

    def _compute_unread(self) -> None:
        """Compute what no line reads at the last steps of a loop: a forward pass in a loop computes it nevertheless."""
        forward = [line for line in self.lines if line.kind == "forward" and line.steps]
        last: dict[Any, int] = {}
        for line in forward:
            last[line.quantity.loop] = max(line.steps[-1], last.get(line.quantity.loop, line.steps[-1]))
        shorter = [line for line in forward if line.quantity.steps[-1] < last[line.quantity.loop]]
        for t in sorted({t for line in shorter for t in range(line.steps[-1] + 1, last[line.quantity.loop] + 1)}):
            for line in shorter:
                values = self.right.values
                read = ((p.quantity, p.step(t)) for p in parts(line.expression, Reference))
                is_next = line.quantity.steps[-1] < t <= last[line.quantity.loop]
                if is_next and all(at in values[quantity] for quantity, at in read):
                    with contextlib.suppress(LookupError):  # the data are shorter
                        values[line.quantity][t] = self._functions[line](self.right, t)

    def _quantities(self) -> list[Quantity]:
        return list(dict.fromkeys(line.quantity for line in self.lines))

    def kinks(self) -> list[Edit]:
        """The lines that define a derivative at a kink, if some values are at it and it is taken as 0: relu'(0) = 0."""
        found = []
        for line in self.lines:
            here = [part for part in parts(line.expression) if is_kink(part) and self._ever(part.operands[0], line)]
            if here and line.kind != "forward":
                without = replaced(line.expression, lambda p, here=here: zeros(p.shape) if p in here else None)  # type: ignore[misc]
                found.append(Edit(line, without, "the derivative at the kink is 0", is_convention=True))
        return found

    def _ever(self, condition: Expression, line: Line) -> bool:
        function = compiled(condition)
        return any(np.any(function(self.right, t)) for t in line.steps or (None,))

    @cached_property
    def readers(self) -> dict[Quantity, set[Line]]:
        """The lines that read each quantity."""
        found: dict[Quantity, set[Line]] = {}
        for line in self.lines:
            for part in parts(line.expression, Reference):
                found.setdefault(part.quantity, set()).add(line)
        return found

    def downstream(self, starts: Iterable[Quantity]) -> set[Quantity]:
        """The quantities that depend on these, and these themselves."""
        return closure(starts, lambda quantity: (line.quantity for line in self.readers.get(quantity, ())))

    def upstream(self, quantity: Quantity) -> set[Quantity]:
        """The quantities on which one depends, and the one itself."""
        return closure([quantity], lambda other: self._read.get(other, ()))

    @cached_property
    def _read(self) -> dict[Quantity, set[Quantity]]:
        """The quantities that the lines of each quantity read."""
        found: dict[Quantity, set[Quantity]] = {}
        for quantity, lines in self.readers.items():
            for line in lines:
                found.setdefault(line.quantity, set()).add(quantity)
        return found

    def reached(self, line: Line) -> set[str]:
        """The parameters whose gradients depend on a line, by the name in lines."""
        if line.quantity not in self._reached_from:
            reached = {q.adjoint_of for q in self.downstream([line.quantity]) if isinstance(q.adjoint_of, str)}
            self._reached_from[line.quantity] = reached
        return self._reached_from[line.quantity]

    # --- runs ------------------------------------------------------------------------------------------------------

    def run(self, edits: Sequence[Edit]) -> EditedRun:
        """A run with these lines edited; gradients are computed on demand."""
        return EditedRun(self, edits)

    def _plan(self, starts: frozenset[Quantity]) -> _Plan:
        if starts not in self._reached:
            touched = self.downstream(starts)
            visits = [visit for visit in self.visits if visit[0].quantity in touched and visit[0].kind != "gradient"]
            behind = {
                str(line.quantity.adjoint_of): (line, touched & self.upstream(line.quantity))
                for line in self.lines
                if line.kind == "gradient" and line.quantity in touched
            }
            order = sorted(behind, key=lambda name: sum(visit[0].quantity in behind[name][1] for visit in visits))
            computed = frozenset(visit[0].quantity for visit in visits)
            self._reached[starts] = _Plan(visits, computed, {name: behind[name] for name in order})
        return self._reached[starts]

    def gradient(self, name: str) -> np.ndarray:
        """The right gradient of a parameter."""
        if name not in self._gradients:
            quantity = self.gradient_of.get(name)
            value = 0.0 if quantity is None else self.right.values[quantity][None]
            self._gradients[name] = self.shaped(name, value)
        return self._gradients[name]

    @cached_property
    def largest(self) -> np.ndarray:
        """The right gradient with the largest numbers: one whose terms cancel is rounding errors of such."""
        return max(map(self.gradient, self.shapes), key=lambda g: np.max(np.abs(g), initial=0.0))

    @cached_property
    def gradient_of(self) -> dict[str, Quantity]:
        """The quantity that is the gradient of each parameter that has one."""
        return {line.quantity.adjoint_of: line.quantity for line in self.lines if line.kind == "gradient"}

    def shaped(self, name: str, value: Any) -> np.ndarray:
        """A gradient in the shape of its parameter."""
        if value is None:
            raise NotYet(name)
        array, shape = np.asarray(value), self.shapes[name]
        return array if array.shape == shape else np.broadcast_to(array, shape)


def _left_by_the_last_step(lines: Iterable[Line]) -> Iterator[tuple[Line, int]]:
    """The lines of what is known before a step begins (a memory), and the step after the last: none reads it there."""
    past: set[Quantity] = set()
    for line in lines:
        if line.kind == "forward" and line.steps and line.steps[-1] == line.quantity.steps[-1]:
            read = [p for p in parts(line.expression) if not p.operands and not isinstance(p, (Number, Parameter))]
            shifts = [p.shift for p in read if isinstance(p, Reference) and (p.quantity not in past or p.shift)]
            others = [p for p in read if not isinstance(p, Reference)]
            if read and not others and all(shift is not None and shift < 0 for shift in shifts):
                past.add(line.quantity)
                yield line, line.steps[-1] + 1


def has_kinks(lines: Iterable[Line]) -> bool:
    """Return True if one of the lines defines the derivative at a kink."""
    return any(is_kink(part) for line in lines for part in parts(line.expression))


class _Plan(NamedTuple):
    """The part of a run that edits may change.

    Attributes:
        visits: the visits of its lines that aren't gradients, in order.
        computed: the quantities of these lines.
        gradients: the line of each gradient, and the quantities between the edits and it; those with the fewest
            visits first.
    """

    visits: list[Visit]
    computed: frozenset[Quantity]
    gradients: dict[str, tuple[Line, set[Quantity]]]


class EditedRun:
    """The numbers of an edited derivation, each computed on demand.

    Attributes:
        touched: the parameters whose gradients may have changed, by their names in lines; the cheapest first.
    """

    def __init__(self, bench: Bench, edits: Sequence[Edit]) -> None:
        self.bench = bench
        plan = bench._plan(frozenset(edit.line.quantity for edit in edits))
        self.touched = plan.gradients
        self._edited = {edit.line: (compiled(edit.expression), edit.steps) for edit in edits}
        self._plan, self._waiting = plan, plan.visits
        self._begin()

    def _begin(self) -> None:
        self.running = Running(self.bench.parameters, self.bench.data)
        self.running.values = dict(self.bench.right.values)
        for quantity in self._plan.computed:
            self.running.values[quantity] = Values(*self.bench._empty[quantity])

    def _visit(self, among: set[Quantity] | None = None) -> None:
        """Compute the missing values of these quantities, or of all."""
        visits, self._waiting = self._waiting, []
        running, values = self.running, self.running.values
        for visit in visits:
            line, t, right = visit
            if among is None or line.quantity in among:
                function = self._function(line, t, right) if line in self._edited else right
                value = function(running, t)
                values[line.quantity][t] = self._zeros(line.quantity) if value is None else value
            else:
                self._waiting.append(visit)

    def _visit_as_needed(self) -> None:
        """Compute all values, each when it is first read: a loop may be edited to run the other way."""
        functions = {(line.quantity, t): self._function(line, t, right) for line, t, right in self._plan.visits}

        def compute(quantity: Quantity, t: Any) -> Any:
            if (quantity, t) not in functions:  # it is being computed: nobody can have written this
                raise NotYet(t)
            value = functions.pop((quantity, t))(self.running, t)
            return self._zeros(quantity) if value is None else value

        for quantity in self._plan.computed:
            self.running.values[quantity] = Needed(quantity, self.bench._empty[quantity], compute)
        for line, t, _ in self._plan.visits:
            self.running.values[line.quantity][t]
        self._waiting = []

    def _zeros(self, quantity: Quantity) -> np.ndarray:
        """The value of a sum that has no term at some step, since the only one there was left out."""
        return self.bench._empty[quantity][0]

    def _function(self, line: Line, t: int | None, right: Run) -> Run:
        if line not in self._edited:
            return right
        function, steps = self._edited[line]
        is_made = steps is None or not line.steps or (t is not None and SOME_STEPS[steps](t, line.steps))
        return function if is_made else right

    def gradient(self, name: str) -> np.ndarray:
        """The gradient of a parameter, by its name in lines."""
        if name not in self.touched:
            return self.bench.gradient(name)
        line, behind = self.touched[name]
        function = self._function(line, None, self.bench._functions[line])
        try:
            self._visit(behind)
            return self.bench.shaped(name, function(self.running, None))
        except NotYet:  # an edited line may read more than the right one, and in another order
            self._begin()
            self._visit_as_needed()
            return self.bench.shaped(name, function(self.running, None))

    def evaluated(self, expression: Expression, t: int | None) -> Any:
        """The value of an expression among these numbers."""
        self._visit()
        return compiled(expression)(self.running, t)

    def value(self, quantity: Quantity, t: int | None) -> Any:
        """The value of a line."""
        self._visit()
        return self.running.values[quantity][t]
