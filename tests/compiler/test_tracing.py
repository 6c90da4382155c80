"""What a compiled function may do inside, with the same result as ever, and what it leaves behind."""

import copy
import gc
import importlib
import pickle
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import DEFAULT, assert_equal
from tests.compiler.small import B, T, W, d, normal, with_gradients
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import CannotCompile
from tinygrad_rnn.compiler.runtime.parsing import parsed

scope = importlib.import_module("tinygrad_rnn.autodiff.scope")  # where autodiff itself has a function of that name


def assert_agrees(f, *inputs):
    assert_equal(with_gradients(tr.compile(f), *inputs), with_gradients(f, *inputs), 1e-12)


def unrolled(cell):
    return lambda xs, h: tr.unroll(cell, xs, h)[0]


def assert_cell_agrees(cell, **options):
    inputs = normal(T, B, d), normal(B, d)
    found, expected = (with_gradients(unrolled(f), *inputs) for f in (tr.compile(cell, **options), cell))
    assert_equal(found, expected, 1e-12)


# --- where gradients stop --------------------------------------------------------------------------------------------


def scaled_without_gradient(x):
    with tr.no_grad():
        length = np.sum(np.abs(x)) + np.sum(W)
        with tr.enable_grad():
            shift = np.mean(x)
    return x / length + shift


@pytest.mark.parametrize(
    "f",
    [
        scaled_without_gradient,
        lambda x: x @ W.detach() + np.tanh(x).detach() * x,
        lambda x: x * tr.stop_gradient({"a": np.tanh(x)})["a"],
        lambda x: tr.checkpoint(lambda a: np.tanh(a @ W))(x) * x,
        lambda x: np.where(np.floor(x) > 0, x, np.sign(x)),
    ],
    ids=["no_grad", "detach", "stop_gradient", "checkpoint", "steps"],
)
def test_gradients_stop_where_they_do(f):
    assert_agrees(f, normal(B, d))
    assert_cell_agrees(lambda x, h: f(x + h))


def test_a_first_call_without_gradients():
    """What is traced inside no_grad() serves later calls, which may want gradients."""
    compiled = tr.compile(np.tanh)
    with tr.no_grad():
        compiled(normal(B, d))
    (plan,) = compiled.plans
    assert "detach" not in str(plan)
    found, expected = (
        with_gradients(f, normal(B, d))
        for f in (lambda x: compiled(x.data) + compiled(x), lambda x: np.tanh(x.data) + np.tanh(x))
    )
    assert_equal(found, expected, 1e-12)


@tr.custom_vjp
def step(x):
    return np.where(x > 0, 1.0, 0.0)


step.defvjp(lambda x: (step(x), x), lambda x, g: (g * np.exp(-x * x),))  # the forward half calls the function itself


@tr.custom_vjp
def halves(x, y):
    return {"sum": x + y, "product": x * y}


halves.defvjp(
    lambda x, y: (halves(x, y), (x, y)),
    lambda kept, g: (np.clip(g["sum"], -0.1, 0.1) + 2 * g["product"] * kept[1], None),
)


def test_gradients_of_the_users_own():
    assert_agrees(lambda x: 3 * step(np.tanh(x)) * x, normal(B, d))
    assert_agrees(lambda x: halves(x @ W, x)["sum"] + halves(x, x)["product"], normal(B, d))
    assert_cell_agrees(lambda x, h: step(x + h @ W) + 0.1 * h)
    assert_cell_agrees(lambda x, h: 0.5 * halves(x + h @ W, h)["product"] + halves(h, x)["sum"])


# --- what isn't reached has no gradient ------------------------------------------------------------------------------


def two_recurrences(x, state):
    a, b = state
    a, b = np.tanh(x + a @ W), np.tanh(x * b)
    return b, (a, b)


def shifted(x, state):
    return x, (state[1], state[2], x @ W)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "take",
    [lambda ys, state: ys, *(lambda ys, state, i=i: state[i] for i in range(3)), lambda ys, state: ys[0] + state[1][0]],
)
@pytest.mark.parametrize("cell", [two_recurrences, shifted])
def test_only_what_a_loss_is_made_of_gets_a_gradient(cell, take, steps):
    """A parameter that a loss doesn't reach has None for its gradient, not zeros, as optimisers can tell."""
    count = 2 if cell is two_recurrences else 3

    def run(f):
        W.grad = None
        xs = tr.tensor(normal(steps, B, d), requires_grad=True)
        starts = tuple(tr.tensor(normal(B, d, seed=i), requires_grad=True) for i in range(count))
        ys, state = tr.unroll(f, xs, starts)
        np.sum(take(ys, (*state, state[0])[:3])).backward()
        return [W.grad, xs.grad, *(h.grad for h in starts)]

    assert_equal(run(tr.compile(cell)), run(cell), 1e-12)


def test_what_one_use_does_not_reach_another_may():
    def run(f):
        W.grad = None
        start = tr.tensor(normal(B, d), requires_grad=True)
        ys, _ = tr.unroll(f, normal(T, B, d), (start, normal(B, d)))  # ys aren't made of W, nor of the first state
        np.sum(np.sum(ys) * np.tanh(W) + np.sum(start)).backward()
        return [W.grad, start.grad]

    assert_equal(run(tr.compile(two_recurrences)), run(two_recurrences), 1e-12)


def test_parameters_that_are_computed_with_and_not_used():
    def loss(x):
        x @ W
        return np.sum(x) + np.sum(np.argmax(x @ W, axis=-1)) + np.sum(np.zeros_like(W))

    assert_agrees(loss, normal(B, d))


# --- loops inside loops ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_inside_a_step(reverse):
    memory = normal(4, B, d)

    def cell(x, h):
        inner = lambda m, s: (s * x, np.tanh(m + s @ W))  # noqa: E731
        ys, s = tr.unroll(inner, memory, h, reverse=reverse)
        again, _ = tr.unroll(lambda m, s: np.tanh(m @ W + s), np.stack([x, h, s]), np.zeros((B, d)))
        fixed, _ = tr.unroll(lambda m, s: np.tanh(m @ W + s), memory, np.zeros((B, d)))
        return np.sum(ys, axis=0) + again[1] + fixed[2], 0.5 * s

    assert_cell_agrees(cell)


# --- indices ---------------------------------------------------------------------------------------------------------


def test_indices_that_are_given():
    keep = np.array([True, False, True])
    assert_agrees(lambda x: x[:, keep] @ W[keep] + x[True][0] * x[np.array([1, 0])], normal(B, d))
    assert_cell_agrees(lambda x, h: np.tanh(tr.index_update(x, (slice(None), keep), h[:, keep])) + h[True][0])
    with pytest.raises(IndexError, match="boolean index"):
        tr.compile(lambda x: x[np.array([True, False])])(np.ones(3))


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
@pytest.mark.parametrize(
    "index",
    [True, np.True_, False, (slice(None), True), (..., True), (True, 0), (True, True), (True, np.array([0, 1]))],
)
def test_a_condition_is_a_new_axis(executor, index):
    """It is no 1, though Python says that True is equal to it."""
    x = normal(B, d)
    t = tr.tensor(x, requires_grad=True)
    result = tr.compile(lambda x: x[index] * 3.0, executor=executor)(t)
    g, wanted = normal(*result.shape), np.zeros_like(x)
    np.sum(result * g).backward()
    np.add.at(wanted, index, 3 * g)
    assert np.array_equal(result.data, x[index] * 3.0) and np.allclose(t.grad, wanted, rtol=1e-15)


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_a_condition_in_a_loop_is_a_new_axis(executor):
    assert_cell_agrees(lambda x, h: np.tanh(x) + h[True][0], executor=executor)


def test_indices_that_are_traced():
    table = tr.tensor(normal(6, d), requires_grad=True)

    def lookup(places):
        return table[places] * np.take(table, places, axis=0)

    places = np.array([[0, 5], [3, 3]])
    found = []
    for f in (tr.compile(lookup), lookup):
        table.grad = None
        result = f(places)
        np.sum(result**2).backward()
        found.append([result.data, table.grad])
    assert_equal(found[0], found[1], 1e-12)


@pytest.mark.parametrize("symbol", [-1, 4])
def test_symbols_that_an_embedding_does_not_have(symbol):
    embedding = nn.Embedding(4, d, padding_idx=0)
    compiled = tr.compile(embedding)
    places = np.array([0, 3, 1])
    np.testing.assert_array_equal(compiled(places).data, embedding(places).data)
    with pytest.raises(IndexError):
        compiled(np.array([0, symbol, 1]))
    with pytest.raises(TypeError, match="takes integers"):
        compiled(np.ones(3))


# --- results ---------------------------------------------------------------------------------------------------------


def test_results_of_any_kind():
    constant = np.ones(3)
    x = tr.tensor(normal(3), requires_grad=True)
    found = tr.compile(lambda x: {"x": x, "twice": (2 * x, 2 * x), "fixed": constant, "one": 1.5, "none": None})(x)
    assert found["none"] is None and found["one"].item() == 1.5
    np.testing.assert_array_equal(found["fixed"].data, constant)
    np.sum(found["x"] + found["twice"][0] + 3 * found["twice"][1] + found["fixed"]).backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 9.0))


def test_arrays_belong_to_who_has_them():
    """Neither an argument nor a result is memory of the compiled function's own, or of each other's."""
    compiled = tr.compile(lambda x: (x, x.T, np.broadcast_to(x[0], (2, 2))))
    given = np.arange(4.0).reshape(2, 2)
    first = compiled(given)
    kept = [np.array(a.data) for a in first]
    given[:] = 7.0
    compiled(given)
    for a, b in zip(first, kept):
        np.testing.assert_array_equal(a.data, b)


def test_no_warnings_that_the_function_itself_does_not_give():
    for dtype in (np.float16, np.float32, np.float64):
        x = tr.tensor(np.array([-1e4, -100.0, 0.0, 1e4]).astype(dtype), requires_grad=True)
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            y = tr.compile(tr.sigmoid)(x)
            np.sum(y).backward()
        np.testing.assert_allclose(y.data, tr.sigmoid(x.data), rtol=1e-3, atol=np.finfo(dtype).tiny)


# --- afterwards ------------------------------------------------------------------------------------------------------


def test_an_error_in_the_middle_leaves_it_usable():
    failing = [True]

    def cell(x, h):
        if failing:
            raise KeyError("not yet")
        return np.tanh(x + h @ W)

    compiled = tr.compile(cell)
    with pytest.raises(KeyError):
        tr.unroll(compiled, normal(T, B, d), np.zeros((B, d)))
    failing.clear()
    assert_cell_agrees(cell)
    np.testing.assert_allclose(
        tr.unroll(compiled, normal(T, B, d), np.zeros((B, d)))[0].data,
        tr.unroll(cell, normal(T, B, d), np.zeros((B, d)))[0].data,
        rtol=1e-12,
    )


def test_an_error_while_it_runs_leaves_it_usable():
    compiled = tr.compile(lambda a: np.linalg.inv(a) @ a)
    compiled(np.eye(2))
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        compiled(np.zeros((2, 2)))
    np.testing.assert_allclose(compiled(2 * np.eye(2)).data, np.eye(2))


def test_a_trace_ends_with_an_error():
    with pytest.raises(CannotCompile):
        tr.compile(lambda x: float(np.sum(x)))(normal(3))
    assert float(np.sum(tr.tensor(normal(3)))) == float(np.sum(normal(3)))
    assert scope.context.trace is None


class Turned:
    """A cell that can be copied."""

    def __init__(self):
        self.W = tr.tensor(normal(d, d))

    def __call__(self, x, h):
        return np.tanh(x + h @ self.W)


def test_copies_have_plans_of_their_own():
    compiled = tr.compile(Turned())
    run = lambda f: tr.unroll(f, normal(T, B, d), np.ones((B, d)))[0].data  # noqa: E731
    before = run(compiled)
    for copied in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        np.testing.assert_array_equal(run(copied), before)
        copied.W.data = 2 * copied.W.data
        assert not np.allclose(run(copied), before)
        np.testing.assert_array_equal(run(compiled), before)
    assert run(copy.copy(compiled)).shape == before.shape and len(compiled.plans) == 1


def test_writing_into_an_argument_afterwards():
    """A second derivative runs the function once more: on what it was given, not on what has become of that."""
    x, w = np.ones(3), tr.tensor(np.full(3, 0.5), requires_grad=True)
    y = tr.compile(lambda x, w: np.sum(np.tanh(x) * w**3))(x, w)
    x[:] = 100.0
    y.backward(create_graph=True)
    np.testing.assert_allclose(w.grad.data, np.full(3, 0.75 * np.tanh(1.0)))


@pytest.fixture
def impatient_threads():
    """Threads take turns every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work):
    """Run something in several threads; the errors that came up."""
    problems = []

    def run():
        try:
            work()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


@pytest.mark.usefixtures("impatient_threads")
def test_threads_that_share_a_compiled_cell():
    cell = nn.LSTMCell(d, 4, dtype=np.float64)

    def gradient(f, steps):
        xs = tr.tensor(normal(steps, B, d), requires_grad=True)
        return tr.grad(lambda xs: np.sum(tr.unroll(f, xs)[0] ** 2))(xs).data

    expected = {steps: gradient(cell, steps) for steps in (2, 3, 4)}

    def work():
        for steps in (2, 3, 4, 3, 2):
            np.testing.assert_allclose(gradient(compiled, steps), expected[steps], rtol=1e-10)

    for _ in range(5):
        compiled = tr.compile(cell)
        problems = at_once(work)
        assert not problems, problems[0]
        assert len(compiled.plans) == (3 if DEFAULT == "jax" else 2)  # one for the first length, and one for all others


def test_threads_that_need_the_same_plan_wait_for_one():
    runs, threads = np.zeros((), int), set()

    def f(x):
        runs[...] += 1
        threads.add(threading.get_ident())
        time.sleep(0.01)  # for the others to come by
        return -x

    compiled = tr.compile(f)
    assert not at_once(lambda: np.testing.assert_array_equal(compiled(np.ones(3)).data, -np.ones(3)))
    assert runs == 2 and len(threads) == 1  # it was traced twice, by one thread


# --- lists and numbers beside Tensors ---------------------------------------------------------------------------------

BESIDE = {
    "stack, a number": (lambda x: np.stack([x[0], 0.0]), (3,)),
    "stack, a whole number": (lambda x: np.stack([1, x[0]]), (3,)),
    "stack, a list": (lambda x: np.stack([x, [1.0, 2.0, 3.0]], axis=-1), (3,)),
    "stack, a list with a Tensor": (lambda x: np.stack([x, [x[0], 2.0, x[2]]]), (3,)),
    "concatenate": (lambda x: np.concatenate([[1, 2], x, [x[0], 1.0]]), (3,)),
    "concatenate, all axes": (lambda x: np.concatenate([x, 3.0, [[1.0]]], axis=None), (3,)),
    "hstack": (lambda x: np.hstack([x, 1.0, [2.0]]), (3,)),
    "vstack": (lambda x: np.vstack([[1.0, 2.0, 3.0], x]), (3,)),
    "dstack": (lambda x: np.dstack([x, [1.0, 2.0, 3.0]]), (3,)),
    "column_stack": (lambda x: np.column_stack([x, [1.0, 2.0, 3.0]]), (3,)),
    "append": (lambda x: np.append([3.0], x), (3,)),
    "block": (lambda x: np.block([[x, np.ones((2, 1))], [np.zeros((1, 2)), 1.0]]), (2, 2)),
    "broadcast_arrays": (lambda x: np.broadcast_arrays(x, [[2.0], [3.0]])[0], (3,)),
    "where": (lambda x: np.where([True, False, True], x, [3.0, 4.0, 5.0]), (3,)),
    "matmul, right": (lambda x: x @ [1.0, 2.0], (3, 2)),
    "matmul, left": (lambda x: np.matmul([1.0, 2.0, 3.0], x), (3, 2)),
    "dot": (lambda x: np.dot(x, [1.0, 2.0, 3.0]), (3,)),
    "multi_dot": (lambda x: np.linalg.multi_dot([x, [[1.0, 2.0], [3.0, 4.0]], x]), (2, 2)),
    "arithmetic": (lambda x: np.maximum([0.0, 1.0, 2.0] - x, [0, 0, 1]), (3,)),
}


@pytest.mark.parametrize("name", BESIDE)
def test_lists_and_numbers_beside_tensors(name):
    f, shape = BESIDE[name]
    assert_agrees(f, normal(*shape))
    assert_agrees(unrolled(lambda x, h: (f(x + h), np.tanh(h))), normal(T, *shape), normal(*shape))


def test_threads_parse_generated_text_at_once():
    """Also where memory is tidied up meanwhile, which lets another thread go on in the middle of a tree."""
    text = "\n".join(f"a_{i} = ((((b_{i} + 1) * 2) - c_{i}[0]) ** 3)" for i in range(100))
    threshold = gc.get_threshold()

    def let_others_go_on(*_):
        time.sleep(1e-6)

    gc.callbacks.append(let_others_go_on)
    gc.set_threshold(50, 1000, 1000)
    try:
        with ThreadPoolExecutor(6) as pool:
            trees = list(pool.map(parsed, [text] * 24))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(let_others_go_on)
    assert {len(tree.body) for tree in trees} == {100}
