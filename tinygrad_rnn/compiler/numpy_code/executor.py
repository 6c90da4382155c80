"""The executor that is always available: a program as Python functions that call NumPy with ``out=``.

There is one line for each operation, and they read like code that one would write by hand. The loop of an Elman cell
comes out as

    for matmul_3_t, state_1, state_1_next in zip(matmul_14, all_state_1[:-1], all_state_1[1:]):
        matmul(state_1, captured_4, out=temporary_0)
        add(matmul_3_t, temporary_0, out=temporary_1)
        tanh(temporary_1, out=state_1_next)

Every array that they write to is a *buffer*: planned here, allocated once, used for many calls. ``loop`` writes
the loops; ``rooms`` finds which buffers outside of loops are free for other Values.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...autodiff.rules import linalg
from .. import thresholds
from ..graph.shapes import multiplications
from ..graph.values import Value
from ..loops.loop import Loop
from ..program.program import Step
from ..runtime import blas
from .kernels import has_kernel
from .loop import LoopWriter
from .rooms import Liveness
from .writer import Writer


def lines_for(writer: Writer, order: list[Step], kept: Iterable[Value]) -> list[str]:
    """The lines that compute these Values and Loops.

    BLAS runs on one thread, and large products before and after loops are divided among our threads. Only if a loop has
    large products, BLAS keeps its own threads: they don't sleep between two products, and would hinder ours.
    The arrays of Values that aren't ``kept`` are used again.
    """
    loops = [step for step in order if isinstance(step, Loop)]
    inside = [v for loop in loops for v in loop.body(writer.program.results[loop]) if v.op is linalg.matmul]
    outside = [v for v in order if isinstance(v, Value) and v.op is linalg.matmul]
    is_ours = (inside or outside) and all(multiplications(v) <= thresholds.BLAS_THREADS_INSIDE for v in inside)
    liveness = Liveness(order, writer.program.reads, kept, shares=lambda v: not has_kernel(v))
    lines: list[str] = []
    for place, step in enumerate(order):
        if isinstance(step, Value):
            writer.rooms.release(liveness.written_over(step, place))
        if isinstance(step, Loop):
            lines += LoopWriter(writer, step).lines()
        elif is_ours and step in outside and step.ndim == 2 and _may_be_large(writer, step):
            factors = ", ".join(map(writer.operand, step.args))
            lines.append(f"{writer.named(blas.matmul, 'shared')}({factors}, out={writer.add_buffer(step)})")
        elif step.op is not None:
            lines += writer.straight(step)
        writer.rooms.release(liveness.ending(place))
    return on_one_thread(writer, lines) if is_ours else lines


def _may_be_large(writer: Writer, product: Value) -> bool:
    elements = product.size + sum(a.size for a in product.args)
    return writer.fixed is not None or multiplications(product) > thresholds.SHARED_ELEMENT * elements


def on_one_thread(writer: Writer, lines: list[str]) -> list[str]:
    """Lines during which BLAS runs on one thread."""
    return [f"with {writer.named(blas.single_threaded, 'threads')}():", *(f"    {line}" for line in lines)]
