"""Cells with gates."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, weights, zeros
from tinygrad_rnn import nn

T, B, n, d = 4, 3, 2, 3
H0 = np.zeros((B, d))


# --- GRU, reset after the product ------------------------------------------------------------


def after_loss(p, xs):
    def cell(x, h):
        x_r, x_z, x_n = np.split(x @ p["U"] + p["b"], 3, axis=-1)
        h_r, h_z, h_n = np.split(h @ p["W"], 3, axis=-1)
        r, z = tr.named("r", tr.sigmoid(x_r + h_r)), tr.named("z", tr.sigmoid(x_z + h_z))
        new = tr.named("n", np.tanh(x_n + r * (h_n + p["b_hn"])))
        return (1 - z) * new + z * h

    return np.sum(tr.unroll(cell, xs, H0)[0] ** 2)


@network(after_loss, weights(10, U=(n, 3 * d), W=(d, 3 * d), b=(3 * d,), b_hn=(d,)), numbers(10, T, B, n))
def gru_after(slip, p, xs):
    U, W, b = p["U"], p["W"], p["b"]
    h, kept = [H0], [None]
    for x in xs:
        a, q = x @ U + b, h[-1] @ W
        r, z = sigmoid(a[:, :d] + q[:, :d]), sigmoid(a[:, d : 2 * d] + q[:, d : 2 * d])
        m = q[:, 2 * d :] + p["b_hn"]
        nn_ = np.tanh(a[:, 2 * d :] + r * m)
        h.append((1 - z) * nn_ + z * h[-1])
        kept.append((r, z, nn_, m))
    g = zeros(p)
    carry = 0 * H0
    for t in range(T, 0, -1):
        r, z, new, m = kept[t]
        dh = 2 * h[t] + carry
        dz = dh * slip("n - h for h - n", h[t - 1] - new, new - h[t - 1])
        dz = slip("h_t for h_(t-1) in dz", dz, dh * (h[t] - new))
        daz = dz * z * (1 - z)
        dn = dh * slip("z for 1 - z", 1 - z, z)
        dan = slip("tanh' of n left out", dn * (1 - new**2), dn)
        dr = dan * slip("b_hn left out of dr", m, m - p["b_hn"])
        dar = dr * slip("r (1 - r) left out", r * (1 - r), 1)
        dar = slip("slope of r with z", dar, dr * z * (1 - z))
        dq = dan * slip("r left out of dq", r, 1)
        delta = np.concatenate([dar, daz, dan], axis=1)
        back = np.concatenate([dar, daz, dq], axis=1)
        g["U"] += xs[t - 1].T @ slip("dq in dU", delta, back)
        g["b"] += slip("gates z, r, n", delta, np.concatenate([daz, dar, dan], axis=1)).sum(0)
        g["W"] += h[t - 1].T @ slip("delta in dW", back, delta)
        g["b_hn"] += slip("b_hn without r", dq, dan).sum(0)
        carry = back @ W.T
        carry = carry + slip("z path left out", dh * z, 0)
        carry = slip("z path with 1 - z", carry, carry + dh * (1 - 2 * z))
        carry = slip("reset gate's path left out", carry, lambda: carry - dar @ W[:, :d].T)
        carry = slip("norm of what is handed on bounded", carry, lambda: carry / max(1, np.linalg.norm(carry)))
    return g


# --- GRU, reset before the product, separate weights ------------------------------------------------------------------


def before_loss(p, xs, target):
    def cell(x, h):
        z = tr.sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
        r = tr.sigmoid(x @ p["Wr"] + h @ p["Ur"] + p["br"])
        new = np.tanh(x @ p["Wh"] + (r * h) @ p["Uh"] + p["bh"])
        return z * h + (1 - z) * new

    _, h = tr.unroll(cell, xs, H0)
    return np.sum((h - target) ** 2) / B


@network(
    before_loss,
    weights(
        11, **{f"W{g}": (n, d) for g in "zrh"}, **{f"U{g}": (d, d) for g in "zrh"}, **{f"b{g}": (d,) for g in "zrh"}
    ),
    numbers(11, T, B, n),
    numbers(12, B, d),
)
def gru_before(slip, p, xs, target):
    h, kept = [H0], [None]
    for x in xs:
        z = sigmoid(x @ p["Wz"] + h[-1] @ p["Uz"] + p["bz"])
        r = sigmoid(x @ p["Wr"] + h[-1] @ p["Ur"] + p["br"])
        c = np.tanh(x @ p["Wh"] + (r * h[-1]) @ p["Uh"] + p["bh"])
        h.append(z * h[-1] + (1 - z) * c)
        kept.append((z, r, c))
    g = zeros(p)
    dh = 2 * (h[T] - target) / slip("sum over the batch", B, 1)
    for t in range(T, 0, -1):
        (z, r, c), hp, x = kept[t], h[t - 1], xs[t - 1]
        ah = dh * (1 - z) * slip("c for c²", 1 - c**2, 1 - c)
        drh = ah @ slip("Uh not transposed", p["Uh"].T, p["Uh"])
        ar = drh * hp * r * (1 - r)
        ar = slip("h left out of dr", ar, drh * r * (1 - r))
        az = dh * (hp - slip("c left out of dz", c, 0)) * z * (1 - z)
        az = slip("z² (1 - z)", az, az * z)
        for name, a in (("z", az), ("r", ar), ("h", ah)):
            g["W" + name] += x.T @ a
            g["b" + name] += a.sum(0)
            left = slip("h for r h in dUh", r * hp, hp) if name == "h" else hp
            g["U" + name] += left.T @ a
        dh = (
            dh * z
            + drh * slip("r left out of the carry", r, 1)
            + ar @ p["Ur"].T
            + az @ slip("Ur for Uz", p["Uz"], p["Ur"]).T
        )
        dh = slip("path through z left out", dh, dh - az @ p["Uz"].T)
        dh = slip("path through r twice", dh, dh + ar @ p["Ur"].T)
    g["Wr"], g["Wz"] = slip("Wr and Wz exchanged", (g["Wr"], g["Wz"]), (g["Wz"], g["Wr"]))
    g["br"] = slip("br forgotten", g["br"], 0 * g["br"])
    return g


# --- LSTM -------------------------------------------------------------------------------------------------------------


def lstm_loss(p, xs, ys):
    def cell(x, state):
        h, c = state
        i, f, g, o = np.split(x @ p["U"] + h @ p["W"] + p["b"], 4, axis=-1)
        i, f = tr.named("i", tr.sigmoid(i)), tr.named("f", tr.sigmoid(f))
        g, o = tr.named("g", np.tanh(g)), tr.named("o", tr.sigmoid(o))
        c = f * c + i * g
        h = o * np.tanh(c)
        return h, {"h": h, "c": c}

    def keyed(x, state):
        return cell(x, (state["h"], state["c"]))

    hs, _ = tr.unroll(keyed, xs, {"h": H0, "c": H0})
    return 0.5 * np.sum((hs @ p["V"] - ys) ** 2)


@network(
    lstm_loss, weights(13, U=(n, 4 * d), W=(d, 4 * d), b=(4 * d,), V=(d, 2)), numbers(13, T, B, n), numbers(14, T, B, 2)
)
def lstm(slip, p, xs, ys):
    h, c, kept = [H0], [H0], [None]
    for x in xs:
        i, f, g, o = np.split(x @ p["U"] + h[-1] @ p["W"] + p["b"], 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c.append(f * c[-1] + i * g)
        h.append(o * np.tanh(c[-1]))
        kept.append((i, f, g, o))
    G = zeros(p)
    dhn, dcn = 0 * H0, 0 * H0
    for t in range(T, 0, -1):
        i, f, g, o = kept[t]
        e = h[t] @ p["V"] - ys[t - 1]
        G["V"] += h[t].T @ e
        dh = e @ p["V"].T + dhn
        tc = np.tanh(c[t])
        do = dh * slip("c for tanh c in do", tc, c[t])
        dc = dh * o * slip("tanh'(c) left out", 1 - tc**2, 1)
        dc = slip("tanh' at tanh c", dc, lambda: dh * o * (1 - np.tanh(tc) ** 2))
        dc = slip("tanh' as 1 - c²", dc, lambda: dh * o * (1 - c[t] ** 2))
        dc = slip("o left out of dc", dc, lambda: dh * (1 - tc**2)) + slip("dc overwritten", dcn, 0)
        di, df, dg = (
            dc * slip("i for g", g, i),
            dc * slip("c_t for c_(t-1)", c[t - 1], c[t]),
            dc * slip("g for i", i, g),
        )
        ai = di * slip("slope of i forgotten", i * (1 - i), 1)
        af = df * slip("slope of f without f", f * (1 - f), 1 - f)
        ag = dg * slip("slope of g as a sigmoid's", 1 - g**2, g * (1 - g))
        ao = do * slip("slope of o by i", o * (1 - o), i * (1 - i))
        delta = np.concatenate([ai, af, ag, ao], axis=1)
        delta = slip("gates in the order i, f, o, g", delta, np.concatenate([ai, af, ao, ag], axis=1))
        G["U"] += xs[t - 1].T @ delta
        G["W"] += h[t - 1].T @ delta
        G["b"] += delta.sum(0)
        dhn = slip("hidden path forgotten", delta @ p["W"].T, 0)
        dhn = slip("W's o left out of the carry", dhn, lambda: delta[:, : 3 * d] @ p["W"][:, : 3 * d].T)
        dcn = slip("f left out of the carry", dc * f, dc)
        dcn = slip("i for f in the carry", dcn, dc * i)
        dcn = slip("f of the next step", dcn, lambda: dc * (kept[t + 1][1] if t < T else f))
    return G


# --- LSTM with peepholes ----------------------------------------------------------------------------------------------


def peephole_loss(p, xs):
    def cell(x, state):
        h, c = state
        a = np.concatenate([x, h], axis=-1)
        i = tr.sigmoid(a @ p["Wi"] + c * p["pi"])
        f = tr.sigmoid(a @ p["Wf"] + c * p["pf"])
        c = f * c + i * np.tanh(a @ p["Wg"])
        o = tr.sigmoid(a @ p["Wo"] + c * p["po"])
        h = o * np.tanh(c)
        return h, (h, c)

    hs, _ = tr.unroll(cell, xs, (np.zeros(d), np.zeros(d)))
    return np.sum(hs[-1] ** 2) + np.sum(hs[1])


@network(
    peephole_loss,
    weights(15, **{f"W{g}": (n + d, d) for g in "ifgo"}, **{f"p{g}": (d,) for g in "ifo"}),
    numbers(15, T, n),
)
def peephole(slip, p, xs):
    h, c, kept = [np.zeros(d)], [np.zeros(d)], [None]
    for x in xs:
        a = np.concatenate([x, h[-1]])
        i, f = sigmoid(a @ p["Wi"] + c[-1] * p["pi"]), sigmoid(a @ p["Wf"] + c[-1] * p["pf"])
        g = np.tanh(a @ p["Wg"])
        c.append(f * c[-1] + i * g)
        o = sigmoid(a @ p["Wo"] + c[-1] * p["po"])
        h.append(o * np.tanh(c[-1]))
        kept.append((a, i, f, g, o))
    G = zeros(p)
    dhn, dcn = np.zeros(d), np.zeros(d)
    for t in range(T, 0, -1):
        a, i, f, g, o = kept[t]
        dh = dhn + (2 * h[t] if t == T else 0) + slip("the loss at step 2", 1.0 * (t == 2), 0)
        ao = dh * np.tanh(c[t]) * o * (1 - o)
        dc = dcn + dh * o * (1 - np.tanh(c[t]) ** 2) + slip("peephole of o on the way back", ao * p["po"], 0)
        ai, af, ag = dc * g * i * (1 - i), dc * c[t - 1] * f * (1 - f), dc * i * (1 - g**2)
        ag = slip("slope of g left out", ag, dc * i)
        G["po"] += ao * slip("c_(t-1) in dpo", c[t], c[t - 1])
        G["pi"] += ai * slip("c_t in dpi", c[t - 1], c[t])
        G["pf"] += slip("di for df in dpf", af, ai) * c[t - 1]
        for name, gate in zip("ifgo", (ai, af, ag, ao)):
            G["W" + name] += np.outer(a, gate)
        da = (
            ai @ p["Wi"].T + af @ p["Wf"].T + ag @ p["Wg"].T + slip("Wg for Wo", ao @ p["Wo"].T, lambda: ao @ p["Wg"].T)
        )
        dhn = da[n:]
        dhn = slip("forget gate left out of dh", dhn, lambda: dhn - (af @ p["Wf"].T)[n:])
        dcn = slip("f twice", dc * f, dc * f * f) + slip("peephole of i forgotten", ai * p["pi"], 0)
        dcn = dcn + af * slip("pi for pf", p["pf"], p["pi"])
        dcn = slip("both peepholes of the cell forgotten", dcn, dc * f)
    G["Wo"] = slip(
        "Wo without its last step",
        G["Wo"],
        lambda: G["Wo"] - np.outer(kept[T][0], 2 * h[T] * np.tanh(c[T]) * kept[T][4] * (1 - kept[T][4])),
    )
    return G


# --- minimal gated unit -----------------------------------------------------------------------------------------------


def minimal_loss(p, xs, ys):
    def cell(x, h):
        f = tr.sigmoid(np.concatenate([h, x]) @ p["Wf"] + p["bf"])
        new = np.tanh(np.concatenate([f * h, x]) @ p["Wh"] + p["bh"])
        return (1 - f) * h + f * new

    hs, _ = tr.unroll(cell, xs, np.zeros(d))
    return nn.mse(hs, ys)


@network(
    minimal_loss, weights(16, Wf=(d + n, d), bf=(d,), Wh=(d + n, d), bh=(d,)), numbers(16, T, n), numbers(17, T, d)
)
def minimal_gated_unit(slip, p, xs, ys):
    h, kept = [np.zeros(d)], [None]
    for x in xs:
        f = sigmoid(np.concatenate([h[-1], x]) @ p["Wf"] + p["bf"])
        c = np.tanh(np.concatenate([f * h[-1], x]) @ p["Wh"] + p["bh"])
        h.append((1 - f) * h[-1] + f * c)
        kept.append((f, c))
    g = zeros(p)
    carry = np.zeros(d)
    for t in range(T, 0, -1):
        (f, c), hp, x = kept[t], h[t - 1], xs[t - 1]
        dh = carry + slip("2 left out", 2, 1) * (h[t] - ys[t - 1]) / slip("mean over T alone", T * d, T)
        dc = dh * f
        ac = dc * slip("slope of c twice", 1 - c**2, (1 - c**2) ** 2)
        dfh = (p["Wh"] @ ac)[:d]
        df = dh * slip("h left out of df", c - hp, c) + slip("path through f h left out", dfh * hp, 0)
        af = df * f * slip("1 - f left out", 1 - f, 1)
        g["Wh"] += np.outer(np.concatenate([slip("h for f h", f * hp, hp), x]), ac)
        g["bh"] += ac
        g["Wf"] += np.outer(np.concatenate([hp, x]), af)
        g["bf"] += af
        carry = slip("f for 1 - f", dh * (1 - f), dh * f) + dfh * slip("f left out of the carry", f, 1)
        carry = carry + slip("Wh for Wf", (p["Wf"] @ af)[:d], lambda: (p["Wh"] @ af)[:d])
        carry = slip("direct path with minus", carry, carry - 2 * dh * (1 - f))
    g["Wh"], g["Wf"] = slip("Wh and Wf exchanged", (g["Wh"], g["Wf"]), (g["Wf"], g["Wh"]))
    return g


# --- SRU: the recurrence by element alone -----------------------------------------------------------------------------


def sru_loss(p, xs):
    def cell(x, c):
        f = tr.named("f", tr.sigmoid(x @ p["Wf"] + p["vf"] * c + p["bf"]))
        r = tr.named("r", tr.sigmoid(x @ p["Wr"] + p["vr"] * c + p["br"]))
        c = f * c + (1 - f) * (x @ p["W"])
        return r * c + (1 - r) * x, c

    return np.sum(tr.unroll(cell, xs, np.zeros((B, d)))[0] ** 2) / 2


@network(
    sru_loss,
    weights(18, W=(d, d), Wf=(d, d), vf=(d,), bf=(d,), Wr=(d, d), vr=(d,), br=(d,)),
    numbers(18, T, B, d),
)
def sru(slip, p, xs):
    c, kept = [np.zeros((B, d))], [None]
    for x in xs:
        f = sigmoid(x @ p["Wf"] + p["vf"] * c[-1] + p["bf"])
        r = sigmoid(x @ p["Wr"] + p["vr"] * c[-1] + p["br"])
        c.append(f * c[-1] + (1 - f) * (x @ p["W"]))
        kept.append((f, r, r * c[-1] + (1 - r) * x))
    g = zeros(p)
    dcn = np.zeros((B, d))
    for t in range(T, 0, -1):
        (f, r, h), x, cp = kept[t], xs[t - 1], c[t - 1]
        dr = h * slip("x left out of dr", c[t] - x, c[t])
        dc = slip("r left out of dc", h * r, h) + dcn
        df = dc * slip("f's other term forgotten", cp - x @ p["W"], cp)
        af, ar = df * f * (1 - f), dr * r * (1 - r)
        ar = slip("slope of r by f", ar, dr * f * (1 - f))
        g["W"] += x.T @ (dc * slip("f for 1 - f", 1 - f, f))
        g["Wf"] += x.T @ af
        g["bf"] += af.sum(0)
        g["vf"] += (af * slip("c_t in dvf", cp, c[t])).sum(0)
        g["Wr"] += x.T @ slip("dr without slope in dWr", ar, dr)
        g["br"] += slip("b by mean", ar.sum(0), ar.mean(0))
        g["vr"] += (ar * cp).sum(0)
        dcn = dc * f + slip("vf's path left out", af * p["vf"], 0) + ar * slip("vf for vr", p["vr"], p["vf"])
        dcn = slip("carry only over the last step", dcn, dcn * (t == T))
    return g
