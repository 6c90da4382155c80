"""Linear recurrences over many steps: a scan beside the same plan that goes step by step, and beside machine code.

`python -m benchmarks.scan average float32 64` runs one of them in a process of its own, one sequence of 10,000
steps, and prints a line of JSON: seconds of a forward pass and of forward and backward, each step by step, by a scan,
and by machine code.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.compiler import thresholds

from .harness import Effort
from .processes import child_environment, run_json
from .report import duration, table

STEPS = 10_000
TURNS, CALLS = 5, 8
# By name: a step with an input x, a gate z before its sigmoid, the state h, and a weight a.
CELLS: dict[str, Callable[..., Any]] = {
    "average": lambda x, z, h, a: a * h + x,
    "gates": lambda x, z, h, a: tr.sigmoid(z) * h + (1 - tr.sigmoid(z)) * x,
}
CASES = list(product(CELLS, ("float32", "float64"), (64, 8)))


def measure(cell: str, dtype: str, units: str) -> dict[str, list[float]]:
    """Seconds of a call without gradients and of one with; each step by step, by a scan, and by machine code."""
    rng = np.random.default_rng(0)
    xs, zs = rng.normal(size=(2, STEPS, 1, int(units))).astype(dtype)
    a = tr.tensor(rng.uniform(0.5, 0.99, size=int(units)).astype(dtype), requires_grad=True)
    sequences = tr.tensor(xs, requires_grad=True), tr.tensor(zs, requires_grad=True)
    seed = rng.normal(size=xs.shape).astype(dtype)

    def plan(executor: str) -> Callable[..., Any]:
        def step(z: Any, h: Any) -> Any:
            return (CELLS[cell](*z, h, a),) * 2

        return tr.compile(lambda xs, zs, h: tr.unroll(step, (xs, zs), h)[0], executor=executor)

    def forward(run: Callable[..., Any]) -> np.ndarray:
        with tr.no_grad():
            found: np.ndarray = run(xs, zs, np.zeros_like(xs[0])).data
        return found

    def both(run: Callable[..., Any]) -> np.ndarray:
        sequences[0].grad = sequences[1].grad = a.grad = None
        run(*sequences, np.zeros_like(xs[0])).backward(seed)
        return np.array(sequences[0].grad)

    ways = [(plan("numpy"), False), (plan("numpy"), True), (plan("llvm"), False)]
    for run, scans in ways:
        _allow(scans)
        for what in (forward, both):
            what(run)
    found = {}
    for what in (forward, both):
        results, turns = [], []
        for run, scans in ways:
            _allow(scans)
            results.append(what(run))
            turns.append([_seconds(what, run) for _ in range(TURNS)])
        by_steps, *others = results
        for other in others:
            np.testing.assert_allclose(other, by_steps, rtol=2e-3 if dtype == "float32" else 1e-9, atol=1e-5)
        found[what.__name__] = [statistics.median(seconds) for seconds in turns]
    return found


FEWEST = thresholds.FEWEST_STEPS_TO_SCAN


def _allow(scans: bool) -> None:
    """Let recurrences be scans where that is meant to be faster, or nowhere."""
    thresholds.FEWEST_STEPS_TO_SCAN = FEWEST if scans else STEPS + 1


def _seconds(what: Callable[..., Any], run: Callable[..., Any]) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        what(run)
    return (time.perf_counter() - began) / CALLS


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the cases whose name contains `wanted`; Markdown."""
    rows = []
    for cell, dtype, units in CASES:
        name = f"{cell}, {units} units, {dtype}"
        if wanted not in name:
            continue
        print(f"scan: {name}", file=sys.stderr)
        found = run_json(["-m", "benchmarks.scan", cell, dtype, str(units)], child_environment(effort.threads))
        cells = [name]
        for by_steps, *others in found.values():
            cells.append(duration(by_steps))
            cells += [text for seconds in others for text in (duration(seconds), f"{by_steps / seconds:.1f}")]
        rows.append(cells)
    if not rows:
        return ""
    ways = ["scan", "times", "machine code", "times"]
    header = ["recurrence", "forward, by steps", *ways, "and backward, by steps", *ways]
    what = f"One sequence of {STEPS:,} steps; a call of the compiled function, medians of {TURNS} turns."
    return f"{what}\n\n{table(header, rows)}\n"


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
