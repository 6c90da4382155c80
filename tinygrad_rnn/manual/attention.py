"""An encoder-decoder with attention by hand.

The encoder is an Elman recurrence over the source ``x_1 .. x_S``; its states ``h_j`` are the memory.
The decoder starts from the last of them, ``s_0 = h_S``. At every step ``t = 1..T`` it scores all of
the memory against its previous state, reads a weighted mean of it, and moves on:

- ``e_tj = s_{t-1} · h_j``                          score: dot product, or
- ``e_tj = m_tj · v``, ``m_tj = tanh(s_{t-1} A + h_j B)``    score: additive
- ``α_t = softmax_j(e_t)``                          attention weights
- ``r_t = Σ_j α_tj h_j``                            context
- ``a_t = y_t U + s_{t-1} W + r_t C + b``, ``s_t = f(a_t)``    state, from input ``y_t``
- ``z_t = s_t V + c``                               output

Backward through the decoder, for ``t = T..1``; ``∂L/∂h_j`` gathers over all steps:

- ``∂L/∂s_t = ∂L_t/∂s_t + Δ_{t+1} Wᵀ + (through the scores of step t+1)``
- ``Δ_t = ∂L/∂s_t ∘ f'(a_t)``
- ``∂L/∂r_t = Δ_t Cᵀ``
- ``∂L/∂α_tj = ∂L/∂r_t · h_j``,                   ``∂L/∂h_j += α_tj ∂L/∂r_t``
- ``∂L/∂e_tj = α_tj (∂L/∂α_tj - Σ_i α_ti ∂L/∂α_ti)``    the Jacobian of softmax
- through dot-product scores: ``∂L/∂s_{t-1} += Σ_j ∂L/∂e_tj h_j``, ``∂L/∂h_j += ∂L/∂e_tj s_{t-1}``
- through additive scores, with ``δ_tj = ∂L/∂e_tj v ∘ (1 - m_tj²)``: ``∂L/∂s_{t-1} += Σ_j δ_tj Aᵀ``,
  ``∂L/∂h_j += δ_tj Bᵀ``; ``∂L/∂A = Σ s_{t-1}ᵀ δ_tj``, ``∂L/∂B = Σ h_jᵀ δ_tj``,
  ``∂L/∂v = Σ ∂L/∂e_tj m_tj``

Then the encoder: ``∂L/∂h_j`` reaches its states from above, with ``∂L/∂s_0`` included in
``∂L/∂h_S``, and the rest is BPTT.

Sources: Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and
Translate" (2015), for the decoder and additive scores; Luong, Pham and Manning, "Effective
Approaches to Attention-based Neural Machine Translation" (2015), for dot-product scores.

Shapes: the source is ``(S, ..., n)``, the decoder's inputs ``(T, ..., p)``, where ``...`` is ``B``
or nothing; the states of both have size d.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import readout
from .activations import Activation, activation
from .arrays import Array, as_sequence, check_shape, outer_by_step, sum_instances_by_step, sum_steps
from .elman import HiddenBackward, HiddenParams, HiddenTrace, hidden_backward, hidden_forward
from .losses import softmax
from .readout import DEFAULT_OBJECTIVE, Objective, ReadoutBackward, ReadoutTrace


class AdditiveScore(NamedTuple):
    """The parameters of additive scores, and their gradients.

    Attributes:
        A: decoder state to score, ``(d, q)``.
        B: memory to score, ``(d, q)``.
        v: to one number, ``(q,)``.
    """

    A: Array
    B: Array
    v: Array


class DecoderParams(NamedTuple):
    """The parameters of the decoder, and their gradients.

    Attributes:
        U: input to state, ``(p, d)``.
        W: state to state, ``(d, d)``.
        C: context to state, ``(d, d)``.
        V: state to output, ``(d, k)``.
        b: bias, ``(d,)``.
        c: output bias, ``(k,)``.
    """

    U: Array
    W: Array
    C: Array
    V: Array
    b: Array
    c: Array


class AttentionParams(NamedTuple):
    """The parameters of the network, or their gradients; ``score`` is None for dot-product scores."""

    encoder: HiddenParams
    decoder: DecoderParams
    score: AdditiveScore | None = None


class AttentionTrace(NamedTuple):
    """The quantities of the forward pass; row ``t - 1`` belongs to step t, except in ``s``.

    Attributes:
        params: the parameters.
        encoder: the encoder's recurrence; ``encoder.s[j]`` is h_j.
        ys: the decoder's inputs, ``(T, ..., p)``.
        f: the activation.
        e: scores, ``(T, ..., S)``.
        alpha: attention weights, ``(T, ..., S)``.
        r: contexts, ``(T, ..., d)``.
        a: pre-activations, ``(T, ..., d)``.
        s: decoder states ``s_0 .. s_T``, ``(T + 1, ..., d)``.
        output: outputs and loss.
    """

    params: AttentionParams
    encoder: HiddenTrace
    ys: Array
    f: Activation
    e: Array
    alpha: Array
    r: Array
    a: Array
    s: Array
    output: ReadoutTrace


class AttentionBackward(NamedTuple):
    """The derivatives of the loss; row ``t - 1`` belongs to step ``t``.

    Attributes:
        output: at the output layer.
        dL_ds: ``∂L/∂s_t``, ``(T, ..., d)``.
        delta: ``Δ_t = ∂L/∂a_t``, ``(T, ..., d)``.
        dL_dr: ``∂L/∂r_t``, ``(T, ..., d)``.
        dL_dalpha: ``∂L/∂α_t``, ``(T, ..., S)``.
        dL_de: ``∂L/∂e_t``, ``(T, ..., S)``.
        dL_dh: ``∂L/∂h_j`` as far as it comes through the decoder, ``(S, ..., d)``.
        dL_dy: ``∂L/∂y_t``, by the decoder's inputs, ``(T, ..., p)``.
        encoder: at the encoder; ``encoder.dL_ds[j-1]`` is the whole ∂L/∂h_j.
        gradients: the gradients.
    """

    output: ReadoutBackward
    dL_ds: Array
    delta: Array
    dL_dr: Array
    dL_dalpha: Array
    dL_de: Array
    dL_dh: Array
    dL_dy: Array
    encoder: HiddenBackward
    gradients: AttentionParams


def forward(
    params: AttentionParams,
    xs: Array,
    ys: Array,
    targets: Array | None = None,
    *,
    f: str | Activation = "tanh",
    objective: Objective = DEFAULT_OBJECTIVE,
) -> AttentionTrace:
    """The forward pass, with given decoder inputs (teacher forcing).

    Args:
        params: the parameters; with ``score=None`` the scores are dot products.
        xs: the source, ``(S, B, n)`` or ``(S, n)``.
        ys: the decoder's inputs, ``(T, B, p)`` or ``(T, p)``.
        targets: targets of the decoder's outputs, as in ``manual.elman.forward``.
        f: the activation of encoder and decoder.
        objective: loss, output steps and reductions.

    Raises:
        ValueError: a shape doesn't fit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> def draw(*shapes):
        ...     return (rng.normal(size=shape) for shape in shapes)
        >>> params = AttentionParams(
        ...     HiddenParams(*draw((3, 2), (2, 2), (2,))),
        ...     DecoderParams(*draw((4, 2), (2, 2), (2, 2), (2, 4), (2,), (4,))),
        ... )
        >>> trace = forward(params, rng.normal(size=(6, 3)), rng.normal(size=(5, 4)), np.eye(5, 4))
        >>> trace.alpha.shape, backward(trace).gradients.decoder.C.shape
        ((5, 6), (2, 2))
    """
    decoder = params.decoder
    encoder = hidden_forward(params.encoder, xs, f=f)
    h, f = encoder.s[1:], activation(f)
    d = h.shape[-1]
    for name, matrix in (("W", decoder.W), ("C", decoder.C)):
        check_shape(matrix, (d, d), f"decoder: {name} (the size of the state is the encoder's)")
    ys = as_sequence(ys, len(decoder.U), "decoder")
    if ys.shape[1:-1] != encoder.xs.shape[1:-1]:
        raise ValueError(
            f"decoder: inputs of shape {ys.shape} and a source of shape {encoder.xs.shape} differ in their instances"
        )

    s, steps = [h[-1]], []
    for y_t in ys:
        e = _scores(params.score, s[-1], h)
        alpha = softmax(e)
        r = np.einsum("...j,j...d->...d", alpha, h)  # r_t = Σ_j α_tj h_j
        a = y_t @ decoder.U + s[-1] @ decoder.W + r @ decoder.C + decoder.b
        s.append(f.function(a))
        steps.append((e, alpha, r, a))
    e, alpha, r, a = (np.stack(rows) for rows in zip(*steps, strict=True))
    states = np.stack(s)
    output = readout.forward(decoder.V, decoder.c, states[1:], targets, objective)
    return AttentionTrace(params, encoder, ys, f, e, alpha, r, a, states, output)


def backward(trace: AttentionTrace) -> AttentionBackward:
    """Backpropagation through the decoder, the attention and the encoder.

    Raises:
        ValueError: the forward pass had no targets.
    """
    decoder, score, s = trace.params.decoder, trace.params.score, trace.s
    h = trace.encoder.s[1:]
    output = readout.backward(trace.output)
    slope = trace.f.derivative(trace.a)

    dL_dh = np.zeros_like(h, dtype=slope.dtype)
    score_gradients = None if score is None else AdditiveScore(*map(np.zeros_like, score))
    through_next = np.zeros_like(s[0])  # the part of ∂L/∂s_t through step t + 1
    steps = []
    for t in range(len(trace.ys), 0, -1):
        alpha = trace.alpha[t - 1]
        dL_ds = output.dLt_ds[t - 1] + through_next
        delta = dL_ds * slope[t - 1]
        dL_dr = delta @ decoder.C.T
        dL_dalpha = np.einsum("...d,j...d->...j", dL_dr, h)
        dL_de = alpha * (dL_dalpha - np.sum(alpha * dL_dalpha, axis=-1, keepdims=True))
        steps.append((dL_ds, delta, dL_dr, dL_dalpha, dL_de))

        back_s, back_h, back_score = _scores_backward(score, s[t - 1], h, dL_de)
        dL_dh = dL_dh + np.einsum("...j,...d->j...d", alpha, dL_dr) + back_h
        through_next = delta @ decoder.W.T + back_s
        if score_gradients is not None and back_score is not None:
            score_gradients = AdditiveScore(*(x + y for x, y in zip(score_gradients, back_score, strict=True)))

    dL_ds, delta, dL_dr, dL_dalpha, dL_de = (np.stack(rows[::-1]) for rows in zip(*steps, strict=True))
    dL_dh[-1] += through_next  # s_0 is h_S
    encoder = hidden_backward(trace.encoder, dL_dh)
    return AttentionBackward(
        output=output,
        dL_ds=dL_ds,
        delta=delta,
        dL_dr=dL_dr,
        dL_dalpha=dL_dalpha,
        dL_de=dL_de,
        dL_dh=dL_dh,
        dL_dy=delta @ decoder.U.T,
        encoder=encoder,
        gradients=AttentionParams(
            encoder=sum_steps(encoder.contributions),
            decoder=_decoder_gradients(trace, delta, output),
            score=score_gradients,
        ),
    )


def _scores(score: AdditiveScore | None, s: Array, h: Array) -> Array:
    """``e_tj`` for one step: ``(..., S)`` from ``s`` (..., d) and the memory (S, ..., d)."""
    if score is None:
        return np.einsum("...d,j...d->...j", s, h)
    return np.moveaxis(_compared(score, s, h) @ score.v, 0, -1)


def _compared(score: AdditiveScore, s: Array, h: Array) -> Array:
    """``m_tj = tanh(s_{t-1} A + h_j B)``, ``(S, ..., q)``."""
    return np.tanh(s @ score.A + h @ score.B)


def _scores_backward(
    score: AdditiveScore | None, s: Array, h: Array, dL_de: Array
) -> tuple[Array, Array, AdditiveScore | None]:
    """The gradients with respect to ``s_{t-1}``, the memory and the score's parameters, through ``e_t``."""
    if score is None:
        return (
            np.einsum("...j,j...d->...d", dL_de, h),  # Σ_j ∂L/∂e_tj h_j
            np.einsum("...j,...d->j...d", dL_de, s),  # ∂L/∂e_tj s_{t-1}
            None,
        )
    m = _compared(score, s, h)
    by_memory = np.moveaxis(dL_de, -1, 0)[..., np.newaxis]  # ∂L/∂e_tj, (S, ..., 1)
    delta = by_memory * score.v * (1 - m**2)  # δ_tj, (S, ..., q)
    every_s = np.broadcast_to(s, h.shape)
    gradients = AdditiveScore(
        A=outer_by_step(every_s, delta).sum(axis=0),  # Σ_j s_{t-1}ᵀ δ_tj
        B=outer_by_step(h, delta).sum(axis=0),  # Σ_j h_jᵀ δ_tj
        v=sum_instances_by_step(by_memory * m).sum(axis=0),  # Σ_j ∂L/∂e_tj m_tj
    )
    return delta.sum(axis=0) @ score.A.T, delta @ score.B.T, gradients


def _decoder_gradients(trace: AttentionTrace, delta: Array, output: ReadoutBackward) -> DecoderParams:
    """Sums over the steps, as in an Elman network, with the context as a second input."""
    return DecoderParams(
        U=outer_by_step(trace.ys, delta).sum(axis=0),  # Σ y_tᵀ Δ_t
        W=outer_by_step(trace.s[:-1], delta).sum(axis=0),  # Σ s_{t-1}ᵀ Δ_t
        C=outer_by_step(trace.r, delta).sum(axis=0),  # Σ r_tᵀ Δ_t
        V=output.V.sum(axis=0),
        b=sum_instances_by_step(delta).sum(axis=0),  # Σ Δ_t
        c=output.c.sum(axis=0),
    )
