"""Cells beyond the gated ones for tinygrad_rnn, as a user writes them, in plain NumPy; and their losses.

Each function takes its task's arrays as Tensors (what needs no gradient as an array) and gives the loss.
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr

FAR = 1e3  # a cost beyond all paths


def attention(x, memory, U, C, W, b):
    def cell(row, h):
        weights = tr.softmax(np.einsum("bd,bsd->bs", h, memory) / np.sqrt(h.shape[-1]).astype(h.dtype))
        context = np.einsum("bs,bsd->bd", weights, memory)
        return np.tanh(row @ U + context @ C + h @ W + b)

    return np.mean(np.square(tr.unroll(cell, x, np.zeros((x.shape[1], len(W)), x.dtype))[0]))


def hmm(x, U, W):
    """The forward algorithm in the log domain."""
    transition = tr.log_softmax(W, axis=1)

    def cell(row, alpha):
        return tr.logsumexp(alpha[:, :, None] + transition, axis=1) + row @ U

    start = np.full((x.shape[1], len(W)), -np.log(len(W)), x.dtype)
    return -np.mean(tr.logsumexp(tr.unroll(cell, x, start)[1], axis=-1)) / len(x)


def hmm_scaled(x, U, W):
    """The forward algorithm with probabilities, scaled at each step."""
    transition = tr.softmax(W, axis=1)

    def cell(row, alpha):
        alpha = (alpha @ transition) * np.exp(row @ U)
        total = np.sum(alpha, axis=-1, keepdims=True)
        return np.log(total), alpha / total

    start = np.full((x.shape[1], len(W)), 1 / len(W), x.dtype)
    return -np.mean(tr.unroll(cell, x, start)[0])


@tr.custom_vjp
def spike(v):
    return (v > 0).astype(v.dtype)


spike.defvjp(lambda v: (spike(v), v), lambda v, g: (g / np.square(1 + np.abs(v)),))


def spiking(x, U, W):
    """Leaky integrate-and-fire neurons, with the derivative of a fast sigmoid in place of a step's."""

    def cell(row, state):
        v, s = state
        v = 0.9 * v * (1 - s) + row @ U + s @ W
        s = spike(v - 1)
        return s * 0.5 + v * 0.1, (v, s)

    zeros = np.zeros((x.shape[1], len(W)), x.dtype)
    return np.mean(np.square(tr.unroll(cell, x, (zeros, zeros))[0]))


def clockwork(x, U, W, b):
    """Four groups of units, which move at every step, every second, every fourth and every eighth."""
    periods = np.repeat([1, 2, 4, 8], -(-len(W) // 4))[: len(W)]

    def cell(step, h):
        t, row = step
        return np.where(t % periods == 0, np.tanh(row @ U + h @ W + b), h)

    start = np.zeros((x.shape[1], len(W)), x.dtype)
    return np.mean(np.square(tr.unroll(cell, (np.arange(len(x)), x), start)[0]))


def state_space(x, U, V, a):
    """A diagonal state-space model."""

    def cell(row, h):
        h = tr.sigmoid(a) * h + row @ U
        return h @ V, h

    return np.mean(np.square(tr.unroll(cell, x, np.zeros((x.shape[1], len(a)), x.dtype))[0]))


def soft_dtw(x, y):
    """Soft dynamic time warping, a diagonal of the table at each step: all of its elements are independent."""
    rows, columns, far = len(x), len(y), np.asarray(FAR, x.dtype)
    costs = (np.sum(x * x, axis=-1)[:, :, None] - 2 * (x @ y.T) + np.sum(y * y, axis=-1)) / x.shape[-1]
    row = np.arange(rows)
    column = np.arange(rows + columns - 1)[:, None] - row
    inside = (column >= 0) & (column < columns)
    diagonals = np.where(inside[:, :, None], costs[row, :, np.clip(column, 0, columns - 1)], far)
    diagonals = np.swapaxes(diagonals, 1, 2)

    def cell(cost, state):
        one_before, two_before = state
        above, across = (np.pad(d[:, :-1], ((0, 0), (1, 0)), constant_values=FAR) for d in (one_before, two_before))
        here = cost - np.logaddexp(np.logaddexp(-above, -across), -one_before)
        return here, (here, one_before)

    nothing = np.full((x.shape[1], rows), far, x.dtype)
    return np.mean(tr.unroll(cell, diagonals[1:], (diagonals[0], nothing))[0][-1, :, -1])
