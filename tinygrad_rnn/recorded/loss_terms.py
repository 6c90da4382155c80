"""A recorded loss, cut into the terms of its steps.

A loss over a sequence is often recorded as one product over all steps, not as a list of terms L_t. Still, the loss
depends on the recurrence only through values made at some step. So the cotangents with which the backward walk *enters*
the steps can be separated by the step where they enter: those of step t carry the gradient of L_t, and all together
carry the gradient of L.
"""

from __future__ import annotations

from typing import Any

from ..autodiff.graph import Node, Observer, ancestors, backward_walk


class _Entries(Observer):
    def __init__(self) -> None:
        self.found: dict[int, dict[Node, Any]] = {}

    def contribution(self, node: Node, argument: int, c: Any) -> None:
        parent = node.inputs[argument]
        step = parent.scope.outermost_step
        if step is not None:
            at_step = self.found.setdefault(step, {})
            c = parent._own(c)
            at_step[parent] = at_step[parent] + c if parent in at_step else c


def entering_cotangents(loss: Node) -> dict[int, dict[Node, Any]]:
    """The cotangents that enter each step from a loss, by step and node.

    If the loss was made inside a step itself, that is the only entry.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> W = tr.tensor([[0.5]], requires_grad=True)
        >>> ys, _ = tr.unroll(lambda x, h: x + h @ W, np.ones((3, 1)), state=np.zeros(1))
        >>> entries = entering_cotangents(np.sum(ys * np.array([[1.0], [10.0], [100.0]])))
        >>> {t: [g.item() for g in at.values()] for t, at in sorted(entries.items())}
        {1: [1.0], 2: [10.0], 3: [100.0]}
    """
    if loss.scope.outermost_step is not None:
        return {loss.scope.outermost_step: {loss: loss._seed(None)}}
    above: list[Node] = []
    reached = {loss}
    for node in ancestors([loss]):
        if node in reached and node.scope.step is None:
            above.append(node)
            reached.update(node.inputs[i] for i in node.edges or ())
    observer = _Entries()
    backward_walk({loss: loss._seed(None)}, above, observer=observer)
    return observer.found


def walk_from_step(entries: dict[Node, Any], observer: Observer) -> dict[Node, Any]:
    """The backward walk of one step's term alone, observed; the gradients of the leaves come back."""
    return backward_walk(dict(entries), ancestors(entries), observer=observer)
