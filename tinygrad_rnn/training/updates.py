"""The steps between gradients and an update: clipping, and the learning rate."""

from __future__ import annotations

from typing import NamedTuple

from ..nn import Module
from ..optim import ReduceLROnPlateau, Schedule, clip_grad_norm_, clip_grad_value_
from .history import History


class Clipping(NamedTuple):
    """The clipping of gradients before an update."""

    norm: float | None = None  # the largest norm of all gradients together; None for no limit
    value: float | None = None  # the largest absolute value of each element; None for no limit

    def clip(self, model: Module) -> None:
        """Clip the gradients of a model."""
        if self.norm is not None:
            clip_grad_norm_(model.parameters(), self.norm)
        if self.value is not None:
            clip_grad_value_(model.parameters(), self.value)


class Pace(NamedTuple):
    """The change of the learning rate during training.

    Attributes:
        schedule: the schedule; None leaves the rate alone.
        by: the unit that the schedule counts: "step" or "epoch". ``ReduceLROnPlateau`` counts neither: it looks at each
            validation loss or, in a run without validation, at the mean loss of each epoch.
    """

    schedule: Schedule | ReduceLROnPlateau | None = None
    by: str = "step"

    def advance(self, history: History, *, validating: bool) -> None:
        """Count a step that was just made, and set the learning rate."""
        if isinstance(self.schedule, ReduceLROnPlateau):
            if validating and history.validated:
                self.schedule.step(history.validation[-1][1])
            elif not validating and history.epoch_ended:
                self.schedule.step(history.epoch_losses[-1])
        elif self.schedule is not None and (self.by == "step" or history.epoch_ended):
            self.schedule.step()
