"""Memory against the length of the sequence, with and without `checkpoint_every`; and of a large layer, beside PyTorch.

`python -m benchmarks.memory 1000 31` takes one training step over 1,000 time steps in a process of its own, and prints
a line of JSON; 0 in the second place is for no checkpoints. `python -m benchmarks.memory layer llvm plan 10` takes the
steps of the large layer, with a checkpoint every ten.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .harness import Effort
from .processes import child_environment, peak_bytes, run_json
from .report import duration, table

LENGTHS = (100, 1_000, 10_000, 100_000)
BATCH, FEATURES, UNITS = 8, 16, 32
LAYER_UNITS, LAYER_BATCH, LAYER_STEPS = 512, 64, 100
LAYERS = [
    ("PyTorch nn.LSTM", "torch", "layer", 0),
    ("tinygrad_rnn, LLVM, loss in the plan", "llvm", "plan", 0),
    ("tinygrad_rnn, LLVM", "llvm", "layer", 0),
    ("tinygrad_rnn, loss in the plan", "numpy", "plan", 0),
    ("tinygrad_rnn", "numpy", "layer", 0),
    ("tinygrad_rnn, LLVM, loss in the plan, checkpoint_every=10", "llvm", "plan", 10),
    ("tinygrad_rnn, LLVM, checkpoint_every=10", "llvm", "layer", 10),
    ("tinygrad_rnn, loss in the plan, checkpoint_every=10", "numpy", "plan", 10),
]


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


def measure_layer(library: str, what: str, every: str) -> dict[str, float]:
    """The most memory that training steps of the large layer take beyond what is in use after steps of few time steps.

    Args:
        library: "torch", or an executor of ours.
        what: whether the "layer" alone is compiled, or a "plan" has the loss in it.
        every: the steps between checkpoints, "0" for none.
    """
    step = _torch_step() if library == "torch" else _own_step(library, what, int(every))
    for steps in (11, 12, 13):  # so that what is made once is made
        step(steps)
    before = peak_bytes()
    began = time.perf_counter()
    for _ in range(3):
        step(LAYER_STEPS)
    return {"bytes": peak_bytes() - before, "seconds": (time.perf_counter() - began) / 3}


def _torch_step() -> Callable[[int], None]:
    import torch

    layer = torch.nn.LSTM(LAYER_UNITS, LAYER_UNITS)

    def step(steps: int) -> None:
        layer.zero_grad()
        layer(torch.ones(steps, LAYER_BATCH, LAYER_UNITS))[0].square().mean().backward()

    return step


def _own_step(executor: str, what: str, every: int) -> Callable[[int], None]:
    import tinygrad_rnn as tr

    options: dict[str, Any] = {"checkpoint_every": every or None, "executor": None if what == "plan" else executor}
    layer = tr.nn.LSTM(LAYER_UNITS, LAYER_UNITS, **options)

    def loss(xs: Any) -> Any:
        return np.mean(np.square(layer(xs)[0]))

    run = tr.compile(loss, executor=executor) if what == "plan" else loss

    def step(steps: int) -> None:
        layer.zero_grad()
        run(np.ones((steps, LAYER_BATCH, LAYER_UNITS), np.float32)).backward()

    return step


def _layers(effort: Effort) -> str:
    """The table of the large layer."""
    found: list[tuple[str, Any]] = []
    for label, *arguments in LAYERS:
        if importlib.util.find_spec({"llvm": "llvmlite"}.get(str(arguments[0]), str(arguments[0]))) is None:
            continue
        print(f"memory: {label}", file=sys.stderr)
        command = ["-m", "benchmarks.memory", "layer", *map(str, arguments)]
        found.append((label, run_json(command, child_environment(effort.threads))))
    peer = dict(found).get(LAYERS[0][0])
    rows = [
        [
            label,
            f"{each['bytes'] / 1e6:,.0f} MB",
            f"{each['bytes'] / peer['bytes']:.2f}" if peer else "",
            duration(each["seconds"]),
        ]
        for label, each in found
    ]
    about = (
        f"A training step of an LSTM layer, B={LAYER_BATCH} n=d={LAYER_UNITS} T={LAYER_STEPS}, float32, after steps of "
        "T=11 to 13: the peak of three steps beyond the peak until then."
    )
    header = ["", "memory", f"/ {LAYERS[0][0]}", "forward and backward"]
    return f"### Memory of a layer\n\n{about}\n\n{table(header, rows)}\n"


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the lengths whose number contains `wanted`, and the layer if "layer" does; Markdown."""
    layers = _layers(effort) if wanted in "layer" else ""
    return "\n".join(part for part in (_lengths(effort, wanted), layers) if part)


def _lengths(effort: Effort, wanted: str) -> str:
    """The table of the lengths whose number contains `wanted`."""
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
    arguments = sys.argv[1:]
    print(json.dumps(measure_layer(*arguments[1:]) if arguments[0] == "layer" else measure(*map(int, arguments))))
