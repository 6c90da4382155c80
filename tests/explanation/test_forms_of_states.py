"""States of any form and loops inside loops: gradient flow and Jacobians against independent derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.explanation import bptt_terms, gradient_flow, saturation, state_jacobian, state_jacobians
from tinygrad_rnn.nn.through_time import by_step, collected


def differences(f, parts, eps=1e-6):
    """The Jacobian of a function of a list of arrays that gives a list of arrays, all numbers side by side."""
    sizes = np.cumsum([p.size for p in parts])[:-1]
    flat = np.concatenate([np.ravel(p) for p in parts])

    def run(v):
        given = [a.reshape(p.shape) for a, p in zip(np.split(v, sizes), parts)]
        return np.concatenate([np.ravel(np.asarray(a)) for a in f(given)])

    return np.stack([(run(flat + eps * e) - run(flat - eps * e)) / (2 * eps) for e in np.eye(flat.size)], axis=1)


# --- states of any form ----------------------------------------------------------------------------------------------


def test_a_state_that_is_one_number():
    w = tr.tensor(0.5, requires_grad=True)
    s = tr.unroll(lambda _, s: w * s, None, state=np.array(1.0), steps=3)[1]
    np.testing.assert_allclose(state_jacobian(s, 3, 1), [[0.25]])
    found = state_jacobians(s)
    np.testing.assert_allclose(found.spectral, [[1, 0, 0], [0.5, 1, 0], [0.25, 0.5, 1]])
    np.testing.assert_allclose(found.spectral, found.bound)
    assert "t=3" in str(found)


FORMS = {
    "vector and number": ((3,), ()),
    "vector and matrix": ((3,), (3, 3)),
    "matrix and number": ((2, 3), ()),
    "numbers": ((), ()),
    "three axes and one": ((2, 2, 2), (2,)),
}


@pytest.mark.parametrize("form", FORMS)
def test_parts_with_different_numbers_of_axes_are_one_long_vector(form):
    rng = np.random.default_rng(1)
    shapes = FORMS[form]
    start = [rng.normal(size=shape) / 2 for shape in shapes]
    mix = [rng.normal(size=shape) for shape in shapes]
    w = tr.tensor(0.7, requires_grad=True)

    def step(parts, w):
        total = sum(np.sum(a * m) for a, m in zip(parts, mix))  # everything meets everything
        return [np.tanh(w * a + total * m) for a, m in zip(parts, mix)]

    def cell(_, state):
        return np.zeros(1), tuple(step(state, w))

    _, state = tr.unroll(cell, None, tuple(tr.tensor(a, requires_grad=True) for a in start), steps=2)
    expected = differences(lambda parts: step(step(parts, 0.7), 0.7), start)
    root = sum(np.sum(part) for part in state)
    np.testing.assert_allclose(state_jacobian(root, 2, 0), expected, rtol=1e-6, atol=1e-8)
    found = state_jacobians(root)
    assert found.spectral[2, 0] == pytest.approx(np.linalg.norm(expected, 2), rel=1e-6)
    assert found.frobenius[2, 0] == pytest.approx(np.linalg.norm(expected), rel=1e-6)


def test_a_batch_of_parts_with_different_numbers_of_axes_has_a_jacobian_for_each_instance():
    rng = np.random.default_rng(2)
    W = tr.tensor(rng.normal(size=(2, 2)) / 2, requires_grad=True)
    starts = rng.normal(size=(5, 2)), rng.normal(size=5)

    def step(h, n, W):
        return np.tanh(h @ W + n[..., None]), n * 0.5 + np.sum(h * h, axis=-1)

    def cell(_, state):
        return np.zeros(1), step(*state, W)

    _, (h, n) = tr.unroll(cell, None, tuple(tr.tensor(a, requires_grad=True) for a in starts), steps=3)
    found = state_jacobian(np.sum(h) + np.sum(n), 3, 2)
    assert found.shape == (5, 3, 3)
    for b in range(5):
        before = [np.array(starts[0][b]), np.array(starts[1][b])]
        for _ in range(2):
            before = [np.asarray(a) for a in step(*before, W.data)]
        np.testing.assert_allclose(found[b], differences(lambda p: step(*p, W.data), before), rtol=1e-6, atol=1e-8)


def test_rows_that_depend_on_each_other_are_no_instances():
    """A matrix as the state, and a batch whose mean is taken out: per row, the numbers would be sums over rows."""
    rng = np.random.default_rng(3)
    A, S = rng.normal(size=(3, 3)) / 2, rng.normal(size=(3, 2))
    w = tr.tensor(A, requires_grad=True)
    _, s = tr.unroll(lambda _, s: np.tanh(w @ s), None, tr.tensor(S, requires_grad=True), steps=2)
    f = lambda p: [np.tanh(A @ np.tanh(A @ p[0]))]  # noqa: E731
    np.testing.assert_allclose(state_jacobian(s, 2, 0), differences(f, [S]), rtol=1e-6, atol=1e-8)
    k = tr.tensor(1.5, requires_grad=True)
    _, s = tr.unroll(lambda _, s: k * (s - np.mean(s, axis=0)), None, tr.tensor(S, requires_grad=True), steps=1)
    f = lambda p: [1.5 * (p[0] - np.mean(p[0], axis=0))]  # noqa: E731
    np.testing.assert_allclose(state_jacobian(s, 1, 0), differences(f, [S]), rtol=1e-6, atol=1e-8)


# --- a last state that isn't behind the loss ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True}])
def test_the_flow_of_a_padded_batch_is_that_of_its_sequences(kind, options):
    """The loss of one sequence of a padded batch has the gradients that it has without the batch."""
    layer = kind(3, 4, seed=0, dtype=np.float64, **options)
    xs = np.random.default_rng(0).normal(size=(5, 2, 3))
    ys, _ = layer(xs, lengths=[5, 3])
    assert "t=5" in str(gradient_flow(np.sum(ys**2)))
    for b, length in ((0, 5), (1, 3)):
        padded = gradient_flow(np.sum(ys[:, b] ** 2))
        alone = gradient_flow(np.sum(layer(xs[:length, b : b + 1])[0] ** 2))
        assert [flow.name for flow in padded.flows] == [flow.name for flow in alone.flows]
        for flow in alone.flows:
            there = dict(zip(padded[flow.name].steps.tolist(), padded[flow.name].norms.tolist()))
            for step, norm in zip(flow.steps.tolist(), flow.norms.tolist()):
                if (flow.name[0], step) != ("c", 1 if "reverse" in flow.name else 5):  # the last c is read by h alone
                    assert there[step] == pytest.approx(norm, rel=1e-10), (flow.name, step)


def test_a_cell_that_gives_its_old_state_has_a_flow_up_to_the_one_before():
    w = tr.tensor(0.9, requires_grad=True)
    ys, _ = tr.unroll(lambda _, s: (1.0 * s, w * s), None, state=np.ones(1), steps=5)
    flow = gradient_flow(np.sum(ys[-1]))["h"]
    assert flow.steps.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(flow.norms, 0.9 ** np.arange(3.0, -1, -1))
    np.testing.assert_allclose(flow.carried, flow.norms)
    assert flow.rate == pytest.approx(0.9)
    every = gradient_flow(np.sum(ys))["h"]
    np.testing.assert_allclose(every.carried, flow.norms)  # the last loss term alone


def test_the_last_loss_term_of_a_layer_that_runs_in_reverse_is_the_first():
    w = tr.tensor(0.9, requires_grad=True)
    ys, _ = tr.unroll(lambda x, s: (s + x, w * s), np.ones((5, 1)), state=np.ones(1), reverse=True)
    flow = gradient_flow(np.sum(ys))["h"]
    assert flow.steps.tolist() == [2, 3, 4, 5]
    np.testing.assert_allclose(flow.carried, 0.9 ** np.arange(4.0))


# --- a loop inside a step -------------------------------------------------------------------------------------------


def nested(scoped):
    w = tr.tensor(0.8, requires_grad=True, name="w")

    def sentence(words, h):
        if scoped:
            with tr.scope(layer="words"):
                return tr.unroll(lambda x, s: np.tanh(w * s + x), words, state=h)[1]
        return tr.unroll(lambda x, s: np.tanh(w * s + x), words, state=h)[1]

    text = np.random.default_rng(0).normal(size=(3, 4, 2)) / 3
    ys, h = tr.unroll(sentence, text, state=np.zeros(2))
    flat, last = tr.unroll(lambda x, s: np.tanh(w * s + x), text.reshape(12, 2), state=np.zeros(2))
    return w, ys, h, flat, last


@pytest.mark.parametrize("scoped", [False, True])
def test_a_loop_inside_a_step_has_a_flow_of_its_own(scoped):
    """Three sentences of four words are twelve words: the states are the same, and so are their gradients."""
    _, ys, _, flat, _ = nested(scoped)
    flow = gradient_flow(np.sum(ys**2))
    words = gradient_flow(np.sum(flat[3::4] ** 2))["h"]
    norms = dict(zip(words.steps.tolist(), words.norms.tolist()))
    inner = "words" if scoped else "loop"
    assert [f.name for f in flow.flows] == ["h", *(f"h of layer {inner} in step {k}" for k in (1, 2, 3))]
    np.testing.assert_allclose(flow["h"].norms, [norms[4], norms[8], norms[12]])
    for k in (1, 2, 3):
        own = flow[f"h of layer {inner} in step {k}"]
        expected = {t: norms.get(4 * (k - 1) + t) for t in own.steps.tolist()}
        np.testing.assert_allclose(own.norms, list(expected.values()))
    assert f"{inner} in step 2" in str(flow)


@pytest.mark.parametrize("scoped", [False, True])
def test_jacobians_of_outer_and_inner_loops(scoped):
    _, _, h, _, last = nested(scoped)
    inner = "words" if scoped else "loop"
    with pytest.raises(ValueError, match="there are several layers"):
        state_jacobian(h, 3, 1)
    np.testing.assert_allclose(
        state_jacobian(h, 4, 2, layer=f"{inner} in step 3"), state_jacobian(last, 12, 10), rtol=1e-12
    )
    assert state_jacobians(h, layer=f"{inner} in step 2").spectral.shape[0] >= 4


def test_terms_of_a_loop_inside_a_step_belong_to_the_outer_step():
    w, ys, _, flat, _ = nested(True)
    found = bptt_terms([np.sum(y) for y in ys], w)
    words = bptt_terms({t: np.sum(flat[t - 1]) for t in (4, 8, 12)}, w)
    assert found.terms.shape == (3, 3)
    np.testing.assert_allclose(found.terms, words.terms.reshape(3, 3, 4).sum(axis=2))


def test_saturation_of_an_inner_loop_longer_than_the_outer():
    _, ys, *_ = nested(True)
    found = saturation(ys.sum())
    assert set(found.shares) == {f"h of layer words in step {k}" for k in (1, 2, 3)}
    assert all(share.shape == (4,) for share in found.shares.values())
    assert "t=4" in str(found)


def test_pictures_keep_the_loops_apart():
    picture = tr.draw(np.sum(nested(True)[1]), gradients=True)
    assert [lane.title for lane in picture.graph.lanes if lane.is_cell] == [f"words in step {k}" for k in (1, 2, 3)]
    assert len(picture.graph.roots) == 1 and picture.html


def test_states_that_are_asked_for_are_those_of_the_layers_own_loop():
    class Inner(nn.Module):
        inputs, units = 2, 2

        def forward(self, x, h):
            _, h = tr.unroll(lambda _, s: np.tanh(s * 0.5 + x), None, state=h, steps=2)
            return h, h

        def initial_state(self, x):
            return np.zeros(2, np.float32)

    with collected() as found:
        tr.unroll(Inner(), np.ones((4, 2), np.float32))
    assert list(by_step(found, 4)) == ["h"]
    np.testing.assert_array_equal(by_step(found, 4)["h"], tr.unroll(Inner(), np.ones((4, 2), np.float32))[0])
