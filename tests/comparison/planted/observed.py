"""Networks between observations: substeps of an equation, a filter, cells that keep what they had, turning pairs."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

T, B, n, d, k = 4, 3, 2, 3, 2

# --- Euler's method, the same lines three times in a step; gaps in time; a prediction before each observation ---------

SUBSTEPS = 3


def substeps_loss(p, xs, dts):
    h, total = np.zeros(d), 0.0
    for x, dt in zip(xs, dts):
        for _ in range(SUBSTEPS):
            h = h + dt / SUBSTEPS * (np.tanh(h @ p["F"]) @ p["G"] - p["decay"] * h)
        total = total + 0.5 * np.sum((h @ p["V"] - x) ** 2)
        h = np.tanh(x @ p["U"] + h @ p["W"])
    return total


@network(
    substeps_loss,
    {**weights(101, F=(d, 4), G=(4, d), U=(n, d), W=(d, d), V=(d, n)), "decay": np.array(0.3)},
    numbers(101, T, n),
    np.array([0.5, 1.2, 0.7, 2.0]),
)
def substeps(slip, p, xs, dts):
    h, tape = np.zeros(d), []
    for x, dt in zip(xs, dts):
        inner = []
        for _ in range(SUBSTEPS):
            inner.append((h, np.tanh(h @ p["F"])))
            h = h + dt / SUBSTEPS * (inner[-1][1] @ p["G"] - p["decay"] * h)
        tape.append((x, dt, inner, h))
        h = np.tanh(x @ p["U"] + h @ p["W"])
        tape[-1] += (h,)
    g = zeros(p)
    dh = np.zeros(d)
    for x, dt, inner, before, h in tape[::-1]:
        da = dh * (1 - h**2)
        g["U"] += np.outer(x, da)
        g["W"] += np.outer(before, da)
        error = before @ p["V"] - x
        g["V"] += np.outer(before, error)
        dh = p["W"] @ da + p["V"] @ error
        for h, s in inner[::-1]:
            step = dt / SUBSTEPS
            ds = step * (p["G"] @ dh) * (1 - s**2)
            g["G"] += slip("step left out in dG", step, 1) * np.outer(s, dh)
            g["F"] += np.outer(slip("state after the substeps in dF", h, before), ds)
            g["decay"] -= step * h @ dh
            decay = slip("decay left out of what is carried", step * p["decay"], 0) * dh
            dh = slip("the step before left out", dh, 0) + p["F"] @ ds - decay
    return g


# --- a filter: the logarithm of a likelihood, means and covariances ---------------------------------------------------


def filter_loss(p, ys):
    m, P, total = p["m"], np.eye(2), 0.0
    for y in ys:
        m, P = p["A"] @ m, p["A"] @ P @ p["A"].T + 0.5 * np.eye(2)
        v, S = y - p["c"] @ m, p["c"] @ P @ p["c"] + 1.0
        K = P @ p["c"] / S
        total = total + 0.5 * (np.log(S) + v**2 / S)
        m, P = m + K * v, P - np.outer(K, K) * S
    return total


@network(
    filter_loss,
    {"A": np.array([[0.8, 0.3], [-0.2, 0.9]]), "c": np.array([1.0, -0.5]), "m": np.array([0.4, -0.7])},
    numbers(102, 4),
)
def kalman_filter(slip, p, ys):
    A, c, m, P, steps = p["A"], p["c"], p["m"], np.eye(2), []
    for y in ys:
        before, Pb = A @ m, A @ P @ A.T + 0.5 * np.eye(2)
        v, S = y - c @ before, c @ Pb @ c + 1.0
        K = Pb @ c / S
        steps.append((m, P, before, Pb, v, S, K))
        m, P = before + K * v, Pb - np.outer(K, K) * S
    g = zeros(p)
    dm, dP = np.zeros(2), np.zeros((2, 2))
    for m, P, before, Pb, v, S, K in steps[::-1]:
        dK = dm * v - S * (dP + dP.T) @ K
        dS = 0.5 * (1 / S - v**2 / S**2) - K @ dP @ K - dK @ K / S
        dv = v / S + dm @ K
        dP = dP + np.outer(dK, c) / S + dS * np.outer(c, c)
        dm = dm - dv * c
        g["c"] += -dv * before + Pb.T @ dK / S + dS * (Pb + Pb.T) @ c
        by_P = dP @ A @ P.T + dP.T @ A @ P
        g["A"] += np.outer(dm, m) + slip("the mean's way to A alone", by_P, 0)
        dm, dP = A.T @ dm, slip("each A transposed", A.T @ dP @ A, A @ dP @ A.T)
    g["m"] = dm
    return g


# --- zoneout: h and c that are kept, by masks, in part ----------------------------------------------------------------


def zoneout_loss(p, xs, ys, kept_c, kept_h, turned):
    h, c, total = np.zeros(d), np.zeros(d), 0.0
    for t in range(len(xs)):
        z = p["W"] @ np.concatenate([h, xs[t]])
        c = kept_c[t] * c + (1 - kept_c[t]) * (tr.sigmoid(z[:d]) * c + np.tanh(z[2 * d :]))
        h = kept_h[t] * (turned @ h) + (1 - kept_h[t]) * tr.sigmoid(z[d : 2 * d]) * np.tanh(c)
        if t % 2:
            total = total + 0.5 * np.sum((p["V"] @ h - ys[t]) ** 2)
    return total


@network(
    zoneout_loss,
    weights(103, W=(3 * d, d + n), V=(k, d)),
    numbers(103, 6, n),
    numbers(104, 6, k),
    np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0.0]]),
    np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 0.0]]),
    numbers(105, d, d),
)
def zoneout(slip, p, xs, ys, kept_c, kept_h, turned):
    h, c, tape = np.zeros(d), np.zeros(d), []
    for t in range(len(xs)):
        hx, before = np.concatenate([h, xs[t]]), c
        z = p["W"] @ hx
        f, o, g = sigmoid(z[:d]), sigmoid(z[d : 2 * d]), np.tanh(z[2 * d :])
        c = kept_c[t] * c + (1 - kept_c[t]) * (f * c + g)
        h = kept_h[t] * (turned @ h) + (1 - kept_h[t]) * o * np.tanh(c)
        tape.append((hx, f, o, g, before, np.tanh(c), h))
    grads = zeros(p)
    dh, dc = np.zeros(d), np.zeros(d)
    for t in reversed(range(len(xs))):
        hx, f, o, g, before, tc, h = tape[t]
        if t % 2:
            dy = p["V"] @ h - ys[t]
            grads["V"] += np.outer(dy, h)
            dh = dh + p["V"].T @ dy
        new = dh * slip("1 - mask of h left out", 1 - kept_h[t], 1)
        dc = dc + new * o * (1 - tc**2)
        dn = dc * (1 - kept_c[t])
        dz = np.concatenate([dn * before * f * (1 - f), new * tc * o * (1 - o), dn * (1 - g**2)])
        grads["W"] += np.outer(dz, hx)
        dh = slip("fixed matrix not transposed", turned.T, turned) @ (kept_h[t] * dh) + (p["W"].T @ dz)[:d]
        dc = kept_c[t] * dc + dn * f
    return grads


# --- pairs that turn and decay, and a weight of which the length is learnt -----------


def pairs_loss(p, xs, labels):
    r, co, si = np.exp(-np.exp(p["nu"])), np.cos(p["theta"]), np.sin(p["theta"])
    V = p["gain"][:, None] * p["V"] / np.sqrt(np.sum(p["V"] ** 2, axis=1, keepdims=True))
    a = b = np.zeros((xs.shape[1], d))
    for x in xs:
        a, b = r * (co * a - si * b) + x @ p["Ba"], r * (si * a + co * b) + x @ p["Bb"]
    z = (a + b) @ V.T
    return np.mean(tr.logsumexp(z, axis=1) - z[np.arange(len(labels)), labels])


@network(
    pairs_loss,
    weights(106, nu=(d,), theta=(d,), Ba=(n, d), Bb=(n, d), gain=(k,), V=(k, d)),
    numbers(106, T, B, n),
    np.array([1, 0, 1]),
)
def turning_pairs(slip, p, xs, labels):
    e, co, si = np.exp(p["nu"]), np.cos(p["theta"]), np.sin(p["theta"])
    r, norm = np.exp(-e), np.linalg.norm(p["V"], axis=1, keepdims=True)
    unit, gain = p["V"] / norm, p["gain"][:, None]
    a, b = [np.zeros((xs.shape[1], d))], [np.zeros((xs.shape[1], d))]
    for x in xs:
        turned = co * a[-1] - si * b[-1], si * a[-1] + co * b[-1]
        a.append(r * turned[0] + x @ p["Ba"])
        b.append(r * turned[1] + x @ p["Bb"])
    both = a[-1] + b[-1]
    dz = (softmax(both @ (gain * unit).T) - np.eye(k)[labels]) / len(labels)
    dV = dz.T @ both
    g = {**zeros(p), "gain": np.sum(dV * unit, axis=1)}
    g["V"] = (dV - unit * np.sum(dV * unit, axis=1, keepdims=True)) * slip("gain left out of dV", gain, 1) / norm
    da = db = dz @ (gain * unit)
    for t in range(len(xs), 0, -1):
        g["Ba"] += xs[t - 1].T @ da
        g["Bb"] += xs[t - 1].T @ db
        a0, b0 = slip("states after the step", (a[t - 1], b[t - 1]), (a[t], b[t]))
        g["nu"] -= np.sum(da * (co * a0 - si * b0) + db * (si * a0 + co * b0), axis=0) * e * r
        g["theta"] += r * np.sum(db * (co * a0 - si * b0) - da * (si * a0 + co * b0), axis=0)
        da, db = r * (co * da + si * db), r * (co * db - si * da)
    return g
