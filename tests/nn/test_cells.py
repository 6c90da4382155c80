"""Every cell against the formulas derived by hand, against differences, on Scalars and on plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.array_node import value_of
from tinygrad_rnn.autodiff.trees import leaves, tree_map, unflatten
from tinygrad_rnn.manual import gru, lstm

N, D, B, T = 3, 2, 2, 4
F64: dict[str, Any] = {"dtype": np.float64}

CELLS: dict[str, Callable[[], nn.Cell]] = {
    "RNN tanh": lambda: nn.RNNCell(N, D, **F64),
    "RNN own function": lambda: nn.RNNCell(N, D, lambda a: a / (1 + np.exp(-a)), **F64),
    "RNN norm": lambda: nn.RNNCell(N, D, nn.Sequential(nn.LayerNorm(D, **F64), np.tanh), bias=False, **F64),
    "RNN no bias": lambda: nn.RNNCell(N, D, "sigmoid", bias=False, **F64),
    "LSTM": lambda: nn.LSTMCell(N, D, **F64),
    "LSTM no bias": lambda: nn.LSTMCell(N, D, bias=False, **F64),
    "LSTM peepholes": lambda: nn.LSTMCell(N, D, peepholes=True, **F64),
    "LSTM projection": lambda: nn.LSTMCell(N, D, projection=1, **F64),
    "LSTM coupled": lambda: nn.LSTMCell(N, D, coupled=True, **F64),
    "LSTM all options": lambda: nn.LSTMCell(N, D, coupled=True, peepholes=True, projection=1, forget_bias=1, **F64),
    "LSTM norm": lambda: nn.LSTMCell(N, D, norm=nn.LayerNorm, **F64),
    "GRU": lambda: nn.GRUCell(N, D, **F64),
    "GRU no bias": lambda: nn.GRUCell(N, D, bias=False, **F64),
    "GRU reset before": lambda: nn.GRUCell(N, D, reset="before", **F64),
    "MGU": lambda: nn.MGUCell(N, D, **F64),
    "MGU no bias": lambda: nn.MGUCell(N, D, bias=False, **F64),
    "IndRNN": lambda: nn.IndRNNCell(N, D, "tanh", **F64),
    "IndRNN relu no bias": lambda: nn.IndRNNCell(N, D, bias=False, seed=3, **F64),
    "Jordan": lambda: nn.JordanCell(N, D, 4, **F64),
    "Jordan sigmoid": lambda: nn.JordanCell(N, D, 4, "tanh", "sigmoid", **F64),
    "Skip": lambda: nn.SkipRNNCell(N, D, [1, 3], **F64),
    "Skip by addition": lambda: nn.SkipRNNCell(N, D, [2, 3], "addition", bias=False, **F64),
    "residual": lambda: nn.ResidualCell(nn.LSTMCell(N, N, **F64)),
    "layer norm": lambda: nn.LayerNormCell(nn.LSTMCell(N, D, projection=3, **F64)),
    "dropout": lambda: nn.DropoutCell(nn.SkipRNNCell(N, D, [2], **F64), seed=1),
    "dropout off": lambda: nn.DropoutCell(nn.GRUCell(N, D, **F64)).eval(),
    "zoneout": lambda: nn.ZoneoutCell(nn.LSTMCell(N, D, **F64), {"h": 0.3, "c": 0.6}, seed=1),
    "zoneout off": lambda: nn.ZoneoutCell(nn.GRUCell(N, D, **F64), 0.4).eval(),
    "stacked": lambda: nn.StackedCell(
        [nn.LSTMCell(N, 2, **F64), nn.JordanCell(2, 3, 2, **F64), nn.RNNCell(2, D, **F64)]
    ),
    "all wrapped": lambda: nn.ResidualCell(
        nn.StackedCell(
            [
                nn.DropoutCell(
                    nn.ZoneoutCell(nn.LayerNormCell(nn.GRUCell(N, 2, **F64)), 0.3, seed=1), 0.2, 0.3, seed=2
                ),
                nn.ZoneoutCell(nn.LSTMCell(2, N, **F64), 0.5, seed=3),
            ]
        )
    ),
}


@pytest.fixture(autouse=True)
def same_weights_in_every_order():
    tr.manual_seed(1)


every_cell = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS.keys())


def run(cell: Any, xs: Any, state: Any = None) -> Any:
    """Everything that comes out of a cell, in one array: outputs and final state."""
    ys, state = tr.unroll(cell, xs, state)
    return np.concatenate([np.reshape(a, (-1,)) for a in (ys, *leaves(state))])


def inputs(*batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(T, *batch, N))


@every_cell
@pytest.mark.parametrize("batch", [(), (B,)])
def test_gradient_of_every_parameter_input_and_initial_state(make: Callable[[], nn.Cell], batch: tuple) -> None:
    cell = make()
    own = dict(cell.named_parameters())
    xs = inputs(*batch)
    rng = np.random.default_rng(1)
    initial = tree_map(lambda a: rng.normal(size=a.shape), make().initial_state(xs[0]))
    k = len(own)

    def f(*arrays: Any) -> Any:
        state = unflatten(initial, iter(arrays[k + 1 :]))
        return run(make().with_values(dict(zip(own, arrays))), arrays[k], state)

    assert tr.gradcheck(f, [*own.values(), xs, *leaves(initial)], fast_mode=True)


@every_cell
def test_scalars_give_the_same_outputs_and_gradients(make: Callable[[], nn.Cell]) -> None:
    cell, xs = make(), inputs(B)
    total = run(cell, xs).sum()
    total.backward()

    twins = {path: tr.scalars(p.data) for path, p in cell.named_parameters()}
    by_scalars = run(make().with_values(twins), tr.scalars(xs, requires_grad=False)).sum()
    by_scalars.backward()

    assert by_scalars.data == pytest.approx(total.item(), abs=1e-12)
    for path, parameter in cell.named_parameters():
        np.testing.assert_allclose(tr.gradients(twins[path]), parameter.grad, rtol=0, atol=1e-12, err_msg=path)


@every_cell
def test_plain_arrays_stay_plain_and_give_the_same_bits(make: Callable[[], nn.Cell]) -> None:
    cell, x = make(), inputs(B)[0]
    state = cell.initial_state(x)
    noise = cell.draw(x, state, 1) if hasattr(cell, "draw") else None
    x = x if noise is None else nn.Noisy(x, tree_map(lambda a: a[0], noise))
    y, after = cell(x, state)
    plain_y, plain_after = cell.with_values(cell.state_dict())(x, state)
    for got, expected in zip((plain_y, *leaves(plain_after)), (y, *leaves(after)), strict=True):
        assert type(got) is np.ndarray
        np.testing.assert_array_equal(got, value_of(expected))


@every_cell
def test_float32_stays_float32(make: Callable[[], nn.Cell]) -> None:
    cell = make()
    cell = cell.with_values({path: tr.tensor(p.data, True, np.float32) for path, p in cell.named_parameters()})
    ys, state = tr.unroll(cell, inputs(B).astype(np.float32))
    assert {a.dtype for a in (ys, *leaves(state))} == {np.dtype(np.float32)}


def assert_same(got: Any, expected: Any, what: str) -> None:
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12, err_msg=what)


@pytest.mark.parametrize("peepholes", [False, True])
def test_lstm_against_the_formulas(peepholes: bool) -> None:
    cell = nn.LSTMCell(N, D, peepholes=peepholes, **F64)
    rng = np.random.default_rng(0)
    xs, h0, c0 = (tr.tensor(rng.normal(size=s), True) for s in [(T, B, N), (B, D), (B, D)])
    weights, final = rng.normal(size=(T, B, D)), rng.normal(size=(B, D))
    ys, (_, c) = tr.unroll(cell, xs, nn.LSTMState(h0, c0))
    (np.sum(ys * weights) + np.sum(c * final)).backward()

    params = lstm.LSTMParams(*(cell.state_dict().get(name) for name in "UWbP"))
    trace = lstm.forward(params, xs.data, h0.data, c0.data)
    back = lstm.backward(trace, weights, final)
    assert_same(ys.data, trace.h[1:], "ys")
    for name, parameter in cell.named_parameters():
        assert_same(parameter.grad, getattr(back.gradients, name), name)
    for got, expected in [(xs, back.dL_dx), (h0, back.dL_dh0), (c0, back.dL_dc0)]:
        assert_same(got.grad, expected, "inputs and initial states")


@pytest.mark.parametrize("reset", ["after", "before"])
def test_gru_against_the_formulas(reset: gru.Reset) -> None:
    cell = nn.GRUCell(N, D, reset=reset, **F64)
    rng = np.random.default_rng(0)
    xs, h0 = tr.tensor(rng.normal(size=(T, B, N)), True), tr.tensor(rng.normal(size=(B, D)), True)
    weights = rng.normal(size=(T, B, D))
    ys, _ = tr.unroll(cell, xs, h0)
    np.sum(ys * weights).backward()

    joined = joined_matrices(cell.state_dict())
    params = gru.GRUParams(*(joined.get(name) for name in ("U", "W", "b", "b_hn")))
    trace = gru.forward(params, xs.data, h0.data, reset=reset)
    back = gru.backward(trace, weights)
    assert_same(ys.data, trace.h[1:], "ys")
    for name, g in joined_matrices({name: p.grad for name, p in cell.named_parameters()}).items():
        assert_same(g, getattr(back.gradients, name), name)
    assert_same(xs.grad, back.dL_dx, "xs")
    assert_same(h0.grad, back.dL_dh0, "h0")


def joined_matrices(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The formulas have W_n as the last part of W, wherever the reset gate stands."""
    rest = {name: array for name, array in arrays.items() if name != "W_n"}
    return {**rest, "W": np.concatenate([arrays["W"], arrays["W_n"]], axis=1)} if "W_n" in arrays else rest


def test_forget_bias_adds_to_the_forget_gate_alone() -> None:
    plain, biased = nn.LSTMCell(N, D, seed=0), nn.LSTMCell(N, D, seed=0, forget_bias=1.0)
    assert_same((biased.b.data - plain.b.data).reshape(4, D), [[0] * D, [1] * D, [0] * D, [0] * D], "b")
    with pytest.raises(ValueError, match="needs a bias"):
        nn.LSTMCell(N, D, bias=False, forget_bias=1.0)


def test_gates_carry_their_names_and_steps() -> None:
    cell = nn.LSTMCell(N, D)
    ys, _ = tr.unroll(cell, inputs(B).astype(np.float32))
    seen = {label[1:] for node in tr.autodiff.graph.ancestors([ys]) for label in node.labels}
    for gate in "ifgo":
        assert {(gate, None, t) for t in range(1, T + 1)} <= seen


@pytest.mark.parametrize(
    ("cell", "x", "message"),
    [
        (nn.LSTMCell(12, 64), (32, 10), r"inner sizes 10 and 12 differ. LSTMCell\(12, 64\) takes x of shape \(B, 12\)"),
        (nn.GRUCell(12, 64), (10,), r"GRUCell\(12, 64\) takes x of shape \(B, 12\)"),
    ],
)
def test_a_wrong_input_is_told_what_is_taken(cell: nn.Cell, x: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cell(np.zeros(x, np.float32), cell.initial_state(np.zeros(x)))


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="not one of"):
        nn.RNNCell(N, D, "selu")
    with pytest.raises(ValueError, match="'after' or 'before'"):
        nn.GRUCell(N, D, reset="never")


def test_with_values_leaves_the_model_alone_and_keeps_what_is_shared() -> None:
    layer = nn.Linear(2, 2)

    class Twice(nn.Module):
        def __init__(self) -> None:
            self.parts = [layer, {"again": layer}]

        def forward(self, x: Any) -> Any:
            return self.parts[1]["again"](self.parts[0](x))

    model = Twice()
    before = layer.W
    other = model.with_values({"parts.0.W": np.eye(2)})
    assert layer.W is before
    assert other.parts[0] is other.parts[1]["again"]
    assert other.parts[0].W is not before
    assert other.parts[0].b is layer.b
    assert [path for path, _ in other.named_parameters()] == ["parts.0.b"]  # an array isn't to be learnt
    with pytest.raises(ValueError, match="no parameter"):
        model.with_values({"W": np.eye(2)})
    with pytest.raises(ValueError, match="has shape"):
        model.with_values({"parts.0.W": np.eye(3)})
