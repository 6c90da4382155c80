"""Losses of batches whose lines have more values than there are gradients: a hinge of several classes, of logits."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, weights, zeros

B, T, D, H, K = 6, 3, 2, 3, 4
RIGHT = np.array([2, 0, 3, 1, 0, 2])


def hinge_loss(p, xs, right):
    h, total = np.zeros((B, H)), 0.0
    for t in range(T):
        z = tr.sigmoid(xs[:, t] @ p["Z"] + h @ p["R"])
        h = (1 - z) * h + z * np.tanh(xs[:, t] @ p["W"] + p["b"])
        s = h @ p["V"]
        total = total + np.sum(np.maximum(0, 1 + s - s[np.arange(B), right][:, None])) - B
    return total / (B * T)


@network(hinge_loss, weights(701, Z=(D, H), R=(H, H), W=(D, H), b=(H,), V=(H, K)), numbers(702, B, T, D), RIGHT)
def hinge_of_classes(slip, p, xs, right):
    h, kept, each = np.zeros((B, H)), [], np.arange(B)
    for t in range(T):
        z, c = sigmoid(xs[:, t] @ p["Z"] + h @ p["R"]), np.tanh(xs[:, t] @ p["W"] + p["b"])
        kept.append((h, z, c))
        h = (1 - z) * h + z * c
    g, dh = zeros(p), np.zeros((B, H))
    for t in range(T - 1, -1, -1):
        before, z, c = kept[t]
        h = (1 - z) * before + z * c
        s = h @ p["V"]
        ds = (1 + s - s[each, right][:, None] > slip("the margin left out", 0, 1)) * 1.0
        ds[each, right] = 0
        share = -ds.sum(axis=1)
        ds[each, right] = slip("the right class's share left out", share, 0)
        ds /= slip("the mean over steps forgotten", B * T, B)
        g["V"] += h.T @ ds
        dh = dh + ds @ p["V"].T
        dc = dh * z * (1 - slip("tanh not squared", c**2, c))
        dz = dh * (c - slip("the new state in dz", before, h)) * slip("the slope of z left out", z * (1 - z), 1)
        g["Z"] += xs[:, t].T @ (dz * slip("the first instance alone in dZ", 1, (each == 0)[:, None]))
        g["R"] += slip("the new state in dR", before, h).T @ dz
        x = slip("inputs of the instance before in dW", xs[:, t], np.roll(xs[:, t], 1, axis=0))
        g["W"] += x.T @ slip("dc and dz exchanged in dW", dc, dz)
        g["b"] += slip("the mean over the batch in db", dc.sum(axis=0), dc.mean(axis=0))
        direct = dh * slip("z for 1 - z in the carry", 1 - z, z)
        dh = direct + slip("R left untransposed", dz @ p["R"].T, dz @ p["R"])
        dh = slip("two in the carry", dh, 2 * direct + dz @ p["R"])
    return g
