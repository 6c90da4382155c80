"""A picture as JSON and as a text table: the same graph for programs, and for those who can't see it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..reading.gradients import MISSING, norm
from ..reading.model import Graph, Vertex
from ..reading.symbols import number, subscript
from ..writing.numbers import MOST_NUMBERS, value_lines

MOST_INPUTS = 6  # listed in the text table


def vertex_name(graph: Graph, i: int) -> str:
    """A name for one vertex: its title, else its operation, with its step."""
    vertex = graph.vertices[i]
    index = "" if vertex.kind == "elided" else "ₜ" if vertex.last_step is not None else subscript(vertex.step)
    return f"{vertex.title or vertex.symbol or vertex.kind}{index}"


def to_text(picture: Any) -> str:
    """The graph as a table: a line for each node, with step, kind, inputs, value and gradient."""
    graph: Graph = picture.graph
    inputs: list[list[int]] = [[] for _ in graph.vertices]
    for edge in graph.edges:
        inputs[edge.target].append(edge.source)
    header = ["#", "step", "layer", "kind", "name", "made by", "from", "value", "norm of gradient"]
    rows = [header]
    for i, vertex in enumerate(graph.vertices):
        lane = graph.lanes[vertex.lane].title if vertex.lane is not None and graph.lanes else ""
        made_of = ", ".join(f"#{source} {vertex_name(graph, source)}" for source in inputs[i][:MOST_INPUTS])
        made_of += f" and {len(inputs[i]) - MOST_INPUTS} more" if len(inputs[i]) > MOST_INPUTS else ""
        rows.append(
            [
                str(i),
                _steps(vertex),
                lane,
                vertex.kind,
                vertex_name(graph, i) if vertex.title else "",
                vertex.symbol,
                made_of,
                "" if vertex.kind == "elided" else "; ".join(value_lines(vertex.array)),
                _gradient(picture.measured, i),
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [picture.scene.title, picture.scene.description, ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    for lane, found in picture.equations.items():
        lines += ["", graph.lanes[lane].title or "equations", *(f"  {equation.text()}" for equation in found)]
    for term in picture.terms:
        lines.append(f"k = {term.step}: {term.formula}, norm {number(term.norm)}")
    return "\n".join(lines) + "\n"


def to_json(picture: Any) -> str:
    """The graph as JSON: nodes with place, value and gradient, edges with contribution, equations, terms."""
    graph: Graph = picture.graph
    boxes = {box.vertex: box for box in picture.scene.boxes if box.vertex >= 0}
    measured = picture.measured
    nodes = []
    for i, vertex in enumerate(graph.vertices):
        node: dict[str, Any] = {
            "id": i,
            "kind": vertex.kind,
            "name": vertex.title,
            "operation": vertex.symbol,
            "step": vertex.step,
            "last_step": vertex.last_step,
            "layer": graph.lanes[vertex.lane].title if vertex.lane is not None else None,
        }
        if vertex.kind != "elided":
            node["value"] = _array(vertex.array)
        if measured is not None:
            node["gradient"] = _array(measured.adjoint[i]) if i in measured.adjoint else None
        if i in boxes:
            node["place"] = [round(value, 1) for value in (boxes[i].x, boxes[i].y, boxes[i].width, boxes[i].height)]
        nodes.append(node)
    edges = []
    for n, edge in enumerate(graph.edges):
        entry: dict[str, Any] = {"source": edge.source, "target": edge.target, "argument": edge.argument}
        if edge.delay:
            entry["delay"] = edge.delay
        if edge.count > 1:
            entry["count"] = edge.count
        if measured is not None:
            c = measured.contribution.get(n)
            entry["contribution"] = None if c is None else _array(c)
        edges.append(entry)
    document = {
        "title": picture.scene.title,
        "description": picture.scene.description,
        "nodes": nodes,
        "edges": edges,
        "equations": [equation.text() for found in picture.equations.values() for equation in found],
        "terms": [{"step": term.step, "formula": term.formula, "norm": term.norm} for term in picture.terms],
    }
    return json.dumps(_finite(document), ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def _steps(vertex: Vertex) -> str:
    if vertex.step is None:
        return ""
    return str(vertex.step) if vertex.last_step is None else f"{vertex.step}–{vertex.last_step}"


def _gradient(measured: Any, i: int) -> str:
    return number(norm(measured.adjoint[i])) if measured is not None and i in measured.adjoint else MISSING


def _array(value: Any) -> dict[str, Any]:
    """Shape and norm, and the numbers themselves if there are few."""
    if isinstance(value, tuple):
        return {"results": [None if part is None else _array(part) for part in value]}
    array = np.asarray(value)
    found: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.dtype.kind in "fiub":
        found["norm"] = norm(array)
    if array.size <= MOST_NUMBERS:
        found["numbers"] = array.tolist()
    return found


def _finite(value: Any) -> Any:
    """The same data for JSON, which has no NaN and no infinity: these are written as words."""
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list) else value
