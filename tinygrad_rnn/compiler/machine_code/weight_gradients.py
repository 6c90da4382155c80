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
    """The factors of a sum over steps and rows."""

    left: Value  # h at all steps, (T, B, n)
    right: Value  # Δ at all steps, (T, B, m)

    @property
    def rows(self) -> int:
        """The number of rows at each step."""
        return self.right.shape[1]


def factors(value: Value) -> Rows | None:
    """The factors of a product, if it is the gradient of a weight, over sequences of several rows; else None."""
    if value.op is not linalg.matmul or value.ndim != 2 or any(a.ndim != 2 for a in value.args):
        return None
    turned, right = value.args
    left = turned.args[0] if turned.op is shape.transpose else turned
    if left is turned or any(a.op is not shape.reshape or a.args[0].ndim != 3 for a in (left, right)):
        return None
    found = Rows(left.args[0], right.args[0])
    return found if found.left.shape[:2] == found.right.shape[:2] else None


def goes_by_rows(value: Value) -> bool:
    """Return True for a gradient of a weight that is large enough for threads, and whose parts aren't too large."""
    found = factors(value)
    if found is None or {found.left.dtype, found.right.dtype} != {value.dtype}:
        return False
    return (
        _vectors(value) > 0
        and value.size <= thresholds.LARGEST_PART
        and found.rows >= thresholds.FEWEST_ROWS_INSIDE
        and multiplications(value) > thresholds.SHARED_GRADIENT
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
    code.rows = next(found.rows for found in map(factors, values) if found is not None)
    write(code, values)
    return code.call()


def write(code: MachineCode, values: Sequence[Value]) -> None:
    """Write these gradients, and sums over the same rows, to a function that computes parts of the rows."""
    writer = code.writer
    with code.each_part():
        for value in values:
            *depth, columns = value.shape
            sums = code.numbered_buffer("sums", (PARTS, value.size), value.dtype)
            found = factors(value)
            left, right = (found.left, found.right) if found is not None else (None, value.args[0])
            sizes = f"{code.size(right.shape[0])}, {code.size(code.rows)}, first, last"
            flat = code.argument(f"{writer.operand(right)}.reshape(-1)")
            if left is None:
                code.line(f"add_rows({flat}, {columns}, {sums}[part], {sizes})")
            else:
                width = _vectors(value) * vector_registers().size // value.dtype.itemsize
                some = code.numbered_buffer("rows", (PARTS, DEPTH * depth[0]), value.dtype)
                panels = code.numbered_buffer("panels", (PARTS, columns // width, DEPTH, width), value.dtype)
                other = code.argument(f"{writer.operand(left)}.reshape(-1)")
                code.line(
                    f"add_products_{_vectors(value)}({other}, {depth[0]}, {flat}, {columns}, "
                    f"{sums}[part], {some}[begin], {panels}[begin], {sizes})"
                )
            out, parts = writer.names[value], f"{code.passed(sums)}.reshape({(PARTS, *value.shape)!r})"
            code.after.append(f"add.reduce({parts}, axis=0, out={out})")


def goes_along(value: Value, gradients: Sequence[Value]) -> bool:
    """Return True for a sum over all rows of all steps of a sequence from whose rows such gradients are computed."""
    (a,) = value.args
    sequences = [found.right for found in map(factors, gradients) if found is not None]
    return a.ndim == 3 and value.dtype.kind == "f" and any(right.shape[:2] == a.shape[:2] for right in sequences)
