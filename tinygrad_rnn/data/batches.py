"""Batches to learn from: of separate examples, or of one long stream.

The share of the data that one update sees has three names, and one option sets all three:

====================  ================  =====================================================
``batch_size=``       descent           one update learns from
====================  ================  =====================================================
``None``              batch             all examples
``B``                 mini-batch        B examples
``1``                 stochastic        one example
====================  ================  =====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import whole_number
from .epochs import Array, Draft, Epochs
from .padding import Unpadded

_POOL = 100
"""The number of batches whose examples are sorted by length together when bucketed: enough to find examples of like
length, few enough that each epoch puts other examples together."""


class Batches(Epochs):
    """Batches of separate examples: a sequence to an answer, a sequence to a sequence, or a vector to a sequence.

    Sequences of unequal length are padded at their ends. Whole numbers come out as ``int64``,
    other numbers in the dtype they have.

    Args:
        inputs: N sequences, the n-th of shape (T_n, ...): a list, or an array (N, T, ...). Or, with
            ``input_sequences=False``, N vectors (one-to-many), an array (N, ...).
        targets: N targets: one for each example, of shape (...), or, with
            ``target_sequences=True``, a sequence for each, of shape (S_n, ...).
        batch_size: the number of examples in a batch; None for all of them. The last batch of an
            epoch may have fewer.
        rng: a generator (or a seed) that shuffles the examples anew for every epoch; None leaves
            them in order.
        input_sequences: whether the inputs are sequences.
        target_sequences: whether the targets are sequences.
        bucketed: whether to put sequences of similar length together (the inputs or, if these aren't
            sequences, the targets), so that little is padded.
        padding: the value that fills up short inputs.
        target_padding: the value that fills up short target sequences, such as a loss's ``ignore_index``.
        batch_first: whether batches are (B, T, ...) instead of (T, B, ...).
        drop_last: whether to leave out a last batch that isn't full.

    Raises:
        ValueError: if there are no examples; if there are not as many targets as inputs; if ``drop_last`` is True and
            there are fewer examples than one batch; or if ``bucketed`` is True and neither inputs nor targets are
            sequences.

    Example:
        >>> sequences, colours = [[0, 1], [0, 2], [0]], [[0., 1.], [0., 0.], [1., 0.]]
        >>> for batch in Batches(sequences, colours, batch_size=2):
        ...     print(batch.inputs.tolist(), batch.lengths, batch.targets.tolist())
        [[0, 0], [1, 2]] [2 2] [[0.0, 1.0], [0.0, 0.0]]
        [[0]] [1] [[1.0, 0.0]]
    """

    def __init__(
        self,
        inputs: Sequence[npt.ArrayLike] | Array,
        targets: Sequence[Any] | Array,
        *,
        batch_size: int | None,
        rng: np.random.Generator | int | None = None,
        input_sequences: bool = True,
        target_sequences: bool = False,
        bucketed: bool = False,
        padding: float = 0,
        target_padding: float = 0,
        batch_first: bool = False,
        drop_last: bool = False,
    ) -> None:
        super().__init__(rng)
        count = len(inputs)
        if count == 0:
            raise ValueError("there are no examples to make batches of")
        if len(targets) != count:
            raise ValueError(f"there are {count} inputs but {len(targets)} targets")
        self.inputs = inputs
        self.targets = targets
        self.batch_size = count if batch_size is None else whole_number("batch_size", batch_size)
        if drop_last and count < self.batch_size:
            raise ValueError(
                f"{count} examples are fewer than one batch of {self.batch_size}, and "
                f"drop_last=True leaves it out: pass batch_size={count} or less"
            )
        if bucketed and not (input_sequences or target_sequences):
            raise ValueError("bucketed=True sorts by length, but neither inputs nor targets are sequences")
        self.input_sequences = input_sequences
        self.target_sequences = target_sequences
        self.padding = padding
        self.target_padding = target_padding
        self.batch_first = batch_first
        self.drop_last = drop_last
        padded = inputs if input_sequences else targets
        self._lengths = np.array([len(np.asarray(x)) for x in padded]) if bucketed else None
        self._groups: list[npt.NDArray[np.intp]] = []

    def __len__(self) -> int:
        whole, rest = divmod(len(self.inputs), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def step_counts(self) -> set[int]:
        """The possible numbers of steps of the inputs in a batch; of the targets, if the inputs aren't sequences."""
        sequences = self.inputs if self.input_sequences else self.targets if self.target_sequences else []
        return {len(np.asarray(sequence)) for sequence in sequences}

    @property
    def batch_axes(self) -> tuple[int, int]:
        """The axes of inputs and targets along which examples lie side by side."""
        later = 0 if self.batch_first else 1
        return (later if self.input_sequences else 0, later if self.target_sequences else 0)

    def _arrange(self, rng: np.random.Generator | None) -> None:
        order = np.arange(len(self.inputs))
        if rng is not None:
            rng.shuffle(order)
        if self._lengths is not None:
            order = self._sorted_in_pools(order, self._lengths)
        groups = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        self._groups = groups[: len(self)]
        if rng is not None and self._lengths is not None:
            # Sorting put short before long: mix the batches, or every pool would begin with the shortest.
            self._groups = [self._groups[i] for i in rng.permutation(len(self._groups))]

    def _sorted_in_pools(self, order: npt.NDArray[np.intp], lengths: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        pool = _POOL * self.batch_size
        pieces = [order[start : start + pool] for start in range(0, len(order), pool)]
        return np.concatenate([piece[np.argsort(lengths[piece], kind="stable")] for piece in pieces])

    def _draft(self, index: int) -> Draft:
        group = self._groups[index].tolist()
        chosen_inputs = [self.inputs[i] for i in group]
        chosen_targets = [self.targets[i] for i in group]
        inputs, lengths = self._side_by_side(chosen_inputs, "input", self.input_sequences, self.padding)
        targets, target_lengths = self._side_by_side(
            chosen_targets, "target", self.target_sequences, self.target_padding
        )
        return Draft(len(group), inputs, targets, lengths, target_lengths)

    def _side_by_side(
        self, chosen: Sequence[npt.ArrayLike], what: str, sequences: bool, padding: float
    ) -> tuple[Callable[[slice], Array], npt.NDArray[np.int64] | None]:
        """Columns of inputs or targets: of padded sequences, with all lengths, or of anything else as (B, ...)."""
        arrays = [_widened(one) for one in chosen]
        if sequences:
            unpadded = Unpadded(arrays, padding, batch_first=self.batch_first)
            return unpadded.columns, unpadded.lengths
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            raise ValueError(
                f"{what}s have the shapes {sorted(shapes)} in one batch; if each is a sequence, "
                f"pass {what}_sequences=True"
            )
        return lambda part: np.stack(arrays[part]) if arrays[part] else np.stack(arrays[:1])[:0], None

    def _description(self) -> dict[str, Any]:
        return {
            "kind": "examples",
            "examples": len(self.inputs),
            "batch_size": self.batch_size,
            "bucketed": self._lengths is not None,
            "drop_last": self.drop_last,
        }


class StreamBatches(Epochs):
    """Batches for a language model: parallel streams through one long text.

    The text is cut into B streams of equal length. Each batch advances along all of them by T symbols,
    so each stream's state can be carried from one batch into the next (``batch.continues``), and
    truncated BPTT loses nothing but gradients. The target of every symbol is the one after it. At the
    end of the text fewer than B symbols are left over; the last batch of an epoch may be shorter than T.

    Args:
        symbols: the text as numbers, shape (N,): from a vocabulary, or mapped from a file.
        batch_size: B, the number of streams side by side.
        steps: T, the number of symbols of each stream in a batch.
        rng: a generator (or a seed) that chooses one of the first T symbols as the beginning of each
            epoch, so that the text is cut at other places; None always begins at the first.
        batch_first: whether batches are (B, T) instead of (T, B).
        drop_last: whether to leave out a last batch of fewer than T steps.

    Raises:
        TypeError: if the symbols aren't whole numbers.
        ValueError: if they aren't one sequence, or are too few for one batch.

    Example:
        >>> stream = StreamBatches(np.arange(13), batch_size=2, steps=3)
        >>> for batch in stream:
        ...     print(batch.inputs.T.tolist(), batch.targets.T.tolist(), batch.continues)
        [[0, 1, 2], [6, 7, 8]] [[1, 2, 3], [7, 8, 9]] False
        [[3, 4, 5], [9, 10, 11]] [[4, 5, 6], [10, 11, 12]] True
    """

    def __init__(
        self,
        symbols: Array,
        *,
        batch_size: int,
        steps: int,
        rng: np.random.Generator | int | None = None,
        batch_first: bool = False,
        drop_last: bool = False,
    ) -> None:
        super().__init__(rng)
        self.symbols = np.asanyarray(symbols)  # a mapped file stays mapped
        self.batch_size = whole_number("batch_size", batch_size)
        self.steps = whole_number("steps", steps)
        self.batch_first = batch_first
        self.drop_last = drop_last
        self._check_symbols()
        spare = len(self.symbols) - (self.batch_size * self.steps + 1)
        self._offsets = 1 if rng is None else min(self.steps, spare + 1)
        self._offset = 0
        # From the last offset on, there must still be room for every stream, and for one more symbol,
        # the last target.
        self._stream_length = (len(self.symbols) - self._offsets) // self.batch_size

    def _check_symbols(self) -> None:
        if self.symbols.ndim != 1:
            raise ValueError(f"the symbols must be one sequence (N,), not of shape {self.symbols.shape}")
        if not np.issubdtype(self.symbols.dtype, np.integer):
            raise TypeError(
                f"the symbols must be whole numbers, not {self.symbols.dtype}; "
                "a vocabulary's encode() turns text into numbers"
            )
        count, needed = len(self.symbols), self.batch_size * self.steps + 1
        if count < needed:
            cures = ["a longer text"]
            if count > self.steps:
                cures.insert(0, f"fewer streams (batch_size, at most {(count - 1) // self.steps})")
            if count > self.batch_size:
                cures.insert(0, f"fewer steps per batch (at most {(count - 1) // self.batch_size})")
            raise ValueError(
                f"the text has {count:,} symbols, but one batch of {self.batch_size} streams x "
                f"{self.steps} steps needs {needed:,} (one more than it holds, for the last "
                f"target). Take {', or '.join(cures)}."
            )

    def __len__(self) -> int:
        whole, rest = divmod(self._stream_length, self.steps)
        return whole + (rest > 0 and not self.drop_last)

    def step_counts(self) -> set[int]:
        """The possible numbers of steps of a batch: the last batch of an epoch is shorter."""
        rest = 0 if self.drop_last else self._stream_length % self.steps
        return {self.steps, rest} if rest else {self.steps}

    @property
    def batch_axes(self) -> tuple[int, int]:
        """The axis along which streams lie side by side, of inputs and of targets."""
        return (0, 0) if self.batch_first else (1, 1)

    def _arrange(self, rng: np.random.Generator | None) -> None:
        self._offset = 0 if rng is None else int(rng.integers(self._offsets))

    def _draft(self, index: int) -> Draft:
        begin = index * self.steps
        end = min(begin + self.steps, self._stream_length)
        streams = self._offset + self._stream_length * np.arange(self.batch_size)
        block = np.empty((end - begin + 1, self.batch_size), np.int64)
        for column, start in enumerate(streams.tolist()):
            block[:, column] = self.symbols[start + begin : start + end + 1]

        def columns(first: int, part: slice) -> Array:
            cut = block[first : first + end - begin, part]
            return cut.T if self.batch_first else cut

        return Draft(self.batch_size, partial(columns, 0), partial(columns, 1), continues=index > 0)

    def _description(self) -> dict[str, Any]:
        return {
            "kind": "stream",
            "symbols": len(self.symbols),
            "batch_size": self.batch_size,
            "steps": self.steps,
            "drop_last": self.drop_last,
        }


def _widened(values: npt.ArrayLike) -> Array:
    """Whole numbers as ``int64``: compact ones would wrap around in arithmetic."""
    array = np.asarray(values)
    return array.astype(np.int64) if array.dtype.kind in "iu" else array
