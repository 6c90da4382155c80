"""The contribution of each time step to the gradient of a parameter, from one observed backward walk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autodiff.graph import Node, Observer, observe_backward
from ..autodiff.tensor import Tensor


class Contributions:
    """The gradient of one parameter as the sum of the contributions of each step.

    Attributes:
        steps: for each step, the sum of its contributions, loops inside the step included. The key None stands for
            everything outside the steps.
        magnitude: the sum of the largest elements of all contributions, before what was broadcast is summed. The
            rounding error of the gradient is a small multiple of that of this number, however much cancels.
    """

    def __init__(self) -> None:
        self.steps: dict[int | None, np.ndarray] = {}
        self.magnitude = 0.0

    def total(self) -> np.ndarray:
        """The gradient: their sum; 0 if there are none."""
        return np.asarray(sum(self.steps.values(), np.zeros(())))

    def add(self, step: int | None, c: np.ndarray, summed: float = 0.0) -> None:
        """Add a contribution of a step.

        Args:
            step: the step.
            c: the contribution.
            summed: the largest element of what was summed to it.
        """
        self.magnitude += max(float(np.max(np.abs(c), initial=0.0)), summed)
        self.steps[step] = self.steps[step] + c if step in self.steps else c


class _ByStep(Observer):
    def __init__(self, names: Mapping[Node, str]) -> None:
        self.names = names
        self.found = {name: Contributions() for name in names.values()}
        self._largest = 0.0

    def cotangent(self, node: Node, g: Any) -> None:
        self._largest = float(np.max(np.abs(g), initial=0.0)) if isinstance(g, np.ndarray) else 0.0

    def contribution(self, node: Node, argument: int, c: Any) -> None:
        leaf = node.inputs[argument]
        if leaf in self.names:
            c = np.asarray(leaf._own(c))
            summed = self._largest if np.size(getattr(node, "_data", 0.0)) > c.size else 0.0
            self.found[self.names[leaf]].add(node.scope.outermost_step, c, summed)


def contributions_by_step(loss: Tensor, parameters: Mapping[str, Tensor]) -> dict[str, Contributions]:
    """The contributions of every step to the gradients of a recorded loss.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> W = tr.tensor([[0.5]], requires_grad=True)
        >>> _, h = tr.unroll(lambda x, h: x + h @ W, np.ones((3, 1)), state=np.zeros(1))
        >>> found = contributions_by_step(h.sum(), {"W": W})["W"]
        >>> {k: c.item() for k, c in sorted(found.steps.items())}  # s_0, s_1 W, s_2
        {1: 0.0, 2: 0.5, 3: 1.5}
    """
    observer = _ByStep({leaf: name for name, leaf in parameters.items()})
    observe_backward(loss, observer)
    return observer.found
