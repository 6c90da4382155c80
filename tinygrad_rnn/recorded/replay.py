"""A recorded graph, run forward again with other values at its leaves.

Every node keeps the operation that made it and the arguments. Taken in the order of recording, which is a topological
order, the operations can simply be called again. So a loss that was recorded once can be evaluated anywhere: the
finite-difference referee needs no function to call.

Called with arrays, ``replay`` computes values; called with Tensors, the operations record a new graph, since a
primitive dispatches as NumPy's functions do. Constants stay unchanged: a detached value, a mask, the branch that
``np.where`` took. So the derivative of the replayed function is the one that the backward pass computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..autodiff.graph import Node, ancestors
from ..autodiff.scope import context, enable_grad, resumed
from ..autodiff.tensor import Tensor

# A replacement for a node's own operation: (node, the new value of every node so far) -> its new value.
Change = Callable[[Any, Mapping[Node, Any]], Any]


def replay(
    root: Node | Sequence[Node], values: Mapping[Node, Any], changes: Mapping[Node, Change] | None = None
) -> dict[Node, Any]:
    """Run the graph behind ``root`` again.

    Args:
        root: one or several recorded Tensors, whose graph isn't freed.
        values: new values for some nodes, leaves or not: arrays, or Tensors to record a new graph. Nodes that required
            no gradient when they were used (an initial state) are allowed, too.
        changes: for some nodes, a function to run instead of their operation.

    Returns:
        The new value of every node on a path to ``root`` from a leaf that requires a gradient. New Tensors keep the
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
    with resumed(context.scope):  # the nodes' own scopes end with the loop
        for node in reversed(ancestors([root] if isinstance(root, Node) else root, stop=values)):
            context.scope = node.scope
            if node in values:
                continue
            if node.is_leaf:
                known[node] = node._data  # type: ignore[attr-defined]
                continue
            change = (changes or {}).get(node)
            known[node] = run_again(node, known) if change is None else change(node, known)
            if isinstance(known[node], Tensor):  # an expansion has those of its own steps, and not of later ones
                known[node].labels = tuple(dict.fromkeys((*known[node].labels, *node.labels)))
    return known


def replaced_since(nodes: Iterable[Node]) -> dict[Node, Any]:
    """The values that leaves had when nodes were recorded, for leaves whose data was replaced since (by an update).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0, 2.0], requires_grad=True)
        >>> loss = np.sum(w * w)
        >>> w.data = np.zeros(2)
        >>> replaced_since([loss.inputs[0]])[w]
        array([1., 2.])
    """
    found: dict[Node, Any] = {}
    for node in nodes:
        for given, array in zip(node.inputs, getattr(node, "_arrays", ())):
            if isinstance(given, Node) and given.op is None and given._data is not array:  # type: ignore[attr-defined]
                found[given] = array
    return found


def expanded(root: Tensor) -> dict[Node, Any]:
    """The graph behind ``root`` without nodes that stand for many (a compiled loop, a checkpoint).

    Returns:
        For every node the one that stands in its place: itself, if nothing had to be expanded. Leaves stay.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0, 2.0], requires_grad=True)
        >>> y = tr.checkpoint(lambda w: np.tanh(w * w))(w)
        >>> y.op.name, expanded(y)[y].op.name
        ('checkpoint', 'tanh')
    """
    nodes = ancestors([root])
    if not any(hasattr(node.op, "expand") for node in nodes):
        return {node: node for node in nodes}
    with enable_grad():
        return _replay_expanding([root], {node: node for node in nodes if node.is_leaf})


def _replay_expanding(roots: Sequence[Node], values: Mapping[Node, Any]) -> dict[Node, Any]:
    stands_for_many = [node for node in ancestors(roots, stop=values) if hasattr(node.op, "expand")]
    return replay(roots, values, dict.fromkeys(stands_for_many, _expansion))


def _expansion(node: Any, known: Mapping[Node, Any]) -> Any:
    """The nodes that a node stands for, recorded from the new values of its inputs."""
    inputs = {given: known[given] for given in node.inputs if isinstance(given, Node) and given in known}
    results = node.op.expand()
    new = _replay_expanding([y for y in results if y.requires_grad], inputs)
    found = tuple(new.get(y, y) for y in results)
    return found if node.op.outputs else found[0]


def run_again(node: Any, known: Mapping[Node, Any]) -> Any:
    """The result of a recorded operation on the new values of its arguments, or the old values where none is new.

    A new recording keeps the original Tensors of its constants, since these may have labels (x_t, s_0).
    """
    arguments = [
        known[given] if isinstance(given, Node) and given in known else array
        for given, array in zip(node.inputs, node._arrays)
    ]
    if any(isinstance(a, Tensor) for a in arguments):
        arguments = [
            given if isinstance(given, Tensor) and not given.requires_grad and given._data is array else array
            for given, array in zip(node.inputs, arguments)
        ]
    return node.op(*arguments, **node._keywords)
