"""Recurrent layers: cells run over whole sequences, stacked, in both directions, over padded batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import numpy as np

from ..autodiff.scope import scope
from ..autodiff.trees import tree_map
from . import init
from .compiled_cells import compiled, uncompiled
from .layers import Dropout
from .module import Module
from .through_time import (
    Padded,
    along_batch,
    by_step,
    checked_lengths,
    collected,
    masked,
    take_checkpointed_steps,
    take_truncated_steps,
    without_padding,
)
from .unroll import in_order, prepared, stacked, unroll

Layer = Any  # a cell, or a pair of cells: forward and reverse


class Options(TypedDict, total=False):
    """The options of a recurrent layer of any cells, as in ``Recurrent``."""

    bidirectional: bool
    dropout: float
    batch_first: bool
    truncate: int | tuple[int, int] | None
    checkpoint_every: int | None
    executor: str | None


class Recurrent(Module):
    """A layer that runs any cell, or a stack of cells, over a whole sequence.

    Called as ``output, state = layer(x, state)``.

    Args:
        cells: one cell; or a list of layers, the lowest first. A layer is a cell or, to go through time in both
            directions, a pair of cells, forward and reverse, whose outputs are joined along the last axis. Or, with
            ``inputs``, a function that makes a cell from the size of its inputs, called once for each cell.
        inputs: n, the size of the lowest layer's input, if ``cells`` is a function.
        num_layers: the number of layers to make.
        bidirectional: True if each layer goes through time in both directions.
        dropout: the probability with which an output of any layer but the last is zeroed in training.
        batch_first: True if x and output are (B, T, ...) instead of (T, B, ...). States never are.
        truncate: k, for truncated BPTT: no gradient flows from a step to steps before its chunk of k steps.
            Or ``(k1, k2)``: the outputs of every k1 steps look back through the last k2.
        checkpoint_every: k, for long sequences: only the outputs, and the state after every k steps, are kept; the rest
            is computed again in the backward pass. With k near √T the memory beside inputs and outputs grows with √T,
            for one more forward pass.
        executor: "numpy", "llvm" or "auto", to run the loops over time compiled, as with ``tinygrad_rnn.compile``.
        seed: for dropout: an int, a numpy.random.Generator, or None for the package's own.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> layer = tr.nn.Recurrent([tr.nn.GRUCell(3, 4), (tr.nn.RNNCell(4, 2), tr.nn.RNNCell(4, 2))])
        >>> x = np.zeros((7, 5, 3), np.float32)  # T = 7, B = 5
        >>> output, (lower, forward, reverse) = layer(x, lengths=[7, 3, 1, 0, 2])
        >>> output.shape, lower.shape, reverse.shape
        ((7, 5, 4), (5, 4), (5, 2))

        A stack of cells of one kind; they share a generator, so that each starts with other values:

        >>> rng = np.random.default_rng(0)
        >>> make = lambda n: tr.nn.MGUCell(n, 4, seed=rng)
        >>> layer = tr.nn.Recurrent(make, inputs=3, num_layers=2, bidirectional=True, dropout=0.5, seed=rng)
        >>> layer(x)[0].shape
        (7, 5, 8)
    """

    def __init__(
        self,
        cells: Layer | Sequence[Layer] | Callable[[int], Any],
        *,
        inputs: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
        truncate: int | tuple[int, int] | None = None,
        checkpoint_every: int | None = None,
        executor: str | None = None,
        seed: init.Seed = None,
    ) -> None:
        layers: Any = cells if inputs is None else self._made(cells, inputs, num_layers, bidirectional)
        if inputs is None and (num_layers != 1 or bidirectional):
            raise ValueError(
                "Recurrent: each layer and direction needs a cell of its own. Pass a function that makes one, and "
                "inputs=, as in Recurrent(lambda n: GRUCell(n, 8, seed=rng), inputs=3, num_layers=2); or a list"
            )
        if inputs is None and inspect.isfunction(cells) and len(inspect.signature(cells).parameters) == 1:
            raise TypeError(
                "Recurrent: a function of one argument, which makes a cell from the size of its inputs, needs that "
                "size: inputs=3. A cell itself is a function of x and the state"
            )
        self.layers: list[Layer] = list(layers) if isinstance(layers, list) else [layers]
        if not self.layers:
            raise ValueError(f"{type(self).__name__}: a stack needs at least one layer")
        for layer in self.layers:
            if isinstance(layer, tuple) and len(layer) != 2:
                raise ValueError(f"a layer is a cell or a pair of cells, forward and reverse, not {len(layer)} of them")
        self.between = Dropout(dropout, seed=seed)
        self.batch_first = batch_first
        self.truncate = self._checked_windows(truncate)
        self.checkpoint_every = checkpoint_every
        if checkpoint_every is not None and not _is_count(checkpoint_every):
            raise ValueError(f"checkpoint_every={checkpoint_every}: a whole number of steps, 1 or more")
        if checkpoint_every is not None and truncate is not None:
            raise ValueError(
                f"checkpoint_every={checkpoint_every} doesn't go with truncate={truncate}, which keeps memory small in "
                "its own way"
            )
        if executor is not None:
            if truncate is not None:
                raise ValueError(
                    f"executor={executor!r}: a compiled loop goes through all of its steps, and this layer cuts the "
                    f"graph on the way (truncate={truncate})"
                )
            self.layers = [compiled(layer, executor) for layer in self.layers]

    def _made(self, make_cell: Any, inputs: int, num_layers: int, bidirectional: bool) -> list[Layer]:
        """The layers of new cells, each made for the size of the output below it."""
        if not _is_count(num_layers):
            raise ValueError(f"{type(self).__name__}: num_layers is a whole number, 1 or more, not {num_layers!r}")
        if isinstance(uncompiled(make_cell), (Module, list, tuple)):
            raise TypeError(
                f"{type(self).__name__}: with inputs= pass a function that makes a cell from the size of its inputs, "
                f"not {type(make_cell).__name__}"
            )
        layers: list[Layer] = []
        for number in range(num_layers):
            if number:
                inputs = sum(cell.outputs for cell, _ in _directions(layers[-1]))
            layers.append((make_cell(inputs), make_cell(inputs)) if bidirectional else make_cell(inputs))
        return layers

    def _checked_windows(self, truncate: int | tuple[int, int] | None) -> tuple[int, int] | None:
        if truncate is None:
            return None
        k1, k2 = truncate if isinstance(truncate, (tuple, list)) else (truncate, truncate)
        if not (_is_count(k1) and _is_count(k2) and k1 <= k2):
            raise ValueError(f"truncate=k or (k1, k2) takes whole numbers of steps, 1 ≤ k1 ≤ k2, not {truncate}")
        if k1 < k2 and len(self.layers) > 1:
            raise ValueError(
                f"truncate={truncate}: layer by layer, windows that overlap would reach back further than k2, through "
                "the windows of the layer below. Put the layers into one cell, so that one window is around them all: "
                "Recurrent(StackedCell([...]), truncate=(k1, k2))"
            )
        return k1, k2

    def forward(
        self, x: Any, state: Any = None, *, lengths: Any = None, return_states: bool = False
    ) -> tuple[Any, ...]:
        """Run the layers over a sequence.

        Args:
            x: (T, B, n), or (B, T, n) with ``batch_first``; (T, n) without a batch.
            state: the states before the first step, in the form in which they are returned; None for the cells' own.
            lengths: (B,), the lengths of the sequences in a padded batch. The values in the padding don't matter, not
                even NaN. Outputs there are zero; the final state is the state at each sequence's own end, at which the
                reverse direction starts.
            return_states: True to return every state, and every value labelled with ``named``, too.

        Returns:
            ``(output, state)``: the outputs of the last layer, (T, B, d), and the state after the last step: the cell's
            state if there is one cell, else a tuple of the states of all cells, lower layers first, forward before
            reverse. With ``return_states`` also a list with, for each cell in the same order, a dict of arrays (T, B,
            ...) by name ("h", "c", "f", ...), zero in the padding. A named value whose first axis isn't the batch is
            returned as it is, (T, ...).
        """
        batched = np.ndim(x) > 2
        if self.batch_first and batched:
            x = np.swapaxes(x, 0, 1)
        if return_states and self.checkpoint_every is not None:
            raise ValueError("return_states=True keeps every value, and checkpoint_every almost none; use one of them")
        lengths = None if lengths is None else checked_lengths(lengths, np.shape(x))
        valid = None
        states = self._states_in(state)
        finals: list[Any] = []
        insides: list[dict[str, Any]] = []
        for number, layer in enumerate(self.layers):
            if number:
                x = self.between(x)
            if lengths is not None:
                x, valid = without_padding(x, lengths)
            outputs = []
            for cell, reverse in _directions(layer):
                place = f"{number}.reverse" if reverse else number
                if return_states:
                    cell = uncompiled(cell)  # compiled code keeps nothing but its outputs
                with scope(layer=place), collected(return_states) as found:
                    y, final = self._run(cell, x, states[len(finals)], valid, reverse)
                finals.append(final)
                outputs.append(y)
                insides.append({name: _value_masked(a, valid) for name, a in by_step(found, len(y)).items()})
            x = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
        output = np.swapaxes(x, 0, 1) if self.batch_first and batched else x
        state = self._states_out(finals)
        return (output, state, insides) if return_states else (output, state)

    def _run(self, cell: Any, xs: Any, state: Any, valid: Any, reverse: bool) -> tuple[Any, Any]:
        """Run a cell over the whole sequence."""
        if valid is None and self.in_one_go:
            return unroll(cell, xs, state, reverse=reverse)
        inputs, state, steps = prepared(uncompiled(cell), xs, state, None)
        if valid is not None:
            cell, inputs = masked(cell), Padded(inputs, valid)
        if self.in_one_go or not steps:
            ys, state = unroll(cell, inputs, state, reverse=reverse)
        elif self.truncate is not None:
            outputs, state = take_truncated_steps(cell, inputs, state, in_order(steps, reverse), *self.truncate)
            ys = stacked(outputs, reverse)
        else:
            assert self.checkpoint_every is not None
            order = in_order(steps, reverse)
            pieces, state = take_checkpointed_steps(cell, inputs, state, order, self.checkpoint_every)
            ys = pieces[0] if len(pieces) == 1 else np.concatenate(pieces[::-1] if reverse else pieces)
        return _masked(ys, valid), state

    def cells(self) -> list[Any]:
        """The cells, in the order of the states: lower layers first, forward before reverse."""
        return [cell for layer in self.layers for cell, _ in _directions(layer)]

    @property
    def in_one_go(self) -> bool:
        """True if the layer goes through time in one loop, neither truncated nor with checkpoints."""
        return self.truncate is None and self.checkpoint_every is None

    @property
    def bidirectional(self) -> bool:
        """True if the last layer goes through time in both directions."""
        return isinstance(self.layers[-1], tuple)

    @property
    def outputs(self) -> int:
        """The size of the output's last axis."""
        cells = [uncompiled(cell) for cell, _ in _directions(self.layers[-1])]
        if not all(hasattr(cell, "outputs") for cell in cells):
            raise TypeError(
                "the size of this layer's output isn't known, as its cell is no nn.Cell: make it one, a class with "
                "inputs and units, or give its class an attribute outputs"
            )
        return sum(cell.outputs for cell in cells)

    def _states_in(self, state: Any) -> list[Any]:
        """The initial state of each cell."""
        cells = self.cells()
        if state is None or len(cells) == 1:
            return [state] * len(cells)
        if not isinstance(state, (tuple, list)) or len(state) != len(cells):
            given = f"{type(state).__name__} of {len(state)}" if hasattr(state, "__len__") else type(state).__name__
            raise ValueError(f"Recurrent: {len(cells)} cells need a tuple of {len(cells)} states, not a {given}")
        return list(state)

    def _states_out(self, states: list[Any]) -> Any:
        """The final states in the form in which they are returned."""
        return states[0] if len(states) == 1 else tuple(states)


def _directions(layer: Layer) -> list[tuple[Any, bool]]:
    """The cells of a layer, each with True if it runs in reverse."""
    return [(layer[0], False), (layer[1], True)] if isinstance(layer, tuple) else [(layer, False)]


def _is_count(n: Any) -> bool:
    """Return True for a whole number from 1."""
    return isinstance(n, (int, np.integer)) and bool(n >= 1)


def _masked(tree: Any, valid: Any) -> Any:
    """Arrays (T, B, ...) with zeros in the padding."""
    return tree if valid is None else tree_map(lambda a: np.where(along_batch(valid, a), a, 0), tree)


def _value_masked(values: Any, valid: Any) -> Any:
    """The named values of the steps, with zeros in the padding if they have a row for each sequence."""
    return values if valid is None or np.shape(values)[:2] != valid.shape else _masked(values, valid)
