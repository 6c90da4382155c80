"""The worked example of "Under The Hood of Neural Networks. Part 2: Recurrent", and its printed numbers.

The network reads the numbers 1, 3, 5 in binary, one a step, then three steps of zeros, during which it shall answer 5,
3, 1. The article computes the loss (3.30), the gradient of each step's loss and of their sum, one update with learning
rate 0.5, and the new loss (1.36), and prints all these numbers to two decimals.

``PRINTED`` lists those numbers, each with the name of its quantity;
``computed`` returns the same quantities. They agree, except for the slips that
``manual.worked_example_slips`` lists.

The article's letters ``W_s, U, W_o, B_s, B_o, I_t`` are our ``U, W, V, b, c, x_t`` (see
``manual.letters``). Its loss is the one-sided cross-entropy ``L_t = -Σ y_t log o_t`` after a sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import elman
from .arrays import Array
from .elman import ElmanBackward, ElmanParams, ElmanTrace
from .readout import Objective


def _constant(values: Sequence[float] | Sequence[Sequence[float]]) -> Array:
    """A float64 array that can't be changed by accident."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


PARAMS = ElmanParams(
    U=_constant([[-0.75, 0.50], [-0.25, 0.00], [0.25, 0.25]]),
    W=_constant([[0.10, -0.25], [0.50, 0.50]]),
    V=_constant([[-0.90, 0.45, 0.00], [0.15, 0.25, 0.10]]),
    b=_constant([0.50, 0.35]),
    c=_constant([0.80, 0.60, -0.25]),
)
INPUTS = _constant([[0, 0, 1], [0, 1, 1], [1, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
TARGETS = _constant([[1, 0, 1], [0, 1, 1], [0, 0, 1]])
OUTPUT_STEPS = (4, 5, 6)
LEARNING_RATE = 0.5


class Printed(NamedTuple):
    """A quantity as the article prints it.

    Attributes:
        name: the quantity's name in ``computed``.
        value: the printed numbers, with two decimals.
    """

    name: str
    value: Array


def run(params: ElmanParams = PARAMS, steps: tuple[int, ...] = OUTPUT_STEPS) -> tuple[ElmanTrace, ElmanBackward]:
    """Forward and backward pass of the example.

    Args:
        params: the parameters; the article's by default.
        steps: the output steps whose losses are added up: ``(4,)`` for the gradients of ``L_4`` alone.

    Returns:
        The two passes.

    Example:
        >>> trace, back = run()
        >>> round(float(trace.loss), 2)
        3.3
        >>> round(float(run(updated_params())[0].loss), 2)
        1.36
    """
    targets = TARGETS[[OUTPUT_STEPS.index(t) for t in steps]]
    trace = elman.forward(params, INPUTS, targets, objective=Objective("one_sided_cross_entropy", steps))
    return trace, elman.backward(trace)


def updated_params() -> ElmanParams:
    """The parameters after one step of gradient descent with learning rate 0.5."""
    gradients = run()[1].gradients
    return ElmanParams(*(p - LEARNING_RATE * g for p, g in zip(PARAMS, gradients, strict=True)))


def computed() -> dict[str, Array]:
    """Every quantity of the example, by name, in full precision.

    The names: ``a[t]``, ``s[t]``, ``z[t]``, ``o[t]``, ``loss``; for the loss of one output step,
    ``L4: delta[3]``, ``L4: dL/dW`` and so on; for the whole loss ``dL/dW``; after the update
    ``new W`` and ``new loss``; and the factors that the article writes out on the way to its Δ_4,
    ``y[4]*(o[4]-1)``, ``L4: dL/ds[4]``, ``s[t]^2`` and ``1-s[t]^2``.
    """
    trace, back = run()
    values: dict[str, Array] = {"loss": np.asarray(trace.loss)}
    for t in range(1, len(INPUTS) + 1):
        values[f"a[{t}]"] = trace.a[t - 1]
        values[f"s[{t}]"] = trace.s[t]
        values[f"s[{t}]^2"] = trace.s[t] ** 2
        values[f"1-s[{t}]^2"] = 1 - trace.s[t] ** 2
    for row, i in enumerate(OUTPUT_STEPS):
        values[f"z[{i}]"], values[f"o[{i}]"] = trace.output.z[row], trace.o[row]
        values[f"y[{i}]*(o[{i}]-1)"] = TARGETS[row] * (trace.o[row] - 1)
        back_i = run(steps=(i,))[1]
        values[f"L{i}: dL/ds[{i}]"] = back_i.dL_ds[i - 1]
        for t in range(i, 0, -1):
            values[f"L{i}: delta[{t}]"] = back_i.delta[t - 1]
        for name, gradient in back_i.gradients._asdict().items():
            values[f"L{i}: dL/d{name}"] = gradient
    for name, gradient in back.gradients._asdict().items():
        values[f"dL/d{name}"] = gradient
    new = updated_params()
    for name, value in new._asdict().items():
        values[f"new {name}"] = value
    values["new loss"] = np.asarray(run(new)[0].loss)
    return values


def agrees(printed: Array, value: Array) -> bool:
    """Return True if a number, rounded to two decimals, is the printed one (0.00 and -0.00 are the same)."""
    return bool(np.array_equal(np.round(value, 2), printed))


def _printed(name: str, *rows: list[float]) -> Printed:
    return Printed(name, np.array(rows[0] if len(rows) == 1 else rows))


PRINTED = (
    # Forward pass
    _printed("a[1]", [0.75, 0.60]),
    _printed("s[1]", [0.64, 0.54]),
    _printed("s[2]", [0.68, 0.61]),
    _printed("s[3]", [0.36, 0.84]),
    _printed("s[4]", [0.74, 0.59]),
    _printed("s[5]", [0.70, 0.43]),
    _printed("s[6]", [0.66, 0.37]),
    _printed("z[4]", [0.22, 1.08, -0.19]),
    _printed("o[4]", [0.55, 0.75, 0.45]),
    _printed("o[5]", [0.56, 0.74, 0.45]),
    _printed("o[6]", [0.57, 0.73, 0.45]),
    Printed("loss", np.array(3.30)),
    # The loss of step 4, with the factors of Δ_4 and Δ_3, and of ∂L_4/∂U
    _printed("o[4]", [0.22, 1.08, -0.19]),
    _printed("y[4]*(o[4]-1)", [-0.78, 0.00, -1.19]),
    _printed("s[4]^2", [0.55, 0.35]),
    _printed("1-s[4]^2", [0.45, 0.65]),
    _printed("L4: dL/ds[4]", [0.40, -0.12]),
    _printed("L4: delta[4]", [0.17, -0.08]),
    _printed("1-s[3]^2", [0.87, 0.29]),
    _printed("L4: delta[3]", [0.03, 0.01]),
    _printed("L4: delta[2]", [0.00, 0.01]),
    _printed("L4: delta[1]", [0.00, 0.01]),
    _printed("L4: dL/dV", [-0.33, 0.00, -0.41], [-0.26, 0.00, -0.32]),
    _printed("L4: dL/dc", [-0.45, 0.00, -0.55]),
    _printed("L4: dL/dU", [0.03, 0.01], [0.00, 0.01], [0.03, 0.03]),
    _printed("L4: dL/db", [0.21, -0.04]),
    _printed("s[1]", [0.75, 0.60]),
    _printed("L4: dL/dW", [0.09, -0.01], [0.17, -0.05]),
    # The loss of step 5
    _printed("L5: delta[5]", [-0.06, -0.10]),
    _printed("L5: delta[4]", [0.01, -0.05]),
    _printed("L5: delta[3]", [0.01, -0.01]),
    _printed("L5: delta[2]", [0.00, 0.00]),
    _printed("L5: delta[1]", [0.00, 0.00]),
    _printed("L5: dL/dV", [0.00, -0.19, -0.39], [0.00, -0.11, -0.24]),
    _printed("L5: dL/dc", [0.00, -0.26, -0.55]),
    _printed("L5: dL/dU", [0.01, -0.01], [0.00, 0.00], [0.01, 0.00]),
    _printed("L5: dL/db", [-0.04, -0.15]),
    _printed("L5: dL/dW", [-0.03, -0.09], [-0.02, -0.10]),
    # The loss of step 6
    _printed("L6: delta[6]", [0.00, -0.05]),
    _printed("L6: delta[5]", [0.01, -0.02]),
    _printed("L6: delta[4]", [0.00, 0.00]),
    _printed("L6: delta[3]", [0.00, 0.00]),
    _printed("L6: delta[2]", [0.00, 0.00]),
    _printed("L6: delta[1]", [0.00, 0.00]),
    _printed("L6: dL/dV", [0.00, 0.00, -0.36], [0.00, 0.00, -0.21]),
    _printed("L6: dL/dc", [0.00, 0.00, -0.55]),
    _printed("L6: dL/dU", [0.00, 0.00], [0.00, 0.00], [0.00, 0.00]),
    _printed("L6: dL/db", [0.01, -0.07]),
    _printed("L6: dL/dW", [0.01, -0.05], [0.01, -0.04]),
    # The whole loss
    _printed("dL/dV", [-0.33, -0.19, -1.16], [-0.26, -0.11, -0.77]),
    _printed("dL/dc", [-0.45, -0.26, -1.65]),
    _printed("dL/dU", [0.05, 0.01], [0.00, 0.02], [0.04, 0.03]),
    _printed("dL/db", [0.18, -0.27]),
    _printed("dL/dW", [0.06, -0.15], [0.16, -0.19]),
    # The update
    _printed("new U", [-0.77, 0.50], [-0.25, -0.01], [0.23, 0.23]),
    _printed("new V", [-0.73, 0.54, 0.58], [0.28, 0.31, 0.48]),
    _printed("new W", [0.07, -0.17], [0.42, 0.60]),
    _printed("new b", [0.41, 0.48]),
    _printed("new c", [1.02, 0.73, 0.58]),
    Printed("new loss", np.array(1.36)),
)
