"""Machine code for matrix products. Small ones are loops, as all contractions are; large ones go by tiles.

What computes tiles, and packs matrices for them, is in ``runtime.tiled_product``: here it is called.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...autodiff.rules import linalg
from .. import thresholds
from ..elements.addresses import Place
from ..elements.function import NoMachineCode
from ..graph.shapes import multiplications
from ..graph.values import Value
from ..runtime.tiles import panels_shape, vectors_for
from . import contractions
from .placement import Placement


def compute(placement: Placement, value: Value) -> None:
    """Write a product to its home."""
    if value.op is linalg.matmul and goes_by_tiles(value, placement.code.is_in_loop):
        _tiled(placement, value)
    else:
        contractions.compute(placement, value)


def pack(placement: Placement, value: Value) -> None:
    """Pack the matrix of a product that is the same at each step, ahead of the loop."""
    _, matrix, is_transposed = factors(value)
    if (matrix, is_transposed) not in placement.panels:
        placement.panels[matrix, is_transposed] = _packed(placement, matrix, is_transposed)


def _tiled(placement: Placement, value: Value) -> None:
    rows, matrix, is_transposed = factors(value)
    panels = placement.panels.get((matrix, is_transposed)) or _packed(placement, matrix, is_transposed)
    left, out = _matrix(placement, placement.place_of(rows)), _matrix(placement, placement.home(value))
    if out.column != 1:
        raise NoMachineCode("a large product that is written column by column")
    columns = value.shape[-1]
    bounds = "0, 1" if value.ndim == 1 else placement.code.bounds(value.shape[0])
    placement.code.line(
        f"multiply_{vectors_for(columns, value.dtype.itemsize)}({left.text}, {panels}, "
        f"{out.array}, {out.start}, {out.row}, {columns}, {bounds})"
    )


def _packed(placement: Placement, matrix: Value, is_transposed: bool) -> str:
    """A buffer with the panels of a matrix."""
    given = _matrix(placement, placement.place_of(matrix))
    depth, columns = matrix.shape
    if is_transposed:
        given, depth, columns = given._replace(row=given.column, column=given.row), columns, depth
    panels = placement.code.numbered_buffer("panels", panels_shape(depth, columns, matrix.dtype.itemsize), matrix.dtype)
    if placement.code.starts_inside or placement.code.is_in_loop:
        placement.code.line(f"pack({given.text}, {columns}, {panels})")
    else:
        passed = given._replace(array=placement.code.passed(given.array))
        call = f"{placement.code.compiled(PACK)}({passed.text}, {columns}, {placement.code.passed(panels)})"
        placement.code.before.append(call)
    return panels


def _matrix(placement: Placement, place: Place) -> Matrix:
    """A place as a part of a flat array."""
    if place.offset is None:
        raise NoMachineCode("a large product of elements that don't lie in rows")
    if not placement.code.is_written(place.sizes[-1]):
        raise NoMachineCode("a large product with rows as long as the arguments")
    flat = placement.code.argument(f"{placement.code.passed(place.array)}.reshape(-1)")
    start, length = str(place.offset), place.sizes[-1]
    if place.lead:
        start += f" + ({place.lead}) * {placement.code.size(int(np.prod(place.sizes)))}"
    return Matrix(flat, start, 1, length) if place.transposed else Matrix(flat, start, length, 1)


class Matrix(NamedTuple):
    """A matrix in a flat array: the place of its first element, and how far apart its rows and its columns lie."""

    array: str
    start: str
    row: int
    column: int

    @property
    def text(self) -> str:
        """The outer expression for this operand."""
        return f"{self.array}, {self.start}, {self.row}, {self.column}"


PACK = """
def program(b, start, row, column, columns, panels):
    pack(b, start, row, column, columns, panels)
"""


def factors(product: Value) -> tuple[Value, Value, bool]:
    """The rows and the matrix of a product, and whether the matrix is transposed: W h is h Wᵀ."""
    a, b = product.args
    return (b, a, True) if b.ndim == 1 else (a, b, False)


def goes_by_tiles(product: Value, inside: bool) -> bool:
    """Return True for a large product that is at least as wide as one vector; the bound is another inside of a loop."""
    is_plain = product.ndim > 0 and all(a.ndim <= 2 and a.dtype == product.dtype for a in product.args)
    is_wide = is_plain and product.dtype.kind == "f" and vectors_for(product.shape[-1], product.dtype.itemsize) > 0
    small = thresholds.SMALL_PRODUCT_INSIDE if inside else thresholds.SMALL_PRODUCT
    return is_wide and multiplications(product) > small
