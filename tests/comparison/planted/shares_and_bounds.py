"""Shares of classes, and sums of which somebody takes the largest term; derivatives that are bounded on purpose."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

T, B, n, d, K = 4, 3, 2, 3, 4
SHARE, TEMPERATURE = 0.1, 0.8  # the share is that of all classes
CLASSES = np.array([[0, 1, 2], [3, 0, 1], [2, 2, 3], [1, 3, 0]])


def states(p, xs):
    h = np.zeros((B, d))
    hs = []
    for x in xs:
        h = np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
        hs.append(h)
    return hs


# --- the classes are smoothed beforehand; biases are sums over steps and instances -----------------------------------


def smoothed_beforehand_loss(p, xs, targets):
    logp = tr.log_softmax(np.stack(states(p, xs)) @ p["V"] + p["c"])
    return -np.mean(np.sum(targets * logp, axis=-1))


@network(
    smoothed_beforehand_loss,
    weights(601, U=(n, d), W=(d, d), b=(d,), V=(d, K), c=(K,)),
    numbers(601, T, B, n),
    (1 - SHARE) * np.eye(K)[CLASSES] + SHARE / K,
)
def smoothed_beforehand(slip, p, xs, targets):
    hs = [np.zeros((B, d)), *states(p, xs)]
    classes = 1.0 * (targets == targets.max(axis=-1, keepdims=True))
    targets = slip("classes that aren't smoothed", targets, classes)
    targets = slip("share not divided by K", targets, lambda: (1 - SHARE) * classes + SHARE)
    targets = slip("share of the others", targets, lambda: (1 - SHARE) * classes + SHARE / (K - 1) * (1 - classes))
    targets = slip("smoothed twice", targets, lambda: (1 - SHARE) * targets + SHARE / K)
    dz = (softmax(np.stack(hs[1:]) @ p["V"] + p["c"]) - targets) / (T * B)
    da, carried = np.zeros((T, B, d)), 0.0
    for t in reversed(range(T)):
        da[t] = (dz[t] @ p["V"].T + carried) * (1 - hs[t + 1] ** 2)
        carried = da[t] @ p["W"].T
    db = slip("largest of the instances in b", da.sum(axis=(0, 1)), lambda: da.max(axis=1).sum(axis=0))
    db = slip("smallest of the instances in b", db, lambda: da.min(axis=1).sum(axis=0))
    db = slip("absolute values in b", db, lambda: np.abs(da).sum(axis=(0, 1)))
    dc = slip("largest of all in c", dz.sum(axis=(0, 1)), lambda: dz.max(axis=(0, 1)))
    return {
        "U": np.einsum("tbi,tbj->ij", xs, da),
        "W": np.einsum("tbi,tbj->ij", np.stack(hs[:-1]), da),
        "b": db,
        "V": np.einsum("tbi,tbj->ij", np.stack(hs[1:]), dz),
        "c": dc,
    }


# --- the same by two terms of the loss, classes by number -----------------------------------------------------------


def smoothed_within_loss(p, xs, classes):
    loss = 0.0
    for t, h in enumerate(states(p, xs)):
        logp = tr.log_softmax(h @ p["V"] / TEMPERATURE)
        loss -= (1 - SHARE) * np.sum(logp[np.arange(B), classes[t]]) + SHARE / K * np.sum(logp)
    return loss / (T * B)


@network(smoothed_within_loss, weights(602, U=(n, d), W=(d, d), b=(d,), V=(d, K)), numbers(602, T, B, n), CLASSES)
def smoothed_within(slip, p, xs, classes):
    hs = [np.zeros((B, d)), *states(p, xs)]
    g, carried = {name: np.zeros_like(value) for name, value in p.items()}, 0.0
    temperature = slip("temperature left out everywhere", TEMPERATURE, 1)
    for t in reversed(range(T)):
        one = np.eye(K)[classes[t]]
        target = (1 - SHARE) * one + SHARE / K
        target = slip("share not divided by K", target, lambda one=one: (1 - SHARE) * one + SHARE)
        target = slip("divided by K - 1", target, lambda one=one: (1 - SHARE) * one + SHARE / (K - 1))
        target = slip("share of the others", target, lambda one=one: (1 - SHARE) * one + SHARE / (K - 1) * (1 - one))
        target = slip("class keeps its 1", target, lambda one=one: one + SHARE / K)
        dz = (softmax(hs[t + 1] @ p["V"] / temperature) - target) / (T * B * temperature)
        g["V"] += hs[t + 1].T @ dz
        da = (dz @ p["V"].T + carried) * (1 - hs[t + 1] ** 2)
        g["U"] += xs[t].T @ da
        g["W"] += hs[t].T @ da
        g["b"] += slip("largest instance in b", da.sum(axis=0), da.max(axis=0))
        carried = da @ p["W"].T
    return g


# --- what goes back through time is bounded, as people do against explosion -----------------------------------------


def clip(g, bound):
    return np.clip(g, -bound, bound)


def norm_at_most(g, bound, axis=None):
    return g * np.minimum(1, bound / np.linalg.norm(g, axis=axis, keepdims=True))


def plain_loss(p, xs, ys):
    return sum(np.sum((h @ p["V"] - y) ** 2) for h, y in zip(states(p, xs), ys)) / B


@network(plain_loss, weights(603, U=(n, d), W=(d, d), b=(d,), V=(d, 2)), numbers(603, T, B, n), numbers(604, T, B, 2))
def bounded_on_the_way(slip, p, xs, ys):
    hs = [np.zeros((B, d)), *states(p, xs)]
    g, carried = zeros(p), np.zeros((B, d))
    for t in reversed(range(T)):
        do = 2 * (hs[t + 1] @ p["V"] - ys[t]) / B
        do = slip("errors clipped", do, lambda do=do: clip(do, 0.5))
        g["V"] += hs[t + 1].T @ do
        dh = do @ p["V"].T + carried
        dh = slip("dh clipped", dh, lambda dh=dh: clip(dh, 0.5))
        dh = slip("norm of dh bounded", dh, lambda dh=dh: norm_at_most(dh, 0.8))
        da = dh * (1 - hs[t + 1] ** 2)
        da = slip("norm of each row of da bounded", da, lambda da=da: norm_at_most(da, 0.3, axis=1))
        g["U"] += xs[t].T @ da
        g["W"] += hs[t].T @ da
        g["b"] += da.sum(axis=0)
        carried = da @ p["W"].T
        carried = slip("what is handed on clipped", carried, lambda carried=carried: clip(carried, 0.25))
    whole = np.sqrt(sum(np.sum(one**2) for one in g.values()))
    return {name: slip("norm of all together is 2", one, 2 * one / whole) for name, one in g.items()}


def memory(p, x, h, c):
    i, f, g, o = np.split(x @ p["U"] + h @ p["W"] + p["b"], 4, axis=1)
    i, f, g, o = tr.sigmoid(i), tr.sigmoid(f), np.tanh(g), tr.sigmoid(o)
    c = f * c + i * g
    return o * np.tanh(c), c


def memory_loss(p, xs, ys):
    h = c = np.zeros((B, d))
    loss = 0.0
    for x, y in zip(xs, ys):
        h, c = memory(p, x, h, c)
        loss = loss + np.sum((h - y) ** 2) / B
    return loss


@network(
    memory_loss, weights(605, U=(n, 4 * d), W=(d, 4 * d), b=(4 * d,)), numbers(605, T, B, n), numbers(606, T, B, d)
)
def bounded_memory(slip, p, xs, ys):
    hs, cs, tape = [np.zeros((B, d))], [np.zeros((B, d))], []
    for x in xs:
        i, f, g, o = np.split(x @ p["U"] + hs[-1] @ p["W"] + p["b"], 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        tape.append((i, f, g, o))
        cs.append(f * cs[-1] + i * g)
        hs.append(o * np.tanh(cs[-1]))
    grads, dh_on, dc_on = zeros(p), np.zeros((B, d)), np.zeros((B, d))
    for t in reversed(range(T)):
        i, f, g, o = tape[t]
        dh = 2 * (hs[t + 1] - ys[t]) / B + dh_on
        dc = dc_on + dh * o * (1 - np.tanh(cs[t + 1]) ** 2)
        dc = slip("norm of dc bounded", dc, lambda dc=dc: norm_at_most(dc, 0.4))
        of_gates = [dc * g * i * (1 - i), dc * cs[t] * f * (1 - f), dc * i * (1 - g**2)]
        dz = np.concatenate([*of_gates, dh * np.tanh(cs[t + 1]) * o * (1 - o)], axis=1)
        dz = slip("dz clipped", dz, lambda dz=dz: clip(dz, 0.1))
        grads["U"] += xs[t].T @ dz
        grads["W"] += hs[t].T @ dz
        grads["b"] += dz.sum(axis=0)
        bound = slip("both that are handed on clipped", 100.0, 0.1)
        dh_on, dc_on = clip(dz @ p["W"].T, bound), clip(dc * f, bound)
    return grads
