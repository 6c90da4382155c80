"""The limits at which a training run ends."""

from __future__ import annotations

import math
from typing import NamedTuple

from .history import History


class Limits(NamedTuple):
    """The limits of a run; the first one reached ends it. All count from the run's beginning, through interruptions.

    Attributes:
        epochs: the number of times through the data.
        steps: the number of batches.
        seconds: the duration.
        threshold: the mean loss of an epoch below which training ends. (If one batch holds all of the data, as in the
            articles, that is the loss.)
    """

    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None
    threshold: float | None = None

    def check(self) -> None:
        """Raise ValueError if there is no limit, or one that makes no sense."""
        if all(limit is None for limit in self):
            raise ValueError("fit: say when to stop: epochs=, steps=, seconds= or threshold=")
        for name, limit in self._asdict().items():
            least = -math.inf if name == "threshold" else 0
            if limit is not None and not least <= limit <= math.inf:
                raise ValueError(f"fit: {name}={limit} makes no sense; use a positive number")
            if name in ("epochs", "steps") and limit not in (None, math.inf) and limit != int(limit):
                raise ValueError(f"fit: {name}={limit} makes no sense; use a whole number")

    def converged(self, history: History) -> str | None:
        """The reason to stop if the loss is small enough, or None."""
        if self.threshold is None or not history.epoch_ended or not history.epoch_losses[-1] < self.threshold:
            return None
        return f"the loss, {history.epoch_losses[-1]:.4g}, is below the threshold of {self.threshold:g}"

    def reached(self, history: History, seconds: float) -> str | None:
        """The limit that is reached after this time, in words; None if no limit is reached."""
        if self.steps is not None and history.step >= self.steps:
            return _done(history.step, "step")
        if self.epochs is not None and len(history.epochs) >= self.epochs:
            return _done(len(history.epochs), "epoch")
        if self.seconds is not None and seconds >= self.seconds:
            return f"{self.seconds:g} seconds are over"
        return None

    def total_steps(self, epoch_steps: int) -> int | None:
        """The largest possible number of steps, if it is known."""
        totals = [] if self.steps is None else [self.steps]
        if self.epochs is not None:
            totals.append(self.epochs * epoch_steps)
        return min(totals, default=None)


def _done(count: int, unit: str) -> str:
    return f"1 {unit} is done" if count == 1 else f"{count:,} {unit}s are done"
