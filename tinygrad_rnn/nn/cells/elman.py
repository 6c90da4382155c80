"""Cells whose state is one activation of a sum of products: Elman's, and the independently recurrent one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autodiff import relu, sigmoid
from .. import init
from .base import Cell, weight

Activation = str | Callable[[Any], Any]
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, "relu": relu, "sigmoid": sigmoid}


def activation_function(activation: Activation, owner: str) -> Callable[[Any], Any]:
    """The function of this name, or the function itself.

    Raises:
        ValueError: there is none of this name.
    """
    if not isinstance(activation, str):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"{owner}: activation {activation!r} is not one of {sorted(ACTIVATIONS)}; or pass a function")
    return ACTIVATIONS[activation]


class RNNCell(Cell):
    """The Elman cell, ``h_t = f(x_t U + h_{t-1} W + b)``; its output is its state.

    Args:
        inputs: n.
        units: d.
        activation: f: "tanh", "relu", "sigmoid", or any function.
        bias: whether there is a b.
        seed: an int or a numpy.random.Generator.
        dtype: of the parameters.

    Attributes:
        U: (n, d), input to hidden.
        W: (d, d), hidden to hidden.
        b: (d,), or None.

    Source: Elman, "Finding structure in time" (1990); Goodfellow, Bengio and Courville, "Deep Learning" (2016), eq.
    10.8. All start uniform between ±1/√d, as PyTorch's do.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> cell = tr.nn.RNNCell(3, 4, seed=0)
        >>> ys, h = tr.unroll(cell, np.zeros((7, 2, 3), np.float32))  # T = 7, B = 2
        >>> ys.shape, h.shape
        ((7, 2, 4), (2, 4))
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        activation: Activation = "tanh",
        *,
        bias: bool = True,
        seed: init.Seed = 0,
        dtype: Any = np.float32,
    ) -> None:
        self.inputs, self.units = inputs, units
        self.activation = activation_function(activation, "RNNCell")
        rng = init.generator(seed)
        self.U = weight((inputs, units), rng, units, dtype)
        self.W = weight((units, units), rng, units, dtype)
        self.b = weight((units,), rng, units, dtype) if bias else None

    def forward(self, x: Any, h: Any) -> tuple[Any, Any]:
        """Args: x (B, n), h (B, d). Returns: h' as output and as state."""
        a = x @ self.U + h @ self.W
        h = self.activation(a if self.b is None else a + self.b)
        return h, h
