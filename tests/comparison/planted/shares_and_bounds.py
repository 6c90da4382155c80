"""Shares of classes, and sums of which somebody takes the largest term; derivatives that are bounded on purpose."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, softmax, weights

T, B, n, d, K = 4, 3, 2, 3, 4
SHARE = 0.1  # of all classes
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
        logp = tr.log_softmax(h @ p["V"])
        loss -= (1 - SHARE) * np.sum(logp[np.arange(B), classes[t]]) + SHARE / K * np.sum(logp)
    return loss / (T * B)


@network(smoothed_within_loss, weights(602, U=(n, d), W=(d, d), b=(d,), V=(d, K)), numbers(602, T, B, n), CLASSES)
def smoothed_within(slip, p, xs, classes):
    hs = [np.zeros((B, d)), *states(p, xs)]
    g, carried = {name: np.zeros_like(value) for name, value in p.items()}, 0.0
    for t in reversed(range(T)):
        one = np.eye(K)[classes[t]]
        target = (1 - SHARE) * one + SHARE / K
        target = slip("share not divided by K", target, lambda one=one: (1 - SHARE) * one + SHARE)
        target = slip("divided by K - 1", target, lambda one=one: (1 - SHARE) * one + SHARE / (K - 1))
        target = slip("share of the others", target, lambda one=one: (1 - SHARE) * one + SHARE / (K - 1) * (1 - one))
        target = slip("class keeps its 1", target, lambda one=one: one + SHARE / K)
        dz = (softmax(hs[t + 1] @ p["V"]) - target) / (T * B)
        g["V"] += hs[t + 1].T @ dz
        da = (dz @ p["V"].T + carried) * (1 - hs[t + 1] ** 2)
        g["U"] += xs[t].T @ da
        g["W"] += hs[t].T @ da
        g["b"] += slip("largest instance in b", da.sum(axis=0), da.max(axis=0))
        carried = da @ p["W"].T
    return g
