"""Derivatives by numerical means alone: the independent witnesses of the hand-derived formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

DIRECTIONS = np.random.default_rng(0).normal(size=1000)


def complex_step(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """The derivative of an analytic function, exact to rounding: Im f(x + ih) / h.

    There is no subtraction, so h may be tiny and the error vanishes (Squire and Trapp 1998).

    Returns:
        Of shape ``(*f(x).shape, *x.shape)``: what nudging one entry of ``x`` does to all that the function gives.
    """
    h = 1e-30
    columns = []
    for index in np.ndindex(x.shape):
        nudged = x.astype(complex)
        nudged[index] += 1j * h
        columns.append(np.imag(f(nudged)) / h)
    return np.stack(columns, axis=-1).reshape(columns[0].shape + x.shape)


def central_difference(f: Callable[[Any], Any], x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """(f(x + h) - f(x - h)) / 2h, for functions with kinks (away from them)."""
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += h
        below[index] -= h
        gradient[index] = (f(above) - f(below)) / (2 * h)
    return gradient


def assert_gradients(loss: Callable[[Any], Any], params: Any, gradients: Any, *, analytic: bool = True) -> None:
    """Hold the gradient of every field of a NamedTuple of parameters to a numerical derivative."""
    for name in params._fields:
        value, claimed = getattr(params, name), getattr(gradients, name)
        if value is None:
            assert claimed is None, name
            continue

        def loss_of_one(x: np.ndarray, name: str = name) -> Any:
            return loss(params._replace(**{name: x}))

        assert_derivative(loss_of_one, value, claimed, name, analytic=analytic)


def assert_derivative(
    f: Callable[[Any], Any], x: np.ndarray, claimed: np.ndarray, name: str, *, analytic: bool = True
) -> None:
    """Hold one claimed derivative to complex steps (1e-11), or else central differences (1e-6).

    One random direction stands for all entries, at the cost of one call: a wrong derivative is right along none but a
    few exceptional ones. Where it disagrees, entry after entry is asked, so that the failure shows which are wrong.
    """
    assert claimed.shape == x.shape, name
    witness, tolerance = (complex_step, 1e-11) if analytic else (central_difference, 1e-6)
    direction = DIRECTIONS[: x.size].reshape(x.shape)
    along = witness(lambda step: f(x + step * direction), np.zeros(()))
    scale = max(1.0, float(np.abs(claimed).max(initial=0.0)))
    if not abs(np.sum(claimed * direction) - along) <= tolerance * scale:
        expected = witness(f, x)
        np.testing.assert_allclose(claimed, expected, rtol=0, atol=tolerance * scale, err_msg=name)
        raise AssertionError(f"{name}: along {direction}, {np.sum(claimed * direction)} for {along}")
