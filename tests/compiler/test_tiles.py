"""Tiles of products suit the registers of the processor that LLVM compiles for, here emulated."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite")
from llvmlite import binding, ir

from tinygrad_rnn.compiler.runtime.llvm_code import engine, translator
from tinygrad_rnn.compiler.runtime.llvm_code.entry import form_of
from tinygrad_rnn.compiler.runtime.llvm_code.tiles import write_tile
from tinygrad_rnn.compiler.runtime.tiles import Registers, registers_of

X86, ARM, MAC = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "arm64-apple-darwin"
TARGETS = [
    (X86, "znver4", "", Registers(64, 32)),
    (X86, "skylake-avx512", "", Registers(64, 32)),
    (X86, "znver4", "-avx512f", Registers(32, 16)),
    (X86, "znver3", "", Registers(32, 16)),
    (X86, "haswell", "", Registers(32, 16)),
    (X86, "x86-64", "+avx2,+fma", Registers(32, 16)),
    (X86, "x86-64", "", Registers(16, 16)),
    (ARM, "neoverse-n1", "", Registers(16, 32)),
    (MAC, "apple-m1", "", Registers(16, 32)),
]
FUSED = {X86: "vfmadd", ARM: "fmla", MAC: "fmla"}


@pytest.fixture(scope="module", autouse=True)
def all_targets() -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()


@pytest.mark.parametrize(("triple", "processor", "features", "registers"), TARGETS)
def test_registers_are_those_that_llvm_uses(triple, processor, features, registers) -> None:
    assert registers_of(triple, processor, features) == registers


def assembly_of_a_tile(rows: int, vectors: int, triple: str, processor: str, features: str) -> str:
    real, integer = ir.FloatType(), ir.IntType(64)
    pointer = real.as_pointer()
    module = ir.Module()
    module.triple = triple
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, pointer, pointer] + [integer] * 4), "tile")
    builder = ir.IRBuilder(function.append_basic_block())
    a, panel, c, a_row, a_column, depth, c_row = function.args
    lanes = registers_of(triple, processor, features).size // 4
    write_tile(builder, (rows, vectors, lanes), (a, a_row, a_column), panel, depth, (c, c_row))
    builder.ret_void()
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=processor, features=features, opt=3)
    text: str = machine.emit_assembly(binding.parse_assembly(str(module)))
    return text


@pytest.mark.parametrize(("triple", "processor", "features", "registers"), TARGETS)
def test_a_tile_fits_into_the_registers(triple, processor, features, registers) -> None:
    """One fused instruction for each sum, and in the loop over them no number goes to the stack and back."""
    rows, vectors = registers.most_rows, registers.most_vectors
    text = assembly_of_a_tile(rows, vectors, triple, processor, features)
    loop = max(re.split(r"\n\.?L\w*:", text), key=lambda part: len(re.findall("fma|fmla|mulps", part)))
    if processor != "x86-64" or features:
        assert len(re.findall(FUSED[triple], loop)) == rows * vectors
    assert not re.search(r"rsp\).*[xyz]mm|[xyz]mm.*rsp\)|\bq\d.*\[sp", loop)


MULTIPLY = """
def program(a, panels, c, depth, width, rows):
    multiply_{vectors}(a, 0, depth, 1, panels, c, 0, width, width, 0, rows)
"""


@pytest.mark.one_in(3)
@pytest.mark.parametrize("registers", [Registers(64, 32), Registers(32, 16), Registers(16, 16), Registers(16, 32)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_is_right_with_tiles_for_any_registers(monkeypatch, registers, dtype) -> None:
    """Bit for bit the same rows, whatever the tile that they are computed in."""
    monkeypatch.setattr(translator, "vector_registers", lambda: registers)
    vectors = registers.most_vectors
    width, depth = vectors * registers.size // np.dtype(dtype).itemsize, 37
    rng = np.random.default_rng(0)
    b = rng.normal(size=(depth, width)).astype(dtype)
    a = rng.normal(size=(33, depth)).astype(dtype)
    found = {}
    for rows in (1, 5, 6, 8, 9, 14, 33):
        c = np.full((rows, width), np.nan, dtype)
        args = a[:rows].reshape(-1), b[None], c.reshape(-1), depth, width, rows
        form, name = form_of(args), f"program_of_{registers.size}_{registers.number}_{a.dtype}_{rows}"
        engine.loaded(engine.machine_code(MULTIPLY.format(vectors=vectors), form, name), form, name)(*args)
        np.testing.assert_allclose(c, a[:rows] @ b, rtol=2e-5 if dtype == np.float32 else 1e-12, atol=1e-5)
        found[rows] = c
    for rows, c in found.items():
        np.testing.assert_array_equal(c, found[33][:rows])


@pytest.mark.parametrize(
    ("name", "features", "size"), [("znver3", None, 32), ("generic", None, 16), ("x86-64", "+avx2,+fma", 32)]
)
def test_what_the_environment_says_of_the_processor_counts(name: str, features: str | None, size: int) -> None:
    if not binding.get_host_cpu_features().get("avx2"):
        pytest.skip("on a processor with AVX2 only")
    if features is None and name != "generic":
        here = binding.get_host_cpu_features()
        features = ",".join(f"{'+' if has and 'avx512' not in key else '-'}{key}" for key, has in here.items())
    settings = {"TINYGRAD_RNN_CPU_NAME": name, **({} if features is None else {"TINYGRAD_RNN_CPU_FEATURES": features})}
    code = "from tinygrad_rnn.compiler.runtime.tiles import vector_registers; print(vector_registers().size)"
    done = subprocess.run(
        ["env", *(f"{key}={value}" for key, value in settings.items()), sys.executable, "-c", code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) == size
