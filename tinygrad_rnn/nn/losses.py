"""Losses: how wrong a prediction is, as one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import logsumexp

REDUCTIONS = ("mean", "sum", "none")


def reduced(values: Any, reduction: str) -> Any:
    """The mean or the sum of the single losses, or all of them.

    Raises:
        ValueError: the reduction is none of these.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is not one of {', '.join(REDUCTIONS)}")
    return values if reduction == "none" else np.mean(values) if reduction == "mean" else np.sum(values)


def mse(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """The squared error, ``(prediction - target)²``.

    Args:
        prediction: any shape.
        target: the same shape.
        reduction: "mean", "sum" or "none" (element by element).

    Raises:
        ValueError: the shapes differ; broadcasting here would hide a mistake.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.nn.mse(tr.tensor([1.0, 3.0]), np.array([1.0, 1.0])).item()
        2.0
    """
    if np.shape(prediction) != np.shape(target):
        raise ValueError(f"mse: prediction {np.shape(prediction)} and target {np.shape(target)} differ in shape")
    return reduced(np.square(prediction - target), reduction)


def cross_entropy(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """The cross-entropy between a target and ``softmax(logits)``, from the logits themselves, so it can't overflow.

    Args:
        logits: (..., k), unnormalised log-probabilities.
        target: class indices (...), integers; or probabilities (..., k).
        reduction: "mean" over all but the last axis, "sum", or "none".

    Returns:
        ``logsumexp(logits) - logits[target]``, in nats.

    Raises:
        ValueError: the shapes don't go together, or an index is out of range.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> round(tr.nn.cross_entropy(tr.tensor([[2.0, 0.0]]), np.array([0])).item(), 4)
        0.1269
    """
    target = np.asarray(target)
    shape = np.shape(logits)
    if target.dtype.kind in "iu":
        if target.shape != shape[:-1]:
            raise ValueError(
                f"cross_entropy: logits {shape} take class indices of shape {shape[:-1]}, not {target.shape}"
            )
        if target.size and (target.min() < 0 or target.max() >= shape[-1]):
            raise ValueError(
                f"cross_entropy: class indices from {target.min()} to {target.max()}, but there are {shape[-1]} classes"
            )
        chosen = logits[(*np.indices(target.shape, sparse=True), target)]
    else:
        if target.shape != shape:
            raise ValueError(f"cross_entropy: logits {shape} take probabilities of the same shape, not {target.shape}")
        return reduced(np.sum(target * (np.expand_dims(logsumexp(logits, axis=-1), -1) - logits), axis=-1), reduction)
    return reduced(logsumexp(logits, axis=-1) - chosen, reduction)
