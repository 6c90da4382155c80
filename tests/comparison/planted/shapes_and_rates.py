"""States that are matrices, gains, products and quotients: cells that mix kinds of arithmetic."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

T, B, n, d = 4, 3, 2, 4


# --- fast weights: a matrix as the state, written by outer products ---------------------------------------------------


def fast_loss(p, xs, ys):
    def cell(x, M):
        key, value = np.tanh(x @ p["K"]), x @ p["V"]
        M = p["decay"] * M + np.outer(value, key)
        return M @ np.tanh(x @ p["Q"]), M

    out, _ = tr.unroll(cell, xs, np.zeros((2, d)))
    return 0.5 * np.sum((out - ys) ** 2)


@network(fast_loss, weights(90, K=(n, d), V=(n, 2), Q=(n, d), decay=()), numbers(90, T, n), numbers(91, T, 2))
def fast_weights(slip, p, xs, ys):
    M, keys, values, queries = [np.zeros((2, d))], [None], [None], [None]
    for x in xs:
        keys.append(np.tanh(x @ p["K"]))
        values.append(x @ p["V"])
        queries.append(np.tanh(x @ p["Q"]))
        M.append(p["decay"] * M[-1] + np.outer(values[-1], keys[-1]))
    g = zeros(p)
    G = np.zeros((2, d))
    for t in range(T, 0, -1):
        x, e = xs[t - 1], M[t] @ queries[t] - ys[t - 1]
        e = slip("target left out", e, e + ys[t - 1])
        G = slip("decay left out of the carry", p["decay"], 1.0) * G + np.outer(
            e, slip("key for query", queries[t], keys[t])
        )
        dq = slip("memory of the step before in dq", M[t], M[t - 1]).T @ e
        g["Q"] += np.outer(x, dq * slip("tanh' of the query", 1 - queries[t] ** 2, 1))
        dk = values[t] @ slip("only this step's error in dk", G, np.outer(e, queries[t]))
        g["K"] += np.outer(x, dk * (1 - keys[t] ** 2))
        g["V"] += np.outer(x, G @ keys[t])
        g["decay"] += np.sum(G * slip("M_t in d decay", M[t - 1], M[t]))
    g["V"] = slip(
        "carry forgotten in dV",
        g["V"],
        lambda: sum(
            np.outer(xs[t - 1], (M[t] @ queries[t] - ys[t - 1]) * (queries[t] @ keys[t])) for t in range(1, T + 1)
        ),
    )
    return g


# --- a layer norm of the state after a residual step, and a gain on it ------------------------------------------------


def normed_loss(p, xs, v):
    def cell(x, h):
        s = h + np.tanh(x @ p["U"] + h @ p["W"])
        c = s - np.mean(s, -1, keepdims=True)
        return p["g"] * c / np.sqrt(np.mean(c**2, -1, keepdims=True) + 0.01)

    _, h = tr.unroll(cell, xs, np.ones((B, d)) * np.arange(d))
    return np.sum(h * v)


@network(normed_loss, weights(92, U=(n, d), W=(d, d), g=(d,)), numbers(92, T, B, n), numbers(93, B, d))
def normed_residual(slip, p, xs, v):
    h, kept = [np.ones((B, d)) * np.arange(d)], [None]
    for x in xs:
        u = np.tanh(x @ p["U"] + h[-1] @ p["W"])
        s = h[-1] + u
        c = s - s.mean(-1, keepdims=True)
        r = 1 / np.sqrt((c**2).mean(-1, keepdims=True) + 0.01)
        kept.append((u, c * r, r))
        h.append(p["g"] * c * r)
    g = zeros(p)
    dh = v
    for t in range(T, 0, -1):
        (u, N, r), above = kept[t], dh
        g["g"] += slip("gain's normed value", dh * N, dh * h[t]).sum(0)
        dN = dh * slip("gain left out", p["g"], 1)
        dN = slip("gain taken twice", dN, dN * p["g"])
        center = slip("mean of dN left out", dN.mean(-1, keepdims=True), 0)
        spread = slip("spread left out", N * (dN * N).mean(-1, keepdims=True), 0)
        ds = r * (dN - center - spread)
        ds = slip("spread with the other sign", ds, lambda: r * (dN - center + spread))
        ds = slip("1/r for r", ds, lambda: ds / r**2)
        delta = ds * slip("tanh' left out", 1 - u**2, 1)
        delta = slip("tanh' at h", delta, ds * (1 - h[t] ** 2))
        g["U"] += xs[t - 1].T @ delta
        g["W"] += h[t - 1].T @ delta
        dh = delta @ p["W"].T + slip("skip left out", ds, 0)
        dh = slip("skip past the norm", dh, delta @ p["W"].T + above)
    return g


# --- products of the input's and the state's part (multiplicative), and a rate that is learnt through exp -------------


def product_loss(p, xs, ys):
    def cell(x, h):
        m = (x @ p["A"]) * (h @ p["M"])
        u = np.tanh(m + p["b"])
        rate = np.exp(-(p["rate"] ** 2))
        return rate * h + (1 - rate) * u

    hs, _ = tr.unroll(cell, xs, np.ones(d))
    return np.sum((hs[-1] - ys) ** 2) / d


@network(product_loss, weights(94, A=(n, d), M=(d, d), b=(d,), rate=(d,)), numbers(94, T, n), numbers(95, d))
def multiplicative(slip, p, xs, ys):
    rate = np.exp(-(p["rate"] ** 2))
    h, u = [np.ones(d)], [None]
    for x in xs:
        u.append(np.tanh((x @ p["A"]) * (h[-1] @ p["M"]) + p["b"]))
        h.append(rate * h[-1] + (1 - rate) * u[-1])
    g = zeros(p)
    dh, drate = 2 * (h[T] - ys) / slip("mean over the units", d, 1), np.zeros(d)
    for t in range(T, 0, -1):
        drate += dh * slip("u left out of d rate", h[t - 1] - u[t], h[t - 1])
        da = dh * (1 - rate) * (1 - u[t] ** 2)
        g["b"] += slip("rate left out of db", da, dh * (1 - u[t] ** 2))
        left, right = xs[t - 1] @ p["A"], h[t - 1] @ p["M"]
        dleft, dright = da * slip("own factor in dA", right, left), da * slip("other factor left out of dM", left, 1)
        g["A"] += np.outer(xs[t - 1], dleft)
        g["M"] += np.outer(h[t - 1], dright)
        dh = slip("rate for 1 in the kept part", rate, 1) * dh + p["M"] @ dright
        dh = slip("branch left out", dh, dh - p["M"] @ dright)
    g["rate"] = drate * slip("chain through the square", -2 * p["rate"], -1) * slip("exp left out", rate, 1)
    g["rate"] = slip("minus of the exponent", g["rate"], -g["rate"])
    return g


# --- a softmax inside the cell: a mixture of two transitions ----------------------------------------------------------


def mixture_loss(p, xs):
    def cell(x, h):
        a = tr.softmax(x @ p["S"])
        return np.tanh(a[:, :1] * (h @ p["W1"]) + a[:, 1:] * (h @ p["W2"]) + x @ p["U"])

    hs, _ = tr.unroll(cell, xs, np.full((B, d), 0.3))
    return np.sum(hs**2) / 2 / B


@network(mixture_loss, weights(96, S=(n, 2), W1=(d, d), W2=(d, d), U=(n, d)), numbers(96, T, B, n))
def mixture_of_transitions(slip, p, xs):
    h, mix = [np.full((B, d), 0.3)], [None]
    for x in xs:
        a = softmax(x @ p["S"])
        mix.append(a)
        h.append(np.tanh(a[:, :1] * (h[-1] @ p["W1"]) + a[:, 1:] * (h[-1] @ p["W2"]) + x @ p["U"]))
    g = zeros(p)
    back = np.zeros((B, d))
    for t in range(T, 0, -1):
        a1, a2 = mix[t][:, :1], mix[t][:, 1:]
        delta = (h[t] / slip("B forgotten", B, 1) + back) * (1 - h[t] ** 2)
        g["U"] += xs[t - 1].T @ delta
        g["W1"] += h[t - 1].T @ (delta * slip("weight left out of dW1", a1, 1))
        g["W2"] += h[t - 1].T @ (delta * slip("first weight in dW2", a2, a1))
        da = np.concatenate(
            [
                (delta * (h[t - 1] @ p["W1"])).sum(1, keepdims=True),
                (delta * (h[t - 1] @ p["W2"])).sum(1, keepdims=True),
            ],
            axis=1,
        )
        da = slip("transitions exchanged in da", da, da[:, ::-1])
        ds = mix[t] * (da - slip("softmax's second part", (mix[t] * da).sum(1, keepdims=True), 0))
        ds = slip("softmax's diagonal", ds, mix[t] * (1 - mix[t]) * da)
        g["S"] += xs[t - 1].T @ ds
        first, second = (delta * a1) @ p["W1"].T, (delta * a2) @ p["W2"].T
        back = slip("first transition's path", first, 0) + slip("second transition's sign", second, -second)
        back = slip(
            "weights exchanged on the way back", back, lambda: (delta * a2) @ p["W1"].T + (delta * a1) @ p["W2"].T
        )
    g["S"] = slip("dS of the last step in the loop", g["S"], lambda: xs[0].T @ ds)
    return g


# --- both directions over padded sequences, read out at the true ends -------------------------------------------------

LENGTHS = np.array([4, 2, 3])


def ends_loss(p, xs, lengths):
    live = (np.arange(T)[:, None] < lengths)[..., None]

    def run(U, W, reverse):
        def cell(given, h):
            x, on = given
            return np.where(on, np.tanh(x @ U + h @ W), h)

        order = slice(None, None, -1) if reverse else slice(None)
        return tr.unroll(cell, (xs[order], live[order]), np.zeros((B, d)))[1]

    ends = np.concatenate([run(p["Uf"], p["Wf"], False), run(p["Ub"], p["Wb"], True)], axis=1)
    return np.sum(np.logaddexp(0, ends @ p["v"]))


@network(ends_loss, weights(98, Uf=(n, d), Wf=(d, d), Ub=(n, d), Wb=(d, d), v=(2 * d,)), numbers(98, T, B, n), LENGTHS)
def padded_ends_of_both_directions(slip, p, xs, lengths):
    live = (np.arange(T)[:, None] < lengths)[..., None] * 1.0

    def forward(U, W, steps):
        h = {None: np.zeros((B, d))}
        before = None
        for t in steps:
            h[t] = live[t] * np.tanh(xs[t] @ U + h[before] @ W) + (1 - live[t]) * h[before]
            before = t
        return h

    there, back = list(range(T)), list(range(T))[::-1]
    f, b = forward(p["Uf"], p["Wf"], there), forward(p["Ub"], p["Wb"], back)
    ends = np.concatenate([f[T - 1], b[0]], axis=1)
    s = sigmoid(ends @ p["v"])
    g = zeros(p)
    g["v"] = s @ slip("directions exchanged in dv", ends, lambda: np.concatenate([b[0], f[T - 1]], axis=1))
    dends = np.outer(slip("sigmoid for softplus", s, s * (1 - s)), p["v"])

    def backward(dh, h, W, steps, U_name, W_name, which):
        for i in range(T - 1, -1, -1):
            t, before = steps[i], steps[i - 1] if i else None
            on = live[t]
            delta = dh * (1 - h[t] ** 2) * slip(f"mask forgotten {which}", on, 1)
            g[U_name] += xs[t].T @ delta
            g[W_name] += h[before].T @ delta
            dh = (
                slip(f"W for its transpose {which}", delta @ W.T, delta @ W)
                + slip(f"kept part for all {which}", 1 - on, 1) * dh
            )

    backward(dends[:, :d], f, p["Wf"], there, "Uf", "Wf", "forwards")
    backward(
        slip("the other half", dends[:, d:], dends[:, :d]),
        b,
        slip("the other direction's W", p["Wb"], p["Wf"]),
        back,
        "Ub",
        "Wb",
        "backwards",
    )
    g["Wb"] = slip("Wb minus", g["Wb"], -g["Wb"])
    return g


# --- batch norm of the state's product, with a bias that it takes away again; a density with its own spread -----------


def scaled_loss(p, xs, ys):
    h, total = np.zeros((B, d)), 0.0
    R = p["g"] * p["W"] / np.sqrt(np.sum(p["W"] ** 2))
    for t in range(T):
        a = h @ R + xs[t] @ p["U"] + p["bias"]
        s = (a - a.mean(axis=0)) / np.sqrt(a.var(axis=0) + 1e-4)
        h = 0.7 * h + 0.3 * np.tanh(p["gain"] * s + p["b"])
        mean, spread = h @ p["M"], h @ p["S"]
        total = total + np.sum(0.5 * (ys[t] - mean) ** 2 * np.exp(-spread))
        total = total + 0.5 * np.sum(spread)
    return total / T


@network(
    scaled_loss,
    weights(86, U=(n, d), W=(d, d), g=(), bias=(d,), gain=(d,), b=(d,), M=(d, 2), S=(d, 2)),
    numbers(86, T, B, n),
    numbers(87, T, B, 2),
)
def batch_norm_and_spread(slip, p, xs, ys):
    norm = np.sqrt(np.sum(p["W"] ** 2))
    R, h, kept, means, spreads = p["g"] * p["W"] / norm, [np.zeros((B, d))], [], [], []
    for x in xs:
        a = h[-1] @ R + x @ p["U"] + p["bias"]
        r = np.sqrt(a.var(0) + 1e-4)
        s = (a - a.mean(0)) / r
        kept.append((s, r, np.tanh(p["gain"] * s + p["b"])))
        h.append(0.7 * h[-1] + 0.3 * kept[-1][2])
        means.append(h[-1] @ p["M"])
        spreads.append(h[-1] @ p["S"])
    g = zeros(p)
    carry, dR = np.zeros((B, d)), np.zeros((d, d))
    for t in reversed(range(T)):
        mean = slip("mean of the step before", means[t], means[t - 1])
        before = slip("spread and mean of the step before", False, True)
        mean, spread = (means[t - 1], spreads[t - 1]) if before else (mean, spreads[t])
        e, precision = ys[t] - mean, np.exp(-spread)
        dmean, dspread = -e * precision / T, 0.5 * (1 - e**2 * slip("precision twice", 1, precision) * precision) / T
        dh = dmean @ p["M"].T + dspread @ p["S"].T + carry
        s, r, u = kept[slip("all that was kept of the step before", t, t - 1)]
        du = 0.3 * dh * (1 - u**2)
        ds = du * p["gain"]
        of_mean = slip("mean over units", ds.mean(0), ds.mean(-1, keepdims=True))
        of_norm = slip("product's mean over all", (ds * s).mean(0), (ds * s).mean())
        da = (ds - of_mean - slip("s left out", s, 1) * of_norm) / slip("r twice", r, r**2)
        g["M"] += h[t + 1].T @ dmean
        g["S"] += h[t + 1].T @ dspread
        g["b"] += du.sum(0)
        g["gain"] += (du * s).sum(0)
        g["bias"] += da.sum(0)
        g["U"] += xs[t].T @ da
        dR += h[t].T @ da
        into = da @ R.T
        carry = 0.7 * slip("overwritten by what it hands on", dh, into) + slip("rate twice", 1, 0.3) * into
    g["g"] = np.sum(dR * p["W"]) / norm
    g["W"] = p["g"] * (dR / norm - slip("norm held constant", p["W"] * np.sum(dR * p["W"]) / norm**3, 0))
    return g
