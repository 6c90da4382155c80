"""Networks of square matrices: products in the wrong order, or without a transpose, have a shape there, too."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, weights, zeros

N, T, D, H = 3, 4, 3, 3


def joined_loss(p, xs, ys):
    h, total = np.tile(p["start"], (N, 1)), 0.0
    for t in range(T):
        x = np.concatenate([xs[t], h], axis=1)
        z = tr.sigmoid(x @ p["Z"])
        h = h + z * (np.tanh(x @ p["W"]) - h)
        total = total + 0.5 * np.sum((h - ys[t]) ** 2)
    return total


@network(
    joined_loss,
    weights(611, start=(H,), Z=(D + H, H), W=(D + H, H)),
    numbers(612, T, N, D),
    numbers(613, T, N, H),
)
def joined_and_square(slip, p, xs, ys):
    h, kept = np.tile(p["start"], (N, 1)), []
    for t in range(T):
        x = np.concatenate([xs[t], h], axis=1)
        z, c = sigmoid(x @ p["Z"]), np.tanh(x @ p["W"])
        kept.append((x, h, z, c))
        h = h + z * (c - h)
    g, dh, arrived = zeros(p), np.zeros((N, H)), np.zeros((N, H))
    for t in range(T - 1, -1, -1):
        x, before, z, c = kept[t]
        dh = dh + before + z * (c - before) - ys[t]
        arrived += dh
        dc = dh * z * (1 - c**2)
        dz = dh * (c - before) * z * (1 - z)
        g["W"] += x.T @ dc
        g["Z"] += x.T @ dz
        back = slip("the rows of h in W not transposed", p["W"][D:].T, p["W"][D:])
        gate = slip("the rows of h in Z not transposed", p["Z"][D:].T, p["Z"][D:])
        dh = dh * (1 - z) + dc @ back + dz @ slip("the rows of x for those of h", gate, p["Z"][:D].T)
    dstart = slip("all states for the one before the first", dh, arrived)
    return {**g, "start": np.sum(dstart, axis=slip("summed over units", 0, 1))}


def spread_loss(p, xs):
    P, total = p["P"], 0.0
    for t in range(T):
        P = p["A"] @ P @ p["A"].T + xs[t][:, None] * xs[t]
        total = total + np.einsum("i,ij,j", p["w"], P, xs[t])
    return total


@network(spread_loss, weights(621, A=(H, H), P=(H, H), w=(H,)), numbers(622, T, H))
def spread_and_square(slip, p, xs):
    A, P, kept = p["A"], p["P"], []
    for t in range(T):
        kept.append(P)
        P = A @ P @ A.T + np.outer(xs[t], xs[t])
    kept.append(P)
    g, dP = zeros(p), np.zeros((H, H))
    for t in range(T - 1, -1, -1):
        reads = np.outer(p["w"], xs[t])
        g["w"] += slip("P transposed in dw", kept[t + 1], kept[t + 1].T) @ xs[t]
        dP = dP + slip("w left out of the reading", reads, np.outer(np.ones(H), xs[t]))
        g["A"] += dP @ A @ slip("P of the step after in dA", kept[t], kept[t + 1]).T
        g["A"] += slip("the second A as the first", dP.T, dP) @ A @ kept[t]
        before = slip("A not transposed before dP", A.T, A) @ dP @ slip("A transposed behind dP", A, A.T)
        dP = slip("the factors in the other order", before, lambda: A @ dP @ A.T)  # noqa: B023
    return {**g, "P": dP}
