"""Networks whose loss reads the last state, or the mean of all states in two directions."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

N, T, D, H, O, V = 2, 4, 2, 3, 3, 5  # noqa: E741
GATES = {a + k: size for k in "zrc" for a, size in (("W", (H, D)), ("U", (H, H)), ("b", (H,)))}


def last_loss(p, xs, y):
    h = np.zeros(H)
    for x in xs:
        z = tr.sigmoid(p["Wz"] @ x + p["Uz"] @ h + p["bz"])
        r = tr.sigmoid(p["Wr"] @ x + p["Ur"] @ h + p["br"])
        h = z * h + (1 - z) * np.tanh(p["Wc"] @ x + p["Uc"] @ (r * h) + p["bc"])
    return -tr.log_softmax(p["V"] @ h)[y]


@network(last_loss, weights(801, **GATES, V=(O, H)), numbers(802, T, D), 1)
def gru_in_columns(slip, p, xs, y):
    states = [{"h": np.zeros(H)}]
    for x in xs:
        h = states[-1]["h"]
        z = sigmoid(p["Wz"] @ x + p["Uz"] @ h + p["bz"])
        r = sigmoid(p["Wr"] @ x + p["Ur"] @ h + p["br"])
        c = np.tanh(p["Wc"] @ x + p["Uc"] @ (r * h) + p["bc"])
        states.append({"h": z * h + (1 - z) * c, "z": z, "r": r, "c": c, "x": x})
    g, probabilities = zeros(p), softmax(p["V"] @ states[-1]["h"])
    error = probabilities.copy()
    error[y] -= slip("the target subtracted twice", 1, 2)
    g["V"] = np.outer(error, states[-1]["h"])
    slope = slip("the softmax's slope again", 1.0, probabilities * (1 - probabilities))
    dh = p["V"].T @ (error * slope)
    for k in range(T, 0, -1):
        h, (z, r, c, x) = states[k - 1]["h"], (states[k][name] for name in "zrcx")
        d = {"c": dh * (1 - z) * (1 - c**2)}
        d["z"] = dh * slip("c left out of dz", h - c, h) * z * (1 - z)
        through = p["Uc"].T @ d["c"]
        d["r"] = through * slip("c for h in dr", h, c) * r * (1 - r)
        g["Uc"] += np.outer(d["c"], slip("r left out of dUc", r * h, h))
        g["Uz"] += np.outer(d["z"], h)
        g["Ur"] += np.outer(d["r"], h)
        for name in d:
            g["W" + name] += np.outer(d[name], x)
            g["b" + name] = d[name] + slip("= for += in b", g["b" + name], 0.0)
        dh = dh * z + p["Uz"].T @ d["z"] + p["Ur"].T @ d["r"] + through * slip("r left out behind Uc", r, 1.0)
    return g


def pooled_loss(p, ids, y):
    f, b, fs, bs = np.zeros((N, H)), np.zeros((N, H)), [], []
    for t in range(T):
        fs.append(f := np.tanh(p["E"][ids[:, t]] @ p["Uf"] + f @ p["Wf"]))
        bs.append(b := np.tanh(p["E"][ids[:, T - 1 - t]] @ p["Ub"] + b @ p["Wb"]))
    mean = sum(np.concatenate(pair, axis=1) for pair in zip(fs, bs[::-1])) / T
    return -np.mean(tr.log_softmax(mean @ p["V"])[np.arange(N), y])


@network(
    pooled_loss,
    weights(811, E=(V, D), Uf=(D, H), Wf=(H, H), Ub=(D, H), Wb=(H, H), V=(2 * H, O)),
    np.array([[0, 2, 2, 4], [1, 2, 3, 0]]),
    np.array([2, 0]),
)
def pooled_in_two_directions(slip, p, ids, y):
    x, states = p["E"][ids], np.zeros((2, T + 2, N, H))
    for t in range(1, T + 1):
        states[0, t] = np.tanh(x[:, t - 1] @ p["Uf"] + states[0, t - 1] @ p["Wf"])
    for t in range(T, 0, -1):
        states[1, t] = np.tanh(x[:, t - 1] @ p["Ub"] + states[1, t + 1] @ p["Wb"])
    mean = np.concatenate([*states[:, 1:-1]], axis=-1).mean(axis=0)
    error = softmax(mean @ p["V"])
    error[np.arange(N), y] -= 1
    error /= N
    g, dx = {**zeros(p), "V": mean.T @ error}, np.zeros_like(x)
    halves = np.split(error @ p["V"].T / slip("1/T of the mean left out", T, 1), 2, axis=1)
    for k, (name, step) in enumerate((("f", -1), ("b", 1))):
        back = np.zeros((N, H))
        for t in range(1, T + 1)[::step]:
            dz = (halves[slip("the halves exchanged", k, 1 - k)] + back) * (1 - states[k, t] ** 2)
            g["U" + name] += x[:, t - 1].T @ dz
            g["W" + name] += states[k, t + slip("the state of the step after in dW", step, -step)].T @ dz
            dx[:, t - 1] += dz @ p["U" + name].T
            back = dz @ p["W" + slip("Wf in both directions", name, "f")].T
    g["E"][ids] += dx
    every = zeros(p)["E"]
    np.add.at(every, ids, dx)
    return {**g, "E": slip("E[ids] += dx", every, g["E"])}
