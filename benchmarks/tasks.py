"""What the contenders compute: the arrays to start from, and the right answers, derived by hand."""

from __future__ import annotations

import numpy as np

from tinygrad_rnn.manual import lstm, readout
from tinygrad_rnn.manual.losses import one_hot

from .harness import Arrays, Case

SEED = 7


def chain(length: int, goals: dict[str, float]) -> Case:
    """`y = y * x`, over and over, from `y = x`; the loss is the sum of y."""

    def inputs() -> Arrays:
        return {"x": np.random.default_rng(SEED).uniform(0.999, 1.001, size=16)}

    def answer(x: np.ndarray, length: int) -> Arrays:
        return {"loss": np.asarray(np.sum(x ** (length + 1))), "d_x": (length + 1) * x**length}

    return Case(
        name="y = y * x",
        task="chain",
        sizes=f"16 float64 values, {length} operations in a chain; time for one, there and back",
        inputs=inputs,
        answer=answer,
        tolerance=1e-12,
        options={"length": length},
        operations=length,
        goals=goals,
    )


# B, n, d, T: batch size, features, hidden units, time steps.
SIZES = {"S": (1, 8, 16, 20), "M": (32, 64, 128, 50), "L": (64, 256, 512, 100)}


def elman(size: str, goals: dict[str, float]) -> Case:
    """All gradients of `mean(square(h_1 ... h_T))` for `h_t = tanh(x_t U + h_(t-1) W + b)`."""
    batch, features, hidden, steps = SIZES[size]

    def inputs() -> Arrays:
        rng = np.random.default_rng(SEED)
        arrays = {
            "x": rng.normal(size=(steps, batch, features)),
            "U": rng.normal(size=(features, hidden)) / np.sqrt(features),
            "W": rng.normal(size=(hidden, hidden)) / np.sqrt(hidden),
            "b": rng.normal(size=hidden) / 10,
        }
        return {name: array.astype(np.float32) for name, array in arrays.items()}

    return Case(
        name=f"Elman {size}",
        task="elman",
        sizes=f"B={batch} n={features} d={hidden} T={steps}, float32",
        inputs=inputs,
        answer=elman_answer,
        tolerance=1e-5,
        goals=goals,
    )


def elman_answer(x: np.ndarray, U: np.ndarray, W: np.ndarray, b: np.ndarray) -> Arrays:
    """Loss and gradients of the Elman task by backpropagation through time, in float64."""
    x, U, W, b = (array.astype(np.float64) for array in (x, U, W, b))
    h = np.zeros((len(x) + 1, x.shape[1], len(W)))  # h[t] is step t, counted from 1
    for t in range(1, len(h)):
        h[t] = np.tanh(x[t - 1] @ U + h[t - 1] @ W + b)
    outputs = h[1:]
    d_U, d_W, d_b = np.zeros_like(U), np.zeros_like(W), np.zeros_like(b)
    d_h = np.zeros_like(h[0])  # what reaches h[t] from the steps after it
    for t in range(len(x), 0, -1):
        delta = (2 * h[t] / outputs.size + d_h) * (1 - h[t] ** 2)
        d_U += x[t - 1].T @ delta
        d_W += h[t - 1].T @ delta
        d_b += delta.sum(axis=0)
        d_h = delta @ W.T
    return {"loss": np.asarray(np.mean(outputs**2)), "d_U": d_U, "d_W": d_W, "d_b": d_b}


# k, n, B, T: symbols, embedding size, batch size, time steps.
LANGUAGE = (100, 64, 32, 50)


def language(units: int, goals: dict[str, float]) -> Case:
    """A training step of a character model: embedding, LSTM, output layer, mean cross-entropy, all gradients, Adam.

    Adam's learning rate is 0: it does all its work, and every step still starts from the same weights.
    """
    symbols, features, batch, steps = LANGUAGE

    def inputs() -> Arrays:
        rng = np.random.default_rng(SEED)
        weights = {
            "E": rng.normal(size=(symbols, features)),
            "U": rng.normal(size=(features, 4 * units)) / np.sqrt(features),
            "W": rng.normal(size=(units, 4 * units)) / np.sqrt(units),
            "b": rng.normal(size=4 * units) / 10,
            "V": rng.normal(size=(units, symbols)) / np.sqrt(units),
            "c": rng.normal(size=symbols) / 10,
        }
        text = rng.integers(symbols, size=(steps + 1, batch))
        return {"text": text, **{name: array.astype(np.float32) for name, array in weights.items()}}

    return Case(
        name=f"LSTM {units}",
        task="language",
        sizes=f"d={units} k={symbols} n={features} B={batch} T={steps}, float32; time for one character",
        inputs=inputs,
        answer=language_answer,
        tolerance=1e-4,
        operations=batch * steps,
        goals=goals,
    )


def language_answer(
    text: np.ndarray, E: np.ndarray, U: np.ndarray, W: np.ndarray, b: np.ndarray, V: np.ndarray, c: np.ndarray
) -> Arrays:
    """Loss and gradients of the language task by the formulas derived by hand, in float64."""
    E, U, W, b, V, c = (array.astype(np.float64) for array in (E, U, W, b, V, c))
    inputs, targets = text[:-1], text[1:]
    trace = lstm.forward(lstm.LSTMParams(U, W, b), E[inputs])
    objective = readout.Objective(over_time="mean", over_instances="mean")
    out = readout.forward(V, c, trace.h[1:], one_hot(targets, len(c)), objective)
    back_out = readout.backward(out)
    back = lstm.backward(trace, back_out.dLt_ds)
    d_E = np.zeros_like(E)
    np.add.at(d_E, inputs, back.dL_dx)
    assert out.loss is not None
    gradients = {"E": d_E, "U": back.gradients.U, "W": back.gradients.W, "b": back.gradients.b}
    gradients |= {"V": back_out.V.sum(axis=0), "c": back_out.c.sum(axis=0)}
    return {"loss": out.loss, **{f"d_{name}": array for name, array in gradients.items()}}
