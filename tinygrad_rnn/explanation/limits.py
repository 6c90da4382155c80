"""Units and gates near their limits, where they hardly learn: the derivative is nearly zero there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..autodiff.array_node import value_of
from ..autodiff.graph import Node
from ..autodiff.tables import Table, Tabular, evenly_spread
from ..autodiff.tensor import Tensor
from ..recorded.landmarks import Landmarks, Layer
from ..recorded.replay import expanded

# For each activation, whether a value is within a margin of its limits.
NEAR_LIMIT: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "tanh": lambda y, margin: 1 - np.abs(y) < margin,
    "sigmoid": lambda y, margin: np.minimum(y, 1 - y) < margin,
    "relu": lambda y, margin: y <= 0,
}


@dataclass(frozen=True, repr=False)
class Saturation(Tabular):
    """The share of units near their limits, at every step: what ``saturation`` returns.

    Attributes:
        shares: for each activation, by name, an array (T,) of numbers from 0 to 1; NaN at a step without it. The name
            is the label of the value (a gate "f", a state "h") or, without a label, the name of the function; the layer
            is added if there is one.
        margin: the largest distance from a limit that counts as near.
    """

    shares: Mapping[str, np.ndarray]
    margin: float

    def table(self) -> Table:
        """The shares in percent, at up to ten steps, evenly spread."""
        T = max((len(share) for share in self.shares.values()), default=0)
        shown = evenly_spread(T)
        rows = []
        for name, share in self.shares.items():
            cells = ["-" if np.isnan(share[t]) else f"{100 * share[t]:.0f}" for t in shown]
            rows.append([name, *cells, f"{100 * np.nanmean(share):.0f}"])
        return Table("Units near their limits, in percent", ["", *(f"t={t + 1}" for t in shown), "all"], rows)


def saturation(root: Tensor, margin: float = 0.05) -> Saturation:
    """The share of units and gates near their limits at every step.

    Near means: tanh within ``margin`` of -1 or 1, sigmoid within ``margin`` of 0 or 1, relu at 0.

    Args:
        root: anything that was computed from the states: the loss, the outputs.
        margin: how near counts as near.

    Returns:
        For each activation in the steps, its share at every step.

    Raises:
        RuntimeError: the graph was freed.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> W = tr.tensor(np.eye(2) * 3, requires_grad=True)
        >>> ys, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.array([[0.1, 0.0]] * 4), state=np.zeros(2))
        >>> saturation(ys.sum()).shares["h"].tolist()
        [0.0, 0.0, 0.0, 0.5]
    """
    landmarks = Landmarks([expanded(root)[root]])
    T = max((node.scope.step or 0 for node in landmarks.nodes), default=0)  # a loop inside a step may be longer
    found: dict[str, np.ndarray] = {}
    seen: dict[tuple[Layer, int, str], int] = {}
    for node in reversed(landmarks.nodes):
        step = node.scope.step
        if not step or node.op is None or node.op.name not in NEAR_LIMIT:
            continue
        name = _name(node)
        count = seen[node.scope.layer, step, name] = seen.get((node.scope.layer, step, name), 0) + 1
        name += f" {count}" if count > 1 else ""
        name += f" of layer {node.scope.layer}" if node.scope.layer is not None else ""
        share = found.setdefault(name, np.full(T, np.nan))
        share[step - 1] = np.mean(NEAR_LIMIT[node.op.name](value_of(node), margin))
    return Saturation(found, margin)


def _name(node: Node) -> str:
    """The name of an activation: a gate's label first, then a state's, then the name of the function."""
    ordered = sorted(node.labels, key=lambda label: ("value", "state", "output", "input").index(label.role))
    return ordered[0].name if ordered else str(node.op.name)
