"""The history of a training run, step by step; it can be plotted, saved, and found again."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff import did_you_mean
from ..autodiff.extras import axes_for, optional
from ..autodiff.tables import Table, Tabular, evenly_spread

LONGEST_MEMORY = 50
"""The number of steps that the smoothed loss averages over in a long run; before, it is a tenth of the steps so far."""


class History(Tabular):
    """The record of a run.

    Args:
        metrics: the names of the metrics that are measured beside the loss.

    Attributes:
        step: the number of batches learned from. Steps are counted from 1: ``losses[0]`` is the loss of step 1.
        epochs: the step at which each finished epoch ended.
        epoch_losses: the mean loss of each finished epoch, every batch weighted by its number of targets that count.
        smoothed: the loss, averaged over the latest tenth of the steps, or the latest fifty; the progress bar shows it.
        validation: ``(step, loss)`` for each time that the model was validated.
        epoch_metrics: the means of each metric over each finished epoch, by name.
        validation_metrics: ``(step, value)`` of each metric for each time that the model was validated, by name.
        symbols: the number of inputs (characters, words, time steps) seen.
        seconds: the duration, including the time before an interruption.
        stopped: the reason for the end of the run, in words; None while the run is going on.
        not_compiled: for each part of the model that could not be compiled, the reason in words.

    Example:
        >>> history = History()
        >>> history.record(2.0, symbols=10)
        >>> history.record(1.0, symbols=10)
        >>> history.step, history.losses, history.symbols
        (2, array([2., 1.]), 20)
    """

    def __init__(self, metrics: Iterable[str] = ()) -> None:
        self.epochs: list[int] = []
        self.epoch_losses: list[float] = []
        self.validation: list[tuple[int, float]] = []
        self.symbols = 0
        self.stopped: str | None = None
        self.not_compiled: dict[str, str] = {}
        self.smoothed = 0.0
        self._losses = array("d")  # eight bytes a step, however long the run
        self._metrics = {name: array("d") for name in metrics}
        self.epoch_metrics: dict[str, list[float]] = {name: [] for name in self._metrics}
        self.validation_metrics: dict[str, list[tuple[int, float]]] = {name: [] for name in self._metrics}
        self._epoch_sums = np.zeros(1 + len(self._metrics))
        self._epoch_weights = np.zeros(2)  # of the loss and of the metrics
        self._seconds_before = 0.0
        self._resumed_at: float | None = None

    if not TYPE_CHECKING:  # otherwise a type checker would accept every attribute
        __getattr__ = did_you_mean.of_object(did_you_mean.OF_HISTORIES)

    @property
    def step(self) -> int:
        """The number of batches learned from."""
        return len(self._losses)

    @property
    def losses(self) -> np.ndarray:
        """The loss of every step, (steps,), each before that step's update."""
        return np.array(self._losses)

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """Each metric at every step, (steps,), by name; measured on the batch that was learned from, like the loss."""
        return {name: np.array(values) for name, values in self._metrics.items()}

    @property
    def last_loss(self) -> float:
        """The loss of the last step."""
        return self._losses[-1]

    @property
    def epoch_ended(self) -> bool:
        """True if the last step was the last of its epoch."""
        return bool(self.epochs) and self.epochs[-1] == self.step

    @property
    def validated(self) -> bool:
        """True if the model was validated after the last step."""
        return bool(self.validation) and self.validation[-1][0] == self.step

    @property
    def best_validation(self) -> tuple[int, float]:
        """``(step, loss)`` of the lowest validation loss."""
        return min(self.validation, key=lambda entry: (math.isnan(entry[1]), entry[1]))

    def means_after(self, step: int) -> dict[str, float]:
        """Return the loss and each metric by name, as means over the steps after one."""
        columns = {"loss": self._losses, **self._metrics}
        return {name: math.fsum(values[step:]) / len(values[step:]) for name, values in columns.items()}

    def last_validation(self) -> dict[str, float]:
        """Return the loss and each metric by name, from the last validation."""
        measured = {"loss": self.validation, **self.validation_metrics}
        return {name: entries[-1][1] for name, entries in measured.items()}

    @property
    def seconds(self) -> float:
        """The duration of the run."""
        running = 0.0 if self._resumed_at is None else time.perf_counter() - self._resumed_at
        return self._seconds_before + running

    def start_clock(self) -> None:
        """Start counting the time."""
        self._resumed_at = time.perf_counter()

    def stop_clock(self) -> None:
        """Stop counting the time."""
        self._seconds_before, self._resumed_at = self.seconds, None

    def record(
        self,
        loss: float,
        symbols: int,
        weight: float = 1.0,
        metrics: Sequence[float] = (),
        targets: float | None = None,
    ) -> None:
        """Record a step.

        Args:
            loss: the loss of the step.
            symbols: the number of inputs in its batch.
            weight: the weight of the step's loss in the mean of its epoch.
            metrics: the values of the metrics, in the order of their names.
            targets: the weight of the metrics; by default that of the loss.
        """
        self._losses.append(loss)
        for values, value in zip(self._metrics.values(), metrics, strict=True):
            values.append(value)
        self.symbols += symbols
        targets = weight if targets is None else targets
        self._epoch_sums += [weight * loss, *(targets * metric for metric in metrics)]
        self._epoch_weights += weight, targets
        self.smoothed += _newest_share(self.step) * (loss - self.smoothed)

    def end_epoch(self) -> None:
        """Record that the last step was the last of its epoch."""
        self.epochs.append(self.step)
        weights = self._epoch_weights.repeat([1, len(self._metrics)])
        loss, *metrics = (self._epoch_sums / weights).tolist()
        self.epoch_losses.append(loss)
        for means, mean in zip(self.epoch_metrics.values(), metrics):
            means.append(mean)
        self._epoch_sums[:] = self._epoch_weights[:] = 0.0

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss of every step, smoothed too, and the validation loss.

        Args:
            ax: matplotlib axes to draw on; new ones by default.

        Returns:
            The axes.

        Raises:
            ImportError: matplotlib isn't installed.
        """
        ax = axes_for(ax, "History.plot draws with Matplotlib")
        steps = np.arange(1, self.step + 1)
        ax.plot(steps, self._losses, color="C0", alpha=0.3, linewidth=0.8, label="each step")
        ax.plot(steps, _running_mean(self.losses), color="C0", label="smoothed")
        if self.validation:
            ax.plot(*zip(*self.validation), "o-", color="C1", label="validation")
        ax.set_xlabel("step")
        ax.set_ylabel("loss")
        ax.legend()
        return ax

    def to_frame(self) -> Any:
        """The run as a pandas DataFrame, a row for each step.

        Returns:
            The columns "epoch" (counted from 1), "loss", each metric and, if there was validation, "validation_loss"
            and "validation_" with each metric, which are NaN at steps that were not validated.

        Raises:
            ImportError: pandas isn't installed.
        """
        pandas = optional("pandas", "pandas", "History.to_frame makes a DataFrame of pandas")
        steps = np.arange(1, self.step + 1)
        columns = {"epoch": 1 + np.searchsorted(self.epochs, steps), "loss": self.losses, **self.metrics}
        if self.validation:
            for name, entries in {"loss": self.validation, **self.validation_metrics}.items():
                column = columns[f"validation_{name}"] = np.full(self.step, np.nan)
                for step, value in entries:
                    column[step - 1] = value
        return pandas.DataFrame(columns, index=pandas.Index(steps, name="step"))

    def state_dict(self) -> dict[str, Any]:
        """The history as arrays and plain numbers."""
        return {
            "losses": self.losses,
            "smoothed": self.smoothed,
            "epochs": list(self.epochs),
            "epoch_losses": list(self.epoch_losses),
            "epoch_so_far": [*self._epoch_sums.tolist(), *self._epoch_weights.tolist()],
            "validation": [list(entry) for entry in self.validation],
            "metrics": self.metrics,
            "epoch_metrics": {name: list(means) for name, means in self.epoch_metrics.items()},
            "validation_metrics": {
                name: [list(entry) for entry in entries] for name, entries in self.validation_metrics.items()
            },
            "symbols": self.symbols,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a history that ``state_dict()`` returned, so that the run can continue."""
        measured = state.get("metrics", {})
        if measured.keys() != self._metrics.keys():
            raise ValueError(f"its metrics are {list(measured)}, where this run has {list(self._metrics)}")
        self._losses = _row("losses", state["losses"])
        self._metrics = {name: _row(name, measured[name]) for name in self._metrics}
        self.epoch_metrics = {name: [float(mean) for mean in state["epoch_metrics"][name]] for name in self._metrics}
        self.validation_metrics = {
            name: [(int(step), float(value)) for step, value in state["validation_metrics"][name]]
            for name in self._metrics
        }
        self.smoothed = float(state["smoothed"])
        self.epochs = [int(step) for step in state["epochs"]]
        self.epoch_losses = [float(loss) for loss in state["epoch_losses"]]
        so_far, count = [float(part) for part in state["epoch_so_far"]], len(self._epoch_sums)
        sums, weights = so_far[:count], so_far[count:]
        if len(weights) not in (1, 2):
            raise ValueError(f"the epoch so far has {len(so_far)} numbers, where {count + 2} are needed")
        self._epoch_sums = np.array(sums)
        self._epoch_weights = np.resize(weights, 2)  # a single one from files in which metrics had none of their own
        self.validation = [(int(step), float(loss)) for step, loss in state["validation"]]
        self.symbols = int(state["symbols"])
        self._seconds_before = float(state["seconds"])
        self.stopped = None

    def table(self) -> Table:
        """Ten steps at most, evenly spread: losses and metrics at the step, and of the last validation before it."""
        shown = (1 + evenly_spread(self.step)).tolist()
        columns: dict[str, Any] = {"loss": self._losses, "smoothed": _running_mean(self.losses), **self._metrics}
        validated = {"validation": self.validation} if self.validation else {}
        validated |= {f"validation {name}": found for name, found in self.validation_metrics.items() if found}
        rows = []
        for step in shown:
            before = [[value for at, value in entries if at <= step] for entries in validated.values()]
            row = [f"{step:,}", *(f"{values[step - 1]:.4g}" for values in columns.values())]
            rows.append(row + [f"{values[-1]:.4g}" if values else "-" for values in before])
        return Table(repr(self), ["step", *columns, *validated], rows)

    def __repr__(self) -> str:
        if self.step == 0:
            return "History(no steps yet)"
        end = f", {self.stopped}" if self.stopped else ""
        return f"History({self.step:,} steps, loss {self.last_loss:.4g}, {self.seconds:.1f} s{end})"

    __str__ = __repr__


def _row(name: str, values: Any) -> array[float]:
    """The saved numbers of all steps, checked."""
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype != np.float64:
        raise ValueError(f"the {name} of a history are a row of float64")
    return array("d", values.tobytes())


def _running_mean(losses: np.ndarray) -> np.ndarray:
    """The smoothed loss at every step: the values that ``History.smoothed`` had after each."""
    smoothed = losses.copy()
    for i in range(1, len(smoothed)):
        smoothed[i] = smoothed[i - 1] + _newest_share(i + 1) * (losses[i] - smoothed[i - 1])
    return smoothed


def _newest_share(step: int) -> float:
    """The share of the newest loss in the smoothed one: 1 at first, for the losses of the beginning soon say little."""
    return 1 / min(LONGEST_MEMORY, 1 + (step - 1) / 10)
