"""Metrics: measures of a model's predictions beside the loss that it is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autodiff import stop_gradient
from ..autodiff.trees import tree_map
from ..data import Batch
from ..nn.through_time import along_batch, within_lengths
from .prediction import Loss, Predict, keywords_for


def accuracy(
    scores: Any, target: Any, *, lengths: Any = None, ignore_index: int = -100, batch_first: bool = False
) -> float:
    """The share of targets whose class has the largest score.

    Args:
        scores: (..., k), logits or probabilities; (T, B, k) with lengths.
        target: class indices (...), integers; or one-hot or probabilities (..., k), of which the largest counts.
        lengths: (B,), the lengths of the sequences in a padded batch.
        ignore_index: the target value that is left out.
        batch_first: whether the batch comes before time.

    Raises:
        ValueError: the shapes don't go together.

    Example:
        >>> accuracy(np.array([[2.0, 0.0], [1.0, 3.0]]), np.array([0, 0]))
        0.5
    """
    scores, target = np.asarray(scores), np.asarray(target)
    if scores.ndim == 0 or scores.shape[-1] < 2 or target.shape not in (scores.shape, scores.shape[:-1]):
        raise ValueError(
            f"accuracy: scores {scores.shape} are (..., k), one for each of k > 1 classes, and targets {target.shape} "
            "class indices (...) or, like the scores, (..., k). Of yes and no with one score write a function: "
            'metrics={"accuracy": lambda p, y: np.mean((p > 0.5) == y)}'
        )
    right = target.argmax(axis=-1) if target.shape == scores.shape else target
    counted = right != ignore_index
    if lengths is not None:
        counted &= along_batch(within_lengths(lengths, right.shape, batch_first), right)
    hits = (scores.argmax(axis=-1) == right) & counted
    return float(hits.sum() / max(1, counted.sum()))


class Metrics:
    """The metrics of each prediction, computed by functions of ``(prediction, targets)``."""

    def __init__(self, functions: Mapping[str, Loss]) -> None:
        self.functions = functions
        self.names = list(functions)
        self.values = [0.0] * len(functions)

    def watching(self, predict: Predict) -> Predict:
        """A way to call a model that measures each prediction."""
        if not self.functions:
            return predict

        def call(model: Any, batch: Batch, state: Any) -> tuple[Any, Any]:
            prediction, state = predict(model, batch, state)
            self.measure(prediction, batch)
            return prediction, state

        return call

    def measure(self, prediction: Any, batch: Batch) -> None:
        """Compute the metrics of a prediction, and keep them.

        Raises:
            ValueError: a metric is not a single number.
        """
        plain = tree_map(np.asarray, stop_gradient(prediction))
        values = []
        for name, function in self.functions.items():
            value = function(plain, batch.targets, **keywords_for(function, batch))
            if np.size(value) != 1:
                raise ValueError(f"fit: the metric {name!r} has shape {np.shape(value)}; it must return one number")
            values.append(float(np.asarray(stop_gradient(value)).item()))
        self.values = values
