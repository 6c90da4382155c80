"""The text of a derivation is run: no name that is in it becomes a part of the program, and every name works."""

import ast
import builtins
import re

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.names import CODE, MARKUP, ODD, TERMINAL

# These hold each kind of quote, bracket, line end and comment, and what Python reserves.
SOME = [
    *CODE[:6], *ODD[:3], "W²", "ﬁ", "lstm.W_hh", "2nd", "class", "__debug__", "__class__", "np", "T", "term_1",
    "whole_1", "locals",
    "derivative", "a,b;c", "#", "a  # b", "\\", '"""', "i" * 300, ")", "({[", "%s {0}",
    *MARKUP[:1], *TERMINAL[:1], "\ud800", "权重",
    '"}); import builtins; builtins.PWNED = 1; ({"',
]  # fmt: skip


def loss(name):
    xs = np.random.default_rng(0).normal(size=(3, 2))

    def of(p):
        def cell(x, state):
            h = tr.named(name, np.tanh(x @ p[name] + state[name] @ p["Q"]))
            return h, {name: h}

        ys, _ = tr.unroll(cell, xs, state={name: np.zeros(2)})
        return np.sum(ys**2)

    return of


@pytest.mark.parametrize("name", SOME)
def test_every_name_can_be_derived_and_none_is_run(name):
    p = {name: np.eye(2) / 2, "Q": np.full((2, 2), 0.3)}
    derivation = tr.derive(loss(name), p)
    source = derivation.source()
    program = ast.parse(source)
    words = [node.id for node in ast.walk(program) if isinstance(node, ast.Name)]
    words += [
        argument.arg for node in ast.walk(program) if isinstance(node, ast.FunctionDef) for argument in node.args.args
    ]
    assert all(re.fullmatch(r"[A-Za-z_]\w*", word, re.ASCII) for word in words)
    assert [type(node) for node in program.body] == [ast.Import, ast.FunctionDef]
    gradients = tr.grad(loss(name))(p)
    run = derivation.run()
    for key in p:
        np.testing.assert_allclose(run.gradients[key], gradients[key], rtol=1e-9)
    assert all(row.isprintable() for text in (str(derivation), derivation.markdown()) for row in text.split("\n"))
    assert not hasattr(builtins, "PWNED")


@pytest.mark.parametrize("name", [*MARKUP, *TERMINAL])
def test_reasons_in_markdown_hold_no_markup(name):
    """W is used at each step, and the reason says so by its name."""
    W = tr.tensor(np.eye(2) / 2, requires_grad=True, name=name)
    ys, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((3, 2)), state=np.zeros(2))
    text = tr.derive(np.sum(ys**2)).markdown()
    reason = next(paragraph for paragraph in text.split("\n\n") if "is used at each step" in paragraph).strip()
    assert reason.isprintable()
    assert not re.findall(r"(?<!\\)(?:\\\\)*([`*<|&~$#]|\](?=[(\[:]))", reason)


def test_data_that_are_called_as_a_parameter_is():
    p = {"k": np.array([0.3, 0.2]), "xs": np.array(2.0)}

    def loss(p, xs, k):
        h, total = np.ones(2), 0.0
        for x in xs:
            h = np.tanh(h * p["k"] + p["xs"] * x + np.array([0.5, 0.25]))
            total = total + np.sum(h * k)
        return total

    data = [np.ones((3, 2)), np.array([1.0, -1.0])]
    derivation = tr.derive(loss, p, data)
    run = derivation.run(data={"k": 2 * data[1]})
    for name, right in tr.grad(loss)(p, data[0], 2 * data[1]).items():
        np.testing.assert_allclose(run.gradients[name], right, rtol=1e-12)


def test_no_value_is_called_as_a_row_of_the_data_is() -> None:
    """A row of ``us`` is u_t, so that B u_t, computed once for two uses, needs another letter."""
    us = np.random.default_rng(0).normal(size=(3, 2))

    def loss(p, us):
        h = np.zeros(2)
        for u in us:
            drive = p["B"] @ u
            h = np.tanh(h + drive) + np.tanh(drive)
        return np.sum(h)

    text = str(tr.derive(loss, {"B": np.eye(2)}, (us,)))
    assert "= B u_t" in text and "u_t = B u_t" not in text
