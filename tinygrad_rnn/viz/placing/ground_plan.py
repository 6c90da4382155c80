"""The ground plan: the row, column, gap and channel of everything, and their positions on the page.

- A **row** for each operation, lanes one above the other; the page is read upward, from inputs to loss.
- A **column** for each time step, all alike: the step is arranged once (``template``) and copied.
- Between two rows there is a **gap**, with a track for everything that runs sideways in it: the line of a parameter
  (its **bus**), the values that one step hands to another.
- Between two columns there is a **channel**, with a line for everything that runs up or down in it.
- A vertex outside all steps that joins values of steps (``np.stack`` of the outputs) is a **bar** across all columns;
  vertices that are computed from it stand in the middle of the page.

All of it is linear in the number of steps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable

from ..reading.model import Edge, Graph
from ..scene import LINE_HEIGHT, SMALL, WIDER_FONTS, Line, text_width
from .belonging import Column, Key, Numbered, Places
from .boxes import box_size
from .loops import nested
from .step_template import Extent, Template

MARGIN = 18.0
GAP_BELOW, GAP_ABOVE = 6.0, 15.0  # free room in a gap, below and above its tracks
TRACK = 11.0
BEND = 14.0  # room below the text at taps, in which edges change sides
CHANNEL = 26.0
CHANNEL_LINE = 8.0
ROLLED_LINES = (80.0, 40.0)  # of loops, and of edges from another column: with room for their labels
LANE_GAP, LANE_TITLE = 12.0, 16.0
HEADING = 24.0
RAIL = 12.0
ELIDED_WIDTH = 112.0
LEAST_COLUMN = 56.0
NARROW = 110.0
BESIDE = 10.0  # between a tap and the end of the room for its text, without the text
ELIDED_INSET = 12.0  # of the lines in elided steps, from their ends


def natural(title: str) -> tuple[str, tuple[int, ...]]:
    """A title to sort by: ``W[2,10]`` after ``W[2,9]``.

    Example:
        >>> sorted(["W[10,0]", "W[2,1]", "b"], key=natural)
        ['W[2,1]', 'W[10,0]', 'b']
    """
    name, _, index = title.partition("[")
    return name, tuple(map(int, re.findall(r"\d+", index)))


class Plan(Places):
    """The ground plan: the place of each part of a graph.

    Args:
        graph: the graph to draw.
        lines: the text in each vertex's box.
        taps: the lines of text beside an edge from the margin, by its index.
        rolled: whether one column stands for all steps, so that an edge to a later step comes back to it.

    Attributes:
        sizes: width and height of each vertex's box.
        row_y, row_height: the middle (downward) and the height of each row.
        track_y: the height of each track, by (row above it, what runs there).
        bend: for each row, the height up to which edges to it may run aside: above, there is text at taps.
        lane_top, lane_bottom: the ends of each lane: above its title, below the lines that lead into its lowest row.
    """

    def __init__(self, graph: Graph, lines: list[list[Line]], taps: dict[int, list[str]], rolled: bool) -> None:
        super().__init__(graph, rolled)
        self.taps = taps
        self._size_boxes(lines)
        self._arrange()
        self.gaps: dict[int, dict[Hashable, tuple[float, float]]] = {}
        self.channel: dict[Hashable, int] = {}
        self._reserve_tracks()
        self._set_columns()
        self._set_rows()

    def channel_x(self, edge: Edge) -> float:
        """The distance of an edge's line from the left end of its channel."""
        return 15 + self.line_distance[bool(self.distance(edge))] * self.channel[self.line(edge)]

    def tap_distances(self, target: int) -> dict[int, float]:
        """The distances from the middle of a box to its taps, by edge: on its right half, side by side."""
        taps = self.tapped.get(target, ())
        width = min(self.sizes[target][0], 90.0 if target in self.bars else math.inf)
        shares = [0.25] if len(taps) == 1 else [0.08 + 0.36 * (place + 0.5) / len(taps) for place in range(len(taps))]
        return {n: width * share for (n, _), share in zip(taps, shares)}

    def _room_beside(self, n: int) -> float:
        """The room to the right of a tap: for the text beside it, in a wider font than Helvetica, too."""
        widest = max((text_width(text, SMALL) for text in self.taps.get(n, ())), default=0.0)
        return widest and BESIDE + widest * WIDER_FONTS

    def _size_boxes(self, lines: list[list[Line]]) -> None:
        """Give boxes with the same key the same size, so that rows align; the initial state stands apart."""
        largest: dict[Key, tuple[float, float]] = {}
        places = [(self.key(i), self.graph.vertices[i].step == 0) for i in range(len(lines))]
        for place, text in zip(places, lines):
            width, height = box_size(text)
            before = largest.get(place, (0.0, 0.0))
            largest[place] = max(width, before[0]), max(height, before[1])
        self.sizes = [largest[place] for place in places]

    # --- within a step, and outside all steps ------------------------------------------------------------------------

    def _extents(self, members: Iterable[int]) -> dict[Key, Extent]:
        """The room that each key needs, with the text beside its taps."""
        extents: dict[Key, Extent] = {}
        for i in members:
            half = self.sizes[i][0] / 2
            beside = [at + self._room_beside(n) for n, at in self.tap_distances(i).items()]
            before = extents.get(self.key(i), Extent(0.0, 0.0))
            extents[self.key(i)] = Extent(max(half, before.left), max(half, before.right, *beside))
        return extents

    def _arrange(self) -> None:
        members = [i for column in self.columns.values() if column.step and not column.elided for i in column.members]
        extents = self._extents(members)
        rows = {key: self.row[key] for key in extents}
        edges = [(self.key(edge.source), self.key(edge.target)) for _, edge in self.inner]
        for _, edge in self.into_bar + self.from_bar:
            edges.append((self.key_in_step(edge.source), self.key_in_step(edge.target)))
            (bar,) = self.bars & {edge.source, edge.target}
            port = self.key_in_step(bar)
            rows[port], extents[port] = self.row[self.key(bar)], Extent(5, 5)
        edges = [(a, b) for a, b in edges if a in rows and b in rows and rows[a] < rows[b]]
        sides: dict[Key, int] = {}
        for _, edge in self.across:
            sides.setdefault(self.end_key(edge.target, edge.target_key), self.entry_side(edge))
            sides.setdefault(self.end_key(edge.source, edge.source_key), self.direction(edge))
        self.template = Template(rows, edges, extents, sides, in_order=self.graph.of_numbers)
        free = [
            i
            for i, vertex in enumerate(self.graph.vertices)
            if vertex.lane is not None and not self.timed[i] and i not in self.bars
        ]
        extents = self._extents(free)
        rows = {key: self.row[key] for key in extents}
        edges = [(self.key(edge.source), self.key(edge.target)) for _, edge in self.band]
        self.bands = Template(rows, [(a, b) for a, b in edges if a in rows and b in rows], extents, {})

    # --- tracks and channels -----------------------------------------------------------------------------------------

    def _reserve(self, row: int, key: Hashable, below: float = TRACK / 2, above: float = TRACK / 2) -> None:
        gap = self.gaps.setdefault(row, {})
        before = gap.get(key, (0.0, 0.0))
        gap[key] = max(below, before[0]), max(above, before[1])

    def _reserve_tracks(self) -> None:
        """Assign a track in a gap to everything that runs sideways, from the bottom up, and a line in the channels."""
        self._reserve_channels()
        for _, edge in self.across:
            if not self.is_outermost(edge.source, edge.source_key, self.direction(edge)):
                row = self.row_of(edge.source, edge.source_key)
                self._reserve(row + 1, ("exit", self.end_key(edge.source, edge.source_key)))
        self.bend: dict[int, float] = {}
        self.bus_rows: dict[int, list[int]] = {}
        for n, edge in self._buses():
            row = self.row_of(edge.target, edge.target_key)
            known = self.bus_rows.setdefault(edge.source, [])
            if row not in known:
                known.append(row)
            half = self.sizes[edge.source][1] / 2 + 3 if row == known[0] else TRACK / 2
            written = len(self.taps.get(n, ())) * SMALL * LINE_HEIGHT
            self._reserve(row, ("bus", edge.source), half, max(half, written + 6 if written else 0.0))
            if written:
                self.bend[row] = 0.0  # its height is known once the rows are placed
        self.rails: dict[int, int] = {}  # edges that pass all steps run at their right
        for _, edge in self.past:
            self.rails.setdefault(edge.source, len(self.rails))
            if edge.target not in self.bars:
                row = self.row_of(edge.target, edge.target_key)
                self._reserve(row, ("rail", edge.source))
        for _, edge in self.across:
            row = self.row_of(edge.target, edge.target_key)
            if abs(self.distance(edge)) > 1:
                self._reserve(row, self.long_track(edge))
            elif not self.enters_sideways(edge):
                self._reserve(row, ("entry", edge.source_key, edge.target_key))

    def _reserve_channels(self) -> None:
        """Assign lines in the channels to edges from step to step; in a rolled view, each has room for a label."""
        self.line_distance = ROLLED_LINES if self.rolled else (CHANNEL_LINE, CHANNEL_LINE)
        if not self.rolled:
            for _, edge in self.across:
                self.channel.setdefault(self.line(edge), len(self.channel))
            return
        for begins in (False, True):
            edges = [edge for _, edge in self.across if bool(self.distance(edge)) == begins]
            spans: dict[Hashable, tuple[int, int]] = {}
            for edge in edges:
                ends = (self.row_of(edge.source, edge.source_key), self.row_of(edge.target, edge.target_key))
                low, high = spans.get(self.line(edge), (min(ends), max(ends)))
                spans[self.line(edge)] = min(low, *ends), max(high, *ends)
            self.channel |= nested(spans)

    def _buses(self) -> Numbered:
        """The edges from the margin in the order of their lines, upward; single numbers by their index, downward."""
        if not self.graph.of_numbers:
            return self.bus
        return sorted(self.bus, key=lambda item: natural(self.graph.vertices[item[1].source].title), reverse=True)

    # --- the page ----------------------------------------------------------------------------------------------------

    def _set_columns(self) -> None:
        """The columns from left to right, after the margin with its parameters."""
        self.margin_right = MARGIN + max((self.sizes[i][0] for i in self.margin), default=0.0)
        risers = sum(len(rows) > 1 for rows in self.bus_rows.values())
        x = self.margin_right + (18 + 7 * risers if self.margin else 0)
        width = max(self.template.right - self.template.left, LEAST_COLUMN)
        lines = dict.fromkeys((False, True), 0)
        for _, edge in self.across:
            begins = bool(self.distance(edge))
            lines[begins] = max(lines[begins], self.channel[self.line(edge)] + 1)
        loops = lines[False] > 0
        between, beside = (CHANNEL + self.line_distance[begins] * lines[begins] for begins in (True, False))
        if not self.rolled:
            between = beside = max(between, beside)
        self.first_column = x
        for column in self.columns.values():
            column.left = x
            column.channel = between
            if column.elided:
                column.width = self._elided_width(column)
            elif column.step == 0:
                self._set_initial(column)
            else:
                column.width = width
                shift = x + (width - self.template.left - self.template.right) / 2
                column.x = {key: shift + at for key, at in self.template.x.items()}
            x += column.width + between
        self.last_column = max(x - between, self.first_column)
        band = self.bands.right - self.bands.left
        bars = max((self.sizes[i][0] for i in self.bars), default=0.0)
        self.right = max(self.last_column, self.first_column + max(band, bars))
        self.band_x = (self.first_column + self.right) / 2 - (self.bands.left + self.bands.right) / 2
        self.rail_x = self.right + (beside if loops else RAIL)
        outside = RAIL + CHANNEL_LINE * len(self.rails) if self.rails else 0.0
        self.width = self.right + outside + (beside if loops else 0.0) + MARGIN

    def _elided_width(self, column: Column) -> float:
        """The room for the name and for the text at the taps."""
        beside = max((self._room_beside(n) for i in column.members for n, _ in self.tapped.get(i, ())), default=0.0)
        return max(ELIDED_WIDTH, beside + 2 * ELIDED_INSET, *(self.sizes[i][0] for i in column.members))

    def _set_initial(self, column: Column) -> None:
        """Place the initial state: parts that share a row stand side by side."""
        rows = {self.row[self.key(i)]: self._initial_row(i) for i in column.members}
        column.width = max(sum(self.sizes[i][0] + 8 for i in row) - 8 for row in rows.values())
        for row in rows.values():
            x = column.left + column.width
            for i in reversed(row):
                column.x[self.key(i)] = x - self.sizes[i][0] / 2
                x -= self.sizes[i][0] + 8

    def _set_rows(self) -> None:
        """Place the rows from the bottom up; then turn everything over, since y points down on a page."""
        heights = [0.0] * self.rows
        for i, vertex in enumerate(self.graph.vertices):
            if vertex.lane is not None:
                row = self.lane_rows[vertex.lane][1] if vertex.kind == "elided" else self.row[self.key(i)]
                heights[row] = max(heights[row], self.sizes[i][1])
        titled = {first for lane, (first, _) in zip(self.graph.lanes, self.lane_rows) if lane.title}
        after_titled = {last + 1 for lane, (_, last) in zip(self.graph.lanes, self.lane_rows) if lane.title}
        headed = max((last + 1 for lane, (_, last) in zip(self.graph.lanes, self.lane_rows) if lane.timed), default=-1)
        narrow = bool(self.into_bar) and self.template.right - self.template.left < NARROW
        self.headed_below = self.rolled or narrow  # if there is no room beside the edges that leave the column upward
        y = MARGIN + HEADING * self.headed_below
        middles: list[float] = []
        tracks: dict[tuple[int, Hashable], float] = {}
        tops: dict[int, float] = {}
        bottoms: list[float] = []
        for row in range(self.rows + 1):
            gap = self.gaps.get(row, {})
            y += GAP_BELOW if row or gap else 0
            exits: dict[Hashable, tuple[float, float]] = {
                key: room for key, room in gap.items() if isinstance(key, tuple) and key[0] == "exit"
            }
            for key, (below, above) in exits.items():  # these belong to the lane below
                tracks[row, key] = y + below
                y += below + above
            y += LANE_TITLE * (row in after_titled)
            tops[row] = y
            y += LANE_GAP * (row in titled) + HEADING * (row == headed and not self.headed_below)
            if row in self.bend:
                y += BEND
                self.bend[row] = y
            bottoms.append(y)
            for key, (below, above) in gap.items():
                if key not in exits:
                    tracks[row, key] = y + below
                    y += below + above
            if row < self.rows:
                y += GAP_ABOVE if row or gap else 0
                middles.append(y + heights[row] / 2)
                y += heights[row]
        self.height = y + MARGIN - GAP_BELOW
        self.row_y = [self.height - middle for middle in middles]
        self.row_height = heights
        self.track_y = {place: self.height - y for place, y in tracks.items()}
        self.bend = {row: self.height - y for row, y in self.bend.items()}
        self.lane_top = [self.height - tops[last + 1] for _, last in self.lane_rows]
        self.lane_bottom = [
            max(self.row_bottom(first) + 8, self.height - bottoms[first] - 2) if last >= first else 0.0
            for first, last in self.lane_rows
        ]

    def row_top(self, row: int) -> float:
        """The upper end of a row."""
        return self.row_y[row] - self.row_height[row] / 2

    def row_bottom(self, row: int) -> float:
        """The lower end of a row."""
        return self.row_y[row] + self.row_height[row] / 2
