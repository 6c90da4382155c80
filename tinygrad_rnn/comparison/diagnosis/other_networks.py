"""The right gradient of another network: mistakes in the forward pass, which no line of the backward pass shows.

The recording is run again with a change: a state that wasn't reset, gates in another order, a reset gate on the other
side of a product, a gradient that flows where the loss stops it. The sum over paths is also truncated.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.graph import Node, Observer, observe_backward
from ...autodiff.scope import enable_grad, nothing_stopped
from ...autodiff.tensor import tensor
from ...derivation.edits.editing import Bench
from ...derivation.edits.windows import windows
from ...recorded.landmarks import Landmarks, between
from ...recorded.recording import Recording, record
from ...recorded.replay import Change, replay, run_again
from .sizes import Sizes

MOST_INSTANCES = 32
MOST_GATES = 4

Gradients = Mapping[str, np.ndarray]


class Candidate(NamedTuple):
    """Another network, or another sum.

    Attributes:
        mistake: a short name.
        phrase: a phrase for what the gradient then equals.
        gradients: the gradients, by parameter.
    """

    mistake: str
    phrase: str
    gradients: Gradients


def other_networks(recording: Recording, bench: Bench) -> Iterator[Candidate]:
    """The other networks, and truncated sums, that a gradient may belong to, with their gradients.

    Args:
        recording: the loss.
        bench: the right run of its derivation.
    """
    network = Network(recording)
    kinds = (_through_what_is_stopped, _not_carried, _not_reset, _reset_on_the_other_side, _gates_in_another_order)
    for found in (_truncated(bench), *(kind(network) for kind in kinds)):
        try:
            yield from found
        except (ValueError, LookupError, TypeError):  # shapes and names that this network doesn't have
            continue


class Network:
    """A recording whose initial state also has a gradient.

    Attributes:
        recording: the loss and its parameters.
        landmarks: the named values of the model.
        sizes: the sizes of the network.
    """

    def __init__(self, recording: Recording) -> None:
        self.plain = recording
        self.recording = recording.opened
        self.landmarks = Landmarks([self.recording.loss])
        self.sizes = Sizes(self.recording)
        self.leaves: dict[Node, str] = {leaf: name for name, leaf in self.recording.parameters.items()}

    def is_recurrent(self, node: Any, argument: int) -> bool:
        """Return True for an edge from a step to a state of the step before it."""
        for label in getattr(node.inputs[argument], "labels", ()):
            is_state = label.role == "state" and node.scope.step is not None
            if is_state and self.landmarks.step_after(label.layer, label.step) == node.scope.step:
                return True
        return False

    def gradients(
        self, values: Mapping[Node, Any], changes: Mapping[Node, Change] | None = None
    ) -> dict[str, np.ndarray]:
        """The gradients of the network with other values or operations in it."""
        parameters = {name: values.get(leaf, leaf) for leaf, name in self.leaves.items()}
        leaves: dict[Node, Any] = {leaf: parameters[name] for leaf, name in self.leaves.items()}
        with enable_grad():
            new = replay(self.recording.loss, {**values, **leaves}, changes)
        found = observe_backward(new[self.recording.loss], Observer())
        return {
            name: np.asarray(found[leaf]) if leaf in found else np.zeros_like(leaf._data)
            for name, leaf in parameters.items()
        }


def _through_what_is_stopped(network: Network) -> Iterator[Candidate]:
    """The gradient that flows through what the loss stops."""
    gradients, plain = {}, network.plain
    if plain.function is not None:
        with nothing_stopped():
            gradients = record(plain.function, plain.arguments(plain.values()), plain.data).gradients()
    elif plain.stopped:
        gradients = _of_another_run(plain, {}, plain.stopped)
    if gradients:
        phrase = "the gradient through what the loss stops (stop_gradient, detach): it isn't cut there"
        yield Candidate("not stopped", phrase, gradients)


def _not_carried(network: Network) -> Iterator[Candidate]:
    """The network whose states are zeros where the loss stops gradients: each piece of a sequence begins anew."""
    into = (given for node in network.plain.stopped for given in node.inputs)
    zeros = {given: np.zeros_like(given._data) for given in into if not given.requires_grad}
    if zeros:
        phrase = "the gradient with zeros for the states at which the loss stops gradients: each piece begins anew"
        yield Candidate("not carried", phrase, _of_another_run(network.plain, zeros))


def _of_another_run(
    plain: Recording, values: Mapping[Node, Any], changes: Mapping[Node, Change] | None = None
) -> dict[str, np.ndarray]:
    """The gradients of a recording with other values or operations in it."""
    with enable_grad():
        new = replay(plain.loss, {**values, **{leaf: leaf for leaf in plain.parameters.values()}}, changes)
    found = observe_backward(new[plain.loss], Observer())
    return {name: np.asarray(found[leaf]) for name, leaf in plain.parameters.items() if leaf in found}


def _truncated(bench: Bench) -> Iterator[Candidate]:
    """The sums over paths in which each loss looks back only some steps."""
    own = {short: name for name, short in bench.derivation.names.items()}
    for length, gradients in windows(bench):
        phrase = f"the sum truncated after {length} steps: every loss looks back that far only"
        if length == 1:
            phrase = "only the direct term: the path through earlier states was left out"
        yield Candidate("truncated", phrase, {own[name]: gradient for name, gradient in gradients.items()})


# --- reset gates -----------------------------------------------------------------------------------------------------


def _reset_on_the_other_side(network: Network) -> Iterator[Candidate]:
    """A reset gate before the product where it belongs after it, ``(r ∘ h) W`` for ``r ∘ (h W + b)``; or vice versa."""
    moved_before: dict[Node, Change] = {}
    moved_after: dict[Node, Change] = {}
    for node in network.landmarks.nodes:
        for gate in _gates_of(node):
            other: Any = node.inputs[1 - gate]
            if network.is_recurrent(node, 1 - gate):
                product = _product_of(network, node)
                if product is not None:
                    moved_after[node] = _ungated(1 - gate)
                    moved_after[product] = _gated_afterwards(node.inputs[gate])
            elif (chain := _chain_from_state(network, other)) is not None:
                moved_before[node] = _gated_before(node.inputs[gate], *chain)
    for changes, where in (
        (moved_before, "before the product with the state, (r ∘ h) W, where it belongs after it"),
        (moved_after, "after the product with the state, r ∘ (h W), where it belongs before it"),
    ):
        if changes:
            phrase = f"the gradient of a cell with its reset gate {where}; see manual.gru"
            yield Candidate("reset on the other side", phrase, network.gradients({}, changes))


def _gates_of(node: Any) -> list[int]:
    """The arguments of an elementwise product, inside a step, that are the result of a sigmoid."""
    if node.op is None or node.op.name != "multiply" or node.scope.step is None or len(node.edges or ()) != 2:
        return []
    return [i for i in (0, 1) if node.inputs[i].op is not None and node.inputs[i].op.name == "sigmoid"]


def _product_of(network: Network, node: Node) -> Node | None:
    """The matrix product that a node goes into."""
    for user in network.landmarks.nodes:
        if user.op is not None and user.op.name == "matmul" and user.inputs[0] is node:
            return user
    return None


def _chain_from_state(network: Network, end: Node) -> tuple[Node, list[Node]] | None:
    """The operations that lead from the state of the step before to a value, if a matrix product is among them."""
    states = {
        node.inputs[i]
        for node in network.landmarks.nodes
        if node.scope == end.scope
        for i in node.edges or ()
        if network.is_recurrent(node, i)
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


# --- gates and states ------------------------------------------------------------------------------------------------


def _gates_in_another_order(network: Network) -> Iterator[Candidate]:
    """Networks whose gates are read from other gates' columns, as another library orders them."""
    columns = {
        name: {gate: np.flatnonzero(mask) for gate, mask in masks.items()}
        for name, masks in network.sizes.gates.items()
    }
    own = next((list(gates) for gates in columns.values() if gates), [])
    columns = {name: gates for name, gates in columns.items() if set(gates) == set(own)}
    sizes = {len(place) for gates in columns.values() for place in gates.values()}
    if not 2 <= len(own) <= MOST_GATES or len(sizes) != 1:
        return
    for order in itertools.permutations(own):
        if list(order) != own:
            phrase = f"the gradient of a cell that reads its gates in the order {', '.join(order)}"
            yield Candidate("gates permuted", phrase, _mixed(network, columns, own, order))


def _mixed(network: Network, columns: Any, own: list[str], order: Sequence[str]) -> Gradients:
    values: dict[Node, Any] = {}
    for name, gates in columns.items():
        leaf = network.recording.parameters[name]
        taken = np.array(leaf._data)
        for gate, other in zip(own, order):
            taken[..., gates[gate]] = leaf._data[..., gates[other]]
        values[leaf] = tensor(taken, requires_grad=True)
    gradients = network.gradients(values)
    for name, gates in columns.items():
        found = np.array(gradients[name])
        for gate, other in zip(own, order):
            found[..., gates[other]] = gradients[name][..., gates[gate]]
        gradients[name] = found
    return gradients


def _not_reset(network: Network) -> Iterator[Candidate]:
    """Networks whose sequence starts in the last state of an earlier run, or of the instance before."""
    ends = _ends(network)
    if not ends:
        return
    phrase = "the gradient with states that were not reset: "
    earlier = _last(network, ends, {})
    what = "the run starts with the state in which an earlier run over the same data ended"
    yield Candidate("states not reset", phrase + what, network.gradients(earlier))
    B = network.sizes.by_letter.get("B", 1)
    if 1 < B <= MOST_INSTANCES and all(start._data.ndim > 1 for start in ends):
        given = {start: start._data for start in ends}
        starts: dict[Any, Any] = given
        for _ in range(B - 1):  # each run settles one more instance
            last = _last(network, ends, starts)
            starts = {start: np.concatenate([given[start][:1], last[start][:-1]]) for start in ends}
        what = "each instance of the batch starts with the state in which the one before it ended"
        yield Candidate("states not reset", phrase + what, network.gradients(starts))


def _last(network: Network, ends: Mapping[Any, Any], starts: Mapping[Any, Any]) -> dict[Any, np.ndarray]:
    """The last states after a run from other initial states, each under the initial state of its kind."""
    parameters: dict[Any, Any] = {leaf: leaf._data for leaf in network.recording.parameters.values()}
    new = replay(network.recording.loss, {**parameters, **starts})
    return {start: np.asarray(new.get(end, end._data)) for start, end in ends.items()}


def _ends(network: Network) -> dict[Any, Any]:
    """The last state for each component of each layer's initial state; none for one that is learnt."""
    found = {}
    marks = network.landmarks
    for layer in marks.layers():
        for component in marks.state_components(layer):
            start: Any = marks.find_all(component, 0, layer, "state")
            end: Any = marks.find_all(component, marks.order(layer)[-1], layer, "state")
            is_given = len(start) == len(end) == 1 and start[0] not in network.leaves
            if is_given and start[0]._data.shape == end[0]._data.shape:
                found[start[0]] = end[0]
    return found
