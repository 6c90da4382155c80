"""Mistakes in the forward pass: the right gradient, of another network. It is recorded again with the mistake in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...autodiff.graph import Node, Observer, observe_backward
from ...autodiff.scope import enable_grad
from ...autodiff.tensor import tensor
from ...recorded.landmarks import between
from ...recorded.replay import Change, replay, run_again
from ..altered import gradients_of
from ..case import Case
from .base import Candidate, Mistake

MOST_INSTANCES = 32
MOST_GATES = 4


def gradients_after(
    case: Case, values: Mapping[Node, Any], changes: Mapping[Node, Change] | None = None
) -> dict[str, np.ndarray]:
    """The gradients of the network as it is with other values or operations in it."""
    parameters: dict[str, Any] = {name: values.get(leaf, leaf) for name, leaf in case.recording.parameters.items()}
    leaves: dict[Node, Any] = dict(zip(case.recording.parameters.values(), parameters.values()))
    with enable_grad():
        new = replay(case.recording.loss, {**values, **leaves}, changes)
    return gradients_of(observe_backward(new[case.recording.loss], Observer()), parameters)


class ResetOnTheOtherSide:
    """A reset gate before the product where it belongs after it, ``(r ∘ h) W`` for ``r ∘ (h W + b)``; or vice versa."""

    name = "reset before for reset after"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """The network with every reset gate on the other side."""
        moved_before: dict[Node, Change] = {}
        moved_after: dict[Node, Change] = {}
        for node in case.landmarks.nodes:
            for gate in _gates_of(node):
                other: Any = node.inputs[1 - gate]
                if case.is_recurrent(node, 1 - gate):
                    product = _product_of(case, node)
                    if product is not None:
                        moved_after[node] = _ungated(1 - gate)
                        moved_after[product] = _gated_afterwards(node.inputs[gate])
                elif (chain := _chain_from_state(case, other)) is not None:
                    moved_before[node] = _gated_before(node.inputs[gate], *chain)
        for changes, where in (
            (moved_before, "before the product with the state, (r ∘ h) W, where it belongs after it"),
            (moved_after, "after the product with the state, r ∘ (h W), where it belongs before it"),
        ):
            if changes:
                phrase = f"the gradient of a cell with its reset gate {where}"
                yield Candidate(self.name, phrase, gradients_after(case, {}, changes), see="manual.gru")


def _gates_of(node: Any) -> list[int]:
    """Which arguments of a product, element by element, inside a step, are the result of a sigmoid."""
    if node.op is None or node.op.name != "multiply" or node.scope.step is None or len(node.edges or ()) != 2:
        return []
    return [i for i in (0, 1) if node.inputs[i].op is not None and node.inputs[i].op.name == "sigmoid"]


def _product_of(case: Case, node: Node) -> Node | None:
    """The matrix product that a node goes into."""
    for user in case.landmarks.nodes:
        if user.op is not None and user.op.name == "matmul" and user.inputs[0] is node:
            return user
    return None


def _chain_from_state(case: Case, end: Node) -> tuple[Node, list[Node]] | None:
    """The operations that lead from the state of the step before to a value, if a matrix product is among them."""
    states = {
        node.inputs[i]
        for node in case.landmarks.nodes
        if node.scope == end.scope
        for i in node.edges or ()
        if case.is_recurrent(node, i)
    }
    for state in states:
        chain = [node for node in between([end], [state]) if node is not state]
        direct = all(node.scope.step == end.scope.step and not node.labels for node in chain)
        if direct and any(node.op.name == "matmul" for node in chain):
            return state, chain
    return None


def _gated_before(gate: Node, state: Node, chain: list[Node]) -> Change:
    def change(node: Any, known: Mapping[Node, Any]) -> Any:
        inside = {**known, state: known[gate] * known[state]}
        for step in reversed(chain):
            inside[step] = run_again(step, inside)
        return inside[chain[0]]

    return change


def _ungated(argument: int) -> Change:
    return lambda node, known: known[node.inputs[argument]]


def _gated_afterwards(gate: Node) -> Change:
    return lambda node, known: known[gate] * run_again(node, known)


class GatesReadInAnotherOrder:
    """The forward pass takes the gates from the columns of other ones, as another library has them side by side."""

    name = "gates permuted"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Every other order, in all parameters that hold the gates."""
        columns = {
            name: {gate: np.flatnonzero(mask) for gate, mask in masks.items()} for name, masks in case.gates.items()
        }
        own = next((list(gates) for gates in columns.values() if gates), [])
        columns = {name: gates for name, gates in columns.items() if set(gates) == set(own)}
        sizes = {len(place) for gates in columns.values() for place in gates.values()}
        if not 2 <= len(own) <= MOST_GATES or len(sizes) != 1:
            return
        for order in itertools.permutations(own):
            if list(order) != own:
                yield self._candidate(case, columns, own, order)

    def _candidate(self, case: Case, columns: Any, own: list[str], order: Sequence[str]) -> Candidate:
        mixed: dict[Node, Any] = {}
        for name, gates in columns.items():
            leaf = case.recording.parameters[name]
            values = np.array(leaf._data)
            for gate, taken in zip(own, order):
                values[..., gates[gate]] = leaf._data[..., gates[taken]]
            mixed[leaf] = tensor(values, requires_grad=True)
        gradients = gradients_after(case, mixed)
        for name, gates in columns.items():
            found = np.array(gradients[name])
            for gate, taken in zip(own, order):
                found[..., gates[taken]] = gradients[name][..., gates[gate]]
            gradients[name] = found
        return Candidate(
            self.name, f"the gradient of a cell that reads its gates in the order {', '.join(order)}", gradients
        )


class StateNotReset:
    """A sequence that starts with the state in which the one before it ended."""

    name = "states not reset"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """From instance to instance of a batch; and from an earlier run over the same data."""
        ends = _ends(case)
        if not ends:
            return
        phrase = "the gradient with states that were not reset: "
        earlier = self._last(case, ends, {})
        yield Candidate(
            self.name,
            phrase + "the run starts with the state in which an earlier run over the same data ended",
            gradients_after(case, earlier),
        )
        B = case.sizes.get("B", 1)
        if 1 < B <= MOST_INSTANCES and all(start._data.ndim > 1 for start in ends):
            given = {start: start._data for start in ends}
            starts: dict[Any, Any] = given
            for _ in range(B - 1):  # each run settles one more instance
                last = self._last(case, ends, starts)
                starts = {start: np.concatenate([given[start][:1], last[start][:-1]]) for start in ends}
            what = "each instance of the batch starts with the state in which the one before it ended"
            yield Candidate(self.name, phrase + what, gradients_after(case, starts))

    def _last(self, case: Case, ends: Mapping[Any, Any], starts: Mapping[Any, Any]) -> dict[Any, np.ndarray]:
        """The last states, each under the initial state of its kind, after a run from other initial states."""
        parameters: dict[Any, Any] = {leaf: leaf._data for leaf in case.recording.parameters.values()}
        new = replay(case.recording.loss, {**parameters, **starts})
        return {start: np.asarray(new.get(end, end._data)) for start, end in ends.items()}


def _ends(case: Case) -> dict[Any, Any]:
    """For each component of each layer's initial state the last state, as far as they are known."""
    found = {}
    for layer in case.landmarks.layers():
        for component in case.landmarks.state_components(layer):
            start: Any = case.find(component, 0, layer, "state")
            end: Any = case.find(component, case.landmarks.order(layer)[-1], layer, "state")
            if start is None or end is None or start in case.names:  # a learnt start is there to be learnt
                continue
            if start._data.shape == end._data.shape:
                found[start] = end
    return found


MISTAKES_IN_THE_FORWARD_PASS: tuple[Mistake, ...] = (ResetOnTheOtherSide(), GatesReadInAnotherOrder(), StateNotReset())
