"""The derivative of a state by an earlier one, ∂s_t/∂s_k: its size over all pairs of steps, and its bounds.

    ∂s_t/∂s_k = ∂s_t/∂s_{t-1} · ∂s_{t-1}/∂s_{t-2} · ... · ∂s_{k+1}/∂s_k

The factors come from the recorded graph, by one short backward walk for each unit of the state; so this works for any
cell. A state of several components (h and c of an LSTM) counts as one long vector, their units side by side.

Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013), section 2.1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autodiff.graph import Node, backward_walk
from ..autodiff.tables import Table, Tabular, evenly_spread, number
from ..autodiff.tensor import Tensor
from ..recorded.landmarks import Landmarks, Layer, between
from ..recorded.replay import expanded


def state_jacobian(root: Tensor, t: int, k: int, layer: Layer = None) -> np.ndarray:
    """∂s_t/∂s_k from a recorded graph.

    Args:
        root: anything that was computed from the states: the loss, the outputs, the last state.
        t: the later step; in a layer that runs in reverse, the one that is taken later.
        k: the earlier step, from 1; or 0 for the initial state, if that requires a gradient.
        layer: the layer of the state; may be left out if there is only one.

    Returns:
        An array (D, D), or (B, D, D) for a batch, the output first: ``[..., i, j]`` is ∂s_t[i]/∂s_k[j]. D is the number
        of units in all components of the state, side by side: a single number is one unit, a matrix (m, n) has m·n.
        Leading axes that all components share are those of a batch if no instance depends on another; else all numbers
        are units.

    Raises:
        ValueError: there are no such states, or k is later than t.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> W = tr.tensor([[0.5, 0.0], [1.0, 0.5]], requires_grad=True)
        >>> ys, h = tr.unroll(lambda x, h: x + h @ W, np.ones((4, 2)), state=np.zeros(2))
        >>> state_jacobian(h, 3, 1)  # W transposed, squared
        array([[0.25, 1.  ],
               [0.  , 0.25]])
    """
    landmarks = Landmarks([expanded(root)[root]])
    layer = the_layer(landmarks, layer)
    order = landmarks.order(layer)
    for step in (t, k):
        _state(landmarks, step, layer)  # an error if there is none
    if order.index(k) > order.index(t):
        raise ValueError(f"state_jacobian: state {t} doesn't depend on the later state {k}")
    states = [_state(landmarks, step, layer) for step in order[order.index(k) : order.index(t) + 1]]
    factors, batch_axes = _factors(states)
    product = _identity(states[0], batch_axes)
    for factor in factors:
        product = factor @ product
    return product


@dataclass(frozen=True, repr=False)
class StateJacobians(Tabular):
    """The sizes of ∂s_t/∂s_k over the whole triangle; the largest over the instances of a batch.

    Rows and columns belong to the steps in the order in which they were taken; entries above the diagonal are zero.

    Attributes:
        order: these steps: 1, ..., T; from 0 if the initial state requires a gradient; T, ..., 1 in reverse.
        spectral: the largest singular value.
        frobenius: the Frobenius norm.
        bound: the product of the spectral norms of the factors, which ``spectral`` can't exceed.
        steps: the spectral norms of the factors, ∂s_t/∂s_{t-1} for every step but the first.
    """

    order: Sequence[int]
    spectral: np.ndarray
    frobenius: np.ndarray
    bound: np.ndarray
    steps: np.ndarray

    def table(self, what: str = "spectral") -> Table:
        """A table of one of the triangles: "spectral", "frobenius" or "bound"; at most ten steps, evenly spread."""
        values = getattr(self, what)
        shown = evenly_spread(len(values))
        header = ["", *(f"k={self.order[k]}" for k in shown)]
        rows = [[f"t={self.order[t]}", *(number(values[t, k]) if k <= t else "" for k in shown)] for t in shown]
        return Table(f"∂s_t/∂s_k, {what}", header, rows)


def state_jacobians(root: Tensor, layer: Layer = None) -> StateJacobians:
    """The size of ∂s_t/∂s_k for every pair of steps.

    Args:
        root: anything that was computed from the states.
        layer: whose state; may be left out where there is one layer.

    Returns:
        The triangle of norms, with the product of spectral norms as the bound.

    Raises:
        ValueError: there are no states, or several layers and none was named.
    """
    landmarks = Landmarks([expanded(root)[root]])
    layer = the_layer(landmarks, layer)
    order = [t for t in landmarks.order(layer) if _differentiable(landmarks, t, layer)]
    states = [_state(landmarks, t, layer) for t in order or [landmarks.steps]]
    factors, batch_axes = _factors(states)
    n = len(states)
    spectral, frobenius, bound = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    steps = np.array([_largest_norm(J) for J in factors])
    for k in range(n):
        product = _identity(states[k], batch_axes)
        for t in range(k, n):
            if t > k:
                product = factors[t - 1] @ product
            spectral[t, k] = _largest_norm(product)
            frobenius[t, k] = float(np.max(np.linalg.norm(product, axis=(-2, -1))))
            bound[t, k] = float(np.prod(steps[k:t]))
    return StateJacobians(order, spectral, frobenius, bound, steps)


def spectral_radius(W: Any) -> float:
    """The largest absolute eigenvalue of a square matrix: in the long run, its powers grow or shrink by this factor.

    Args:
        W: (d, d), a Tensor or an array.

    Raises:
        ValueError: it isn't square.

    Example:
        >>> import numpy as np
        >>> round(spectral_radius(np.array([[0.0, 2.0], [0.5, 0.0]])), 6)
        1.0
    """
    W = np.asarray(W.data if isinstance(W, Tensor) else W)
    if W.ndim != 2 or W.shape[0] != W.shape[1]:
        raise ValueError(
            f"spectral_radius: pass a square matrix, not one of shape {W.shape}; for a gate, pass its (d, d) block"
        )
    return float(np.max(np.abs(np.linalg.eigvals(W)), initial=0.0))


def the_layer(landmarks: Landmarks, layer: Layer) -> Layer:
    """The layer asked for; the only one if none was named."""
    layers = landmarks.layers()
    if layer is not None and layer not in layers:
        raise ValueError(f"no layer {layer!r} has a state here; there are {layers}")
    if not layers:
        raise ValueError("there are no states here: run the cell with tr.unroll, which labels them at every step")
    if layer is None and len(layers) > 1:
        raise ValueError(f"there are several layers, {layers}: say which with layer=")
    return layers[0] if layer is None else layer


def _differentiable(landmarks: Landmarks, step: int, layer: Layer) -> list[Node]:
    """The components of a state through which a gradient flows."""
    found = [landmarks.state(name, step, layer) for name in landmarks.state_components(layer)]
    return [node for node in found if node is not None and node.requires_grad]


def _state(landmarks: Landmarks, step: int, layer: Layer) -> list[Node]:
    found = _differentiable(landmarks, step, layer)
    if not found:
        why = (
            "give unroll an initial state that requires one: state=tr.tensor(np.zeros(d), requires_grad=True)"
            if step == 0
            else f"the steps go from 1 to {landmarks.steps}, and what was passed as root must have been made from them"
        )
        raise ValueError(f"no state of step {step} leads to a gradient: {why}")
    return found


def _identity(state: Sequence[Any], batch_axes: int) -> np.ndarray:
    D = sum(math.prod(part.shape[batch_axes:]) for part in state)
    return np.broadcast_to(np.eye(D), (*state[0].shape[:batch_axes], D, D))


def _factors(states: Sequence[Sequence[Any]]) -> tuple[list[np.ndarray], int]:
    """∂s_t/∂s_{t-1} for each pair of consecutive states, and the number of leading axes that count the instances."""
    pairs = [(later, earlier, between(later, earlier)) for earlier, later in itertools.pairwise(states)]
    batch_axes = _shared_axes([part for state in states for part in state])
    while batch_axes and not all(_are_apart(*pair, batch_axes) for pair in pairs):
        batch_axes -= 1
    return [_one_step(*pair, batch_axes) for pair in pairs], batch_axes


def _shared_axes(parts: Sequence[Any]) -> int:
    """The number of leading axes that can be a batch's: all parts have them, and at least one part has another axis."""
    count = min(min(part.ndim for part in parts), max(part.ndim for part in parts) - 1)
    while count > 0 and len({part.shape[:count] for part in parts}) > 1:
        count -= 1
    return max(count, 0)


def _are_apart(later: Sequence[Any], earlier: Sequence[Any], nodes: list[Node], batch_axes: int) -> bool:
    """Return True if no instance of a batch depends on another. If one state is a matrix, its rows do depend.

    Any two instances differ in a digit of their binary numbers. So for every digit, one walk starts at the instances
    with a 1 there, and one at the others; neither may reach the rest.
    """
    instances = np.arange(math.prod(later[0].shape[:batch_axes])).reshape(later[0].shape[:batch_axes])
    random = np.random.default_rng(0)
    for digit in range(max(instances.size - 1, 0).bit_length()):
        for chosen in (instances >> digit & 1 == 1, instances >> digit & 1 == 0):
            seeds = {part: np.zeros_like(part.data) for part in later}
            for seed in seeds.values():
                seed[chosen] = random.normal(size=seed[chosen].shape)
            reached = backward_walk(seeds, nodes, targets=frozenset(earlier))
            rest = np.concatenate([np.ravel(np.asarray(g)[~chosen]) for g in reached.values()] or [np.zeros(0)])
            if np.any(rest[~np.isnan(rest)]):  # NaN comes from 0 times an infinity of the same instance
                return False
    return True


def _one_step(later: Sequence[Any], earlier: Sequence[Any], nodes: list[Node], batch_axes: int) -> np.ndarray:
    """∂s_t/∂s_{t-1}: one walk for each unit of s_t, for all instances at once: they don't depend on each other."""
    targets = frozenset(earlier)
    rows = []
    for component in later:
        batch = component.shape[:batch_axes]
        for unit in np.ndindex(component.shape[batch_axes:]):
            seed = np.zeros_like(component.data)
            seed[(..., *unit)] = 1.0
            reached = backward_walk({component: seed}, nodes, targets=targets)
            parts = [np.asarray(reached.get(node, np.zeros_like(node.data))) for node in earlier]
            rows.append(np.concatenate([part.reshape(*batch, -1) for part in parts], axis=-1))
    return np.stack(rows, axis=-2)


def _largest_norm(J: np.ndarray) -> float:
    return float(np.max(np.linalg.norm(J, 2, axis=(-2, -1)))) if np.isfinite(J).all() else float("inf")
