"""The marks on a picture beyond names and operations: numbers, gradients, formulas, colours, a legend."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...autodiff.graph import Node
from ..reading.gradients import MISSING, Measured, norm
from ..reading.model import Graph, Vertex
from ..reading.symbols import number, subscript
from ..scene import SMALL, WIDER_FONTS, Box, Label, Line, Scene, text_width
from .formulas import Equation, describe_operation
from .norm_colors import GradientScale, ink_on
from .numbers import contribution_lines, gradient_lines, value_lines

KIND_NAMES = {
    "parameter": "parameter",
    "input": "input",
    "state": "state",
    "gate": "named value",
    "output": "output",
    "cell": "cell",
    "loss": "loss",
    "constant": "constant",
}


def write_shapes(graph: Graph) -> None:
    """Write the shape of its value into each box; for an operation with several results, the shape of each."""
    for vertex in graph.vertices:
        if vertex.kind != "elided":
            array = vertex.array
            text = ", ".join(str(np.shape(part)) for part in (array if isinstance(array, tuple) else (array,)))
            vertex.lines.append(Line(text, SMALL, muted=True))


def write_values(graph: Graph) -> None:
    """Write its value into each box."""
    for vertex in graph.vertices:
        if vertex.kind not in ("elided", "cell"):
            vertex.lines += [Line(text, SMALL, muted=True) for text in value_lines(vertex.array)]


def write_gradients(graph: Graph, measured: Measured | None) -> dict[int, list[str]]:
    """Write its adjoint into each box; return the text beside the taps: the contribution of each step."""
    found = measured or Measured()
    for i, vertex in enumerate(graph.vertices):
        if vertex.kind == "elided":
            norms = found.hidden.get(i)
            texts = ["∇ norms of the states:", f"{number(min(norms))} … {number(max(norms))}"] if norms else []
        elif vertex.kind == "cell" and i in found.inside:
            parts = sorted(found.inside[i].items())
            texts = [line.replace("∇", f"∇{name}", 1) for name, g in parts for line in gradient_lines(g)]
        elif i in found.adjoint:
            texts = gradient_lines(found.adjoint[i])
        else:
            texts = [f"∇ {MISSING}"]
        vertex.lines += [Line(text, SMALL, tone="gradient") for text in texts]
    taps = {}
    for n, edge in enumerate(graph.edges):
        if graph.vertices[edge.source].lane is None and edge.uses:
            c = found.contribution.get(n)
            hidden = graph.vertices[edge.target].kind == "elided"
            texts = [MISSING] if c is None else contribution_lines(c)
            taps[n] = [f"Σ {texts[0]}", *texts[1:]] if hidden else texts
    return taps


def color_by_norm(graph: Graph, measured: Measured | None, written: bool) -> GradientScale:
    """Colour each box by its gradient's norm, which is written into it, too, unless gradients are; return the scale."""
    found = measured or Measured()
    norms = [norm(found.adjoint[i]) if i in found.adjoint else None for i in range(len(graph.vertices))]
    scale = GradientScale(norms)
    for vertex, value in zip(graph.vertices, norms):
        if vertex.kind != "elided":
            vertex.fill = scale.fill(value)
            if not written:
                vertex.lines.append(Line(scale.text(value), 9, tone="gradient"))
    for i, values in {} if written else found.hidden.items():
        low, high = scale.text(min(values)), scale.text(max(values))
        graph.vertices[i].lines.append(Line(f"states {low} … {high}", 9, tone="gradient"))
    return scale


def write_derivatives(graph: Graph) -> None:
    """Write the local derivative of its operation into each box."""
    for vertex in graph.vertices:
        text = describe_operation(vertex) if vertex.kind not in ("elided", "cell") else ""
        if text:
            vertex.lines.append(Line(text, 9, muted=True))


def write_hints(graph: Graph, measured: Measured | None, equations: dict[int, list[Equation]]) -> list[str]:
    """The hint for each vertex, shown on request: its name, formula, value, gradient and local derivative."""
    formulas = {(lane, eq.name): eq.text() for lane, found in equations.items() for eq in found}
    return [
        _hint(i, vertex, measured, formulas.get((vertex.lane or 0, vertex.title), ""))
        for i, vertex in enumerate(graph.vertices)
    ]


def _hint(i: int, vertex: Vertex, measured: Measured | None, formula: str) -> str:
    if vertex.kind == "elided":
        return f"{vertex.title}\nsteps {vertex.step} to {vertex.last_step}"
    name = vertex.title + ("" if vertex.last_step is not None else subscript(vertex.step)) if vertex.title else ""
    title = " = ".join(part for part in (name, vertex.symbol) if part) or vertex.kind
    lines = [title] + ([formula] if formula and vertex.symbol else [])
    lines.append("value: " + "; ".join(value_lines(vertex.array)))
    if vertex.detail:
        lines.append(vertex.detail)
    if measured is not None:
        found = gradient_lines(measured.adjoint[i]) if i in measured.adjoint else [f"∇ {MISSING}"]
        lines.append("gradient: " + "; ".join(found).removeprefix("∇ "))
    derivative = describe_operation(vertex)
    if derivative and vertex.kind != "cell":
        lines.append("local derivative: " + derivative)
    if isinstance(vertex.value, Node) and str(vertex.value.scope):
        lines.append(str(vertex.value.scope))
    return "\n".join(lines)


def add_below(
    scene: Scene, notes: Iterable[tuple[str, list[str]]], scale: GradientScale | None, kinds: Iterable[str]
) -> None:
    """Write below the picture: notes, and what its colours mean, gradient norms on a scale or kinds of boxes."""
    add_notes(scene, notes)
    if scale is not None:
        add_scale(scene, scale)
    else:
        add_legend(scene, kinds)


def add_notes(scene: Scene, blocks: Iterable[tuple[str, list[str]]]) -> None:
    """Write blocks of lines below the picture, each with a heading."""
    y = scene.height
    for heading, lines in blocks:
        scene.labels.append(Label(heading, 18, y + 12, 12, "start", "heading"))
        y += 18
        for line in lines:
            scene.labels.append(Label(line, 30, y + 10, 12, "start", "formula"))
            scene.width = max(scene.width, 30 + text_width(line, 12) + 18)
            y += 17
        y += 8
    scene.height = y + 4 if y != scene.height else y


def equation_blocks(graph: Graph, found: dict[int, list[Equation]]) -> list[tuple[str, list[str]]]:
    """The equations of each lane, as notes."""
    blocks = []
    for lane, equations in found.items():
        title = graph.lanes[lane].title or ("outside the cell" if graph.lanes[lane].inherited else "the cell")
        blocks.append((title, [equation.text() for equation in equations]))
    return blocks


def add_legend(scene: Scene, kinds: Iterable[str]) -> None:
    """Write a line below the picture that names the colours of the boxes."""
    present = set(kinds)
    shown = [kind for kind in KIND_NAMES if kind in present]
    x, y = 18.0, scene.height + 4
    for kind in shown:
        width = 24 + text_width(KIND_NAMES[kind], SMALL) * WIDER_FONTS + 10
        if x > 18 and x + width > scene.width:
            x, y = 18.0, y + 18
        scene.boxes.append(Box(f"key{kind}", kind, x + 9, y, 18, 11, []))
        scene.labels.append(Label(KIND_NAMES[kind], x + 24, y + 3.5, SMALL, "start", "note"))
        x += width
    scene.height = y + 16


def add_scale(scene: Scene, scale: GradientScale) -> None:
    """Write a line below the picture with the colours of gradient norms, and the signs for norms without a colour."""
    swatches = 7
    y = scene.height + 8
    heading = "norm of the gradient"
    scene.labels.append(Label(heading, 18, y + 4, SMALL, "start", "note"))
    x = 18 + text_width(heading, SMALL) * WIDER_FONTS + 10
    for n in range(swatches):
        share = n / (swatches - 1)
        fill, value = scale.at(share), 10 ** (scale.low + (scale.high - scale.low) * share)
        line = Line(scale.text(value), 9)
        scene.boxes.append(Box(f"scale{n}", "operation", x + 26, y, 52, 16, [line], fill=fill, ink=ink_on(fill)))
        x += 52
    special = {"0": 0.0, "∞": float("inf"), "NaN": float("nan"), MISSING: None}
    for n, (text, of_norm) in enumerate(special.items()):
        width, fill = text_width(text, 9) + 16, scale.fill(of_norm)
        scene.boxes.append(Box(f"sign{n}", "operation", x + 10 + width / 2, y, width, 16, [Line(text, 9)], fill=fill))
        x += width + 6
    scene.width = max(scene.width, x + 22)
    scene.height = y + 20
