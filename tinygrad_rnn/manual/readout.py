"""The output layer and the loss over a sequence, by hand.

For the states ``s_t`` (shape ``(T, ..., d)``) of any recurrent network, at each step ``t`` that has
an output:

- ``z_t = s_t V + c``              output pre-activation
- ``o_t = f_o(z_t)``               output
- ``L_t = mean_b ℓ(o_t, y_t)``     loss of the step, the mean over the instances ``b``
- ``L = Σ_t L_t``                  the loss

and backwards:

- ``∂L/∂z_t = ∂L_t/∂z_t``          from ``manual.losses``
- ``∂L/∂V = Σ_t s_tᵀ ∂L/∂z_t``
- ``∂L/∂c = Σ_t ∂L/∂z_t``
- ``∂L_t/∂s_t = ∂L/∂z_t Vᵀ``       the start of BPTT through the recurrence

Sources: the articles "Learning Algorithm - Recurrent Neural Networks(RNNs)" (sum over time steps,
average over instances) and "Under The Hood of Neural Networks. Part 2: Recurrent". The letters
are those of Goodfellow, Bengio and Courville, "Deep Learning", section 10.2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from .arrays import Array, check_shape, check_steps, outer_by_step, sum_instances_by_step
from .losses import Loss, loss_function

Reduction = Literal["sum", "mean"]


class Objective(NamedTuple):
    """The objective of a network: a loss, the steps that have one, and the reductions over steps and instances.

    Attributes:
        loss: one of ``manual.losses.LOSSES``, or its name.
        steps: the steps that have an output: ``None`` for every step, ``"last"`` for the last one
            (many-to-one), or a list of steps, counted from 1.
        over_time: ``"sum"`` or ``"mean"`` of the losses of the steps.
        over_instances: ``"mean"`` or ``"sum"`` of the losses of the instances of a batch.
    """

    loss: str | Loss = "softmax_cross_entropy"
    steps: Sequence[int] | Literal["last"] | None = None
    over_time: Reduction = "sum"
    over_instances: Reduction = "mean"


DEFAULT_OBJECTIVE = Objective()


class ReadoutTrace(NamedTuple):
    """The quantities of the output layer; ``m`` is the number of steps that have an output.

    Attributes:
        V: ``(d, k)``.
        states: ``s_1 .. s_T``, ``(T, ..., d)``.
        targets: ``y_t`` at the output steps, ``(m, ..., k)``, or None.
        loss_function: the loss.
        steps: the output steps, counted from 1.
        scale: the factor of each ``ℓ(o_t, y_t)`` in the loss ``L``.
        z: output pre-activations, ``(m, ..., k)``.
        o: outputs, ``(m, ..., k)``.
        L: the loss of each output step, reduced over the instances, ``(m,)``; or None.
        loss: the loss, or None without targets.
    """

    V: Array
    states: Array
    targets: Array | None
    loss_function: Loss
    steps: tuple[int, ...]
    scale: float
    z: Array
    o: Array
    L: Array | None
    loss: Array | None


class ReadoutBackward(NamedTuple):
    """The derivatives of the loss ``L`` at the output layer, for every step ``t = 1..T``.

    Attributes:
        dL_dz: ``∂L/∂z_t``, ``(T, ..., k)``; zero at steps without an output.
        V: ``s_tᵀ ∂L/∂z_t``, the step's contribution to ``∂L/∂V``, ``(T, d, k)``.
        c: its contribution to ``∂L/∂c``, ``(T, k)``.
        dLt_ds: ``∂L_t/∂s_t``, through the step's own output only, ``(T, ..., d)``.
    """

    dL_dz: Array
    V: Array
    c: Array
    dLt_ds: Array


def forward(V: Array, c: Array, states: Array, targets: Array | None, objective: Objective) -> ReadoutTrace:
    """Outputs and losses of the states ``s_1 .. s_T``.

    Args:
        V: ``(d, k)``.
        c: ``(k,)``.
        states: ``(T, B, d)`` or ``(T, d)``.
        targets: ``(m, B, k)`` or ``(m, k)``, one row for each output step; None for no loss.
        objective: loss, output steps and reductions.

    Raises:
        ValueError: a shape, a step or a reduction doesn't fit.
    """
    loss = loss_function(objective.loss)
    T, d = len(states), states.shape[-1]
    check_shape(V, (d, len(c)), "output layer: V")
    steps = _output_steps(objective.steps, T)
    s = states[np.array(steps) - 1]
    z = s @ V + c  # z_t = s_t V + c
    o = loss.output(z)  # o_t = f_o(z_t)

    instances = states.shape[1] if states.ndim == 3 else 1
    per_instance = 1.0 if _is_sum(objective.over_instances) else 1.0 / instances
    scale = per_instance if _is_sum(objective.over_time) else per_instance / len(steps)
    if targets is None:
        return ReadoutTrace(V, states, None, loss, steps, scale, z, o, None, None)

    y = check_shape(targets, z.shape, f"targets of the output steps {_brief(steps)}")
    y = y.astype(np.real(z).dtype)
    losses = loss.value(z, y).reshape(len(steps), -1).sum(axis=1)  # Σ_b ℓ(o_t, y_t)
    return ReadoutTrace(V, states, y, loss, steps, scale, z, o, per_instance * losses, (scale * losses).sum())


def backward(trace: ReadoutTrace) -> ReadoutBackward:
    """The derivatives of the loss at the output layer, and those that it passes to the recurrence.

    Raises:
        ValueError: the forward pass had no targets.
    """
    if trace.targets is None:
        raise ValueError("backward: the forward pass had no targets, so there is no loss")
    T = len(trace.states)
    at_outputs = trace.scale * trace.loss_function.gradient(trace.z, trace.targets)
    dL_dz = np.zeros((T, *at_outputs.shape[1:]), dtype=at_outputs.dtype)
    dL_dz[np.array(trace.steps) - 1] = at_outputs  # ∂L/∂z_t

    return ReadoutBackward(
        dL_dz=dL_dz,
        V=outer_by_step(trace.states, dL_dz),  # s_tᵀ ∂L/∂z_t
        c=sum_instances_by_step(dL_dz),  # ∂L/∂z_t
        dLt_ds=dL_dz @ trace.V.T,  # ∂L_t/∂s_t = ∂L/∂z_t Vᵀ
    )


def _output_steps(steps: Sequence[int] | str | None, T: int) -> tuple[int, ...]:
    if steps is None:
        return tuple(range(1, T + 1))
    if isinstance(steps, str):
        if steps != "last":
            raise ValueError(f"output steps: {steps!r} is not 'last', None or a list of steps")
        return (T,)
    return check_steps(steps, T, "output steps")


def _is_sum(reduction: str) -> bool:
    if reduction not in ("sum", "mean"):
        raise ValueError(f"a reduction is 'sum' or 'mean', not {reduction!r}")
    return reduction == "sum"


def _brief(steps: tuple[int, ...]) -> str:
    """The steps for an error message: all of them if they are few, else the first and the last ones."""
    return ", ".join(map(str, steps)) if len(steps) <= 4 else f"{steps[0]}, ..., {steps[-1]}"
