"""Complex results of Tensors: pairs of real ones, which go where they should and refuse the rest by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

X = np.random.default_rng(0).normal(size=6)


def spectrum() -> tr.ComplexTensor:
    return np.fft.rfft(tr.tensor(X, requires_grad=True))


def test_what_it_shows() -> None:
    z = spectrum()
    np.testing.assert_allclose(z.numpy(), np.fft.rfft(X), rtol=0, atol=1e-14)
    assert z.shape == (4,) and z.ndim == 1 and z.size == 4 and len(z) == 4 and z.dtype == np.complex128
    assert np.fft.rfft(tr.tensor(X.astype(np.float32))).dtype == np.complex64
    np.testing.assert_allclose(np.asarray(np.fft.rfft(tr.tensor(X))), np.fft.rfft(X), rtol=0, atol=1e-14)
    assert repr(z).startswith("ComplexTensor(tensor(")
    with pytest.raises(TypeError, match="lose the gradient"):
        np.asarray(z)


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (np.sqrt, "sqrt"),
        (np.tanh, "tanh"),
        (lambda z: z > 1, "greater"),
        (np.max, "max"),
        (lambda z: z**0.5, "power"),
        (lambda z: z**-1, "power"),
        (lambda z: np.add.reduce(z), r"add\.reduce"),
        (np.fft.rfft, r"fft\.rfft"),
        (tr.sigmoid, "sigmoid"),
        (np.linalg.norm, r"linalg\.norm"),
    ],
)
def test_what_it_can_not_do_is_refused_by_name(f: Callable[[Any], Any], name: str) -> None:
    with pytest.raises(TypeError, match=rf"np\.{name}.*z\.real and z\.imag"):
        f(spectrum())


def test_a_real_tensor_on_either_side_keeps_its_gradient() -> None:
    w = tr.tensor([1.0, -2.0, 0.5, 3.0], requires_grad=True)
    z = spectrum()
    for product in (w * z, z * w, np.multiply(w, z), np.multiply(z, w)):
        w.grad = None
        np.sum(np.abs(product)).backward(retain_graph=True)
        np.testing.assert_allclose(w.grad, np.sign(w.data) * np.abs(np.fft.rfft(X)), rtol=1e-13)


def test_gradients_towards_complex_numbers_are_pairs() -> None:
    """Of a function of u + iv they are the derivatives by u and by v."""
    z = tr.ComplexTensor(np.array([1.0, 2.0]), np.array([0.5, -1.0]))
    g = tr.grad(lambda z: np.sum(np.abs(z) ** 2) + np.sum(np.real(z * 3j)))(z)
    assert isinstance(g, tr.ComplexTensor)
    np.testing.assert_allclose(g.numpy(), 2 * z.numpy() - 3j, rtol=1e-14)
    value, tangent = tr.jvp(lambda z: np.fft.irfft(z, 3), (z,), (z,))
    np.testing.assert_allclose(tangent, value, rtol=1e-14)  # linear


def test_compiled_with_a_complex_result_and_argument() -> None:
    f = tr.compile(lambda x, z: np.fft.rfft(x) * z)
    x = tr.tensor(X, requires_grad=True)
    z = tr.ComplexTensor(np.arange(4.0), np.ones(4))
    result = f(x, z)
    assert isinstance(result, tr.ComplexTensor)
    np.testing.assert_allclose(result.numpy(), np.fft.rfft(X) * z.numpy(), rtol=1e-13)
    np.sum(result.imag).backward()
    expected = tr.grad(lambda x: np.sum((np.fft.rfft(x) * z).imag))(X)
    np.testing.assert_allclose(x.grad, expected, rtol=0, atol=1e-12)


def test_a_convolution_by_the_theorem() -> None:
    """The gradient of a circular convolution is a circular correlation, written out as a sum."""
    rng = np.random.default_rng(1)
    x, h, g = rng.normal(size=(3, 7))
    f = lambda x: np.sum(g * np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(h), 7))  # noqa: E731
    expected = [sum(g[(j + k) % 7] * h[k] for k in range(7)) for j in range(7)]
    np.testing.assert_allclose(tr.grad(f)(x), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fft2", "irfft2", "fftn", "rfftn"])
def test_pytorch_agrees(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(2).normal(size=(4, 5))
    ours, theirs = tr.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    loss = np.sum(np.abs(getattr(np.fft, name)(ours)) ** 3)
    loss.backward()
    (getattr(torch.fft, name)(theirs).abs() ** 3).sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-10)


@pytest.mark.parametrize(
    ("f", "said"),
    [
        (lambda x: np.fft.fft(x, 0), "1 point or more, not 0"),
        (lambda x: np.fft.fftn(x, s=(2, 3), axes=(0,)), "2 sizes"),
        (lambda x: np.fft.fft(x, axis=2), "axis 2 is out of bounds for array of dimension 1"),
    ],
)
def test_what_numpy_refuses(f: Callable[[Any], Any], said: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        f(X)
    with pytest.raises((ValueError, IndexError), match=said):
        f(tr.tensor(X, requires_grad=True))
