"""What all tests share: the seed, a cache of code, which files take seconds (``-m "not slow"`` leaves these out).

A catalogue asks one thing of many samples. By default some of them are run, chosen evenly (``one_in``); the others
are the ``sweep``.
"""

from __future__ import annotations

import gc
import importlib.util
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tests.chromium import chromium

HERE = Path(__file__).parent

SLOW = {  # folder -> its test_*.py, without the beginning and the end
    "autodiff": "axes backward catalogue cotangent_shapes keeping letting_go log_probabilities peers random_graphs",
    "benchmarks": "harness processes training_tasks",
    "cli": "consoles_and_disks first_hour hostile_input tour train",
    "comparison/planted": "planted",
    "comparison": "breakdown diagnosis lines lines_of_any_cell names search unusual_forms",
    "compiler": "catalogue cells checkpoints code_folder compiled entry errors guards jax lengths linear lookups "
    "loops_together machine_code machine_operations names other_llvmlites plans special_values storage tiles to_jax "
    "together tracing views",
    "deployment": "export_onnx",
    "derivation": "cells latex styles worksheet",
    "examples": "gallery notebooks pages",
    "language": "encoding language vocabulary",
    "manual": "activations_and_losses against_autograd attention combinations elman lstm_and_gru paths_and_rtrl",
    "nn": "architectures cells compiled_losses ctc recurrent twin_training",
    "peers": "onnx_nodes torch_samples",
    "programs": "random_programs",
    "project": "docs hostile_files site types",
    "report": "in_a_browser report",
    "training": "against_torch compiled_layers loggers memory on_device pairs pools prediction resume shared_runs "
    "tree_file whole_step",
    "viz": "animation bad_input in_a_notebook layout long_pictures looks page page_view rendering",
}
LONGEST_FILES = {  # in which one test, or what several tests share, takes many seconds
    HERE / "training" / "test_on_device.py",
    HERE / "training" / "test_shared_runs.py",
    HERE / "project" / "test_types.py",
    HERE / "project" / "test_site.py",
}
SLOW_FILES = {HERE / folder / f"test_{name}.py" for folder, names in SLOW.items() for name in names.split()}


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled code with what else pytest keeps: all processes share it, and the user's cache is left alone.

    And let BLAS run on one thread: what tests multiply is small, and threads that wait for each other spin.
    """
    threadpool_limits(1)  # of this process, where BLAS is there already
    if hasattr(config, "cache") and not hasattr(config, "workerinput"):  # the others inherit it
        os.environ["XDG_CACHE_HOME"] = str(config.cache.mkdir("code"))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(config.cache.mkdir("jax"))
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        for library in ("OPENBLAS", "OMP", "MKL"):  # in other processes, or loaded later
            os.environ.setdefault(f"{library}_NUM_THREADS", "1")
        if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):  # hundreds of processes would compile the package's sources
            os.environ["PYTHONPYCACHEPREFIX"] = str(config.cache.mkdir("pyc"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let a process take whole files, as long as it can: what a file imports, compiles or trains is then made once."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None


def pytest_collection_finish() -> None:
    """Spare the collector what stays for good: a million objects of modules and tests, at each of its passes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # graphs are freed by reference counting


@pytest.fixture(autouse=True)
def same_numbers_in_every_order() -> None:
    """What is made without a seed is the same for a test, whichever tests ran before it in this process."""
    tr.manual_seed(0)


@pytest.fixture(scope="session")
def started_browser() -> Iterator[Any]:
    """One for all, since a start takes as long as several tests in it."""
    with chromium() as started:
        yield started


@pytest.fixture
def browser(started_browser: Any) -> Iterator[Any]:
    """Headless Chromium, whose pages are closed after each test: a film would go on playing."""
    yield started_browser
    for context in started_browser.contexts:
        context.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is slow, and the cases left to the sweep; leave out machine code where it can't be made.

    Several processes begin with what is slow: else one would still be at it when the others have ended.
    """
    has_llvm = importlib.util.find_spec("llvmlite") is not None
    cases: Counter[str] = Counter()  # of each test
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if not has_llvm and any(a in ("llvm", "numba") for a in parameters if isinstance(a, str)):
            item.add_marker(pytest.mark.skip(reason="machine code needs llvmlite"))
        share, test = item.get_closest_marker("one_in"), item.nodeid.partition("[")[0]
        if share is not None and cases[test] % share.args[0]:
            item.add_marker(pytest.mark.sweep)
        cases[test] += 1
        if item.path in SLOW_FILES or item.get_closest_marker("sweep"):
            item.add_marker(pytest.mark.slow)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (item.path not in LONGEST_FILES, item.path not in SLOW_FILES))
