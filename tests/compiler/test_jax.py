"""The executor "jax": a share of what the other tests of the compiler ask, and what is its own.

The whole of it is a step of ``.ci/run``: ``COMPILE_WITH=jax python -m pytest tests/compiler``.
"""

import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.autodiff.samples import SAMPLES
from tests.compiler import test_catalogue, test_cells
from tests.compiler.agreement import assert_compiled_agrees
from tests.compiler.small import B, T, W, d, normal, with_gradients
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.errors import CannotCompile
from tinygrad_rnn.autodiff.registry import elementwise, primitive
from tinygrad_rnn.compiler import thresholds
from tinygrad_rnn.compiler.loops.loop import Loop

jax = pytest.importorskip("jax")
interpreter = pytest.importorskip("tinygrad_rnn.compiler.jax_code.interpreter")
precision = pytest.importorskip("tinygrad_rnn.compiler.jax_code.precision")
stand_in = pytest.importorskip("tinygrad_rnn.compiler.jax_code.stand_in")

EVERY = 32  # of the catalogue's samples one in so many


# --- what is asked of every executor ---------------------------------------------------------------------------------


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", ["RNN, relu, no bias", "LSTM with peepholes", "GRU"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_cells_of_the_library(name, dtype, tolerance):
    cell = test_cells.LIBRARY[name](dtype)
    xs = normal(9, 2, 3).astype(dtype)
    assert_compiled_agrees(cell, xs, cell.initial_state(xs[0]), list(cell.parameters()), tolerance, executor="jax")


@pytest.mark.one_in(5)
@pytest.mark.parametrize("make", [test_cells.attention, test_cells.several_lags, test_cells.products_and_powers])
@pytest.mark.parametrize("reverse", [False, True])
def test_cells_as_users_write_them(make, reverse):
    cell, parameters, state = make()
    assert_compiled_agrees(cell, normal(7, 2, 3), state, parameters, executor="jax", reverse=reverse)


def test_functions_that_have_a_derivative():
    several_results = next(s for s in SAMPLES if s.name == "linalg.eigh-0")
    names, functions, inputs = zip(*((s.name, s.f, s.inputs) for s in [*SAMPLES[::EVERY], several_results]))
    f = test_catalogue.together(functions)
    test_catalogue.assert_same(names, f, tr.compile(f, executor="jax"), inputs)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU])
def test_layers_over_padded_batches_in_both_directions(layer):
    def run(executor):
        made = layer(d, 4, bidirectional=True, seed=0, dtype=np.float64, executor=executor)
        x = tr.tensor(normal(T, 3, d), requires_grad=True)
        output, _ = made(x, lengths=[5, 1, 3])
        np.sum(output * output).backward()
        return [output.data, x.grad, *(p.grad for p in made.parameters())]

    for found, expected in zip(run("jax"), run(None), strict=True):
        np.testing.assert_allclose(found, expected, 1e-12, 1e-14)


# --- a node like any other -------------------------------------------------------------------------------------------


def cell(x, h):
    return np.tanh(x + h @ W)


def loss(xs, h):
    return np.mean(np.square(tr.unroll(cell, xs, h)[0]))


def test_it_expands_for_second_derivatives_and_pictures():
    fast = tr.compile(loss, executor="jax")
    xs, h, v = normal(T, B, d), normal(B, d), normal(T, B, d, seed=1)
    twice = lambda f: tr.grad(lambda xs: np.sum(tr.grad(f)(xs, h) * v))(xs).numpy()  # noqa: E731
    np.testing.assert_allclose(twice(fast), twice(loss), 1e-10, 1e-12)
    pictures = [tr.draw(f(tr.tensor(xs, requires_grad=True), h), level="cell").svg for f in (fast, loss)]
    assert pictures[0] == pictures[1]


def test_a_plan_says_what_runs():
    fast = tr.compile(cell, executor="jax")
    tr.unroll(fast, normal(T, B, d), normal(B, d))
    (plan,) = fast.plans
    assert "loop of 5 steps" in str(plan) and "buffers" not in str(plan)
    assert "scan" in plan.source()


def test_the_backward_pass_is_by_our_rules():
    """JAX knows another derivative of this function than we give to it."""
    straight_through = elementwise(np.sign, lambda ans, x: np.ones_like(x))
    fast = tr.compile(lambda x: straight_through(x), executor="jax")
    x = tr.tensor(normal(3), requires_grad=True)
    np.sum(fast(x)).backward()
    assert x.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_writes_no_row_twice(steps, reverse):
    """States before a step are those after the one before, and cotangents of gates are columns of the joined row."""
    cell, xs, start = nn.GRUCell(3, d, seed=0, dtype=np.float64), normal(steps, B, 3), normal(B, d)
    parameters = list(cell.parameters())

    def loss(xs, h):
        return np.sum(np.square(tr.unroll(cell, xs, h, reverse=reverse)[0]))

    fast = tr.compile(loss, executor="jax")
    for f in (fast, loss):
        h = tr.tensor(start, requires_grad=True)
        f(xs, h).backward()
        if f is fast:
            found = [p.grad for p in (h, *parameters)]
            cell.zero_grad()
    for a, b in zip(found, [p.grad for p in (h, *parameters)], strict=True):
        np.testing.assert_allclose(a, b, 1e-12, 1e-14)
    program = fast.prepared(xs, h).executable.program
    loops = [step for step in [*program.forward_order(), *program.backward_order()] if isinstance(step, Loop)]
    series = {loop: [result for result in program.results[loop] if result.how == "rows"] for loop in loops}
    held = {result: where for loop in loops for result, where in interpreter.held_by_others(loop, series[loop]).items()}
    assert sorted(where.start is None for where in held.values()) == ([False, True] if loops else [])


def test_a_loss_comes_with_its_gradients():
    """One program computes both, for the cotangent that the last backward pass had, and again for another."""
    clipped = primitive(lambda x: x, [lambda g, ans, x: np.clip(g, -0.1, 0.1)], [lambda v, ans, x: v], name="clipped")
    table = nn.Parameter(normal(7, d))

    def loss(symbols, h):
        return np.sum(np.tanh(tr.unroll(cell, clipped(table[symbols]), h)[0]))

    fast, symbols = tr.compile(loss, executor="jax"), np.array([[0, 6], [1, 2], [3, 3]])
    for scale in (1, 1, 0.01, 0.01, -3):
        found = []
        for f in (fast, loss):
            h = tr.tensor(normal(2, d), requires_grad=True)
            value = f(symbols, h)
            for _ in range(2):
                table.grad = h.grad = None
                (scale * value).backward(retain_graph=True)
            found.append([value.data, table.grad, h.grad])
        for a, b in zip(*found):
            np.testing.assert_allclose(a, b, 1e-12, 1e-14)
    with pytest.raises(IndexError, match="out of bounds"):
        fast(symbols + 1, h)
    assert np.isfinite(fast(symbols, h).data)


def test_xla_compiles_at_the_first_call_alone(caplog, large_arrays):
    """Large arrays come from NumPy then, and from the call before later on."""
    xs, h = tr.tensor(normal(T, B, d), requires_grad=True), normal(B, d)
    for f in (loss, lambda xs, h: readout(xs, h)[1]):
        fast = tr.compile(f, executor="jax")
        counts = []
        for _ in range(3):
            caplog.clear()
            with jax.log_compiles():
                np.sum(fast(xs, h)).backward()
            counts.append(caplog.text.count("Finished XLA compilation"))
        assert counts[0] and not any(counts[1:])


# --- what JAX would do silently --------------------------------------------------------------------------------------


def test_the_process_keeps_its_settings():
    before = jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision
    assert with_gradients(tr.compile(lambda x: x @ W, executor="jax"), normal(2, d))[0].dtype == np.float64
    assert (jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision) == before
    assert jax.numpy.ones(1).dtype == np.float32


@pytest.mark.parametrize("bad", [7, -8])
def test_an_index_past_the_end_is_an_error(bad):
    table = nn.Parameter(normal(7, d))
    inside = tr.compile(lambda x, h: np.tanh(table[x] + h @ W), executor="jax")
    outside = tr.compile(lambda x: table[x] * 2, executor="jax")
    symbols = np.array([[0, 6], [1, -7], [3, 3]])
    tr.unroll(inside, symbols, normal(2, d))
    outside(symbols)
    symbols[1, 1] = bad
    with pytest.raises(IndexError, match=r"step 2.*out of bounds"):
        tr.unroll(inside, symbols, normal(2, d))
    with pytest.raises(IndexError, match="out of bounds"):
        outside(symbols)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("of", [np.linalg.inv, np.linalg.cholesky, lambda a: np.linalg.solve(a, np.ones(2))])
def test_a_matrix_that_has_no_inverse_is_an_error(of):
    """In a loop or not; and a NaN that was given comes back, as NumPy has it."""
    fast, step = tr.compile(of, executor="jax"), tr.compile(lambda a, h: h + np.sum(of(a)), executor="jax")
    good, bad = 2 * np.eye(2), np.array([[1.0, 1.0], [1.0, 1.0]]) - np.eye(2) * (of is np.linalg.cholesky)
    for _ in range(2):
        np.testing.assert_allclose(fast(good).data, of(good))
        tr.unroll(step, np.stack([good, good]), np.zeros(()))
        with pytest.raises(np.linalg.LinAlgError):
            fast(bad)
        with pytest.raises(np.linalg.LinAlgError):
            tr.unroll(step, np.stack([good, bad]), np.zeros(()))
    if of is np.linalg.inv:
        assert np.isnan(fast(np.full((2, 2), np.nan)).data).all()


@pytest.mark.one_in(5)
@pytest.mark.parametrize("f", [
    lambda n, x: n * x, lambda n, x: np.where(x > 0, n, x), lambda n, x: np.concatenate([n, x]), lambda n, x: n / 2,
    lambda n, x: np.stack([n, x]).sum(axis=0), lambda n, x: n.sum(), lambda n, x: np.mean(n), lambda n, x: n + 1.5,
    lambda n, x: x + 1.5, lambda n, x: np.clip(n, 0.5, 2), lambda n, x: np.sqrt(n), lambda n, x: n // 2,
])  # fmt: skip
@pytest.mark.parametrize("whole", [np.int32, np.int64, np.uint8, bool])
def test_types_are_those_of_numpy(f, whole):
    n, x = np.array([0, 1, 3]).astype(whole), normal(3).astype(np.float32)
    expected, found = np.asarray(f(n, x)), tr.compile(f, executor="jax")(n, x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.data, expected, 1e-6)


def test_where_an_index_names_an_element_twice():
    index, values = np.array([2, 0, 2, 2]), np.array([1.0, 2.0, 3.0, 4.0])
    last, added = (
        tr.compile(lambda x, values, f=f: f(x, index, values), executor="jax") for f in (tr.index_update, tr.index_add)
    )
    assert last(np.zeros(3), values).tolist() == [2, 0, 4]
    assert added(np.zeros(3), values).tolist() == [2, 0, 8]


# --- what is refused -------------------------------------------------------------------------------------------------


def looks_at_elements(x):
    return np.asarray([float(element) for element in x])


LOOKS = elementwise(looks_at_elements, lambda ans, x: np.ones_like(x), name="peek")
LACKING = elementwise(lambda x: np.add.accumulate(x), lambda ans, x: np.ones_like(x), name="along")


@pytest.mark.parametrize("op", [LOOKS, LACKING])
def test_an_operation_without_a_form_in_jax_is_refused_by_name(op):
    x = normal(3)
    with pytest.raises(CannotCompile, match=r"(forward pass that looks|np.add.accumulate).* no form in JAX.*numpy"):
        tr.compile(lambda x: op(x), executor="jax")(x)
    told = []
    assert tr.compile(lambda x: op(x) + 0, executor="jax", fallback=told.append)(x).shape == (3,)
    assert "no form in JAX" in str(told[0])


@pytest.mark.parametrize("look", [np.asarray, list, bool, float, int, lambda a: [*a], lambda a: a.tolist()])
def test_a_stand_in_has_no_elements(look):
    with pytest.raises((CannotCompile, AttributeError)):
        look(stand_in.StandIn(jax.numpy.ones(1)))


def test_without_jax_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install .*\[jax\]"):
        tr.compile(cell, executor="jax")


def test_jax_is_imported_only_where_it_is_used():
    code = (
        "import sys, numpy as np, tinygrad_rnn as tr; tr.compile(np.tanh)(np.ones(2)); assert 'jax' not in sys.modules;"
        "tr.compile(np.tanh, executor='jax')(np.ones(2)); assert 'jax' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- memory that is used again ---------------------------------------------------------------------------------------


@pytest.fixture
def large_arrays(monkeypatch):
    """Let arrays of every size be room for the next call."""
    monkeypatch.setattr(thresholds, "SMALLEST_ROOM", 1)


def readout(xs, h):
    ys, last = tr.unroll(cell, xs, h)
    return ys, np.exp(ys), last


def test_calls_overwrite_no_arrays_of_others(large_arrays):
    """Outputs and gradients stay what they were, whatever runs after; and runs under way don't share their room."""
    fast = tr.compile(readout, executor="jax")
    given = [(normal(T, B, d, seed=seed), normal(B, d, seed=seed)) for seed in range(4)]

    def outputs_of(f, xs, h):
        xs, h = (tr.tensor(a, requires_grad=True) for a in (xs, h))
        return f(xs, h), [xs, h]

    def gradients(outputs, leaves):
        sum(np.sum(y * y) for y in outputs).backward()
        return [leaf.grad for leaf in leaves]

    expected = []
    for arguments in given:
        outputs, leaves = outputs_of(readout, *arguments)
        expected.append(([y.data for y in outputs], gradients(outputs, leaves)))
    under_way = [outputs_of(fast, *arguments) for arguments in given]
    kept = [[y.data for y in outputs] for outputs, _ in under_way]
    found = [gradients(*one) for one in under_way]
    del under_way
    for arguments in given[::-1]:  # in the room of those that have ended
        gradients(*outputs_of(fast, *arguments))
    for (outputs, gradient), ys, gs in zip(expected, kept, found, strict=True):
        for a, b in zip([*ys, *gs], [*outputs, *gradient], strict=True):
            np.testing.assert_allclose(a, b, 1e-12, 1e-14)


def test_large_arrays_are_those_of_the_call_before(large_arrays):
    fast = tr.compile(readout, executor="jax")
    xs, h = tr.tensor(normal(T, B, d), requires_grad=True), normal(B, d)

    def places():
        np.sum(fast(xs, h)[1]).backward()
        executable = fast.prepared(xs, h).executable
        (forward,), (backward,) = executable.forward.waiting, executable.backward.waiting
        return sorted(a.unsafe_buffer_pointer() for a in [*forward, *backward])

    assert places() and places() == places()


def test_a_loop_fills_no_array_for_which_there_is_room(large_arrays):
    """Left to itself, a scan writes zeros to each of its results before it begins."""
    executable = tr.compile(readout, executor="jax").prepared(normal(T, B, d), normal(B, d)).executable
    inputs = [np.empty(v.shape, v.dtype) for v in executable.program.inputs]
    filled = re.compile(rf"broadcast_in_dim.*-> tensor<{T}x{B}x{d}xf64>")
    with precision.as_numpy_computes():
        texts = [
            executable.forward.run.lower(executable.forward.room(), *inputs).as_text(),
            jax.jit(executable.passes.forward).lower(*inputs).as_text(),
        ]
    assert [bool(filled.search(text)) for text in texts] == [False, True]


def test_after_a_failure_the_next_call_is_right(large_arrays):
    table = nn.Parameter(normal(7, d))
    fast = tr.compile(lambda x, h: tr.unroll(lambda x, h: np.tanh(table[x] + h @ W), x, h)[0], executor="jax")
    symbols, h = np.array([[0, 6], [1, 2], [3, 3]]), normal(2, d)
    expected = fast(symbols, h).numpy()
    for _ in range(2):
        with pytest.raises(IndexError):
            fast(symbols + 7, h)
        np.testing.assert_array_equal(fast(symbols, h).numpy(), expected)
