"""Derivations by hand into which a mistake can be planted: plain NumPy, written for the tests, one line for each step.

Each takes the name of the mistake to make, or None for none. They share nothing with ``tinygrad_rnn``.
"""

from __future__ import annotations

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def elman(p, xs, ys, mistake=None, f="tanh"):
    """Gradients of an Elman network with softmax and cross-entropy; sum over time, mean over instances."""
    U, W, V, b, c = (p[name] for name in "UWVbc")
    T, B = xs.shape[:2]
    act = np.tanh if f == "tanh" else sigmoid
    a, s = [None], [np.zeros((B, len(W)))]
    if mistake == "state carried over":
        for x in xs:
            s[0] = act(x @ U + s[0] @ W + b)
    if mistake == "state from instance to instance":
        for i in range(1, B):
            h = s[0][i - 1 : i]
            for x in xs:
                h = act(x[i - 1 : i] @ U + h @ W + b)
            s[0][i] = h[0]
    for x in xs:
        a.append(x @ U + s[-1] @ W + b)
        s.append(act(a[-1]))
    slope = (lambda y: 1 - y**2) if f == "tanh" else (lambda y: y * (1 - y))
    if mistake == "sigmoid's derivative for tanh's":
        slope = lambda y: y * (1 - y)  # noqa: E731
    if mistake == "square left out":
        slope = lambda y: 1 - y  # noqa: E731

    g = {name: np.zeros_like(value) for name, value in p.items()}
    through_next = np.zeros_like(s[0])
    for t in range(T, 0, -1):
        o, y = softmax(s[t] @ V + c), ys[t - 1]
        dz = (o - y) / B
        if mistake == "softmax forgotten":
            dz = -y / o / B
        if mistake == "softmax diagonal":
            dz = -y * (1 - o) / B
        if mistake == "o left out":
            dz = -y / B
        if (mistake == "only the last loss term" and t < T) or (mistake == "third loss term left out" and t == 3):
            dz = 0 * dz
        g["V"] += {"s of the step before": s[t - 1]}.get(mistake, s[t]).T @ dz
        g["c"] += dz.sum(axis=0)
        direct = dz @ V.T
        if mistake == "only the last loss reaches the states" and t < T:
            direct = 0 * direct
        if mistake == "no recursion":
            through_next = 0 * through_next
        if mistake == "chunks of 2" and t % 2 == 0:
            through_next = 0 * through_next
        ds = direct + through_next
        inner = {
            "at its result": act(s[t]),
            "pre-activation": a[t],
            "of the step before": s[t - 1],
        }.get(mistake, s[t])
        delta = ds * slope(inner)
        if mistake == "slope left out":
            delta = ds
        if mistake == "slope left out of the recursion":
            delta = direct * slope(s[t]) + through_next
        if mistake == "slope left out of the direct part":
            delta = direct + through_next * slope(s[t])
        before = {
            "s_t for s_{t-1}": s[t],
            "s_{t-2} for s_{t-1}": s[t - 2] if t > 1 else 0 * s[0],
            "index wraps": s[t - 1] if t > 1 else s[T],
            "pre-activation in dW": a[t - 1] if t > 1 else s[0],
            "deltas not turned": s[T - t],
        }.get(mistake, s[t - 1])
        x = {
            "x_{t-1} for x_t": xs[t - 2] if t > 1 else 0 * xs[0],
            "deltas not turned": xs[T - t],
        }.get(mistake, xs[t - 1])
        dW, dU, db = before.T @ delta, x.T @ delta, delta.sum(axis=0)
        if mistake == "last instance only":
            dW, dU, db = np.outer(before[-1], delta[-1]), np.outer(x[-1], delta[-1]), delta[-1]
        weight = {
            "last step only": t == T,
            "first step left out": t > 1,
            "first step twice": 1 + (t == 1),
        }.get(mistake, 1)
        g["W"] += weight * dW
        g["U"] += weight * dU
        g["b"] += weight * db
        through_next = delta @ (W if mistake == "W for its transpose" else W.T)
    if mistake == "sum from step 0":
        g["b"] += (through_next * slope(s[0])).sum(axis=0)
    return g


def elman_truncated(p, xs, ys, window):
    """Every loss looks back ``window`` steps only: the sum over paths, cut."""
    g = elman(p, xs, ys)
    U, W, V, b, c = (p[name] for name in "UWVbc")
    T, B = xs.shape[:2]
    s = [np.zeros((B, len(W)))]
    for x in xs:
        s.append(np.tanh(x @ U + s[-1] @ W + b))
    for name in "UWb":
        g[name] = np.zeros_like(p[name])
    for t in range(1, T + 1):
        ds = (softmax(s[t] @ V + c) - ys[t - 1]) / B @ V.T
        for k in range(t, max(t - window, 0), -1):
            delta = ds * (1 - s[k] ** 2)
            g["U"] += xs[k - 1].T @ delta
            g["W"] += s[k - 1].T @ delta
            g["b"] += delta.sum(axis=0)
            ds = delta @ W.T
    return g


def lstm(p, xs, mistake=None):
    """Gradients of sum(h²) over all steps of an LSTM, gates i, f, g, o side by side."""
    U, W, b = p["U"], p["W"], p["b"]
    T, B = xs.shape[:2]
    h, c, gates = [np.zeros((B, len(W)))], [np.zeros((B, len(W)))], [None]
    for x in xs:
        i, f, g, o = np.split(x @ U + h[-1] @ W + b, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c.append(f * c[-1] + i * g)
        h.append(o * np.tanh(c[-1]))
        gates.append((i, f, g, o))
    grad = {name: np.zeros_like(value) for name, value in p.items()}
    dh_next, dc_next = np.zeros_like(h[0]), np.zeros_like(h[0])
    for t in range(T, 0, -1):
        i, f, g, o = gates[t]
        dh = 2 * h[t] + dh_next
        do = dh * np.tanh(c[t])
        dc = dh * o * (1 - np.tanh(c[t]) ** 2) + dc_next
        if mistake == "tanh of c left out":
            dc = dh * o + dc_next
        if mistake == "cell-state path left out":
            dc = dc - dc_next
        di, df, dg = dc * g, dc * c[t - 1], dc * i
        if mistake == "c_t for c_{t-1} in the forget gate":
            df = dc * c[t]
        parts = [di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)]
        if mistake == "forget gate's derivative left out":
            parts[1] = df
        if mistake == "gates i, f, o, g":
            parts = [parts[k] for k in (0, 1, 3, 2)]
        delta = np.concatenate(parts, axis=1)
        grad["U"] += xs[t - 1].T @ delta
        grad["W"] += h[t - 1].T @ delta
        grad["b"] += delta.sum(axis=0)
        if mistake == "gates i, f, o, g":
            delta = np.concatenate([parts[k] for k in (0, 1, 3, 2)], axis=1)
        dh_next = 0 * dh_next if mistake == "hidden-state path left out" else delta @ W.T
        dc_next = dc * f
    return grad


def gru(p, xs, reset="after", mistake=None):
    """Gradients of sum(h²) over all steps of a GRU, gates r, z, n side by side."""
    U, W, b = p["U"], p["W"], p["b"]
    d = len(W)
    T, B = xs.shape[:2]
    b_hn = p.get("b_hn", np.zeros(d))
    h, kept = [np.zeros((B, d))], [None]
    for x in xs:
        a, q = x @ U + b, h[-1] @ W
        r, z = sigmoid(a[:, :d] + q[:, :d]), sigmoid(a[:, d : 2 * d] + q[:, d : 2 * d])
        inside = q[:, 2 * d :] + b_hn if reset == "after" else (r * h[-1]) @ W[:, 2 * d :] + b_hn
        n = np.tanh(a[:, 2 * d :] + (r * inside if reset == "after" else inside))
        h.append((1 - z) * n + z * h[-1])
        kept.append((r, z, n, inside))
    grad = {name: np.zeros_like(value) for name, value in p.items()}
    dh_next = np.zeros_like(h[0])
    for t in range(T, 0, -1):
        r, z, n, inside = kept[t]
        dh = 2 * h[t] + dh_next
        dz = dh * (h[t - 1] - n) * z * (1 - z)
        dn = dh * (1 - z) * (1 - n**2)
        Wn = W[:, 2 * d :]
        if reset == "after":
            dr, dq, dWn = dn * inside * r * (1 - r), dn * r, h[t - 1].T @ (dn * r)
            dh_next = dq @ Wn.T
        else:
            back = dn @ Wn.T
            dr, dq, dWn = back * h[t - 1] * r * (1 - r), dn, (r * h[t - 1]).T @ dn
            dh_next = back * r
        dh_next = dh_next + dr @ W[:, :d].T + dz @ W[:, d : 2 * d].T
        if mistake != "kept state left out":
            dh_next = dh_next + dh * z
        delta = np.concatenate([dr, dz, dn], axis=1)
        grad["U"] += xs[t - 1].T @ delta
        grad["b"] += delta.sum(axis=0)
        grad["W"] += np.concatenate([h[t - 1].T @ dr, h[t - 1].T @ dz, dWn], axis=1)
        if "b_hn" in grad:
            grad["b_hn"] += dq.sum(axis=0)
    return grad
