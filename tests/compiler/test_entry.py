"""What machine code is called with, what it may call, and whole numbers that wrap."""

import ctypes
import itertools
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import AS_PYTHON
from tests.compiler.new_process import nothing_compiled_yet

pytest.importorskip("llvmlite")

from tinygrad_rnn.compiler.runtime import cache, code_folder, threads
from tinygrad_rnn.compiler.runtime.llvm_code import engine, functions
from tinygrad_rnn.compiler.runtime.llvm_code.entry import ArrayForm
from tinygrad_rnn.compiler.runtime.llvm_code.numbers import NotTranslated

pytestmark = pytest.mark.skipif(AS_PYTHON, reason="nothing is compiled")

TEXT = """
def each(a, b, n):
    for i in range({range}):
        b[i] = {value}

def program(a, b, n):
    each(a, b, n)
"""
FORM = (ArrayForm("f64", 1, True), ArrayForm("f64", 1, True), None)


def text(value="a[i] + a[i]", range="0, n"):
    return TEXT.format(value=value, range=range)


class Own(np.ndarray):
    pass


def unpickled(a):
    return pickle.loads(pickle.dumps(a))


def misaligned(a):
    made = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype)
    made[:] = a
    return made


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def a_field(a):
    made = np.zeros(len(a), [("value", a.dtype), ("flag", "?")])
    made["value"] = a
    return made["value"]


FORMS = [
    unpickled,
    lambda a: a.astype(np.dtype(a.dtype, metadata={"unit": "m"})),
    lambda a: a.astype(a.dtype.newbyteorder()),
    lambda a: a.view(Own),
    lambda a: np.repeat(a, 2)[::2],
    lambda a: a[::-1].copy()[::-1],
    lambda a: np.broadcast_to(a[:1], a.shape),
    misaligned,
    read_only,
    a_field,
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_every_form(form, dtype):
    """In one function, whose machine code was made for another form."""
    weights = np.random.default_rng(0).normal(size=(3, 3)).astype(dtype)

    def cell(x, h):
        h = np.tanh(x + h @ weights)
        return h, h

    compiled = tr.compile(lambda xs, h: tr.unroll(cell, xs, h)[0], executor="llvm")
    start, xs = np.zeros((1, 3), dtype), np.random.default_rng(1).normal(size=12).astype(dtype)
    for given in (xs, form(xs), xs):
        found, expected = (f(given.reshape(4, 1, 3), start) for f in (compiled, compiled.function))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "by NumPy" not in str(compiled.plans[0])


@pytest.mark.parametrize("dtype", [np.longlong, np.dtype(np.int64, metadata={"unit": "m"})])
def test_a_type_that_has_several_names(dtype):
    run, a, b = cache.compiled_function(text().strip()), np.arange(3, dtype=dtype), np.zeros(3, dtype)
    for given in (np.arange(3), a, unpickled(a)):
        run(given, b, 3)
        assert b.tolist() == [0, 2, 4]


def test_machine_code_counts_its_arguments():
    name = "program_that_counts"
    run = engine.loaded(engine.machine_code(text(), FORM, name), FORM, name)
    a, b = np.ones(2), np.zeros(2)
    assert run(a, b) == run() == run(a, b, 2, 2) == run(a, 2, b) == cache.OTHER_FORM
    assert b.tolist() == [0, 0]
    assert run(a, b, 2) == 0
    assert b.tolist() == [2, 2]
    with pytest.raises(OverflowError):
        run(a, b, 2**70)
    # Python reads a function's description when it frees the function: elsewhere it may be gone when the process ends.
    described_at = ctypes.c_void_p.from_address(id(run) + object.__basicsize__).value
    begin, bound = run.__self__.ctypes.data, run.__self__
    assert begin < described_at <= begin + bound.nbytes - ctypes.sizeof(engine.Method)
    assert run.__name__ == name and bound.flags.owndata


def test_a_function_that_is_missing_is_not_called(monkeypatch):
    """The process would end there."""
    monkeypatch.setitem(functions.FUNCTIONS, "tan", functions._of_c("no_such_function"))
    with pytest.raises(NotTranslated, match="no_such_function"):
        engine.machine_code(text("np.tan(a[i])"), FORM, "program_without")


def test_a_loop_that_counts_down_has_no_translation():
    with pytest.raises(NotTranslated, match="counts down"):
        engine.machine_code(text(range="n, 0, -1"), FORM, "program_down")


@pytest.mark.parametrize(
    "argument", [np.zeros(2, np.float16), np.zeros(2, ">f8"), misaligned(np.zeros(2)), 1.5, True, None]
)
def test_other_arguments_are_refused_by_name(argument):
    with pytest.raises(cache.MachineCodeFailed, match=f"an argument of the type {type(argument).__name__}"):
        cache.compiled_function(text())(argument, np.zeros(2), 2)


def test_machine_code_on_a_disk_that_can_only_be_read_is_used(tmp_path, monkeypatch):
    def refused(*args, **keywords):
        raise OSError(30, "Read-only file system")

    a, b = np.ones(2), np.zeros(2)
    with nothing_compiled_yet(tmp_path):
        cache.compiled_function(text())(a, b, 2)
    monkeypatch.setattr(code_folder.os, "utime", refused)
    with nothing_compiled_yet(tmp_path) as made:
        cache.compiled_function(text())(a, b, 2)
    assert made == []


INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32]
WRAPPING = {
    "sum": lambda a, b: a + b > a,
    "difference": lambda a, b: a - b < a,
    "product": lambda a, b: (a * b) // b == a,
    "next": lambda a, b: a + 1 > a,
    "negative": lambda a, b: -a < 0,
    "size": lambda a, b: abs(a) >= 0,
    "quotient": lambda a, b: a // b,
    "rest": lambda a, b: a % b,
}


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", WRAPPING)
@pytest.mark.one_in(5)
def test_whole_numbers_wrap_as_numpys(name, dtype):
    """A compiler may take it that they never do, and that a + 1 > a."""
    limits = np.iinfo(dtype)
    values = np.array([limits.min, limits.min + 1, 0, 1, 3, limits.max - 1, limits.max]).astype(dtype)
    if limits.min:
        values = np.append(values, np.array([-1, -7], dtype))
    a, b = np.array(list(itertools.product(values, values))).T

    def cell(x, h):
        found = WRAPPING[name](x, b)
        return found, np.tanh(h + found)

    compiled = tr.compile(lambda xs, h: tr.unroll(cell, xs, h)[0], executor="llvm")
    with np.errstate(all="ignore"):
        found, expected = (f(np.stack([a, a]), np.zeros(len(a))) for f in (compiled, compiled.function))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_process_makes_machine_code_whatever_threads_did(tmp_path):
    """Its parent's other threads, which it doesn't have, hold none of its locks."""
    with nothing_compiled_yet(tmp_path):
        inside, go_on = threading.Event(), threading.Event()

        def compiling():
            with cache._lock:
                inside.set()
                go_on.wait(0.2)

        thread = threading.Thread(target=compiling)
        thread.start()
        inside.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            a, b = np.ones(2), np.zeros(2)
            cache.compiled_function(text())(a, b, 2)
            os._exit(0 if b.tolist() == [2, 2] else 1)
        go_on.set()
        thread.join()
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such signal")
def test_an_interruption_waits_until_no_thread_writes(monkeypatch):
    """Who goes on after Ctrl-C uses the same arrays again."""
    ended = []

    def part(first, last):
        time.sleep(0.4 if first else 0)
        ended.append(first)

    def interrupted(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            threads.in_parts(3, part, 12)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert sorted(ended) == [0, 4, 8]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e9, -7.0])
def test_what_is_no_place_is_none_as_a_whole_number_either(value, dtype):
    """With NumPy, NaN becomes the least of them; 0 would be a place."""
    table = tr.tensor(np.ones((6, 5)))

    def cell(x, h):
        h = np.tanh(h + table[x.astype(dtype)])
        return h, h

    compiled = tr.compile(lambda xs, h: tr.unroll(cell, xs, h)[0], executor="llvm")
    xs, start = np.zeros((3, 4)), np.zeros((4, 5))
    compiled(xs, start)
    assert "by NumPy" not in str(compiled.plans[0])
    xs[1, 2] = value
    with np.errstate(all="ignore"), pytest.raises(IndexError):
        compiled(xs, start)
