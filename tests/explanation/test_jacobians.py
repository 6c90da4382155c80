"""∂s_t/∂s_k: against formulas, against autograd the long way, and its bounds."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.explanation import spectral_radius, state_jacobian, state_jacobians
from tinygrad_rnn.manual import elman, paths


def run(cell, T=6, B=None, n=2, differentiable_start=False):
    xs = np.random.default_rng(3).normal(size=(T, n) if B is None else (T, B, n))
    state = None
    if differentiable_start:
        start = cell.initial_state(xs[0])
        state = tr.autodiff.trees.tree_map(lambda a: tr.tensor(a, requires_grad=True), start)
    return tr.unroll(cell, xs, state)[0], xs


def test_the_jacobians_of_an_elman_network_are_the_formulas():
    cell = nn.RNNCell(2, 3, seed=0, dtype=np.float64)
    ys, xs = run(cell, B=4)
    params = elman.ElmanParams(cell.U.data, cell.W.data, np.zeros((3, 1)), cell.b.data, np.zeros(1))
    chains = paths.sum_over_paths(elman.forward(params, xs, np.zeros((6, 4, 1)))).chains
    for t in range(1, 7):
        for k in range(1, t + 1):
            np.testing.assert_allclose(state_jacobian(ys, t, k), chains[t - 1, k - 1], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_the_product_of_the_steps_is_the_derivative_of_the_whole_way(kind):
    """From the initial state to the last, for all components at once: by vjp of a function that runs all steps."""
    cell = kind(2, 3, seed=0, dtype=np.float64)
    _, xs = run(cell, differentiable_start=True)
    start = cell.initial_state(xs[0])
    sizes = [np.size(a) for a in tr.autodiff.trees.leaves(start)]

    def last_state(flat):
        parts = iter(np.split(flat, np.cumsum(sizes)[:-1]))
        state = tr.autodiff.trees.unflatten(start, parts)
        return np.concatenate(list(tr.autodiff.trees.leaves(tr.unroll(cell, xs, state)[1])))

    value, pull_back = tr.vjp(last_state, np.zeros(sum(sizes)))
    rows = [pull_back(unit)[0].numpy() for unit in np.eye(len(value))]
    _, state = tr.unroll(cell, xs, tr.autodiff.trees.tree_map(lambda a: tr.tensor(a, requires_grad=True), start))
    root = np.concatenate(list(tr.autodiff.trees.leaves(state)))
    np.testing.assert_allclose(state_jacobian(root, 6, 0), rows, rtol=1e-12, atol=1e-15)


def test_the_triangle_holds_the_norms_and_their_bound():
    cell = nn.GRUCell(2, 3, seed=0, dtype=np.float64)
    ys, _ = run(cell, B=2)
    found = state_jacobians(ys)
    assert list(found.order) == [1, 2, 3, 4, 5, 6] and found.spectral.shape == (6, 6)
    for t in range(1, 7):
        for k in range(1, t + 1):
            J = state_jacobian(ys, t, k)
            assert found.spectral[t - 1, k - 1] == pytest.approx(max(np.linalg.svd(J)[1][:, 0]))
            assert found.frobenius[t - 1, k - 1] == pytest.approx(max(np.sqrt((J**2).sum(axis=(1, 2)))))
    assert np.all(found.spectral <= found.bound * (1 + 1e-12))
    assert not np.triu(found.spectral, 1).any()
    assert "t=6" in str(found) and "k=1" in found.table("bound").text()


def test_the_triangle_starts_at_the_initial_state_if_that_requires_a_gradient():
    ys, _ = run(nn.RNNCell(2, 3, seed=0, dtype=np.float64), differentiable_start=True)
    assert state_jacobians(ys).order[0] == 0
    assert state_jacobians(ys).spectral.shape == (7, 7)


def test_a_linear_network_has_the_powers_of_its_matrix():
    W = tr.tensor(np.array([[0.5, 0.3], [-0.2, 0.8]]), requires_grad=True)
    _, h = tr.unroll(lambda x, h: x + h @ W, np.ones((9, 2)), state=np.zeros(2))
    np.testing.assert_allclose(state_jacobian(h, 9, 2), np.linalg.matrix_power(W.data.T, 7), rtol=1e-12)
    assert spectral_radius(W) == pytest.approx(max(abs(np.linalg.eigvals(W.data))))


def test_layers_are_told_apart_by_their_scope():
    first, second = nn.RNNCell(2, 3, seed=0, dtype=np.float64), nn.RNNCell(3, 2, seed=1, dtype=np.float64)
    with tr.scope(layer=0):
        ys, _ = tr.unroll(first, np.ones((4, 2)))
    with tr.scope(layer=1):
        zs, _ = tr.unroll(second, ys)
    assert state_jacobian(zs, 4, 1, layer=0).shape == (3, 3)
    assert state_jacobian(zs, 4, 1, layer=1).shape == (2, 2)
    with pytest.raises(ValueError, match="several layers"):
        state_jacobian(zs, 4, 1)


def test_what_is_not_there_is_said():
    ys, _ = run(nn.RNNCell(2, 3, dtype=np.float64))
    with pytest.raises(ValueError, match="initial state that requires one"):
        state_jacobian(ys, 2, 0)
    with pytest.raises(ValueError, match="the steps go from 1 to 6"):
        state_jacobian(ys, 7, 2)
    with pytest.raises(ValueError, match="later state"):
        state_jacobian(ys, 2, 3)
    with pytest.raises(ValueError, match="no states here"):
        state_jacobian(tr.tensor(1.0, requires_grad=True) * 2, 1, 1)
    with pytest.raises(ValueError, match="no state of step 1 leads to a gradient"):
        w = tr.tensor(2.0, requires_grad=True)
        state_jacobians(tr.unroll(lambda x, h: (w * x + h, w * h), np.ones((1, 2)), np.ones(2))[0])
    with pytest.raises(ValueError, match="square"):
        spectral_radius(np.ones((2, 8)))


def test_a_layer_in_reverse_depends_on_the_steps_after_it():
    W = tr.tensor(np.array([[0.5, 0.3], [-0.2, 0.8]]), requires_grad=True)
    ys, _ = tr.unroll(lambda x, h: x + h @ W, np.ones((5, 2)), state=np.zeros(2), reverse=True)
    np.testing.assert_allclose(state_jacobian(ys, 1, 4), np.linalg.matrix_power(W.data.T, 3), rtol=1e-12)
    found = state_jacobians(ys)
    assert list(found.order) == [5, 4, 3, 2, 1]
    assert found.spectral[4, 0] == pytest.approx(np.linalg.norm(np.linalg.matrix_power(W.data.T, 4), 2))
    with pytest.raises(ValueError, match="later state"):
        state_jacobian(ys, 4, 1)


@pytest.mark.parametrize("stand_in", [tr.checkpoint, tr.compile], ids=["checkpoint", "compiled"])
def test_a_node_that_stands_for_many_is_looked_into(stand_in):
    W = tr.tensor(np.array([[0.5, 0.3], [-0.2, 0.8]]), requires_grad=True)
    cell = stand_in(lambda x, h: np.tanh(x + h @ W))
    ys, _ = tr.unroll(cell, np.ones((4, 2)), state=np.zeros(2))
    plain, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((4, 2)), state=np.zeros(2))
    np.testing.assert_allclose(state_jacobian(ys, 4, 1), state_jacobian(plain, 4, 1), rtol=1e-12)
