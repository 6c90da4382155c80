"""Cells of other kinds than the gated ones: attention, hidden Markov models, spikes, clocks, state spaces, soft-DTW.

Their right answers are those of the eager engine in float64, whose every rule the tests hold to finite differences;
JAX, whose contenders are written for themselves, has to agree with them as well.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from .harness import Arrays, Case
from .tasks import SEED, SIZES

LENGTH = 50  # of the memory that the decoder attends to

# Name, task, and the shapes of its parameters, of which n are inputs, d units, B instances and S places to attend to.
CELLS = {
    "Attention decoder": ("attention", {"memory": "BSd", "U": "nd", "C": "dd", "W": "dd", "b": "d"}),
    "HMM": ("hmm", {"U": "nd", "W": "dd"}),
    "HMM, scaled": ("hmm_scaled", {"U": "nd", "W": "dd"}),
    "Spiking layer": ("spiking", {"U": "nd", "W": "dd"}),
    "Clockwork cell": ("clockwork", {"U": "nd", "W": "dd", "b": "d"}),
    "State-space model": ("state_space", {"U": "nd", "V": "dd", "a": "d"}),
    "Soft-DTW": ("soft_dtw", {"y": "dn"}),
}
TASKS = {task for task, _ in CELLS.values()}


def cells(size: str = "M") -> list[Case]:
    """A case for each: the loss and all its gradients."""
    return [_case(name, task, shapes, size) for name, (task, shapes) in CELLS.items()]


def _case(name: str, task: str, shapes: dict[str, str], size: str) -> Case:
    batch, features, hidden, steps = SIZES[size]

    def inputs() -> Arrays:
        rng = np.random.default_rng(SEED)
        lengths = {"n": features, "d": hidden, "B": batch, "S": LENGTH}
        arrays = {"x": rng.normal(size=(steps, batch, features))}
        for parameter, letters in shapes.items():
            shape = [lengths[letter] for letter in letters]
            scale = 0.3 if parameter == "y" else 1 if parameter == "memory" else 1 / np.sqrt(shape[0])
            arrays[parameter] = rng.normal(size=shape) * scale
        if task == "soft_dtw":
            arrays["x"] *= 0.3
        return {name: array.astype(np.float32) for name, array in arrays.items()}

    return Case(
        name=name,
        task=task,
        sizes=f"B={batch} n={features} d={hidden} T={steps}, float32",
        inputs=inputs,
        answer=partial(answer, task),
        tolerance=1e-4,
        goals={},
    )


def answer(task: str, x: np.ndarray, **parameters: np.ndarray) -> Arrays:
    """Loss and gradients of a task in float64, by the eager engine."""
    from .contenders import other_cells
    from .contenders.compiled_cells import loss_and_gradients

    in_double = {name: a.astype(np.float64) for name, a in parameters.items()}
    loss, gradients = loss_and_gradients(getattr(other_cells, task), {"x": x.astype(np.float64)}, in_double)()
    return {"loss": np.asarray(loss), **{f"d_{name}": gradient for name, gradient in gradients.items()}}
