"""``RNN``, ``LSTM`` and ``GRU``: stacks of cells of one kind, with PyTorch's options and PyTorch's layout of states."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff.trees import leaves, tree_map
from . import init
from .cells import GRUCell, LSTMCell, RNNCell
from .cells.elman import Activation
from .recurrent import Options, Recurrent

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in the standard library only from Python 3.11 on


class _Stack(Recurrent):
    """The common base of ``RNN``, ``LSTM`` and ``GRU``: cells of one kind, with states in PyTorch's layout.

    A state is one array for all layers and directions, (num_layers · num_directions, B, d), lower layers first, forward
    before reverse.
    """

    def describe(self) -> str:
        """The expected input, for error messages."""
        n = self.cells()[0].inputs
        batch = f"(B, T, {n})" if self.batch_first else f"(T, B, {n})"
        return f"{type(self).__name__} takes x of shape {batch} or (T, {n})."

    def forward(
        self, x: Any, state: Any = None, *, lengths: Any = None, return_states: bool = False
    ) -> tuple[Any, ...]:
        """Run the layer; states are (num_layers · num_directions, B, d), else as ``Recurrent.forward``."""
        shape, is_of_numbers = np.shape(x), self.cells()[0].inputs == 1
        if len(shape) not in ((3,) if lengths is not None else (2, 3)) or (is_of_numbers and shape[-1] != 1):
            padded = ", and a padded batch if it gets lengths" if lengths is not None else ""
            flat = " Numbers without an axis of features are x[..., None]." if is_of_numbers else ""
            raise ValueError(f"x has shape {shape}. {self.describe().removesuffix('.')}{padded}.{flat}")
        return super().forward(x, state, lengths=lengths, return_states=return_states)

    def _states_in(self, state: Any) -> list[Any]:
        cells = self.cells()
        if state is None:
            return [state] * len(cells)
        shapes = [np.shape(part) for part in leaves(state)]
        if any(shape[:1] != (len(cells),) for shape in shapes):
            raise ValueError(
                f"{type(self).__name__}: the state has one row for each layer and direction, "
                f"({len(cells)}, B, d), not {', '.join(map(str, shapes))}"
            )
        return [tree_map(operator.itemgetter(i), state) for i in range(len(cells))]

    def _states_out(self, states: list[Any]) -> Any:
        return tree_map(lambda *parts: np.stack(parts), *states)


class RNN(_Stack):
    """Layers of Elman cells; see ``RNNCell``.

    Called as ``output, h = layer(x, h, lengths=None, return_states=False)``; see ``Recurrent.forward``.

    Args:
        inputs: n, the size of x.
        units: d, the size of the state.
        num_layers: L, the number of layers on top of each other.
        activation: "tanh", "relu", "sigmoid", or any function.
        bias: True for biases.
        seed: for the parameters and for dropout: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.
        **options: ``bidirectional``, ``dropout``, ``batch_first``, ``truncate``, ``checkpoint_every`` and ``executor``,
            as in ``Recurrent``. In both directions outputs are (T, B, 2d).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> layer = tr.nn.RNN(3, 4, num_layers=2, bidirectional=True)
        >>> output, h = layer(np.zeros((7, 5, 3), np.float32))  # T = 7, B = 5
        >>> output.shape, h.shape
        ((7, 5, 8), (4, 5, 4))
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        num_layers: int = 1,
        activation: Activation = "tanh",
        *,
        bias: bool = True,
        seed: init.Seed = None,
        dtype: Any = np.float32,
        **options: Unpack[Options],
    ) -> None:
        rng = init.generator(seed)
        cell = lambda n: RNNCell(n, units, activation, bias=bias, seed=rng, dtype=dtype)  # noqa: E731
        super().__init__(cell, inputs=inputs, num_layers=num_layers, seed=rng, **options)


class LSTM(_Stack):
    """Layers of LSTM cells; see ``LSTMCell``.

    Called as ``output, (h, c) = layer(x, (h, c), lengths=None, return_states=False)``; see ``Recurrent.forward``.

    Args:
        inputs: n, the size of x.
        units: d, the size of the state.
        num_layers: L, the number of layers on top of each other.
        bias: True for biases.
        peepholes: True if the gates see the cell state.
        projection: the size of a linear projection of the hidden state; None for none.
        coupled: True if the input gate is 1 - f.
        forget_bias: added to the forget gate's bias at the start.
        norm: the normalisation of products and cell state, such as ``nn.LayerNorm``; None for none.
        seed: for the parameters and for dropout: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.
        **options: ``bidirectional``, ``dropout``, ``batch_first``, ``truncate``, ``checkpoint_every`` and ``executor``,
            as in ``Recurrent``. In both directions outputs are (T, B, 2d).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> layer = tr.nn.LSTM(3, 4, batch_first=True)
        >>> output, (h, c) = layer(np.zeros((5, 7, 3), np.float32), lengths=[7, 3, 1, 0, 2])  # B = 5, T = 7
        >>> output.shape, h.shape, c.shape
        ((5, 7, 4), (1, 5, 4), (1, 5, 4))
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        peepholes: bool = False,
        projection: int | None = None,
        coupled: bool = False,
        forget_bias: float = 0.0,
        norm: Callable[..., Any] | None = None,
        seed: init.Seed = None,
        dtype: Any = np.float32,
        **options: Unpack[Options],
    ) -> None:
        rng = init.generator(seed)
        variant: dict[str, Any] = {"peepholes": peepholes, "projection": projection, "coupled": coupled, "norm": norm}
        variant |= {"bias": bias, "forget_bias": forget_bias}
        cell = lambda n: LSTMCell(n, units, seed=rng, dtype=dtype, **variant)  # noqa: E731
        super().__init__(cell, inputs=inputs, num_layers=num_layers, seed=rng, **options)


class GRU(_Stack):
    """Layers of GRU cells; see ``GRUCell``.

    Called as ``output, h = layer(x, h, lengths=None, return_states=False)``; see ``Recurrent.forward``.

    Args:
        inputs: n, the size of x.
        units: d, the size of the state.
        num_layers: L, the number of layers on top of each other.
        bias: True for biases.
        reset: the place of the reset gate, "after" or "before" the product.
        seed: for the parameters and for dropout: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.
        **options: ``bidirectional``, ``dropout``, ``batch_first``, ``truncate``, ``checkpoint_every`` and ``executor``,
            as in ``Recurrent``. In both directions outputs are (T, B, 2d).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> layer = tr.nn.GRU(3, 4)
        >>> output, h, inside = layer(np.zeros((7, 5, 3), np.float32), return_states=True)
        >>> sorted(inside[0]), inside[0]["z"].shape
        (['h', 'n', 'r', 'z'], (7, 5, 4))
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        reset: str = "after",
        seed: init.Seed = None,
        dtype: Any = np.float32,
        **options: Unpack[Options],
    ) -> None:
        rng = init.generator(seed)
        cell = lambda n: GRUCell(n, units, bias=bias, reset=reset, seed=rng, dtype=dtype)  # noqa: E731
        super().__init__(cell, inputs=inputs, num_layers=num_layers, seed=rng, **options)
