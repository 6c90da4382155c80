"""Gradients for a picture: one observed backward walk, which touches nothing.

Every vertex gets its adjoint, the gradient of the loss with respect to its value; every edge gets the contribution
that its target hands back to its source. At a parameter's taps those contributions are the terms of BPTT: one for each
step, and their sum is the parameter's gradient.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autodiff.graph import Node, Observer, ancestors, backward_walk, observe_backward
from ...autodiff.rules.parts import Parts
from ...autodiff.texts import printable
from .model import Graph, main_label, selected_from_stack, value_array

MISSING = "not computed"


@dataclass
class Measured:
    """The measurements of a backward walk.

    Attributes:
        adjoint: the gradient at each vertex, by index; vertices that no gradient reached are absent.
        contribution: the gradient that each edge hands back, by index.
        inside: the gradients at the states and outputs inside a cell, by the vertex's index and their name.
        hidden: the gradient norms of the states inside elided steps, by the vertex's index.
    """

    adjoint: dict[int, Any] = field(default_factory=dict)
    contribution: dict[int, Any] = field(default_factory=dict)
    inside: dict[int, dict[str, Any]] = field(default_factory=dict)
    hidden: dict[int, list[float]] = field(default_factory=dict)


class _Collector(Observer):
    """A collector of gradients at vertices and edges of the picture; all others are dropped at once."""

    def __init__(self, graph: Graph) -> None:
        self.found = Measured()
        self.graph = graph
        self.vertex_of: dict[Node, int] = {}
        self.hidden_in: dict[Node, int] = {}
        self.inside: dict[Node, tuple[int, str]] = {}
        for i, vertex in enumerate(graph.vertices):
            if vertex.kind == "elided":
                self.hidden_in.update(dict.fromkeys(vertex.nodes, i))
                continue
            if vertex.kind == "cell":
                named = [(node, main_label(node)) for node in vertex.nodes]
                self.inside |= {n: (i, printable(a.name)) for n, a in named if a is not None and a.role != "value"}
            if isinstance(vertex.value, Node):
                self.vertex_of[vertex.value] = i
        self.edge_of = {use: n for n, edge in enumerate(graph.edges) for use in edge.uses}

    def cotangent(self, node: Node, g: Any) -> None:
        if node in self.vertex_of:
            self.found.adjoint[self.vertex_of[node]] = g
        if node in self.inside:
            i, name = self.inside[node]
            self.found.inside.setdefault(i, {})[name] = g
        elif node in self.hidden_in:
            self.found.hidden.setdefault(self.hidden_in[node], []).append(norm(g))

    def contribution(self, node: Node, argument: int, c: Any) -> None:
        n = self.edge_of.get((node, argument))
        if n is not None:
            before = self.found.contribution.get(n)
            self.found.contribution[n] = c if before is None else before + c

    def result(self) -> Measured:
        """The measurements, with gradients that arrived in parts joined."""
        for n, c in self.found.contribution.items():
            if isinstance(c, Parts):
                node, argument = self.graph.edges[n].uses[0]
                is_wire = selected_from_stack(node) is not None
                pieces = sum(piece for piece, _ in c.parts)
                self.found.contribution[n] = pieces if is_wire else c.assembled(_shape(node.inputs[argument]))
        return self.found


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of a node's value; for an operation with several results, their number."""
    array = value_array(value)
    return (len(array),) if isinstance(array, tuple) else np.shape(array)


def measure(graph: Graph) -> Measured | None:
    """The gradients of the root, if it is one number; None otherwise, since there is no cotangent to start with."""
    root = single_root(graph)
    if root is None:
        return None
    collector = _Collector(graph)
    observe_backward(root, collector)
    return collector.result()


def single_root(graph: Graph) -> Node | None:
    """The drawn root, if it is one number that has a gradient."""
    if len(graph.roots) != 1:
        return None
    root = graph.vertices[graph.roots[0]].value
    if not isinstance(root, Node) or not root.requires_grad or np.size(value_array(root)) != 1:
        return None
    return root


def contributions_from(start: Node, g: Any, uses: Iterable[tuple[Node, int]]) -> dict[tuple[Node, int], Any]:
    """The contributions that a cotangent at one node makes at some uses further back."""
    wanted = set(uses)
    found: dict[tuple[Node, int], Any] = {}

    class Terms(Observer):
        def contribution(self, node: Node, argument: int, c: Any) -> None:
            if (node, argument) in wanted:
                found[node, argument] = c

    backward_walk({start: g}, ancestors([start]), observer=Terms())
    return found


def norm(g: Any) -> float:
    """The Euclidean norm of a gradient, also of one in several parts."""
    if isinstance(g, Parts):
        g = [piece for piece, _ in g.parts] + ([] if g.rest is None else [g.rest])
    if isinstance(g, (tuple, list)):
        return float(np.sqrt(sum(norm(part) ** 2 for part in g if part is not None)))
    return float(np.linalg.norm(np.ravel(np.asarray(g, dtype=np.float64))))
