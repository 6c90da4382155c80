"""Networks of several parts: layers, directions, embeddings, attention."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import itertools

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, softmax, weights, zeros
from tinygrad_rnn import nn

T, B, n, d = 4, 3, 2, 3


def cell(p, name, x, h):
    return np.tanh(x @ p["U" + name] + h @ p["W" + name] + p["b" + name])


# --- two layers -------------------------------------------------------------------------------------------------------


def stacked_loss(p, xs, ys):
    with tr.scope(layer=0):
        below, _ = tr.unroll(lambda x, h: cell(p, "0", x, h), xs, np.zeros((B, d)))
    with tr.scope(layer=1):
        above, _ = tr.unroll(lambda x, h: cell(p, "1", x, h), below, np.zeros((B, d)))
    return nn.mse(above, ys, "sum") / B


@network(
    stacked_loss,
    weights(20, U0=(n, d), W0=(d, d), b0=(d,), U1=(d, d), W1=(d, d), b1=(d,)),
    numbers(20, T, B, n),
    numbers(21, T, B, d),
)
def stacked(slip, p, xs, ys):
    below, above = [np.zeros((B, d))], [np.zeros((B, d))]
    for x in xs:
        below.append(cell(p, "0", x, below[-1]))
        above.append(cell(p, "1", below[-1], above[-1]))
    g = zeros(p)
    c0 = c1 = np.zeros((B, d))
    for t in range(T, 0, -1):
        dh = 2 * (above[t] - ys[t - 1]) / B + slip("no time above", c1, 0)
        a1 = dh * (1 - above[t] ** 2)
        a1 = slip("slope above left out", a1, dh)
        g["U1"] += slip("the state below of t - 1", below[t], below[t - 1]).T @ a1
        g["W1"] += above[t - 1].T @ slip("dh for delta in W1", a1, dh)
        g["b1"] += a1.sum(0)
        down = a1 @ slip("W1 for U1 on the way down", p["U1"], p["W1"]).T
        down = slip("U1 not transposed", down, a1 @ p["U1"])
        down = slip("nothing goes down but at the end", down, down * (t == T))
        a0 = (down + slip("no time below", c0, 0)) * (1 - below[t] ** 2)
        a0 = slip("slope of the other layer", a0, (down + c0) * (1 - above[t] ** 2))
        g["U0"] += xs[t - 1].T @ a0
        g["W0"] += slip("states above in W0", below[t - 1], above[t - 1]).T @ a0
        g["b0"] += a0.sum(0)
        c0, c1 = a0 @ p["W0"].T, a1 @ slip("W0 for W1", p["W1"], p["W0"]).T
        c0, c1 = slip("carries exchanged", (c0, c1), (c1, c0))
    g["U0"] = slip("nothing goes down", g["U0"], 0 * g["U0"])
    return g


# --- both directions --------------------------------------------------------------------------------------------------


def both_loss(p, xs, ys):
    with tr.scope(layer="ahead"):
        f, _ = tr.unroll(lambda x, h: np.tanh(x @ p["Uf"] + h @ p["Wf"]), xs, np.zeros((B, d)))
    with tr.scope(layer="back"):
        b, _ = tr.unroll(lambda x, h: np.tanh(x @ p["Ub"] + h @ p["Wb"]), xs, np.zeros((B, d)), reverse=True)
    z = np.concatenate([f, b], axis=-1) @ p["V"]
    return nn.cross_entropy(z, ys, "mean")


@network(
    both_loss,
    weights(22, Uf=(n, d), Wf=(d, d), Ub=(n, d), Wb=(d, d), V=(2 * d, 5)),
    numbers(22, T, B, n),
    np.random.default_rng(22).integers(5, size=(T, B)),
)
def both_directions(slip, p, xs, ys):
    f, b = {0: np.zeros((B, d))}, {T + 1: np.zeros((B, d))}
    for t in range(1, T + 1):
        f[t] = np.tanh(xs[t - 1] @ p["Uf"] + f[t - 1] @ p["Wf"])
    for t in range(T, 0, -1):
        b[t] = np.tanh(xs[t - 1] @ p["Ub"] + b[t + 1] @ p["Wb"])
    g = zeros(p)
    dz = {}
    for t in range(1, T + 1):
        o = softmax(np.concatenate([f[t], b[t]], 1) @ p["V"])
        dz[t] = (o - np.eye(5)[ys[t - 1]]) / slip("sum over time", T * B, B)
        g["V"] += np.concatenate(slip("directions exchanged in V", [f[t], b[t]], [b[t], f[t]]), 1).T @ dz[t]
    carry = np.zeros((B, d))
    for t in range(T, 0, -1):
        dh = dz[t] @ p["V"][:d].T + slip("no time ahead", carry, 0)
        delta = slip("slope ahead", dh * (1 - f[t] ** 2), dh)
        g["Uf"] += xs[t - 1].T @ delta
        g["Wf"] += slip("f_t in dWf", f[t - 1], f[t]).T @ delta
        carry = delta @ p["Wf"].T
    carry = slip("the carry not reset for the other direction", np.zeros((B, d)), carry)
    for t in range(1, T + 1):
        dh = dz[t] @ slip("the rows of the other direction", p["V"][d:], p["V"][:d]).T + slip("no time back", carry, 0)
        delta = dh * (1 - slip("slope back of f", b[t], f[t]) ** 2)
        g["Ub"] += slip("reversed inputs", xs[t - 1], xs[T - t]).T @ delta
        g["Wb"] += slip("the state on the other side", b[t + 1], b[t - 1] if t > 1 else 0 * b[t]).T @ delta
        carry = delta @ slip("Wf for Wb", p["Wb"], p["Wf"]).T
        carry = slip("Wb not transposed", carry, delta @ p["Wb"])
    return g


# --- embeddings -------------------------------------------------------------------------------------------------------

WORDS = np.array([1, 0, 1, 3, 1])


def embedded_loss(p, words):
    h, _ = tr.unroll(lambda x, h: np.tanh(x + h @ p["W"]), p["E"][words], np.zeros(d))
    return nn.cross_entropy(h[:-1] @ p["V"], words[1:], "sum")


@network(embedded_loss, weights(23, E=(4, d), W=(d, d), V=(d, 4)), WORDS)
def embedding(slip, p, words):
    h = [np.zeros(d)]
    for w in words:
        h.append(np.tanh(p["E"][w] + h[-1] @ p["W"]))
    g = zeros(p)
    dh = np.zeros(d)
    kept = {}
    for t in range(len(words) - 1, 0, -1):
        dz = softmax(h[t] @ p["V"]) - np.eye(4)[words[t]]
        dz = slip("the target of the step before", dz, lambda: softmax(h[t] @ p["V"]) - np.eye(4)[words[t - 1]])
        g["V"] += np.outer(h[t], dz)
        delta = (dh + p["V"] @ dz) * (1 - h[t] ** 2)
        kept[t] = slip("dh for delta in E", delta, dh + p["V"] @ dz)
        g["W"] += np.outer(h[t - 1], delta)
        dh = p["W"] @ delta
        dh = slip("slope at h_(t-1)", dh, dh * (1 - h[t - 1] ** 2))
    for t, row in kept.items():
        if slip("= for +=", False, True):
            g["E"][words[t - 1]] = row
        else:
            g["E"][slip("the next word's row", words[t - 1], words[t])] += row
    g["E"] = slip("all rows alike", g["E"], lambda: g["E"] * 0 + g["E"].sum(0))
    g["E"] = slip(
        "divided by how often a word comes",
        g["E"],
        lambda: g["E"] / np.maximum(np.bincount(words[:-1], minlength=4), 1)[:, None],
    )
    g["W"] = slip(
        "no recursion in W",
        g["W"],
        lambda: sum(
            np.outer(h[t - 1], p["V"] @ (softmax(h[t] @ p["V"]) - np.eye(4)[words[t]]) * (1 - h[t] ** 2)) for t in kept
        ),
    )
    return g


def tied_loss(p, words):
    h, loss = np.zeros(d), 0.0
    for word, following in itertools.pairwise(words):
        h = np.tanh(p["E"][word] @ p["U"] + h @ p["W"])
        loss = loss + nn.cross_entropy(p["E"] @ h, following)
    return loss


@network(tied_loss, weights(24, E=(4, d), U=(d, d), W=(d, d)), WORDS)
def tied(slip, p, words):
    x, h = p["E"][words[:-1]], [np.zeros(d)]
    for row in x:
        h.append(np.tanh(row @ p["U"] + h[-1] @ p["W"]))
    g = zeros(p)
    dh = np.zeros(d)
    for t in range(len(x), 0, -1):
        dz = softmax(p["E"] @ h[t]) - np.eye(4)[words[t]]
        g["E"] += slip("output's part of E forgotten", np.outer(dz, h[t]), 0)
        delta = (dh + p["E"].T @ dz) * (1 - h[t] ** 2)
        g["U"] += np.outer(slip("E of the next word", x[t - 1], p["E"][words[t]]), delta)
        g["W"] += np.outer(h[t - 1], delta)
        g["E"][words[t - 1]] *= slip("input's part of E overwrites", 1, 0)
        g["E"][words[t - 1]] += slip("input's part of E forgotten", p["U"] @ delta, 0)
        g["E"][words[t - 1]] += slip("input's part of E twice", 0, p["U"] @ delta)
        g["E"][words[t - 1]] += slip("U not transposed", 0, p["U"].T @ delta - p["U"] @ delta)
        dh = slip("U for W", p["W"], p["U"]) @ delta
    g["U"], g["W"] = slip("dU and dW exchanged", (g["U"], g["W"]), (g["W"], g["U"]))
    return g


# --- attention --------------------------------------------------------------------------------------------------------


def attention_loss(p, xs, target):
    hs, last = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), xs, np.zeros(d))
    weight = tr.named("alpha", tr.softmax(hs @ (p["A"] @ last) / np.sqrt(d)))
    context = tr.named("context", weight @ hs)
    return 0.5 * np.sum((np.tanh(context @ p["C"] + last @ p["D"]) - target) ** 2)


@network(
    attention_loss, weights(25, U=(n, d), W=(d, d), A=(d, d), C=(d, 2), D=(d, 2)), numbers(25, T, n), numbers(26, 2)
)
def attention(slip, p, xs, target):
    h = [np.zeros(d)]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
    hs, q = np.array(h[1:]), h[-1]
    scale = np.sqrt(d)
    alpha = softmax(hs @ (p["A"] @ q) / scale)
    context = alpha @ hs
    out = np.tanh(context @ p["C"] + q @ p["D"])
    g = zeros(p)
    dout = (out - target) * slip("slope of the output", 1 - out**2, 1)
    g["C"] = np.outer(slip("q for the context", context, q), dout)
    g["D"] = np.outer(q, dout)
    dcontext = p["C"] @ dout
    dalpha = hs @ dcontext
    ds = alpha * (dalpha - slip("softmax's diagonal", alpha @ dalpha, 0))
    ds = slip("alpha (1 - alpha)", ds, alpha * (1 - alpha) * dalpha)
    ds = slip("softmax forgotten", ds, dalpha) / slip("scale forgotten", scale, 1)
    g["A"] = hs.T @ np.outer(ds, q)
    g["A"] = slip("A transposed", g["A"], g["A"].T)
    weights = slip("equal weights for the values", alpha, np.ones(T) / T)
    dhs = slip("values' path", np.outer(weights, dcontext), 0) + slip("keys' path", np.outer(ds, p["A"] @ q), 0)
    dhs = slip("A's transpose for keys", dhs, np.outer(alpha, dcontext) + np.outer(ds, p["A"].T @ q))
    dq = slip("query's path", (ds @ hs) @ p["A"], 0) + slip("direct path of q", p["D"] @ dout, 0)
    dh = dq
    for t in range(T, 0, -1):
        dh = dh + dhs[t - 1]
        delta = dh * (1 - h[t] ** 2)
        g["U"] += np.outer(xs[t - 1], delta)
        g["W"] += np.outer(h[t - 1], delta)
        dh = slip("no way back in time", p["W"] @ delta, 0)
    return g
