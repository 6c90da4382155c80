"""A loop over time inside a trace: one step of the cell is traced, and a Loop goes round it.

So the size of a trace doesn't grow with the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autodiff.errors import CannotCompile, here
from ...autodiff.scope import context, of_loop, scope
from ...autodiff.trees import keys, leaves, tree_map, unflatten
from ..graph.trace import recorded, tracer
from ..graph.values import new_input
from ..guards.side_effects import alike_each_time
from .loop import Carried, Loop


def unroll_traced(
    cell: Callable[..., Any], xs: Any, state: Any, steps: int, reverse: bool = False, taken: int = 0
) -> tuple[Any, Any]:
    """Run a cell over a sequence inside a trace: one traced step, and a loop around it.

    Args:
        cell: ``y, state = cell(x, state)``.
        xs: the sequence, an array (T, ...) or a tree of such, or None; longer arrays are cut off.
        state: an array or a tree of arrays.
        steps: T, at least 1.
        reverse: whether to go from the last step to the first.
        taken: how many steps were taken before these.

    Returns:
        The outputs of all steps (T, ...), and the state after the last.
    """
    trace = context.trace
    xs = tree_map(lambda a: a if len(a) == steps else a[:steps], xs)
    if trace.in_step:
        return _written_out(cell, xs, state, steps, reverse)
    sequences = [recorded(trace, a) for a in leaves(xs)]
    starts = [recorded(trace, a) for a in leaves(state)]
    rows = [new_input(v.shape[1:], v.dtype, "x") for v in sequences]
    befores = [new_input(v.shape, v.dtype, "state", name) for v, name in zip(starts, _names(state, len(starts)))]
    given = unflatten(xs, map(tracer, rows)), unflatten(state, map(tracer, befores))
    trace.in_step = True
    try:
        with scope(step=steps if reverse else 1 + taken):  # the first to go wrong, if one does
            outputs, after = alike_each_time(cell, *given)
    finally:
        trace.in_step = False
    try:
        afters = [recorded(trace, a) for a in leaves(aligned(state, after))]
    except ValueError:  # a tree of another form
        return _first_step_apart(cell, xs, state, after, steps, reverse, taken)
    if [(v.shape, v.dtype) for v in afters] != [(v.shape, v.dtype) for v in befores]:
        return _first_step_apart(cell, xs, state, after, steps, reverse, taken)
    ys = [recorded(trace, a) for a in leaves(outputs)]
    carried = map(Carried, starts, befores, afters)
    loop = Loop("loop", steps, carried, dict(zip(rows, sequences)), reverse)
    return (
        unflatten(outputs, (tracer(loop.over(trace, y)) for y in ys)),
        aligned(after, unflatten(state, (tracer(loop.last(trace, i)) for i in range(len(afters))))),
    )


def aligned(tree: Any, other: Any) -> Any:
    """The second tree, with the parts of its dicts in the order that they have in the first."""
    return tree_map(lambda _, a: a, tree, other)


def _written_out(cell: Callable[..., Any], xs: Any, state: Any, steps: int, reverse: bool) -> tuple[Any, Any]:
    """A loop inside a step of another: all its steps, one after the other."""
    outputs: list[Any] = [None] * steps
    outside = context.scope
    try:
        for t in range(steps)[:: -1 if reverse else 1]:
            context.scope = of_loop(outside)._replace(step=t + 1)
            outputs[t], state = cell(tree_map(lambda a: a[t], xs), state)  # noqa: B023
    finally:
        context.scope = outside
    return tree_map(lambda *parts: np.stack(parts), *outputs), state


def _names(state: Any, count: int) -> list[str]:
    names = [] if isinstance(state, (dict, list)) else [key for key in keys(state) if isinstance(key, str)]
    return names if len(names) == count else [""] * count


def _first_step_apart(
    cell: Any, xs: Any, state: Any, after: Any, steps: int, reverse: bool, taken: int
) -> tuple[Any, Any]:
    """A loop whose state takes its form in the first step (zeros that broadcast): that step runs outside of the loop.

    A state that holds those of several steps takes its form component by component, in as many steps.
    """
    forms = [[(tuple(a.shape), str(a.dtype)) for a in leaves(tree)] for tree in (state, after)]
    if taken >= len(forms[1]):
        raise CannotCompile(
            f"the state{here()} changes its form at each step: {forms[0]} becomes {forms[1]}. Give it one form from "
            "the beginning, with zeros where nothing is yet, or run this function as it is, without compile()."
        )
    first, rest = (steps - 1, slice(None, -1)) if reverse else (0, slice(1, None))
    y, state = cell(tree_map(lambda a: a[first], xs), state)
    y = tree_map(lambda a: np.expand_dims(a, 0), y)
    if steps == 1:
        return y, state
    ys, state = unroll_traced(cell, tree_map(lambda a: a[rest], xs), state, steps - 1, reverse, taken + 1)
    return tree_map(lambda a, b: np.concatenate([b, a] if reverse else [a, b]), y, ys), state
