"""Activation functions of a recurrent network, each with its derivative written both ways.

``s = f(a)``: ``a`` is the pre-activation, ``s`` the activation. The derivative can be written in
terms of either, and mixing the two up is a classic mistake:

=========  ==================  =========================  ======================
name       ``f(a)``            ``f'(a)``, from ``a``      from ``s = f(a)``
=========  ==================  =========================  ======================
tanh       ``tanh a``          ``1 - tanh² a``            ``1 - s²``
sigmoid    ``1/(1 + e⁻ᵃ)``     ``σ(a) (1 - σ(a))``        ``s (1 - s)``
relu       ``max(a, 0)``       ``1 if a > 0 else 0``      ``1 if s > 0 else 0``
identity   ``a``               ``1``                      ``1``
=========  ==================  =========================  ======================

All of them keep the dtype and accept complex numbers, so that a derivation can be compared with the complex-step
derivative, which has no subtraction error (Squire and Trapp 1998).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .arrays import Array


class Activation(NamedTuple):
    """An elementwise function with its derivative in terms of input and of output.

    Attributes:
        name: the name by which ``activation`` finds it.
        function: ``f``, from ``a`` to ``s = f(a)``.
        derivative: ``f'(a)``, from the pre-activation ``a``.
        derivative_from_output: the same number from the activation ``s = f(a)``.
    """

    name: str
    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    derivative_from_output: Callable[[Array], Array]


def sigmoid(a: Array) -> Array:
    """``σ(a) = 1 / (1 + e⁻ᵃ)``, written as ``(1 + tanh(a/2)) / 2``, which cannot overflow."""
    return 0.5 * (1 + np.tanh(0.5 * a))


def _relu(a: Array) -> Array:
    return np.where(np.real(a) > 0, a, np.zeros_like(a))


def _step(a: Array) -> Array:
    """The derivative of relu; at the kink, where there is none, the usual choice 0."""
    return (np.real(a) > 0).astype(np.real(a).dtype)


TANH = Activation("tanh", np.tanh, lambda a: 1 - np.tanh(a) ** 2, lambda s: 1 - s**2)
SIGMOID = Activation("sigmoid", sigmoid, lambda a: sigmoid(a) * (1 - sigmoid(a)), lambda s: s * (1 - s))
RELU = Activation("relu", _relu, _step, _step)
IDENTITY = Activation("identity", lambda a: a, np.ones_like, np.ones_like)

ACTIVATIONS = {f.name: f for f in (TANH, SIGMOID, RELU, IDENTITY)}


def activation(name: str | Activation) -> Activation:
    """The activation of this name; an ``Activation`` is returned as it is.

    Raises:
        ValueError: there is no activation of this name.

    Example:
        >>> tanh = activation("tanh")
        >>> s = tanh.function(np.array([0.5]))
        >>> bool(np.allclose(tanh.derivative_from_output(s), tanh.derivative(np.array([0.5]))))
        True
    """
    if isinstance(name, Activation):
        return name
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation is called {name!r}; there are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
