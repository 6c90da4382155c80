"""Loop fission: only what the recurrence needs is computed step by step.

Each result of a loop is computed in one of three places. Values that depend on sequences alone are hoisted: computed
before the loop, for all steps at once (batched over time). Values that only read the states are computed after the
loop, also for all steps at once. Only the operations behind the next state have to be computed inside.

- ``over(v)``: v at all steps, (T, ...).
- ``total(v)``: the sum of v over all steps. The gradient of a weight, ``Σ_t h_{t-1}ᵀ Δ_t``, is one large product.

Any Value may stay in the loop; that is always correct, and operations without an over-time form do stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from enum import Enum
from functools import partial
from typing import Any

from ...autodiff.rules import elementwise, indexing, linalg, shape
from .. import thresholds
from ..graph.shapes import acts_by_element, is_view, spreads_out
from ..graph.trace import Trace
from ..graph.values import Value, in_order, values_in
from .linear import Group, groups
from .loop import How, Linear, Loop, LoopResult
from .lowering import factors_of, lowered, product_over_time
from .over_time import is_looked_up, over_time, sum_over_time
from .rewriting import columns_of, rewritten, simplified_step


class Cheap(Enum):
    """The place of elementwise operations and views that depend on sequences alone.

    Attributes:
        INSIDE: in the loop. In machine code they cost nothing there. Products of several rows with a weight stay, too:
            they are as fast by tiles as outside by BLAS, and their factors were just computed by the same thread. An
            array of all steps would be divided among threads in another way, and half of it come from the other core.
        SLICES_BEFORE: in the loop, but slices of rows and products before it, for all steps at once. JAX's compiler
            for CPUs reads part of a row, at a step that it doesn't know in advance, one element at a time: a gated
            cell's forward pass takes twice as long.
        BEFORE: before the loop.
    """

    INSIDE = "inside"
    SLICES_BEFORE = "slices before"
    BEFORE = "before"


def split(
    trace: Trace,
    loop: Loop,
    results: Sequence[LoopResult],
    outside: Mapping[Value, Value],
    cheap: Cheap,
    keeps_rules: bool,
    scans: bool,
) -> dict[Value, Value]:
    """The Values that take the place of a loop's results after fission.

    Args:
        trace: where to record.
        loop: any loop.
        results: the wanted results of the loop.
        outside: the replacements of Values that it reads.
        cheap: where cheap operations stand that could be hoisted.
        keeps_rules: as in ``lowered``.
        scans: whether states that are linear recurrences become loops of their own.
    """
    lower = partial(lowered, trace, keeps_rules=keeps_rules)
    ends = rewritten(trace, loop.ends(results), loop.moves, lower, outside)
    slices_first = cheap is Cheap.SLICES_BEFORE
    ends = simplified_step(trace, ends, [c.before for c in loop.carried], list(loop.slices), slices_first)
    carried = [c._replace(start=outside.get(c.start, c.start), after=v) for c, v in zip(loop.carried, ends)]
    slices = {v: outside.get(sequence, sequence) for v, sequence in loop.slices.items()}
    inner = ends[len(carried) :]
    whole = Loop(loop.name, loop.steps, carried, slices, loop.backwards)
    *first, rest = groups(trace, whole) if scans else [Group(carried, None)]
    found: dict[Value, Value] = {}
    for group in (*first, rest):
        part = Loop(loop.name, loop.steps, group.carried, slices, loop.backwards)
        fission = _Fission(trace, part, inner if group is rest else (), cheap, group.step)
        if _alike(fission.loop, loop):
            fission.loop = loop
        if group is not rest:
            slices |= {v: sequence for v, sequence in fission.computed().items() if v not in slices}
        own = [c.before for c in group.carried]
        lasts = [result for result in results if result.how == "last" and result.inner in own]
        found |= {result: fission.loop.result(trace, "last", result.inner) for result in lasts}
    for result, value in zip([result for result in results if result.how != "last"], inner):
        found[result] = (fission.over if result.how == "rows" else fission.total)(value)
    return found


def _alike(new: Loop, old: Loop) -> bool:
    is_alike = new.carried == old.carried and new.linear == old.linear
    return is_alike and all(old.slices.get(v) is sequence for v, sequence in new.slices.items())


class _Fission:
    """Decides where each Value of a loop's body is computed.

    Attributes:
        loop: the loop that remains. It reads the hoisted Values.
    """

    def __init__(
        self, trace: Trace, loop: Loop, inner: Sequence[Value], cheap: Cheap, linear: Linear | None = None
    ) -> None:
        self._trace, self._moves, self._cheap = trace, loop.moves, cheap
        self._befores, self._slices, self._steps = loop.befores, loop.slices, loop.steps
        self._early: dict[Value, Value | None] = dict(loop.slices)
        self._over: dict[Value, Value] = {}
        self._large: dict[Value, bool] = {}
        ends = [c.after for c in loop.carried]
        self._behind_hoisted: Set[Value] = set()
        if cheap is Cheap.INSIDE:
            self._behind_hoisted = self._operands_of_hoisted([*ends, *inner])
        self._recurrent = set(self._inside(ends))
        roots = [*ends, *in_order(inner, parents=_summands)]
        read = [*(a for v in self._inside(roots) for a in v.operands), *roots]
        sequences = ((v, self._hoisted(v)) for v in read if self._moves(v) and self._leaves_early(v))
        hoisted = {v: sequence for v, sequence in sequences if sequence is not None}
        trace.given.update(hoisted)
        if linear is not None:
            linear = self._over_time(loop, linear)
        self.loop = Loop(loop.name, loop.steps, loop.carried, hoisted, loop.backwards, linear)

    def _over_time(self, loop: Loop, linear: Linear) -> Linear:
        """The factors and terms of all steps; they don't need the state."""
        others = Loop(loop.name, loop.steps, (), loop.slices, loop.backwards)
        fission = _Fission(self._trace, others, linear, self._cheap)
        return Linear(*(fission.over(v) if self._moves(v) else v for v in linear))

    def computed(self) -> dict[Value, Value]:
        """The Values that other loops can read at all steps; for a linear recurrence, only its states."""
        loop = self.loop
        inside = [c.after for c in loop.carried] if loop.linear is not None else self._recurrent
        given = [*loop.befores, *(v for v in inside if self._moves(v) and v not in self._slices)]
        return {v: self._result("rows", v) for v in given}

    # --- what stands where -------------------------------------------------------------------------------------------

    def _inside(self, roots: Sequence[Value]) -> list[Value]:
        """The Values that have to be computed in each step for these roots, in order."""
        return in_order(roots, stop=lambda v: v in self._befores or not self._moves(v) or self._leaves_early(v))

    def _leaves_early(self, value: Value) -> bool:
        """Return True if a Value is hoisted.

        Cheap operations stay if they are told to. The exceptions are Values that aren't computed row by row as the
        states are (a mask of units, the same for the whole batch): with these inside, threads couldn't divide the rows.
        """
        if self._is_product_inside(value):
            return False
        is_by_rows = value.shape[:1] in {v.shape[:1] for v in self._befores}
        is_cheap = value not in self._slices and is_by_rows and (acts_by_element(value.op) or is_view(value))
        is_taken_before = self._cheap is Cheap.SLICES_BEFORE and columns_of(value) is not None
        if is_cheap and self._cheap is not Cheap.BEFORE and not is_taken_before:
            return False
        return self._hoisted(value) is not None

    def _operands_of_hoisted(self, roots: Sequence[Value]) -> Set[Value]:
        """The Values behind those that leave a loop which keeps products inside: of a softmax, say, the scores."""
        found: set[Value] = set()
        for v in reversed(in_order(roots, stop=lambda v: v in self._befores or not self._moves(v))):
            if v in found or (not self._is_product_inside(v) and self._leaves_early(v)):
                found.update(a for a in v.operands if self._moves(a))
        return found

    def _is_product_inside(self, value: Value) -> bool:
        """Return True for a product of several rows with a weight, if such products stay in the loop.

        Rows of a table don't: outside, the product of the table itself is less work. Nor do those that are needed
        outside anyway.
        """
        if self._cheap is not Cheap.INSIDE or value.op is not linalg.matmul or value.ndim != 2:
            return False
        if value in self._behind_hoisted:
            return False
        if value in self._slices and value.args[0] not in self._slices:  # it is given, and its rows aren't
            return False
        rows, columns = value.shape
        is_large = rows >= thresholds.FEWEST_ROWS_INSIDE and columns >= thresholds.FEWEST_COLUMNS_INSIDE
        is_inside = is_large and not self._moves(value.args[1]) and any(v.shape[:1] == (rows,) for v in self._befores)
        return is_inside and not is_looked_up(self._hoisted(value.args[0]))

    def _hoisted(self, value: Value) -> Value | None:
        """The Value at all steps, if it depends on sequences alone and has an over-time form."""
        for v in in_order([value], stop=lambda v: v in self._early or not self._moves(v)):
            self._early[v] = None if v in self._befores else self._lifted(v, self._early.get)
        return self._early.get(value)

    def _lifted(self, value: Value, lift: Callable[[Value], Value | None]) -> Value | None:
        """The Value at all steps, computed from its operands at all steps; None if that can't be done."""
        args, moving = [], []
        if self._is_of_large_ones(value):
            return None
        if any(self._moves(v) for a in (*value.args, value.keywords) if not isinstance(a, Value) for v in values_in(a)):
            return None
        for a in value.args:
            moves = isinstance(a, Value) and self._moves(a)
            if moves:
                a = lift(a)
                if a is None:
                    return None
            args.append(a)
            moving.append(moves)
        return over_time(self._trace, self._steps, value, args, moving)

    # --- what is wanted of it ----------------------------------------------------------------------------------------

    def over(self, value: Value) -> Value:
        """A Value of the body at all steps, (T, ...)."""
        early = self._early_alone(value)
        if early is not None:
            return early
        if not self._moves(value):
            return self.loop.over(self._trace, value)

        def is_known(v: Value) -> bool:
            return v in self._over or not self._moves(v) or self._early_alone(v) is not None

        def beyond(v: Value) -> Sequence[Value]:
            return [] if v in self._befores or v in self._recurrent or self._stays_whole(v) else v.operands

        for v in in_order([value], stop=is_known, parents=beyond):
            is_inside = v in self._befores or v in self._recurrent or self._stays_whole(v)
            late = None if is_inside else self._lifted(v, self.over)
            self._over[v] = self._result("rows", v) if late is None else late
        return self._over[value]

    def _early_alone(self, value: Value) -> Value | None:
        """The hoisted Value, if the loop computes neither it nor a product behind it, of which it can keep the rows."""
        early = None if value in self._recurrent else self._hoisted(value)
        if early is None or self._cheap is not Cheap.INSIDE:
            return early
        behind = in_order([value], stop=lambda v: v in self._slices or not self._moves(v))
        return None if any(v in self._recurrent and self._is_product_inside(v) for v in behind) else early

    def _stays_whole(self, value: Value) -> bool:
        """Return True if a Value is computed inside although it could leave, so that its operands needn't leave.

        This holds for one of several outputs, for a concatenation whose parts the loop computes anyway (it can write
        them side by side at once), and for products in machine code.
        """
        is_joined_inside = value.op is shape.joined and all(a in self._recurrent for a in value.args)
        is_inside = value.op is indexing.output or is_joined_inside or self._is_product_inside(value)
        return is_inside or self._is_of_large_ones(value)

    def _is_of_large_ones(self, value: Value) -> bool:
        """Return True if a Value, or one of those that it is computed from, would fill the memory at all steps.

        Such Values are results of operations that spread their operands out (a state plus all transitions from it), and
        whatever is computed from those.
        """
        for v in in_order([value], stop=lambda v: v in self._large or not self._moves(v)):
            is_much = v.size * self._steps > thresholds.MOST_AT_ALL_STEPS
            self._large[v] = spreads_out(v, self._moves, self._steps) or (
                is_much and any(self._large.get(a, False) for a in v.operands)
            )
        return any(self._large.get(a, False) for a in (value, *value.operands))

    def total(self, value: Value) -> Value:
        """The sum of a Value over all steps."""
        if not self._moves(value):
            return self.loop.total(self._trace, value)
        if value in self._slices:
            return sum_over_time(self._trace, self.over(value))
        summands = _summands(value)
        if summands:
            totals = [self.total(a) for a in summands]
            return self._trace.made(value.op, (*totals, *value.args[len(totals) :]), value.keywords)
        found = factors_of(value, self._slices)
        if found is not None and all(self._moves(factor.value) for factor in found[0]):
            at_all_steps = [self.over(factor.value) for factor in found[0]]
            return product_over_time(self._trace, value, *found, at_all_steps)
        if value.op is indexing.assemble:
            return self._assembled_total(value)
        if self._is_of_large_ones(value):
            return self._result("sum", value)
        if value in self.loop.slices or value.nbytes <= sum(a.nbytes for a in value.operands if self._moves(a)):
            return sum_over_time(self._trace, self.over(value))
        return self._result("sum", value)

    def _assembled_total(self, value: Value) -> Value:
        """Rows of a table, chosen by indices that change (an embedding): all steps add to the same table."""
        indices = value.keywords["indices"]
        if not all(isinstance(v, Value) and self._moves(v) for v in (*value.args, *indices)):  # others name no rows
            return self._result("sum", value)
        keywords = {"indices": tuple(map(self.over, indices)), "shape": value.keywords["shape"]}
        return self._trace.made(value.op, tuple(map(self.over, value.args)), keywords)

    def _result(self, how: How, inner: Value) -> Value:
        return self.loop.result(self._trace, how, inner)


def _summands(value: Value) -> Sequence[Value]:
    """The operands whose sums over all steps make up that of a Value, by the same operation; none for most."""
    if value.op in (elementwise.add, elementwise.subtract) and all(_like(a, value) for a in value.args):
        return value.args
    return value.args[:1] if value.op in (elementwise.negative, shape.transpose, shape.reshape) else ()


def _like(a: Any, value: Value) -> bool:
    return isinstance(a, Value) and a.shape == value.shape and a.dtype == value.dtype
