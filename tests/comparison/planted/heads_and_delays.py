"""Other heads and losses, other ways through time: two delays, contexts, projections, pooling, a selective scan."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

T, B, n, d, k = 5, 3, 2, 4, 3


# --- states of two steps before, several labels at once ---------------------------------------------------------------

LABELS = (numbers(121, T, B, k) > 0).astype(float)


def delayed_loss(p, xs, ys):
    def step(x, state):
        h, before = state
        new = np.tanh(x @ p["U"] + h @ p["W"] + before @ p["R"] + p["b"])
        return new, (new, h)

    hs, _ = tr.unroll(step, xs, (np.zeros((B, d)), np.zeros((B, d))))
    z = hs @ p["V"]
    return np.mean(np.log(1 + np.exp(z)) - ys * z)


@network(delayed_loss, weights(120, U=(n, d), W=(d, d), R=(d, d), b=(d,), V=(d, k)), numbers(120, T, B, n), LABELS)
def two_delays(slip, p, xs, ys):
    h = [np.zeros((B, d)), np.zeros((B, d))]  # of the steps -1 and 0
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"] + h[-2] @ p["R"] + p["b"]))
    g = zeros(p)
    one = two = np.zeros((B, d))
    for t in range(T, 0, -1):
        now = h[t + 1]
        dz = (sigmoid(now @ p["V"]) - ys[t - 1]) / (T * B * slip("k forgotten in the mean", k, 1))
        dz = slip("a softmax's p", dz, lambda: (softmax(now @ p["V"]) - ys[t - 1]) / (T * B * k))
        dz = slip("the sigmoid's slope too many", dz, lambda: dz * sigmoid(now @ p["V"]) * (1 - sigmoid(now @ p["V"])))
        g["V"] += now.T @ dz
        delta = (dz @ p["V"].T + one) * (1 - now**2)
        g["U"] += xs[t - 1].T @ delta
        g["W"] += h[t].T @ delta
        g["R"] += slip("h_(t-1) in dR", h[t - 1], h[t]).T @ delta
        g["b"] += delta.sum(0)
        one = two + slip("path by W left out", delta @ p["W"].T, 0)
        two = delta @ slip("W for R in the second path", p["R"], p["W"]).T
        one = slip("second path a step too soon", one, delta @ p["W"].T + delta @ p["R"].T)
        two = slip("second path forgotten", two, 0 * two)
    return g


# --- products of input and state, Huber's loss at the end -------------------------------------------------------------


def huber(r):
    return np.where(np.abs(r) <= 1, r * r / 2, np.abs(r) - 0.5)


def integrated_loss(p, xs, y):
    def step(x, h):
        u, w = x @ p["U"], h @ p["W"]
        return np.tanh(p["alpha"] * u * w + p["beta"] * u + p["gamma"] * w + p["b"])

    _, h = tr.unroll(step, xs, 0.1 * np.ones((B, d)))
    return np.sum(huber(h @ p["V"] - y)) / B


@network(
    integrated_loss,
    weights(122, U=(n, d), W=(d, d), V=(d, k), alpha=(d,), beta=(d,), gamma=(d,), b=(d,)),
    numbers(122, T, B, n),
    2 * numbers(123, B, k),
)
def multiplicative_integration(slip, p, xs, y):
    h, kept = [0.1 * np.ones((B, d))], [None]
    for x in xs:
        u, w = x @ p["U"], h[-1] @ p["W"]
        kept.append((u, w))
        h.append(np.tanh(p["alpha"] * u * w + p["beta"] * u + p["gamma"] * w + p["b"]))
    g = zeros(p)
    r = h[T] @ p["V"] - y
    dr = np.where(np.abs(r) <= 1, r, np.sign(r)) / B
    dr = slip("Huber's square everywhere", dr, r / B)
    dr = slip("sign left out", dr, np.where(np.abs(r) <= 1, r, 1) / B)
    g["V"] = h[T].T @ dr
    dh = dr @ p["V"].T
    for t in range(T, 0, -1):
        u, w = kept[t]
        da = dh * (1 - h[t] ** 2)
        g["alpha"] += (da * u * slip("w left out of dalpha", w, 1)).sum(0)
        g["beta"] += (da * u).sum(0)
        g["gamma"] += (da * slip("u for w in dgamma", w, u)).sum(0)
        g["b"] += da.sum(0)
        du = da * (p["alpha"] * w + slip("beta left out of du", p["beta"], 0))
        dw = da * (slip("alpha left out of dw", p["alpha"], 1) * u + p["gamma"])
        dw = slip("product's part left out of dw", dw, da * p["gamma"])
        dw = slip("w for u in dw", dw, da * (p["alpha"] * w + p["gamma"]))
        g["U"] += xs[t - 1].T @ du
        g["W"] += h[t - 1].T @ dw
        dh = dw @ p["W"].T
    return g


# --- slow context units, smoothed labels ------------------------------------------------------------------------------

CLASSES = np.eye(k)[np.random.default_rng(124).integers(k, size=(T, B))]
SLOW, SMOOTH = 0.8, 0.1


def context_loss(p, xs, ys):
    def step(x, state):
        s, h = state
        s = (1 - SLOW) * (x @ p["C"]) + SLOW * s
        h = tr.sigmoid(s @ p["P"] + x @ p["A"] + h @ p["R"])
        return h @ p["V"] + s @ p["Q"], (s, h)

    z, _ = tr.unroll(step, xs, (np.zeros((B, n)), np.zeros((B, d))))
    soft = (1 - SMOOTH) * ys + SMOOTH / k
    return -np.sum(soft * (z - tr.logsumexp(z, axis=-1, keepdims=True))) / (T * B)


@network(
    context_loss,
    weights(124, C=(n, n), P=(n, d), A=(n, d), R=(d, d), V=(d, k), Q=(n, k)),
    numbers(124, T, B, n),
    CLASSES,
)
def slow_context(slip, p, xs, ys):
    s, h = [np.zeros((B, n))], [np.zeros((B, d))]
    for x in xs:
        s.append((1 - SLOW) * (x @ p["C"]) + SLOW * s[-1])
        h.append(sigmoid(s[-1] @ p["P"] + x @ p["A"] + h[-1] @ p["R"]))
    g = zeros(p)
    cs, ch = np.zeros((B, n)), np.zeros((B, d))
    for t in range(T, 0, -1):
        soft = slip("labels not smoothed", (1 - SMOOTH) * ys[t - 1] + SMOOTH / k, ys[t - 1])
        dz = (softmax(h[t] @ p["V"] + s[t] @ p["Q"]) - soft) / (T * B)
        g["V"] += h[t].T @ dz
        g["Q"] += slip("s_(t-1) in dQ", s[t], s[t - 1]).T @ dz
        dh = dz @ p["V"].T + ch
        da = dh * slip("tanh' of the hidden units", h[t] * (1 - h[t]), 1 - h[t] ** 2)
        g["P"] += s[t].T @ da
        g["A"] += xs[t - 1].T @ da
        g["R"] += h[t - 1].T @ da
        ds = slip("Q's path left out", dz @ p["Q"].T, 0) + slip("P's path left out", da @ p["P"].T, 0) + cs
        g["C"] += slip("1 - slow left out of dC", 1 - SLOW, 1) * xs[t - 1].T @ ds
        g["C"] = slip("slow for 1 - slow in dC", g["C"], g["C"] if t > 1 else g["C"] * SLOW / (1 - SLOW))
        cs = slip("slow left out of the carry", SLOW, 1) * ds
        cs = slip("context's carry forgotten", cs, 0 * cs)
        ch = da @ p["R"].T
    return g


# --- an LSTM whose state is projected, losses that weigh more with time -----------------------------------------------

WEIGHT = np.linspace(0.2, 1.0, T)
r_ = 2


def projected_loss(p, xs, ys, weight):
    def step(x, state):
        r, c = state
        a = x @ p["U"] + r @ p["W"] + p["b"]
        i, f, o, m = a[:, :d], a[:, d : 2 * d], a[:, 2 * d : 3 * d], a[:, 3 * d :]
        c = tr.sigmoid(f) * c + tr.sigmoid(i) * np.tanh(m)
        r = (tr.sigmoid(o) * np.tanh(c)) @ p["P"]
        return r, (r, c)

    rs, _ = tr.unroll(step, xs, (np.zeros((B, r_)), np.zeros((B, d))))
    return np.sum(weight[:, None, None] * (rs - ys) ** 2) / B


@network(
    projected_loss,
    weights(126, U=(n, 4 * d), W=(r_, 4 * d), b=(4 * d,), P=(d, r_)),
    numbers(126, T, B, n),
    numbers(127, T, B, r_),
    WEIGHT,
)
def projected_lstm(slip, p, xs, ys, weight):
    r, c, kept = [np.zeros((B, r_))], [np.zeros((B, d))], [None]
    for x in xs:
        a = x @ p["U"] + r[-1] @ p["W"] + p["b"]
        i, f, o, m = (sigmoid(a[:, :d]), sigmoid(a[:, d : 2 * d]), sigmoid(a[:, 2 * d : 3 * d]), np.tanh(a[:, 3 * d :]))
        c.append(f * c[-1] + i * m)
        r.append((o * np.tanh(c[-1])) @ p["P"])
        kept.append((i, f, o, m))
    g = zeros(p)
    cr, cc = np.zeros((B, r_)), np.zeros((B, d))
    for t in range(T, 0, -1):
        i, f, o, m = kept[t]
        dr = 2 * slip("weight of the loss forgotten", weight[t - 1], 1) * (r[t] - ys[t - 1]) / B + cr
        dr = slip("weight on the carry, too", dr, dr + (weight[t - 1] - 1) * cr)
        h = o * np.tanh(c[t])
        g["P"] += slip("o left out of h in dP", h, np.tanh(c[t])).T @ dr
        dh = dr @ p["P"].T
        do = dh * np.tanh(c[t])
        dc = dh * o * (1 - np.tanh(c[t]) ** 2) + cc
        da = np.concatenate(
            [
                dc * m * i * (1 - i),
                dc * slip("c_t in df", c[t - 1], c[t]) * f * (1 - f),
                do * o * (1 - o),
                dc * slip("m for i in dm", i, m) * (1 - m**2),
            ],
            axis=1,
        )
        g["U"] += xs[t - 1].T @ da
        g["W"] += slip("r_t in dW", r[t - 1], r[t]).T @ da
        g["b"] += da.sum(0)
        cr = da @ p["W"].T
        cr = slip("o's gate left out of the carry", cr, cr - da[:, 2 * d : 3 * d] @ p["W"][:, 2 * d : 3 * d].T)
        cc = dc * slip("i for f in the carry", f, i)
    return g


# --- softplus units with normalised weights, the largest over time, a hinge -------------------------------------------

SIDES = np.array([-1.0, 1.0, -1.0])  # the hinge is active for the first two, not for the third


def pooled_loss(p, xs, sides):
    W = p["g"] * p["V"] / np.sqrt(np.sum(p["V"] ** 2, axis=0))
    hs, _ = tr.unroll(lambda x, h: np.log(1 + np.exp(x @ p["U"] + h @ W)), xs, np.zeros((B, d)))
    margin = sides * (np.max(hs, axis=0) @ p["u"])
    return np.mean(np.maximum(0.65 - margin, 0)) + 0.005 * np.sum(p["u"] ** 2)


@network(pooled_loss, weights(128, 0.6, U=(n, d), V=(d, d), g=(d,), u=(d,)), numbers(128, T, B, n), SIDES)
def pooled(slip, p, xs, sides):
    length = np.sqrt(np.sum(p["V"] ** 2, axis=0))
    W = p["g"] * p["V"] / length
    h, a = [np.zeros((B, d))], [None]
    for x in xs:
        a.append(x @ p["U"] + h[-1] @ W)
        h.append(np.log(1 + np.exp(a[-1])))
    hs = np.stack(h[1:])
    top, where = hs.max(axis=0), hs.argmax(axis=0)
    margin = sides * (top @ p["u"])
    dm = slip("hinge without its condition", np.where(margin < 0.65, -1, 0), -1) / B
    g = zeros(p)
    ds = dm * slip("side forgotten", sides, 1)
    g["u"] = top.T @ ds + slip("penalty forgotten", 0.01, 0) * p["u"]
    dtop = np.outer(ds, p["u"])
    dW, carry = np.zeros((d, d)), np.zeros((B, d))
    for t in range(T, 0, -1):
        picked = slip("pooling: every step gets it", where == t - 1, 1)
        picked = slip("pooling: a mean", picked, 1 / T)
        picked = slip("pooling: the last step", picked, float(t == T))
        da = (dtop * picked + carry) * slip("softplus' by its result", sigmoid(a[t]), sigmoid(h[t]))
        g["U"] += xs[t - 1].T @ da
        dW += h[t - 1].T @ da
        carry = da @ slip("V for W in the carry", W, p["V"]).T
    unit = p["V"] / length
    g["g"] = (dW * unit).sum(0)
    g["V"] = p["g"] / length * (dW - slip("length's path left out", unit * (dW * unit).sum(0), 0))
    g["V"] = slip("length left out of dV", g["V"], g["V"] * length)
    g["V"] = slip("g left out of dV", g["V"], g["V"] / p["g"])
    return g


# --- a mean and a spread, states kept at random -----------------------------------------------------------------------

KEEP = (np.random.default_rng(130).random((T, B, d)) < 0.4).astype(float)


def spread_loss(p, xs, ys, keep):
    def step(inputs, h):
        x, z = inputs
        return z * h + (1 - z) * np.tanh(x @ p["U"] + h @ p["W"] + p["b"])

    hs, _ = tr.unroll(step, (xs, keep), np.zeros((B, d)))
    mean, log = hs @ p["m"], hs @ p["s"]
    return np.mean(log + (ys - mean) ** 2 / (2 * np.exp(2 * log)))


@network(
    spread_loss,
    weights(130, U=(n, d), W=(d, d), b=(d,), m=(d,), s=(d,)),
    numbers(130, T, B, n),
    numbers(131, T, B),
    KEEP,
)
def mean_and_spread(slip, p, xs, ys, keep):
    h, new = [np.zeros((B, d))], [None]
    for x, z in zip(xs, keep):
        new.append(np.tanh(x @ p["U"] + h[-1] @ p["W"] + p["b"]))
        h.append(z * h[-1] + (1 - z) * new[-1])
    g = zeros(p)
    carry = np.zeros((B, d))
    for t in range(T, 0, -1):
        mean, log, z = h[t] @ p["m"], h[t] @ p["s"], keep[t - 1]
        variance = np.exp(2 * log)
        off = ys[t - 1] - mean
        dmean = -off / slip("deviation for variance", variance, np.exp(log)) / (T * B)
        dmean = slip("variance left out", dmean, -off / (T * B))
        dlog = (slip("1 forgotten in dlog", 1, 0) - off**2 / variance) / (T * B)
        dlog = slip("half of the square in dlog", dlog, (1 - off**2 / (2 * variance)) / (T * B))
        g["m"] += h[t].T @ dmean
        g["s"] += h[t].T @ dlog
        dh = np.outer(dmean, p["m"]) + slip("spread's path left out", np.outer(dlog, p["s"]), 0) + carry
        da = dh * slip("kept units not left out", 1 - z, 1) * (1 - new[t] ** 2)
        da = slip("slope and mask exchanged for their sum", da, lambda: dh * (1 - z - new[t] ** 2))
        g["U"] += xs[t - 1].T @ da
        g["W"] += h[t - 1].T @ da
        g["b"] += da.sum(0)
        carry = slip("kept units forgotten in the carry", dh * z, 0) + da @ p["W"].T
        carry = slip("kept units not masked in the carry", carry, dh + da @ p["W"].T)
    return g


# --- two layers within a step, scaled attention over the states at the end --------------------------------------------


def deep_loss(p, xs, sides):
    def step(x, h):
        m = np.maximum(x @ p["U"] + h @ p["W"] + p["b"], 0)
        return np.tanh(m @ p["S"] + h)

    hs, _ = tr.unroll(step, xs, 0.3 * np.ones((B, d)))
    scores = hs @ p["q"] / np.sqrt(d)
    weight = np.exp(scores) / np.sum(np.exp(scores), axis=0)
    pooled = np.sum(weight[:, :, None] * hs, axis=0)
    return np.mean(np.log(1 + np.exp(-sides * (pooled @ p["u"]))))


@network(deep_loss, weights(132, U=(n, d), W=(d, d), b=(d,), S=(d, d), q=(d,), u=(d,)), numbers(132, T, B, n), SIDES)
def deep_transition(slip, p, xs, sides):
    h, m = [0.3 * np.ones((B, d))], [None]
    for x in xs:
        m.append(np.maximum(x @ p["U"] + h[-1] @ p["W"] + p["b"], 0))
        h.append(np.tanh(m[-1] @ p["S"] + h[-1]))
    hs = np.stack(h[1:])
    weight = softmax((hs @ p["q"] / np.sqrt(d)).T).T
    out = (weight[:, :, None] * hs).sum(0)
    g = zeros(p)
    do = -sides * slip("p for 1 - p", sigmoid(-sides * (out @ p["u"])), sigmoid(sides * (out @ p["u"]))) / B
    g["u"] = out.T @ do
    dout = np.outer(do, p["u"])
    dweight = (hs * dout).sum(-1)
    mean = (weight * dweight).sum(0)
    dscore = weight * (dweight - slip("softmax over time: the mean left out", mean, 0))
    dscore = slip(
        "softmax over the batch", dscore, lambda: weight * (dweight - (weight * dweight).sum(1, keepdims=True))
    )
    dscore = dscore / slip("root of d left out", np.sqrt(d), 1)
    g["q"] = np.einsum("tbd,tb->d", hs, dscore)
    carry = np.zeros((B, d))
    for t in range(T, 0, -1):
        dh = slip("weights' path left out", weight[t - 1][:, None] * dout, 0)
        dh = dh + slip("scores' path left out", np.outer(dscore[t - 1], p["q"]).reshape(B, d), 0) + carry
        dt = dh * (1 - h[t] ** 2)
        g["S"] += m[t].T @ dt
        dm = dt @ p["S"].T * slip("relu' left out", m[t] > 0, 1)
        g["U"] += xs[t - 1].T @ dm
        g["W"] += slip("m before in dW", h[t - 1], m[t - 1] if t > 1 else 0 * m[t]).T @ dm
        g["b"] += dm.sum(0)
        carry = dm @ p["W"].T + slip("short cut without its slope", dt, dh)
        carry = slip("only the short cut", carry, dt)
    return g


# --- a selective scan: decay and input by a step size of its own ------------------------------------------------------


def scan_loss(p, xs, ys):
    def step(x, h):
        size = np.log(1 + np.exp(x @ p["w"] + p["b"]))
        decay = np.exp(-size * np.exp(p["A"]))
        h = decay * h + size * (x @ p["B"])
        return np.sum(h * p["C"]) + x @ p["D"], h

    o, _ = tr.unroll(step, xs, np.zeros(d))
    return np.mean((o - ys) ** 2)


@network(
    scan_loss,
    weights(134, A=(d,), w=(n, d), b=(d,), B=(n, d), C=(d,), D=(n,)),
    numbers(134, T, n),
    numbers(135, T),
)
def selective_scan(slip, p, xs, ys):
    h, kept = [np.zeros(d)], [None]
    rate = np.exp(p["A"])
    for x in xs:
        size = np.log(1 + np.exp(x @ p["w"] + p["b"]))
        kept.append((size, np.exp(-size * rate)))
        h.append(kept[-1][1] * h[-1] + size * (x @ p["B"]))
    g = zeros(p)
    carry = np.zeros(d)
    for t in range(T, 0, -1):
        x, (size, decay) = xs[t - 1], kept[t]
        do = 2 * (h[t] @ p["C"] + x @ p["D"] - ys[t - 1]) / T
        g["C"] += do * slip("h_(t-1) in dC", h[t], h[t - 1])
        g["D"] += do * x
        dh = do * p["C"] + carry
        ddecay = dh * h[t - 1] * slip("decay left out of its derivative", decay, 1)
        g["A"] += ddecay * -size * slip("rate left out of dA", rate, 1)
        dsize = slip("decay's path left out of dsize", ddecay * -rate, 0) + slip(
            "input's path left out of dsize", dh * (x @ p["B"]), 0
        )
        dsize = slip("decay's path with plus", dsize, ddecay * rate + dh * (x @ p["B"]))
        g["B"] += np.outer(x, dh * slip("size left out of dB", size, 1))
        da = dsize * slip("softplus' left out", sigmoid(x @ p["w"] + p["b"]), 1)
        g["w"] += np.outer(x, da)
        g["b"] += da
        carry = dh * slip("size in the carry", decay, decay * size)
        carry = slip("carry not decayed", carry, dh)
    return g
