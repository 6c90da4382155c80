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
