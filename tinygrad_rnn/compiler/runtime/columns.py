"""Linear recurrences ``h_t = a_t ∘ h_{t-1} + b_t`` as machine code: columns of states, each in vector registers.

Elements of a state don't need each other. So a few vectors of them go through all steps and never leave their
registers, which in operations on whole states they do at each step. Nothing is computed twice, as in a scan over
chunks: a step of NumPy's costs more than its numbers, but one of these costs no more than to fetch them from memory.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from .. import thresholds
from .cache import compiled_function
from .tiles import vector_registers

PROGRAM = """
from tinygrad_rnn.compiler.runtime.columns import strips


@entry
def program(steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step):
    strips(steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step)
"""


def strip(vectors: int) -> Any:
    """A function that takes a strip of columns through all steps: some vectors, or one number for 0.

    It takes the number of steps; the state before them; the factors, the place of the first one, and how far it is from
    there to that of the next step; the terms and the states after each step, likewise; and the strip's first column.
    """
    if config.DISABLE_JIT:
        return _plain_strip(vectors)

    @intrinsic
    def compute(typing_context, steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step, column):  # type: ignore[no-untyped-def]
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _generate_strip(vectors, context, builder, signature, args)
            return context.get_dummy_value()

        arguments = (steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step, column)
        return types.void(*arguments), generate

    return compute


def _generate_strip(vectors: int, context: Any, builder: Any, signature: Any, args: Any) -> None:
    """Write a strip in LLVM's language, where vectors stay in registers; numba has no vectors."""
    integer = ir.IntType(64)
    real = context.get_value_type(signature.args[1].dtype)
    itemsize = signature.args[1].dtype.bitwidth // 8
    lanes = vector_registers()[0] // itemsize if vectors else 1
    vector = ir.VectorType(real, lanes)
    steps, _, _, a_start, a_step, _, b_start, b_step, _, out_start, out_step, column = args

    def places(i: int, start: Any) -> list[Any]:
        data = make_array(signature.args[i])(context, builder, args[i]).data
        first = builder.gep(data, [builder.add(start, column)])
        return [builder.gep(first, [ir.Constant(integer, lanes * v)]) for v in range(vectors or 1)]

    def at(place: Any, distance: Any) -> Any:
        return builder.bitcast(builder.gep(place, [distance]), vector.as_pointer())

    def loaded(place: Any, distance: Any) -> Any:
        return builder.load(at(place, distance), align=itemsize)

    zero = ir.Constant(integer, 0)
    h, a, b, out = places(1, zero), places(2, a_start), places(5, b_start), places(8, out_start)
    begun = [loaded(place, zero) for place in h]
    before, body, after = builder.block, builder.append_basic_block("t"), builder.append_basic_block("end")
    builder.branch(body)

    builder.position_at_end(body)
    t = builder.phi(integer)
    t.add_incoming(zero, before)
    states = [builder.phi(vector) for _ in begun]
    for v, state in enumerate(states):
        product = builder.fmul(loaded(a[v], builder.mul(t, a_step)), state, flags=("contract",))
        following = builder.fadd(product, loaded(b[v], builder.mul(t, b_step)), flags=("contract",))
        builder.store(following, at(out[v], builder.mul(t, out_step)), align=itemsize)
        state.add_incoming(begun[v], before)
        state.add_incoming(following, body)
    next_t = builder.add(t, ir.Constant(integer, 1))
    t.add_incoming(next_t, body)
    builder.cbranch(builder.icmp_signed("<", next_t, steps), body, after)
    builder.position_at_end(after)


def _plain_strip(vectors: int) -> Any:
    """The same in NumPy, for tests that run generated code without compiling it."""

    def compute(steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step, column):  # type: ignore[no-untyped-def]
        width = vectors * vector_registers()[0] // h.itemsize or 1
        state = h[column : column + width].copy()
        for t in range(steps):
            factor, term = a[a_start + t * a_step + column :], b[b_start + t * b_step + column :]
            state = factor[:width] * state + term[:width]
            out[out_start + t * out_step + column :][:width] = state

    return compute


REGISTER = vector_registers()[0]
four, two, one, number = map(strip, (4, 2, 1, 0))


@njit(nogil=True, error_model="numpy")
def strips(steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step):  # type: ignore[no-untyped-def]
    """Take all columns through all steps."""
    width, column, last = REGISTER // h.itemsize, 0, len(h)
    while column + 4 * width <= last:
        four(steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step, column)
        column += 4 * width
    if column + 2 * width <= last:
        two(steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step, column)
        column += 2 * width
    if column + width <= last:
        one(steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step, column)
        column += width
    while column < last:
        number(steps, h, a, a_start, a_step, b, b_start, b_step, out, out_start, out_step, column)
        column += 1


def scanned(
    steps: int, start: np.ndarray, factor: np.ndarray, term: np.ndarray, out: np.ndarray, backwards: bool
) -> bool:
    """Compute the states of a linear recurrence, or refuse to: what ``scan.scanned`` does, as machine code.

    Args:
        steps: T.
        start: the state before the first step.
        factor: a: of all steps, (T, ...), or of the form of the state if it is the same at each.
        term: b, likewise.
        out: where to write the states after all steps, (T, ...); or the last one, if it has the form of the state.
        backwards: whether the last row is the first step.

    Returns:
        False if going step by step is faster; what was written then is of no use.
    """
    size = start.size
    if steps < thresholds.FEWEST_STEPS_TO_SCAN or not size:
        return False
    given: list[Any] = []
    for a in (factor, term, out):
        has_steps = a.ndim > start.ndim
        step = 0 if not has_steps else -size if backwards else size
        given += [np.ascontiguousarray(a).reshape(-1), (steps - 1) * size if step < 0 else 0, step]
    _program()(steps, start.reshape(-1), *given)
    last = out if out.ndim == start.ndim else out[0 if backwards else -1]
    return bool(np.isfinite(last).all())


@cache
def _program() -> Any:
    return compiled_function(PROGRAM)
