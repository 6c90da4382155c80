"""Slips in layers whose weights are rows of an array, in steps between two observations, and in states with noise."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, weights, zeros

# --- layers in arrays, each with a mask of its own; the loss reads what comes out of the last one at the end ----------

T, LAYERS, H = 4, 3, 3
MASKS = (np.random.default_rng(810).random((T, LAYERS, H)) < 0.6) / 0.6


def layers_in_arrays_loss(p, xs, goal, masks):
    h = [np.zeros(H)] * LAYERS
    for t in range(T):
        inner, new = xs[t], []
        for k in range(LAYERS):
            new.append(np.tanh(p["W"][k] @ inner + p["U"][k] @ h[k] + p["b"][k]))
            inner = masks[t, k] * new[k] + (inner if k else 0)
        h = new
    return 0.5 * (p["o"] @ inner - goal) ** 2


@network(
    layers_in_arrays_loss,
    weights(91, W=(LAYERS, H, H), U=(LAYERS, H, H), b=(LAYERS, H), o=(H,)),
    numbers(91, T, H),
    0.7,
    MASKS,
)
def layers_in_arrays(slip, p, xs, goal, masks):
    h, inner = np.zeros((T + 1, LAYERS, H)), np.zeros((T, LAYERS + 1, H))
    for t in range(T):
        inner[t, 0] = xs[t]
        for k in range(LAYERS):
            h[t + 1, k] = np.tanh(p["W"][k] @ inner[t, k] + p["U"][k] @ h[t, k] + p["b"][k])
            inner[t, k + 1] = masks[t, k] * h[t + 1, k] + (inner[t, k] if k else 0)
    e = p["o"] @ inner[-1, -1] - goal
    g, carry = zeros(p), np.zeros((LAYERS, H))
    g["o"] = e * inner[-1, -1]
    for t in range(T - 1, -1, -1):
        d = e * p["o"] if t == T - 1 else np.zeros(H)
        for k in range(LAYERS - 1, -1, -1):
            above = slip("carry of the layer above", carry[k], carry[(k + 1) % LAYERS])
            a = (slip("masks forgotten", masks[t, k], 1) * d + above) * (1 - h[t + 1, k] ** 2)
            g["W"][k] += np.outer(a, inner[t, k])
            g["U"][k] += np.outer(a, h[slip("new states in dU", t, t + 1), k])
            g["b"][k] += a
            carry[k] = slip("W for U", p["U"], p["W"])[k].T @ a
            d = p["W"][k].T @ a + slip("way past the layers left out", d if k else 0, 0)
    return g


# --- two steps of time between observations --------------------------------------------------------------------------

STEP = 0.4


def between_observations_loss(p, xs, y):
    h = np.zeros(3)
    for x in xs:
        h = np.tanh(p["B"] @ x + p["R"] @ h)
        for _ in range(2):
            z = tr.sigmoid(p["Z"] @ h)
            h = h + STEP * (1 - z) * (np.tanh(p["N"] @ (z * h)) - h)
    s = p["c"] @ h
    return tr.softplus(s) - y * s


@network(between_observations_loss, weights(92, B=(3, 2), R=(3, 3), Z=(3, 3), N=(3, 3), c=(3,)), numbers(92, 3, 2), 1.0)
def between_observations(slip, p, xs, y):
    h, kept = np.zeros(3), []
    for x in xs:
        before, h, steps = h, np.tanh(p["B"] @ x + p["R"] @ h), []
        jumped = h
        for _ in range(2):
            z = sigmoid(p["Z"] @ h)
            n = np.tanh(p["N"] @ (z * h))
            steps.append((h, z, n))
            h = h + STEP * (1 - z) * (n - h)
        kept.append((x, before, jumped, steps))
    g, ds = zeros(p), sigmoid(p["c"] @ h) - y
    g["c"] = ds * h
    dh = ds * p["c"]
    for x, before, jumped, steps in kept[::-1]:
        for h, z, n in steps[::-1]:
            dn = slip("step left out of dn", STEP, 1) * dh * (1 - z) * (1 - n**2)
            dzh = p["N"].T @ dn
            az = (slip("sign of dz", -1, 1) * STEP * dh * (n - h) + dzh * h) * z * (1 - z)
            g["N"] += np.outer(dn, z * h)
            g["Z"] += np.outer(az, h)
            own = dh * (1 - STEP * (1 - z))
            dh = slip("decay left out", own, dh) + dzh * slip("z left out", z, 1) + p["Z"].T @ az
        da = dh * (1 - jumped**2)
        g["B"] += np.outer(da, x)
        g["R"] += np.outer(da, slip("R by the state after the jump", before, jumped))
        dh = p["R"].T @ da
    return g


# --- a state that reads a noisy value, whose distribution has a price ------------------------------------------------

PRICE = 0.4


def noisy_states_loss(p, xs, noise):
    h, total = np.zeros((2, 3)), 0.0
    for t in range(4):
        joined = np.concatenate([xs[:, t, None], h], axis=1)
        mean, log_spread = joined @ p["M"], joined @ p["S"]
        z = mean + np.exp(log_spread) * noise[:, t]
        total = total + 0.5 * np.sum((z @ p["D"] - xs[:, t, None]) ** 2)
        total = total + PRICE * np.sum(0.5 * (mean**2 + np.exp(2 * log_spread) - 1) - log_spread)
        h = np.tanh(xs[:, t, None] @ p["X"] + z @ p["Z"] + h @ p["R"])
    return total


@network(
    noisy_states_loss,
    weights(93, M=(4, 2), S=(4, 2), D=(2, 1), X=(1, 3), Z=(2, 3), R=(3, 3)),
    numbers(93, 2, 4),
    numbers(94, 2, 4, 2),
)
def noisy_states(slip, p, xs, noise):
    h, kept = np.zeros((2, 3)), []
    for t in range(4):
        joined = np.concatenate([xs[:, t, None], h], axis=1)
        mean, spread = joined @ p["M"], np.exp(joined @ p["S"])
        z = mean + spread * noise[:, t]
        new = np.tanh(xs[:, t, None] @ p["X"] + z @ p["Z"] + h @ p["R"])
        kept.append((h, joined, mean, spread, z, new))
        h = new
    g, dh, price = zeros(p), np.zeros((2, 3)), slip("price left out", PRICE, 1)
    for t in range(3, -1, -1):
        h, joined, mean, spread, z, new = kept[t]
        a = dh * (1 - new**2)
        x = xs[:, slip("input of the step after in dX", t, (t + 1) % 4), None]
        g["X"], g["Z"], g["R"] = g["X"] + x.T @ a, g["Z"] + z.T @ a, g["R"] + h.T @ a
        e = z @ p["D"] - xs[:, t, None]
        g["D"] += z.T @ e
        dz = e @ p["D"].T + slip("way to the state left out", a @ p["Z"].T, 0)
        dmean = dz + price * mean
        dlog = dz * noise[:, t] * slip("spread left out", spread, 1) + price * (spread**2 - slip("one left out", 1, 0))
        g["M"] += joined.T @ dmean
        g["S"] += joined.T @ dlog
        dh = a @ p["R"].T + (dmean @ p["M"].T + dlog @ p["S"].T)[:, 1:]
    return g
