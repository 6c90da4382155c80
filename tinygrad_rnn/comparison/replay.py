"""A recorded graph, run forward again with other values at its leaves.

Every node keeps the operation that made it and the arguments. Taken in the order of recording, which is a topological
order, the operations can simply be called again. So a loss that was recorded once can be evaluated anywhere: the
finite-difference referee needs no function to call.

Called with arrays, ``replay`` computes values; called with Tensors, the operations record a new graph, since a
primitive dispatches as NumPy's functions do. What was constant stays as it was: a detached value, a mask, the branch
that ``np.where`` took. The replayed function has the derivative that the backward pass takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..autodiff.graph import Node, ancestors
from ..autodiff.scope import context
from ..autodiff.tensor import Tensor

# What runs in place of a node's own operation: (node, the new value of every node so far) -> its new value.
Change = Callable[[Any, Mapping[Node, Any]], Any]


def replay(root: Tensor, values: Mapping[Node, Any], changes: Mapping[Node, Change] | None = None) -> dict[Node, Any]:
    """Run the graph behind ``root`` again.

    Args:
        root: what was recorded, not freed.
        values: for some nodes, leaves or not, what to put in their place: arrays, or Tensors to record a new graph. A
            node that required no gradient when it was used counts as well (an initial state).
        changes: for some nodes, what to run instead of their operation.

    Returns:
        The new value of every node that leads from a leaf that requires a gradient to ``root``. New Tensors keep the
        scope and the labels of the nodes that they stand for.

    Raises:
        RuntimeError: the graph was freed.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0, 2.0], requires_grad=True)
        >>> loss = np.sum(w * w)
        >>> float(replay(loss, {w: np.array([3.0, 4.0])})[loss])
        25.0
    """
    known: dict[Node, Any] = dict(values)
    outside = context.scope
    try:
        for node in reversed(ancestors([root])):
            context.scope = node.scope
            if node in values:
                continue
            if node.is_leaf:
                known[node] = node._data  # type: ignore[attr-defined]
                continue
            change = (changes or {}).get(node)
            known[node] = run_again(node, known) if change is None else change(node, known)
            if isinstance(known[node], Tensor) and not known[node].labels:
                known[node].labels = node.labels
    finally:
        context.scope = outside
    return known


def run_again(node: Any, known: Mapping[Node, Any]) -> Any:
    """One recorded operation, on the new values of its arguments; on the old ones where there are no new ones."""
    arguments = [
        known[given] if isinstance(given, Node) and given in known else array
        for given, array in zip(node.inputs, node._arrays)
    ]
    return node.op(*arguments, **node._keywords)
