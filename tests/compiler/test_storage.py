"""Where the arrays of a loop lie: decided before a line is written."""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import assert_compiled_agrees
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.rules import shape
from tinygrad_rnn.compiler.generate import scheduled
from tinygrad_rnn.compiler.graph.values import name_of
from tinygrad_rnn.compiler.loops.fission import Cheap
from tinygrad_rnn.compiler.loops.loop import Loop, LoopResult
from tinygrad_rnn.compiler.loops.storage import Part, State, Storage
from tinygrad_rnn.compiler.program.backward import differentiated
from tinygrad_rnn.compiler.program.fission import fissioned
from tinygrad_rnn.compiler.program.tracing import traced

T, B, d = 5, 2, 3
RNG = np.random.default_rng(0)
XS, START = RNG.normal(size=(T, B, d)), RNG.normal(size=(B, d))
W = tr.tensor(RNG.normal(size=(d, d)), requires_grad=True)


def storages(function, *arguments, gradients=False):
    """Those of the loops of a function, forward and backward."""
    program = fissioned(traced(function, arguments))
    if gradients:
        program = fissioned(differentiated(program, [True] * len(program.inputs)))
    order = [*program.forward_order(), *program.backward_order()]
    return [Storage(step, program.results[step]) for step in order if isinstance(step, Loop)]


def elman(x, h):
    return np.tanh(x + h @ W)


def test_states_that_nobody_reads_take_turns():
    (storage,) = storages(lambda xs, h: tr.unroll(elman, xs, h)[1], XS, START)
    (state,) = storage.states
    assert not state.is_kept and state.last is not None and not storage.row_results
    assert storage.writes == {state.carried.after: [state]} and not storage.late


@pytest.mark.parametrize("gradients", [False, True])
def test_states_that_are_read_are_kept_in_one_array(gradients):
    forward, *backward = storages(lambda xs, h: tr.unroll(elman, xs, h)[0], XS, START, gradients=gradients)
    (state,) = forward.states
    assert state.is_kept and state.after is not None and state.last is None
    assert (state.before is not None) == gradients  # for the gradient of W
    assert not forward.row_results  # outputs that are states are parts of that array
    for storage in backward:
        (state,) = storage.states
        (result,) = storage.row_results
        assert not state.is_kept and storage.writes[result.inner] == [result]


def test_cotangents_of_gates_are_computed_side_by_side():
    cell = nn.LSTMCell(d, 4, dtype=np.float64)
    _, backward = storages(lambda xs: tr.unroll(cell, xs)[0], XS, gradients=True)
    ((whole, parts),) = backward.parts.items()
    assert [(p.axis, p.start, p.stop, p.is_in_place) for p in parts] == [(-1, 4 * i, 4 * i + 4, True) for i in range(4)]
    assert all(backward.writes[p.piece] == [p] for p in parts)
    assert [type(slot) for slot in backward.writes[whole]] == [LoopResult]


def two_lags(x, state):
    before, earlier = state
    return np.tanh(x + before @ W + earlier), (np.tanh(x + before @ W + earlier), before)


def twice(x, state):
    h = np.tanh(x + state[0] @ W + state[1])
    return h, (h, h)


def nested(x, h):
    a, b = np.tanh(x + h[..., :d] @ W), np.cos(h[..., d : 2 * d] - h[..., 2 * d :])
    inner = np.concatenate([a, b], axis=-1)
    h = np.concatenate([inner, a * b], axis=-1)
    return inner, h


def test_a_state_that_another_becomes_lies_there():
    (storage,) = storages(lambda xs, a, b: tr.unroll(two_lags, xs, (a, b)), XS, START, START)
    first, second = storage.states
    assert first.is_kept and first.after is not None
    assert second.after is None and second.carried.after is first.carried.before
    assert storage.late == [(second, first.carried.before)]


def test_of_states_that_are_one_only_the_first_has_the_rows():
    (storage,) = storages(lambda xs, a, b: tr.unroll(twice, xs, (a, b)), XS, START, START)
    first, second = storage.states
    assert first.after is not None and second.after is None
    assert storage.writes[first.carried.after] == [first, second]


def test_a_concatenation_in_another_is_written_there_at_once():
    (storage,) = storages(lambda xs, h: tr.unroll(nested, xs, h)[1], XS, np.zeros((B, 3 * d)))
    outer, inner = storage.parts  # the one that holds the other comes first
    (state,) = storage.states
    assert storage.writes[outer] == [state] and isinstance(storage.writes[inner][0], Part)
    assert storage.writes[inner][0].whole is outer
    assert not any(isinstance(slot, State) for slot in storage.writes[inner])


@pytest.mark.one_in(5)
@pytest.mark.parametrize("executor", ["numpy", "llvm"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("cell", "state"),
    [(two_lags, (START, START)), (twice, (START, START)), (nested, np.ones((B, 3 * d)))],
    ids=["two lags", "twice", "nested"],
)
def test_both_executors_write_what_was_decided(cell, state, reverse, executor):
    assert_compiled_agrees(cell, XS, state, [W], executor=executor, reverse=reverse)


def test_a_state_scaled_or_shifted_is_computed_again():
    """It isn't handed to the backward pass, which has the state; what isn't that cheap is."""

    def cell(x, state):
        h, s = state
        s = s - 0.5 * x
        return h, (np.tanh((1 - h) * (h @ W) * (2 * s)), s)

    forward, _ = storages(lambda xs, h: tr.unroll(cell, xs, (h, h))[0], XS, START, gradients=True)
    kept = [name_of(result.inner.op) for result in forward.row_results]
    assert sorted(kept) == ["matmul", "multiply"]
    assert_compiled_agrees(cell, XS, (START, START + 1), [W], executor="numpy")


def large_buffers(compiled, size):
    (executable,) = compiled.plans[0]._executables.values()
    return [name for name, buffer in executable.code.buffers.items() if buffer.size == size]


def test_arrays_outside_of_loops_are_used_again():
    """A chain of operations on a whole sequence lies in one array, in whatever shape; what is read later stays."""

    def chain(xs):
        ys = np.sin(xs)
        zs = np.exp(np.cos(ys.reshape((-1, d)) * 2.0)).reshape(xs.shape)
        return np.tanh(zs + ys) - ys[::-1] * zs

    compiled = tr.compile(chain)
    with tr.no_grad():
        np.testing.assert_allclose(compiled(XS).data, chain(XS), rtol=1e-14)
    assert len(large_buffers(compiled, XS.size)) == 3  # ys, zs, and one for a part of the result


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_a_backward_pass_finds_the_arrays_of_the_forward_pass_a_second_time(executor):
    """It may write over what the forward pass has left, but not over what it reads."""
    V = tr.tensor(RNG.normal(size=(d, d)), requires_grad=True)

    def loss(xs, h):
        before = np.tanh(xs @ V)
        ys = tr.unroll(lambda x, h: tr.sigmoid(x * h @ W) * h, np.exp(before), h)[0]
        return np.sum(np.square(ys) * before)

    compiled = tr.compile(loss, executor=executor)
    expected = None
    for run in (loss, compiled):
        W.grad = V.grad = None
        result = run(XS, START)
        result.backward(retain_graph=True)
        first = W.grad, V.grad
        W.grad = V.grad = None
        result.backward()
        np.testing.assert_array_equal(W.grad, first[0])
        np.testing.assert_array_equal(V.grad, first[1])
        expected = expected or first
        for found, right in zip(first, expected):
            np.testing.assert_allclose(found, right, rtol=1e-12)


def test_a_large_weight_is_laid_out_once_for_the_backward_loop():
    cell = tr.nn.RNNCell(3, 72, seed=0, dtype=np.float64)

    def loss(x):
        return np.sum(tr.unroll(cell, x)[0])

    compiled = tr.compile(loss, executor="numpy")
    for steps, batch in (4, 5), (7, 2), (2, 6), (5, 1):
        x = np.random.default_rng(steps).normal(size=(steps, batch, 3))
        found = []
        for function in compiled, loss:
            cell.zero_grad()
            function(x).backward()
            found.append([p.grad for p in cell.parameters()])
        for got, expected in zip(*found):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    assert all("laid_out" in plan.source() for plan in compiled.plans)


def test_what_is_joined_at_all_steps_is_joined_at_each_where_the_loop_joins_it_anyway():
    def gates(x, h):  # each gate reads its own columns, so their cotangents are joined for U, and in the loop for W
        z = x + h @ np.concatenate([W, W], axis=-1)
        return np.tanh(z[:, :d]) * tr.sigmoid(z[:, d:])

    def loss(xs):
        return np.sum(np.square(tr.unroll(gates, np.concatenate([xs, xs], axis=-1), START)[0]))

    program = scheduled(traced(loss, (XS,)), [True] * 2, Cheap.SLICES_BEFORE)
    order = program.backward_order()
    (loop,) = [step for step in order if isinstance(step, Loop)]
    assert [name_of(r.inner.op) for r in program.results[loop] if r.shape[-1:] == (2 * d,)] == ["concatenate"]
    assert not [v for v in order if not isinstance(v, Loop) and v.op is shape.joined and v.shape == (T, B, 2 * d)]
