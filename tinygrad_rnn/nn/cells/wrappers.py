"""Cells made of cells: wrappers that work around any cell, also a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff import scope
from ...autodiff.trees import children, keys, leaves, paths, rebuild, tree_map, unflatten
from .. import init
from ..layers import Dropout, LayerNorm, probability
from ..unroll import Noisy, initial_state_of, one_step, state_names
from .base import Cell, dtype_of


class Wrapper(Cell):
    """A cell around another cell, with the same inputs and the same initial state.

    Args:
        cell: any cell; the wrapper has its ``inputs`` and ``units``.
    """

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        for size in ("inputs", "units"):
            if hasattr(cell, size):
                setattr(self, size, getattr(cell, size))

    def describe(self) -> str:
        """The expected input, for error messages."""
        return self.cell.describe() if hasattr(self.cell, "describe") else ""

    @property
    def outputs(self) -> int:
        """The size of the output's last axis, that of the cell inside."""
        return self.cell.outputs

    def initial_state(self, x: Any) -> Any:
        """The initial state of the cell inside."""
        return initial_state_of(self.cell, x)

    def draw(self, x: Any, state: Any, steps: int) -> Any:
        """The random numbers of the cell inside, drawn before the loop."""
        return self.cell.draw(x, state, steps) if hasattr(self.cell, "draw") else None

    def on_hidden(self, f: Callable[[Any], Any], state: Any) -> Any:
        """A state with a function applied to its hidden component, that of the cell inside."""
        return on_hidden_of(self.cell, f, state)


class ResidualCell(Wrapper):
    """A cell that adds its input to its output, ``y + x``, so that gradients can bypass each cell of a stack.

    Args:
        cell: any cell whose output has the size of its input.

    Source: Wu et al., "Google's neural machine translation system" (2016), section 3.1.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> ys, _ = tr.unroll(tr.nn.ResidualCell(tr.nn.GRUCell(4, 4)), np.zeros((7, 2, 4), np.float32))
        >>> ys.shape
        (7, 2, 4)
    """

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Run a step of the cell inside, and add its input to its output."""
        y, state = one_step(self.cell, x, state)
        x = x.x if isinstance(x, Noisy) else x
        if np.shape(x) != np.shape(y):
            raise ValueError(f"ResidualCell adds input and output, but they are {np.shape(x)} and {np.shape(y)}")
        return y + x, state


class LayerNormCell(Wrapper):
    """A cell that normalises its input, and the hidden state before it is used again.

    Each has a gain and a bias of its own. If a state has several components, the one called h is normalised, so an
    LSTM's memory c stays untouched.

    This works around any cell. The cells of Ba et al. normalise inside instead, the products of input and state with
    the matrices: use ``LSTMCell(n, d, norm=LayerNorm)`` or, for Elman's cell, normalise as a part of the activation,
    ``RNNCell(n, d, Sequential(LayerNorm(d), np.tanh), bias=False)``.

    Args:
        cell: any cell.
        inputs: the size of x; by default the cell's.
        units: the size of h; by default the cell's.
        eps: added to the variance.
        dtype: of the parameters; by default that of the cell.

    Attributes:
        of_input: the LayerNorm of x.
        of_state: the LayerNorm of h.

    Raises:
        ValueError: the input is a single number, which normalising would make 0; or the cell is a function, and
            ``inputs`` isn't given.

    Source: after Ba, Kiros and Hinton, "Layer normalization" (2016).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> ys, (h, c) = tr.unroll(tr.nn.LayerNormCell(tr.nn.LSTMCell(3, 4)), np.zeros((7, 2, 3), np.float32))
        >>> ys.shape
        (7, 2, 4)
    """

    def __init__(
        self, cell: Any, *, inputs: int | None = None, units: int | None = None, eps: float = 1e-5, dtype: Any = None
    ) -> None:
        super().__init__(cell)
        inputs = getattr(self, "inputs", None) if inputs is None else inputs
        if inputs is None:
            raise ValueError("LayerNormCell: a function's sizes aren't known; pass inputs= and units=")
        if inputs == 1:
            raise ValueError("LayerNormCell: one number, less its own mean, is always 0; put a Linear layer before it")
        if units is None:
            units = np.shape(hidden(self.initial_state(np.zeros(inputs))))[-1]
        dtype = dtype_of(self) if dtype is None else dtype
        self.of_input = LayerNorm(inputs, eps=eps, dtype=dtype)
        self.of_state = LayerNorm(units, eps=eps, dtype=dtype)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Run a step of the cell inside on the normalised input and hidden state."""
        return one_step(self.cell, on_input(self.of_input, x), on_hidden(self.of_state, state))


class DropoutNoise(NamedTuple):
    """The random numbers of a ``DropoutCell``."""

    x_mask: Any  # the factors of x, the same at every step; None for no dropout
    h_mask: Any  # the factors of h, the same at every step; None for no dropout
    inner: Any  # the random numbers of the cell inside


class DropoutCell(Wrapper):
    """Variational dropout: the same units of input and hidden state are dropped at every step of a sequence.

    If a state has several components, the one called h is masked.

    Args:
        cell: any cell.
        p_input: the probability with which an element of x is dropped.
        p_state: the probability with which an element of h is dropped.
        seed: an int, a numpy.random.Generator, or None for the package's own.

    Source: Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks" (2016),
    eq. 7.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> cell = tr.nn.DropoutCell(tr.nn.GRUCell(3, 4), p_input=0.0, p_state=0.5)
        >>> ys, h = tr.unroll(cell, np.zeros((7, 2, 3), np.float32))
        >>> ys.shape, h.shape
        ((7, 2, 4), (2, 4))
    """

    def __init__(self, cell: Any, p_input: float = 0.5, p_state: float = 0.5, *, seed: init.Seed = None) -> None:
        super().__init__(cell)
        rng = init.generator(seed)
        self.of_input, self.of_state = Dropout(p_input, seed=rng), Dropout(p_state, seed=rng)

    def draw(self, x: Any, state: Any, steps: int) -> DropoutNoise:
        """The masks, the same for all steps, (steps, B, n) and (steps, B, d); None outside training."""
        h = hidden(state)
        x_mask, h_mask = (
            np.broadcast_to(dropout.mask(np.shape(a), h.dtype), (steps, *np.shape(a)))
            if self.training and dropout.p
            else None
            for dropout, a in ((self.of_input, x), (self.of_state, h))
        )
        return DropoutNoise(x_mask, h_mask, super().draw(x, state, steps))

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Run a step of the cell inside, with dropout."""
        x, (x_mask, h_mask, inner) = x
        x = x if x_mask is None else x * x_mask
        state = state if h_mask is None else on_hidden(lambda h: h * h_mask, state)
        return one_step(self.cell, x if inner is None else Noisy(x, inner), state)


class ZoneoutNoise(NamedTuple):
    """The random numbers of a ``ZoneoutCell``."""

    kept: Any  # for each component of the state, the share of the old value that is kept: 0 or 1 in training, else p
    inner: Any  # the random numbers of the cell inside


class ZoneoutCell(Wrapper):
    """Zoneout: in training, each element of the state keeps its old value with probability p, at each step anew.

    Outside training, the state is the mean of both, ``p old + (1 - p) new``. If the cell's output is its hidden state,
    the output is the new mean or mixture, too.

    Args:
        cell: any cell.
        p: the probability; or one for each component of the state by its name, such as ``{"h": 0.05, "c": 0.5}``.
        seed: an int, a numpy.random.Generator, or None for the package's own.

    Source: Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations" (2017), eq. 5 to 7.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> ys, h = tr.unroll(tr.nn.ZoneoutCell(tr.nn.GRUCell(3, 4), 0.1), np.zeros((7, 2, 3), np.float32))
        >>> ys.shape, h.shape
        ((7, 2, 4), (2, 4))
    """

    def __init__(self, cell: Any, p: float | Mapping[str, float] = 0.1, *, seed: init.Seed = None) -> None:
        super().__init__(cell)
        for value in p.values() if isinstance(p, Mapping) else [p]:
            probability(value, "ZoneoutCell: p")
        self.p = p
        self.generator = init.generator(seed)

    def draw(self, x: Any, state: Any, steps: int) -> ZoneoutNoise:
        """The masks of the components of the state that are kept at each step: (steps, B, d)."""
        kept = [self._kept(name, leaf, steps) for name, leaf in zip(state_names(state), leaves(state))]
        return ZoneoutNoise(unflatten(state, iter(kept)), super().draw(x, state, steps))

    def _kept(self, name: str, leaf: Any, steps: int) -> np.ndarray:
        if isinstance(self.p, Mapping) and name not in self.p:
            raise ValueError(f"ZoneoutCell: p has no probability for {name!r}, a component of the state")
        p = self.p[name] if isinstance(self.p, Mapping) else self.p
        shape = (steps, *np.shape(leaf))
        drawn = self.generator.random(shape) < p if self.training else np.full(shape, p)
        return drawn.astype(leaf.dtype if leaf.dtype.kind == "f" else np.float64)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Run a step of the cell inside, and keep the old value of some elements of the state."""
        x, (kept, inner) = x
        y, after = one_step(self.cell, x if inner is None else Noisy(x, inner), state)
        mixed = tree_map(lambda k, old, new: k * old + (1 - k) * new, kept, state, after)
        return (hidden(mixed) if has_hidden(after) and y is hidden(after) else y), mixed


class StackedCell(Cell):
    """Cells one above the other, as one cell: the output of each is the input of the next.

    Its output is that of the last cell; its state is a tuple of the cells' states.

    Args:
        cells: the cells, the lowest first.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> cell = tr.nn.StackedCell([tr.nn.GRUCell(3, 4), tr.nn.LSTMCell(4, 5)])
        >>> ys, (lower, upper) = tr.unroll(cell, np.zeros((7, 2, 3), np.float32))
        >>> ys.shape, lower.shape, upper.c.shape
        ((7, 2, 5), (2, 4), (2, 5))
    """

    def __init__(self, cells: Sequence[Any]) -> None:
        self.cells = list(cells)
        if not self.cells:
            raise ValueError("StackedCell: a stack needs at least one cell")
        if hasattr(self.cells[0], "inputs"):
            self.inputs = self.cells[0].inputs
        if hasattr(self.cells[-1], "units"):
            self.units = self.cells[-1].units

    def describe(self) -> str:
        """The expected input, for error messages."""
        return self.cells[0].describe() if hasattr(self.cells[0], "describe") else ""

    @property
    def outputs(self) -> int:
        """The size of the output's last axis, that of the last cell."""
        return self.cells[-1].outputs

    def initial_state(self, x: Any) -> tuple[Any, ...]:
        """The initial states of the cells, each for a first input of its own size."""
        return tuple(initial_state_of(cell, first) for cell, first in zip(self.cells, self._alike(x)))

    def draw(self, x: Any, state: Any, steps: int) -> tuple[Any, ...] | None:
        """The random numbers of each cell, drawn before the loop; None if no cell draws any."""
        drawn = tuple(
            cell.draw(first, before, steps) if hasattr(cell, "draw") else None
            for cell, first, before in zip(self.cells, self._alike(x), state)
        )
        return None if all(noise is None for noise in drawn) else drawn

    def on_hidden(self, f: Callable[[Any], Any], state: Any) -> tuple[Any, ...]:
        """A state with a function applied to the hidden component of each cell's state."""
        return tuple(on_hidden_of(cell, f, part) for cell, part in zip(self.cells, state))

    def _alike(self, x: Any) -> list[Any]:
        """The arrays that have the shapes of the cells' first inputs."""
        sizes = [getattr(cell, "inputs", None) for cell in self.cells]
        return [x if n is None else np.zeros((*np.shape(x)[:-1], n), np.float32) for n in sizes]

    def forward(self, x: Any, state: Any) -> tuple[Any, tuple[Any, ...]]:
        """Run a step of each cell."""
        y, drawn = x if isinstance(x, Noisy) else Noisy(x, [None] * len(self.cells))
        after = []
        for number, (cell, noise, before) in enumerate(zip(self.cells, drawn, state)):
            with scope(layer=number):
                y, new = one_step(cell, y if noise is None else Noisy(y, noise), before)
            after.append(new)
        return y, tuple(after)


# --- inputs with noise, and states with a component h ----------------------------------------------------------------


def on_input(f: Callable[[Any], Any], x: Any) -> Any:
    """Apply a function to the input, leaving noise beside it unchanged."""
    return x._replace(x=f(x.x)) if isinstance(x, Noisy) else f(x)


def has_hidden(state: Any) -> bool:
    """Return True if it is clear which component of a state is the hidden one."""
    return children(state) is None or "h" in paths(state)


def on_hidden(f: Callable[[Any], Any], state: Any) -> Any:
    """Apply a function to the hidden component of a state: its only one, or the one called h.

    Raises:
        TypeError: no component has that name.
    """
    if children(state) is None:
        return f(state)
    parts = children(state) or []
    if "h" in keys(state):
        return rebuild(state, [f(part) if key == "h" else part for key, part in zip(keys(state), parts)])
    raise TypeError(
        f"which component of a state ({', '.join(state_names(state))}) is the hidden one? Make the state a NamedTuple, "
        "a dataclass or a dict in which it is called h; in a StackedCell, wrap each cell by itself"
    )


def on_hidden_of(cell: Any, f: Callable[[Any], Any], state: Any) -> Any:
    """Apply a function to the hidden component of a cell's state, or to each one if the cell is made of cells."""
    return cell.on_hidden(f, state) if hasattr(cell, "on_hidden") else on_hidden(f, state)


def hidden(state: Any) -> Any:
    """The hidden component of a state."""
    return hidden_of(None, state)


def hidden_of(cell: Any, state: Any) -> Any:
    """The hidden component of a cell's state; for a stack, that of its last cell."""
    found: list[Any] = []
    on_hidden_of(cell, lambda h: found.append(h) or h, state)  # type: ignore[func-returns-value]
    return found[-1]
