"""A derivation, line by line: each named intermediate is compared with the value or cotangent of the node of this name.

How lines are called:

    delta[4]    Δ_4, the derivative by the pre-activation of the state of step 4; with gates, by their pre-activations
                side by side
    dL/ds[3]    the derivative by a labelled value of a step: a state (h, c; s is the only state), an output (y), an
                input (x), a gate or whatever ``named`` was called on (f, z)
    dL/dW       the gradient of a parameter
    dL/dW[3]    the contribution of step 3 to it
    s[3], a[3]  the values themselves, of the forward pass; a is the pre-activation of the state
    L4: ...     any of these, for the loss term L_4 alone; dL4/ds[3] is the same as L4: dL/ds[3]
    delta_f[4]  and further letters of the loss's derivation, as ``tr.derive`` prints them: Δ^f[4], dL/du[4], u[4]

``∂`` may stand for ``d`` and ``Δ`` for ``delta``; ``layer 1: ...`` names the layer. A value that was labelled outside
the steps with one row for each of them (``named("z", states @ V + c)``) is found by its row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.graph import Node, Observer, observe_backward
from ..autodiff.tensor import Tensor
from ..derivation.equations.expressions import Reference, setting_key
from ..derivation.equations.parts import parts
from ..derivation.equations.quantities import Quantity
from ..derivation.writing.writer import TextWriter
from ..recorded.contributions import contributions_by_step
from ..recorded.gates import gate_columns
from ..recorded.landmarks import Landmarks
from .claims.claims import plain_array
from .measures import Tolerance, distance
from .report import AGREES, DIFFERS, NAN, NOTHING, Line
from .rows import Sides

PATTERN = re.compile(
    r"(?:L_?(?P<term>\d+):\s*)?(?:layer (?P<layer>[^\s:]+):\s*)?"
    r"(?P<kind>[d∂]L_?(?P<inner>\d+)?/[d∂]|)(?P<name>[^\s\[\]:/]+)(?:\[(?P<step>\d+)\])?"
)
ACTIVATIONS = frozenset({"tanh", "sigmoid", "relu"})
STATES = ("s", "h")  # the only state, whatever its name
DELTAS = ("delta", "Delta", "Δ")


class Request(NamedTuple):
    """A line's name, parsed."""

    name: str  # the name of the value: "s", "f", "W"; "delta" for Δ
    step: int | None  # the step; None if not given
    layer: Any  # the layer; None if not given
    term: int | None  # the loss term; None for the whole loss
    is_derivative: bool  # whether the derivative by the value is meant, or the value itself


class Place(NamedTuple):
    """The place of a line's number in the recording."""

    nodes: Sequence[Any] = ()  # the nodes whose cotangents (or values), side by side, the line names
    row: int | None = None  # the row of these arrays; None for all
    leaf: Tensor | None = None  # the parameter whose gradient the line names, if any
    step: int | None = None  # the step whose contribution to that gradient is meant; None for the whole gradient


def read_line(name: str) -> Request | None:
    """The request in a line's name; None if it isn't the name of a line.

    Example:
        >>> read_line("dL/ds[3]")
        Request(name='s', step=3, layer=None, term=None, is_derivative=True)
        >>> read_line("L4: delta[2]").term
        4
    """
    match = PATTERN.fullmatch(name.strip())
    if match is None:
        return None
    part = match.groupdict()
    is_delta = part["name"] in DELTAS or part["name"].startswith(("delta_", "Δ"))
    term = part["term"] or part["inner"]
    layer = int(part["layer"]) if (part["layer"] or "").isdigit() else part["layer"]
    return Request(
        "delta" if part["name"] in DELTAS else part["name"],
        None if part["step"] is None else int(part["step"]),
        layer,
        None if term is None else int(term),
        bool(part["kind"]) or is_delta,
    )


def requested(name: str) -> Request:
    """The request in a line's name; raises a KeyError if there is none."""
    request = read_line(name)
    if request is None:
        raise KeyError(f"{name!r} is not the name of a line, such as delta[4], dL/ds[3] or dL/dW")
    return request


def compare_lines(sides: Sides) -> list[Line]:
    """Compare each named line of a derivation with the recording.

    Returns:
        The lines in the order of computation: values in forward order, then derivatives in the order of the backward
        pass, then the gradients.
    """
    if not sides.claims.lines:
        return []
    book = Book(sides)
    entries = []
    for position, (name, value) in enumerate(sides.claims.lines.items()):
        try:
            request = requested(name)
            place = book.place(request)
            expected = book.look_up(request, place)
            order = book.order(request, place)
            entries.append((order, position, _line(name, expected, plain_array(value), sides.tolerance)))
        except (KeyError, TypeError, ValueError) as error:
            entries.append(((3, 0, 0), position, Line(name, NOTHING, problem=str(error.args[0]))))
    return [line for *_, line in sorted(entries, key=lambda entry: entry[:2])]


def _line(name: str, expected: np.ndarray, given: np.ndarray, tolerance: Tolerance) -> Line:
    if expected.shape != given.shape:
        if expected.size != given.size or expected.squeeze().shape != given.squeeze().shape:
            return Line(name, DIFFERS, problem=f"shape {given.shape} where {expected.shape} belongs")
        given = given.reshape(expected.shape)
    if np.isnan(given).any() or np.isnan(expected).any():
        whose = "the manual side" if np.isnan(given).any() else "autograd"
        return Line(name, NAN, problem=f"NaN on {whose}")
    absolute, relative = distance(expected, given)
    return Line(name, AGREES if tolerance.accepts(absolute, relative) else DIFFERS, absolute, relative)


class _Cotangents(Observer):
    def __init__(self, wanted: set[Node]) -> None:
        self.wanted = wanted
        self.found: dict[Node, np.ndarray] = {}

    def cotangent(self, node: Node, g: Any) -> None:
        if node in self.wanted:
            self.found[node] = np.asarray(g)


class Book:
    """A recording in which lines are looked up by their names."""

    def __init__(self, sides: Sides) -> None:
        self.sides, self.recording = sides, sides.recording.opened
        self.landmarks = Landmarks([self.recording.loss])
        self._cotangents: dict[int | None, dict[Node, np.ndarray]] = {}

    def place(self, request: Request) -> Place:
        """The place of a request in the recording.

        Raises:
            KeyError: there is no such value.
        """
        name, step, layer = request.name, request.step, request.layer
        matching = [p for p in self.recording.parameters if p == name or p.endswith(f".{name}")]
        if request.is_derivative and len(matching) == 1 and name != "delta":
            leaf = self.recording.parameters[matching[0]]
            if step is None or self.landmarks.find(name, step, layer) is None:
                return Place(leaf=leaf, step=step)
        try:
            if step is None:
                raise KeyError(f"say at which step: {name}[t]")
            if name in ("delta", "a") and self.landmarks.find(name, step, layer) is None:
                return Place(self._pre_activation(step, layer))
            return self._labelled(name, step, layer)
        except KeyError:
            place = self._by_letter(request) if layer is None else None
            if place is None:
                raise
            return place

    @cached_property
    def _letters(self) -> dict[str, tuple[Quantity, Mapping[Any, Any]]]:
        """The letters of the loss's derivation: the quantity that each one stands for, and its values."""
        derivation, _ = self.sides.derived
        found: dict[str, tuple[Quantity, Mapping[Any, Any]]] = {}
        if derivation is not None:
            values = derivation.evaluate()
            for quantity in dict.fromkeys(line.quantity for line in derivation.lines):
                source = quantity if quantity.adjoint_of is None else quantity.adjoint_of
                for letter in (quantity.name, TextWriter(None).symbol(quantity)):
                    if isinstance(source, Quantity):
                        found.setdefault(letter.replace("∂", "d"), (source, values[quantity]))
        return found

    @cached_property
    def _states(self) -> set[str]:
        """The names of the states in the loss's derivation: of values that the next step reads."""
        derivation, _ = self.sides.derived
        lines = [] if derivation is None else [line for line in derivation.lines if line.kind == "forward"]
        return {read.quantity.name for line in lines for read in parts(line.expression, Reference) if read.shift}

    def _by_letter(self, request: Request) -> Place | None:
        """The place of a value for which the loss's derivation has a letter; None if there is none."""
        name = request.name
        if name in STATES and name not in self._letters and len(self._states) == 1:
            (name,) = self._states
        is_delta = name.startswith(("delta", "Δ"))
        letter = f"dL/d{name}" if request.is_derivative and not is_delta else name
        if letter not in self._letters:
            return None
        source, values = self._letters[letter]
        row = None if request.step is None else request.step - 1
        for step, of_it in ((request.step, None), (None, row)):
            for node in self._nodes_like(source.values.get(step)):
                place = Place([node], row=of_it)
                if of_it is not None and not (source.shape and source.shape[0] == self.landmarks.steps > of_it >= 0):
                    continue
                expected = np.broadcast_to(0.0 if values.get(step) is None else values[step], source.shape)
                expected = expected if of_it is None else expected[of_it]
                if np.allclose(self.look_up(request, place), expected, rtol=1e-7, atol=1e-12):
                    return place
        return None

    def _nodes_like(self, value: np.ndarray | None) -> list[Any]:
        """The recorded values that are equal to one."""
        return [] if value is None else [node for node in self.landmarks.nodes if np.array_equal(node._data, value)]  # type: ignore[attr-defined]

    def _labelled(self, name: str, step: int, layer: Any) -> Place:
        node = self.landmarks.find(name, step, layer)
        if node is None and name in STATES and name not in self._letters:  # else it is that of a plain loop
            node = self._only_state(step, layer)
        if node is not None:
            return Place([node])
        stacked: Any = self.landmarks.find(name, None, layer)
        if stacked is not None and stacked.ndim and len(stacked) == self.landmarks.steps >= step > 0:
            return Place([stacked], row=step - 1)
        names = ", ".join(self.landmarks.names(step)) or "nothing"
        raise KeyError(
            f"nothing is called {name!r} at step {step} (there: {names}); label it with tr.named({name!r}, ...)"
        )

    def _only_state(self, step: int, layer: Any) -> Node | None:
        layers = [layer] if layer is not None else self.landmarks.layers()
        components = [(one, name) for one in layers for name in self.landmarks.state_components(one)]
        return self.landmarks.find(components[0][1], step, components[0][0], "state") if len(components) == 1 else None

    def _pre_activation(self, step: int, layer: Any) -> list[Any]:
        """The arguments of the state's activation or, side by side, of the gates' activations."""
        state = self._only_state(step, layer)
        if state is not None and state.op is not None and state.op.name in ACTIVATIONS:
            return [state.inputs[0]]
        for parameter in self.recording.parameters.values():
            columns = gate_columns(self.landmarks, parameter)
            gates = [self.landmarks.find(name, step, layer, "value") for name in columns]
            inputs = [gate.inputs[0] for gate in gates if gate is not None and gate.op and gate.op.name in ACTIVATIONS]
            if inputs and len(inputs) == len(columns):
                return inputs
        raise KeyError(
            f"the state of step {step} isn't the result of an activation function, so Δ_{step} isn't defined; label "
            "the value that you mean with tr.named('delta', ...) or tr.named('a', ...)"
        )

    def look_up(self, request: Request, place: Place) -> np.ndarray:
        """The right array for a request, at its place in the recording.

        Raises:
            KeyError: there is no such loss term, or the loss doesn't depend on the value.
        """
        if place.leaf is not None:
            return self._gradient(place.leaf, place.step, request.term)
        if not request.is_derivative:
            arrays = [np.asarray(node._data) for node in place.nodes]
        else:
            known = self._cotangents_of(request.term)
            arrays = [
                sum((known[twin] for twin in self._twins.get(node, [node]) if twin in known), np.zeros_like(node._data))
                for node in place.nodes
            ]
        whole = np.concatenate(arrays, axis=-1) if len(arrays) > 1 else arrays[0]
        return whole if place.row is None else whole[place.row]

    @cached_property
    def _twins(self) -> dict[Node, list[Node]]:
        """The nodes that compute the same as each node: code may write an expression twice, a derivation doesn't."""
        alike: dict[Any, list[Node]] = {}
        found: dict[Node, list[Node]] = {}
        for node in sorted(self.landmarks.nodes, key=lambda node: node.serial):
            read = (
                id(found[given][0] if given in found else given) if isinstance(given, Node) else setting_key(array)
                for given, array in zip(node.inputs, getattr(node, "_arrays", ()))
            )
            key = id(node) if node.is_leaf else (id(node.op), setting_key(dict(node._keywords)), *read)  # type: ignore[attr-defined]
            found[node] = alike.setdefault(key, [])
            found[node].append(node)
        return found

    def _gradient(self, leaf: Tensor, step: int | None, term: int | None) -> np.ndarray:
        nothing = np.zeros_like(leaf.data)
        found = contributions_by_step(self.root(term), {"": leaf})[""]
        return np.asarray(found.total() + nothing if step is None else found.steps.get(step, nothing))

    def _cotangents_of(self, term: int | None) -> dict[Node, np.ndarray]:
        if term not in self._cotangents:
            observer = _Cotangents(set(self.landmarks.nodes))
            observe_backward(self.root(term), observer)
            self._cotangents[term] = observer.found
        return self._cotangents[term]

    def root(self, term: int | None) -> Tensor:
        """The loss, or one of its terms."""
        if term is None:
            return self.recording.loss
        if term in self.recording.terms:
            return self.recording.terms[term]
        if self.recording.terms:
            there = ", ".join(map(str, self.recording.terms))
            raise KeyError(f"there is no loss term L_{term} that depends on a parameter; there are {there}")
        raise KeyError("the loss came as one number; give it as its terms, {4: L_4, ...}, to tell them apart")

    def order(self, request: Request, place: Place) -> tuple[int, int, int]:
        """The key that sorts forward lines in the order of recording, then derivatives in reverse, then gradients."""
        if place.leaf is not None:
            return 2, 0, 0
        latest, step = max(node.serial for node in place.nodes), request.step or 0
        return (1, -latest, -step) if request.is_derivative else (0, latest, step)
