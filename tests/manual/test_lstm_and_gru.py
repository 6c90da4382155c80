"""LSTM and GRU: every gradient and every gate's derivative, against complex steps and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manual.numeric import assert_derivative, assert_gradients
from tinygrad_rnn.manual import gru, lstm


@st.composite
def sizes(draw: st.DrawFn):
    """T, n, d, the shape of a batch, and a source of random numbers."""
    T, n, d = (draw(st.integers(1, size)) for size in (4, 3, 3))
    batch = draw(st.sampled_from([(), (1,), (3,)]))
    return T, n, d, batch, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def random_lstm(n: int, d: int, rng: np.random.Generator, peepholes: bool) -> lstm.LSTMParams:
    shapes = [(n, 4 * d), (d, 4 * d), (4 * d,), (3, d)][: 4 if peepholes else 3]
    return lstm.LSTMParams(*(rng.normal(size=s) for s in shapes))


def random_gru(n: int, d: int, rng: np.random.Generator, b_hn: bool) -> gru.GRUParams:
    shapes = [(n, 3 * d), (d, 3 * d), (3 * d,), (d,)][: 4 if b_hn else 3]
    return gru.GRUParams(*(rng.normal(size=s) for s in shapes))


@pytest.mark.parametrize("peepholes", [False, True])
@given(size=sizes())
def test_lstm_by_complex_step(peepholes: bool, size) -> None:
    T, n, d, batch, rng = size
    params = random_lstm(n, d, rng, peepholes)
    xs, h0, c0 = (rng.normal(size=s) for s in [(T, *batch, n), (*batch, d), (*batch, d)])
    weights, final = rng.normal(size=(T, *batch, d)), rng.normal(size=(*batch, d))

    def loss(params, xs=xs, h0=h0, c0=c0):
        trace = lstm.forward(params, xs, h0, c0)
        return (weights * trace.h[1:]).sum() + (final * trace.c[-1]).sum()

    back = lstm.backward(lstm.forward(params, xs, h0, c0), weights, final)
    assert_gradients(loss, params, back.gradients)
    assert_derivative(lambda x: loss(params, xs=x), xs, back.dL_dx, "xs")
    assert_derivative(lambda x: loss(params, h0=x), h0, back.dL_dh0, "h0")
    assert_derivative(lambda x: loss(params, c0=x), c0, back.dL_dc0, "c0")


@pytest.mark.parametrize(("reset", "b_hn"), [("after", True), ("after", False), ("before", False)])
@given(size=sizes())
def test_gru_by_complex_step(reset: gru.Reset, b_hn: bool, size) -> None:
    T, n, d, batch, rng = size
    params = random_gru(n, d, rng, b_hn)
    xs, h0 = rng.normal(size=(T, *batch, n)), rng.normal(size=(*batch, d))
    weights = rng.normal(size=(T, *batch, d))

    def loss(params, xs=xs, h0=h0):
        return (weights * gru.forward(params, xs, h0, reset=reset).h[1:]).sum()

    back = gru.backward(gru.forward(params, xs, h0, reset=reset), weights)
    assert_gradients(loss, params, back.gradients)
    assert_derivative(lambda x: loss(params, xs=x), xs, back.dL_dx, "xs")
    assert_derivative(lambda x: loss(params, h0=x), h0, back.dL_dh0, "h0")


def step_lstm(trace: lstm.LSTMTrace, t: int, weights: np.ndarray, **changed: np.ndarray):
    """The loss from step t on when gates or states of step t are replaced (no peepholes)."""
    gate = {name: changed.get(name, getattr(trace, name)[t - 1]) for name in "ifgo"}
    c = changed.get("c", gate["f"] * trace.c[t - 1] + gate["i"] * gate["g"])
    h = changed.get("h", gate["o"] * np.tanh(c))
    loss = (weights[t - 1] * h).sum()
    if t < len(trace.xs):
        rest = lstm.forward(trace.params, trace.xs[t:], h, c)
        loss = loss + (weights[t:] * rest.h[1:]).sum()
    return loss


@given(size=sizes())
def test_the_derivatives_of_lstm_gates_and_states_are_what_their_names_say(size) -> None:
    T, n, d, batch, rng = size
    trace = lstm.forward(random_lstm(n, d, rng, False), rng.normal(size=(T, *batch, n)))
    weights = rng.normal(size=(T, *batch, d))
    back = lstm.backward(trace, weights)
    for t in range(1, T + 1):
        for name in "ifgoch":
            value = getattr(trace, name)[t if name in "ch" else t - 1]

            def loss(x: np.ndarray, name: str = name, t: int = t):
                return step_lstm(trace, t, weights, **{name: x})

            assert_derivative(loss, value, getattr(back, f"dL_d{name}")[t - 1], f"{name}[{t}]")


def step_gru(trace: gru.GRUTrace, t: int, weights: np.ndarray, **changed: np.ndarray):
    """The loss from step t on when gates or the state of step t are replaced."""
    d = trace.h.shape[-1]
    params, before = trace.params, trace.h[t - 1]
    z = changed.get("z", trace.z[t - 1])
    n = trace.n[t - 1]
    if "r" in changed:
        at_input = trace.xs[t - 1] @ params.U[:, 2 * d :] + params.b[2 * d :]
        W_n = params.W[:, 2 * d :]
        if trace.reset == "after":
            n = np.tanh(at_input + changed["r"] * (before @ W_n + params.b_hn))
        else:
            n = np.tanh(at_input + (changed["r"] * before) @ W_n)
    n = changed.get("n", n)
    h = changed.get("h", (1 - z) * n + z * before)
    loss = (weights[t - 1] * h).sum()
    if t < len(trace.xs):
        rest = gru.forward(params, trace.xs[t:], h, reset=trace.reset)
        loss = loss + (weights[t:] * rest.h[1:]).sum()
    return loss


@pytest.mark.parametrize("reset", ["after", "before"])
@given(size=sizes())
def test_the_derivatives_of_gru_gates_and_states_are_what_their_names_say(reset: gru.Reset, size) -> None:
    T, n, d, batch, rng = size
    params = random_gru(n, d, rng, reset == "after")
    trace = gru.forward(params, rng.normal(size=(T, *batch, n)), reset=reset)
    weights = rng.normal(size=(T, *batch, d))
    back = gru.backward(trace, weights)
    for t in range(1, T + 1):
        for name in "rznh":
            value = getattr(trace, name)[t if name == "h" else t - 1]

            def loss(x: np.ndarray, name: str = name, t: int = t):
                return step_gru(trace, t, weights, **{name: x})

            assert_derivative(loss, value, getattr(back, f"dL_d{name}")[t - 1], f"{name}[{t}]")


def test_lstm_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    T, B, n, d = 5, 3, 4, 2
    rng = np.random.default_rng(0)
    params = random_lstm(n, d, rng, peepholes=False)
    xs, h0, c0, weights = (rng.normal(size=s) for s in [(T, B, n), (B, d), (B, d), (T, B, d)])
    trace = lstm.forward(params, xs, h0, c0)
    back = lstm.backward(trace, weights)

    theirs = torch.nn.LSTM(n, d, dtype=torch.float64)
    copy_weights(torch, theirs, params)
    hs, (_, c_T) = theirs(torch.tensor(xs), (torch.tensor(h0)[None], torch.tensor(c0)[None]))
    (hs * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(trace.h[1:], hs.detach(), atol=1e-13)
    np.testing.assert_allclose(trace.c[-1], c_T[0].detach(), atol=1e-13)
    np.testing.assert_allclose(back.gradients.U, theirs.weight_ih_l0.grad.T, atol=1e-12)
    np.testing.assert_allclose(back.gradients.W, theirs.weight_hh_l0.grad.T, atol=1e-12)
    np.testing.assert_allclose(back.gradients.b, theirs.bias_ih_l0.grad, atol=1e-12)


def test_gru_with_reset_after_the_product_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    T, B, n, d = 5, 3, 4, 2
    rng = np.random.default_rng(0)
    params = random_gru(n, d, rng, b_hn=True)
    xs, h0, weights = (rng.normal(size=s) for s in [(T, B, n), (B, d), (T, B, d)])
    trace = gru.forward(params, xs, h0)
    back = gru.backward(trace, weights)

    theirs = torch.nn.GRU(n, d, dtype=torch.float64)
    copy_weights(torch, theirs, params)
    with torch.no_grad():
        theirs.bias_hh_l0[2 * d :] = torch.tensor(params.b_hn)
    hs, _ = theirs(torch.tensor(xs), torch.tensor(h0)[None])
    (hs * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(trace.h[1:], hs.detach(), atol=1e-13)
    np.testing.assert_allclose(back.gradients.U, theirs.weight_ih_l0.grad.T, atol=1e-12)
    np.testing.assert_allclose(back.gradients.W, theirs.weight_hh_l0.grad.T, atol=1e-12)
    np.testing.assert_allclose(back.gradients.b, theirs.bias_ih_l0.grad, atol=1e-12)
    np.testing.assert_allclose(back.gradients.b_hn, theirs.bias_hh_l0.grad[2 * d :], atol=1e-12)


def copy_weights(torch, module, params) -> None:
    """PyTorch's layout is the transpose of ours, with a second bias that we don't need."""
    with torch.no_grad():
        module.weight_ih_l0.copy_(torch.tensor(params.U.T))
        module.weight_hh_l0.copy_(torch.tensor(params.W.T))
        module.bias_ih_l0.copy_(torch.tensor(params.b))
        module.bias_hh_l0.zero_()


def test_zero_peepholes_are_no_peepholes() -> None:
    rng = np.random.default_rng(0)
    without = random_lstm(2, 3, rng, peepholes=False)
    xs = rng.normal(size=(4, 2))
    with_zeros = without._replace(P=np.zeros((3, 3)))
    one, other = (lstm.backward(lstm.forward(p, xs), np.ones((4, 3))) for p in (without, with_zeros))
    for name in ("U", "W", "b"):
        np.testing.assert_array_equal(getattr(one.gradients, name), getattr(other.gradients, name))
    assert one.gradients.P is None
    assert other.gradients.P.any()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_contributions_have_a_row_for_each_step_and_float32_stays(cell: str) -> None:
    rng = np.random.default_rng(0)
    module, params = (lstm, random_lstm(2, 3, rng, True)) if cell == "lstm" else (gru, random_gru(2, 3, rng, True))
    params = type(params)(*(p.astype(np.float32) for p in params))
    xs = rng.normal(size=(4, 5, 2)).astype(np.float32)
    back = module.backward(module.forward(params, xs), np.ones((4, 5, 3), np.float32))
    for name in params._fields:
        steps = getattr(back.contributions, name)
        assert steps.dtype == np.float32
        assert steps.shape == (4, *getattr(params, name).shape)
        np.testing.assert_array_equal(steps.sum(axis=0), getattr(back.gradients, name))


def test_what_does_not_fit_is_refused_with_a_sentence() -> None:
    rng = np.random.default_rng(0)
    xs = np.ones((4, 2))
    lstm_params, gru_params = random_lstm(2, 3, rng, True), random_gru(2, 3, rng, True)
    with pytest.raises(ValueError, match=r"peepholes of i, f, o as rows\) has shape \(2, 3\)"):
        lstm.forward(lstm_params._replace(P=np.ones((2, 3))), xs)
    with pytest.raises(ValueError, match=r"dLt_dh has shape \(3, 3\); expected \(4, 3\)"):
        lstm.backward(lstm.forward(lstm_params, xs), np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"initial cell state c0 has shape \(4,\)"):
        lstm.forward(lstm_params, xs, c0=np.ones(4))
    with pytest.raises(ValueError, match="with reset='before' there is none"):
        gru.forward(gru_params, xs, reset="before")
    with pytest.raises(ValueError, match="not 'never'"):
        gru.forward(gru_params, xs, reset="never")
    with pytest.raises(ValueError, match=r"gates r, z, n side by side\) has shape \(2, 8\)"):
        gru.forward(gru_params._replace(U=np.ones((2, 8))), xs)
