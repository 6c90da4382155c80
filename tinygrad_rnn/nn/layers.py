"""Layers that know nothing of time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import init
from .module import Module, Parameter


class Linear(Module):
    """``y = x W + b``.

    Args:
        inputs: n, the size of x's last axis.
        outputs: k, the size of y's last axis.
        bias: whether there is a b.
        seed: an int or a numpy.random.Generator.
        dtype: of the parameters.

    Attributes:
        W: (n, k).
        b: (k,), or None.

    Both start uniform between ±1/√n, as PyTorch's do.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.Linear(3, 2, seed=0)(np.ones((5, 3), np.float32)).shape
        (5, 2)
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool = True, seed: init.Seed = 0, dtype: Any = np.float32
    ) -> None:
        rng = init.generator(seed)
        bound = 1 / math.sqrt(inputs)
        self.W = Parameter(init.uniform((inputs, outputs), rng, bound, dtype))
        self.b = Parameter(init.uniform((outputs,), rng, bound, dtype)) if bias else None

    def describe(self) -> str:
        """What it takes, for error messages."""
        n, k = self.W.shape
        return f"Linear({n}, {k}) takes x of shape (..., {n})."

    def forward(self, x: Any) -> Any:
        """Args: x (..., n). Returns: y (..., k)."""
        y = x @ self.W
        return y if self.b is None else y + self.b
