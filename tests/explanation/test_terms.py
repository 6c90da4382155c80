"""bptt_terms: every term is that of the sum over paths, and together they are the gradient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.explanation import bptt_terms
from tinygrad_rnn.manual import elman, paths

T, B, n, d, k = 5, 3, 2, 4, 3


def elman_problem(outside_product=False, decay=0.0, seed=0):
    """A random Elman network: its loss terms on Tensors, its parameters, and the same by hand."""
    rng = np.random.default_rng(seed)
    params = elman.random_params(n, d, k, rng)
    xs, targets = rng.normal(size=(T, B, n)), np.eye(k)[rng.integers(k, size=(T, B))]
    p = elman.ElmanParams(*(tr.tensor(a, requires_grad=True, name=name) for name, a in params._asdict().items()))
    if outside_product:
        ys, _ = tr.unroll(lambda xU, s: np.tanh(xU + s @ p.W + p.b), tr.tensor(xs) @ p.U, state=np.zeros((B, d)))
    else:
        ys, _ = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), xs, state=np.zeros((B, d)))
    losses = [nn.cross_entropy(ys[t] @ p.V + p.c, targets[t]) for t in range(T)]
    losses[0] = losses[0] + decay * np.sum(p.W**2)
    return losses, p, elman.forward(params, xs, targets)


@pytest.mark.parametrize("name", ["U", "W", "b"])
def test_the_terms_are_those_of_the_sum_over_paths(name):
    losses, p, trace = elman_problem()
    found = bptt_terms(losses, getattr(p, name))
    np.testing.assert_allclose(found.terms, getattr(paths.sum_over_paths(trace).terms, name), rtol=1e-12, atol=1e-14)
    assert not found.outside.any()
    np.testing.assert_allclose(found.norms, getattr(paths.sum_over_paths(trace).norms, name), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["U", "W", "V", "b", "c"])
def test_the_terms_add_up_to_the_gradient(name):
    losses, p, _ = elman_problem(outside_product=True, decay=0.1)
    found = bptt_terms(losses, getattr(p, name))
    sum(losses).backward()
    np.testing.assert_allclose(found.gradient, getattr(p, name).grad, rtol=1e-12, atol=1e-13)


@given(
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([nn.RNNCell, nn.LSTMCell, nn.GRUCell]),
    st.integers(0, 2**32 - 1),
)
def test_they_do_so_for_any_cell_of_any_size(T, B, d, kind, seed):
    rng = np.random.default_rng(seed)
    cell = kind(2, d, seed=rng, dtype=np.float64)
    ys, _ = tr.unroll(cell, rng.normal(size=(T, B, 2)))
    losses = [np.sum(np.tanh(ys[t]) * rng.normal(size=(B, d))) for t in range(T)]
    found = {name: bptt_terms(losses, p) for name, p in cell.named_parameters()}
    sum(losses).backward()
    for name, p in cell.named_parameters():
        scale = np.abs(found[name].terms).sum() + 1e-300
        np.testing.assert_allclose(found[name].gradient / scale, p.grad / scale, atol=1e-13)
        assert not np.triu(found[name].norms, 1).any()  # no step contributes to the loss of an earlier one


def test_uses_outside_the_steps_stand_in_a_place_of_their_own():
    losses, p, _ = elman_problem(outside_product=True, decay=0.1)
    U = bptt_terms(losses, p.U)
    assert not U.terms.any() and U.outside.any()
    W = bptt_terms(losses, p.W)
    np.testing.assert_allclose(W.outside[0], 0.2 * p.W.data)
    assert not W.outside[1:].any()
    assert "outside the steps" in str(W) and "outside" not in str(bptt_terms(losses, p.b))


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell])
def test_any_cell_has_terms(cell):
    cell = cell(2, 3, seed=1, dtype=np.float64)
    ys, _ = tr.unroll(cell, np.random.default_rng(0).normal(size=(4, 2)))
    losses = {t: np.sum(ys[t - 1] ** 2) for t in (2, 4)}
    found = bptt_terms(losses, cell.W)
    assert list(found.rows) == [2, 4] and found.terms.shape == (2, 4, *cell.W.shape)
    assert not found.terms[0, 2:].any()
    sum(losses.values()).backward()
    np.testing.assert_allclose(found.gradient, cell.W.grad, rtol=1e-12, atol=1e-14)


def test_norms_alone_take_less_room():
    losses, p, _ = elman_problem()
    found = bptt_terms(losses, p.W, reduce=np.linalg.norm)
    assert found.terms.shape == (T, T)
    np.testing.assert_allclose(found.terms, bptt_terms(losses, p.W).norms)


def test_looking_does_not_touch():
    losses, p, _ = elman_problem()
    bptt_terms(losses, p.W)
    assert p.W.grad is None
    sum(losses).backward(keep=False)
    with pytest.raises(RuntimeError, match="explain"):
        bptt_terms(losses, p.W)


def test_a_term_that_does_not_depend_on_anything_has_zeros():
    losses, p, _ = elman_problem()
    found = bptt_terms([tr.tensor(1.0), losses[1]], p.W)
    assert not found.terms[0].any() and found.terms[1].any()


def test_what_is_no_loss_term_is_refused():
    losses, p, _ = elman_problem()
    with pytest.raises(TypeError, match="list of Tensors"):
        bptt_terms([1.0], p.W)
    with pytest.raises(TypeError, match="leaf"):
        bptt_terms(losses, p.W * 2)


def test_a_whole_loss_is_a_term_by_itself():
    W = tr.tensor([[0.5]], requires_grad=True, name="W")
    ys, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((3, 1)), state=np.ones(1))
    whole = tr.explanation.bptt_terms(np.sum(ys), W)
    each = tr.explanation.bptt_terms([np.sum(y) for y in ys], W)
    np.testing.assert_allclose(whole.terms.sum(axis=0), each.terms.sum(axis=0))
    assert len(whole.terms) == 1
