"""Cells with gates, which decide at each step what to keep and what to let in: LSTM, GRU and MGU.

The gates stand side by side in one matrix, so that one product computes them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...autodiff import named, sigmoid
from .. import init
from .base import Cell, weight


class LSTMState(NamedTuple):
    """The state of an LSTM.

    Attributes:
        h: hidden state, (B, d), or (B, p) with a projection.
        c: cell state, (B, d).
    """

    h: Any
    c: Any


def unchanged(a: Any) -> Any:
    """The identity, used if there is no normalisation."""
    return a


class LSTMCell(Cell):
    """Long short-term memory.

    With the gates i, f, g, o side by side:

        i, f, o = σ(x_t U + h_{t-1} W + b),  g = tanh(x_t U + h_{t-1} W + b)
        c_t = f ∘ c_{t-1} + i ∘ g
        h_t = o ∘ tanh(c_t)

    Args:
        inputs: n, the size of x.
        units: d, the size of the state.
        bias: whether there is a b.
        peepholes: whether the gates see the cell state: i and f the old one, o the new one.
        projection: p, the size of a linear projection of the hidden state, ``h_t = (o ∘ tanh(c_t)) V``; None for none.
        coupled: whether the input gate is ``i = 1 - f``, so that a cell forgets as much as it lets in; the gates are
            then f, g, o.
        forget_bias: added to the forget gate's bias at the start; 1 makes a new cell remember.
        norm: ``nn.LayerNorm`` (or another class called as ``norm(size, dtype=...)``) to normalise the two products, and
            the cell state before it enters the output: ``N(x_t U) + N(h_{t-1} W) + b`` and ``h_t = o ∘ tanh(N(c_t))``,
            each N with a gain and a bias of its own; None for none.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.

    Attributes:
        U: (n, 4d), input to gates i, f, g, o; (n, 3d) to f, g, o if coupled.
        W: (d, 4d), hidden to gates; (p, 4d) with a projection.
        b: (4d,), or None.
        P: peepholes (3, d) of i, f, o as rows; (2, d) of f, o if coupled; or None.
        V: (d, p), the projection, or None.
        of_input, of_state, of_cell: the three N, of sizes 4d (3d if coupled), the same, and d.

    Source: Hochreiter and Schmidhuber, "Long short-term memory" (1997); Gers, Schraudolph and Schmidhuber, "Learning
    precise timing with LSTM recurrent networks" (2002), peepholes; Sak, Senior and Beaufays, "Long short-term memory
    recurrent neural network architectures for large scale acoustic modeling" (2014), projection; Greff et al., "LSTM:
    a search space odyssey" (2017), coupled gates; Jozefowicz, Zaremba and Sutskever, "An empirical exploration of
    recurrent network architectures" (2015), forget bias; Ba, Kiros and Hinton, "Layer normalization" (2016), eq. 20 to
    22, norm. All start uniform between ±1/√d, as PyTorch's do.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> ys, (h, c) = tr.unroll(tr.nn.LSTMCell(3, 4), np.zeros((7, 2, 3), np.float32))  # T = 7, B = 2
        >>> ys.shape, h.shape, c.shape
        ((7, 2, 4), (2, 4), (2, 4))
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        bias: bool = True,
        peepholes: bool = False,
        projection: int | None = None,
        coupled: bool = False,
        forget_bias: float = 0.0,
        norm: Callable[..., Any] | None = None,
        seed: init.Seed = None,
        dtype: Any = np.float32,
    ) -> None:
        if forget_bias and not bias:
            raise ValueError(f"LSTMCell: forget_bias={forget_bias} needs a bias to be added to; leave bias=True")
        self.inputs, self.units, self.projection, self.coupled = inputs, units, projection, coupled
        rng = init.generator(seed)
        gates = 3 if coupled else 4
        hidden = projection or units
        self.U = weight((inputs, gates * units), rng, units, dtype)
        self.W = weight((hidden, gates * units), rng, units, dtype)
        self.b = weight((gates * units,), rng, units, dtype) if bias else None
        self.P = weight((gates - 1, units), rng, units, dtype) if peepholes else None
        self.V = weight((units, projection), rng, units, dtype) if projection else None
        sizes = (gates * units, gates * units, units)
        self.of_input, self.of_state, self.of_cell = (norm(d, dtype=dtype) if norm else unchanged for d in sizes)
        if self.b is not None and forget_bias:
            self.b.data = self.b.data + init.forget_bias(units, forget_bias, "fgo" if coupled else "ifgo", dtype)

    def describe(self) -> str:
        """The expected input, for error messages."""
        n, d, p = self.inputs, self.units, self.outputs
        return (
            f"LSTMCell({n}, {d}) takes x of shape (B, {n}) or ({n},), and a state (h, c) of shapes (B, {p}) and "
            f"(B, {d}) or ({p},) and ({d},)."
        )

    def initial_state(self, x: Any) -> LSTMState:
        """Zeros (B, d) for a first input x of shape (B, n)."""
        return LSTMState(self.zeros(x, self.outputs), self.zeros(x, self.units))

    @property
    def outputs(self) -> int:
        """The size of the hidden state: p with a projection, else d."""
        return self.projection or self.units

    def forward(self, x: Any, state: Any) -> tuple[Any, LSTMState]:
        """Args: x (B, n), state (h, c). Returns: h' as output, and (h', c')."""
        if not isinstance(state, (tuple, list)):  # an array of two rows would be taken for a pair
            raise TypeError(f"the state of an LSTM is a pair (h, c), not one array. {self.describe()}")
        h, c = state
        a = self.of_input(x @ self.U) + self.of_state(h @ self.W)
        *a_i, a_f, a_g, a_o = np.split(a if self.b is None else a + self.b, 3 if self.coupled else 4, axis=-1)
        f = named("f", sigmoid(self._peeped(a_f, -2, c)))
        i = named("i", 1 - f if self.coupled else sigmoid(self._peeped(a_i[0], 0, c)))
        g = named("g", np.tanh(a_g))
        c = f * c + i * g
        o = named("o", sigmoid(self._peeped(a_o, -1, c)))
        h = o * np.tanh(self.of_cell(c))
        h = h if self.V is None else h @ self.V
        return h, LSTMState(h, c)

    def _peeped(self, a: Any, row: int, c: Any) -> Any:
        """A gate's argument, with the peephole's part of the cell state added."""
        return a if self.P is None else a + self.P[row] * c


class GRUCell(Cell):
    """The gated recurrent unit.

    With the gates r, z, n side by side:

        r, z = σ(x_t U + h_{t-1} W + b)
        n = tanh(x_t U_n + b_n + r ∘ (h_{t-1} W_n + b_hn))     reset after the product (PyTorch, cuDNN)
        n = tanh(x_t U_n + b_n + (r ∘ h_{t-1}) W_n)            reset before it (the published paper)
        h_t = (1 - z) ∘ n + z ∘ h_{t-1}

    Its output is its state; z = 1 keeps the old state.

    Args:
        inputs: n, the size of x.
        units: d, the size of the state.
        bias: whether there are b and b_hn.
        reset: "after" or "before" the product with W_n.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.

    Attributes:
        U: (n, 3d), input to gates r, z, n.
        W: (d, 3d), state to gates; with reset before (d, 2d), to r, z alone.
        W_n: (d, d), state after the reset gate to n; None with reset after.
        b: (3d,), or None.
        b_hn: (d,), the bias inside the reset product; None without bias and with reset before.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation"
    (2014), and version 1 of its preprint (arXiv 1406.1078) for reset after the product. All start uniform between
    ±1/√d, as PyTorch's do.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> ys, h = tr.unroll(tr.nn.GRUCell(3, 4), np.zeros((7, 2, 3), np.float32))  # T = 7, B = 2
        >>> ys.shape, h.shape
        ((7, 2, 4), (2, 4))
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        bias: bool = True,
        reset: str = "after",
        seed: init.Seed = None,
        dtype: Any = np.float32,
    ) -> None:
        if reset not in ("after", "before"):
            raise ValueError(f"GRUCell: reset is 'after' or 'before' the product, not {reset!r}")
        self.inputs, self.units, self.reset = inputs, units, reset
        rng = init.generator(seed)
        self.U = weight((inputs, 3 * units), rng, units, dtype)
        self.W = weight((units, (3 if reset == "after" else 2) * units), rng, units, dtype)
        self.W_n = weight((units, units), rng, units, dtype) if reset == "before" else None
        self.b = weight((3 * units,), rng, units, dtype) if bias else None
        self.b_hn = weight((units,), rng, units, dtype) if bias and reset == "after" else None

    def forward(self, x: Any, h: Any) -> tuple[Any, Any]:
        """Args: x (B, n), h (B, d). Returns: h' as output and as state."""
        x_r, x_z, x_n = np.split(x @ self.U if self.b is None else x @ self.U + self.b, 3, axis=-1)
        h_r, h_z, *h_n = np.split(h @ self.W, 3 if self.W_n is None else 2, axis=-1)
        r = named("r", sigmoid(x_r + h_r))
        z = named("z", sigmoid(x_z + h_z))
        if self.W_n is None:
            product = h_n[0] if self.b_hn is None else h_n[0] + self.b_hn
            a_n = x_n + r * product
        else:
            a_n = x_n + (r * h) @ self.W_n
        n = named("n", np.tanh(a_n))
        h = (1 - z) * n + z * h
        return h, h


class MGUCell(Cell):
    """The minimal gated unit, a GRU whose one gate does the work of both.

    With the gate f and the candidate n side by side:

        f = σ(x_t U_f + b_f + h_{t-1} W)
        n = tanh(x_t U_n + b_n + (f ∘ h_{t-1}) W_n)
        h_t = (1 - f) ∘ h_{t-1} + f ∘ n

    Its output is its state; f = 0 keeps the old state.

    Args:
        inputs: n, the size of x.
        units: d, the size of the state.
        bias: whether there is a b.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.

    Attributes:
        U: (n, 2d), input to f, n.
        W: (d, d), state to f.
        W_n: (d, d), state after the gate to n.
        b: (2d,), or None.

    Source: Zhou, Wu, Zhang and Zhou, "Minimal gated unit for recurrent neural networks" (2016), eq. 7. All start
    uniform between ±1/√d.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> ys, h = tr.unroll(tr.nn.MGUCell(3, 4), np.zeros((7, 2, 3), np.float32))  # T = 7, B = 2
        >>> ys.shape, h.shape
        ((7, 2, 4), (2, 4))
    """

    def __init__(
        self, inputs: int, units: int, *, bias: bool = True, seed: init.Seed = None, dtype: Any = np.float32
    ) -> None:
        self.inputs, self.units = inputs, units
        rng = init.generator(seed)
        self.U = weight((inputs, 2 * units), rng, units, dtype)
        self.W = weight((units, units), rng, units, dtype)
        self.W_n = weight((units, units), rng, units, dtype)
        self.b = weight((2 * units,), rng, units, dtype) if bias else None

    def forward(self, x: Any, h: Any) -> tuple[Any, Any]:
        """Args: x (B, n), h (B, d). Returns: h' as output and as state."""
        x_f, x_n = np.split(x @ self.U if self.b is None else x @ self.U + self.b, 2, axis=-1)
        f = named("f", sigmoid(x_f + h @ self.W))
        n = named("n", np.tanh(x_n + (f * h) @ self.W_n))
        h = (1 - f) * h + f * n
        return h, h
