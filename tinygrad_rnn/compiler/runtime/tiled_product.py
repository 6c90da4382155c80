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

from typing import Any

from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from .llvm_code.tiles import INTEGER, write_tile
from .tiles import TILE_ROWS, vector_registers


def tile(rows: int, vectors: int) -> Any:
    """A function that computes one tile of C = A B.

    Its arguments are A, the place of the tile's first row in A, and the strides of A's rows and columns; the panel; the
    number of products to sum; and C, the tile's place in C, and the stride of C's rows. A and C are flat.
    """
    if config.DISABLE_JIT:
        return _plain_tile(rows)

    @intrinsic
    def compute(typing_context, a, a_start, a_row, a_column, panel, depth, c, c_start, c_row):  # type: ignore[no-untyped-def]
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def elements(i: int, start: Any) -> Any:
                return builder.gep(make_array(signature.args[i])(context, builder, args[i]).data, [start])

            _, a_start, a_row, a_column, _, depth, _, c_start, c_row = args
            left, right, out = elements(0, a_start), elements(4, ir.Constant(INTEGER, 0)), elements(6, c_start)
            lanes = vector_registers().size * 8 // signature.args[0].dtype.bitwidth
            write_tile(builder, (rows, vectors, lanes), (left, a_row, a_column), right, depth, (out, c_row))
            return context.get_dummy_value()

        return types.void(a, a_start, a_row, a_column, panel, depth, c, c_start, c_row), generate

    return compute


def _plain_tile(rows: int) -> Any:
    """The same tile in NumPy, for tests that run generated code without compiling it."""

    def compute(a, a_start, a_row, a_column, panel, depth, c, c_start, c_row):  # type: ignore[no-untyped-def]
        for r in range(rows):
            left = a[a_start + r * a_row :: a_column][:depth]
            c[c_start + r * c_row :][: panel.shape[1]] = left @ panel

    return compute


def multiplier(vectors: int) -> Any:
    """A function that multiplies rows by a packed matrix, with tiles of this number of vectors."""
    most_rows = vector_registers().most_rows
    most, four, one = tile(most_rows, vectors), tile(TILE_ROWS, vectors), tile(1, vectors)

    @njit(nogil=True, error_model="numpy")
    def multiply(a, start, a_row, a_column, panels, c, c_start, c_row, columns, first, last):  # type: ignore[no-untyped-def]
        """Rows ``first`` to ``last`` of C = A B."""
        count, depth, width = panels.shape
        for p in range(count):
            to = c_start + min(p * width, columns - width)  # the last panel may overlap the one before it
            row = first
            if most_rows > TILE_ROWS:
                while row + most_rows <= last and last - row != 2 * TILE_ROWS:  # 8 rows are 4 and 4, not 6, 1 and 1
                    most(a, start + row * a_row, a_row, a_column, panels[p], depth, c, to + row * c_row, c_row)
                    row += most_rows
            while row + TILE_ROWS <= last:
                four(a, start + row * a_row, a_row, a_column, panels[p], depth, c, to + row * c_row, c_row)
                row += TILE_ROWS
            while row < last:
                one(a, start + row * a_row, a_row, a_column, panels[p], depth, c, to + row * c_row, c_row)
                row += 1

    return multiply


multiply_1, multiply_2, multiply_4 = map(multiplier, (1, 2, 4))


@njit(nogil=True, error_model="numpy")
def pack(b, start, row, column, columns, panels):  # type: ignore[no-untyped-def]
    """Write a matrix B into panels, from an array, its place there, and the strides of its rows and columns."""
    count, depth, width = panels.shape
    for p in range(count):
        first = start + min(p * width, columns - width) * column
        for k in range(depth):
            for i in range(width):
                panels[p, k, i] = b[first + k * row + i * column]
