"""The recurrent tasks for tinygrad_rnn: cells as a user writes them, in plain NumPy, and the step around them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import tinygrad_rnn as tr


def elman_cell(U, W, b):
    return lambda x, h: np.tanh(x @ U + h @ W + b)


def lstm_cell(U, W, b):
    def cell(x, state):
        h, c = state
        i, f, g, o = np.split(x @ U + h @ W + b, 4, axis=-1)
        c = tr.sigmoid(f) * c + tr.sigmoid(i) * np.tanh(g)
        h = tr.sigmoid(o) * np.tanh(c)
        return h, (h, c)

    return cell


def gru_cell(U, W, b, b_hn):
    def cell(x, h):
        x_r, x_z, x_n = np.split(x @ U + b, 3, axis=-1)
        h_r, h_z, h_n = np.split(h @ W, 3, axis=-1)
        r, z = tr.sigmoid(x_r + h_r), tr.sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * (h_n + b_hn))
        return (1 - z) * n + z * h

    return cell


CELLS: dict[str, tuple[Any, int]] = {"elman": (elman_cell, 1), "lstm": (lstm_cell, 2), "gru": (gru_cell, 1)}


def mean_square(task, parameters, x, compiled=lambda cell: cell):
    """The loss of a task, as a function of x."""
    make_cell, states = CELLS[task]
    start = np.zeros((x.shape[1], len(parameters["W"])), x.dtype)
    state = start if states == 1 else (start,) * states
    cell = compiled(make_cell(**parameters))

    def loss_of(x):
        ys, _ = tr.unroll(cell, x, state)
        return np.mean(np.square(ys))

    return loss_of


def recurrent(task, executor, loss_inside, x, **parameters):
    """A step of a task, with its cell compiled, or its whole loss."""
    x = tr.tensor(x)
    tensors = {name: tr.tensor(a, requires_grad=True) for name, a in parameters.items()}
    compiled = partial(tr.compile, executor=executor)
    loss_of = compiled(mean_square(task, tensors, x)) if loss_inside else mean_square(task, tensors, x, compiled)

    def step():
        for tensor in tensors.values():
            tensor.grad = None
        loss = loss_of(x)
        loss.backward()
        return loss.item(), {name: tensor.grad for name, tensor in tensors.items()}

    return step
