"""Linear recurrences: which loops are taken for one, and what the scans give, held to a loop in higher precision."""


import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tests.compiler.agreement import assert_compiled_agrees, assert_equal, everything
from tinygrad_rnn.compiler import thresholds
from tinygrad_rnn.compiler.loops.fission import Cheap
from tinygrad_rnn.compiler.program.backward import differentiated
from tinygrad_rnn.compiler.program.fission import fissioned
from tinygrad_rnn.compiler.program.tracing import traced
from tinygrad_rnn.compiler.program.verify import Malformed, verify
from tinygrad_rnn.compiler.runtime import scan

T, B, d = 150, 2, 3


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def parameter(*shape, seed=0):
    return tr.tensor(normal(*shape, seed=seed), requires_grad=True)


A = tr.tensor(np.array([0.9, -0.5, 0.0]), requires_grad=True)
W = parameter(d, d, seed=1)
ROW = parameter(d, seed=2)


def sru(x, c):
    """A Simple Recurrent Unit (Lei et al., 2018, without the peephole), its output beside its state."""
    f, r = tr.sigmoid(x @ W), tr.sigmoid(x @ W + ROW)
    c = f * c + (1 - f) * (x @ W)
    return r * np.tanh(c) + (1 - r) * x, c


def qrnn(x, state):
    """A quasi-recurrent cell (Bradbury et al., 2017) that looks at two steps of its input."""
    before, c = state
    f = tr.sigmoid(x @ W + before @ W)
    c = f * c + (1 - f) * np.tanh(x * ROW + before)
    return c, (x, c)


def two_rates(x, state):
    fast, slow = state
    fast = 0.5 * fast + x
    slow = slow + 0.1 * (np.tanh(fast) - slow)
    return fast - slow, (fast, slow)


def inside(x, state):
    """A linear state that a network of another kind reads, and one that reads that network."""
    trace, h, readout = state
    trace = A * trace + x
    h = np.tanh(trace + h @ W)
    readout = 0.8 * readout + h * ROW
    return readout * h, (trace, h, readout)


def beside_its_input(x, state):
    """A linear state that a network reads together with what that state adds up."""
    trace, h = state
    trace = 0.9 * trace + x
    return h, (trace, np.tanh(np.sin(h + x) * trace))


def spread(x, state):
    """The same with a state that is larger than what it adds up."""
    trace, h = state
    trace = 0.9 * trace + x[:, :1]
    return h, (trace, np.tanh(h * trace + x[:, :1]))


# By name: a cell, how many states it has, and how many of them are linear.
LINEAR = {
    "average": (lambda x, h: (A * h + x,) * 2, 1, 1),
    "by a row": (lambda x, h: ((h * np.tanh(x[:, :1]) - x) / 1.5,) * 2, 1, 1),
    "differences": (lambda x, h: (-(x - h) / (1 + x * x) + ROW,) * 2, 1, 1),
    "sum": (lambda x, h: (h + x,) * 2, 1, 1),
    "decay": (lambda x, h: (0.7 * h,) * 2, 1, 1),
    "of two precisions": (lambda x, h: (0.3 * (h * np.float32(0.1)) + 0.7 * (x - np.float32(0.1) * h),) * 2, 1, 1),
    "delay": (lambda x, h: (h, x), 1, 1),
    "reset": (lambda x, h: (np.where(x > 0.5, 0.0, tr.sigmoid(x) * h + x),) * 2, 1, 1),
    "held": (lambda x, h: (np.where(x[:, :1] > 0, A * h + x, h),) * 2, 1, 1),
    "mask": (lambda x, h: ((x > 0) * h + x,) * 2, 1, 1),
    "stopped": (lambda x, h: (0.5 * h + A * tr.stop_gradient(h) + x,) * 2, 1, 1),
    "last alone": (lambda x, h: (x, A * h + x), 1, 1),
    "sru": (sru, 1, 1),
    "qrnn": (qrnn, 2, 2),
    "two rates": (two_rates, 2, 2),
    "inside": (inside, 3, 2),
    "beside its input": (beside_its_input, 2, 1),
    "spread": (spread, 2, 1),
}
OTHER = {
    "tanh": (lambda x, h: (np.tanh(A * h + x),) * 2, 1, 0),
    "matrix": (lambda x, h: (h @ W * 0.3 + x,) * 2, 1, 0),
    "squared": (lambda x, h: (0.1 * h * h + x,) * 2, 1, 0),
    "gate of the state": (lambda x, h: (tr.sigmoid(h) * h + x,) * 2, 1, 0),
    "divided by": (lambda x, h: (x / (2 + h * h),) * 2, 1, 0),
    "chosen by the state": (lambda x, h: (np.where(h > 0, 0.5 * h, x),) * 2, 1, 0),
    "the larger": (lambda x, h: (np.maximum(0.5 * h, x),) * 2, 1, 0),
    "shifted": (lambda x, h: (0.5 * h[:, ::-1] + x,) * 2, 1, 0),
    "mean": (lambda x, h: (0.5 * np.mean(h, axis=1, keepdims=True) + x,) * 2, 1, 0),
    "exchanged": (lambda x, s: (s[0], (0.5 * s[1] + x, 0.5 * s[0])), 2, 0),
    "product of two": (lambda x, s: (s[0], (0.3 * s[0] * s[1] + x, np.tanh(s[1] + s[0]))), 2, 0),
}
ALL = LINEAR | OTHER


def arguments(states, steps=T, batch=B):
    start = tuple(0.5 * normal(batch, d, seed=5 + i) for i in range(states))
    return normal(steps, batch, d, seed=3), start[0] if states == 1 else start


def linear_loops(program):
    return [loop for loop in program.results if loop.linear is not None]


@pytest.fixture
def scans_all(monkeypatch):
    """Scan whatever is linear, and large or small be machine code in parts."""
    monkeypatch.setattr(thresholds, "FEWEST_STEPS_TO_SCAN", 1)
    monkeypatch.setattr(thresholds, "SMALL_VALUE", 0)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("cheap", Cheap)
def test_what_is_recognised(name, cheap):
    cell, states, count = ALL[name]
    program = traced(lambda xs, s: tr.unroll(cell, xs, s), arguments(states))
    program = fissioned(program, cheap, scans=True)
    verify(program)
    assert len(linear_loops(program)) == count
    assert str(program).count("a linear recurrence") == count
    assert str(fissioned(program, cheap, scans=True)) == str(program)
    both = differentiated(program, [v.dtype.kind == "f" for v in program.inputs])
    both = fissioned(both, cheap, scans=True)
    verify(both)
    assert len(linear_loops(both)) >= 2 * count - (name in ("delay", "mask"))  # whose backward pass may need no loop
    assert not linear_loops(fissioned(program, cheap)) or count


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("reverse", [False, True])
def test_cells_agree_with_the_engine(name, reverse, scans_all):
    cell, states, _ = ALL[name]
    assert_compiled_agrees(cell, *arguments(states), [A, W, ROW], executor="numpy", reverse=reverse)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("executor", ["numpy", "llvm"])
@pytest.mark.parametrize("name", ["inside", "reset", "last alone"])
def test_cells_as_machine_code(name, executor, scans_all):
    cell, states, _ = ALL[name]
    xs, start = arguments(states, 90, 1)
    assert_compiled_agrees(cell, xs, start, [A, W, ROW], executor=executor)
    assert_compiled_agrees(cell, xs.astype("f"), start_in_single(start), [], 1e-5, executor=executor)


@pytest.mark.parametrize("name", ALL)
def test_cells_whose_values_fill_the_memory(name, scans_all, monkeypatch):
    """A loop that reads a value of another loop can't compute it again, however much it saves."""
    monkeypatch.setattr(thresholds, "MOST_AT_ALL_STEPS", 1)
    monkeypatch.setattr(thresholds, "SPREAD", 1)
    cell, states, _ = ALL[name]
    assert_compiled_agrees(cell, *arguments(states, 9), [A, W, ROW], executor="numpy")


def start_in_single(start):
    return tuple(a.astype("f") for a in start) if isinstance(start, tuple) else start.astype("f")


def test_one_plan_for_all_lengths():
    """Short ones go step by step, and long ones by a scan, in the same functions."""
    compiled = tr.compile(lambda xs, s: tr.unroll(sru, xs, s), executor="numpy")
    for steps, batch in ((40, 2), (200, 2), (90, 3), (7, 1), (500, 1)):
        inputs = arguments(1, steps, batch)
        found = everything(compiled, *inputs, [W, ROW])
        for a, b in zip(found, everything(lambda xs, s: tr.unroll(sru, xs, s), *inputs, [W, ROW])):
            assert_equal(a, b, 1e-11)
    assert len(compiled.plans) == 2
    assert "all lengths" in str(compiled.plans[1]) and "linear recurrence, a scan" in str(compiled.plans[1])


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_lengths_layers_and_directions(executor, scans_all):
    """Two layers of averages over padded sequences, in both directions."""
    lengths = np.array([T, 70])

    def network(xs, start):
        mask = np.arange(T)[:, None, None] < lengths[:, None]

        def cell(z, h):
            x, is_there = z
            h = np.where(is_there, A * h + x, h)
            return h, h

        forward, _ = tr.unroll(cell, (xs, mask), start)
        backward, last = tr.unroll(cell, (xs, mask), start, reverse=True)
        ys, end = tr.unroll(cell, (forward * ROW - backward, mask), last)
        return ys, end

    compiled = tr.compile(network, executor=executor)
    inputs = arguments(1)
    for a, b in zip(everything(compiled, *inputs, [A, ROW]), everything(network, *inputs, [A, ROW])):
        assert_equal(a, b, 1e-11)


def test_second_order_and_checkpoints(scans_all):
    def loss(a, xs, run=tr.unroll):
        ys, h = run(lambda x, h: (a * h + x,) * 2, xs, np.zeros((1, d)))
        return np.sum(ys * ys) + np.sum(h)

    xs, a = normal(100, 1, d), np.array([0.9, -0.3, 0.99])
    compiled = tr.compile(loss, executor="numpy")
    for order in (tr.grad, lambda f: tr.grad(lambda a, xs: np.sum(tr.grad(f)(a, xs) ** 2))):
        np.testing.assert_allclose(order(compiled)(a, xs), order(loss)(a, xs), rtol=1e-10)
    saved = tr.compile(lambda a, xs: tr.checkpoint(loss)(a, xs), executor="numpy")
    np.testing.assert_allclose(tr.grad(saved)(a, xs), tr.grad(loss)(a, xs), rtol=1e-10)


# --- the scans themselves --------------------------------------------------------------------------------------------


def step_by_step(start, factor, term, backwards):
    """All states, in twice the precision."""
    h, found = start.astype(np.longdouble), np.empty(term.shape, np.longdouble)
    with np.errstate(all="ignore"):
        for t in range(len(term))[:: -1 if backwards else 1]:
            found[t] = h = (factor if factor.ndim < term.ndim else factor[t]) * h + term[t]
    return found


KINDS = {
    "gates": lambda rng, shape: rng.uniform(size=shape),
    "signed": lambda rng, shape: rng.uniform(-1, 1, size=shape),
    "ones": lambda rng, shape: np.ones(shape),
    "zeros": lambda rng, shape: np.zeros(shape),
    "zeros and ones": lambda rng, shape: rng.integers(0, 2, size=shape).astype(float),
    "tiny": lambda rng, shape: rng.uniform(-1, 1, size=shape) * 1e-200,
    "near one": lambda rng, shape: 1 + rng.normal(size=shape) * 1e-3,
    "large": lambda rng, shape: rng.normal(size=shape) * 3,
    "huge": lambda rng, shape: rng.normal(size=shape) * 1e200,
}


@settings(deadline=None, max_examples=150)
@given(
    st.integers(64, 400),
    st.sampled_from([(), (1,), (3,), (1, 5), (2, 3), (1, 21), (2, 37)]),
    st.sampled_from(sorted(KINDS)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_scans_hold_to_twice_the_precision(steps, shape, kind, is_fixed, backwards, wants_last, seed):
    """Whatever the factors: a scan gives the states to rounding, or refuses."""
    rng = np.random.default_rng(seed)
    factor = KINDS[kind](rng, shape if is_fixed else (steps, *shape))
    factor, term, start = np.asarray(factor), rng.normal(size=(steps, *shape)), rng.normal(size=shape)
    start = np.asarray(start)
    out = np.full(shape if wants_last else (steps, *shape), np.nan)
    taken = scan.scanned(steps, start, factor, term, out, backwards)
    expected = step_by_step(start, factor, term, backwards)
    largest = np.max(np.abs(factor))
    assert taken or largest > 1
    assert not taken or largest <= scan.LARGEST_GROWTH
    if taken:
        scale = np.maximum(1, np.max(np.abs(expected), axis=0))
        error = np.abs(out - (expected[0 if backwards else -1] if wants_last else expected)) / scale
        assert np.max(error) < 1e-13


def test_what_grows_is_left_to_the_loop():
    """1 is a fixed point of 2 h - 1; the terms of a chunk alone are as large as its factor, and all digits are lost."""
    out = np.empty((200, 1))
    assert not scan.scanned(200, np.ones(1), np.full(1, 2.0), np.broadcast_to(-1.0, (200, 1)), out, False)
    compiled = tr.compile(lambda xs, h: tr.unroll(lambda x, h: (2 * h - x,) * 2, xs, h)[0], executor="numpy")
    assert np.array_equal(compiled(np.ones((200, 1)), np.ones(1)), np.ones((200, 1)))


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_reset_also_forgets_what_is_not_finite(bad, executor, scans_all):
    def cell(x, h):
        h = np.where(x == 0, 0.0, 0.5 * h + x)
        return h, h

    xs = np.ones((100, 1, d))
    xs[40, 0, 1], xs[60, 0, 1], xs[80, 0, 2] = bad, 0, bad
    with np.errstate(invalid="ignore"):
        found = np.asarray(tr.compile(lambda xs, h: tr.unroll(cell, xs, h)[0], executor=executor)(xs, np.zeros((1, d))))
        expected = np.asarray(tr.unroll(cell, xs, np.zeros((1, d)))[0])
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert np.isfinite(found[60:, 0, 1]).all() and not np.isfinite(found[80:, 0, 2]).any()


def test_verify_knows_factors():
    program = traced(lambda xs, s: tr.unroll(LINEAR["average"][0], xs, s), arguments(1))
    program = fissioned(program, scans=True)
    (loop,) = linear_loops(program)
    loop.linear = loop.linear._replace(term=program.inputs[-1])
    with pytest.raises(Malformed, match="not a factor or term"):
        verify(program)


def test_scipy_filters_likewise():
    signal = pytest.importorskip("scipy.signal")
    xs = normal(5000, 4)
    compiled = tr.compile(lambda xs: tr.unroll(lambda x, h: (0.99 * h + x,) * 2, xs, np.zeros(4))[0], executor="numpy")
    expected = signal.lfilter([1], [1, -0.99], xs, axis=0)
    np.testing.assert_allclose(np.asarray(compiled(xs)), expected, rtol=1e-9, atol=1e-12)
