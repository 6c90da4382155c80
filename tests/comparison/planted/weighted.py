"""Networks whose losses weigh classes, sequences and steps, and whose loops go both ways or end early."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

N, T, D, H, K = 3, 4, 2, 3, 3
CLASSES, WEIGHTS = np.array([[0, 2, 1, 1], [2, 0, 0, 1], [1, 1, 2, 0]]), np.array([0.4, 1.0, 2.5])
ROWS = np.arange(N)

# --- a weight for each class, the sum of the weights below; a first state that is learnt ------------------------------


def class_weights_loss(p, xs, classes, weight):
    h, total = p["h0"] + np.zeros((N, H)), 0.0
    for t in range(T):
        h = np.tanh(xs[:, t] @ p["U"] + h @ p["W"])
        logs = tr.log_softmax(h @ p["V"], axis=1)
        total = total - np.sum(weight[classes[:, t]] * logs[ROWS, classes[:, t]])
    return total / np.sum(weight[classes])


@network(
    class_weights_loss,
    weights(401, U=(D, H), W=(H, H), h0=H, V=(H, K)),
    numbers(402, N, T, D),
    CLASSES,
    WEIGHTS,
)
def class_weights(slip, p, xs, classes, weight):
    hs = [p["h0"] + np.zeros((N, H))]
    for t in range(T):
        hs.append(np.tanh(xs[:, t] @ p["U"] + hs[-1] @ p["W"]))
    g, dh, norm = zeros(p), np.zeros((N, H)), weight[classes].sum()
    for t in range(T - 1, -1, -1):
        own, target = weight[classes[:, t]][:, None], np.eye(K)[classes[:, t]]
        z = hs[t + 1] @ p["V"]
        prob = slip("softmax over the batch", softmax(z), softmax(z.T).T)
        below = slip("the weights of the step below", norm, own.sum())
        dz = own * (prob - slip("all targets in each row", target, target.max(axis=0))) / below
        dz = slip("a weight for each column", dz, (prob - target) * weight / norm)
        dz = slip("the weight on the target alone", dz, (prob - own * target) / norm)
        g["V"] += hs[t + 1].T @ dz
        dh = dh + slip("the last instance for all", dz, np.broadcast_to(dz[-1:], dz.shape)) @ p["V"].T
        da = dh * (1 - hs[t + 1] ** 2)
        g["U"] += xs[:, t].T @ da
        g["W"] += hs[slip("the first state passed over", t, max(t, 1))].T @ da
        dh = da @ p["W"].T
    g["h0"] = dh.sum(axis=0)
    return g


# --- an output of probabilities that is fed back; binary cross-entropy with more weight for ones ----------------------


def fed_back_loss(p, xs, ys):
    y, total = np.zeros((N, 2)), 0.0
    for t in range(T):
        y = tr.sigmoid(np.tanh(xs[t] @ p["U"] + y @ p["F"]) @ p["V"] + p["c"])
        total = total - np.sum(ys[t] * np.log(y) + (1 - ys[t]) * np.log(1 - y))
    return total / T


@network(
    fed_back_loss,
    weights(403, U=(D, H), F=(2, H), V=(H, 2), c=2),
    numbers(404, T, N, D),
    np.where(numbers(405, T, N, 2) > 0, 1.0, 0.0),
)
def fed_back(slip, p, xs, ys):
    hs, outs = [], [np.zeros((N, 2))]
    for t in range(T):
        hs.append(np.tanh(xs[t] @ p["U"] + outs[-1] @ p["F"]))
        outs.append(sigmoid(hs[t] @ p["V"] + p["c"]))
    g, fed = zeros(p), np.zeros((N, 2))
    for t in range(T - 1, -1, -1):
        y = outs[t + 1]
        other = (1 - ys[t]) / slip("y below the second term", 1 - y, y)
        dy = (slip("the second term's sign", other, -other) - ys[t] / y) / T + fed
        at = slip("slope of the step before", y, outs[t])
        dz = dy * slip("slope of a tanh", at * (1 - at), 1 - y**2)
        g["V"] += hs[t].T @ dz
        g["c"] += slip("no slope in dc", dz, dy).sum(axis=0)
        da = (dz @ p["V"].T) * (1 - hs[t] ** 2)
        g["U"] += xs[t].T @ da
        g["F"] += outs[t].T @ da
        fed = da @ p["F"].T + slip("the carry is added up", 0, fed)
    return g


# --- weighted ones, of logits; sequences that end early, whose state is kept ------------------------------------------


def kept_at_its_end_loss(p, xs, lengths, ys):
    h = np.zeros((N, H))
    for t in range(T):
        h = np.where((t < lengths)[:, None], np.tanh(xs[:, t] @ p["U"] + h @ p["W"] + p["b"]), h)
    z = h @ p["v"]
    return np.mean(2.5 * ys * tr.softplus(-z) + (1 - ys) * tr.softplus(z))


@network(
    kept_at_its_end_loss,
    weights(406, U=(D, H), W=(H, H), b=H, v=H),
    numbers(407, N, T, D),
    np.array([4, 2, 3]),
    np.array([1.0, 0.0, 1.0]),
)
def kept_at_its_end(slip, p, xs, lengths, ys):
    hs = [np.zeros((N, H))]
    for t in range(T):
        hs.append(np.where((t < lengths)[:, None], np.tanh(xs[:, t] @ p["U"] + hs[-1] @ p["W"] + p["b"]), hs[-1]))
    q, g = sigmoid(hs[-1] @ p["v"]), zeros(p)
    dz = ((1 - ys) * q - 2.5 * ys * (1 - q)) / N
    dz = slip("the weight for all", dz, 2.5 * (q - ys) / N)
    dz = slip("the weight on the target alone", dz, (q - 2.5 * ys) / N)
    dz = slip("the weight for zeros", dz, (2.5 * (1 - ys) * q - ys * (1 - q)) / N)
    g["v"] = dz @ hs[-1]
    for n in range(slip("the first instance alone", N, 1)):
        dh = dz[n] * p["v"]
        for t in range(slip("on to the last step", lengths[n], T) - 1, -1, -1):
            da = dh * (1 - hs[t + 1][n] ** 2)
            g["U"] += np.outer(xs[slip("x of the first instance", n, 0), t], da)
            g["W"] += np.outer(hs[t][n], da)
            g["b"] += da / slip("divided by the lengths", 1, lengths[n])
            dh = p["W"] @ da
    return g
