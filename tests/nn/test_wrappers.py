"""What wrappers add to a cell, and the cells that have no twin in PyTorch, against their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.manual import skip

N, D, B, T = 3, 2, 5, 6
XS = np.random.default_rng(0).normal(size=(T, B, N))
F64 = {"dtype": np.float64}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# --- cells -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["matrices", "addition"])
@pytest.mark.parametrize("lags", [(2,), (2, 3), (1, 4)])
def test_skip_connections_against_the_formulas(by: str, lags: tuple[int, ...]) -> None:
    cell = nn.SkipRNNCell(N, D, lags, by, **F64)
    rng = np.random.default_rng(1)
    reach = max(lags)
    history = rng.normal(size=(reach, B, D))
    names = ["h", *(f"h-{age}" for age in range(1, reach))]
    given = {name: tr.tensor(history[-1 - age], True) for age, name in enumerate(names)}
    weights = rng.normal(size=(T, B, D))
    ys, last = tr.unroll(cell, XS, given)
    np.sum(ys * weights).backward()

    params = skip.SkipParams(*(cell.state_dict().get(name) for name in "UWbM"))
    trace = skip.forward(params, XS, lags, history=history)
    back = skip.backward(trace, weights)
    np.testing.assert_allclose(ys.data, trace.s[1:], rtol=0, atol=1e-12)
    for age, name in enumerate(names):
        np.testing.assert_allclose(last[name].data, trace.states[-1 - age], rtol=0, atol=1e-12)
        np.testing.assert_allclose(given[name].grad, back.dL_dhistory[-1 - age], rtol=0, atol=1e-12)
    for name, parameter in cell.named_parameters():
        np.testing.assert_allclose(parameter.grad, getattr(back.gradients, name), rtol=0, atol=1e-12, err_msg=name)


def test_jordan_feeds_its_output_back() -> None:
    cell = nn.JordanCell(N, D, 4, output_activation="sigmoid", **F64)
    U, W, V, b, c = (getattr(cell, name).data for name in "UWVbc")
    ys, last = tr.unroll(cell, XS)
    y = np.zeros((B, 4))
    for t in range(T):
        y = sigmoid(np.tanh(XS[t] @ U + y @ W + b) @ V + c)
        np.testing.assert_allclose(ys.data[t], y, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(last.data, ys.data[-1])
    _, _, inside = nn.Recurrent(cell)(XS, return_states=True)
    np.testing.assert_array_equal(inside[0]["h"].data, ys.data)
    np.testing.assert_allclose(sigmoid(inside[0]["hidden"].data @ V + c), ys.data, rtol=0, atol=1e-12)


def test_mgu_by_its_equations() -> None:
    cell = nn.MGUCell(N, D, **F64)
    (U_f, U_n), (b_f, b_n) = (np.split(getattr(cell, name).data, 2, axis=-1) for name in "Ub")
    W_f, W_n = cell.W.data, cell.W_n.data
    ys, _ = tr.unroll(cell, XS)
    h = np.zeros((B, D))
    for t in range(T):
        f = sigmoid(XS[t] @ U_f + h @ W_f + b_f)
        h = (1 - f) * h + f * np.tanh(XS[t] @ U_n + (f * h) @ W_n + b_n)
        np.testing.assert_allclose(ys.data[t], h, rtol=0, atol=1e-12)


def test_indrnn_is_an_elman_cell_with_a_diagonal_matrix() -> None:
    cell, twin = nn.IndRNNCell(N, D, **F64), nn.RNNCell(N, D, "relu", **F64)
    twin.load_state_dict({"U": cell.U.data, "W": np.diag(cell.w.data), "b": cell.b.data})
    np.testing.assert_allclose(tr.unroll(cell, XS)[0].data, tr.unroll(twin, XS)[0].data, rtol=0, atol=1e-12)


def test_coupled_lstm_has_the_input_gate_that_forgetting_leaves() -> None:
    cell = nn.LSTMCell(N, D, coupled=True, **F64)
    _, _, inside = nn.Recurrent(cell)(XS, return_states=True)
    np.testing.assert_array_equal(inside[0]["i"].data, 1 - inside[0]["f"].data)
    assert cell.U.shape == (N, 3 * D)


def test_normalised_lstm_by_the_equations_of_its_paper() -> None:
    """Ba et al. (2016), eq. 20 to 22, and eq. 4 for Elman's cell; gains and biases away from where they start."""
    rng = np.random.default_rng(0)
    cell = nn.LSTMCell(N, D, norm=nn.LayerNorm, **F64)
    elman = nn.RNNCell(N, D, nn.Sequential(nn.LayerNorm(D, **F64), np.tanh), bias=False, **F64)
    for parameter in (*cell.parameters(), *elman.parameters()):
        parameter.data = rng.normal(size=parameter.shape)

    def normalised(a: np.ndarray, norm: nn.LayerNorm) -> np.ndarray:
        deviation = np.sqrt(a.var(-1, keepdims=True) + norm.eps)
        return (a - a.mean(-1, keepdims=True)) / deviation * norm.g.data + norm.b.data

    ys, _ = tr.unroll(cell, XS)
    hs, _ = tr.unroll(elman, XS)
    h, c, e = (np.zeros((B, D)) for _ in range(3))
    for t in range(T):
        a = normalised(XS[t] @ cell.U.data, cell.of_input) + normalised(h @ cell.W.data, cell.of_state) + cell.b.data
        i, f, g, o = np.split(a, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(normalised(c, cell.of_cell))
        e = np.tanh(normalised(XS[t] @ elman.U.data + e @ elman.W.data, elman.activation[0]))
        np.testing.assert_allclose(ys.data[t], h, rtol=0, atol=1e-12)
        np.testing.assert_allclose(hs.data[t], e, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LayerNormCell(nn.GRUCell(1, D)), "one number, less its own mean, is always 0"),
        (lambda: nn.LayerNormCell(lambda x, h: h), "pass inputs= and units="),
        (lambda: nn.SkipRNNCell(N, D, []), "lags"),
        (lambda: nn.SkipRNNCell(N, D, [0, 2]), "lags"),
        (lambda: nn.SkipRNNCell(N, D, 2), "lags .* not 2"),
        (lambda: nn.SkipRNNCell(N, D, [2], "magic"), "'matrices' or 'addition'"),
        (lambda: nn.ZoneoutCell(nn.GRUCell(N, D), 1.0), "probability"),
        (lambda: nn.ZoneoutCell(nn.LSTMCell(N, D), {"h": -0.1}), "probability"),
        (lambda: nn.DropoutCell(nn.GRUCell(N, D), 1.5), "probability"),
        (lambda: nn.StackedCell([]), "at least one"),
    ],
)
def test_wrong_options_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# --- wrappers --------------------------------------------------------------------------------------------------------


def test_residual_adds_the_input() -> None:
    inner = nn.GRUCell(N, N, **F64)
    ys, h = tr.unroll(nn.ResidualCell(inner), XS)
    plain, _ = tr.unroll(inner, XS)
    np.testing.assert_array_equal(ys.data, plain.data + XS)
    np.testing.assert_array_equal(h.data, plain.data[-1])
    with pytest.raises(ValueError, match=r"\(5, 3\) and \(5, 2\)"):
        tr.unroll(nn.ResidualCell(nn.GRUCell(N, D)), XS)


def test_layer_norm_normalises_input_and_hidden_state_but_not_the_memory() -> None:
    seen: list[Any] = []

    class Spy(nn.LSTMCell):
        def forward(self, x: Any, state: Any) -> Any:
            seen.append((x, *state))
            return super().forward(x, state)

    cell = nn.LayerNormCell(Spy(N, 4, **F64))
    _, _, inside = nn.Recurrent(cell)(XS, return_states=True)
    x, h, c = seen[-1]
    for array in (x.data, h.data):
        np.testing.assert_allclose(array.mean(-1), 0, atol=1e-12)
        np.testing.assert_allclose(array.std(-1), 1, atol=0.05)
    np.testing.assert_array_equal(c.data, inside[0]["c"].data[-2])
    assert [name for name, _ in cell.named_parameters()] == [
        "cell.U", "cell.W", "cell.b", "of_input.g", "of_input.b", "of_state.g", "of_state.b",
    ]  # fmt: skip


def test_dropout_drops_the_same_units_at_every_step() -> None:
    seen: list[Any] = []

    def cell(x: Any, h: Any) -> Any:
        seen.append((value(x), value(h)))
        return h

    ones = np.ones((T, B, 40))
    wrapped = nn.DropoutCell(nn.SkipRNNCell(40, D), 0.5, 0.5, seed=0)
    wrapped.cell = with_initial_state(cell, np.ones((B, 40)))
    tr.unroll(wrapped, ones)
    first_x, first_h = seen[0]
    assert set(np.unique(first_x)) == {0.0, 2.0}
    assert 0.4 < (first_x == 0).mean() < 0.6
    assert not np.array_equal(first_x == 0, first_h == 0)
    for x, h in seen:
        np.testing.assert_array_equal(x, first_x)
        np.testing.assert_array_equal(h != 0, first_h != 0) if h.any() else None
    tr.unroll(wrapped, ones)
    assert not np.array_equal(seen[-1][0], first_x)  # another sequence, another mask


def value(a: Any) -> np.ndarray:
    return a.data if isinstance(a, tr.Tensor) else a


def with_initial_state(f: Any, initial: np.ndarray) -> Any:
    class Own:
        def __call__(self, x: Any, h: Any) -> Any:
            return f(x, h)

        def initial_state(self, x: Any) -> np.ndarray:
            return initial

    return Own()


@pytest.mark.parametrize("wrap", [nn.DropoutCell, nn.ZoneoutCell])
def test_the_same_seed_draws_the_same_noise_and_other_runs_draw_anew(wrap: Any) -> None:
    first, again = (wrap(nn.GRUCell(N, D, seed=0), seed=7) for _ in range(2))
    values = [tr.unroll(first, XS)[0].data for _ in range(2)]
    np.testing.assert_array_equal(values[0], tr.unroll(again, XS)[0].data)
    np.testing.assert_array_equal(values[1], tr.unroll(again, XS)[0].data)
    assert not np.array_equal(*values)


def test_without_training_dropout_is_not_there() -> None:
    inner = nn.LSTMCell(N, D)
    np.testing.assert_array_equal(tr.unroll(nn.DropoutCell(inner).eval(), XS)[0].data, tr.unroll(inner, XS)[0].data)


def test_zoneout_keeps_old_values_at_each_step_anew() -> None:
    cell = nn.ZoneoutCell(nn.LSTMCell(N, 50, **F64), {"h": 0.3, "c": 0.0}, seed=0)
    output, _, inside = nn.Recurrent(cell)(XS, return_states=True)
    h, c, gate = (inside[0][name].data for name in ("h", "c", "o"))
    np.testing.assert_array_equal(output.data, h)  # the output of an LSTM is its hidden state, zoned out or not
    kept = h[1:] == h[:-1]
    assert 0.25 < kept.mean() < 0.35
    assert not np.array_equal(kept[0], kept[1])
    np.testing.assert_allclose(h[1:][~kept], (gate * np.tanh(c))[1:][~kept], rtol=0, atol=1e-12)


def test_without_training_zoneout_is_a_mean() -> None:
    inner, x = nn.GRUCell(N, D, **F64), XS[:1]
    h0 = np.random.default_rng(0).normal(size=(B, D))
    _, new = tr.unroll(inner, x, h0)
    _, mixed = tr.unroll(nn.ZoneoutCell(inner, 0.25).eval(), x, h0)
    np.testing.assert_allclose(mixed.data, 0.25 * h0 + 0.75 * new.data, rtol=0, atol=1e-15)


def test_zoneout_of_a_component_without_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="no probability for 'c'"):
        tr.unroll(nn.ZoneoutCell(nn.LSTMCell(N, D), {"h": 0.1}), XS)


def test_a_stack_of_cells_is_layers_one_above_the_other() -> None:
    cells = [nn.GRUCell(N, 4, **F64), nn.LSTMCell(4, D, **F64)]
    ys, state = tr.unroll(nn.StackedCell(cells), XS)
    output, states = nn.Recurrent(cells)(XS)
    np.testing.assert_allclose(ys.data, output.data, rtol=0, atol=1e-15)
    np.testing.assert_allclose(state[1].c.data, states[1].c.data, rtol=0, atol=1e-15)
    labels = {label for node in tr.autodiff.graph.ancestors([ys]) for label in node.labels}
    assert ("value", "z", 0, 3) in labels
    assert ("value", "f", 1, 3) in labels


def test_a_stack_in_a_window_is_truncated_as_a_whole() -> None:
    cells = [nn.RNNCell(N, D, **F64), nn.RNNCell(D, D, **F64)]
    layer = nn.Recurrent(nn.StackedCell(cells), truncate=(1, 2))
    output, _ = layer(XS)
    np.sum(output).backward()
    got = [p.grad for p in layer.parameters()]

    # The same by hand: each step's output, from a state two steps back that counts as a constant.
    layer.zero_grad()
    layer.truncate = None
    for t in range(1, T + 1):
        start = max(0, t - 2)
        with tr.no_grad():
            _, state = layer(XS[:start])
        np.sum(layer(XS[start:t], tr.stop_gradient(state))[0][-1]).backward()
    for g, parameter in zip(got, layer.parameters(), strict=True):
        np.testing.assert_allclose(g, parameter.grad, rtol=0, atol=1e-12)


def test_a_state_without_a_hidden_component_is_told() -> None:
    stacked = nn.StackedCell([nn.GRUCell(N, D), nn.GRUCell(D, D)])
    with pytest.raises(TypeError, match=r"\(0, 1\) is the hidden one\? .* wrap each cell by itself"):
        tr.unroll(nn.DropoutCell(stacked), XS)


def test_a_user_s_function_can_be_wrapped() -> None:
    W = tr.tensor(np.eye(N) / 2, requires_grad=True)

    def cell(x: Any, h: Any) -> Any:
        return np.tanh(x + h @ W)

    wrapped = nn.ResidualCell(nn.LayerNormCell(cell, inputs=N, units=N, dtype=np.float64))
    ys, _ = tr.unroll(nn.ZoneoutCell(wrapped, 0.2), XS, np.zeros((B, N)))
    np.sum(ys).backward()
    assert W.grad.any()
    with pytest.raises(TypeError, match="cell has no initial_state"):
        tr.unroll(wrapped, XS)


def test_noise_and_padding_together() -> None:
    lengths = np.array([6, 3, 0, 1, 6])
    layer = nn.Recurrent(nn.ZoneoutCell(nn.DropoutCell(nn.GRUCell(N, D, **F64), seed=2), 0.3, seed=3))
    output, state = layer(XS, lengths=lengths)
    valid = np.arange(T)[:, None] < lengths
    assert not output.data[~valid].any()
    np.testing.assert_array_equal(state.data[1], output.data[2, 1])
    assert not state.data[2].any()
