"""Cells that normalise, drop, leak, or keep something; sequences in pieces; an oscillator."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, weights, zeros

T, B, n, d = 4, 3, 2, 3


# --- leaky, and residual ----------------------------------------------------------------------------------------------


def leaky_loss(p, xs, ys):
    def step(x, h):
        a = tr.sigmoid(p["a"])
        return (1 - a) * h + a * np.tanh(x @ p["U"] + h @ p["W"])

    return np.sum((tr.unroll(step, xs, np.zeros((B, d)))[0] - ys) ** 2) / (2 * B)


@network(leaky_loss, weights(27, U=(n, d), W=(d, d), a=(d,)), numbers(27, T, B, n), numbers(28, T, B, d))
def leaky(slip, p, xs, ys):
    a = sigmoid(p["a"])
    h, u = [np.zeros((B, d))], [None]
    for x in xs:
        u.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
        h.append((1 - a) * h[-1] + a * u[-1])
    g = zeros(p)
    carry = np.zeros((B, d))
    for t in range(T, 0, -1):
        dh = carry + (h[t] - ys[t - 1]) / slip("1/2 forgotten", B, B / 2)
        delta = dh * slip("leak left out of delta", a, 1) * (1 - u[t] ** 2)
        delta = slip("1 - a for a", delta, dh * (1 - a) * (1 - u[t] ** 2))
        delta = slip("slope at h", delta, dh * a * (1 - h[t] ** 2))
        g["U"] += xs[t - 1].T @ delta
        g["W"] += slip("u for h in dW", h[t - 1], u[t]).T @ delta
        g["a"] += (dh * slip("u alone", u[t] - h[t - 1], u[t])).sum(0) * slip("a (1 - a) left out", a * (1 - a), 1)
        carry = slip("leak's path left out", dh * (1 - a), 0) + delta @ p["W"].T
        carry = slip("leak's path not leaking", carry, dh + delta @ p["W"].T)
        carry = slip("only the leak", carry, dh * (1 - a))
    return g


def residual_loss(p, xs):
    def step(x, h):
        return h + np.tanh(x @ p["U"] + h @ p["W"]) @ p["R"]

    hs, _ = tr.unroll(step, xs, np.zeros(d))
    return np.sum(np.log(np.cosh(hs)))


@network(residual_loss, weights(29, 0.5, U=(n, d), W=(d, d), R=(d, d)), numbers(29, T, n))
def residual(slip, p, xs):
    h, u = [np.zeros(d)], [None]
    for x in xs:
        u.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
        h.append(h[-1] + u[-1] @ p["R"])
    g = zeros(p)
    dh = np.zeros(d)
    for t in range(T, 0, -1):
        dh = dh + np.tanh(h[t])
        dh = slip("slope of the skip", dh, lambda: dh * (1 - np.tanh(h[t]) ** 2))
        g["R"] += np.outer(slip("h for u in dR", u[t], h[t]), dh)
        du = slip("R not transposed", p["R"] @ dh, p["R"].T @ dh)
        delta = slip("tanh' left out", du * (1 - u[t] ** 2), du)
        g["U"] += np.outer(xs[t - 1], delta)
        g["W"] += np.outer(h[t - 1], delta)
        branch = p["W"] @ delta
        dh = slip("skip forgotten", dh, 0) + slip("branch's sign", branch, -branch)
        dh = slip("skip twice", dh, lambda: 2 * dh - branch)
        dh = slip("half of the branch", dh, lambda: dh - branch / 2)
    return g


# --- layer norm, dropout, lengths -------------------------------------------------------------------------------------


def norm_loss(p, xs):
    def step(x, h):
        a = x @ p["U"] + h @ p["W"]
        m = np.mean(a, axis=-1, keepdims=True)
        s = np.sqrt(np.mean((a - m) ** 2, axis=-1, keepdims=True) + 1e-5)
        return np.tanh(p["gain"] * (a - m) / s + p["b"])

    return np.sum(tr.unroll(step, xs, np.zeros((B, d)))[0] ** 2)


@network(norm_loss, weights(30, U=(n, d), W=(d, d), gain=(d,), b=(d,)), numbers(30, T, B, n))
def layer_norm(slip, p, xs):
    h, kept = [np.zeros((B, d))], [None]
    for x in xs:
        a = x @ p["U"] + h[-1] @ p["W"]
        m = a.mean(-1, keepdims=True)
        s = np.sqrt(((a - m) ** 2).mean(-1, keepdims=True) + 1e-5)
        kept.append(((a - m) / s, s))
        h.append(np.tanh(p["gain"] * kept[-1][0] + p["b"]))
    g = zeros(p)
    carry = np.zeros((B, d))
    for t in range(T, 0, -1):
        (v, s) = kept[t]
        delta = (2 * h[t] + carry) * (1 - h[t] ** 2)
        delta = slip("tanh' forgotten", delta, 2 * h[t] + carry)
        delta = slip("tanh' at v", delta, (2 * h[t] + carry) * (1 - v**2))
        g["b"] += delta.sum(0)
        g["gain"] += (slip("v left out of dgain", delta * v, delta)).sum(0)
        dv = delta * slip("gain left out", p["gain"], 1)
        da = (
            dv
            - slip("mean's path", dv.mean(-1, keepdims=True), 0)
            - slip("deviation's path", v * (dv * v).mean(-1, keepdims=True), 0)
        ) / s
        da = slip("statistics held constant", da, dv / s)
        of_sums = (dv - dv.sum(-1, keepdims=True) - v * (dv * v).sum(-1, keepdims=True)) / s
        da = slip("sums for the norm's means", da, of_sums)
        da = slip("s left out", da, da * s)
        da = slip("variance for deviation", da, da / s)
        g["U"] += xs[t - 1].T @ da
        g["W"] += h[t - 1].T @ slip("dv for da in W", da, dv)
        carry = slip("norm left out of the carry", da, dv) @ p["W"].T
    g["b"] = slip("last step's b", g["b"], delta.sum(0))
    return g


MASK = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1]]) / 0.7


def dropped_loss(p, xs, mask):
    def step(x, h):
        return np.tanh(x @ p["U"] + (h * mask) @ p["W"] + p["b"])

    hs, _ = tr.unroll(step, xs, np.zeros((B, d)))
    return np.sum((hs * mask) @ p["v"])


@network(dropped_loss, weights(31, U=(n, d), W=(d, d), b=(d,), v=(d,)), numbers(31, T, B, n), MASK)
def dropout(slip, p, xs, mask):
    h = [np.zeros((B, d))]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + (h[-1] * mask) @ p["W"] + p["b"]))
    g = zeros(p)
    carry = np.zeros((B, d))
    for t in range(T, 0, -1):
        g["v"] += (slip("mask left out of dv", h[t] * mask, h[t])).sum(0)
        dh = p["v"] * slip("mask left out of the loss", mask, 1) + carry
        delta = dh * (1 - h[t] ** 2)
        delta = slip("slope at the dropped state", delta, dh * (1 - (h[t] * mask) ** 2))
        delta = slip("mask on delta too", delta, delta * mask)
        g["U"] += xs[t - 1].T @ delta
        g["W"] += (slip("mask left out of dW", h[t - 1] * mask, h[t - 1])).T @ delta
        g["b"] += delta.sum(0)
        carry = delta @ p["W"].T * slip("mask left out of the carry", mask, 1)
        carry = slip("mask twice", carry, carry * mask)
        carry = slip("mask without its scale", carry, carry * 0.7)
        carry = slip("1 - mask", carry, lambda: delta @ p["W"].T * (1 - mask))
    return g


LENGTHS = np.array([4, 2, 3])


def padded_loss(p, xs, ys, lengths):
    live = np.arange(T)[:, None] < lengths

    def step(given, h):
        x, on = given
        return np.where(on[:, None], np.tanh(x @ p["U"] + h @ p["W"] + p["b"]), h)

    hs, last = tr.unroll(step, (xs, live), np.zeros((B, d)))
    errors = np.sum((hs @ p["V"] - ys) ** 2, axis=-1)
    return np.sum(errors * live) / np.sum(live) + np.sum(last @ p["V"])


@network(
    padded_loss,
    weights(32, U=(n, d), W=(d, d), b=(d,), V=(d, 2)),
    numbers(32, T, B, n),
    numbers(33, T, B, 2),
    LENGTHS,
)
def lengths(slip, p, xs, ys, lengths):
    live = (np.arange(T)[:, None] < lengths).astype(float)[:, :, None]
    h = [np.zeros((B, d))]
    for x, on in zip(xs, live):
        h.append(on * np.tanh(x @ p["U"] + h[-1] @ p["W"] + p["b"]) + (1 - on) * h[-1])
    g = zeros(p)
    count = slip("mean over all steps", live.sum(), T * B)
    dh = slip("last state's term", np.ones((B, 2)) @ p["V"].T, 0)
    g["V"] += slip("last state's term in dV", h[T].T @ np.ones((B, 2)), 0)
    for t in range(T, 0, -1):
        on = live[t - 1]
        e = 2 * (h[t] @ p["V"] - ys[t - 1]) / count
        g["V"] += h[t].T @ (e * slip("mask forgotten in dV", on, 1))
        dh = dh + slip("mask forgotten in the loss", e * on, e) @ p["V"].T
        delta = dh * (1 - h[t] ** 2) * slip("mask forgotten in delta", on, 1)
        g["U"] += xs[t - 1].T @ delta
        g["W"] += h[t - 1].T @ delta
        g["b"] += slip("mask forgotten in db", delta, dh * (1 - h[t] ** 2)).sum(0)
        dh = delta @ p["W"].T + slip("what is carried through padding", (1 - on) * dh, 0)
        dh = slip("carried through all", dh, lambda: dh + on * 0 + on * (dh - delta @ p["W"].T) + on * delta)
    return g


# --- pieces of a long sequence, and an oscillator ---------------------------------------------------------------------


def chunked_loss(p, xs, ys):
    h, total = np.zeros(d), 0.0
    for start in range(0, len(xs), 3):
        hs, h = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), xs[start : start + 3], tr.stop_gradient(h))
        total = total + np.sum((hs - ys[start : start + 3]) ** 2)
    return total


@network(chunked_loss, weights(34, U=(n, d), W=(d, d)), numbers(34, 6, n), numbers(35, 6, d))
def chunks(slip, p, xs, ys):
    h = [np.zeros(d)]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
    g = zeros(p)
    dh = np.zeros(d)
    for t in range(6, 0, -1):
        if t == 3:
            dh = slip("not cut between the chunks", 0 * dh, dh)
        dh = dh + 2 * (h[t] - slip("target of the step after", ys[t - 1], ys[t % 6]))
        delta = dh * (1 - h[t] ** 2)
        g["U"] += np.outer(xs[t - 1], delta)
        g["W"] += np.outer(slip("state reset in dW", h[t - 1], h[t - 1] * (t != 4)), delta)
        dh = p["W"] @ slip("slope left out of the carry", delta, dh)
        dh = slip("no recursion", dh, 0 * dh)
    g["W"] = slip("W turned", g["W"], g["W"].T)
    return g


def oscillator_loss(p, forces, ys):
    def step(u, state):
        x, v = state
        v = v + 0.1 * (u - p["k"] * x - p["c"] * v)
        x = x + 0.1 * v
        return x, (x, v)

    xs, _ = tr.unroll(step, forces, (p["x0"], np.zeros(2)))
    return np.sum((xs - ys) ** 2)


@network(oscillator_loss, weights(36, k=(2,), c=(2,), x0=(2,)), 5 * numbers(36, 5, 2), numbers(37, 5, 2))
def oscillator(slip, p, forces, ys):
    dt = 0.1
    x, v = [p["x0"]], [np.zeros(2)]
    for u in forces:
        v.append(v[-1] + dt * (u - p["k"] * x[-1] - p["c"] * v[-1]))
        x.append(x[-1] + dt * v[-1])
    g = zeros(p)
    dx, dv = np.zeros(2), np.zeros(2)
    for t in range(5, 0, -1):
        dx = dx + 2 * (x[t] - ys[t - 1])
        dv = dv + slip("x's path to v", dt * dx, 0)
        g["k"] -= slip("dt left out of dk", dt, 1) * dv * slip("x_t in dk", x[t - 1], x[t])
        g["c"] -= dt * dv * slip("v_t in dc", v[t - 1], v[t])
        dx = dx - slip("k's path", dt * p["k"] * dv, 0)
        dx = slip("k's path with plus", dx, dx + 2 * dt * p["k"] * dv)
        dv = dv * (1 - dt * slip("k for c", p["c"], p["k"]))
        dv = slip("friction left out", dv, lambda: dv / (1 - dt * p["c"]))
        dv = slip("dt twice in friction", dv, lambda: dv / (1 - dt * p["c"]) * (1 - dt * dt * p["c"]))
    g["x0"] = slip("x0 minus", dx, -dx)
    g["x0"] = slip("dv for dx", g["x0"], dv)
    return g


def numbers_first_loss(p, us, ys):
    q, v, total = 0.5, 0.2, 0
    for u, y in zip(us, ys):
        q, v = q + 0.1 * v, v + 0.1 * (p["mu"] * (1 - q**2) * v - p["k"] * q + p["w"] * u)
        total = total + (q - y) ** 2
    return total / 2


@network(numbers_first_loss, weights(38, mu=(), k=(), w=()), numbers(38, 6), numbers(39, 6))
def oscillator_from_numbers(slip, p, us, ys):
    q, v = [0.5], [0.2]
    for u in us:
        a = p["mu"] * (1 - q[-1] ** 2) * v[-1] - p["k"] * q[-1] + p["w"] * u
        q.append(q[-1] + 0.1 * v[-1])
        v.append(v[-1] + 0.1 * a)
    g, dq, dv = zeros(p), 0.0, 0.0
    for t in range(6, 0, -1):
        dq = dq + q[t] - ys[t - 1]
        da = slip("dt left out", 0.1, 1) * dv
        g["mu"] += da * (1 - slip("new q in dmu", q[t - 1], q[t]) ** 2) * slip("v left out of dmu", v[t - 1], 1)
        g["k"] -= da * q[t - 1]
        g["w"] += da * us[t - 1]
        path = da * p["mu"] * (1 - q[t - 1] ** 2)
        dv = slip("v's own path", dv, 0) + slip("q's path", 0.1, 0) * dq + path
        dq = dq - slip("2 left out", 2, 1) * p["mu"] * q[t - 1] * v[t - 1] * da - slip("k's path", p["k"], 0) * da
    return g
