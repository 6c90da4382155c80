"""Networks whose slips are a matter of place: in front of a product, before a term is added, at all steps but one."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

T, B, n, d, k = 4, 3, 2, 3, 3

# --- rectified, one answer at the end, classes with weights -----------------------------------------------------------


def rectified_loss(p, xs, classes, costs):
    h = np.zeros((B, d))
    for x in xs:
        h = np.maximum(x @ p["U"] + h @ p["W"] + p["b"], 0)
    correct = tr.log_softmax(h @ p["V"], axis=1)[np.arange(B), classes]
    return -np.sum(costs[classes] * correct) / np.sum(costs[classes])


@network(
    rectified_loss,
    weights(813, U=(n, d), W=(d, d), b=(d,), V=(d, k)),
    numbers(811, T, B, n),
    np.array([2, 0, 2]),
    np.array([0.5, 1.0, 2.0]),
)
def weighted_answer_at_the_end(slip, p, xs, classes, costs):
    hs = [np.zeros((B, d))]
    for x in xs:
        hs.append(np.maximum(x @ p["U"] + hs[-1] @ p["W"] + p["b"], 0))
    each = slip("weights of the classes forgotten", costs[classes] / costs[classes].sum(), np.ones(B) / B)
    error = (softmax(hs[-1] @ p["V"]) - np.eye(k)[classes]) * each[:, None]
    g = zeros(p) | {"V": hs[-1].T @ error}
    da = (error @ p["V"].T) * (hs[-1] > 0)
    for t in range(T - 1, -1, -1):
        g["U"] += xs[t].T @ da
        g["W"] += hs[t].T @ da
        g["b"] += da.sum(axis=0)
        da = slip("the mask in front of the product", da @ p["W"].T, lambda: (da * (hs[t] > 0)) @ p["W"].T)  # noqa: B023
        here = slip("the mask forgotten in the loop", hs[t] > 0, 1)
        da = da * slip("the mask in front of the product", here, 1)
    return g


# --- a memory with peepholes: what is added to its derivative, and when -----------------------------------------------


def peephole_loss(p, xs, target):
    h, c, total = np.zeros((B, d)), np.zeros((B, d)), 0
    for x in xs:
        a = x @ p["U"] + h @ p["W"]
        f = tr.sigmoid(a[:, :d] + c * p["v"])
        c = f * c + (1 - f) * np.tanh(a[:, d : 2 * d])
        h = tr.sigmoid(a[:, 2 * d :] + c * p["w"]) * np.tanh(c)
        total = total + 0.1 * np.sum(c**2)
    return total + np.sum((h - target) ** 2)


@network(
    peephole_loss, weights(821, U=(n, 3 * d), W=(d, 3 * d), v=(d,), w=(d,)), numbers(821, T, B, n), numbers(822, B, d)
)
def memory_with_peepholes(slip, p, xs, target):
    h, c, kept = np.zeros((B, d)), np.zeros((B, d)), []
    for x in xs:
        a, before, cell = x @ p["U"] + h @ p["W"], h, c
        f, z = sigmoid(a[:, :d] + c * p["v"]), np.tanh(a[:, d : 2 * d])
        c = f * c + (1 - f) * z
        o = sigmoid(a[:, 2 * d :] + c * p["w"])
        h = o * np.tanh(c)
        kept.append((x, before, cell, f, z, c, o, a))
    g = zeros(p)
    dh, dc = 2 * (h - target), np.zeros((B, d))
    for x, before, cell, f, z, c, o, a in kept[::-1]:
        u = np.tanh(c)
        do = dh * u * o * (1 - o)
        slope = slip("the square inside the function", 1 - u**2, lambda: 1 - np.tanh(c**2))  # noqa: B023
        dc = dc + dh * o * slope
        penalty, peephole = 0.2 * c, do * p["w"]
        early = slip("the penalty added after the gates", dc + penalty, dc)
        early = slip("the peephole added after the gates", early + peephole, early)
        dc = dc + penalty + peephole
        df = early * (cell - z) * f * (1 - f)
        da = np.concatenate([df, early * (1 - f) * (1 - z**2), do], axis=1)
        g["U"] += x.T @ da
        g["W"] += slip("a part of the pre-activation for h", before, a[:, :d]).T @ da
        g["v"] += (df * cell).sum(axis=0)
        g["w"] += (do * c).sum(axis=0)
        here = slip("one part alone on the way back", 1, np.repeat([0.0, 1.0, 0.0], d))
        dh = (da * here) @ p["W"].T
        dc = dc * f + df * p["v"]
    return g


# --- gates, and an answer by the mean of the states -------------------------------------------------------------------


def mean_loss(p, xs, answers):
    h, total = np.zeros((B, d)), np.zeros((B, d))
    for x in xs:
        gates = tr.sigmoid(x @ p["A"] + h @ p["R"])
        r, z = gates[:, :d], gates[:, d:]
        h = z * h + (1 - z) * np.tanh(x @ p["U"] + (r * h) @ p["W"])
        total = total + h
    q = tr.sigmoid(total / T @ p["w"])
    return -np.mean(answers * np.log(q) + (1 - answers) * np.log(1 - q)) + np.sum(tr.sigmoid(h @ p["v"])) / B


@network(
    mean_loss,
    weights(841, A=(n, 2 * d), R=(d, 2 * d), U=(n, d), W=(d, d), w=(d,), v=(d,)),
    numbers(841, T, B, n),
    np.array([1.0, 0.0, 1.0]),
)
def answer_by_the_mean(slip, p, xs, answers):
    hs, kept = [np.zeros((B, d))], []
    for x in xs:
        h = hs[-1]
        r, z = np.split(sigmoid(x @ p["A"] + h @ p["R"]), 2, axis=1)
        c = np.tanh(x @ p["U"] + (r * h) @ p["W"])
        kept.append((x, h, r, z, c))
        hs.append(z * h + (1 - z) * c)
    mean, s = sum(hs[1:]) / T, sigmoid(hs[-1] @ p["v"])
    answers = slip("labels 1 and -1", answers, 2 * answers - 1)
    dq, ds = (sigmoid(mean @ p["w"]) - answers) / B, s * (1 - s) / B
    g = zeros(p) | {"w": mean.T @ dq, "v": slip("v by the mean of the states", hs[-1], mean).T @ ds}
    dmean, dh = np.outer(dq, p["w"]) / T, np.outer(ds, p["v"])
    for x, h, r, z, c in kept[::-1]:
        dh = dh + dmean
        of = slip("the slope at the mean of the states", c, mean)
        dc = dh * (1 - z) * (1 - slip("the slope at the last state", of, hs[-1]) ** 2)
        du = dc @ p["W"].T
        dz = dh * (h - c) * slip("the slope of one of two gates", z * (1 - z), 1)
        gates = np.concatenate([du * h * r * (1 - r), dz], axis=1)
        for names, da, state in (("AR", gates, h), ("UW", dc, r * h)):
            g[names[0]] += x.T @ da
            g[names[1]] += state.T @ da
        dh = dh * z + du * r + gates @ p["R"].T * slip("the reset gate around two terms", 1, r)
    return g


# --- two directions: the same slip in both ----------------------------------------------------------------------------


def tagger_loss(p, xs, tags):
    forth, back, a, b = [], [], np.zeros(d), np.zeros(d)
    for t in range(T):
        a = np.tanh(xs[t] @ p["U"] + a @ p["W"])
        b = np.tanh(xs[T - 1 - t] @ p["P"] + b @ p["R"])
        forth, back = [*forth, a], [b, *back]
    scores = [forth[t] @ p["V"] + back[t] @ p["Q"] for t in range(T)]
    return sum(tr.logsumexp(scores[t]) - scores[t][tags[t]] for t in range(T)) / T


@network(
    tagger_loss,
    weights(831, U=(n, d), W=(d, d), V=(d, k), P=(n, d), R=(d, d), Q=(d, k)),
    numbers(831, T, n),
    np.array([0, 2, 1, 1]),
)
def tagger_with_two_heads(slip, p, xs, tags):
    g = zeros(p)
    ways = ("U", "W", "V", xs), ("P", "R", "Q", xs[::-1])
    states = []
    for U, W, _, inputs in ways:
        hs = [np.zeros(d)]
        for x in inputs:
            hs.append(np.tanh(x @ p[U] + hs[-1] @ p[W]))
        states.append(np.array(hs))
    scores = states[0][1:] @ p["V"] + states[1][:0:-1] @ p["Q"]
    errors = slip("the softmax over the steps", lambda: softmax(scores), lambda: softmax(scores.T).T)
    errors = (errors - np.eye(k)[tags]) / T
    for (U, W, V, inputs), hs, own in zip(ways, states, (errors, errors[::-1]), strict=True):
        carry = np.zeros(d)
        for t in range(T, 0, -1):
            g[V] += np.outer(slip("the states before in both heads", hs[t], hs[t - 1]), own[t - 1])
            da = (own[t - 1] @ p[V].T + carry) * (1 - hs[t] ** 2)
            g[U] += np.outer(inputs[t - 1], da)
            g[W] += np.outer(hs[t - 1], da)
            carry = slip("the carries added up in both", 0, carry) + da @ p[W].T
    return g


# --- one gate, columns: of what is joined, and of the state that it lets through --------------------------------------


def joined_loss(p, xs, target):
    h = np.zeros((d, B))
    for x in xs:
        joined = np.concatenate([h, x.T])
        f, c = tr.sigmoid(p["F"] @ joined), np.tanh(p["C"] @ joined)
        h = (1 - f) * h + f * c
    return np.sum((tr.softmax(p["V"] @ h, axis=0) - target) ** 2)


@network(joined_loss, weights(851, F=(d, d + n), C=(d, d + n), V=(k, d)), numbers(851, T, B, n), numbers(852, k, B))
def one_gate_of_joined_columns(slip, p, xs, target):
    hs, kept = [np.zeros((d, B))], []
    for x in xs:
        joined = np.concatenate([hs[-1], x.T])
        f, c = sigmoid(p["F"] @ joined), np.tanh(p["C"] @ joined)
        kept.append((joined, f, c))
        hs.append((1 - f) * hs[-1] + f * c)
    scores = p["V"] @ hs[-1]
    e = np.exp(scores - scores.max(axis=0))
    q = slip("softmax over the examples", e / e.sum(axis=0), lambda: e / e.sum(axis=1, keepdims=True))
    dq = 2 * (softmax(scores.T).T - target)
    dscores = q * (dq - (q * dq).sum(axis=0))
    g = zeros(p) | {"V": dscores @ hs[-1].T}
    dh = p["V"].T @ dscores
    for h, (joined, f, c) in zip(hs[-2::-1], kept[::-1], strict=True):
        dc = dh * f * slip("the square of the difference", 1 - c**2, (1 - c) ** 2)
        df = dh * (c - h) * f * (1 - f)
        g["F"] += df @ joined.T
        g["C"] += dc @ joined.T
        columns = slip("the columns of x for those of h in one", p["C"][:, :d], p["C"][:, n:])
        dh = dh * (1 - f) + p["F"][:, :d].T @ df + columns.T @ dc
    return g


def reset_loss(p, xs, target):
    h = np.zeros((B, d))
    for x in xs:
        f = tr.sigmoid(x @ p["A"] + h @ p["F"])
        h = f * h + (1 - f) * np.tanh(x @ p["U"] + (f * h) @ p["W"])
    return np.sum((h - target) ** 2)


@network(reset_loss, weights(861, A=(n, d), F=(d, d), U=(n, d), W=(d, d)), numbers(861, T, B, n), numbers(862, B, d))
def one_gate_that_also_resets(slip, p, xs, target):
    hs, kept = [np.zeros((B, d))], []
    for x in xs:
        f = sigmoid(x @ p["A"] + hs[-1] @ p["F"])
        c = np.tanh(x @ p["U"] + (f * hs[-1]) @ p["W"])
        kept.append((x, hs[-1], f, c))
        hs.append(f * hs[-1] + (1 - f) * c)
    g, dh = zeros(p), 2 * (hs[-1] - target)
    for x, h, f, c in kept[::-1]:
        dc = dh * (1 - f) * (1 - c**2)
        reset = dc @ p["W"].T
        df = (dh * slip("the difference the wrong way round", h - c, c - h) + reset * h) * f * (1 - f)
        g["A"] += x.T @ df
        g["F"] += h.T @ df
        g["U"] += x.T @ dc
        g["W"] += (f * h).T @ dc
        dh = dh * f + reset * f + df @ p["F"].T
    return g
