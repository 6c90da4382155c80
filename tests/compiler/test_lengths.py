"""One plan for arguments of all lengths: the same numbers as without, at whatever length, and no new plan for it."""

import re
from itertools import combinations, combinations_with_replacement
from math import prod

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import sized_plan
from tinygrad_rnn.compiler.sizes.axes import Axes

from .agreement import BOTH, assert_equal, everything

pytestmark = pytest.mark.only_for("numpy", "llvm", reason="shapes are static on JAX, so each has a plan")

n, d = 3, 4
CELLS = {
    "RNN": nn.RNNCell,
    "LSTM": nn.LSTMCell,
    "GRU": nn.GRUCell,
}


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def parameter(*shape):
    return tr.tensor(normal(*shape, seed=sum(shape)), requires_grad=True)


def assert_agrees(function, compiled, arguments, parameters, tolerance=1e-12):
    """Values and all gradients of a function of arrays, compiled and not."""
    found, expected = (
        everything(lambda x, rest, f=f: (f(x, *rest), ()), arguments[0], arguments[1:], parameters)
        for f in (compiled, function)
    )
    for a, b in zip(found, expected):
        assert_equal(a, b, tolerance)


sizes = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 9)), min_size=3, max_size=6)


@pytest.mark.parametrize("name", CELLS)
@given(sizes=sizes)
@settings(max_examples=6, deadline=None)
@pytest.mark.one_in(3)
def test_cells_of_any_length_and_batch_agree_with_eager(name, sizes):
    cell = CELLS[name](n, d, dtype=np.float64, seed=0)
    compiled = tr.compile(cell)
    for steps, rows in sizes:
        xs = normal(steps, rows, n, seed=steps)
        found, expected = (
            everything(lambda x, s, f=f: tr.unroll(f, x, s), xs, cell.initial_state(xs[0]), list(cell.parameters()))
            for f in (compiled, cell)
        )
        for a, b in zip(found, expected):
            assert_equal(a, b, 1e-12)
    assert len(compiled.plans) <= 2


def test_a_new_length_is_no_new_trace_and_no_new_code(monkeypatch):
    made, calls = [], np.zeros((), int)
    generate = sized_plan.generate
    monkeypatch.setattr(sized_plan, "generate", lambda *args, **keywords: made.append(1) or generate(*args, **keywords))

    def cell(x, h):
        calls[...] += 1
        return np.tanh(x @ U + h @ W)

    compiled = tr.compile(cell)
    for steps in (5, 7):
        tr.unroll(compiled, normal(steps, 2, n), np.zeros((2, d)))
    before = len(made), int(calls)
    for steps in range(1, 60):
        tr.unroll(compiled, normal(steps, 2, n), np.zeros((2, d)))
    assert (len(made), int(calls)) == before


def test_a_new_batch_size_is_one_trace_and_no_new_code(monkeypatch):
    made, calls = [], np.zeros((), int)
    generate = sized_plan.generate
    monkeypatch.setattr(sized_plan, "generate", lambda *args, **keywords: made.append(1) or generate(*args, **keywords))

    def cell(x, h):
        calls[...] += 1
        return np.tanh(x @ U + h @ W)

    compiled = tr.compile(cell)
    for rows in (5, 7):
        tr.unroll(compiled, normal(4, rows, n), np.zeros((rows, d)))
    before, traced = len(made), int(calls)
    for rows in (*range(8, 30), *range(8, 30)):
        tr.unroll(compiled, normal(4, rows, n), np.zeros((rows, d)))
    assert len(made) == before and int(calls) == traced + 22


# --- functions, with the loss in them --------------------------------------------------------------------------------

U, W, V, b = parameter(n, d), parameter(d, d), parameter(d, 2), parameter(d)


def hidden(xs):
    return tr.unroll(lambda x, h: np.tanh(x @ U + h @ W + b), xs, np.zeros((xs.shape[1], d)))[0]


FUNCTIONS = {
    "mean": lambda xs, ys: np.mean((hidden(xs) @ V - ys) ** 2),
    "divided by lengths": lambda xs, ys: np.sum((hidden(xs) @ V - ys) ** 2) / (len(xs) * xs.shape[1]),
    "times a share": lambda xs, ys: np.sum((hidden(xs) @ V - ys) ** 2) * (1 / len(xs)),
    "each step and the next": lambda xs, ys: np.mean((hidden(xs)[:-1] @ V - ys[1:]) ** 2),
    "first and last": lambda xs, ys: np.sum(hidden(xs)[0] * hidden(xs)[-1]) + np.sum(ys),
    "merged rows": lambda xs, ys: np.sum(np.reshape(hidden(xs), (-1, d)) @ V * np.reshape(ys, (-1, 2))),
    "all rows but two": lambda xs, ys: np.sum(np.reshape(hidden(xs), (-1, d))[2:] ** 2) + np.sum(ys),
    "backwards": lambda xs, ys: np.mean(hidden(xs[::-1])[::-1] @ V * ys),
    "softmax over time": lambda xs, ys: np.sum(tr.softmax(hidden(xs), axis=0) * hidden(xs)) + np.sum(ys),
    "attention": lambda xs, ys: (
        np.sum(
            tr.softmax(np.swapaxes(hidden(xs), 0, 1) @ np.moveaxis(hidden(xs), 0, 2), axis=-1)
            @ np.swapaxes(hidden(xs), 0, 1)
        )
        + np.sum(ys)
    ),
    "zeros made inside": lambda xs, ys: np.sum(np.concatenate([hidden(xs) @ V, np.zeros((1, *ys.shape[1:]))])[1:] * ys),
    "counted": lambda xs, ys: np.sum(hidden(xs) @ V * ys * np.arange(len(xs))[:, None, None]),
    "standardised": lambda xs, ys: np.sum(((xs - np.mean(xs, axis=0)) / (1 + np.std(xs, axis=0))) ** 2) * np.mean(ys),
    "variance": lambda xs, ys: np.var(xs, ddof=1) * np.mean(ys),
    "cumulative": lambda xs, ys: np.sum(np.cumsum(hidden(xs), axis=0)[:, :, :2] * ys),
}
DEPENDENT = {
    "a branch": lambda xs, ys: np.sum(xs) * (2.0 if len(xs) > 10 else 3.0) + np.sum(ys),
    "a branch on both": lambda xs, ys: np.sum(xs) * (2.0 if xs.shape[0] == xs.shape[1] else 3.0) + np.sum(ys),
    "even and odd": lambda xs, ys: np.sum(xs * (1.0 if len(xs) % 2 else 2.0)) + np.sum(ys),
    "at most ten": lambda xs, ys: np.sum(xs[-10:]) + np.sum(ys),
    "the first half": lambda xs, ys: np.sum(hidden(xs[: max(1, len(xs) // 2)])) + np.sum(ys),
    "every other": lambda xs, ys: np.sum(xs[::2]) + np.sum(ys),
    "a loop in Python": lambda xs, ys: sum((np.sum(x) * i for i, x in enumerate(xs)), np.sum(ys)),
    "a table": lambda xs, ys: np.sum(hidden(xs) @ V * TABLE[: len(xs), None] * ys),
    "a root": lambda xs, ys: np.sum(hidden(xs)) / np.sqrt(len(xs)) + np.sum(ys),
    "digits": lambda xs, ys: np.sum(xs) * len(str(len(xs))) + np.sum(ys),
    "a median": lambda xs, ys: np.sum(np.median(xs, axis=0)) + np.sum(ys),
}
TABLE = np.sin(np.arange(100.0)[:, None] * np.arange(1, 3))


def batch(steps, rows):
    return normal(steps, rows, n, seed=steps), normal(steps, rows, 2, seed=rows)


ORDERS = [
    [(5, 3), (7, 3), (30, 3), (1, 3), (12, 5), (9, 9), (3, 1), (1, 1), (11, 4)],
    [(12, 4), (15, 2), (8, 3), (10, 10), (37, 3), (21, 20)],
    [(4, 4), (8, 8), (9, 9), (8, 9), (2, 2), (1, 2), (2, 1)],
]


@pytest.mark.one_in(5)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_arguments_of_all_lengths(name, order):
    """In whatever order lengths are met, the numbers are those of the function itself."""
    function = FUNCTIONS[name]
    compiled = tr.compile(function)
    for steps, rows in order:
        if steps > 1 or name not in ("each step and the next", "variance"):
            assert_agrees(function, compiled, batch(steps, rows), (U, W, V, b))
    assert len(compiled.plans) <= 5, [plan.why_fixed for plan in compiled.plans]


@pytest.mark.one_in(5)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", DEPENDENT)
def test_functions_that_depend_on_lengths_never_give_wrong_numbers(name, order):
    function = DEPENDENT[name]
    compiled = tr.compile(function)
    for steps, rows in [*order, *order[::-1]]:
        assert_agrees(function, compiled, batch(steps, rows), (U, W, V, b))


def test_a_plan_says_why_it_is_for_one_length_alone():
    compiled = tr.compile(DEPENDENT["a table"])
    for steps in (5, 7, 9):
        compiled(*batch(steps, 2))
    texts = list(map(str, compiled.plans))
    assert len(texts) == 3 and "for these lengths alone, because a constant array" in texts[1]
    assert "for these lengths alone" not in texts[0]  # the first that was met: nobody has tried


def test_a_plan_for_all_lengths_is_printed_for_the_last():
    compiled = tr.compile(FUNCTIONS["mean"])
    for steps in (5, 7, 9):
        compiled(*batch(steps, 2)).backward()
    text = str(compiled.plans[-1])
    assert text.startswith("for arguments of all lengths; here for those of shapes (9, 2, 3), (9, 2, 2)\n")
    assert "loop of 9 steps" in text and re.search(r"length_\d+", compiled.plans[-1].source())
    assert "for each of 9 steps" in str(compiled.plans[-1].program)


# --- what it takes for granted ---------------------------------------------------------------------------------------


def test_what_a_function_looks_at_is_noticed_in_a_plan_for_all_lengths():
    settings = {"scale": 2.0}
    compiled = tr.compile(lambda x: x * settings["scale"])
    for length in (3, 4, 5):
        assert compiled(np.ones(length)).data.tolist() == [2.0] * length
    settings["scale"] = 3.0
    for length in (5, 6, 3):
        assert compiled(np.ones(length)).data.tolist() == [3.0] * length


def test_data_of_parameters_are_read_at_each_call():
    w = tr.tensor(2.0, requires_grad=True)
    compiled = tr.compile(lambda x: x * w)
    for length in (3, 4, 5, 6):
        w.data = np.asarray(float(length))
        assert compiled(np.ones(length)).data.tolist() == [float(length)] * length


def test_functions_that_fail_at_some_length_fail_there_alone():
    def function(x):
        if len(x) > 6:
            raise ValueError("too long")
        return x * 2

    compiled = tr.compile(function)
    for length in (3, 4, 5, 6):
        assert compiled(np.ones(length)).data.tolist() == [2.0] * length
    with pytest.raises(ValueError, match="too long"):
        compiled(np.ones(7))
    with pytest.raises(ValueError, match="inner sizes"):
        tr.compile(hidden)(np.ones((3, 2, n + 1)))


def test_functions_that_change_something_at_each_length_are_traced_at_each():
    class Longest:
        longest = 0

        def __call__(self, x):
            self.longest = max(self.longest, len(x))
            return x * self.longest

    eager, compiled = Longest(), tr.compile(Longest())
    for length in (2, 3, 1, 5, 4, 9, 2):
        assert compiled(np.ones(length)).data.tolist() == eager(np.ones(length)).tolist()
        assert compiled.longest == eager.longest


def test_lengths_of_several_arguments_that_were_equal_once():
    compiled = tr.compile(lambda a, b: np.sum(np.tanh(a)) * np.sum(b))
    for i, j in [(3, 3), (4, 4), (5, 6), (6, 5), (5, 5), (1, 4), (4, 1)]:
        a, b = normal(i), normal(j, seed=1)
        np.testing.assert_allclose(compiled(a, b).data, np.sum(np.tanh(a)) * np.sum(b), rtol=1e-13)
    assert len(compiled.plans) <= 3


def test_broadcasting_of_lengths_that_become_one():
    compiled = tr.compile(lambda a, b: a + b)
    for i, j in [(3, 3), (4, 4), (1, 4), (4, 1), (1, 1), (5, 5), (1, 6)]:
        a, b = normal(i), normal(j, seed=1)
        gradients = []
        for f in (compiled, lambda a, b: a + b):
            x, y = tr.tensor(a, requires_grad=True), tr.tensor(b, requires_grad=True)
            total = np.sum(f(x, y) * np.arange(max(i, j)))
            total.backward()
            gradients.append((total.data, x.grad, y.grad))
        for found, expected in zip(*gradients):
            np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_calls_of_several_lengths_under_way_at_once():
    """The memory of one isn't that of another, though all have one plan."""
    cell = nn.GRUCell(n, d, dtype=np.float64, seed=1)
    compiled = tr.compile(cell)
    for _ in range(2):
        losses = {}
        for f in (compiled, cell):
            for p in cell.parameters():
                p.grad = None
            results = [tr.unroll(f, normal(steps, 2, n, seed=steps))[0] for steps in (9, 4, 6, 9, 3)]
            for ys in (results[2], results[0], results[4], results[3], results[1]):
                np.sum(ys * np.cos(np.arange(ys.size)).reshape(ys.shape)).backward()
            losses[f] = [p.grad for p in cell.parameters()]
        for found, expected in zip(losses[compiled], losses[cell]):
            np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_memory_is_that_of_the_longest():
    """Not of all lengths together."""
    compiled = tr.compile(nn.LSTMCell(n, d, dtype=np.float64))
    with tr.no_grad():
        for steps in (4, 5, *range(6, 60)):
            tr.unroll(compiled, normal(steps, 2, n))
    plan = compiled.plans[-1]
    (executable,) = plan._executables.values()
    (memory,) = executable.at((59,))._waiting
    kept = sum(array.nbytes for array in memory._arrays.values())
    assert kept == sum(buffer.nbytes for buffer in executable.at((59,)).code.buffers.values())


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ["mean", "softmax over time", "times a share"])
def test_machine_code_serves_all_lengths(name):
    pytest.importorskip("llvmlite")
    function = FUNCTIONS[name]
    compiled = tr.compile(function, executor="llvm")
    for steps, rows in [(5, 3), (7, 2), (8, 4), (1, 1), (6, 6), (30, 2)]:
        assert_agrees(function, compiled, batch(steps, rows), (U, W, V, b), 1e-11)
    assert len(compiled.plans) <= 2, [plan.why_fixed for plan in compiled.plans]
    assert not any("by NumPy" in str(plan) for plan in compiled.plans)


@pytest.mark.parametrize("executor", BOTH)
@pytest.mark.parametrize("part", [-1, slice(1, None)])
def test_a_place_that_follows_one_length_is_not_taken_for_one_that_follows_another(part, executor):
    """Examples (10, 26, 47) of T and (7, 23, 44) of B grew alike: the last of B rows was the one at T - 4."""
    cell = lambda x, h: (x[part], h)  # noqa: E731
    compiled = tr.compile(cell, executor=executor)
    for steps, rows in [(2, 4), (2, 4), (3, 4), (9, 6), (3, 4), (5, 2), (2, 9)]:
        arguments = normal(steps, rows), normal(3, 3), []
        found, expected = (everything(lambda x, h, f=f: tr.unroll(f, x, h), *arguments) for f in (compiled, cell))
        for a, b in zip(found, expected):
            assert_equal(a, b, 1e-12)


def test_doublings_of_which_longer_arguments_need_more():
    """Gradients of running products; the examples were 80, 97 and 118 rows, with seven doublings each."""
    function = lambda x: np.sum(np.cumprod(x, axis=0) ** 2)  # noqa: E731
    compiled = tr.compile(function)
    for rows in (70, 80, 200, 2):
        x = 1 + 0.01 * normal(rows, 2)
        np.testing.assert_allclose(tr.grad(compiled)(x), tr.grad(function)(x), rtol=1e-10)


@pytest.mark.parametrize("taken", [{1, 2, 3}, {4, 6, 9, 32}, set(range(1, 40))])
def test_examples_make_no_two_arrays_alike_by_chance(taken):
    """Sizes of arrays are equal only where they are for all lengths; and no example is another one."""
    axes = Axes([(7, 2, 3, 7), (9, 5, 3, 9)])
    for attempt in range(3):
        examples = axes.examples(taken, attempt)
        assert all(len(set(numbers)) == 3 for numbers in examples.values())
        growths = [(b - a, c - a) for a, b, c in (*examples.values(), [a * b for a, b in zip(*examples.values())])]
        assert all(a * d != b * c for (a, b), (c, d) in combinations(growths, 2))
        for lengths in zip(*examples.values()):
            sizes = {}
            for some in combinations_with_replacement(lengths, 2), combinations_with_replacement(lengths, 1), [()]:
                for free in some:
                    for fixed in combinations_with_replacement(sorted({*taken, 3}), 2):
                        assert sizes.setdefault(prod(free) * prod(fixed), free) == free
