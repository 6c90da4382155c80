"""No text of a user's becomes code: whatever things are called, what is generated is the same."""

import ast
import builtins
import io
import re
import tokenize

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.small import B, T, d, normal
from tests.names import NAMES
from tinygrad_rnn import nn

IDENTIFIER = re.compile(r"[a-z]+(_[a-z0-9]+)*")


def tensor(name, *shape, seed=0):
    return tr.tensor(0.5 * normal(*shape, seed=seed), requires_grad=True, name=name)


def model(name):
    """With whatever can have a name called so: two weights, a gate, a state, a function with its own gradient, a cell.

    A dict takes any text for its keys.
    """

    def doubled(x):
        return 2 * x

    doubled.__name__ = name
    twice = tr.custom_vjp(doubled)
    twice.defvjp(lambda x: (2 * x, None), lambda saved, g: (2 * g,))
    U = tensor(name, d, d, seed=1)

    class Cell(nn.Module):
        def __init__(self):
            self.W = nn.Parameter(0.5 * normal(d, d), name=name)

        def forward(self, x, state):
            c = state[name] + twice(x)
            h = tr.named(name, np.tanh(c @ self.W + twice(x @ U))) + state["another one"]
            return h, {name: c, "another one": h}

    Cell.__name__ = name.replace("\0", "").encode("utf-8", "replace").decode()  # nothing else is a name to Python
    cell, zeros = Cell(), np.zeros((B, d))
    return lambda xs: tr.unroll(cell, xs, {name: zeros, "another one": zeros})[0]


def codes(executor, name):
    """The generated functions, and their results and gradients."""
    xs = tensor(name, T, B, d)
    compiled = tr.compile(model(name), executor=executor)
    y = np.sum(compiled(xs) ** 2)
    y.backward()
    (executable,) = compiled.plans[0]._executables.values()
    return executable.code, y.item(), xs.grad


def without_comments(source):
    """The tokens of a source, without its comments and without the numbers of its identifiers."""
    tokens = tokenize.generate_tokens(io.StringIO(source, newline="").readline)
    kept = [token.string for token in tokens if token.type not in (tokenize.COMMENT, tokenize.NL)]
    return [re.sub(r"_\d+", "_0", text) for text in kept]


@pytest.mark.sweep
@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_whatever_the_names_the_code_is_the_same(executor):
    plain, value, gradient = codes(executor, "W")
    expected = [sorted(without_comments(function.source)) for function in (plain.forward, plain.backward)]
    for name in NAMES:
        code, y, g = codes(executor, name)
        assert y == value and np.array_equal(g, gradient), repr(name)
        for function, tokens in zip((code.forward, code.backward), expected):
            assert sorted(without_comments(function.source)) == tokens, repr(name)
            assert set(function.source) - {"\n"} <= set(map(chr, range(32, 127)))
            words = {node.id for node in ast.walk(ast.parse(function.source)) if isinstance(node, ast.Name)}
            assert all(map(IDENTIFIER.fullmatch, words))
    assert not hasattr(builtins, "PWNED")


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_the_code_says_what_is_called_how_in_a_comment(executor):
    for name in ("lstm.W_hh", "W'", "a\nb"):
        code, *_ = codes(executor, name)
        assert re.search(rf"\A.*  # captured_\d+ is {re.escape(ascii(name))}[,\n]", code.forward.source)


def test_axes_of_any_kind_of_whole_number_stand_in_code_as_numbers():
    class Three(int):
        def __repr__(self):
            return "__import__('builtins').__dict__.update(PWNED=1)"

        __str__ = __format__ = lambda self, *_: repr(self)

    a = normal(2, 3, 4, 5)
    for axis in (np.int64(3), np.int8(-1), Three(3)):
        for function in (
            lambda x: np.mean(x, axis=axis),  # noqa: B023
            lambda x: np.moveaxis(x, axis, 0),  # noqa: B023
            lambda x: np.swapaxes(x, axis, 0),  # noqa: B023
            lambda x: np.concatenate([x, 2 * x], axis=axis),  # noqa: B023
            lambda x: np.stack([x, 2 * x], axis=axis),  # noqa: B023
            lambda x: np.transpose(x, (axis, 1, 0, 2)),  # noqa: B023
            lambda x: x[axis % 2, ..., axis % 2],  # noqa: B023
            lambda x: np.cumsum(x, axis=axis),  # noqa: B023
        ):
            np.testing.assert_allclose(tr.compile(function)(a), function(a), rtol=1e-12)
    assert not hasattr(builtins, "PWNED")
