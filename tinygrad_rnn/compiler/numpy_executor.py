"""The executor that is always there: a program as Python functions that call NumPy with ``out=``.

There is one line for each operation, and they read like code that one would write by hand. The loop of an Elman cell
comes out as

    for matmul_3_t, state_1, state_1_next in zip(matmul_14, all_state_1[:-1], all_state_1[1:]):
        matmul(state_1, W_4, out=temporary_0)
        add(matmul_3_t, temporary_0, out=temporary_0)
        tanh(temporary_0, out=state_1_next)

Every array that they write to is a *buffer*: planned here, allocated once, used for many calls. ``numpy_loop`` writes
the loops.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from ..autodiff.rules import linalg
from . import blas
from .generated import Buffer
from .loop import Loop
from .numpy_loop import LoopWriter
from .shapes import multiplications
from .values import Value, label
from .writer import Writer

# Multiplications up to which a product gains nothing from a second thread. If something else runs on its core, it waits
# for that: tens of milliseconds instead of microseconds, and in a loop over time at each step.
SMALL_PRODUCT = 2**23
SMALL_PRODUCT_INSIDE = 2**20


def lines_for(writer: Writer, order: list[Value], kept: Iterable[Value]) -> list[str]:
    """The lines that compute these Values.

    Args:
        writer: knows what everything is called.
        order: what to compute, each after its operands.
        kept: what is read afterwards; all is there, so it makes no difference.
    """
    written: set[Loop] = set()  # of several results of a loop, the first brings it
    parts: list[tuple[bool, list[str]]] = []  # whether BLAS is to use one thread, and lines
    for value in order:
        if isinstance(value.op, Loop):
            if value.op not in written:
                written.add(value.op)
                parts.append((_has_small_products(value.op), LoopWriter(writer, value.op).lines()))
        elif value.op is not None:
            parts.append((True, _large_product(writer, value) if _is_large_product(value) else writer.straight(value)))
    lines: list[str] = []
    for is_single, same in groupby(parts, key=lambda part: part[0]):
        together = [line for _, some in same for line in some]
        lines += _on_one_thread(writer, together) if is_single else together
    return lines


def _has_small_products(loop: Loop) -> bool:
    return all(multiplications(v) <= SMALL_PRODUCT_INSIDE for v in loop.body() if v.op is linalg.matmul)


def _is_large_product(value: Value) -> bool:
    is_product = value.op is linalg.matmul and [a.ndim for a in value.args] == [2, 2]
    return is_product and multiplications(value) > SMALL_PRODUCT


def _large_product(writer: Writer, value: Value) -> list[str]:
    """A product whose rows are shared among threads."""
    a, b = map(writer.operand, value.args)
    name = writer.names[value] = label(value)
    writer.buffers[name] = Buffer(value.shape, value.dtype)
    return [f"{writer.named(blas.matmul, 'shared')}({a}, {b}, out={name})"]


def _on_one_thread(writer: Writer, lines: list[str]) -> list[str]:
    return [f"with {writer.named(blas.single_threaded, 'threads')}():", *(f"    {line}" for line in lines)]
