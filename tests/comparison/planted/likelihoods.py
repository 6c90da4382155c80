"""Losses that are likelihoods: a latent variable, a mixture of densities, smoothed labels, rewards, a Markov chain."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, softmax, weights, zeros

T, B, n, d, k = 4, 3, 2, 3, 2

# --- a sequence encoded as a Gaussian, drawn from it, and decoded (variational autoencoder) ---------------------------


def variational_loss(p, xs, noise):
    def encode(x, h):
        return np.tanh(x @ p["U"] + h @ p["W"] + p["b"])

    h = tr.unroll(encode, xs, np.zeros((B, d)))[1]
    mu, logvar = h @ p["M"], h @ p["S"]
    z = mu + np.exp(0.5 * logvar) * noise

    def decode(_, s):
        return np.tanh(s @ p["R"])

    ss, _ = tr.unroll(decode, xs, np.tanh(z @ p["Z"]))
    reconstruction = np.sum((ss @ p["V"] - xs) ** 2) / (2 * B)
    divergence = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / B
    return reconstruction + 0.3 * divergence


@network(
    variational_loss,
    weights(201, U=(n, d), W=(d, d), b=(d,), M=(d, k), S=(d, k), Z=(k, d), R=(d, d), V=(d, n)),
    numbers(201, T, B, n),
    numbers(202, B, k),
)
def variational(slip, p, xs, noise):
    h = [np.zeros((B, d))]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"] + p["b"]))
    mu, logvar = h[T] @ p["M"], h[T] @ p["S"]
    std = np.exp(0.5 * logvar)
    z = mu + std * noise
    s = [np.tanh(z @ p["Z"])]
    for _ in range(T):
        s.append(np.tanh(s[-1] @ p["R"]))
    g = zeros(p)
    ds = np.zeros((B, d))
    for t in range(T, 0, -1):
        dy = (s[t] @ p["V"] - xs[t - 1]) / slip("B forgotten", B, 1)
        dy = slip("reconstruction held to the step before", dy, lambda: (s[t] @ p["V"] - xs[t - 2]) / B)
        g["V"] += s[t].T @ dy
        ds = slip("= for += of ds", ds, 0) + dy @ p["V"].T
        da = ds * (1 - s[t] ** 2)
        g["R"] += slip("R's state one step late", s[t - 1], s[t]).T @ da
        ds = da @ p["R"].T
    dfirst = ds * slip("first state's tanh' left out", 1 - s[0] ** 2, 1)
    g["Z"] = z.T @ dfirst
    dz = dfirst @ p["Z"].T
    beta = 0.3 / B
    dmu = dz + slip("divergence's sign in dmu", 1, -1) * slip("divergence left out of dmu", beta * mu, 0)
    dlog = dz * slip("noise left out", noise, 1) * slip("half left out", 0.5, 1) * slip("std left out", std, 1)
    inner = slip("1 left out of the divergence", std**2 - 1, lambda: std**2)
    inner = slip("std for its square", inner, lambda: std - 1)
    dlog = dlog + slip("divergence's weight left out", 0.3, 1) * 0.5 * inner / B
    dlog = slip("logvar through the divergence alone", dlog, lambda: beta * 0.5 * (std**2 - 1))
    g["M"] = h[T].T @ dmu
    g["S"] = h[T].T @ dlog
    dh = dmu @ p["M"].T + slip("logvar's path to h left out", dlog @ p["S"].T, 0)
    for t in range(T, 0, -1):
        da = dh * (1 - h[t] ** 2)
        g["U"] += xs[t - 1].T @ da
        g["W"] += h[t - 1].T @ da
        g["b"] += slip("db by the first row", da.sum(0), da[0])
        dh = da @ p["W"].T
    return g


# --- a mixture of Gaussians at each step (mixture density network), in a plain loop -----------------------------------

K = 3


def mixture_density_loss(p, xs, ys):
    h = np.zeros((B, d))
    total = 0.0
    for t in range(T):
        h = np.tanh(np.concatenate([xs[t], h], axis=1) @ p["W"] + p["b"])
        out = h @ p["V"] + p["c"]
        logits, mu, logs = out[:, :K], out[:, K : 2 * K], out[:, 2 * K :]
        z = (ys[t] - mu) * np.exp(-logs)
        total = total - np.sum(tr.logsumexp(logits - logs - 0.5 * z**2, axis=1) - tr.logsumexp(logits, axis=1))
    return total / (T * B)


@network(
    mixture_density_loss,
    weights(203, W=(n + d, d), b=(d,), V=(d, 3 * K), c=(3 * K,)),
    numbers(203, T, B, n),
    numbers(204, T, B, 1),
)
def mixture_density(slip, p, xs, ys):
    h = [np.zeros((B, d))]
    for x in xs:
        h.append(np.tanh(np.concatenate([x, h[-1]], axis=1) @ p["W"] + p["b"]))
    g = zeros(p)
    dh = np.zeros((B, d))
    for t in range(T, 0, -1):
        out = h[t] @ p["V"] + p["c"]
        logits, mu, logs = out[:, :K], out[:, K : 2 * K], out[:, 2 * K :]
        z = (ys[t - 1] - mu) * np.exp(-logs)
        pi, r = softmax(logits), softmax(logits - logs - 0.5 * z**2)
        dlogits = slip("responsibilities' sign", pi - r, lambda: r - pi)
        dlogits = slip("prior for responsibilities", dlogits, lambda: pi - pi * r)
        dmu = -slip("responsibilities left out of dmu", r, 1) * z * slip("one 1/σ in dmu", np.exp(-logs), 1)
        dlogs = r * (slip("1 left out of dlogs", 1, 0) - slip("z for its square", z**2, z))
        dout = np.concatenate([dlogits, dmu, dlogs], axis=1)
        dout = slip("mu and sigma exchanged", dout, lambda: np.concatenate([dlogits, dlogs, dmu], axis=1))
        dout = dout / slip("T forgotten", T, 1) / B
        g["V"] += h[t].T @ dout
        g["c"] += dout.sum(0)
        dh = dh + dout @ p["V"].T
        da = dh * (1 - h[t] ** 2)
        joined = np.concatenate([xs[t - 1], slip("the state of t in [x, h]", h[t - 1], h[t])], axis=1)
        joined = slip("x and h exchanged", joined, lambda: np.concatenate([h[t - 1], xs[t - 1]], axis=1))
        g["W"] += joined.T @ da
        g["b"] += slip("db as a mean over the batch", da.sum(0), lambda: da.mean(0))
        dh = da @ slip("the first rows for the last", p["W"][n:], p["W"][:d]).T
    g["b"] = slip("db counted twice", g["b"], 2 * g["b"])
    return g


# --- words: tied embedding, temperature, smoothed labels, mean over the words that aren't padding ---------------------

C = 6
WORDS = np.array([[1, 4, 2], [3, 1, 5], [2, 2, 4], [5, 0, 1], [4, 0, 0]])
TAU, SMOOTH = 0.7, 0.1


def smoothed_loss(p, words):
    live = (words[1:] != 0) * 1.0
    h0 = np.zeros((3, d))
    hs, _ = tr.unroll(lambda x, h: np.tanh(x + h @ p["W"]), p["E"][words[:-1]], h0)
    logits = (hs @ p["E"].T + p["c"]) / TAU
    logp = logits - tr.logsumexp(logits, axis=-1, keepdims=True)
    target = (1 - SMOOTH) * np.eye(C)[words[1:]] + SMOOTH / C
    return -np.sum(np.sum(target * logp, axis=-1) * live) / np.sum(live)


@network(smoothed_loss, weights(205, E=(C, d), W=(d, d), c=(C,)), WORDS)
def smoothed_words(slip, p, words):
    live = (words[1:] != 0) * 1.0
    steps = len(live)
    h = [np.zeros((3, d))]
    for w in words[:-1]:
        h.append(np.tanh(p["E"][w] + h[-1] @ p["W"]))
    g = zeros(p)
    dh = np.zeros((3, d))
    count = slip("mean over the padding too", live.sum(), live.size)
    for t in range(steps, 0, -1):
        q = softmax((h[t] @ p["E"].T + p["c"]) / slip("temperature forgotten in softmax", TAU, 1))
        rest = slip("smoothed over the other classes", SMOOTH / C, SMOOTH / (C - 1))
        target = (1 - SMOOTH) * np.eye(C)[words[t]] + rest
        target = slip("labels that aren't smoothed", target, lambda: np.eye(C)[words[t]])
        dz = (q - target) * slip("mask forgotten", live[t - 1][:, None], 1) / count
        dz = dz / slip("temperature forgotten", TAU, 1)
        dz = slip("temperature multiplied", dz, dz * TAU**2)
        g["c"] += dz.sum(0)
        out = dz.T @ h[t]
        g["E"] += slip("tied: read out left out", out, 0)
        g["E"] = slip("tied: read out's sign", g["E"], lambda: g["E"] - 2 * out)
        dh = dh + dz @ p["E"]
        da = dh * (1 - h[t] ** 2)
        looked_up = np.zeros_like(p["E"])
        np.add.at(looked_up, words[t - 1], da)
        once = np.zeros_like(p["E"])
        once[words[t - 1]] += da
        g["E"] += slip("repeated words once", looked_up, once)
        wrong = np.zeros_like(p["E"])
        np.add.at(wrong, words[t], da)
        g["E"] = slip("the next word's row", g["E"], lambda: g["E"] - looked_up + wrong)
        g["W"] += h[t - 1].T @ da
        dh = slip("carry detached", da @ p["W"].T, 0)
    return g


# --- policy gradient: logarithms of the chosen actions by rewards to come, and an entropy ----------------------------

ACTIONS = np.array([[0, 2, 1], [1, 1, 0], [2, 0, 0], [1, 2, 2]])


def policy_loss(p, xs, returns, actions):
    hs, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"] + p["b"]), xs, np.zeros((B, d)))
    logits = hs @ p["V"]
    logp = tr.log_softmax(logits)
    chosen = np.sum(logp * np.eye(3)[actions], axis=-1)
    values = hs @ p["v"]
    advantage = returns - tr.stop_gradient(values)
    entropy = -np.sum(np.exp(logp) * logp, axis=-1)
    return np.mean(-chosen * advantage + 0.5 * (values - returns) ** 2 - 0.1 * entropy)


@network(
    policy_loss,
    weights(207, U=(n, d), W=(d, d), b=(d,), V=(d, 3), v=(d,)),
    numbers(207, T, B, n),
    numbers(208, T, B),
    ACTIONS,
)
def policy(slip, p, xs, returns, actions):
    h = [np.zeros((B, d))]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"] + p["b"]))
    g = zeros(p)
    dh = np.zeros((B, d))
    size = slip("mean over the steps alone", T * B, T)
    for t in range(T, 0, -1):
        q = softmax(h[t] @ p["V"])
        one = np.eye(3)[actions[t - 1]]
        value = h[t] @ p["v"]
        advantage = slip("value not subtracted", returns[t - 1] - value, lambda: returns[t - 1])
        advantage = slip("advantage's sign", advantage, -advantage)
        dz = (q - one) * advantage[:, None]
        dz = slip("advantage left out", dz, q - one)
        dz = slip("advantage of the step before", dz, lambda: (q - one) * (returns[t - 2] - h[t - 1] @ p["v"])[:, None])
        H = -(q * np.log(q)).sum(1, keepdims=True)
        dz = dz + slip("entropy's sign", 1, -1) * slip("entropy left out", 0.1, 0) * q * (
            np.log(q) + slip("H left out of the entropy's gradient", H, 0)
        )
        dz = dz / size
        dvalue = (value - returns[t - 1]) / size * slip("2 of the square", 1, 2)
        dvalue = slip("the policy moves the value", dvalue, lambda: dvalue + np.log((q * one).sum(1)) / size)
        g["V"] += h[t].T @ dz
        g["v"] += dvalue @ h[t]
        dh = dh + dz @ p["V"].T + slip("value's path left out", np.outer(dvalue, p["v"]), 0)
        da = dh * (1 - h[t] ** 2)
        g["U"] += xs[t - 1].T @ da
        g["W"] += h[t - 1].T @ da
        g["b"] += da.sum(0)
        dh = slip("transpose left out", da @ p["W"].T, lambda: da @ p["W"])
    g["U"] = slip("U clipped", g["U"], lambda: np.clip(g["U"], -0.1, 0.1))
    return g


# --- a hidden Markov model: logarithm of the likelihood by the forward algorithm --------------------------------------

SEEN, TAGS = np.array([0, 2, 1, 1, 3]), np.array([0, 2, 1, 1, 0])


def markov_loss(p, seen):
    logA = p["A"] - tr.logsumexp(p["A"], axis=1, keepdims=True)
    logB = p["B"] - tr.logsumexp(p["B"], axis=1, keepdims=True)
    alpha = p["s"] - tr.logsumexp(p["s"]) + logB[:, seen[0]]
    for o in seen[1:]:
        alpha = tr.logsumexp(alpha[:, None] + logA, axis=0) + logB[:, o]
    return -tr.logsumexp(alpha)


@network(markov_loss, weights(209, A=(3, 3), B=(3, 4), s=(3,)), SEEN)
def hidden_markov(slip, p, seen):
    A, E, start = softmax(p["A"]), softmax(p["B"]), softmax(p["s"])
    alpha = [start * E[:, seen[0]]]
    for o in seen[1:]:
        alpha.append((alpha[-1] @ A) * E[:, o])
    L = alpha[-1].sum()
    g = {name: np.zeros_like(value) for name, value in p.items()}
    beta = np.ones(3)
    dA, dE = np.zeros_like(A), np.zeros_like(E)
    for t in range(len(seen) - 1, 0, -1):
        o = seen[t]
        dE[:, o] += alpha[t - 1] @ slip("A transposed in dE", A, A.T) * beta
        xi = np.outer(alpha[t - 1], slip("emission left out of xi", E[:, o], 1) * beta)
        xi = slip("xi's state of the step after", xi, lambda: np.outer(alpha[t], E[:, o] * beta))
        dA += xi
        beta = slip("beta by the transposed A", A, A.T) @ (slip("emission left out of beta", E[:, o], 1) * beta)
    dE[:, seen[0]] += slip("first emission left out", start * beta, 0)
    ds = E[:, seen[0]] * beta
    gamma_A, gamma_E, gamma_s = A * dA / L, E * dE / L, start * ds / L
    rows_A = slip("softmax's rows left out of A", A * gamma_A.sum(1, keepdims=True), 0)
    rows_A = slip("softmax over the columns", rows_A, lambda: A * gamma_A.sum(0))
    rows_E = slip("softmax's rows left out of B", E * gamma_E.sum(1, keepdims=True), 0)
    g["A"] = slip("A's sign", 1, -1) * (rows_A - gamma_A)
    g["B"] = rows_E - gamma_E
    g["s"] = slip("start's normaliser", start, 0) - gamma_s
    g["s"] = slip("division by L left out of ds", g["s"], lambda: start * ds.sum() * 0 + start - start * ds)
    return g


# --- a conditional random field over a linear chain, derived by alpha and beta in log space ---------------------------


def chain_loss(p, xs, tags):
    e = xs @ p["W"] + p["b"]
    score = p["start"][tags[0]] + p["end"][tags[-1]] + np.sum(e[np.arange(len(tags)), tags])
    alpha = p["start"] + e[0]
    for t in range(1, len(tags)):
        score = score + p["A"][tags[t - 1], tags[t]]
        alpha = tr.logsumexp(alpha[:, None] + p["A"], axis=0) + e[t]
    return tr.logsumexp(alpha + p["end"]) - score


@network(chain_loss, weights(211, W=(4, 3), b=(3,), A=(3, 3), start=(3,), end=(3,)), numbers(212, 5, 4), TAGS)
def linear_chain(slip, p, xs, tags):
    def logsumexp(a, axis):
        return np.log(np.sum(np.exp(a), axis=axis))

    e, A = xs @ p["W"] + p["b"], p["A"]
    alpha = [p["start"] + e[0]]
    for row in e[1:]:
        alpha.append(logsumexp(alpha[-1][:, None] + A, 0) + row)
    beta = [slip("beta begins with zeros", p["end"], np.zeros(3))]
    for t in range(len(tags) - 2, -1, -1):
        handed = beta[0] + slip("emission left out of beta", e[t + 1], 0)
        handed = slip("emission of the step before in beta", handed, lambda: beta[0] + e[t])
        beta.insert(0, logsumexp(slip("beta by the transposed A", A, A.T) + handed, 1))
    whole = logsumexp(alpha[-1] + p["end"], 0)
    marginal = np.exp(np.array(alpha) + np.array(beta) - whole)
    one = np.eye(3)[tags]
    g = {name: np.zeros_like(value) for name, value in p.items()}
    for t in range(1, len(tags)):
        exponent = alpha[t - 1][:, None] + A + slip("emission left out of the pairs", e[t], 0) + beta[t] - whole
        exponent = slip(
            "alpha of the step after in the pairs", exponent, lambda: alpha[t][:, None] + A + e[t] + beta[t] - whole
        )
        g["A"] += np.exp(exponent) - slip("pair of tags left out", np.outer(one[t - 1], one[t]), 0)
    de = marginal - slip("tags left out", one, 0)
    g["W"], g["b"] = xs.T @ de, de.sum(0)
    g["start"] = marginal[0] - one[0]
    g["end"] = marginal[-1] - slip("last tag left out of the end", one[-1], 0)
    return g


# --- the likelihood of all alignments of a label (CTC), whose softmax and occupancies are joined: y - occupancy -------

BLANKS, MAY_SKIP = np.array([0, 1, 0, 2, 0]), np.array([0.0, 0.0, 0.0, 1.0, 0.0])


def alignment_loss(p, xs):
    h, alpha = np.zeros(3), np.array([0.0, 0.0, 0.0, 0.0, 0.0])
    for t, x in enumerate(xs):
        h = np.tanh(x @ p["U"] + h @ p["W"])
        y = tr.softmax(h @ p["V"] + p["b"])[BLANKS]
        if t == 0:
            alpha = y * np.array([1.0, 1.0, 0.0, 0.0, 0.0])
        else:
            one, two = np.concatenate([np.zeros(1), alpha[:-1]]), np.concatenate([np.zeros(2), alpha[:-2]])
            alpha = (alpha + one + MAY_SKIP * two) * y
    return -np.log(alpha[-1] + alpha[-2])


@network(alignment_loss, weights(213, U=(2, 3), W=(3, 3), V=(3, 3), b=(3,)), numbers(214, 5, 2))
def alignments(slip, p, xs):
    h, y, alpha = [np.zeros(3)], [], []
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
        y.append(softmax(h[-1] @ p["V"] + p["b"]))
        a = alpha[-1] if alpha else np.array([1.0, 0.0, 0.0, 0.0, 0.0])
        alpha.append((a + np.append(0, a[:-1]) + MAY_SKIP * np.append([0, 0], a[:-2])) * y[-1][BLANKS])
    total = alpha[-1][-1] + alpha[-1][-2]
    beta = np.array([0.0, 0.0, 0.0, slip("the end before the last blank left out", 1.0, 0.0), 1.0])
    g, dh = zeros(p), np.zeros(3)
    for t in range(len(xs), 0, -1):
        occupied = np.zeros(3)
        if slip("= for +=", False, True):
            occupied[BLANKS] = alpha[t - 1] * beta / total
        else:
            np.add.at(occupied, BLANKS, alpha[t - 1] * beta / slip("division by the total left out", total, 1.0))
        dz = slip("softmax left out", y[t - 1], 0) - occupied
        g["V"] += np.outer(h[t], dz)
        g["b"] += dz
        da = (dh + p["V"] @ dz) * (1 - h[t] ** 2)
        g["W"] += np.outer(h[t - 1], da)
        g["U"] += np.outer(xs[t - 1], da)
        dh = p["W"] @ da
        b = beta * y[t - 1][BLANKS]
        beta = b + np.append(b[1:], 0) + slip("skipping left out of beta", np.append((MAY_SKIP * b)[2:], [0, 0]), 0)
    return g
