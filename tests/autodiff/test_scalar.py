"""Scalars: right by calculus on their own, and a second opinion on the Tensor engine."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr


@pytest.mark.parametrize(
    ("f", "derivative"),
    [
        (lambda x: x + x, lambda x: 2.0),
        (lambda x: 3 - x, lambda x: -1.0),
        (lambda x: x - 3, lambda x: 1.0),
        (lambda x: x * x * 2, lambda x: 4 * x),
        (lambda x: 1 / x, lambda x: -1 / x**2),
        (lambda x: x / 4, lambda x: 0.25),
        (lambda x: x**3, lambda x: 3 * x**2),
        (lambda x: 2**x, lambda x: math.log(2) * 2**x),
        (lambda x: x**x, lambda x: (math.log(x) + 1) * x**x),
        (lambda x: -x, lambda x: -1.0),
        (lambda x: x.exp(), math.exp),
        (lambda x: x.log(), lambda x: 1 / x),
        (lambda x: x.sqrt(), lambda x: 0.5 / math.sqrt(x)),
        (lambda x: x.tanh(), lambda x: 1 - math.tanh(x) ** 2),
        (lambda x: x.sigmoid(), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
        (lambda x: x.relu(), lambda x: 1.0),
        (lambda x: (-x).relu(), lambda x: 0.0),
    ],
)
@pytest.mark.parametrize("at", [0.4, 1.7])
def test_derivatives(f: Any, derivative: Any, at: float) -> None:
    x = tr.Scalar(at)
    f(x).backward()
    assert math.isclose(x.grad, derivative(at), rel_tol=1e-12, abs_tol=1e-15)


def test_edges() -> None:
    for f in (lambda x: x**0, lambda x: x**2, lambda x: x.relu()):
        x = tr.Scalar(0.0)
        f(x).backward()
        assert x.grad == 0.0
    assert tr.Scalar(800.0).sigmoid().data == 1.0 and tr.Scalar(-800.0).sigmoid().data == 0.0
    with pytest.raises(ValueError, match="negative number is complex"):
        tr.Scalar(-8.0) ** 0.5


def test_gradients_accumulate_and_a_freed_graph_says_so() -> None:
    x = tr.Scalar(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad == 12.0
    with pytest.raises(RuntimeError, match="freed"):
        y.backward()
    with pytest.raises(RuntimeError, match="requires a gradient"):
        tr.Scalar(1.0, requires_grad=False).backward()


def test_no_silent_detour_and_comparisons() -> None:
    x = tr.Scalar(2.0, name="x")
    with pytest.raises(TypeError, match=r"\.data"):
        float(x)
    assert x == 2 and x != 3 and x < 3 and x <= 2 and x > 1 and x >= 2
    assert x and not x - 2
    assert repr(x) == f"{x}" == "Scalar(2, name='x')" and f"{x:.3f}" == "2.000"
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        1 / (x - 2)


@pytest.mark.parametrize("stranger", [tr.Scalar(2.0), Fraction(1, 2), Decimal(2)])
def test_a_tensor_takes_no_number_that_numpy_would_make_an_object_of(stranger: Any) -> None:
    t = tr.tensor([1.0, 2.0], requires_grad=True)
    for f in (lambda: t * stranger, lambda: stranger + t, lambda: np.maximum(t, stranger), lambda: t**stranger):
        with pytest.raises(TypeError, match=rf"a Tensor met a {type(stranger).__name__}"):
            f()


def test_no_grad_holds_for_scalars() -> None:
    x = tr.Scalar(2.0)
    with tr.no_grad():
        assert not (x * x).requires_grad


def elman(x: Any, h: Any, U: Any, W: Any, b: Any) -> Any:
    return np.tanh(x @ U + h @ W + b)


def gru(x: Any, h: Any, U: Any, W: Any, b: Any) -> Any:
    z = tr.sigmoid(x @ U + h @ W + b)
    r = tr.sigmoid(h @ U - b)
    n = np.exp(-tr.relu(x @ W + r * (h @ U)) / 2) + np.sqrt(z) * np.log(1 + r)
    return (1 - z) * n + z * h


@pytest.mark.parametrize("cell", [elman, gru])
def test_the_same_cell_on_both_engines(cell: Any) -> None:
    rng = np.random.default_rng(3)
    xs = rng.standard_normal((4, 2, 3))
    values = {"U": rng.standard_normal((3, 3)), "W": rng.standard_normal((3, 3)), "b": rng.standard_normal(3)}

    def loss(parameters: dict[str, Any], xs: Any, h: Any) -> Any:
        total: Any = 0.0
        for x in xs:
            h = cell(x, h, **parameters)
            total = total + np.sum(h**2)
        return total / 7

    tensors = {k: tr.tensor(v, requires_grad=True) for k, v in values.items()}
    numbers = {k: tr.scalars(v, name=k) for k, v in values.items()}
    by_tensor, by_scalar = loss(tensors, xs, np.zeros((2, 3))), loss(numbers, xs, np.zeros((2, 3)))
    assert math.isclose(by_tensor.item(), by_scalar.data, rel_tol=1e-13)
    by_tensor.backward()
    by_scalar.backward()
    for k in values:
        assert np.allclose(tensors[k].grad, tr.gradients(numbers[k]), rtol=1e-11, atol=1e-13)


def test_scalars_through_unroll() -> None:
    xs = np.random.default_rng(0).standard_normal((3, 2))
    W = np.array([[0.3, -0.2], [0.5, 0.1]])
    t, s = tr.tensor(W, requires_grad=True), tr.scalars(W)
    ys, _ = tr.unroll(lambda x, h: np.tanh(x + h @ t), xs, state=np.zeros(2))
    np.sum(ys**2).backward()
    ys, _ = tr.unroll(lambda x, h: np.tanh(x + h @ s), tr.scalars(xs), state=tr.scalars(np.zeros(2)))
    np.sum(ys**2).backward()
    assert np.allclose(t.grad, tr.gradients(s), rtol=1e-12)


@pytest.mark.parametrize(
    "loss",
    [
        lambda a: tr.logsumexp(a),
        lambda a: np.sum(tr.softmax(a) ** 2),
        lambda a: tr.nn.cross_entropy(a, np.array([0, 2])),
        lambda a: tr.nn.mse(a, np.ones((2, 3))),
    ],
)
def test_what_a_loss_is_made_of_runs_on_scalars(loss: Any) -> None:
    a = np.array([[0.3, -1.2, 2.0], [800.0, 1.0, 799.0]])
    t, s = tr.tensor(a, requires_grad=True), tr.scalars(a)
    by_tensor, by_scalar = loss(t), loss(s)
    by_tensor.backward()
    by_scalar.backward()
    assert math.isclose(by_tensor.item(), by_scalar.data, rel_tol=1e-13)
    assert np.allclose(t.grad, tr.gradients(s), rtol=1e-11, atol=1e-13)


def test_scalars_are_named_by_their_index() -> None:
    W = tr.scalars([[1.0, 2.0]], name="W")
    assert W[0, 1].name == "W[0,1]" and W.dtype == object
    assert tr.scalars(2.0, name="a")[()].name == "a"
    assert tr.gradients(W).tolist() == [[0.0, 0.0]]
