"""The gradient of any intermediate value: retain_grad(), explanation.gradients; plain numbers where none is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.explanation import gradient_flow, gradients
from tinygrad_rnn.manual import elman, lstm
from tinygrad_rnn.manual.readout import Objective


def test_a_result_that_asked_gets_its_gradient():
    w = tr.tensor([[0.5, -1.0], [2.0, 0.3]], requires_grad=True)
    a = w @ w
    h = np.tanh(a)
    unasked = h * 2
    h.retain_grad()
    a.retain_grad()
    w.retain_grad()  # a leaf has one anyhow
    np.sum(unasked).backward()
    np.testing.assert_allclose(h.grad, np.full((2, 2), 2.0))
    np.testing.assert_allclose(a.grad, 2 * (1 - np.tanh(a.data) ** 2))
    assert type(h.grad) is np.ndarray
    with pytest.warns(UserWarning, match="retain_grad"):
        assert unasked.grad is None
    np.testing.assert_allclose(w.grad, a.grad @ w.data.T + w.data.T @ a.grad)


def test_retained_gradients_add_up_and_can_be_differentiated():
    w = tr.tensor([1.0, 2.0], requires_grad=True)
    h = w * w
    h.retain_grad()
    loss = np.sum(h**2)
    loss.backward(retain_graph=True)
    loss.backward()
    np.testing.assert_allclose(h.grad, 4 * np.array([1.0, 4.0]))
    h = w * w
    h.retain_grad()
    w.grad = None
    np.sum(h**3).backward(create_graph=True)
    np.testing.assert_allclose(tr.stop_gradient(h.grad).data, 3 * np.array([1.0, 16.0]))
    w.grad = None
    np.sum(h.grad).backward()  # of 3 w⁴
    np.testing.assert_allclose(w.grad, 12 * np.array([1.0, 8.0]))


def test_scalars_retain_theirs_and_what_has_none_says_so():
    w = tr.Scalar(0.5)
    h = w * w
    h.retain_grad()
    (h * 3).backward()
    assert h.grad == 3.0
    with pytest.raises(RuntimeError, match="requires a gradient"):
        tr.tensor([1.0]).retain_grad()
    with tr.no_grad(), pytest.raises(RuntimeError, match="requires a gradient"):
        (w * w).retain_grad()


def test_the_vectors_of_all_steps_are_those_of_the_derivation():
    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 2, rng)
    xs, targets = rng.normal(size=(5, 4, 2)), rng.normal(size=(5, 4, 2))
    p = elman.ElmanParams(*(tr.tensor(a, requires_grad=True) for a in params))
    ys, _ = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), xs, state=np.zeros((4, 3)))
    loss = np.sum((ys @ p.V + p.c - targets) ** 2) / 8
    back = elman.backward(elman.forward(params, xs, targets, objective=Objective("mse")))
    np.testing.assert_allclose(gradients(loss, at="h"), back.dL_ds, rtol=1e-12)
    assert p.W.grad is None


@pytest.mark.parametrize("compiled", [False, True])
def test_states_and_gates_of_an_lstm(compiled):
    cell = nn.LSTMCell(2, 3, seed=0, dtype=np.float64)
    xs = np.random.default_rng(0).normal(size=(6, 2))
    ys, _ = tr.unroll(tr.compile(cell, executor="numpy") if compiled else cell, xs)
    ones = np.zeros((6, 3))
    ones[-1] = 1.0
    back = lstm.backward(lstm.forward(lstm.LSTMParams(cell.U.data, cell.W.data, cell.b.data), xs), ones)
    loss = np.sum(ys[-1])
    np.testing.assert_allclose(gradients(loss, at="h"), back.dL_dh, rtol=1e-12)
    np.testing.assert_allclose(gradients(loss, at="c"), back.dL_dc, rtol=1e-12)
    found = gradients(loss, at="f")
    assert found.shape == (6, 3)
    np.testing.assert_allclose(np.linalg.norm(gradients(loss, "h"), axis=1), gradient_flow(loss)["h"].norms)


class Memory(nn.Cell):
    """A cell whose output is computed from its new state, and is no part of it."""

    inputs = units = 3

    def __init__(self):
        self.w = nn.Parameter(np.array([0.5, -1.0, 2.0]))

    def initial_state(self, x):
        return {"h": np.zeros(np.shape(x)), "m": np.zeros((*np.shape(x), 2))}

    def forward(self, x, state):
        h = np.tanh(x + self.w * state["h"])
        m = 0.5 * state["m"] + np.stack([h, h * h], axis=-1)
        return h + np.sum(m, axis=-1), {"h": h, "m": m}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "stacked", "dict"])
def test_those_of_a_padded_batch_are_those_of_its_sequences(kind, reverse):
    lstm_cell = nn.LSTMCell(3, 3, seed=0, dtype=np.float64)
    cells = {"LSTM": lstm_cell, "stacked": nn.StackedCell([Memory(), lstm_cell]), "dict": Memory()}
    at = {"LSTM": "c", "stacked": "1.c", "dict": "m"}[kind]
    layer = nn.Recurrent([(Memory(), cells[kind]) if reverse else cells[kind]])
    xs = np.random.default_rng(0).normal(size=(4, 2, 3))

    def found(x, **lengths):
        return gradients(np.sum(layer(x, **lengths)[0] ** 2), at, "0.reverse" if reverse else 0)

    padded, last = found(xs, lengths=[4, 2]), 0 if reverse else 3
    assert np.isnan(padded[last]).all()  # that state is read by nothing: the output is computed from the new one
    for b, length in ((0, 4), (1, 2)):
        known = [t for t in range(length) if t != last]
        np.testing.assert_allclose(padded[known, b], found(xs[:length, b : b + 1])[known, 0], rtol=1e-10)


def test_states_keep_the_names_that_they_have_in_later_pieces():
    xs = np.random.default_rng(0).normal(size=(5, 2, 3))
    plain, pieces = (
        nn.Recurrent(nn.SkipRNNCell(3, 4, [3], seed=0, dtype=np.float64), checkpoint_every=k) for k in (None, 2)
    )
    losses = [np.sum(layer(xs)[0] ** 2) for layer in (plain, pieces)]
    for name in ("h", "h-1", "h-2"):
        expected, found = (gradients(loss, name) for loss in losses)
        np.testing.assert_allclose(found[:4], expected[:4], rtol=1e-12)  # what is old at the end is read by no step
        assert expected[3].all()


def test_values_that_the_loss_does_not_depend_on_have_zeros():
    w = tr.tensor(0.5, requires_grad=True)
    ys, _ = tr.unroll(lambda x, h: (1.0 * h, np.tanh(w * h + x)), np.ones((4, 2)), state=np.zeros(2))
    found = gradients(np.sum(ys[:3]), at="h")
    assert found.shape == (4, 2) and found[:2].all() and not found[2:].any()


def test_inputs_that_require_a_gradient():
    xs = tr.tensor(np.ones((4, 2)), requires_grad=True)
    loss = np.sum(tr.unroll(lambda x, h: np.tanh(x + h), xs, state=np.zeros(2))[0])
    expected = gradients(loss, at="x")
    loss.backward()
    np.testing.assert_allclose(expected, xs.grad)
    w = tr.tensor(0.5, requires_grad=True)
    with pytest.raises(ValueError, match="no gradient flows to 'x'"):
        gradients(np.sum(tr.unroll(lambda x, h: np.tanh(x + w * h), np.ones((4, 2)), np.zeros(2))[0]), at="x")


def test_what_is_not_there_is_said():
    loss = np.sum(nn.LSTM(2, 3, num_layers=2, seed=0)(np.ones((4, 1, 2), np.float32))[0])
    with pytest.raises(ValueError, match=r"nothing is called 'q'.*c, f, g, h, i, o"):
        gradients(loss, at="q")
    with pytest.raises(ValueError, match="say which layer"):
        gradients(loss, at="h")
    assert gradients(loss, at="h", layer=1).shape == (4, 1, 3)
    with pytest.raises(TypeError, match="recorded loss"):
        gradients(3.0, at="h")


# --- plain numbers ----------------------------------------------------------------------------------------------------


def one_number():
    w = tr.tensor([1.5, 2.0], requires_grad=True)
    return np.sum(w * w)


WAYS = {
    "float": float,
    "int": int,
    "percent": lambda loss: "%.3f" % loss,  # noqa: UP031
    "percent d": lambda loss: "%d" % loss,  # noqa: UP031
    "in a list": lambda loss: np.asarray([loss], dtype=float),
    "as an array": lambda loss: np.asarray(loss),
    "round": lambda loss: round(loss, 2),
    "round to a whole number": round,
    "math": math.sqrt,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_number_is_plain_once_no_gradient_can_be_lost(way):
    loss = one_number()
    expected = WAYS[way](6.25)
    if way != "percent d":
        with pytest.raises(TypeError, match=r"For one number write \.item\(\)"):
            WAYS[way](loss)
    loss.backward()
    assert WAYS[way](loss) == expected
    freed = one_number()
    freed.backward(keep=False)
    assert WAYS[way](freed) == expected
    retained = one_number()
    retained.backward(retain_graph=True)
    with pytest.raises(TypeError):
        WAYS[way](retained)


def test_losses_are_plotted():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    loss = one_number()
    _, ax = pyplot.subplots()
    with pytest.raises(TypeError, match=r"\.item\(\)"):
        ax.plot([loss])
    loss.backward()
    (line,) = ax.plot([loss, loss])
    assert list(line.get_ydata()) == [6.25, 6.25]
    pyplot.close("all")
