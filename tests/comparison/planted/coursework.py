"""Networks as students hand them in: characters in dicts, LSTMs with caches, a masked tagger, a translator."""

# ruff: noqa: B023 (a slip calls its functions at once)

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import network, numbers, sigmoid, softmax, weights, zeros

T, B, n, d, m = 4, 3, 2, 3, 2

# --- a chunk of characters: columns kept in dicts, a hidden state handed over from the chunk before -------------------

V = 4
CHARACTERS, FOLLOWING = np.array([1, 3, 0, 3]), np.array([3, 0, 3, 2])


def characters_loss(p, inputs, targets, hprev):
    h, loss = hprev, 0.0
    for t in range(T):
        x = np.eye(V)[:, [inputs[t]]]
        h = np.tanh(p["Wxh"] @ x + p["Whh"] @ h + p["bh"])
        y = p["Why"] @ h + p["by"]
        probabilities = np.exp(y) / np.sum(np.exp(y))
        loss = loss - np.log(probabilities[targets[t], 0])
    return loss


@network(
    characters_loss,
    weights(251, Wxh=(d, V), Whh=(d, d), Why=(V, d), bh=(d, 1), by=(V, 1)),
    CHARACTERS,
    FOLLOWING,
    numbers(251, d, 1),
)
def characters_in_dicts(slip, p, inputs, targets, hprev):
    xs, hs, ys, ps = {}, {-1: np.copy(hprev)}, {}, {}
    for t in range(T):
        xs[t] = np.zeros((V, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(p["Wxh"] @ xs[t] + p["Whh"] @ hs[t - 1] + p["bh"])
        ys[t] = p["Why"] @ hs[t] + p["by"]
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
    g = zeros(p)
    dhnext = np.zeros_like(hs[0])
    for t in slip("from the first step to the last", reversed(range(T)), range(T)):
        dy = slip("scores for probabilities", ps, ys)[t].copy()
        dy[slip("the input for the target", targets, inputs)[t]] -= 1
        dy = slip("only the target's row", dy, lambda: dy * (np.eye(V)[:, [targets[t]]]))
        dy = slip("log's slope as well", dy, lambda: dy / ps[t][targets[t]])
        g["Why"] += dy @ hs[t].T
        g["by"] += dy
        dh = p["Why"].T @ dy + dhnext
        dhraw = slip("slope of h by the gradient", 1 - hs[t] * hs[t], lambda: 1 - dh * dh) * dh
        dhraw = slip("slope before the paths are added", dhraw, lambda: (1 - hs[t] ** 2) * (p["Why"].T @ dy) + dhnext)
        g["bh"] += slip("dh for dhraw in db", dhraw, dh)
        g["Wxh"] += dhraw @ slip("target's vector for x", xs[t], np.eye(V)[:, [targets[t]]]).T
        g["Whh"] += dhraw @ slip("h0 is taken as zeros", hs[t - 1], lambda: hs[t - 1] * (t > 0)).T
        g["Whh"] = slip("h handed over is the last one", g["Whh"],
                        lambda: g["Whh"] + dhraw @ (hs[T - 1] - hs[-1]).T * (t == 0))  # fmt: skip
        before = dhnext
        dhnext = p["Whh"].T @ slip("dh for dhraw on the way back", dhraw, dh)
        dhnext = slip("way back added up", dhnext, lambda: before + dhnext)
    for name in slip("divided by the chunk's length", (), tuple(p)):
        g[name] = g[name] / T
    for name in slip("each gradient of norm one", (), tuple(p)):
        g[name] = g[name] / np.linalg.norm(g[name])
    return g


# --- two layers of LSTM with caches, dropout between them, and a regression at the end --------------------------------


def lstm_forward(x, h, c, W, b):
    z = np.hstack([x, h])
    i, f, o, u = np.split(z @ W + b, 4, axis=1)
    i, f, o, u = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(u)
    c_new = f * c + i * u
    return o * np.tanh(c_new), c_new, (z, i, f, o, u, c, c_new)


def stacked_loss(p, xs, keep, target):
    h1 = c1 = h2 = c2 = np.zeros((B, d))
    for t in range(3):
        h1, c1 = recorded_lstm(xs[t], h1, c1, p["W1"], p["b1"])
        h2, c2 = recorded_lstm(h1 * keep[t] / 0.8, h2, c2, p["W2"], p["b2"])
    return np.mean((h2 @ p["V"] + p["a"] - target) ** 2)


def recorded_lstm(x, h, c, W, b):
    a = np.concatenate([x, h], axis=1) @ W + b
    i, f, o = (tr.sigmoid(a[:, k * d : (k + 1) * d]) for k in range(3))
    c = f * c + i * np.tanh(a[:, 3 * d :])
    return o * np.tanh(c), c


KEEP = np.array(np.random.default_rng(5).random((3, B, d)) < 0.7, float)


@network(
    stacked_loss,
    weights(253, W1=(n + d, 4 * d), b1=(4 * d,), W2=(2 * d, 4 * d), b2=(4 * d,), V=(d, m), a=(m,)),
    numbers(253, 3, B, n),
    KEEP,
    numbers(254, B, m),
)
def stacked_with_caches(slip, p, xs, keep, target):
    h1 = c1 = h2 = c2 = np.zeros((B, d))
    caches = []
    for t in range(3):
        h1, c1, first = lstm_forward(xs[t], h1, c1, p["W1"], p["b1"])
        h2, c2, second = lstm_forward(h1 * keep[t] / 0.8, h2, c2, p["W2"], p["b2"])
        caches.append((first, second))
    g = zeros(p)

    def backward(dh, dc, cache, layer):
        z, i, f, o, u, c, c_new = cache
        tanh_c = np.tanh(c_new)
        do = dh * tanh_c
        dc = dc + dh * o * slip("cell's own value in its slope", 1 - tanh_c**2, lambda: 1 - c_new**2)
        di, df, du = dc * u, dc * c, dc * i
        da = np.hstack([
            di * i * (1 - i),
            df * f * slip("slope of f by i", 1 - f, lambda: 1 - i),
            do * slip("one factor of the slope of o", o, 1) * (1 - o),
            du * slip("candidate's slope as a sigmoid's", 1 - u**2, lambda: u * (1 - u)),
        ])  # fmt: skip
        da = slip("gates joined in another order", da, lambda: np.hstack([da[:, d : 2 * d], da[:, :d], da[:, 2 * d :]]))
        g[f"W{layer}"] += z.T @ da
        g[f"b{layer}"] += da.sum(axis=0)
        dz = da @ p[f"W{layer}"].T
        size = z.shape[1] - d
        halves = dz[:, :size], dz[:, size:]
        dx, dh = slip("halves of layer two exchanged", halves, halves[::-1] if layer == 2 else halves)
        return dx, dh, dc * f

    dy = 2 * (h2 @ p["V"] + p["a"] - target) / slip("outputs not in the mean", B * m, B)
    g["V"] = slip("V by the dropped state of layer one", h2, lambda: h1 * keep[2] / 0.8).T @ dy
    g["a"] = dy.sum(axis=0)
    dh1 = dc1 = dc2 = np.zeros((B, d))
    dh2 = dy @ p["V"].T
    top = dh2
    for t in reversed(range(3)):
        first, second = caches[t]
        dh2 = slip("loss given at each step", dh2, lambda: dh2 + top * (t < 2))
        dx2, dh2, dc2 = backward(dh2, dc2, second, 2)
        dx2 = dx2 * slip("dropout's scale forgotten", 1 / 0.8, 1) * slip("dropout of the wrong step", keep[t], keep[0])
        dx2 = slip("layer two's h for x", dx2, lambda: dh2 * keep[t] / 0.8)
        dh1 = dh1 + dx2
        _, dh1, dc1 = backward(dh1, dc1, first, 1)
        dc1 = slip("c of layer two handed to layer one", dc1, lambda: dc2)
        dc2 = slip("cell's carry cut after the last step", dc2, lambda: dc2 * (t < 2))
    return g


# --- a GRU over [h, x], labels at each step weighed by class ----------------------------------------------------------

LABELS = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 0]])


def gru_loss(p, xs, labels, weight):
    sigma = lambda a: 1.0 / (1.0 + np.exp(-a))  # noqa: E731
    h, loss = np.zeros((B, d)), 0.0
    for t in range(T):
        hx = np.concatenate([h, xs[t]], axis=1)
        z, r = sigma(hx @ p["Wz"] + p["bz"]), sigma(hx @ p["Wr"] + p["br"])
        hh = np.tanh(np.concatenate([r * h, xs[t]], axis=1) @ p["Wh"] + p["bh"])
        h = z * h + (1 - z) * hh
        score = h @ p["v"]
        w = weight[labels[t]]
        rest = np.log1p(np.exp(-np.abs(score)))
        loss = loss + np.sum(w * (np.maximum(score, 0) - labels[t] * score + rest)) / np.sum(w)
    return loss / T


@network(
    gru_loss,
    weights(255, Wz=(d + n, d), Wr=(d + n, d), Wh=(d + n, d), bz=(d,), br=(d,), bh=(d,), v=(d,)),
    numbers(255, T, B, n),
    LABELS,
    np.array([0.5, 2.0]),
)
def gru_of_h_and_x(slip, p, xs, labels, weight):
    h, kept = np.zeros((B, d)), []
    for t in range(T):
        hx = np.concatenate([h, xs[t]], axis=1)
        z, r = sigmoid(hx @ p["Wz"] + p["bz"]), sigmoid(hx @ p["Wr"] + p["br"])
        rhx = np.concatenate([r * h, xs[t]], axis=1)
        hh = np.tanh(rhx @ p["Wh"] + p["bh"])
        h_prev, h = h, z * h + (1 - z) * hh
        kept.append((hx, z, r, rhx, hh, h_prev, h))
    g = zeros(p)
    dh_next = np.zeros((B, d))
    for t in reversed(range(T)):
        hx, z, r, rhx, hh, h_prev, h = kept[t]
        w = weight[labels[t]]
        probability = sigmoid(h @ p["v"])
        dscore = w * (slip("rounded probability", probability, lambda: np.round(probability)) - labels[t])
        dscore = slip("weight of the label alone", dscore, lambda: probability - w * labels[t])
        dscore = dscore / slip("weights' sum for the batch", w.sum(), B) / T
        dscore = slip("sigmoid's slope as well", dscore, lambda: dscore * probability * (1 - probability))
        g["v"] += h.T @ dscore
        dh = np.outer(dscore, p["v"]) + dh_next
        dz = dh * (h_prev - slip("new state for the candidate in dz", hh, h)) * z * (1 - z)
        dhh = dh * (1 - z) * slip("candidate's slope of the state", 1 - hh**2, lambda: 1 - h**2)
        drhx = dhh @ p["Wh"].T
        drh = slip("x's part for h's part", drhx[:, :d], lambda: drhx[:, -d:])
        dr = drh * h_prev * r * (1 - r)
        dr = slip("whole dh goes to the reset gate", dr, lambda: dhh * h_prev * r * (1 - r))
        g["Wz"] += hx.T @ dz
        g["Wr"] += slip("r h in the reset's own matrix", hx, rhx).T @ dr
        g["Wh"] += slip("reset taken twice in dWh", rhx, lambda: np.concatenate([r * rhx[:, :d], xs[t]], 1)).T @ dhh
        g["bz"] += dz.sum(0)
        g["br"] += dr.sum(0)
        g["bh"] += dhh.sum(0)
        gates = dz @ p["Wz"].T + slip("reset's way through Wz", dr @ p["Wr"].T, lambda: dr @ p["Wz"].T)
        dh_next = gates[:, :d] + drh * slip("z for r on the way to h", r, z)
        dh_next = dh_next + dh * slip("hidden gate's complement", z, lambda: 1 - z)
        dh_next = slip("direct path of the loss alone", dh_next,
                       lambda: gates[:, :d] + drh * r + z * np.outer(dscore, p["v"]))  # fmt: skip
    return g


# --- a tagger in both directions over padded sentences, with a penalty ------------------------------------------------

WORDS = np.array([[0, 3, 2, 1], [4, 1, 2, 0], [2, 2, 0, 0]])
TAGS = np.array([[1, 0, 2, 1], [0, 0, 1, 0], [2, 1, 0, 0]])
REAL = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0]], float)  # a word that is unknown is passed over


def tagger_loss(p, words, tags, mask):
    e = p["E"][words]
    hf = hb = np.zeros((B, d))
    forwards, backwards = [], [None] * T
    for t in range(T):
        hf = mask[:, t : t + 1] * np.tanh(e[:, t] @ p["Uf"] + hf @ p["Wf"]) + (1 - mask[:, t : t + 1]) * hf
        forwards.append(hf)
    for t in reversed(range(T)):
        hb = mask[:, t : t + 1] * np.tanh(e[:, t] @ p["Ub"] + hb @ p["Wb"])
        backwards[t] = hb
    total = 0.0
    for t in range(T):
        s = np.concatenate([forwards[t], backwards[t]], axis=1) @ p["V"] + p["c"]
        total = total - np.sum(mask[:, t] * tr.log_softmax(s, axis=1)[np.arange(B), tags[:, t]])
    return total / np.sum(mask) + 0.05 * (np.sum(p["V"] ** 2) + np.sum(p["Wf"] ** 2))


@network(
    tagger_loss,
    weights(257, E=(5, n), Uf=(n, d), Wf=(d, d), Ub=(n, d), Wb=(d, d), V=(2 * d, 3), c=(3,)),
    WORDS,
    TAGS,
    REAL,
)
def tagger_in_both_directions(slip, p, words, tags, mask):
    e = p["E"][words]
    hf, hb, af = np.zeros((T + 1, B, d)), np.zeros((T + 1, B, d)), np.zeros((T, B, d))
    for t in range(T):
        af[t] = np.tanh(e[:, t] @ p["Uf"] + hf[t] @ p["Wf"])
        hf[t + 1] = np.where(mask[:, [t]] > 0, af[t], hf[t])
    for t in reversed(range(T)):
        hb[t] = mask[:, [t]] * np.tanh(e[:, t] @ p["Ub"] + hb[t + 1] @ p["Wb"])
    g = zeros(p)
    dh = np.zeros((T, B, 2 * d))
    for t in range(T):
        both = np.hstack([hf[t + 1], hb[t]])
        ds = softmax(both @ p["V"] + p["c"])
        ds[np.arange(B), tags[:, t]] -= 1
        ds = ds * slip("padded words counted", mask[:, [t]], 1)
        ds = ds / slip("mean over all words", mask.sum(), B * T)
        ds = slip("mean of each sentence", ds, lambda: ds * mask.sum() / mask.sum(1, keepdims=True) / B)
        g["V"] += slip("directions exchanged in dV", both, lambda: np.hstack([hb[t], hf[t + 1]])).T @ ds
        g["c"] += ds.sum(0)
        dh[t] = ds @ p["V"].T
    de = np.zeros_like(e)
    carry = np.zeros((B, d))
    for t in reversed(range(T)):
        total = carry + dh[t, :, :d]
        da = total * (1 - af[t] ** 2) * mask[:, [t]]
        g["Uf"] += e[:, t].T @ da
        g["Wf"] += hf[t].T @ da
        de[:, t] += da @ p["Uf"].T
        carry = da @ p["Wf"].T + slip("state kept over padding", (1 - mask[:, [t]]) * total, 0)
    carry = np.zeros((B, d))
    for t in slip("backward direction goes back in time", range(T), lambda: range(T - 1, -1, -1)):
        total = carry + dh[t, :, slip("both take the first half of dh", slice(d, None), slice(0, d))]
        slope = 1 - slip("forward direction's slope", hb[t], hf[t + 1]) ** 2
        da = total * slope * slip("hb not reset at padding", mask[:, [t]], 1)
        g["Ub"] += e[:, slip("word after", t, min(t + 1, T - 1))].T @ da
        g["Wb"] += slip("hb of the earlier word", hb[t + 1], hb[t - 1] if t else hb[T]).T @ da
        de[:, t] += da @ p["Ub"].T
        carry = da @ slip("forward's W in the backward direction", p["Wb"], p["Wf"]).T
    np.add.at(g["E"], words, de)
    for word in slip("each word divided by how often it occurs", (), range(5)):
        g["E"][word] /= max((words == word).sum(), 1)
    rate = 0.05 * slip("penalty's two forgotten", 2, 1)
    g["V"] += rate * p["V"]
    g["Wf"] += slip("penalty at each step", 1, T) * rate * p["Wf"]
    g["Wb"] += slip("penalty of the wrong matrix", 0, 1) * rate * p["Wb"]
    return g


# --- a translator with additive attention -----------------------------------------------------------------------------

S, D, k = 3, 2, 2  # words of the source, and of the target; units of the alignment


def translator_loss(p, xs, ys):
    h, states = np.zeros(d), []
    for t in range(S):
        h = np.tanh(p["U"] @ xs[t] + p["W"] @ h)
        states.append(h)
    hs = np.stack(states)
    s, loss = h, 0.0
    for t in range(D):
        e = np.tanh(hs @ p["Wa"].T + p["Ua"] @ s) @ p["va"]
        alpha = tr.softmax(e)
        context = alpha @ hs
        s = np.tanh(p["R"] @ s + p["C"] @ context + p["b"])
        loss = loss + 0.5 * np.sum((p["O"] @ s + p["P"] @ context - ys[t]) ** 2)
    return loss


@network(
    translator_loss,
    weights(
        259, U=(d, n), W=(d, d), Wa=(k, d), Ua=(k, d), va=(k,), R=(d, d), C=(d, d), b=(d,), O=(m, d), P=(m, d)
    ),
    numbers(259, S, n),
    numbers(260, D, m),
)  # fmt: skip
def translator(slip, p, xs, ys):
    h = [np.zeros(d)]
    for t in range(S):
        h.append(np.tanh(p["U"] @ xs[t] + p["W"] @ h[t]))
    hs = np.array(h[1:])
    s, kept = [h[S]], []
    for t in range(D):
        q = np.tanh(hs @ p["Wa"].T + p["Ua"] @ s[t])
        alpha = softmax(q @ p["va"])
        context = alpha @ hs
        s.append(np.tanh(p["R"] @ s[t] + p["C"] @ context + p["b"]))
        kept.append((q, alpha, context))
    g = zeros(p)
    dhs, ds = np.zeros((S, d)), np.zeros(d)
    for t in reversed(range(D)):
        q, alpha, context = kept[t]
        dy = p["O"] @ s[t + 1] + p["P"] @ context - ys[t]
        g["O"] += np.outer(dy, s[t + 1])
        g["P"] += np.outer(dy, slip("state for the context in dP", context, s[t + 1]))
        da = (ds + p["O"].T @ dy) * (1 - s[t + 1] ** 2)
        g["R"] += np.outer(da, s[t])
        g["C"] += np.outer(da, context)
        g["b"] += da
        dcontext = p["C"].T @ da + slip("read-out's path to the context", p["P"].T @ dy, 0)
        dalpha = hs @ dcontext
        de = alpha * (dalpha - slip("weighted mean", alpha @ dalpha, lambda: dalpha.mean()))
        de = slip("softmax's own share alone", de, lambda: dalpha * alpha * (1 - alpha))
        g["va"] += slip("alignment of the last word alone", q.T @ de, lambda: q[-1] * de[-1])
        dq = np.outer(de, p["va"]) * slip("alignment's tanh", 1 - q**2, 1)
        g["Wa"] += dq.T @ hs
        g["Ua"] += np.outer(dq.sum(0), slip("new decoder state in dUa", s[t], s[t + 1]))
        dhs += slip("states through the alignment", dq @ p["Wa"], 0)
        dhs += slip("states through the context", np.outer(alpha, dcontext), 0)
        dhs = slip("= for += at the states", dhs, lambda: dq @ p["Wa"] + np.outer(alpha, dcontext))
        ds = p["R"].T @ da + p["Ua"].T @ slip("query by the mean of dq", dq.sum(0), dq.mean(0))
        ds = slip("query's path left out", ds, lambda: p["R"].T @ da)
    dh = slip("decoder's beginning cut off", ds, 0)
    for t in reversed(range(S)):
        dh = dh + slip("states met in the other order", dhs[t], dhs[S - 1 - t])
        dh = slip("encoder driven by its last state alone", dh, lambda: dh - dhs[t] * (t < S - 1))
        da = dh * (1 - hs[t] ** 2)
        g["U"] += np.outer(da, xs[t])
        g["W"] += np.outer(da, h[t])
        dh = slip("outer dW used for W", p["W"], p["R"]).T @ da
    return g
