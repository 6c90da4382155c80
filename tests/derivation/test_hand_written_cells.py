"""Cells as people write them: the gradients of the derivation's lines, against autograd and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from held_to_autograd import RNG, assert_right, random

import tinygrad_rnn as tr
from tinygrad_rnn import nn

T, B, N, D, K = 5, 2, 3, 4, 3


def read_out(p, h):
    return h @ p["V"] + p["c"]


OUTPUT = {"V": random(D, K), "c": random(K)}
ROWS = {"U": random(N, D), "W": random(D, D), "b": random(D), **OUTPUT}
XS, YS, CLASSES = random(T, B, N), random(T, B, K), RNG.integers(0, K, (T, B))


def elman(p, x, h):
    return np.tanh(x @ p["U"] + h @ p["W"] + p["b"])


def test_the_loss_at_the_last_step():
    def loss(p, xs, target):
        _, h = tr.unroll(lambda x, h: elman(p, x, h), xs, state=np.zeros((B, D)))
        return nn.cross_entropy(read_out(p, h), target)

    assert_right(loss, ROWS, [XS, CLASSES[-1]])


def test_the_loss_at_each_step_from_all_outputs_at_once():
    def loss(p, xs, target):
        states, _ = tr.unroll(lambda x, h: elman(p, x, h), xs, state=np.zeros((B, D)))
        return nn.cross_entropy(read_out(p, states), target, "per_instance")

    assert_right(loss, ROWS, [XS, CLASSES])


def test_the_loss_at_some_steps():
    def loss(p, xs, ys):
        states, _ = tr.unroll(lambda x, h: elman(p, x, h), xs, state=np.zeros((B, D)))
        return sum(nn.mse(read_out(p, states[t]), ys[t], "sum") for t in (1, 3, 4))

    assert_right(loss, ROWS, [XS, YS])


def test_a_plain_loop_without_a_batch():
    def loss(p, xs, ys):
        h, total = np.zeros(D), 0.0
        for x, y in zip(xs, ys):
            h = elman(p, x, h)
            total = total + 0.5 * np.sum((read_out(p, h) - y) ** 2)
        return total / len(xs)

    assert_right(loss, ROWS, [XS[:, 0], YS[:, 0]])


def test_state_and_input_side_by_side():
    p = {"W": random(D + N, D), "b": random(D), **OUTPUT}

    def loss(p, xs, ys):
        h, total = np.zeros((B, D)), 0.0
        for x, y in zip(xs, ys):
            h = np.tanh(np.concatenate([h, x], axis=-1) @ p["W"] + p["b"])
            total += np.mean((read_out(p, h) - y) ** 2)
        return total

    derivation = assert_right(loss, p, [XS, YS])
    assert not any(line.steps == (1,) for line in derivation.lines)  # the first step is like the others


@pytest.mark.parametrize("batch", [(), (B,)])
def test_a_weight_on_the_left(batch):
    p = {"U": random(D, N), "W": random(D, D), "b": random(D, *[1] * len(batch))}

    def loss(p, xs):
        h = np.zeros((D, *batch))
        for x in xs:
            h = np.tanh(p["U"] @ x + p["W"] @ h + p["b"])
        return np.sum(h**2)

    assert_right(loss, p, [random(T, N, *batch)])


def test_a_transposed_weight():
    def loss(p, xs):
        h = np.zeros((B, D))
        for x in xs:
            h = np.tanh(x @ p["U"].T + h @ p["W"].T + p["b"])
        return np.sum(h**2)

    assert_right(loss, {"U": random(D, N), "W": random(D, D), "b": random(D)}, [XS])


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("batch", [(), (B,)])
def test_a_layer_alone(kind, batch):
    cell = kind(N, D, dtype=np.float64)
    derivation = tr.derive(cell, random(T, *batch, N))
    mine, right = derivation.gradients(), derivation.recording.gradients()
    assert set(mine) == {"U", "W", "b", *(["b_hn"] if kind is nn.GRUCell else [])}
    for name, value in right.items():
        np.testing.assert_allclose(mine[name], value, rtol=0, atol=1e-10 * np.abs(value).max())
