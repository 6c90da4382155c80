"""The columns of a parameter that belong to each gate, read from the labels that a cell gives its gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.graph import Node, Observer, backward_walk
from ..autodiff.tensor import Tensor
from .landmarks import Landmarks, between, label_of

STEPS = 8  # the number of steps in which a gradient is looked for


def gate_columns(landmarks: Landmarks, parameter: Tensor) -> dict[str, np.ndarray]:
    """The columns of a parameter from which each labelled value of a step is computed directly.

    Directly means: not through another labelled value, nor through a state. A column belongs to a value if its gradient
    isn't zero in at least one of the first steps (zeros in an input hide a column).

    Args:
        landmarks: the landmarks of the loss.
        parameter: a leaf; its last axis holds the gates side by side.

    Returns:
        The name of each gate with a mask over the last axis, in the order of their columns. Only gates that share no
        column with another are returned, and only if there are several.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> from tinygrad_rnn import nn
        >>> cell = nn.LSTMCell(2, 1, dtype=np.float64)
        >>> ys, _ = tr.unroll(cell, np.ones((3, 2)))
        >>> {name: mask.nonzero()[0].tolist() for name, mask in gate_columns(Landmarks([ys]), cell.b).items()}
        {'i': [0], 'f': [1], 'g': [2], 'o': [3]}
    """
    if not parameter.ndim:
        return {}
    found: dict[str, np.ndarray] = {}
    for node in landmarks.nodes:
        label = label_of(node, "value")
        if label is not None and node.scope.step in range(1, STEPS + 1):
            mask = _columns(node, parameter)
            found[label.name] = found[label.name] | mask if label.name in found else mask
    found = {name: mask for name, mask in found.items() if mask.any()}
    if len(found) < 2 or np.any(np.sum(list(found.values()), axis=0) > 1):
        return {}
    return dict(sorted(found.items(), key=lambda item: int(np.argmax(item[1]))))


def _columns(gate: Any, parameter: Tensor) -> np.ndarray:
    """The places in the last axis of a parameter where the gradient of one gate isn't zero."""

    def is_own(node: Node) -> bool:
        return not node.labels and node.scope.step in (gate.scope.step, None)

    nodes = [node for node in between([gate], [parameter]) if node is gate or node is parameter or is_own(node)]
    reached = backward_walk({gate: np.ones_like(gate.data)}, nodes, targets=frozenset([parameter]), observer=Observer())
    gradient = np.asarray(reached.get(parameter, np.zeros_like(parameter.data)))
    mask: np.ndarray = (gradient != 0).any(axis=tuple(range(gradient.ndim - 1)))
    return mask
