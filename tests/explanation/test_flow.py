"""gradient_flow, saturation, the plots, and the example that shows them."""

from __future__ import annotations

import importlib.util
import pathlib

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.explanation import (
    bptt_terms,
    gradient_flow,
    plot_gradient_flow,
    plot_jacobians,
    plot_saturation,
    plot_terms,
    saturation,
    state_jacobians,
)
from tinygrad_rnn.manual import elman, lstm
from tinygrad_rnn.manual.readout import Objective

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "vanishing_gradients.py"


def example():
    spec = importlib.util.spec_from_file_location("vanishing_gradients", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("factor", "steps", "verdict"),
    [(0.9, 50, "vanishing"), (0.9, 10, "stable"), (0.7, 3, "vanishing"), (1.1, 10, "stable"), (1.9, 2, "exploding")],
)
def test_the_verdict_weighs_the_rate_and_the_length(factor, steps, verdict):
    assert example().power(factor, steps)[1].verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(0.9, "vanishing"), (1.0, "stable"), (1.9, "exploding")])
def test_powers_of_a_number(factor, verdict):
    """The articles' 0.9⁵⁰ = 0.00515 and 1.9⁵⁰ = 8.66e13."""
    derivative, flow = example().power(factor)
    assert derivative == pytest.approx(factor**50, rel=1e-12)
    assert flow.verdict == verdict and flow.rate == pytest.approx(factor)
    assert flow.norms[0] == pytest.approx(factor**50, rel=1e-12)  # steps start with the initial state


def test_norms_are_those_of_the_derivation():
    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 2, rng)
    xs, targets = rng.normal(size=(5, 4, 2)), rng.normal(size=(5, 4, 2))
    p = elman.ElmanParams(*(tr.tensor(a, requires_grad=True) for a in params))
    ys, _ = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), xs, state=np.zeros((4, 3)))
    loss = np.sum((ys @ p.V + p.c - targets) ** 2) / 8
    back = elman.backward(elman.forward(params, xs, targets, objective=Objective("mse")))
    flow = gradient_flow(loss)["h"]
    np.testing.assert_allclose(flow.norms, np.linalg.norm(back.dL_ds.reshape(5, -1), axis=1), rtol=1e-12)
    last = elman.backward(elman.forward(params, xs, targets[-1:], objective=Objective("mse", "last")))
    np.testing.assert_allclose(flow.carried, np.linalg.norm(last.dL_ds.reshape(5, -1), axis=1), rtol=1e-12)


def test_both_components_of_an_lstm_are_followed():
    cell = nn.LSTMCell(2, 3, seed=0, dtype=np.float64)
    xs = np.random.default_rng(0).normal(size=(6, 2))
    ys, _ = tr.unroll(cell, xs)
    flow = gradient_flow(np.sum(ys[-1]))
    params = lstm.LSTMParams(cell.U.data, cell.W.data, cell.b.data)
    ones = np.zeros((6, 3))
    ones[-1] = 1.0
    back = lstm.backward(lstm.forward(params, xs), ones)
    np.testing.assert_allclose(flow["h"].norms, np.linalg.norm(back.dL_dh, axis=1), rtol=1e-12)
    np.testing.assert_allclose(flow["c"].norms, np.linalg.norm(back.dL_dc, axis=1), rtol=1e-12)


def test_a_loss_at_every_step_does_not_hide_a_gradient_that_vanishes():
    w = tr.tensor(0.5, requires_grad=True)
    ys, _ = tr.unroll(lambda x, s: x + w * s, np.ones((30, 1)), state=np.zeros(1))
    flow = gradient_flow(np.sum(ys))["h"]
    assert flow.norms.min() >= 1.0
    assert flow.verdict == "vanishing" and flow.rate == pytest.approx(0.5)


def test_a_state_that_reaches_the_loss_twice_carries_both():
    w = tr.tensor(0.5, requires_grad=True)
    ys, last = tr.unroll(lambda x, s: x + w * s, np.ones((4, 1)), state=np.zeros(1))
    flow = gradient_flow(np.sum(ys) + 2 * np.sum(last))["h"]
    np.testing.assert_allclose(flow.carried, 3 * 0.5 ** np.arange(3, -1, -1))


def test_a_layer_in_reverse_carries_its_gradient_the_other_way():
    w = tr.tensor(0.5, requires_grad=True)
    ys, _ = tr.unroll(lambda x, s: x + w * s, np.ones((30, 1)), state=np.zeros(1), reverse=True)
    flow = gradient_flow(np.sum(ys))["h"]
    assert flow.steps.tolist() == list(range(1, 31))
    np.testing.assert_allclose(flow.carried, 0.5 ** np.arange(30))
    assert flow.verdict == "vanishing" and flow.rate == pytest.approx(0.5)


@pytest.mark.parametrize("stand_in", [tr.checkpoint, tr.compile], ids=["checkpoint", "compiled"])
def test_nodes_that_stand_for_many_are_looked_into_and_left_alone(stand_in):
    def look(cell):
        ys, last = tr.unroll(cell, np.full((6, 2), 0.1), state=np.zeros(2))
        loss = np.sum(ys**2) + np.sum(last)
        found = gradient_flow(loss)["h"].norms, saturation(loss).shares, bptt_terms([np.sum(y) for y in ys], W).terms
        loss.backward()
        return found

    W = tr.tensor(np.array([[0.9, 0.3], [-0.2, 0.8]]), requires_grad=True)
    plain = look(lambda x, h: np.tanh(x + h @ W))
    gradient, W.grad = W.grad, None
    through = look(stand_in(lambda x, h: np.tanh(x + h @ W)))
    np.testing.assert_allclose(through[0], plain[0], rtol=1e-12)
    assert len(through[1]) == len(plain[1]) == 1
    np.testing.assert_allclose(through[2], plain[2], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(W.grad, gradient, rtol=1e-12)


def test_a_gradient_that_is_cut_has_vanished():
    w = tr.tensor(0.5, requires_grad=True)

    def cell(x, s):
        return x + w * s.detach()

    ys, _ = tr.unroll(cell, np.ones((3, 1)), state=np.zeros(1))
    flow = gradient_flow(ys[-1].sum())["h"]
    assert flow.rate == 0.0 and flow.verdict == "vanishing"


def test_a_model_is_called_with_the_data():
    class Model(nn.Module):
        def __init__(self):
            self.cell = nn.GRUCell(2, 3)

        def forward(self, xs):
            with tr.scope(layer=0):
                return np.sum(tr.unroll(self.cell, xs)[0])

    flow = gradient_flow(Model(), (np.ones((4, 2), np.float32),))
    assert [one.name for one in flow.flows] == ["h of layer 0"]
    assert "rate per step" in str(flow) and "verdict are of the part that the last loss term carries" in str(flow)
    with pytest.raises(KeyError, match="h of layer 0"):
        flow["c"]


def test_no_states_no_flow():
    with pytest.raises(ValueError, match=r"tr\.unroll"):
        gradient_flow(tr.tensor(1.0, requires_grad=True) * 2)
    with pytest.raises(TypeError, match="recorded loss"):
        gradient_flow(3.0)


# --- saturation ------------------------------------------------------------------------------------------------------


def test_shares_count_what_is_near_the_limits():
    def cell(x, h):
        f = tr.named("f", tr.sigmoid(x * w))
        h = f * h + tr.relu(x)
        return h

    w = tr.tensor(1.0, requires_grad=True)
    xs = np.array([[0.0, 10.0, -10.0, 1.0], [0.0, 0.0, 10.0, 10.0]])
    found = saturation(np.sum(tr.unroll(cell, xs, state=np.zeros(4))[0]))
    assert found.shares["f"].tolist() == [0.5, 0.5]
    assert set(found.shares) == {"f"}  # relu acts on constants alone


def test_gates_states_and_unnamed_activations_have_rows():
    ys, _ = tr.unroll(nn.LSTMCell(2, 3), np.ones((4, 2), np.float32) * 100)
    found = saturation(np.sum(ys))
    assert set(found.shares) == {"i", "f", "g", "o", "tanh"}
    assert found.shares["g"][-1] > 0.3
    assert "t=4" in str(found)
    ys, _ = tr.unroll(nn.RNNCell(2, 3, "relu"), -100 * np.ones((4, 2), np.float32))
    assert set(saturation(np.sum(ys)).shares) == {"h"}


# --- plots -----------------------------------------------------------------------------------------------------------


def test_plots_draw_into_an_ax_and_return_it(tmp_path):
    figure = pytest.importorskip("matplotlib.figure")
    cell = nn.LSTMCell(2, 3, dtype=np.float64)
    ys, _ = tr.unroll(cell, np.ones((4, 2)))
    loss = np.sum(ys)
    axes = figure.Figure().subplots(2, 2).ravel()
    drawn = [
        plot_terms(bptt_terms([np.sum(y) for y in ys], cell.W), axes[0]),
        plot_jacobians(state_jacobians(loss), ax=axes[1]),
        plot_gradient_flow(gradient_flow(loss), ax=axes[2]),
        plot_saturation(saturation(loss), ax=axes[3]),
    ]
    assert all(ax is given for ax, given in zip(drawn, axes))
    assert [line.get_label()[:3] for line in axes[2].get_lines()] == ["h: ", "c: "]
    assert len(axes[3].get_lines()) == 5
    own = plot_gradient_flow(gradient_flow(loss))
    own.figure.savefig(tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 1000


def test_the_example_prints_the_true_numbers(capsys, monkeypatch):
    module = example()
    monkeypatch.setattr(module, "LENGTHS", (50,))
    module.main()
    printed = capsys.readouterr().out
    assert "0.9^50 = 0.005154; ∂s_50/∂s_0 = 0.005154: vanishing" in printed
    assert "1.9^50 = 8.663e+13; ∂s_50/∂s_0 = 8.663e+13: exploding" in printed
    assert printed.count("T =   50") == 7  # h of Elman, h of two GRUs, h and c of two LSTMs
