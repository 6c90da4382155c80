"""Machine code gives what the cells give, and so does the same code run as Python."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import AS_PYTHON, assert_compiled_agrees, assert_equal, everything
from tinygrad_rnn import nn

pytest.importorskip("llvmlite")

from tinygrad_rnn.compiler import thresholds
from tinygrad_rnn.compiler.runtime import blas, fast_functions, threads
from tinygrad_rnn.compiler.runtime import cache as machine_cache
from tinygrad_rnn.compiler.runtime.llvm_code import translator
from tinygrad_rnn.compiler.runtime.tiles import vector_registers

n, d, B, T = 3, 4, 2, 7


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def parameter(*shape, seed=0):
    return nn.Parameter(0.5 * normal(*shape, seed=seed))


def uses_machine_code(compiled):
    functions = [
        function
        for plan in compiled.plans
        for executable in plan._executables.values()
        for function in (executable.code.forward, executable.code.backward)
    ]
    return all("for " not in function.source for function in functions)


CELLS = {
    "RNN": lambda: nn.RNNCell(n, d, dtype=np.float64),
    "LSTM": lambda: nn.LSTMCell(n, d, peepholes=True, projection=2, dtype=np.float64),
    "GRU": lambda: nn.GRUCell(n, d, dtype=np.float64),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize(("name", "reverse"), [("RNN", True), ("LSTM", False), ("GRU", False)])
def test_cells_of_the_library(name, reverse):
    cell = CELLS[name]()
    xs = normal(T, B, n)
    state = tr.autodiff.trees.tree_map(lambda a: normal(*a.shape, seed=1), cell.initial_state(xs[0]))
    parameters = list(cell.parameters())
    assert uses_machine_code(assert_compiled_agrees(cell, xs, state, parameters, executor="llvm", reverse=reverse))


def elementwise():
    """Choices, maxima, powers, comparisons; a state that is handed on; broadcasting from (d,) and (B, 1)."""
    U, b = parameter(n, d), parameter(d)

    def cell(x, state):
        h, last = state
        a = x @ U + b * h
        h = np.where(a > 0.1, np.tanh(a), tr.relu(h) - 0.1 * np.abs(last))
        h = np.maximum(h, -(last**2)) / (1 + np.exp(-a) + np.sqrt(last * last + 1.0))
        return h * x[:, :1], (h, a)

    return cell, [U, b], (normal(B, d), normal(B, d, seed=1))


def column_vectors():
    U, W = parameter(d, n), parameter(d, d, seed=1)
    return (lambda x, h: np.tanh(U @ x + W @ h)), [U, W], normal(d)


def one_row():
    """A batch of one: gradients of a bias come from rows as they are."""
    U, W, b = parameter(n, 4 * d), parameter(d, 4 * d, seed=1), parameter(4 * d, seed=2)

    def cell(x, state):
        h, c = state
        i, f, g, o = np.split(x @ U + h @ W + b, 4, axis=-1)
        c = tr.sigmoid(f) * c + tr.sigmoid(i) * np.tanh(g)
        h = tr.sigmoid(o) * np.tanh(c)
        return h, (h, c)

    return cell, [U, W, b], (normal(1, d), normal(1, d, seed=1))


def swapped():
    W = parameter(d, d)
    return (lambda x, s: (s[0] * 1.0, (s[1], np.tanh(s[0] @ W)))), [W], (normal(B, d), normal(B, d, seed=1))


def sums_in_several_places():
    """Sums and means of elements that are a state, an output, and parts of something else."""
    U, W = parameter(n, d), parameter(2, d, seed=1)

    def cell(x, state):
        total, mean, h = state
        a = np.tanh(x @ U + total * h - mean)
        total, mean = np.sum(a, axis=-1, keepdims=True), np.mean(a * a, axis=-1, keepdims=True)
        return mean, (total, mean, np.concatenate([total, mean], axis=-1) @ W)

    return cell, [U, W], (normal(B, 1), normal(B, 1, seed=1), normal(B, d))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("make", [elementwise, column_vectors, one_row, swapped, sums_in_several_places])
def test_cells_as_users_write_them(make):
    cell, parameters, state = make()
    xs = normal(T, *state[0].shape[:-1] if isinstance(state, tuple) else (), n)
    assert uses_machine_code(assert_compiled_agrees(cell, xs, state, parameters, executor="llvm"))


@pytest.fixture
def always_tiles_and_threads(monkeypatch):
    monkeypatch.setattr(thresholds, "SMALL_PRODUCT", 0)
    monkeypatch.setattr(thresholds, "SMALL_PRODUCT_INSIDE", 0)
    monkeypatch.setattr(thresholds, "SMALL_LOOP", -1)
    monkeypatch.setattr(thresholds, "SHARED_ELEMENT", -1)
    monkeypatch.setattr(thresholds, "SHARED_GRADIENT", -1)
    monkeypatch.setattr(thresholds, "SMALL_VALUE", 0)
    monkeypatch.setattr(threads, "_thread_count", lambda: 3)
    threads._pool.cache_clear()
    yield
    threads._pool.cache_clear()


@pytest.mark.one_in(5)
@pytest.mark.parametrize("batch", [1, 2, 11])
@pytest.mark.parametrize("units", [9, 40])
def test_large_products_go_by_tiles(always_tiles_and_threads, batch, units):
    """Rows that aren't a multiple of a tile's, columns that aren't a multiple of a panel's; many rows stay inside."""
    cell = nn.LSTMCell(n, units, projection=8, dtype=np.float64)
    xs = normal(T, batch, n)
    parameters = list(cell.parameters())
    compiled = assert_compiled_agrees(cell, xs, cell.initial_state(xs[0]), parameters, executor="llvm")
    assert uses_machine_code(compiled)
    (executable,) = compiled.plans[0]._executables.values()
    named = executable.code.forward.run.__globals__.values()
    assert any(thing is threads.run_rows for thing in named) == (batch > 1)
    assert ("matmul(" in executable.code.forward.source) == (batch < thresholds.FEWEST_ROWS_INSIDE)


def test_a_product_with_a_weight_that_gets_no_gradient():
    """The loop of the backward pass has the products, and not the rows that they are products of."""
    frozen, W = normal(16, 16), parameter(16, 16)

    def f(x, h):
        return tr.unroll(lambda x, h: np.sin((x @ frozen) * np.tanh(h @ W)), x, h)[0]

    def gradient(function):
        W.grad = None
        np.sum(function(normal(5, 16, 16), normal(16, 16)) ** 2).backward()
        return [W.grad]

    compiled = tr.compile(f, executor="llvm")
    assert_equal(gradient(compiled), gradient(f), 1e-12)
    assert uses_machine_code(compiled)


def test_threads_change_no_bit(always_tiles_and_threads, monkeypatch):
    cell = nn.GRUCell(n, 48)
    xs = normal(T, 11, n, dtype=np.float32)
    compiled = tr.compile(cell, executor="llvm")

    def with_threads(count):
        monkeypatch.setattr(threads, "_thread_count", lambda: count)
        threads._pool.cache_clear()
        outputs, gradients = everything(lambda x, h: tr.unroll(compiled, x, h), xs, normal(11, 48), cell.parameters())
        return [*outputs, *gradients]

    for one, three in zip(with_threads(1), with_threads(3)):
        np.testing.assert_array_equal(one, three)
    (executable,) = compiled.plans[0]._executables.values()
    named = executable.code.backward.run.__globals__.values()
    assert any(thing is threads.run_parts for thing in named), "gradients of weights go by rows, too"


rows = 12  # three tiles, so three threads
W_rows = 0.3 * normal(rows, rows)


@pytest.mark.parametrize(
    "step",
    [
        lambda h: 0.5 * h[::-1],
        lambda h: h - h.mean(axis=0),
        lambda h: h.T @ W_rows,
        lambda h: np.concatenate([h[2:], h[:2]]) @ W_rows,
        lambda h: h @ (h.T @ W_rows),
        lambda h: h * h[:1],
        lambda h: h * np.sum(h, axis=1),
        lambda h: h[..., ::-1, :],
        lambda h: tr.index_update(h, [0], h[1:2]),
        lambda h: 0.5 * h[:, :, None, None][:, np.arange(rows), :, 0][..., 0],
    ],
)
def test_rows_that_need_others_stay_together(always_tiles_and_threads, step):
    """A batch as large as the state, so that shapes give nothing away."""
    cell = lambda x, h: np.tanh(x + step(h))  # noqa: E731
    compiled = tr.compile(cell, executor="llvm")
    for seed in (1, 2):  # the second time, what an earlier call left behind is wrong
        given = normal(T, rows, rows, seed=seed), normal(rows, rows, seed=seed)
        with tr.no_grad():
            expected, found = (tr.unroll(run, *given)[0].data for run in (cell, compiled))
        assert_equal([found], [expected], 1e-12)
    assert "for " not in compiled.plans[0]._executables[False, False].code.forward.source


LOSSES = {  # of the outputs and the last state of a loop; in the first, threads stay with their rows to the end
    "elements": lambda ys, h: np.sum(np.square(np.tanh(ys) - 1)),
    "means": lambda ys, h: np.mean(ys * ys) + np.sum(np.sum(np.exp(ys), axis=(0, 1)) * h[0]),
    "by instance": lambda ys, h: np.sum(np.square(ys * ys - np.mean(ys, axis=-1, keepdims=True))),
    "other rows": lambda ys, h: np.sum(np.tanh(ys + ys[:, ::-1])),
    "other steps": lambda ys, h: np.sum(np.tanh(ys * ys[::-1])),
    "the last state": lambda ys, h: np.sum(np.square(np.tanh(ys) - np.exp(h))) + np.sum(h * h * h.T),
    "turned": lambda ys, h: np.sum(np.tanh(ys) * np.tanh(np.swapaxes(ys, 1, 2))),
    "another loop": lambda ys, h: np.sum(np.square(tr.unroll(lambda y, s: (np.tanh(y * s),) * 2, 2 * ys, -h)[0])),
    "backwards": lambda ys, h: np.sum(np.square(tr.unroll(lambda y, s: (np.tanh(y * s),) * 2, ys[::-1], ys[0])[0])),
}


@pytest.mark.parametrize("name", LOSSES)
def test_threads_stay_with_their_rows_where_they_can(name, always_tiles_and_threads, monkeypatch):
    """Passes before and after a loop, for sizes of which each may be taken for another; T as long as rows and units."""
    monkeypatch.setattr(thresholds, "SMALLEST_PASS", 1)
    monkeypatch.setattr(thresholds, "FEWEST_COLUMNS_INSIDE", 1)
    size = 16  # a whole number of vectors, so that gradients of weights are computed there, too
    U, W, b = parameter(size, size), parameter(size, size, seed=1), parameter(size, seed=2)

    def loss(xs, h):
        ys, last = tr.unroll(lambda x, h: (np.tanh(x @ U + h @ W + b),) * 2, np.tanh(xs) * 2, h)
        return LOSSES[name](ys, last), last

    compiled = tr.compile(loss, executor="llvm")
    for seed in (1, 2):  # the second time, what an earlier call left behind is wrong
        given = normal(size, size, size, seed=seed), normal(size, size, seed=seed), [U, W, b]
        for found, right in zip(everything(compiled, *given), everything(loss, *given)):
            assert_equal(found, right, 1e-11)
    (executable,) = compiled.plans[0]._executables.values()
    assert threads.run_parts in executable.code.forward.run.__globals__.values()
    called = [line for line in executable.code.forward.source.splitlines() if "loop_" in line and "panels" not in line]
    assert (called == []) == (name == "elements")  # all but packing is one call


@pytest.mark.parametrize("rest", [0, 3])
def test_padded_rows_are_shared_among_threads(rest, always_tiles_and_threads):
    """Padding writes out the slice of all rows; each row is still independent. Those with a rest are passed as one."""
    columns = vector_registers().size // 8 + rest
    cell = lambda x, h: np.tanh(x + np.pad(h[:, :-1], ((0, 0), (1, 0)), constant_values=0.3))  # noqa: E731
    compiled = assert_compiled_agrees(cell, normal(T, rows, columns), normal(rows, columns), [], executor="llvm")
    (executable,) = compiled.plans[0]._executables.values()
    used = list(executable.code.forward.run.__globals__.values())
    assert any(thing is threads.run_rows for thing in used)
    texts = [text for text, run in machine_cache._running.items() if any(run is thing for thing in used)]
    assert AS_PYTHON or any(".flat[" in text for text in texts) == (rest > 0)


def test_elements_are_taken_and_added_up_outside_of_loops(monkeypatch):
    """The diagonals of a table: the transpose of an index with places that occur several times, and none at the end."""
    monkeypatch.setattr(thresholds, "SMALLEST_PASS", 1)
    monkeypatch.setattr(thresholds, "SMALL_VALUE", 0)
    U, place = parameter(n, d), np.clip(np.arange(T + 2)[:, None] - np.arange(T), 0, d - 2)

    def loss(xs, h):
        table = xs @ U
        taken = np.square(table[np.arange(T), :, place])
        ys, _ = tr.unroll(lambda x, h: np.tanh(x + h), np.concatenate([taken, taken[:, ::-1]], axis=-1), h)
        return np.sum(ys), ys

    given = normal(T, B, n), normal(T, 2 * B), [U]
    compiled = tr.compile(loss, executor="llvm")
    for found, right in zip(everything(compiled, *given), everything(loss, *given)):
        assert_equal(found, right, 1e-12)
    assert uses_machine_code(compiled)
    (plan,) = compiled.plans
    assert "assemble" in str(plan)
    assert "indices=" not in plan.source()  # which NumPy's form of it would name
    assert not re.search(r"asarray\(given_\d+\(", plan.source())  # nor does NumPy take the elements


@pytest.mark.parametrize("place", [None, 0, 4])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values_in_rows_of_a_softmax(special, place):
    """Sums and maxima along the last axis go by vectors, 19 elements and a rest; NaN and infinities reach as far."""
    xs = normal(T, B, 19, dtype=np.float32)
    xs[1, 1, place if place is not None else slice(None)] = special
    cell = lambda x, h: (tr.softmax(x + h), 0.5 * h + np.mean(x, axis=-1, keepdims=True))  # noqa: E731
    compiled = tr.compile(cell, executor="llvm")
    with np.errstate(all="ignore"):
        expected, found = (tr.unroll(run, xs, np.zeros((B, 1), np.float32)) for run in (cell, compiled))
    for a, b in zip(expected, found):
        np.testing.assert_allclose(b.data, a.data, rtol=1e-5)
    assert "for " not in compiled.plans[0]._executables[False, False].code.forward.source


def test_what_stands_around_the_loops_of_a_large_program(monkeypatch):
    """Elementwise operations before, between and after products, with results that are read twice, and numbers."""
    monkeypatch.setattr(thresholds, "SMALLEST_PASS", 1)
    monkeypatch.setattr(thresholds, "SMALL_VALUE", 0)
    U, W, V = parameter(n, d), parameter(d, d, seed=1), parameter(d, 5, seed=2)

    def loss(xs, state):
        h, targets = state
        cell = lambda x, h: (tr.sigmoid(h @ W), np.tanh(x @ U + h @ W))  # noqa: E731
        ys, h = tr.unroll(cell, tr.sigmoid(xs) * 2 - xs, h)
        error = np.tanh(ys @ V) - targets
        return np.mean(np.square(error) * np.exp(-error)) + np.sum(h * h), error

    given = normal(T, B, n), (normal(B, d), normal(T, B, 5)), [U, W, V]
    compiled = tr.compile(loss, executor="llvm")
    expected = everything(loss, *given)
    for found, right in zip(everything(compiled, *given), expected):
        assert_equal(found, right, 1e-12)
    assert uses_machine_code(compiled)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("is_large", [True, False])
def test_sums_in_the_pass_that_computes_their_elements(is_large, dtype, monkeypatch):
    """Of all elements, of all rows, of what is read again or isn't; and not of other axes."""
    monkeypatch.setattr(thresholds, "SMALLEST_PASS", 1)
    monkeypatch.setattr(thresholds, "ROW_OF_SUMS", range(1, 100))
    if is_large:
        monkeypatch.setattr(thresholds, "SMALL_VALUE", 0)
    U, scale = (nn.Parameter(0.5 * normal(*shape, dtype=dtype)) for shape in ((n, d), (d,)))

    def loss(xs, h):
        ys, _ = tr.unroll(lambda x, h: (np.tanh(x @ U + h),) * 2, xs * 2, h)
        error = np.square(ys * scale)
        total = np.sum(error, axis=(0, 1)) + np.sum(ys * scale, axis=(-3, -2))
        return np.mean(error) + np.sum(np.exp(error)) + np.sum(total * scale), np.mean(ys - 1, axis=-1)

    compiled = tr.compile(loss, executor="llvm")
    for steps, batch in ((T, B), (T + 2, B), (T + 4, B + 1)):
        given = normal(steps, batch, n, dtype=dtype), normal(batch, d, dtype=dtype), [U, scale]
        for found, right in zip(everything(compiled, *given), everything(loss, *given)):
            assert_equal(found, right, 1e-5 if dtype == np.float32 else 1e-12)
    sizes_of_sums = [line.count("axis=None") for line in compiled.plans[-1].source().splitlines() if "reduce" in line]
    assert sum(sizes_of_sums) == is_large  # only that of a row, which no pass adds up


def test_parts_of_other_types_side_by_side():
    """Conditions beside numbers, in a loop and after it."""
    W = parameter(d, 2)

    def loss(xs, h):
        cell = lambda x, h: (h, np.concatenate([h[:, 2:] > 0, np.tanh(x + h @ W)], axis=1))  # noqa: E731
        ys, h = tr.unroll(cell, xs, h)
        return np.sum(np.square(np.concatenate([h > 0, h + 1], axis=1))), ys

    given = normal(T, B, 2), normal(B, d), [W]
    compiled = tr.compile(loss, executor="llvm")
    for found, right in zip(everything(compiled, *given), everything(loss, *given)):
        assert_equal(found, right, 1e-12)
    assert uses_machine_code(compiled)
    (executable,) = compiled.plans[0]._executables.values()
    assert "concatenate" not in executable.code.forward.source


def test_a_step_without_a_machine_code_form_runs_on_numpy():
    W = parameter(d, d)
    cell = lambda x, h: np.tanh(x + np.sort(h @ W, axis=-1))  # noqa: E731
    compiled = assert_compiled_agrees(cell, normal(T, B, d), normal(B, d), [W], executor="llvm")
    assert not uses_machine_code(compiled)


def test_float32():
    cell = nn.LSTMCell(n, d)
    xs = normal(50, B, n, dtype=np.float32)
    parameters = list(cell.parameters())
    assert_compiled_agrees(cell, xs, cell.initial_state(xs[0]), parameters, executor="llvm", tolerance=1e-5)


def test_threads_give_blas_its_own_back():
    """Also after an error, and when several want it for themselves at once."""
    get, _ = blas._thread_functions()
    before = get()
    with pytest.raises(ZeroDivisionError), blas.single_threaded(), blas.single_threaded():
        assert get() == 1
        raise ZeroDivisionError
    assert get() == before


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_threads_after_a_fork(always_tiles_and_threads):
    """A child process has none of its parent's threads, and must not wait for them."""
    a, b, out = normal(30, 20), normal(20, 10), np.empty((30, 10))
    blas.matmul(a, b, out)
    child = os.fork()
    if child == 0:
        out[...] = 0
        blas.matmul(a, b, out)
        os._exit(0 if np.allclose(out, a @ b, rtol=0, atol=1e-12) else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_child_process_has_blas_as_it_was():
    """Also if another thread, which the child doesn't have, wanted it for itself just then."""
    get, put = blas._thread_functions()
    before = get()
    put(2)
    usual = get()
    try:
        with ThreadPoolExecutor(1) as pool, ExitStack() as inside:
            pool.submit(inside.enter_context, blas.single_threaded()).result()
            child = os.fork()
            if child == 0:
                with blas.single_threaded():
                    is_single = get() == 1
                os._exit(0 if is_single and get() == usual else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert get() == usual
    finally:
        put(before)


@pytest.mark.skipif(AS_PYTHON, reason="this is it")
@pytest.mark.parametrize("share", ["not sweep", pytest.param("", marks=pytest.mark.sweep)], ids=["some", "all"])
def test_it_as_python(share):
    """Run as plain Python, the generated loops are right as well: an index out of range would raise."""
    names = "(library or users or tiles or float32 or functions) and not as_python"
    files = [__file__]
    if not share:
        names += " or random_cells or a_step_with_it"
        cells, operations = (Path(__file__).with_name(f"test_{name}.py") for name in ("cells", "machine_operations"))
        files += [f"{cells}::test_random_cells", str(operations)]
    command = [sys.executable, "-m", "pytest", "-q", "-m", share, "-p", "no:cacheprovider", *files, "-k", names]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "TINYGRAD_RNN_AS_PYTHON": "1"}
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# --- fast functions --------------------------------------------------------------------------------------------------

REFERENCES = {
    "exp": np.exp, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "log1p_of_share": np.log1p,
}  # fmt: skip


def applied(name, x):
    run = machine_cache.compiled_function(
        f"def program(x, out, n):\n    for i in range(0, n):\n        out[i] = {name}(x[i])\n"
    )
    out = np.empty_like(x)
    with np.errstate(all="ignore"):
        run(x, out, len(x))
    return out


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(
    ("bits", "dtype", "finer", "largest"), [(32, np.float32, np.float64, 87), (64, np.float64, np.longdouble, 700)]
)
def test_fast_functions_keep_their_error_bound(name, bits, dtype, finer, largest):
    if np.finfo(finer).eps >= np.finfo(dtype).eps:
        pytest.skip("no finer numbers here to compare with")
    rng = np.random.default_rng(0)
    count = 500 if AS_PYTHON else 100_000
    x = np.concatenate(
        [rng.uniform(-largest, largest, count), rng.normal(size=count), 10.0 ** rng.uniform(-20, 1, count)]
    ).astype(dtype)
    x = np.abs(x) if name == "log" else x[x > -1] if name == "log1p" else x
    x = x[(x >= 0) & (x <= 1)] if name == "log1p_of_share" else x
    exact = REFERENCES[name](x.astype(finer))
    unit = np.spacing(np.abs(exact).astype(dtype)).astype(finer)
    error = np.abs(applied(f"{name}{bits}", x).astype(finer) - exact) / unit
    assert error.max() <= fast_functions.MAXIMAL_ERROR


@pytest.mark.parametrize("bits", [32, 64])
def test_fast_functions_at_the_ends(bits):
    dtype = np.float32 if bits == 32 else np.float64
    x = np.array([np.nan, np.inf, -np.inf, 1e4, -1e4, 0.0], dtype)
    for name, expected in {
        "exp": [np.nan, np.inf, 0, np.inf, 0, 1],
        "tanh": [np.nan, 1, -1, 1, -1, 0],
        "sigmoid": [np.nan, 1, 0, 1, 0, 0.5],
    }.items():
        np.testing.assert_array_equal(applied(f"{name}{bits}", x), np.array(expected, dtype))


def test_the_cache_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert machine_cache.cache_folder() == tmp_path / "tinygrad_rnn"
    assert machine_cache.cache_folder().stat().st_mode & 0o777 == 0o700


def test_without_a_folder_for_the_cache_there_is_a_temporary_one(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = machine_cache.cache_folder()
    assert tmp_path not in folder.parents
    assert folder.stat().st_mode & 0o777 == 0o700


COUNTING = """
import sys, numpy as np, tinygrad_rnn as tr
from tinygrad_rnn.compiler.runtime import cache
from tinygrad_rnn.compiler.runtime.llvm_code import engine
made, make = [], engine.machine_code
engine.machine_code = lambda *a: made.append(a) or make(*a)
cell = tr.compile(tr.nn.RNNCell(3, 4), executor="llvm")
for T, B in ((5, 2), (9, 6)):
    ys, h = tr.unroll(cell, np.zeros((T, B, 3), np.float32))
    ys.sum().backward()
print(len(cache._functions), len(made))
"""


def programs_and_compilations(cache):
    """How many programs another process needs, and how many of them it doesn't find in a cache."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", COUNTING]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tuple(map(int, done.stdout.split()))


@pytest.mark.skipif(AS_PYTHON, reason="nothing is compiled")
def test_machine_code_is_kept_on_disk(tmp_path):
    """A second process finds it; and other numbers of steps and rows need no other."""
    assert programs_and_compilations(tmp_path) == (2, 2)
    assert programs_and_compilations(tmp_path) == (2, 0)


def test_the_name_of_machine_code_depends_on_whatever_it_is_made_of(monkeypatch):
    """The processor, and every source that takes part in the translation."""
    folder, names = Path(machine_cache.__file__).parent, set()
    read_text = Path.read_text
    sources = [*folder.glob("llvm_code/*.py"), *(folder / f"{n}.py" for n in (*translator.LIBRARY, "tiles"))]
    monkeypatch.setattr(machine_cache, "processor", lambda: ("another",))
    names.add(machine_cache._depends_on.__wrapped__())
    monkeypatch.undo()
    for changed in sources:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", lambda p, *a, c=changed: read_text(p, *a) + "#" * (p.samefile(c)))
            names.add(machine_cache._depends_on.__wrapped__())
    names.add(machine_cache._depends_on.__wrapped__())
    assert len(names) == len(sources) + 2


def test_a_plan_says_why_there_is_no_machine_code():
    cell = tr.compile(lambda x, h: np.sort(x + h, axis=-1), executor="llvm")
    tr.unroll(cell, np.ones((3, 2, 2)), np.zeros((2, 2)))
    said = "a loop calls NumPy at each step, because there is no machine code for argsort\nforward:"
    assert str(cell.plans[0]).startswith(said)
