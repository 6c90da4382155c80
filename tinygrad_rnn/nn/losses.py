"""Losses: the error of a prediction as one number.

All take ``lengths=``, the lengths of the sequences in a padded batch: values in the padding, NaN included, have no
influence. And all take ``reduction=``:

==================  ===================================================================================================
"mean"              the mean of all single losses (of those that count)
"sum"               their sum
"none"              the single losses themselves, 0 where they don't count
"per_instance"      summed over time and averaged over the training instances, as in the articles: first axis time
==================  ===================================================================================================
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autodiff import log_softmax, softplus
from ..autodiff.tensor import Tensor, constant
from .compiled_cells import is_traced
from .through_time import along_batch, within_lengths

REDUCTIONS = ("mean", "sum", "none", "per_instance")


def reduced(values: Any, reduction: str, count: Any = None, time_axis: int = 0) -> Any:
    """The reduction of single losses to one number.

    Args:
        values: the single losses, 0 where they don't count.
        reduction: "mean", "sum", "none" or "per_instance".
        count: the divisor of the mean; by default the number of values.
        time_axis: the axis of time, for "per_instance".

    Raises:
        ValueError: the reduction is none of these; or there is no axis of time.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is not one of {', '.join(REDUCTIONS)}")
    if reduction == "none":
        return values
    if reduction == "sum":
        return np.sum(values)
    if reduction == "per_instance":
        if np.ndim(values) <= time_axis:
            raise ValueError(f"reduction 'per_instance' needs an axis of time, but the losses are {np.shape(values)}")
        return np.mean(np.sum(values, axis=time_axis))
    return np.mean(values) if count is None else np.sum(values) / count


class _Counting:
    """The choice of the single losses that count: all, or those up to each sequence's length."""

    def __init__(self, shape: tuple[int, ...], lengths: Any, batch_first: bool) -> None:
        self.time_axis = 1 if batch_first else 0
        self.valid = None if lengths is None else within_lengths(lengths, shape, batch_first)

    def only(self, wanted: np.ndarray) -> None:
        """Restrict the count to the losses that ``wanted`` selects."""
        if is_traced(wanted) or not wanted.all():
            self.valid = wanted if self.valid is None else along_batch(self.valid, wanted) & wanted

    def blanked(self, a: Any) -> Any:
        """The array with zeros where it doesn't count, so that the values there don't enter any computation."""
        return a if self.valid is None else np.where(along_batch(self.valid, a), a, 0)

    def reduced(self, values: Any, reduction: str, weights: Any = None) -> Any:
        """Single losses as one number; the mean is over those that count, by their weights."""
        if self.valid is not None:
            values = self.blanked(values)
            weights = self.blanked(np.ones(np.shape(values)) if weights is None else weights)
        count = None if weights is None else np.sum(weights)
        if count is not None:
            count = count.astype(values.dtype) if is_traced(count) else float(count)
        return reduced(values, reduction, count, self.time_axis)


def _paired(name: str, prediction: Any, target: Any, lengths: Any, batch_first: bool) -> tuple[_Counting, Any, Any]:
    """The losses that count, and prediction and target with zeros where they don't.

    Raises:
        ValueError: the shapes differ; broadcasting would hide a mistake.
    """
    if np.shape(prediction) != np.shape(target):
        cure = ""
        if np.shape(prediction) == (*np.shape(target), 1):
            cure = ": a target for each prediction is target[..., None]"
        elif np.shape(target) == (*np.shape(prediction), 1):
            cure = ": a prediction for each target is prediction[..., None]"
        raise ValueError(
            f"{name}: prediction {np.shape(prediction)} and target {np.shape(target)} differ in shape{cure}"
        )
    counting = _Counting(np.shape(prediction), lengths, batch_first)
    return counting, counting.blanked(prediction), counting.blanked(target)


# --- of numbers ------------------------------------------------------------------------------------------------------


def mse(
    prediction: Any, target: Any, reduction: str = "mean", *, lengths: Any = None, batch_first: bool = False
) -> Any:
    """The squared error, ``(prediction - target)²``, of each element.

    Args:
        prediction: any shape; (T, B, ...) with lengths.
        target: the same shape.
        reduction: "mean", "sum", "none" or "per_instance".
        lengths: (B,), the lengths of the sequences in a padded batch.
        batch_first: whether the batch comes before time.

    Raises:
        ValueError: the shapes differ; broadcasting here would hide a mistake.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.nn.mse(tr.tensor([1.0, 3.0]), np.array([1.0, 1.0])).item()
        2.0
    """
    counting, prediction, target = _paired("mse", prediction, target, lengths, batch_first)
    return counting.reduced(np.square(prediction - target), reduction)


def l1(prediction: Any, target: Any, reduction: str = "mean", *, lengths: Any = None, batch_first: bool = False) -> Any:
    """The absolute error, ``|prediction - target|``, of each element.

    Args:
        prediction: any shape; (T, B, ...) with lengths.
        target: the same shape.
        reduction: "mean", "sum", "none" or "per_instance".
        lengths: (B,), the lengths of the sequences in a padded batch.
        batch_first: whether the batch comes before time.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.nn.l1(tr.tensor([1.0, 3.0]), np.array([1.0, 1.0])).item()
        1.0
    """
    counting, prediction, target = _paired("l1", prediction, target, lengths, batch_first)
    return counting.reduced(np.abs(prediction - target), reduction)


def huber(
    prediction: Any,
    target: Any,
    reduction: str = "mean",
    *,
    delta: float = 1.0,
    lengths: Any = None,
    batch_first: bool = False,
) -> Any:
    """Half the squared error where it is small, linear beyond, so that one outlier doesn't dominate the sum.

    Args:
        prediction: any shape; (T, B, ...) with lengths.
        target: the same shape.
        reduction: "mean", "sum", "none" or "per_instance".
        delta: δ, the error at which the parabola ``e²/2`` passes into the line ``δ (|e| - δ/2)``.
        lengths: (B,), the lengths of the sequences in a padded batch.
        batch_first: whether the batch comes before time.

    Raises:
        ValueError: the shapes differ, or δ isn't positive.

    Source: Huber, "Robust estimation of a location parameter" (1964).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.nn.huber(tr.tensor([1.5, 4.0]), np.array([1.0, 1.0]), "none").tolist()
        [0.125, 2.5]
    """
    counting, prediction, target = _paired("huber", prediction, target, lengths, batch_first)
    if not delta > 0:
        raise ValueError(f"huber: delta is a positive number, not {delta}")
    error = prediction - target
    size = np.abs(error)  # whose slope at 0 doesn't show the parabola's curvature there
    return counting.reduced(np.where(size <= delta, error * error / 2, delta * (size - delta / 2)), reduction)


# --- of classes, one of which is right -------------------------------------------------------------------------------


def cross_entropy(
    logits: Any,
    target: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    lengths: Any = None,
    batch_first: bool = False,
) -> Any:
    """The cross-entropy between a target and ``softmax(logits)``, from the logits themselves, so it can't overflow.

    Args:
        logits: (..., k), unnormalised log-probabilities; (T, B, k) with lengths. (Classes last; PyTorch has them
            second.)
        target: class indices (...), integers; or probabilities (..., k), which get a gradient if they are a Tensor that
            requires one.
        reduction: "mean", "sum", "none" or "per_instance".
        weight: (k,), the weight of each class; the mean of losses by index is then weighted.
        ignore_index: a target value that is left out.
        label_smoothing: ε; the target becomes ``(1 - ε) target + ε/k``.
        lengths: (B,), the lengths of the sequences in a padded batch.
        batch_first: whether the batch comes before time.

    Returns:
        With indices ``-log_softmax(logits)[target]``, in nats.

    Raises:
        ValueError: the shapes don't go together, or an index is out of range.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> round(tr.nn.cross_entropy(tr.tensor([[2.0, 0.0]]), np.array([0])).item(), 4)
        0.1269
    """
    if not is_traced(target) and not (isinstance(target, Tensor) and target.requires_grad):
        target = np.asarray(target)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is from 0 to 1, not {label_smoothing}")
    counting = _Counting(np.shape(logits), lengths, batch_first)
    k = np.shape(logits)[-1]
    each = None if weight is None else _class_weights(weight, logits)
    if target.dtype.kind in "iu":
        target = _checked_indices("cross_entropy: logits", logits, target, ignore_index, counting)
        log_p = log_softmax(counting.blanked(logits), axis=-1)
        weights = None if each is None else _looked_up(each, target)
        values = -_chosen(log_p, target)
        values = values if weights is None else values * weights
    else:
        if target.shape != np.shape(logits):
            shapes = f"logits {np.shape(logits)} take probabilities of the same shape, not {target.shape}"
            raise ValueError(f"cross_entropy: {shapes}; class indices are whole numbers, target.astype(int)")
        log_p, target = log_softmax(counting.blanked(logits), axis=-1), counting.blanked(target)
        weights = None
        values = -np.sum((target if each is None else target * each) * log_p, axis=-1)
    if label_smoothing:
        uniform = np.full(k, 1 / k, logits.dtype) if each is None else each / k
        towards_all = -np.sum(uniform * log_p, axis=-1)
        values = (1 - label_smoothing) * values + label_smoothing * towards_all
    return counting.reduced(values, reduction, weights)


def nll(
    log_probabilities: Any,
    target: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int = -100,
    lengths: Any = None,
    batch_first: bool = False,
) -> Any:
    """The negative log-likelihood, ``-log_probabilities[target]``, in nats.

    Args:
        log_probabilities: (..., k), as ``log_softmax`` returns them; (T, B, k) with lengths.
        target: class indices (...), integers.
        reduction: "mean", "sum", "none" or "per_instance".
        weight: (k,), the weight of each class; the mean is then weighted.
        ignore_index: a target value that is left out.
        lengths: (B,), the lengths of the sequences in a padded batch.
        batch_first: whether the batch comes before time.

    Raises:
        ValueError: the shapes don't go together, or an index is out of range.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.nn.nll(tr.tensor([[-0.5, -1.0]]), np.array([1])).item()
        1.0
    """
    counting = _Counting(np.shape(log_probabilities), lengths, batch_first)
    target = target if is_traced(target) else np.asarray(target)
    target = _checked_indices("nll: log_probabilities", log_probabilities, target, ignore_index, counting)
    values = -_chosen(counting.blanked(log_probabilities), target)
    weights = None if weight is None else _looked_up(_class_weights(weight, log_probabilities), target)
    return counting.reduced(values if weights is None else values * weights, reduction, weights)


def _chosen(values: Any, target: Any) -> Any:
    """The values (...) at the indices of ``target`` in the last axis of ``values`` (..., k)."""
    return values[(*np.indices(target.shape, sparse=True), target)]


def _class_weights(weight: Any, logits: Any) -> np.ndarray:
    if isinstance(weight, Tensor) and weight.requires_grad:
        raise TypeError("weight: how much each class counts is a constant, and gets no gradient: pass weight.numpy()")
    weight, k = np.asarray(weight, logits.dtype), np.shape(logits)[-1]
    if weight.shape != (k,):
        raise ValueError(f"weight: one number for each of {k} classes is needed, ({k},), not {weight.shape}")
    return weight


def _looked_up(table: np.ndarray, target: Any) -> Any:
    """``table[target]``, also for indices that aren't known yet because a function is being compiled."""
    return (constant(table) if is_traced(target) else table)[target]


def _checked_indices(name: str, scores: Any, target: Any, ignore_index: int, counting: _Counting) -> Any:
    """Class indices that can be looked up, 0 where they don't count; ``counting`` then leaves these out."""
    shape = np.shape(scores)
    if target.dtype.kind not in "iu" or target.shape != shape[:-1]:
        raise ValueError(
            f"{name} {shape} take class indices of shape {shape[:-1]}, not {target.dtype} of shape {target.shape}"
        )
    counting.only(target != ignore_index)
    target = counting.blanked(target)
    if is_traced(target):  # while compiling, the indices aren't known, so those below 0 are moved out of range
        return np.where(target < 0, shape[-1], target.astype(np.intp))
    if target.size and (target.min() < 0 or target.max() >= shape[-1]):
        raise ValueError(
            f"{name} {shape}: class indices from {target.min()} to {target.max()}, but there are {shape[-1]} classes"
        )
    return target


# --- of outputs that are each right or wrong -------------------------------------------------------------------------


def binary_cross_entropy(
    probabilities: Any, target: Any, reduction: str = "mean", *, lengths: Any = None, batch_first: bool = False
) -> Any:
    """``-(y log p + (1-y) log(1-p))`` for each element, p being the probability of y = 1.

    Args:
        probabilities: any shape, from 0 to 1; (T, B, ...) with lengths.
        target: the same shape, from 0 to 1.
        reduction: "mean", "sum", "none" or "per_instance".
        lengths: (B,), the lengths of the sequences in a padded batch.
        batch_first: whether the batch comes before time.

    Returns:
        The loss in nats; a logarithm is at least -100, as in PyTorch (-87 in float32). If you have the logits (the
        values before the sigmoid), pass them to ``binary_cross_entropy_with_logits``: that loses no digits.

    Raises:
        ValueError: the shapes differ, or a probability isn't one.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> round(tr.nn.binary_cross_entropy(tr.tensor([0.5]), np.array([1.0])).item(), 4)
        0.6931
    """
    counting, p, y = _paired("binary_cross_entropy", probabilities, target, lengths, batch_first)
    _check_probabilities(p, "binary_cross_entropy")
    return counting.reduced(-(y * _log(p) + (1 - y) * _log(1 - p)), reduction)


def binary_cross_entropy_with_logits(
    logits: Any,
    target: Any,
    reduction: str = "mean",
    *,
    pos_weight: Any = 1.0,
    lengths: Any = None,
    batch_first: bool = False,
) -> Any:
    """The binary cross-entropy of ``sigmoid(logits)``, from the logits themselves, so it can't overflow.

    Args:
        logits: any shape; (T, B, ...) with lengths.
        target: the same shape, from 0 to 1.
        reduction: "mean", "sum", "none" or "per_instance".
        pos_weight: the weight of y = 1; a number, or an array that broadcasts against the last axes.
        lengths: (B,), the lengths of the sequences in a padded batch.
        batch_first: whether the batch comes before time.

    Returns:
        ``y softplus(-z) + (1-y) softplus(z)``, in nats.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> round(tr.nn.binary_cross_entropy_with_logits(tr.tensor([0.0]), np.array([1.0])).item(), 4)
        0.6931
    """
    counting, z, y = _paired("binary_cross_entropy_with_logits", logits, target, lengths, batch_first)
    return counting.reduced(np.asarray(pos_weight, z.dtype) * y * softplus(-z) + (1 - y) * softplus(z), reduction)


def one_sided_cross_entropy(
    probabilities: Any, target: Any, reduction: str = "mean", *, lengths: Any = None, batch_first: bool = False
) -> Any:
    """``-Σ y log p`` over the last axis: classes that are 1 in the target should be likely; the others don't count.

    Args:
        probabilities: (..., k), each from 0 to 1 by itself (a sigmoid's, not a softmax's); (T, B, k) with lengths.
        target: the same shape.
        reduction: "mean" over all but the last axis, "sum", "none" or "per_instance".
        lengths: (B,), the lengths of the sequences in a padded batch.
        batch_first: whether the batch comes before time.

    Raises:
        ValueError: the shapes differ, or a probability isn't one.

    Source: Sakryukin, "Under the hood of neural networks. Part 2: recurrent", where it is called cross-entropy.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> round(tr.nn.one_sided_cross_entropy(tr.tensor([[0.5, 0.9]]), np.array([[1.0, 0.0]])).item(), 4)
        0.6931
    """
    counting, p, y = _paired("one_sided_cross_entropy", probabilities, target, lengths, batch_first)
    _check_probabilities(p, "one_sided_cross_entropy")
    return counting.reduced(-np.sum(y * _log(p), axis=-1), reduction)


def _check_probabilities(p: Any, name: str) -> None:
    if np.any(p < 0) or np.any(p > 1):
        raise ValueError(f"{name}: probabilities are from 0 to 1, and some are not. Did you mean to pass logits?")


def _log(p: Any) -> Any:
    """Log p, but at least -100, without ever taking log 0."""
    least = max(math.exp(-100), float(np.finfo(p.dtype).tiny) if p.dtype.kind == "f" else 0)
    return np.log(np.maximum(p, least))


# --- in other units --------------------------------------------------------------------------------------------------


def perplexity(loss: Any) -> Any:
    """The number of equally likely symbols with the same cross-entropy: ``exp(loss)``.

    Args:
        loss: the mean cross-entropy of a symbol, in nats.

    Example:
        >>> import math
        >>> from tinygrad_rnn import nn
        >>> round(float(nn.perplexity(math.log(27))), 6)
        27.0
    """
    return np.exp(loss)


def bits_per_character(loss: Any) -> Any:
    """The number of bits that a model needs for a character: ``loss / log 2``.

    Args:
        loss: the mean cross-entropy of a character, in nats.

    Example:
        >>> import math
        >>> from tinygrad_rnn import nn
        >>> nn.bits_per_character(math.log(32))
        5.0
    """
    return loss / math.log(2)
