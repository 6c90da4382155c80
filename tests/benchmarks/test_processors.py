"""The kind of processor is said, and another one is emulated for every contender alike."""

from __future__ import annotations

import pytest

from benchmarks import processors
from benchmarks.harness import Effort
from benchmarks.processes import child_environment, run_json
from benchmarks.report import machine

WIDE = {"avx512f": True, "avx512vl": True, "avx2": True, "fma": True}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with AVX-512, on which nothing is emulated yet."""
    monkeypatch.setenv(processors.VARIABLE, "")
    monkeypatch.setattr(processors, "_features", lambda: WIDE)


@pytest.mark.parametrize(
    ("features", "said"),
    [(WIDE, " with AVX-512,"), ({"avx2": True}, " with AVX2,"), ({"neon": True}, " with NEON,"), ({}, "")],
)
def test_the_kind_of_vector_registers_is_said(monkeypatch, features, said) -> None:
    monkeypatch.setattr(processors, "_features", lambda: features)
    assert said in machine(Effort())
    assert "emulated" not in machine(Effort())


def test_an_emulated_processor_is_called_that() -> None:
    processors.emulate("avx2")
    assert " with AVX2, emulated," in machine(Effort())


def test_every_library_is_told_and_flags_are_put_together() -> None:
    before = child_environment(1, {"XLA_FLAGS": "--one"})
    assert before["XLA_FLAGS"] == "--one" and "OPENBLAS_CORETYPE" not in before
    processors.emulate("avx2")
    environment = child_environment(1, {"XLA_FLAGS": "--one"})
    assert environment["XLA_FLAGS"].split() == ["--xla_cpu_max_isa=AVX2", "--one"]
    assert environment["OPENBLAS_CORETYPE"] == "Haswell"
    for compiler in ("TINYGRAD_RNN", "NUMBA"):
        assert environment[f"{compiler}_CPU_FEATURES"] == "+avx2,-avx512f,-avx512vl,+fma"


def test_what_this_processor_lacks_is_not_emulated(monkeypatch) -> None:
    monkeypatch.setattr(processors, "_features", dict)
    with pytest.raises(RuntimeError, match="AVX2 can't be emulated here"):
        processors.emulate("avx2")


def test_numpy_keeps_to_narrower_registers(monkeypatch) -> None:
    monkeypatch.undo()
    pytest.importorskip("llvmlite")
    if "AVX2" not in processors.registers() and "AVX-512" not in processors.registers():
        pytest.skip("not on this kind of processor")
    monkeypatch.setenv(processors.VARIABLE, "avx2")
    code = "import json; from numpy._core._multiarray_umath import __cpu_features__ as f; print(json.dumps(f))"
    features = run_json(["-c", code], child_environment(1))
    assert not any(features[name] for name in processors._wide_in_numpy())
