"""Recurrent cells: what happens in one time step. Each is a few lines of NumPy; none has a backward pass of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.rules.elementwise import relu
from . import init
from .module import Module, Parameter

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, "relu": relu}


class Cell(Module):
    """What recurrent cells have in common: sizes, and a state of zeros to start with.

    A subclass sets ``inputs`` and ``units`` and writes ``forward(x, state)``, which gives ``(y, state)``.

    Attributes:
        inputs: n, the size of x's last axis.
        units: d, the size of the state's last axis.
    """

    inputs: int
    units: int

    def describe(self) -> str:
        """What it takes, for error messages."""
        n, d = self.inputs, self.units
        return f"{type(self).__name__}({n}, {d}) takes x of shape (B, {n}) or ({n},)."

    def initial_state(self, x: Any) -> Any:
        """Zeros, (B, d), for a first input x of shape (B, n)."""
        dtype = next(self.parameters()).dtype
        return np.zeros((*np.shape(x)[:-1], self.units), dtype)


class RNNCell(Cell):
    """The Elman cell, ``h_t = f(x_t U + h_{t-1} W + b)``; its output is its state.

    Args:
        inputs: n.
        units: d.
        activation: f: "tanh", "relu", or any function.
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
        activation: str | Callable[[Any], Any] = "tanh",
        *,
        bias: bool = True,
        seed: init.Seed = 0,
        dtype: Any = np.float32,
    ) -> None:
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise ValueError(
                f"RNNCell: activation {activation!r} is not one of {sorted(ACTIVATIONS)}; or pass a function"
            )
        self.inputs, self.units = inputs, units
        self.activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation
        rng = init.generator(seed)
        bound = 1 / math.sqrt(units)
        self.U = Parameter(init.uniform((inputs, units), rng, bound, dtype))
        self.W = Parameter(init.uniform((units, units), rng, bound, dtype))
        self.b = Parameter(init.uniform((units,), rng, bound, dtype)) if bias else None

    def forward(self, x: Any, h: Any) -> tuple[Any, Any]:
        """Args: x (B, n), h (B, d). Returns: h' as output and as state."""
        a = x @ self.U + h @ self.W
        h = self.activation(a if self.b is None else a + self.b)
        return h, h
