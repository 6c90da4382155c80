"""The one thing that all tests of the compiler ask: does a compiled cell give what the cell gives?"""

import os

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.array_node import value_of
from tinygrad_rnn.autodiff.trees import leaves, tree_map

DEFAULT = os.environ.get("COMPILE_WITH", "numpy")  # what compiles where a test names no executor
AS_PYTHON = os.environ.get("TINYGRAD_RNN_AS_PYTHON") == "1"  # machine code costs no time to make then: all is tried
BOTH = ("numpy", "llvm") if DEFAULT == "numpy" else (DEFAULT,)  # where both are asked, however long it takes
EXECUTORS = BOTH if AS_PYTHON else (DEFAULT,)


def everything(run, xs, state, parameters, seed=1):
    """Outputs, last state, and the gradients of all inputs and parameters, for a loss that weighs every element."""
    rng = np.random.default_rng(seed)
    xs, state = (tree_map(lambda a: tr.tensor(a, requires_grad=a.dtype.kind == "f"), tree) for tree in (xs, state))
    for parameter in parameters:
        parameter.grad = None
    ys, last = run(xs, state)
    results = [*leaves(ys), *leaves(last)]
    terms = [np.sum(a * rng.normal(size=a.shape).astype(a.dtype)) for a in results if a.dtype.kind == "f"]
    if terms:
        sum(terms).backward()
    gradients = [a.grad for a in (*leaves(xs), *leaves(state), *parameters)]
    return [np.array(value_of(a)) for a in results], gradients


def assert_equal(found, expected, tolerance):
    """Relative to the largest element.

    Where the eager walk never came there is None, and no zeros. Where it came with zeros there may be None: what is put
    into a concatenation and never read again isn't there any more in a program.
    """
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        if a is None or b is None:
            assert a is None and (b is None or not b.any())
        else:
            assert a.shape == b.shape and a.dtype == b.dtype
            a, b = (value_of(part) for part in (a, b))
            if a.dtype == bool:
                a, b = a.astype(int), b.astype(int)
            assert np.max(np.abs(a - b), initial=0) <= tolerance * max(np.max(np.abs(b), initial=0), 1e-300), (a, b)


def assert_compiled_agrees(cell, xs, state, parameters, tolerance=1e-12, executor=DEFAULT, **options):
    """Compare ``unroll(compile(cell), ...)`` with ``unroll(cell, ...)``; the compiled cell comes back."""
    compiled = tr.compile(cell, executor=executor)
    eager = everything(lambda x, s: tr.unroll(cell, x, s, **options), xs, state, parameters)
    for _ in range(2):  # the second time in a workspace that has been used
        fast = everything(lambda x, s: tr.unroll(compiled, x, s, **options), xs, state, parameters)
        for found, expected in zip(fast, eager):
            assert_equal(found, expected, tolerance)
    return compiled
