"""Other loops over time than the plain one: truncated BPTT, BPTT with less memory, padded batches, collected states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

import numpy as np

from ..autodiff import checkpoint, stop_gradient
from ..autodiff.scope import Label, changed, context
from ..autodiff.tensor import Tensor
from ..autodiff.trees import leaves, tree_map
from .compiled_cells import is_compiled, uncompiled
from .unroll import Cell, label_start, one_step, stacked, take_steps

# --- truncated backpropagation through time --------------------------------------------------------------------------


def take_truncated_steps(cell: Cell, inputs: Any, state: Any, order: range, k1: int, k2: int) -> tuple[list[Any], Any]:
    """Take steps so that gradients from every ``k1`` steps flow back through the last ``k2`` steps and no further.

    Each window of ``k2`` steps starts from a state that counts as a constant. If windows overlap, the steps that
    lead up to the window's own ``k1`` are run once more, from the recorded state: same values, another graph.

    Source: Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories" (1990), BPTT(h; h'); the letters are those of Sutskever, "Training recurrent neural networks" (2013).
    """
    label_start(state)
    states = {0: state}  # the first window starts from the given state, and gradients flow to it
    outputs: list[Any] = []
    for end in range(k1, len(order) + k1, k1):
        start = max(0, end - k2)
        _, state = take_steps(cell, inputs, states[start], order[start : end - k1])
        for position in range(end - k1, min(end, len(order))):
            y, state = take_steps(cell, inputs, state, order[position : position + 1])
            outputs += y
            states[position + 1] = stop_gradient(state)
        states = {position: s for position, s in states.items() if position >= end + k1 - k2}
    return outputs, state


# --- backpropagation through time with less memory -------------------------------------------------------------------


def take_checkpointed_steps(cell: Cell, inputs: Any, state: Any, order: range, every: int) -> tuple[list[Any], Any]:
    """Take steps in pieces, and keep of each piece only its outputs and the state at its end.

    All else is computed again in the backward pass. With ``every`` near √T, about √T states are kept at any
    time instead of T, for one more forward pass. A compiled cell runs these few steps as one call, and the next ones in
    the same memory.

    Returns:
        The outputs in pieces, one array for each piece, in the order of the steps taken; and the final state.

    Source: Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost" (2016).
    """
    reverse, plain = order.step < 0, uncompiled(cell)
    if context.trace is not None:
        from ..compiler.checkpointed import unroll_checkpointed  # not needed by uncompiled models

        ys, state = unroll_checkpointed(partial(one_step, plain), inputs, state, len(order), reverse, every)
        return [ys], state
    label_start(state)
    pieces = []
    for start in range(0, len(order), every):
        numbers = order[start : start + every]
        first, last = min(numbers), max(numbers)

        def one_by_one(inputs: Any, state: Any, numbers: range = numbers, skipped: int = first - 1) -> tuple[Any, Any]:
            outputs, state = take_steps(plain, inputs, state, numbers, skipped)
            return stacked(outputs, reverse), state

        def chunk(inputs: Any, state: Any, steps: int = len(numbers), eager: Any = one_by_one) -> tuple[Any, Any]:
            if not is_compiled(cell):
                return eager(inputs, state)
            return cell.over_time(inputs, state, steps, reverse, partial(one_step, plain), eager)

        # Each piece gets its own inputs, so that its gradients are as long as the piece, not as the sequence.
        own = tree_map(lambda a: a[first - 1 : last], inputs)  # noqa: B023
        piece, state = checkpoint(chunk)(own, state)
        pieces.append(piece)
    return pieces, state


# --- batches of sequences of unequal length --------------------------------------------------------------------------


def within_lengths(lengths: Any, shape: tuple[int, ...], batch_first: bool = False) -> Any:
    """A mask of the steps of a padded batch, (T, B) or (B, T): False after the end of a sequence."""
    steps_and_batch = shape[1::-1] if batch_first else shape[:2]
    valid = np.arange(steps_and_batch[0])[:, None] < checked_lengths(lengths, steps_and_batch)
    return valid.T if batch_first else valid


def checked_lengths(lengths: Any, shape: tuple[int, ...]) -> Any:
    """The lengths of the sequences in a padded batch of shape (T, B, ...), as an array (B,).

    In a function that is traced, lengths among its arguments stay a Tensor, whose numbers can't be looked at.

    Raises:
        ValueError: the lengths don't fit the batch.
    """
    if len(shape) < 2:
        raise ValueError(f"lengths= are for a padded batch (T, B, ...); this one is of shape {shape}")
    is_traced = context.trace is not None and isinstance(lengths, Tensor)
    lengths = lengths if is_traced else np.asarray(lengths)
    steps, batch = shape[:2]
    if lengths.shape != (batch,) or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"lengths: {batch} whole numbers are needed for a batch of {batch} sequences, not {lengths.dtype} of shape "
            f"{lengths.shape}"
        )
    if not is_traced and lengths.size and (lengths.min() < 0 or lengths.max() > steps):
        raise ValueError(f"lengths must be from 0 to {steps}, the steps that there are, not {lengths.tolist()}")
    return lengths


def along_batch(valid: Any, a: Any) -> Any:
    """A mask over steps and batch, (T, B) or (B,), with axes of size 1 added until it broadcasts against ``a``."""
    return np.reshape(valid, (*np.shape(valid), *[1] * (np.ndim(a) - np.ndim(valid))))


def without_padding(xs: Any, lengths: Any) -> tuple[Any, Any]:
    """A padded batch (T, B, ...) with each sequence's last input in its padding, and a mask (T, B) of the inputs.

    A sequence without inputs gets zeros.

    So the values in the padding, even NaN, never reach the cell: they are replaced, not multiplied by 0.
    """
    steps, batch = np.shape(xs)[:2]
    valid = np.arange(steps)[:, None] < lengths
    if steps:
        last = xs[np.maximum(lengths - 1, 0), np.arange(batch)]
        last = np.where(along_batch(lengths > 0, last), last, 0)
        xs = np.where(along_batch(valid, xs), xs, last)
    return xs, valid


class Padded(NamedTuple):
    """A step of a padded batch."""

    x: Any  # the inputs, (B, ...)
    valid: Any  # (B,), True for the sequences that have this step


class Masked:
    """A cell that keeps its state once a sequence has ended. It takes ``Padded`` inputs.

    An output that is a component of the state stays the same node as that component, so that the gradient of the loss
    with respect to the state is complete, as without padding.
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = self.stands_for = cell

    def __call__(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Run a step of the cell inside, for the sequences that have this step."""
        x, valid = x
        y, after = one_step(self.cell, x, state)
        kept = tree_map(lambda new, old: np.where(along_batch(valid, new), new, old), after, state)
        y = next((kept_part for part, kept_part in zip(leaves(after), leaves(kept)) if part is y), y)
        return y, kept


_COMPILED: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # masked cells by the cell inside


def masked(cell: Cell) -> Cell:
    """A cell that keeps its state once a sequence has ended; for a compiled cell it is compiled too, only once."""
    if not is_compiled(cell):
        return Masked(cell)
    if cell not in _COMPILED:
        _COMPILED[cell] = cast(Any, type(cell))(Masked(cell.function), cell.executor, cell.fallback)
    return _COMPILED[cell]


# --- looking inside --------------------------------------------------------------------------------------------------


@contextmanager
def collected(wanted: bool = True) -> Iterator[dict[str, dict[int, Any]]]:
    """Collect every state and every value labelled with ``named``, by name and time step, if ``wanted``.

    The name of a value made in a layer within the current one is prefixed by that layer: ``0.h``. Loops inside a step
    have their own steps and are left out.
    """
    found: dict[str, dict[int, Any]] = {}
    outside, within = context.scope.layer, context.scope.within

    def collect(label: Label, value: Any) -> None:
        is_of_this_loop = context.scope.within is within
        if label.role in ("state", "value") and label.step is not None and is_of_this_loop:
            layer = str(label.layer).removeprefix(str(outside)).lstrip(".") if label.layer != outside else ""
            found.setdefault(f"{layer}.{label.name}" if layer else label.name, {})[label.step] = value

    with changed(context, collector=collect if wanted else context.collector):
        yield found


def by_step(found: dict[str, dict[int, Any]], steps: int) -> dict[str, Any]:
    """The collected values, as one array (T, ...) for each name.

    Raises:
        ValueError: a name is missing in a step.
    """
    for name, values in found.items():
        missing = [t for t in range(1, steps + 1) if t not in values]
        if missing:
            raise ValueError(f"return_states: {name!r} has no value at step {missing[0]}; name it in every step")
    return {name: np.stack([values[t] for t in range(1, steps + 1)]) for name, values in found.items()}
