"""The reach of gradients from some of a program's results: inputs that aren't reached get none, rather than zeros.

A backward pass is written once, for all results. In a call, cotangents may arrive at only some of them; the others
count as zero.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...autodiff.registry import Primitive
from ..graph.values import Value
from ..loops.loop import Loop, LoopResult
from .program import in_order_of_computing, results_in


def reached_from(outputs: Iterable[Value]) -> set[Value]:
    """The Values outside of loops to which a gradient of these outputs flows."""
    found = set(outputs)
    results = results_in(found)
    for step in reversed(in_order_of_computing(found, results)):
        if isinstance(step, Loop):
            found |= _through_loop(step, [result for result in results[step] if result in found])
        elif step in found:
            found |= _differentiated(step)
    return found


def _differentiated(value: Value) -> set[Value]:
    """The operands to which a rule of the operation sends a cotangent."""
    if not isinstance(value.op, Primitive) or value.dtype.kind != "f":
        return set()
    vjps = value.op.vjps
    return {a for i, a in enumerate(value.args) if isinstance(a, Value) and (callable(vjps) or vjps[i] is not None)}


def _through_loop(loop: Loop, results: list[LoopResult]) -> set[Value]:
    """The outer Values of a loop that gradients of these results reach: step by step, from the last."""
    after = {c.before: c.after for c in loop.carried}
    body = set(loop.body(results))
    at_each_step = {result.inner for result in results if result.how != "last"}
    states = frozenset(result.inner for result in results if result.how == "last")  # those reached, after a step
    found: set[Value] = set()
    known: dict[frozenset[Value], tuple[frozenset[Value], set[Value]]] = {}
    for _ in range(loop.steps):
        if states not in known:
            known[states] = _through_step(loop, body, {*at_each_step, *(after[state] for state in states)})
        before, outside = known[states]
        found |= outside
        if before == states:
            break
        states = before
    return found | {c.start for c in loop.carried if c.before in states}


def _through_step(loop: Loop, body: set[Value], roots: set[Value]) -> tuple[frozenset[Value], set[Value]]:
    """The states before a step, and the Values from outside, that gradients reach in it."""
    states: set[Value] = set()
    outside: set[Value] = set()
    seen: set[Value] = set()
    stack = list(roots)
    while stack:
        value = stack.pop()
        if value in loop.befores:
            states.add(value)
        elif value not in body:
            outside.add(loop.slices.get(value, value))
        elif value not in seen:
            seen.add(value)
            stack += _differentiated(value)
    return frozenset(states), outside
