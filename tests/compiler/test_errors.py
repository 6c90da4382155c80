"""Errors of compiled functions are those of the functions themselves: the same words, naming layer and time step."""

import gc
import weakref
from fractions import Fraction

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.small import B, T, W, d, normal
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.graph import ancestors
from tinygrad_rnn.autodiff.trees import leaves
from tinygrad_rnn.compiler import CannotCompile
from tinygrad_rnn.compiler.executable import GeneratedExecutable

xs, h0 = tr.tensor(normal(T, B, d), requires_grad=True), np.zeros((B, d))
rows = xs.data.astype(np.float32)
other = np.ones((d + 1, d + 1))


def stack(below, above):
    return nn.Recurrent([below, above])(rows)


def error_of(run):
    with pytest.raises(Exception) as raised:
        run()
    return raised.value


def assert_same_error(run, compiled, text):
    """The error of ``run`` has this text in it, and ``compiled`` gives the same."""
    expected, found = error_of(run), error_of(compiled)
    assert text in str(expected)
    assert type(found) is type(expected) and str(found) == str(expected)


# --- found while it is traced ----------------------------------------------------------------------------------------

# (what has the mistake, given what compiles; what its error says)
MISTAKES = {
    "input": (lambda f: tr.unroll(f(nn.LSTMCell(d + 1, 2)), rows), "matmul at step 1: (2, 3) @ (4, 8)"),
    "in reverse": (lambda f: tr.unroll(f(nn.GRUCell(d + 1, 2)), rows, reverse=True), f"matmul at step {T}: "),
    "in a layer": (lambda f: stack(nn.RNNCell(d, 2), f(nn.RNNCell(d, 2))), "matmul at layer 1, step 1: "),
    "in a whole stack": (lambda f: f(stack)(nn.RNNCell(d, 2), nn.RNNCell(d, 2)), "matmul at layer 1, step 1: "),
    "backwards": (
        lambda f: f(nn.Recurrent([(nn.RNNCell(d, 2), nn.RNNCell(d + 1, 2))]))(rows),
        f"matmul at layer 0.reverse, step {T}: ",
    ),
    "in a cell of cells": (
        lambda f: tr.unroll(f(nn.StackedCell([nn.RNNCell(d, 2), nn.RNNCell(d, 2)])), rows),
        "matmul at layer 1, step 1: ",
    ),
    "in the second step": (
        lambda f: tr.unroll(f(lambda x, h: h @ other if h.ndim == 2 else x + h), xs, np.zeros(d)),
        "matmul at step 2: ",
    ),
    "in the second step of a reverse loop": (
        lambda f: tr.unroll(f(lambda x, h: h @ other if h.ndim == 2 else x + h), xs, np.zeros(d), reverse=True),
        f"matmul at step {T - 1}: ",
    ),
    "in a loop of a step": (
        lambda f: tr.unroll(f(lambda x, h: (x, tr.unroll(lambda m, s: m @ W + s @ other, x, x[0])[0])), xs, h0),
        "matmul at layer loop in step 1, step 1: (3,) @ (4, 4)",
    ),
    "in a reverse loop of a step": (
        lambda f: tr.unroll(
            f(lambda x, h: (x, tr.unroll(lambda m, s: m @ W + s @ other, x, x[0], reverse=True)[0])), xs, h0
        ),
        f"matmul at layer loop in step 1, step {B}: (3,) @ (4, 4)",
    ),
    "shapes": (lambda f: tr.unroll(f(lambda x, h: x + h), xs, np.ones((B, 4))), "add at step 1: operands could not"),
    "no pair": (lambda f: tr.unroll(f(lambda x, h: [x, h]), xs, h0), "unroll at step 1: a cell returns y, state"),
    "no pair, in reverse": (lambda f: tr.unroll(f(lambda x, h: [x, h]), xs, h0, reverse=True), f"unroll at step {T}: "),
    "an index": (lambda f: tr.unroll(f(lambda x, h: x[:, 7] + h), xs, h0), "getitem at step 1: index 7 is out of"),
    "a mask": (lambda f: tr.unroll(f(lambda x, h: h[np.ones(7, bool)]), xs, tr.tensor(h0)), "getitem at step 1: bool"),
    "an index of fractions": (
        lambda f: tr.unroll(f(lambda x, h: W[x] + h), xs, h0), "type on shapes (3, 3), (2, 3)."
    ),
    "of a Tensor made inside": (lambda f: f(lambda x: x + tr.tensor(h0)[5])(xs), "getitem: index 5 is out of bounds"),
    "complex numbers": (lambda f: tr.unroll(f(lambda x, h: x * 1j + h), xs, h0), "multiply at step 1: complex numbers"),
    "objects": (lambda f: f(lambda x: x * np.array([1, None, 2]))(xs), "multiply: a Tensor met an object array"),
    "a fraction": (lambda f: f(lambda x: x * Fraction(1, 2))(xs), "multiply: a Tensor met a Fraction"),
    "out=": (lambda f: tr.unroll(f(lambda x, h: np.add(x, h, out=h0)), xs, h0), "np.add at step 1 can't write"),
    "no rule": (lambda f: tr.unroll(f(lambda x, h: np.partition(x, 1) + h), xs, h0), "to a Tensor at step 1. Use np"),
    "a keyword": (lambda f: tr.unroll(f(lambda x, h: np.tanh(x, casting="no")), xs, h0), "np.tanh on a Tensor at step"),
    "an assignment": (lambda f: tr.unroll(f(lambda x, h: x.__setitem__(0, 1.0)), xs, h0), "a Tensor at step 1 can't"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named_as_without(name):
    run, text = MISTAKES[name]
    assert_same_error(lambda: run(lambda f: f), lambda: run(tr.compile), text)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (lambda x, h: x * float(h[0, 0]), "float() of a Tensor at layer 1, step 1: "),
        (lambda x, h: x[np.nonzero(h)[0]], "np.nonzero at layer 1, step 1 returns"),
        (lambda x, h: x[x > 0], "an index by a condition, a[a > 0], at layer 1, step 1 returns"),
        (lambda x, h: tr.grad(np.sum)(x) + h, "a gradient or a tangent at layer 1, step 1 inside"),
        (lambda x, h: (x, np.concatenate([h, h])), "the state at layer 1 changes its form"),
        (lambda x, h: ("x", h), "this one returned str at layer 1"),
    ],
    ids=["value", "length", "condition", "gradient", "form", "text"],
)
def test_a_refusal_says_where(cell, text):
    layers = nn.Recurrent([lambda x, h: x + h, tr.compile(cell)])
    refusal = error_of(lambda: layers(xs, (h0, h0)))
    assert type(refusal) is CannotCompile and text in str(refusal)


def test_a_refusal_of_a_backward_rule_is_one():
    @tr.custom_vjp
    def f(x):
        return x * 2

    f.defvjp(lambda x: (x * 2, None), lambda kept, g: (np.zeros(d) + g[g > 0][0],))
    refusal = error_of(lambda: tr.compile(f)(xs))
    assert type(refusal) is CannotCompile and str(refusal).startswith("an index by a condition, a[a > 0], returns")


# --- found when it runs ----------------------------------------------------------------------------------------------

symbols = np.array([[0, 1], [2, 0], [1, 1], [0, 0], [2, 2]])
wrong = np.where(np.arange(T)[:, None] == 2, 7, symbols)  # at step 3
matrices = np.stack([np.eye(d)] * T) * np.array([1.0, 1.0, 1.0, 0.0, 1.0])[:, None, None]  # singular at step 4
embedding, table = nn.Embedding(3, d), nn.Parameter(normal(3, d))

# (what fails on these arguments; on which it doesn't; what its error says)
FAILURES = {
    "a symbol": (lambda f: f(embedding), (wrong,), (symbols,), "Embedding: symbols from 0 to 7, but there are 3"),
    "a symbol below 0": (lambda f: f(embedding), (-symbols,), (symbols,), "Embedding: symbols from -2 to 0"),
    "a class": (
        lambda f: f(nn.cross_entropy), (xs, wrong), (xs, symbols), "cross_entropy: logits (5, 2, 3): class indices"
    ),
    "an index": (lambda f: f(lambda i: table[i] @ W), (wrong,), (symbols,), "getitem: index 7 is out of bounds"),
    "of each row": (
        lambda f: f(lambda a, i: np.take_along_axis(a, i, -1)), (xs, wrong[..., None]), (xs, symbols[..., None]),
        "getitem: index 7 is out of bounds for axis 2 with size 3",
    ),
    "in a step": (
        lambda f: lambda i: tr.unroll(f(lambda x, h: np.tanh(table[x] + h @ W)), i, h0), (wrong,), (symbols,),
        "getitem at step 3: index 7 is out of bounds for axis 0 with size 3",
    ),
    "of the state": (
        lambda f: lambda i: tr.unroll(f(lambda x, h: np.tanh(h[:, x] + h @ W)[:, :d]), i, h0[:, [0, 0, 0]]),
        (np.repeat(wrong[:, :1], d, 1),), (np.repeat(symbols[:, :1], d, 1),), "getitem at step 3: index 7 is out of",
    ),
    "a matrix": (
        lambda f: lambda a: tr.unroll(f(lambda x, h: np.linalg.inv(x) @ np.tanh(h)), a, np.eye(d)),
        (matrices,), (matrices + np.eye(d),), "linalg.inv at step 4: Singular matrix on shape (3, 3).",
    ),
}  # fmt: skip


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.one_in(2)
def test_failures_are_named_as_without(name, executor):
    """Also with a plan that has run before; which runs again afterwards."""
    make, bad, good, text = FAILURES[name]
    run = make(lambda f: f)
    compiled = make(lambda f: tr.compile(f, executor=executor))
    assert_same_error(lambda: run(*bad), lambda: compiled(*bad), text)
    first = compiled(*good)
    assert_same_error(lambda: run(*bad), lambda: compiled(*bad), text)
    for found, expected in zip(leaves(first), leaves(compiled(*good))):
        np.testing.assert_array_equal(found.data, expected.data)


def test_a_failure_says_nothing_of_generated_code():
    """What is printed below it is the function's own: neither what came before it nor what it was made of."""
    failure = error_of(lambda: tr.compile(lambda i: table[i])(wrong))
    assert "compiled" not in f"{failure!r} {failure.__cause__!r} {failure.__context__!r}"
    assert isinstance(failure.__cause__, IndexError)


@pytest.mark.only_for("numpy", "llvm", reason="it makes generated code fail")
def test_a_failure_of_generated_code_alone_is_raised(monkeypatch):
    compiled = tr.compile(np.tanh)
    compiled(xs)

    def broken(self, inputs):
        raise ValueError("a mistake in the compiler")

    monkeypatch.setattr(GeneratedExecutable, "run", broken)
    with pytest.raises(ValueError, match="compiled: a mistake in the compiler"):
        compiled(xs)


@pytest.mark.only_for("numpy", "llvm", reason="it makes generated code fail")
@pytest.mark.parametrize("bad", [wrong, symbols], ids=["fails without, too", "fails compiled alone"])
def test_a_failure_holds_no_arrays_once_it_is_dealt_with(bad, monkeypatch):
    compiled = tr.compile(lambda i: table[i])
    compiled(symbols)
    if bad is symbols:
        monkeypatch.setattr(GeneratedExecutable, "run", lambda self, inputs: 1 / 0)
    given = tr.tensor(bad)
    held = weakref.ref(given)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises((IndexError, RuntimeError)) as raised:
            compiled(given)
        del raised, given
        assert held() is None
    finally:
        gc.enable()


# --- expanded --------------------------------------------------------------------------------------------------------


def test_a_recorded_backward_pass_knows_its_layer():
    """It is recorded from the expansion, which is made where the call was."""
    layers = nn.Recurrent([nn.RNNCell(d, d), tr.compile(nn.RNNCell(d, d))])
    x = tr.tensor(rows, requires_grad=True)
    np.sum(layers(x)[0] ** 2).backward(create_graph=True)
    layers_of_steps = {node.scope.layer for node in ancestors([x.grad]) if node.scope.step}
    assert layers_of_steps == {0, 1}
