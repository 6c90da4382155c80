"""Gradients have the shape of their argument: what was broadcast is summed, and a wrong shape is refused by name."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.array_node import conformed
from tinygrad_rnn.autodiff.rules.reductions import sum_to_shape

# --- the sum that undoes broadcasting --------------------------------------------------------------------------------

shapes = st.lists(st.sampled_from([1, 2, 3]), max_size=3).map(tuple)


@given(shapes, shapes)
def test_a_contribution_is_summed_over_what_was_broadcast_or_refused(shape: Any, given_shape: Any) -> None:
    c = np.random.default_rng(0).standard_normal(given_shape)
    try:
        broadcasts = np.broadcast_shapes(shape, given_shape) == given_shape
    except ValueError:
        broadcasts = False
    if not broadcasts:
        with pytest.raises(ValueError, match=re.escape(str(given_shape))):
            conformed(c, np.zeros(shape))
        return
    # the transpose of broadcasting, by its definition: <c, broadcast(e)> for each unit array e
    expected = np.zeros(shape)
    for index in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[index] = 1
        expected[index] = np.sum(c * np.broadcast_to(unit, given_shape))
    assert np.allclose(conformed(c, np.zeros(shape)), expected)
    assert sum_to_shape(c, shape).shape == shape


# --- einsum ----------------------------------------------------------------------------------------------------------


@st.composite
def contractions(draw: Any) -> tuple[str, list[tuple[int, ...]]]:
    """Subscripts and shapes: any length may be 1 in any operand, as NumPy allows; a term may repeat a letter."""
    sizes = {letter: draw(st.sampled_from([1, 2, 3])) for letter in "ijk"}
    terms, of_operands = [], []
    for _ in range(draw(st.integers(1, 3))):
        term = "".join(draw(st.lists(st.sampled_from("ijk"), max_size=3)))
        narrow = {letter: draw(st.sampled_from([n, n, 1])) for letter, n in sizes.items()}
        terms.append(term)
        of_operands.append(tuple(narrow[letter] for letter in term))
    seen = sorted(set("".join(terms)))
    result = "".join(draw(st.permutations(draw(st.lists(st.sampled_from(seen), unique=True)) if seen else [])))
    return ",".join(terms) + "->" + result, of_operands


def by_units(subscripts: str, operands: list[np.ndarray], weights: np.ndarray, i: int) -> np.ndarray:
    """The gradient of sum(weights * einsum) by operand i, in which it is linear: its value at each unit array."""
    found = np.zeros(operands[i].shape)
    for index in np.ndindex(found.shape):
        unit = np.zeros(found.shape)
        unit[index] = 1
        found[index] = np.sum(weights * np.einsum(subscripts, *operands[:i], unit, *operands[i + 1 :]))
    return found


def drawn(subscripts: str, of_operands: list[tuple[int, ...]]) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    operands = [rng.uniform(0.5, 2, shape) for shape in of_operands]
    return operands, rng.uniform(0.5, 2, np.shape(np.einsum(subscripts, *operands)))


@given(contractions(), st.booleans())
@settings(max_examples=300)
def test_einsum_with_any_length_1_anywhere(contraction: Any, optimize: bool) -> None:
    subscripts, of_operands = contraction
    operands, weights = drawn(subscripts, of_operands)
    everywhere = tuple(range(len(operands)))

    def f(*xs: Any) -> Any:
        return np.sum(weights * np.einsum(subscripts, *xs, optimize=optimize))

    found = tr.grad(f, argnums=everywhere)(*operands)
    for i, g in enumerate(found):
        assert g.shape == operands[i].shape and np.allclose(g, by_units(subscripts, operands, weights, i))

    # Second order: the gradient by one operand is linear in each of the others.
    directions = [np.random.default_rng(i).standard_normal(a.shape) for i, a in enumerate(operands)]
    products = tr.hvp(f, operands, directions)
    for i, product in enumerate(products):
        moved = sum(
            by_units(subscripts, [*operands[:j], directions[j], *operands[j + 1 :]], weights, i)
            for j in everywhere
            if j != i
        )
        assert np.allclose(product, moved)


@given(contractions())
@settings(max_examples=60, deadline=None)
def test_einsum_with_any_length_1_compiled(contraction: Any) -> None:
    subscripts, of_operands = contraction
    operands, weights = drawn(subscripts, of_operands)
    leaves = [tr.tensor(a, requires_grad=True) for a in operands]
    compiled = tr.compile(lambda *xs: np.sum(weights * np.einsum(subscripts, *xs)), executor="numpy")
    compiled(*leaves).backward()
    for i, leaf in enumerate(leaves):
        assert np.allclose(leaf.grad, by_units(subscripts, operands, weights, i))


# --- rules of the user's own -----------------------------------------------------------------------------------------

FACTORS = np.arange(6.0).reshape(2, 3)
SLIPS = {
    "transposed": lambda g: (g * FACTORS).T,
    "flattened": lambda g: (g * FACTORS).reshape(6),
    "an axis too many": lambda g: (g * FACTORS).reshape(2, 3, 1),
    "rows summed": lambda g: np.sum(g * FACTORS, axis=0),
    "one number": lambda g: np.sum(g * FACTORS),
    "a Python number": lambda g: 0.0,
    "repeated": lambda g: np.stack([g * FACTORS, g * FACTORS]),
}


def with_backward(backward: Any) -> Any:
    @tr.custom_vjp
    def scaled(x: Any) -> Any:
        return x * FACTORS

    scaled.defvjp(lambda x: (x * FACTORS, None), lambda _, g: (backward(g),))
    return scaled


def eagerly(f: Any) -> Any:
    return f


def compiled(f: Any) -> Any:
    return tr.compile(f, executor="numpy")


@pytest.mark.parametrize("run", [eagerly, compiled])
@pytest.mark.parametrize("slip", SLIPS)
def test_a_gradient_in_a_wrong_shape_is_refused_by_name(slip: str, run: Any) -> None:
    x = tr.tensor(np.ones((2, 3)), requires_grad=True)
    f = with_backward(SLIPS[slip])
    with pytest.raises(ValueError, match=r"scaled: the gradient for argument 0, of shape \(2, 3\), has the shape \("):
        run(lambda x: np.sum(f(x)))(x).backward()
    assert x.grad is None


@pytest.mark.parametrize("run", [eagerly, compiled])
def test_what_an_own_rule_broadcast_is_summed(run: Any) -> None:
    @tr.custom_vjp
    def f(x: Any, b: Any, s: Any) -> Any:
        return x * b * s

    f.defvjp(
        lambda x, b, s: (x * b * s, (x, b, s)),
        lambda kept, g: (g * kept[1] * kept[2], g * kept[0] * kept[2], g * kept[0] * kept[1]),
    )
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((4, 1, 3), (2, 1), ())]
    expected = tr.grad(lambda x, b, s: np.sum(np.sin(x * b * s)), argnums=(0, 1, 2))(*arrays)
    leaves = [tr.tensor(a, requires_grad=True) for a in arrays]
    run(lambda *xs: np.sum(np.sin(f(*xs))))(*leaves).backward()
    for leaf, e in zip(leaves, expected):
        assert np.allclose(leaf.grad, e)


def test_a_jacobian_in_place_of_a_product_with_it_is_not_summed() -> None:
    J = np.arange(9.0).reshape(3, 3)
    f = tr.custom_vjp(lambda x: J @ x)
    f.defvjp(lambda x: (J @ x, None), lambda _, g: (J,))
    with pytest.raises(ValueError, match=r"of shape \(3,\), has the shape \(3, 3\)"):
        tr.grad(lambda x: np.sum(f(x)))(np.ones(3))


def test_the_argument_is_named_by_its_path() -> None:
    f = tr.custom_vjp(lambda p: p["W"] @ p["x"])
    f.defvjp(lambda p: (p["W"] @ p["x"], p), lambda p, g: ({"W": np.outer(p["x"], g), "x": g @ p["W"]},))
    p = {"x": np.ones(3), "W": np.ones((2, 3))}
    with pytest.raises(ValueError, match=r"argument 0\.W, of shape \(2, 3\), has the shape \(3, 2\)"):
        tr.grad(lambda p: np.sum(f(p)))(p)


def test_the_error_names_the_layer_and_the_step() -> None:
    f = with_backward(SLIPS["transposed"])
    x = tr.tensor(np.ones((2, 3)), requires_grad=True)
    with tr.scope(layer=1, step=2):
        y = np.sum(x * np.ones((2, 3)))
        wrong = f(x)
    wrong.op.vjps = lambda wanted, g, ans, *a: [np.ones((3, 2))]
    with pytest.raises(ValueError, match=r"scaled at layer 1, step 2: the gradient for argument 0"):
        (y + np.sum(wrong)).backward()


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize(
    "tangent", [lambda t: (t * FACTORS).T, lambda t: np.sum(t * FACTORS, axis=0), lambda t: 0.0, lambda t: t.reshape(6)]
)
def test_a_tangent_in_a_wrong_shape_is_refused_by_name(tangent: Any, reverse: bool) -> None:
    @tr.custom_jvp
    def scaled(x: Any) -> Any:
        return x * FACTORS

    scaled.defjvp(lambda primals, tangents: (primals[0] * FACTORS, tangent(tangents[0])))
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"scaled: the rule returned a tangent of shape \(.*\) for result 0.*\(2, 3\)"):
        tr.grad(lambda x: np.sum(scaled(x)))(x) if reverse else tr.jvp(scaled, (x,), (x,))


def test_a_tangent_may_be_an_arguments_that_was_broadcast() -> None:
    f = tr.custom_jvp(lambda x, y: x + 0 * y)
    f.defjvp(lambda primals, tangents: (primals[0] + 0 * primals[1], tangents[0]))
    x, y = np.ones(3), np.ones((2, 1))
    assert tr.grad(lambda x: np.sum(f(x, y)))(x).tolist() == [2, 2, 2]
    assert tr.jvp(lambda x: f(x, y), (x,), (x,))[1].tolist() == [[1, 1, 1]] * 2


# --- writing into a part ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "extra"), list(itertools.product([slice(None), 1, [2, 0], np.array([1, 1])], [1, 2]))
)
def test_what_is_written_may_have_more_axes_of_length_1(index: Any, extra: int) -> None:
    weights = np.arange(12.0).reshape(3, 4)
    f = lambda v: np.sum(tr.index_update(np.ones((3, 4)), index, v) * weights)  # noqa: E731
    value = np.ones((1,) * extra + np.ones((3, 4))[index].shape)
    found = tr.grad(f)(value)
    expected = [f(value + 1e-3 * unit) - f(value) for unit in np.eye(value.size).reshape(-1, *value.shape)]
    assert found.shape == value.shape and np.allclose(found.ravel(), np.array(expected) / 1e-3)


def test_conditions_are_counted_in_whatever_order_an_einsum_contracts() -> None:
    few, many, x = np.ones((1, 3), bool), np.ones((3, 4), bool), np.full((4, 5), 0.5)
    loss = lambda x, optimize: np.sum(np.einsum("ij,jk,kl->il", few, many, x, optimize=optimize))  # noqa: E731
    for f in (loss, tr.compile(loss)):
        value, g = tr.value_and_grad(f)(x, True)
        assert (float(value), g.tolist()) == (30.0, np.full((4, 5), 3.0).tolist())
