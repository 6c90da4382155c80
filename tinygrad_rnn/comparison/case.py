"""The case that a diagnosis looks into: a recording, and what the parts of its network are to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..autodiff.graph import Node, Observer, backward_walk, by_serial
from ..autodiff.scope import Label
from ..recorded.contributions import Contributions
from ..recorded.gates import gate_columns
from ..recorded.landmarks import Landmarks, label_of
from ..recorded.loss_terms import entering_cotangents, walk_from_step
from ..recorded.recording import Recording
from .altered import rule_of

LARGEST_TABLE = 20_000_000  # numbers


class Case:
    """A recording, opened so that the initial state has a gradient too, and read for what a mistake may touch.

    Attributes:
        recording: the loss and its parameters.
        landmarks: what the model has named.
        T: the number of steps.
        names: the name of each parameter's leaf.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording.opened
        self.landmarks = Landmarks([self.recording.loss])
        self.T = self.landmarks.steps
        self.names: dict[Node, str] = {leaf: name for name, leaf in self.recording.parameters.items()}

    @cached_property
    def right(self) -> dict[str, np.ndarray]:
        """The right gradients."""
        return self.recording.gradients()

    @cached_property
    def gates(self) -> dict[str, dict[str, np.ndarray]]:
        """For each parameter the columns of each gate."""
        return {name: gate_columns(self.landmarks, leaf) for name, leaf in self.recording.parameters.items()}

    @cached_property
    def derivation(self) -> str:
        """The module of ``tinygrad_rnn.manual`` that has the right formulas, as far as the gates tell."""
        gates = {gate for columns in self.gates.values() for gate in columns}
        return "lstm" if gates >= {"i", "f", "g", "o"} else "gru" if gates >= {"r", "z", "n"} else "elman"

    # --- time --------------------------------------------------------------------------------------------------------

    @cached_property
    def time_rows(self) -> set[Node]:
        """Nodes outside the steps with one row for each step: ``xs @ U`` before the loop, ``states @ V`` after it."""
        above: set[Node] = set()
        for node in reversed(self.landmarks.nodes):
            if any(node.inputs[i].scope.step is not None or node.inputs[i] in above for i in node.edges or ()):
                above.add(node)
        below: set[Node] = set()
        for node in self.landmarks.nodes:
            if node.scope.step is not None or node in below:
                below.update(node.inputs[i] for i in node.edges or ())
        return {node for node in self.landmarks.nodes if node in above | below and self._has_rows(node)}

    def _has_rows(self, node: Any) -> bool:
        outside = node.scope.step is None and not node.is_leaf and not isinstance(node._data, tuple)
        return bool(outside and self.T > 1 and node.ndim and len(node) == self.T)

    @property
    def fits_by_step(self) -> bool:
        """Whether an array for each step and parameter is not too much to hold."""
        return self.T * sum(leaf.size for leaf in self.recording.parameters.values()) <= LARGEST_TABLE

    @cached_property
    def by_step(self) -> dict[str, Contributions]:
        """What each step contributes to each gradient; None is for what belongs to no step."""
        observer = _BySteps(self, lambda layer, step: step)
        backward_walk({self.recording.loss: self.recording.loss._seed(None)}, self.landmarks.nodes, observer=observer)
        return observer.found

    @cached_property
    def entries(self) -> dict[int, dict[Node, Any]]:
        """With which cotangents the walk enters the steps from the loss."""
        return entering_cotangents(self.recording.loss)

    @cached_property
    def by_lag(self) -> dict[str, Contributions]:
        """What the recurrence contributes over each distance t - k, from the loss at t to the step k."""
        found = {name: Contributions() for name in self.names.values()}
        for t, entries in self.entries.items():
            observer = _BySteps(self, partial(self._lag, t))
            walk_from_step(entries, observer)
            for name, contributions in observer.found.items():
                for lag, c in contributions.steps.items():
                    found[name].add(lag, c)
        return found

    def _lag(self, t: int, layer: Any, step: int) -> int:
        """How many steps a layer took from a step to the step t."""
        order = self.landmarks.order(layer)
        return order.index(t) - order.index(step) if t in order and step in order else 0

    # --- parts of the network ----------------------------------------------------------------------------------------

    @cached_property
    def parts(self) -> list[list[Any]]:
        """The operations of a step, each as the list of nodes that play the same part, one for each step."""
        steps: dict[tuple[Any, int], list[Any]] = {}
        for node in sorted(self.landmarks.nodes, key=by_serial):
            if node.scope.step is not None and not node.is_leaf:
                steps.setdefault((node.scope.layer, node.scope.step), []).append(node)
        found: dict[Any, list[Any]] = {}
        for (layer, _), nodes in steps.items():
            for place, node in enumerate(nodes):
                found.setdefault((layer, place, node.op.name), []).append(node)
        return list(found.values())

    @cached_property
    def activations(self) -> dict[str, set[Any]]:
        """Nonlinear functions of one argument, element by element, grouped by what they compute."""
        groups = {self.name_of(nodes[0]): set(nodes) for nodes in self.parts if is_activation(nodes[0])}
        outside: dict[str, set[Any]] = {}
        for node in self.landmarks.nodes:
            if node.scope.step is None and is_activation(node):
                outside.setdefault(self.name_of(node), set()).add(node)
        clear = {(f"{name} outside the steps" if name in groups else name): nodes for name, nodes in outside.items()}
        return {**groups, **clear}

    def name_of(self, node: Any) -> str:
        """What a part is called, without its step: its label, or its operation and what that leads to."""
        for role in ("value", "state", "output"):
            label = label_of(node, role)
            if label is not None:
                return label.name
        goal = self._leads_to(node)
        return f"{node.op.name} on the way to {goal}" if goal else str(node.op.name)

    @cached_property
    def _users(self) -> dict[Node, Node]:
        """For each node the first one that uses it."""
        users: dict[Node, Node] = {}
        for node in self.landmarks.nodes:
            users.update({node.inputs[i]: node for i in node.edges or ()})
        return users

    def _leads_to(self, node: Node) -> str | None:
        while node in self._users:
            node = self._users[node]
            if node.labels:
                return self.name_of(node)
        return None

    def is_recurrent(self, node: Any, argument: int) -> bool:
        """Whether an edge leads from a step to a state of the step before it."""
        return self.previous_state(node, argument) is not None

    def previous_state(self, node: Any, argument: int) -> Label | None:
        """The label of the state of the step before, if that is what the argument is."""
        for label in getattr(node.inputs[argument], "labels", ()):
            is_state = label.role == "state" and node.scope.step is not None
            if is_state and self.landmarks.step_after(label.layer, label.step) == node.scope.step:
                return label
        return None

    @cached_property
    def recurrent_edges(self) -> dict[tuple[Any, str], set[tuple[Node, int]]]:
        """For each layer and component of its state, the edges that lead to it from the step after."""
        found: dict[tuple[Any, str], set[tuple[Node, int]]] = {}
        for node in self.landmarks.nodes:
            for i in node.edges or ():
                label = self.previous_state(node, i)
                if label is not None:
                    found.setdefault((label.layer, label.name), set()).add((node, i))
        return found

    def find(self, name: str, step: int | None, layer: Any, role: str) -> Any:
        """The value of this name at a step; None if there is none, and if there are several."""
        found = self.landmarks.find_all(name, step, layer, role)
        return found[0] if len(found) == 1 else None

    def value_at(self, label: Label, step: int) -> np.ndarray | None:
        """The numbers that bear the same label at another step; None if there are none."""
        node = self.find(label.name, step, label.layer, label.role)
        return None if node is None else np.asarray(node._data)

    def parameter_edges(self) -> Iterator[tuple[Any, int]]:
        """Where parameters are used: (node, argument)."""
        for node in self.landmarks.nodes:
            for i in node.edges or ():
                if node.inputs[i] in self.names:
                    yield node, i

    # --- sizes -------------------------------------------------------------------------------------------------------

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The sizes that formulas divide by, by their letter: T, B, n, d, k, and m, the number of loss terms."""
        found = {"T": self.T}
        for layer in self.landmarks.layers()[:1]:
            state = self.value_at(Label("state", self.landmarks.state_components(layer)[0], layer), self.T)
            if state is not None and state.ndim:
                found["d"] = state.shape[-1]
            if state is not None and state.ndim > 1:
                found["B"] = state.shape[0]
            x = self.value_at(Label("input", "x", layer), self.T)
            if x is not None and x.ndim:
                found["n"] = x.shape[-1]
        terms = len(self.recording.terms) or len(self.entries)
        if terms != self.T:
            found["m"] = terms
        widths = [leaf.shape[-1] for leaf in self.recording.parameters.values() if leaf.ndim]
        if widths and widths[-1] not in (found.get("d"), found.get("n")):
            found["k"] = widths[-1]
        return {letter: size for letter, size in found.items() if size > 1}


class _BySteps(Observer):
    """Contributions to parameters by step; what has a row for each step is taken apart by rows.

    Args:
        case: the case.
        key: from layer and step to what they are collected by.
    """

    def __init__(self, case: Case, key: Callable[[Any, int], int]) -> None:
        self.case, self.key = case, key
        self.found = {name: Contributions() for name in case.names.values()}
        self.g: Any = None

    def cotangent(self, node: Node, g: Any) -> None:
        self.g = g

    def contribution(self, node: Any, argument: int, c: Any) -> None:
        leaf = node.inputs[argument]
        if leaf not in self.case.names:
            return
        found = self.found[self.case.names[leaf]]
        if node not in self.case.time_rows:
            step = None if node.scope.step is None else self.key(node.scope.layer, node.scope.step)
            found.add(step, np.asarray(leaf._own(c)))
            return
        rule = rule_of(node, argument)
        for row in range(self.case.T):
            step = self.key(node.scope.layer, row + 1)
            found.add(step, np.asarray(leaf._own(rule(only_rows(self.g, [row]), node._data, node._arrays))))


def only_rows(g: np.ndarray, rows: list[int]) -> np.ndarray:
    """A cotangent with all rows zero but these."""
    kept = np.zeros_like(g)
    kept[rows] = g[rows]
    return kept


def is_activation(node: Any) -> bool:
    """Whether a node is a nonlinear function of one argument, element by element."""
    op = node.op
    unary = op is not None and op.by_element and not op.is_linear and isinstance(op.vjps, list) and len(op.vjps) == 1
    return bool(unary and op.name not in ("negative", "positive", "identity"))
