"""``evaluate``: the loss of a model on data that it doesn't learn from."""

from __future__ import annotations

import math
from typing import Any

from ..data import Batch, Epochs
from ..nn import Module
from ..nn.calling import batch_first
from .choices import as_batches, as_loss
from .prediction import Loss, Predict, count_targets, totals_of
from .prediction import predict as call_model
from .sharing import in_means, weight_of


def evaluate(model: Module, data: Any, loss: Loss | str, *, predict: Predict = call_model) -> float:
    """The mean loss of a model on data, without learning from it.

    The model is in evaluation mode meanwhile. If the batches continue each other, the state is carried along.
    ``Batches`` and ``StreamBatches`` are gone through once and afterwards stand where they stood before, so they
    return the same batches every time.

    Args:
        model: the model.
        data: batches; or inputs and targets, ``(X, y)``, as ``fit`` takes them.
        loss: ``loss(prediction, targets)``, a mean over the targets; or its name.
        predict: the call of the model, as in ``fit``.

    Returns:
        The mean over all targets that count: each batch is weighted by their number, or by their classes' weights, as
        the loss's own options say.

    Raises:
        ValueError: there are no batches, or the data don't stand at the beginning of an epoch.
    """
    is_pair = type(data) in (tuple, list) and not all(isinstance(one, Batch) for one in data)
    batches = as_batches(model, data, predict) if is_pair else data
    criterion = as_loss(loss, batch_first=batches is not data and batch_first(model))
    weigh = in_means(weight_of(criterion, batches.batch_axes[1] if isinstance(batches, Epochs) else 1))
    parted = (((weigh(batch), count_targets(batch)), batch.continues, [(batch, 1.0)]) for batch in batches)
    totals, (weight, count) = totals_of(model, batches, criterion, predict, parted)
    if count == 0:
        raise ValueError("evaluate: there are no batches to evaluate the model on")
    return float(totals[0] / weight) if weight else math.nan
