"""Connectionist temporal classification (CTC) by hand, by the forward-backward algorithm.

The network makes a prediction at each of ``T`` steps; the target is a shorter sequence of labels, and the time of each
is unknown. A path names one of ``k`` classes at every step, one of them blank; it means the labels that remain when
repetitions are merged and then blanks removed. The loss is

- ``L = -log p(target)``, ``p(target) = Σ_{paths that mean it} ∏_t y_t[path_t]``, ``y = softmax(z)``

There are too many paths to add up one by one, but they share their beginnings and ends. Let ``l'``
be the target with blanks around every label, ``S = 2·len + 1`` symbols, and let a path move through
it: from ``s`` it may stay, go on to ``s + 1``, or skip a blank to ``s + 2`` if the labels on both
sides of the blank differ. With

- ``α_t(s)``: the sum over all beginnings that are at ``s`` at step ``t``, step t included
- ``β_t(s)``: the sum over all ends from ``s`` at step ``t`` on, step t excluded

    ``α_1(s) = y_1[l'_s]`` for the first two symbols, and
    ``α_t(s) = y_t[l'_s] · (α_{t-1}(s) + α_{t-1}(s-1) + [may skip to s] α_{t-1}(s-2))``

    ``β_T(s) = 1`` for the last two symbols, and
    ``β_t(s) = Σ_{s' in s, s+1, [may skip to s+2] s+2} β_{t+1}(s') · y_{t+1}[l'_{s'}]``

every step cuts each path once, so that ``p(target) = Σ_s α_t(s) β_t(s)`` for any ``t``, and

- ``γ_t(s) = α_t(s) β_t(s) / p(target)``    the probability of being at ``s`` at step ``t``
- ``∂L/∂z_t[i] = y_t[i] - Σ_{s: l'_s = i} γ_t(s)``

All of it is computed with logarithms, as products of many probabilities underflow.

Source: Graves et al., "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data
with Recurrent Neural Networks" (2006), sections 4.1 and 4.2. (There ``β_t`` includes the output of
step t, hence its division by ``y_t``; the product ``γ`` is the same.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .arrays import Array
from .losses import log_softmax


class CTCTrace(NamedTuple):
    """The forward-backward variables of one instance.

    Attributes:
        log_y: ``log y_t``, ``(T, k)``.
        symbols: ``l'``, the target with blanks around its labels, ``(S,)``.
        log_alpha: ``log α_t(s)``, ``(T, S)``; -inf where no path is.
        log_beta: ``log β_t(s)``, ``(T, S)``.
        log_gamma: ``log γ_t(s)``, ``(T, S)``.
        loss: ``-log p(target)``; inf where no path of T steps means the target.
        dL_dz: ``∂L/∂z_t``, ``(T, k)``; zero where the loss is inf.
    """

    log_y: Array
    symbols: Array
    log_alpha: Array
    log_beta: Array
    log_gamma: Array
    loss: float
    dL_dz: Array


class BatchCTC(NamedTuple):
    """CTC of a batch.

    Attributes:
        instances: the variables of every instance.
        losses: their losses, ``(B,)``.
        loss: the mean of the losses.
        dL_dz: ``∂loss/∂z``, ``(T, B, k)``; zero behind the end of each instance.
    """

    instances: tuple[CTCTrace, ...]
    losses: Array
    loss: float
    dL_dz: Array


def ctc(z: Array, labels: Sequence[int] | Array, blank: int = 0) -> CTCTrace:
    """Loss and gradient of one instance.

    Args:
        z: the network's outputs before softmax, ``(T, k)``.
        labels: the target, classes in ``0..k-1`` without the blank; it may be empty.
        blank: the class that stands for "no label".

    Returns:
        Everything that the derivation names.

    Raises:
        ValueError: a shape, a label or a blank doesn't fit.

    Example:
        Two steps, equal probabilities; "a" is meant by the paths ``a a``, ``a -`` and ``- a``:

        >>> trace = ctc(np.zeros((2, 2)), labels=[1])
        >>> round(float(np.exp(-trace.loss)), 3)
        0.75
    """
    z = np.asarray(z)
    if z.ndim != 2 or 0 in z.shape:
        raise ValueError(f"CTC: z has shape {z.shape}; expected (T, k) with at least one step")
    k = z.shape[1]
    symbols = _with_blanks(labels, blank, k)
    log_y = log_softmax(z)
    emissions = log_y[:, symbols]  # log y_t[l'_s], (T, S)
    skips = _may_skip(symbols, blank)

    log_alpha = _alpha(emissions, skips)
    log_beta = _beta(emissions, skips)
    log_p = np.logaddexp.reduce(log_alpha[-1, -2:])
    if np.isneginf(log_p):  # too few steps for the target: there is no path, and no gradient
        log_gamma, dL_dz = np.full_like(log_alpha, -np.inf), np.zeros_like(z)
    else:
        through = log_alpha + log_beta  # p is summed at each step anew, so that rounding errors cancel
        log_gamma = through - np.logaddexp.reduce(through, axis=1, keepdims=True)  # γ_t(s) = α_t(s) β_t(s) / p
        at_class = np.eye(k, dtype=z.dtype)[symbols]  # [s, i]: whether l'_s = i
        dL_dz = np.exp(log_y) - np.exp(log_gamma) @ at_class
    return CTCTrace(log_y, symbols, log_alpha, log_beta, log_gamma, float(-log_p), dL_dz)


def ctc_batch(
    z: Array,
    labels: Sequence[Sequence[int]],
    lengths: Sequence[int] | None = None,
    blank: int = 0,
) -> BatchCTC:
    """Loss and gradient of a batch of instances of unequal length.

    Args:
        z: the network's outputs before softmax, ``(T, B, k)``.
        labels: the target of each instance, of any length.
        lengths: the number of steps of each instance; all of them by default.
        blank: the class that stands for "no label".

    Returns:
        The instances, the mean of their losses, and its gradient. An instance whose target needs
        more steps than it has makes the mean infinite, and contributes nothing to the gradient.

    Raises:
        ValueError: shapes, lengths or labels don't fit.
    """
    z = np.asarray(z)
    if z.ndim != 3:
        raise ValueError(f"CTC: z has shape {z.shape}; expected (T, B, k)")
    T, B, _ = z.shape
    lengths = [T] * B if lengths is None else [int(n) for n in lengths]
    if not len(labels) == len(lengths) == B > 0:
        raise ValueError(f"CTC: {len(labels)} targets and {len(lengths)} lengths for a batch of {B} instances")
    if min(lengths) < 1 or max(lengths) > T:
        raise ValueError(f"CTC: the lengths {lengths} must lie in 1..{T}")
    instances = tuple(
        ctc(z[:length, i], target, blank) for i, (length, target) in enumerate(zip(lengths, labels, strict=True))
    )
    dL_dz = np.zeros_like(z)
    for i, (length, instance) in enumerate(zip(lengths, instances, strict=True)):
        dL_dz[:length, i] = instance.dL_dz / B
    losses = np.array([instance.loss for instance in instances])
    return BatchCTC(instances, losses, float(losses.mean()), dL_dz)


def _with_blanks(labels: Sequence[int] | Array, blank: int, k: int) -> Array:
    """``l'``: a blank before, between and after the labels."""
    if not 0 <= blank < k:
        raise ValueError(f"CTC: the blank is class {blank}, but there are only classes 0..{k - 1}")
    target = [int(label) for label in labels]
    if any(label == blank or not 0 <= label < k for label in target):
        raise ValueError(f"CTC: the labels {target} must lie in 0..{k - 1} and not be the blank {blank}")
    symbols = np.full(2 * len(target) + 1, blank)
    symbols[1::2] = target
    return symbols


def _may_skip(symbols: Array, blank: int) -> Array:
    """A mask of the places ``s`` that a path may reach from ``s - 2``: over a blank, between different labels."""
    may = np.zeros(len(symbols), dtype=bool)
    may[2:] = (symbols[2:] != blank) & (symbols[2:] != symbols[:-2])
    return may


def _shifted(log: Array, by: int) -> Array:
    """``log[s - by]`` at ``s``, and -inf if there is no such place."""
    result = np.full_like(log, -np.inf)
    if by < len(log):
        result[by:] = log[: len(log) - by]
    return result


def _step(log: Array, skips: Array) -> Array:
    """The log probabilities after one move along ``l'``: stay, go on, or skip a blank."""
    skipped = np.where(skips, _shifted(log, 2), -np.inf)
    return np.logaddexp(np.logaddexp(log, _shifted(log, 1)), skipped)


def _alpha(emissions: Array, skips: Array) -> Array:
    log_alpha = np.full_like(emissions, -np.inf)
    log_alpha[0, :2] = emissions[0, :2]  # a path begins with a blank or the first label
    for t in range(1, len(emissions)):
        log_alpha[t] = emissions[t] + _step(log_alpha[t - 1], skips)
    return log_alpha


def _beta(emissions: Array, skips: Array) -> Array:
    log_beta = np.full_like(emissions, -np.inf)
    log_beta[-1, -2:] = 0.0  # a path ends with the last label or a blank
    skips_from = np.zeros_like(skips)  # whether a path may go from s to s + 2, seen from the end
    skips_from[2:] = skips[:1:-1]
    for t in range(len(emissions) - 2, -1, -1):
        ends = (log_beta[t + 1] + emissions[t + 1])[::-1]
        log_beta[t] = _step(ends, skips_from)[::-1]
    return log_beta
