"""Three layers of one size, in a loop over layers: the top one is read at the last step, or the sum of all at each."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, softmax, weights, zeros

T, N, H, K, LAYERS = 5, 3, 3, 3, 3
UW = {f"{a}{k}": (H, H) for a in "UW" for k in range(LAYERS)}


def of_arrays(p, xs, y):
    states = [np.zeros((N, H))] * LAYERS
    for a in xs:
        above = []
        for k in range(LAYERS):
            a = np.tanh(a @ p["U"][k] + states[k] @ p["W"][k] + p["b"][k])
            above.append(a)
        states = above
    return 0.5 * np.sum((states[-1] @ p["V"] - y) ** 2) / N


@network(
    of_arrays,
    weights(851, U=(LAYERS, H, H), W=(LAYERS, H, H), b=(LAYERS, H), V=(H, 2)),
    numbers(852, T, N, H),
    numbers(853, N, 2),
)
def weights_in_arrays(slip, p, xs, y):
    h, given = np.zeros((T + 1, LAYERS, N, H)), np.zeros((T + 1, LAYERS, N, H))
    for t in range(1, T + 1):
        a = xs[t - 1]
        for k in range(LAYERS):
            given[t, k] = a
            h[t, k] = a = np.tanh(a @ p["U"][k] + h[t - 1, k] @ p["W"][k] + p["b"][k])
    g, later, e = zeros(p), np.zeros((LAYERS, N, H)), (h[T, -1] @ p["V"] - y) / N
    g["V"] = h[T, slip("the state of the layer below", -1, -2)].T @ e
    for t in range(T, 0, -1):
        above = e @ p["V"].T if t == slip("the loss at the first step", T, 1) else np.zeros((N, H))
        for k in reversed(range(LAYERS)):
            slope = 1 - h[t, slip("the slope of the layer below", k, k - 1)] ** 2
            delta = (above + slip("the carry left out", later[k], 0.0)) * slope
            g["U"][k] += slip("its own state in place of a layer's input", given[t, k], h[t, k]).T @ delta
            g["W"][k] += h[t - 1, k].T @ delta
            g["b"][k] += delta.sum(0)
            later[k] = delta @ p["W"][slip("W of the next layer", k, (k + 1) % LAYERS)].T
            above = delta @ p["U"][k].T
    return g


def residual(p, xs, ys):
    h, loss = [np.zeros((N, H))] * LAYERS, 0.0
    for x, y in zip(xs, ys):
        a, h = x @ p["E"], list(h)
        for k in range(LAYERS):
            h[k] = np.tanh(a @ p[f"U{k}"] + h[k] @ p[f"W{k}"])
            a = a + h[k]
        loss = loss - np.sum(tr.log_softmax(a @ p["V"])[np.arange(N), y])
    return loss / (N * T)


LABELS = np.random.default_rng(854).integers(0, K, (T, N))


@network(residual, weights(855, E=(2, H), V=(H, K), **UW), numbers(856, T, N, 2), LABELS)
def around_each_layer(slip, p, xs, ys):
    h, given = np.zeros((T + 1, LAYERS, N, H)), np.zeros((T + 1, LAYERS + 1, N, H))
    for t in range(1, T + 1):
        given[t, 0] = xs[t - 1] @ p["E"]
        for k in range(LAYERS):
            h[t, k] = np.tanh(given[t, k] @ p[f"U{k}"] + h[t - 1, k] @ p[f"W{k}"])
            given[t, k + 1] = given[t, k] + h[t, k]
    g, dh = zeros(p), np.zeros((LAYERS, N, H))
    for t in slip("from the first step to the last", range(T, 0, -1), range(1, T + 1)):
        q = (softmax(given[t, LAYERS] @ p["V"]) - np.eye(K)[ys[t - 1]]) / (N * T)
        g["V"] += slip("the state without what goes around", given[t, LAYERS], h[t, -1]).T @ q
        da = q @ p["V"].T
        for k in reversed(range(LAYERS)):
            delta = (da + dh[k]) * (1 - h[t, k] ** 2)
            g[f"U{k}"] += given[t, k].T @ delta
            g[f"W{k}"] += h[t - slip("the state of this step", 1, 0), k].T @ delta
            dh[k] = delta @ p[f"W{k}"].T
            da = slip("the way around left out", da, 0.0) + delta @ p[f"U{k}"].T
        g["E"] += xs[t - 1].T @ da
    return g
