"""The text in each box, and the size that it needs."""

from __future__ import annotations

from ..reading.model import Vertex
from ..reading.symbols import subscript
from ..scene import LINE_HEIGHT, SMALL, WIDER_FONTS, Box, Label, Line, text_width

PADDING = 9.0
NAME_EVERY = 500.0  # points: a wide box repeats its name at this distance


def box_lines(vertex: Vertex) -> list[Line]:
    """The lines in the box of a vertex."""
    if vertex.kind == "elided":
        return [Line(vertex.title, 13, bold=True), *vertex.lines]
    index = "ₜ" if vertex.last_step is not None else subscript(vertex.step)
    if vertex.title:
        lines = [Line(vertex.title + index, 13, bold=True)]
        if vertex.symbol:
            lines.append(Line(vertex.symbol, 11, muted=True))
    elif vertex.symbol:
        lines = [Line(vertex.symbol, 14 if len(vertex.symbol) < 3 else 12)]
    else:
        lines = [Line(vertex.detail or vertex.kind, SMALL, muted=True)]
    return lines + vertex.lines


def box_size(lines: list[Line]) -> tuple[float, float]:
    """The width and height of a box with these lines of text, with room for a wider font than Helvetica."""
    width = max((text_width(line.text, line.size, line.bold) for line in lines), default=0.0)
    height = sum(line.size * LINE_HEIGHT for line in lines)
    return max(width + 2 * PADDING, width * WIDER_FONTS + PADDING, 36.0), max(height + 6, 24.0)


def names_again(box: Box) -> list[Label]:
    """The name of a box, repeated if the box is wider than a screen, so that one is always visible."""
    if not box.lines:
        return []
    line = box.lines[0]
    places = int(box.width // NAME_EVERY) | 1  # an odd number: one of them is the middle, where it is already
    y = box.y - sum(line.size for line in box.lines) * LINE_HEIGHT / 2 + line.size * (LINE_HEIGHT - 0.32)
    kind = "again-title" if line.bold else "again"
    return [
        Label(line.text, box.x + box.width * share, y, line.size, "middle", kind, dimmed=box.dimmed, ink=box.ink)
        for share in ((place + 0.5) / places - 0.5 for place in range(places) if place != places // 2)
    ]
