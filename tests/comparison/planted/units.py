"""Units of one layer that gate, pool, tick or add up: written with other layouts than ``gated``."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, weights, zeros

T, B, n, d = 5, 3, 2, 4


# --- coupled gates, one matrix of columns, gates stacked as rows ------------------------------------------------------


def coupled_loss(p, xs, target):
    h, c = np.zeros(d), np.zeros(d)
    for x in xs:
        z = p["W"] @ np.concatenate([x, h]) + p["b"]
        f, o, g = tr.sigmoid(z[:d]), tr.sigmoid(z[d : 2 * d]), np.tanh(z[2 * d :])
        c = f * c + (1 - f) * g
        h = o * np.tanh(c)
    return 0.5 * np.sum((p["V"] @ h - target) ** 2)


@network(coupled_loss, weights(60, W=(3 * d, n + d), b=(3 * d,), V=(2, d)), numbers(60, T, n), numbers(61, 2))
def coupled_lstm(slip, p, xs, target):
    W, V = p["W"], p["V"]
    h, c, kept = [np.zeros(d)], [np.zeros(d)], []
    for x in xs:
        v = np.concatenate([x, h[-1]])
        z = W @ v + p["b"]
        f, o, g = sigmoid(z[:d]), sigmoid(z[d : 2 * d]), np.tanh(z[2 * d :])
        c.append(f * c[-1] + (1 - f) * g)
        h.append(o * np.tanh(c[-1]))
        kept.append((v, f, o, g))
    dW, db = np.zeros_like(W), np.zeros_like(p["b"])
    e = V @ h[-1] - target
    dV = np.outer(e, slip("c in dV", h[-1], c[-1]))
    dh, dc = V.T @ e, np.zeros(d)
    for t in reversed(range(T)):
        v, f, o, g = kept[t]
        tc = np.tanh(c[t + 1])
        do = dh * slip("c for tanh c in do", tc, c[t + 1])
        dc = slip("memory's carry forgotten", dc, 0) + dh * o * slip("tanh' of c forgotten", 1 - tc**2, 1)
        df = dc * slip("coupling forgotten in df", c[t] - g, c[t])
        df = slip("c_t in df", df, dc * (c[t + 1] - g))
        dg = dc * slip("f for 1 - f in dg", 1 - f, f)
        dz = np.concatenate(
            [df * f * (1 - f), do * o * (1 - o), dg * slip("sigmoid' for tanh' in g", 1 - g**2, g * (1 - g))]
        )
        dz = slip("slope of o left out", dz, np.concatenate([dz[:d], do, dz[2 * d :]]))
        dW += np.outer(dz, slip("x alone in dW", v, np.concatenate([v[:n], 0 * v[n:]])))
        db += dz
        dv = W.T @ dz
        dh = slip("h's rows from the wrong end", dv[n:], dv[:d])
        dc = dc * slip("1 - f carried", f, 1 - f)
    return {
        "W": dW,
        "b": slip("f and o exchanged in db", db, lambda: np.concatenate([db[d : 2 * d], db[:d], db[2 * d :]])),
        "V": dV,
    }


# --- quasi-recurrent: gates from a window of two inputs, pooled over time ---------------------------------------------


def qrnn_loss(p, xs, ys):
    before = np.concatenate([np.zeros_like(xs[:1]), xs[:-1]])
    zs = np.tanh(before @ p["Z0"] + xs @ p["Z1"])
    fs = tr.sigmoid(before @ p["F0"] + xs @ p["F1"] + p["bf"])
    hs, _ = tr.unroll(lambda zf, h: zf[1] * h + (1 - zf[1]) * zf[0], (zs, fs), np.zeros((B, d)))
    return np.mean(np.sum((hs - ys) ** 2, axis=-1))


@network(
    qrnn_loss,
    weights(62, Z0=(n, d), Z1=(n, d), F0=(n, d), F1=(n, d), bf=(d,)),
    numbers(62, T, B, n),
    numbers(63, T, B, d),
)
def quasi_recurrent(slip, p, xs, ys):
    before = np.concatenate([np.zeros_like(xs[:1]), xs[:-1]])
    z = np.tanh(before @ p["Z0"] + xs @ p["Z1"])
    f = sigmoid(before @ p["F0"] + xs @ p["F1"] + p["bf"])
    h = [np.zeros((B, d))]
    for t in range(T):
        h.append(f[t] * h[-1] + (1 - f[t]) * z[t])
    H = np.stack(h)
    dH = 2 * (H[1:] - ys) / slip("mean over the batch alone", T * B, B)
    D = np.zeros_like(z)
    carry = np.zeros((B, d))
    for t in range(T)[::-1]:
        D[t] = dH[t] + carry
        carry = D[t] * slip("f of the step after", f[t], f[t + 1] if t + 1 < T else 0 * f[t])
        carry = slip("carry leaks twice", carry, carry * f[t])
    dZ = D * (1 - f) * slip("1 - z", 1 - z**2, 1 - z)
    dF = D * slip("h_t in df", H[:-1] - z, H[1:] - z) * slip("1 - f left out", f * (1 - f), f)
    dF = slip("z left out of df", dF, lambda: D * H[:-1] * f * (1 - f))
    g = {
        "Z0": np.einsum("tbi,tbj->ij", slip("x_t for x_(t-1) in Z0", before, xs), dZ),
        "Z1": np.einsum("tbi,tbj->ij", xs, dZ),
        "F0": np.einsum(
            "tbi,tbj->ij",
            before,
            slip("F0 without the first two steps", dF, lambda: dF * (np.arange(T) > 1)[:, None, None]),
        ),
        "F1": np.einsum("tbi,tbj->ij", xs, dF),
        "bf": dF.sum((0, 1)),
    }
    g["Z1"], g["F1"] = slip("Z1 and F1 exchanged", (g["Z1"], g["F1"]), lambda: (g["F1"], g["Z1"]))
    return g


# --- independent recurrence: a vector of weights, relu, two layers ----------------------------------------------------


def independent_loss(p, xs):
    def cell(x, state):
        a, b = state
        a = np.maximum(x @ p["U1"] + p["w1"] * a + p["b1"], 0)
        b = np.maximum(a @ p["U2"] + p["w2"] * b, 0)
        return b, (a, b)

    ys, _ = tr.unroll(cell, xs, (np.zeros((B, d)), np.zeros((B, d))))
    return np.sum(ys @ p["v"]) / B + 0.01 * np.sum(p["w1"] ** 2)


@network(independent_loss, weights(64, U1=(n, d), w1=(d,), b1=(d,), U2=(d, d), w2=(d,), v=(d,)), numbers(64, T, B, n))
def independent_recurrence(slip, p, xs):
    a, b = [np.zeros((B, d))], [np.zeros((B, d))]
    for x in xs:
        a.append(np.maximum(x @ p["U1"] + p["w1"] * a[-1] + p["b1"], 0))
        b.append(np.maximum(a[-1] @ p["U2"] + p["w2"] * b[-1], 0))
    g = zeros(p)
    ca = cb = np.zeros((B, d))
    for t in range(T, 0, -1):
        g["v"] += b[t].sum(0) / slip("B forgotten in dv", B, 1)
        db = (p["v"] / B + slip("upper carry forgotten", cb, 0)) * slip("relu' of b forgotten", b[t] > 0, 1)
        g["U2"] += slip("a_(t-1) in dU2", a[t], a[t - 1]).T @ db
        g["w2"] += (db * slip("a for b in dw2", b[t - 1], a[t - 1])).sum(0)
        cb = db * p["w2"]
        da = (slip("U2 not transposed", db @ p["U2"].T, db @ p["U2"]) + ca) * (
            slip("relu' at the upper layer", a[t], b[t]) > 0
        )
        g["U1"] += xs[t - 1].T @ da
        g["w1"] += (da * a[t - 1]).sum(0)
        g["b1"] += slip("b1 by the upper layer", da, db).sum(0)
        ca = da * slip("w2 for w1 in the carry", p["w1"], p["w2"])
        ca = slip("weight left out of the carry", ca, da)
    g["w1"] += slip("penalty's factor", 0.02, 0.01) * p["w1"]
    g["w1"] = slip("mean for sum in dw1", g["w1"], g["w1"] / B)
    return g


# --- clockwork: groups of units that tick at some steps, kept by a mask -----------------------------------------------

TICKS = np.array(
    [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
)


def clockwork_loss(p, xs, ticks, ys):
    h, loss = np.zeros((B, d)), 0.0
    for t in range(T):
        h = ticks[t] * np.tanh(xs[t] @ p["U"] + h @ p["W"]) + (1 - ticks[t]) * h
        loss = loss + np.sum((h @ p["V"] + p["c"] - ys[t]) ** 2) / 2
    return loss


@network(
    clockwork_loss, weights(66, U=(n, d), W=(d, d), V=(d, 2), c=(2,)), numbers(66, T, B, n), TICKS, numbers(67, T, B, 2)
)
def clockwork(slip, p, xs, ticks, ys):
    hs, us = [np.zeros((B, d))], []
    for t in range(T):
        us.append(np.tanh(xs[t] @ p["U"] + hs[-1] @ p["W"]))
        hs.append(ticks[t] * us[-1] + (1 - ticks[t]) * hs[-1])
    dU, dW, dV, dc = (0 * p[k] for k in ("U", "W", "V", "c"))
    back = 0
    for t in reversed(range(T)):
        e = hs[t + 1] @ p["V"] + p["c"] - ys[t]
        dV = dV + hs[t + 1].T @ slip("errors not taken in dV", e, e + ys[t])
        dc = dc + slip("errors not taken in dc", e, e + ys[t]).sum(axis=0)
        dh = e @ p["V"].T + back
        m = slip("all units tick in the backward pass", ticks[t], np.ones(d))
        m = slip("ticks of the step before", m, ticks[t - 1])
        delta = dh * m * (1 - us[t] ** 2)
        delta = slip("slope by the state before", delta, dh * m * (1 - hs[t] ** 2))
        delta = slip("mask forgotten in delta alone", delta, dh * (1 - us[t] ** 2))
        dU = dU + xs[t].T @ delta
        dW = dW + slip("u for h in dW", hs[t], us[t - 1] if t else hs[0]).T @ delta
        keep = slip("kept path forgotten", (1 - m) * dh, 0)
        keep = slip("kept path for all units", keep, dh)
        back = delta @ p["W"].T + keep
    return {"U": dU, "W": slip("dW's sign", dW, -dW), "V": dV, "c": slip("c over one sequence", dc, lambda: dc / B)}


# --- Gaussian (radial) units and a linear read-out --------------------------------------------------------------------


def radial_loss(p, xs, ys):
    def cell(x, h):
        r = h @ p["W"] + x @ p["U"] - p["m"]
        return np.exp(-(r**2) / 2)

    hs, _ = tr.unroll(cell, xs, np.full(d, 0.5))
    return np.sum(np.abs(hs @ p["v"] - ys))


@network(radial_loss, weights(68, U=(n, d), W=(d, d), m=(d,), v=(d,)), numbers(68, T, n), numbers(69, T))
def radial_units(slip, p, xs, ys):
    h, r = [np.full(d, 0.5)], [None]
    for x in xs:
        r.append(h[-1] @ p["W"] + x @ p["U"] - p["m"])
        h.append(np.exp(-(r[-1] ** 2) / 2))
    out = dict.fromkeys(p, 0.0)
    later = np.zeros(d)
    for t in range(T, 0, -1):
        s = np.sign(h[t] @ p["v"] - ys[t - 1])
        s = slip("error for its sign", s, lambda: h[t] @ p["v"] - ys[t - 1])
        out["v"] += s * h[t]
        dh = s * slip("h for v", p["v"], h[t]) + later
        dr = dh * slip("r left out", -r[t], -1) * slip("exp left out of its own slope", h[t], 1)
        dr = slip("exp's sign forgotten", dr, -dr)
        dr = slip("r twice (r² not halved)", dr, 2 * dr)
        out["U"] += np.outer(xs[t - 1], dr)
        out["W"] += np.outer(h[t - 1], dr)
        out["m"] += slip("sign of m", -dr, dr)
        later = p["W"] @ slip("h for slope in the carry", dr, dh * h[t])
    return out
