"""Two processes of one thread that share a run, against one process of one thread; and what follows for many.

`python -m benchmarks.distributed 256 50 64 20` is a process of its own, alone or started by `mpiexec`: it trains an
LSTM with 256 units on batches of 64 sequences of 50 steps, 20 times, and the first rank prints a line of JSON.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .harness import Effort
from .processes import ROOT, child_environment
from .report import duration, table

UNITS, LENGTHS, BATCH = (128, 256, 512), (50, 100), 64
LATENCY = 20e-6  # seconds from one machine to another, as switched Ethernet has it
WARM_UP = 8  # steps: plans are made, and machine code; and parts are checked at steps 1, 2, 4 and 8
FEWEST = 15  # steps, of which one checks the parts again: no median of a few would leave that out


def measure(units: int, length: int, batch: int, steps: int) -> dict[str, Any]:
    """The times of steps, the time and size of their reduction, and the last loss, to compare numbers."""
    from tinygrad_rnn import data, nn, optim, training

    communicator = None
    if "PMI_SIZE" in os.environ:
        from mpi4py import MPI

        communicator = MPI.COMM_WORLD
    rng = np.random.default_rng(0)
    xs, ys = (rng.normal(size=(batch, length, units)).astype(np.float32) for _ in range(2))
    model = nn.LSTM(units, units, seed=0)

    class Predictor(nn.Module):
        def __init__(self) -> None:
            self.layer = model

        def forward(self, x: Any) -> Any:
            return self.layer(x)[0]

    predictor = Predictor()
    ends: list[float] = []
    sums: list[int] = []

    def note(run: Any) -> None:
        ends.append(time.perf_counter())
        sums.append(getattr(run.ranks, "bytes_per_step", 0))

    history = training.fit(
        predictor,
        data.Batches(xs, ys, batch_size=batch, target_sequences=True),
        nn.mse,
        optim.Adam(predictor.parameters(), lr=1e-3),
        steps=WARM_UP + steps,
        executor="llvm",
        communicator=communicator,
        callbacks=[note],
    )
    seconds = [b - a for a, b in zip(ends[WARM_UP - 1 :], ends[WARM_UP:])]
    reduction = 0.0
    if communicator is not None:
        flat, times = np.ones(sum(p.size for p in predictor.parameters()), np.float32), []
        for _ in range(20):
            communicator.Barrier()
            began = time.perf_counter()
            communicator.Allreduce(MPI.IN_PLACE, flat)
            times.append(time.perf_counter() - began)
        reduction = statistics.median(times)
    return {"seconds": seconds, "reduction": reduction, "bytes": sums[-1], "loss": float(history.losses[-1])}


def launched(ranks: int, numbers: Sequence[int], runs: int = 1) -> dict[str, Any]:
    """What ``measure`` finds in so many processes of one thread, its times as their median.

    Of several runs side by side it is the mean of their medians, and "in step" the time of a step that waits for all.
    """
    mpiexec = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(ranks)] if ranks > 1 else []
    command = [*mpiexec, sys.executable, "-m", "benchmarks.distributed", *map(str, numbers)]
    environment = child_environment(1, {"PYTHONPATH": str(ROOT)})
    started = [subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) for _ in range(runs)]
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{' '.join(command)} failed")
    found: list[dict[str, Any]] = list(map(json.loads, printed))
    times = [one["seconds"] for one in found]
    in_step = statistics.median(map(max, zip(*times)))
    return {**found[0], "seconds": statistics.mean(map(statistics.median, times)), "in step": in_step}


def _median(turn: list[dict[str, Any]]) -> dict[str, Any]:
    return sorted(turn, key=lambda found: found["seconds"])[len(turn) // 2]


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the sizes whose name contains `wanted`; Markdown."""
    rows, predicted = [], []
    for units in UNITS:
        for length in LENGTHS:
            name = f"LSTM {units}, T={length}"
            if wanted not in name:
                continue
            steps = max(FEWEST, round(20 * effort.seconds / (units * units * length * BATCH * 1e-9)))
            turns: dict[str, list[dict[str, Any]]] = {"one": [], "apart": [], "strong": [], "weak": []}
            for _ in range(max(1, effort.rounds // 3)):  # in turn, so that a slow minute is everybody's
                print(f"distributed: {name}, {steps} steps", file=sys.stderr)
                turns["one"].append(launched(1, (units, length, BATCH, steps)))
                turns["apart"].append(launched(1, (units, length, BATCH, steps), runs=2))
                turns["strong"].append(launched(2, (units, length, BATCH, steps)))
                turns["weak"].append(launched(2, (units, length, 2 * BATCH, steps)))
            one, apart, strong, weak = (_median(turn) for turn in turns.values())
            assert math.isclose(one["loss"], strong["loss"], rel_tol=1e-4), "the processes computed something else"
            as_much = [2 * one["seconds"] / two for two in (weak["seconds"], apart["seconds"], apart["in step"])]
            ratios = [one["seconds"] / strong["seconds"], *as_much]
            times = [duration(found["seconds"]) for found in (one, strong, weak, apart)]
            sent = f"{strong['bytes'] / 1e6:.2f} MB"
            rows.append([name, *times, *(f"{ratio:.2f}" for ratio in ratios), sent, duration(strong["reduction"])])
            if length == LENGTHS[0]:
                predicted += [[f"LSTM {units}", *many(one["seconds"], strong["bytes"], count)] for count in (64, 1024)]
    if not rows:
        return ""
    header = ["", "one process", f"two, {BATCH} in all", f"two, {BATCH} each", "two apart", "times as fast (goal 1.75)"]
    header += ["as much (goal 1.9)", "as much, apart", "as much, apart, in step", "gradients", "reduction"]
    about = (
        f"A training step with Adam, LLVM, one thread for each process, B={BATCH}, n=d. 'Times as fast': the same "
        "batch; 'as much': sequences per second with as many in each process. 'Apart': two runs of one process, each "
        f"with {BATCH} sequences, at the same time. They share nothing but the machine, and no shared run can do more. "
        "'In step': the same two, if each step took as long as the slower one, as it does for who adds gradients up."
    )
    prediction = (
        f"What follows, at {BATCH} sequences in each process, if the reduction waits for all gradients: the share of "
        f"the time that is spent computing, for a ring and for a tree of machines (latency {duration(LATENCY)})."
    )
    second = ["", "processes", "10 Gbit/s: ring", "tree", "100 Gbit/s: ring", "tree"]
    return f"### Shared runs\n\n{about}\n\n{table(header, rows)}\n\n{prediction}\n\n{table(second, predicted)}\n"


def many(compute: float, size: int, processes: int) -> list[str]:
    """The share of a step that is spent computing, by network and by how gradients are summed."""
    cells = [f"{processes:,}"]
    for gigabits in (10, 100):
        transfer = size / (gigabits * 1e9 / 8)
        hops = math.log2(processes)
        ring = 2 * (processes - 1) * (transfer / processes + LATENCY)
        tree = 2 * hops * (transfer + LATENCY)
        cells += [f"{compute / (compute + reduction):.0%}" for reduction in (ring, tree)]
    return cells


if __name__ == "__main__":
    found = measure(*map(int, sys.argv[1:]))
    if int(os.environ.get("PMI_RANK", "0")) == 0:
        print(json.dumps(found))
