"""Networks assembled of known pieces: highways, stacked memories, pooling by attention, gaps in time, twins."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

T, B, n, d, k = 4, 3, 2, 3, 2

# --- a recurrent highway network of depth two, examples as columns ----------------------------------------------------


def highway_loss(p, xs, ys):
    s = np.zeros((d, B))
    total = 0.0
    for t in range(T):
        for layer in (0, 1):
            u = p["RH"][layer] @ s + p["b"][layer][:, None]
            g = p["RT"][layer] @ s + p["bT"][:, None]
            if layer == 0:
                u = u + p["WH"] @ xs[t]
                g = g + p["WT"] @ xs[t]
            gate = tr.sigmoid(g)
            s = np.tanh(u) * gate + s * (1 - gate)
        total = total + np.sum((p["V"] @ s - ys[t]) ** 2)
    return total / 2 / T


@network(
    highway_loss,
    weights(211, WH=(d, n), WT=(d, n), RH=(2, d, d), RT=(2, d, d), b=(2, d), bT=(d,), V=(k, d)),
    numbers(211, T, n, B),
    numbers(212, T, k, B),
)
def recurrent_highway(slip, p, xs, ys):
    s, saved = np.zeros((d, B)), []
    for t in range(T):
        for layer in (0, 1):
            u = p["RH"][layer] @ s + p["b"][layer][:, None] + (0 if layer else p["WH"] @ xs[t])
            a = p["RT"][layer] @ s + p["bT"][:, None] + (0 if layer else p["WT"] @ xs[t])
            u, gate = np.tanh(u), sigmoid(a)
            before, s = s, u * gate + s * (1 - gate)
            saved.append((before, u, gate, s))
    g = zeros(p)
    ds = np.zeros((d, B))
    for t in range(T - 1, -1, -1):
        dy = (p["V"] @ saved[2 * t + 1][3] - ys[t]) / slip("T forgotten", T, 1)
        g["V"] += dy @ saved[2 * t + 1][3].T
        ds = ds + p["V"].T @ dy
        for layer in (1, 0):
            before, u, gate, _ = saved[2 * t + layer]
            du = ds * slip("transform gate left out", gate, 1) * (1 - u**2)
            dgate = ds * slip("kept state left out of the gate", u - before, u)
            dgate = slip("sign of the kept state in the gate", dgate, lambda: ds * (u + before))
            da = dgate * gate * slip("1 - gate left out", 1 - gate, 1)
            g["RH"][layer] += slip("outer product turned round", du @ before.T, lambda: before @ du.T)
            g["RT"][layer] += da @ before.T
            g["b"][layer] += slip("b over the wrong axis", du.sum(1), lambda: du.sum(0))
            g["bT"] += slip("bT of the inner layer alone", da.sum(1), lambda: da.sum(1) * layer)
            if layer == 0:
                g["WH"] += du @ xs[t].T
                g["WT"] += da @ slip("input of the step after in WT", xs[t], lambda: xs[(t + 1) % T]).T
            carry = slip("gate for 1 - gate in the carry", 1 - gate, gate)
            ds = (
                ds * slip("carry left out", carry, 0)
                + p["RH"][layer].T @ du
                + slip("gate's path left out", p["RT"][layer].T @ da, 0)
            )
    g["RH"] = slip("layers exchanged", g["RH"], lambda: g["RH"][::-1])
    return g


# --- two layers of LSTM with dropout between them, gates in the order i, f, o, g, means over time and batch -----------


def two_lstm_loss(p, xs, mask, ys):
    def step(W, b, x, state):
        h, c = state
        a = np.concatenate([x, h], axis=1) @ W + b
        i, f, o = (tr.sigmoid(a[:, j * d : (j + 1) * d]) for j in range(3))
        c = f * c + i * np.tanh(a[:, 3 * d :])
        return o * np.tanh(c), c

    one = two = (np.zeros((B, d)), np.zeros((B, d)))
    total = 0.0
    for t in range(T):
        one = step(p["W1"], p["b1"], xs[t], one)
        two = step(p["W2"], p["b2"], one[0] * mask[t] / 0.8, two)
        total = total + np.mean((two[0] @ p["V"] - ys[t]) ** 2)
    return total / T


@network(
    two_lstm_loss,
    weights(213, W1=(n + d, 4 * d), b1=(4 * d,), W2=(2 * d, 4 * d), b2=(4 * d,), V=(d, k)),
    numbers(213, T, B, n),
    (numbers(214, T, B, d) > -0.8) * 1.0,
    numbers(215, T, B, k),
)
def two_lstm_layers(slip, p, xs, mask, ys):
    def forward(W, b, inputs):
        h = c = np.zeros((B, d))
        kept = []
        for x in inputs:
            joined = np.concatenate([x, h], axis=1)
            a = joined @ W + b
            i, f, o = (sigmoid(a[:, j * d : (j + 1) * d]) for j in range(3))
            z = np.tanh(a[:, 3 * d :])
            c0, c = c, f * c + i * z
            h = o * np.tanh(c)
            kept.append((joined, i, f, o, z, c0, c))
        return np.array([o * np.tanh(c) for _, _, _, o, _, _, c in kept]), kept

    h1, kept1 = forward(p["W1"], p["b1"], xs)
    h2, kept2 = forward(p["W2"], p["b2"], h1 * mask / 0.8)
    g = zeros(p)
    dy = 2 * (h2 @ p["V"] - ys) / (T * B * slip("units left out of the mean", k, 1))
    g["V"] = np.einsum("tbi,tbj->ij", h2, dy)

    def backward(W, kept, above, which):
        dW, db, dxs = np.zeros_like(W), np.zeros(4 * d), []
        dh = dc = np.zeros((B, d))
        for t in range(T - 1, -1, -1):
            joined, i, f, o, z, c0, c = kept[t]
            dh = above[t] + slip(f"dh overwritten in {which}", dh, 0)
            do = dh * np.tanh(c)
            dc = slip(f"dc overwritten in {which}", dc, 0) + dh * o * (1 - np.tanh(c) ** 2)
            dc = slip(f"tanh' of c left out in {which}", dc, lambda: dc + dh * o * np.tanh(c) ** 2)
            da = [
                dc * z * i * (1 - i),
                dc * slip(f"c_t for c_(t-1) in df of {which}", c0, c) * f * (1 - f),
                do * slip(f"slope of f for o in {which}", o * (1 - o), f * (1 - f)),
                dc * i * (1 - z**2),
            ]
            da[3] = slip(f"sigmoid's slope for the candidate of {which}", da[3], dc * i * z * (1 - z))
            order = slip(f"gates in the order i, f, g, o in {which}", (0, 1, 2, 3), (0, 1, 3, 2))
            da = np.concatenate([da[j] for j in order], axis=1)
            dW, db = dW + joined.T @ da, db + da.sum(0)
            back = da @ W.T
            dxs.append(back[:, : len(W) - d])
            dh = back[:, len(W) - d :]
            dc = slip(f"forget gate left out of the carry of {which}", dc * f, dc)
        return dW, db, slip(f"order of dxs in {which}", dxs[::-1], dxs) if which == "layer 2" else None

    g["W2"], g["b2"], dx = backward(p["W2"], kept2, dy @ p["V"].T, "layer 2")
    dh1 = np.array(dx) * slip("dropout mask forgotten", mask, 1) / slip("dropout scale forgotten", 0.8, 1)
    g["W1"], g["b1"], _ = backward(p["W1"], kept1, dh1, "layer 1")
    return g


# --- both directions, pooled by additive attention over the steps that aren't padding ---------------------------------

LENGTHS = np.array([4, 2, 3])


def attended_loss(p, xs, live, ys):
    def gru(W, U, sequence):
        def cell(x, h):
            a, r = x @ W, h @ U
            z = tr.sigmoid(a[:, :d] + r[:, :d])
            return z * h + (1 - z) * np.tanh(a[:, d:] + r[:, d:])

        return tr.unroll(cell, sequence, np.zeros((B, d)))[0]

    hs = np.concatenate([gru(p["Wf"], p["Uf"], xs), gru(p["Wb"], p["Ub"], xs[::-1])[::-1]], axis=2)
    scores = np.tanh(hs @ p["A"]) @ p["q"] + (1 - live) * -1e9
    weight = tr.softmax(scores, axis=0)
    context = np.sum(weight[..., None] * hs, axis=0)
    return tr.nn.cross_entropy(context @ p["V"] + p["c"], ys)


@network(
    attended_loss,
    weights(
        217, Wf=(n, 2 * d), Uf=(d, 2 * d), Wb=(n, 2 * d), Ub=(d, 2 * d), A=(2 * d, k), q=(k,), V=(2 * d, 3), c=(3,)
    ),
    numbers(217, T, B, n),
    (np.arange(T)[:, None] < LENGTHS) * 1.0,
    np.array([2, 0, 1]),
)
def attention_pooling_of_both_directions(slip, p, xs, live, ys):
    def forward(W, U, sequence):
        h, kept = np.zeros((B, d)), []
        for x in sequence:
            z = sigmoid(x @ W[:, :d] + h @ U[:, :d])
            u = np.tanh(x @ W[:, d:] + h @ U[:, d:])
            kept.append((x, h, z, u))
            h = z * h + (1 - z) * u
        return kept, np.array([z * h + (1 - z) * u for _, h, z, u in kept])

    kept_f, f = forward(p["Wf"], p["Uf"], xs)
    kept_b, b = forward(p["Wb"], p["Ub"], xs[::-1])
    hs = np.concatenate([f, b[::-1]], axis=2)
    e = np.tanh(hs @ p["A"])
    weight = np.moveaxis(softmax(np.moveaxis(e @ p["q"] - (1 - live) * 1e9, 0, 1)), 1, 0)
    context = np.sum(weight[..., None] * hs, axis=0)
    g = zeros(p)
    dy = (softmax(context @ p["V"] + p["c"]) - np.eye(3)[ys]) / slip("B forgotten", B, 1)
    dy = slip("label not subtracted", dy, lambda: softmax(context @ p["V"] + p["c"]) / B)
    g["V"], g["c"] = context.T @ dy, dy.sum(0)
    dcontext = dy @ p["V"].T
    dweight = (dcontext * hs).sum(2)
    mean = slip("softmax over the batch", (weight * dweight).sum(0), lambda: (weight * dweight).sum(1, keepdims=True))
    ds = weight * (dweight - slip("softmax's mean left out", mean, 0))
    ds = slip("uniform weights", ds, lambda: (dweight - dweight.mean(0)) / T)
    g["q"] = np.einsum("tb,tbk->k", ds, e)
    de = ds[..., None] * p["q"] * slip("tanh' of the score left out", 1 - e**2, 1)
    g["A"] = np.einsum("tbi,tbk->ik", hs, de)
    dhs = slip("states' path as values left out", weight[..., None] * dcontext, 0)
    dhs = dhs + slip("states' path as keys left out", de @ p["A"].T, 0)

    def backward(dhs, kept, W, U, which):
        dW, dU, dh = np.zeros_like(W), np.zeros_like(U), np.zeros((B, d))
        for t in range(T - 1, -1, -1):
            x, h, z, u = kept[t]
            dh = dh + dhs[t]
            dz = dh * slip(f"u - h for h - u {which}", h - u, u - h) * z * (1 - z)
            du = dh * slip(f"z for 1 - z {which}", 1 - z, z) * (1 - u**2)
            da = np.concatenate([dz, du], axis=1)
            dW, dU = dW + x.T @ da, dU + h.T @ da
            dh = slip(f"z left out of the carry {which}", z, 1) * dh + slip(
                f"through the candidate alone {which}", da @ U.T, lambda: du @ U[:, d:].T
            )
        return dW, dU

    half = slip("halves exchanged", slice(d, None), slice(None, d))
    g["Wf"], g["Uf"] = backward(dhs[..., :d], kept_f, p["Wf"], p["Uf"], "forwards")
    back = slip("gradient not turned round", dhs[::-1, :, half], lambda: dhs[:, :, d:])
    g["Wb"], g["Ub"] = backward(back, kept_b, p["Wb"], p["Ub"], "backwards")
    return g


# --- gaps in time: the state decays by exp(-softplus(w) Δt), missing inputs are filled in -----------------------------


def gaps_loss(p, xs, seen, gaps, ys):
    def cell(given, state):
        x, m, gap = given
        h, last = state
        decay = np.exp(-np.logaddexp(0, p["w"]) * gap[:, None])
        filled = m * x + (1 - m) * last
        h = decay * h
        h = np.tanh(filled @ p["U"] + m @ p["N"] + h @ p["W"] + p["b"])
        return h, (h, p["f"] * filled)

    hs, _ = tr.unroll(cell, (xs, seen, gaps), (np.zeros((B, d)), np.zeros((B, n))))
    r = hs @ p["v"] - ys
    return np.sum(np.sqrt(1 + r**2) - 1) / (T * B) + 0.01 * sum(np.sum(p[name] ** 2) for name in ("U", "W"))


@network(
    gaps_loss,
    weights(219, U=(n, d), N=(n, d), W=(d, d), b=(d,), w=(d,), f=(n,), v=(d,)),
    numbers(219, T, B, n),
    (numbers(220, T, B, n) > -0.3) * 1.0,
    np.abs(numbers(221, T, B)) + 0.2,
    numbers(222, T, B),
)
def gaps_in_time(slip, p, xs, seen, gaps, ys):
    h, last, filled, decayed = [np.zeros((B, d))], [np.zeros((B, n))], [None], [None]
    rate = np.logaddexp(0, p["w"])
    for t in range(T):
        filled.append(seen[t] * xs[t] + (1 - seen[t]) * last[-1])
        decayed.append(np.exp(-rate * gaps[t][:, None]) * h[-1])
        h.append(np.tanh(filled[-1] @ p["U"] + seen[t] @ p["N"] + decayed[-1] @ p["W"] + p["b"]))
        last.append(p["f"] * filled[-1])
    g = zeros(p)
    dh, dlast = np.zeros((B, d)), np.zeros((B, n))
    for t in range(T, 0, -1):
        r = h[t] @ p["v"] - ys[t - 1]
        dr = r / slip("root left out", np.sqrt(1 + r**2), 1) / slip("B alone for the mean", T * B, B)
        g["v"] += dr @ h[t]
        dh = dh + np.outer(dr, p["v"])
        da = dh * (1 - h[t] ** 2)
        g["U"] += slip("raw inputs in dU", filled[t], xs[t - 1]).T @ da
        g["N"] += seen[t - 1].T @ da
        g["W"] += slip("state before its decay in dW", decayed[t], h[t - 1]).T @ da
        g["b"] += da.sum(0)
        ddecayed = da @ p["W"].T
        decay = np.exp(-rate * gaps[t - 1][:, None])
        ddecay = ddecayed * slip("decayed state in the decay's gradient", h[t - 1], lambda: decayed[t])
        per = ddecay * slip("exp left out", decay, 1) * slip("gap left out", gaps[t - 1][:, None], 1)
        g["w"] -= slip("softplus' left out", sigmoid(p["w"]), 1) * slip("sum over the batch", per.sum(0), per[-1])
        dh = ddecayed * slip("decay left out of the carry", decay, 1)
        dfilled = da @ p["U"].T + slip("filled in: the later ones left out", p["f"] * dlast, 0)
        g["f"] += (dlast * filled[t]).sum(0)
        dlast = dfilled * slip("seen for missing", 1 - seen[t - 1], seen[t - 1])
        dlast = slip("missing left out", dlast, dfilled)
    g["w"] = slip("decay's minus left out", g["w"], -g["w"])
    for name in ("U", "W"):
        g[name] += slip(f"penalty of {name}", 0.02 * p[name], 0.01 * p[name])
    g["W"] = slip("penalty counted twice", g["W"], lambda: g["W"] + 0.02 * p["W"])
    g["b"] = slip("penalty of the bias too", g["b"], lambda: g["b"] + 0.02 * p["b"])
    return g


# --- twins: two sequences through the same weights, compared by their cosine ------------------------------------------


def twins_loss(p, left, right, same):
    def ends(xs):
        return tr.unroll(lambda x, h: np.tanh(x @ p["U"].T + h @ p["W"].T + p["b"]), xs, np.zeros((B, d)))[1]

    a, b = ends(left) @ p["P"], ends(right) @ p["P"]
    cosine = np.sum(a * b, axis=1) / (np.sqrt(np.sum(a**2, axis=1)) * np.sqrt(np.sum(b**2, axis=1)))
    return np.mean((p["gain"] * cosine - same) ** 2)


@network(
    twins_loss,
    weights(223, U=(d, n), W=(d, d), b=(d,), P=(d, d), gain=()),
    numbers(223, T, B, n),
    numbers(224, T, B, n),
    np.array([1.0, -1.0, 1.0]),
)
def twins(slip, p, left, right, same):
    def forward(xs):
        h = [np.zeros((B, d))]
        for x in xs:
            h.append(np.tanh(x @ p["U"].T + h[-1] @ p["W"].T + p["b"]))
        return h

    h, m = forward(left), forward(right)
    a, b = h[T] @ p["P"], m[T] @ p["P"]
    A, C = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
    cosine = (a * b).sum(1, keepdims=True) / (A * C)
    r = p["gain"] * cosine - same[:, None]
    g = zeros(p)
    dr = 2 * r / slip("B forgotten", B, 1)
    g["gain"] = (dr * cosine).sum()
    dc = dr * slip("gain left out", p["gain"], 1)
    da = dc * (b / (A * C) - slip("length's path left out of a", cosine * a / A**2, 0))
    da = slip("length for its square", da, lambda: dc * (b / (A * C) - cosine * a / A))
    db = dc * (a / (A * C) - cosine * slip("a for b in its own projection", b, a) / C**2)
    db = slip("second length left out", db, dc * (a / A - cosine * b / C**2))
    g["P"] = h[T].T @ da + slip("second twin left out of dP", m[T].T @ db, 0)
    for dh, states, xs, which in ((da @ p["P"].T, h, left, "left"), (db @ p["P"].T, m, right, "right")):
        for t in range(T, 0, -1):
            delta = dh * slip(f"slope of the step before {which}", 1 - states[t] ** 2, 1 - states[t - 1] ** 2)
            g["U"] += delta.T @ xs[t - 1]
            g["W"] += delta.T @ slip(f"off by one {which}", states[t - 1], states[t])
            g["b"] += slip(f"b of the last step alone {which}", delta.sum(0), lambda: delta.sum(0) * (t == T))
            dh = delta @ slip(f"W turned {which}", p["W"], p["W"].T)
    for name in ("U", "W", "b"):
        g[name] = slip(f"mean of the twins for {name}", g[name], g[name] / 2)
    return g
