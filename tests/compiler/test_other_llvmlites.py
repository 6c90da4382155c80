"""An llvmlite that isn't there, is too old or fails: NumPy runs what has no machine code, and says why, once."""

import pickle
import re
import sys
import warnings

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import AS_PYTHON, assert_equal, everything
from tests.compiler.new_process import nothing_compiled_yet
from tests.compiler.test_compiled import wait_for_machine_code
from tinygrad_rnn import data, nn, optim, training

llvmlite = pytest.importorskip("llvmlite")

from tinygrad_rnn.compiler.runtime import cache  # noqa: E402
from tinygrad_rnn.compiler.runtime.llvm_code import engine  # noqa: E402
from tinygrad_rnn.compiler.runtime.llvm_code.numbers import NotTranslated  # noqa: E402

pytestmark = pytest.mark.skipif(AS_PYTHON, reason="nothing is compiled")

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


def too_old(monkeypatch):
    monkeypatch.delattr(engine.llvm, "create_pass_builder")


def without_a_translation(monkeypatch):
    def machine_code(source, form, name):
        raise NotTranslated("a loop that counts down")

    monkeypatch.setattr(engine, "machine_code", machine_code)


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


BROKEN = {
    too_old: "ImportError: llvmlite is too old: pip install ",
    without_a_translation: "NotTranslated: a loop that counts down",
    broken_translation: "RuntimeError: LLVM IR parsing error",
    broken_in_the_backward_pass: "RuntimeError: out of registers",
    broken_import: "ModuleNotFoundError|ImportError",
}


@pytest.mark.parametrize("breaks", BROKEN)
def test_numpy_runs_what_cannot_be_compiled(breaks, monkeypatch):
    breaks(monkeypatch)
    compiled = tr.compile(elman, executor="llvm")
    (said,) = assert_right(compiled)
    reason = rf"by NumPy, because machine code couldn't be made \(.*({BROKEN[breaks]})"
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
    compiled = tr.compile(lambda x, h: (x, np.sort(h @ W, axis=-1)), executor="llvm")
    assert assert_right(compiled, compiled.function) == []
    assert "because there is no machine code for argsort\n" in str(compiled.plans[0])


# --- no llvmlite at all ----------------------------------------------------------------------------------------------


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite", None)


def test_machine_code_without_llvmlite_names_the_extra_at_once(absent):
    text = r'executor="llvm".*pip install .*\[jit\]"'
    with pytest.raises(ImportError, match=text):
        tr.compile(elman, executor="llvm")
    with pytest.raises(ImportError, match=text):
        nn.LSTM(n, d, executor="llvm")
    model = nn.RNN(n, d)
    batches = data.Batches(np.zeros((4, T, n)), np.zeros((4, T, d)), batch_size=2)
    with pytest.raises(ImportError, match=text):
        training.fit(model, batches, nn.mse, optim.SGD(model.parameters()), epochs=1, executor="llvm")


def test_what_comes_ready_when_it_can_needs_no_llvmlite(absent):
    compiled = tr.compile(elman, executor="auto")
    assert assert_right(compiled) == []
    assert "by NumPy" not in str(compiled.plans[0])


def test_a_copy_that_was_made_where_llvmlite_is(absent, monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite", llvmlite)
    copied = pickle.dumps(tr.compile(nn.RNNCell(n, d, dtype=np.float64), executor="llvm"))
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.setitem(sys.modules, "tinygrad_rnn.compiler.runtime.cache", None)
    cell = pickle.loads(copied)
    (said,) = assert_right(cell, cell.function)
    assert "by NumPy, because machine code couldn't be made" in said
