"""Runs in the pools that people have: each has the bits that it has alone, and a failure ends none of the others."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.training.test_shared_runs import MPIEXEC, needs_mpi

SETTINGS = [(rate, seed, executor) for rate, seed in [(0.01, 0), (-1.0, 1), (0.1, 2)] for executor in (None, "numpy")]


def run(rate: float, seed: int, executor: str | None) -> Any:
    """A model, trained a little, and its history; or the reason why there is none."""
    rng = np.random.default_rng(0)
    sequences = rng.normal(size=(40, 6, 1)).astype(np.float32)
    data = tr.data.Batches(sequences, sequences.sum(axis=1), batch_size=8, rng=seed)
    model = tr.nn.ManyToOne(tr.nn.LSTM(1, 5, seed=seed, executor=executor), 1, seed=seed + 100)
    try:
        return model, tr.fit(model, data, tr.nn.mse, tr.optim.Adam(model.parameters(), lr=rate), epochs=2)
    except ValueError as error:
        return str(error)


@pytest.fixture(scope="module")
def alone() -> list[Any]:
    return [run(*setting) for setting in SETTINGS]


def check(found: list[Any], alone: list[Any]) -> None:
    for one, other in zip(found, alone, strict=True):
        if isinstance(other, str):
            assert one == other and "lr=-1.0" in one
        else:
            np.testing.assert_array_equal(one[1].losses, other[1].losses)
            xs = np.ones((3, 2, 1), np.float32)
            np.testing.assert_array_equal(one[0](xs).numpy(), other[0](xs).numpy())


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib(backend: str, alone: list[Any]) -> None:
    joblib = pytest.importorskip("joblib")
    check(joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(run)(*setting) for setting in SETTINGS), alone)


@pytest.mark.parametrize("processes", [True, False])
def test_dask(processes: bool, alone: list[Any]) -> None:
    distributed = pytest.importorskip("dask.distributed")
    size = {"n_workers": 2, "threads_per_worker": 1} if processes else {"n_workers": 1, "threads_per_worker": 3}
    with (
        distributed.LocalCluster(processes=processes, dashboard_address=None, **size) as cluster,
        distributed.Client(cluster) as client,
    ):
        check(client.gather([client.submit(run, *setting) for setting in SETTINGS]), alone)


PROGRAM = """
import pickle, sys
from pathlib import Path

from mpi4py.futures import MPIPoolExecutor

from tests.training.test_pools import SETTINGS, run

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        Path(sys.argv[1]).write_bytes(pickle.dumps(list(pool.map(run, *zip(*SETTINGS)))))
"""


@needs_mpi
def test_mpi(tmp_path: Path, alone: list[Any]) -> None:
    (tmp_path / "runs.py").write_text(PROGRAM, "utf-8")
    command = [str(MPIEXEC), "-n", "3", sys.executable, "-m", "mpi4py.futures", "runs.py", "found.pickle"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120, env=environment)
    check(pickle.loads((tmp_path / "found.pickle").read_bytes()), alone)
