"""Activations and losses: every derivative against numerical ones; extreme values; dtypes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manual.numeric import central_difference, complex_step
from tinygrad_rnn.manual.activations import ACTIVATIONS, activation
from tinygrad_rnn.manual.losses import (
    LOSSES,
    log_sigmoid,
    loss_function,
    mean_squared_error,
    one_hot,
)

ALL_LOSSES = [*LOSSES.values(), *(mean_squared_error(name) for name in ACTIVATIONS)]
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@given(seed=seeds)
def test_an_activations_derivative_is_the_same_from_input_and_output(name: str, seed: int) -> None:
    f = activation(name)
    a = np.random.default_rng(seed).normal(size=7) * 3
    expected = central_difference(lambda x: f.function(x).sum(), a)
    np.testing.assert_allclose(f.derivative(a), expected, atol=1e-8)
    np.testing.assert_allclose(f.derivative_from_output(f.function(a)), expected, atol=1e-8)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_keep_the_dtype(name: str, dtype: type) -> None:
    f = activation(name)
    a = np.array([-1000, -1, 0, 1, 1000], dtype=dtype)
    for result in (f.function(a), f.derivative(a), f.derivative_from_output(f.function(a))):
        assert result.dtype == dtype
        assert np.isfinite(result).all()


def test_relu_has_derivative_zero_at_its_kink() -> None:
    assert activation("relu").derivative(np.zeros(1)) == 0


@pytest.mark.one_in(3)
@pytest.mark.parametrize("loss", ALL_LOSSES, ids=lambda loss: loss.name)
@given(seed=seeds, k=st.integers(1, 4), batch=st.sampled_from([(), (3,)]))
def test_a_losss_gradient(loss, seed: int, k: int, batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    z, y = rng.normal(size=(*batch, k)), rng.uniform(size=(*batch, k))
    differentiate = central_difference if "relu" in loss.name else complex_step
    expected = differentiate(lambda x: loss.value(x, y).sum(), z)
    tolerance = 1e-7 if "relu" in loss.name else 1e-12
    np.testing.assert_allclose(loss.gradient(z, y), expected, atol=tolerance)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("loss", ALL_LOSSES, ids=lambda loss: loss.name)
@given(seed=seeds, k=st.integers(1, 4))
def test_the_gradients_of_a_losss_components(loss, seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    z, y = rng.normal(size=(2, k)), rng.uniform(size=(2, k))
    jacobian = loss.component_gradients(z, y)
    assert jacobian.shape == (2, k, k)
    np.testing.assert_allclose(jacobian.sum(axis=-2), loss.gradient(z, y), atol=1e-14)
    differentiate = central_difference if "relu" in loss.name else complex_step
    for i in range(k):
        expected = differentiate(lambda x, i=i: loss.components(x, y)[..., i].sum(), z)
        np.testing.assert_allclose(jacobian[..., i, :], expected, atol=1e-7)


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_stay_finite_and_keep_the_dtype_at_extreme_outputs(name: str, dtype: type) -> None:
    loss = loss_function(name)
    z, y = np.array([1000.0, -1000.0, 0.0], dtype=dtype), np.array([0, 1, 0], dtype=dtype)
    for result in (loss.value(z, y), loss.gradient(z, y), loss.component_gradients(z, y)):
        assert result.dtype == dtype
        assert np.isfinite(result).all()


def test_log_sigmoid_is_exact_far_out_on_both_sides() -> None:
    expected = [-800.0, np.log(0.5), -np.exp(-40.0)]
    np.testing.assert_allclose(log_sigmoid(np.array([-800.0, 0.0, 40.0])), expected, rtol=1e-14)


def test_losses_agree_with_torch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(5, 4)), rng.uniform(size=(5, 4))
    y /= y.sum(axis=1, keepdims=True)
    functional = torch.nn.functional

    def binary(logits, targets):  # theirs is the mean over the outputs, ours the sum
        return 4 * functional.binary_cross_entropy_with_logits(logits, targets)

    for name, theirs in [
        ("softmax_cross_entropy", functional.cross_entropy),
        ("binary_cross_entropy", binary),
        ("mse", functional.mse_loss),
    ]:
        zt = torch.tensor(z, requires_grad=True)
        loss = theirs(zt, torch.tensor(y))
        loss.backward()
        np.testing.assert_allclose(loss_function(name).value(z, y).mean(), loss.item(), rtol=1e-12)
        np.testing.assert_allclose(loss_function(name).gradient(z, y) / 5, zt.grad, atol=1e-12)


def test_unknown_names_are_told_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"'gelu'; there are tanh, sigmoid, relu, identity"):
        activation("gelu")
    with pytest.raises(ValueError, match=r"'hinge'; there are softmax_cross_entropy"):
        loss_function("hinge")


def test_one_hot_refuses_a_class_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match=r"0\.\.2; got -1\.\.1"):
        one_hot(np.array([1, -1]), 3)
