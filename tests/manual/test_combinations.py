"""Skip connections, truncation, stacks and directions, against complex steps and each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manual.numeric import assert_derivative, assert_gradients
from tests.manual.test_elman import problems
from tests.manual.test_lstm_and_gru import sizes
from tinygrad_rnn.manual import elman, skip, stacked, truncated
from tinygrad_rnn.manual.elman import HiddenParams
from tinygrad_rnn.manual.paths import sum_over_paths
from tinygrad_rnn.manual.readout import Objective

lag_lists = st.lists(st.integers(1, 5), max_size=3)


def random_skip(n, d, rng, lags, by_matrices: bool) -> skip.SkipParams:
    shapes = [(n, d), (d, d), (d,), (len(lags), d, d)][: 4 if by_matrices else 3]
    return skip.SkipParams(*(rng.normal(size=s) for s in shapes))


@pytest.mark.parametrize("f", ["tanh", "sigmoid"])
@pytest.mark.parametrize("by_matrices", [False, True])
@given(size=sizes(), lags=lag_lists)
def test_skip_connections_by_complex_step(by_matrices: bool, f: str, size, lags) -> None:
    T, n, d, batch, rng = size
    params = random_skip(n, d, rng, lags, by_matrices)
    xs, weights = rng.normal(size=(T, *batch, n)), rng.normal(size=(T, *batch, d))
    history = rng.normal(size=(max([1, *lags]), *batch, d))

    def loss(params, xs=xs, history=history):
        return (weights * skip.forward(params, xs, lags, history=history, f=f).s[1:]).sum()

    back = skip.backward(skip.forward(params, xs, lags, history=history, f=f), weights)
    assert_gradients(loss, params, back.gradients)
    assert_derivative(lambda x: loss(params, xs=x), xs, back.dL_dx, "xs")
    assert_derivative(lambda x: loss(params, history=x), history, back.dL_dhistory, "history")
    for name in params._fields:
        if getattr(params, name) is not None:
            steps = getattr(back.contributions, name)
            assert steps.shape == (T, *getattr(params, name).shape)


@given(size=sizes(), lags=st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_the_derivative_of_each_state_gathers_all_connections(size, lags) -> None:
    """∂L/∂s_t, by starting the network anew after step t with s_t as the end of its history."""
    T, n, d, batch, rng = size
    params = random_skip(n, d, rng, lags, by_matrices=True)
    xs, weights = rng.normal(size=(T, *batch, n)), rng.normal(size=(T, *batch, d))
    trace = skip.forward(params, xs, lags)
    back = skip.backward(trace, weights)
    H = max(lags)
    for t in range(1, T + 1):

        def loss(s_t: np.ndarray, t: int = t):
            total = (weights[t - 1] * s_t).sum()
            if t == T:
                return total
            history = np.concatenate([trace.states[t : H - 1 + t], s_t[np.newaxis]])
            rest = skip.forward(params, xs[t:], lags, history=history)
            return total + (weights[t:] * rest.s[1:]).sum()

        assert_derivative(loss, trace.s[t], back.dL_ds[t - 1], f"s[{t}]")


def test_without_lags_a_skip_network_is_an_elman_network() -> None:
    rng = np.random.default_rng(0)
    params = HiddenParams(*(rng.normal(size=s) for s in [(2, 3), (3, 3), (3,)]))
    xs, weights = rng.normal(size=(5, 4, 2)), rng.normal(size=(5, 4, 3))
    ours = skip.forward(skip.SkipParams(*params), xs, lags=[])
    theirs = elman.hidden_forward(params, xs)
    np.testing.assert_array_equal(ours.s, theirs.s)
    np.testing.assert_allclose(
        skip.backward(ours, weights).delta, elman.hidden_backward(theirs, weights).delta, atol=1e-13
    )


def test_a_lag_of_zero_is_refused() -> None:
    params = random_skip(2, 3, np.random.default_rng(0), [0], by_matrices=True)
    with pytest.raises(ValueError, match=r"the lags \(0,\) must be 1 or more"):
        skip.forward(params, np.ones((4, 2)), lags=[0])
    with pytest.raises(ValueError, match=r"one matrix for each lag\) has shape \(1, 3, 3\)"):
        skip.forward(params, np.ones((4, 2)), lags=[2, 3])


@given(problem=problems(), k1=st.integers(1, 6), more=st.integers(0, 6))
def test_truncated_bptt_keeps_exactly_the_terms_it_names(problem, k1: int, more: int) -> None:
    """Held to the table of paths: a term [t, k] stays if k lies in the window that t ends in."""
    params, xs, targets, s0, objective = problem
    trace = elman.forward(params, xs, targets, s0=s0, objective=objective)
    T, k2 = len(xs), k1 + more
    back = truncated.backward(trace, k1, k2)
    terms, full = sum_over_paths(trace).terms, elman.backward(trace).gradients
    for name in ("U", "W", "b"):
        table = getattr(terms, name)
        expected = np.zeros_like(table[0, 0])
        for t in range(1, T + 1):
            end = -(-t // k1) * k1  # the first multiple of k1 that isn't below t
            for k in range(1, t + 1):
                if k > end - k2:
                    expected += table[t - 1, k - 1]
        np.testing.assert_allclose(getattr(back.gradients, name), expected, atol=1e-11)
    for name in ("V", "c"):
        np.testing.assert_array_equal(getattr(back.gradients, name), getattr(full, name))
    assert [t for w in back.windows for t in w.losses] == list(range(1, T + 1))


def test_chunks_agree_with_a_torch_graph_that_is_detached_between_them() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 2, rng)
    xs, targets = rng.normal(size=(7, 4, 2)), rng.normal(size=(7, 4, 2))
    trace = elman.forward(params, xs, targets, objective=Objective("mse"))
    ours = truncated.backward(trace, k1=3, k2=3).gradients

    U, W, V, b, c = (torch.tensor(p, requires_grad=True) for p in params)
    s = torch.zeros(4, 3, dtype=torch.float64)
    for t in range(7):
        s = torch.tanh(torch.tensor(xs[t]) @ U + (s.detach() if t % 3 == 0 else s) @ W + b)
        loss = ((s @ V + c - torch.tensor(targets[t])) ** 2).mean()
        loss.backward(retain_graph=True)
    for gradient, theirs in zip(ours, (U, W, V, b, c), strict=True):
        np.testing.assert_allclose(gradient, theirs.grad, atol=1e-12)


@pytest.mark.parametrize(("k1", "k2"), [(0, 3), (4, 3)])
def test_a_window_that_would_lose_losses_is_refused(k1: int, k2: int) -> None:
    trace = elman.forward(elman.random_params(2, 3, 2, np.random.default_rng(0)), np.ones((4, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match=f"1 <= k1 <= k2; got k1 = {k1}, k2 = {k2}"):
        truncated.backward(trace, k1, k2)


def random_hidden(n: int, d: int, rng: np.random.Generator) -> HiddenParams:
    return HiddenParams(*(rng.normal(size=s) for s in [(n, d), (d, d), (d,)]))


@pytest.mark.parametrize("steps", [None, "last", (2,)])
@given(size=sizes(), d2=st.integers(1, 3))
@pytest.mark.one_in(3)
def test_a_stack_and_two_directions_by_complex_step(steps, size, d2: int) -> None:
    T, n, d, batch, rng = size
    T = T + 1  # so that there is a step 2
    m = T if steps is None else 1
    xs, targets = rng.normal(size=(T, *batch, n)), rng.uniform(size=(m, *batch, 2))
    objective = Objective("binary_cross_entropy", steps=steps)
    first = random_hidden(n, d, rng)
    two_layers = stacked.TwoLayerParams(first, random_hidden(d, d2, rng), rng.normal(size=(d2, 2)), rng.normal(size=2))
    both_ways = stacked.BidirectionalParams(
        first, random_hidden(n, d2, rng), rng.normal(size=(d + d2, 2)), rng.normal(size=2)
    )
    for params, forward, backward in (
        (two_layers, stacked.two_layers_forward, stacked.two_layers_backward),
        (both_ways, stacked.bidirectional_forward, stacked.bidirectional_backward),
    ):

        def loss(params, xs=xs, forward=forward):
            return forward(params, xs, targets, objective=objective).output.loss

        back = backward(forward(params, xs, targets, objective=objective))
        for name in params._fields:
            value, gradient = getattr(params, name), getattr(back.gradients, name)
            if isinstance(value, HiddenParams):

                def of_layer(layer, params=params, name=name, loss=loss):
                    return loss(params._replace(**{name: layer}))

                assert_gradients(of_layer, value, gradient)
            else:

                def of_array(x, params=params, name=name, loss=loss):
                    return loss(params._replace(**{name: x}))

                assert_derivative(of_array, value, gradient, name)
        dL_dx = back.lower.dL_dx if hasattr(back, "lower") else back.dL_dx
        assert_derivative(lambda x, p=params, loss=loss: loss(p, xs=x), xs, dL_dx, "xs")


def test_two_layers_and_two_directions_agree_with_torch() -> None:
    torch = pytest.importorskip("torch")
    T, B, n, d = 5, 3, 4, 2
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(T, B, n))
    first = random_hidden(n, d, rng)
    stack = stacked.TwoLayerParams(first, random_hidden(d, d, rng), np.eye(d), np.zeros(d))
    two = stacked.BidirectionalParams(first, random_hidden(n, d, rng), np.eye(2 * d), np.zeros(2 * d))
    for (suffixes, layers), trace in [
        ((["l0", "l1"], stack[:2]), stacked.two_layers_forward(stack, xs)),
        ((["l0", "l0_reverse"], two[:2]), stacked.bidirectional_forward(two, xs)),
    ]:
        theirs = torch.nn.RNN(n, d, num_layers=1 + ("l1" in suffixes), bidirectional="l1" not in suffixes).double()
        with torch.no_grad():
            for suffix, layer in zip(suffixes, layers, strict=True):
                getattr(theirs, f"weight_ih_{suffix}").copy_(torch.tensor(layer.U.T))
                getattr(theirs, f"weight_hh_{suffix}").copy_(torch.tensor(layer.W.T))
                getattr(theirs, f"bias_ih_{suffix}").copy_(torch.tensor(layer.b))
                getattr(theirs, f"bias_hh_{suffix}").zero_()
        np.testing.assert_allclose(trace.output.states, theirs(torch.tensor(xs))[0].detach(), atol=1e-13)
