"""Gradients of weights as machine code: products ``hᵀ Δ``, summed over all steps and all rows of the batch.

A thread takes the same rows as in the loops before, and so reads what it wrote itself. If BLAS divided the rows of the
*result* among threads, each would read all of h or Δ; and what two cores have read, one of them writes slowly in the
next call: each line of a cache has to be taken back from the other core first, for 20 to 40 ns where the two have no
cache in common.

Each part of the rows has a sum of its own; they are added up at the end. The number of parts is always the same, so the
number of threads changes no bit. Sums over rows, the gradients of biases, go along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...autodiff.rules import linalg, shape
from .. import thresholds
from ..elements.function import MachineCode
from ..graph.shapes import multiplications
from ..graph.values import Value
from ..numpy_code.writer import Writer
from ..runtime.threads import are_enough
from ..runtime.tiles import vector_registers

PARTS = 4
DEPTH = 64  # rows that are multiplied at a time: with a panel as wide as a tile they fill half of a first cache


class Rows(NamedTuple):
    """The factors of a sum over steps and rows.

    Attributes:
        left: h, as a matrix of all rows of all steps.
        right: Δ, likewise.
        steps: the number of steps.
        rows: the number of rows at each step.
    """

    left: Value
    right: Value
    steps: int
    rows: int


def factors(value: Value) -> Rows | None:
    """The factors of a product, if it is the gradient of a weight, over sequences of several rows; else None."""
    if value.op is not linalg.matmul or value.ndim != 2 or any(a.ndim != 2 for a in value.args):
        return None
    turned, right = value.args
    left = turned.args[0] if turned.op is shape.transpose else turned
    sequences = [a.args[0].shape for a in (left, right) if a.op is shape.reshape and a.args[0].ndim == 3]
    if left is turned or len(sequences) < 2 or sequences[0][:2] != sequences[1][:2]:
        return None
    steps, rows, _ = sequences[1]
    return Rows(left, right, steps, rows)


def goes_by_rows(value: Value) -> bool:
    """Return True for a gradient of a weight that is large enough for threads, and whose parts aren't too large."""
    found = factors(value)
    if found is None or {found.left.dtype, found.right.dtype} != {value.dtype}:
        return False
    return (
        _vectors(value) > 0
        and value.size <= thresholds.LARGEST_PART
        and found.rows >= thresholds.FEWEST_ROWS_INSIDE
        and multiplications(value) > thresholds.SHARED_PRODUCT
        and are_enough(PARTS)
    )


def _vectors(value: Value) -> int:
    """The width of tiles in vectors, so that panels don't overlap (products would be added twice); 0 for none."""
    registers = vector_registers()
    lanes = registers.size // value.dtype.itemsize
    return next((v for v in (4, 2, 1) if v <= registers.most_vectors and value.shape[1] % (v * lanes) == 0), 0)


def lines_for(writer: Writer, values: Sequence[Value]) -> list[str]:
    """The lines of the calling function that compute these gradients, and sums over the same rows, together."""
    code = MachineCode(writer)
    code.parts = PARTS
    steps, code.rows = next(found[2:] for found in map(factors, values) if found is not None)
    sizes = f"{code.size(steps)}, {code.size(code.rows)}"
    with code.each_part():
        for value in values:
            *depth, columns = value.shape
            sums = code.numbered_buffer("sums", (PARTS, value.size), value.dtype)
            found = factors(value)
            if found is None:
                (a,) = value.args
                right = code.argument(f"{writer.operand(a)}.reshape(-1)")
                code.line(f"add_rows({right}, {columns}, {sums}[part], {sizes}, first, last)")
            else:
                width = _vectors(value) * vector_registers().size // value.dtype.itemsize
                some = code.numbered_buffer("rows", (PARTS, DEPTH * depth[0]), value.dtype)
                panels = code.numbered_buffer("panels", (PARTS, columns // width, DEPTH, width), value.dtype)
                left, right = (code.argument(f"{writer.operand(a)}.reshape(-1)") for a in found[:2])
                code.line(
                    f"add_products_{_vectors(value)}({left}, {depth[0]}, {right}, {columns}, {sums}[part], "
                    f"{some}[begin], {panels}[begin], {sizes}, first, last)"
                )
            out, parts = writer.names[value], f"{code.passed(sums)}.reshape({(PARTS, *value.shape)!r})"
            code.after.append(f"add.reduce({parts}, axis=0, out={out})")
    return code.call()


def goes_along(value: Value, gradients: Sequence[Value]) -> bool:
    """Return True for a sum over all rows of all steps of a sequence from whose rows such gradients are computed."""
    (a,) = value.args
    is_sequence = a.ndim == 3 and value.dtype.kind == "f"
    return is_sequence and any(found is not None and found[2:] == a.shape[:2] for found in map(factors, gradients))
