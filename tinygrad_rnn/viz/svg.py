"""A scene as SVG, written by hand: used in notebooks and HTML, and wherever there is no Graphviz.

Colours are CSS variables on the picture's own class, so that a page can follow the reader's choice of light or dark,
and two pictures on one page don't meet. The bytes depend on the scene alone.
"""

from __future__ import annotations

import hashlib
from xml.sax.saxutils import escape, quoteattr

from .colors import KINDS, PAPER, TINTS
from .scene import Box, Path, Point, Scene

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
STROKES = {"flow": 1.3, "constant": 1.1, "carry": 1.8, "tap": 1.4, "bus": 2.2}


def to_svg(scene: Scene) -> str:
    """The scene as a complete SVG document."""
    body = "\n".join(_parts(scene))
    name = "p" + hashlib.sha256(body.encode()).hexdigest()[:8]
    width, height = round(scene.width), round(scene.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{name}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label={quoteattr(scene.title)}>\n'
        f"<title>{escape(scene.title)}</title>\n<desc>{escape(scene.description)}</desc>\n"
    )
    return f"{head}{_style(name)}{_markers(name)}{body}</svg>\n".replace("url(#", f"url(#{name}-")


def coordinate(value: float) -> str:
    """A coordinate with at most one decimal."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def path_data(points: list[Point]) -> str:
    """The ``d`` of a path; curves that are straight are written as lines."""
    c = coordinate
    data = [f"M{c(points[0][0])} {c(points[0][1])}"]
    for i in range(1, len(points) - 2, 3):
        a, b, end, start = points[i], points[i + 1], points[i + 2], points[i - 1]
        if a == start and b == end:
            data.append(f"L{c(end[0])} {c(end[1])}")
        else:
            data.append("C" + " ".join(f"{c(x)} {c(y)}" for x, y in (a, b, end)))
    return "".join(data)


def _style(name: str) -> str:
    rules = [
        f".{name}{{background:{PAPER.paper};font-family:{FONT}}}",
        f".{name} text{{fill:{PAPER.ink};text-anchor:middle}}",
        f".{name} .m{{fill:{PAPER.muted}}} .{name} .b{{font-weight:bold}}",
        f".{name} .start{{text-anchor:start}} .{name} .end{{text-anchor:end}}",
        f".{name} .heading{{font-weight:bold;fill:{PAPER.muted}}}",
        f".{name} .lane-title{{font-style:italic;fill:{PAPER.muted}}}",
        f".{name} path{{fill:none;stroke:{PAPER.line}}}",
        f".{name} .column{{fill:{PAPER.column}}} .{name} .lane{{fill:none;stroke:{PAPER.lane};stroke-dasharray:2 4}}",
        f".{name} .dim{{opacity:.18}}",
    ]
    for kind, width in STROKES.items():
        rules.append(f".{name} .{kind}{{stroke-width:{width}}}")
    rules.append(f".{name} .constant{{stroke-dasharray:4 3}}")
    rules.append(f".{name} .carry{{stroke:{PAPER.carry}}}")
    for kind, color in KINDS.items():
        rules.append(f".{name} .{kind} rect{{fill:{color.fill};stroke:{color.stroke};stroke-width:1.2}}")
    for n, tint in enumerate(TINTS):
        rules.append(f".{name} .t{n}{{stroke:{tint}}} .{name} circle.t{n}{{fill:{tint};stroke:none}}")
    rules.append(f".{name} .elided rect{{stroke-dasharray:5 4;fill-opacity:.75}}")
    return "<style>" + "\n".join(rules) + "</style>\n"


def _markers(name: str) -> str:
    """Arrow heads, one for each colour of line."""
    colors = {"flow": PAPER.line, "carry": PAPER.carry, **{f"t{n}": tint for n, tint in enumerate(TINTS)}}
    heads = "".join(
        f'<marker id="{name}-{kind}" viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path d="M0 0.8L8 4L0 7.2Z" '
        f'style="fill:{color};stroke:none"/></marker>'
        for kind, color in colors.items()
    )
    return f"<defs>{heads}</defs>\n"


def _parts(scene: Scene) -> list[str]:
    c = coordinate
    parts = []
    for panel in scene.panels:
        parts.append(
            f'<rect class="{panel.kind}" x="{c(panel.x)}" y="{c(panel.y)}" width="{c(panel.width)}" '
            f'height="{c(panel.height)}" rx="8"/>'
        )
        if panel.title:
            parts.append(
                f'<text class="lane-title start" x="{c(panel.x + 8)}" y="{c(panel.y + 13)}" font-size="11">'
                f"{escape(panel.title)}</text>"
            )
    parts += [_path(path) for path in scene.paths]
    for dot in scene.dots:
        dim = " dim" if dot.dimmed else ""
        parts.append(f'<circle class="t{dot.tint % len(TINTS)}{dim}" cx="{c(dot.x)}" cy="{c(dot.y)}" r="3"/>')
    parts += [_box(box) for box in scene.boxes]
    for label in scene.labels:
        classes = " ".join(filter(None, [label.kind, label.anchor, "dim" if label.dimmed else ""]))
        parts.append(
            f'<text class="{classes}" x="{c(label.x)}" y="{c(label.y)}" font-size="{label.size:g}">'
            f"{escape(label.text)}</text>"
        )
    return parts


def _path(path: Path) -> str:
    tint = f"t{path.tint % len(TINTS)}" if path.kind in ("bus", "tap") else ""
    head = tint or ("carry" if path.kind == "carry" else "flow")
    classes = " ".join(filter(None, [path.kind, tint, "dim" if path.dimmed else ""]))
    arrow = f' marker-{path.arrow}="url(#{head})"' if path.arrow else ""
    hint = f"<title>{escape(path.hint)}</title>" if path.hint else ""
    close = f">{hint}</path>" if hint else "/>"
    return f'<path class="{classes}" d="{path_data(path.points)}"{arrow}{close}'


def _box(box: Box) -> str:
    c = coordinate
    classes = f"{box.kind} dim" if box.dimmed else box.kind
    fill = f' style="fill:{box.fill}"' if box.fill else ""
    parts = [f'<g class="{classes}" id="{box.name}">' if False else f'<g class="{classes}">']
    if box.hint:
        title, _, description = box.hint.partition("\n")
        parts.append(f"<title>{escape(title)}</title>" + (f"<desc>{escape(description)}</desc>" if description else ""))
    left, top = box.x - box.width / 2, box.y - box.height / 2
    parts.append(f'<rect x="{c(left)}" y="{c(top)}" width="{c(box.width)}" height="{c(box.height)}" rx="6"{fill}/>')
    y = box.y - sum(line.size * 1.28 for line in box.lines) / 2
    for line in box.lines:
        y += line.size * 1.28
        classes = ("b" if line.bold else "") + ("m" if line.muted and not box.ink else "")
        ink = f' style="fill:{box.ink}"' if box.ink else ""
        mark = f' class="{classes}"' if classes else ""
        parts.append(
            f'<text{mark} x="{c(box.x)}" y="{c(y - line.size * 0.32)}" font-size="{line.size:g}"{ink}>'
            f"{escape(line.text)}</text>"
        )
    return "".join([*parts, "</g>"])
