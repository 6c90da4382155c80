"""A template: copy this test when you add a primitive, and put your function in the place of ``softsign``.

A function of the catalogue needs no more than a row of samples (``tests/autodiff/samples_*.py``), by which all this is
checked for it. What stands here is what such a row brings about, written out once.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.registry import elementwise

# x / (1 + |x|), and its derivative, in plain NumPy. In a file of rules the line above it would say, for a function that
# NumPy has, ``@overrides(np.that_function)``.
softsign = elementwise(lambda x: x / (1 + abs(x)), lambda ans, x: 1 / (1 + abs(x)) ** 2, name="softsign")


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(3, 4))  # away from the kink at 0


def test_on_arrays_it_is_plain_numpy(x):
    assert type(softsign(x)) is np.ndarray
    assert softsign(np.array([1.0, -3.0])).tolist() == [0.5, -0.75]


def test_its_vjp_agrees_with_finite_differences_and_with_an_independent_answer(x):
    assert tr.gradcheck(softsign, [x])
    # The quotient rule on the two halves of the definition, which the rule above doesn't use.
    by_hand = ((1 + np.abs(x)) - x * np.sign(x)) / (1 + np.abs(x)) ** 2
    np.testing.assert_allclose(tr.grad(lambda x: np.sum(softsign(x)))(x), by_hand, rtol=1e-12)


def test_its_jvp_is_the_transpose_of_its_vjp(x):
    rng = np.random.default_rng(1)
    u, v = rng.normal(size=x.shape), rng.normal(size=x.shape)
    _, pushed = tr.jvp(softsign, (x,), (u,))
    _, pull_back = tr.vjp(softsign, x)
    np.testing.assert_allclose(np.sum(v * pushed), np.sum(pull_back(v)[0] * u), rtol=1e-12)


def test_its_rule_is_recorded_in_turn(x):
    """A rule calls only functions that have rules, so its derivative has one."""
    second = tr.grad(lambda x: np.sum(tr.grad(lambda x: np.sum(softsign(x)))(x)))(x)
    np.testing.assert_allclose(second, -2 * np.sign(x) / (1 + np.abs(x)) ** 3, rtol=1e-12)


def test_types_are_kept(x):
    w = tr.tensor(x.astype(np.float32), requires_grad=True)
    y = softsign(w)
    np.sum(y).backward()
    assert y.dtype == w.grad.dtype == np.float32


def test_it_can_be_compiled(x):
    """A rule branches on shapes and types, never on values."""
    w = tr.tensor(x, requires_grad=True)
    fast = tr.compile(lambda x: np.sum(softsign(x) ** 2), executor="numpy")
    fast(w).backward()
    np.testing.assert_allclose(w.grad, tr.grad(lambda x: np.sum(softsign(x) ** 2))(x), rtol=1e-12)


def test_a_sign_error_would_be_found(x):
    wrong = elementwise(lambda x: x / (1 + abs(x)), lambda ans, x: -1 / (1 + abs(x)) ** 2, name="wrong")
    with pytest.raises(tr.GradientError):
        tr.gradcheck(wrong, [x])
