"""Hidden Markov models whose gradients are derived by forward and backward probabilities, not through time."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, softmax, weights

T, K, SYMBOLS = 5, 3, 4
SEEN = np.array([0, 3, 1, 1, 2])


# --- Gaussian observations; forward probabilities that are scaled at each step ---------------------------------------


def scaled_loss(p, ys):
    A, start = tr.softmax(p["A"], axis=1), tr.softmax(p["start"])
    loss, alpha = 0.0, start
    for t in range(T):
        density = np.exp(-0.5 * (ys[t] - p["mu"]) ** 2)
        alpha = (start if t == 0 else alpha @ A) * density
        scale = np.sum(alpha)
        loss = loss - np.log(scale)
        alpha = alpha / scale
    return loss


@network(scaled_loss, weights(641, A=(K, K), mu=(K,), start=(K,)), numbers(641, T))
def scaled_posteriors(slip, p, ys):
    A, start = softmax(p["A"]), softmax(p["start"])
    density = np.exp(-0.5 * (ys[:, None] - p["mu"]) ** 2)
    alpha, scale, beta = np.zeros((T, K)), np.zeros(T), np.ones((T, K))
    for t in range(T):
        alpha[t] = (start if t == 0 else alpha[t - 1] @ A) * density[t]
        scale[t] = alpha[t].sum()
        alpha[t] /= scale[t]
    for t in reversed(range(T - 1)):
        now = slip("density of the step before in beta", t + 1, t)
        after = slip("density left out of beta", density[now], 1) * beta[t + 1]
        beta[t] = slip("beta by the transposed A", A, A.T) @ after
        beta[t] /= slip("scale of the step before in beta", scale[t + 1], scale[t])
        beta[t] *= slip("no scale in beta", 1, scale[t + 1])
    posterior = alpha * beta
    posterior = slip("alpha alone", posterior, alpha)
    posterior = slip("beta alone", posterior, beta)
    pairs = np.zeros((K, K))
    for t in range(T - slip("a pair too few", 1, 2)):
        pairs += alpha[t][:, None] * A * density[t + 1] * beta[t + 1] / slip("no scale in the pairs", scale[t + 1], 1)
    first = slip("the last posterior for the first", posterior[0], posterior[-1])
    return {
        "A": pairs.sum(axis=1, keepdims=True) * A - pairs,
        "mu": -np.sum(posterior * (ys[:, None] - p["mu"]), axis=0),
        "start": start - first,
    }


# --- symbols; logarithms --------------------------------------------------------------------------------------------


def logarithmic_loss(p, seen):
    logA, logB = tr.log_softmax(p["A"], axis=1), tr.log_softmax(p["B"], axis=1)
    alpha = tr.log_softmax(p["start"]) + logB[:, seen[0]]
    for o in seen[1:]:
        alpha = tr.logsumexp(alpha[:, None] + logA, axis=0) + logB[:, o]
    return -tr.logsumexp(alpha)


@network(logarithmic_loss, weights(642, A=(K, K), B=(K, SYMBOLS), start=(K,)), SEEN)
def logarithmic_posteriors(slip, p, seen):
    def logsumexp(a, axis):
        return np.log(np.sum(np.exp(a), axis=axis))

    A, B, start = softmax(p["A"]), softmax(p["B"]), softmax(p["start"])
    logA, seen_by = np.log(A), np.log(B[:, seen]).T
    alpha, beta = np.zeros((T, K)), np.zeros((T, K))
    alpha[0] = np.log(start) + seen_by[0]
    for t in range(1, T):
        alpha[t] = logsumexp(alpha[t - 1][:, None] + logA, 0) + seen_by[t]
    for t in reversed(range(T - 1)):
        handed = beta[t + 1] + slip("symbol left out of beta", seen_by[t + 1], 0)
        beta[t] = logsumexp(slip("beta by the transposed A", logA, logA.T) + handed, 1)
    whole = logsumexp(alpha[-1], 0)
    posterior = np.exp(alpha + beta - whole)
    posterior = slip("alpha alone", posterior, softmax(alpha))
    pairs = [np.exp(alpha[t][:, None] + logA + seen_by[t + 1] + beta[t + 1] - whole) for t in range(T - 1)]
    of_pairs = sum(slip("the last pair left out", pairs, pairs[:-1]))
    of_symbols = np.zeros((K, SYMBOLS))
    for t in range(T - slip("the last symbol left out", 0, 1)):
        of_symbols[:, seen[t]] += posterior[t]
    return {
        "A": of_pairs.sum(axis=1, keepdims=True) * A - of_pairs,
        "B": of_symbols.sum(axis=1, keepdims=True) * B - of_symbols,
        "start": start - slip("the last posterior for the first", posterior[0], posterior[-1]),
    }


# --- all alignments of a label (CTC) in logarithms; the softmax is joined with the posteriors ------------------------

LABEL, NEVER = np.array([0, 1, 0, 2, 0]), -1e30
MAY_SKIP = np.array([0.0, 0.0, 0.0, 1.0, 0.0])


def alignments_in_logarithms_loss(p, xs):
    h = np.zeros(3)
    for t, x in enumerate(xs):
        h = np.tanh(x @ p["U"] + h @ p["W"])
        logp = tr.log_softmax(h @ p["V"])[LABEL]
        if t == 0:
            alpha = np.where(np.arange(len(LABEL)) < 2, logp, NEVER)
        else:
            one = np.concatenate([np.full(1, NEVER), alpha[:-1]])
            two = np.where(MAY_SKIP > 0, np.concatenate([np.full(2, NEVER), alpha[:-2]]), NEVER)
            alpha = tr.logsumexp(np.stack([alpha, one, two]), axis=0) + logp
    return -tr.logsumexp(alpha[-2:])


@network(alignments_in_logarithms_loss, weights(643, U=(2, 3), W=(3, 3), V=(3, 3)), numbers(643, T, 2))
def alignments_in_logarithms(slip, p, xs):
    hs = [np.zeros(3)]
    for x in xs:
        hs.append(np.tanh(x @ p["U"] + hs[-1] @ p["W"]))
    y = softmax(np.array(hs[1:]) @ p["V"])
    of_label = y[:, LABEL]
    alpha, beta = np.zeros((T, len(LABEL))), np.zeros((T, len(LABEL)))
    alpha[0, :2], beta[-1, -2:] = of_label[0, :2], 1
    for t in range(1, T):
        before = alpha[t - 1]
        alpha[t] = (before + np.append(0, before[:-1]) + MAY_SKIP * np.append([0, 0], before[:-2])) * of_label[t]
    for t in reversed(range(T - 1)):
        b = beta[t + 1] * of_label[t + 1]
        beta[t] = b + slip("moving on left out of beta", np.append(b[1:], 0), 0)
        beta[t] += slip("skipping left out of beta", np.append((MAY_SKIP * b)[2:], [0, 0]), 0)
    total = alpha[-1, -1] + alpha[-1, -2]
    posterior = slip("alpha alone", alpha * beta, alpha) / slip("total left out", total, 1)
    dz = y.copy()
    for k, symbol in enumerate(LABEL):
        dz[:, symbol] -= posterior[:, k]
    g, carried = {name: np.zeros_like(value) for name, value in p.items()}, 0.0
    for t in reversed(range(T)):
        g["V"] += np.outer(hs[t + 1], dz[t])
        da = (p["V"] @ dz[t] + carried) * (1 - hs[t + 1] ** 2)
        g["U"] += np.outer(xs[t], da)
        g["W"] += np.outer(hs[t], da)
        carried = p["W"] @ da
    return g
