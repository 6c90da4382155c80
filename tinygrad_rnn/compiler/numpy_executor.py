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
from typing import NamedTuple

from ..autodiff.rules import linalg
from . import blas
from .generated import Buffer
from .loop import Loop
from .numpy_loop import LoopWriter
from .shapes import multiplications
from .values import Value, label
from .writer import Writer

SMALL_PRODUCT_INSIDE = (
    2**20
)  # multiplications; larger ones, in a loop, gain more from BLAS's threads, which don't sleep


class Part(NamedTuple):
    """Lines that belong together: an operation, or a loop.

    Attributes:
        lines: as given.
        has_products: whether BLAS has something to do in them.
        is_single: whether it is to do that on one thread.
    """

    lines: list[str]
    has_products: bool
    is_single: bool


def lines_for(writer: Writer, order: list[Value], kept: Iterable[Value]) -> list[str]:
    """The lines that compute these Values.

    Args:
        writer: knows what everything is called.
        order: what to compute, each after its operands.
        kept: what is read afterwards; all is there, so it makes no difference.
    """
    written: set[Loop] = set()  # of several results of a loop, the first brings it
    parts: list[Part] = []
    for value in order:
        if isinstance(value.op, Loop):
            if value.op not in written:
                written.add(value.op)
                parts.append(_loop(writer, value.op))
        elif value.op is not None:
            parts.append(_operation(writer, value))
    return [line for _, same in groupby(parts, lambda part: part.is_single) for line in _joined(writer, list(same))]


def _loop(writer: Writer, loop: Loop) -> Part:
    """A loop. If it has large products, these are BLAS's: its threads don't sleep between them."""
    products = [multiplications(v) for v in loop.body() if v.op is linalg.matmul]
    return Part(LoopWriter(writer, loop).lines(), bool(products), max(products, default=0) <= blas.SMALL_PRODUCT)


def _operation(writer: Writer, value: Value) -> Part:
    is_product = value.op is linalg.matmul
    is_large = is_product and value.ndim == 2 and multiplications(value) > blas.SMALL_PRODUCT
    return Part(_shared_product(writer, value) if is_large else writer.straight(value), is_product, True)


def _shared_product(writer: Writer, value: Value) -> list[str]:
    """A product whose rows are shared among threads."""
    a, b = map(writer.operand, value.args)
    name = writer.names[value] = label(value)
    writer.buffers[name] = Buffer(value.shape, value.dtype)
    return [f"{writer.named(blas.matmul, 'shared')}({a}, {b}, out={name})"]


def _joined(writer: Writer, parts: list[Part]) -> list[str]:
    """The lines of some parts, with one thread for BLAS if that is to be so and makes a difference."""
    lines = [line for part in parts for line in part.lines]
    if parts[0].is_single and any(part.has_products for part in parts):
        return [f"with {writer.named(blas.single_threaded, 'threads')}():", *(f"    {line}" for line in lines)]
    return lines
