"""Explanations of gradients that overflow or never arrive, and of layers that are not there."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.explanation import gradient_flow, plot_gradient_flow, state_jacobian


def linear(factor: float, steps: int = 5) -> tuple[object, object]:
    W = tr.tensor([[factor]], requires_grad=True, name="W")
    return tr.unroll(lambda x, h: h @ W + x, np.ones((steps, 1)), state=np.zeros(1))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_gradient_that_overflows_explodes_at_no_rate_that_could_be_told() -> None:
    _, last = linear(1e100)
    (flow,) = gradient_flow(np.sum(last)).flows
    assert flow.verdict == "exploding" and flow.rate == np.inf
    assert np.isinf(flow.carried[0]) and flow.carried[-1] == 1.0


def test_a_last_term_that_looks_at_no_state_says_nothing() -> None:
    """Of a loss whose last term is constant in the states, there is no way back to judge."""
    ys, _ = linear(0.5)
    b = tr.tensor(2.0, requires_grad=True, name="b")
    with tr.scope(step=5):
        zero = np.sum(ys[4] * 0.0 * b)
    (flow,) = gradient_flow(zero).flows
    assert (flow.rate, flow.verdict) == (None, "stable")
    assert not flow.carried.any()


def test_a_layer_that_is_not_there_is_said_with_those_that_are() -> None:
    with tr.scope(layer=2):
        ys, _ = linear(0.5)
    with pytest.raises(ValueError, match=r"no layer 7 has a state here; there are \[2\]"):
        state_jacobian(ys, 2, 1, layer=7)
    np.testing.assert_allclose(state_jacobian(ys, 3, 1, layer=2), [[0.25]])


def test_plots_name_the_library_that_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ys, _ = linear(0.5)
    with pytest.raises(ImportError, match=r'pip install .*\[plot\]"'):
        plot_gradient_flow(gradient_flow(np.sum(ys)))
