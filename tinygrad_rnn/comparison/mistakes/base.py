"""What a mistake is to the diagnosis: a name, and the gradients that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...autodiff.graph import Node
from ..altered import Alteration, altered_walk, gradients_of
from ..case import Case


class Candidate(NamedTuple):
    """One way to be wrong, on the network at hand.

    Attributes:
        mistake: the name of the mistake.
        phrase: what the gradient then equals, to end a sentence: "the sum with h_t where h_{t-1} belongs".
        gradients: the gradients that follow; those that are missing stay right.
        alteration: how the walk goes, where it is one; lines of the derivation are then wrong in the same way.
        see: where the right formula stands; empty if nowhere in particular.
        by_parameter: whether the mistake is made for each parameter by itself (in its sum over the steps), so that it
            may be there in some gradients and not in others.
    """

    mistake: str
    phrase: str
    gradients: dict[str, np.ndarray]
    alteration: Alteration | None = None
    see: str = ""
    by_parameter: bool = False


class Mistake(Protocol):
    """A kind of mistake."""

    name: str

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Every form that it can take on this network."""
        ...


def walked(case: Case, mistake: str, phrase: str, alteration: Alteration, see: str = "") -> Candidate:
    """The candidate of a walk with one place altered."""
    try:
        found = altered_walk(case.recording.loss, alteration)
    except (ValueError, IndexError):  # the shapes of this network don't allow the mistake: then nobody made it
        return Candidate(mistake, phrase, {})
    return Candidate(mistake, phrase, gradients_of(found, case.recording.parameters), alteration, see)


class Edges(Alteration):
    """An alteration of some edges: (node, argument) pairs."""

    def __init__(self, edges: set[tuple[Node, int]]) -> None:
        self.edges = edges

    def contribution(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """The altered contribution on these edges, the right one elsewhere."""
        if (node, argument) in self.edges:
            return self.altered(node, argument, g, rule)
        return super().contribution(node, argument, g, rule)

    def altered(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """What is handed on instead."""
        raise NotImplementedError


class Cut(Edges):
    """Edges that are forgotten: nothing flows along them."""

    def altered(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """Nothing."""
        return None
