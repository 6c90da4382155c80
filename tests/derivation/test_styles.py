"""The gradients written in other ways, as sums over paths and by real-time recurrent learning: each is true."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.derivation import NotWritable
from tinygrad_rnn.manual import elman, paths
from tinygrad_rnn.manual.rtrl import rtrl

T, B, N, D, K = 4, 2, 2, 3, 2
RNG = np.random.default_rng(11)
STYLES = ["sums", "rtrl"]


def random(*shape):
    return RNG.normal(size=shape) * 0.5


def assert_right(derivation, style=None, products=None):
    """The lines, and the text, of a style give autograd's gradients; its function needs NumPy alone."""
    form = {"style": style, "products": products}
    styled = derivation.in_style(**form)
    right = derivation.recording.gradients()
    space = {}
    exec(derivation.source(**form), space)
    arguments = {**derivation.parameters, **derivation.data}
    plain = {re.sub(r"\W", "_", derivation.names.get(name, name)): value for name, value in arguments.items()}
    called = ast.parse(derivation.source(**form)).body[-1].args.args
    result = space["derivative"](*[plain[argument.arg] for argument in called])
    gradients = result[1] if isinstance(result, tuple) else result
    by_text = {name: gradients[short] for name, short in derivation.names.items()}
    for mine in (styled.gradients(), derivation.run(**form).gradients, by_text):
        for name, value in right.items():
            scale = max(np.abs(value).max(), 1e-3)
            np.testing.assert_allclose(mine[name] / scale, value / scale, rtol=0, atol=1e-10, err_msg=name)
    for text in (derivation.text(**form), derivation.latex(**form), derivation.markdown(**form)):
        assert text
        assert style is None or text != str(derivation)
    return styled


def loop(cell, start):
    """A loss of all steps of a cell, in a plain loop."""

    def loss(p, xs, ys):
        state, total = start, 0.0
        for x, y in zip(xs, ys):
            h, state = cell(p, x, state)
            total = total + 0.5 * np.sum((h - y) ** 2)
        return total

    return loss


def leaky(p, x, h):
    h = (1 - p["a"]) * h + p["a"] * np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
    return h, h


def oscillator(p, x, state):
    q, v = state
    v = v + 0.1 * (np.sum(x) - p["k"] * np.sin(q) - p["damping"] * v)
    q = q + 0.1 * v
    return q, (q, v)


def side_by_side(p, x, h):
    h = np.tanh(np.concatenate([h, x], axis=-1) @ p["W"] + p["b"])
    return h, h


def on_the_left(p, x, h):
    h = np.tanh(p["U"] @ x + p["W"] @ h)
    return h, h


UWB = {"U": random(N, D), "W": random(D, D), "b": random(D)}
CELLS = {
    "leaky": (leaky, {**UWB, "a": np.array(0.3)}, np.zeros((B, D)), [random(T, B, N), random(T, B, D)]),
    "two states": (
        oscillator,
        {"k": np.array(1.3), "damping": np.array(0.2)},
        (np.array(0.4), np.array(0.0)),
        [random(T, 1), random(T)],
    ),
    "side by side": (side_by_side, {"W": random(D + N, D), "b": random(D)}, np.zeros((B, D)),
                     [random(T, B, N), random(T, B, D)]),
    "on the left": (on_the_left, {"U": random(D, N), "W": random(D, D)}, np.zeros(D), [random(T, N), random(T, D)]),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", CELLS)
def test_cells_by_hand(name, style):
    cell, p, start, data = CELLS[name]
    assert_right(tr.derive(loop(cell, start), p, data), style)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("where", ["last", "each", "some", "outside"])
def test_cells_of_the_package(kind, where, style):
    cell = kind(N, D, dtype=np.float64)
    if where == "outside":
        assert_right(tr.derive(cell, random(T, N)), style)
        return
    model = Model(cell, {"last": [T - 1], "each": range(T), "some": [1, 3]}[where])
    assert_right(tr.derive(model, data=[random(T, B, N), RNG.integers(0, K, (T, B))]), style)


class Model(nn.Module):
    """A cell, an output layer, the loss at some steps, and a penalty on the recurrent weight."""

    def __init__(self, cell, steps):
        self.cell, self.steps = cell, steps
        self.V, self.c = nn.Parameter(random(D, K)), nn.Parameter(random(K))

    def forward(self, xs, targets):
        ys, _ = tr.unroll(self.cell, xs)
        total = 0.01 * np.sum(self.cell.W**2)
        for t in self.steps:
            total = total + nn.cross_entropy(ys[t] @ self.V + self.c, targets[t])
        return total


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("tied", [False, True])
def test_a_learnt_start_and_tied_weights(tied, style):
    p = {"E": random(5, D), "W": random(D, D), "h0": random(B, D)}
    tokens = RNG.integers(0, 5, (T, B))

    def loss(p, tokens):
        h, total = p["h0"], 0.0
        for token in tokens:
            h = np.tanh(p["E"][token] + h @ p["W"])
            total = total + (nn.cross_entropy(h @ p["E"].T, token) if tied else np.sum(h**2))
        return total

    assert_right(tr.derive(loss, p, [tokens]), style)


@pytest.mark.parametrize("style", STYLES)
def test_chunks_whose_gradient_is_cut(style):
    def loss(p, xs):
        h, total = np.zeros(D), 0.0
        for k, x in enumerate(xs):
            h = tr.stop_gradient(h) if k == 2 else h
            h = np.tanh(x @ p["U"] + h @ p["W"])
            total = total + np.sum(h**2)
        return total

    assert_right(tr.derive(loss, {"U": UWB["U"], "W": UWB["W"]}, [random(T, N)]), style)


def test_sensitivities_are_those_of_the_formulas_by_hand():
    params = elman.random_params(N, D, K, RNG)
    xs, targets = random(T, N), random(T, K)

    def loss(p, xs, targets):
        states, _ = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), xs, state=np.zeros(D))
        return 0.5 * np.sum((states @ p.V + p.c - targets) ** 2)

    derivation = tr.derive(loss, params, [xs, targets])
    trace = elman.forward(params, xs, targets)
    hidden = elman.hidden_forward(params, xs)
    forward, by_path = derivation.run(style="rtrl").values, derivation.run(style="sums").values
    by_hand = rtrl(trace).ds
    jacobians = paths.step_jacobians(hidden)
    for name in ("U", "W", "b"):
        for t in range(1, T + 1):
            mine, right = forward[f"dh/d{name}"][t], getattr(by_hand, name)[t]
            np.testing.assert_allclose(np.moveaxis(mine, -1, 0), right, rtol=1e-10, atol=1e-13)
            mine, right = by_path[f"d+h/d{name}"][t], getattr(paths.explicit_derivatives(hidden, t), name)
            np.testing.assert_allclose(np.moveaxis(mine, -1, 0), right, rtol=1e-10, atol=1e-13)
    for t in range(1, T + 1):
        np.testing.assert_allclose(by_path["dh/dh"][t].T, jacobians[t - 1], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.RNN])
def test_layers_on_layers(kind, style):
    layer = kind(N, D, 2, dtype=np.float64)
    assert_right(tr.derive(lambda layer, xs: np.sum(layer(xs)[0] ** 2), layer, [random(T, N)]), style)


def both_directions():
    layer = nn.RNN(N, D, bidirectional=True, dtype=np.float64)
    return tr.derive(lambda layer, xs: np.sum(layer(xs)[0] ** 2), layer, [random(T, N)])


def steps_skipped():
    cell = nn.SkipRNNCell(N, D, (2,), dtype=np.float64)
    return tr.derive(lambda cell, xs: np.sum(tr.unroll(cell, xs)[0] ** 2), cell, [random(T, N)])


def looking_at_all():
    def loss(p, xs):
        h, states = np.zeros(D), []
        for x in xs:
            h = np.tanh(x @ p["U"] + h @ p["W"])
            states.append(h)
        memory, s, total = np.stack(states), np.zeros(D), 0.0
        for x in xs:
            s = np.tanh(x @ p["U"] + s @ p["W"] + tr.softmax(memory @ s) @ memory)
            total = total + np.sum(s**2)
        return total

    return tr.derive(loss, {"U": UWB["U"], "W": UWB["W"]}, [random(T, N)])


@pytest.mark.parametrize("make", [both_directions, steps_skipped, looking_at_all])
def test_what_sums_over_paths_cannot_say_is_refused_and_carried_forward(make):
    derivation = make()
    assert_right(derivation, "rtrl")


def test_a_loop_that_begins_where_another_ends_has_no_single_sum():
    with pytest.raises(NotWritable, match='style="sums" needs a loop in which each step reads only the step before it'):
        looking_at_all().text(style="sums")


def test_a_style_that_is_unknown():
    with pytest.raises(ValueError, match="there is no style 'bptt'; there are 'recursion', 'sums', 'rtrl'"):
        both_directions().text(style="bptt")


@pytest.mark.parametrize("name", CELLS)
def test_one_product_over_all_steps(name):
    cell, p, start, data = CELLS[name]
    derivation = tr.derive(loop(cell, start), p, data)
    by_step, at_once = derivation.run().values, assert_right(derivation, products="over all steps").run().values
    assert set(by_step) == set(at_once)
    for line in by_step:
        if line.startswith("dL/d") and not isinstance(by_step[line], dict):
            np.testing.assert_allclose(at_once[line], by_step[line], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("batch", [(), (B,)])
@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_the_package_s_cells_by_one_product_a_weight(kind, batch):
    derivation = tr.derive(kind(N, D, dtype=np.float64), random(T, *batch, N))
    assert_right(derivation, products="over all steps")
    source = derivation.source(products="over all steps")
    assert "+=" not in source
    assert ("np.concatenate(xs).T @" if batch else "xs.T @") in source
    assert "∂L/∂U = x_{1..T}ᵀ " in derivation.text(products="over all steps")


@pytest.mark.parametrize("style", STYLES)
def test_a_state_that_begins_as_another_value(style):
    def loss(p, xs):
        h, scores = np.tile(p["h0"], (B, 1)), None
        for x in xs:
            h = np.tanh(x @ p["U"] + h @ p["W"])
            scores = h if scores is None else 0.5 * scores + h
        return np.sum(scores**2)

    p = {"h0": random(D), "U": random(N, D), "W": random(D, D)}
    derivation = tr.derive(loss, p, (random(T, B, N),))
    styled = derivation.in_style(style).gradients()
    for name, value in derivation.recording.gradients().items():
        np.testing.assert_allclose(styled[name], value, rtol=1e-10, atol=1e-13)
    assert "∂L/∂h0" in derivation.text(style=style)
