"""Cells without gates: Elman's, and its relatives with other ways from one state to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autodiff import named, relu, sigmoid
from .. import init
from ..module import Parameter
from .base import Cell, weight

Activation = str | Callable[[Any], Any]
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, "relu": relu, "sigmoid": sigmoid}


def activation_function(activation: Activation, owner: str) -> Callable[[Any], Any]:
    """The function of this name, or the function itself.

    Raises:
        ValueError: there is no activation of this name.
    """
    if not isinstance(activation, str):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"{owner}: activation {activation!r} is not one of {sorted(ACTIVATIONS)}; or pass a function")
    return ACTIVATIONS[activation]


class RNNCell(Cell):
    """The Elman cell, ``h_t = f(x_t U + h_{t-1} W + b)``; its output is its state.

    Args:
        inputs: n, the size of x.
        units: d, the size of the state.
        activation: f: "tanh", "relu", "sigmoid", or any function.
        bias: whether there is a b.
        seed: an int, a numpy.random.Generator, or None for the package's own.
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
        seed: init.Seed = None,
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


class IndRNNCell(Cell):
    """The independently recurrent cell, ``h_t = f(x_t U + h_{t-1} ∘ w + b)``: each unit sees its own past alone.

    Its output is its state. Each unit multiplies its past by one number, so w shows how fast a gradient decays.

    Args:
        inputs: n, the size of x.
        units: d, the size of the state.
        activation: f: "relu", "tanh", "sigmoid", or any function.
        bias: whether there is a b.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.

    Attributes:
        U: (n, d), input to hidden, uniform between ±1/√d at the start.
        w: (d,), from each unit to itself, uniform from 0 to 1 at the start.
        b: (d,), or None.

    Source: Li, Li, Cook, Zhu and Gao, "Independently recurrent neural network (IndRNN)" (2018), eq. 2.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> ys, h = tr.unroll(tr.nn.IndRNNCell(3, 4), np.zeros((7, 2, 3), np.float32))  # T = 7, B = 2
        >>> ys.shape, h.shape
        ((7, 2, 4), (2, 4))
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        activation: Activation = "relu",
        *,
        bias: bool = True,
        seed: init.Seed = None,
        dtype: Any = np.float32,
    ) -> None:
        self.inputs, self.units = inputs, units
        self.activation = activation_function(activation, "IndRNNCell")
        rng = init.generator(seed)
        self.U = weight((inputs, units), rng, units, dtype)
        self.w = Parameter(rng.uniform(0, 1, units).astype(dtype))
        self.b = weight((units,), rng, units, dtype) if bias else None

    def forward(self, x: Any, h: Any) -> tuple[Any, Any]:
        """Args: x (B, n), h (B, d). Returns: h' as output and as state."""
        a = x @ self.U + h * self.w
        h = self.activation(a if self.b is None else a + self.b)
        return h, h


class JordanCell(Cell):
    """Jordan's cell: the output is fed back, not the hidden layer.

        h_t = f(x_t U + y_{t-1} W + b)
        y_t = g(h_t V + c)

    Its state is its output.

    Args:
        inputs: n, the size of x.
        units: d, of the hidden layer.
        outputs: k, the size of the output.
        activation: f: "tanh", "relu", "sigmoid", or any function.
        output_activation: g, likewise; None for none.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.

    Attributes:
        U: (n, d), input to hidden.
        W: (k, d), output to hidden.
        V: (d, k), hidden to output.
        b: (d,).
        c: (k,).

    Source: Jordan, "Serial order: a parallel distributed processing approach" (1986). All start uniform between ±1/√d.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> ys, y = tr.unroll(tr.nn.JordanCell(3, 4, 5), np.zeros((7, 2, 3), np.float32))  # T = 7, B = 2
        >>> ys.shape, y.shape
        ((7, 2, 5), (2, 5))
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        outputs: int,
        activation: Activation = "tanh",
        output_activation: Activation | None = None,
        *,
        seed: init.Seed = None,
        dtype: Any = np.float32,
    ) -> None:
        self.inputs, self.units = inputs, units
        self.activation = activation_function(activation, "JordanCell")
        self.output_activation = output_activation and activation_function(output_activation, "JordanCell")
        rng = init.generator(seed)
        self.U = weight((inputs, units), rng, units, dtype)
        self.W = weight((outputs, units), rng, units, dtype)
        self.V = weight((units, outputs), rng, units, dtype)
        self.b = weight((units,), rng, units, dtype)
        self.c = weight((outputs,), rng, units, dtype)

    @property
    def outputs(self) -> int:
        """The size of the output's last axis, k."""
        return len(self.c)

    def initial_state(self, x: Any) -> Any:
        """Zeros (B, k) for a first input x of shape (B, n)."""
        return self.zeros(x, self.outputs)

    def forward(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Args: x (B, n), y (B, k). Returns: y' as output and as state."""
        hidden = named("hidden", self.activation(x @ self.U + y @ self.W + self.b))  # "h" names the state, which is y
        y = hidden @ self.V + self.c
        y = self.output_activation(y) if self.output_activation else y
        return y, y


class SkipRNNCell(Cell):
    """An Elman cell whose state also depends directly on older states ``h_{t-lag}``.

    Older states enter by matrices inside the activation, or are added after it (a residual connection over time):

        h_t = f(x_t U + h_{t-1} W + Σ_j h_{t-lag_j} M_j + b)          by "matrices"
        h_t = f(x_t U + h_{t-1} W + b) + Σ_j h_{t-lag_j}              by "addition"

    Its output is its newest state.

    Args:
        inputs: n, the size of x.
        units: d, the size of the state.
        lags: the number of steps that each skip connection reaches back; 2 is the state before the previous one.
        by: "matrices" or "addition".
        activation: f: "tanh", "relu", "sigmoid", or any function.
        bias: whether there is a b.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.

    Attributes:
        U: (n, d), input to hidden.
        W: (d, d), previous state to hidden.
        M: (number of lags, d, d), older states to hidden; None by addition.
        b: (d,), or None.

    Source: proposed in "Under the hood of neural networks. Part 2: recurrent", summary; Lin, Horne, Tino and Giles,
    "Learning long-term dependencies in NARX recurrent neural networks" (1996). All start uniform between ±1/√d.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> ys, state = tr.unroll(tr.nn.SkipRNNCell(3, 4, lags=[2, 3]), np.zeros((7, 2, 3), np.float32))  # T = 7, B = 2
        >>> ys.shape, {name: h.shape for name, h in state.items()}
        ((7, 2, 4), {'h': (2, 4), 'h-1': (2, 4), 'h-2': (2, 4)})
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        lags: Sequence[int] = (2,),
        by: str = "matrices",
        activation: Activation = "tanh",
        *,
        bias: bool = True,
        seed: init.Seed = None,
        dtype: Any = np.float32,
    ) -> None:
        if not isinstance(lags, Sequence) or not lags or min(lags) < 1:
            raise ValueError(f"SkipRNNCell: lags are one or more numbers from 1, such as [2, 3], not {lags}")
        if by not in ("matrices", "addition"):
            raise ValueError(f"SkipRNNCell: by is 'matrices' or 'addition', not {by!r}")
        self.inputs, self.units, self.lags = inputs, units, tuple(lags)
        self.activation = activation_function(activation, "SkipRNNCell")
        rng = init.generator(seed)
        self.U = weight((inputs, units), rng, units, dtype)
        self.W = weight((units, units), rng, units, dtype)
        self.M = weight((len(lags), units, units), rng, units, dtype) if by == "matrices" else None
        self.b = weight((units,), rng, units, dtype) if bias else None

    def initial_state(self, x: Any) -> dict[str, Any]:
        """The initial states, all zeros, for every lag up to the longest: "h" is the newest, "h-1" the one before."""
        return {name: self.zeros(x, self.units) for name in self._names()}

    def _names(self) -> list[str]:
        return ["h", *(f"h-{age}" for age in range(1, max(self.lags)))]

    def forward(self, x: Any, state: Any) -> tuple[Any, dict[str, Any]]:
        """Args: x (B, n), state as above. Returns: the new h as output, and the state."""
        past = [state[name] for name in self._names()]  # past[lag - 1] is h_{t-lag}
        older = [past[lag - 1] for lag in self.lags]
        a = x @ self.U + past[0] @ self.W
        if self.M is not None:
            a = a + np.concatenate(older, axis=-1) @ np.reshape(self.M, (-1, self.units))  # Σ_j h_{t-lag_j} M_j
        h = self.activation(a if self.b is None else a + self.b)
        if self.M is None:
            for skipped in older:
                h = h + skipped
        return h, dict(zip(self._names(), [h, *past[:-1]]))
