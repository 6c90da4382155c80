"""The loop over time, as data: one step, what it begins with, and the sequences that it reads.

A loop has a *body*: the Values of one step, made of the state before the step, of rows of sequences, and of Values from
outside, which are the same at each step. Each result is a ``LoopResult``, a Value that names its loop and says what is
wanted: a Value of the body at all steps, its sum over all steps, or the last state. Asking for a result doesn't change
the loop. The program knows which results it wants, and so what each step has to compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ...autodiff.rules import elementwise, shape
from ..graph.trace import Trace
from ..graph.values import Dependence, Value, in_order, next_serial

How = Literal["rows", "sum", "last"]


class Carried(NamedTuple):
    """A component of the state."""

    start: Value  # its value before the first step, from outside
    before: Value  # the Value in the body that stands for it before the step
    after: Value  # its Value after the step, computed by the body


class Linear(NamedTuple):
    """A linear recurrence: the state after a step is ``factor * state + term``.

    Attributes:
        factor: of one step, or of all steps, (T, ...); without a time axis if it is the same at each.
        term: likewise.
    """

    factor: Value
    term: Value


class LoopResult(Value):
    """A result of a loop; its ``op`` is the loop.

    Attributes:
        how: "rows" (a Value of the body at each step, (T, ...)), "sum" (of a Value over all steps) or "last" (the
            state after the last step; ``inner`` is then the state before a step).
        inner: the Value of the body.
    """

    __slots__ = ("how", "inner")

    op: Loop

    def __init__(self, loop: Loop, how: How, inner: Value) -> None:
        leading = (loop.steps,) if how == "rows" else ()
        super().__init__(loop, (), {}, (*leading, *inner.shape), inner.dtype, "result")
        self.how: How = how
        self.inner = inner


class Loop:
    """T steps of a body. It never changes.

    Args:
        name: its name.
        steps: T.
        carried: the state.
        slices: for each Value of the body that is a row of a sequence, the sequence (T, ...). The step reads such a
            Value and doesn't compute it, even if the Value has an operation.
        backwards: whether it runs from the last row to the first.
        linear: if its only state is a linear recurrence, the factors and terms of all steps.

    Attributes:
        moves: returns whether a Value changes from step to step.
        befores: the Values in the body that stand for the state before the step.
    """

    def __init__(
        self,
        name: str,
        steps: int,
        carried: Iterable[Carried],
        slices: Mapping[Value, Value],
        backwards: bool = False,
        linear: Linear | None = None,
    ) -> None:
        self.name, self.steps, self.backwards, self.linear = name, steps, backwards, linear
        self.carried = tuple(carried)
        self.slices = dict(slices)
        self.serial = next_serial()
        self.befores = frozenset(c.before for c in self.carried)
        self.moves = Dependence([*self.befores, *self.slices])
        self._bodies: dict[tuple[Value, ...], list[Value]] = {}  # by the ends of a step
        self._inputs: dict[tuple[Value, ...], tuple[list[Value], list[Value]]] = {}

    # --- what can be asked for ---------------------------------------------------------------------------------------

    def over(self, trace: Trace, value: Value) -> Value:
        """A Value of the body at all steps, (T, ...)."""
        if value in self.slices:
            return self.slices[value]
        if not self.moves(value):
            return trace.made(shape.broadcast_to, (value, (self.steps, *value.shape)), {})
        return self.result(trace, "rows", value)

    def total(self, trace: Trace, value: Value) -> Value:
        """The sum of a Value over all steps."""
        if not self.moves(value):
            steps = trace.lowered(np.asarray(self.steps, value.dtype))
            return trace.made(elementwise.multiply, (value, steps), {})
        return self.result(trace, "sum", value)

    def last(self, trace: Trace, index: int) -> Value:
        """A component of the state after the last step."""
        return self.result(trace, "last", self.carried[index].before)

    def result(self, trace: Trace, how: How, inner: Value) -> Value:
        """A result: the same Value each time that it is asked for."""
        return trace.known((self, how, inner), lambda: LoopResult(self, how, inner))

    # --- what it takes -----------------------------------------------------------------------------------------------

    def body(self, results: Iterable[LoopResult]) -> list[Value]:
        """The Values that have to be computed in each step for these results, in order."""
        ends = tuple(self.ends(results))
        if ends not in self._bodies:
            self._bodies[ends] = in_order(ends, stop=lambda v: v in self.moves.sources or not self.moves(v))
        return self._bodies[ends]

    def ends(self, results: Iterable[LoopResult]) -> list[Value]:
        """The ends of a step: the state after it, and the Values that results depend on."""
        return [*(c.after for c in self.carried), *(r.inner for r in results if r.how != "last")]

    def inputs(self, results: Sequence[LoopResult]) -> tuple[list[Value], list[Value]]:
        """The inputs of the body apart from the state: rows of sequences, and Values from outside."""
        ends = tuple(self.ends(results))
        if ends not in self._inputs:
            body = self.body(results)
            made = {*body, *self.befores}
            read = [*(v for value in body for v in value.operands), *ends]
            needed = list(dict.fromkeys(v for v in read if v not in made))
            self._inputs[ends] = [v for v in needed if v in self.slices], [v for v in needed if v not in self.slices]
        return self._inputs[ends]

    def reads(self, results: Sequence[LoopResult]) -> list[Value]:
        """The Values from outside that the loop needs for these results."""
        rows, fixed = self.inputs(results)
        return [*(c.start for c in self.carried), *(self.slices[v] for v in rows), *fixed, *(self.linear or ())]
