"""Jacobians, Hessians, Gauss-Newton, checkpoint, custom rules, stop_gradient; over trees, and in any nesting."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tr

x = np.array([0.3, -0.7, 1.2])


class State(NamedTuple):
    h: Any
    c: Any


def curved(x: Any) -> Any:
    return np.stack([np.sum(np.tanh(x) * x), np.prod(x)])


def differences(f: Any, a: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """The Jacobian by central differences."""
    columns = []
    for index in np.ndindex(a.shape):
        step = np.zeros(a.shape)
        step[index] = h
        columns.append((np.asarray(f(a + step)) - np.asarray(f(a - step))) / (2 * h))
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *a.shape)


# --- Jacobians and Hessians ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jacobian", [tr.jacobian, tr.jacrev, tr.jacfwd])
def test_jacobians_by_differences(jacobian: Any) -> None:
    assert np.allclose(jacobian(curved)(x), differences(curved, x), rtol=1e-8)
    wide = lambda x: np.outer(x, np.sin(x))  # noqa: E731
    assert jacobian(wide)(x).shape == (3, 3, 3)
    assert np.allclose(jacobian(wide)(x), differences(wide, x), rtol=1e-8)
    assert np.allclose(jacobian(np.sum)(x), np.ones(3))
    assert jacobian(lambda x: x[:0])(x).shape == (0, 3)
    assert jacobian(np.exp)(np.zeros((2, 0))).shape == (2, 0, 2, 0)


@pytest.mark.parametrize("jacobian", [tr.jacobian, tr.jacrev, tr.jacfwd])
def test_jacobians_of_trees_by_trees(jacobian: Any) -> None:
    def f(state: State, scale: Any) -> dict[str, Any]:
        return {"y": scale * np.outer(state.h, state.c), "n": (np.sum(state.h),)}

    state = State(x, np.array([2.0, 5.0]))
    found = jacobian(f)(state, 3.0)
    assert isinstance(found["y"], State)
    assert np.allclose(found["y"].h, differences(lambda h: 3 * np.outer(h, state.c), x))
    assert np.allclose(found["y"].c, differences(lambda c: 3 * np.outer(x, c), state.c))
    assert found["n"][0].h.tolist() == [1, 1, 1] and found["n"][0].c.tolist() == [0, 0]
    by_both = jacobian(f, argnums=(1, 0))(state, 3.0)
    assert np.allclose(by_both["y"][0], np.outer(state.h, state.c))
    assert np.allclose(by_both["y"][1].h, found["y"].h)


def test_jacobian_takes_the_shorter_way(monkeypatch: pytest.MonkeyPatch) -> None:
    import tinygrad_rnn.autodiff.derivatives as derivatives

    taken: list[str] = []
    for name in ("_by_forward", "_by_reverse"):
        way = getattr(derivatives, name)
        monkeypatch.setattr(derivatives, name, lambda *a, way=way, name=name: taken.append(name) or way(*a))
    tr.jacobian(np.sum)(x)
    tr.jacobian(lambda x: np.outer(x, x))(x)
    assert taken == ["_by_reverse", "_by_forward"]


def test_hessian_by_differences_and_over_trees() -> None:
    f = lambda x: np.prod(x) * np.sum(np.exp(x))  # noqa: E731
    h = tr.hessian(f)(x)
    assert np.allclose(h, differences(tr.grad(f), x), rtol=1e-7) and np.allclose(h, h.T)
    assert tr.hessian(curved)(x).shape == (2, 3, 3)
    g = lambda p: np.sum(p["a"] ** 2) * p["b"]  # noqa: E731
    found = tr.hessian(g)({"a": x, "b": 2.0})
    assert np.allclose(found["a"]["a"], 4 * np.eye(3)) and np.allclose(found["a"]["b"], 2 * x)
    assert np.allclose(found["b"]["a"], 2 * x) and found["b"]["b"] == 0


def test_hvp_and_gnvp_against_whole_matrices() -> None:
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((3, 2)), rng.standard_normal(2)
    vW, vb = rng.standard_normal((3, 2)), rng.standard_normal(2)
    data, target = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    model = lambda W, b: np.tanh(data @ W + b)  # noqa: E731
    loss = lambda z: np.sum((z - target) ** 4)  # noqa: E731
    whole = lambda W, b: loss(model(W, b))  # noqa: E731

    flat = lambda p: whole(p[:6].reshape(3, 2), p[6:])  # noqa: E731
    p, v = np.concatenate([W.ravel(), b]), np.concatenate([vW.ravel(), vb])
    H = tr.hessian(flat)(p)
    hW, hb = tr.hvp(whole, (W, b), (vW, vb))
    assert np.allclose(np.concatenate([hW.ravel(), hb]), H @ v, rtol=1e-10)

    J = tr.jacobian(lambda p: np.ravel(model(p[:6].reshape(3, 2), p[6:])))(p)
    HL = tr.hessian(lambda z: loss(z.reshape(5, 2)))(np.ravel(model(W, b)))
    gW, gb = tr.gnvp(model, loss, (W, b), (vW, vb))
    assert np.allclose(np.concatenate([gW.ravel(), gb]), J.T @ HL @ J @ v, rtol=1e-10)


def test_transforms_nest_in_any_order() -> None:
    """The third derivative tensor, by every way of taking three derivatives one after the other."""
    f = lambda x: np.sum(np.tanh(x)) * np.prod(x)  # noqa: E731
    ways = [tr.jacrev, tr.jacfwd, tr.jacobian]
    expected = differences(tr.hessian(f), x)
    for first, second, third in itertools.product(ways, repeat=3):
        assert np.allclose(third(second(first(f)))(x), expected, rtol=1e-7)
    checkpointed = tr.checkpoint(f)
    assert np.allclose(tr.jacfwd(tr.jacrev(tr.grad(checkpointed)))(x), expected, rtol=1e-7)
    assert np.allclose(tr.grad(lambda x: np.sum(tr.hvp(f, (x,), (x,))[0]))(x).shape, (3,))


def test_linearize_pushes_any_number_of_times() -> None:
    value, push = tr.linearize(curved, x)
    J = tr.jacobian(curved)(x)
    for v in np.eye(3):
        assert np.allclose(push(v), J @ v)
    assert np.allclose(value, curved(x))
    with pytest.raises(TypeError, match="each of 1 arguments, but 2"):
        push(x, x)


def test_dicts_are_matched_by_key() -> None:
    f = lambda p: p["a"] * 2 + p["b"] * 3  # noqa: E731
    primals, tangents = {"a": x, "b": x}, {"b": np.zeros(3), "a": np.ones(3)}
    assert np.allclose(tr.jvp(f, (primals,), (tangents,))[1], 2)
    _, pull_back = tr.vjp(lambda x: {"a": 2 * x, "b": 3 * x}, x)
    assert np.allclose(pull_back({"b": np.zeros(3), "a": np.ones(3)})[0], 2)
    with pytest.raises(ValueError, match=r"keys \['a', 'b'\] and \['a', 'c'\]"):
        tr.jvp(f, (primals,), ({"a": x, "c": x},))


# --- checkpoint ------------------------------------------------------------------------------------------------------


def cell(W: Any) -> Any:
    return lambda x, h: np.tanh(x + h @ W)


def test_checkpoint_has_the_same_values_and_gradients_to_second_order() -> None:
    W = tr.tensor(np.random.default_rng(0).standard_normal((3, 3)), requires_grad=True)
    xs = np.random.default_rng(1).standard_normal((4, 3))

    def loss(step: Any, W: Any) -> Any:
        ys, _ = tr.unroll(step, xs, state=np.zeros(3))
        return np.sum(ys**2) * np.sum(W)

    plain, again = lambda W: loss(cell(W), W), lambda W: loss(tr.checkpoint(cell(W)), W)
    assert np.array_equal(plain(W).data, again(W).data)
    assert np.allclose(tr.grad(plain)(W.data), tr.grad(again)(W.data), rtol=1e-14)
    v = np.ones((3, 3))
    assert np.allclose(tr.hvp(plain, (W.data,), (v,))[0], tr.hvp(again, (W.data,), (v,))[0], rtol=1e-12)
    assert np.allclose(tr.jvp(plain, (W.data,), (v,))[1], tr.jvp(again, (W.data,), (v,))[1], rtol=1e-13)
    assert tr.gradcheck(again, [W.data])
    again(W).backward()  # W comes from outside of the checkpointed function
    assert np.allclose(W.grad, tr.grad(plain)(W.data), rtol=1e-14)


def test_checkpoint_stores_inputs_and_results_alone() -> None:
    w = tr.tensor(x, requires_grad=True)
    inside: list[Any] = []

    def f(w: Any) -> Any:
        h = np.tanh(w)
        inside.append(weakref.ref(h))
        return {"y": h * 2, "n": 3}

    gc.disable()
    try:
        result = tr.checkpoint(f)(w)
        assert result["n"] == 3 and result["y"].op.name == "checkpoint" and result["y"].inputs == (w,)
        assert inside[0]() is None
        result["y"].sum().backward()
        assert len(inside) == 2 and inside[1]() is None
        assert np.allclose(w.grad, 2 * (1 - np.tanh(x) ** 2))
    finally:
        gc.enable()


def test_checkpoint_expands_into_the_recorded_graph() -> None:
    w = tr.tensor(x, requires_grad=True, name="w")
    with tr.scope(layer=0, step=2):
        y = tr.checkpoint(lambda w: np.tanh(w) * w)(w)
    (expanded,) = y.op.expand()
    assert expanded.op.name == "multiply" and expanded.inputs[1] is w
    assert expanded.scope == y.scope and np.array_equal(expanded.data, y.data)


def test_checkpoint_with_several_results_some_unused() -> None:
    f = lambda a, b: (a * b, State(np.sin(a), np.sum(b)), "text")  # noqa: E731
    a, b = tr.tensor(x, requires_grad=True), tr.tensor(2 * x, requires_grad=True)
    product, state, text = tr.checkpoint(f)(a, b)
    assert text == "text"
    (product * state.h).sum().backward()
    expected = tr.grad(lambda a, b: np.sum(a * b * np.sin(a)), argnums=(0, 1))(x, 2 * x)
    assert np.allclose(a.grad, expected[0]) and np.allclose(b.grad, expected[1])


def test_checkpoint_notices_what_would_make_it_wrong() -> None:
    w = tr.tensor(x, requires_grad=True, name="w")
    y = tr.checkpoint(lambda a: np.sum(a * w))(w)
    w.data = 2 * x
    with pytest.raises(RuntimeError, match="data of w was replaced"):
        y.backward()
    rng = np.random.default_rng(0)
    y = tr.checkpoint(lambda a: np.sum(a * rng.random(3)))(w)
    with pytest.raises(RuntimeError, match="must be pure"):
        y.backward()
    with pytest.raises(ValueError, match="Make it outside"):
        tr.checkpoint(lambda a: a * tr.tensor(1.0, requires_grad=True))(w)
    a = np.array(x)
    y = tr.checkpoint(lambda w, a: np.sum(w * a))(w, a)
    a[:] = 100
    y.backward()
    assert np.allclose(w.grad, x)


def test_checkpoint_of_plain_arrays_and_without_recording_is_the_function_itself() -> None:
    w = tr.tensor(x, requires_grad=True)
    assert type(tr.checkpoint(np.tanh)(x)) is np.ndarray
    with tr.no_grad():
        assert not tr.checkpoint(np.tanh)(w).requires_grad


def test_checkpoints_nest() -> None:
    inner = tr.checkpoint(np.tanh)
    outer = tr.checkpoint(lambda x: inner(inner(x)) * x)
    f = lambda x: np.sum(np.tanh(np.tanh(x)) * x)  # noqa: E731
    assert np.allclose(tr.hessian(lambda x: np.sum(outer(x)))(x), tr.hessian(f)(x), rtol=1e-12)


# --- custom rules ----------------------------------------------------------------------------------------------------


def cube() -> Any:
    @tr.custom_vjp
    def f(x: Any) -> Any:
        return x**3

    f.defvjp(lambda x: (x**3, x), lambda x, g: (g * 3 * x * x,))
    return f


def test_custom_vjp_to_third_order() -> None:
    f = lambda x: np.sum(cube()(x))  # noqa: E731
    assert np.allclose(tr.grad(f)(x), 3 * x**2)
    assert np.allclose(tr.hessian(lambda x: tr.grad(f)(x)[0])(x)[0, 0], 6)
    assert np.allclose(tr.jacrev(tr.grad(f))(x), np.diag(6 * x))
    w = tr.tensor(x, requires_grad=True)
    y = cube()(w)
    assert y.op.name == "f"
    y.sum().backward()
    assert np.allclose(w.grad, 3 * x**2)


def test_custom_vjp_may_lie_and_is_believed() -> None:
    @tr.custom_vjp
    def straight_through(x: Any) -> Any:
        return np.round(x)

    straight_through.defvjp(lambda x: (np.round(x), None), lambda _, g: (g,))
    assert tr.grad(lambda x: np.sum(straight_through(x)))(x).tolist() == [1, 1, 1]
    assert np.array_equal(straight_through(x), np.round(x))

    @tr.custom_vjp
    def unbelievable(x: Any) -> Any:
        return np.tanh(x)

    unbelievable.defvjp(lambda x: (np.tanh(x), None), lambda _, g: (g,))
    assert tr.grad(lambda x: np.sum(unbelievable(x)))(x).tolist() == [1, 1, 1]


def test_custom_vjp_over_trees_with_arguments_that_have_no_gradient() -> None:
    @tr.custom_vjp
    def f(p: dict[str, Any], n: int, y: Any) -> Any:
        return p["a"] * n + p["b"][0] * y, y * 2

    f.defvjp(
        lambda p, n, y: ((p["a"] * n + p["b"][0] * y, y * 2), (p, n, y)),
        lambda r, g: ({"b": [g[0] * r[2]], "a": g[0] * r[1]}, None, g[0] * r[0]["b"][0] + 2 * g[1]),
    )
    loss = lambda p, y: np.sum(f(p, 3, y)[0] * f(p, 3, y)[1])  # noqa: E731
    plain = lambda p, y: np.sum((p["a"] * 3 + p["b"][0] * y) * (y * 2))  # noqa: E731
    p = {"a": x, "b": [2 * x]}
    got, expected = (tr.grad(h, argnums=(0, 1))(p, x + 1) for h in (loss, plain))
    assert np.allclose(got[0]["a"], expected[0]["a"]) and np.allclose(got[0]["b"][0], expected[0]["b"][0])
    assert np.allclose(got[1], expected[1])


def test_custom_vjp_errors() -> None:
    w = tr.tensor(x, requires_grad=True)
    f = tr.custom_vjp(lambda x: x)
    with pytest.raises(TypeError, match="needs defvjp"):
        f(w)
    f.defvjp(lambda a: (a * w, None), lambda _, g: (g,))
    with pytest.raises(TypeError, match="Pass it as an argument"):
        f(w)
    f.defvjp(lambda a: (a, None), lambda _, g: g)
    with pytest.raises(TypeError, match="one cotangent for each of 1 arguments"):
        f(w).sum().backward()
    with pytest.raises(TypeError, match="Use custom_jvp"):
        tr.jvp(cube(), (x,), (x,))


def test_custom_jvp_gives_both_modes_to_second_order() -> None:
    @tr.custom_jvp
    def f(x: Any, y: Any) -> Any:
        return np.sin(x) * y

    f.defjvp(lambda p, t: (f(*p), np.cos(p[0]) * p[1] * t[0] + np.sin(p[0]) * t[1]))
    plain = lambda x, y: np.sin(x) * y  # noqa: E731
    y = x + 2
    assert tr.gradcheck(f, [x, y])
    total = lambda h: lambda x: np.sum(h(x, y) ** 2)  # noqa: E731
    assert np.allclose(tr.hessian(total(f))(x), tr.hessian(total(plain))(x), rtol=1e-12)
    assert np.allclose(tr.jacrev(tr.grad(total(f)))(x), tr.hessian(total(plain))(x), rtol=1e-12)
    assert np.allclose(tr.jacfwd(tr.jacfwd(total(f)))(x), tr.hessian(total(plain))(x), rtol=1e-12)


def test_stop_gradient_over_a_tree() -> None:
    f = lambda p: np.sum(p["a"] * tr.stop_gradient(p)["b"])  # noqa: E731
    g = tr.grad(f)({"a": x, "b": 2 * x})
    assert np.allclose(g["a"], 2 * x) and g["b"].tolist() == [0, 0, 0]
    assert tr.jvp(tr.stop_gradient, (x,), (x,))[1].tolist() == [0, 0, 0]
    assert tr.stop_gradient((1.0, None)) == (1.0, None)


# --- modules are trees -----------------------------------------------------------------------------------------------


class Affine:
    """Something that joins in as a tree by its two methods, as modules do."""

    def __init__(self, W: Any, b: Any) -> None:
        self.W, self.b = W, b

    def _tree_children(self) -> list[Any]:
        return [self.W, self.b]

    def _tree_rebuild(self, parts: list[Any]) -> Affine:
        return Affine(*parts)

    def __call__(self, x: Any) -> Any:
        return x @ self.W + self.b


def test_objects_that_join_in_are_trees() -> None:
    model = Affine(np.eye(3), np.zeros(3))
    g = tr.grad(lambda m: np.sum(m(x) ** 2))(model)
    assert isinstance(g, Affine) and np.allclose(g.b, 2 * x) and np.allclose(g.W, np.outer(x, 2 * x))
    (product,) = tr.hvp(lambda m: np.sum(m(x) ** 2), (model,), (Affine(np.eye(3), np.ones(3)),))
    assert isinstance(product, Affine) and np.allclose(product.b, 2 * (x + 1))


class Tied(tr.nn.Module):
    """Two layers with one matrix, in a list, beside a cell."""

    def __init__(self) -> None:
        self.cell = tr.nn.RNNCell(3, 4, seed=0, dtype=np.float64)
        self.layers = [tr.nn.Linear(4, 4, seed=1, dtype=np.float64) for _ in range(2)]
        self.layers[1].W = self.layers[0].W

    def forward(self, xs: Any) -> Any:
        ys, _ = tr.unroll(self.cell, xs)
        return self.layers[1](np.tanh(self.layers[0](ys)))


def test_a_model_is_a_tree_of_its_parameters() -> None:
    model, xs = Tied(), np.random.default_rng(2).standard_normal((3, 2, 3))
    loss = lambda model: np.sum(model(xs) ** 2)  # noqa: E731
    loss(model).backward()
    g = tr.grad(loss)(model)
    assert isinstance(g, Tied) and g.layers[0].W is g.layers[1].W
    assert np.allclose(g.cell.U.data, model.cell.U.grad) and np.allclose(g.layers[0].W.data, model.layers[0].W.grad)
    with tr.no_grad():
        assert type(tr.grad(loss)(model).cell.U) is np.ndarray
    assert tr.gradcheck(loss, [model], rtol=1e-5)
    v = tr.stop_gradient(model)
    (hv,) = tr.hvp(loss, (model,), (v,))
    h = 1e-6
    above, below = (model.with_values({k: a * (1 + s * h) for k, a in model.state_dict().items()}) for s in (1, -1))
    slope = (tr.grad(loss)(above).cell.W - tr.grad(loss)(below).cell.W) / (2 * h)
    assert isinstance(hv, Tied) and np.allclose(hv.cell.W.data, slope, rtol=1e-5, atol=1e-7)


def test_gradcheck_names_the_parameter_of_a_model() -> None:
    model, xs = Tied(), np.random.default_rng(2).standard_normal((3, 2, 3))

    def wrong(m: Any) -> Any:
        W = m.layers[0].W
        return np.sum(m(xs)) * (W.detach() if isinstance(W, tr.Tensor) else W)[0, 0]

    with pytest.raises(tr.GradientError, match=r"input 0\.layers\.0\.W, element \[0, 0\]"):
        tr.gradcheck(wrong, [model])


@pytest.mark.parametrize("forward", [lambda x: x, lambda x: np.stack([x, x]), lambda x: (x,), lambda x: [x, x]])
def test_a_custom_vjp_forward_returns_a_pair(forward: Any) -> None:
    own = tr.custom_vjp(lambda x: x)
    own.defvjp(forward, lambda _, g: (g,))
    with pytest.raises(TypeError, match=r"forward must return \(result, residuals\), a tuple of two"):
        tr.grad(own)(1.0)
