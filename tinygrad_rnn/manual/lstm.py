"""Long short-term memory (LSTM) by hand, with and without peepholes.

Forward, for ``t = 1..T``. The gates stand side by side in one pre-activation, ``i, f, g, o``:

- ``a_t = x_t U + h_{t-1} W + b``            ``(..., 4d)``, cut into ``a_i, a_f, a_g, a_o``
- ``i_t = σ(a_i + p_i ∘ c_{t-1})``           input gate
- ``f_t = σ(a_f + p_f ∘ c_{t-1})``           forget gate
- ``g_t = tanh(a_g)``                        candidate
- ``c_t = f_t ∘ c_{t-1} + i_t ∘ g_t``        cell state
- ``o_t = σ(a_o + p_o ∘ c_t)``               output gate
- ``h_t = o_t ∘ tanh(c_t)``                  hidden state

The peepholes ``p_i, p_f, p_o`` let the gates see the cell state; without them those terms are
absent.

Backward, for ``t = T..1``, with ``Δ^i, Δ^f, Δ^g, Δ^o`` the derivatives by the gates' arguments (the
brackets above), side by side in ``Δ_t``:

- ``∂L/∂h_t = ∂L_t/∂h_t + Δ_{t+1} Wᵀ``
- ``∂L/∂o_t = ∂L/∂h_t ∘ tanh(c_t)``,         ``Δ^o_t = ∂L/∂o_t ∘ o_t (1 - o_t)``
- ``∂L/∂c_t = ∂L/∂h_t ∘ o_t ∘ (1 - tanh² c_t) + Δ^o_t ∘ p_o``
  ``+ ∂L/∂c_{t+1} ∘ f_{t+1} + Δ^i_{t+1} ∘ p_i + Δ^f_{t+1} ∘ p_f``
- ``∂L/∂i_t = ∂L/∂c_t ∘ g_t``,               ``Δ^i_t = ∂L/∂i_t ∘ i_t (1 - i_t)``
- ``∂L/∂f_t = ∂L/∂c_t ∘ c_{t-1}``,           ``Δ^f_t = ∂L/∂f_t ∘ f_t (1 - f_t)``
- ``∂L/∂g_t = ∂L/∂c_t ∘ i_t``,               ``Δ^g_t = ∂L/∂g_t ∘ (1 - g_t²)``

The path ``∂L/∂c_{t+1} ∘ f_{t+1}`` meets no matrix and no activation's derivative; that is what
keeps a gradient alive over long times. The gradients of the parameters are sums over the steps:

- ``∂L/∂U = Σ x_tᵀ Δ_t``, ``∂L/∂W = Σ h_{t-1}ᵀ Δ_t``, ``∂L/∂b = Σ Δ_t``
- ``∂L/∂p_i = Σ Δ^i_t ∘ c_{t-1}``, ``∂L/∂p_f = Σ Δ^f_t ∘ c_{t-1}``, ``∂L/∂p_o = Σ Δ^o_t ∘ c_t``

Sources: Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997); Gers, Schraudolph and
Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks" (2002), for forget gate and
peepholes; Greff et al., "LSTM: A Search Space Odyssey" (2017), appendix A, for this backward pass.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .activations import SIGMOID, TANH
from .arrays import (
    Array,
    as_sequence,
    as_state,
    check_shape,
    outer_by_step,
    sum_instances_by_step,
    sum_steps,
)


class LSTMParams(NamedTuple):
    """The parameters, and, field by field, their gradients; gates in the order i, f, g, o.

    Attributes:
        U: input to gates, ``(n, 4d)``.
        W: hidden to gates, ``(d, 4d)``.
        b: bias, ``(4d,)``.
        P: peepholes ``p_i, p_f, p_o`` as rows, ``(3, d)``; None without peepholes.
    """

    U: Array
    W: Array
    b: Array
    P: Array | None = None


class LSTMTrace(NamedTuple):
    """The quantities of the forward pass; row ``t - 1`` belongs to step t, except in ``h`` and ``c``.

    Attributes:
        params: the parameters.
        xs: inputs, ``(T, ..., n)``.
        i: input gates, ``(T, ..., d)``.
        f: forget gates, ``(T, ..., d)``.
        g: candidates, ``(T, ..., d)``.
        o: output gates, ``(T, ..., d)``.
        c: cell states ``c_0 .. c_T``, ``(T + 1, ..., d)``: ``c[t]`` is c_t.
        h: hidden states ``h_0 .. h_T``, ``(T + 1, ..., d)``: ``h[t]`` is h_t.
    """

    params: LSTMParams
    xs: Array
    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    h: Array


class LSTMBackward(NamedTuple):
    """The derivatives of the loss; row ``t - 1`` belongs to step ``t``.

    Attributes:
        dL_dh: ``∂L/∂h_t``, ``(T, ..., d)``.
        dL_dc: ``∂L/∂c_t``, ``(T, ..., d)``.
        dL_di: ``∂L/∂i_t``, ``(T, ..., d)``.
        dL_df: ``∂L/∂f_t``, ``(T, ..., d)``.
        dL_dg: ``∂L/∂g_t``, ``(T, ..., d)``.
        dL_do: ``∂L/∂o_t``, ``(T, ..., d)``.
        delta: ``Δ_t``, by the gates' arguments, ``(T, ..., 4d)``.
        dL_dh0: ``∂L/∂h_0``, ``(..., d)``.
        dL_dc0: ``∂L/∂c_0``, ``(..., d)``.
        dL_dx: ``∂L/∂x_t``, ``(T, ..., n)``.
        contributions: the steps' contributions to the gradients, each ``(T, *parameter shape)``.
        gradients: their sums over the steps.
    """

    dL_dh: Array
    dL_dc: Array
    dL_di: Array
    dL_df: Array
    dL_dg: Array
    dL_do: Array
    delta: Array
    dL_dh0: Array
    dL_dc0: Array
    dL_dx: Array
    contributions: LSTMParams
    gradients: LSTMParams


def forward(params: LSTMParams, xs: Array, h0: Array | None = None, c0: Array | None = None) -> LSTMTrace:
    """The forward pass.

    Args:
        params: ``U``, ``W``, ``b`` and, with peepholes, ``P``.
        xs: ``(T, B, n)`` or ``(T, n)``.
        h0: initial hidden state, ``(B, d)`` or ``(d,)``; zeros by default.
        c0: initial cell state, of the same shape; zeros by default.

    Returns:
        Every gate and state. An output layer and a loss go on top of ``trace.h[1:]``:
        ``manual.readout``.

    Raises:
        ValueError: a shape doesn't fit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> params = LSTMParams(*(rng.normal(size=s) for s in [(3, 8), (2, 8), (8,)]))
        >>> trace = forward(params, rng.normal(size=(5, 3)))
        >>> back = backward(trace, dLt_dh=np.ones((5, 2)))   # the loss is the sum of all h_t
        >>> back.gradients.W.shape
        (2, 8)
    """
    U, W, b, P = params
    xs, d = _check(params, xs)
    state_shape = (*xs.shape[1:-1], d)
    h = [as_state(h0, state_shape, W, "LSTM: the initial hidden state h0")]
    c = [as_state(c0, state_shape, W, "LSTM: the initial cell state c0")]
    gates = []
    for x_t in xs:
        a_i, a_f, a_g, a_o = np.split(x_t @ U + h[-1] @ W + b, 4, axis=-1)
        if P is not None:
            a_i, a_f = a_i + P[0] * c[-1], a_f + P[1] * c[-1]
        i, f, g = SIGMOID.function(a_i), SIGMOID.function(a_f), TANH.function(a_g)
        c.append(f * c[-1] + i * g)  # c_t = f_t ∘ c_{t-1} + i_t ∘ g_t
        if P is not None:
            a_o = a_o + P[2] * c[-1]
        o = SIGMOID.function(a_o)
        h.append(o * np.tanh(c[-1]))  # h_t = o_t ∘ tanh(c_t)
        gates.append((i, f, g, o))
    i, f, g, o = (np.stack(gate) for gate in zip(*gates, strict=True))
    return LSTMTrace(params, xs, i, f, g, o, np.stack(c), np.stack(h))


def backward(trace: LSTMTrace, dLt_dh: Array, dL_dcT: Array | None = None) -> LSTMBackward:
    """Backpropagation through time.

    Args:
        trace: the result of ``forward``.
        dLt_dh: ``∂L_t/∂h_t``, the gradient that reaches each hidden state from above, ``(T, ..., d)``. A gradient of
            the final hidden state belongs in the last row.
        dL_dcT: ``∂L/∂c_T``, if the loss depends on the final cell state directly, ``(..., d)``.

    Returns:
        The gradients and every derivative on the way to them.

    Raises:
        ValueError: a shape doesn't fit.
    """
    h, c, W = trace.h, trace.c, trace.params.W
    P = np.zeros_like(c, shape=(3, c.shape[-1])) if trace.params.P is None else trace.params.P
    p_i, p_f, p_o = P
    dLt_dh = check_shape(dLt_dh, h[1:].shape, "LSTM: dLt_dh")
    h_from_next = np.zeros_like(h[0])  # the parts of ∂L/∂h_t and ∂L/∂c_t through step t + 1
    c_from_next = as_state(dL_dcT, c[0].shape, c, "LSTM: dL_dcT")

    steps = []
    for t in range(len(trace.xs), 0, -1):
        i, f, g, o = trace.i[t - 1], trace.f[t - 1], trace.g[t - 1], trace.o[t - 1]
        tanh_c = np.tanh(c[t])
        dL_dh = dLt_dh[t - 1] + h_from_next  # ∂L/∂h_t = ∂L_t/∂h_t + Δ_{t+1} Wᵀ
        dL_do = dL_dh * tanh_c
        delta_o = dL_do * o * (1 - o)
        dL_dc = dL_dh * o * (1 - tanh_c**2) + delta_o * p_o + c_from_next
        dL_di, dL_df, dL_dg = dL_dc * g, dL_dc * c[t - 1], dL_dc * i
        delta_i = dL_di * i * (1 - i)
        delta_f = dL_df * f * (1 - f)
        delta_g = dL_dg * (1 - g**2)
        delta = np.concatenate([delta_i, delta_f, delta_g, delta_o], axis=-1)
        steps.append((dL_dh, dL_dc, dL_di, dL_df, dL_dg, dL_do, delta))
        h_from_next = delta @ W.T
        c_from_next = dL_dc * f + delta_i * p_i + delta_f * p_f

    dL_dh, dL_dc, dL_di, dL_df, dL_dg, dL_do, delta = (np.stack(rows[::-1]) for rows in zip(*steps, strict=True))
    contributions = _contributions(trace, delta)
    return LSTMBackward(
        dL_dh=dL_dh,
        dL_dc=dL_dc,
        dL_di=dL_di,
        dL_df=dL_df,
        dL_dg=dL_dg,
        dL_do=dL_do,
        delta=delta,
        dL_dh0=h_from_next,
        dL_dc0=c_from_next,
        dL_dx=delta @ trace.params.U.T,
        contributions=contributions,
        gradients=sum_steps(contributions),
    )


def _contributions(trace: LSTMTrace, delta: Array) -> LSTMParams:
    """The contribution of each step to the gradients."""
    peepholes = None
    if trace.params.P is not None:
        delta_i, delta_f, _, delta_o = np.split(delta, 4, axis=-1)
        before, after = trace.c[:-1], trace.c[1:]
        peepholes = np.stack(
            [
                sum_instances_by_step(delta_i * before),  # Δ^i_t ∘ c_{t-1}
                sum_instances_by_step(delta_f * before),  # Δ^f_t ∘ c_{t-1}
                sum_instances_by_step(delta_o * after),  # Δ^o_t ∘ c_t
            ],
            axis=1,
        )
    return LSTMParams(
        U=outer_by_step(trace.xs, delta),  # x_tᵀ Δ_t
        W=outer_by_step(trace.h[:-1], delta),  # h_{t-1}ᵀ Δ_t
        b=sum_instances_by_step(delta),  # Δ_t
        P=peepholes,
    )


def _check(params: LSTMParams, xs: Array) -> tuple[Array, int]:
    """The inputs and the size of the state, after checking that the shapes fit together."""
    (n, _), d = params.U.shape, len(params.W)
    check_shape(params.U, (n, 4 * d), "LSTM: U (gates i, f, g, o side by side)")
    check_shape(params.W, (d, 4 * d), "LSTM: W (gates i, f, g, o side by side)")
    check_shape(params.b, (4 * d,), "LSTM: b")
    if params.P is not None:
        check_shape(params.P, (3, d), "LSTM: P (peepholes of i, f, o as rows)")
    return as_sequence(xs, n, "LSTM"), d
