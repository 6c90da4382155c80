"""The lines of a derivation: complete, named, and in the order in which one follows from the other."""

from __future__ import annotations

import numpy as np

from tinygrad_rnn.manual import elman, gru, lstm
from tinygrad_rnn.manual.lines import lines
from tinygrad_rnn.manual.readout import Objective


def test_an_elman_networks_lines_are_its_derivatives_from_last_to_first() -> None:
    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 2, rng)
    xs, targets = rng.normal(size=(2, 4, 2)), rng.normal(size=(2, 4, 2))
    back = elman.backward(elman.forward(params, xs, targets, objective=Objective("mse")))
    derivation = lines(back)
    steps = ["dL/dz[{}]", "dL/ds[{}]", "delta[{}]", "dL/dx[{}]"]
    expected = [name.format(t) for t in (2, 1) for name in steps]
    assert list(derivation) == [*expected, "dL/ds[0]", "dL/dU", "dL/dW", "dL/dV", "dL/db", "dL/dc"]
    np.testing.assert_array_equal(derivation["delta[1]"], back.delta[0])
    np.testing.assert_array_equal(derivation["dL/ds[2]"], back.dL_ds[1])
    np.testing.assert_array_equal(derivation["dL/ds[0]"], back.dL_ds0)
    np.testing.assert_array_equal(derivation["dL/dW"], back.gradients.W)


def test_gates_have_lines_of_their_own_and_missing_parameters_none() -> None:
    rng = np.random.default_rng(0)
    n, d = 2, 3
    long = lstm.LSTMParams(*(rng.normal(size=s) for s in [(n, 4 * d), (d, 4 * d), (4 * d,)]))
    gated = gru.GRUParams(*(rng.normal(size=s) for s in [(n, 3 * d), (d, 3 * d), (3 * d,), (d,)]))
    xs, ones = rng.normal(size=(2, n)), np.ones((2, d))
    lstm_back = lstm.backward(lstm.forward(long, xs), ones)
    gru_back = gru.backward(gru.forward(gated, xs), ones)

    assert list(lines(lstm_back))[:8] == [f"dL/d{x}[2]" for x in "hocifg"] + ["delta[2]", "dL/dx[2]"]
    assert list(lines(lstm_back))[-5:] == ["dL/dh[0]", "dL/dc[0]", "dL/dU", "dL/dW", "dL/db"]
    assert list(lines(gru_back))[:6] == [f"dL/d{x}[2]" for x in "hznr"] + ["delta[2]", "dL/dx[2]"]
    assert list(lines(gru_back))[-1] == "dL/db_hn"
    np.testing.assert_array_equal(lines(lstm_back)["dL/df[1]"], lstm_back.dL_df[0])
    np.testing.assert_array_equal(lines(gru_back)["dL/dr[2]"], gru_back.dL_dr[1])


def test_every_derivative_of_a_backward_pass_has_a_line() -> None:
    """A field that somebody adds to a backward pass must not be forgotten here."""
    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 2, rng)
    trace = elman.forward(params, np.ones((2, 2)), np.ones((2, 2)))
    lstm_params = lstm.LSTMParams(*(rng.normal(size=s) for s in [(2, 12), (3, 12), (12,)]))
    gru_params = gru.GRUParams(*(rng.normal(size=s) for s in [(2, 9), (3, 9), (9,)]))
    ones = np.ones((2, 3))
    for back in (
        elman.backward(trace),
        lstm.backward(lstm.forward(lstm_params, np.ones((2, 2))), ones),
        gru.backward(gru.forward(gru_params, np.ones((2, 2))), ones),
    ):
        named = {name.split("[")[0].replace("/", "_") for name in lines(back)}
        fields = {f.removesuffix("0") for f in back._fields if f.startswith(("dL_d", "delta"))}
        assert fields <= named
