"""Norms by hand: of a row by its root mean square, and of an input over the batch, with the usual small number."""

from __future__ import annotations

import numpy as np

from tests.comparison.planted.common import network, numbers, weights, zeros

T, B, n, d = 4, 4, 2, 5
SMALL = 1e-3


# --- root mean square of the pre-activation ----------------------------------------------------------------------


def root_mean_square_loss(p, xs, ys):
    h, loss = np.zeros((B, d)), 0.0
    for x, y in zip(xs, ys):
        a = x @ p["U"] + h @ p["W"] + p["b"]
        h = np.tanh(a / np.sqrt(np.mean(a**2, axis=-1, keepdims=True) + SMALL) * p["g"])
        loss = loss + 0.5 * np.sum((h - y) ** 2) / B
    return loss


@network(
    root_mean_square_loss,
    weights(621, U=(n, d), W=(d, d), b=(d,), g=(d,)),
    numbers(621, T, B, n),
    numbers(622, T, B, d),
)
def root_mean_square(slip, p, xs, ys):
    hs, tape = [np.zeros((B, d))], []
    for x in xs:
        a = x @ p["U"] + hs[-1] @ p["W"] + p["b"]
        r = 1 / np.sqrt((a**2).mean(axis=1, keepdims=True) + SMALL)
        tape.append((a, r))
        hs.append(np.tanh(a * r * p["g"]))
    g, carried = zeros(p), 0.0
    for t in reversed(range(T)):
        a, r = tape[t]
        ds = ((hs[t + 1] - ys[t]) / B + carried) * (1 - hs[t + 1] ** 2)
        g["g"] += (ds * slip("values that aren't normalised", a * r, a)).sum(axis=0)
        dz = ds * slip("gain left out", p["g"], 1)
        mean = (dz * a).mean(axis=1, keepdims=True)
        mean = slip("mean over the batch", mean, (dz * a).mean(axis=0, keepdims=True))
        mean = slip("sum for the mean", mean, (dz * a).sum(axis=1, keepdims=True))
        mean = slip("one less in the mean", mean, mean * d / (d - 1))
        da = dz * r - slip("correction left out", a * mean * slip("square for the cube", r**3, r**2), 0)
        g["U"] += xs[t].T @ da
        g["W"] += hs[t].T @ da
        g["b"] += da.sum(axis=0)
        carried = da @ p["W"].T
    return g


# --- the inputs' part over the batch -----------------------------------------------------------------------


def input_over_the_batch_loss(p, xs, ys):
    h = np.zeros((B, d))
    for x in xs:
        a = x @ p["U"]
        mean = np.mean(a, axis=0)
        z = (a - mean) / np.sqrt(np.mean((a - mean) ** 2, axis=0) + SMALL)
        h = np.tanh(z * p["g"] + h @ p["W"] + p["b"])
    return 0.5 * np.mean((h - ys) ** 2)


@network(
    input_over_the_batch_loss,
    weights(623, U=(n, d), W=(d, d), b=(d,), g=(d,)),
    numbers(623, T, B, n),
    numbers(624, B, d),
)
def input_over_the_batch(slip, p, xs, ys):
    hs, tape = [np.zeros((B, d))], []
    for x in xs:
        a = x @ p["U"]
        variance = a.var(axis=0)
        z = (a - a.mean(axis=0)) / np.sqrt(variance + SMALL)
        tape.append((z, a - a.mean(axis=0), variance))
        hs.append(np.tanh(z * p["g"] + hs[-1] @ p["W"] + p["b"]))
    g, dh, count = zeros(p), (hs[-1] - ys) / ys.size, slip("one less in both means", B, B - 1)
    for t in reversed(range(T)):
        z, off, variance = tape[t]
        ds = dh * (1 - hs[t + 1] ** 2)
        g["b"] += ds.sum(axis=0)
        g["W"] += hs[t].T @ ds
        g["g"] += (ds * slip("values that aren't normalised", z, off)).sum(axis=0)
        dz = ds * p["g"]
        deviation = np.sqrt(variance + slip("small number left out", SMALL, 0))
        of_variance = (dz * off).sum(axis=0) * -0.5 * slip("power of -1/2", deviation**-3, 1 / deviation)
        of_mean = -(dz / deviation).sum(axis=0)
        da = dz / deviation
        da = da + slip("path of the variance left out", of_variance * slip("2 left out", 2, 1) * off / count, 0)
        da = da + slip("path of the mean left out", of_mean / slip("mean not divided", count, 1), 0)
        g["U"] += xs[t].T @ da
        dh = ds @ p["W"].T
    return g
