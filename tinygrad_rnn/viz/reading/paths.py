"""The gradient of one step's loss with respect to one parameter, as the sum over paths that it is.

``L_t`` reaches ``W`` through every step k ≤ t at which ``W`` was used. Marked are exactly the vertices and edges on a
path from ``L_t`` to ``W``; listed are the terms, one for each k, with formula and norm. They are read off an observed
backward walk that starts at ``L_t``, so they add up to its gradient exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ...autodiff.graph import Node
from .gradients import Measured, contributions_from, norm
from .model import Graph
from .symbols import number, subscript

P = TypeVar("P")


class Highlight(NamedTuple):
    """The paths to follow: from the loss of a time step back to a parameter.

    Attributes:
        loss_term: the step t of L_t, counted from 1.
        parameter: the name of the parameter; the second of two called W is "W#2".
    """

    loss_term: int
    parameter: str


class Term(NamedTuple):
    """The part of ∂L_t/∂W that comes through the uses of W at step k."""

    step: int | None  # k; None for uses that belong to no step
    formula: str  # the chain of derivatives
    norm: float  # its Euclidean norm
    value: Any  # the term itself, in the shape of the parameter


class Start(NamedTuple):
    """The start of a loss term: a vertex, and the gradient that the loss has there."""

    vertex: int
    gradient: Any


def highlight(loss_term: int, parameter: str) -> Highlight:
    """The value of ``draw(..., highlight=...)`` that shows the paths from a step's loss to a parameter.

    Args:
        loss_term: the step t of L_t, counted from 1.
        parameter: the name of the parameter.
    """
    return Highlight(loss_term, parameter)


def mark(graph: Graph, measured: Measured, wanted: Highlight) -> list[Term]:
    """Mark the vertices and edges on the paths (their ``lit``), and list the terms.

    Raises:
        ValueError: there is no such parameter, or no loss at that step; the error lists the existing ones.
    """
    leaf = find_parameter(graph, wanted.parameter)
    starts = loss_terms(graph, measured)
    if wanted.loss_term not in starts:
        known = ", ".join(map(str, sorted(starts))) or "none"
        raise ValueError(f"highlight: there is no loss at step {wanted.loss_term}; steps with a loss: {known}")
    begin = starts[wanted.loss_term]
    users, used = _neighbours(graph)
    before_the_loss: set[int] = reachable([start.vertex for start in begin], used.__getitem__)
    after_the_leaf: set[int] = reachable([leaf], users.__getitem__)
    on_path = before_the_loss & after_the_leaf
    for i, vertex in enumerate(graph.vertices):
        vertex.lit = i in on_path
    for edge in graph.edges:
        edge.lit = edge.source in on_path and edge.target in on_path and bool(edge.uses)
    return terms(graph, begin, leaf, wanted)


def find_parameter(graph: Graph, name: str) -> int:
    """The vertex of a parameter.

    Raises:
        ValueError: there is none of that name; the error lists the existing ones.
    """
    known = parameter_names(graph)
    short = _numbered({i: full.partition("#")[0].rpartition(".")[2] for full, i in known.items()})
    if name in known or name in short:
        return known[name] if name in known else short[name]
    raise ValueError(f"highlight: no parameter is called {name!r}; parameters: {', '.join(known) or 'none has a name'}")


def parameter_names(graph: Graph) -> dict[str, int]:
    """The parameters with names, by unique names: the second of two called W is "W#2"."""
    vertices = enumerate(graph.vertices)
    return _numbered({i: vertex.title for i, vertex in vertices if vertex.kind == "parameter" and vertex.title})


def _numbered(titles: Mapping[int, str]) -> dict[str, int]:
    """Vertices by their titles; by "W#2" the second of two called W."""
    found: dict[str, int] = {}
    count: dict[str, int] = {}
    for i, title in titles.items():
        count[title] = count.get(title, 0) + 1
        found[title if count[title] == 1 else f"{title}#{count[title]}"] = i
    return found


def loss_terms(graph: Graph, measured: Measured) -> dict[int, list[Start]]:
    """The starts of each step's loss.

    A step's loss is the last value that was computed outside the cells from that step alone. If the loss is computed
    from all outputs at once, the gradient of step t's loss is the one that arrives at the output of step t.
    """
    outside = [
        vertex.lane is not None and not graph.lanes[vertex.lane].is_cell and bool(vertex.symbol)
        for vertex in graph.vertices
    ]
    carried: set[int] = set()
    for edge in graph.edges:  # in the order of recording, so steps are passed on through chains
        other_step = graph.vertices[edge.source].step != graph.vertices[edge.target].step
        if outside[edge.source] and outside[edge.target] and (other_step or edge.source in carried):
            carried.add(edge.target)
    found: dict[int, list[Start]] = {}
    for i, vertex in enumerate(graph.vertices):
        if outside[i] and vertex.step is not None and i not in carried and i in measured.adjoint:
            found[vertex.step] = [Start(i, measured.adjoint[i])]
    single = set(found)
    for n, edge in enumerate(graph.edges):
        step = graph.vertices[edge.source].step
        leaves_cells = bool(graph.vertices[edge.source].symbol) and not outside[edge.source]
        to_band = outside[edge.target] and graph.vertices[edge.target].step is None
        if leaves_cells and to_band and step is not None and step not in single and n in measured.contribution:
            found.setdefault(step, []).append(Start(edge.source, measured.contribution[n]))
    return found


def terms(graph: Graph, starts: list[Start], leaf: int, wanted: Highlight) -> list[Term]:
    """The terms, ascending in k."""
    step_of: dict[tuple[Node, int], int | None] = {}
    for edge in graph.edges:
        if edge.source == leaf and edge.lit:
            step_of.update(dict.fromkeys(edge.uses, graph.vertices[edge.target].step))
    sums = sums_by_place(graph, starts, step_of)
    state = state_name(graph, leaf)
    shape = np.shape(getattr(graph.vertices[leaf].value, "_data", 0.0))
    found = []
    for step in sorted(sums, key=lambda step: -1 if step is None else step):
        value = sums[step].assembled(shape) if hasattr(sums[step], "assembled") else sums[step]
        found.append(Term(step, _formula(wanted, step, state), norm(value), value))
    return found


def sums_by_place(graph: Graph, starts: Iterable[Start], place_of: Mapping[tuple[Node, int], P]) -> dict[P, Any]:
    """The contributions of a loss to uses of parameters, added up by what each use belongs to, such as a step."""
    sums: dict[P, Any] = {}
    for start in starts:
        for use, c in contributions_from(graph.vertices[start.vertex].value, start.gradient, place_of).items():
            place = place_of[use]
            sums[place] = c if place not in sums else sums[place] + c
    return sums


def term_lines(wanted: Highlight, found: list[Term]) -> list[str]:
    """The list of terms, to be written beside the picture; a long list is shown without its middle."""
    t, w = subscript(wanted.loss_term), wanted.parameter
    if not found:
        return [f"∂L{t}/∂{w} = 0: no path"]
    total = norm(sum(term.value for term in found))
    lines = [f"∂L{t}/∂{w} is the sum of {len(found)} terms, its norm is {number(total)}"]
    shown = [f"k = {term.step}:\u2002{term.formula}\u2002norm {number(term.norm)}" for term in found]
    if len(shown) > 12:
        shown = [*shown[:4], f"⋯ {len(shown) - 10} more", *shown[-6:]]
    return lines + shown


def state_name(graph: Graph, leaf: int) -> str:
    """The name of the state of the layer that uses a parameter; empty if no layer does."""
    lanes = {graph.vertices[edge.target].lane for edge in graph.edges if edge.source == leaf}
    lanes = {lane for lane in lanes if lane is not None and graph.lanes[lane].is_cell}
    names = {vertex.title for vertex in graph.vertices if vertex.kind == "state" and vertex.lane in lanes}
    return names.pop() if len(names) == 1 else "s" if names else ""


def _formula(wanted: Highlight, step: int | None, state: str) -> str:
    t, w = wanted.loss_term, wanted.parameter
    if not state or step is None:
        return f"∂L{subscript(t)}/∂{w}"
    end, here = f"{state}{subscript(t)}", f"{state}{subscript(step)}"
    parts = [f"∂L{subscript(t)}/∂{end}"] + ([f"∂{end}/∂{here}"] if step != t else []) + [f"∂⁺{here}/∂{w}"]
    return " · ".join(parts)


def _neighbours(graph: Graph) -> tuple[list[list[int]], list[list[int]]]:
    """The neighbours of each vertex: those that use it, and those that it uses."""
    users: list[list[int]] = [[] for _ in graph.vertices]
    used: list[list[int]] = [[] for _ in graph.vertices]
    for edge in graph.edges:
        if edge.uses:
            users[edge.source].append(edge.target)
            used[edge.target].append(edge.source)
    return users, used


def reachable(starts: Iterable[P], neighbours: Callable[[P], Iterable[P]]) -> set[P]:
    """These things, and all that can be reached from them."""
    found = set(starts)
    stack = list(found)
    while stack:
        new = set(neighbours(stack.pop())) - found
        found |= new
        stack += new
    return found
