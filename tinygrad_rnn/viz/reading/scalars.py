"""The scalar view of a graph of Tensors: the recorded operations run again, on Scalars.

A primitive's forward function is NumPy, and NumPy runs on object arrays of Scalars. So the graph of numbers isn't
derived, but recorded, by an engine that knows no arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autodiff.graph import Node, ancestors
from ...autodiff.scalar import Scalar
from ...autodiff.scalar_arrays import scalars
from ...autodiff.scope import context, resumed
from ...autodiff.tensor import Tensor
from ...recorded.replay import replaced_since

MOST_SCALARS = 20_000


def as_scalars(roots: list[Node]) -> list[Node]:
    """The same results as Scalars, each recorded number by number with scope and labels.

    Raises:
        ValueError: the graph would be too large to look at, or has an operation that Scalars don't know.
    """
    tensors = [root for root in roots if isinstance(root, Tensor)]
    nodes: list[Any] = ancestors(tensors)
    nodes.reverse()
    size = sum(node._data.size for node in nodes if isinstance(node, Tensor) and isinstance(node._data, np.ndarray))
    if size > MOST_SCALARS:
        raise ValueError(
            f'draw: level="scalar" would be more than {size:,} boxes. Take a smaller model, or level="op" or "gate".'
        )
    known: dict[Node, Any] = {}
    replaced = replaced_since(nodes)
    with resumed(context.scope):  # the nodes' own scopes end with the loop
        for node in nodes:
            context.scope = node.scope
            if node.op is None:
                known[node] = scalars(replaced.get(node, node._data), node.requires_grad, node.name)
            else:
                known[node] = _run_again(node, known)
            _label(known[node], node)
    found: list[Node] = [root for root in roots if not isinstance(root, Tensor)]
    for root in tensors:
        found += [element for element in np.ravel(known.get(root, ())) if isinstance(element, Scalar)]
    return found or roots


def _run_again(node: Any, known: dict[Node, Any]) -> Any:
    arguments = []
    for value in node.inputs:
        if isinstance(value, Tensor) and value not in known:
            known[value] = _constant(value)
        arguments.append(known[value] if isinstance(value, Tensor) else value)
    try:
        result = node.op.forward(*arguments, **node._keywords)
    except (TypeError, AttributeError, NotImplementedError) as error:
        raise ValueError(
            f'draw: level="scalar" can\'t show {node.op.name}, which Scalars don\'t know ({error}). Use level="op".'
        ) from error
    return result if isinstance(result, tuple) else np.asarray(result, dtype=object)


def _constant(value: Tensor) -> Any:
    """A value without a gradient, as Scalars if it has a name in pictures, else as plain numbers."""
    if not (value.name or value.labels):
        return value._data
    array = scalars(value._data, requires_grad=False, name=value.name)
    _label(array, value)
    return array


def _label(array: Any, node: Node) -> None:
    if not node.labels or not isinstance(array, np.ndarray) or array.dtype != np.dtype(object):
        return
    for index in np.ndindex(array.shape):
        element: Any = array[index]
        if not element.labels:
            at = f"[{','.join(map(str, index))}]" if index else ""
            element.labels = tuple(label._replace(name=label.name + at) for label in node.labels)
