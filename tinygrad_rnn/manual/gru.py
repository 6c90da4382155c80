"""The gated recurrent unit (GRU) by hand, with the reset gate after or before the product.

Forward, for ``t = 1..T``. The gates stand side by side in one pre-activation, ``r, z, n``:

- ``r_t = σ(x_t U_r + h_{t-1} W_r + b_r)``                  reset gate
- ``z_t = σ(x_t U_z + h_{t-1} W_z + b_z)``                  update gate
- ``n_t = tanh(x_t U_n + b_n + q_t)``                       candidate
- ``h_t = (1 - z_t) ∘ n_t + z_t ∘ h_{t-1}``                 state

The two conventions differ in how the old state enters the candidate:

- reset after the product:   ``q_t = r_t ∘ (h_{t-1} W_n + b_hn)``   (PyTorch, cuDNN)
- reset before the product:  ``q_t = (r_t ∘ h_{t-1}) W_n``          (the published paper)

Backward, for ``t = T..1``, with ``Δ^r, Δ^z, Δ^n`` the derivatives by the gates' arguments:

- ``∂L/∂h_t = ∂L_t/∂h_t + (what reaches it from step t + 1)``
- ``∂L/∂z_t = ∂L/∂h_t ∘ (h_{t-1} - n_t)``,   ``Δ^z_t = ∂L/∂z_t ∘ z_t (1 - z_t)``
- ``∂L/∂n_t = ∂L/∂h_t ∘ (1 - z_t)``,         ``Δ^n_t = ∂L/∂n_t ∘ (1 - n_t²)``
- ``∂L/∂r_t``, and ``Δ^r_t = ∂L/∂r_t ∘ r_t (1 - r_t)``, where

  - after:   ``∂L/∂r_t = Δ^n_t ∘ (h_{t-1} W_n + b_hn)``
  - before:  ``∂L/∂r_t = (Δ^n_t W_nᵀ) ∘ h_{t-1}``

- what reaches ``h_{t-1}`` from step t: ``∂L/∂h_t ∘ z_t + Δ^r_t W_rᵀ + Δ^z_t W_zᵀ`` and

  - after:   ``(Δ^n_t ∘ r_t) W_nᵀ``
  - before:  ``(Δ^n_t W_nᵀ) ∘ r_t``

The gradients of the parameters are sums over the steps: ``∂L/∂U = Σ x_tᵀ Δ_t``, ``∂L/∂b = Σ Δ_t``,
``∂L/∂W_r = Σ h_{t-1}ᵀ Δ^r_t``, ``∂L/∂W_z = Σ h_{t-1}ᵀ Δ^z_t`` and

- after:   ``∂L/∂W_n = Σ h_{t-1}ᵀ (Δ^n_t ∘ r_t)``, ``∂L/∂b_hn = Σ Δ^n_t ∘ r_t``
- before:  ``∂L/∂W_n = Σ (r_t ∘ h_{t-1})ᵀ Δ^n_t``

Sources: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
Machine Translation" (2014), and version 1 of its preprint (arXiv 1406.1078) for reset after the
product; ``z = 1`` keeps the old state, as in PyTorch.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

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

Reset = Literal["after", "before"]


class GRUParams(NamedTuple):
    """The parameters, and, field by field, their gradients; gates in the order r, z, n.

    Attributes:
        U: input to gates, ``(n, 3d)``.
        W: state to gates, ``(d, 3d)``.
        b: bias, ``(3d,)``.
        b_hn: the bias inside the reset product, ``(d,)``; only with reset after the product, and
            None for none.
    """

    U: Array
    W: Array
    b: Array
    b_hn: Array | None = None


class GRUTrace(NamedTuple):
    """The quantities of the forward pass; row ``t - 1`` belongs to step t, except in ``h``.

    Attributes:
        params: the parameters.
        reset: the place of the reset gate.
        xs: inputs, ``(T, ..., n)``.
        r: reset gates, ``(T, ..., d)``.
        z: update gates, ``(T, ..., d)``.
        n: candidates, ``(T, ..., d)``.
        h: states ``h_0 .. h_T``, ``(T + 1, ..., d)``: ``h[t]`` is h_t.
    """

    params: GRUParams
    reset: Reset
    xs: Array
    r: Array
    z: Array
    n: Array
    h: Array


class GRUBackward(NamedTuple):
    """The derivatives of the loss; row ``t - 1`` belongs to step ``t``.

    Attributes:
        dL_dh: ``∂L/∂h_t``, ``(T, ..., d)``.
        dL_dr: ``∂L/∂r_t``, ``(T, ..., d)``.
        dL_dz: ``∂L/∂z_t``, ``(T, ..., d)``.
        dL_dn: ``∂L/∂n_t``, ``(T, ..., d)``.
        delta: ``Δ_t``, by the gates' arguments, ``(T, ..., 3d)``.
        dL_dh0: ``∂L/∂h_0``, ``(..., d)``.
        dL_dx: ``∂L/∂x_t``, ``(T, ..., n)``.
        contributions: the steps' contributions to the gradients, each ``(T, *parameter shape)``.
        gradients: their sums over the steps.
    """

    dL_dh: Array
    dL_dr: Array
    dL_dz: Array
    dL_dn: Array
    delta: Array
    dL_dh0: Array
    dL_dx: Array
    contributions: GRUParams
    gradients: GRUParams


def forward(params: GRUParams, xs: Array, h0: Array | None = None, *, reset: Reset = "after") -> GRUTrace:
    """The forward pass.

    Args:
        params: ``U``, ``W``, ``b`` and, with reset after the product, ``b_hn``.
        xs: ``(T, B, n)`` or ``(T, n)``.
        h0: initial state, ``(B, d)`` or ``(d,)``; zeros by default.
        reset: ``"after"`` or ``"before"`` the product with ``W_n``.

    Returns:
        Every gate and state. An output layer and a loss go on top of ``trace.h[1:]``:
        ``manual.readout``.

    Raises:
        ValueError: a shape doesn't fit, or ``b_hn`` is given with reset before the product.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> params = GRUParams(*(rng.normal(size=s) for s in [(3, 6), (2, 6), (6,), (2,)]))
        >>> trace = forward(params, rng.normal(size=(5, 3)))
        >>> back = backward(trace, dLt_dh=np.ones((5, 2)))   # the loss is the sum of all h_t
        >>> back.gradients.b_hn.shape
        (2,)
    """
    xs, d = _check(params, xs, reset)
    W_r, W_z, W_n = np.split(params.W, 3, axis=1)
    h = [as_state(h0, (*xs.shape[1:-1], d), params.W, "GRU: the initial state h0")]
    gates = []
    for x_t in xs:
        x_r, x_z, x_n = np.split(x_t @ params.U + params.b, 3, axis=-1)
        r = SIGMOID.function(x_r + h[-1] @ W_r)
        z = SIGMOID.function(x_z + h[-1] @ W_z)
        q = r * _product(params, h[-1]) if reset == "after" else (r * h[-1]) @ W_n
        n = TANH.function(x_n + q)
        h.append((1 - z) * n + z * h[-1])  # h_t = (1 - z_t) ∘ n_t + z_t ∘ h_{t-1}
        gates.append((r, z, n))
    r, z, n = (np.stack(gate) for gate in zip(*gates, strict=True))
    return GRUTrace(params, reset, xs, r, z, n, np.stack(h))


def backward(trace: GRUTrace, dLt_dh: Array) -> GRUBackward:
    """Backpropagation through time.

    Args:
        trace: the result of ``forward``.
        dLt_dh: ``∂L_t/∂h_t``, the gradient that reaches each state from above, ``(T, ..., d)``. A gradient of the final
            state belongs in the last row.

    Returns:
        The gradients and every derivative on the way to them.

    Raises:
        ValueError: a shape doesn't fit.
    """
    h, after = trace.h, trace.reset == "after"
    dLt_dh = check_shape(dLt_dh, h[1:].shape, "GRU: dLt_dh")
    W_r, W_z, W_n = np.split(trace.params.W, 3, axis=1)

    from_next = np.zeros_like(h[0])  # the part of ∂L/∂h_t through step t + 1
    steps = []
    for t in range(len(trace.xs), 0, -1):
        r, z, n = trace.r[t - 1], trace.z[t - 1], trace.n[t - 1]
        dL_dh = dLt_dh[t - 1] + from_next
        dL_dz = dL_dh * (h[t - 1] - n)
        dL_dn = dL_dh * (1 - z)
        delta_z = dL_dz * z * (1 - z)
        delta_n = dL_dn * (1 - n**2)
        if after:
            dL_dr = delta_n * _product(trace.params, h[t - 1])
            through_candidate = (delta_n * r) @ W_n.T
        else:
            at_product = delta_n @ W_n.T  # ∂L/∂(r_t ∘ h_{t-1})
            dL_dr = at_product * h[t - 1]
            through_candidate = at_product * r
        delta_r = dL_dr * r * (1 - r)
        delta = np.concatenate([delta_r, delta_z, delta_n], axis=-1)
        steps.append((dL_dh, dL_dr, dL_dz, dL_dn, delta))
        from_next = dL_dh * z + delta_r @ W_r.T + delta_z @ W_z.T + through_candidate

    dL_dh, dL_dr, dL_dz, dL_dn, delta = (np.stack(rows[::-1]) for rows in zip(*steps, strict=True))
    contributions = _contributions(trace, delta)
    return GRUBackward(
        dL_dh=dL_dh,
        dL_dr=dL_dr,
        dL_dz=dL_dz,
        dL_dn=dL_dn,
        delta=delta,
        dL_dh0=from_next,
        dL_dx=delta @ trace.params.U.T,
        contributions=contributions,
        gradients=sum_steps(contributions),
    )


def _product(params: GRUParams, h: Array) -> Array:
    """The product ``h W_n + b_hn``, which the reset gate multiplies when it comes after the product."""
    W_n = np.split(params.W, 3, axis=1)[2]
    return h @ W_n if params.b_hn is None else h @ W_n + params.b_hn


def _contributions(trace: GRUTrace, delta: Array) -> GRUParams:
    """The contribution of each step to the gradients."""
    before = trace.h[:-1]  # h_{t-1}
    delta_r, delta_z, delta_n = np.split(delta, 3, axis=-1)
    if trace.reset == "after":
        at_product = delta_n * trace.r
        W_n = outer_by_step(before, at_product)  # h_{t-1}ᵀ (Δ^n_t ∘ r_t)
        b_hn = None if trace.params.b_hn is None else sum_instances_by_step(at_product)
    else:
        W_n, b_hn = outer_by_step(trace.r * before, delta_n), None  # (r_t ∘ h_{t-1})ᵀ Δ^n_t
    W_r, W_z = outer_by_step(before, delta_r), outer_by_step(before, delta_z)
    return GRUParams(
        U=outer_by_step(trace.xs, delta),  # x_tᵀ Δ_t
        W=np.concatenate([W_r, W_z, W_n], axis=-1),
        b=sum_instances_by_step(delta),  # Δ_t
        b_hn=b_hn,
    )


def _check(params: GRUParams, xs: Array, reset: str) -> tuple[Array, int]:
    """The inputs and the size of the state, after checking that everything fits together."""
    if reset not in ("after", "before"):
        raise ValueError(f"GRU: reset is 'after' or 'before' the product, not {reset!r}")
    (n, _), d = params.U.shape, len(params.W)
    check_shape(params.U, (n, 3 * d), "GRU: U (gates r, z, n side by side)")
    check_shape(params.W, (d, 3 * d), "GRU: W (gates r, z, n side by side)")
    check_shape(params.b, (3 * d,), "GRU: b")
    if params.b_hn is not None:
        if reset == "before":
            raise ValueError("GRU: b_hn stands in the product; with reset='before' there is none")
        check_shape(params.b_hn, (d,), "GRU: b_hn")
    return as_sequence(xs, n, "GRU"), d
