"""Networks with slips in what a step hands on, in what lies side by side, and in sums over the wrong numbers."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

N, T, D, H, K = 3, 4, 3, 3, 3

# --- a gated network of words, batch first, with smoothed classes and dropped states ----------------------------------

WORDS = np.array([[1, 2, 2, 0, 1], [0, 0, 1, 2, 3], [3, 1, 3, 3, 2]])
DROPPED = np.array([[1.0, 0, 1, 1, 0, 1, 1, 1, 1]]).reshape(N, H) / 0.8
SMOOTH = 0.1


def words_with_smoothing_loss(p, words, mask):
    h, total = np.zeros((N, H)), 0.0
    for t in range(T):
        e = p["E"][words[:, t]]
        a = np.concatenate([e, h], axis=1) @ p["A"]
        z, c = tr.sigmoid(a[:, :H]), np.tanh(a[:, H:] + (mask * h) @ p["R"])
        h = z * h + (1 - z) * c
        logs = tr.log_softmax(h @ p["V"], axis=1)
        total = total - (1 - SMOOTH) * np.sum(logs[np.arange(N), words[:, t + 1]]) - SMOOTH / 4 * np.sum(logs)
    return total / N


@network(words_with_smoothing_loss, weights(501, E=(4, D), A=(D + H, 2 * H), R=(H, H), V=(H, 4)), WORDS, DROPPED)
def words_with_smoothing(slip, p, words, mask):
    h, kept = np.zeros((N, H)), []
    for t in range(T):
        x = np.concatenate([p["E"][words[:, t]], h], axis=1)
        a = x @ p["A"]
        z, c = sigmoid(a[:, :H]), np.tanh(a[:, H:] + (mask * h) @ p["R"])
        kept.append((x, h, z, c))
        h = z * h + (1 - z) * c
    g, carry, rows = zeros(p), np.zeros((N, H)), np.zeros((N, T, D))
    for t in range(T - 1, -1, -1):
        x, before, z, c = kept[t]
        h = z * before + (1 - z) * c
        own = np.eye(4)[words[:, t + 1]]
        target = (1 - SMOOTH) * own + slip("the rest to each class", SMOOTH / 4, SMOOTH)
        dy = (softmax(h @ p["V"]) - slip("no smoothing", target, own)) / N
        g["V"] += h.T @ dy
        dh = dy @ p["V"].T + carry
        dz = dh * (before - c) * z * (1 - z)
        dc = dh * (1 - z) * (1 - c**2)
        da = np.concatenate([slip("a gate halved", dz, dz / 2), dc], axis=1)
        g["A"] += x.T @ da
        g["R"] += (mask * before).T @ dc
        dx = da @ p["A"].T
        rows[:, t] = dx[:, :D]
        through = slip("mask before the product", (dc @ p["R"].T) * mask, lambda: (dc * mask) @ p["R"].T)  # noqa: B023
        arrives = slip("the loss alone for all that arrives", dh, dy @ p["V"].T)
        carry = slip("the carry for all that arrives", arrives, carry) * z + dx[:, D:] + through
    np.add.at(g["E"], words[:, :-1], rows)
    once = np.zeros_like(g["E"])
    once[words[:, :-1]] += rows
    return {**g, "E": slip("a word that comes again counts once", g["E"], once)}


# --- networks of several heads, over sequences of several lengths -----------------------------------------------------

LENGTHS = np.array([4, 3, 1])


def heads_loss(p, xs, lengths, ys):
    h, total = np.zeros((2, N, H)), 0.0
    for t in range(T):
        h = np.tanh(np.einsum("nd,kdj->knj", xs[:, t], p["U"]) + np.einsum("kni,kij->knj", h, p["W"]))
        y = p["s"] * (xs[:, t] + np.sum(h, axis=0) @ p["V"])
        total = total + np.sum((lengths > t)[:, None] * (y - ys[:, t]) ** 2, axis=1) / lengths
    return np.sum(total) / N


@network(
    heads_loss,
    {**weights(513, U=(2, D, H), W=(2, H, H), V=(H, D)), "s": np.array(0.7)},
    numbers(514, N, T, D),
    LENGTHS,
    numbers(515, N, T, D),
)
def heads(slip, p, xs, lengths, ys):
    h, kept = np.zeros((2, N, H)), []
    for t in range(T):
        new = np.tanh(np.einsum("nd,kdj->knj", xs[:, t], p["U"]) + np.einsum("kni,kij->knj", h, p["W"]))
        out = xs[:, t] + new.sum(axis=0) @ p["V"]
        kept.append((h, new, out))
        h = new
    g, dh = zeros(p), np.zeros((2, N, H))
    each = slip("the mean over all steps that are kept", lengths[:, None] * N, lengths.sum())
    for t in range(T - 1, -1, -1):
        before, new, out = kept[t]
        dy = 2 * (lengths > t)[:, None] * (p["s"] * out - ys[:, t]) / each
        g["s"] += np.sum(dy * slip("the input for the output", out, xs[:, t]))
        do = p["s"] * dy
        g["V"] += new.sum(axis=0).T @ do
        dz = (do @ p["V"].T + dh) * (1 - new**2)
        g["U"] += np.einsum("nd,knj->kdj", xs[:, t], dz)
        g["W"] += np.einsum("kni,knj->kij", before, dz)
        axes = slip("each matrix transposed", "knj,kij->kni", "kni,kij->knj")
        dh = np.einsum(axes, dz, p["W"])
    return g


# --- two norms, and a smoothed absolute error -------------------------------------------------------------------------


def two_norms_loss(p, xs, y):
    h = np.zeros((2, 4))
    for x in xs:
        a = x @ p["U"] + h @ p["W"]
        centred = a - np.mean(a, axis=1, keepdims=True)
        h = np.tanh(centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 0.01) * p["gain"])
    unit = h / np.sqrt(np.mean(h * h, axis=1, keepdims=True) + 0.01)
    return np.sum(np.sqrt((unit @ p["v"] - y) ** 2 + 0.1))


@network(two_norms_loss, weights(502, U=(D, 4), W=(4, 4), gain=4, v=4), numbers(503, 3, 2, D), numbers(504, 2))
def two_norms(slip, p, xs, y):
    h, kept = np.zeros((2, 4)), []
    for x in xs:
        a = x @ p["U"] + h @ p["W"]
        spread = np.sqrt(a.var(axis=1, keepdims=True) + 0.01)
        n = (a - a.mean(axis=1, keepdims=True)) / spread
        kept.append((x, h, n, spread))
        h = np.tanh(n * p["gain"])
    root = np.sqrt((h * h).mean(axis=1, keepdims=True) + 0.01)
    unit, g = h / root, zeros(p)
    e = unit @ p["v"] - y
    de = slip("inner derivative of the root", e, 0.5) / np.sqrt(e**2 + 0.1)
    g["v"] += de @ unit
    du = np.outer(de, p["v"])
    dh = (du - unit * (du * unit).mean(axis=1, keepdims=True)) / root
    for x, before, n, spread in kept[::-1]:
        dy = dh * (1 - np.tanh(n * p["gain"]) ** 2)
        g["gain"] += (dy * n).sum(axis=0)
        dn = dy * p["gain"]

        def over(axis, by=1, dn=dn, n=n):
            mean, along = (by * v.mean(axis=axis, keepdims=True) for v in (dn, dn * n))
            return dn - mean - n * along

        da = slip("sums for means", slip("over the batch", over(1), over(0)), over(1, 4)) / spread
        g["U"] += x.T @ da
        g["W"] += before.T @ da
        dh = da @ p["W"].T
    return g


# --- both directions added up, of whose outputs the last half counts --------------------------------------------------


def added_directions_loss(p, xs, ys):
    def run(U, W, xs):
        h, found = np.zeros(H), []
        for x in xs:
            h = np.tanh(x @ U + h @ W)
            found.append(h)
        return found

    both = np.stack(run(p["U"], p["W"], xs)) + np.stack(run(p["A"], p["B"], xs[::-1])[::-1])
    return np.mean(((both @ p["v"])[2:] - ys[2:]) ** 2)


@network(
    added_directions_loss,
    weights(505, U=(D, H), W=(H, H), A=(D, H), B=(H, H), v=H),
    numbers(506, 5, D),
    numbers(507, 5),
)
def added_directions(slip, p, xs, ys):
    def run(U, W, xs):
        hs = [np.zeros(H)]
        for x in xs:
            hs.append(np.tanh(x @ U + hs[-1] @ W))
        return np.stack(hs)

    def back(W, hs, xs, dhs):
        dU, dW, carry = np.zeros((D, H)), np.zeros((H, H)), np.zeros(H)
        for t in range(len(xs) - 1, -1, -1):
            da = (dhs[t] + carry) * (1 - hs[t + 1] ** 2)
            dU, dW, carry = dU + np.outer(xs[t], da), dW + np.outer(hs[t], da), W @ da
        return dU, dW

    there, again = run(p["U"], p["W"], xs), run(p["A"], p["B"], xs[::-1])
    turned = slip("the second direction not turned round", again[:0:-1], again[1:])
    both = there[1:] + turned
    e = 2 * (both @ p["v"] - ys) / 3
    e = slip("the first outputs count too", e * (np.arange(5) > 1), e)
    dhs = np.outer(e, p["v"])
    dU, dW = back(p["W"], there, xs, dhs)
    dA, dB = back(p["B"], again, xs[::-1], dhs[::-1])
    return {"U": dU, "W": dW, "A": dA, "B": dB, "v": e @ slip("v by one direction", both, there[1:])}


# --- a residual network with a learnt first state, whose error counts at every second step ----------------------------


def every_second_loss(p, xs, ys):
    h, total = p["h0"], 0.0
    for t in range(6):
        h = h + p["rate"] * (np.tanh(xs[t] @ p["U"] + h @ p["W"]) @ p["R"])
        if t % 2:
            total = total + np.sum((h @ p["v"] - ys[t]) ** 4)
    return total


@network(
    every_second_loss,
    {**weights(508, U=(D, H), W=(H, H), R=(H, H), v=H, h0=H), "rate": np.array(0.6)},
    numbers(509, 6, D),
    numbers(510, 6),
)
def every_second(slip, p, xs, ys):
    hs, inner = [p["h0"]], []
    for t in range(6):
        inner.append(np.tanh(xs[t] @ p["U"] + hs[-1] @ p["W"]))
        hs.append(hs[-1] + p["rate"] * (inner[-1] @ p["R"]))
    g, dh = zeros(p), np.zeros(H)
    for t in range(5, -1, -1):
        if t % 2 == slip("the other steps", 1, 0):
            e = 4 * (hs[t + 1] @ p["v"] - ys[t]) ** 3
            g["v"] += e * hs[t + 1]
            dh = dh + e * p["v"]
        g["rate"] += dh @ (inner[t] @ p["R"])
        g["R"] += p["rate"] * np.outer(inner[t], dh)
        da = p["rate"] * (p["R"] @ dh) * (1 - inner[t] ** 2)
        g["U"] += np.outer(xs[t], da)
        g["W"] += np.outer(hs[t], da)
        dh = slip("the rate on the state, too", 1, p["rate"]) * (dh + p["W"] @ da)
    return {**g, "h0": dh}


# --- probabilities that are fed back, and held to the classes by squares; a slope of another layer --------------------


FED = (1, 0, 1, 1, 0)


def squared_probabilities_loss(p, xs, ys):
    low, high, y, total = np.zeros(H), np.zeros(H), np.zeros(K), 0.0
    for t in range(5):
        low = np.tanh(xs[t] @ p["U"] + low @ p["W"] + (y if FED[t] else ys[t - 1]) @ p["F"])
        high = np.tanh(low @ p["A"] + high @ p["B"])
        y = tr.softmax(high @ p["V"], axis=0)
        total = total + np.sum((y - ys[t]) ** 2)
    return total


@network(
    squared_probabilities_loss,
    weights(511, U=(D, H), W=(H, H), F=(K, H), A=(H, H), B=(H, H), V=(H, K)),
    numbers(512, 5, D),
    np.eye(K)[[0, 2, 1, 1, 2]],
)
def squared_probabilities(slip, p, xs, ys):
    lows, highs, outs, inputs = [np.zeros(H)], [np.zeros(H)], [np.zeros(K)], []
    for t in range(5):
        inputs.append(outs[-1] if FED[t] else ys[t - 1])
        lows.append(np.tanh(xs[t] @ p["U"] + lows[-1] @ p["W"] + inputs[-1] @ p["F"]))
        highs.append(np.tanh(lows[-1] @ p["A"] + highs[-1] @ p["B"]))
        outs.append(softmax(highs[-1] @ p["V"]))
    g, fed, to_low, to_high = zeros(p), np.zeros(K), np.zeros(H), np.zeros(H)
    for t in range(5, 0, -1):
        y, e = outs[t], outs[t] - ys[t - 1]

        def unsoftmax(d, y=y):
            return y * (d - y @ d)

        dz = unsoftmax(fed) + slip("as if by cross-entropy", unsoftmax(2 * e), e)
        g["V"] += np.outer(highs[t], dz)
        da = (p["V"] @ dz + to_high) * (1 - highs[t] ** 2)
        dl = (p["A"] @ da + to_low) * (1 - lows[t] ** 2)
        g["A"], g["B"] = g["A"] + np.outer(lows[t], da), g["B"] + np.outer(highs[t - 1], da)
        g["U"], g["W"] = g["U"] + np.outer(xs[t - 1], dl), g["W"] + np.outer(lows[t - 1], dl)
        g["F"] += np.outer(inputs[t - 1], dl)
        is_fed = slip("fed back at the other steps", FED[t - 1], 1 - FED[t - 1])
        to_high, to_low, fed = p["B"] @ da, p["W"] @ dl, p["F"] @ dl * is_fed
    return g


# --- the largest state of all steps counts ----------------------------------------------------------------------------


def largest_states_loss(p, xs, ys):
    h, hs = np.zeros((N, H)), []
    for t in range(T):
        h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
        hs.append(h)
    return np.sum((np.max(np.stack(hs), axis=0) @ p["v"] - ys) ** 2)


@network(largest_states_loss, weights(519, U=(D, H), W=(H, H), v=H), numbers(520, T, N, D), numbers(521, N))
def largest_states(slip, p, xs, ys):
    hs = [np.zeros((N, H))]
    for x in xs:
        hs.append(np.tanh(x @ p["U"] + hs[-1] @ p["W"]))
    most = np.max(hs[1:], axis=0)
    e, g, dh = 2 * (most @ p["v"] - ys), zeros(p), np.zeros((N, H))
    g["v"] = e @ most
    for t in range(T, 0, -1):
        dh = dh + np.outer(e, p["v"]) * slip("mean for the largest", hs[t] == most, 1 / T)
        da = dh * (1 - hs[t] ** 2)
        g["U"] += xs[t - 1].T @ da
        g["W"] += hs[t - 1].T @ da
        dh = da @ p["W"].T
    return g


# --- sequences of several lengths in turn -----------------------------------------------------------------------------


def sequences_in_turn_loss(p, xs, ys):
    total = 0.0
    for n in range(N):
        h = np.zeros(H)
        for t in range(TURNS[n]):
            h = np.tanh(xs[n, t] @ p["U"] + h @ p["W"])
            total = total + (h @ p["v"] - ys[n, t]) ** 2
    return total / sum(TURNS)


TURNS = (4, 2, 3)


@network(sequences_in_turn_loss, weights(522, U=(D, H), W=(H, H), v=H), numbers(523, N, T, D), numbers(524, N, T))
def sequences_in_turn(slip, p, xs, ys):
    g = zeros(p)
    for n in range(N):
        hs, dh = [np.zeros(H)], np.zeros(H)
        for t in range(TURNS[n]):
            hs.append(np.tanh(xs[n, t] @ p["U"] + hs[-1] @ p["W"]))
        for t in range(TURNS[n], 0, -1):
            e = 2 * (hs[t] @ p["v"] - ys[n, t - 1]) / slip("the mean of each sequence", sum(TURNS), TURNS[n])
            g["v"] += e * hs[t]
            da = (e * p["v"] + dh) * (1 - slip("slope of the step before", hs[t], hs[t - 1]) ** 2)
            g["U"] += np.outer(xs[n, t - 1], da)
            g["W"] += np.outer(slip("the state of this step", hs[t - 1], hs[t]), da)
            dh = p["W"] @ da
    return g


# --- pieces of two lengths, with a state each that is carried on without its gradient ---------------------------------

PIECES = ((0, 3), (3, 5), (5, 8))


def pieces_of_two_lengths_loss(p, xs, ys):
    h, total = np.zeros(H), 0.0
    for start, end in PIECES:
        h = tr.stop_gradient(h)
        for t in range(start, end):
            h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
            total = total + (h @ p["v"] - ys[t]) ** 2
    return total


@network(pieces_of_two_lengths_loss, weights(516, U=(D, H), W=(H, H), v=H), numbers(517, 8, D), numbers(518, 8))
def pieces_of_two_lengths(slip, p, xs, ys):
    g, h = zeros(p), np.zeros(H)
    for start, end in PIECES:
        hs, dh = [h], np.zeros(H)
        for x in xs[start:end]:
            hs.append(np.tanh(x @ p["U"] + hs[-1] @ p["W"]))
        for n in range(end - start, 0, -1):
            e = 2 * (hs[n] @ p["v"] - ys[start + n - 1])
            g["v"] += e * hs[n]
            da = (e * p["v"] + dh) * (1 - hs[n] ** 2)
            g["U"] += np.outer(xs[start + n - 1], da)
            g["W"] += np.outer(hs[n - 1], da)
            dh = p["W"] @ da
        h = slip("each piece begins anew", hs[-1], np.zeros(H))
    return g
