"""How a compiled loop grows: the cost of a time step against their number, and the throughput against the batch.

`python -m benchmarks.growth llvm 1000 1` times training steps over 1,000 time steps of 1 sequence in a process of
its own, and prints a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from statistics import median

import numpy as np

from .harness import Effort
from .processes import child_environment, run_json
from .report import duration, table
from .tasks import SIZES

EXECUTORS = ("llvm", "numpy")
LENGTHS = (20, 100, 1_000, 10_000, 100_000)
BATCHES = (1, 4, 16, 64, 256)
STEPS = 50  # of each sequence, while the batch grows
TURNS = 5


def measure(executor: str, steps: int, batch: int, seconds: float) -> float:
    """The median time of a training step of an Elman cell of size S, its loss in the plan."""
    from .contenders.recurrent_loss import recurrent

    _, features, hidden, _ = SIZES["S"]
    rng = np.random.default_rng(0)
    shapes = {"x": (steps, batch, features), "U": (features, hidden), "W": (hidden, hidden), "b": (hidden,)}
    arrays = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    step = recurrent("elman", executor, True, **arrays)
    for _ in range(3):
        step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < TURNS or time.perf_counter() < end:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return median(times)


def _found(executor: str, steps: int, batch: int, effort: Effort) -> float:
    print(f"growth: {executor}, T = {steps:,}, B = {batch}", file=sys.stderr)
    arguments = ["-m", "benchmarks.growth", executor, str(steps), str(batch), str(effort.seconds)]
    return float(run_json(arguments, child_environment(effort.threads)))


def length_section(effort: Effort) -> str:
    """Linear time means the same time for a time step, however many there are."""
    rows = []
    for steps in LENGTHS:
        found = [_found(executor, steps, 1, effort) for executor in EXECUTORS]
        rows.append([f"{steps:,}", *map(duration, found), *(f"{1e9 * each / steps:,.0f} ns" for each in found)])
    header = ["T", *EXECUTORS, *(f"{executor}, each time step" for executor in EXECUTORS)]
    return f"### With T\n\nOne sequence.\n\n{table(header, rows)}\n"


def batch_section(effort: Effort) -> str:
    """More sequences share what a step costs however small it is."""
    rows = []
    for batch in BATCHES:
        found = [_found(executor, STEPS, batch, effort) for executor in EXECUTORS]
        rates = [f"{batch * STEPS / each / 1e6:,.2f} million" for each in found]
        rows.append([f"{batch}", *map(duration, found), *rates])
    header = ["B", *EXECUTORS, *(f"{executor}, time steps of a sequence per second" for executor in EXECUTORS)]
    return f"### With B\n\nT = {STEPS}.\n\n{table(header, rows)}\n"


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the sections whose name contains `wanted`; Markdown."""
    sections = {"length": length_section, "batch": batch_section}
    found = [section(effort) for name, section in sections.items() if wanted in name]
    if not found:
        return ""
    _, features, hidden, _ = SIZES["S"]
    about = f"A training step of an Elman cell, n={features} d={hidden}, float32, its loss in the plan."
    return "\n".join([f"{about}\n", *found])


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
