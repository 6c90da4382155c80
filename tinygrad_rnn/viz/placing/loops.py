"""The lines of a rolled picture that lead from step to step, each with what it is called beside it.

One column stands for all steps, so there is room for it: a line has a channel of its own, the longer ones outside, and
its label stands right of it, where no other line passes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from ..reading.model import Edge, Vertex
from ..reading.symbols import number
from ..scene import SMALL, Label, Path, Point, text_width

BESIDE = 5.0  # from a line to its label
CLEAR = 11.0  # of a line that crosses and of other labels, above and below


def nested(spans: Mapping[Hashable, tuple[int, int]]) -> dict[Hashable, int]:
    """A channel for each line, by the rows along which it runs: outside of all shorter lines that it meets."""
    channels: dict[Hashable, int] = {}
    for line, (low, high) in sorted(spans.items(), key=lambda item: item[1][1] - item[1][0]):
        met = [channels[other] for other in channels if spans[other][0] <= high and low <= spans[other][1]]
        channels[line] = max(met, default=-1) + 1
    return channels


def begins(edge: Edge, source: Vertex, target: Vertex) -> bool:
    """Return True if an edge begins a layer's state: it comes from no step, or from another layer's last step."""
    return source.step == 0 or (source.lane != target.lane and edge.count == 1 and edge.delay == 1 - last_step(source))


def name(edge: Edge, source: Vertex, target: Vertex) -> str:
    """The name of a line: after how many steps the value is used, and how often that happens.

    The beginning of a state is named by the only step that uses it: the first or (if time runs backward) the last.
    """
    if not begins(edge, source, target):
        return f"delay {number(edge.delay)}, {edge.count}×"
    if source.step:
        return "t = T to t = 1"
    return "t = T" if edge.delay == last_step(target) > 1 else f"t = {edge.delay}"


def last_step(vertex: Vertex) -> int:
    """The last of the steps that a vertex stands for."""
    return vertex.last_step or vertex.step or 0


class Run(NamedTuple):
    """A line from step to step: the number of its edge, its name, whether it begins a state, its corners."""

    number: int
    text: str
    begins: bool
    points: list[Point]

    @property
    def upright(self) -> tuple[Point, Point]:
        """The longest of its vertical parts, from its upper to its lower end."""
        parts = [(a, b) if a[1] < b[1] else (b, a) for a, b in pairwise(self.points) if a[0] == b[0]]
        return max(parts, key=lambda part: part[1][1] - part[0][1], default=(self.points[0], self.points[0]))

    @property
    def height(self) -> float:
        """The height of that part."""
        return self.upright[1][1] - self.upright[0][1]


def labels(runs: Iterable[Run], buses: Iterable[Path]) -> list[Label]:
    """The labels, beside the middle of a line or as near to it as other lines permit; equal labels are written once."""
    every = list(runs)
    level = [(a, b) for run in every for a, b in pairwise(run.points) if a[1] == b[1]]
    level += [(a, b) for bus in buses for a, b in pairwise(bus.points) if a[1] == b[1]]
    placed: list[Label] = []
    said: list[tuple[str, float, float, float]] = []
    for run in sorted(every, key=lambda run: run.height >= CLEAR):
        (x, top), (_, bottom) = run.upright
        kind = "first" if run.begins else "loop"
        if run.height < CLEAR:  # a line without corners: above its end
            end, y = run.points[-1]
            x = end - 12 - text_width(run.text, SMALL)
            placed.append(Label(run.text, x, y - 5, SMALL, "start", kind, edge=run.number))
            continue
        if any(text == run.text and x == at and top < low and high < bottom for text, at, high, low in said):
            continue
        said.append((run.text, x, top, bottom))
        right = x + BESIDE + text_width(run.text, SMALL)
        taken = [a[1] for a, b in level if min(a[0], b[0]) < right and max(a[0], b[0]) > x + 1]
        taken += [b.y - 3 for b in placed if b.x < right and b.x + text_width(b.text, SMALL) > x]
        middle = (top + bottom) / 2
        reach = int((bottom - top) / 2) + 8  # a short line may have no room beside it, but a little above or below
        offsets = sorted(range(-reach, reach + 1, 3), key=abs)
        free = [middle + by for by in offsets if all(abs(middle + by - y) >= CLEAR for y in taken)]
        y = (free or [middle])[0] + 3
        placed.append(Label(run.text, x + BESIDE, y, SMALL, "start", kind, edge=run.number))
    return placed
