"""Assigning a Tensor into an array, or into a Tensor: what is said instead of NumPy's riddle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.errors import NotOnTensors

CURE = r".*into an array would lose the gradient.*np\.stack.*index_update"


def table(x: Any) -> Any:
    R = np.zeros(3)
    for i in range(3):
        R[i] = x * i
    return np.sum(R)


def rows(x: Any) -> Any:
    R = np.zeros((3, 2), np.float32)
    R[1] = np.stack([x, x])
    return np.sum(R)


def whole_numbers(x: Any) -> Any:
    R = np.zeros(3, int)
    R[0] = x
    return np.sum(R)


def added(x: Any) -> Any:
    R = np.zeros(3)
    R[0] += x
    return np.sum(R)


def chosen(x: Any) -> Any:
    R = np.zeros((3, 2))
    R[R == 0] = x
    return np.sum(R)


ASSIGNMENTS = [table, rows, whole_numbers, added, chosen]


@pytest.mark.parametrize("f", ASSIGNMENTS)
def test_into_an_array(f: Any) -> None:
    for derivative in (tr.grad(f), tr.value_and_grad(f), lambda x: tr.jvp(f, (x,), (x,)), tr.hessian(f)):
        with pytest.raises(NotOnTensors, match=CURE):
            derivative(1.5)


@pytest.mark.parametrize("f", ASSIGNMENTS)
def test_the_cause_says_so_where_no_code_of_ours_is_around(f: Any) -> None:
    with pytest.raises((NotOnTensors, ValueError)) as raised:
        f(tr.tensor(1.5, requires_grad=True))
    error = raised.value if isinstance(raised.value, NotOnTensors) else raised.value.__cause__
    assert isinstance(error, NotOnTensors) and "index_update" in str(error)


def test_in_a_cell_and_in_a_module() -> None:
    def cell(x: Any, h: Any) -> Any:
        y = np.zeros(2)
        y[0] = x[0]
        return y

    xs = tr.tensor(np.ones((3, 1)), requires_grad=True)
    with pytest.raises(NotOnTensors, match=rf"a Tensor made at step \d{CURE}"):
        tr.unroll(cell, xs, state=np.zeros(2))

    class Filling(nn.Module):
        def forward(self, x: Any) -> Any:
            return cell(x, None)

    with pytest.raises(NotOnTensors, match=CURE):
        Filling()(xs[0])


def test_the_line_of_the_user_stands_in_the_traceback() -> None:
    with pytest.raises(NotOnTensors) as raised:
        tr.grad(table)(1.5)
    assert any("R[i] = x * i" in str(entry.statement) for entry in raised.traceback)


def test_another_error_stays_what_it_is() -> None:
    def f(x: Any) -> Any:
        R = np.zeros(3)
        R[0] = [1.0, 2.0]
        return x

    with pytest.raises(ValueError, match="setting an array element with a sequence"):
        tr.grad(f)(1.5)
    with pytest.raises(NotOnTensors, match=r"^float\(\) of a Tensor .*\.item\(\)"):
        tr.grad(lambda x: float(x))(1.5)


def test_into_a_tensor_that_was_recorded() -> None:
    x = tr.tensor(np.ones(3), requires_grad=True)
    for change in (lambda y: y.__setitem__(0, 1.0), lambda y: y.__delitem__(0)):
        with pytest.raises(NotOnTensors, match=r"index_update.*np\.stack"):
            change(2 * x)


def test_a_tensor_that_needs_no_gradient_is_a_number() -> None:
    R = np.zeros(2)
    R[0], R[1:] = tr.tensor(2.0), tr.tensor([3.0])
    assert R.tolist() == [2, 3]


def test_what_to_write_instead_works() -> None:
    stacked = lambda x: np.sum(np.stack([x * i for i in range(3)]))  # noqa: E731

    def updated(x: Any) -> Any:
        R = np.zeros(3)
        for i in range(3):
            R = tr.index_update(R, i, x * i)
        return np.sum(R)

    assert tr.grad(stacked)(1.5) == tr.grad(updated)(1.5) == 3
