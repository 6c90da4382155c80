"""Mistakes in paths: one of the ways from a value to the loss that is left out."""

from __future__ import annotations

from collections.abc import Iterator

from ...autodiff.graph import Node
from ..case import Case
from .base import Candidate, Cut, Mistake, walked

LARGEST = 200  # operations in a step up to which every one of its edges is tried


class ForgottenComponent:
    """The path through one component of the state left out: the cell state of an LSTM."""

    name = "a state's path left out"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Each component, where there are several."""
        for (layer, component), edges in case.recurrent_edges.items():
            if len(case.landmarks.state_components(layer)) > 1:
                phrase = f"the gradient without the path from {component}_t to {component}_{{t-1}}"
                yield walked(case, self.name, phrase, Cut(edges), f"manual.{case.derivation}.backward")


class ForgottenEdge:
    """One edge of the step left out, at every step: a term of a product rule, a gate's dependence on the state."""

    name = "a path left out"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Each edge of a step that doesn't lead to a parameter."""
        if len(case.parts) > LARGEST:
            return
        for nodes in case.parts:
            for i in nodes[-1].edges:
                edges: set[tuple[Node, int]] = {(node, i) for node in nodes if i in (node.edges or ())}
                is_known = edges in case.recurrent_edges.values() or edges == set().union(
                    *case.recurrent_edges.values()
                )
                if nodes[-1].inputs[i] not in case.names and not is_known:
                    yield walked(case, self.name, self._phrase(case, nodes[-1], i), Cut(edges))

    def _phrase(self, case: Case, node: Node, argument: int) -> str:
        previous = case.previous_state(node, argument)
        target = node.inputs[argument]
        whence = f"{previous.name}_{{t-1}}" if previous else case.name_of(target) if target.op else "a constant"
        name = case.name_of(node)
        through = name if name.startswith(node.op.name) else f"the {node.op.name} that gives {name}"
        return f"the gradient without the path back to {whence} through {through}"


MISTAKES_IN_PATHS: tuple[Mistake, ...] = (ForgottenComponent(), ForgottenEdge())
