"""A network with skip connections between states, by hand.

The state depends on the one before it and on some older ones, ``lag`` steps back. The older ones enter by matrices of
their own, inside the activation:

- ``a_t = x_t U + s_{t-1} W + Σ_j s_{t-lag_j} M_j + b``,  ``s_t = f(a_t)``

or by addition, after the activation (a residual connection over time):

- ``a_t = x_t U + s_{t-1} W + b``,  ``s_t = f(a_t) + Σ_j s_{t-lag_j}``

Backward, for ``t = T..1``. A state now acts on several later ones, and its derivative is the sum of
their contributions:

- ``∂L/∂s_t = ∂L_t/∂s_t + Δ_{t+1} Wᵀ + Σ_j Δ_{t+lag_j} M_jᵀ``   by matrices
- ``∂L/∂s_t = ∂L_t/∂s_t + Δ_{t+1} Wᵀ + Σ_j ∂L/∂s_{t+lag_j}``    by addition
- ``Δ_t = ∂L/∂a_t = ∂L/∂s_t ∘ f'(a_t)``

with terms beyond ``T`` absent. The gradients are sums over the steps: ``∂L/∂U``, ``∂L/∂W`` and
``∂L/∂b`` as in ``manual.elman``, and ``∂L/∂M_j = Σ_t s_{t-lag_j}ᵀ Δ_t``.

Note that by addition the state isn't ``f(a)`` any more, so that ``f'`` must be taken from ``a``.

Source: proposed in "Under The Hood of Neural Networks. Part 2: Recurrent", summary ("residual
connections between states (so that every state depends not only on the previous state ...)"); Lin
et al., "Learning long-term dependencies in NARX recurrent neural networks" (1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .activations import Activation, activation
from .arrays import (
    Array,
    as_sequence,
    as_state,
    check_shape,
    outer_by_step,
    sum_instances_by_step,
    sum_steps,
)


class SkipParams(NamedTuple):
    """The parameters, and, field by field, their gradients.

    Attributes:
        U: input to hidden, ``(n, d)``.
        W: previous state to hidden, ``(d, d)``.
        b: bias, ``(d,)``.
        M: older states to hidden, one matrix for each lag, ``(number of lags, d, d)``; None for
            skip connections by addition.
    """

    U: Array
    W: Array
    b: Array
    M: Array | None = None


class SkipTrace(NamedTuple):
    """The quantities of the forward pass.

    Attributes:
        params: the parameters.
        lags: the number of steps that each skip connection reaches back.
        xs: inputs, ``(T, ..., n)``.
        f: the activation.
        a: pre-activations, ``(T, ..., d)``: ``a[t-1]`` is a_t.
        states: all states, the given ones first, ``(H + T, ..., d)`` with the longest reach ``H``:
            ``states[H - 1 + t]`` is s_t, and ``states[H - 1]`` is s_0.
    """

    params: SkipParams
    lags: tuple[int, ...]
    xs: Array
    f: Activation
    a: Array
    states: Array

    @property
    def s(self) -> Array:
        """``s_0 .. s_T``, ``(T + 1, ..., d)``: ``s[t]`` is s_t."""
        return self.lagged(0, from_step=0)

    def lagged(self, lag: int, from_step: int = 1) -> Array:
        """``s_{t-lag}`` for ``t = from_step..T``."""
        T = len(self.xs)
        start = len(self.states) - T - 1 + from_step - lag
        return self.states[start : start + T + 1 - from_step]


class SkipBackward(NamedTuple):
    """The derivatives of the loss; row ``t - 1`` belongs to step ``t``.

    Attributes:
        dL_ds: ``∂L/∂s_t``, through all that follows, ``(T, ..., d)``.
        delta: ``Δ_t = ∂L/∂a_t``, ``(T, ..., d)``.
        dL_dhistory: ``∂L/∂s_{1-H} .. ∂L/∂s_0``, for the given states, ``(H, ..., d)``.
        dL_dx: ``∂L/∂x_t``, ``(T, ..., n)``.
        contributions: the steps' contributions to the gradients, each ``(T, *parameter shape)``.
        gradients: their sums over the steps.
    """

    dL_ds: Array
    delta: Array
    dL_dhistory: Array
    dL_dx: Array
    contributions: SkipParams
    gradients: SkipParams


def forward(
    params: SkipParams,
    xs: Array,
    lags: Sequence[int],
    *,
    history: Array | None = None,
    f: str | Activation = "tanh",
) -> SkipTrace:
    """The forward pass.

    Args:
        params: ``U``, ``W``, ``b``, and ``M`` for skip connections by matrices.
        xs: ``(T, B, n)`` or ``(T, n)``.
        lags: the number of steps that each skip connection reaches back; lag 2 is the state before the previous one.
        history: the states before the first step in order of time, the last one s_0:
            ``(H, ..., d)`` with ``H = max(1, *lags)``. Zeros by default.
        f: the activation.

    Returns:
        Pre-activations and states. An output layer and a loss go on top of ``trace.s[1:]``:
        ``manual.readout``.

    Raises:
        ValueError: a shape doesn't fit, or a lag is below 1.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> by_addition = SkipParams(*(0.1 * rng.normal(size=s) for s in [(3, 2), (2, 2), (2,)]))
        >>> trace = forward(by_addition, rng.normal(size=(5, 3)), lags=[2, 3])
        >>> backward(trace, dLt_ds=np.ones((5, 2))).gradients.W.shape
        (2, 2)
    """
    U, W, b, M = params
    n, d = U.shape
    reach = tuple(int(lag) for lag in lags)
    if any(lag < 1 for lag in reach):
        raise ValueError(f"skip connections: the lags {reach} must be 1 or more")
    check_shape(W, (d, d), "skip connections: W")
    check_shape(b, (d,), "skip connections: b")
    if M is not None:
        check_shape(M, (len(reach), d, d), "skip connections: M (one matrix for each lag)")
    xs = as_sequence(xs, n, "skip connections")
    f = activation(f)

    H = max((1, *reach))
    given = as_state(history, (H, *xs.shape[1:-1], d), W, "skip connections: the history")
    states, a = list(given), []
    for x_t in xs:
        older = [states[-lag] for lag in reach]  # s_{t-lag}
        a_t = x_t @ U + states[-1] @ W + b
        if M is None:
            s_t = f.function(a_t)
            for s in older:
                s_t = s_t + s  # past the activation
        else:
            for s, M_j in zip(older, M, strict=True):
                a_t = a_t + s @ M_j  # inside the activation
            s_t = f.function(a_t)
        a.append(a_t)
        states.append(s_t)
    return SkipTrace(params, reach, xs, f, np.stack(a), np.stack(states))


def backward(trace: SkipTrace, dLt_ds: Array) -> SkipBackward:
    """Backpropagation through time, along all connections.

    Args:
        trace: the result of ``forward``.
        dLt_ds: ``∂L_t/∂s_t``, the gradient that reaches each state from above, ``(T, ..., d)``.

    Returns:
        The gradients and every derivative on the way to them.

    Raises:
        ValueError: a shape doesn't fit.
    """
    U, W, _, M = trace.params
    dLt_ds = check_shape(dLt_ds, trace.a.shape, "skip connections: dLt_ds")
    slope = trace.f.derivative(trace.a)
    T = len(trace.xs)
    H = len(trace.states) - T

    dL_ds = np.concatenate([np.zeros_like(trace.states[:H]), dLt_ds])  # collects the gradients from all later steps
    dL_ds = dL_ds.astype(np.result_type(dL_ds, slope))
    delta = np.empty_like(dL_ds[H:])
    for t in range(T, 0, -1):
        now = H - 1 + t  # the row of s_t, to which all later steps have contributed
        delta[t - 1] = dL_ds[now] * slope[t - 1]  # Δ_t = ∂L/∂s_t ∘ f'(a_t)
        dL_ds[now - 1] += delta[t - 1] @ W.T
        for j, lag in enumerate(trace.lags):
            dL_ds[now - lag] += dL_ds[now] if M is None else delta[t - 1] @ M[j].T

    contributions = SkipParams(
        U=outer_by_step(trace.xs, delta),  # x_tᵀ Δ_t
        W=outer_by_step(trace.lagged(1), delta),  # s_{t-1}ᵀ Δ_t
        b=sum_instances_by_step(delta),  # Δ_t
        M=None if M is None else _skip_contributions(trace, delta),
    )
    return SkipBackward(
        dL_ds=dL_ds[H:],
        delta=delta,
        dL_dhistory=dL_ds[:H],
        dL_dx=delta @ U.T,
        contributions=contributions,
        gradients=sum_steps(contributions),
    )


def _skip_contributions(trace: SkipTrace, delta: Array) -> Array:
    """``s_{t-lag}ᵀ Δ_t`` for every step and lag, ``(T, number of lags, d, d)``."""
    T, d = len(delta), delta.shape[-1]
    M = np.empty((T, len(trace.lags), d, d), dtype=delta.dtype)
    for j, lag in enumerate(trace.lags):
        M[:, j] = outer_by_step(trace.lagged(lag), delta)
    return M
