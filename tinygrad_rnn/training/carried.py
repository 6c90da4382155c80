"""The state that a run carries from batch to batch: one for each part that this process computes.

A checkpoint holds the state of the whole batch, so a run may continue with another number of processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.array_node import value_of
from ..autodiff.trees import leaves
from ..data import Batch
from ..data.epochs import Draft
from .ranks import Alone
from .sharing import Part, Sharing, joined, state_axes, with_leaves

StateOf = Callable[[Batch], Any]


class Carried:
    """The state that a model carries from batch to batch, for each part of a batch.

    ``state_of`` returns the state after a batch that the model reads from a fresh state, without a trace in the run.

    Attributes:
        states: the state of each part, detached; empty before the first batch, and if the model has no state.
    """

    def __init__(self, sharing: Sharing, ranks: Alone, state_of: StateOf) -> None:
        self.sharing = sharing
        self.ranks = ranks
        self.state_of = state_of
        self.states: list[Any] = []
        self._axes: list[int] = []  # the axis of sequences in each leaf; found when it is first needed
        self._saved: list[np.ndarray] | None = None  # from a checkpoint, waiting for its structure

    def into(self, draft: Draft, parts: list[Part]) -> list[Any]:
        """The states that the parts of a batch start from: None stands for a fresh state."""
        saved, self._saved = self._saved, None
        if not draft.continues:
            return [None] * len(parts)
        if saved is not None:
            self.states = self._cut(saved, draft)
        return self.states or [None] * len(parts)

    def learn_axes(self, draft: Draft) -> None:
        """Find the axes along which sequences lie, while there is a batch to find them with."""
        if not self.sharing.is_whole and not self._axes and draft.size > 1:
            one, two = (self.state_of(draft.columns(slice(n))) for n in (1, 2))
            self._axes = state_axes(one, two)

    def whole(self) -> list[np.ndarray] | None:
        """The leaves of the state of the whole batch; None if there is none. All ranks must call this together."""
        own = [[np.array(value_of(leaf)) for leaf in leaves(state)] for state in self.states if state is not None]
        every = [state for states in self.ranks.gather(lambda: own) for state in states]
        if len(every) < 2:
            return every[0] if every else None
        return joined(every, self._axes)

    def restore(self, saved: list[np.ndarray] | None) -> None:
        """Continue from a result of ``whole``, once there is a batch."""
        self.states, self._saved = [], saved

    def _cut(self, saved: list[np.ndarray], draft: Draft) -> list[Any]:
        """The carried state of a checkpoint, a list of arrays, in the structure that the model's states have.

        Only the model knows that structure (it may be a NamedTuple of its own), so the model is asked for a state.
        """
        like = self.state_of(draft.columns())
        if [np.shape(value_of(leaf)) for leaf in leaves(like)] != [np.shape(array) for array in saved]:
            raise ValueError("the carried state in this checkpoint does not belong to this model")
        cuts = self.sharing.own_cuts(draft.size)
        if self.sharing.is_whole or draft.size < 2:  # one sequence can't be cut, so its axes aren't known
            return [with_leaves(like, saved)] * len(cuts)
        self.learn_axes(draft)
        return [with_leaves(like, [a.take(range(i, j), axis) for a, axis in zip(saved, self._axes)]) for i, j in cuts]
