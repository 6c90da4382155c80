"""Functions with several loops that read what others give: as inputs, as first state, as something to look at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tests.compiler.agreement import EXECUTORS, assert_equal, everything
from tinygrad_rnn import nn

T, B, d = 3, 2, 3
EXECUTOR = EXECUTORS[-1]


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


W, U = nn.Parameter(0.5 * normal(d, d)), nn.Parameter(0.5 * normal(d, d, seed=1))

KINDS = {
    "plain": lambda x, h, memory: (np.tanh(x + h @ W), np.tanh(x + h @ W)),
    "output apart": lambda x, h, memory: (h @ U, np.tanh(x @ U + h @ W)),
    "looks": lambda x, h, memory: (h, np.tanh(x + np.sum(memory * (1 + h), axis=0))),
    "looks when it is done": lambda x, h, memory: (h * memory[0], np.tanh(x + h)),
    "does not look at x": lambda x, h, memory: (x, 0.9 * np.sin(h @ W)),
    "no recurrence": lambda x, h, memory: (np.tanh(x @ W) + memory[-1], x),
    "passes on": lambda x, h, memory: (x * h, h),
}

loops = st.tuples(
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(loops, min_size=2, max_size=4), st.lists(st.integers(0, 9), min_size=1, max_size=3))
@pytest.mark.sweep
def test_random_wirings(wiring, used):
    """Each loop gets its inputs, first state and memory from any before it, as they are or changed in between."""

    def function(xs, start):
        sequences, states = [xs], [start]
        for kind, i, j, k, reverse, changed in wiring:
            inputs, state, memory = (
                sequences[i % len(sequences)],
                states[j % len(states)],
                sequences[k % len(sequences)],
            )
            if changed:
                inputs, state, memory = np.tanh(inputs), state * 0.5, memory[::-1]
            cell = lambda x, h, kind=kind, memory=memory: KINDS[kind](x, h, memory)  # noqa: E731
            ys, state = tr.unroll(cell, inputs, state, reverse=reverse)
            sequences.append(ys)
            states.append(state)
        everything_made = [*sequences[1:], *states[1:]]
        return [everything_made[i % len(everything_made)] for i in used], ()

    inputs = normal(T, B, d), normal(B, d)
    compiled = tr.compile(function, executor=EXECUTOR)
    expected = everything(function, *inputs, [W, U])
    for _ in range(2):
        for a, b in zip(everything(compiled, *inputs, [W, U]), expected):
            assert_equal(a, b, 1e-12)
