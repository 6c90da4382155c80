"""Every program that a test of the compiler makes is checked after each pass, and printed.

And what another executor than NumPy needs, if ``COMPILE_WITH`` names one.
"""

import os
import subprocess
import sys

import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import DEFAULT
from tinygrad_rnn.compiler import generate, plans
from tinygrad_rnn.compiler.program.verify import verify

# What they ask is the same whichever executor tests use by default: they name theirs, or need none.
NAME_THEIR_OWN = ("code_folder", "entry", "jax", "machine_code", "machine_operations", "other_llvmlites", "storage",
                  "tiles", "to_jax")  # fmt: skip
# Four fifths of the time that XLA takes for a small function go into making it fast, mostly by fusing operations.
QUICKLY = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_parallel_codegen_split_count=1 --xla_cpu_use_fusion_emitters=false"
)


def pytest_configure():
    """Let XLA and LLVM compile thousands of functions that run once or twice quickly, if they know how."""
    if DEFAULT == "llvm":
        from tinygrad_rnn.compiler.runtime.llvm_code import engine  # only now: llvmlite is an extra

        engine.EFFORT = 0  # a seventh of the time; what it makes with all effort is what test_machine_code.py asks
    if DEFAULT == "jax" and "XLA_FLAGS" not in os.environ:  # processes that pytest starts inherit them
        start = [sys.executable, "-c", "import jax; jax.devices()"]
        known = subprocess.run(start, env={**os.environ, "XLA_FLAGS": QUICKLY}, capture_output=True, check=False)
        os.environ["XLA_FLAGS"] = "" if known.returncode else QUICKLY  # an unknown flag ends a process


@pytest.fixture(autouse=True, scope="session")
def default_executor():
    """Let a whole run of the tests try another executor than NumPy."""
    keywords = tr.compile.__kwdefaults__
    before, keywords["executor"] = keywords["executor"], DEFAULT
    yield
    keywords["executor"] = before


def pytest_collection_modifyitems(items):
    """Leave out what is about other executors than the one that the run tries, or is the same for all."""
    for item in items:
        named = item.callspec.params.get("executor", DEFAULT) if hasattr(item, "callspec") else DEFAULT
        if DEFAULT != "numpy" and (item.path.stem.removeprefix("test_") in NAME_THEIR_OWN or named != DEFAULT):
            item.add_marker(pytest.mark.skip(reason="it names its executor, so it is the same without COMPILE_WITH"))
        for marker in item.iter_markers("only_for"):
            if DEFAULT not in marker.args:
                item.add_marker(
                    pytest.mark.skip(reason=f"only for {' and '.join(marker.args)}: {marker.kwargs['reason']}")
                )


def checked(a_pass):
    def run(*args, **keywords):
        program = a_pass(*args, **keywords)
        verify(program)
        assert str(program).startswith("given\n")
        return program

    return run


@pytest.fixture(autouse=True)
def programs_are_well_formed(monkeypatch):
    for module, name in ((plans, "traced"), (generate, "fissioned"), (generate, "differentiated")):
        monkeypatch.setattr(module, name, checked(getattr(module, name)))
