"""The backward walk with one rule or one edge replaced: what a mistake in a derivation is.

Whoever derives a gradient by hand does the same walk as the engine, and a mistake is one place where it goes another
way: a rule that reads another value, a factor that is left out, a path that is forgotten. So the gradient that a
mistake gives is computed, for any network, by walking with that one place altered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff.array_node import conformed
from ..autodiff.graph import Node, ancestors

# rule(g, ans, args): the vjp rule of a node for one argument, with whatever cotangent and values it is given.
RuleCall = Callable[[Any, Any, Sequence[Any]], Any]


class Alteration:
    """The walk as it is. A mistake overrides one of the two methods."""

    def cotangent(self, node: Node, g: Any) -> Any:
        """The cotangent of a node, before it is handed on."""
        return g

    def contribution(self, node: Any, argument: int, g: Any, rule: RuleCall) -> Any:
        """What a node hands to one of its arguments; None for nothing.

        Args:
            node: has its value in ``_data`` and the values of its arguments in ``_arrays``.
            argument: which argument.
            g: the cotangent of the node.
            rule: the right rule.
        """
        return rule(g, node._data, node._arrays)


def altered_walk(root: Node, alteration: Alteration, wanted: frozenset[Node] = frozenset()) -> dict[Node, Any]:
    """Walk backward from ``root`` as the alteration says.

    Args:
        root: a recorded number.
        alteration: what is different.
        wanted: nodes, besides the leaves, whose cotangents are of interest.

    Returns:
        The cotangents of the leaves and of the wanted nodes that were reached.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> class WithoutSlope(Alteration):
        ...     def contribution(self, node, argument, g, rule):
        ...         return g if node.op.name == "tanh" else super().contribution(node, argument, g, rule)
        >>> w = tr.tensor([0.5], requires_grad=True)
        >>> altered_walk(np.sum(np.tanh(w) * 3.0), WithoutSlope())[w]
        array([3.])
    """
    waiting: dict[Node, Any] = {root: root._seed(None)}
    found: dict[Node, Any] = {}
    for node in ancestors([root]):
        if node not in waiting:
            continue
        g = alteration.cotangent(node, node._own(waiting.pop(node)))
        if node.is_leaf or node in wanted:
            found[node] = g
        for i in node.edges or ():
            parent: Any = node.inputs[i]
            c = alteration.contribution(node, i, g, rule_of(node, i))
            if c is not None:
                c = conformed(c, parent._data, node, i)
                waiting[parent] = waiting[parent] + c if parent in waiting else c
    return found


def rule_of(node: Any, argument: int) -> RuleCall:
    """The vjp rule of a node for one argument, with the node's keywords filled in."""
    vjps, keywords = node.op.vjps, node._keywords
    if callable(vjps):
        return lambda g, ans, args: vjps([argument], g, ans, *args, **keywords)[0]
    return lambda g, ans, args: vjps[argument](g, ans, *args, **keywords)


def gradients_of(found: dict[Node, Any], parameters: dict[str, Any]) -> dict[str, np.ndarray]:
    """The cotangents of parameters by name, from what a walk found; zeros where it didn't arrive."""
    return {
        name: np.asarray(found[leaf]) if leaf in found else np.zeros_like(leaf._data)
        for name, leaf in parameters.items()
    }
