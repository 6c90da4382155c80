"""The size of the tiles of products (see ``tiled_product``), by the registers of this processor."""

from __future__ import annotations

from functools import cache

TILE_ROWS = 4


@cache
def vector_registers() -> tuple[int, int]:
    """The number of bytes in a vector register, and the largest width of a tile in vectors."""
    from llvmlite.binding import get_host_cpu_features

    features = get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 4  # 16 of 32 registers for the tile
    if features.get("avx2"):
        return 32, 2  # 8 of 16
    return 16, 4 if features.get("neon") else 2


def vectors_for(columns: int, itemsize: int) -> int:
    """The width of tiles, in vectors, for a matrix of so many columns; 0 if it is too narrow for any."""
    size, most = vector_registers()
    return next((v for v in (4, 2, 1) if v <= most and v * size <= columns * itemsize), 0)


def panels_shape(depth: int, columns: int, itemsize: int) -> tuple[int, int, int]:
    """The shape of a packed (depth, columns) matrix: panels, rows, columns of a panel."""
    width = vectors_for(columns, itemsize) * vector_registers()[0] // itemsize
    return -(-columns // width), depth, width
