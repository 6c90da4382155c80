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

from .loop import Loop
from .numpy_loop import LoopWriter
from .values import Value
from .writer import Writer


def lines_for(writer: Writer, order: list[Value], kept: Iterable[Value]) -> list[str]:
    """The lines that compute these Values.

    Args:
        writer: knows what everything is called.
        order: what to compute, each after its operands.
        kept: what is read afterwards; all is there, so it makes no difference.
    """
    lines: list[str] = []
    written: set[Loop] = set()  # of several results of a loop, the first brings it
    for value in order:
        if isinstance(value.op, Loop):
            if value.op not in written:
                written.add(value.op)
                lines += LoopWriter(writer, value.op).lines()
        elif value.op is not None:
            lines += writer.straight(value)
    return lines
