"""Mistakes in a rule: the wrong value, the wrong step, the wrong derivative, a matrix for its transpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...autodiff.graph import Node
from ...autodiff.scope import Label
from ...recorded.landmarks import label_of
from ...recorded.replay import run_again
from ..altered import Alteration
from ..case import Case, is_activation
from .base import Candidate, Edges, Mistake, walked


class WrongStep:
    """The value of another step in the gradient of a weight: s_t for s_{t-1}, x_{t-1} for x_t."""

    name = "wrong step"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Each value that stands beside a weight, one step later, one earlier, wrapped round, and in reverse order."""
        partners = self._partners(case)
        if len(partners) > 1:
            phrase = "the sum with the Δ_t in reverse: they were collected from T to 1 and not turned round"
            turned_all = [_Shifted(case, p, edges, _turned(case, p)) for p, edges in partners.items()]
            yield walked(case, self.name, phrase, _Both(turned_all))
        for partner, edges in partners.items():
            offset = -1 if partner.role == "state" else 0
            here = _index(partner.name, offset)
            see = f"Δ_t {here}ᵀ in manual.{case.derivation}.backward"
            shifts: dict[str, Callable[[int], int]] = {
                f"the sum with {_index(partner.name, offset + 1)} where {here} belongs": lambda s: s + 1,
                f"the sum with {_index(partner.name, offset - 1)} where {here} belongs": lambda s: s - 1,
                f"the sum with {here} in reverse": _turned(case, partner),
            }
            if offset:
                wrapped = f"the sum with {partner.name}_T where {partner.name}_0 belongs: an index of -1 wraps round"
                shifts[wrapped] = lambda s: s or case.T
            for phrase, shift in shifts.items():
                yield walked(case, self.name, phrase, _Shifted(case, partner, edges, shift), see)

    def _partners(self, case: Case) -> dict[Label, set[tuple[Node, int]]]:
        """For each labelled value (its step left out), where it stands beside a parameter."""
        found: dict[Label, set[tuple[Node, int]]] = {}
        for node, i in case.parameter_edges():
            for j, other in enumerate(node.inputs):
                if j != i and node.scope.step is not None:
                    label = case.previous_state(node, j) or label_of(other, "input", "output", "state", "value")
                    if label is not None:
                        # a state that stands beside a weight in its own step is an output
                        role = label.role if label.role != "state" or case.previous_state(node, j) else "output"
                        found.setdefault(Label(role, label.name, label.layer), set()).add((node, i))
        return found


def _turned(case: Case, partner: Label) -> Callable[[int], int]:
    """From the step of a value that stands beside a weight at step t to that of the one at step T + 1 - t."""
    ends = case.T - 1 if partner.role == "state" else case.T + 1
    return lambda step: ends - step


def _index(name: str, offset: int) -> str:
    return f"{name}_t" if offset == 0 else f"{name}_{{t{offset:+d}}}"


class _Shifted(Edges):
    """The value beside a weight from another step; steps are counted in the order in which they were taken."""

    def __init__(self, case: Case, partner: Label, edges: set[tuple[Node, int]], shift: Callable[[int], int]) -> None:
        super().__init__(edges)
        self.case, self.partner, self.shift = case, partner, shift

    def altered(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """The rule, with the partner's value of another step; zeros where there is none."""
        args = list(node._arrays)
        for j, other in enumerate(node.inputs):
            for label in getattr(other, "labels", ()) if j != argument else ():
                if (label.name, label.layer) == (self.partner.name, self.partner.layer):
                    order = self.case.landmarks.order(label.layer)
                    place = self.shift(order.index(label.step or 0))
                    value = self.case.value_at(label, order[place]) if 0 <= place < len(order) else None
                    args[j] = np.zeros_like(args[j]) if value is None else value
                    break
        return rule(g, node._data, args)


class _Both(Alteration):
    """Several alterations of edges at once."""

    def __init__(self, parts: Sequence[Edges]) -> None:
        self.parts = parts

    def contribution(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """That of the one which alters this edge."""
        for part in self.parts:
            if (node, argument) in part.edges:
                return part.altered(node, argument, g, rule)
        return super().contribution(node, argument, g, rule)


class WrongStepBesideAGate:
    """The state of the wrong step in the derivative by what it is multiplied with: c_t for c_{t-1}."""

    name = "wrong step"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Each product of a state of the step before with something of this step that is no parameter."""
        for nodes in case.parts:
            node = nodes[-1]
            for j in range(len(node.inputs)):
                label = case.previous_state(node, j)
                others = [i for i in node.edges or () if i != j and node.inputs[i] not in case.names]
                if label is None or not others or not node.op.is_linear:
                    continue
                edges = {(one, i) for one in nodes for i in others if case.is_recurrent(one, j)}
                here = f"{label.name}_{{t-1}}"
                for shift, wrong in ((1, f"{label.name}_t"), (-1, f"{label.name}_{{t-2}}")):
                    phrase = f"the gradient with {wrong} where {here} belongs, in the derivative by its factor"
                    way = _Shifted(case, label._replace(step=None), edges, _plus(shift))
                    yield walked(case, self.name, phrase, way, f"manual.{case.derivation}.backward")


def _plus(shift: int) -> Callable[[int], int]:
    return lambda step: step + shift


class ShiftedRows:
    """The same beside a weight that is applied to all steps at once: the output layer's states, or the inputs."""

    name = "wrong step"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Each such weight, with its rows one step earlier, later, and in reverse order."""
        for leaf, name in case.names.items():
            edges = {
                (node, i) for node, i in case.parameter_edges() if node.inputs[i] is leaf and self._fits(case, node, i)
            }
            shifts: dict[str, Callable[[np.ndarray], np.ndarray]] = {
                "of the step before": lambda rows: np.concatenate([np.zeros_like(rows[:1]), rows[:-1]]),
                "of the step after": lambda rows: np.concatenate([rows[1:], np.zeros_like(rows[:1])]),
                "in reverse order": lambda rows: rows[::-1],
            }
            for what, shift in shifts.items() if edges else ():
                phrase = f"the sum in which what {name} is applied to is taken {what}"
                yield walked(case, self.name, phrase, _Rows(edges, shift))

    def _fits(self, case: Case, node: Any, argument: int) -> bool:
        others = [a for j, a in enumerate(node._arrays) if j != argument]
        return node in case.time_rows and len(others) == 1 and np.ndim(others[0]) > 1 and len(others[0]) == case.T


class _Rows(Edges):
    def __init__(self, edges: set[tuple[Node, int]], shift: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(edges)
        self.shift = shift

    def altered(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """The rule, with shifted rows beside the weight."""
        return rule(g, node._data, [a if j == argument else self.shift(a) for j, a in enumerate(node._arrays)])


class WrongDerivative:
    """The derivative of an activation left out, or taken at the wrong place."""

    name = "activation's derivative"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Each activation, and all of the same kind, in every way."""
        see = f"f' in manual.{case.derivation}.backward"
        for name, nodes in case.activations.items():
            f = f"the derivative of the activation {name}"
            ways: dict[str, Callable[[Any, Any, Any], Any]] = {
                f"the gradient with {f} left out": lambda node, g, rule: g,
                f"the gradient with {f} taken at its result instead of its argument": _at_its_result,
                f"the gradient with the pre-activation for the activation in {f}": _at_its_argument,
                f"the gradient with {f} taken as that of a sigmoid, y (1 - y)": lambda node, g, rule: (
                    g * node._data * (1 - node._data)
                ),
                f"the gradient with {f} taken as that of tanh, 1 - y²": lambda node, g, rule: g * (1 - node._data**2),
                f"the gradient with {f} taken as 1 - y: its square was left out": lambda node, g, rule: (
                    g * (1 - node._data)
                ),
                f"the gradient with {f} taken as y²: '1 -' was left out": lambda node, g, rule: g * node._data**2,
            }
            for phrase, way in ways.items():
                yield walked(case, self.name, phrase, _Slope(nodes, way), see)
            for shift, where in ((-1, "before"), (1, "after")):
                phrase = f"the gradient with {f} taken at the step {where}"
                yield walked(case, self.name, phrase, _Slope(nodes, _of_another_step(case, nodes, shift)), see)
            if all(label_of(node, "state") for node in nodes):
                yield from self._of_a_part(case, name, nodes, see)

    def _of_a_part(self, case: Case, name: str, nodes: set[Any], see: str) -> Iterator[Candidate]:
        """Left out of what comes from the step's own loss, or of what comes from the next step."""
        direct = {node: g for entries in case.entries.values() for node, g in entries.items()}

        def without_direct(node: Any, g: Any, rule: Any) -> Any:
            own = direct.get(node, np.zeros_like(g))
            return own + rule(g - own, node._data, node._arrays)

        def without_recurrent(node: Any, g: Any, rule: Any) -> Any:
            own = direct.get(node, np.zeros_like(g))
            return g - own + rule(own, node._data, node._arrays)

        f = f"the gradient with the derivative of the activation {name} left out of what comes"
        yield walked(case, self.name, f"{f} from the step's own loss", _Slope(nodes, without_direct), see)
        yield walked(case, self.name, f"{f} from the next step, Δ_{{t+1}} Wᵀ", _Slope(nodes, without_recurrent), see)


def _at_its_result(node: Any, g: Any, rule: Any) -> Any:
    result = node.op.forward(node._data, **node._keywords)
    return rule(g, result, [node._data])


def _at_its_argument(node: Any, g: Any, rule: Any) -> Any:
    return rule(g, node._arrays[0], node._arrays)


def _of_another_step(case: Case, nodes: set[Any], shift: int) -> Callable[[Any, Any, Any], Any]:
    """The derivative at the value of another step; before the first step that is the initial state."""
    at = {node.scope.step: node for node in nodes}

    def way(node: Any, g: Any, rule: Any) -> Any:
        label = label_of(node, "state")
        step = case.landmarks.step_after(label.layer if label else node.scope.layer, node.scope.step or 0, shift)
        if step in at and at[step]._data.shape == g.shape:
            return rule(g, at[step]._data, at[step]._arrays)
        initial = None if label is None or step != 0 else case.value_at(label, 0)
        return rule(g, node._data, node._arrays) if initial is None else rule(g, initial, [initial])

    return way


class _Slope(Alteration):
    """Some activations with another rule."""

    def __init__(self, nodes: set[Any], way: Callable[[Any, Any, Any], Any]) -> None:
        self.nodes, self.way = nodes, way

    def contribution(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """The other rule on these nodes."""
        return self.way(node, g, rule) if node in self.nodes else super().contribution(node, argument, g, rule)


# Operations that hand values on as they are, in other places.
MOVES = frozenset(
    {"getitem", "output", "stack", "concatenate", "reshape", "transpose", "swapaxes", "moveaxis", "squeeze",
     "expand_dims", "broadcast_to", "identity"}
)  # fmt: skip


class PreActivation:
    """The pre-activation wherever the activation belongs: in its own derivative and in all that read it."""

    name = "pre-activation for activation"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Each activation: everywhere; where it is read directly; and both but for its own derivative."""
        see = f"s_t = f(a_t) in manual.{case.derivation}"
        for name, nodes in case.activations.items():
            directly = {node: node._arrays[0] for node in nodes}
            everywhere = self._moved_on(case, directly)
            wrong = f"the gradient with the pre-activation where the activation {name} belongs"
            forms = {"": everywhere}
            if len(everywhere) > len(directly):
                forms[", where it is read directly"] = directly
            for where, values in forms.items():
                yield walked(case, self.name, wrong + where, _Substituted(values, True), see)
                but = f"{wrong}{where}, but not in its own derivative"
                yield walked(case, self.name, but, _Substituted(values, False), see)

    def _moved_on(self, case: Case, values: dict[Any, Any]) -> dict[Any, Any]:
        """The same values in all the places to which they were handed on: rows of a stack, elements, another shape."""
        found = dict(values)
        for node in reversed(case.landmarks.nodes):
            if node.op is not None and node.op.name in MOVES and any(node.inputs[i] in found for i in node.edges or ()):
                found[node] = run_again(node, found)
        return found


class _Substituted(Alteration):
    """Other values for some nodes, wherever rules read them."""

    def __init__(self, values: dict[Any, Any], own_rule_too: bool) -> None:
        self.values, self.own_rule_too = values, own_rule_too

    def contribution(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """The rule, reading the other values."""
        ans = self.values.get(node, node._data) if self.own_rule_too else node._data
        args = list(node._arrays)
        for j, other in enumerate(node.inputs):
            if isinstance(other, Node) and other in self.values:
                args[j] = self.values[other]
        return rule(g, ans, args)


class WeightForItsTranspose:
    """W for Wᵀ on the way back through a product."""

    name = "W for its transpose"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Each square weight, in the steps and outside."""
        found: dict[str, set[tuple[Node, int]]] = {}
        for node in case.landmarks.nodes:
            if node.op is not None and node.op.name == "matmul" and 0 in (node.edges or ()):
                b: Any = node.inputs[1]
                while isinstance(b, Node) and b not in case.names and b.op is not None and b.op.name == "getitem":
                    b = b.inputs[0]
                square = np.ndim(node._arrays[1]) == 2 and len(set(node._arrays[1].shape)) == 1  # type: ignore[attr-defined]
                if isinstance(b, Node) and b in case.names and square:
                    found.setdefault(case.names[b], set()).add((node, 0))
        for name, edges in found.items():
            phrase = (
                f"the gradient with {name} where its transpose belongs, on the way back through the product with it"
            )
            yield walked(case, self.name, phrase, _Turned(edges), f"Δ_{{t+1}} Wᵀ in manual.{case.derivation}.backward")


class _Turned(Edges):
    def altered(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """The rule, with the weight turned round."""
        return rule(g, node._data, [node._arrays[0], node._arrays[1].T])


class SoftmaxJacobian:
    """The derivative of the softmax forgotten, or only its diagonal taken."""

    name = "softmax's Jacobian"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """For the cross-entropy from logits, and for a softmax that is written out."""
        recorded = [node for node in case.landmarks.nodes if node.op is not None]
        forms: list[tuple[type[_FromLogSoftmax | _FromLogits | _WrittenOut], set[Node]]] = [
            (_FromLogSoftmax, {node for node in recorded if node.op.name == "log_softmax"}),
            (_FromLogits, {node for node in recorded if node.op.name == "logsumexp"}),
            (_WrittenOut, {node for node in recorded if _is_softmax(node)}),
        ]
        for form, nodes in forms:
            for phrase, way in _JACOBIANS.items() if nodes else ():
                yield walked(case, self.name, phrase, form(nodes, way), "∂ℓ/∂z = o - y in manual.losses")


# From the cotangent of the probabilities o, and o, to what is taken for the cotangent of the logits.
_JACOBIANS: dict[str, Callable[[Any, Any], Any]] = {
    "the gradient with the Jacobian of the softmax forgotten: ∂ℓ/∂o was taken for ∂ℓ/∂z": lambda g, o: g,
    "the gradient with the diagonal of the softmax's Jacobian alone, o (1 - o)": lambda g, o: g * o * (1 - o),
    "the gradient with o - y where its part o was left out: -y": lambda g, o: g * o,
}


class _FromLogSoftmax(Alteration):
    """Cross-entropy from log o, whose cotangent is that of o times o."""

    def __init__(self, nodes: set[Node], way: Callable[[Any, Any], Any]) -> None:
        self.nodes, self.way = nodes, way

    def contribution(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """What is taken for the cotangent of the logits."""
        if node not in self.nodes:
            return super().contribution(node, argument, g, rule)
        o = np.exp(node._data)
        return self.way(g / o, o)


class _FromLogits(Alteration):
    """Cross-entropy as logsumexp(z) - z·y: without the first part the cotangent of z is -y, that of o times o."""

    def __init__(self, nodes: set[Node], way: Callable[[Any, Any], Any]) -> None:
        self.nodes, self.way = nodes, way
        self.logits = {node.inputs[0]: node for node in nodes}

    def contribution(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """Nothing through logsumexp."""
        return None if node in self.nodes else super().contribution(node, argument, g, rule)

    def cotangent(self, node: Any, g: Any) -> Any:
        """What is taken for the cotangent of the logits."""
        if node not in self.logits:
            return g
        of: Any = self.logits[node]
        o = of.op.vjps[0](np.ones_like(of._data), of._data, *of._arrays, **of._keywords)
        return self.way(g / o, o)


class _WrittenOut(Alteration):
    """o = exp(z) / sum(exp(z)): all goes through the numerator, and none of it through the sum."""

    def __init__(self, nodes: set[Node], way: Callable[[Any, Any], Any]) -> None:
        self.nodes, self.way = nodes, way

    def contribution(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """To the numerator what its exp then turns into the wrong cotangent of z; to the sum nothing."""
        if node not in self.nodes:
            return super().contribution(node, argument, g, rule)
        return self.way(g, node._data) / node._arrays[0] if argument == 0 else None


def _is_softmax(node: Any) -> bool:
    """Whether a node is exp(z) / sum(exp(z))."""
    if node.op is None or node.op.name != "divide" or 1 not in (node.edges or ()):
        return False
    numerator, total = node.inputs
    is_exp = isinstance(numerator, Node) and is_activation(numerator) and numerator.op.name == "exp"
    return bool(is_exp and total.op is not None and total.op.name == "sum" and total.inputs[0] is numerator)


MISTAKES_IN_RULES: tuple[Mistake, ...] = (
    WrongStep(),
    WrongStepBesideAGate(),
    ShiftedRows(),
    PreActivation(),
    WrongDerivative(),
    WeightForItsTranspose(),
    SoftmaxJacobian(),
)
