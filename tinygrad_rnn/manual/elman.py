"""The Elman network by hand: forward pass and backpropagation through time (BPTT).

Forward, for ``t = 1..T`` with the initial state ``s_0``:

- ``a_t = x_t U + s_{t-1} W + b``          pre-activation
- ``s_t = f(a_t)``                         state
- ``z_t = s_t V + c``, ``o_t = f_o(z_t)``  output, at the steps that have one
- ``L = Σ_t L_t(o_t, y_t)``                loss

Backward, for ``t = T..1``. The state ``s_t`` acts on the loss in two ways, through its own output
and through the next state, so its derivative has two terms:

- ``∂L/∂s_t = ∂L_t/∂s_t + Δ_{t+1} Wᵀ``, with ``Δ_{T+1} = 0``
- ``Δ_t = ∂L/∂a_t = ∂L/∂s_t ∘ f'(a_t)``

Every step uses the same parameters, so their gradients are sums over the steps:

- ``∂L/∂U = Σ_t x_tᵀ Δ_t``
- ``∂L/∂W = Σ_t s_{t-1}ᵀ Δ_t``
- ``∂L/∂b = Σ_t Δ_t``
- ``∂L/∂V``, ``∂L/∂c``: see ``manual.readout``

Sources: the article "Under The Hood of Neural Networks. Part 2: Recurrent" (its letters, and those of other articles,
are translated in ``manual.letters``); Elman, "Finding Structure in Time" (1990);
Goodfellow, Bengio and Courville, "Deep Learning", section 10.2.2.

Shapes: ``x_t`` is ``(B, n)`` or ``(n,)``, ``s_t`` is ``(B, d)`` or ``(d,)``, ``o_t`` is ``(B, k)``
or ``(k,)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import readout
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
from .readout import DEFAULT_OBJECTIVE, Objective, ReadoutTrace


class ElmanParams(NamedTuple):
    """The parameters, and, field by field, their gradients.

    Attributes:
        U: input to hidden, ``(n, d)``.
        W: hidden to hidden, ``(d, d)``.
        V: hidden to output, ``(d, k)``.
        b: hidden bias, ``(d,)``.
        c: output bias, ``(k,)``.
    """

    U: Array
    W: Array
    V: Array
    b: Array
    c: Array


class HiddenParams(NamedTuple):
    """The parameters of the recurrence alone: ``U`` (n, d), ``W`` (d, d), ``b`` (d,)."""

    U: Array
    W: Array
    b: Array


HasHiddenParams = ElmanParams | HiddenParams


class HiddenTrace(NamedTuple):
    """The quantities of the recurrence.

    Attributes:
        params: whatever holds ``U``, ``W`` and ``b``.
        xs: inputs ``x_1 .. x_T``, ``(T, ..., n)``.
        f: the activation.
        a: pre-activations ``a_1 .. a_T``, ``(T, ..., d)``: ``a[t-1]`` is a_t.
        s: states ``s_0 .. s_T``, ``(T + 1, ..., d)``: ``s[t]`` is s_t, ``s[0]`` the initial one.
    """

    params: HasHiddenParams
    xs: Array
    f: Activation
    a: Array
    s: Array


class HiddenBackward(NamedTuple):
    """The derivatives of the loss at the recurrence; row ``t - 1`` belongs to step ``t``.

    Attributes:
        dL_ds: ``∂L/∂s_t``, through all that follows, ``(T, ..., d)``.
        delta: ``Δ_t = ∂L/∂a_t``, ``(T, ..., d)``.
        dL_ds0: ``∂L/∂s_0``, ``(..., d)``.
        dL_dx: ``∂L/∂x_t``, ``(T, ..., n)``.
        contributions: the steps' contributions to the gradients, each ``(T, *parameter shape)``.
    """

    dL_ds: Array
    delta: Array
    dL_ds0: Array
    dL_dx: Array
    contributions: HiddenParams


class ElmanTrace(NamedTuple):
    """The whole forward pass: the recurrence and, on top of it, outputs and loss."""

    hidden: HiddenTrace
    output: ReadoutTrace

    @property
    def a(self) -> Array:
        """Pre-activations, ``(T, ..., d)``: ``a[t-1]`` is a_t."""
        return self.hidden.a

    @property
    def s(self) -> Array:
        """States, ``(T + 1, ..., d)``: ``s[t]`` is s_t, ``s[0]`` the initial one."""
        return self.hidden.s

    @property
    def o(self) -> Array:
        """Outputs at the output steps, ``(m, ..., k)``."""
        return self.output.o

    @property
    def L(self) -> Array | None:
        """The losses of the output steps, ``(m,)``."""
        return self.output.L

    @property
    def loss(self) -> Array | None:
        """The loss ``L``, a scalar; None without targets."""
        return self.output.loss


class ElmanBackward(NamedTuple):
    """The whole backward pass; row ``t - 1`` of each array belongs to step ``t``.

    Attributes:
        dL_dz: ``∂L/∂z_t``, ``(T, ..., k)``; zero at steps without an output.
        dLt_ds: ``∂L_t/∂s_t``, through the step's own output only, ``(T, ..., d)``.
        dL_ds: ``∂L/∂s_t``, through all that follows, ``(T, ..., d)``.
        delta: ``Δ_t = ∂L/∂a_t``, ``(T, ..., d)``.
        dL_ds0: ``∂L/∂s_0``, ``(..., d)``.
        dL_dx: ``∂L/∂x_t``, ``(T, ..., n)``.
        contributions: the steps' contributions to the gradients, each ``(T, *parameter shape)``.
        gradients: their sums over the steps.
    """

    dL_dz: Array
    dLt_ds: Array
    dL_ds: Array
    delta: Array
    dL_ds0: Array
    dL_dx: Array
    contributions: ElmanParams
    gradients: ElmanParams


def forward(
    params: ElmanParams,
    xs: Array,
    targets: Array | None = None,
    *,
    s0: Array | None = None,
    f: str | Activation = "tanh",
    objective: Objective = DEFAULT_OBJECTIVE,
) -> ElmanTrace:
    """The forward pass.

    Args:
        params: ``U``, ``W``, ``V``, ``b``, ``c``.
        xs: ``x_1 .. x_T``, ``(T, B, n)`` or ``(T, n)``.
        targets: ``y_t`` at the ``m`` output steps, ``(m, B, k)`` or ``(m, k)``; None for no loss.
        s0: the initial state, ``(B, d)`` or ``(d,)``; zeros by default.
        f: the activation of the state.
        objective: loss, output steps and reductions.

    Returns:
        Every intermediate quantity, for ``backward``.

    Raises:
        ValueError: a shape doesn't fit, a name is unknown, or a step lies outside ``1..T``.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> params = random_params(n=3, d=2, k=4, rng=rng)
        >>> trace = forward(params, rng.normal(size=(5, 3)), np.eye(4)[[0]],
        ...                 objective=Objective("softmax_cross_entropy", steps="last"))
        >>> trace.s.shape, trace.o.shape
        ((6, 2), (1, 4))
        >>> backward(trace).gradients.W.shape
        (2, 2)
    """
    hidden = hidden_forward(params, xs, s0, f)
    return ElmanTrace(hidden, readout.forward(params.V, params.c, hidden.s[1:], targets, objective))


def backward(trace: ElmanTrace) -> ElmanBackward:
    """Backpropagation through time.

    Args:
        trace: the result of ``forward``, with targets.

    Returns:
        The gradients and every derivative on the way to them.

    Raises:
        ValueError: the forward pass had no targets.
    """
    output = readout.backward(trace.output)
    hidden = hidden_backward(trace.hidden, output.dLt_ds)
    contributions = ElmanParams(
        U=hidden.contributions.U,
        W=hidden.contributions.W,
        V=output.V,
        b=hidden.contributions.b,
        c=output.c,
    )
    return ElmanBackward(
        dL_dz=output.dL_dz,
        dLt_ds=output.dLt_ds,
        dL_ds=hidden.dL_ds,
        delta=hidden.delta,
        dL_ds0=hidden.dL_ds0,
        dL_dx=hidden.dL_dx,
        contributions=contributions,
        gradients=sum_steps(contributions),
    )


def hidden_forward(
    params: HasHiddenParams, xs: Array, s0: Array | None = None, f: str | Activation = "tanh"
) -> HiddenTrace:
    """The recurrence ``s_t = f(x_t U + s_{t-1} W + b)``.

    Args:
        params: ``U`` (n, d), ``W`` (d, d), ``b`` (d,).
        xs: ``(T, B, n)`` or ``(T, n)``.
        s0: ``(B, d)`` or ``(d,)``; zeros by default.
        f: the activation.

    Returns:
        Pre-activations and states.

    Raises:
        ValueError: a shape doesn't fit.
    """
    U, W, b = params.U, params.W, params.b
    n, d = U.shape
    check_shape(W, (d, d), "Elman network: W")
    check_shape(b, (d,), "Elman network: b")
    xs = as_sequence(xs, n, "Elman network")
    f = activation(f)
    s = [as_state(s0, (*xs.shape[1:-1], d), W, "Elman network: the initial state s0")]
    a = []
    for x_t in xs:
        a.append(x_t @ U + s[-1] @ W + b)  # a_t = x_t U + s_{t-1} W + b
        s.append(f.function(a[-1]))  # s_t = f(a_t)
    return HiddenTrace(params, xs, f, np.stack(a), np.stack(s))


def hidden_backward(trace: HiddenTrace, dLt_ds: Array) -> HiddenBackward:
    """BPTT through the recurrence.

    Args:
        trace: the result of ``hidden_forward``.
        dLt_ds: ``∂L_t/∂s_t``, the gradient that reaches each state from above, ``(T, ..., d)``.

    Returns:
        The derivatives at every step, and the contributions to the gradients.
    """
    U, W = trace.params.U, trace.params.W
    xs, s, T = trace.xs, trace.s, len(trace.xs)
    dL_ds, delta = np.empty_like(dLt_ds), np.empty_like(dLt_ds)

    through_next = np.zeros_like(dLt_ds[0])  # Δ_{T+1} Wᵀ = 0: nothing follows the last state
    for t in range(T, 0, -1):
        dL_ds[t - 1] = dLt_ds[t - 1] + through_next  # ∂L/∂s_t = ∂L_t/∂s_t + Δ_{t+1} Wᵀ
        delta[t - 1] = dL_ds[t - 1] * trace.f.derivative_from_output(s[t])  # Δ_t = ∂L/∂s_t ∘ f'
        through_next = delta[t - 1] @ W.T

    return HiddenBackward(
        dL_ds=dL_ds,
        delta=delta,
        dL_ds0=through_next,  # s_0 acts through s_1 alone: Δ_1 Wᵀ
        dL_dx=delta @ U.T,
        contributions=HiddenParams(
            U=outer_by_step(xs, delta),  # x_tᵀ Δ_t
            W=outer_by_step(s[:-1], delta),  # s_{t-1}ᵀ Δ_t
            b=sum_instances_by_step(delta),  # Δ_t
        ),
    )


def random_params(n: int, d: int, k: int, rng: np.random.Generator) -> ElmanParams:
    """Parameters to start from: Glorot-uniform matrices and zero biases.

    Every entry of a ``(p, q)`` matrix is uniform in ``±√(6 / (p + q))`` (Glorot and Bengio 2010,
    equation 16), the "Xavier initialization" of the article "Updating parameters and RNN training".

    Args:
        n: size of an input.
        d: size of the state.
        k: size of an output.
        rng: the source of randomness.

    Returns:
        float64 parameters.
    """

    def glorot(p: int, q: int) -> Array:
        bound = np.sqrt(6.0 / (p + q))
        return rng.uniform(-bound, bound, size=(p, q))

    return ElmanParams(U=glorot(n, d), W=glorot(d, d), V=glorot(d, k), b=np.zeros(d), c=np.zeros(k))


def parameter_count(n: int, d: int, k: int) -> int:
    """``d·n + d·d + k·d + d + k``, the number of parameters.

    Source: the article "Learning Algorithm - Recurrent Neural Networks(RNNs)".

    Example:
        >>> parameter_count(n=3, d=2, k=3)
        21
    """
    return d * n + d * d + k * d + d + k
