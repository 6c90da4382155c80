"""Views of a graph. Every view is a quotient of the one graph: vertices that it doesn't tell apart become one.

``level`` says what is told apart within a step (operations, gates, cells) or whether steps are at all (layers);
``rolled`` makes all steps one, and then an edge from one step to a later one is a loop; ``elided`` makes the steps in
the middle one. Edges inside a merged vertex vanish; all others keep the recorded uses that they stand for. So a
gradient that is measured on a view is a sum of exactly the contributions in the full graph.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from ...autodiff.graph import Node
from .model import Edge, Graph, Vertex, main_label

LEVELS = ("scalar", "op", "gate", "cell", "layer")
MERGED = ("elided", "cell")  # kinds whose arguments are not distinguished
MOST_STEPS = 8  # more are elided in the middle
SHOWN = (2, 3)  # the visible steps at the beginning and at the end of an elided picture


def quotient(graph: Graph, groups: list[Hashable], merged: Any, keep_loops: bool = False) -> Graph:
    """Merge all vertices of the same group into one.

    Args:
        graph: the graph.
        groups: the group of each vertex.
        merged: ``merged(group, members)`` returns the vertex of a group that has several members.
        keep_loops: whether to keep edges from one step to another within a group.
    """
    members: dict[Hashable, list[Vertex]] = {}
    for group, vertex in zip(groups, graph.vertices):
        members.setdefault(group, []).append(vertex)
    index = {group: i for i, group in enumerate(members)}
    vertices = [found[0] if len(found) == 1 else merged(group, found) for group, found in members.items()]
    for vertex, found in zip(vertices, members.values()):
        vertex.lit = any(member.lit for member in found)
    edges: dict[Hashable, Edge] = {}
    steps: dict[Hashable, set[Any]] = {}
    for edge in graph.edges:
        source, target = index[groups[edge.source]], index[groups[edge.target]]
        if source == target and not (keep_loops and edge.delay):
            continue
        one_user = len(members[groups[edge.target]]) == 1
        many = vertices[target].kind in MERGED or (one_user and len(members[groups[edge.source]]) > 1)
        which = (edge.source_key, edge.target_key) if many else edge.argument
        delay = edge.delay if keep_loops else 0
        place = (source, target, which, delay)
        ends = (graph.vertices[edge.source].step, graph.vertices[edge.target].step)
        if place in edges:
            edges[place].uses.extend(edge.uses)
            edges[place].count += edge.count * (ends not in steps[place])
            edges[place].lit |= edge.lit
        else:
            merged_edge = edges[place] = replace(edge, source=source, target=target, uses=list(edge.uses))
            if vertices[source].kind != "elided":  # an elided vertex keeps a row for each vertex that it hides
                merged_edge.source_key = vertices[source].key
            if vertices[target].kind != "elided":
                merged_edge.target_key = vertices[target].key
        steps.setdefault(place, set()).add(ends)
    roots = list(dict.fromkeys(index[groups[root]] for root in graph.roots))
    return Graph(vertices, list(edges.values()), graph.lanes, roots)


# --- which steps ------------------------------------------------------------------------------------------------------


def hidden_steps(
    graph: Graph, keep: int | None = None, most: int = MOST_STEPS, ends: tuple[int, int] = SHOWN
) -> list[range]:
    """The steps that are elided by default: of more than eight, all but the first and the last few.

    Args:
        graph: the graph.
        keep: a step that stays visible, with the one before it.
        most: the largest number of steps without elision.
        ends: the numbers of first and last steps that stay visible.
    """
    steps = graph.steps()
    if len(steps) <= most:
        return []
    shown = {*steps[: ends[0]], *steps[-ends[1] :]} | ({keep - 1, keep} if keep else set())
    runs: list[range] = []
    for step in steps:
        if step in shown:
            continue
        if runs and runs[-1].stop == step:
            runs[-1] = range(runs[-1].start, step + 1)
        else:
            runs.append(range(step, step + 1))
    return [run for run in runs if len(run) > 1]


def elided(graph: Graph, hidden: list[range]) -> Graph:
    """The graph with each range of steps as one: a vertex for each lane."""
    if not hidden:
        return graph
    run_of = {step: run for run in hidden for step in run}
    groups: list[Hashable] = [
        ("elided", vertex.lane, run_of[vertex.step]) if vertex.step in run_of else i
        for i, vertex in enumerate(graph.vertices)
    ]

    def merged(group: Any, found: list[Vertex]) -> Vertex:
        _, lane, run = group
        nodes = [node for vertex in found for node in _states_of(vertex)]
        title = f"⋯ {len(run)} steps"
        return Vertex("elided", title, "", run[0], lane, ("elided", lane), nodes, last_step=run[-1])

    return quotient(graph, groups, merged)


def _states_of(vertex: Vertex) -> list[Any]:
    """The states that a vertex stands for: itself, or those inside a cell."""
    if vertex.kind != "cell":
        return [vertex.value] if vertex.kind == "state" else []
    labels = [(node, main_label(node)) for node in vertex.nodes if isinstance(node, Node)]
    return [node for node, label in labels if label is not None and label.role == "state"]


def rolled(graph: Graph) -> Graph:
    """The rolled graph: all steps as one; an edge to a later step is a loop. The initial state stays outside."""
    if not any(lane.timed for lane in graph.lanes):
        return graph
    groups: list[Hashable] = [
        ("any step", vertex.key) if vertex.step is not None and vertex.step > 0 else i
        for i, vertex in enumerate(graph.vertices)
    ]

    def merged(group: Hashable, found: list[Vertex]) -> Vertex:
        steps = [vertex.step for vertex in found if vertex.step is not None]
        nodes = [node for vertex in found for node in vertex.nodes]
        kind = "operation" if found[-1].kind == "loss" else found[0].kind
        return replace(found[-1], kind=kind, step=min(steps), last_step=max(steps), nodes=nodes)

    result = quotient(graph, groups, merged, keep_loops=True)
    for i, vertex in enumerate(result.vertices):
        if vertex.step is not None and vertex.step > 0:
            result.vertices[i] = replace(vertex, step=1, last_step=vertex.last_step or vertex.step)
    return result


# --- what within a step -----------------------------------------------------------------------------------------------


def grouped(graph: Graph, level: str) -> Graph:
    """The graph at a level: "op" (as it is), "gate", "cell" or "layer" (a cell, rolled)."""
    if level in ("op", "scalar"):
        return graph
    if level == "gate":
        return quotient(graph, _gates(graph), _merged_gate)
    return quotient(graph, _cells(graph), _merged_cell)


def _gates(graph: Graph) -> list[Hashable]:
    """The graph with each labelled value and the operations that only it uses in one; shared results likewise."""
    users: list[list[int]] = [[] for _ in graph.vertices]
    for edge in graph.edges:
        users[edge.source].append(edge.target)
    groups: list[Any] = list(range(len(graph.vertices)))
    roots = set(graph.roots)
    for i in range(len(graph.vertices) - 1, -1, -1):
        vertex = graph.vertices[i]
        if vertex.title or not vertex.symbol or i in roots:
            continue
        mine = {groups[user] for user in users[i]}
        if len(mine) == 1:
            (group,) = mine
            head = graph.vertices[group]
            if (head.lane, head.step) == (vertex.lane, vertex.step):
                groups[i] = group
    return groups


def _merged_gate(group: Hashable, found: list[Vertex]) -> Vertex:
    head = found[-1]
    return replace(head, nodes=[vertex.value for vertex in found])


def _cells(graph: Graph) -> list[Hashable]:
    """The operations of one lane and step."""
    return [
        ("cell", vertex.lane, vertex.step) if vertex.symbol and vertex.lane is not None else i
        for i, vertex in enumerate(graph.vertices)
    ]


def _merged_cell(group: Hashable, found: list[Vertex]) -> Vertex:
    head = found[-1]
    has_state = any(vertex.kind in ("state", "output") for vertex in found)
    kind = "cell" if has_state else "loss" if head.kind == "loss" else "operation"
    nodes = [vertex.value for vertex in found]
    names = list(dict.fromkeys(vertex.title for vertex in found if vertex.kind in ("state", "output")))
    title = f"({', '.join(names)})" if len(names) > 1 else "".join(names)
    symbol = "cell" if kind == "cell" else head.symbol
    return replace(head, kind=kind, title=title, symbol=symbol, nodes=nodes, key=("cell", head.lane))
