"""Recurrent layers by their own promises: padding, streams, truncation, and a look inside."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.graph import Observer, observe_backward
from tinygrad_rnn.autodiff.trees import leaves
from tinygrad_rnn.manual import elman, truncated
from tinygrad_rnn.manual.elman import ElmanParams
from tinygrad_rnn.manual.readout import Objective
from tinygrad_rnn.nn.compiled_cells import compiled

N, D, B, T = 3, 2, 4, 6
LENGTHS = np.array([6, 3, 0, 1])

LAYERS = {
    "RNN": lambda: nn.RNN(N, D, 2, bidirectional=True, dtype=np.float64),
    "LSTM": lambda: nn.LSTM(N, D, 2, dtype=np.float64),
    "GRU": lambda: nn.GRU(N, D, bidirectional=True, dtype=np.float64),
    "own cells": lambda: nn.Recurrent(
        [nn.GRUCell(N, 3, dtype=np.float64), (nn.LSTMCell(3, 2, dtype=np.float64), nn.RNNCell(3, 4, dtype=np.float64))]
    ),
}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())


def batch_of(lengths: np.ndarray = LENGTHS, filler: float = 0.0, seed: int = 0) -> np.ndarray:
    xs = np.random.default_rng(seed).normal(size=(T, len(lengths), N))
    return np.where(np.arange(T)[:, None, None] < lengths[:, None], xs, filler)


def weighted_sum(output: Any, state: Any) -> Any:
    rng = np.random.default_rng(9)
    return sum(np.sum(a * rng.normal(size=a.shape)) for a in (output, *leaves(state)))


def results(layer: nn.Module, xs: np.ndarray, lengths: Any) -> list[np.ndarray]:
    """Outputs, final states, and the gradients of parameters and input."""
    layer.zero_grad()
    x = tr.tensor(xs, requires_grad=True)
    output, state = layer(x, lengths=lengths)
    weighted_sum(output, state).backward()
    return [a.data for a in (output, *leaves(state))] + [p.grad for p in layer.parameters()] + [x.grad]


@every_layer
@pytest.mark.parametrize("filler", [np.nan, np.inf, 1e300])
def test_what_stands_in_the_padding_changes_no_bit(make: Any, filler: float) -> None:
    layer = make()
    for got, expected in zip(
        results(layer, batch_of(filler=filler), LENGTHS), results(layer, batch_of(), LENGTHS), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


@every_layer
def test_each_sequence_of_a_padded_batch_fares_as_if_alone(make: Any) -> None:
    layer, xs = make(), batch_of(filler=np.nan)
    output, state = layer(xs, lengths=LENGTHS)
    batch_axis = 0 if isinstance(state, tuple) and not hasattr(state, "_fields") else 1
    for number, length in enumerate(LENGTHS):
        alone, final = layer(xs[:length, [number]])
        np.testing.assert_allclose(output.data[:length, number], alone.data[:, 0], rtol=0, atol=1e-12)
        assert not output.data[length:, number].any()
        for whole, single in zip(leaves(state), leaves(final), strict=True):
            row = np.take(whole.data, [number], axis=batch_axis)
            np.testing.assert_allclose(row, single.data, rtol=0, atol=1e-12)


def test_padding_gets_no_gradient() -> None:
    layer, xs = nn.LSTM(N, D, bidirectional=True, dtype=np.float64), batch_of(filler=np.nan)
    gradient = results(layer, xs, LENGTHS)[-1]
    valid = np.arange(T)[:, None] < LENGTHS
    assert gradient[valid].all()
    assert not gradient[~valid].any()


def test_gradients_of_a_padded_batch_by_differences() -> None:
    layer = nn.GRU(N, 1, bidirectional=True, dtype=np.float64)
    own = dict(layer.named_parameters())

    def f(*arrays: Any) -> Any:
        output, state = layer.with_values(dict(zip(own, arrays)))(arrays[-2], arrays[-1], lengths=LENGTHS)
        return np.concatenate([np.reshape(output, (-1,)), np.reshape(state, (-1,))])

    h0 = np.random.default_rng(1).normal(size=(2, B, 1))
    assert tr.gradcheck(f, [*own.values(), batch_of(), h0], fast_mode=True)


@every_layer
def test_batch_first_is_the_same_with_axes_swapped(make: Any) -> None:
    layer, xs = make(), batch_of()
    output, state = layer(xs, lengths=LENGTHS)
    layer.batch_first = True
    swapped, same = layer(xs.swapaxes(0, 1), lengths=LENGTHS)
    np.testing.assert_array_equal(swapped.data.swapaxes(0, 1), output.data)
    for a, b in zip(leaves(state), leaves(same), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize(
    ("x", "lengths", "message"),
    [
        ((T, N), [3, 3, 3], "padded batch"),
        ((T, B, N), [1, 2], "4 whole numbers"),
        ((T, B, N), [1.0, 2, 3, 4], "4 whole numbers"),
        ((T, B, N), [1, 2, 3, 7], "from 0 to 6"),
        ((T, B, N), [1, 2, 3, -1], "from 0 to 6"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_wrong_lengths_are_refused(x: tuple, lengths: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.RNN(N, D)(np.zeros(x), lengths=lengths)


def test_wrong_states_are_refused() -> None:
    x = np.zeros((T, B, N))
    with pytest.raises(ValueError, match=r"\(2, B, d\), not \(1, 4, 2\)"):
        nn.RNN(N, D, 2)(x, np.zeros((1, B, D)))
    with pytest.raises(ValueError, match="2 cells need a tuple of 2 states"):
        nn.Recurrent([nn.RNNCell(N, D), nn.RNNCell(D, D)])(x, (np.zeros((B, D)),))


@pytest.mark.parametrize("layer", [nn.LSTM(N, D), nn.Recurrent(nn.LSTMCell(N, D))], ids=["LSTM", "Recurrent"])
def test_one_array_does_not_pass_for_an_lstm_s_pair(layer: nn.Recurrent) -> None:
    with pytest.raises(TypeError, match=r"a pair \(h, c\), not one array"):
        layer(np.zeros((T, 2, N)), np.zeros((1, 2, D)) if isinstance(layer, nn.LSTM) else np.zeros((2, D)))


@pytest.mark.parametrize("layer", [nn.GRU(N, D), nn.Recurrent(nn.GRUCell(N, D))], ids=["GRU", "Recurrent"])
def test_a_pair_does_not_pass_for_the_one_array_of_a_gru(layer: nn.Recurrent) -> None:
    h = np.zeros((1, 2, D)) if isinstance(layer, nn.GRU) else np.zeros((2, D))
    with pytest.raises(TypeError, match="the state of GRUCell is one array, not a tuple of 2"):
        layer(np.zeros((T, 2, N)), (h, h))


def test_wrong_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="a pair of cells, forward and reverse, not 3"):
        nn.Recurrent((nn.RNNCell(N, D),) * 3)
    with pytest.raises(TypeError, match="from the size of its inputs, needs that size: inputs=3"):
        nn.Recurrent(lambda n: nn.RNNCell(n, D))
    with pytest.raises(ValueError, match="at least one layer"):
        nn.Recurrent([])
    for num_layers in (0, 1.5):
        with pytest.raises(ValueError, match=f"num_layers is a whole number, 1 or more, not {num_layers}"):
            nn.GRU(N, D, num_layers)
    for sizes in ((3.0, D), ("3", D), (N, 4.0)):
        with pytest.raises(TypeError, match=r"a cell's sizes are whole numbers: .* the shape "):
            nn.GRU(*sizes)
    with pytest.raises(ValueError, match="sizes are 1 or more"):
        nn.GRU(N, 0)
    with pytest.raises(ValueError, match=r"x has shape \(5, 20\). RNN takes .* are x\[\.\.\., None\]"):
        nn.RNN(1, 2)(np.zeros((5, 20)))
    with pytest.raises(ValueError, match=r"x has shape \(3,\). GRU takes x of shape \(T, B, 3\) or \(T, 3\)"):
        nn.GRU(N, D)(np.zeros(N))


@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    extra=st.integers(0, 2),
    kind=st.sampled_from([nn.RNN, nn.LSTM, nn.GRU]),
    both_ways=st.booleans(),
)
def test_whatever_the_lengths_each_sequence_fares_as_if_alone(
    lengths: list[int], extra: int, kind: Any, both_ways: bool
) -> None:
    layer = kind(2, 2, bidirectional=both_ways, dtype=np.float64)
    xs = np.full((max(lengths) + extra, len(lengths), 2), np.nan)
    for b, length in enumerate(lengths):
        xs[:length, b] = np.random.default_rng(b).normal(size=(length, 2))
    output, state = layer(xs, lengths=lengths)
    for b, length in enumerate(lengths):
        alone, final = layer(xs[:length, b])
        np.testing.assert_allclose(output.data[:length, b], alone.data, rtol=0, atol=1e-12)
        for whole, single in zip(leaves(state), leaves(final), strict=True):
            np.testing.assert_allclose(whole.data[:, b], single.data, rtol=0, atol=1e-12)


def test_wrong_inputs_are_told_layer_step_and_what_is_taken() -> None:
    with pytest.raises(ValueError, match=r"matmul at layer 0, step 1: .* LSTMCell\(3, 2\) takes x of shape \(B, 3\)"):
        nn.LSTM(N, D, 2)(np.zeros((T, B, N + 1)))


@every_layer
def test_no_steps_at_all(make: Any) -> None:
    output, state = make()(np.zeros((0, B, N)))
    assert output.shape[:2] == (0, B)
    assert not any(np.any(part.data) for part in leaves(state))


# --- streams and truncation ------------------------------------------------------------------------------------------


def test_a_stream_in_chunks_gives_the_values_of_one_pass() -> None:
    layer, xs = nn.LSTM(N, D, 2, dtype=np.float64), batch_of(np.full(B, T))
    whole, last = layer(xs)
    outputs, state = [], None
    for chunk in (xs[:1], xs[1:4], xs[4:]):
        output, state = layer(chunk, state)
        state = tr.stop_gradient(state)
        outputs.append(output.data)
    np.testing.assert_array_equal(np.concatenate(outputs), whole.data)
    assert not state.h.requires_grad
    np.testing.assert_array_equal(state.c.data, last.c.data)


@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (2, 2), (4, 4), (1, 3), (2, 3), (4, 5), (2, 9), (9, 9)])
def test_truncated_bptt_against_the_formulas(k1: int, k2: int) -> None:
    cell = nn.RNNCell(N, D, dtype=np.float64)
    rng = np.random.default_rng(0)
    xs, h0, weights = rng.normal(size=(T, N)), rng.normal(size=D), rng.normal(size=(T, D))
    ys, _ = nn.Recurrent(cell, truncate=(k1, k2))(xs, h0)
    np.sum(np.square(ys - weights)).backward()

    # An output layer that hands the state on turns the formulas' loss at the output into one at the state.
    params = ElmanParams(cell.U.data, cell.W.data, np.eye(D), cell.b.data, np.zeros(D))
    trace = elman.forward(params, xs, weights, s0=h0, objective=Objective(loss="mse"))
    expected = truncated.backward(trace, k1, k2).gradients
    np.testing.assert_allclose(ys.data, trace.s[1:], rtol=0, atol=1e-12)
    for name, parameter in cell.named_parameters():
        np.testing.assert_allclose(parameter.grad, D * getattr(expected, name), rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("truncate", [2, (2, 5)])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_truncation_changes_no_value(truncate: Any, lengths: Any) -> None:
    def run(truncate: Any) -> Any:
        layer = nn.GRU(N, D, seed=0, dtype=np.float64, bidirectional=True, truncate=truncate)
        return layer(batch_of(), lengths=lengths)

    for got, expected in zip(leaves(run(truncate)), leaves(run(None)), strict=True):
        np.testing.assert_array_equal(got.data, expected.data)


def test_truncation_in_chunks_is_detaching_the_state_between_them() -> None:
    layer, xs = nn.LSTM(N, D, 2, dtype=np.float64), batch_of(np.full(B, T))
    state, total = None, 0.0
    for start in (0, 4):
        output, state = layer(xs[start : start + 4], state and tr.stop_gradient(state))
        total = total + np.sum(output)
    total.backward()
    expected = [p.grad for p in layer.parameters()]
    layer.zero_grad()
    layer.truncate = (4, 4)
    np.sum(layer(xs)[0]).backward()
    for parameter, g in zip(layer.parameters(), expected, strict=True):
        np.testing.assert_allclose(parameter.grad, g, rtol=0, atol=1e-12)


@pytest.mark.parametrize("truncate", [0, (3, 2), (0, 1), 2.5, [2, 1], (1, None)])
def test_wrong_windows_are_refused(truncate: Any) -> None:
    with pytest.raises(ValueError, match="1 ≤ k1 ≤ k2"):
        nn.RNN(N, D, truncate=truncate)
    with pytest.raises(ValueError, match="StackedCell"):
        nn.RNN(N, D, 2, truncate=[1, 2])


# --- less memory -----------------------------------------------------------------------------------------------------


@every_layer
@pytest.mark.parametrize("k", [1, 2, 4, 6, 9])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_checkpoints_change_no_value_and_no_gradient(make: Any, k: int, lengths: Any) -> None:
    layer, xs = make(), batch_of()
    expected = results(layer, xs, lengths)
    layer.checkpoint_every = k
    for got, reference in zip(results(layer, xs, lengths), expected, strict=True):
        np.testing.assert_allclose(got, reference, rtol=0, atol=1e-12)


@pytest.mark.one_in(5)
@pytest.mark.parametrize(
    ("layers", "executor", "ks"),
    [
        *[(layers, "numpy", [k]) for layers in LAYERS for k in (1, 4, 9)],
        ("own cells", "llvm", [4, 1, 9]),  # all three kinds, in layers, both ways: each takes a second to compile
    ],
)
def test_checkpoints_of_compiled_cells_change_nothing_either(layers: str, executor: str, ks: list[int]) -> None:
    """Whichever length of a piece is traced; machine code serves all of them."""
    layer, xs = LAYERS[layers](), batch_of()
    expected = [(lengths, results(layer, xs, lengths)) for lengths in (None, LENGTHS)]
    layer.layers = [compiled(cells, executor) for cells in layer.layers]
    for layer.checkpoint_every in ks:
        for lengths, references in expected:
            for got, reference in zip(results(layer, xs, lengths), references, strict=True):
                np.testing.assert_allclose(got, reference, rtol=0, atol=1e-12, err_msg=f"{ks} {lengths}")


@pytest.mark.parametrize("executor", [None, "numpy"])
def test_checkpoints_with_noise_in_the_cell(executor: str | None) -> None:
    def gradients(k: int | None) -> list[np.ndarray]:
        cell = nn.ZoneoutCell(nn.DropoutCell(nn.GRUCell(N, D, seed=0, dtype=np.float64), seed=1), 0.3, seed=2)
        layer = nn.Recurrent(cell, checkpoint_every=k, executor=executor)
        return results(layer, batch_of(), LENGTHS)

    for got, expected in zip(gradients(2), gradients(None), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("executor", [None, "numpy", pytest.param("llvm", marks=pytest.mark.sweep)])
def test_checkpoints_keep_memory_at_the_root_of_the_steps(executor: str | None) -> None:

    def peak(steps: int, k: int | None) -> int:
        layer = nn.LSTM(4, 32, checkpoint_every=k, executor=executor)
        xs = np.zeros((steps, 8, 4), np.float32)
        if executor is not None:  # to have it compiled, for pieces that begin with zeros and others
            for few in (30, 45):  # and one plan for all lengths
                np.sum(layer(xs[:few])[1].h).backward()
        tracemalloc.start()
        np.sum(layer(xs)[1].h).backward()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(225, 15) < peak(225, None) / 3


def test_checkpoints_cost_linear_work_in_the_backward_pass() -> None:
    layer = nn.RNN(N, D, checkpoint_every=4)
    x = tr.tensor(np.zeros((64, 1, N)), requires_grad=True)
    largest: list[int] = []

    class Sizes(Observer):
        def contribution(self, node: Any, argument: int, c: Any) -> None:
            if node.op.name == "checkpoint":
                largest.append(np.shape(c)[0])

    observe_backward(np.sum(layer(x)[0]), Sizes())
    assert max(largest) <= 4  # nothing as long as the sequence comes back from a chunk


def test_what_contradicts_checkpoints_is_refused() -> None:
    with pytest.raises(ValueError, match="doesn't go with truncate=2"):
        nn.RNN(N, D, truncate=2, checkpoint_every=2)
    for wrong in (0, 2.5):
        with pytest.raises(ValueError, match="a whole number of steps, 1 or more"):
            nn.RNN(N, D, checkpoint_every=wrong)
    with pytest.raises(ValueError, match="checkpoint_every almost none"):
        nn.RNN(N, D, checkpoint_every=2)(batch_of(), return_states=True)


# --- dropout between layers, states inside ---------------------------------------------------------------------------


def test_dropout_stands_between_layers_in_training_only() -> None:
    xs = np.ones((T, 50, N))
    layer = nn.RNN(N, D, 2, dropout=0.5, seed=0)
    plain, _ = nn.RNN(N, D, 2, seed=0)(xs)
    assert not np.array_equal(layer(xs)[0].data, layer(xs)[0].data)
    layer.eval()
    np.testing.assert_array_equal(layer(xs)[0].data, plain.data)
    single = nn.RNN(N, D, 1, dropout=0.5)
    np.testing.assert_array_equal(single(xs)[0].data, single(xs)[0].data)


def test_the_same_seed_gives_the_same_weights_and_masks() -> None:
    xs = np.ones((T, B, N))
    first, again, other = (nn.GRU(N, D, 2, dropout=0.5, seed=seed)(xs)[0].data for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("recording", [True, False])
def test_states_and_gates_at_every_step(recording: bool) -> None:
    layer, xs = nn.LSTM(N, D, 2, bidirectional=True, dtype=np.float64), batch_of()
    with tr.enable_grad() if recording else tr.no_grad():
        output, state, inside = layer(xs, lengths=LENGTHS, return_states=True)
    assert [sorted(one) for one in inside] == [["c", "f", "g", "h", "i", "o"]] * 4
    top = inside[2:]
    np.testing.assert_array_equal(np.concatenate([one["h"].data for one in top], axis=-1), output.data)
    forward, valid = top[0], np.arange(T)[:, None, None] < LENGTHS[:, None]
    before = np.concatenate([np.zeros((1, B, D)), forward["c"].data[:-1]])
    c = forward["f"].data * before + forward["i"].data * forward["g"].data
    np.testing.assert_allclose(np.where(valid, c, 0), forward["c"].data, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(top[1]["c"].data[0, 0], state.c.data[3, 0])  # the reverse direction ends at step 1


def test_states_inside_carry_gradients() -> None:
    layer = nn.GRU(N, D)
    _, _, inside = layer(np.ones((T, B, N), np.float32), return_states=True)
    np.sum(inside[0]["z"]).backward()
    assert layer.cells()[0].U.grad.any()


def test_a_value_of_the_whole_batch_comes_as_it_is_beside_the_padding() -> None:
    def cell(x: Any, h: Any) -> Any:
        h = np.tanh(x + h)
        tr.named("energy", np.sum(h * h, axis=-1))
        tr.named("total", np.sum(h * h))
        tr.named("column", np.sum(h * h, axis=0))
        return h

    layer, h0, xs = nn.Recurrent(cell), np.zeros((B, N)), batch_of(filler=0.0)
    plain, padded = (layer(xs, h0, lengths=lengths, return_states=True)[2][0] for lengths in (None, LENGTHS))
    valid = np.arange(T)[:, None] < LENGTHS
    np.testing.assert_array_equal(padded["energy"].data, np.where(valid, plain["energy"].data, 0))
    assert padded["total"].shape == (T,) and padded["column"].shape == (T, N)
    assert padded["total"].data.all()


def test_a_value_named_at_some_steps_only_is_refused() -> None:
    calls: list[int] = []

    def cell(x: Any, h: Any) -> Any:
        calls.append(1)
        return tr.named("now_and_then", np.tanh(x + h)) if len(calls) != 2 else x + h

    with pytest.raises(ValueError, match="'now_and_then' has no value at step 2"):
        nn.Recurrent(cell)(np.ones((3, 2)), np.zeros(2), return_states=True)


def test_reverse_keeps_the_numbers_of_the_steps() -> None:
    layer = nn.RNN(N, D, bidirectional=True)
    output, _ = layer(np.ones((3, B, N), np.float32))
    labels = [label for node in tr.autodiff.graph.ancestors([output]) for label in node.labels]
    outputs = {(label.layer, label.step) for label in labels if label.role == "output"}
    assert outputs == {(0, 1), (0, 2), (0, 3), ("0.reverse", 1), ("0.reverse", 2), ("0.reverse", 3)}


def test_scalars_run_through_a_layer_with_padding() -> None:
    layer = nn.LSTM(N, D, bidirectional=True, dtype=np.float64)
    twins = {path: tr.scalars(p.data) for path, p in layer.named_parameters()}
    xs = batch_of()
    total = weighted_sum(*layer(xs, lengths=LENGTHS))
    by_scalars = weighted_sum(*layer.with_values(twins)(tr.scalars(xs, requires_grad=False), lengths=LENGTHS))
    total.backward()
    by_scalars.backward()
    assert by_scalars.data == pytest.approx(total.item(), abs=1e-12)
    for path, parameter in layer.named_parameters():
        np.testing.assert_allclose(tr.gradients(twins[path]), parameter.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_compiled_cells_in_a_layer(lengths: Any) -> None:
    def cells() -> list[Any]:
        return [nn.LSTMCell(N, D, seed=0, dtype=np.float64), nn.GRUCell(D, D, seed=1, dtype=np.float64)]

    plain, compiled = nn.Recurrent(cells()), nn.Recurrent([tr.compile(cell) for cell in cells()])
    assert [name for name, _ in compiled.named_parameters()] == [name for name, _ in plain.named_parameters()]
    xs = batch_of(filler=np.nan if lengths is not None else 0.0)
    for got, expected in zip(results(compiled, xs, lengths), results(plain, xs, lengths), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_a_look_inside_a_compiled_cell() -> None:
    inside = nn.Recurrent(tr.compile(nn.GRUCell(N, D, seed=0)))(batch_of(), return_states=True)[2]
    expected = nn.Recurrent(nn.GRUCell(N, D, seed=0))(batch_of(), return_states=True)[2]
    assert inside[0].keys() == expected[0].keys()
    np.testing.assert_allclose(inside[0]["z"].data, expected[0]["z"].data, rtol=0, atol=1e-6)


def test_inputs_of_a_padded_batch_are_labelled_as_inputs() -> None:
    x = tr.tensor(batch_of(), requires_grad=True)
    output, _ = nn.RNN(N, D)(x, lengths=LENGTHS)
    labels = [label for node in tr.autodiff.graph.ancestors([output]) for label in node.labels]
    assert {label[1:] for label in labels if label.role == "input"} == {("x", 0, t) for t in range(1, T + 1)}
