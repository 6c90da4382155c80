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


def tile(rows, a, a_start, a_row, a_column, panel, depth, c, c_start, c_row, adds=False):  # type: ignore[no-untyped-def]
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
        adds: whether the products are added to what is there.
    """
    for r in range(rows):
        left = a[a_start + r * a_row :: a_column][:depth]
        to = c[c_start + r * c_row :][: panel.shape[1]]
        to[:] = (to if adds else 0) + left @ panel[:depth]


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
    """Write a matrix B into panels, from an array, its place there, and the strides of its rows and columns.

    Neighbours in memory are read one after the other. If these are the elements of a column (B is a transposed matrix),
    some rows of the panel at a time are written, which stay in the first cache meanwhile.
    """
    count, depth, width = panels.shape
    for p in range(count):
        first = start + min(p * width, columns - width) * column
        if row == 1:
            for some in range(0, depth, 32):
                for i in range(width):
                    for k in range(some, min(some + 32, depth)):
                        panels[p, k, i] = b[first + k + i * column]
        else:
            for k in range(depth):
                for i in range(width):
                    panels[p, k, i] = b[first + k * row + i * column]


def add_rows(b, b_width, c, steps, rows, first, last):  # type: ignore[no-untyped-def]
    """The sum of the rows ``first`` to ``last`` of B at all steps: the gradient of a bias; see ``add_products``."""
    for i in range(b_width):
        c[i] = 0.0
    for t in range(steps):
        for r in range(first, last):
            start = (t * rows + r) * b_width
            for i in range(b_width):
                c[i] += b[start + i]


def add_products(a, a_width, b, b_width, c, some, panels, steps, rows, first, last):  # type: ignore[no-untyped-def]
    """C = Aᵀ B, summed over all steps and the rows ``first`` to ``last`` of each: the gradient of a weight.

    Some rows at a time are copied to where they lie side by side, and stay in the first cache while each tile adds
    their products. Called like ``multiply``, by the width of its tiles.

    Args:
        a: the flat array of A at all steps.
        a_width: the length of its rows.
        b: the same of B.
        b_width: the length of its rows, a multiple of a panel's.
        c: the flat array of C.
        some: a flat array for as many rows of A as there are rows in a panel.
        panels: the panels for as many rows of B.
        steps: the number of steps.
        rows: the number of rows of each.
        first: the first of the rows to take.
        last: the one after the last of them.
    """
    count, depth, width = panels.shape
    for i in range(a_width * b_width):
        c[i] = 0.0
    t = 0
    r = first
    while t < steps and first < last:
        k = 0
        while t < steps and k < depth:
            start = (t * rows + r) * a_width
            for i in range(a_width):
                some[k * a_width + i] = a[start + i]
            for p in range(count):
                start = (t * rows + r) * b_width + p * width
                for i in range(width):
                    panels[p, k, i] = b[start + i]
            k += 1
            r += 1
            if r == last:
                t += 1
                r = first
        for p in range(count):
            i = 0
            while i + TILE_ROWS <= a_width:
                tile(TILE_ROWS, some, i, 1, a_width, panels[p], k, c, i * b_width + p * width, b_width, True)
                i += TILE_ROWS
            while i < a_width:
                tile(1, some, i, 1, a_width, panels[p], k, c, i * b_width + p * width, b_width, True)
                i += 1
