"""The kind of processor that is measured: this one, or one with narrower vector registers, which is emulated.

To emulate it, each library is told not to use the wider registers. What can't be emulated is the rest of another
processor: its caches, its memory, how many instructions it runs at a time.
"""

from __future__ import annotations

import importlib
import os

REGISTERS = {
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "neon": "NEON",
}  # as LLVM calls them: the widest that is there counts
EMULATED = ("avx2",)
VARIABLE = "BENCHMARKS_PROCESSOR"  # tells every measured process, and those that they start


def emulate(kind: str) -> None:
    """Measure on a processor of this kind from now on.

    Raises:
        RuntimeError: this processor can't run its instructions, or llvmlite, which knows that, isn't installed.
    """
    if not _features().get(kind):
        raise RuntimeError(f"{REGISTERS[kind]} can't be emulated here: llvmlite says nothing of it, or isn't installed")
    os.environ[VARIABLE] = kind


def emulation() -> dict[str, str]:
    """The settings by which each library keeps to the kind of processor that is emulated; none for this one."""
    if os.environ.get(VARIABLE) != "avx2":
        return {}
    has = {name: has and not name.startswith("avx512") for name, has in _features().items()}
    features = ",".join(f"{'+' if has[name] else '-'}{name}" for name in sorted(has))
    return {
        "TINYGRAD_RNN_CPU_NAME": "znver3",
        "TINYGRAD_RNN_CPU_FEATURES": features,
        "NUMBA_CPU_NAME": "znver3",  # PyTensor's compiler
        "NUMBA_CPU_FEATURES": features,
        "NPY_DISABLE_CPU_FEATURES": " ".join(_wide_in_numpy()),
        "OPENBLAS_CORETYPE": "Haswell",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }


def registers() -> str:
    """The kind of vector registers, on which ratios hang; "" if it isn't known."""
    emulated = os.environ.get(VARIABLE)
    if emulated:
        return f"{REGISTERS[emulated]}, emulated"
    features = _features()
    return next((kind for name, kind in REGISTERS.items() if features.get(name)), "")


def _features() -> dict[str, bool]:
    try:
        from llvmlite.binding import get_host_cpu_features
    except ImportError:
        return {}
    return dict(get_host_cpu_features())


def _wide_in_numpy() -> list[str]:
    """What NumPy calls AVX-512, of that for which it has code: the names changed with NumPy 2.4."""
    core = importlib.import_module("numpy._core._multiarray_umath")
    return [name for name in core.__cpu_dispatch__ if name == "X86_V4" or name.startswith("AVX512")]
