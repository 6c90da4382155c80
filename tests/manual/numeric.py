"""Derivatives by numerical means alone: the independent witnesses of the hand-derived formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def complex_step(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """The derivative of a scalar analytic function, exact to rounding: Im f(x + ih) / h.

    There is no subtraction, so h may be tiny and the error vanishes (Squire and Trapp 1998).
    """
    h = 1e-30
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        nudged = x.astype(complex)
        nudged[index] += 1j * h
        gradient[index] = np.imag(f(nudged)) / h
    return gradient


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

        assert claimed.shape == value.shape, name
        assert_derivative(loss_of_one, value, claimed, name, analytic=analytic)


def assert_derivative(
    f: Callable[[Any], Any], x: np.ndarray, claimed: np.ndarray, name: str, *, analytic: bool = True
) -> None:
    """Hold one claimed derivative to complex steps (1e-11), or else central differences (1e-6)."""
    witness, tolerance = (complex_step, 1e-11) if analytic else (central_difference, 1e-6)
    expected = witness(f, x)
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(claimed, expected, rtol=0, atol=tolerance * scale, err_msg=name)
