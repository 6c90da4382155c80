"""Every cell of ``tr.nn`` with its options, and what is built from cells: the derivation's gradients are right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.derivation.held_to_autograd import RNG, assert_right, random
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff import scope

T, B, N, D, K = 5, 2, 3, 4, 3
XS, YS, CLASSES = random(T, B, N), random(T, B, D), RNG.integers(0, K, (T, B))
F8 = {"dtype": np.float64}
NORM = nn.LayerNorm

CELLS = {
    "rnn": lambda: nn.RNNCell(N, D, **F8),
    "rnn, relu": lambda: nn.RNNCell(N, D, "relu", **F8),
    "rnn, sigmoid": lambda: nn.RNNCell(N, D, "sigmoid", **F8),
    "rnn, no bias": lambda: nn.RNNCell(N, D, bias=False, **F8),
    "rnn, own activation": lambda: nn.RNNCell(N, D, lambda a: a / (1 + np.abs(a)), **F8),
    "independent": lambda: nn.IndRNNCell(N, D, **F8),
    "skip, matrices": lambda: nn.SkipRNNCell(N, D, (2, 3), **F8),
    "lstm": lambda: nn.LSTMCell(N, D, **F8),
    "lstm, peepholes": lambda: nn.LSTMCell(N, D, peepholes=True, **F8),
    "lstm, projection": lambda: nn.LSTMCell(N, D, projection=2, **F8),
    "lstm, coupled": lambda: nn.LSTMCell(N, D, coupled=True, peepholes=True, **F8),
    "lstm, no bias": lambda: nn.LSTMCell(N, D, bias=False, **F8),
    "lstm, layer norm": lambda: nn.LSTMCell(N, D, norm=NORM, forget_bias=1.0, **F8),
    "gru": lambda: nn.GRUCell(N, D, **F8),
    "gru, reset before": lambda: nn.GRUCell(N, D, reset="before", **F8),
    "gru, no bias": lambda: nn.GRUCell(N, D, bias=False, **F8),
    "mgu": lambda: nn.MGUCell(N, D, **F8),
    "mgu, no bias": lambda: nn.MGUCell(N, D, bias=False, **F8),
    "residual": lambda: nn.ResidualCell(nn.GRUCell(D, D, **F8)),
    "layer norm around": lambda: nn.LayerNormCell(nn.RNNCell(N, D, **F8)),
    "dropout": lambda: nn.DropoutCell(nn.LSTMCell(N, D, **F8), seed=0),
    "zoneout": lambda: nn.ZoneoutCell(nn.GRUCell(N, D, **F8), 0.3, seed=0),
    "cells on cells": lambda: nn.StackedCell([nn.LSTMCell(N, D, **F8), nn.GRUCell(D, D, **F8)]),
}


def squared(outputs, ys):
    return 0.5 * np.sum((outputs[..., : ys.shape[-1]] - ys[..., : outputs.shape[-1]]) ** 2)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("batched", [True, False], ids=["batch", "alone"])
def test_a_cell(name, batched):
    cell = CELLS[name]()
    xs = random(T, B, D) if name == "residual" else XS

    def loss(cell, xs, ys):
        return squared(tr.unroll(cell, xs)[0], ys)

    assert_right(loss, cell, [xs, YS] if batched else [xs[:, 0], YS[:, 0]])


def test_a_jordan_network():
    cell = nn.JordanCell(N, D, K, output_activation="sigmoid", **F8)
    assert_right(lambda cell, xs, ys: squared(tr.unroll(cell, xs)[0], ys), cell, [XS, YS])


def test_skips_that_are_added():
    cell = nn.SkipRNNCell(N, D, (2,), "addition", **F8)
    assert_right(lambda cell, xs, ys: squared(tr.unroll(cell, xs)[0], ys), cell, [XS, YS])


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2},
        {"bidirectional": True},
        {"num_layers": 2, "bidirectional": True},
        {"truncate": 2},
        {"truncate": (2, 3)},
        {"checkpoint_every": 2},
        {"num_layers": 2, "dropout": 0.3, "seed": 0},
        {"executor": "numpy"},
    ],
    ids=str,
)
def test_a_layer(kind, options):
    layer = kind(N, D, **options, **F8)

    def loss(layer, xs, ys):
        return squared(layer(xs)[0], ys)

    if "truncate" in options:  # the gradient is no derivative of the loss
        tr.derive(loss, layer, [XS, YS])
    else:
        assert_right(loss, layer, [XS, YS])


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True}], ids=str)
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM])
def test_padded_batches(kind, options):
    layer = kind(N, D, **options, **F8)
    lengths = np.array([T, 3])

    def loss(layer, xs, ys):
        output, _ = layer(xs, lengths=lengths)
        return nn.mse(output[..., :D], ys, "per_instance", lengths=lengths)

    assert_right(loss, layer, [XS, YS])


@pytest.mark.parametrize("pool", ["last", "mean", "max"])
def test_many_to_one(pool):
    model = nn.ManyToOne(nn.GRU(N, D, **F8), K, pool=pool, **F8)
    assert_right(lambda model, xs, target: nn.cross_entropy(model(xs), target), model, [XS, CLASSES[-1]])


def test_embeddings_and_a_tied_output():
    tokens, targets = RNG.integers(0, 6, (T, B)), RNG.integers(0, 6, (T, B))
    p = {"E": random(6, D), "W": random(D, D), "U": random(D, D)}

    def loss(p, tokens, targets):
        states, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), p["E"][tokens], state=np.zeros((B, D)))
        return nn.cross_entropy(states @ p["E"].T, targets)

    def plain(p, tokens, targets):
        h, total = np.zeros((B, D)), 0.0
        for token, target in zip(tokens, targets):
            h = np.tanh(p["E"][token] @ p["U"] + h @ p["W"])
            total = total + nn.cross_entropy(h @ p["E"].T, target)
        return total

    assert_right(loss, p, [tokens, targets])
    assert_right(plain, p, [tokens, targets])


@pytest.mark.parametrize("attention", ["additive", "dot", "scaled"])
@pytest.mark.parametrize("look", ["before", "after"])
def test_an_attention_decoder_with_teacher_forcing(attention, look):
    make = {
        "additive": lambda: nn.AdditiveAttention(D, D, 3, **F8),
        "dot": lambda: nn.DotProductAttention(**F8),
        "scaled": lambda: nn.DotProductAttention(D, D, scaled=True, **F8),
    }[attention]
    cell = nn.GRUCell(2 + (D if look == "before" else 0), D, **F8)
    model = Seq2Seq(nn.GRU(N, D, **F8), cell, make(), look)
    symbols = RNG.integers(0, 4, (4, B))
    assert_right(lambda model, xs, said: model(xs, said), model, [XS, symbols])


class Seq2Seq(nn.Module):
    """An encoder, and a decoder that looks back at all of its states."""

    def __init__(self, encoder, cell, attention, look):
        self.encoder, self.cell, self.attention, self.look = encoder, cell, attention, look
        self.E = nn.Parameter(random(4, 2))
        self.V = nn.Parameter(random(2 * D, 4))

    def forward(self, xs, said):
        states, _ = self.encoder(xs)
        memory, h = self.attention.memory(states), states[-1]
        total = 0.0
        with scope(layer="decoder"):
            for before, wanted in itertools.pairwise(said):
                x = self.E[before]
                if self.look == "before":
                    context, _ = self.attention(h, memory)
                    x = np.concatenate([x, context], axis=-1)
                _, h = self.cell(x, h)
                if self.look == "after":
                    context, _ = self.attention(h, memory)
                total = total + nn.cross_entropy(np.concatenate([h, context], axis=-1) @ self.V, wanted)
        return total


def test_a_learnt_initial_state():
    p = {"U": random(N, D), "W": random(D, D), "h0": random(B, D)}

    def loss(p, xs, ys):
        states, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), xs, state=p["h0"])
        return squared(states, ys)

    derivation = assert_right(loss, p, [XS, YS])
    assert "∂L/∂h0 = ∂L/∂h_0" in str(derivation)
    p["h0"] = random(D)  # shared by the batch
    assert_right(loss, p, [XS, YS])


@pytest.mark.parametrize("kind", ["dict", "tuple", "nested"])
def test_states_in_trees(kind):
    p = {"U": random(N, D), "W": random(D, D), "a": random(D)}
    start = {"h": np.zeros((B, D)), "m": np.zeros((B, D))}

    def cell(p, x, state):
        h, m = state.values() if kind == "dict" else state if kind == "tuple" else (state["h"], state["rest"][0])
        m = p["a"] * m + h
        h = np.tanh(x @ p["U"] + m @ p["W"])
        return h, {"h": h, "m": m} if kind == "dict" else (h, m) if kind == "tuple" else {"h": h, "rest": (m,)}

    def loss(p, xs, ys):
        h, m = start.values()
        state = start if kind == "dict" else (h, m) if kind == "tuple" else {"h": h, "rest": (m,)}
        states, _ = tr.unroll(lambda x, s: cell(p, x, s), xs, state=state)
        return squared(states, ys)

    assert_right(loss, p, [XS, YS])


def test_states_of_several_shapes():
    p = {"k": np.array(0.3), "U": random(N, D), "w": random(D)}

    def cell(p, x, state):
        n, h, fast = state
        n = np.tanh(n * p["k"] + np.sum(h * p["w"]))
        h = np.tanh(x @ p["U"] + fast @ h + n)
        return h, (n, h, 0.9 * fast + 0.1 * np.outer(h, h))

    def loss(p, xs, ys):
        state = (np.array(0.0), np.zeros(D), np.zeros((D, D)))
        states, (n, _, fast) = tr.unroll(lambda x, s: cell(p, x, s), xs, state=state)
        return squared(states, ys) + n**2 + np.sum(fast)

    assert_right(loss, p, [XS[:, 0], YS[:, 0]])


@pytest.mark.parametrize("where", ["last", "each", "some"])
@pytest.mark.parametrize("form", ["all at once", "a plain loop", "by named terms"])
def test_where_the_loss_stands_and_a_penalty(where, form):
    p = {"U": random(N, D), "W": random(D, D), "V": random(D, K), "c": random(K)}
    steps = {"last": [T - 1], "each": range(T), "some": [1, 2, 4]}[where]

    def loss(p, xs, targets):
        states, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), xs, state=np.zeros((B, D)))
        penalty = 0.01 * sum(np.sum(w**2) for w in p.values())
        if form == "all at once":
            chosen = states[np.array(steps)] if where == "some" else states[-1:] if where == "last" else states
            return nn.cross_entropy(chosen @ p["V"] + p["c"], targets[np.array(steps)]) + penalty
        total = 0.0
        for t in steps:
            total = total + nn.cross_entropy(states[t] @ p["V"] + p["c"], targets[t])
        return total + penalty

    assert_right(loss, p, [XS, CLASSES])
