"""The size of the gradient that arrives at each step: vanishing, stable or exploding, and at what rate.

Source: Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient descent is difficult" (1994);
Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autodiff.graph import Node, observe_backward
from ..autodiff.scope import enable_grad
from ..autodiff.tables import Table, Tabular, evenly_spread, number
from ..autodiff.tensor import Tensor
from ..nn.module import Module
from ..recorded.landmarks import Landmarks, Layer
from ..recorded.loss_terms import entering_cotangents, walk_from_step
from ..recorded.norm import norm
from ..recorded.replay import expanded
from .adjoints import Arriving

VANISHING, STABLE, EXPLODING = "vanishing", "stable", "exploding"


@dataclass(frozen=True, repr=False)
class Flow(Tabular):
    """The gradient at one component of one layer's state.

    Attributes:
        layer: the layer.
        component: "h", "c", ...
        steps: the numbers of the steps with such a state; a layer that runs in reverse has taken them in reverse order.
        norms: the norm of ∂L/∂s_t, for each of these steps.
        carried: the same norms for the last loss term alone: the gradient that arrives at s_t on its way back through
            time.
        rate: the factor by which ``carried`` changes with each step back, over the whole way (least squares of its
            logarithm); None if there are no two steps.
        verdict: "vanishing" if less than a hundredth arrives at the first step, or if a fifth of it or more is lost
            with every step; "exploding" if more than a hundredfold arrives, or a quarter or more is added with every
            step; else "stable".
    """

    layer: Layer
    component: str
    steps: np.ndarray
    norms: np.ndarray
    carried: np.ndarray
    rate: float | None
    verdict: str

    @property
    def name(self) -> str:
        """The name in tables: "h", or "h of layer 1"."""
        return self.component if self.layer is None else f"{self.component} of layer {self.layer}"

    def table(self) -> Table:
        """The norms of ∂L/∂s_t at up to ten steps, with rate and verdict."""
        return GradientFlow([self]).table()


@dataclass(frozen=True, repr=False)
class GradientFlow(Tabular):
    """The gradient at every step of every state: what ``gradient_flow`` returns.

    Attributes:
        flows: one for each layer and state component.
    """

    flows: Sequence[Flow]

    def __getitem__(self, component: str) -> Flow:
        """The flow of a component, by its name: "h", or "h of layer 1"."""
        for flow in self.flows:
            if flow.name == component:
                return flow
        raise KeyError(f"no state is called {component!r}; there are {', '.join(flow.name for flow in self.flows)}")

    def table(self) -> Table:
        """The norms of ∂L/∂s_t at up to ten steps, with verdict and rate."""
        steps = np.unique(np.concatenate([flow.steps for flow in self.flows]))
        shown = steps[evenly_spread(len(steps))]
        rows = []
        for flow in self.flows:
            at = dict(zip(flow.steps.tolist(), flow.norms.tolist()))
            rate = "-" if flow.rate is None else f"{flow.rate:.3g}"
            rows.append([flow.name, *(number(at.get(int(t))) for t in shown), rate, flow.verdict])
        title = "Norm of ∂L/∂s_t; rate and verdict are of the part that the last loss term carries back"
        return Table(title, ["state", *(f"t={t}" for t in shown), "rate per step", "verdict"], rows)


def gradient_flow(loss: Any, data: Sequence[Any] = ()) -> GradientFlow:
    """The norm of ∂L/∂s_t for every step, layer and state component.

    The verdict is about the way back through time, so it uses only the last loss term: if every step has a loss of its
    own, the other terms would hide that the gradient of the last one never arrives.

    Args:
        loss: a recorded loss; or a Module that returns it when called with the data.
        data: the arguments for the Module.

    Returns:
        The norms, and for each state component the rate per step and the verdict.

    Raises:
        ValueError: the loss depends on no state.
        RuntimeError: the graph was freed.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor(0.9, requires_grad=True)
        >>> _, s = tr.unroll(lambda x, s: w * s, None, state=np.ones(1), steps=51)
        >>> flow = gradient_flow(s.sum())["h"]
        >>> round(float(flow.norms[0]), 5), round(flow.rate, 6), flow.verdict  # 0.9⁵⁰
        (0.00515, 0.9, 'vanishing')
    """
    if isinstance(loss, Module):
        with enable_grad():
            loss = loss(*data)
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        raise TypeError("gradient_flow: pass a recorded loss, or a Module that gives one with the data to call it with")
    loss = expanded(loss)[loss]
    landmarks = Landmarks([loss])
    states = {
        (layer, component): _states(landmarks, layer, component)
        for layer in landmarks.layers()
        for component in landmarks.state_components(layer)
    }
    states = {key: found for key, found in states.items() if found}
    entries = entering_cotangents(loss)
    if not states or not entries:
        raise ValueError("gradient_flow: the loss was made of no state: run the cell with tr.unroll, which labels them")
    wanted = {node for found in states.values() for node in found.values()}
    whole = Arriving(wanted, norm)
    observe_backward(loss, whole)
    ends = {layer: _last_entered(landmarks, layer, entries) for layer, _ in states}
    carried = {end: Arriving(wanted, norm) for end in ends.values()}
    for end, observer in carried.items():
        walk_from_step(entries[end], observer)
    return GradientFlow([_flow(*key, found, whole.found, carried[ends[key[0]]].found) for key, found in states.items()])


def _states(landmarks: Landmarks, layer: Layer, component: str) -> dict[int, Node]:
    """The states in the order in which the steps were taken."""
    found = ((t, landmarks.state(component, t, layer)) for t in landmarks.order(layer))
    return {t: node for t, node in found if node is not None and node.requires_grad}


def _last_entered(landmarks: Landmarks, layer: Layer, entries: Mapping[int, Any]) -> int:
    """The last step of the layer that has a loss term; the loss need not depend on its state."""
    taken = {node.scope.outermost_step: node.serial for node in landmarks.nodes if node.scope.layer == layer}
    own = {step: serial for step, serial in taken.items() if step in entries}
    return max(own, key=own.__getitem__) if own else max(entries)  # type: ignore[return-value]


def _flow(
    layer: Layer, component: str, states: Mapping[int, Node], whole: Mapping[Node, float], last: Mapping[Node, float]
) -> Flow:
    norms = np.array([whole.get(node, 0.0) for node in states.values()])
    carried = np.array([last.get(node, 0.0) for node in states.values()])
    steps = np.array(list(states))
    by_number = np.argsort(steps)
    rate, verdict = _judged(carried)
    return Flow(layer, component, steps[by_number], norms[by_number], carried[by_number], rate, verdict)


def _judged(carried: np.ndarray) -> tuple[float | None, str]:
    """The rate and verdict of the norms, from the first state to the step where the last loss term enters."""
    entered = np.flatnonzero(carried)
    if not np.isfinite(carried).all():
        return np.inf, EXPLODING
    if len(entered) == 0 or entered[-1] == 0:
        return None, STABLE
    way = slice(0, entered[-1] + 1)
    if carried[0] == 0:
        return 0.0, VANISHING
    rate = float(np.exp(-np.polyfit(np.arange(len(carried))[way], np.log(carried[way]), 1)[0]))
    arrives = carried[0] / carried[way][-1]
    if arrives < 1e-2 or rate < 0.8:
        return rate, VANISHING
    return rate, EXPLODING if arrives > 1e2 or rate > 1.25 else STABLE
