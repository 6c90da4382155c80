"""Loggers: callbacks that write the course of a run for other programs, as CSV or as TensorBoard's event files."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..autodiff.extras import optional
from .run import Run


class Logger:
    """The base of the loggers. A subclass writes ``write``. Of several processes the first one logs.

    Args:
        every: the number of steps between logs; by default log after each epoch and each validation.
    """

    def __init__(self, every: int | None = None) -> None:
        if every is not None and every < 1:
            raise ValueError(f"{type(self).__name__}: every={every}: log after 1 step or more")
        self.every = every
        self.last_step = 0

    def __call__(self, run: Run) -> None:
        """Write a row if it is time to."""
        history = run.history
        due = history.epoch_ended or history.validated if self.every is None else run.step % self.every == 0
        if run.ranks.rank or not (due or run.stopped) or run.step == self.last_step:
            return
        measured = history.means_after(self.last_step)
        validated = history.last_validation() if history.validated else {}
        self.write(run, measured, validated)
        self.last_step = run.step

    def write(self, run: Run, measured: dict[str, float], validated: dict[str, float]) -> None:
        """Write the progress of the run; subclasses define this.

        Args:
            run: the run.
            measured: the loss and the metrics by name, each a mean over the steps since the last time.
            validated: the loss and the metrics of a validation after this step; empty if there was none.
        """
        raise TypeError(f"{type(self).__name__} has no write() method: write how a row is logged")

    def state_dict(self) -> dict[str, Any]:
        """The last step that was logged, for a checkpoint."""
        return {"last_step": self.last_step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue after the step of a saved state."""
        self.last_step = int(state["last_step"])


class CSVLogger(Logger):
    """A logger that writes a row for each epoch into a CSV file, as the epoch ends.

    The columns are "step", "epoch", "seconds", "learning_rate", "loss", each metric and, in a run with validation,
    "validation_loss" and "validation_" with each metric; empty at steps without validation. A resumed run appends
    to its file; any other run begins the file anew.

    Args:
        path: the file.
        every: the number of steps between rows; by default write a row after each epoch and each validation.

    Example:
        >>> import tempfile, numpy as np, tinygrad_rnn as tr
        >>> path = tempfile.mkdtemp() + "/run.csv"
        >>> pair = np.ones((8, 2)), np.ones((8, 1))
        >>> log = tr.training.CSVLogger(path)
        >>> history = tr.fit(tr.nn.Linear(2, 1, seed=0), pair, "mse", epochs=2, callbacks=log)
        >>> [line.split(",")[:2] for line in open(path)]
        [['step', 'epoch'], ['1', '1'], ['2', '2']]
    """

    def __init__(self, path: str | os.PathLike[str], every: int | None = None) -> None:
        super().__init__(every)
        self.path = Path(path)

    def write(self, run: Run, measured: dict[str, float], validated: dict[str, float]) -> None:
        """Write a row."""
        history = run.history
        names = list(measured)
        row: dict[str, Any] = {
            "step": run.step,
            "epoch": len(history.epochs) + (not history.epoch_ended),
            "seconds": round(history.seconds, 3),
            "learning_rate": _learning_rate(run),
            **measured,
        }
        if run.validation is not None:
            row |= {f"validation_{name}": validated.get(name, "") for name in names}
        begins = self.last_step == 0
        with open(self.path, "w" if begins else "a", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if begins:
                writer.writeheader()
            writer.writerow(row)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue after the last row before a checkpoint; later rows are removed: the run writes them again."""
        super().load_state_dict(state)
        if self.path.exists():
            with open(self.path, encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file) or [[]]
            kept = [row for row in rows if row and int(row[0]) <= self.last_step]
            with open(self.path, "w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([header, *kept])


class TensorBoardLogger(Logger):
    """A logger of loss, metrics and learning rate in event files, which ``tensorboard --logdir`` shows.

    A curve of training and one of validation stand in one picture: "loss/training" beside "loss/validation".

    Args:
        folder: the folder for the event files; or an existing writer, such as PyTorch's ``SummaryWriter``.
        every: the number of steps between logs; by default log after each epoch and each validation.

    Raises:
        ImportError: tensorboardX, which writes the files, isn't installed.
    """

    def __init__(self, folder: Any, every: int | None = None) -> None:
        super().__init__(every)
        self.folder = folder
        self._writer: Any = folder if hasattr(folder, "add_scalar") else None
        if self._writer is None:
            _tensorboardx()

    def write(self, run: Run, measured: dict[str, float], validated: dict[str, float]) -> None:
        """Add a point to each curve."""
        if self._writer is None:
            resumed_at = self.last_step + 1 if self.last_step else None
            self._writer = _tensorboardx().SummaryWriter(os.fspath(self.folder), purge_step=resumed_at)
        for kind, values in (("training", measured), ("validation", validated)):
            for name, value in values.items():
                self._writer.add_scalar(f"{name}/{kind}", value, run.step)
        self._writer.add_scalar("learning_rate", _learning_rate(run), run.step)
        self._writer.flush()

    def close(self) -> None:
        """Write all pending points; the run calls this at its end. A writer that was passed in stays open."""
        if self._writer is not None and self._writer is not self.folder:
            self._writer.close()
            self._writer = None


def _tensorboardx() -> Any:
    return optional("tensorboard", "tensorboardX", "TensorBoardLogger writes by tensorboardX")


def _learning_rate(run: Run) -> float:
    return float(run.optimizer.param_groups[0]["lr"])
