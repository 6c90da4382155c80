"""The named values of a model in a recorded graph: states, outputs, gates, by step and layer.

Everything here is read from the scopes and labels that were set when the nodes were made; nothing is guessed from the
shape of the graph.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from ..autodiff.graph import Node, ancestors, by_serial, leading_to
from ..autodiff.scope import Label

Layer = Any  # int, str or None, as in Scope


class Landmarks:
    """The labelled values of a recorded graph.

    Attributes:
        nodes: every node behind the roots that leads to something that requires a gradient, latest first.
        steps: T, the last step of any node (of the outermost loop, where one runs inside another); 0 if there are none.
    """

    def __init__(self, roots: Sequence[Node]) -> None:
        self.nodes = ancestors(roots)
        self.steps = max((node.scope.outermost_step or 0 for node in self.nodes), default=0)
        self._orders: dict[Layer, list[int]] = {}
        self._states: dict[Layer, dict[str, dict[int | None, list[Node]]]] = {}
        self._labelled: dict[tuple[str, int | None], list[tuple[Label, Node]]] = {}
        for node in with_constants(self.nodes):
            for label in node.labels:
                self._labelled.setdefault((label.name, label.step), []).append((label, node))
                if label.role == "state":
                    steps = self._states.setdefault(label.layer, {}).setdefault(label.name, {})
                    steps.setdefault(label.step, []).append(node)

    def find(self, name: str, step: int | None, layer: Layer = None, role: str | None = None) -> Node | None:
        """The value of this name at a step; None if there is none.

        Args:
            name: its label, such as "h".
            step: its step; None for a value outside the steps.
            layer: its layer; may be None if only one layer has such a value.
            role: "state", "output", "input" or "value"; None for any.

        Raises:
            ValueError: there are several such values.
        """
        return _the_only(self.find_all(name, step, layer, role), name, step)

    def by_step(self, name: str, layer: Layer = None) -> dict[int, Node]:
        """The value of this name at every step that has one, from step 1 on; see ``find``."""
        steps = sorted(step for called, step in self._labelled if called == name and step)
        found = {step: self.find(name, step, layer) for step in steps}
        return {step: node for step, node in found.items() if node is not None}

    def state(self, name: str, step: int | None, layer: Layer) -> Node | None:
        """The component of this name of a layer's state at a step; None if there is none.

        Args:
            name: "h", "c", ...
            step: its step.
            layer: exactly this layer; None stands for the layer without a name.

        Raises:
            ValueError: there are several, for example from two loops without a layer name.
        """
        return _the_only(list(dict.fromkeys(self._states.get(layer, {}).get(name, {}).get(step, ()))), name, step)

    def find_all(self, name: str, step: int | None, layer: Layer = None, role: str | None = None) -> list[Node]:
        """Every value of this name at a step; see ``find``."""
        return list(
            dict.fromkeys(
                node
                for label, node in self._labelled.get((name, step), ())
                if (layer is None or label.layer == layer) and (role is None or label.role == role)
            )
        )

    def layers(self) -> list[Layer]:
        """The layers that have a state, in the order of recording."""
        return list(self._states)

    def state_components(self, layer: Layer) -> list[str]:
        """The components of a layer's state: ["h"], or ["h", "c"]."""
        return list(self._states[layer])

    def order(self, layer: Layer) -> list[int]:
        """The steps of a layer in the order in which they were taken, after the initial state: 0, T, ..., 1 in reverse.

        For a layer without states, the steps are in the order of their numbers.
        """
        if layer not in self._orders:
            first: dict[int, int] = {}
            for steps in self._states.get(layer, {}).values():
                for step, nodes in steps.items():
                    if step is not None:
                        first[step] = min([first.get(step, nodes[0].serial), *(node.serial for node in nodes)])
            taken = sorted((step for step in first if step), key=lambda step: first[step])
            self._orders[layer] = [0, *taken] if taken else list(range(self.steps + 1))
        return self._orders[layer]

    def step_after(self, layer: Layer, step: int) -> int | None:
        """The step that was taken after another one; None if there is none."""
        return dict(itertools.pairwise(self.order(layer))).get(step)

    def names(self, step: int | None) -> list[str]:
        """The names that values have at a step."""
        return sorted({name for name, at in self._labelled if at == step})


def _the_only(found: list[Node], name: str, step: int | None) -> Node | None:
    if len(found) > 1:
        raise ValueError(
            f"{len(found)} values are called {name!r} at step {step}: say which layer; and if they have none, "
            "give each its own where it is made: with tr.scope(layer='encoder')"
        )
    return found[0] if found else None


def label_of(node: Any, *roles: str) -> Label | None:
    """The label of a value in one of these roles; the latest, if it has several."""
    return next((label for label in reversed(getattr(node, "labels", ())) if label.role in roles), None)


def with_constants(nodes: Iterable[Node]) -> list[Node]:
    """Nodes in the order of recording, with the inputs among them that need no gradient (an initial state, x_t)."""
    found = dict.fromkeys(nodes)
    for node in list(found):
        found.update(dict.fromkeys(given for given in node.inputs if isinstance(given, Node)))
    return sorted(found, key=by_serial)


def between(roots: Sequence[Node], targets: Iterable[Node]) -> list[Node]:
    """The nodes on paths from ``roots`` down to ``targets``, both included, latest first.

    Nodes recorded before the first target aren't visited, so the cost is that of the piece, not of the whole graph.
    """
    ends = set(targets)
    first = min((node.serial for node in ends), default=0)
    found = set(roots)
    stack = list(found)
    while stack:
        node = stack.pop()
        for i in () if node in ends else node.edges or ():
            parent = node.inputs[i]
            if parent.serial >= first and parent not in found:
                found.add(parent)
                stack.append(parent)
    return leading_to(sorted(found, key=by_serial, reverse=True), ends)
