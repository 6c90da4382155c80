"""What all tests share: the seed, and which files take seconds (``-m "not slow"`` leaves these out while one edits)."""

from __future__ import annotations

from pathlib import Path

import pytest

import tinygrad_rnn as tr

HERE = Path(__file__).parent

SLOW = {
    *("autodiff/test_backward.py", "autodiff/test_peers.py", "autodiff/test_random_graphs.py"),
    *("benchmarks/test_harness.py", "benchmarks/test_processes.py", "benchmarks/test_training_tasks.py"),
    *("cli/test_consoles_and_disks.py", "cli/test_hostile_input.py", "cli/test_tour.py", "cli/test_train.py"),
    *("compiler/test_catalogue.py", "compiler/test_cells.py", "compiler/test_compiled.py", "compiler/test_errors.py"),
    *("compiler/test_jax.py", "compiler/test_loops_together.py", "compiler/test_machine_code.py"),
    *("examples/test_gallery.py", "examples/test_notebooks.py", "examples/test_pages.py"),
    *("manual/test_against_autograd.py", "manual/test_combinations.py", "nn/test_twin_training.py"),
    *("report/test_in_a_browser.py", "training/test_against_torch.py", "training/test_memory.py"),
    *("training/test_resume.py", "training/test_shared_runs.py", "training/test_whole_step.py", "viz/test_page.py"),
}


@pytest.fixture(autouse=True)
def same_numbers_in_every_order() -> None:
    """What is made without a seed is the same for a test, whichever tests ran before it in this process."""
    tr.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.relative_to(HERE).as_posix() in SLOW:
            item.add_marker(pytest.mark.slow)
