"""Two layers and two directions by hand: the composition of recurrences.

**A stack of two layers.** The states of the lower layer are the inputs of the upper one:

- ``s¹_t = f(x_t U¹ + s¹_{t-1} W¹ + b¹)``
- ``s²_t = f(s¹_t U² + s²_{t-1} W² + b²)``,  ``z_t = s²_t V + c``

Backward, the upper layer comes first. The derivative by its inputs reaches the lower layer from above: ``∂L_t/∂s¹_t =
Δ²_t U²ᵀ``. It contains the losses of all later steps too, since ``s¹_t`` acts on them through the upper layer's states.

**Two directions.** One recurrence reads the sequence forward, another one backward, and the output
sees both:

- ``→s_t = f(x_t U→ + →s_{t-1} W→ + b→)``
- ``←s_t = f(x_t U← + ←s_{t+1} W← + b←)``,  ``z_t = [→s_t, ←s_t] V + c``

Backward, ``∂L_t/∂[→s_t, ←s_t]`` is cut in two. Each direction does its own BPTT; the BPTT of ``←`` runs from step 1 to
step T, against its own time.

Either is ``manual.elman`` used twice.

Sources: El Hihi and Bengio, "Hierarchical recurrent neural networks for long-term dependencies"
(1995), for stacks; Schuster and Paliwal, "Bidirectional recurrent neural networks" (1997).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import readout
from .activations import Activation
from .arrays import Array, sum_steps
from .elman import (
    HiddenBackward,
    HiddenParams,
    HiddenTrace,
    hidden_backward,
    hidden_forward,
)
from .readout import DEFAULT_OBJECTIVE, Objective, ReadoutBackward, ReadoutTrace


class TwoLayerParams(NamedTuple):
    """The parameters, and, field by field, their gradients.

    Attributes:
        lower: parameters of the lower layer: ``U¹`` (n, d₁), ``W¹`` (d₁, d₁), ``b¹`` (d₁,).
        upper: parameters of the upper layer: ``U²`` (d₁, d₂), ``W²`` (d₂, d₂), ``b²`` (d₂,).
        V: upper state to output, ``(d₂, k)``.
        c: output bias, ``(k,)``.
    """

    lower: HiddenParams
    upper: HiddenParams
    V: Array
    c: Array


class TwoLayerTrace(NamedTuple):
    """The forward pass: both recurrences, outputs and loss."""

    lower: HiddenTrace
    upper: HiddenTrace
    output: ReadoutTrace


class TwoLayerBackward(NamedTuple):
    """The backward pass: the derivatives at the output and at both layers, and the gradients."""

    output: ReadoutBackward
    upper: HiddenBackward
    lower: HiddenBackward
    gradients: TwoLayerParams


class BidirectionalParams(NamedTuple):
    """The parameters, and, field by field, their gradients.

    Attributes:
        forwards: parameters of the recurrence that reads forward: ``U→`` (n, d), ``W→`` (d, d), ``b→`` (d,).
        backwards: parameters of the recurrence that reads backward, with its own size of state d'.
        V: both states to output, those that read forward first, ``(d + d', k)``.
        c: output bias, ``(k,)``.
    """

    forwards: HiddenParams
    backwards: HiddenParams
    V: Array
    c: Array


class BidirectionalTrace(NamedTuple):
    """The forward pass: both recurrences, outputs and loss.

    The recurrence that reads backward is kept in its own time: ``backwards.s[1]`` is ←s_T.
    """

    forwards: HiddenTrace
    backwards: HiddenTrace
    output: ReadoutTrace

    @property
    def s(self) -> Array:
        """``[→s_t, ←s_t]`` for ``t = 1..T``, ``(T, ..., d + d')``."""
        return self.output.states


class BidirectionalBackward(NamedTuple):
    """The backward pass: the derivatives at the output and in both directions, and the gradients.

    Attributes:
        output: at the output layer.
        forwards: at the recurrence that reads forward.
        backwards: at the recurrence that reads backward, in its own time: row 0 belongs to step T.
        dL_dx: ``∂L/∂x_t``, through both, ``(T, ..., n)``.
        gradients: the gradients.
    """

    output: ReadoutBackward
    forwards: HiddenBackward
    backwards: HiddenBackward
    dL_dx: Array
    gradients: BidirectionalParams


def two_layers_forward(
    params: TwoLayerParams,
    xs: Array,
    targets: Array | None = None,
    *,
    f: str | Activation = "tanh",
    objective: Objective = DEFAULT_OBJECTIVE,
) -> TwoLayerTrace:
    """The forward pass of a stack of two layers, from zero states.

    Args:
        params: the parameters.
        xs: ``(T, B, n)`` or ``(T, n)``.
        targets: as in ``manual.elman.forward``.
        f: the activation of both layers.
        objective: loss, output steps and reductions.

    Raises:
        ValueError: a shape doesn't fit, a name is unknown, or a step lies outside ``1..T``.
    """
    lower = hidden_forward(params.lower, xs, f=f)
    upper = hidden_forward(params.upper, lower.s[1:], f=f)
    output = readout.forward(params.V, params.c, upper.s[1:], targets, objective)
    return TwoLayerTrace(lower, upper, output)


def two_layers_backward(trace: TwoLayerTrace) -> TwoLayerBackward:
    """BPTT through a stack of two layers, the upper one first.

    Raises:
        ValueError: the forward pass had no targets.
    """
    output = readout.backward(trace.output)
    upper = hidden_backward(trace.upper, output.dLt_ds)
    lower = hidden_backward(trace.lower, upper.dL_dx)  # Δ²_t U²ᵀ
    return TwoLayerBackward(
        output=output,
        upper=upper,
        lower=lower,
        gradients=TwoLayerParams(
            lower=sum_steps(lower.contributions),
            upper=sum_steps(upper.contributions),
            V=output.V.sum(axis=0),
            c=output.c.sum(axis=0),
        ),
    )


def bidirectional_forward(
    params: BidirectionalParams,
    xs: Array,
    targets: Array | None = None,
    *,
    f: str | Activation = "tanh",
    objective: Objective = DEFAULT_OBJECTIVE,
) -> BidirectionalTrace:
    """The forward pass in both directions, from zero states.

    Args:
        params: the parameters.
        xs: ``(T, B, n)`` or ``(T, n)``.
        targets: as in ``manual.elman.forward``.
        f: the activation of both directions.
        objective: loss, output steps and reductions.

    Raises:
        ValueError: a shape doesn't fit, a name is unknown, or a step lies outside ``1..T``.
    """
    xs = np.asarray(xs)
    forwards = hidden_forward(params.forwards, xs, f=f)
    backwards = hidden_forward(params.backwards, xs[::-1], f=f)
    s = np.concatenate([forwards.s[1:], backwards.s[:0:-1]], axis=-1)  # [→s_t, ←s_t]
    output = readout.forward(params.V, params.c, s, targets, objective)
    return BidirectionalTrace(forwards, backwards, output)


def bidirectional_backward(trace: BidirectionalTrace) -> BidirectionalBackward:
    """BPTT in both directions, each against its own time.

    Raises:
        ValueError: the forward pass had no targets.
    """
    output = readout.backward(trace.output)
    d = trace.forwards.a.shape[-1]
    dLt_forwards, dLt_backwards = output.dLt_ds[..., :d], output.dLt_ds[..., d:]
    forwards = hidden_backward(trace.forwards, dLt_forwards)
    backwards = hidden_backward(trace.backwards, dLt_backwards[::-1])
    return BidirectionalBackward(
        output=output,
        forwards=forwards,
        backwards=backwards,
        dL_dx=forwards.dL_dx + backwards.dL_dx[::-1],
        gradients=BidirectionalParams(
            forwards=sum_steps(forwards.contributions),
            backwards=sum_steps(backwards.contributions),
            V=output.V.sum(axis=0),
            c=output.c.sum(axis=0),
        ),
    )
