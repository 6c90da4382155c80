"""Several processes that share a run make the updates of one, and end together whatever happens to one of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training import shared_runs
from tinygrad_rnn import nn, optim
from tinygrad_rnn.training import Checkpoints, fit

ROOT = Path(__file__).parents[2]
SECONDS = 120  # until a run that hangs is given up

pytest.importorskip("mpi4py", reason="processes share a run by the extra mpi")
MPIEXEC = next((path for path in Path(sys.executable).parent.glob("mpiexec*") if path.stem == "mpiexec"), None)
needs_mpi = pytest.mark.skipif(MPIEXEC is None, reason="this environment has no mpiexec of its own")
pytestmark = needs_mpi


ENDS = {  # what happens -> what is said, the newest checkpoint
    "error": (r"ZeroDivisionError: broken", 5),
    "full disk": (r"No space left on device", 5),
    "other weights": (r"differ in the weights: \w+ on rank 0, \w+ on rank \d", None),
    "other data": (r"differ in the data: ", None),
    "other settings": (r"differ in the settings: ", None),
    "other optimiser": (r"differ in the optimiser: SGD \[\{'lr': 0.1", None),
    "other loss": (r"differ in the loss: mse on rank 0, l1 on rank \d", None),
    "other dropout": (r"differ in the model's 1: Dropout\(p=0.25\) on rank 0, Dropout\(p=0.5\) on rank \d", None),
    "other schedule": (r"differ in the schedule: StepLR\(", None),
    "other parameters": (r"differ in the optimiser: ", None),
    "other checkpoints": (r"differ in the settings: checkpoints: ", None),
    "another loss": (r"no mean over the targets", None),
    "shared generator": (r"give the model and the data a generator each", None),
}
DECISIONS = {  # what one process decides -> the step at which all end, and why
    "stop": (7, "enough"),
    "callbacks of one": (7, "enough"),
    "ctrl-c": (8, "interrupted"),
    "nan": (1, "diverged"),
    "clock": (None, "0.2 seconds are over"),
}


def start(ranks: int, names: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run programs. A time limit is the only alarm for a run that hangs."""
    command = [str(MPIEXEC), "-n", str(ranks), sys.executable, "-m", "tests.training.shared_runs", *names, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env=environment, cwd=folder, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.sweep)])
def ranks(request: pytest.FixtureRequest) -> Any:
    """The number of processes."""
    return request.param


@pytest.fixture(scope="module")
def shared(ranks: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes leave what every run came to: one start of them for all.

    Among other things they go on with a run that one process began.
    """
    folder = tmp_path_factory.mktemp(f"{ranks}processes")
    shared_runs.run("begin", None, folder / "go on")
    done = start(ranks, ["go on", "shared", "resumed", *ENDS, *DECISIONS], folder)
    assert done.returncode == 0, done.stderr
    return folder


def came_to(folder: Path, ranks: int) -> list[Any]:
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(ranks)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What all runs come to in one process."""
    folder = tmp_path_factory.mktemp("alone")
    shared_runs.train_all(folder)
    return np.load(folder / "rank0of1.npz")


@pytest.mark.parametrize("name", shared_runs.RUNS)
def test_the_weights_of_one_process(alone: Any, shared: Path, name: str, ranks: int) -> None:
    found = [np.load(shared / "shared" / f"rank{rank}of{ranks}.npz") for rank in range(ranks)]
    for other in found[1:]:
        np.testing.assert_array_equal(other[f"{name}/weights"], found[0][f"{name}/weights"])
    for what in ("weights", "losses", "epochs", "validation", "metrics", "validated metrics"):
        got, expected = found[0][f"{name}/{what}"], alone[f"{name}/{what}"]
        assert got.shape == expected.shape, what
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12, err_msg=what)
    (reason,) = {re.sub(r"[\d.]+", "n", str(each[f"{name}/stopped"])) for each in [alone, *found]}
    assert ("threshold" in reason) == (name == "threshold")


def test_parts_in_one_process_make_the_same_update() -> None:
    whole, _ = shared_runs.train("a stream")
    for accumulate in (2, 3, 7):
        parts, _ = shared_runs.train("a stream", accumulate=accumulate)
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="accumulate=0"):
        shared_runs.train("a stream", accumulate=0)


@pytest.mark.parametrize("name", ["parts in which no target counts", "weights of classes", "a sum of one's own"])
@pytest.mark.parametrize("options", [{}, {"executor": "numpy", "whole_step": True}])
@pytest.mark.filterwarnings("ignore:fit. the whole step isn't compiled")
@pytest.mark.one_in(3)
def test_parts_count_by_what_the_loss_is_a_mean_over(name: str, options: dict[str, Any]) -> None:
    whole, history = shared_runs.train(name, **options)
    parts, again = shared_runs.train(name, accumulate=5, **options)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-12)
    np.testing.assert_allclose(again.validation, history.validation, rtol=1e-10)


def test_a_weight_is_a_function_or_a_word() -> None:
    with pytest.raises(TypeError, match="weight is a function of a batch, or \"sum\", not 'mean'"):
        shared_runs.train("a sum", weight="mean", accumulate=2)


def test_a_few_targets_that_do_not_count_are_noticed() -> None:
    model, _, _, _ = shared_runs.RUNS["last batch of one"]()
    xs, targets = np.random.default_rng(0).normal(size=(40, 3, 3)), np.zeros((40, 1))
    targets[[20, 33]] = np.nan

    def known(prediction: Any, targets: Any) -> Any:
        counts = ~np.isnan(targets)
        return (((prediction - np.where(counts, targets, 0.0)) * counts) ** 2).sum() / counts.sum()

    with pytest.raises(ValueError, match="no mean over the targets"):
        fit(model, (xs, targets), known, "sgd", lr=0.1, steps=1, batch_size=40, accumulate=2)


def test_a_checkpoint_of_parts_is_one_of_the_whole(tmp_path: Path) -> None:
    whole, _ = shared_runs.train("a stream")
    shared_runs.train("a stream", steps=12, accumulate=3, checkpoints=tmp_path)
    went_on, _ = shared_runs.train("a stream", accumulate=2, checkpoints=tmp_path, resume=True)
    np.testing.assert_allclose(went_on, whole, rtol=0, atol=1e-12)


def test_a_loss_that_parts_do_not_add_up_to_is_refused() -> None:
    model, data, *_ = shared_runs.RUNS["last batch of one"]()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"no mean over the targets.*weight=.*reduction='sum'"):
        fit(model, data, shared_runs.summed_squares, optimizer, steps=3, accumulate=2)


def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(ranks: int, shared: Path) -> None:
    for rank in range(ranks):
        kept = np.load(shared / "resumed" / f"resumed{rank}.npz")
        np.testing.assert_array_equal(kept["pieces"], kept["whole"])


def test_a_run_goes_on_with_another_number_of_processes(ranks: int, shared: Path) -> None:
    whole, _ = shared_runs.train("a stream")
    for rank in range(ranks):
        went_on = np.load(shared / "go on" / f"went_on{rank}.npy")
        np.testing.assert_allclose(went_on, whole, rtol=0, atol=1e-12)


def newest_checkpoint(folder: Path) -> int:
    with Checkpoints(folder / "run") as checkpoints:
        step: int = checkpoints.newest()[0]
        return step


@pytest.mark.parametrize("what", ENDS)
def test_all_end_with_the_reason(what: str, ranks: int, shared: Path) -> None:
    said, newest = ENDS[what]
    folder = shared / what
    for each in came_to(folder, ranks):
        assert re.search(said, each["error"]), each
    assert newest is None or newest_checkpoint(folder) == newest


def test_an_error_ends_all_processes_and_each_says_it(ranks: int, tmp_path: Path) -> None:
    done = start(ranks, ["error"], tmp_path)
    assert done.returncode != 0
    assert len(re.findall(ENDS["error"][0], done.stderr)) >= ranks, done.stderr
    assert newest_checkpoint(tmp_path) == 5


def test_a_killed_process_ends_the_others(ranks: int, tmp_path: Path) -> None:
    assert start(ranks, ["kill"], tmp_path).returncode != 0
    assert newest_checkpoint(tmp_path) == 5


@pytest.mark.parametrize("what", DECISIONS)
def test_what_one_process_decides_all_do_at_the_same_step(what: str, ranks: int, shared: Path) -> None:
    step, why = DECISIONS[what]
    ((ended_at, reason),) = {tuple(each["ended"]) for each in came_to(shared / what, ranks)}
    assert reason == why
    assert step is None or ended_at == step


def test_what_is_no_communicator_is_refused() -> None:
    model, data, loss, _ = shared_runs.RUNS["last batch of one"]()
    with pytest.raises(TypeError, match=r"mpi4py's, such as MPI.COMM_WORLD, not 'world'"):
        fit(model, data, loss, optim.SGD(model.parameters(), lr=0.1), steps=1, communicator="world")


def test_without_mpi4py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    model, data, loss, _ = shared_runs.RUNS["last batch of one"]()
    with pytest.raises(ImportError, match=r'pip install .*\[mpi\]"'):
        fit(model, data, loss, optim.SGD(model.parameters(), lr=0.1), steps=1, communicator=object())
    assert nn  # training alone needs none of it


def test_the_command_shares_its_run_by_itself(ranks: int, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("you say yes, I say no; you say stop, and I say go, go, go. " * 40)
    asked = ["train", "text.txt", "--steps", "12", "--units", "8", "--batch", "6", "--validation", "0.3", "--out"]
    run = [sys.executable, "-m", "tinygrad_rnn"]
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": SECONDS, "cwd": tmp_path}
    options["env"] = {**os.environ, "PYTHONPATH": str(ROOT)}
    alone = subprocess.run([*run, *asked, "alone"], **options)
    shared = subprocess.run([str(MPIEXEC), "-n", str(ranks), *run, *asked, "shared"], **options)
    assert alone.returncode == shared.returncode == 0, shared.stderr
    hide = partial(re.sub, r"\d+ s|alone|shared", "")
    assert hide(shared.stdout) == hide(alone.stdout)
    losses = [np.loadtxt(tmp_path / name / "losses.csv", delimiter=",", skiprows=1) for name in ("alone", "shared")]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    again = subprocess.run([str(MPIEXEC), "-n", "2", *run, *asked, "shared"], **options)
    assert again.returncode == 2 and again.stderr.count("holds a training run already") == 1
