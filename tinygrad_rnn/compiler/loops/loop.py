"""The loop over time, split: only what the recurrence needs is computed step by step.

A loop has a *body*: the Values of one step, made of the state before the step, of rows of sequences, and of values from
outside that don't change. Ask the loop for what you want of it, and it decides where that is computed:

- ``over(v)``: v at all steps, (T, ...). What depends on sequences alone is computed before the loop, for all steps at
  once; what only reads the states, after it. Only what the state after a step is made of is computed inside.
- ``total(v)``: the sum of v over all steps. The gradient of a weight, ``Σ_t h_{t-1}ᵀ Δ_t``, is one large product.
- ``last(i)``: component i of the state after the last step.

Any Value may stay in the loop; that is always right, and is what happens to operations without an over-time form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import elementwise, indexing, shape
from ..graph.shapes import acts_by_element, is_view
from ..graph.trace import Trace
from ..graph.values import Value, in_order, inner_operands, next_serial, operands, values_in
from .over_time import outer_factors, over_time, product_over_time, sum_over_time


class Carried(NamedTuple):
    """One component of the state.

    Attributes:
        start: its value before the first step, from outside.
        before: what it is in the body, before the step.
        after: what the body makes of it.
    """

    start: Value
    before: Value
    after: Value


class Result(NamedTuple):
    """What a result of a loop is.

    Attributes:
        kind: "before" (a state before each step), "after" (a state after each step), "rows" (any Value of the body, at
            each step), "sum" (of a Value over all steps), "last" (a state after the last step).
        inner: the Value of the body.
    """

    kind: str
    inner: Value


class Loop:
    """T steps of a body.

    Args:
        trace: where to record what leaves the loop.
        name: what to call it.
        steps: T.
        carried: the state.
        slices: the inputs of the body that are rows of sequences, by body Value: (T, ...).
        backwards: whether it runs from the last row to the first.

    Attributes:
        results: what was asked for and comes from inside the loop.
    """

    def __init__(
        self,
        trace: Trace,
        name: str,
        steps: int,
        carried: Sequence[Carried],
        slices: dict[Value, Value],
        backwards: bool = False,
    ) -> None:
        self.trace, self.name, self.steps, self.backwards = trace, name, steps, backwards
        self.carried = list(carried)
        self.slices = dict(slices)
        self.serial = next_serial()
        self.results: dict[Result, Value] = {}
        self._befores = {c.before for c in self.carried}
        self._moving: dict[Value, bool] = {}
        self._early: dict[Value, Value | None] = {}
        self._over: dict[Value, Value] = {}
        self._recurrent = set(self._body([c.after for c in self.carried]))

    # --- what stands where -------------------------------------------------------------------------------------------

    def moves(self, value: Value) -> bool:
        """Whether a Value changes from step to step."""
        for v in in_order([value], stop=lambda v: v in self._moving, parents=inner_operands):
            inside = v in self._befores or v in self.slices
            self._moving[v] = inside or any(self._moving[parent] for parent in inner_operands(v))
        return self._moving[value]

    def _body(self, roots: Sequence[Value]) -> list[Value]:
        """What has to be computed in each step for these, in order."""
        return in_order(roots, stop=lambda v: v in self._befores or not self.moves(v) or self._leaves_early(v))

    def _leaves_early(self, value: Value) -> bool:
        """Whether a Value is computed before the loop. Machine code has the cheap ones for nothing inside."""
        is_cheap = value not in self.slices and (acts_by_element(value.op) or is_view(value))
        if is_cheap and not self.trace.lifts_elements:
            return False
        return self.early(value) is not None

    def early(self, value: Value) -> Value | None:
        """The Value over time, if it depends on sequences alone and has an over-time form."""
        for v in in_order([value], stop=lambda v: v in self._early or v in self.slices or not self.moves(v)):
            self._early[v] = None if v in self._befores else self._lifted(v, self._early_operand)
        return self._early_operand(value)

    def _early_operand(self, value: Value) -> Value | None:
        return self.slices[value] if value in self.slices else self._early.get(value)

    def _lifted(self, value: Value, lift: Any) -> Value | None:
        """The Value over time, made of its operands over time; None if that can't be done."""
        args, moving = [], []
        if value.op is None:
            return None
        if any(self.moves(v) for a in (*value.args, value.keywords) if not isinstance(a, Value) for v in values_in(a)):
            return None
        for a in value.args:
            moves = isinstance(a, Value) and self.moves(a)
            if moves:
                a = lift(a)
                if a is None:
                    return None
            args.append(a)
            moving.append(moves)
        return over_time(self.trace, self.steps, value, args, moving)

    # --- what can be asked for ---------------------------------------------------------------------------------------

    def over(self, value: Value) -> Value:
        """A Value of the body at all steps, (T, ...)."""
        early = self.early(value)
        if early is not None and value not in self._recurrent:
            return early
        if not self.moves(value):
            raise ValueError("a Value that doesn't change has no rows")

        def known(v: Value) -> bool:
            is_early = v not in self._recurrent and self.early(v) is not None
            return v in self._over or not self.moves(v) or is_early

        def beyond(v: Value) -> list[Value]:
            return [] if v in self._befores or v in self._recurrent or self._stays_whole(v) else operands(v)

        for v in in_order([value], stop=known, parents=beyond):
            if v in self._befores:
                self._over[v] = self._result("before", v)
            elif v in self._recurrent:
                self._over[v] = self._row_result(v)
            else:
                late = None if self._stays_whole(v) else self._lifted(v, self.over)
                self._over[v] = self._row_result(v) if late is None else late
        return self._over[value]

    def _stays_whole(self, value: Value) -> bool:
        """Whether a Value is computed inside though it could leave, rather than what it is made of.

        So are one of several outputs, and parts that the loop computes anyway and can write side by side at once.
        """
        is_joined_inside = value.op is shape.joined and all(a in self._recurrent for a in value.args)
        return value.op is indexing.output or is_joined_inside

    def _row_result(self, value: Value) -> Value:
        is_state = any(c.after is value for c in self.carried)
        return self._result("after" if is_state else "rows", value)

    def last(self, index: int) -> Value:
        """A component of the state after the last step."""
        carried = self.carried[index]
        return self._result("last", carried.before)

    def total(self, value: Value) -> Value:
        """The sum of a Value over all steps."""
        if not self.moves(value):
            return self._times_steps(value)
        if value.op in (elementwise.add, elementwise.subtract) and all(_like(a, value) for a in value.args):
            a, b = (self.total(a) for a in value.args)
            return self.trace.made(value.op, (a, b), {})
        if value.op in (elementwise.negative, shape.transpose, shape.reshape):
            return self.trace.made(value.op, (self.total(value.args[0]), *value.args[1:]), value.keywords)
        factors = outer_factors(value)
        if factors is not None and all(map(self.moves, factors)):
            return product_over_time(self.trace, self.over(factors[0]), self.over(factors[1]))
        if value.op is indexing.assemble:
            return self._assembled_total(value)
        if value.nbytes <= sum(a.nbytes for a in operands(value) if self.moves(a)):
            return sum_over_time(self.trace, self.over(value))
        return self._result("sum", value)

    def _times_steps(self, value: Value) -> Value:
        return self.trace.made(elementwise.multiply, (value, self.trace.lowered(_number(self.steps, value))), {})

    def _assembled_total(self, value: Value) -> Value:
        """Rows of a table, chosen by indices that change (an embedding): all steps add to the same table."""
        if indexing.is_basic(value.keywords["indices"][0]) or not all(map(self.moves, value.args)):
            return self._result("sum", value)
        pieces = tuple(map(self.over, value.args))
        indices = value.keywords["indices"]
        if not all(isinstance(index, Value) and self.moves(index) for index in indices):
            return self._result("sum", value)
        indices = tuple(map(self.over, indices))
        return self.trace.made(value.op, pieces, {"indices": indices, "shape": value.keywords["shape"]})

    def _result(self, kind: str, inner: Value) -> Value:
        key = Result(kind, inner)
        if key not in self.results:
            leading = (self.steps,) if kind in ("before", "after", "rows") else ()
            shape = (*leading, *inner.shape)
            self.results[key] = Value(self, (), {"result": key}, shape, inner.dtype, "result")
        return self.results[key]

    # --- what is left ------------------------------------------------------------------------------------------------

    def body(self) -> list[Value]:
        """What is computed in each step, in order."""
        inside = [r.inner for r in self.results if r.kind in ("rows", "sum")]
        return self._body([*(c.after for c in self.carried), *inside])

    def inputs(self, body: Sequence[Value]) -> tuple[list[Value], list[Value]]:
        """What the body reads and doesn't make: body Values that are rows of sequences, and outside ones."""
        made = set(body) | self._befores
        ends = [c.after for c in self.carried] + [r.inner for r in self.results if r.kind in ("rows", "sum")]
        read = [v for value in body for v in operands(value)] + ends
        needed = list(dict.fromkeys(v for v in read if v not in made))
        return [v for v in needed if self.moves(v)], [v for v in needed if not self.moves(v)]

    def reads(self) -> list[Value]:
        """The outside Values that the loop needs."""
        rows, fixed = self.inputs(self.body())
        found = [self.early(v) for v in rows]
        return [*(c.start for c in self.carried), *(v for v in found if v is not None), *fixed]


def _like(a: Any, value: Value) -> bool:
    return isinstance(a, Value) and a.shape == value.shape and a.dtype == value.dtype


def _number(n: int, value: Value) -> Any:
    return np.asarray(n, value.dtype)
