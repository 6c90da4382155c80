"""Loop fission of a whole program: each loop in it is split, and whatever depends on its results is built again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...autodiff.rules import shape
from ..graph.trace import Trace
from ..graph.values import Value, substitute
from ..loops.fission import Cheap, split
from ..loops.loop import Loop, LoopResult
from ..loops.lowering import lowered
from .columns import ByColumns
from .program import Program, in_order_of_computing


def fissioned(program: Program, cheap: Cheap = Cheap.BEFORE, keeps_rules: bool = True, scans: bool = False) -> Program:
    """The same program, where only what a recurrence needs is left in each loop.

    Args:
        program: any program. If it was split before, only later additions are split.
        cheap: where cheap operations stand that could leave loops.
        keeps_rules: whether the program will be differentiated, and needs derivatives of the user's own.
        scans: whether states that are linear recurrences become loops of their own.
    """
    trace = program.trace
    new: dict[Value, Value] = {}
    by_columns = ByColumns(program) if cheap is Cheap.SLICES_BEFORE and not keeps_rules else None

    def current(a: Any) -> Any:
        return substitute(a, lambda v: new.get(v, v))

    for step in in_order_of_computing([*program.outputs, *program.gradients.values()], program.results):
        if isinstance(step, Loop):
            new |= split(trace, step, program.results[step], new, cheap, keeps_rules, scans)
        elif (simpler := lowered(trace, step, current, keeps_rules)) is not None:
            new[step] = _at_all_steps(trace, simpler)
        elif by_columns is not None and (narrower := by_columns.narrower(step, current)) is not None:
            new[step] = narrower
        elif any(new.get(v, v) is not v for v in step.operands):
            new[step] = _at_all_steps(trace, trace.made(step.op, current(step.args), current(step.keywords)))
    outputs = [new.get(v, v) for v in program.outputs]
    gradients = {v: new.get(g, g) for v, g in program.gradients.items()}
    as_traced = program.outputs_as_traced or program.outputs
    return replace(program, outputs=outputs, gradients=gradients, outputs_as_traced=as_traced)


def _at_all_steps(trace: Trace, value: Value) -> Value:
    """A Value; or, if it joins at all steps what one loop computes at each, the result of that loop, which joins it."""
    axis = value.keywords["axis"] if value.op is shape.joined else None
    rows = [a for a in value.args if isinstance(a, LoopResult) and a.how == "rows"]
    if axis is None or axis % value.ndim == 0 or len(rows) < len(value.args) or len({a.op for a in rows}) > 1:
        return value
    keywords = {**value.keywords, "axis": axis if axis < 0 else axis - 1}
    return rows[0].op.result(trace, "rows", trace.made(shape.joined, tuple(a.inner for a in rows), keywords))
