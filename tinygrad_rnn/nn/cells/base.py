"""The base class of recurrent cells, and the methods that a cell may have beside its step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autodiff import scalars
from .. import init
from ..module import Module, Parameter


class Cell(Module):
    """A part of a model that takes one step of time: ``y, state = cell(x, state)``.

    A subclass sets ``inputs`` and ``units`` and writes ``forward(x, state)``, which returns ``(y, state)``. Nothing
    else is needed for the backward pass, layers, padding, pictures and compilation.

    Attributes:
        inputs: n, the size of x's last axis.
        units: d, the size of the state's last axis.
    """

    inputs: int
    units: int

    @property
    def outputs(self) -> int:
        """The size of the output's last axis: d, unless the cell says otherwise."""
        return self.units

    def describe(self) -> str:
        """The expected input, for error messages."""
        n, d = self.inputs, self.units
        return f"{type(self).__name__}({n}, {d}) takes x of shape (B, {n}) or ({n},)."

    def initial_state(self, x: Any) -> Any:
        """The state before the first step, zeros (B, d), for a first input x of shape (B, n); (d,) for (n,)."""
        return self.zeros(x, self.units)

    def zeros(self, x: Any, size: int) -> np.ndarray:
        """Zeros (B, size) of the parameters' dtype, for a first input x of shape (B, n); (size,) for (n,)."""
        shape, dtype = (*np.shape(x)[:-1], size), dtype_of(self)
        return scalars(np.zeros(shape), requires_grad=False) if dtype.kind == "O" else np.zeros(shape, dtype)


def dtype_of(module: Module) -> Any:
    """The dtype of a module's parameters, or of the values put in their place; float32 if there are none."""
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(getattr(value, "dtype", None), np.dtype):
                return value.dtype
    return np.dtype(np.float32)


def weight(shape: tuple[int, ...], rng: np.random.Generator, units: int, dtype: Any) -> Parameter:
    """A parameter that starts uniform between ±1/√d, as all parameters of PyTorch's recurrent layers do."""
    if not all(isinstance(size, (int, np.integer)) for size in shape):
        raise TypeError(f"a cell's sizes are whole numbers: a parameter of it would have the shape {shape}")
    if min(shape) < 1:
        raise ValueError(f"a cell of {units} units has a parameter of shape {shape}: sizes are 1 or more")
    return Parameter(init.uniform(shape, rng, 1 / math.sqrt(units), dtype))
