"""Systems of several networks: encoders with decoders, language models, memories, feedback of outputs, penalties."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros
from tinygrad_rnn import nn

T, S, B, n, d, k = 4, 3, 2, 3, 4, 5


# --- an encoder and a decoder that is given the right words (teacher forcing) -----------------------------------------

SOURCE, TARGET = np.array([1, 4, 1, 0]), np.array([2, 2, 3])


def translation_loss(p, source, target):
    h = np.zeros(d)
    for w in source:
        h = np.tanh(p["E"][w] + p["We"] @ h)
    loss, before = 0.0, 0
    for w in target:
        h = np.tanh(p["E"][before] + p["Wd"] @ h + p["b"])
        loss = loss + nn.cross_entropy(p["V"] @ h, w)
        before = w
    return loss / len(target)


@network(translation_loss, weights(70, E=(k, d), We=(d, d), Wd=(d, d), b=(d,), V=(k, d)), SOURCE, TARGET)
def translation(slip, p, source, target):
    s = [np.zeros(d)]
    for w in source:
        s.append(np.tanh(p["E"][w] + p["We"] @ s[-1]))
    h, q = [s[-1]], []
    fed = [0, *target[:-1]]
    for w in fed:
        h.append(np.tanh(p["E"][w] + p["Wd"] @ h[-1] + p["b"]))
        q.append(softmax(p["V"] @ h[-1]))
    g = zeros(p)
    dh = np.zeros(d)
    for t in range(len(target) - 1, -1, -1):
        dz = q[t].copy()
        dz[slip("the word fed for the word wanted", target, fed)[t]] -= 1
        dz /= slip("mean forgotten", len(target), 1)
        g["V"] += np.outer(dz, h[t + 1])
        dh = dh + p["V"].T @ dz
        a = (1 - h[t + 1] ** 2) * dh
        a = slip("slope at the state before", a, (1 - h[t] ** 2) * dh)
        g["b"] += a
        g["Wd"] += np.outer(a, h[t])
        g["E"][slip("target's rows for those fed", fed, target)[t]] += slip("decoder's words without gradient", a, 0)
        dh = p["Wd"].T @ a
    dh = slip("decoder doesn't reach the encoder", dh, 0 * dh)
    dh = slip("We for Wd at the border", dh, lambda: p["We"].T @ a)
    for t in range(len(source), 0, -1):
        a = (1 - s[t] ** 2) * dh
        rows = g["E"].copy()
        rows[source[t - 1]] = a + slip("= for += in the encoder's words", rows[source[t - 1]], 0)
        g["E"] = slip("encoder's words without gradient", rows, g["E"])
        g["We"] += np.outer(a, slip("s_t in dWe", s[t - 1], s[t]))
        dh = p["We"].T @ a
        dh = slip("encoder one step only", dh, 0 * dh)
    return g


# --- additive attention over an encoder's states, at each step of a decoder -------------------------------------------


def attending_loss(p, xs, ys):
    hs, h = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), xs, np.zeros(d))
    keys, s, loss = hs @ p["K"], h, 0.0
    for y in ys:
        scores = np.tanh(keys + s @ p["Q"]) @ p["v"]
        weights_ = tr.softmax(scores)
        context = weights_ @ hs
        s = np.tanh(context @ p["C"] + s @ p["R"])
        loss = loss + 0.5 * np.sum((s - y) ** 2)
    return loss


@network(
    attending_loss,
    weights(72, U=(n, d), W=(d, d), K=(d, d), Q=(d, d), v=(d,), C=(d, d), R=(d, d)),
    numbers(72, T, n),
    numbers(73, S, d),
)
def attention_at_each_step(slip, p, xs, ys):
    h = [np.zeros(d)]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
    hs = np.array(h[1:])
    s, kept = [h[-1]], []
    for _ in ys:
        u = np.tanh(hs @ p["K"] + s[-1] @ p["Q"])
        a = softmax(u @ p["v"])
        c = a @ hs
        kept.append((u, a, c))
        s.append(np.tanh(c @ p["C"] + s[-1] @ p["R"]))
    g = zeros(p)
    ds, dhs = np.zeros(d), np.zeros_like(hs)
    for i in range(S - 1, -1, -1):
        u, a, c = kept[i]
        dpre = (ds + s[i + 1] - ys[i]) * (1 - s[i + 1] ** 2)
        g["C"] += np.outer(slip("s for the context in dC", c, s[i]), dpre)
        g["R"] += np.outer(s[i], dpre)
        dc = p["C"] @ dpre
        da = hs @ dc
        dscore = a * (da - slip("softmax's mean left out", a @ da, 0))
        dscore = slip("softmax left out", dscore, da)
        g["v"] += u.T @ dscore
        du = np.outer(dscore, p["v"]) * slip("tanh' of the scores left out", 1 - u**2, 1)
        g["K"] += hs.T @ du
        g["Q"] += np.outer(s[i], slip("one position in dQ", du.sum(0), du[-1]))
        dhs += np.outer(a, dc) * slip("values' path left out", 1, 0) + slip("keys' path left out", 1, 0) * du @ p["K"].T
        ds = p["R"] @ dpre + slip("query's path left out", p["Q"] @ du.sum(0), 0)
        ds = slip("R and Q exchanged in the carry", ds, lambda: p["Q"] @ dpre + p["R"] @ du.sum(0))
    dhs[-1] += slip("decoder's beginning forgotten", ds, 0)
    dh = np.zeros(d)
    for t in range(T, 0, -1):
        delta = (dhs[t - 1] + dh) * (1 - h[t] ** 2)
        g["U"] += np.outer(xs[t - 1], delta)
        g["W"] += np.outer(h[t - 1], delta)
        dh = slip("encoder's carry forgotten", p["W"] @ delta, 0 * dh)
    return g


# --- a language model with the embedding as its read-out, a batch of words, dropout as data ---------------------------

WORDS = np.array([[0, 3, 1], [2, 2, 0], [4, 1, 1], [0, 0, 2], [3, 4, 4]])  # time first
DROPPED = np.array([[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1]]) / 0.75


def dropped_model_loss(p, words, mask):
    hs, _ = tr.unroll(lambda e, h: np.tanh(e * mask + h @ p["W"] + p["b"]), p["E"][words[:-1]], np.zeros((3, d)))
    return nn.cross_entropy((hs * mask) @ p["E"].T + p["c"], words[1:], "mean")


@network(dropped_model_loss, weights(74, E=(k, d), W=(d, d), b=(d,), c=(k,)), WORDS, DROPPED)
def language_model(slip, p, words, mask):
    E, W = p["E"], p["W"]
    inputs, wanted = words[:-1], words[1:]
    L, batch = inputs.shape
    h = np.zeros((L + 1, batch, d))
    for t in range(L):
        h[t + 1] = np.tanh(E[inputs[t]] * mask + h[t] @ W + p["b"])
    z = softmax((h[1:] * mask) @ E.T + p["c"])
    z[np.arange(L)[:, None], np.arange(batch), wanted] -= 1
    z /= slip("sum over the batch", L * batch, L)
    g = zeros(p)
    g["c"] = z.sum((0, 1))
    g["E"] = slip(
        "read-out's part forgotten",
        np.einsum("tbk,tbd->kd", z, slip("mask left out of the read-out's part", h[1:] * mask, h[1:])),
        0 * E,
    )
    carry = np.zeros((batch, d))
    for t in range(L - 1, -1, -1):
        dh = (z[t] @ E) * slip("mask left out on the way back", mask, 1) + carry
        delta = dh * (1 - h[t + 1] ** 2)
        delta = slip("mask on the slope", delta, delta * mask)
        np.add.at(
            g["E"],
            slip("word wanted for the word fed", inputs, wanted)[t],
            delta * slip("mask left out of the embedding's part", mask, 1),
        )
        g["W"] += h[t].T @ delta
        g["b"] += delta.sum(0)
        carry = delta @ slip("W for its transpose", W.T, W)
        carry = slip("mask on the carry", carry, carry * mask)
    g["b"] = slip("mean over time in db", g["b"], g["b"] / L)
    return g


# --- outputs and inputs of several steps fed back (NARX), written in columns ------------------------------------------


def narx_loss(p, u, ys):
    before, last, loss = np.zeros(2), np.zeros(2), 0.0
    for t in range(len(u)):
        h = np.tanh(p["A"] @ last + p["C"] @ before + p["B"] @ u[t])
        y = p["D"] @ h + p["e"]
        before, last = last, y
        loss = loss + np.mean((y - ys[t]) ** 2)
    return loss


@network(
    narx_loss, weights(76, 0.5, A=(d, 2), C=(d, 2), B=(d, n), D=(2, d), e=(2,)), numbers(76, 5, n), numbers(77, 5, 2)
)
def outputs_of_two_steps_fed_back(slip, p, u, ys):
    y, h = {-2: np.zeros(2), -1: np.zeros(2)}, {}
    for t in range(5):
        h[t] = np.tanh(p["A"] @ y[t - 1] + p["C"] @ y[t - 2] + p["B"] @ u[t])
        y[t] = p["D"] @ h[t] + p["e"]
    g = zeros(p)
    da = {5: np.zeros(d), 6: np.zeros(d)}
    for t in range(4, -1, -1):
        dy = (y[t] - ys[t]) * slip("mean's 1/2 and the square's 2", 1, 2)
        dy = (
            dy
            + slip("first lag forgotten", p["A"].T @ da[t + 1], 0)
            + slip("second lag forgotten", p["C"].T @ da[t + 2], 0)
        )
        dy = slip("second lag a step early", dy, lambda: y[t] - ys[t] + p["A"].T @ da[t + 1] + p["C"].T @ da[t + 1])
        dy = slip("lags exchanged", dy, lambda: y[t] - ys[t] + p["C"].T @ da[t + 1] + p["A"].T @ da[t + 2])
        g["e"] += dy
        g["D"] += np.outer(dy, h[t])
        da[t] = (p["D"].T @ dy) * slip("slope forgotten", 1 - h[t] ** 2, 1)
        g["A"] += np.outer(da[t], slip("y_t in dA", y[t - 1], y[t]))
        g["C"] += np.outer(da[t], slip("y_(t-1) in dC", y[t - 2], y[t - 1]))
        g["B"] += np.outer(da[t], slip("u_(t-1) in dB", u[t], u[t - 1] if t else 0 * u[0]))
    g["D"] = slip("dD without the last step", g["D"], lambda: g["D"] - np.outer((y[4] - ys[4]), h[4]))
    return g


# --- several losses, one of them on the change of the state, and weights that decay -----------------------------------


def several_losses(p, xs, ys, target):
    hs, h = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"] + p["b"]), xs, np.zeros((B, d)))
    fit = np.sum((hs @ p["V"] - ys) ** 2) / B
    smooth = np.sum((hs[1:] - hs[:-1]) ** 2)
    last = np.sum(tr.sigmoid(h @ p["R"]) * target)
    return fit + 0.1 * smooth + 0.5 * last + 0.01 * (np.sum(p["W"] ** 2) + np.sum(p["V"] ** 2))


@network(
    several_losses,
    weights(78, U=(n, d), W=(d, d), b=(d,), V=(d, 2), R=(d, 2)),
    numbers(78, T, B, n),
    numbers(79, T, B, 2),
    numbers(80, B, 2),
)
def losses_of_several_kinds(slip, p, xs, ys, target):
    h = [np.zeros((B, d))]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"] + p["b"]))
    o = sigmoid(h[T] @ p["R"])
    g = zeros(p)
    do = slip("weight of the last loss", 0.5, 1) * target * o * (1 - o)
    do = slip("slope of the last loss", do, 0.5 * target)
    g["R"] = h[T].T @ do
    dh = slip("last loss forgotten", do @ p["R"].T, 0)
    for t in range(T, 0, -1):
        e = 2 * (h[t] @ p["V"] - ys[t - 1]) / B
        g["V"] += h[t].T @ e
        dh = dh + slip("fit forgotten in dh", e @ p["V"].T, 0)
        if t > 1:
            dh = dh + slip("change's 2", 0.2, 0.1) * (h[t] - h[t - 1])
        if t < T:
            dh = dh - slip("change to the next step forgotten", 0.2, 0) * (h[t + 1] - h[t])
        delta = dh * (1 - h[t] ** 2)
        g["U"] += xs[t - 1].T @ delta
        g["W"] += h[t - 1].T @ delta
        g["b"] += slip("b not summed over the batch but averaged", delta.sum(0), delta.mean(0))
        dh = delta @ p["W"].T
    g["W"] += slip("decay of W forgotten", 0.02, 0) * p["W"]
    g["V"] += slip("decay of V by W's", 0.02, 0.01) * p["V"]
    return g
