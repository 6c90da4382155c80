"""The same gradients as PyTorch and JAX, on cells with everything in them; skipped where they aren't installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr


def arrays(dtype: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = {"x": (5, 2, 3), "U": (3, 12), "W": (4, 12), "b": (12,), "V": (4, 2)}
    return {name: rng.standard_normal(size).astype(dtype) / 2 for name, size in sizes.items()}


def loss(p: dict[str, Any], np: Any, sigmoid: Any, maximum: Any) -> Any:
    """A GRU-like cell with a residual relu, a softmax and a max over time."""
    h = p["x"][0][:, :1] * 0 + p["b"][:4]
    outputs = []
    for t in range(5):
        a, u = p["x"][t] @ p["U"] + p["b"], h @ p["W"]
        r, z = sigmoid(a[:, :4] + u[:, :4]), sigmoid(a[:, 4:8] + u[:, 4:8])
        n = np.tanh(a[:, 8:] + r * u[:, 8:])
        h = (1 - z) * n + z * h + maximum(n, 0 * n) / 3
        logits = h @ p["V"]
        outputs.append(np.exp(logits) / np.exp(logits).sum(1)[:, None])
    return np.log(np.stack(outputs)).sum() / 3 + np.sqrt(np.abs(h)).mean()


def ours(dtype: Any) -> tuple[Any, dict[str, np.ndarray]]:
    return tr.value_and_grad(lambda p: loss(p, np, tr.sigmoid, np.maximum))(arrays(dtype))


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_pytorch(dtype: Any, rtol: float) -> None:
    torch = pytest.importorskip("torch")
    p = {name: torch.tensor(a, requires_grad=True) for name, a in arrays(dtype).items()}
    value = loss(p, torch, torch.sigmoid, torch.maximum)
    value.backward()
    expected, g = ours(dtype)
    assert np.isclose(value.item(), expected, rtol=rtol)
    for name in p:
        assert g[name].dtype == dtype
        assert np.allclose(p[name].grad.numpy(), g[name], rtol=rtol, atol=rtol)


@pytest.fixture
def jax_with_64_bits() -> Iterator[Any]:
    """JAX with float64, as long as a test needs it."""
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


@pytest.mark.sweep
def test_jax_to_second_order(jax_with_64_bits: Any) -> None:
    jax = jax_with_64_bits
    values = arrays(np.float64)
    theirs = lambda p: loss(p, jax.numpy, jax.nn.sigmoid, jax.numpy.maximum)  # noqa: E731
    mine = lambda p: loss(p, np, tr.sigmoid, np.maximum)  # noqa: E731
    expected = jax.jvp(jax.grad(theirs), (values,), (values,))
    got = tr.jvp(tr.grad(mine), (values,), (values,))
    for name in values:
        for e, g in zip(expected, got):
            assert np.allclose(np.asarray(e[name]), g[name], rtol=1e-10, atol=1e-11)
