"""Every function that has a derivative, compiled: alone, and as the step of a loop over time.

The samples are those that the rules themselves are tested with. Whatever has no kernel of its own calls the function
that is registered, so none is left out.
"""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.autodiff.samples import SAMPLES
from tests.autodiff.sampling import by_function
from tests.cases import in_groups
from tests.compiler.agreement import EXECUTORS, assert_equal

STEPS = 3

each = in_groups("sample", by_function(SAMPLES))


def values_and_gradients(f, inputs):
    """The result of a function, and the gradients of its arguments, for a loss that weighs every element."""
    arguments = [tr.tensor(a, requires_grad=True) for a in inputs]
    result = f(*arguments)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, result.shape).astype(result.dtype)
    np.sum(result * weights).backward()
    return [result.data, *(a.grad for a in arguments)]


def assert_same(f, g, inputs, tolerance=1e-12):
    assert_equal(values_and_gradients(g, inputs), values_and_gradients(f, inputs), tolerance)


@each
@pytest.mark.parametrize("executor", EXECUTORS)
def test_as_a_function(sample, executor):
    assert_same(sample.f, tr.compile(sample.f, executor=executor), sample.inputs)


@each
@pytest.mark.parametrize("executor", EXECUTORS)
def test_inside_the_recurrence(sample, executor):
    """The next state is made of the result: the function and its gradient can't leave the loop."""

    def cell(x, state):
        y = sample.f(*state)
        return y, tuple(0.99 * a + 0.001 * np.tanh(np.mean(y)).astype(a.dtype) for a in state)

    compiled = tr.compile(cell, executor=executor)
    run = lambda cell: lambda *state: tr.unroll(cell, None, state, steps=STEPS)[0]  # noqa: E731
    assert_same(run(cell), run(compiled), sample.inputs)


@each
def test_over_the_steps_of_a_sequence(sample):
    """The arguments come from a sequence, so that the function leaves the loop, where it has an over-time form."""

    def cell(xs, h):
        y = sample.f(*xs)
        return y, 0.5 * h + np.mean(y).astype(h.dtype)

    inputs = [np.stack([a, 0.98 * a, 0.97 * a]) for a in sample.inputs]
    run = lambda cell: lambda *xs: tr.unroll(cell, xs, np.zeros(()))[0]  # noqa: E731
    assert_same(run(cell), run(tr.compile(cell)), inputs)


@each
def test_float32(sample):
    f = lambda *inputs: sample.f(*inputs)  # noqa: E731
    inputs = [a.astype(np.float32) for a in sample.inputs]
    assert_same(f, tr.compile(f), inputs, tolerance=1e-5)
