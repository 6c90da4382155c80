"""Networks to draw: small, different in shape, with names."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tr


def parameters(rng: np.random.Generator, **shapes: tuple[int, ...]) -> dict[str, Any]:
    return {
        name: tr.tensor(rng.normal(size=shape) / 2, requires_grad=True, name=name) for name, shape in shapes.items()
    }


def elman(T: int, seed: int = 0) -> tuple[Any, dict[str, Any]]:
    """A loss at every step, computed from the outputs one by one and added up."""
    rng = np.random.default_rng(seed)
    leaves = parameters(rng, U=(3, 2), W=(2, 2), b=(2,), V=(2, 3), c=(3,))
    U, W, b, V, c = leaves.values()

    def cell(x, h):
        return np.tanh(x @ U + h @ W + b)

    hs, _ = tr.unroll(cell, rng.normal(size=(T, 3)), state=np.zeros(2))
    targets = rng.integers(0, 2, (T, 3)).astype(float)
    loss = 0
    for t in range(T):
        loss = loss - np.sum(targets[t] * np.log(tr.sigmoid(hs[t] @ V + c)))
    return loss, leaves


def elman_at_once(T: int, seed: int = 0) -> tuple[Any, dict[str, Any]]:
    """The loss of all steps computed from all outputs together."""
    rng = np.random.default_rng(seed)
    leaves = parameters(rng, U=(3, 2), W=(2, 2), b=(2,), V=(2, 3), c=(3,))
    U, W, b, V, c = leaves.values()
    hs, _ = tr.unroll(lambda x, h: np.tanh(x @ U + h @ W + b), rng.normal(size=(T, 3)), state=np.zeros(2))
    return np.mean(np.square(hs @ V + c)), leaves


def built_in(cell: Any, T: int = 5) -> Any:
    ys, _ = tr.unroll(cell, np.random.default_rng(0).normal(size=(T, 3)).astype(np.float32))
    return np.mean(np.square(ys))


def stacked(T: int = 4) -> Any:
    xs: Any = np.random.default_rng(0).normal(size=(T, 3))
    for layer in range(2):
        cell = tr.nn.RNNCell(xs.shape[-1], 2, seed=layer, dtype=np.float64)
        with tr.scope(layer=layer):
            xs, _ = tr.unroll(cell, xs)
    return np.mean(np.square(xs))


class TwoBack(NamedTuple):
    last: Any
    before: Any


def skipping(T: int = 5) -> Any:
    """A cell that also reads the state of two steps ago."""
    leaves = parameters(np.random.default_rng(0), W=(2, 2), K=(2, 2))

    def cell(x, s):
        h = np.tanh(x + s.last @ leaves["W"] + s.before @ leaves["K"])
        return h, TwoBack(h, s.last)

    ys, _ = tr.unroll(cell, np.ones((T, 2)), state=TwoBack(np.zeros(2), np.zeros(2)))
    return np.sum(ys)


def both_ways(T: int = 4) -> Any:
    """Two layers, of which the second goes through the steps from the last to the first."""
    leaves = parameters(np.random.default_rng(0), W=(2, 2), V=(2, 2))
    x, states = np.ones(2), {}
    for layer, steps, weight in (("forward", range(1, T + 1), "W"), ("backward", range(T, 0, -1), "V")):
        h: Any = np.zeros(2)
        for t in steps:
            with tr.scope(layer=layer, step=t):
                h = tr.named("h", np.tanh(x @ leaves[weight] + h), "state")
            states[layer, t] = h
    return np.stack([np.sum(states["forward", t] * states["backward", t]) for t in range(1, T + 1)]).sum()


def encoder_decoder(T: int = 4) -> Any:
    leaves = parameters(np.random.default_rng(0), W=(2, 2), D=(2, 2))
    _, h = tr.unroll(lambda x, h: np.tanh(x + h @ leaves["W"]), np.ones((T, 2)), state=np.zeros(2))
    zs, _ = tr.unroll(lambda x, h: np.tanh(h @ leaves["D"]), None, state=h, steps=3)
    return np.sum(zs)


def attending(T: int = 4) -> Any:
    leaves = parameters(np.random.default_rng(0), W=(2, 2), D=(2, 2))
    read, h = tr.unroll(lambda x, h: np.tanh(x + h @ leaves["W"]), np.ones((T, 2)), state=np.zeros(2))

    def decoder(x, h):
        weights = np.exp(read @ h)
        context = tr.named("context", weights / np.sum(weights) @ read)
        return np.tanh(h @ leaves["D"] + context)

    with tr.scope(layer="decoder"):
        ys, _ = tr.unroll(decoder, None, state=h, steps=3)
    return np.sum(ys)


def without_time() -> Any:
    x = tr.tensor([1.0, 2.0], requires_grad=True, name="x")
    w = tr.tensor([0.5, -0.5], requires_grad=True, name="w")
    return np.sum(np.tanh(w * x + 1) * x)


def leaky(T: int = 4) -> Any:
    """Part of the first step is constant, so it has fewer operations than the others."""
    leaves = parameters(np.random.default_rng(0), W=(2, 2))
    ys, _ = tr.unroll(lambda x, h: 0.9 * h + x @ leaves["W"], np.ones((T, 2)), state=np.zeros(2))
    return np.sum(ys)


def masked() -> Any:
    """Two sequences of different lengths: the state stands still where one has ended."""
    xs = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    return np.mean(np.square(tr.nn.LSTM(3, 4)(xs, lengths=np.array([5, 3]))[0]))


def bidirectional() -> Any:
    xs = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    return np.mean(np.square(tr.nn.GRU(3, 4, bidirectional=True)(xs)[0]))


def language() -> Any:
    """What is computed from all steps at once below and above the layer: an embedding, a readout."""
    ids = np.random.default_rng(0).integers(0, 7, (5, 2))
    embedding, layer, readout = tr.nn.Embedding(7, 3), tr.nn.LSTM(3, 4), tr.nn.Linear(4, 7)
    return tr.nn.cross_entropy(readout(layer(embedding(ids))[0]), ids)


def normalised() -> Any:
    """A cell within a cell, with two parameters of the same name."""
    return built_in(tr.nn.LayerNormCell(tr.nn.RNNCell(3, 4, dtype=np.float64)))


NETWORKS = {
    "elman": lambda: elman(3)[0],
    "elman_at_once": lambda: elman_at_once(5)[0],
    "elman_long": lambda: elman(30)[0],
    "lstm": lambda: built_in(tr.nn.LSTMCell(3, 2)),
    "gru": lambda: built_in(tr.nn.GRUCell(3, 2)),
    "stacked": stacked,
    "skipping": skipping,
    "both_ways": both_ways,
    "encoder_decoder": encoder_decoder,
    "attending": attending,
    "without_time": without_time,
    "leaky": leaky,
    "masked": masked,
    "bidirectional": bidirectional,
    "language": language,
    "normalised": normalised,
}
