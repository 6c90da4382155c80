"""Elman networks, in the forms in which they are written."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros
from tinygrad_rnn import nn

T, B, n, d, k = 5, 3, 2, 4, 6


def classes(seed, *shape):
    return np.eye(k)[np.random.default_rng(seed).integers(k, size=shape)]


# --- row vectors, a batch, softmax and cross-entropy at each step -----------------------------------------------------


def row_loss(p, xs, ys):
    hs, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"] + p["b"]), xs, np.zeros((xs.shape[1], d)))
    return nn.cross_entropy(hs @ p["V"] + p["c"], ys, "sum") / xs.shape[1]


@network(row_loss, weights(0, U=(n, d), W=(d, d), V=(d, k), b=(d,), c=(k,)), numbers(0, T, B, n), classes(0, T, B))
def elman_in_rows(slip, p, xs, ys):
    U, W, V = p["U"], p["W"], p["V"]
    h, o, a = [np.zeros((xs.shape[1], d))], [None], [None]
    for x in xs:
        a.append(x @ U + h[-1] @ W + p["b"])
        h.append(np.tanh(a[-1]))
        o.append(softmax(h[-1] @ V + p["c"]))
    T, B = xs.shape[:2]
    g = zeros(p)
    carry = np.zeros_like(h[0])
    for t in range(T, 0, -1):
        y = ys[t - 1]
        dz = (slip("sign of o - y", o[t] - y, y - o[t])) / slip("no mean over the batch", B, 1)
        dz = slip("softmax once more", dz, lambda: dz * o[t] * (1 - o[t]))
        dz = slip("loss at the last step only", dz, dz * (t == T))
        g["V"] += slip("h_(t-1) in dV", h[t], h[t - 1]).T @ dz
        g["c"] += dz.sum(0)
        through = slip("time forgotten", carry, 0 * carry)
        dh = dz @ V.T + slip("carry twice", through, 2 * through)
        slope = slip("1 - h", 1 - h[t] ** 2, 1 - h[t])
        slope = slip("slope at the pre-activation", slope, lambda: 1 - a[t] ** 2)
        slope = slip("slope of the step before", slope, lambda: 1 - h[t - 1] ** 2)
        slope = slip("slope forgotten at the last step", slope, 1 if t == T else slope)
        delta = dh * slip("sigmoid's slope", slope, h[t] * (1 - h[t]))
        g["U"] += slip("x_(t-1) in dU", xs[t - 1], xs[t - 2] if t > 1 else 0 * xs[0]).T @ delta
        g["W"] += slip("h_t in dW", h[t - 1], h[t]).T @ delta
        g["b"] += slip("dh in db", delta, dh).sum(0)
        carry = slip("W for its transpose", delta @ W.T, delta @ W)
        carry = slip("dh carried", carry, dh @ W.T)
    g["U"], g["b"] = slip("b divided by T", (g["U"], g["b"]), (g["U"], g["b"] / T))
    return g


# --- column vectors, one sequence, integer targets --------------------------------------------------------------------


def column_loss(p, xs, ys):
    h, total = np.zeros(d), 0.0
    for x, y in zip(xs, ys):
        h = np.tanh(p["Wxh"] @ x + p["Whh"] @ h + p["bh"])
        total = total - np.log(tr.softmax(p["Why"] @ h + p["by"])[y])
    return total


@network(
    column_loss,
    weights(1, Wxh=(d, n), Whh=(d, d), Why=(k, d), bh=(d,), by=(k,)),
    numbers(1, T, n),
    np.array([3, 0, 5, 3, 1]),
)
def elman_in_columns(slip, p, xs, ys):
    h, o = {-1: np.zeros(d)}, {}
    for t, x in enumerate(xs):
        h[t] = np.tanh(p["Wxh"] @ x + p["Whh"] @ h[t - 1] + p["bh"])
        o[t] = softmax(p["Why"] @ h[t] + p["by"])
    g = zeros(p)
    dhnext = np.zeros(d)
    T = len(xs)
    for t in reversed(range(T)):
        dy = o[t].copy()
        dy[ys[t]] -= slip("minus 1 forgotten", 1, 0)
        g["Why"] += np.outer(dy, h[t])
        g["by"] += slip("by is that of the first step", dy, dy * (t == 0))
        dh = slip("Why for its transpose's neighbour", p["Why"].T @ dy, lambda: p["Why"].T @ (dy * o[t])) + dhnext
        dhraw = slip("slope without square", (1 - h[t] * h[t]) * dh, (1 - h[t]) * dh)
        dhraw = slip("no slope", dhraw, dh)
        g["bh"] += dhraw
        g["Wxh"] += np.outer(dhraw, slip("x of the next step", xs[t], xs[t + 1] if t + 1 < T else 0 * xs[t]))
        g["Whh"] += np.outer(slip("dh for dhraw in Whh", dhraw, dh), slip("h[t] in Whh", h[t - 1], h[t]))
        dhnext = slip("Whh for its transpose", p["Whh"].T @ dhraw, p["Whh"] @ dhraw)
        dhnext = slip("carry in halves", dhnext, dhnext / 2)
        dhnext = slip("carry with the other sign", dhnext, -dhnext)
    g["Whh"] = slip("Whh transposed", g["Whh"], g["Whh"].T)
    g["Why"] = slip(
        "Why without the last step", g["Why"], lambda: g["Why"] - np.outer(o[T - 1] - np.eye(k)[ys[-1]], h[T - 1])
    )
    g["bh"] = slip("bh negative", g["bh"], -g["bh"])
    return g


# --- one matrix for the state and the input side by side, squared error at the last step ------------------------------


def joined_loss(p, xs, target):
    h = np.zeros((xs.shape[1], d))
    for x in xs:
        h = tr.sigmoid(np.concatenate([h, x], axis=1) @ p["W"] + p["b"])
    return np.mean((h @ p["V"] - target) ** 2)


@network(joined_loss, weights(2, W=(d + n, d), b=(d,), V=(d, 3)), numbers(2, T, B, n), numbers(3, B, 3))
def elman_in_one_matrix(slip, p, xs, target):
    T, B = xs.shape[:2]
    h, z = [np.zeros((B, d))], [None]
    for x in xs:
        z.append(np.concatenate([h[-1], x], axis=1))
        h.append(sigmoid(z[-1] @ p["W"] + p["b"]))
    g = zeros(p)
    e = h[T] @ p["V"] - target
    dout = slip("2 forgotten", 2, 1) * e / slip("mean over the batch alone", e.size, B)
    g["V"] = slip("V with the state before", h[T], h[T - 1]).T @ dout
    dh = dout @ p["V"].T
    for t in range(T, 0, -1):
        delta = dh * slip("tanh's slope", h[t] * (1 - h[t]), 1 - h[t] ** 2)
        delta = slip("h² (1 - h)", delta, delta * h[t])
        delta = slip("slope left out", delta, dh)
        g["W"] += slip("h after in dW", z[t], np.concatenate([h[t], xs[t - 1]], axis=1)).T @ delta
        g["b"] += slip("mean over the batch for b", delta.sum(0), delta.mean(0))
        dz = delta @ p["W"].T
        dh = slip("the input's rows carried", dz[:, :d], dz[:, n:])
        dh = slip("carry added up", dh, dh + delta)
        dh = slip("only two steps back", dh, dh * (t > T - 1))
    return g


# --- h Wᵀ as PyTorch writes it, a loss at some steps, a penalty -------------------------------------------------------


def some_loss(p, xs, ys):
    hs, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"].T + h @ p["W"].T + p["b"]), xs, np.zeros(d))
    picked = hs[1::2] @ p["V"].T
    return 0.5 * np.sum((picked - ys) ** 2) + 0.05 * (np.sum(p["W"] ** 2) + np.sum(p["U"] ** 2))


@network(some_loss, weights(4, U=(d, n), W=(d, d), V=(3, d), b=(d,)), numbers(4, 6, n), numbers(5, 3, 3))
def elman_with_penalty(slip, p, xs, ys):
    h = [np.zeros(d)]
    for x in xs:
        h.append(np.tanh(p["U"] @ x + p["W"] @ h[-1] + p["b"]))
    g = zeros(p)
    dh = np.zeros(d)
    for t in range(len(xs), 0, -1):
        if t % 2 == 0:
            e = p["V"] @ h[t] - ys[t // 2 - 1]
            e = slip("2 (o - y)", e, 2 * e)
            g["V"] += np.outer(e, h[t])
            dh = dh + slip("loss at step 4 forgotten", p["V"].T @ e, 0 if t == 4 else p["V"].T @ e)
            dh = slip("overwritten at the steps with a loss", dh, p["V"].T @ e)
        delta = dh * (1 - h[t] ** 2)
        delta = slip("slope squared", delta, delta * (1 - h[t] ** 2))
        g["U"] += np.outer(delta, xs[t - 1])
        g["W"] += np.outer(delta, slip("h_(t-2)", h[t - 1], h[t - 2] if t > 1 else h[0]))
        g["b"] += delta
        dh = p["W"].T @ slip("slope left out of the carry", delta, dh)
        dh = slip("W instead of its transpose", dh, p["W"] @ delta)
    g["W"] += slip("penalty's 2", 0.1, 0.05) * slip("penalty's W transposed", p["W"], p["W"].T)
    g["U"] += slip("penalty of U forgotten", 0.1, 0) * p["U"]
    g["U"] = slip("penalty subtracted", g["U"], g["U"] - 0.2 * p["U"])
    g["b"] = slip("a penalty on b too", g["b"], g["b"] + 0.1 * p["b"])
    return g


# --- a burn-in: classes from some step on, by a softmax that is written out -------------------------------------------


def burnt_loss(p, xs, ys, begin):
    h, total = np.zeros((B, d)), 0.0
    for t in range(len(xs)):
        h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
        if t >= begin:
            z = h @ p["V"]
            z = z - z.max(axis=1, keepdims=True)
            total = total - np.sum((z - np.log(np.exp(z).sum(axis=1, keepdims=True)))[np.arange(B), ys[t]])
    return total / B


FOLLOWING = (np.arange(6 * B) ** 2 // 2 % 3).reshape(6, B)


@network(burnt_loss, weights(5, U=(n, d), W=(d, d), V=(d, 3)), numbers(8, 6, B, n), FOLLOWING, 2)
def burn_in(slip, p, xs, ys, begin):
    kept, h = [], np.zeros((B, d))
    for x in xs:
        before, h = h, np.tanh(x @ p["U"] + h @ p["W"])
        kept.append((before, h, softmax(h @ p["V"])))
    g = zeros(p)
    carry = np.zeros((B, d))
    for t in reversed(range(len(xs))):
        before, h, probability = kept[slip("all that was kept of the step before", t, t - 1)]
        dh = carry
        if slip("loss at all steps", t >= begin, True) and slip("the first loss left out", True, t > begin):
            e = (probability - np.eye(3)[ys[t]]) / B
            g["V"] += h.T @ e
            dh = slip("overwritten where there is a loss", dh, 0) + e @ p["V"].T
        delta = dh * (1 - h**2)
        g["U"] += xs[t].T @ delta
        g["W"] += before.T @ delta
        carry = delta @ p["W"].T
    return g


# --- outputs fed back (Jordan), a learnt beginning --------------------------------------------------------------------


def jordan_loss(p, xs, ys):
    def cell(x, y):
        h = tr.named("h", np.tanh(x @ p["U"] + y @ p["W"] + p["b"]))
        return tr.sigmoid(h @ p["V"] + p["c"])

    out, _ = tr.unroll(cell, xs, np.zeros((B, 3)))
    return 0.5 * np.sum((out - ys) ** 2)


@network(
    jordan_loss, weights(6, U=(n, d), W=(3, d), b=(d,), V=(d, 3), c=(3,)), numbers(6, T, B, n), numbers(7, T, B, 3)
)
def jordan(slip, p, xs, ys):
    y, h = [np.zeros((B, 3))], [None]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + y[-1] @ p["W"] + p["b"]))
        y.append(sigmoid(h[-1] @ p["V"] + p["c"]))
    g = zeros(p)
    dy = np.zeros((B, 3))
    for t in range(T, 0, -1):
        dy = slip("own error forgotten", dy + y[t] - ys[t - 1], lambda: dy if t < T else y[t] - ys[t - 1])
        dz = dy * y[t] * slip("1 - y left out", 1 - y[t], 1)
        dz = slip("slope of the output left out", dz, dy)
        g["V"] += h[t].T @ dz
        g["c"] += slip("c without slope", dz, dy).sum(0)
        dh = dz @ p["V"].T
        da = dh * slip("h² for 1 - h²", 1 - h[t] ** 2, h[t] ** 2)
        da = slip("no tanh'", da, dh)
        g["U"] += xs[t - 1].T @ da
        g["W"] += slip("y_t in dW", y[t - 1], y[t]).T @ da
        g["b"] += slip("last instance", da.sum(0), da[-1])
        dy = slip("feedback forgotten", da @ p["W"].T, 0 * dy)
        dy = slip("feedback with the wrong sign", dy, -dy)
    g["W"] = slip("dW twice", g["W"], 2 * g["W"])
    return g


def start_loss(p, xs):
    hs, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), xs, state=p["h0"])
    return np.sum(hs**2) / len(xs)


@network(start_loss, weights(8, U=(n, d), W=(d, d), h0=(d,)), numbers(8, T, n))
def learnt_beginning(slip, p, xs):
    h = [p["h0"]]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
    g = zeros(p)
    T = len(xs)
    dh, each = np.zeros(d), np.zeros(d)
    for t in range(T, 0, -1):
        dh = dh + 2 * h[t] / slip("sum for mean", T, 1)
        delta = dh * (1 - h[t] ** 2)
        g["U"] += np.outer(xs[t - 1], delta)
        g["W"] += np.outer(slip("zeros at the beginning", h[t - 1], h[t - 1] * (t > 1)), delta)
        g["W"] = slip("h_t a factor too many in dW", g["W"], lambda: g["W"] + np.outer(h[t - 1] * (h[t] - 1), delta))
        dh = slip("W not transposed", p["W"] @ delta, p["W"].T @ delta)
        dh = slip("tanh' forgotten in the carry", dh, lambda: p["W"] @ (delta / (1 - h[t] ** 2)))
        each = each + dh
    g["h0"] = slip("h0 by all steps", dh, each)
    g["h0"] = slip("h0 with a slope", g["h0"], dh * (1 - h[0] ** 2))
    g["h0"] = slip("delta_1 for dh_0", g["h0"], delta)
    g["h0"] = slip("no gradient for h0", g["h0"], 0 * dh)
    g["h0"] = slip("h0 by the first loss alone", g["h0"], lambda: p["W"] @ (2 * h[1] / T * (1 - h[1] ** 2)))
    g["W"] = slip("minus dW", g["W"], -g["W"])
    g["W"], g["U"] = slip("half dU", (g["W"], g["U"]), (g["W"], g["U"] / 2))
    return g
