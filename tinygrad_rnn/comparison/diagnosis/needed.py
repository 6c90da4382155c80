"""The numbers that lines have to give, as far as they are known, and whether an edit gives them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...derivation.edits.editing import Bench
from ...derivation.edits.edits import Edit
from ...derivation.equations.expressions import Expression
from ...derivation.equations.lines import Line
from ...derivation.equations.quantities import Place, Quantity
from ...derivation.running.evaluate import Run, compiled
from ..measures import largest

CLOSE = 1e-5  # the relative error of a value that is known from gradients


class Needed:
    """The numbers that lines have to give.

    Args:
        bench: the right run of the lines.
        lines: the lines at fault.
        added: what each of their values is more than the line as it should be gives, of the same wrong numbers.
        known: where this is known; elsewhere it makes no difference.
        of_one_instance: returns the part of a quantity's value that makes a difference.
    """

    def __init__(
        self,
        bench: Bench,
        lines: Sequence[Line],
        added: Mapping[Place, np.ndarray],
        known: Mapping[Place, np.ndarray],
        of_one_instance: Callable[[Quantity, Any], np.ndarray],
    ) -> None:
        self.bench, self.known, self._of_one_instance = bench, known, of_one_instance
        self._wrong = {line: _more(line, added) for line in lines}
        self._targets: dict[Line, tuple[list[np.ndarray], float]] = {}
        self.run = bench.run([Edit(line, wrong, "") for line, wrong in self._wrong.items()])

    def wanted(self, line: Line) -> np.ndarray:
        """The numbers that a line has to give, at all its steps, where they are known."""
        return self.values(line, self._wrong[line])

    def values(self, line: Line, expression: Expression) -> np.ndarray:
        """The numbers that another right-hand side gives instead; errors if it can't be run."""
        return np.concatenate(list(self._step_by_step(line, expression)))

    def _step_by_step(self, line: Line, expression: Expression) -> Iterator[np.ndarray]:
        for place in line.places:
            value = self.run.evaluated(expression, place[1])
            yield self._of_one_instance(line.quantity, value)[self.known[place]]

    def given_and_right(self, line: Line, t: int | None) -> tuple[np.ndarray, np.ndarray] | None:
        """The numbers that a line has to give at a step, and should; of one instance. None unless all are known."""
        if not self.known[line.quantity, t].all():
            return None
        values = (self.run.evaluated(expression, t) for expression in (self._wrong[line], line.expression))
        given, right = (self._of_one_instance(line.quantity, value) for value in values)
        return given, right

    def beside(self, other: Edit) -> Needed:
        """The same numbers, if another line is edited, too."""
        for line in self._wrong:
            self._target(line)
        changed = copy.copy(self)
        changed.run = self.bench.run([*(Edit(line, self._as_given(line), "") for line in self._wrong), other])
        return changed

    def _as_given(self, line: Line) -> Expression:
        """A right-hand side with the values that a line has in this run."""
        values = {t: self.run.value(line.quantity, t) for _, t in line.places}
        return _Computed(line, lambda run, t: values[t])

    def _target(self, line: Line) -> tuple[list[np.ndarray], float]:
        """The numbers that a line has to give at each step, and the allowed error."""
        if line not in self._targets:
            size = max(largest(self.wanted(line)), largest(self.values(line, line.expression)))
            self._targets[line] = [*self._step_by_step(line, self._wrong[line])], CLOSE * size
        return self._targets[line]

    def fits(self, edit: Edit) -> bool:
        """Return True if an edited line gives what it has to give."""
        line = edit.line
        targets, allowed = self._target(line)
        try:  # most edits give something else at the first step already
            return all(largest(a - b) <= allowed for a, b in zip(self._step_by_step(line, edit.expression), targets))
        except Exception:  # an edit that can't be run can't have been made
            return False


class _Computed(Expression):
    """A right-hand side that a function of a run and a step gives."""

    def __init__(self, line: Line, function: Run) -> None:
        self.shape, self.function, self.details = line.shape, function, (id(self),)

    def runs(self) -> Run:
        """The function."""
        return self.function


def _more(line: Line, added: Mapping[Place, np.ndarray]) -> Expression:
    """A line's right-hand side with something added at each step."""
    right = compiled(line.expression)

    def more(run: Any, t: Any) -> Any:
        value = right(run, t)
        return added[line.quantity, t] + (0.0 if value is None else value)

    return _Computed(line, more)
