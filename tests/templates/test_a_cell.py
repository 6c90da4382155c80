"""A template: copy this test when you add a cell, and put yours in the place of ``LeakyCell``."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn


class LeakyCell(nn.Cell):
    """h' = (1 - a) h + a tanh(x U + h W): each step moves the state by the same share towards its new value.

    Args:
        inputs: n.
        units: d.
        share: a, between 0 and 1.
        seed: an int or a numpy.random.Generator.
        dtype: of the parameters.

    Source: Jaeger, Lukoševičius, Popovici and Siewert, "Optimization and applications of echo state networks with
    leaky-integrator neurons" (2007).
    """

    def __init__(self, inputs, units, share=0.5, *, seed=0, dtype=np.float32):
        self.inputs, self.units, self.share = inputs, units, share
        rng = nn.init.generator(seed)
        self.U = nn.Parameter(nn.init.uniform((inputs, units), rng, units**-0.5, dtype))
        self.W = nn.Parameter(nn.init.uniform((units, units), rng, units**-0.5, dtype))

    def forward(self, x, h):
        h = (1 - self.share) * h + self.share * np.tanh(x @ self.U + h @ self.W)
        return h, h


T, B, N, D = 6, 3, 2, 4


@pytest.fixture
def cell():
    return LeakyCell(N, D, dtype=np.float64)


@pytest.fixture
def xs():
    return np.random.default_rng(0).normal(size=(T, B, N))


def loss_of(cell, xs):
    return np.mean(np.square(tr.unroll(cell, xs)[0]))


def test_its_states_are_those_of_a_naive_loop(cell, xs):
    states, _ = tr.unroll(cell, xs)
    for b in range(B):
        h = np.zeros(D)
        for t in range(T):
            a = [sum(xs[t, b, i] * cell.U.data[i, j] for i in range(N)) for j in range(D)]
            a = [a[j] + sum(h[i] * cell.W.data[i, j] for i in range(D)) for j in range(D)]
            h = np.array([0.5 * h[j] + 0.5 * np.tanh(a[j]) for j in range(D)])
            np.testing.assert_allclose(states.data[t, b], h, atol=1e-14)


def test_every_gradient_agrees_with_finite_differences(cell, xs):
    values = cell.state_dict()

    def loss(*arrays):
        return loss_of(cell.with_values(dict(zip(values, arrays))), xs)

    assert tr.gradcheck(loss, list(values.values()))


def test_its_gradients_are_those_derived_by_hand(cell, xs):
    def by_hand(p):
        h, a = [np.zeros((B, D))], []
        for x in xs:
            a.append(x @ p["U"] + h[-1] @ p["W"])
            h.append(0.5 * h[-1] + 0.5 * np.tanh(a[-1]))
        d_U, d_W, d_h = 0, 0, np.zeros((B, D))
        for t in range(T, 0, -1):
            d_h = d_h + 2 * h[t] / (T * B * D)
            delta = 0.5 * d_h * (1 - np.tanh(a[t - 1]) ** 2)
            d_U, d_W = d_U + xs[t - 1].T @ delta, d_W + h[t - 1].T @ delta
            d_h = 0.5 * d_h + delta @ p["W"].T
        return {"U": d_U, "W": d_W}

    report = tr.compare(loss_of(cell, xs), by_hand, cell, tolerance=1e-10)
    assert report.agrees, report


def test_float32_stays_float32(xs):
    cell = LeakyCell(N, D)
    loss_of(cell, xs.astype(np.float32)).backward()
    assert tr.unroll(cell, xs.astype(np.float32))[0].dtype == cell.W.grad.dtype == np.float32


def test_padding_changes_nothing(cell, xs):
    layer, lengths = nn.Recurrent(cell), [6, 2, 4]
    padded = xs.copy()
    for b, length in enumerate(lengths):
        padded[length:, b] = np.nan
    output, last = layer(padded, lengths=lengths)
    for b, length in enumerate(lengths):
        alone, _ = layer(xs[:length, b : b + 1])
        np.testing.assert_allclose(output.data[:length, b], alone.data[:, 0], atol=1e-14)
        np.testing.assert_allclose(last.data[b], alone.data[-1, 0], atol=1e-14)


def test_compiled_it_learns_the_same(cell, xs):
    loss_of(cell, xs).backward()
    eager = cell.W.grad
    cell.zero_grad()
    loss_of(tr.compile(cell, executor="numpy"), xs).backward()
    np.testing.assert_allclose(cell.W.grad, eager, atol=1e-14)


def test_it_runs_on_scalars(cell, xs):
    """One node for each number: the engine's own second opinion."""
    p = {name: tr.scalars(value, name=name) for name, value in cell.state_dict().items()}
    states, _ = tr.unroll(cell.with_values(p), tr.scalars(xs[:, 0], requires_grad=False), state=np.zeros(D))
    (states**2).sum().backward()
    loss = np.sum(np.square(tr.unroll(cell, xs[:, 0])[0]))
    loss.backward()
    np.testing.assert_allclose(tr.gradients(p["W"]), cell.W.grad, atol=1e-12)


def test_a_wrong_input_is_explained(cell):
    with pytest.raises(ValueError, match=r"LeakyCell\(2, 4\) takes x of shape"):
        tr.unroll(cell, np.zeros((T, B, N + 1)))
