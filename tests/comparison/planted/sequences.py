"""Sequences one after another in plain loops: each of a batch by itself, and chunks of unequal lengths."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, sigmoid, weights, zeros

n, d = 2, 3


def sequences(seed, *lengths):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, n)) for length in lengths]


# --- each sequence by itself, the loss at its last step ---------------------------------------------------------------


def labels_loss(p, xs, labels):
    total = 0
    for x, label in zip(xs, labels):
        h = np.zeros(d)
        for row in x:
            h = np.tanh(p["W"] @ h + p["U"] @ row + p["b"])
        prob = tr.sigmoid(p["w"] @ h + p["c"])
        total = total - label * np.log(prob) - (1 - label) * np.log(1 - prob)
    return total / len(xs)


@network(labels_loss, weights(41, W=(d, d), U=(d, n), b=(d,), w=(d,), c=()), sequences(41, 4, 2, 3), [1.0, 0.0, 1.0])
def each_by_itself(slip, p, xs, labels):
    g = zeros(p)
    dh = end = np.zeros(d)
    for x, label in zip(xs, labels):
        h = [slip("h not reset", np.zeros(d), end)]
        for row in x:
            h.append(np.tanh(p["W"] @ h[-1] + p["U"] @ row + p["b"]))
        end = h[-1]
        dz = sigmoid(p["w"] @ end + p["c"]) - label
        dz = slip("sign", dz, -dz) / slip("mean forgotten", slip("mean over its steps", len(xs), len(x)), 1)
        g["w"] = g["w"] + dz * h[-1]
        g["c"] = g["c"] + dz
        dh = slip("dh not reset", 0, dh) + dz * p["w"]
        for t in range(len(x), slip("first step left out", 0, 1), -1):
            slope = slip("slope of the old state", 1 - h[t] ** 2, 1 - h[t - 1] ** 2)
            delta = dh * slip("slope forgotten", slope, 1)
            g["W"] = g["W"] + np.outer(delta, slip("outer by the new state", h[t - 1], h[t]))
            g["U"] = g["U"] + np.outer(delta, x[t - 1])
            g["b"] = g["b"] + slip("dh in db", delta, dh)
            dh = slip("W for its transpose", p["W"].T @ delta, p["W"] @ delta)
    return g


# --- pairs of sequences and targets, a gated unit, a mean over the steps of each --------------------------------------


def pairs_loss(p, pairs):
    total = 0
    for xs, ys in pairs:
        h = np.zeros(d)
        for x, y in zip(xs, ys):
            z = tr.sigmoid(p["Wz"] @ x + p["Uz"] @ h)
            n = np.tanh(p["Wn"] @ x + p["Un"] @ h)
            h = (1 - z) * h + z * n
            total = total + (p["v"] @ h - y) ** 2 / len(xs)
    return total


PAIRS = [(xs, np.sin(xs[:, 0])) for xs in sequences(42, 3, 4)]


@network(pairs_loss, weights(42, Wz=(d, n), Uz=(d, d), Wn=(d, n), Un=(d, d), v=(d,)), PAIRS)
def gated_by_itself(slip, p, pairs):
    g = zeros(p)
    dh = np.zeros(d)
    for xs, ys in pairs:
        h, tape = np.zeros(d), []
        for x, y in zip(xs, ys):
            z, n = sigmoid(p["Wz"] @ x + p["Uz"] @ h), np.tanh(p["Wn"] @ x + p["Un"] @ h)
            new = (1 - z) * h + z * n
            tape.append((x, h, z, n, new, y))
            h = new
        dh = slip("dh not reset", np.zeros(d), dh)
        for x, h, z, n, new, y in reversed(tape):
            e = 2 * (p["v"] @ new - y) / slip("mean forgotten", len(xs), 1)
            g["v"] += e * new
            dh = slip("carry forgotten", dh, 0) + e * p["v"]
            dn = dh * z * slip("slope forgotten", 1 - n**2, 1)
            dz = dh * slip("new for h", n - h, n - new) * z * (1 - z)
            g["Wn"] += np.outer(dn, x)
            g["Un"] += np.outer(dn, slip("new in dUn", h, new))
            g["Wz"] += np.outer(dz, x)
            g["Uz"] += np.outer(dz, h)
            direct = dh * slip("z for 1 - z", 1 - z, z)
            through = p["Uz"].T @ dz + p["Un"].T @ dn
            dh = slip("direct path forgotten", direct, 0) + slip("gate forgotten", through, p["Un"].T @ dn)
    return g


# --- chunks of unequal lengths, cut between them ------------------------------------


def uneven_loss(p, xs, ys):
    h, total = np.zeros(d), 0
    for begin in range(0, len(xs), 3):
        h = tr.stop_gradient(h)
        for t in range(begin, min(begin + 3, len(xs))):
            h = np.tanh(p["U"] @ xs[t] + p["W"] @ h)
            total = total + 0.5 * (p["v"] @ h - ys[t]) ** 2
    return total / len(xs)


@network(uneven_loss, weights(43, U=(d, n), W=(d, d), v=(d,)), *sequences(43, 7), np.arange(7.0))
def uneven_chunks(slip, p, xs, ys):
    g = zeros(p)
    h, dh, T = np.zeros(d), np.zeros(d), len(xs)
    for begin in range(0, T, 3):
        end = min(begin + 3, T)
        hs = {begin - 1: h}
        for t in range(begin, end):
            hs[t] = np.tanh(p["U"] @ xs[t] + p["W"] @ hs[t - 1])
        dh = slip("dh not reset", np.zeros(d), dh)
        for t in reversed(range(begin, end)):
            e = (p["v"] @ hs[t] - ys[t]) / slip("mean over the chunk", slip("mean over three", T, 3), end - begin)
            g["v"] += e * hs[t]
            delta = (e * p["v"] + slip("carry forgotten", dh, 0)) * (1 - hs[t] ** 2)
            g["U"] += np.outer(delta, slip("x by its number in the chunk", xs[t], xs[t - begin]))
            g["W"] += np.outer(delta, slip("outer by the new state", hs[t - 1], hs[t]))
            dh = slip("W for its transpose", p["W"].T @ delta, p["W"] @ delta)
        h = slip("state begins at zero", hs[end - 1], np.zeros(d))
    return g


# --- a loop over the batch, in it one over the steps, two layers, the upper one fed back to the lower -----------------


def fed_back_loss(p, xs, ys):
    total = 0
    for b in range(xs.shape[1]):
        u, v = np.zeros(n), np.zeros(n)
        for t in range(len(xs)):
            u = np.tanh(p["A"] @ xs[t, b] + p["P"] @ u + p["F"] @ v)
            v = np.tanh(p["S"] @ u + p["Q"] @ v)
            total = total + (p["w"] @ v - ys[t, b]) ** 2
    return total / (2 * xs.shape[1])


FED_BACK = weights(44, A=(n, n), P=(n, n), F=(n, n), S=(n, n), Q=(n, n), w=(n,))
XS = np.stack(sequences(44, 3, 3, 3, 3))


@network(fed_back_loss, FED_BACK, XS, np.sin(XS[..., 0]))
def upper_layer_fed_back(slip, p, xs, ys):
    g = zeros(p)
    du, dv = np.zeros(n), np.zeros(n)
    T, B = ys.shape
    for b in range(B):
        us, vs = [np.zeros(n)], [np.zeros(n)]
        for x in xs[:, b]:
            us.append(np.tanh(p["A"] @ x + p["P"] @ us[-1] + p["F"] @ vs[-1]))
            vs.append(np.tanh(p["S"] @ us[-1] + p["Q"] @ vs[-1]))
        du, dv = slip("carries not reset", (np.zeros(n), np.zeros(n)), (du, dv))
        for t in range(T, 0, -1):
            e = (p["w"] @ vs[t] - ys[t - 1, b]) / slip("mean forgotten", B, 1)
            g["w"] += e * vs[t]
            zv = (slip("dv forgotten", dv, 0) + e * p["w"]) * (1 - vs[t] ** 2)
            zu = (slip("du forgotten", du, 0) + p["S"].T @ zv) * (1 - us[t] ** 2)
            g["S"] += np.outer(zv, slip("u of the step before in dS", us[t], us[t - 1]))
            g["Q"] += np.outer(zv, vs[t - 1])
            g["A"] += np.outer(zu, xs[t - 1, b])
            g["P"] += np.outer(zu, us[t - 1])
            g["F"] += np.outer(zu, slip("u for v in dF", vs[t - 1], us[t - 1]))
            du, dv = p["P"].T @ zu, p["Q"].T @ zv + slip("feedback forgotten", p["F"].T @ zu, 0)
    return g
