"""The matrix products of a training step and nothing else: a floor under every contender.

What needs no recurrence is one product over all steps; inside the loop only the product with the
state stays, once forward and once backward. Everything writes into arrays that are already there.
"""

from __future__ import annotations

import numpy as np

PACKAGES = ("numpy",)


def elman(x, U, W, b):
    return _products(x, U, W)


def lstm(x, U, W, b):
    return _products(x, U, W)


def gru(x, U, W, b, b_hn):
    return _products(x, U, W)


def _products(x, U, W):
    steps, batch, _ = x.shape
    hidden, width = W.shape
    rows = x.reshape(steps * batch, -1)
    rng = np.random.default_rng(0)
    states = rng.uniform(-1, 1, size=(steps, batch, hidden)).astype(x.dtype)
    deltas = rng.uniform(-1, 1, size=(steps, batch, width)).astype(x.dtype)
    state_rows, delta_rows = states.reshape(steps * batch, -1), deltas.reshape(steps * batch, -1)
    projected, d_U, d_W = np.empty_like(delta_rows), np.empty_like(U), np.empty_like(W)
    gates, into = np.empty_like(deltas[0]), np.empty_like(states[0])

    def step():
        np.matmul(rows, U, out=projected)
        for t in range(steps):
            np.matmul(states[t], W, out=gates)
        for t in range(steps):
            np.matmul(deltas[t], W.T, out=into)
        np.matmul(rows.T, delta_rows, out=d_U)
        np.matmul(state_rows.T, delta_rows, out=d_W)

    return step
