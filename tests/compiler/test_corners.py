"""Corners that random programs ran into: nothing to compute with, no axes at all, numbers of NumPy's, odd wiring."""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import BOTH, EXECUTORS, assert_compiled_agrees, assert_equal, everything
from tests.compiler.small import B, T, W, d, normal, with_gradients
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import thresholds

# --- nothing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("axis", [0, -1, (0, 1), None])
@pytest.mark.parametrize("shape", [(0, d), (B, 0)])
def test_means_of_nothing(shape, axis, executor):
    f = lambda a: np.mean(a, axis=axis) + np.sum(W)  # noqa: E731
    with np.errstate(all="ignore"):
        found, expected = (with_gradients(g, normal(*shape)) for g in (tr.compile(f, executor=executor), f))
    for a, b in zip(found, expected):
        np.testing.assert_array_equal(a, b)


NOTHING = {
    "terms": lambda x, h: (x[:, :0] @ W[:0], np.tanh(x + h + x[:, :0] @ W[:0])),
    "columns": lambda x, h: (x @ W[:, :0], np.tanh(x + h + np.sum(h @ W[:, :0]))),
    "einsum": lambda x, h: (np.tanh(np.einsum("abc,cd->abd", x[:0, None, :1], W[:1])), np.tanh(x + h)),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", NOTHING)
def test_products_of_nothing(name, executor):
    assert_compiled_agrees(NOTHING[name], normal(T, B, d), normal(B, d), [W], executor=executor)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_state_without_elements(executor):
    """What it hands back is larger than it is."""
    cell = lambda x, s: (x @ W, (np.tanh(s[0] + W[0, 0]), np.tanh(0.5 * s[1] + W[0, 0])))  # noqa: E731
    assert_compiled_agrees(cell, normal(T, B, d), (normal(B, d), normal(0)), [W], executor=executor)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_nothing_of_all_lengths(executor):
    cell = lambda x, h: (np.sign(x["nothing"]), np.tanh(x["x"] + h))  # noqa: E731
    compiled = tr.compile(cell, executor=executor)
    for steps, rows in ((3, 2), (5, 4), (4, 7)):
        arguments = {"x": normal(steps, rows, d), "nothing": normal(steps, rows, 0)}, normal(rows, d), []
        found, expected = (everything(lambda x, h, f=f: tr.unroll(f, x, h), *arguments) for f in (compiled, cell))
        for a, b in zip(found, expected):
            assert_equal(a, b, 1e-12)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("axis", [0, 1])
def test_nothing_side_by_side_with_something(axis, executor):
    """A part that is empty begins where the next one does."""
    index = (slice(None), slice(0)) if axis else slice(0)

    def cell(x, h):
        a = np.tanh(x + h)
        return h, np.concatenate([np.cos(a)[index], a @ W, (x * h)[index]], axis=axis)

    assert_compiled_agrees(cell, normal(T, B, d), normal(B, d), [W], executor=executor)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_gradient_that_is_the_number_0(executor):
    """An array of one element by the sign of a number: what is summed over the one axis has no shape any more."""
    f = lambda a, b: np.copysign(np.tanh(np.ravel(a)), b) + np.sum(W)  # noqa: E731
    inputs = np.array(-0.7), np.array(0.4)
    found, expected = (with_gradients(g, *inputs) for g in (tr.compile(f, executor=executor), f))
    assert_equal(found, expected, 1e-15)
    assert found[2] == 0


@pytest.mark.parametrize("executor", EXECUTORS)
def test_results_that_nothing_wanted_leads_to(executor):
    """The node requires a gradient, since an input does; but there is no way back to it, and nothing to run."""
    compiled = tr.compile(lambda a, b: 2 * b, executor=executor)
    a, b = (tr.tensor(normal(d), requires_grad=wanted) for wanted in (True, False))
    (np.sum(compiled(a, b)) + np.sum(a)).backward()
    assert a.grad.tolist() == [1.0] * d


# --- no axes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("steps", [1, 4, 5])
@pytest.mark.parametrize(
    "cell",
    [lambda x, h: (h, h), lambda x, h: (x * h, h), lambda x, h: (x, np.sin(h)), lambda x, h: (h, 0.3 * x)],
    ids=["handed on", "read", "made", "of the input"],
)
def test_one_number_as_a_state_that_something_reads_after_the_loop(cell, steps, executor):
    def function(xs, start):
        ys, h = tr.unroll(cell, xs, start)
        return (ys, start), h * h + start

    expected = everything(function, normal(steps), normal(), [])
    compiled = tr.compile(function, executor=executor)
    for found, wanted in zip(everything(compiled, normal(steps), normal(), []), expected):
        assert_equal(found, wanted, 1e-12)


@pytest.mark.parametrize("executor", [*BOTH, "jax"])
def test_an_axis_of_a_number_which_has_none(executor):
    cell = lambda x, h: (np.any(x > h, axis=0) + np.argmax(h, axis=-1), np.tanh(x + h))  # noqa: E731
    assert_compiled_agrees(cell, normal(T), normal(), [], executor=executor)
    with pytest.raises(ValueError, match="zero-dimensional arrays cannot be concatenated"):
        tr.compile(lambda a: np.concatenate([a, a]))(normal())


# --- numbers and conditions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", EXECUTORS)
def test_numbers_of_numpy_come_first(executor):
    cell = lambda x, h: np.sqrt(0.5) * np.tanh(np.float64(0.5) * (x + h @ W))  # noqa: E731
    assert_compiled_agrees(cell, normal(T, B, d), normal(B, d), [W], executor=executor)


CONDITIONS = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: b | a,
    "exclusive or": lambda a, b: a ^ b,
    "not": lambda a, b: ~a,
    "of Python": lambda a, b: (True & a) | (False ^ b),
    "functions": lambda a, b: np.logical_xor(np.logical_or(a, b), np.logical_and(a, np.invert(b))),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", CONDITIONS)
def test_operators_of_conditions(name, executor):
    """Of those that are given, made of what is given, and captured."""
    combine, captured = CONDITIONS[name], tr.tensor(normal(B, d, seed=3) > 0)

    def cell(x, h):
        chosen = combine(combine(x["keep"], h > 0), combine(captured, x["keep"]))
        return chosen, np.where(chosen, np.tanh(x["x"] + h @ W), h)

    xs = {"x": normal(T, B, d), "keep": normal(T, B, d, seed=1) > 0}
    assert_compiled_agrees(cell, xs, normal(B, d), [W], executor=executor)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "combine",
    [lambda n: n & 1, lambda n: n | 2, lambda n: 3 ^ n, lambda n: ~n, lambda n: n << 2, lambda n: (1 << n) + (9 >> n)],
)
def test_operators_of_bits(combine, executor):
    """Of whole numbers they are another thing than of conditions: every other step counts."""

    def cell(x, state):
        h, count = state
        h = np.tanh(0.1 * (x + h * combine(count) + combine(np.argmax(x, axis=-1))[:, None]))
        return combine(count), (h, count + 1)

    assert_compiled_agrees(cell, normal(T, B, d), (normal(B, d), np.array(0)), [], executor=executor)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_parts_of_parts_with_steps(executor):
    def cell(x, h):
        return x[..., ::-2][1::-1] * 2, np.tanh(x + h[::-1][1:, ::2][::-2][:1, :1])

    compiled = tr.compile(cell, executor=executor)
    with tr.no_grad():  # gradients of parts with steps are NumPy's
        (found, last), (expected, h) = (tr.unroll(f, normal(T, 4, d), normal(4, d)) for f in (compiled, cell))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(last, h, rtol=1e-12)
    assert "by NumPy" not in str(compiled.plans[0])


PARTS = {  # by an index that changes, or that is less than all rows
    "of rows": lambda x, h, k: np.take(W, k, axis=0),
    "in a tuple": lambda x, h, k: W[k,],
    "of columns": lambda x, h, k: W[:, k],
    "behind a new axis": lambda x, h, k: W[None, k][0],
    "of an element": lambda x, h, k: W[1, k],
    "of the state": lambda x, h, k: h[k % B] * W[0],
    "of the first row": lambda x, h, k: np.take(x, [0], axis=0),
    "added to the first row": lambda x, h, k: tr.index_add(x, [0], h[1:2]),
    "written to the first row": lambda x, h, k: tr.index_update(x, ([0],), 0.5),
    "columns before rows": lambda x, h, k: x[:, :, None, None][:, [0, -1], :, 0][0],
}


@pytest.mark.parametrize("executor", BOTH)
@pytest.mark.parametrize("name", PARTS)
def test_gradients_of_parts(name, executor, monkeypatch):
    """As part of a state, and alone: its cotangent comes from outside of the loop, in which nothing else remains."""

    def in_a_state(x, state):
        return state, np.tanh(state + PARTS[name](x["x"], state, x["k"]))

    def alone(xs, state):
        return tr.unroll(lambda x, h: (PARTS[name](x["x"], h, x["k"]), h), xs, normal(B, d))[0], state

    xs = {"x": normal(T, B, d), "k": np.array([0, 2, 2, 1, 0])}
    assert_compiled_agrees(in_a_state, xs, normal(B, d), [W], executor=executor)
    monkeypatch.setattr(thresholds, "SMALL_VALUE", 0)  # the loop is a function of its own
    found, expected = (everything(f, xs, (), [W]) for f in (tr.compile(alone, executor=executor), alone))
    for a, b in zip(found, expected):
        assert_equal(a, b, 1e-12)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_stack_of_wide_matrices(executor):
    stack = nn.Parameter(0.3 * normal(B, 16, 16))
    cell = lambda x, h: np.tanh(np.sum(h[:, None] @ stack, axis=0) + x)  # noqa: E731
    assert_compiled_agrees(cell, normal(T, B, 16), normal(B, 16), [stack], executor=executor)


# --- loops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", [*EXECUTORS, "jax"])
def test_a_computed_sequence_that_no_step_reads(executor):
    def f(xs, h):
        return tr.unroll(lambda x, h: np.tanh(h @ W), np.roll(xs, 1, axis=0), h)

    found, expected = (everything(g, normal(T, B, d), normal(B, d), [W]) for g in (tr.compile(f, executor=executor), f))
    for a, b in zip(found, expected):
        assert_equal(a, b, 1e-12)


@pytest.mark.parametrize("executor", [*EXECUTORS, "jax"])
def test_a_weight_gradient_of_rows_that_are_kept_transposed(executor):
    """The loop of the backward pass has the transposed rows, and nothing to compute the rows themselves from."""

    def cell(x, state):
        h, mean, columns = state
        u = np.tanh(x @ W + h @ W)
        mean = 0.8 * mean + np.mean(u, axis=0)
        u = u - 0.1 * mean
        columns = 0.5 * columns + np.sin(u.T)
        return np.sum(u), (u + 0.2 * np.tanh(u @ (2 * W)), mean, columns)

    assert_compiled_agrees(cell, normal(T, B, d), (normal(B, d), normal(d), normal(d, B)), [W], executor=executor)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 2, T])
def test_fewer_steps_than_inputs_in_a_compiled_function(steps, reverse):
    """Also of a loop inside a step."""

    def inner(x, h):
        return tr.unroll(lambda a, b: np.tanh(a + b), x, h[0], steps=1, reverse=reverse)[0] * h, np.sin(x + h)

    for cell in (lambda x, h: np.tanh(x + h @ W), inner):

        def function(xs, start, cell=cell):
            return tr.unroll(cell, xs, start, steps=steps, reverse=reverse)

        expected = everything(function, normal(T, B, d), normal(B, d), [W])
        for found, wanted in zip(everything(tr.compile(function), normal(T, B, d), normal(B, d), [W]), expected):
            assert_equal(found, wanted, 1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 6])
def test_states_that_take_their_shape_one_after_another(steps, reverse):
    """Of several lags, each gets its rows from the one before it."""

    def cell(x, state):
        one, two, three = state
        return x * three, (np.tanh(x + one @ W + 0.5 * three), one, two)

    start = tuple(normal(d, seed=i) for i in range(3))
    assert_compiled_agrees(cell, normal(steps, B, d), start, [W], reverse=reverse)


def test_results_that_are_an_operand_as_it_is():
    """A function with a gradient of its own hands on what was computed, where nothing else may be written meanwhile."""

    @tr.custom_vjp
    def both(a, b):
        return a + b, a * b

    both.defvjp(lambda a, b: ((a + b, a * b), (a, b)), lambda kept, g: (g[0] + g[1] * kept[1], g[0] + g[1] * kept[0]))

    def cell(x, h):
        total, product = both(x, h)
        cosine = np.cos(x + h @ W)
        return product * cosine, np.tanh(total + cosine * product)

    assert_compiled_agrees(cell, normal(T, B, d), normal(B, d), [W])


def test_what_a_loop_reads_of_another_in_a_shape_of_its_own():
    """Reshapes are joined beyond the sequence, and a gradient goes by the same way."""

    def function(xs, start):
        ys, _ = tr.unroll(lambda x, h: (np.reshape(h, (d, B)), x @ W), xs, start)
        zs, _ = tr.unroll(lambda x, h: (h, np.reshape(x, (B * d,))[:d] * 0.5), ys, start[0])
        return zs, ()

    arguments = normal(T, B, d), normal(B, d), [W]
    for found, expected in zip(everything(tr.compile(function), *arguments), everything(function, *arguments)):
        assert_equal(found, expected, 1e-12)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (-1, 0), (0, -1), None])
def test_orders_of_axes(axes):
    """np.tensordot spells them out, where they stay as they are, too; of square matrices both orders would pass."""
    cell = lambda x, h: np.tanh(np.tensordot(np.transpose(h @ W, axes), x, axes=1))  # noqa: E731
    assert_compiled_agrees(cell, normal(T, d, d), normal(d, d), [W])
    cell = lambda x, h: np.tanh(np.tensordot(np.tensordot(W, x, axes=1), np.transpose(h, axes), axes=1))  # noqa: E731
    assert_compiled_agrees(cell, normal(T, d, d), normal(d, d), [W])


def test_second_order_where_one_input_stands_twice():
    product = tr.compile(lambda a, b: np.sum(a * b * b))
    found = tr.grad(lambda x: np.sum(tr.grad(lambda x: product(x, x))(x)))(normal(d))
    np.testing.assert_allclose(found, 6 * normal(d), rtol=1e-12)


@pytest.mark.parametrize("both", [lambda a: a.T, lambda a: -a, lambda a: np.reshape(a, (1, 6))])
def test_what_leaves_a_loop_is_not_looked_through(both):
    """In the backward pass of ``p @ f(x)`` what undoes f finds f's argument, which isn't there: it left the loop."""
    rng = np.random.default_rng(0)
    xs, h = rng.normal(size=(3, 2, 3)), rng.normal(size=2)
    for rows in (2, 3, 1):
        p = tr.tensor(rng.normal(size=rows), requires_grad=True)

        def cell(x, h, p=p, rows=rows):
            a = both(np.square(both(x)))
            return p @ np.reshape(a, (rows, -1)) if a.shape[0] != rows else p @ a, np.tanh(h)

        found = []
        for run in (cell, tr.compile(cell)):
            inputs = [tr.tensor(a, requires_grad=True) for a in (xs, h)]
            ys, last = tr.unroll(run, inputs[0], state=inputs[1])
            p.grad = None
            (np.sum(ys * ys) + np.sum(last)).backward()
            found.append([ys.data, p.grad, *(a.grad for a in inputs)])
        for a, b in zip(*found):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-12)


# What a step reads in another shape: inputs whose rows aren't those of the batch, 64 by 32.
IN_OTHER_SHAPES = {
    "all in one row": ((64 * 32,), lambda x: np.reshape(x, (64, 32))),
    "in rows of twice the length": ((32, 64), lambda x: np.reshape(x, (64, 32))),
    "columns in one row": ((32 * 64,), lambda x: np.reshape(x, (32, 64)).T),
    "pairs of rows": ((32, 2, 32), lambda x: np.reshape(x, (64, 32))),
    "two halves": ((32, 32), lambda x: np.reshape(np.stack([x, 2 * x]), (64, 32))),
}


@pytest.mark.parametrize("executor", BOTH)
@pytest.mark.parametrize("name", IN_OTHER_SHAPES)
def test_inputs_that_have_other_rows_than_the_batch(name, executor):
    """Each thread copied the batch's number of rows of them, and read what it hadn't copied: wrong values."""
    shape, laid = IN_OTHER_SHAPES[name]
    cell = lambda x, h: (np.tanh(0.5 * h + laid(x)),) * 2  # noqa: E731
    assert_compiled_agrees(cell, normal(30, *shape), normal(64, 32), [], executor=executor)


@pytest.mark.parametrize("executor", BOTH)
def test_a_flat_gradient_of_a_state_beside_a_power_of_nothing(executor):
    counts = tr.tensor(normal(1, 3), requires_grad=True)
    nothing = normal(3, 3)[[]]

    def cell(x, h):
        return (nothing ** (np.searchsorted(np.array([-0.5, 0.5]), counts) % 3), np.cumprod(h)), h

    assert_compiled_agrees(cell, normal(4, 4, 2), 1 + 0.1 * normal(4, 3), [], executor=executor)
