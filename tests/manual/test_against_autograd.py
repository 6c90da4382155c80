"""The formulas held to autograd: the same networks as plain NumPy cells, unrolled and differentiated by the engine.

The cells and losses are written out here once more, in their naive form, so that neither side shares a line with the
other.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tests.manual.test_attention import random_params as random_attention
from tests.manual.test_combinations import lag_lists, random_hidden, random_skip
from tests.manual.test_elman import problems
from tests.manual.test_lstm_and_gru import random_gru, random_lstm, sizes
from tinygrad_rnn.manual import attention, elman, gru, lstm, skip, stacked
from tinygrad_rnn.manual.readout import Objective


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


ACTIVATIONS = {"tanh": np.tanh, "sigmoid": sigmoid, "identity": lambda a: a, "relu": lambda a: np.maximum(a, 0)}
LOSSES = {
    "softmax_cross_entropy": lambda z, y: -(y * np.log(softmax(z))).sum(axis=-1),
    "one_sided_cross_entropy": lambda z, y: (y * np.log(1 + np.exp(-z))).sum(axis=-1),
    # -y log σ(z) - (1 - y) log(1 - σ(z)) loses half of float32's digits in 1 - σ(z) where z is large; this is the same.
    "binary_cross_entropy": lambda z, y: (np.log(1 + np.exp(z)) - y * z).sum(axis=-1),
    "mse": lambda z, y: ((z - y) ** 2).mean(axis=-1),
}


def hold_to_autograd(loss, params, gradients, tolerance: float = 1e-10) -> None:
    """Differentiate loss(params) by the engine; params and gradients may be nested NamedTuples."""
    leaves = []

    def tracked(value):
        if value is None:
            return None
        if isinstance(value, tuple):
            return type(value)(*map(tracked, value))
        leaves.append(tr.tensor(value, requires_grad=True))
        return leaves[-1]

    def flat(value):
        if isinstance(value, tuple):
            return [array for part in value for array in flat(part)]
        return [] if value is None else [value]

    loss(tracked(params)).backward()
    for leaf, gradient in zip(leaves, flat(gradients), strict=True):
        assert gradient.dtype == leaf.dtype
        expected = np.zeros_like(gradient) if leaf.grad is None else leaf.grad
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=tolerance * scale)


def states(params, xs, s0, f):
    """The Elman recurrence, unrolled by the engine."""

    def cell(x, s):
        return f(x @ params.U + s @ params.W + params.b)

    return tr.unroll(cell, xs, state=s0)[0]


def total(losses, objective: Objective):
    """Losses of shape (steps, B) or (steps,), reduced as the objective says."""
    over_time = losses.sum(axis=0) if objective.over_time == "sum" else losses.mean(axis=0)
    return over_time.sum() if objective.over_instances == "sum" else over_time.mean()


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 2e-4)])
@pytest.mark.parametrize("f", sorted(ACTIVATIONS))
@given(problem=problems())
def test_elman(f: str, dtype: type, tolerance: float, problem) -> None:
    params, xs, targets, s0, objective = problem
    # Small weights: what is compared is the formulas, not the growth of rounding errors in an exploding network.
    params = elman.ElmanParams(*(0.5 * p.astype(dtype) for p in params))
    xs, targets, s0 = xs.astype(dtype), targets.astype(dtype), s0.astype(dtype)
    trace = elman.forward(params, xs, targets, s0=s0, f=f, objective=objective)
    rows = np.array(trace.output.steps) - 1

    def loss(p):
        z = states(p, xs, s0, ACTIVATIONS[f])[rows] @ p.V + p.c
        return total(LOSSES[objective.loss](z, targets), objective)

    hold_to_autograd(loss, params, elman.backward(trace).gradients, tolerance)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("peepholes", [False, True])
@given(size=sizes())
def test_lstm(peepholes: bool, size) -> None:
    T, n, d, batch, rng = size
    params = random_lstm(n, d, rng, peepholes)
    xs, weights = rng.normal(size=(T, *batch, n)), rng.normal(size=(T, *batch, d))

    def loss(p):
        def cell(x, state):
            h, c = state
            a_i, a_f, a_g, a_o = np.split(x @ p.U + h @ p.W + p.b, 4, axis=-1)
            if peepholes:
                a_i, a_f = a_i + p.P[0] * c, a_f + p.P[1] * c
            c = sigmoid(a_f) * c + sigmoid(a_i) * np.tanh(a_g)
            h = sigmoid(a_o + p.P[2] * c if peepholes else a_o) * np.tanh(c)
            return h, (h, c)

        return (weights * tr.unroll(cell, xs, state=(np.zeros((*batch, d)),) * 2)[0]).sum()

    hold_to_autograd(loss, params, lstm.backward(lstm.forward(params, xs), weights).gradients)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("reset", ["after", "before"])
@given(size=sizes())
def test_gru(reset: gru.Reset, size) -> None:
    T, n, d, batch, rng = size
    params = random_gru(n, d, rng, b_hn=reset == "after")
    xs, weights = rng.normal(size=(T, *batch, n)), rng.normal(size=(T, *batch, d))

    def loss(p):
        W_r, W_z, W_n = np.split(p.W, 3, axis=1)

        def cell(x, h):
            x_r, x_z, x_n = np.split(x @ p.U + p.b, 3, axis=-1)
            r, z = sigmoid(x_r + h @ W_r), sigmoid(x_z + h @ W_z)
            q = r * (h @ W_n + p.b_hn) if reset == "after" else (r * h) @ W_n
            return (1 - z) * np.tanh(x_n + q) + z * h

        return (weights * tr.unroll(cell, xs, state=np.zeros((*batch, d)))[0]).sum()

    trace = gru.forward(params, xs, reset=reset)
    hold_to_autograd(loss, params, gru.backward(trace, weights).gradients)


@pytest.mark.parametrize("by_matrices", [False, True])
@given(size=sizes(), lags=lag_lists)
def test_skip_connections(by_matrices: bool, size, lags) -> None:
    T, n, d, batch, rng = size
    params = random_skip(n, d, rng, lags, by_matrices)
    xs, weights = rng.normal(size=(T, *batch, n)), rng.normal(size=(T, *batch, d))

    def loss(p):
        past = [np.zeros((*batch, d))] * max([1, *lags])
        for x in xs:
            a = x @ p.U + past[-1] @ p.W + p.b
            older = [past[-lag] for lag in lags]
            if by_matrices:
                for j, s in enumerate(older):
                    a = a + s @ p.M[j]
                past.append(np.tanh(a))
            else:
                past.append(sum(older, np.tanh(a)))
        return (weights * np.stack(past[-T:])).sum()

    hold_to_autograd(loss, params, skip.backward(skip.forward(params, xs, lags), weights).gradients)


@given(size=sizes(), d2=st.integers(1, 3))
def test_two_layers_and_two_directions(size, d2: int) -> None:
    T, n, d, batch, rng = size
    xs, targets = rng.normal(size=(T, *batch, n)), rng.normal(size=(T, *batch, 2))
    first, objective = random_hidden(n, d, rng), Objective("mse")
    V, c = rng.normal(size=(d + d2, 2)), rng.normal(size=2)
    zeros, zeros2 = np.zeros((*batch, d)), np.zeros((*batch, d2))

    def loss_of_two_layers(p):
        lower = states(p.lower, xs, zeros, np.tanh)
        upper = states(p.upper, lower, zeros2, np.tanh)
        return total(LOSSES["mse"](upper @ p.V + p.c, targets), objective)

    def loss_of_two_directions(p):
        ahead = states(p.forwards, xs, zeros, np.tanh)
        back = states(p.backwards, xs[::-1], zeros2, np.tanh)[::-1]
        both = np.concatenate([ahead, back], axis=-1)
        return total(LOSSES["mse"](both @ p.V + p.c, targets), objective)

    two = stacked.TwoLayerParams(first, random_hidden(d, d2, rng), V[:d2], c)
    trace = stacked.two_layers_forward(two, xs, targets, objective=objective)
    hold_to_autograd(loss_of_two_layers, two, stacked.two_layers_backward(trace).gradients)
    both = stacked.BidirectionalParams(first, random_hidden(n, d2, rng), V, c)
    trace = stacked.bidirectional_forward(both, xs, targets, objective=objective)
    hold_to_autograd(loss_of_two_directions, both, stacked.bidirectional_backward(trace).gradients)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("additive", [False, True])
@given(size=sizes(), T=st.integers(1, 3))
def test_attention(additive: bool, size, T: int) -> None:
    S, n, d, batch, rng = size
    params = random_attention(n, d, 2, 3, rng, additive)
    xs, ys = rng.normal(size=(S, *batch, n)), rng.normal(size=(T, *batch, 2))
    targets, objective = rng.uniform(size=(T, *batch, 3)), Objective("softmax_cross_entropy")

    def loss(p):
        memory = states(p.encoder, xs, np.zeros((*batch, d)), np.tanh)

        def decoder(y, s):
            if additive:
                scores = (np.tanh(s @ p.score.A + memory @ p.score.B) * p.score.v).sum(axis=-1)
            else:
                scores = (memory * s).sum(axis=-1)
            weights = np.exp(scores) / np.exp(scores).sum(axis=0)
            context = (weights[..., np.newaxis] * memory).sum(axis=0)
            return np.tanh(y @ p.decoder.U + s @ p.decoder.W + context @ p.decoder.C + p.decoder.b)

        ss = tr.unroll(decoder, ys, state=memory[-1])[0]
        return total(LOSSES["softmax_cross_entropy"](ss @ p.decoder.V + p.decoder.c, targets), objective)

    trace = attention.forward(params, xs, ys, targets, objective=objective)
    hold_to_autograd(loss, params, attention.backward(trace).gradients)
