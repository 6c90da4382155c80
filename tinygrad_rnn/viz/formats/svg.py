"""A scene as SVG, written by hand: for files, notebooks and HTML; Graphviz does PNG and PDF, and SVG on request.

All rules apply only within the picture's own class, named after its content, so two pictures on one page don't
interfere. The bytes depend only on the scene.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence

from ..scene import LINE_HEIGHT, SHIFTED_SIZE, Box, Dot, Label, Panel, Path, Point, Scene, shifts
from .colors import LIGHT, TINTS, Palette

FONT = "Helvetica,Arial,'Liberation Sans',sans-serif"
OWN = "\0"  # stands for the picture's class until that is known: no text holds this character
LEAST_SIZE = 8.0  # the smallest font size of an index
STROKES = {"flow": 1.3, "constant": 1.1, "carry": 1.8, "initial": 1.8, "tap": 1.4, "bus": 2.2}


def to_svg(scene: Scene, marked: bool = False) -> str:
    """The scene as an SVG document; if ``marked``, with step, vertex and edge as ``data-`` attributes."""
    return _document("\n".join(_Writer(marked).parts(scene)), scene)


def to_film(shots: Sequence[Scene], seconds: float, last_stays: int) -> str:
    """Scenes that differ only in looks, shown so many seconds each in an endless loop by CSS, without a program.

    Elements that are the same in all scenes stand once. If nothing moves (on paper, for readers who want no motion),
    the last scene is visible.
    """
    frames = [_Writer(False).parts(shot) for shot in shots]
    count = len(frames)
    runs: set[tuple[int, int]] = set()
    body = []
    for variants in zip(*frames):
        start = 0
        for end in range(1, count + 1):
            if end < count and variants[end] == variants[start]:
                continue
            if (start, end) == (0, count):
                body.append(variants[0])
            elif variants[start]:
                runs.add((start, end))
                body.append(f'<g class="from{start}to{end}">{variants[start]}</g>')
            start = end
    length = count - 1 + last_stays
    rules = []
    for start, end in sorted(runs):
        hidden, shown = "{visibility:hidden}", "{visibility:visible}"
        steps = f"0%{hidden}" * (start > 0) + f"{100 * start / length:.3f}%{shown}"
        steps += f"{100 * end / length:.3f}%{hidden}" * (end < count)
        place, name = f".{OWN}film .from{start}to{end}", f"{OWN}{start}to{end}"
        rules.append(f"@keyframes {name}{{{steps}}}{place}{{animation:{name} {length * seconds:g}s step-end infinite}}")
        rules += [f"{place}{hidden}"] * (end < count)
    still = f"@media (prefers-reduced-motion:reduce){{.{OWN}film g{{animation:none!important}}}}"
    style = "<style>" + "\n".join([*rules, still]) + "</style>"
    return _document("\n".join([style, f'<g class="{OWN}film">', *body, "</g>"]), shots[-1])


def _document(body: str, scene: Scene) -> str:
    """A complete SVG document around the drawn elements."""
    name = class_name(body)
    width, height = round(scene.width), round(scene.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{name}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{html.escape(scene.title)}">\n'
        f"<title>{escaped(scene.title)}</title>\n<desc>{escaped(scene.description)}</desc>\n"
    )
    style = "<style>" + "\n".join(style_rules(f".{name}", LIGHT)) + "</style>\n"
    paper = f'<rect class="paper" width="{width}" height="{height}"/>\n'  # some programs ignore a background
    return head + style + _markers(name) + paper + body.replace(OWN, f"{name}-") + "</svg>\n"


def escaped(text: str) -> str:
    """A text in which nothing is taken for markup."""
    return html.escape(text, quote=False)


def class_name(body: str) -> str:
    """A unique name for a picture."""
    return "p" + hashlib.sha256(body.encode(errors="backslashreplace")).hexdigest()[:8]


def coordinate(value: float) -> str:
    """A coordinate with at most one decimal."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def path_data(points: list[Point]) -> str:
    """The ``d`` of a path; straight curves are written as lines."""
    c = coordinate
    data = [f"M{c(points[0][0])} {c(points[0][1])}"]
    for i in range(1, len(points) - 2, 3):
        a, b, end, start = points[i], points[i + 1], points[i + 2], points[i - 1]
        if a == start and b == end:
            data.append(f"L{c(end[0])} {c(end[1])}")
        else:
            data.append("C" + " ".join(f"{c(x)} {c(y)}" for x, y in (a, b, end)))
    return "".join(data)


def written(text: str, size: float) -> str:
    """The content of a ``<text>``: indices stand below and above the line, in characters that all fonts have."""
    parts, height = [], 0.0
    for piece, shift in shifts(text):
        wanted = {-1: 0.22, 0: 0.0, 1: -0.34}[shift] * size
        down = f' dy="{coordinate(wanted - height)}"' if wanted != height else ""
        small = f' font-size="{max(size * SHIFTED_SIZE, min(size, LEAST_SIZE)):g}"' if shift else ""
        parts.append(f"<tspan{down}{small}>{escaped(piece)}</tspan>" if down or small else escaped(piece))
        height = wanted
    return "".join(parts)


def style_rules(within: str, palette: Palette) -> list[str]:
    """The CSS of a picture in a palette, for the elements inside ``within``."""
    paper = palette.paper
    rules = [
        f"{within}{{background:{paper.paper};font-family:{FONT}}}",
        f"{within} .paper{{fill:{paper.paper}}}",
        f"{within} text{{fill:{paper.ink};text-anchor:middle}}",
        f"{within} .m{{fill:{paper.muted}}}",
        f"{within} .b{{font-weight:bold}}",
        f"{within} .start{{text-anchor:start}}",
        f"{within} .end{{text-anchor:end}}",
        f"{within} .heading,{within} .elided-title{{font-weight:bold;fill:{paper.muted}}}",
        f"{within} .again-title{{font-weight:bold}}",
        f"{within} .lane-title{{font-style:italic;fill:{paper.muted}}}",
        f"{within} .g,{within} text.tap{{fill:{paper.gradient}}}",
        f"{within} .formula{{font-family:serif}}",
        f"{within} text.lane-title,{within} text.tap{{paint-order:stroke;stroke:{paper.paper};stroke-width:3;"
        "stroke-linejoin:round;stroke-opacity:.8}",
        f"{within} path{{fill:none;stroke:{paper.line}}}",
        f"{within} .column,{within} .hidden{{fill:{paper.column}}}",
        f"{within} .lane{{fill:none;stroke:{paper.lane};stroke-dasharray:2 4}}",
        f"{within} .dim{{opacity:.18}}",
        f"{within} path.constant{{stroke-dasharray:4 3}}",
        f"{within} .carry,{within} .initial{{stroke:{paper.carry}}}",
        f"{within} .initial{{stroke-dasharray:2 4}}",
    ]
    rules += [f"{within} .{kind}{{stroke-width:{width}}}" for kind, width in STROKES.items()]
    for kind, color in palette.kinds.items():
        rules.append(f"{within} .{kind} rect{{fill:{color.fill};stroke:{color.stroke};stroke-width:1.2}}")
    for n, tint in enumerate(palette.tints):
        rules.append(
            f"{within} .t{n}{{stroke:{tint}}}{within} circle.t{n},{within} .head-t{n}{{fill:{tint};stroke:none}}"
        )
    for head in ("line", "carry", "gradient"):
        rules.append(f"{within} .head-{head}{{fill:{getattr(paper, head)};stroke:none}}")
    rules.append(f"{within} path.gradient{{stroke:{paper.gradient}}}")
    rules.append(f"{within} .elided rect{{stroke-dasharray:5 4;fill:none}}")
    return rules


def _markers(name: str) -> str:
    """Arrow heads, one for each colour of line."""
    heads = "".join(
        f'<marker id="{name}-{kind}" viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path class="head-{kind}" d="M0 .8L8 4L0 7.2Z"/>'
        "</marker>"
        for kind in ("line", "carry", "gradient", *(f"t{n}" for n in range(len(TINTS))))
    )
    return f"<defs>{heads}</defs>\n"


class _Writer:
    """A writer of single elements."""

    def __init__(self, marked: bool) -> None:
        self.marked = marked

    def parts(self, scene: Scene) -> list[str]:
        """The elements of the picture, from back to front."""
        parts = [element for panel in scene.panels for element in self.panel(panel)]
        parts += map(self.path, scene.paths)
        parts += map(self.dot, scene.dots)
        parts += map(self.box, scene.boxes)
        parts += map(self.label, scene.labels)
        return parts

    def marks(self, step: int | None, vertex: int = -1, edge: int = -1) -> str:
        """The ``data-`` attributes of an element."""
        if not self.marked:
            return ""
        found = {"t": step, "v": vertex if vertex >= 0 else None, "e": edge if edge >= 0 else None}
        return "".join(f' data-{name}="{value}"' for name, value in found.items() if value is not None)

    def panel(self, panel: Panel) -> list[str]:
        c = coordinate
        parts = [
            f'<rect class="{panel.kind}"{self.marks(panel.step)} x="{c(panel.x)}" y="{c(panel.y)}" '
            f'width="{c(panel.width)}" height="{c(panel.height)}" rx="8"/>'
        ]
        if panel.title:
            parts.append(
                f'<text class="lane-title start" x="{c(panel.x + 8)}" y="{c(panel.y + 13)}" font-size="11">'
                f"{written(panel.title, 11)}</text>"
            )
        return parts

    def path(self, path: Path) -> str:
        tint = f"t{path.tint % len(TINTS)}" if path.kind in ("bus", "tap") else ""
        tint = "gradient" if path.gradient else tint
        head = tint or ("carry" if path.kind in ("carry", "initial") else "line")
        classes = " ".join(filter(None, [path.kind, tint, "dim" if path.dimmed else ""]))
        arrow = f' marker-{path.arrow}="url(#{OWN}{head})"' if path.arrow else ""
        marks = self.marks(path.step, path.vertex, path.edge)
        return f'<path class="{classes}"{marks} d="{path_data(path.points)}"{arrow}/>'

    def dot(self, dot: Dot) -> str:
        dim = " dim" if dot.dimmed else ""
        c, marks = coordinate, self.marks(dot.step, edge=dot.edge)
        return f'<circle class="t{dot.tint % len(TINTS)}{dim}"{marks} cx="{c(dot.x)}" cy="{c(dot.y)}" r="3"/>'

    def box(self, box: Box) -> str:
        c = coordinate
        classes = f"{box.kind} dim" if box.dimmed else box.kind
        fill = f' style="fill:{box.fill}"' if box.fill else ""
        parts = [f'<g class="{classes}"{self.marks(box.step, box.vertex)}>']
        if box.hint:
            title, _, description = box.hint.partition("\n")
            parts.append(f"<title>{escaped(title)}</title>")
            parts.append(f"<desc>{escaped(description)}</desc>" if description else "")
        left, top = box.x - box.width / 2, box.y - box.height / 2
        size = f'width="{c(box.width)}" height="{c(box.height)}"'
        parts.append(f'<rect x="{c(left)}" y="{c(top)}" {size} rx="6"{fill}/>')
        y = box.y - sum(line.size * LINE_HEIGHT for line in box.lines) / 2
        for line in box.lines:
            y += line.size * LINE_HEIGHT
            kind = "b" if line.bold else "" if box.ink else "g" if line.tone else "m" if line.muted else ""
            mark = f' class="{kind}"' if kind else ""
            ink = f' style="fill:{box.ink}"' if box.ink else ""
            where = f'x="{c(box.x)}" y="{c(y - line.size * 0.32)}" font-size="{line.size:g}"'
            parts.append(f"<text{mark} {where}{ink}>{written(line.text, line.size)}</text>")
        return "".join([*parts, "</g>"])

    def label(self, label: Label) -> str:
        c = coordinate
        anchor = "" if label.anchor == "middle" else label.anchor
        classes = " ".join(filter(None, [label.kind, anchor, "dim" if label.dimmed else ""]))
        marks = self.marks(label.step, edge=label.edge)
        ink = f' style="fill:{label.ink}"' if label.ink else ""
        where = f'x="{c(label.x)}" y="{c(label.y)}" font-size="{label.size:g}"{ink}'
        return f'<text class="{classes}"{marks} {where}>{written(label.shown, label.size)}</text>'
