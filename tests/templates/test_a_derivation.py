"""A template: copy this test when you add a derivation to ``manual``, and put yours in the place of the one below.

That is the derivation of a network with one weight, ``s_t = w s_{t-1} + x_t`` and ``L = ½ s_T²``. It has the form
of all modules of ``manual``: ``forward`` returns a trace of every intermediate quantity, ``backward(trace)`` gives the
gradients and every derivative on the way to them, and neither imports the engine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr


class Trace(NamedTuple):
    """w, x_1 .. x_T, and s_0 .. s_T."""

    w: float
    xs: np.ndarray
    s: np.ndarray


class Backward(NamedTuple):
    """∂L/∂s_t for t = 1 .. T, and the gradient by parameter."""

    dL_ds: np.ndarray
    gradients: dict[str, np.ndarray]


def forward(params, xs) -> Trace:
    """s_t = w s_{t-1} + x_t, from s_0 = 0."""
    s = [0.0]
    for x in xs:
        s.append(float(params["w"]) * s[-1] + x)
    return Trace(float(params["w"]), np.asarray(xs), np.array(s))


def backward(trace: Trace) -> Backward:
    """∂L/∂s_T = s_T; ∂L/∂s_{t-1} = w ∂L/∂s_t; ∂L/∂w = Σ_t ∂L/∂s_t s_{t-1}."""
    dL_ds = trace.s[-1] * trace.w ** np.arange(len(trace.xs) - 1, -1, -1.0)
    return Backward(dL_ds, {"w": np.array(dL_ds @ trace.s[:-1])})


def loss(p, xs):
    """The same network for autograd, written as one would without any derivation in mind."""
    _, s = tr.unroll(lambda x, s: p["w"] * s + x, xs, state=np.zeros(()))
    return 0.5 * s**2


lengths = st.integers(1, 8)
weights = st.floats(-1.5, 1.5)
seeds = st.integers(0, 10**6)


@given(lengths, weights, seeds)
def test_it_agrees_with_autograd(T, w, seed):
    xs = np.random.default_rng(seed).normal(size=T)
    params = {"w": np.array(w)}
    report = tr.compare(loss, lambda p, xs: backward(forward(p, xs)).gradients, params, (xs,), tolerance=1e-10)
    assert report.agrees, report


@given(lengths, weights, seeds)
def test_it_agrees_with_finite_differences_without_the_engine(T, w, seed):
    xs, eps = np.random.default_rng(seed).normal(size=T), 1e-6

    def value(w):
        return 0.5 * forward({"w": w}, xs).s[-1] ** 2

    numeric = (value(w + eps) - value(w - eps)) / (2 * eps)
    np.testing.assert_allclose(backward(forward({"w": w}, xs)).gradients["w"], numeric, rtol=1e-5, atol=1e-6)


def test_numbers_worked_out_on_paper():
    """w = 2, x = (1, 3): s = (1, 5), L = 12.5, ∂L/∂s = (10, 5), ∂L/∂w = 5 · 1 = 5."""
    trace = forward({"w": 2.0}, [1.0, 3.0])
    back = backward(trace)
    assert trace.s.tolist() == [0, 1, 5] and back.dL_ds.tolist() == [10, 5] and back.gradients["w"] == 5


def test_a_mistake_would_be_found():
    xs, params = np.array([1.0, -2.0, 0.5]), {"w": np.array(0.7)}

    def with_a_slip(p, xs):
        trace = forward(p, xs)
        return {"w": backward(trace).dL_ds @ trace.s[1:]}  # s_t where s_{t-1} belongs

    assert not tr.compare(loss, with_a_slip, params, (xs,)).agrees


@pytest.mark.parametrize("bad", [[], [np.nan]])
def test_odd_inputs_give_numpys_answer(bad):
    trace = forward({"w": 2.0}, bad)
    assert len(trace.s) == len(bad) + 1
