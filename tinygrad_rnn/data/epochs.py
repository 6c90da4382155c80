"""Going through data epoch by epoch, from a place that can be saved and found again.

A training run that was interrupted must continue bit for bit as if it hadn't been. So the place in
the data is a small state: the epoch, the number of its batches that have been handed out, the seed
of its order, and the generator that draws the next seed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .checks import whole_number
from .generator_state import generator_state, restore_generator

Array = npt.NDArray[Any]


class Batch(NamedTuple):
    """A batch: the data of one update of the parameters.

    Attributes:
        inputs: shape (T, B, ...), time first; (B, T, ...) with ``batch_first``; (B, ...) for one vector per example.
        targets: (T, B, ...) for sequences, likewise; (B, ...) for one answer per example.
        lengths: the number of real steps of each input, shape (B,); None if all are real, or if there are no steps.
        target_lengths: the number of real steps of each target, for targets that are sequences.
        continues: whether these sequences continue those of the batch before, so that the
            state should be carried over (detached). If not, start from a fresh state.
    """

    inputs: Array
    targets: Array
    lengths: npt.NDArray[np.int64] | None = None
    target_lengths: npt.NDArray[np.int64] | None = None
    continues: bool = False


class Draft(NamedTuple):
    """A batch before its arrays are made. A process that computes some of its columns makes no others."""

    size: int  # the number of sequences side by side
    inputs: Callable[[slice], Any]  # a function of a slice, which returns the inputs of these columns
    targets: Callable[[slice], Any]  # a function of a slice, which returns their targets
    lengths: npt.NDArray[np.int64] | None = None  # as in ``Batch``, of all columns
    target_lengths: npt.NDArray[np.int64] | None = None  # likewise
    continues: bool = False  # as in ``Batch``

    def columns(self, part: slice = slice(None)) -> Batch:
        """The batch, or some of its columns."""
        lengths, target_lengths = (None if a is None else a[part] for a in (self.lengths, self.target_lengths))
        return Batch(self.inputs(part), self.targets(part), lengths, target_lengths, self.continues)

    def counted(self, part: slice = slice(None)) -> Batch:
        """The batch, or some of its columns, to be counted: where lengths say how much there is, arrays are empty."""
        lengths, target_lengths = (None if a is None else a[part] for a in (self.lengths, self.target_lengths))
        inputs = self.inputs(part if lengths is None else slice(0))
        targets = self.targets(part if target_lengths is None else slice(0))
        return Batch(inputs, targets, lengths, target_lengths, self.continues)


class Epochs(ABC):
    """Batches that can be gone through again and again, and resumed in the middle.

    A ``for`` loop goes through the rest of the current epoch: all of it at first, and after a
    ``break`` or ``load_state_dict`` the batches that were not yet handed out. There is one
    place in the data, so use one loop at a time. ``len`` is the number of batches in a whole epoch.

    Args:
        rng: the generator that shuffles, or a seed for one; None leaves the order as it is.

    Attributes:
        epoch: the number of finished epochs.
        position: the number of batches of the current epoch that have been handed out.
    """

    def __init__(self, rng: np.random.Generator | int | None) -> None:
        self.epoch = 0
        self.position = 0
        self._rng = None if rng is None else np.random.default_rng(rng)
        # Every epoch is shuffled with a seed of its own, drawn from the generator when the epoch
        # begins. Its order can be drawn again from that seed, without rewinding a generator that
        # may serve others too.
        self._seed: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        return (draft.columns() for draft in self.drafts())

    def drafts(self) -> Iterator[Draft]:
        """The batches of the rest of the epoch, as a ``for`` loop goes through them, before their arrays are made."""
        while self.position < len(self):
            if self.position == 0:
                self._begin_epoch()
            # Counted before it is handed out: a state saved in the body of the loop counts this batch as done.
            self.position += 1
            yield self._draft(self.position - 1)
        self.epoch += 1
        self.position = 0

    def _begin_epoch(self) -> None:
        if self._rng is not None:
            self._seed = int(self._rng.integers(_SEEDS))
        self._arrange(self._epoch_rng())

    def _epoch_rng(self) -> np.random.Generator | None:
        return None if self._seed is None else np.random.default_rng(self._seed)

    @property
    def generator(self) -> np.random.Generator | None:
        """The generator that shuffles; None if nothing does."""
        return self._rng

    @property
    def batch_axes(self) -> tuple[int, int]:
        """The axes of inputs and targets along which the sequences of a batch lie side by side; time is the other."""
        return (1, 1)

    # ------------------------------------------------------------------ the place in the data
    def state_dict(self) -> dict[str, Any]:
        """The place in the data, as plain numbers, strings, lists and dicts (JSON can hold it).

        Taken in the body of the loop, it counts the batch in hand as done.
        """
        return {
            "data": self._description(),
            "epoch": self.epoch,
            "position": self.position,
            "seed": self._seed,
            "generator": None if self._rng is None else generator_state(self._rng),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the place of a saved state; the batches that follow are the same.

        Args:
            state: a result of ``state_dict``, for the same data and options.

        Raises:
            ValueError: if it isn't such a state, or belongs to other data or options. Then nothing changes.
        """
        epoch, position, seed = self._checked(state)
        if self._rng is not None:
            restore_generator(self._rng, state["generator"])
        self.epoch, self.position, self._seed = epoch, position, seed
        if position > 0:
            self._arrange(self._epoch_rng())

    def _checked(self, state: Mapping[str, Any]) -> tuple[int, int, int | None]:
        """Epoch, position and seed of a state, checked."""
        entries = {"data", "epoch", "position", "seed", "generator"}
        if not isinstance(state, Mapping) or state.keys() != entries:
            raise ValueError(f"a place in the data has the entries {sorted(entries)}, not {state!r:.200}")
        if state["data"] != self._description():
            raise ValueError(
                "this place was saved with other data or other options: saved with "
                f"{state['data']!r:.200}, used with {self._description()}"
            )
        if (state["generator"] is None) != (self._rng is None):
            raise ValueError(
                "this place was saved without shuffling; leave out rng="
                if state["generator"] is None
                else "this place was saved while shuffling; pass rng=, with any seed"
            )
        try:
            epoch = whole_number("epoch", state["epoch"], minimum=0)
            position = whole_number("position", state["position"], minimum=0)
            seed = None if state["seed"] is None else whole_number("seed", state["seed"], minimum=0)
        except TypeError as error:
            raise ValueError(f"this is not a place in the data: {error!s:.500}") from None
        shuffled = self._rng is not None and (position > 0 or epoch > 0)
        if position > len(self) or (seed is not None) != shuffled:
            raise ValueError(f"this is not a place in the data: position {position} of {len(self)}, seed {seed}")
        return epoch, position, seed

    # ------------------------------------------------------------------ what the kinds define
    @abstractmethod
    def __len__(self) -> int:
        """The number of batches in an epoch."""

    @abstractmethod
    def step_counts(self) -> set[int]:
        """The possible numbers of steps of the inputs in a batch."""

    @abstractmethod
    def _arrange(self, rng: np.random.Generator | None) -> None:
        """Put the data in the order of an epoch; ``None`` asks for no shuffling."""

    @abstractmethod
    def _draft(self, index: int) -> Draft:
        """Batch number ``index`` of the epoch, from 0."""

    @abstractmethod
    def _description(self) -> dict[str, Any]:
        """The sizes of the data and the options, with which a saved place must agree."""


_SEEDS = 2**63
