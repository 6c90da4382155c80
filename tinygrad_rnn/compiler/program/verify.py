"""A check of programs, for tests and authors of passes: operands come before their readers, in the right form.

A pass that breaks one of these rules would show only later, as code that doesn't run, or that computes something else.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.shapes import infer
from ..graph.values import Value, is_constant
from ..loops.loop import Loop, LoopResult
from .program import Program, Step


class Malformed(ValueError):
    """A program breaks a rule; the message says which, and where."""


def verify(program: Program) -> None:
    """Check a program.

    Every Value comes after its operands; its shape and dtype are those of its operation's result; each Loop stands
    once, after everything that it reads, with states and rows of one form; a gradient has the form of its input.

    Raises:
        Malformed: one of these rules is broken.
    """
    _Verifier(program).check()


class _Verifier:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._known = {*program.inputs}

    def check(self) -> None:
        program = self._program
        self._check_order(program.forward_order())
        self._check_known(program.outputs, "an output")
        if not program.gradients:
            return
        _same_forms(program.outputs, program.cotangents, "an output and its cotangent")
        _same_forms(list(program.gradients), list(program.gradients.values()), "an input and its gradient")
        if not set(program.gradients) <= set(program.inputs):
            raise Malformed("a gradient of something that is not an input")
        self._known |= {*program.cotangents}
        self._check_order(program.backward_order())
        self._check_known(list(program.gradients.values()), "a gradient")

    def _check_order(self, order: Sequence[Step]) -> None:
        for step in order:
            if isinstance(step, Loop):
                self._check_loop(step)
            else:
                self._check_value(step, self._known)
                self._known.add(step)

    def _check_known(self, values: Sequence[Value], what: str) -> None:
        for value in values:
            if value not in self._known and not is_constant(value):
                raise Malformed(f"{what}, {value!r}, is never computed")

    def _check_value(self, value: Value, known: set[Value]) -> None:
        if value.op is None:
            if value not in known and not is_constant(value):
                raise Malformed(f"{value!r} has no operation and is not an input")
            return
        for v in value.operands:
            if v not in known and not is_constant(v):
                raise Malformed(f"{value!r} uses {v!r} before it is computed")
        shape, dtype = infer(value.op, value.args, value.keywords)
        if (tuple(shape), dtype) != (value.shape, value.dtype):
            raise Malformed(f"{value!r}: its operation computes {dtype}{list(shape)}")

    def _check_loop(self, loop: Loop) -> None:
        results = self._program.results[loop]
        for v in loop.reads(results):
            if v not in self._known and not is_constant(v):
                raise Malformed(f"a loop reads {v!r} before it is computed")
        for c in loop.carried:
            _same_forms([c.start, c.after], [c.before, c.before], "a state before and after a step")
        for row, sequence in loop.slices.items():
            if (loop.steps, *row.shape) != sequence.shape or row.dtype != sequence.dtype:
                raise Malformed(f"{row!r} is not a row of {sequence!r} in a loop of {loop.steps} steps")
        for part in loop.linear or ():
            _check_linear(loop, part)
        inside = {*self._known, *loop.befores, *loop.slices}
        for value in loop.body(results):
            self._check_value(value, inside)
            inside.add(value)
        for v in loop.ends(results):
            if v not in inside and not is_constant(v):
                raise Malformed(f"a step returns {v!r}, which isn't computed in it")
        for result in results:
            _check_result(result)
        if not self._known.isdisjoint(results):
            raise Malformed("a loop stands in the order twice")
        self._known |= {*results}


def _check_result(result: LoopResult) -> None:
    leading = (result.op.steps,) if result.how == "rows" else ()
    if result.shape != (*leading, *result.inner.shape) or result.dtype != result.inner.dtype:
        raise Malformed(f"{result!r} has another shape or type than {result.inner!r}")
    if result.how == "last" and result.inner not in result.op.befores:
        raise Malformed(f"{result!r} is the last {result.inner!r}, which is not a state")


def _check_linear(loop: Loop, part: Value) -> None:
    """A linear recurrence has one state, and its factors and terms have the form of that."""
    ((_, state, _),) = loop.carried
    if part.shape not in (state.shape, (loop.steps, *state.shape)) or part.dtype != state.dtype:
        raise Malformed(f"{part!r} is not a factor or term of {state!r}")


def _same_forms(some: Sequence[Value], others: Sequence[Value], what: str) -> None:
    if len(some) != len(others) or any((a.shape, a.dtype) != (b.shape, b.dtype) for a, b in zip(some, others)):
        raise Malformed(f"{what} differ in number, shape or type: {list(some)} and {list(others)}")
