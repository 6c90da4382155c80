"""Connectionist temporal classification: the loss of a sequence of labels without given times.

At each step the network predicts a class, one of which is blank. A path of such classes stands for the labels that
remain when repetitions are merged and then blanks removed. The loss is ``-log p(target)``, where p is the sum over all
paths that stand for the target. This sum is computed step by step: with blanks around every label, a path through the
target stays, moves on by one symbol, or moves on by two, over a blank between different labels. So ``α_t(s)``, the sum
over the beginnings of paths that are at symbol s at step t, is made of three sums of the step before. The gradient is
the engine's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import logsumexp
from .losses import reduced
from .through_time import checked_lengths, without_padding

REDUCTIONS = ("mean", "sum", "none")


def ctc(
    log_probabilities: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """The CTC loss of a batch, in the logarithmic domain.

    Args:
        log_probabilities: (T, B, k), as ``log_softmax`` returns them, blank among the classes.
        targets: (B, S), class indices, each row a target and then any padding; or all targets one after another, (ΣS,).
        input_lengths: (B,), the number of steps of each sequence. The values in the padding don't matter.
        target_lengths: (B,), the number of labels of each target.
        blank: the index of the class blank.
        reduction: "mean" (of the losses, each divided by the length of its target), "sum" or "none".
        zero_infinity: whether the loss is 0 instead of inf if the steps are too few for any path to the target.

    Returns:
        One number, or (B,) with "none", in nats.

    Raises:
        ValueError: the shapes or lengths don't go together, or a target isn't a class, or is blank.

    Source: Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data with recurrent
    neural networks" (2006), section 4.1; arguments and reduction as in PyTorch.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> even = np.full((2, 1, 2), np.log(0.5))  # T = 2, B = 1, blank and one label
        >>> loss = tr.nn.ctc(even, [[1]], [2], [1], reduction="sum")  # paths: _1, 1_, 11
        >>> round(float(np.exp(-loss)), 4)
        0.75
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"ctc: reduction {reduction!r} is not one of {', '.join(REDUCTIONS)}")
    if np.ndim(log_probabilities) != 3:
        raise ValueError(f"ctc takes log-probabilities (T, B, k), not {np.shape(log_probabilities)}")
    input_lengths = checked_lengths(input_lengths, np.shape(log_probabilities))
    labels, target_lengths = _padded_targets(targets, target_lengths, np.shape(log_probabilities), blank)
    log_p, running = without_padding(log_probabilities, input_lengths)

    symbols = _with_blanks(labels, blank)
    # at[t, b, s]: the log-probability of symbol s of target b at step t
    at = log_p[:, np.arange(len(symbols))[:, None], symbols]
    may_skip = np.zeros(symbols.shape, bool)
    may_skip[:, 2:] = (symbols[:, 2:] != blank) & (symbols[:, 2:] != symbols[:, :-2])

    # Before the first step every path stands at the first blank: so it begins there, or goes on to the first label.
    alpha: Any = np.where(np.arange(symbols.shape[1]) > 0, -np.inf, np.zeros(symbols.shape)).astype(log_p.dtype)
    for t in range(len(at)):
        by_two = np.where(may_skip, _moved(alpha, 2), -np.inf)
        reached = logsumexp(np.stack([alpha, _moved(alpha, 1), by_two]), axis=0)
        alpha = np.where(running[t][:, None], reached + at[t], alpha)

    losses = -_at_the_end(alpha, target_lengths)
    if zero_infinity:
        losses = np.where(np.isinf(losses), 0, losses)
    if reduction == "mean":
        losses = losses / np.maximum(target_lengths, 1)
    return reduced(losses, reduction)


def _moved(alpha: Any, by: int) -> Any:
    """The sums of the symbol one, or two, before each; -inf if there is none."""
    nothing = np.full((len(alpha), by), -np.inf, alpha.dtype)
    return np.concatenate([nothing, alpha], axis=1)[:, : alpha.shape[1]]


def _at_the_end(alpha: Any, target_lengths: np.ndarray) -> Any:
    """A path may end on the last label or on the blank after it."""
    rows = np.arange(len(target_lengths))
    on_blank = alpha[rows, 2 * target_lengths]
    on_label = np.where(target_lengths > 0, alpha[rows, np.maximum(2 * target_lengths - 1, 0)], -np.inf)
    return logsumexp(np.stack([on_blank, on_label]), axis=0)


def _with_blanks(labels: np.ndarray, blank: int) -> np.ndarray:
    """The targets (B, S) with a blank before, between and after the labels, (B, 2S + 1)."""
    symbols = np.full((len(labels), 2 * labels.shape[1] + 1), blank)
    symbols[:, 1::2] = labels
    return symbols


def _padded_targets(targets: Any, lengths: Any, shape: tuple[int, ...], blank: int) -> tuple[np.ndarray, np.ndarray]:
    """The targets as (B, S), blank in the padding, and their lengths."""
    _, batch, classes = shape
    if not 0 <= blank < classes:
        raise ValueError(f"ctc: blank is one of the {classes} classes, 0 to {classes - 1}, not {blank}")
    targets, lengths = np.asarray(targets), np.asarray(lengths)
    if lengths.shape != (batch,) or lengths.dtype.kind not in "iu" or (lengths < 0).any():
        raise ValueError(f"ctc: target_lengths: {batch} whole numbers are needed, not {lengths.tolist()}")
    longest = int(lengths.max(initial=0))
    inside = np.arange(longest) < lengths[:, None]
    if targets.ndim == 1 and len(targets) == lengths.sum():
        padded = np.full(inside.shape, blank, targets.dtype)
        padded[inside] = targets
    elif targets.ndim == 2 and len(targets) == batch and targets.shape[1] >= longest:
        padded = np.where(inside, targets[:, :longest], blank)
    else:
        raise ValueError(
            f"ctc: targets are (B, S) = ({batch}, {longest} or more), or all in a row, ({lengths.sum()},), not "
            f"{targets.shape}"
        )
    found = padded[inside]
    fits = padded.dtype.kind in "iu" and (found >= 0) & (found < classes) & (found != blank)
    if found.size and not np.all(fits):
        raise ValueError(
            f"ctc: targets are classes from 0 to {classes - 1} other than blank ({blank}), not from {found.min()} to "
            f"{found.max()} of {padded.dtype}"
        )
    return padded.astype(np.int64), lengths
