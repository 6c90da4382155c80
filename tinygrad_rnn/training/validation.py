"""Validation: the model's loss on data it doesn't learn from, the best weights so far, and early stopping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Epochs
from ..data.epochs import Draft
from ..nn import Module
from .history import History
from .metrics import Metrics
from .prediction import Loss, Predict, count_targets, totals_of
from .ranks import Alone
from .sharing import Part, Sharing, Weight, in_means


@dataclass(eq=False)
class Validation:
    """The validation of a model at intervals, with a copy of its best weights; the arguments are as in ``fit``."""

    data: Epochs
    loss: Loss
    predict: Predict
    metrics: Metrics
    weight: Weight | str | None
    every: int | None
    patience: int | None
    min_improvement: float
    best_loss: float = math.inf  # the lowest validation loss so far
    best_weights: dict[str, np.ndarray] | None = None  # the model's ``state_dict()`` at that time
    without_improvement: int = 0  # the number of validations since then

    def __post_init__(self) -> None:
        counts = [count for count in (self.every, self.patience) if count is not None]
        if min(counts, default=1) < 1 or not self.min_improvement >= 0:
            raise ValueError(
                f"fit: validate_every={self.every}, patience={self.patience}, min_improvement={self.min_improvement}: "
                "use positive numbers"
            )
        self.predict = self.metrics.watching(self.predict)

    def due(self, history: History) -> bool:
        """Return True if it is time to validate."""
        return history.epoch_ended if self.every is None else history.step % self.every == 0

    def validate(self, model: Module, history: History, ranks: Alone) -> None:
        """Evaluate the model, each process on its part of the batches, and record the result."""
        sharing = Sharing(self.data, ranks.rank, ranks.size, 1, self.weight, self.loss)
        measured = lambda: self.metrics.values  # noqa: E731
        parted = (_weighed(sharing, draft) for draft in self.data.drafts())
        parts = ranks.gather(lambda: totals_of(model, self.data, self.loss, self.predict, parted, measured))
        weight, count = parts[0][1].tolist()
        if count == 0:
            raise ValueError("fit: there are no batches to validate on")
        total, *metrics = np.sum([totals for totals, _ in parts], axis=0).tolist()
        value, metrics = total / weight if weight else math.nan, [metric / count for metric in metrics]
        history.validation.append((history.step, value))
        for name, measure in zip(self.metrics.names, metrics):
            history.validation_metrics[name].append((history.step, measure))
        comparable = math.inf if math.isnan(value) else value  # nothing is less than NaN, but any number is better
        if self.best_weights is None or comparable < self.best_loss - self.min_improvement:
            self.best_loss, self.best_weights, self.without_improvement = comparable, model.state_dict(), 0
        else:
            self.without_improvement += 1

    def gave_up(self) -> str | None:
        """The reason why training should end; None if it should go on."""
        if self.patience is None or self.without_improvement < self.patience:
            return None
        return f"the validation loss has not improved {self.without_improvement} times in a row"

    def state_dict(self) -> dict[str, Any]:
        """The state of validation, for a checkpoint."""
        return {
            "best_loss": self.best_loss,
            "best_weights": self.best_weights,
            "without_improvement": self.without_improvement,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""
        self.best_loss = float(state["best_loss"])
        self.best_weights = None if state["best_weights"] is None else dict(state["best_weights"])
        self.without_improvement = int(state["without_improvement"])


def _weighed(sharing: Sharing, draft: Draft) -> tuple[tuple[float, int], bool, list[Part]]:
    """The weights of a batch's loss and metrics, whether it continues the one before, and the parts to compute."""
    parts = sharing.of(draft)
    whole = parts[0].batch if sharing.is_whole else draft.columns()
    return (in_means(sharing.weight)(whole), count_targets(whole)), draft.continues, parts
