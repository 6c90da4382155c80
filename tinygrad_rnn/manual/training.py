"""The training algorithm of the articles, in plain NumPy.

    repeat
        forward pass          states, outputs
        loss                  L
        backward pass         ∂L/∂θ by BPTT
        update                θ := θ - α ∂L/∂θ
    until L is below a threshold

Sources: the articles "Updating parameters and RNN training", section 4.2 (the threshold), and "Mild
Introduction to Modern Sequence Processing. Part 2: Recurrent Neural Networks Training" (the four
steps).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import elman
from .activations import Activation
from .arrays import Array
from .elman import ElmanParams
from .readout import DEFAULT_OBJECTIVE, Objective


class Training(NamedTuple):
    """The result of training.

    Attributes:
        params: the parameters after the last update.
        losses: the loss before each update, and finally the loss of ``params``.
        converged: whether the last loss is below the threshold.
    """

    params: ElmanParams
    losses: Array
    converged: bool


def train(
    params: ElmanParams,
    xs: Array,
    targets: Array,
    *,
    learning_rate: float,
    threshold: float,
    max_updates: int = 10_000,
    f: str | Activation = "tanh",
    objective: Objective = DEFAULT_OBJECTIVE,
) -> Training:
    """Gradient descent on an Elman network until its loss falls below a threshold.

    Args:
        params: the parameters to start from.
        xs: ``(T, B, n)`` or ``(T, n)``.
        targets: as in ``manual.elman.forward``.
        learning_rate: ``α``.
        threshold: training ends when the loss is below it.
        max_updates: the number of updates after which training also ends.
        f: the activation of the state.
        objective: loss, output steps and reductions.

    Returns:
        The trained parameters, the loss at every update, and whether the threshold was reached.

    Raises:
        FloatingPointError: the loss became infinite or NaN; the message names the update.

    Example:
        A network with a state of size 4 learns the task of the worked example, 1, 3, 5 into 5, 3, 1:

        >>> from tinygrad_rnn.manual import worked_example as example
        >>> objective = Objective("binary_cross_entropy", steps=example.OUTPUT_STEPS)
        >>> params = elman.random_params(n=3, d=4, k=3, rng=np.random.default_rng(0))
        >>> result = train(params, example.INPUTS, example.TARGETS,
        ...                learning_rate=0.5, threshold=0.1, objective=objective)
        >>> result.converged
        True
        >>> trace = elman.forward(result.params, example.INPUTS, objective=objective)
        >>> trace.o.round().astype(int)
        array([[1, 0, 1],
               [0, 1, 1],
               [0, 0, 1]])
    """
    losses: list[float] = []
    while True:
        trace = elman.forward(params, xs, targets, f=f, objective=objective)
        back = elman.backward(trace)
        assert trace.loss is not None, "backward has refused to go without targets"
        losses.append(float(trace.loss))
        if not np.isfinite(losses[-1]):
            raise FloatingPointError(
                f"training: the loss is {losses[-1]} after {len(losses) - 1} updates; "
                f"a smaller learning rate than {learning_rate} may help"
            )
        converged = losses[-1] < threshold
        if converged or len(losses) > max_updates:
            return Training(params, np.array(losses), converged)
        params = ElmanParams(*(p - learning_rate * g for p, g in zip(params, back.gradients, strict=True)))
