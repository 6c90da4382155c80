"""The parts of a picture once everything has its place: panels, boxes, paths, labels, dots.

One scene serves several writers: DOT for Graphviz, and our own SVG. So nothing here knows a file format. Coordinates
are points, x to the right and y downward.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

Point = tuple[float, float]

# Advance widths of Helvetica (and Arial, and Liberation Sans), in thousandths of the font size.
_WIDTHS = {
    "ijl'|": 222, " .,:;!/\\tfI[]()·": 278, "r-⋯": 333, "\"*": 370, "^": 469, "ckszvxyJ\u2002": 500,
    "abdeghnopqu0123456789_#$?L": 556, "+<>=~−×÷±⊙": 584, "FTZ": 611, "ABEKPSVXY&": 667, "CDHNRUw": 722,
    "GOQ": 778, "mM": 833, "%": 889, "W": 944, "@": 1015, "…—": 1000,
}  # fmt: skip
OTHER_WIDTH = 600
WIDER_FONTS = 1.14  # the width of Helvetica's substitutes (DejaVu Sans, Verdana), as a multiple
SHIFTED_SIZE = 0.75  # of an index below or above the line, as a share of the text's size
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "0123456789+−=()aehijklmnoprstuvx"))
SUPERSCRIPTS = dict(zip("ᵀ⁺⁻⁰¹⁴⁵⁶⁷⁸⁹", "T+−01456789"))  # "²" and "³" are in every font
CHARACTER_WIDTHS = {character: width for group, width in _WIDTHS.items() for character in group}
CHARACTER_WIDTHS |= {
    shifted: round(CHARACTER_WIDTHS.get(plain, OTHER_WIDTH) * SHIFTED_SIZE)
    for shifted, plain in (SUBSCRIPTS | SUPERSCRIPTS).items()
}
INDEX = re.compile(r"(?<=[^\s_])_(?:t(?!\w)|\{(t[+-]\d+)\})")  # in a formula: h_t, h_{t-1}
BELOW = str.maketrans({plain: shifted for shifted, plain in SUBSCRIPTS.items()} | {"-": "₋"})
SMALL = 10.0  # the size of the text beside names: numbers, notes
LINE_HEIGHT = 1.28  # from line to line, as a multiple of the font size


def text_width(text: str, size: float, bold: bool = False) -> float:
    """The width of a text in points, rounded up rather than down."""
    units = sum(CHARACTER_WIDTHS.get(character, OTHER_WIDTH) for character in text)
    return units * size / 1000 * (1.08 if bold else 1.02)


def shifts(text: str) -> list[tuple[str, int]]:
    """A text in pieces, each with -1 (below the line), 1 (above) or 0 (on it), in characters that all fonts have.

    Many fonts lack the small figures of Unicode, or draw them too small to be told apart.

    Example:
        >>> shifts("h₁₂ Wᵀ")
        [('h', 0), ('12', -1), (' W', 0), ('T', 1)]
    """
    pieces: list[tuple[str, int]] = []
    for character in text:
        shift = -(character in SUBSCRIPTS) or int(character in SUPERSCRIPTS)
        plain = SUBSCRIPTS.get(character) or SUPERSCRIPTS.get(character) or character
        if pieces and pieces[-1][1] == shift:
            pieces[-1] = (pieces[-1][0] + plain, shift)
        else:
            pieces.append((plain, shift))
    return pieces


@dataclass
class Line:
    """A line of text in a box; ``tone`` is "gradient" for text of the backward pass."""

    text: str
    size: float = 12
    bold: bool = False
    muted: bool = False
    tone: str = ""


@dataclass
class Box:
    """A node of the picture."""

    name: str  # unique in the scene, the same in every writer
    kind: str  # decides the colours
    x: float  # of the centre
    y: float
    width: float
    height: float
    lines: list[Line]
    hint: str = ""  # its description on request (hover, screen reader)
    fill: str | None = None  # a colour that replaces that of the kind
    ink: str | None = None
    dimmed: bool = False
    step: int | None = None
    vertex: int = -1  # its index in the graph


@dataclass
class Path:
    """An edge, or a part of one: a chain of cubic Bézier curves."""

    kind: str  # "flow", "carry", "initial" (at one step alone), "tap", "bus" or "constant"; decides colour and width
    points: list[Point]  # 1 + 3n control points
    source: str  # the name of the box or dot that it joins
    target: str  # the name of the other one
    arrow: str = "end"  # "end", "start" or "" (none)
    hint: str = ""
    tint: int = 0  # which colour of parameters, for buses and taps
    dimmed: bool = False
    step: int | None = None
    edge: int = -1
    vertex: int = -1
    flows: bool = True  # whether a gradient flows back along it
    gradient: bool = False  # whether it is drawn as that gradient


@dataclass
class Label:
    """A line of text that stands by itself; x is its left end, middle or right end."""

    text: str
    x: float
    y: float
    size: float = 10
    anchor: str = "start"
    kind: str = "note"
    step: int | None = None
    edge: int = -1
    dimmed: bool = False
    ink: str | None = None

    @property
    def bold(self) -> bool:
        """True if the label names the part below it."""
        return self.kind in ("heading", "elided-title", "again-title")

    @property
    def shown(self) -> str:
        """The text, with the steps of a formula as indices below the line."""
        if self.kind != "formula":
            return self.text
        return INDEX.sub(lambda found: (found[1] or "t").translate(BELOW), self.text)


@dataclass
class Panel:
    """An area behind the boxes: a lane, a column, elided steps."""

    name: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str = ""
    step: int | None = None


@dataclass
class Dot:
    """A dot where a tap leaves its bus."""

    name: str
    x: float
    y: float
    tint: int = 0
    dimmed: bool = False
    step: int | None = None
    edge: int = -1


@dataclass
class Scene:
    """The scene: everything in a picture, from back to front."""

    width: float = 0
    height: float = 0
    title: str = ""
    description: str = ""
    panels: list[Panel] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)


# --- shapes of paths --------------------------------------------------------------------------------------------------


def straight(points: Iterable[Point]) -> list[Point]:
    """Bézier points of straight segments."""
    corners = list(points)
    path = [corners[0]]
    for before, after in pairwise(corners):
        path += [before, after, after]
    return path


def rounded(points: Iterable[Point], radius: float = 7) -> list[Point]:
    """Bézier points of straight segments with round corners."""
    every = list(points)
    corners = [point for point, following in zip(every, [*every[1:], None]) if point != following]
    path = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:]):
        start, end = _toward(corner, before, radius), _toward(corner, after, radius)
        path += [path[-1], start, start]
        path += [_toward(corner, before, radius * 0.45), _toward(corner, after, radius * 0.45), end]
    return [*path, path[-1], corners[-1], corners[-1]]


def rising(start: Point, end: Point) -> list[Point]:
    """An S-curve that leaves and arrives vertically; a straight line where it can be one."""
    if abs(start[0] - end[0]) < 0.5:
        return [start, start, end, end]
    bend = (end[1] - start[1]) * 0.5
    return [start, (start[0], start[1] + bend), (end[0], end[1] - bend), end]


def joined(*parts: list[Point]) -> list[Point]:
    """A single path from parts, each of which begins where the one before ended."""
    path = list(parts[0])
    for part in parts[1:]:
        path += part[1:]
    return path


def _toward(point: Point, other: Point, distance: float) -> Point:
    dx, dy = other[0] - point[0], other[1] - point[1]
    length = (dx * dx + dy * dy) ** 0.5
    share = min(distance / length, 0.5) if length else 0
    return point[0] + dx * share, point[1] + dy * share
