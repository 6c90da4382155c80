"""The first call of machine code: what it costs in a process that finds nothing, and in one that finds it on disk.

`python -m benchmarks.first_call LSTM` makes a training step of a network, with its loss in the plan, in a process of
its own, and prints a line of JSON: CPU seconds of the imports, of the first step and of the second.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from .harness import Effort
from .processes import child_environment, run_json
from .report import duration, table

NETWORKS = ("RNN", "LSTM", "GRU", "LSTM, 3 layers", "LSTM, both directions, lengths")
FEATURES, UNITS, BATCH, STEPS = 8, 16, 4, 20  # small: the whole step is machine code


def measure(network: str) -> dict[str, float]:
    """CPU seconds of the imports, of the first training step and of the second."""
    began = time.process_time()
    import numpy as np

    import tinygrad_rnn as tr

    imported = time.process_time()
    kind = getattr(tr.nn, network.partition(",")[0])
    options: dict[str, Any] = {"num_layers": 3} if "layers" in network else {}
    options["bidirectional"] = "both" in network
    model, xs = kind(FEATURES, UNITS, seed=0, **options), np.ones((STEPS, BATCH, FEATURES), np.float32)
    lengths = np.array([20, 15, 9, 4]) if "lengths" in network else None
    run: Callable[[Any], Any] = lambda xs: np.mean(np.square(model(xs, lengths=lengths)[0]))  # noqa: E731
    loss = tr.compile(run, executor="llvm")

    def step() -> float:
        start = time.process_time()
        loss(xs).backward()
        model.zero_grad()
        return time.process_time() - start

    return {"imports": imported - began, "first": step(), "second": step()}


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the networks whose name contains `wanted`; Markdown."""
    rows = []
    for network in NETWORKS:
        if wanted in network:
            print(f"first call: {network}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as cache:
                environment = {**child_environment(effort.threads), "XDG_CACHE_HOME": cache}
                cold, warm = (run_json(["-m", "benchmarks.first_call", network], environment) for _ in range(2))
            rows.append([network, *(duration(found[what]) for found in (cold, warm) for what in ("first", "second"))])
    if not rows:
        return ""
    header = ["network", "first call, nothing kept", "second", "first call, kept on disk", "second"]
    what = (
        f"A training step, loss in the plan, T={STEPS}, B={BATCH}, {UNITS} units; CPU time, with the imports that the "
        "first call brings, without those of NumPy and of the package itself."
    )
    return f"{what}\n\n{table(header, rows)}\n"


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
