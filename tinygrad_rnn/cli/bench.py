"""``bench``: the time of a training step, eager and compiled, beside PyTorch's layers if those are installed.

This is a quick look, in one process. Figures for publishing are measured by ``benchmarks/`` in the repository, with a
process for each contender.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .. import nn
from ..autodiff.tables import Table
from ..compiler import compile
from ..language.model import CELLS
from . import options as o
from .peers import torch_is_there, torch_step

LEAST_SECONDS, LEAST_STEPS = 1.0, 5

DESCRIPTION = (
    "Time one training step (forward, backward, all gradients) of a layer in float32: eager, compiled, "
    "and PyTorch's own layer if it is installed."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--cell", choices=[*CELLS, "all"], default="all", help="(default: all)")
    parser.add_argument("--units", type=o.size, default=128, help="size of the state (default: %(default)s)")
    parser.add_argument("--inputs", type=o.size, default=64, help="size of the inputs (default: %(default)s)")
    parser.add_argument("--batch", type=o.size, default=32, help="sequences at once (default: %(default)s)")
    parser.add_argument("--steps", type=o.size, default=50, help="time steps (default: %(default)s)")
    parser.add_argument("--threads", type=o.threads, default=1, help="for matrix products (default: %(default)s)")
    o.add_seed(parser)
    o.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print a table."""
    kinds = list(CELLS) if options.cell == "all" else [options.cell]
    shape = (options.steps, options.batch, options.inputs)
    xs = np.random.default_rng(options.seed).normal(size=shape).astype(np.float32)
    rows = []
    with threadpool_limits(limits=options.threads):
        for kind in kinds:
            for name, step in contenders(kind, xs, options).items():
                rows.append({"cell": kind, "by": name, **timed(step)})
    if options.json:
        sizes = {name: getattr(options, name) for name in ("steps", "batch", "inputs", "units", "threads", "seed")}
        o.print_json({"sizes": sizes, "results": rows})
        return 0
    print(
        f"One training step: T={options.steps}, B={options.batch}, n={options.inputs}, d={options.units}, float32, ",
        end="",
    )
    print(
        f"{options.threads} thread{'s' if options.threads > 1 else ''}; the median, and the range of the middle half\n"
    )
    cells = [
        [row["cell"], row["by"], f"{row['median'] * 1e3:.2f}", f"{row['low'] * 1e3:.2f} - {row['high'] * 1e3:.2f}"]
        for row in rows
    ]
    print(Table("", ["cell", "by", "ms", "middle half"], cells).text())
    return 0


def contenders(kind: str, xs: np.ndarray, options: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """A training step for each installed contender."""
    cell = CELLS[kind](options.inputs, options.units, seed=options.seed)
    found = {"eager": our_step(cell, cell, xs), "compiled": our_step(cell, compile(cell), xs)}
    if torch_is_there():
        found["PyTorch"] = torch_step(kind, xs, options.units, options.threads)
    return found


def our_step(cell: nn.Module, runs: Any, xs: np.ndarray) -> Callable[[], None]:
    """A training step of a cell, eager or compiled."""

    def step() -> None:
        cell.zero_grad()
        np.mean(np.square(nn.unroll(runs, xs)[0])).backward()

    return step


def timed(step: Callable[[], None]) -> dict[str, Any]:
    """The quartiles of the time of a step, in seconds, without the first one, which compiles."""
    step()
    times: list[float] = []
    while len(times) < LEAST_STEPS or sum(times) < LEAST_SECONDS:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    low, median, high = np.quantile(times, [0.25, 0.5, 0.75]).tolist()
    return {"median": median, "low": low, "high": high, "steps": len(times)}
