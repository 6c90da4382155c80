"""Runs that several processes share: ``mpiexec -n 2 python -m tests.training.shared_runs NAME.. FOLDER``.

``shared`` trains the same networks as one process does, and leaves their weights in the folder; all other names are of
runs that something happens to. Several names are run one after the other: what it comes to, also an error that all
processes raise, is left in the folder. A single name is run as a program is: an error ends it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import Batches, StreamBatches
from tinygrad_rnn.training import Checkpoints, TrainingDiverged, TrainingInterrupted, fit

F64: dict[str, Any] = {"dtype": np.float64}
RNG = np.random.default_rng(0)
SEQUENCES = [RNG.normal(size=(n, 3)) for n in RNG.integers(2, 7, size=41)]  # two batches of 20, and one of 1
SUMS = np.array([[s.sum()] for s in SEQUENCES])
CLASSES = [RNG.integers(0, 4, size=len(s)) for s in SEQUENCES]
ONE_IN_SIX = np.where(np.arange(41) % 6, -100, np.arange(41) % 4)  # the others don't count
SYMBOLS = RNG.integers(6, size=403)


class LanguageModel(nn.Module):
    def __init__(self) -> None:
        self.embedding = nn.Embedding(6, 4, seed=1, **F64)
        self.layer = nn.LSTM(4, 5, seed=2, **F64)
        self.output = nn.Linear(5, 6, seed=3, **F64)

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        ys, state = self.layer(self.embedding(x), state)
        return self.output(ys), state


def summed_squares(prediction: Any, targets: Any) -> Any:
    return ((prediction - targets) ** 2).sum()


def adder(classes: int = 1) -> nn.Module:
    return nn.ManyToOne(nn.GRU(3, 8, seed=0, **F64), classes, seed=1, **F64)


def tagger() -> nn.Module:
    return nn.ManyToMany(nn.RNN(3, 6, bidirectional=True, seed=0, **F64), 4, seed=1, **F64)


def sums(batch_size: int = 20, rng: Any = 0) -> Batches:
    return Batches(SEQUENCES, SUMS, batch_size=batch_size, rng=rng)


def tags(padding: int = 0, **options: Any) -> Batches:
    given = {"batch_size": 20, "rng": 0, "target_sequences": True, **options}
    return Batches(SEQUENCES, CLASSES, target_padding=padding, **given)


def stream(batch_size: int = 5) -> StreamBatches:
    return StreamBatches(SYMBOLS, batch_size=batch_size, steps=7, rng=0)


# name -> model, data, loss, options of fit
RUNS: dict[str, Any] = {
    "last batch of one": lambda: (adder(), sums(), nn.mse, {"clip_norm": 1.0}),
    "more processes than examples": lambda: (adder(), sums(batch_size=2), nn.mse, {"steps": 10}),
    "padded targets": lambda: (tagger(), tags(), nn.cross_entropy, {}),
    "ignored targets": lambda: (tagger(), tags(9), partial(nn.cross_entropy, ignore_index=9), {}),
    "a weight of one's own": lambda: (
        tagger(),
        tags(9),
        lambda prediction, targets: nn.cross_entropy(prediction, targets, ignore_index=9),
        {"weight": lambda batch: int((batch.targets != 9).sum())},
    ),
    "parts in which no target counts": lambda: (
        adder(classes=4),
        Batches(SEQUENCES, ONE_IN_SIX, batch_size=6),
        "cross_entropy",
        {"validation": Batches(SEQUENCES[:12], ONE_IN_SIX[:12], batch_size=6)},
    ),
    "weights of classes": lambda: (
        tagger(),
        tags(9),
        partial(nn.cross_entropy, ignore_index=9, weight=[1.0, 2.0, 3.0, 4.0], label_smoothing=0.1),
        {"validation": tags(9, batch_size=7, rng=None)},
    ),
    "a sum of one's own": lambda: (adder(), sums(), summed_squares, {"weight": "sum", "clip_norm": 1.0}),
    "batch first": lambda: (
        nn.ManyToMany(nn.RNN(3, 6, batch_first=True, seed=0, **F64), 4, seed=1, **F64),
        tags(9, batch_first=True, bucketed=True),
        partial(nn.cross_entropy, batch_first=True, ignore_index=9),
        {},
    ),
    "a sum": lambda: (adder(), sums(), partial(nn.mse, reduction="sum"), {"clip_value": 0.5}),
    "a stream": lambda: (LanguageModel(), stream(), nn.cross_entropy, {"steps": 25}),
    "fewer streams than processes": lambda: (LanguageModel(), stream(batch_size=1), nn.cross_entropy, {"steps": 25}),
    "whole steps": lambda: (LanguageModel(), stream(), nn.cross_entropy, {"executor": "numpy", "whole_step": True}),
    "compiled layers": lambda: (adder(), sums(), nn.mse, {"executor": "numpy"}),
    "parts": lambda: (LanguageModel(), stream(), nn.cross_entropy, {"accumulate": 2}),
    "validation": lambda: (
        tagger(),
        tags(),
        nn.cross_entropy,
        {"validation": tags(rng=None, batch_size=7), "patience": 2, "min_improvement": 0.05, "steps": 40},
    ),
    "a pair with metrics": lambda: (
        nn.init.manual_seed(0) or tagger(),
        (SEQUENCES, CLASSES),
        "cross_entropy",
        {"batch_size": 15, "metrics": ["accuracy", "cross_entropy"], "validation": (SEQUENCES[:11], CLASSES[:11])},
    ),
    "threshold": lambda: (adder(), sums(), nn.mse, {"threshold": 10.0, "steps": 40}),
}


def train(name: str, communicator: Any = None, **more: Any) -> tuple[np.ndarray, Any]:
    model, data, loss, options = RUNS[name]()
    optimizer = optim.Adam(model.parameters(), lr=0.01, weight_decay=0.01)
    options = {"steps": 12, "executor": None, "communicator": communicator, **options, **more}
    history = fit(model, data, loss, optimizer, **options)
    return np.concatenate([p.data.ravel() for p in model.parameters()]), history


def train_all(folder: Path, communicator: Any = None) -> None:
    rank = 0 if communicator is None else communicator.rank
    kept: dict[str, np.ndarray] = {}
    for name in RUNS:
        weights, history = train(name, communicator)
        kept |= {f"{name}/weights": weights, f"{name}/losses": history.losses, f"{name}/epochs": history.epoch_losses}
        kept[f"{name}/validation"] = np.array(history.validation)
        kept[f"{name}/metrics"] = np.array(list(history.metrics.values()))
        kept[f"{name}/validated metrics"] = np.array(list(history.validation_metrics.values()))
        kept[f"{name}/stopped"] = np.array(history.stopped)
    np.savez(folder / f"rank{rank}of{1 if communicator is None else communicator.size}.npz", **kept)


# --- runs that something happens to ----------------------------------------------------------------------------------


class At:
    """A callback that does something at a step, on one rank alone."""

    def __init__(self, step: int, rank: int, what: Any) -> None:
        self.step, self.rank, self.what = step, rank, what

    def __call__(self, run: Any) -> None:
        if (run.step, run.ranks.rank) == (self.step, self.rank):
            self.what(run)


def fails(run: Any) -> None:
    raise ZeroDivisionError("broken")


def happens(name: str, communicator: Any, folder: Path) -> tuple[int, str] | None:
    """Run the program of a name; return the step at which it ended and why, if it ends without an error."""
    rank, last = communicator.rank, communicator.size - 1
    go = partial(train, "a stream", communicator, checkpoints=Checkpoints(folder / "run", every=5))
    if name == "error":
        go(callbacks=[At(7, last, fails)])
    elif name == "kill":
        go(callbacks=[At(7, last, lambda run: os.kill(os.getpid(), signal.SIGKILL))])
    elif name == "stop":
        _, history = go(callbacks=[At(7, last, lambda run: run.stop("enough"))])
        return history.step, history.stopped
    elif name == "callbacks of one":
        calls = [At(7, last, lambda run: run.stop("enough"))] if rank == last else []
        _, history = train("a stream", communicator, callbacks=calls)
        return history.step, history.stopped
    elif name == "clock":
        _, history = go(steps=None, seconds=0.2)
        return history.step, history.stopped
    elif name == "ctrl-c":
        try:
            go(callbacks=[At(7, last, lambda run: os.kill(os.getpid(), signal.SIGINT))])
        except TrainingInterrupted as interrupt:
            return interrupt.history.step, "interrupted"
    elif name == "nan":
        data = StreamBatches(np.zeros_like(SYMBOLS), batch_size=5, steps=7, rng=0)
        model = LanguageModel()
        model.output.W.data = model.output.W.data * 1e300
        try:
            optimizer = optim.SGD(model.parameters(), lr=1e10)
            fit(model, data, nn.cross_entropy, optimizer, steps=9, communicator=communicator)
        except TrainingDiverged as diverged:
            return diverged.history.step, "diverged"
    elif name == "full disk":

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        checkpoints = Checkpoints(folder / "run", every=5)
        go(steps=8, callbacks=[At(6, 0, lambda run: setattr(checkpoints, "save", full))], checkpoints=checkpoints)
    elif name.startswith("other "):
        model, data, loss, options = RUNS["last batch of one"]()
        options: dict[str, Any] = {}
        if name == "other dropout":
            model = nn.Sequential(model, nn.Dropout(0.5 if rank == last else 0.25, seed=5))
        if rank == last:
            if name == "other loss":
                loss = nn.l1
            elif name == "other checkpoints":
                options = {"checkpoints": folder / "run"}
            elif name == "other weights":
                model.readout.b.data = model.readout.b.data + 1e-12
            elif name == "other data":
                data = Batches(SEQUENCES, SUMS + 1e-9, batch_size=20, rng=0)
            elif name == "other settings":
                options = {"clip_norm": 2.0}
        optimizer = optim.SGD(model.parameters(), lr=0.2 if (name, rank) == ("other optimiser", last) else 0.1)
        if name == "other schedule":
            options = {"schedule": optim.StepLR(optimizer, 3 if rank == last else 4)}
        elif name == "other parameters" and rank == last:
            optimizer = optim.SGD(list(model.parameters())[:-1], lr=0.1)
        fit(model, data, loss, optimizer, steps=3, communicator=communicator, **options)
    elif name == "another loss":
        model, data, *_ = RUNS["last batch of one"]()
        fit(model, data, summed_squares, optim.SGD(model.parameters(), lr=0.1), steps=3, communicator=communicator)
    elif name == "shared generator":
        rng = np.random.default_rng(0)
        model = nn.Sequential(adder(), nn.Dropout(0.5, seed=rng))
        fit(model, sums(rng=rng), nn.mse, optim.SGD(model.parameters(), lr=0.1), steps=3, communicator=communicator)
    return None


def resumed(folder: Path, communicator: Any, first: int | None = None) -> None:
    """A run in two goes, with noise, and the same in one go: the weights of both."""

    def noisy(into: str, **options: Any) -> np.ndarray:
        model, data, loss, _ = RUNS["a stream"]()
        model.layer = nn.LSTM(4, 5, num_layers=2, dropout=0.3, seed=2, **F64)
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        checkpoints = Checkpoints(folder / into, every=5)
        fit(model, data, loss, optimizer, communicator=communicator, checkpoints=checkpoints, executor=None, **options)
        return np.concatenate([p.data.ravel() for p in model.parameters()])

    noisy("pieces", steps=12)
    pieces = noisy("pieces", steps=30, resume=True)
    np.savez(folder / f"resumed{communicator.rank}.npz", pieces=pieces, whole=noisy("whole", steps=30))


def run(name: str, communicator: Any, folder: Path) -> tuple[int, str] | None:
    if name == "shared":
        train_all(folder, communicator)
    elif name == "resumed":
        resumed(folder, communicator)
    elif name == "begin":
        train("a stream", communicator, steps=12, checkpoints=folder / "run")
    elif name == "go on":
        weights, _ = train("a stream", communicator, steps=25, checkpoints=folder / "run", resume=True)
        np.save(folder / f"went_on{communicator.rank}.npy", weights)
    else:
        return happens(name, communicator, folder)
    return None


def one_after_the_other(names: list[str], communicator: Any, folder: Path) -> None:
    """Run programs in a folder each, and write what each comes to on this rank into `NAME/rankR.json`."""
    for name in names:
        place = folder / name
        place.mkdir(exist_ok=True)
        try:
            came_to = {"ended": run(name, communicator, place)}
        except Exception as error:
            came_to = {"error": f"{type(error).__name__}: {error}"}
        (place / f"rank{communicator.rank}.json").write_text(json.dumps(came_to))
        communicator.Barrier()


def main() -> None:
    *names, folder = sys.argv[1:]
    from mpi4py import MPI

    if len(names) == 1:
        run(names[0], MPI.COMM_WORLD, Path(folder))
    else:
        one_after_the_other(names, MPI.COMM_WORLD, Path(folder))


if __name__ == "__main__":
    main()
