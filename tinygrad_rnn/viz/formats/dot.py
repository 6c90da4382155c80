"""A scene in Graphviz's language, everything pinned where the layout put it.

``layout=nop2`` tells Graphviz to keep all positions, so ``dot``, ``neato -n2`` and pygraphviz's ``nop`` draw the same
picture, in linear time. This requires care: positions are points (plain ``neato`` would read inches), every edge has
its own curve, and an area needs its ``bb``, or it vanishes silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..scene import LINE_HEIGHT, Box, Dot, Label, Panel, Path, Point, Scene, shifts, text_width
from .colors import KINDS, PAPER, TINTS
from .svg import STROKES, coordinate, escaped

FONT = "Helvetica,Arial,sans-serif"
FORMULA_FONT = "serif"
ARROW = 7.0  # length of an arrow head
ROOM_FOR_FONTS = 1.25  # the cell of a label, by its width as measured here: the fonts that Graphviz finds may be wider
MOST_ROUNDED = 400  # beyond, boxes have sharp corners and no hints: Graphviz's SVG is then half as large
COLUMN = (PAPER.column, PAPER.column, "filled,rounded")
PANELS = {"column": COLUMN, "hidden": COLUMN, "lane": ("none", PAPER.lane, "dotted,rounded")}
PATHS = {"flow": PAPER.line, "constant": PAPER.line, "carry": PAPER.carry, "initial": PAPER.carry}  # others by tint
DIMMED = "#d7dce1"
LABELS = {"tap": PAPER.gradient, "formula": PAPER.ink, "again": PAPER.ink, "again-title": PAPER.ink}


def to_dot(scene: Scene) -> str:
    """The scene as the text of a DOT file."""
    return "digraph {\n" + "".join(f"\t{line}\n" for line in statements(scene)) + "}\n"


def to_digraph(scene: Scene) -> Any:
    """The scene as a ``graphviz.Digraph``, to be edited further or rendered.

    Raises:
        ImportError: the package ``graphviz`` is not installed.
    """
    try:
        import graphviz  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError('a Digraph needs the package graphviz: pip install "graphviz>=0.20"') from error
    digraph = graphviz.Digraph(body=[f"\t{line}\n" for line in statements(scene)])
    digraph.engine = "neato"
    return digraph


def statements(scene: Scene) -> list[str]:
    """The statements of the graph, in drawing order."""
    writer = _Writer(scene.height, plain=len(scene.boxes) > MOST_ROUNDED)
    lines = [
        "graph [layout=nop2 splines=line outputorder=edgesfirst "
        f'bgcolor="{PAPER.paper}" bb="0,0,{coordinate(scene.width)},{coordinate(scene.height)}" '
        f"fontname={quoted(FONT)} tooltip={quoted(scene.title)}]",
        f'node [fontname={quoted(FONT)} fontcolor="{PAPER.ink}" fixedsize=true margin=0]',
        f'edge [arrowsize=0.7 color="{PAPER.line}"]',
    ]
    lines += [writer.panel(panel) for panel in scene.panels]
    lines += [writer.frame(scene, corner) for corner in (0, 1)]
    lines += [writer.dot(dot) for dot in scene.dots]
    lines += [writer.box(box) for box in scene.boxes]
    lines += [writer.label(n, label) for n, label in enumerate(scene.labels)]
    lines += [writer.path(path) for path in scene.paths]
    return lines


def quoted(text: str) -> str:
    """A string in DOT's quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def written(text: str, style: str = "") -> str:
    """A text in the part of HTML that Graphviz understands; ``style`` is "B", "I" or none."""
    pieces = [(escaped(piece), shift) for piece, shift in shifts(text)]
    marked = "".join({-1: f"<SUB>{piece}</SUB>", 0: piece, 1: f"<SUP>{piece}</SUP>"}[shift] for piece, shift in pieces)
    return f"<{style}>{marked}</{style}>" if style and marked else marked


def _table(cells: Iterable[str]) -> str:
    """Cells of text, one below the other, in the part of HTML that Graphviz understands."""
    rows = "".join(f"<TR>{cell}</TR>" for cell in cells)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE>'


class _Writer:
    """A writer of single statements; Graphviz's y points up, and its sizes are inches."""

    def __init__(self, height: float, plain: bool) -> None:
        self.height = height
        self.plain = plain

    def point(self, x: float, y: float) -> str:
        return f"{coordinate(x)},{coordinate(self.height - y)}"

    def panel(self, panel: Panel) -> str:
        fill, stroke, style = PANELS[panel.kind]
        low = self.point(panel.x, panel.y + panel.height)
        high = self.point(panel.x + panel.width, panel.y)
        title = ""
        if panel.title:
            where = self.point(panel.x + 8 + text_width(panel.title, 11) / 2, panel.y + 9)
            title = f' label=<{written(panel.title, "I")}> lp="{where}" fontsize=11 fontcolor="{PAPER.muted}"'
        # Without a background of its own, an area takes the page's, and hides everything behind it.
        fill_color = f' fillcolor="{fill}"' if fill != "none" else ' bgcolor="transparent"'
        return (
            f'subgraph "cluster_{panel.name}" {{graph [bb="{low},{high}" style="{style}" color="{stroke}"'
            f"{fill_color}{title}]}}"
        )

    def frame(self, scene: Scene, corner: int) -> str:
        """An invisible point in a corner of the page, because Graphviz crops the page to its contents."""
        where = self.point(scene.width * corner, scene.height * corner)
        return f'corner{corner} [shape=point style=invis width=0.01 height=0.01 pos="{where}"]'

    def dot(self, dot: Dot) -> str:
        color = DIMMED if dot.dimmed else TINTS[dot.tint % len(TINTS)]
        return f'{dot.name} [shape=point width=0.083 height=0.083 color="{color}" pos="{self.point(dot.x, dot.y)}"]'

    def box(self, box: Box) -> str:
        colors = KINDS[box.kind]
        fill, stroke = (box.fill or colors.fill), colors.stroke
        ink = box.ink or PAPER.ink
        if box.dimmed:
            fill, stroke, ink = PAPER.paper, DIMMED, DIMMED
        style = "dashed" if box.kind == "elided" else "filled"
        style = style if self.plain else f"{style},rounded"
        hint = "" if self.plain else f" tooltip={quoted(box.hint or box.name)}"
        rows = []
        for line in box.lines:
            color = PAPER.gradient if line.tone else PAPER.muted if line.muted else ink
            color = ink if box.dimmed or box.ink else color
            text = written(line.text, "B" if line.bold else "") or " "
            rows.append(f'<FONT POINT-SIZE="{line.size:g}" COLOR="{color}">{text}</FONT>')
        if len(rows) > 1:  # Graphviz sets lines of different sizes so close that they touch: say how high each is
            heights = [round(line.size * LINE_HEIGHT) for line in box.lines]
            rows = [_table(f'<TD HEIGHT="{height}">{row}</TD>' for height, row in zip(heights, rows))]
        return (
            f'{box.name} [shape=box style="{style}" label=<{"".join(rows)}> pos="{self.point(box.x, box.y)}" '
            f'width={box.width / 72:.3f} height={box.height / 72:.3f} fillcolor="{fill}" color="{stroke}"'
            f"{hint}]"
        )

    def label(self, n: int, label: Label) -> str:
        width = text_width(label.text, label.size, label.bold)
        if label.anchor != "middle":
            width *= ROOM_FOR_FONTS
        x = label.x + {"start": 0.5, "middle": 0.0, "end": -0.5}[label.anchor] * width
        y = label.y - label.size * 0.33
        color = DIMMED if label.dimmed else label.ink or LABELS.get(label.kind, PAPER.muted)
        text = written(label.shown, "B" if label.bold else "")
        if label.anchor != "middle":  # the text lies at that end of a cell, whatever its width in Graphviz's font
            side = "LEFT" if label.anchor == "start" else "RIGHT"
            text = _table([f'<TD ALIGN="{side}" WIDTH="{round(width)}">{text}</TD>'])
        font = f"fontname={FORMULA_FONT} " if label.kind == "formula" else ""
        return (
            f'label{n} [shape=plaintext label=<{text}> fontsize={label.size:g} {font}fontcolor="{color}" '
            f'width={width / 72:.3f} height={label.size * 1.3 / 72:.3f} pos="{self.point(x, y)}"]'
        )

    def path(self, path: Path) -> str:
        color = PATHS.get(path.kind) or TINTS[path.tint % len(TINTS)]
        color = DIMMED if path.dimmed else PAPER.gradient if path.gradient else color
        points, marks = list(path.points), ""
        if path.arrow == "end":
            marks = f"e,{self.point(*points[-1])} "
            points = _shortened(points[::-1])[::-1]
        elif path.arrow == "start":
            marks = f"s,{self.point(*points[0])} "
            points = _shortened(points)
        curve = " ".join(self.point(*point) for point in points)
        style = {"constant": ' style="dashed"', "initial": ' style="dotted"'}.get(path.kind, "")
        head = {"end": "", "start": " dir=back", "": " dir=none"}[path.arrow]
        hint = f" tooltip={quoted(path.hint)}" if path.hint else ""
        return (
            f'{path.source} -> {path.target} [pos="{marks}{curve}" color="{color}" '
            f"penwidth={STROKES[path.kind]:g}{style}{head}{hint}]"
        )


def _shortened(points: list[Point]) -> list[Point]:
    """A curve without its first few points of length, where the arrow head stands."""
    (x, y), control = points[0], points[1]
    toward = next((point for point in points[1:4] if point != points[0]), control)
    dx, dy = toward[0] - x, toward[1] - y
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    share = min(ARROW / length, 0.9)
    start = (x + dx * share, y + dy * share)
    control = start if control == points[0] else (control[0] + dx * share, control[1] + dy * share)
    return [start, control, *points[2:]]
