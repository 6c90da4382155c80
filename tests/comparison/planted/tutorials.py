"""Networks as tutorials write them: a matrix for each gate, columns, sums over paths, teacher forcing."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

T, n, d = 4, 3, 4
SEEN, NEXT = np.array([0, 2, 1, 2]), np.array([2, 1, 2, 0])

# --- an LSTM with a matrix for each gate, of z = [h; x], characters as columns ----------------------------------------


def each_gate_loss(p, seen, following):
    h = c = np.zeros((d, 1))
    total = 0.0
    for t in range(T):
        x = np.eye(n)[:, [seen[t]]]
        z = np.concatenate([h, x], axis=0)
        f, i, o = (tr.sigmoid(p["W" + gate] @ z + p["b" + gate]) for gate in "fio")
        c = f * c + i * np.tanh(p["Wc"] @ z + p["bc"])
        h = o * np.tanh(c)
        v = p["Wv"] @ h + p["bv"]
        e = np.exp(v - np.max(v))
        total = total - np.log((e / np.sum(e))[following[t], 0])
    return total


@network(
    each_gate_loss,
    weights(
        231,
        Wf=(d, d + n), Wi=(d, d + n), Wc=(d, d + n), Wo=(d, d + n), Wv=(n, d),
        bf=(d, 1), bi=(d, 1), bc=(d, 1), bo=(d, 1), bv=(n, 1),
    ),
    SEEN,
    NEXT,
)  # fmt: skip
def a_matrix_for_each_gate(slip, p, seen, following):
    h, c, kept = np.zeros((d, 1)), np.zeros((d, 1)), []
    for t in range(T):
        z = np.concatenate([h, np.eye(n)[:, [seen[t]]]], axis=0)
        f, i, o = (sigmoid(p["W" + gate] @ z + p["b" + gate]) for gate in "fio")
        u = np.tanh(p["Wc"] @ z + p["bc"])
        before, c = c, f * c + i * u
        h = o * np.tanh(c)
        y = softmax((p["Wv"] @ h + p["bv"]).T).T
        kept.append((z, f, i, o, u, before, c, h, y))
    g = zeros(p)
    dh_next, dc_next = np.zeros((d, 1)), np.zeros((d, 1))
    for t in range(T - 1, -1, -1):
        z, f, i, o, u, before, c, h, y = kept[t]
        dv = y.copy()
        dv[slip("the character that was read", following[t], seen[t])] -= 1
        g["Wv"] += dv @ h.T
        g["bv"] += dv
        dh = p["Wv"].T @ dv + dh_next
        do = dh * slip("tanh of c left out of do", np.tanh(c), c)
        da_o = slip("slope of o left out", o * (1 - o), 1) * do
        dc = slip("dc of the next step left out", dc_next, 0) + dh * o * slip(
            "slope of tanh(c) at c", 1 - np.tanh(c) ** 2, 1 - c**2
        )
        da_c = dc * slip("i left out of the candidate", i, 1) * (1 - u**2)
        da_i = dc * u * i * slip("1 - i left out", 1 - i, 1)
        da_f = dc * slip("c of this step in df", before, c) * f * (1 - f)
        for gate, da in zip("fico", (da_f, da_i, da_c, da_o)):
            g["W" + gate] += da @ z.T
            g["b" + gate] += da
        pairs = [("f", da_f), ("i", da_i), ("c", da_c), ("o", da_o)]
        pairs = slip("output gate's path to z left out", pairs, pairs[:3])
        pairs = slip("W of i for f on the way back", pairs, lambda: [("i", da_f), *pairs[1:]])
        dz = sum(p["W" + gate].T @ da for gate, da in pairs)
        dh_next = dz[:d] if not slip("the last rows of dz", 0, 1) else dz[n:]
        dc_next = f * slip("dh for dc in the carry", dc, dh)
    g["bf"] = slip("bf of the first step alone", g["bf"], da_f)
    for name in slip("the gates' weights clipped", (), ("Wf", "Wi")):
        g[name] = np.clip(g[name], -0.005, 0.005)
    return g


# --- the vanilla network, as sums over paths that are cut after three steps -------------------------------------------


def paths_loss(p, seen, following):
    total, states = 0.0, [np.zeros(d)]
    for t in range(T):
        states.append(np.tanh(p["U"][:, seen[t]] + p["W"] @ states[-1]))
        z = p["V"] @ states[-1]
        largest = z.max()
        total += largest + np.log(np.sum(np.exp(z - largest))) - z[following[t]]
    return total / T


@network(paths_loss, weights(233, U=(d, n), V=(n, d), W=(d, d)), SEEN, NEXT)
def sums_over_paths(slip, p, seen, following):
    s = [np.zeros(d)]
    for t in range(T):
        s.append(np.tanh(p["U"][:, seen[t]] + p["W"] @ s[-1]))
    g = zeros(p)
    for t in range(T - 1, -1, -1):
        do = softmax(p["V"] @ s[t + 1])
        do[following[t]] -= slip("label not subtracted", 1, 0)
        do = do / slip("T forgotten", T, 1)
        g["V"] += np.outer(do, slip("state before in dV", s[t + 1], s[t]))
        delta = slip("half of the way back", p["V"].T @ do, lambda: p["V"].T @ (do / 2)) * (1 - s[t + 1] ** 2)
        delta = slip("slope by s of the step before", delta, lambda: p["V"].T @ do * (1 - s[t] ** 2))
        first = slip("cut after two steps", -1, t - 2)
        for step in range(t, max(first, -1), -1):
            g["W"] += np.outer(delta, slip("the later state", s[step], s[step + 1]))
            g["U"][:, slip("the character of the outer step", seen[step], seen[t])] += delta
            later = delta
            delta = p["W"].T @ delta * (1 - s[step] ** 2)
            delta = slip("slope of the wrong step", delta, lambda: p["W"].T @ later * (1 - s[step + 1] ** 2))
            delta = slip("slope left out on the way", delta, lambda: p["W"].T @ later)
            delta = slip("W for its transpose", delta, lambda: p["W"] @ later * (1 - s[step] ** 2))
    g["V"] = slip("dV of the last step alone", g["V"], lambda: np.outer(do, s[1]))
    return g


# --- a decoder with teacher forcing, a weight-normalised read out, and a quantile loss --------------------------------

B, m = 3, 2


def forced_loss(p, xs, ys):
    last = tr.unroll(lambda x, h: np.tanh(x @ p["Ue"] + h @ p["We"]), xs, np.zeros((B, d)))[1]
    V = p["g"] * p["v"] / np.sqrt(np.sum(p["v"] ** 2, axis=0))
    total, s, given = 0.0, last, np.zeros((B, m))
    for t in range(T):
        s = np.tanh(given @ p["Ud"] + s @ p["Wd"] + p["b"])
        r = ys[t] - s @ V
        total = total + np.sum(np.maximum(0.9 * r, -0.1 * r))
        given = ys[t]
    return total / B / T


@network(
    forced_loss,
    weights(235, Ue=(n, d), We=(d, d), Ud=(m, d), Wd=(d, d), b=(d,), v=(d, m), g=(m,)),
    numbers(235, T, B, n),
    numbers(236, T, B, m),
)
def teacher_forcing(slip, p, xs, ys):
    h = [np.zeros((B, d))]
    for x in xs:
        h.append(np.tanh(x @ p["Ue"] + h[-1] @ p["We"]))
    length = np.sqrt(np.sum(p["v"] ** 2, axis=0))
    V = p["g"] * p["v"] / length
    s = [h[T]]
    for t in range(T):
        given = ys[t - 1] if t else np.zeros((B, m))
        s.append(np.tanh(given @ p["Ud"] + s[-1] @ p["Wd"] + p["b"]))
    g = zeros(p)
    dV, ds = np.zeros((d, m)), np.zeros((B, d))
    for t in range(T - 1, -1, -1):
        r = ys[t] - s[t + 1] @ V
        dr = np.where(r > 0, 0.9, slip("quantile's other side", -0.1, 0.1)) / B / slip("T forgotten", T, 1)
        dy = slip("sign of the residual", -dr, dr)
        dV += s[t + 1].T @ dy
        ds = ds + dy @ slip("direction for the normed matrix", V, p["v"]).T
        da = ds * (1 - s[t + 1] ** 2)
        given = ys[t - 1] if t else np.zeros((B, m))
        g["Ud"] += slip("its own target as input", given, ys[t]).T @ da
        g["Wd"] += s[t].T @ da
        g["b"] += da.sum(0) * slip("b times B", 1, B)
        ds = da @ p["Wd"].T
    unit = p["v"] / length
    g["g"] = (dV * slip("v for its direction in dg", unit, p["v"])).sum(0)
    along = slip("projection left out", unit * (dV * unit).sum(0), 0)
    g["v"] = slip("g left out of dv", p["g"], 1) / slip("length left out", length, 1) * (dV - along)
    g["v"] = slip("length twice", g["v"], g["v"] / length)
    dh = slip("encoder starts with the wrong slope", ds, lambda: ds * (1 - h[T] ** 2))
    for t in range(T, 0, -1):
        da = dh * slip("encoder's slope left out", 1 - h[t] ** 2, 1)
        g["Ue"] += xs[t - 1].T @ da
        g["We"] += h[t - 1].T @ da
        dh = da @ slip("decoder's W in the encoder", p["We"], p["Wd"]).T
    g["We"] = slip("encoder's dW by the last step alone", g["We"], lambda: h[T - 1].T @ (ds * (1 - h[T] ** 2)))
    return g
