"""Sequences of several lengths that end together: what stands in front of them is padding."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, softmax, weights, zeros

T, B, n, d = 5, 3, 2, 3
LENGTHS, CLASSES = np.array([5, 3, 2]), np.array([0, 2, 1])


def ends_together_loss(p, xs, lengths, classes):
    h = np.zeros((B, d)) + p["h0"]
    for t in range(T):
        h = np.where((t >= T - lengths)[:, None], np.tanh(xs[t] @ p["U"] + h @ p["W"]), h)
    return -np.sum(tr.log_softmax(h @ p["V"])[np.arange(B), classes]) / B


@network(
    ends_together_loss,
    weights(661, U=(n, d), W=(d, d), h0=(d,), V=(d, 3)),
    numbers(661, T, B, n),
    LENGTHS,
    CLASSES,
)
def ends_together(slip, p, xs, lengths, classes):
    hs = [np.zeros((B, d)) + p["h0"]]
    for t in range(T):
        hs.append(np.where((t >= T - lengths)[:, None], np.tanh(xs[t] @ p["U"] + hs[-1] @ p["W"]), hs[-1]))
    g, dz = zeros(p), (softmax(hs[-1] @ p["V"]) - np.eye(3)[classes]) / B
    g["V"] = hs[-1].T @ dz
    dh, second = dz @ p["V"].T, np.zeros((B, d))
    for t in reversed(range(T)):
        is_live = t >= T - lengths - slip("a step too many", 0, 1) + slip("a step too few", 0, 1)
        is_live = slip("lengths from the other end", is_live, t < lengths)[:, None]
        is_live = is_live | slip("padding isn't skipped", False, True)
        da = np.where(is_live, dh * (1 - hs[t + 1] ** 2), 0)
        g["U"] += xs[t].T @ da
        g["W"] += hs[t].T @ da
        handed = da @ p["W"].T
        dh = np.where(is_live, handed, slip("nothing is handed through padding", dh, 0))
        second = dh if t == 1 else second
    g["h0"] = slip("h0 by the second step", dh, second).sum(axis=0)
    return g
