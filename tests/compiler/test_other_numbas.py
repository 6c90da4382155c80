"""A numba that isn't there, or isn't the one that is known: NumPy runs what has no machine code, and says why, once."""

import pickle
import re
import sys
import warnings

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import assert_equal, everything
from tests.compiler.new_process import nothing_compiled_yet
from tests.compiler.test_compiled import wait_for_machine_code
from tinygrad_rnn import data, nn, optim, training

numba = pytest.importorskip("numba")

from tinygrad_rnn.compiler.runtime import by_numba, cache  # noqa: E402
from tinygrad_rnn.compiler.runtime.llvm_code import engine  # noqa: E402
from tinygrad_rnn.compiler.runtime.llvm_code.numbers import NotTranslated  # noqa: E402

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")

T, B, n, d = 4, 2, 3, 5
XS, START = np.random.default_rng(1).normal(size=(T, B, n)), np.zeros((B, d))
W = tr.tensor(np.random.default_rng(2).normal(size=(d, d)), requires_grad=True)
U = tr.tensor(np.random.default_rng(3).normal(size=(n, d)), requires_grad=True)


def elman(x, h):
    return np.tanh(x @ U + h @ W), np.tanh(x @ U + h @ W)


@pytest.fixture(autouse=True)
def nothing_kept(tmp_path):
    """Neither on disk nor in this process: all code is made anew."""
    with nothing_compiled_yet(tmp_path):
        yield


def assert_right(compiled, cell=elman):
    """Twice the results and gradients of the cell; what was warned of."""
    run = lambda f: everything(lambda xs, h: tr.unroll(f, xs, h), XS, START, [U, W])  # noqa: E731
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            for found, expected in zip(run(compiled), run(cell)):
                assert_equal(found, expected, 1e-12)
            with tr.no_grad():
                assert_equal([tr.unroll(compiled, XS, START)[0]], [tr.unroll(cell, XS, START)[0]], 1e-12)
    return [str(warning.message) for warning in caught]


class Replaced:
    """A numba with another decorator."""

    __version__ = "99"

    def __init__(self, njit):
        self.njit = njit


class Hiding:
    """Something, without one of its attributes."""

    def __init__(self, thing, name):
        self._thing, self._name = thing, name

    def __getattr__(self, name):
        if name == self._name:
            raise AttributeError(name)
        return getattr(self._thing, name)


def left_to_numba(monkeypatch):
    """Let nothing have a translation."""

    def machine_code(source, form, name):
        raise NotTranslated("anything")

    monkeypatch.setattr(engine, "machine_code", machine_code)


def test_numba_compiles_what_has_no_translation(monkeypatch):
    left_to_numba(monkeypatch)
    compiled = tr.compile(elman, executor="numba")
    assert assert_right(compiled) == []
    assert all("by NumPy" not in str(plan) for plan in compiled.plans)
    assert any(name.startswith("tinygrad_rnn_generated") for name in sys.modules)


@pytest.mark.parametrize(
    ("where", "name"),
    [("_compiler", "_customize_flags"), ("_cache", "load_overload"), ("_cache", "save_overload"), ("_cache", "flush")],
)
def test_machine_code_without_a_private_place(where, name, monkeypatch):
    """It is made all the same: slower, or anew in each process."""

    def njit(**options):
        def decorated(function):
            compiled = numba.njit(**options)(function)
            if where == "_compiler" or options.get("cache"):
                setattr(compiled, where, Hiding(getattr(compiled, where), name))
            return compiled

        return decorated

    left_to_numba(monkeypatch)
    monkeypatch.setattr(by_numba, "numba", Replaced(njit))
    compiled = tr.compile(elman, executor="numba")
    assert assert_right(compiled) == []
    assert all("by NumPy" not in str(plan) for plan in compiled.plans)


def broken_decorator(monkeypatch):
    def njit(**options):
        raise AttributeError("no such thing any more")

    left_to_numba(monkeypatch)
    monkeypatch.setattr(by_numba, "numba", Replaced(njit))


def broken_when_called(monkeypatch):
    left_to_numba(monkeypatch)
    monkeypatch.setattr(by_numba, "HEADER", by_numba.HEADER + "tanh64 = object()\n")


def broken_translation(monkeypatch):
    def parse_assembly(text):
        raise RuntimeError("LLVM IR parsing error")

    monkeypatch.setattr(engine.llvm, "parse_assembly", parse_assembly)


def broken_in_the_backward_pass(monkeypatch):
    compiled_function, count = cache.compiled_function, []

    def fails_second(source):
        count.append(1)
        if len(count) != 2:
            return compiled_function(source)

        def fails(*arguments):
            raise cache.MachineCodeFailed(RuntimeError("out of registers"))

        return fails

    monkeypatch.setattr(cache, "compiled_function", fails_second)


def broken_import(monkeypatch):
    monkeypatch.setitem(sys.modules, "tinygrad_rnn.compiler.runtime.cache", None)


def no_source_written(monkeypatch):
    def write_whole(path, source):
        raise OSError(30, "Read-only file system")

    left_to_numba(monkeypatch)
    monkeypatch.setattr(by_numba, "write_whole", write_whole)


BROKEN = {
    broken_decorator: "AttributeError: no such thing any more",
    broken_when_called: "TypingError",
    broken_translation: "RuntimeError: LLVM IR parsing error",
    broken_in_the_backward_pass: "RuntimeError: out of registers",
    broken_import: "ModuleNotFoundError|ImportError",
    no_source_written: "Read-only file system",
}


@pytest.mark.parametrize("breaks", BROKEN)
def test_numpy_runs_what_numba_cannot_compile(breaks, monkeypatch):
    breaks(monkeypatch)
    compiled = tr.compile(elman, executor="numba")
    (said,) = assert_right(compiled)
    reason = rf"by NumPy, because (numba|LLVM) failed \(.*({BROKEN[breaks]})"
    assert re.search(rf"compile: elman runs {reason}", said)
    assert re.search(reason, str(compiled.plans[0]))


@pytest.mark.parametrize("breaks", BROKEN)
def test_numpy_goes_on_where_machine_code_was_to_come(breaks, monkeypatch):
    breaks(monkeypatch)
    compiled = tr.compile(elman, executor="auto")
    said = assert_right(compiled)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wait_for_machine_code()
    assert_right(compiled)
    assert len({*said, *(str(warning.message) for warning in caught)}) <= 1


def test_an_operation_without_a_form_is_named_in_the_plan():
    compiled = tr.compile(lambda x, h: (x, np.sort(h @ W, axis=-1)), executor="numba")
    assert assert_right(compiled, compiled.function) == []
    assert "because there is no machine code for argsort\n" in str(compiled.plans[0])


# --- no numba at all -------------------------------------------------------------------------------------------------


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)


def test_machine_code_without_numba_names_the_extra_at_once(absent):
    text = r'executor="numba".*pip install .*\[jit\]"'
    with pytest.raises(ImportError, match=text):
        tr.compile(elman, executor="numba")
    with pytest.raises(ImportError, match=text):
        nn.LSTM(n, d, executor="numba")
    model = nn.RNN(n, d)
    batches = data.Batches(np.zeros((4, T, n)), np.zeros((4, T, d)), batch_size=2)
    with pytest.raises(ImportError, match=text):
        training.fit(model, batches, nn.mse, optim.SGD(model.parameters()), epochs=1, executor="numba")


def test_what_comes_ready_when_it_can_needs_no_numba(absent):
    compiled = tr.compile(elman, executor="auto")
    assert assert_right(compiled) == []
    assert "by NumPy" not in str(compiled.plans[0])


def test_a_copy_that_was_made_where_numba_is(absent, monkeypatch):
    monkeypatch.delitem(sys.modules, "numba")
    copied = pickle.dumps(tr.compile(nn.RNNCell(n, d, dtype=np.float64), executor="numba"))
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setitem(sys.modules, "tinygrad_rnn.compiler.runtime.cache", None)
    cell = pickle.loads(copied)
    (said,) = assert_right(cell, cell.function)
    assert "by NumPy, because numba failed" in said
