"""Truncated BPTT(k1, k2) by hand: backpropagation through a limited number of steps.

The states run through the whole sequence. After every ``k1`` steps, at ``e = k1, 2 k1, ...``, the
losses of these ``k1`` steps are propagated back, through the ``k2`` last steps. Beyond them the
gradient is cut: the state that the window starts from counts as a constant. In the window
``e-k2 < t ≤ e``, with ``Δ_{e+1} = 0``:

- ``∂L/∂s_t = [t > e - k1] ∂L_t/∂s_t + Δ_{t+1} Wᵀ``
- ``Δ_t = ∂L/∂s_t ∘ f'(a_t)``

Where ``k1`` doesn't divide ``T``, the last window lacks the steps after ``T``, and nothing else.

and every window adds ``Σ_t x_tᵀ Δ_t``, ``Σ_t s_{t-1}ᵀ Δ_t`` and ``Σ_t Δ_t`` to the gradients of
``U``, ``W`` and ``b``. In the table ``[t, k]`` of ``manual.paths``, the terms that
remain are those with ``k > e - k2``, where ``e`` is the first multiple of ``k1`` that isn't below
``t``. The output layer has no path through time, so that its gradients stay whole.

``k1 = k2`` is the usual cutting into chunks, ``k1 = 1`` lets every loss look back ``k2`` steps, and
``k2 ≥ T`` cuts nothing.

Sources: Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent
network trajectories" (1990), BPTT(h; h'); Sutskever, "Training Recurrent Neural Networks" (2013),
section 2.8.6, for the letters k1 and k2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import readout
from .arrays import Array, sum_steps
from .elman import ElmanParams, ElmanTrace, HiddenParams, HiddenTrace, hidden_backward


class Window(NamedTuple):
    """A single propagation back, over a window of steps.

    Attributes:
        steps: the window's steps, counted from 1: ``e - k2 + 1 .. e``, as far as they exist.
        losses: the steps whose losses are propagated back: ``e - k1 + 1 .. e``, as far as they exist.
        dL_ds: ``∂L/∂s_t`` in the window, ``(len(steps), ..., d)``.
        delta: ``Δ_t`` in the window, ``(len(steps), ..., d)``.
        gradients: the window's contribution to the gradients of ``U``, ``W``, ``b``.
    """

    steps: range
    losses: range
    dL_ds: Array
    delta: Array
    gradients: HiddenParams


class TruncatedBackward(NamedTuple):
    """The windows in order of time, and the gradients, which are their sums."""

    windows: tuple[Window, ...]
    gradients: ElmanParams


def backward(trace: ElmanTrace, k1: int, k2: int) -> TruncatedBackward:
    """The truncated gradient of an Elman network.

    The parameters are those of the trace throughout; training that updates them after every window
    starts from other parameters each time.

    Args:
        trace: the result of ``manual.elman.forward``, with targets.
        k1: the number of steps after which losses are propagated back.
        k2: the number of steps that they are propagated through; at least ``k1``.

    Returns:
        Every window, and the gradients.

    Raises:
        ValueError: the forward pass had no targets, or ``1 ≤ k1 ≤ k2`` doesn't hold.

    Example:
        >>> from tinygrad_rnn.manual import worked_example
        >>> trace, back = worked_example.run()
        >>> [(list(w.steps), list(w.losses)) for w in backward(trace, k1=2, k2=3).windows]
        [([1, 2], [1, 2]), ([2, 3, 4], [3, 4]), ([4, 5, 6], [5, 6])]
        >>> np.allclose(backward(trace, k1=1, k2=6).gradients.W, back.gradients.W)
        True
    """
    if not 1 <= k1 <= k2:
        raise ValueError(
            f"truncated BPTT needs 1 <= k1 <= k2; got k1 = {k1}, k2 = {k2} "
            f"(with k2 < k1 some losses would never be propagated back)"
        )
    output = readout.backward(trace.output)
    T = len(trace.hidden.xs)
    windows = tuple(
        _window(
            trace.hidden,
            output.dLt_ds,
            steps=range(max(1, e - k2 + 1), min(e, T) + 1),
            losses=range(e - k1 + 1, min(e, T) + 1),
        )
        for e in range(k1, T + k1, k1)
    )
    U, W, b = (sum(parts) for parts in zip(*(w.gradients for w in windows), strict=True))
    return TruncatedBackward(windows, ElmanParams(U, W, output.V.sum(axis=0), b, output.c.sum(axis=0)))


def _window(trace: HiddenTrace, dLt_ds: Array, steps: range, losses: range) -> Window:
    """BPTT through some steps, from the losses of the last of them."""
    start, end = steps[0] - 1, steps[-1]  # s_start is the constant that the window starts from
    window = HiddenTrace(trace.params, trace.xs[start:end], trace.f, trace.a[start:end], trace.s[start : end + 1])
    taken_in = np.zeros_like(dLt_ds[start:end])
    taken_in[-len(losses) :] = dLt_ds[losses[0] - 1 : end]
    back = hidden_backward(window, taken_in)
    return Window(
        steps=steps,
        losses=losses,
        dL_ds=back.dL_ds,
        delta=back.delta,
        gradients=sum_steps(back.contributions),
    )
