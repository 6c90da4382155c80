"""Whole models of ``tr.nn``: options of layers, architectures, losses, embeddings; none of its cells is left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.derivation import test_cells
from tests.derivation.held_to_autograd import RNG, assert_right, random
from tinygrad_rnn import nn

T, B, N, D, K = 4, 2, 3, 4, 3
XS, YS, CLASSES = random(T, B, N), random(T, B, K), RNG.integers(0, K, (T, B))
F8 = {"dtype": np.float64}


def test_every_cell_of_the_package_is_derived_here():
    tested = {type(make()) for make in test_cells.CELLS.values()} | {nn.JordanCell}
    every = {cell for name in nn.__all__ if name.endswith("Cell") for cell in [getattr(nn, name)]} - {nn.Cell}
    assert every == tested


CELLS = {
    "independent, tanh": lambda: nn.IndRNNCell(N, D, "tanh", bias=False, **F8),
    "skip, relu": lambda: nn.SkipRNNCell(N, D, (2,), "matrices", "relu", bias=False, **F8),
    "lstm, everything": lambda: nn.LSTMCell(N, D, peepholes=True, projection=3, norm=nn.LayerNorm, **F8),
    "lstm, coupled, no bias": lambda: nn.LSTMCell(N, D, coupled=True, bias=False, **F8),
    "zoneout of each state": lambda: nn.ZoneoutCell(nn.LSTMCell(N, D, **F8), {"h": 0.2, "c": 0.4}, seed=0),
    "dropout of a gru": lambda: nn.DropoutCell(nn.GRUCell(N, D, **F8), 0.3, 0.2, seed=0),
    "residual lstm": lambda: nn.ResidualCell(nn.LSTMCell(N, N, **F8)),
    "layer norm around an lstm": lambda: nn.LayerNormCell(nn.LSTMCell(N, D, **F8)),
    "jordan, plain": lambda: nn.JordanCell(N, D, K, **F8),
    "wrapped in a stack": lambda: nn.StackedCell([nn.ZoneoutCell(nn.MGUCell(N, D, **F8), 0.2, seed=0),
                                                  nn.ResidualCell(nn.RNNCell(D, D, **F8))]),
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_other_options_of_cells(name):
    def loss(cell, xs):
        return np.sum(np.cos(tr.unroll(cell, xs)[0]))

    assert_right(loss, CELLS[name](), [XS])


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.RNN(N, D, 2, "relu", bias=False, **F8),
        lambda: nn.LSTM(N, D, peepholes=True, bidirectional=True, **F8),
        lambda: nn.LSTM(N, D, 2, projection=2, **F8),
        lambda: nn.LSTM(N, D, norm=nn.LayerNorm, coupled=True, **F8),
        lambda: nn.GRU(N, D, 2, reset="before", bidirectional=True, **F8),
        lambda: nn.GRU(N, D, batch_first=True, **F8),
    ],
)
def test_other_options_of_layers(make):
    layer = make()
    assert_right(lambda layer, xs: np.sum(np.cos(layer(xs)[0])), layer, [XS])


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}], ids=str)
def test_a_padded_batch_of_a_gru_and_its_last_states(options):
    layer, lengths = nn.GRU(N, D, **options, **F8), np.array([T, 2])

    def loss(layer, xs):
        output, state = layer(xs, lengths=lengths)
        return np.sum(nn.last_output(layer, output, lengths) ** 2) + np.sum(np.cos(state))

    assert_right(loss, layer, [XS])


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("truncate", [2, (1, 2), (2, 3)])
def test_truncated_backpropagation_gives_the_truncated_gradient(kind, truncate):
    layer = kind(N, D, truncate=truncate, **F8)
    derivation = tr.derive(lambda layer, xs: np.sum(layer(xs)[0] ** 2), layer, [XS])
    right = derivation.recording.gradients()
    for mine in (derivation.gradients(), derivation.run().gradients):
        for name, value in right.items():
            np.testing.assert_allclose(mine[name], value, rtol=0, atol=1e-10 * np.abs(value).max())


def test_many_to_many():
    model = nn.ManyToMany(nn.LSTM(N, D, **F8), K, **F8)
    assert_right(lambda model, xs, classes: nn.cross_entropy(model(xs)[0], classes), model, [XS, CLASSES])


def test_one_to_many_under_teacher_forcing():
    model = nn.OneToMany(N, nn.Decoder(5, nn.GRUCell(2, D, **F8), **F8), **F8)
    said = np.array([[2, 3], [4, 1], [1, 1]])
    assert_right(lambda model, v, said: nn.cross_entropy(model(v, said), said), model, [random(B, N), said])


@pytest.mark.parametrize("look", ["before", "after"])
def test_an_encoder_decoder_that_attends_under_teacher_forcing(look):
    attention = nn.AdditiveAttention(query_size=D, memory_size=2 * D, units=3, **F8)
    cell = nn.LSTMCell(2 + (2 * D if look == "before" else 0), D, **F8)
    decoder = nn.Decoder(5, cell, attention=attention, memory_size=2 * D, look=look, **F8)
    model = nn.EncoderDecoder(nn.Embedding(6, N, **F8), nn.GRU(N, D, bidirectional=True, **F8), decoder, **F8)
    source, said = RNG.integers(0, 6, (T, B)), np.array([[2, 3], [4, 1], [1, 1]])

    def loss(model, source, said):
        return nn.cross_entropy(model(source, said, lengths=[T, 2]), said)

    assert_right(loss, model, [source, said])


LOSSES = {
    "mse": lambda z, ys, k: nn.mse(z, ys),
    "l1": lambda z, ys, k: nn.l1(z, ys, "per_instance"),
    "huber": lambda z, ys, k: nn.huber(z, ys, delta=0.3),
    "cross-entropy, weighted": lambda z, ys, k: nn.cross_entropy(z, k, weight=np.array([1.0, 2.0, 0.5])),
    "cross-entropy, smoothed": lambda z, ys, k: nn.cross_entropy(z, k, label_smoothing=0.1),
    "cross-entropy of probabilities": lambda z, ys, k: nn.cross_entropy(z, np.eye(K)[k]),
    "nll": lambda z, ys, k: nn.nll(tr.log_softmax(z), k),
    "log of a softmax": lambda z, ys, k: -np.mean(np.sum(np.eye(K)[k] * np.log(tr.softmax(z)), axis=-1)),
    "binary": lambda z, ys, k: nn.binary_cross_entropy(tr.sigmoid(z), (ys > 0) * 1.0),
    "binary of logits": lambda z, ys, k: nn.binary_cross_entropy_with_logits(z, (ys > 0) * 1.0),
    "ctc": lambda z, ys, k: nn.ctc(tr.log_softmax(z), np.array([[1], [2]]), [T, T], [1, 1]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    p = {"U": random(N, D), "W": random(D, D), "V": random(D, K)}

    def loss(p, xs, ys, classes):
        states, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), xs, state=np.zeros((B, D)))
        return LOSSES[name](states @ p["V"], ys, classes)

    assert_right(loss, p, [XS, YS, CLASSES], writable=name != "ctc")


class Memory(NamedTuple):
    """A state of two parts."""

    fast: np.ndarray
    slow: np.ndarray


@pytest.mark.parametrize("learnt", [False, True])
def test_a_state_that_is_a_named_tuple(learnt):
    p = {"U": random(N, D), "W": random(D, D), "k": random(D)}
    if learnt:
        p |= {"fast": random(D), "slow": random(D)}

    def loss(p, xs):
        def cell(x, state):
            slow = p["k"] * state.slow + state.fast
            fast = np.tanh(x @ p["U"] + slow @ p["W"])
            return fast, Memory(fast, slow)

        start = Memory(p["fast"], p["slow"]) if learnt else Memory(np.zeros(D), np.zeros(D))
        ys, last = tr.unroll(cell, xs, state=start)
        return np.sum(ys**2) + np.sum(last.slow)

    derivation = assert_right(loss, p, [XS[:, 0]])
    assert learnt or {"fast", "slow"} <= {line.name for line in derivation.lines}
