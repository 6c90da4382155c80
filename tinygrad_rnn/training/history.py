"""What a training run has done so far, step by step; it can be plotted, saved, and found again."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..recorded.tables import Table

MEMORY = 0.98
"""How much of the smoothed loss is kept from step to step: it looks back over some fifty steps."""


class History:
    """The record of a run.

    Attributes:
        step: How many batches have been learned from. Steps are counted from 1: ``losses[0]`` is that of step 1.
        epochs: The step at which each finished epoch ended.
        epoch_losses: The mean loss of each finished epoch, every batch weighted by what it holds.
        validation: ``(step, loss)`` for each time that the model was validated.
        symbols: How many inputs (characters, words, time steps) have been seen.
        seconds: How long it took, the time before an interruption included.
        stopped: Why it ended, in words; None while it is going on.
        not_compiled: Why parts of the model ran as they are though they were to be compiled, by part, in words.

    Example:
        >>> history = History()
        >>> history.record(2.0, symbols=10)
        >>> history.record(1.0, symbols=10)
        >>> history.step, history.losses, history.symbols
        (2, array([2., 1.]), 20)
    """

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.epoch_losses: list[float] = []
        self.validation: list[tuple[int, float]] = []
        self.symbols = 0
        self.stopped: str | None = None
        self.not_compiled: dict[str, str] = {}
        self.smoothed = 0.0
        self._losses = array("d")  # eight bytes a step, however long the run
        self._epoch_sum = 0.0
        self._epoch_weight = 0.0
        self._seconds_before = 0.0
        self._resumed_at: float | None = None

    @property
    def step(self) -> int:
        """How many batches have been learned from."""
        return len(self._losses)

    @property
    def losses(self) -> np.ndarray:
        """The loss of every step, (steps,), each before that step's update."""
        return np.array(self._losses)

    @property
    def last_loss(self) -> float:
        """The loss of the last step."""
        return self._losses[-1]

    @property
    def epoch_ended(self) -> bool:
        """Whether the last step was the last of its epoch."""
        return bool(self.epochs) and self.epochs[-1] == self.step

    @property
    def validated(self) -> bool:
        """Whether the model was validated after the last step."""
        return bool(self.validation) and self.validation[-1][0] == self.step

    @property
    def best_validation(self) -> tuple[int, float]:
        """``(step, loss)`` of the lowest validation loss."""
        return min(self.validation, key=lambda entry: (math.isnan(entry[1]), entry[1]))

    @property
    def seconds(self) -> float:
        """How long the run took."""
        running = 0.0 if self._resumed_at is None else time.perf_counter() - self._resumed_at
        return self._seconds_before + running

    def start_clock(self) -> None:
        """Count the time from here."""
        self._resumed_at = time.perf_counter()

    def stop_clock(self) -> None:
        """Count no more time."""
        self._seconds_before, self._resumed_at = self.seconds, None

    def record(self, loss: float, symbols: int, weight: float = 1.0) -> None:
        """Take down a step.

        Args:
            loss: Its loss.
            symbols: How many inputs it saw.
            weight: What it counts for in the mean of its epoch.
        """
        self._losses.append(loss)
        self.symbols += symbols
        self._epoch_sum += weight * loss
        self._epoch_weight += weight
        self.smoothed = loss if self.step == 1 else MEMORY * self.smoothed + (1 - MEMORY) * loss

    def end_epoch(self) -> None:
        """Take down that the last step was the last of its epoch."""
        self.epochs.append(self.step)
        self.epoch_losses.append(self._epoch_sum / self._epoch_weight)
        self._epoch_sum = self._epoch_weight = 0.0

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss of every step, smoothed too, and the validation loss.

        Args:
            ax: Matplotlib axes to draw on; new ones by default.

        Returns:
            The axes.

        Raises:
            ImportError: Matplotlib isn't installed.
        """
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError:
                raise ImportError('History.plot draws with Matplotlib: pip install "tinygrad_rnn[plot]"') from None
            ax = pyplot.figure().add_subplot()
        steps = np.arange(1, self.step + 1)
        ax.plot(steps, self._losses, color="C0", alpha=0.3, linewidth=0.8, label="each step")
        ax.plot(steps, _running_mean(self.losses), color="C0", label="smoothed")
        if self.validation:
            ax.plot(*zip(*self.validation), "o-", color="C1", label="validation")
        ax.set_xlabel("step")
        ax.set_ylabel("loss")
        ax.legend()
        return ax

    def state_dict(self) -> dict[str, Any]:
        """All of it, as arrays and plain numbers."""
        return {
            "losses": self.losses,
            "smoothed": self.smoothed,
            "epochs": list(self.epochs),
            "epoch_losses": list(self.epoch_losses),
            "epoch_so_far": [self._epoch_sum, self._epoch_weight],
            "validation": [list(entry) for entry in self.validation],
            "symbols": self.symbols,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict()`` gave; the run that it describes goes on."""
        losses = np.asarray(state["losses"])
        if losses.ndim != 1 or losses.dtype != np.float64:
            raise ValueError("the losses of a history are a row of float64")
        self._losses = array("d", losses.tobytes())
        self.smoothed = float(state["smoothed"])
        self.epochs = [int(step) for step in state["epochs"]]
        self.epoch_losses = [float(loss) for loss in state["epoch_losses"]]
        self._epoch_sum, self._epoch_weight = (float(part) for part in state["epoch_so_far"])
        self.validation = [(int(step), float(loss)) for step, loss in state["validation"]]
        self.symbols = int(state["symbols"])
        self._seconds_before = float(state["seconds"])
        self.stopped = None

    def table(self) -> Table:
        """The losses of ten steps at most, evenly spread: at the step, smoothed, and validated last before it."""
        shown = np.unique(np.linspace(1, self.step, min(10, self.step)).round().astype(int)).tolist()
        smoothed = _running_mean(self.losses)
        header = ["step", "loss", "smoothed"] + (["validation"] if self.validation else [])
        rows = []
        for step in shown:
            row = [f"{step:,}", f"{self._losses[step - 1]:.4g}", f"{smoothed[step - 1]:.4g}"]
            if self.validation:
                before = [loss for at, loss in self.validation if at <= step]
                row.append(f"{before[-1]:.4g}" if before else "-")
            rows.append(row)
        return Table(repr(self), header, rows)

    def _repr_html_(self) -> str:
        return self.table().html()

    def _repr_markdown_(self) -> str:
        return self.table().markdown()

    def __repr__(self) -> str:
        if self.step == 0:
            return "History(no steps yet)"
        end = f", {self.stopped}" if self.stopped else ""
        return f"History({self.step:,} steps, loss {self.last_loss:.4g}, {self.seconds:.1f} s{end})"


def _running_mean(losses: np.ndarray) -> np.ndarray:
    """The smoothed loss at every step, as ``History.smoothed`` was at the time."""
    smoothed = losses.copy()
    for i in range(1, len(smoothed)):
        smoothed[i] = MEMORY * smoothed[i - 1] + (1 - MEMORY) * losses[i]
    return smoothed
