"""The size of the tiles of products (see ``tiled_product``), by the vector registers that LLVM compiles for.

A tile needs registers for its sums, for a row of the panel and for a factor. It needs many sums: an addition to a sum
takes four or five cycles before the next product can be added to it, and two additions begin in each cycle. So there
are 16 sums if there are 32 registers, and up to 12 if there are 16.
"""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

TILE_ROWS = 4  # threads divide rows by these

# Large enough to make LLVM use the widest registers of a target.
PROBE = """
define void @double({type}* %a) {{
  %x = load {type}, {type}* %a
  %y = fadd {type} %x, %x
  store {type} %y, {type}* %a
  ret void
}}
""".format(type="<16 x float>")


class Registers(NamedTuple):
    """The vector registers of a kind of processor."""

    size: int
    number: int

    @property
    def most_vectors(self) -> int:
        """The largest width of a tile, in vectors."""
        return 4 if self.number >= 32 else 2

    @property
    def most_rows(self) -> int:
        """The largest number of rows of a tile."""
        return TILE_ROWS if self.number >= 32 else 6


def registers_of(triple: str, processor: str, features: str) -> Registers:
    """The registers that LLVM uses for a target, as seen in its assembly for a vector of 64 bytes.

    Args:
        triple: the architecture, such as ``x86_64-unknown-linux-gnu``.
        processor: its name in LLVM.
        features: its further or missing features, such as ``+avx2,-avx512f``.
    """
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module = binding.parse_assembly(f'target triple = "{triple}"{PROBE}')
    target = binding.Target.from_triple(triple).create_target_machine(cpu=processor, features=features)
    assembly = target.emit_assembly(module)
    if "zmm" in assembly:
        return Registers(64, 32)
    if "ymm" in assembly:
        return Registers(32, 16)
    return Registers(16, 32 if triple.startswith(("aarch64", "arm64")) else 16)


@cache
def processor() -> tuple[str, str, str]:
    """The architecture, processor and features that LLVM compiles for: this machine's, or the environment's."""
    from llvmlite import binding

    name = os.environ.get("TINYGRAD_RNN_CPU_NAME", "")
    features = os.environ.get("TINYGRAD_RNN_CPU_FEATURES", "" if name.lower() == "generic" else None)
    return (
        binding.get_process_triple(),
        name or binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten() if features is None else features,
    )


@cache
def vector_registers() -> Registers:
    """The registers of the processor that LLVM compiles for."""
    return registers_of(*processor())


def vectors_for(columns: int, itemsize: int) -> int:
    """The width of tiles, in vectors, for a matrix with this number of columns; 0 if it is too narrow for tiles."""
    size, most = vector_registers().size, vector_registers().most_vectors
    return next((v for v in (4, 2, 1) if v <= most and v * size <= columns * itemsize), 0)


def panels_shape(depth: int, columns: int, itemsize: int) -> tuple[int, int, int]:
    """The shape of a packed (depth, columns) matrix: panels, rows, columns of a panel."""
    width = vectors_for(columns, itemsize) * vector_registers().size // itemsize
    return -(-columns // width), depth, width
