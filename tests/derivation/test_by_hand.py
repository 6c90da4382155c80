"""Line by line against the formulas of ``manual/``, which know nothing of the engine: the same recursion."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.manual import elman, gru, lstm, worked_example

T, N, D, K = 6, 3, 4, 2
RNG = np.random.default_rng(3)


def line_at(derivation, name, t=None):
    """The value of a line at a step."""
    value = derivation.run().values[name]
    return value if t is None else value[t]


def assert_lines(derivation, back, names):
    """Each line, at each step that it has, is what the backward pass by hand has in that row."""
    run = derivation.run()
    for name, field in names.items():
        rows = getattr(back, field)
        values = run.values[name]
        assert set(range(1, T + 1)) <= set(values), name
        for t in range(1, T + 1):
            np.testing.assert_allclose(values[t], rows[t - 1], rtol=1e-10, atol=1e-13, err_msg=f"{name}[{t}]")


@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("steps", ["all", "last"])
def test_elman(batch, steps):
    params = elman.random_params(N, D, K, RNG)
    xs, targets = RNG.normal(size=(T, *batch, N)), RNG.normal(size=(T if steps == "all" else 1, *batch, K))

    def loss(p, xs, targets):
        states, s = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), xs, state=np.zeros((*batch, D)))
        z = states @ p.V + p.c if steps == "all" else s @ p.V + p.c
        return 0.5 * np.sum((z - (targets if steps == "all" else targets[0])) ** 2)

    derivation = tr.derive(loss, params, [xs, targets])
    trace = elman.hidden_forward(params, xs)
    error = trace.s[1:] @ params.V + params.c - targets
    if steps == "last":
        error[:-1] = 0
    back = elman.hidden_backward(trace, error @ params.V.T)
    assert_lines(derivation, back, {"dL/dh": "dL_ds", "delta": "delta"})
    for name in ("U", "W", "b"):
        by_step = getattr(back.contributions, name)
        np.testing.assert_allclose(line_at(derivation, f"dL/d{name}"), by_step.sum(axis=0), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("peepholes", [False, True])
def test_lstm(batch, peepholes):
    cell = nn.LSTMCell(N, D, peepholes=peepholes, dtype=np.float64, seed=1)
    xs = RNG.normal(size=(T, *batch, N))
    derivation = tr.derive(cell, xs)
    weights = {name: leaf.data for name, leaf in cell.named_parameters()}
    trace = lstm.forward(lstm.LSTMParams(weights["U"], weights["W"], weights["b"], weights.get("P")), xs)
    back = lstm.backward(trace, derivation.data["dL_dy"])
    names = {f"dL/d{letter}": f"dL_d{letter}" for letter in "hcifgo"}
    assert_lines(derivation, back, names if peepholes else {**names, "delta": "delta"})
    for name, value in weights.items():
        right = getattr(back.gradients, name)
        np.testing.assert_allclose(line_at(derivation, f"dL/d{name}"), right, rtol=1e-10, atol=1e-13)
        assert value.shape == right.shape


@pytest.mark.parametrize("batch", [(), (2,)])
def test_gru(batch):
    cell = nn.GRUCell(N, D, dtype=np.float64, seed=1)
    xs = RNG.normal(size=(T, *batch, N))
    derivation = tr.derive(cell, xs)
    weights = {name: leaf.data for name, leaf in cell.named_parameters()}
    back = gru.backward(gru.forward(gru.GRUParams(**weights), xs), derivation.data["dL_dy"])
    assert_lines(derivation, back, {f"dL/d{letter}": f"dL_d{letter}" for letter in "hrzn"})
    run = derivation.run()
    for t in range(1, T + 1):
        by_gate = [run.values[f"delta_{gate}"][t] for gate in "rzn"]
        np.testing.assert_allclose(np.concatenate(by_gate, axis=-1), back.delta[t - 1], rtol=1e-10, atol=1e-13)
    for name in weights:
        right = getattr(back.gradients, name)
        np.testing.assert_allclose(line_at(derivation, f"dL/d{name}"), right, rtol=1e-10, atol=1e-13)


def test_the_worked_example_of_the_article():
    def loss(p):
        states, _ = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), worked_example.INPUTS, state=np.zeros(2))
        o = tr.sigmoid(states @ p.V + p.c)
        steps = zip(worked_example.OUTPUT_STEPS, worked_example.TARGETS)
        return sum(-(y * np.log(o[t - 1])).sum() for t, y in steps)

    derivation = tr.derive(loss, worked_example.PARAMS)
    back = worked_example.run()[1]
    run = derivation.run()
    for t, rows in enumerate(zip(back.dL_ds, back.delta), start=1):
        for name, row in zip(("dL/dh", "delta"), rows):
            np.testing.assert_allclose(run.values[name][t], row, rtol=1e-10, atol=1e-13, err_msg=f"{name}[{t}]")
    for name, gradient in back.gradients._asdict().items():
        np.testing.assert_allclose(run.gradients[name], gradient, rtol=1e-10, atol=1e-13)
