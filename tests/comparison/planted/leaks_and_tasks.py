"""Slips in pieces of a leaky state, in layers that let their input through, and in losses of several tasks."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

# --- pieces of two steps, with a leak and a learnt first state ------------------------------------------------------

T, PIECE, LEAK = 6, 2, 0.3
WORDS = np.array([0, 3, 1, 1, 2, 0, 3])


def leaky_pieces_loss(p, words):
    h, total = p["h0"], 0.0
    for t in range(T):
        h = tr.stop_gradient(h) if t and t % PIECE == 0 else h
        h = (1 - LEAK) * h + LEAK * np.tanh(p["E"][words[t]] + h @ p["W"])
        total = total - tr.log_softmax(h @ p["O"])[words[t + 1]]
    return total / T


@network(leaky_pieces_loss, weights(81, E=(4, 3), W=(3, 3), O=(3, 4), h0=(3,)), WORDS)
def leaky_pieces(slip, p, words):
    g, start = zeros(p), p["h0"]
    for begin in range(0, T, PIECE):
        hs, ns = [start], []
        for t in range(begin, begin + PIECE):
            ns.append(np.tanh(p["E"][words[t]] + hs[-1] @ p["W"]))
            hs.append((1 - LEAK) * hs[-1] + LEAK * ns[-1])
        dh = np.zeros(3)
        for j in range(PIECE, slip("first step of each piece left out", 0, 1), -1):
            t = begin + j - 1
            dz = softmax(hs[j] @ p["O"])
            dz[words[t + slip("targets not shifted", 1, 0)]] -= 1
            dz = dz / slip("mean over the piece", T, PIECE)
            g["O"] += np.outer(hs[slip("O by the state before", j, j - 1)], dz)
            dh = dh + p["O"] @ dz
            da = slip("leak left out", LEAK, 1.0) * dh * (1 - ns[j - 1] ** 2)
            g["E"][words[t]] = slip("= for += in E", g["E"][words[t]], 0) + da
            g["W"] += np.outer(hs[slip("W by the new state", j - 1, j)], da)
            dh = slip("leak for what it leaves", 1 - LEAK, LEAK) * dh + p["W"] @ da
        if begin == 0:
            g["h0"] = dh
        else:
            g["h0"] = slip("h0 of all pieces", g["h0"], g["h0"] + dh)
        start = hs[-1]
    return g


# --- layers that let their input through, their products computed for all steps at once ------------------------------


def highway_layers_loss(p, xs, ys):
    for layer in "ab":
        f, r = (tr.sigmoid(xs @ p[layer + gate] + p[layer + "b" + gate]) for gate in "fr")
        u, c, hs = xs @ p[layer + "u"], np.zeros(3), []
        for t in range(5):
            c = f[t] * c + (1 - f[t]) * u[t]
            hs.append(r[t] * np.tanh(c) + (1 - r[t]) * xs[t])
        xs = np.stack(hs)
    return np.sum((xs @ p["v"] - ys) ** 2)


HIGHWAY = {
    name: (3,) if "b" in name[1:] else (3, 3)
    for name in ("af", "ar", "au", "bf", "br", "bu", "abf", "abr", "bbf", "bbr")
}
HIGHWAY["v"] = (3,)


@network(highway_layers_loss, weights(82, **HIGHWAY), numbers(82, 5, 3), numbers(83, 5))
def highway_layers(slip, p, xs, ys):
    kept = []
    for layer in "ab":
        f, r = (sigmoid(xs @ p[layer + gate] + p[layer + "b" + gate]) for gate in "fr")
        u, c = xs @ p[layer + "u"], np.zeros((6, 3))
        for t in range(5):
            c[t + 1] = f[t] * c[t] + (1 - f[t]) * u[t]
        kept.append((layer, xs, f, r, u, c))
        xs = r * np.tanh(c[1:]) + (1 - r) * xs
    e = 2 * (xs @ p["v"] - ys)
    g, dh = {"v": xs.T @ e}, np.outer(e, p["v"])
    for layer, x, f, r, u, c in kept[::-1]:
        m = np.tanh(c[1:])
        dr = dh * (m - slip("input left out of dr", x, 0)) * r * (1 - r)
        dc, carry = np.zeros((5, 3)), np.zeros(3)
        for t in range(4, -1, -1):
            dc[t] = dh[t] * r[t] * (1 - m[t] ** 2) + carry
            carry = dc[t] * f[slip("gate of the step before", t, t - 1)]
        df = dc * (c[:-1] - slip("input left out of df", u, 0)) * f * (1 - f)
        du = dc * slip("gate for what it leaves", 1 - f, f)
        for gate, d in (("f", df), ("r", dr), ("u", du)):
            g[layer + gate] = x.T @ d
            if gate != "u":
                g[layer + "b" + gate] = d.sum(axis=0)
        through = dh * (1 - r)
        dh = slip("input's own path left out", through, 0) + sum(
            d @ p[layer + k].T for k, d in zip("fru", (df, dr, du))
        )
    return g


# --- two tasks, one of them with a loss of two cases, and a mask on the state ----------------------------------------

KEPT = np.array([1.25, 0.8, 1.6])
OF_TAGS, OF_NEXT, EDGE = 0.7, 1.5, 0.8


def two_tasks_loss(p, xs, tags, kept):
    h, total = np.zeros(3), 0.0
    for t in range(5):
        h = np.tanh(xs[t] @ p["U"] + (h * kept) @ p["W"])
        total = total - OF_TAGS * tr.log_softmax(h @ p["A"])[tags[t]] / 5
        if t < 4:
            e = h @ p["B"] - xs[t + 1]
            total = (
                total + OF_NEXT * np.sum(np.where(np.abs(e) <= EDGE, 0.5 * e * e, EDGE * (np.abs(e) - 0.5 * EDGE))) / 4
            )
    return total


@network(
    two_tasks_loss,
    weights(84, U=(2, 3), W=(3, 3), A=(3, 3), B=(3, 2)),
    numbers(84, 5, 2),
    np.array([0, 2, 2, 1, 0]),
    KEPT,
)
def two_tasks(slip, p, xs, tags, kept):
    hs = [np.zeros(3)]
    for x in xs:
        hs.append(np.tanh(x @ p["U"] + (hs[-1] * kept) @ p["W"]))
    h, before = np.array(hs[1:]), np.array(hs[:-1])
    dz = softmax(h @ p["A"])
    dz[range(5), tags] -= 1
    dz *= slip("weights of tasks exchanged", OF_TAGS, OF_NEXT) / 5
    e = h[:4] @ p["B"] - xs[1:]
    sides = slip("middle in both cases", np.clip(e, -EDGE, EDGE), e)
    sides = slip("sides in both cases", sides, EDGE * np.sign(e))
    de = slip("weights of tasks exchanged", OF_NEXT, OF_TAGS) * sides / slip("mean over all steps", 4, 5)
    dh = dz @ p["A"].T
    of_next = de @ p["B"].T
    dh[slip("next task a step late", slice(0, 4), slice(1, 5))] += slip("next task divided twice", of_next, of_next / 4)
    d, carry = np.zeros((5, 3)), np.zeros(3)
    for t in range(4, -1, -1):
        d[t] = (dh[t] + carry) * (1 - h[t] ** 2)
        back = p["W"] @ d[t]
        carry = slip("divided by the mask", lambda: back * kept, lambda: back / kept)  # noqa: B023
    return {"U": xs.T @ d, "W": (before * kept).T @ d, "A": h.T @ dz, "B": h[:4].T @ de}
