"""Many runs side by side: seeds and learning rates, in a pool of processes.

A run that knows of no other needs no library of its own. Models, histories and compiled cells pickle; each run has,
bit for bit, the losses that it has alone; one that fails doesn't end the others; and each process gets a share of the
cores, or they would all ask for every one of them. From the histories come a table and, with ``--out FILE``, a picture:
the curves of all losses, and the last losses as a heat map.

The same ``run`` goes to a cluster with ``mpi4py.futures.MPIPoolExecutor``, joblib or Dask in place of the pool.

It follows no article.

Run it: ``python examples/many_runs.py``
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr

SEEDS = (0, 1, 2)
RATES = (0.003, 0.03, -1.0)  # the last one is a mistake


def run(seed, rate):
    """One run: learn to add up a sequence. Returns its history."""
    rng = np.random.default_rng(0)
    sequences = rng.normal(size=(256, 10, 1)).astype(np.float32)
    data = tr.data.Batches(sequences, sequences.sum(axis=1), batch_size=32, rng=seed)
    model = tr.nn.ManyToOne(tr.nn.GRU(1, 16, seed=seed), 1, seed=seed + 100)
    return tr.fit(model, data, tr.nn.mse, tr.optim.Adam(model.parameters(), lr=rate), epochs=8)


def run_or_reason(setting):
    """A run, or in words why it failed."""
    try:
        return run(*setting)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def share_cores(processes):
    """Let this process use its share of the cores."""
    threadpool_limits(max(1, (os.cpu_count() or 1) // processes))


def table_of(found):
    """The loss of the last epoch, by learning rate (down) and seed (across); NaN where the run failed."""
    last = {setting: one.epoch_losses[-1] for setting, one in found.items() if hasattr(one, "losses")}
    return np.array([[last.get((seed, rate), np.nan) for seed in SEEDS] for rate in RATES])


def picture(found, path):
    """Draw all losses, and the table of the last ones, into a new file."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    curves = {f"rate {rate}, seed {seed}": run.losses for (seed, rate), run in found.items() if hasattr(run, "losses")}
    tr.viz.plot_losses(curves, left, smoothing=0.8)
    left.set_yscale("log")
    tr.viz.plot_table(table_of(found), right, rows=RATES, columns=SEEDS, label="loss of the last epoch")
    right.set(xlabel="seed", ylabel="learning rate")
    with path.open("xb") as file:
        figure.savefig(file, format=path.suffix[1:])


def main(arguments=()):
    """Run all, print a table, and compare one run with itself alone."""
    parser = argparse.ArgumentParser(description="Many runs side by side.")
    parser.add_argument("--out", type=Path, help="a new file for the picture, such as runs.png")
    options = parser.parse_args(arguments)
    settings = [(seed, rate) for rate in RATES for seed in SEEDS]
    processes = min(2, os.cpu_count() or 1)
    # "spawn": a forked process would inherit the threads of this one, and BLAS's locks with them.
    with ProcessPoolExecutor(processes, get_context("spawn"), share_cores, (processes,)) as pool:
        found = dict(zip(settings, pool.map(run_or_reason, settings)))
    print("loss of the last epoch, by learning rate (down) and seed (across):")
    for rate, row in zip(RATES, table_of(found)):
        print(f"{rate:8}", *("  failed" if np.isnan(loss) else f"{loss:8.4f}" for loss in row))
    failed = next(reason for reason in found.values() if isinstance(reason, str))
    print(f"why: {failed}")
    with threadpool_limits(max(1, (os.cpu_count() or 1) // processes)):
        alone = run(SEEDS[0], RATES[0])
    print(f"the same bits as alone: {np.array_equal(alone.losses, found[SEEDS[0], RATES[0]].losses)}")
    if options.out:
        picture(found, options.out)
        print(f"drawn in {options.out}")


if __name__ == "__main__":
    main(sys.argv[1:])
