"""``to_jax``: in a JAX program, a NumPy function has the values and gradients that it has outside."""

import importlib.util

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.errors import CannotCompile
from tinygrad_rnn.autodiff.registry import elementwise

jax = pytest.importorskip("jax")

cell = nn.LSTMCell(3, 4, seed=0)
parameters = dict(cell.named_parameters())
xs = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)


def loss(xs):
    return np.mean(np.square(tr.unroll(cell, xs)[0]))


def weights():
    return {name: parameter.numpy() for name, parameter in parameters.items()}


def gradients():
    for parameter in parameters.values():
        parameter.grad = None
    loss(xs).backward()
    return {name: parameter.grad for name, parameter in parameters.items()}


def assert_close(found, expected, tolerance=2e-6):
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], tolerance, tolerance, err_msg=name)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("own_gradient", [True, False])
def test_values_and_gradients(own_gradient):
    f = tr.to_jax(loss, parameters=parameters, own_gradient=own_gradient)
    value, found = jax.jit(jax.value_and_grad(f))(weights(), xs)
    np.testing.assert_allclose(value, loss(xs).item(), 1e-6)
    assert_close(found, gradients())
    np.testing.assert_allclose(jax.grad(f, 1)(weights(), xs), tr.grad(loss)(xs).numpy(), 1e-5, 1e-7)


def test_jax_takes_our_gradient():
    straight_through = elementwise(np.sign, lambda ans, x: np.ones_like(x))
    f = tr.to_jax(lambda x: np.sum(straight_through(x)))
    assert jax.grad(f)(np.float32([1, -2])).tolist() == [1, 1]


@pytest.mark.sweep
def test_mapped_over_many_models():
    f = jax.value_and_grad(tr.to_jax(loss, parameters=parameters))
    scales = np.float32([1, 0.5, -1])
    many = {name: scales.reshape(-1, *[1] * w.ndim) * w for name, w in weights().items()}
    values, found = jax.jit(jax.vmap(f, (0, None)))(many, xs)
    for i in range(3):
        value, one = f({name: w[i] for name, w in many.items()}, xs)
        np.testing.assert_allclose(values[i], value, 1e-6)
        assert_close({name: g[i] for name, g in found.items()}, one)


def test_second_derivatives_are_by_jax():
    f = lambda x: np.sum(np.tanh(x) ** 3)  # noqa: E731
    x = np.float32([0.3, -0.7])
    found = jax.hessian(tr.to_jax(f, own_gradient=False))(x)
    np.testing.assert_allclose(found, tr.hessian(f)(x), 1e-5, 1e-6)


def test_trees_settings_and_whole_numbers():
    def f(batch, scale, *, power=2):
        return {"y": scale * batch["x"] ** power, "n": batch["n"] + 1}

    found = tr.to_jax(f)({"x": np.float32([1, 2]), "n": np.int32([3])}, 2.0)
    assert found["y"].tolist() == [2, 8] and found["n"].tolist() == [4]
    gradient = jax.grad(lambda x: tr.to_jax(f)({"x": x, "n": np.int32([3])}, 2.0)["y"].sum())(np.float32([1, 2]))
    assert gradient.tolist() == [4, 8]


def test_other_tensors_are_constants_read_when_it_is_traced():
    scale = tr.tensor(np.float32(2), requires_grad=True)
    f = tr.to_jax(lambda x: scale * x)
    assert f(np.float32([1])).tolist() == [2]
    scale.data = np.float32(3)
    assert f(np.float32([1])).tolist() == [3]


def test_float64_is_refused_where_jax_has_none():
    with pytest.raises(CannotCompile, match=r"float64.*jax_enable_x64"):
        tr.to_jax(np.tanh)(np.ones(2))
    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64():
        assert tr.to_jax(np.tanh)(np.ones(2)).dtype == np.float64


def test_an_index_past_the_end_gives_nan():
    f = jax.jit(tr.to_jax(lambda table, i: table[i]))
    table = np.float32([[1, 2], [3, 4]])
    assert f(table, np.array([1, -2])).tolist() == [[3, 4], [1, 2]]
    assert np.isnan(f(table, np.array([0, 2]))).all()


def test_weights_that_dont_fit_are_named():
    f = tr.to_jax(loss, parameters=parameters)
    with pytest.raises(ValueError, match="'U' is in one alone"):
        f({name: w for name, w in weights().items() if name != "U"}, xs)
    with pytest.raises(ValueError, match=r"'b' is of shape \(3,\), and the parameter of \(16,\)"):
        f({**weights(), "b": np.zeros(3, np.float32)}, xs)


def test_without_jax_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"\[jax\]"):
        tr.to_jax(loss)
