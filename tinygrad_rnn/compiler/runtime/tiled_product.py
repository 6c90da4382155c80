"""Matrix products as machine code: a tile of the result in registers, and the right-hand matrix packed once.

BLAS packs its matrices at every call. For the few rows of one time step that costs as much as multiplying, and the
weights are the same at each step. So they are packed before the loop, into *panels* of as many columns as a tile has,
which then lie in memory in the order in which they are read. A tile is a few rows of a few vectors (see ``tiles``);
every element of it is summed from the first factor to the last, so a row has the same results wherever it stands and
whichever thread computes it.

Source: Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34(3), 2008, where the
tile is the inner kernel and the panel is the packed B.
"""

from __future__ import annotations

from .tiles import TILE_ROWS, vector_registers

most_rows = vector_registers().most_rows


def tile(rows, a, a_start, a_row, a_column, panel, depth, c, c_start, c_row):  # type: ignore[no-untyped-def]
    """Compute one tile of C = A B; its machine code, which has the sums in registers, is in ``llvm_code.tiles``.

    Args:
        rows: the number of its rows; it is as wide as the panel.
        a: the flat array of A.
        a_start: the place of the tile's first row in it.
        a_row: how far apart its rows lie.
        a_column: the same of its columns.
        panel: the panel.
        depth: the number of products to sum.
        c: the flat array of C.
        c_start: the place of the tile in it.
        c_row: how far apart its rows lie.
    """
    for r in range(rows):
        left = a[a_start + r * a_row :: a_column][:depth]
        c[c_start + r * c_row :][: panel.shape[1]] = left @ panel


def multiply(a, start, a_row, a_column, panels, c, c_start, c_row, columns, first, last):  # type: ignore[no-untyped-def]
    """Compute the rows ``first`` to ``last`` of C = A B.

    Generated text calls it by the width of its tiles, in vectors: ``multiply_1``, ``multiply_2`` or ``multiply_4``.
    """
    count, depth, width = panels.shape
    for p in range(count):
        to = c_start + min(p * width, columns - width)  # the last panel may overlap the one before it
        row = first
        if most_rows > TILE_ROWS:
            while row + most_rows <= last and last - row != 2 * TILE_ROWS:  # 8 rows are 4 and 4, not 6, 1 and 1
                tile(most_rows, a, start + row * a_row, a_row, a_column, panels[p], depth, c, to + row * c_row, c_row)
                row += most_rows
        while row + TILE_ROWS <= last:
            tile(TILE_ROWS, a, start + row * a_row, a_row, a_column, panels[p], depth, c, to + row * c_row, c_row)
            row += TILE_ROWS
        while row < last:
            tile(1, a, start + row * a_row, a_row, a_column, panels[p], depth, c, to + row * c_row, c_row)
            row += 1


def pack(b, start, row, column, columns, panels):  # type: ignore[no-untyped-def]
    """Write a matrix B into panels, from an array, its place there, and the strides of its rows and columns."""
    count, depth, width = panels.shape
    for p in range(count):
        first = start + min(p * width, columns - width) * column
        for k in range(depth):
            for i in range(width):
                panels[p, k, i] = b[first + k * row + i * column]
