"""What is measured of a process is its own."""

from __future__ import annotations

import numpy as np

from benchmarks.processes import child_environment, run_json


def test_a_process_is_not_charged_for_the_memory_of_the_one_that_started_it() -> None:
    held = np.ones(25_000_000)
    peak = run_json(["-c", "from benchmarks.processes import peak_bytes; print(peak_bytes())"], child_environment(1))
    assert 1e6 < peak < held.nbytes / 2
