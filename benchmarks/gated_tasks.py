"""The Elman task with gates: LSTM and GRU, with the right answers derived by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_rnn.manual import gru as gru_by_hand
from tinygrad_rnn.manual import lstm as lstm_by_hand

from .harness import Arrays, Case
from .tasks import SEED, SIZES

GATES = {"lstm": 4, "gru": 3}


def gated(task: str, size: str) -> Case:
    """All gradients of `mean(square(h_1 ... h_T))` for an LSTM or a GRU that starts from zeros."""
    batch, features, hidden, steps = SIZES[size]
    width = GATES[task] * hidden

    def inputs() -> Arrays:
        rng = np.random.default_rng(SEED)
        arrays = {
            "x": rng.normal(size=(steps, batch, features)),
            "U": rng.normal(size=(features, width)) / np.sqrt(features),
            "W": rng.normal(size=(hidden, width)) / np.sqrt(hidden),
            "b": rng.normal(size=width) / 10,
        }
        if task == "gru":
            arrays["b_hn"] = rng.normal(size=hidden) / 10
        return {name: array.astype(np.float32) for name, array in arrays.items()}

    return Case(
        name=f"{task.upper()} {size}",
        task=task,
        sizes=f"B={batch} n={features} d={hidden} T={steps}, float32",
        inputs=inputs,
        answer=lstm_answer if task == "lstm" else gru_answer,
        tolerance=1e-5,
    )


def lstm_answer(**arrays: np.ndarray) -> Arrays:
    """Loss and gradients of the LSTM task, in float64."""
    return _answer(lstm_by_hand, lstm_by_hand.LSTMParams, **arrays)


def gru_answer(**arrays: np.ndarray) -> Arrays:
    """Loss and gradients of the GRU task (reset after the product), in float64."""
    return _answer(gru_by_hand, gru_by_hand.GRUParams, **arrays)


def _answer(module: Any, make: Any, x: np.ndarray, **parameters: np.ndarray) -> Arrays:
    trace = module.forward(make(**{name: a.astype(np.float64) for name, a in parameters.items()}), x.astype(np.float64))
    outputs = trace.h[1:]
    gradients = module.backward(trace, 2 * outputs / outputs.size).gradients
    return {"loss": np.asarray(np.mean(outputs**2)), **{f"d_{name}": getattr(gradients, name) for name in parameters}}
