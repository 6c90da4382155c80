"""A batch cut into parts, one or more for each process, and the share of each part in the loss of the whole.

The parts are columns of the same padded batch, so every process sees the shapes that one process would see. The loss of
the whole batch is the sum of the parts' losses, each times its share, which is its share of the targets if the loss is
a mean over targets. Whether it is such a mean can't be read off a loss, so this is tried out at steps 1, 2, 4, 8, ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.tensor import Tensor, tensor
from ..autodiff.trees import leaves, unflatten
from ..data import Batch, Epochs
from ..data.epochs import Draft
from ..nn import cross_entropy, nll
from .prediction import Loss, count_targets

Weight = Callable[[Batch], float]
SAMPLE = 8  # the number of columns that the check of the shares uses
SAMPLE_AT_FIRST = 64  # at the first step


class Part(NamedTuple):
    """A part of a batch: some of its columns."""

    batch: Batch  # the columns
    share: float  # the factor of its loss in the loss of the whole batch


class Sharing:
    """The division of batches among processes and parts.

    Each of ``size`` processes computes ``accumulate`` parts one after the other; ``weight`` is as in ``fit``.

    Raises:
        ValueError: there are no parts.
        TypeError: the weight is something else.
    """

    def __init__(
        self, data: Epochs, rank: int, size: int, accumulate: int, weight: Weight | str | None, loss: Loss
    ) -> None:
        if accumulate < 1:
            raise ValueError(f"fit: accumulate={accumulate}: a batch has at least one part")
        if not (weight is None or weight == "sum" or callable(weight)):
            raise TypeError(f'fit: weight is a function of a batch, or "sum", not {weight!r:.80}')
        self.parts = size * accumulate
        self.own = range(rank * accumulate, (rank + 1) * accumulate)
        self.weight = weight if callable(weight) else summed if weight else weight_of(loss, data.batch_axes[1])

    @property
    def is_whole(self) -> bool:
        """True if this process computes whole batches in one go."""
        return self.parts == 1

    def of(self, draft: Draft) -> list[Part]:
        """The parts of a batch that this process computes; parts without columns are left out."""
        if self.is_whole:
            return [Part(draft.columns(), 1.0)]
        cuts = [slice(draft.size * i // self.parts, draft.size * (i + 1) // self.parts) for i in range(self.parts)]
        shares = self.shares(draft, cuts)
        return [Part(draft.columns(cuts[i]), shares[i]) for i in self.own if cuts[i].start < cuts[i].stop]

    def own_cuts(self, count: int) -> list[tuple[int, int]]:
        """The first column, and the one after the last, of each part that this process computes."""
        cuts = [(count * i // self.parts, count * (i + 1) // self.parts) for i in self.own]
        return [(first, end) for first, end in cuts if first < end]

    def shares(self, draft: Draft, cuts: Sequence[slice]) -> list[float]:
        """The shares of parts of a batch in the loss of all of them together.

        If no target of any part counts, the parts count alike: their losses say what a mean of nothing is.
        """
        if self.weight is summed:
            return [1.0] * len(cuts)
        only_counts = self.weight is count_targets
        weights = [self.weight(draft.counted(cut) if only_counts else draft.columns(cut)) for cut in cuts]
        whole = sum(weights)
        return [weight / whole if whole else 1 / len(cuts) for weight in weights]

    def check(self, draft: Draft, loss_of: Callable[[Batch], float], step: int = 1) -> None:
        """Raise ValueError if the losses of parts, each times its share, don't make the loss of the whole.

        ``loss_of`` computes the loss of a batch without noise, from a fresh state.

        It uses a few columns from all over the batch, cut unevenly, so it costs little, and all processes find the
        same. At the first step it uses more: all columns of most batches.
        """
        every = -(-draft.size // (SAMPLE_AT_FIRST if step == 1 else SAMPLE))
        count = len(range(0, draft.size, every)) if draft.size else 0
        if self.is_whole or count < 2:
            return
        cut = max(1, count // 3)
        parts = [slice(0, cut * every, every), slice(cut * every, None, every)]
        whole = loss_of(draft.columns(slice(None, None, every)))
        together = sum(share * loss_of(draft.columns(p)) for p, share in zip(parts, self.shares(draft, parts)) if share)
        if not np.isclose(together, whole, rtol=1e-4, atol=1e-7) and np.isfinite(whole):
            raise ValueError(
                f"fit: the loss of {count} sequences is {whole:.6g}, and that of the first {cut} and the others "
                f"together {together:.6g}: it is no mean over the targets, so its gradients can't be put together from "
                "parts. Pass weight=, a function of a batch that returns the number of targets that its loss is a mean "
                "over; or, for a sum, weight=\"sum\" (as functools.partial(loss, reduction='sum') says it too)."
            )


def is_checked(step: int) -> bool:
    """Return True for a step at which the shares are checked: 1, 2, 4, 8, ..."""
    return step & (step - 1) == 0


def weight_of(loss: Loss, batch_axis: int) -> Weight:
    """The function for the weight of a batch, from a loss's options: those of a ``functools.partial``, or defaults."""
    options = _options_of(loss)
    if options.get("reduction") == "sum":
        return summed
    ignored = options.get("ignore_index")
    function = loss.func if isinstance(loss, partial) else loss
    by_class = options.get("weight") if function in (cross_entropy, nll) else None
    if ignored is None and by_class is None:
        return count_targets
    return partial(_weight_of_classes, ignored, by_class, batch_axis)


def _options_of(function: Loss) -> dict[str, Any]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a function without a signature
        parameters = []
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return defaults | (function.keywords if isinstance(function, partial) else {})


def in_means(weight: Weight) -> Weight:
    """The weight of a batch in a mean over batches: that of its parts; but all targets if the loss is a sum."""
    return count_targets if weight is summed else weight


def summed(batch: Batch) -> float:
    """The weight of a loss that is a sum: the parts' losses add up as they are."""
    return 1.0


def _weight_of_classes(ignored: int | None, by_class: Any, batch_axis: int, batch: Batch) -> float:
    """The number of targets that count, or the sum of their classes' weights; all targets that aren't classes count."""
    targets = np.asarray(batch.targets)
    if targets.dtype.kind not in "iu":
        return count_targets(batch)
    counted = np.ones(targets.shape, bool) if ignored is None else targets != ignored
    if batch.target_lengths is not None:
        by_step = np.moveaxis(counted, batch_axis, 1)  # a view
        by_step &= np.arange(len(by_step))[:, None] < batch.target_lengths
    return float(counted.sum() if by_class is None else np.asarray(by_class)[targets[counted]].sum())


# --- carried states ------------------------------------------------------------------------------------------------


def state_axes(one: Any, two: Any) -> list[int]:
    """The axis of each leaf of a state along which sequences lie, read off the states of one and of two sequences.

    Raises:
        ValueError: a leaf of the state has no such axis.
    """
    found = []
    for a, b in zip(leaves(one), leaves(two)):
        axes = [i for i, (m, n) in enumerate(zip(np.shape(a), np.shape(b))) if m != n]
        if len(axes) != 1:
            raise ValueError(
                f"fit: the state that this model carries from batch to batch has a part of shape {np.shape(a)} for one "
                f"sequence and {np.shape(b)} for two: it can't be cut into the states of single sequences."
            )
        found.append(axes[0])
    return found


def joined(states: Sequence[Sequence[np.ndarray]], axes: Sequence[int]) -> list[np.ndarray]:
    """The leaves of the state of a whole batch, from those of its parts."""
    return [np.concatenate(parts, axis) for parts, axis in zip(zip(*states), axes)]


def with_leaves(like: Any, arrays: Sequence[np.ndarray]) -> Any:
    """A state of the structure of another one, with these arrays for leaves."""
    parts = zip(arrays, leaves(like))
    return unflatten(like, (tensor(array) if isinstance(leaf, Tensor) else array for array, leaf in parts))
