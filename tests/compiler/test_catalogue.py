"""Every function that has a derivative, compiled: alone, and as the step of a loop over time.

The samples are those that the rules themselves are tested with. Whatever has no kernel of its own calls the function
that is registered, so none is left out. All samples of a function are one program: to make one takes longer than to
run a sample.
"""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.autodiff.samples import SAMPLES
from tests.autodiff.sampling import by_function
from tests.compiler.agreement import EXECUTORS, assert_equal

STEPS = 3

GROUPS = by_function(SAMPLES)
each = pytest.mark.parametrize("samples", GROUPS.values(), ids=GROUPS)
by_each = pytest.mark.parametrize("executor", EXECUTORS)


def together(functions):
    """One function of the arguments of all."""
    return lambda inputs: [f(*parts) for f, parts in zip(functions, inputs, strict=True)]


def values_and_gradients(run, inputs):
    """For each sample its result, and the gradients of its arguments, for a loss that weighs every element."""
    arguments = tuple(tuple(tr.tensor(a, requires_grad=True) for a in parts) for parts in inputs)
    results = run(arguments)
    rngs = (np.random.default_rng(0) for _ in results)
    sums = [np.sum(y * rng.uniform(0.5, 1.5, y.shape).astype(y.dtype)) for y, rng in zip(results, rngs)]
    sum(sums).backward()
    return [[y.data, *(a.grad for a in parts)] for y, parts in zip(results, arguments)]


def assert_same(names, run, compiled, inputs):
    """Each sample's numbers agree to 12 digits; to 5 where the arguments are float32."""
    expected, found = values_and_gradients(run, inputs), values_and_gradients(compiled, inputs)
    for name, fast, eager, parts in zip(names, found, expected, inputs, strict=True):
        try:
            assert_equal(fast, eager, 1e-5 if any(a.dtype == np.float32 for a in parts) else 1e-12)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.one_in(10)
@each
@by_each
def test_as_a_function(samples, executor):
    f = together([sample.f for sample in samples.values()] * 2)
    double = [tuple(sample.inputs) for sample in samples.values()]
    single = [tuple(a.astype(np.float32) for a in parts) for parts in double]
    names = [*samples, *(f"{name} in float32" for name in samples)]
    assert_same(names, f, tr.compile(f, executor=executor), [*double, *single])


@pytest.mark.one_in(10)
@each
@by_each
def test_inside_the_recurrence(samples, executor):
    """The next state is made of the result: the function and its gradient can't leave the loop."""
    functions = [sample.f for sample in samples.values()]

    def next_state(y, state):
        return tuple(0.99 * a + 0.001 * np.tanh(np.mean(y)).astype(a.dtype) for a in state)

    def cell(x, states):
        ys = tuple(f(*state) for f, state in zip(functions, states))
        return ys, tuple(map(next_state, ys, states))

    run = lambda cell: lambda states: tr.unroll(cell, None, states, steps=STEPS)[0]  # noqa: E731
    inputs = [tuple(sample.inputs) for sample in samples.values()]
    assert_same(samples, run(cell), run(tr.compile(cell, executor=executor)), inputs)


@pytest.mark.one_in(10)
@each
def test_over_the_steps_of_a_sequence(samples):
    """The arguments come from a sequence, so that the function leaves the loop, where it has an over-time form."""
    functions = [sample.f for sample in samples.values()]

    def cell(xs, hs):
        ys = tuple(f(*parts) for f, parts in zip(functions, xs))
        return ys, tuple(0.5 * h + np.mean(y).astype(h.dtype) for h, y in zip(hs, ys))

    start = tuple(np.zeros(()) for _ in functions)
    run = lambda cell: lambda xs: tr.unroll(cell, xs, start)[0]  # noqa: E731
    inputs = [tuple(np.stack([a, 0.98 * a, 0.97 * a]) for a in sample.inputs) for sample in samples.values()]
    assert_same(samples, run(cell), run(tr.compile(cell)), inputs)
