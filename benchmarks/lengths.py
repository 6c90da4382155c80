"""Batches of many lengths: what they cost beside as many time steps at one length.

`python -m benchmarks.lengths LSTM numpy` trains on 1,000 batches whose lengths run from 1 to 200 in a process of its
own, in turns with as many of the one length that has the same number of steps, and prints a line of JSON: CPU seconds
of both.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

import tinygrad_rnn as tr

from .harness import Effort
from .processes import child_environment, run_json
from .report import duration, table

EXECUTORS = ("numpy", "llvm")
CELLS = {"RNN": tr.nn.RNNCell, "LSTM": tr.nn.LSTMCell}
COUNT, LONGEST = 1_000, 200
BATCH, FEATURES, UNITS = 16, 32, 64
FIRST = 10  # batches that don't count: they make the plan
TURN = 50  # batches of one kind, before as many of the other


def measure(cell: str, executor: str) -> dict[str, float]:
    """CPU seconds of training on batches of many lengths, and of one."""
    rng = np.random.default_rng(0)
    many = [int(n) for n in rng.permutation(np.resize(np.arange(1, LONGEST + 1), COUNT))]
    same = [sum(many) // COUNT] * COUNT
    of_many, of_one = _training(cell, executor), _training(cell, executor)
    for length in many[:FIRST]:
        of_many(length)
        of_one(same[0])
    seconds = {"many": 0.0, "one": 0.0}
    for first in range(0, COUNT, TURN):  # in turns, so that a slow moment is everybody's
        for name, step, lengths in (("many", of_many, many), ("one", of_one, same)):
            began = time.process_time()
            for length in lengths[first : first + TURN]:
                step(length)
            seconds[name] += time.process_time() - began
    return seconds


def _training(name: str, executor: str) -> Callable[[int], None]:
    """A step on a batch of a given length."""
    cell = CELLS[name](FEATURES, UNITS, seed=0)
    compiled = tr.compile(cell, executor=executor)
    xs = np.random.default_rng(0).normal(size=(LONGEST, BATCH, FEATURES)).astype(np.float32)

    def step(length: int) -> None:
        ys, _ = tr.unroll(compiled, xs[:length])
        np.mean(ys * ys).backward()
        cell.zero_grad()

    return step


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the cells whose name contains `wanted`; Markdown."""
    rows = []
    for cell in CELLS:
        for executor in EXECUTORS if wanted in cell else ():
            print(f"lengths: {cell}, {executor}", file=sys.stderr)
            found = run_json(["-m", "benchmarks.lengths", cell, executor], child_environment(effort.threads))
            ratio = f"{found['many'] / found['one']:.2f}"
            rows.append([cell, executor, duration(found["many"]), duration(found["one"]), ratio])
    if not rows:
        return ""
    header = ["cell", "executor", f"lengths 1 to {LONGEST}", "one length", "ratio"]
    what = f"{COUNT:,} batches of {BATCH} sequences, {UNITS} units; CPU time of both, after the first {FIRST} batches."
    return f"{what}\n\n{table(header, rows)}\n"


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
