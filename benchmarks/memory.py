"""Memory against the length of the sequence, with and without `checkpoint_every`.

`python -m benchmarks.memory 1000 31` takes one training step over 1,000 time steps in a process of its own, and prints
a line of JSON; 0 in the second place is for no checkpoints.
"""

from __future__ import annotations

import json
import math
import sys
import time

import numpy as np

from .harness import Effort
from .processes import child_environment, peak_bytes, run_json
from .report import duration, table

LENGTHS = (100, 1_000, 10_000, 100_000)
BATCH, FEATURES, UNITS = 8, 16, 32


def measure(steps: int, every: int) -> dict[str, float]:
    """The most memory that a training step takes beyond what was in use before it, and its time."""
    from tinygrad_rnn import nn

    cell = nn.LSTMCell(FEATURES, UNITS)
    layer = nn.Recurrent(cell, checkpoint_every=every or None)
    warm_up, xs = (np.ones((T, BATCH, FEATURES), np.float32) for T in (50, steps))
    layer(warm_up)[0].sum().backward()
    before = peak_bytes()
    began = time.perf_counter()
    outputs, _ = layer(xs)
    outputs.sum().backward()
    seconds = time.perf_counter() - began
    return {"bytes": peak_bytes() - before, "seconds": seconds}


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the lengths whose number contains `wanted`; Markdown."""
    rows = []
    for steps in LENGTHS:
        if wanted not in str(steps):
            continue
        for every in (0, math.isqrt(steps)):
            print(f"memory: {steps:,} steps, checkpoint_every={every or None}", file=sys.stderr)
            found = run_json(["-m", "benchmarks.memory", str(steps), str(every)], child_environment(effort.threads))
            rows.append(
                [f"{steps:,}", f"{every or 'no'}", f"{found['bytes'] / 1e6:,.1f} MB", duration(found["seconds"])]
            )
    if not rows:
        return ""
    kept = 4 * BATCH * (FEATURES + 2 * UNITS) / 1e3  # the inputs are copied; the outputs come in pieces and are joined
    about = (
        f"One training step of an eager LSTM, B={BATCH} n={FEATURES} d={UNITS}, float32. Of the memory, inputs and "
        f"outputs take {kept:.2g} kB a step, with checkpoints or without."
    )
    header = ["steps", "checkpoint_every", "memory beyond the start", "forward and backward"]
    return f"### Memory against T\n\n{about}\n\n{table(header, rows)}\n"


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:]))))
