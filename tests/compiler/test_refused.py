"""What is refused where it is compiled, each with a sentence, and what is done where fallback is asked for."""

import importlib
import random
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import assert_equal
from tests.compiler.small import B, T, W, d, normal, with_gradients
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import CannotCompile

scope = importlib.import_module("tinygrad_rnn.autodiff.scope")  # where autodiff itself has a function of that name

generator = np.random.default_rng(0)
legacy = np.random.RandomState(0)


@pytest.mark.parametrize(
    "draw",
    [
        generator.normal, generator.random, legacy.rand, np.random.rand, random.random, random.Random(0).random,
        lambda: generator.choice([0.1, 0.9]),
    ],
    ids=["Generator", "uniform", "RandomState", "np.random", "random", "Random", "choice"],
)  # fmt: skip
@pytest.mark.parametrize("use", ["number", "branch"])
def test_random_numbers(draw, use):
    """Also where they are plain numbers, or only decide a branch, which may well come out alike twice."""

    def cell(x, h):
        if use == "branch":
            return np.tanh(x + h) if draw() < 0.5 else x
        return np.tanh(x + draw() * h)

    with pytest.raises(CannotCompile, match=r"random numbers inside.*Draw them before the loop"):
        tr.unroll(tr.compile(cell), normal(T, B, d), np.zeros((B, d)))


def test_random_numbers_of_a_generator_that_is_made_inside():
    with pytest.raises(CannotCompile, match=r"something else.*random numbers inside"):
        tr.compile(lambda x: x * np.random.default_rng().random())(normal(3))
    f = lambda x: x * np.random.default_rng(5).random()  # noqa: E731  # the same at each call
    np.testing.assert_array_equal(tr.compile(f)(normal(3)).data, f(normal(3)))


def test_a_refusal_uses_up_no_random_numbers():
    """With fallback=True a run gives what it gives without compile()."""

    def run(wrap):
        rng = np.random.default_rng(7)
        cell = wrap(lambda x, h: np.tanh(x + h) if rng.random() < 0.5 else x)
        return tr.unroll(cell, normal(20, B, d), np.zeros((B, d)))[0].data

    np.testing.assert_array_equal(run(lambda cell: tr.compile(cell, fallback=True)), run(lambda cell: cell))


@contextmanager
def drawing_elsewhere(*draws):
    """Another thread that draws all the time; it gives what it drew."""
    drawn, stop, began = [], threading.Event(), threading.Event()

    def others():
        while not stop.is_set():
            drawn.append([draw() for draw in draws])
            began.set()
            time.sleep(1e-4)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        began.wait()
        yield drawn
    finally:
        stop.set()
        thread.join()


def test_random_numbers_that_another_thread_draws():
    """They are no concern of the function, and keep their order: nobody winds that thread's generators back."""
    other = np.random.default_rng(1)
    with drawing_elsewhere(random.random, np.random.rand, other.random) as drawn:
        for _ in range(5):
            w = tr.tensor(normal(d, d), requires_grad=True)
            with_gradients(tr.compile(lambda x, w=w: np.tanh(x @ w)), normal(B, d))
    for numbers in zip(*drawn):
        assert len(set(numbers)) == len(numbers)


def noise_of_a_library(size):
    return np.random.mtrand._rand.normal(size=size)


class Distribution:
    """As in SciPy: it holds NumPy's generator and hands it on."""

    def __init__(self):
        self.held = [np.random.mtrand._rand]

    def drawn(self):
        return self._drawn(self.held[0])

    def _drawn(self, generator):
        return generator.normal()


def imported_inside():
    from numpy.random import uniform

    return uniform()  # noqa: NPY002  # the shared one is meant


@pytest.mark.parametrize(
    "draw",
    [
        random.random, lambda: random.random(), lambda: np.random.normal(), lambda: random.choice([1, 2]),  # noqa: NPY002
        lambda: noise_of_a_library(()), Distribution().drawn, imported_inside, lambda: next(map(np.random.rand, [1])),
    ],
)  # fmt: skip
def test_random_numbers_that_the_function_draws_as_well(draw):
    with drawing_elsewhere(random.random, np.random.rand), pytest.raises(CannotCompile, match="random numbers inside"):
        tr.compile(lambda x: x if draw() is not None else -x)(normal(3))


def test_another_profiler_goes_on():
    def profiler(frame, event, argument):
        pass

    before = sys.getprofile()
    sys.setprofile(profiler)
    try:
        with drawing_elsewhere(random.random):
            tr.compile(np.tanh)(normal(3))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(before)


def writing_into_an_array():
    buffer = np.zeros(1)

    def cell(x, h):
        buffer[0] += 1
        return np.tanh(x + h * buffer)

    return cell


def choosing_in_turn():
    weights = [W, nn.Parameter(normal(d, d))]

    def cell(x, h):
        weights.reverse()
        return np.tanh(x + h @ weights[0])

    return cell


def making_a_tensor():
    made = {}

    def cell(x, h):
        W = made.setdefault("W", tr.tensor(np.ones((d, d))))
        return np.tanh(x + h @ W)

    return cell


@pytest.mark.parametrize("make", [writing_into_an_array, choosing_in_turn, making_a_tensor])
def test_functions_that_do_something_else_each_time(make):
    with pytest.raises(CannotCompile, match="something else when it was run a second time"):
        tr.unroll(tr.compile(make()), normal(T, B, d), np.zeros((B, d)))
    run = lambda f: tr.unroll(f, normal(T, B, d), np.zeros((B, d)))  # noqa: E731
    assert run(tr.compile(make(), fallback=True))[0].shape == (T, B, d)


REFUSED = {
    "a branch on a value": (lambda x: x if np.sum(x) > 0 else -x, r"bool\(\).*np\.where"),
    "a number": (lambda x: x * float(x[0]), r"float\(\)"),
    "a value": (lambda x: x * x[0].item(), r"item\(\)"),
    "a Tensor of a Tensor": (lambda x: tr.tensor(x) * 2, r"tensor\(\) of a Tensor"),
    "an array of Tensors": (lambda x: np.array([x, x]), "np.asarray"),
    "a table looked up": (lambda x: np.arange(3.0)[x.astype(int)], "look up in a Tensor"),
    "an attribute of arrays": (lambda x: x * x.nbytes, r"\.nbytes"),
    "whether a gradient is wanted": (lambda x: x if x.requires_grad else -x, "requires_grad"),
    "np.nonzero": (lambda x: x[np.nonzero(x)[0]], r"np\.nonzero.*length.*np\.where"),
    "np.argwhere": (lambda x: np.sum(np.argwhere(x)), "length"),
    "np.flatnonzero": (lambda x: len(np.flatnonzero(x)) * x, "length"),
    "np.where without a choice": (lambda x: x[np.where(x > 0)], "length"),
    "an index by a condition": (lambda x: x[x > 0], r"a\[a > 0\].*length"),
    "a gradient": (lambda x: tr.grad(np.sum)(x), "a gradient or a tangent inside"),
    "a tangent": (lambda x: tr.jvp(np.tanh, (x,), (x,))[1], "a gradient or a tangent inside"),
    "a backward pass": (lambda x: np.sum(x).backward(), r"backward\(\) inside"),
    "out=": (lambda x: np.add(x, 1, out=np.zeros(3)), "out="),
    "in place": (lambda x: np.add(x, x, out=x), "out="),
    "an assignment": (lambda x: x.__setitem__(0, 1.0), "index_update"),
    "an assignment into an array": (lambda x: np.zeros(3).__setitem__(0, x[0]), "float|asarray"),
    "a function without a rule": (lambda x: np.partition(x, 0), "no derivative rule"),
    "a result that is no array": (lambda x: {"name": "x", "x": x}, "returns arrays.*str"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    f, text = REFUSED[name]
    with pytest.raises(TypeError, match=text) as refusal:
        tr.compile(f)(normal(3))
    assert isinstance(refusal.value, tr.autodiff.errors.NotOnTensors)


def test_custom_jvp_is_refused():
    @tr.custom_jvp
    def f(x):
        return x * 2

    f.defjvp(lambda primals, tangents: (f(*primals), 3 * tangents[0]))
    with pytest.raises(CannotCompile, match=r"custom_jvp.*custom_vjp"):
        tr.compile(f)(normal(3))


def test_fallback_runs_it_as_it_is():
    for f, _ in (
        REFUSED[name] for name in ("a branch on a value", "np.nonzero", "an assignment into an array", "out=")
    ):
        found, expected = tr.compile(f, fallback=True)(normal(3)), f(normal(3))
        assert (found is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(found, expected)


def looking_gradient():
    @tr.custom_vjp
    def f(x):
        return x * 2

    f.defvjp(lambda x: (x * 2, None), lambda kept, g: (g if float(np.sum(g)) > 0 else -g,))
    return f


def test_fallback_where_only_the_gradient_is_refused():
    f = looking_gradient()
    compiled = tr.compile(f, fallback=True)
    found, expected = (with_gradients(g, normal(3)) for g in (compiled, f))
    assert_equal(found, expected, 1e-12)
    with pytest.raises(CannotCompile, match=r"float\(\)"):
        with_gradients(tr.compile(f), normal(3))
    np.testing.assert_array_equal(tr.compile(f)(normal(3)).data, 2 * normal(3))


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, RuntimeError, AssertionError])
@pytest.mark.parametrize("fallback", [False, True])
def test_the_users_own_errors_are_raised(error, fallback):
    calls = []

    def f(x):
        calls.append(1)
        raise error("mine")

    with pytest.raises(error, match="mine"):
        tr.compile(f, fallback=fallback)(normal(3))
    assert len(calls) == 1  # it isn't run once more, as it is


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x @ np.ones((2, 2)),
        lambda x: np.sum(x) @ x,
        lambda x: x + np.ones(2),
        lambda x: np.concatenate([x, np.ones((2, 2))]),
        lambda x: np.reshape(x, (7,)),
        lambda x: np.sqrt(np.sum(x, axis=3)),
    ],
    ids=["product", "scalar product", "sum", "joined", "reshaped", "axis"],
)
def test_shapes_that_do_not_fit_are_explained_as_without(f):
    with pytest.raises((ValueError, IndexError)) as eager:
        f(tr.tensor(normal(3)))
    with pytest.raises(eager.type) as compiled:
        tr.compile(f)(normal(3))
    texts = str(eager.value), str(compiled.value)
    operations, shapes = ([text.split(sep)[i] for text in texts] for sep, i in ((":", 0), (" on ", -1)))
    assert operations[0] == operations[1] and shapes[0] == shapes[1]


def test_what_a_function_stored_while_it_was_traced_says_so():
    stored = []

    def f(x):
        stored[:] = [x * 2]
        return stored[0]

    tr.compile(f)(normal(3))
    for look in (float, np.asarray, lambda a: np.sum(a), lambda a: a.tobytes()):
        with pytest.raises(CannotCompile, match=r"stored while it was traced.*Have the function return it"):
            look(stored[0])


def test_an_error_of_the_compilers_is_not_swallowed(monkeypatch):
    from tinygrad_rnn.compiler import plans

    def broken(*args, **keywords):
        raise AttributeError("a mistake in the compiler")

    monkeypatch.setattr(plans, "traced", broken)
    with pytest.raises(AttributeError, match="a mistake"):
        tr.compile(lambda x: x + 1, fallback=True)(normal(3))


@pytest.mark.parametrize("result", [lambda x, h: (x, h, h), lambda x, h: [x, h], lambda x, h: {"y": x}, lambda x, h: 3])
def test_cells_that_give_something_else_than_cells_do(result):
    for cell in (result, tr.compile(result), tr.compile(result, fallback=True)):
        with pytest.raises(TypeError, match="a cell returns y, state"):
            tr.unroll(cell, normal(T, B, d), np.zeros((B, d)))
