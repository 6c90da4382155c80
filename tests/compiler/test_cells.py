"""Compiled cells give the values and gradients of the cells themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tests.compiler.agreement import EXECUTORS, assert_compiled_agrees
from tinygrad_rnn import nn

n, d, B = 3, 4, 2


def normal(*shape, seed=0, scale=1.0, dtype=np.float64):
    return (np.random.default_rng([seed, *shape]).normal(size=shape) * scale).astype(dtype)


def parameter(*shape, seed=0, scale=0.5):
    return tr.nn.Parameter(normal(*shape, seed=seed, scale=scale))


LIBRARY = {
    "RNN": lambda dtype: nn.RNNCell(n, d, dtype=dtype),
    "RNN, relu, no bias": lambda dtype: nn.RNNCell(n, d, "relu", bias=False, dtype=dtype),
    "LSTM": lambda dtype: nn.LSTMCell(n, d, dtype=dtype),
    "LSTM with peepholes": lambda dtype: nn.LSTMCell(n, d, peepholes=True, dtype=dtype),
    "LSTM, coupled": lambda dtype: nn.LSTMCell(n, d, coupled=True, bias=False, dtype=dtype),
    "LSTM with projection": lambda dtype: nn.LSTMCell(n, d, projection=2, peepholes=True, dtype=dtype),
    "GRU": lambda dtype: nn.GRUCell(n, d, dtype=dtype),
    "GRU, reset before": lambda dtype: nn.GRUCell(n, d, reset="before", dtype=dtype),
}


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize("batch", [(B,), ()], ids=["batch", "no batch"])
@pytest.mark.parametrize("steps", [1, 50])
@pytest.mark.one_in(3)
def test_cells_of_the_library(name, batch, steps):
    cell = LIBRARY[name](np.float64)
    xs = normal(steps, *batch, n)
    state = tr.autodiff.trees.tree_map(lambda a: normal(*a.shape, seed=1), cell.initial_state(xs[0]))
    assert_compiled_agrees(cell, xs, state, list(cell.parameters()))
    assert_compiled_agrees(cell, xs, state, list(cell.parameters()), reverse=True)


@pytest.mark.parametrize("name", LIBRARY)
def test_float32_stays_float32(name):
    cell = LIBRARY[name](np.float32)
    xs = normal(50, B, n, dtype=np.float32)
    assert_compiled_agrees(cell, xs, cell.initial_state(xs[0]), list(cell.parameters()), tolerance=1e-5)


def test_a_normalised_lstm():
    """In float64 alone: where states hardly vary, to normalise them costs float32 its last digits, eager or not."""
    cell = nn.LSTMCell(n, d, norm=nn.LayerNorm, dtype=np.float64)
    xs = normal(50, B, n)
    assert_compiled_agrees(cell, xs, cell.initial_state(xs[0]), list(cell.parameters()))


# --- cells as users write them ---------------------------------------------------------------------------------------


def side_by_side():
    W, b, V = parameter(n + d, d), parameter(d), parameter(d, 5)

    def cell(x, h):
        h = np.tanh(np.concatenate([x, h], axis=-1) @ W + b)
        return h @ V, h

    return cell, [W, b, V], normal(B, d)


def gates_apart():
    weights = [parameter(n, d, seed=i) for i in range(4)] + [parameter(d, d, seed=i) for i in range(4)]
    biases = [parameter(d, seed=i) for i in range(4)]

    def cell(x, state):
        h, c = state
        i, f, g, o = (x @ U + h @ W + b for U, W, b in zip(weights[:4], weights[4:], biases))
        c = tr.sigmoid(f) * c + tr.sigmoid(i) * np.tanh(g)
        h = tr.sigmoid(o) * np.tanh(c)
        return h, (h, c)

    return cell, weights + biases, (normal(B, d), normal(B, d, seed=5))


def several_lags():
    U, W1, W3 = parameter(n, d), parameter(d, d, seed=1), parameter(d, d, seed=2)

    def cell(x, state):
        one, two, three = state
        h = np.tanh(x @ U + one @ W1 + three @ W3)
        return h, (h, one, two)

    return cell, [U, W1, W3], tuple(normal(B, d, seed=i) for i in range(3))


def attention():
    """A decoder that looks at a fixed memory: products with the state on both sides, softmax, einsum."""
    U, W, V = parameter(n, d), parameter(d, d, seed=1), parameter(2 * d, d, seed=2)
    memory = parameter(B, 6, d, seed=3)

    def cell(x, h):
        scores = np.einsum("btd,bd->bt", memory, h @ W)
        weights = np.exp(scores - tr.logsumexp(scores, axis=-1, keepdims=True))
        context = np.einsum("bt,btd->bd", weights, memory)
        h = np.tanh(x @ U + np.concatenate([h, context], axis=-1) @ V)
        return weights, h

    return cell, [U, W, V, memory], normal(B, d)


def normalised():
    """Layer normalisation, maxima, choices: reductions along the last axis."""
    U, W, gain = parameter(n, d), parameter(d, d, seed=1), parameter(d, seed=2)

    def cell(x, h):
        a = x @ U + h @ W
        a = gain * (a - np.mean(a, axis=-1, keepdims=True)) / np.sqrt(np.var(a, axis=-1, keepdims=True) + 0.1)
        h = np.where(a > 0, np.tanh(a), 0.1 * a)
        return np.max(h, axis=-1), np.clip(h, -0.5, 0.9)

    return cell, [U, W, gain], normal(B, d)


def weights_made_inside():
    """What is computed from parameters alone is computed once, and so is its gradient."""
    U, V, scale = parameter(n, d), parameter(d, d, seed=1), parameter(d, seed=2)

    def cell(x, h):
        W = V / np.sqrt(np.sum(V * V, axis=0)) * scale
        return np.tanh(x @ U + h @ W)

    return cell, [U, V, scale], normal(B, d)


def column_vectors():
    """W h, as most textbooks write it."""
    U, W, b = parameter(d, n), parameter(d, d, seed=1), parameter(d, seed=2)
    return (lambda x, h: np.tanh(U @ x + W @ h + b)), [U, W, b], normal(d)


def outer_product_memory():
    """Fast weights: a state that is a matrix, with a product of two things that change."""
    K, Q, rate = parameter(n, d), parameter(n, d, seed=1), parameter(1, seed=2)

    def cell(x, A):
        k, q = np.tanh(x @ K), x @ Q
        A = 0.9 * A + rate * np.expand_dims(k, -1) * np.expand_dims(q, -2)
        return np.squeeze(np.expand_dims(q, -2) @ A, -2), np.tanh(A)

    return cell, [K, Q, rate], normal(B, d, d)


def without_recurrence():
    U = parameter(n, d)
    return (lambda x, h: (np.tanh(x @ U), np.sin(x @ U))), [U], normal(B, d)


def inputs_as_state():
    """The state is the input of the step before: nothing is left in the loop but a copy."""
    W = parameter(n, n)
    return (lambda x, last: (x * (last @ W), x)), [W], normal(B, n)


def swapped_states():
    W = parameter(d, d)
    return (lambda x, s: (s[0] * 1.0, (s[1], np.tanh(s[0] @ W)))), [W], (normal(B, d), normal(B, d, seed=1))


def halves_exchanged():
    """The next state, and in the backward pass the next cotangent, is itself put together from parts."""
    W = parameter(d, d)

    def cell(x, s):
        exchanged = np.concatenate([s[1][..., d // 2 :], s[1][..., : d // 2]], axis=-1)
        return exchanged, (np.tanh(s[0] @ W), exchanged)

    return cell, [W], (normal(B, d), normal(B, d, seed=1))


def one_state_twice():
    U, W = parameter(n, d), parameter(2 * d, d)

    def cell(x, s):
        h = np.tanh(x @ U + np.concatenate(s, axis=-1) @ W)
        return h, (h, h)

    return cell, [U, W], (normal(B, d), normal(B, d, seed=1))


def products_and_powers():
    U, a = parameter(n, d), parameter(d, seed=3)

    def cell(x, h):
        z = x @ U
        return h, (z * h) * (a * np.cos(z)) * (0.5 - h**2) / (1 + z**2) - np.abs(h) * 0.1

    return cell, [U, a], normal(B, d, scale=0.3)


CELLS = [
    side_by_side, gates_apart, several_lags, attention, normalised, weights_made_inside, column_vectors,
    outer_product_memory, without_recurrence, inputs_as_state, swapped_states,
    halves_exchanged, one_state_twice, products_and_powers,
]  # fmt: skip


@pytest.mark.parametrize("make", CELLS)
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_cells_as_users_write_them(make, steps):
    cell, parameters, state = make()
    batch = () if make is column_vectors else (B,)
    assert_compiled_agrees(cell, normal(steps, *batch, n), state, parameters)


def test_a_state_that_takes_its_shape_in_the_first_step():
    U, W = parameter(n, d), parameter(d, d)
    cell = lambda x, h: np.tanh(x @ U + h @ W)  # noqa: E731
    for steps in (1, 5):
        assert_compiled_agrees(cell, normal(steps, B, n), normal(d), [U, W])
        assert_compiled_agrees(cell, normal(steps, B, n), normal(d), [U, W], reverse=True)


def test_an_embedding_inside_the_cell():
    E, W = parameter(7, d), parameter(d, d)
    cell = lambda x, h: np.tanh(E[x] + h @ W)  # noqa: E731
    symbols = np.random.default_rng(0).integers(0, 7, size=(9, B))
    assert_compiled_agrees(cell, symbols, normal(B, d), [E, W])


def test_inputs_and_outputs_that_are_trees():
    U, W = parameter(n, d), parameter(d, d)

    def cell(x, h):
        h = np.where(x["keep"], np.tanh(x["x"] @ U + h @ W), h)
        return {"h": h, "square": h * h}, h

    keep = np.random.default_rng(0).random((9, B, 1)) < 0.7
    assert_compiled_agrees(cell, {"x": normal(9, B, n), "keep": keep}, normal(B, d), [U, W])


EXECUTOR = EXECUTORS[-1]

# --- cells drawn at random -------------------------------------------------------------------------------------------

UNARY = {
    "tanh": np.tanh,
    "sigmoid": tr.sigmoid,
    "sin": np.sin,
    "square": lambda a: 0.3 * a * a,
    "centred": lambda a: a - np.mean(a, axis=-1, keepdims=True),
    "largest": lambda a: a - np.max(a, axis=-1, keepdims=True),
    "swapped": lambda a: np.concatenate([a[..., d // 2 :], a[..., : d // 2]], axis=-1),
    "summed": lambda a: a * np.sum(a, axis=0),
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "ratio": lambda a, b: a / (2 + np.abs(b)),
    "choice": lambda a, b: np.where(np.sin(a) > b, a, b),
}
WEIGHTED = {
    "product": lambda a, b, p: a @ p["W"],
    "joined": lambda a, b, p: np.concatenate([a, b], axis=-1) @ p["W2"],
    "scaled": lambda a, b, p: p["b"] * a + b,
    "other product": lambda a, b, p: b @ p["W2"][:d] + a,
}


@st.composite
def programs(draw):
    """Lists of operations, each on earlier results: 0 is x, 1 and 2 are the states."""
    steps = []
    for place in range(draw(st.integers(2, 10))):
        kind = draw(st.sampled_from([*UNARY, *BINARY, *WEIGHTED]))
        steps.append((kind, draw(st.integers(0, place + 2)), draw(st.integers(0, place + 2))))
    return steps, [draw(st.integers(0, len(steps) + 2)) for _ in range(3)]


@given(programs(), st.integers(1, 6), st.integers(0, 1000))
def test_random_cells(program, steps, seed):
    operations, (out, first, second) = program
    p = {"W": parameter(d, d, seed=seed), "W2": parameter(2 * d, d, seed=seed), "b": parameter(d, seed=seed)}

    def cell(x, state):
        values = [x, *state]
        for kind, i, j in operations:
            a, b = values[i], values[j]
            if kind in UNARY:
                values.append(UNARY[kind](a))
            else:
                values.append(BINARY[kind](a, b) if kind in BINARY else WEIGHTED[kind](a, b, p))
        return values[out], (np.tanh(values[first]), 0.9 * np.sin(values[second]))

    xs, state = normal(steps, B, d, seed=seed), (normal(B, d, seed=seed), normal(B, d, seed=seed + 1))
    assert_compiled_agrees(cell, xs, state, list(p.values()), executor=EXECUTOR)


# --- and such as don't expand: over many steps, rounding stays where it is -------------------------------------------

Q = np.linalg.qr(normal(d, d, seed=7))[0]
HALF = np.array([True, False, True, False])

STEADY = {
    "tanh": lambda a, b, p: np.tanh(a),
    "sine": lambda a, b, p: np.sin(a) * p["b"],
    "gate": lambda a, b, p: tr.sigmoid(a) * np.tanh(b) * 0.7,
    "mean": lambda a, b, p: (a + b) / 2,
    "difference": lambda a, b, p: 0.5 * (a - b),
    "centred": lambda a, b, p: a - np.mean(a, axis=-1, keepdims=True),
    "softened": lambda a, b, p: a / (1 + np.square(b)),
    "softmax": lambda a, b, p: tr.softmax(a, axis=-1),
    "chosen": lambda a, b, p: np.where(HALF, a, b),
    "swapped": lambda a, b, p: np.concatenate([a[..., d // 2 :], b[..., : d // 2]], axis=-1),
    "turned": lambda a, b, p: a @ p["Q"],
    "joined": lambda a, b, p: np.concatenate([a, b], axis=-1) @ p["QQ"],
    "summed": lambda a, b, p: np.einsum("...i,ij->...j", a, p["Q"]) - 0 * b,
}


@st.composite
def steady_programs(draw):
    kinds = st.tuples(st.sampled_from(sorted(STEADY)), st.integers(0, 12), st.integers(0, 12))
    return draw(st.lists(kinds, min_size=2, max_size=10)), [draw(st.integers(0, 12)) for _ in range(3)]


@given(steady_programs(), st.sampled_from([1, 2, 3, 7, 20, 50]), st.sampled_from([np.float64, np.float32]))
@pytest.mark.sweep
def test_random_cells_that_do_not_expand(program, steps, dtype):
    """No operation makes a difference between two states larger, so neither do 50 steps."""
    operations, (out, first, second) = program
    arrays = {"Q": Q, "QQ": np.concatenate([Q, Q]) / 2, "b": np.linspace(-1, 1, d)}
    p = {name: tr.nn.Parameter(a.astype(dtype)) for name, a in arrays.items()}

    def cell(x, state):
        values = [x, *state]
        for kind, i, j in operations:
            values.append(STEADY[kind](values[i % len(values)], values[j % len(values)], p))
        y, a, b = (values[-1 - i % len(values)] for i in (out, first, second))
        return y, (0.5 * (a + state[1]), 0.9 * b)

    xs, state = normal(steps, B, d, dtype=dtype), (normal(B, d, dtype=dtype), normal(B, d, seed=1, dtype=dtype))
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    assert_compiled_agrees(cell, xs, state, list(p.values()), tolerance, executor=EXECUTOR)
