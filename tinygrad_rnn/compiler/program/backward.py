"""The backward pass of a program: the engine's own vjp rules, run on tracers.

What comes out is more of the same: Values, which go through the same planning as those of the forward pass. A loop
becomes another loop, which runs from the last step to the first: its body is the backward pass of the body, and its
state are the cotangents of the states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ...autodiff.array_node import conformed
from ...autodiff.registry import Primitive
from ...autodiff.rules.parts import Parts
from ...autodiff.scope import context
from ..graph.shapes import has_several_results
from ..graph.trace import Trace, tracer
from ..graph.values import Value, in_order, inner_operands, is_constant, new_input, operands
from ..loops.loop import Carried, Loop, Result
from ..loops.rewriting import simplified_step


def gradients(
    trace: Trace, cotangents: Mapping[Value, Value], wanted: Iterable[Value], inside: Loop | None = None
) -> dict[Value, Value]:
    """The cotangents of some Values, from those of the results that were made of them.

    Args:
        trace: where to record the backward pass.
        cotangents: what is known: the cotangent of each result.
        wanted: the Values whose cotangents are sought.
        inside: the loop whose body this is, if it is one; the walk stays inside.

    Returns:
        The cotangent of each wanted Value that the results depend on.
    """
    wanted = dict.fromkeys(wanted)  # in order: two processes have to write the same code
    order = in_order(cotangents, stop=lambda v: inside is not None and not inside.moves(v) and v not in wanted)
    leading = _leading_to(order, wanted)
    first_result = {value.op: value for value in reversed(order) if isinstance(value.op, Loop)}
    found: dict[Value, Any] = {}
    with trace.recording():
        for value, g in cotangents.items():
            _add(found, value, tracer(g))
        for value in reversed(order):
            if value in wanted:  # the walk ends there, also if it is a result of another loop
                continue
            if isinstance(value.op, Loop):  # all at once, when the cotangents of all its results are complete
                if value is first_result[value.op]:
                    _through_loop(trace, value.op, found, leading)
            elif value in found and value in leading and value.op is not None:
                _pull_back(value, _settled(found, value), found, leading)
        return {value: _settled(found, value)._data for value in wanted if value in found}


def _leading_to(order: list[Value], wanted: Iterable[Value]) -> set[Value]:
    """The Values through which a gradient flows to the wanted ones."""
    leading = {value for value in wanted if value.dtype.kind == "f"}
    for value in order:
        if value.dtype.kind == "f" and any(v in leading for v in operands(value)):
            leading.add(value)
    return leading


def _settled(found: dict[Value, Any], value: Value) -> Any:
    """The cotangent of a Value, in its shape and dtype, all contributions summed."""
    g = found[value]
    if isinstance(g, Parts):
        g = g.assembled(value.shape)
    if not isinstance(g, tuple):  # of several results each has its own
        g = conformed(g, value)
    found[value] = g
    return g


def _add(
    found: dict[Value, Any], value: Value, contribution: Any, made_by: Value | None = None, argument: int = 0
) -> None:
    contribution = conformed(contribution, value, made_by, argument)
    if isinstance(contribution, np.ndarray):  # of a step function it is 0, whatever the argument
        contribution = tracer(context.trace.lowered(contribution))
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
    """An operand as a rule may see it. What is known of an index are arrays: a rule may look where they point."""
    if isinstance(a, tuple):
        return tuple(part.array if isinstance(part, Value) and is_constant(part) else _as_argument(part) for part in a)
    return tracer(a) if isinstance(a, Value) else a


def _through_loop(trace: Trace, loop: Loop, found: dict[Value, Any], leading: set[Value]) -> None:
    """Take the cotangents of all results of a loop back through it, at once."""
    arrived = {}
    for key, result in loop.results.items():
        if result in found and result in leading:
            arrived[key] = _settled(found, result)._data
        found.pop(result, None)
    if arrived:
        for value, g in _LoopBackward(trace, loop, arrived, leading).contributions():
            if value in leading:
                _add(found, value, tracer(g()))


class _LoopBackward:
    """The loop that takes cotangents from the last step to the first.

    Args:
        trace: where to record it.
        loop: the loop of the forward pass.
        arrived: the cotangents of its results.
        leading: the outside Values through which a gradient flows to what is wanted.
    """

    def __init__(self, trace: Trace, loop: Loop, arrived: Mapping[Result, Value], leading: set[Value]) -> None:
        self.trace, self.loop = trace, loop
        body = loop.body()
        rows, fixed = loop.inputs(body)
        self.slices = [v for v in rows if loop.early(v) in leading]
        self.fixed = [v for v in fixed if v in leading]
        self.carried = self._active_state(body, leading)
        moving = [v for v in in_order([*body, *rows]) if loop.moves(v)]
        self.forward_values = {v for v in moving if not has_several_results(v)}  # what can be handed over: arrays
        self.sequences: dict[Value, Value] = {}
        self.cotangents = [new_input(c.after.shape, c.after.dtype, "g", c.before.name) for c in self.carried]
        self.inner = self._one_step(arrived)
        self.backward = self._build({key.inner: g for key, g in arrived.items() if key.kind == "last"})

    def _active_state(self, body: list[Value], leading: set[Value]) -> list[Carried]:
        """The components of the state that carry a gradient, if only through one another."""
        active = {*self.slices, *self.fixed, *(c.before for c in self.loop.carried if c.start in leading)}
        while True:
            reached = _leading_to(body, active)
            more = {c.before for c in self.loop.carried if c.after in reached and c.before.dtype.kind == "f"}
            if more <= active:
                return [c for c in self.loop.carried if c.before in active]
            active |= more

    def _one_step(self, arrived: Mapping[Result, Value]) -> dict[Value, Value]:
        """The cotangents of what one step reads, from those of what it makes."""
        seeds: dict[Value, Any] = {}
        with self.trace.recording():
            for c, g in zip(self.carried, self.cotangents):
                _add(seeds, c.after, tracer(g))
            for key, g in arrived.items():
                if key.kind in ("rows", "after"):
                    _add(seeds, key.inner, tracer(self._row(g, key.inner)))
                elif key.kind == "sum":
                    _add(seeds, key.inner, tracer(g))
        wanted = [*(c.before for c in self.carried), *self.slices, *self.fixed]
        inner = gradients(self.trace, {value: g._data for value, g in seeds.items()}, wanted, inside=self.loop)
        with self.trace.recording():
            for key, g in arrived.items():
                if key.kind == "before":
                    row = tracer(self._row(g, key.inner))
                    inner[key.inner] = (tracer(inner[key.inner]) + row if key.inner in inner else row)._data
        return inner

    def _row(self, over_steps: Value, inner: Value) -> Value:
        row = new_input(inner.shape, inner.dtype, "g")
        self.sequences[row] = over_steps
        return row

    def _build(self, starts: Mapping[Value, Value]) -> Loop:
        zeros = {c.before: self.trace.lowered(np.zeros(c.before.shape, c.before.dtype)) for c in self.carried}
        states = [
            Carried(starts.get(c.before) or zeros[c.before], g, self.inner.get(c.before) or zeros[c.before])
            for c, g in zip(self.carried, self.cotangents)
        ]
        inner = list(self.inner)
        roots = [*(c.after for c in states), *(self.inner[v] for v in inner)]
        roots = simplified_step(self.trace, roots, self.cotangents, [*self.sequences, *self.forward_values])
        states = [c._replace(after=root) for c, root in zip(states, roots)]
        self.inner = dict(zip(inner, roots[len(states) :]))
        read = in_order(roots, parents=lambda v: [] if v in self.forward_values else inner_operands(v))
        self.sequences |= {v: self.loop.over(v) for v in read if v in self.forward_values}
        name = f"{self.loop.name}_back"
        return Loop(self.trace, name, self.loop.steps, states, self.sequences, not self.loop.backwards)

    def contributions(self) -> list[tuple[Value, Callable[[], Value]]]:
        """What the loop reads from outside, each with a function that asks for its cotangent."""
        made: list[tuple[Value, Callable[[], Value]]] = []
        for v in self.slices:
            outer = self.loop.early(v)
            if v in self.inner and outer is not None:
                made.append((outer, partial(self._rows, self.inner[v])))
        made += [(v, partial(self.backward.total, self.inner[v])) for v in self.fixed if v in self.inner]
        made += [(c.start, partial(self.backward.last, i)) for i, c in enumerate(self.carried)]
        return made

    def _rows(self, g: Value) -> Value:
        """A cotangent at all steps, also if it is the same at each."""
        if self.backward.moves(g):
            return self.backward.over(g)
        with self.trace.recording():
            return self.trace.lowered(np.broadcast_to(tracer(g), (self.loop.steps, *g.shape)))
