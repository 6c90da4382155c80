"""The backward pass of a program: the engine's own vjp rules, run on tracers.

The rules record more Values, which are planned like those of the forward pass. A loop becomes another loop, which runs
from the last step to the first: its body is the backward pass of the body, and its state consists of the cotangents
of the states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...autodiff.array_node import conformed
from ...autodiff.registry import Primitive
from ...autodiff.rules import elementwise
from ...autodiff.rules.parts import Parts
from ...autodiff.scope import context
from ..graph.shapes import has_several_results, spreads_out
from ..graph.trace import Trace, tracer
from ..graph.values import Value, in_order, is_constant, new_input
from ..loops.loop import Carried, Loop, LoopResult
from .program import Program, Results, Step, in_order_of_computing, results_in

NO_LOOPS: Results = {}


def differentiated(program: Program, wanted: Sequence[bool]) -> Program:
    """The same program with a backward pass.

    Args:
        program: a program without a backward pass.
        wanted: for each of its inputs, whether the gradient is wanted.
    """
    trace = program.trace
    cotangents = [new_input(v.shape, v.dtype, "g") for v in program.outputs]
    seeds: dict[Value, Any] = {}
    with trace.recording():
        for v, g in zip(program.outputs, cotangents):
            _add(seeds, v, tracer(g))
    results = results_in(seeds)
    order = in_order_of_computing(seeds, results)
    chosen = [v for v, is_wanted in zip(program.inputs, wanted) if is_wanted]
    found = _gradients(trace, {v: g._data for v, g in seeds.items()}, chosen, order, results)
    return replace(program, cotangents=cotangents, gradients=found)


def _gradients(
    trace: Trace, cotangents: Mapping[Value, Value], wanted: Iterable[Value], order: Sequence[Step], results: Results
) -> dict[Value, Value]:
    """The cotangents of some Values, from the cotangents of results that depend on them.

    Returns:
        The cotangent of each wanted Value that the results depend on.
    """
    wanted = dict.fromkeys(wanted)  # in order: two processes have to write the same code
    leading = _leading_to(order, wanted, results)
    found: dict[Value, Any] = {}
    with trace.recording():
        for value, g in cotangents.items():
            _add(found, value, tracer(g))
        for step in reversed(order):
            if isinstance(step, Loop):
                _through_loop(trace, step, results[step], found, leading)
            elif step in found and step in leading and step not in wanted and step.op is not None:
                _pull_back(step, _settled(found, step), found, leading)
        return {value: _settled(found, value)._data for value in wanted if value in found}


def _leading_to(order: Iterable[Step], wanted: Iterable[Value], results: Results = NO_LOOPS) -> set[Value]:
    """The Values through which a gradient flows to the wanted ones."""
    leading = {value for value in wanted if value.dtype.kind == "f"}
    for step in order:
        if isinstance(step, Loop):
            if not leading.isdisjoint(step.reads(results[step])):
                leading.update(result for result in results[step] if result.dtype.kind == "f")
        elif step.dtype.kind == "f" and not leading.isdisjoint(step.operands):
            leading.add(step)
    return leading


def _settled(found: dict[Value, Any], value: Value) -> Any:
    """The cotangent of a Value, in its shape and dtype, all contributions summed."""
    g = found[value]
    if isinstance(g, Parts):
        g = g.assembled(value.shape)
    if not isinstance(g, tuple):  # each of several results has its own
        g = conformed(g, value)
    found[value] = g
    return g


def _add(
    found: dict[Value, Any], value: Value, contribution: Any, made_by: Value | None = None, argument: int = 0
) -> None:
    contribution = conformed(contribution, value, made_by, argument)
    if isinstance(contribution, (np.ndarray, np.generic)):  # for a step function it is 0 for any argument
        contribution = tracer(context.trace.lowered(np.asarray(contribution)))
    found[value] = found[value] + contribution if value in found else contribution


def _pull_back(value: Value, g: Any, found: dict[Value, Any], leading: set[Value]) -> None:
    """Apply the vjp rules of one operation."""
    vjps = value.op.vjps if isinstance(value.op, Primitive) else []
    args = tuple(_as_argument(a) for a in value.args)
    edges = [i for i, a in enumerate(value.args) if isinstance(a, Value) and a in leading]
    ans = tracer(value)
    contributions: Any
    if callable(vjps):
        contributions = vjps(edges, g, ans, *args, **value.keywords)
    else:
        rules = [vjps[i] for i in edges]
        contributions = [None if rule is None else rule(g, ans, *args, **value.keywords) for rule in rules]
    for i, c in zip(edges, contributions):
        if c is not None:
            _add(found, value.args[i], c, value, i)


def _as_argument(a: Any) -> Any:
    """An operand as a rule may see it: the constant parts of an index are plain arrays, at which it can look."""
    if isinstance(a, tuple):
        return tuple(part.array if isinstance(part, Value) and is_constant(part) else _as_argument(part) for part in a)
    return tracer(a) if isinstance(a, Value) else a


def _through_loop(
    trace: Trace, loop: Loop, results: Sequence[LoopResult], found: dict[Value, Any], leading: set[Value]
) -> None:
    """Take the cotangents of all results of a loop back through it, at once."""
    arrived = {}
    for result in results:
        if result in found and result in leading:
            arrived[result] = _settled(found, result)._data
        found.pop(result, None)
    if arrived:
        for value, g in _LoopBackward(trace, loop, arrived, leading).contributions():
            if value in leading:
                _add(found, value, tracer(g))


CHEAP = {elementwise.add, elementwise.subtract, elementwise.multiply, elementwise.negative}


class _LoopBackward:
    """The loop that takes cotangents from the last step to the first."""

    def __init__(self, trace: Trace, loop: Loop, arrived: Mapping[LoopResult, Value], leading: set[Value]) -> None:
        self.trace, self.loop = trace, loop
        self.body = loop.body(arrived)
        rows, fixed = loop.inputs(list(arrived))
        self.slices = [v for v in rows if loop.slices[v] in leading]
        self.fixed = [v for v in fixed if v in leading]
        self.carried = self._active_state(leading)
        self.forward_values = {  # the values handed over: arrays, unless recomputing them costs less
            v
            for v in [*loop.befores, *self.body]
            if not (has_several_results(v) or spreads_out(v, loop.moves, loop.steps) or self._is_cheap(v))
        }
        self.forward_values |= loop.slices.keys()  # the loop doesn't have what they were computed from
        self.sequences: dict[Value, Value] = {}
        self.cotangents = [new_input(c.after.shape, c.after.dtype, "g", c.before.name) for c in self.carried]
        self.inner = self._one_step(arrived)
        self.backward = self._build({result.inner: g for result, g in arrived.items() if result.how == "last"})

    def _is_cheap(self, value: Value) -> bool:
        """Return True for a state or a row of a sequence, scaled or shifted.

        These are there for the backward pass, or may be, and ``1 - s`` costs less to compute again than to keep.
        """
        if value.op not in CHEAP:
            return False
        bases = {a for a in value.operands if self.loop.moves(a)}
        given = {*self.loop.befores, *self.loop.slices, *(c.after for c in self.loop.carried)} - {value}
        return len(bases) == 1 and bases <= given and all((a.size, a.dtype) == (value.size, value.dtype) for a in bases)

    def _active_state(self, leading: set[Value]) -> list[Carried]:
        """The components of the state that carry a gradient, directly or through one another."""
        active = {*self.slices, *self.fixed, *(c.before for c in self.loop.carried if c.start in leading)}
        while True:
            reached = _leading_to(self.body, active)
            more = {c.before for c in self.loop.carried if c.after in reached and c.before.dtype.kind == "f"}
            if more <= active:
                return [c for c in self.loop.carried if c.before in active]
            active |= more

    def _one_step(self, arrived: Mapping[LoopResult, Value]) -> dict[Value, Value]:
        """The cotangents of the inputs of one step, from those of its results."""
        seeds: dict[Value, Any] = {}
        given: dict[Value, Any] = {}  # further cotangents of states that are results before each step
        with self.trace.recording():
            for c, g in zip(self.carried, self.cotangents):
                _add(seeds, c.after, tracer(g))
            for result, g in arrived.items():
                if result.how == "rows":
                    _add(given if result.inner in self.loop.befores else seeds, result.inner, tracer(self._row(g)))
                elif result.how == "sum":
                    _add(seeds, result.inner, tracer(g))
        wanted = [*(c.before for c in self.carried), *self.slices, *self.fixed]
        inner = _gradients(self.trace, {v: g._data for v, g in seeds.items()}, wanted, self.body, NO_LOOPS)
        with self.trace.recording():
            for before, g in given.items():
                inner[before] = (tracer(inner[before]) + g if before in inner else g)._data
        return inner

    def _row(self, over_steps: Value) -> Value:
        row = new_input(over_steps.shape[1:], over_steps.dtype, "g")
        self.sequences[row] = over_steps
        return row

    def _build(self, starts: Mapping[Value, Value]) -> Loop:
        zeros = {c.before: self.trace.lowered(np.zeros(c.before.shape, c.before.dtype)) for c in self.carried}
        states = [
            Carried(starts.get(c.before) or zeros[c.before], g, self.inner.get(c.before) or zeros[c.before])
            for c, g in zip(self.carried, self.cotangents)
        ]
        roots = [*(c.after for c in states), *self.inner.values()]
        read = in_order(roots, parents=lambda v: [] if v in self.forward_values else v.operands)
        self.sequences |= {v: self.loop.over(self.trace, v) for v in read if v in self.forward_values}
        name = f"{self.loop.name}_back"
        return Loop(name, self.loop.steps, states, self.sequences, not self.loop.backwards)

    def contributions(self) -> list[tuple[Value, Value]]:
        """The outer Values that the loop reads, each with its cotangent."""
        inner, back, trace = self.inner, self.backward, self.trace
        made = [(self.loop.slices[v], back.over(trace, inner[v])) for v in self.slices if v in inner]
        made += [(v, back.total(trace, inner[v])) for v in self.fixed if v in inner]
        return made + [(c.start, back.last(trace, i)) for i, c in enumerate(self.carried)]
