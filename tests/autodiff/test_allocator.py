"""Memory that is freed is kept for the next step, unless the user forbids it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# The page faults of ten training steps, each of which allocates a hundred arrays and then frees them all.
PROBE = """
import resource
import numpy as np
import tinygrad_rnn as tr

tr.keep_freed_memory()

def allocate():
    for _ in range(10):
        [np.ones(100_000, np.uint8) for _ in range(100)]

allocate()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
allocate()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(**environment: str) -> int:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env={**plain, **environment}, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_is_kept_unless_forbidden():
    kept, forbidden = page_faults(), page_faults(TINYGRAD_RNN_KEEP_MEMORY="0")
    assert kept < 50 < 500 < forbidden
