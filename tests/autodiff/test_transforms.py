"""grad, value_and_grad, vjp and jvp: trees, closures, and any nesting of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tr

x = np.array([0.3, -0.7, 1.2])


class Pair(NamedTuple):
    h: Any
    c: Any


def test_grad_gives_plain_arrays_on_the_outside() -> None:
    g = tr.grad(lambda x: np.sum(x**2))(x)
    assert type(g) is np.ndarray and np.allclose(g, 2 * x)
    value, g = tr.value_and_grad(lambda x: np.sum(x**2))(x)
    assert isinstance(value, float) and np.isclose(value, np.sum(x**2))


def test_argnums_keywords_and_aux() -> None:
    def f(a: Any, b: Any, scale: float = 1.0) -> Any:
        return np.sum(a * b) * scale

    assert np.allclose(tr.grad(f, argnums=1)(x, 2 * x, scale=3.0), 3 * x)
    ga, gb = tr.grad(f, argnums=(0, 1))(x, 2 * x)
    assert np.allclose(ga, 2 * x) and np.allclose(gb, x)
    (value, aux), g = tr.value_and_grad(lambda a: (np.sum(a), {"seen": a.shape}), has_aux=True)(x)
    assert aux == {"seen": (3,)} and np.isclose(value, x.sum()) and g.tolist() == [1, 1, 1]


def test_trees_go_in_and_come_out() -> None:
    tree = {"state": Pair(x, [2 * x, (x[0],)]), "none": None}

    def f(t: Any) -> Any:
        return np.sum(t["state"].h * t["state"].c[0]) + t["state"].c[1][0] ** 3

    g = tr.grad(f)(tree)
    assert isinstance(g["state"], Pair) and g["none"] is None
    assert np.allclose(g["state"].h, 2 * x) and np.allclose(g["state"].c[0], x)
    assert np.isclose(g["state"].c[1][0], 3 * x[0] ** 2)


def test_what_the_result_does_not_depend_on_has_gradient_zero() -> None:
    unused = tr.grad(lambda a, b: np.sum(a), argnums=(0, 1))(x, np.ones((2, 2)))[1]
    assert unused.tolist() == [[0, 0], [0, 0]]
    assert tr.grad(lambda a: 3.0)(x).tolist() == [0, 0, 0]
    assert tr.jvp(lambda a: np.ones(2), (x,), (x,))[1].tolist() == [0, 0]


def test_grad_needs_one_number_and_real_numbers() -> None:
    with pytest.raises(RuntimeError, match=r"grad\(\).*shape \(3,\).*vjp.*jacobian"):
        tr.grad(lambda a: a * 2)(x)
    for result in (None, (1.0, 2.0), {"loss": 1.0}):  # the first is of a function that forgets its return
        with pytest.raises(TypeError, match=rf"the function returns a {type(result).__name__}, not one number"):
            tr.grad(lambda a, result=result: result)(x)
    with pytest.raises(TypeError, match="int64"):
        tr.grad(np.sum)(np.arange(3))
    with pytest.raises(TypeError, match="int64"):
        tr.grad(np.sum)(tr.tensor([1, 2]))


def test_vjp_and_jvp_are_adjoint() -> None:
    rng = np.random.default_rng(0)
    f = lambda a, b: {"y": np.tanh(a @ b), "s": np.sum(a, axis=0)}  # noqa: E731
    a, b, va, vb = (rng.standard_normal(s) for s in ((2, 3), (3, 4), (2, 3), (3, 4)))
    value, pull_back = tr.vjp(f, a, b)
    u = {"y": rng.standard_normal((2, 4)), "s": rng.standard_normal(3)}
    ga, gb = pull_back(u)
    pushed, tangent = tr.jvp(f, (a, b), (va, vb))
    assert np.allclose(value["y"], pushed["y"]) and np.allclose(value["y"], np.tanh(a @ b))
    left = np.sum(u["y"] * tangent["y"]) + np.sum(u["s"] * tangent["s"])
    right = np.sum(ga * va) + np.sum(gb * vb)
    assert np.isclose(left, right, rtol=1e-12)
    again = pull_back(u)  # any number of times
    assert np.array_equal(again[0], ga)


def test_wrong_arguments_are_explained() -> None:
    with pytest.raises(TypeError, match="tuples of the same length"):
        tr.jvp(np.tanh, x, x)
    with pytest.raises(ValueError, match=r"tangent of shape \(2,\) for an argument of shape \(3,\)"):
        tr.jvp(np.tanh, (x,), (np.ones(2),))
    with pytest.raises(ValueError, match=r"cotangent of shape \(2,\)"):
        tr.vjp(np.tanh, x)[1](np.ones(2))
    with pytest.raises(ValueError, match="different shapes"):
        tr.vjp(lambda x: (x, x), x)[1]((x, x, x))
    with pytest.raises(ValueError, match="different shapes"):
        tr.jvp(lambda t: t[0], ((x, x),), ((x,),))


# --- nesting ---------------------------------------------------------------------------------------------------------


def test_orders_one_to_four_of_tanh() -> None:
    f: Any = np.tanh
    t = np.tanh(0.5)
    s = 1 - t * t
    for expected in (s, -2 * t * s, s * (6 * t**2 - 2), 8 * t * s * (2 - 3 * t**2)):
        f = tr.grad(f)
        assert np.isclose(f(0.5), expected, rtol=1e-12)


def test_reverse_and_forward_nest_in_any_order() -> None:
    f = lambda x: np.sum(np.tanh(x) ** 3 * x[0])  # noqa: E731
    v = np.array([1.0, 2.0, -1.0])
    hessian = np.stack([tr.grad(lambda x, i=i: tr.grad(f)(x)[i])(x) for i in range(3)])
    forward_over_reverse = tr.jvp(tr.grad(f), (x,), (v,))[1]
    reverse_over_forward = tr.grad(lambda x: tr.jvp(f, (x,), (v,))[1])(x)
    forward_over_forward = tr.jvp(lambda x: tr.jvp(f, (x,), (v,))[1], (x,), (v,))[1]
    assert np.allclose(forward_over_reverse, hessian @ v, rtol=1e-12)
    assert np.allclose(reverse_over_forward, hessian @ v, rtol=1e-12)
    assert np.isclose(forward_over_forward, v @ hessian @ v, rtol=1e-12)


def test_perturbations_are_not_confused() -> None:
    assert tr.grad(lambda a: a * tr.grad(lambda b: a + b)(1.0))(1.0) == 1.0
    assert tr.grad(lambda a: a * tr.grad(lambda b: a * b)(2.0))(3.0) == 6.0
    assert tr.jvp(lambda a: a * tr.jvp(lambda b: a + b, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1] == 1.0
    assert tr.jvp(lambda a: a * tr.grad(lambda b: a * b)(2.0), (3.0,), (1.0,))[1] == 6.0
    assert tr.grad(lambda a: a * tr.jvp(lambda b: a * b, (2.0,), (1.0,))[1])(3.0) == 6.0


def test_closures_over_tensors_are_differentiated() -> None:
    w = tr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    inner = tr.grad(lambda x: np.sum(w * x**2))(x)
    assert isinstance(inner, tr.Tensor) and np.allclose(inner.data, 2 * w.data * x)
    inner.sum().backward()
    assert np.allclose(w.grad, 2 * x)


def test_a_value_stays_recorded_where_its_gradient_happens_to_be_zero() -> None:
    w = tr.tensor(3.0, requires_grad=True)
    for f in (lambda a: np.sum(np.ceil(a)) * w, lambda a: w * 2.0):
        w.grad = None
        value, g = tr.value_and_grad(f)(x)
        assert isinstance(value, tr.Tensor) and np.array_equal(getattr(g, "data", g), np.zeros(3))
        value.backward()
        assert w.grad is not None and w.grad != 0


def test_no_grad_outside_gives_plain_gradients() -> None:
    w = tr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with tr.no_grad():
        value, g = tr.value_and_grad(lambda x: np.sum(w * x**2))(x)
        y, dy = tr.jvp(lambda x: w * x, (x,), (x,))
        z, pull_back = tr.vjp(lambda x: w * x, x)
        (back,) = pull_back(x)
    assert all(not isinstance(a, tr.Tensor) for a in (value, g, y, dy, z, back))
    assert np.allclose(g, 2 * w.data * x) and np.allclose(dy, w.data * x) and np.allclose(back, w.data * x)
    assert w.grad is None


def test_the_same_array_in_two_arguments_has_two_gradients() -> None:
    ga, gb = tr.grad(lambda a, b: np.sum(a * a * b), argnums=(0, 1))(x, x)
    assert np.allclose(ga, 2 * x * x) and np.allclose(gb, x * x)
    w = tr.tensor(x, requires_grad=True)
    ga, gb = tr.grad(lambda a, b: np.sum(a * a * b), argnums=(0, 1))(w, w)
    assert np.allclose(ga.data, 2 * x * x) and np.allclose(gb.data, x * x)


def test_an_argument_whose_own_graph_was_freed_can_still_be_differentiated_by() -> None:
    w = tr.tensor(x, requires_grad=True)
    h = np.tanh(w)
    h.sum().backward()
    with tr.no_grad():
        assert np.allclose(tr.grad(lambda h: np.sum(h * h))(h), 2 * np.tanh(x))


def test_nested_grad_does_not_walk_the_outer_graph() -> None:
    w = tr.tensor(x, requires_grad=True)
    h = w
    for _ in range(50):
        h = np.tanh(h)
    g = tr.grad(lambda h: np.sum(h * h))(h)
    assert np.allclose(g.data, 2 * h.data)
    g.sum().backward()
    assert w.grad is not None


def test_gradient_penalty_of_a_recurrent_cell() -> None:
    rng = np.random.default_rng(1)
    xs = rng.standard_normal((4, 3))

    def loss(W: Any) -> Any:
        ys, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), xs, state=np.zeros(3))
        return np.sum(ys**2)

    penalty = lambda W: np.sum(tr.grad(loss)(W) ** 2)  # noqa: E731
    assert tr.gradcheck(penalty, [rng.standard_normal((3, 3)) * 0.5], rtol=1e-5)


def test_grad_of_int_argument_is_a_float() -> None:
    assert tr.grad(lambda a: a * a)(3) == 6.0


@pytest.mark.parametrize("transform", [tr.grad, tr.value_and_grad, tr.jacobian, tr.hessian])
@pytest.mark.parametrize("argnums", [1, -2, (0, 1)])
def test_argnums_that_the_call_does_not_have(transform: Any, argnums: Any) -> None:
    with pytest.raises(IndexError, match=r"argnums=.*: positional arguments count from 0, and this call has 1"):
        transform(np.sum, argnums)(x)
