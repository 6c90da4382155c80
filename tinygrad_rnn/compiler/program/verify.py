"""A check of programs, for tests and authors of passes: operands come before their readers, in the right form.

A pass that breaks one of these rules would show only later, as code that doesn't run, or that computes something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

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
    known = {*program.inputs}
    _check_order(program, program.forward_order(), known)
    _check_known(program.outputs, known, lambda v: f"an output, {v!r}, is never computed")
    if not program.gradients:
        return
    _same_forms(program.outputs, program.cotangents, "an output and its cotangent")
    _same_forms(list(program.gradients), list(program.gradients.values()), "an input and its gradient")
    if not set(program.gradients) <= set(program.inputs):
        raise Malformed("a gradient of something that is not an input")
    known |= {*program.cotangents}
    _check_order(program, program.backward_order(), known)
    _check_known(program.gradients.values(), known, lambda v: f"a gradient, {v!r}, is never computed")


def _check_order(program: Program, order: Sequence[Step], known: set[Value]) -> None:
    for step in order:
        if isinstance(step, Loop):
            _check_loop(step, program.results[step], known)
        else:
            _check_value(step, known)
            known.add(step)


def _check_known(values: Iterable[Value], known: set[Value], otherwise: Callable[[Value], str]) -> None:
    for value in values:
        if value not in known and not is_constant(value):
            raise Malformed(otherwise(value))


def _check_value(value: Value, known: set[Value]) -> None:
    if value.op is None:
        _check_known([value], known, lambda v: f"{v!r} has no operation and is not an input")
        return
    _check_known(value.operands, known, lambda v: f"{value!r} uses {v!r} before it is computed")
    shape, dtype = infer(value.op, value.args, value.keywords)
    if (tuple(shape), dtype) != (value.shape, value.dtype):
        raise Malformed(f"{value!r}: its operation computes {dtype}{list(shape)}")


def _check_loop(loop: Loop, results: Sequence[LoopResult], known: set[Value]) -> None:
    _check_known(loop.reads(results), known, lambda v: f"a loop reads {v!r} before it is computed")
    for c in loop.carried:
        _same_forms([c.start, c.after], [c.before, c.before], "a state before and after a step")
    for row, sequence in loop.slices.items():
        if (loop.steps, *row.shape) != sequence.shape or row.dtype != sequence.dtype:
            raise Malformed(f"{row!r} is not a row of {sequence!r} in a loop of {loop.steps} steps")
    for part in loop.linear or ():
        _check_linear(loop, part)
    inside = {*known, *loop.befores, *loop.slices}
    for value in loop.body(results):
        _check_value(value, inside)
        inside.add(value)
    _check_known(loop.ends(results), inside, lambda v: f"a step returns {v!r}, which isn't computed in it")
    for result in results:
        _check_result(result)
    if not known.isdisjoint(results):
        raise Malformed("a loop stands in the order twice")
    known |= {*results}


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
