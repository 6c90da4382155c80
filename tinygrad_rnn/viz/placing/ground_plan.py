"""The ground plan: which row, column, gap and channel everything belongs to, and where those are on the page.

- A **row** for each operation, lanes one above the other; the page is read upward, from inputs to loss.
- A **column** for each time step, all alike: the step is arranged once (``template``) and copied.
- Between two rows there is a **gap**, with a track for everything that runs sideways in it: the line of a parameter
  (its **bus**), what one step hands to another.
- Between two columns there is a **channel**, with a line for everything that runs up or down in it.
- What belongs to no step but joins with steps (``np.stack`` of the outputs) is a **bar** across all columns; what is
  computed from there stands in the middle of the page.

All of it is linear in the number of steps.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from ..reading.model import Edge, Graph
from ..scene import LINE_HEIGHT, SMALL, Line, text_width
from .step_template import Extent, Template, levels

Key = Hashable
Numbered = list[tuple[int, Edge]]

MARGIN = 18.0
PADDING = 9.0
GAP_BELOW, GAP_ABOVE = 6.0, 15.0  # free room in a gap, below and above its tracks
TRACK = 11.0
BEND = 14.0  # room below what is written at taps, in which edges change sides
CHANNEL = 26.0
CHANNEL_LINE = 8.0
LANE_GAP, LANE_TITLE = 12.0, 16.0
HEADING = 24.0
RAIL = 12.0
ELIDED_WIDTH = 112.0
LEAST_COLUMN = 56.0
NARROW = 110.0
ELIDED_INSET = 12.0  # of the lines in what was elided from its ends
LOOP_LABEL = 74.0


def box_size(lines: list[Line]) -> tuple[float, float]:
    """Width and height of a box with these lines of text."""
    width = max((text_width(line.text, line.size, line.bold) for line in lines), default=0.0)
    height = sum(line.size * LINE_HEIGHT for line in lines)
    return max(width + 2 * PADDING, 36.0), max(height + 6, 24.0)


@dataclass
class Column:
    """One time step on the page.

    Attributes:
        x: the middle of each key and wire of the template; empty for the initial state and for what was elided.
    """

    step: int
    left: float = 0.0
    width: float = 0.0
    elided: bool = False
    members: list[int] = field(default_factory=list)
    x: dict[Key, float] = field(default_factory=dict)

    @property
    def right(self) -> float:
        """Its right end."""
        return self.left + self.width

    @property
    def middle(self) -> float:
        """Its middle."""
        return self.left + self.width / 2


class Plan:
    """Where the parts of a graph belong.

    Args:
        graph: what is to be drawn.
        lines: the text in each vertex's box.
        taps: the lines of text beside an edge from the margin, by its index.
        rolled: the one column stands for all steps, so what goes to a later step comes back to it.

    Attributes:
        sizes: width and height of each vertex's box.
        inner, across, bus, band, past, into_bar, from_bar: the edges with their indices: within a step; from step to
            step; from the margin; among what belongs to no step, within a lane or past steps; to and from a bar.
        row: the row of each key, from the bottom; lane_rows: the first and last of each lane.
        row_y, row_height: the middle (downward) and the height of each row.
        track_y: the height of each track, by (row above it, what runs there).
        bend: by row, how high edges to it may run aside: above, there is something written at taps.
        lane_top: the upper end of each lane, above its title.
    """

    def __init__(self, graph: Graph, lines: list[list[Line]], taps: dict[int, list[str]], rolled: bool) -> None:
        self.graph = graph
        self.taps = taps
        self.rolled = rolled
        self.timed = [vertex.lane is not None and graph.lanes[vertex.lane].timed for vertex in graph.vertices]
        self.margin = [i for i, vertex in enumerate(graph.vertices) if vertex.lane is None]
        self._size_boxes(lines)
        self._sort_edges()
        self._find_columns()
        self._find_rows()
        self._arrange()
        self.gaps: dict[int, dict[Hashable, tuple[float, float]]] = {}
        self.channel: dict[Hashable, int] = {}
        self._reserve_tracks()
        self._set_columns()
        self._set_rows()

    # --- what belongs where ------------------------------------------------------------------------------------------

    def key(self, i: int) -> Key:
        """What a vertex is to its lane, with the lane."""
        vertex = self.graph.vertices[i]
        return (vertex.lane, vertex.key)

    def end_key(self, i: int, key: Hashable) -> Key:
        """The same for an end of an edge, which may be hidden in what was elided."""
        return (self.graph.vertices[i].lane, key)

    def row_of(self, i: int, key: Hashable) -> int:
        """The row of an end of an edge."""
        return self.row.get(self.end_key(i, key), self.lane_rows[self.graph.vertices[i].lane or 0][1])

    def column_of(self, i: int) -> Column:
        """The column of a vertex that has a step."""
        return self.columns[self.graph.vertices[i].step or 0]

    def distance(self, edge: Edge) -> int:
        """How many columns to the right an edge goes."""
        source, target = self.graph.vertices[edge.source], self.graph.vertices[edge.target]
        return self.place_of[target.step or 0] - self.place_of[source.step or 0]

    def direction(self, edge: Edge) -> int:
        """1 for an edge that leaves to the right (a loop does), -1 to the left."""
        return -1 if self.distance(edge) < 0 else 1

    def entry_side(self, edge: Edge) -> int:
        """-1 for an edge that arrives from the left, 1 from the right."""
        return 1 if self.distance(edge) <= 0 else -1

    def is_outermost(self, i: int, key: Hashable, side: int) -> bool:
        """Whether nothing stands between a vertex and the channel on a side."""
        vertex = self.graph.vertices[i]
        if vertex.kind == "elided":
            return True
        if vertex.step == 0:
            return self._initial_row(i)[-1] == i
        row = self.template.order.get(self.row_of(i, key), [])
        return bool(row) and row[-1 if side > 0 else 0] == self.end_key(i, key)

    def enters_sideways(self, edge: Edge) -> bool:
        """Whether an edge from another step arrives at the side of its target, not from below.

        The initial state of a layer that runs back in time would meet what its first step hands on at the same side.
        """
        side = self.entry_side(edge)
        from_afar = self.graph.vertices[edge.source].step == 0 and abs(self.distance(edge)) > 1
        meets = from_afar and any(
            other.source == edge.target and self.direction(other) == side for _, other in self.across
        )
        return not meets and self.is_outermost(edge.target, edge.target_key, side)

    def long_track(self, edge: Edge) -> Hashable:
        """The track of an edge that passes columns; edges that would overlap take turns."""
        step = self.graph.vertices[edge.source].step or 0
        return ("long", edge.source_key, edge.target_key, step % max(abs(edge.delay), 1))

    def line(self, edge: Edge) -> Hashable:
        """The line that an edge takes in a channel: shared by what goes from one value to the next step."""
        kind = "long" if abs(self.distance(edge)) > 1 else "next"
        return (kind, self.end_key(edge.source, edge.source_key))

    def _size_boxes(self, lines: list[list[Line]]) -> None:
        """What has the same key has the same size, so that rows align; the initial state stands apart."""
        largest: dict[Key, tuple[float, float]] = {}
        places = [(self.key(i), self.graph.vertices[i].step == 0) for i in range(len(lines))]
        for place, text in zip(places, lines):
            width, height = box_size(text)
            before = largest.get(place, (0.0, 0.0))
            largest[place] = max(width, before[0]), max(height, before[1])
        self.sizes = [largest[place] for place in places]

    def _sort_edges(self) -> None:
        self.inner: Numbered = []
        self.across: Numbered = []
        self.bus: Numbered = []
        self.band: Numbered = []
        self.past: Numbered = []
        self.into_bar: Numbered = []
        self.from_bar: Numbered = []
        vertices = self.graph.vertices
        for n, edge in enumerate(self.graph.edges):
            source, target = vertices[edge.source], vertices[edge.target]
            if source.lane is None or target.lane is None:
                self.bus.append((n, edge))
            elif self.timed[edge.source] and self.timed[edge.target]:
                same = source.step == target.step and not edge.delay and source.lane <= target.lane
                (self.inner if same else self.across).append((n, edge))
            elif self.timed[edge.source]:
                self.into_bar.append((n, edge))
            elif self.timed[edge.target]:
                self.from_bar.append((n, edge))
            else:
                between = self.graph.lanes[source.lane : target.lane]
                (self.past if any(lane.timed for lane in between) else self.band).append((n, edge))
        self.bars = {edge.target for _, edge in self.into_bar} | {edge.source for _, edge in self.from_bar}
        self.bus_of: dict[int, Numbered] = {}
        self.tapped: dict[int, Numbered] = {}
        for n, edge in self.bus:
            self.bus_of.setdefault(edge.source, []).append((n, edge))
            self.tapped.setdefault(edge.target, []).append((n, edge))

    def _find_columns(self) -> None:
        columns: dict[int, Column] = {}
        for i, vertex in enumerate(self.graph.vertices):
            if self.timed[i] and vertex.step is not None:
                column = columns.setdefault(vertex.step, Column(vertex.step))
                column.members.append(i)
                column.elided |= vertex.kind == "elided"
        self.columns = dict(sorted(columns.items()))
        self.place_of = {step: n for n, step in enumerate(self.columns)}

    # --- rows --------------------------------------------------------------------------------------------------------

    def _find_rows(self) -> None:
        """Rows from the bottom, lane after lane; a bar has a row of its own."""
        in_lane: list[dict[Key, int]] = [{} for _ in self.graph.lanes]
        strays: list[int] = []
        in_steps = {self.key(i) for column in self.columns.values() if column.step for i in column.members}
        for i, vertex in enumerate(self.graph.vertices):
            if vertex.lane is None or vertex.kind == "elided":
                continue
            if self.timed[i] and vertex.step == 0 and self.key(i) not in in_steps:
                strays.append(i)
            else:
                in_lane[vertex.lane].setdefault(self.key(i), i)
        alone = [i for i in strays if not in_lane[self.graph.vertices[i].lane or 0]]
        for i in alone:  # no step took part: the initial state is all that there is in its lane
            in_lane[self.graph.vertices[i].lane or 0][self.key(i)] = i
            strays.remove(i)
        rising: list[list[tuple[Key, Key]]] = [[] for _ in self.graph.lanes]
        for _, edge in self.inner + self.band:
            source, target = self.key(edge.source), self.key(edge.target)
            lane = self.graph.vertices[edge.source].lane or 0
            if source in in_lane[lane] and target in in_lane[lane]:
                rising[lane].append((source, target))
        self.row: dict[Key, int] = {}
        self.lane_rows: list[tuple[int, int]] = []
        self.rows = 0
        for keys, edges in zip(in_lane, rising):
            first = self.rows
            self._stack_lane(keys, levels(list(keys), edges))
            self.lane_rows.append((first, self.rows - 1))
        self._place_strays(strays)

    def _stack_lane(self, keys: dict[Key, int], found: dict[Key, int]) -> None:
        by_level: dict[int, list[Key]] = {}
        for key in keys:
            by_level.setdefault(found[key], []).append(key)
        for level in sorted(by_level):
            bars = [key for key in by_level[level] if keys[key] in self.bars]
            rest = [key for key in by_level[level] if keys[key] not in self.bars]
            for group in [[bar] for bar in bars] + ([rest] if rest else []):
                self.row.update(dict.fromkeys(group, self.rows))
                self.rows += 1

    def _place_strays(self, strays: list[int]) -> None:
        """A part of the initial state that is no result of a step stands in a free row next to its user's."""
        users = {edge.source: self.row.get(self.end_key(edge.target, edge.target_key)) for _, edge in self.across}
        taken = {self.row[self.key(i)] for i in self.initial() if self.key(i) in self.row}
        for i in strays:
            first, last = self.lane_rows[self.graph.vertices[i].lane or 0]
            wish = users.get(i)
            wish = last if wish is None else wish
            free = [row for row in range(first, last + 1) if row not in taken] or [wish]
            self.row[self.key(i)] = min(free, key=lambda row: (abs(row - wish), row))
            taken.add(self.row[self.key(i)])

    def _initial_row(self, i: int) -> list[int]:
        """The parts of the initial state that stand in one row, from left to right."""
        return [other for other in self.initial() if self.row[self.key(other)] == self.row[self.key(i)]]

    def initial(self) -> list[int]:
        """The vertices of step 0."""
        return self.columns[0].members if 0 in self.columns else []

    # --- within a step, and outside all steps ------------------------------------------------------------------------

    def _extents(self, members: Iterable[int]) -> dict[Key, Extent]:
        """How much room each key needs, with what is written beside its taps."""
        extents: dict[Key, Extent] = {}
        for i in members:
            half = self.sizes[i][0] / 2
            texts = [text for n, _ in self.tapped.get(i, ()) for text in self.taps.get(n, ())]
            beside = max((text_width(text, SMALL) + 8 for text in texts), default=0.0)
            before = extents.get(self.key(i), Extent(0.0, 0.0))
            extents[self.key(i)] = Extent(max(half, before.left), max(half, half * 0.5 + beside, before.right))
        return extents

    def _arrange(self) -> None:
        members = [i for column in self.columns.values() if column.step and not column.elided for i in column.members]
        extents = self._extents(members)
        rows = {key: self.row[key] for key in extents}
        edges = [(self.key(edge.source), self.key(edge.target)) for _, edge in self.inner]
        for _, edge in self.into_bar:
            edges.append((self.key(edge.source), ("port", self.key(edge.target))))
            rows[edges[-1][1]], extents[edges[-1][1]] = self.row[self.key(edge.target)], Extent(5, 5)
        for _, edge in self.from_bar:
            edges.append((("port", self.key(edge.source)), self.key(edge.target)))
            rows[edges[-1][0]], extents[edges[-1][0]] = self.row[self.key(edge.source)], Extent(5, 5)
        edges = [(a, b) for a, b in edges if a in rows and b in rows and rows[a] < rows[b]]
        sides: dict[Key, int] = {}
        for _, edge in self.across:
            sides.setdefault(self.end_key(edge.target, edge.target_key), self.entry_side(edge))
            sides.setdefault(self.end_key(edge.source, edge.source_key), self.direction(edge))
        self.template = Template(rows, edges, extents, sides)
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
        """A track in a gap for everything that runs sideways, from the bottom up; a line in the channels."""
        for _, edge in self.across:
            self.channel.setdefault(self.line(edge), len(self.channel))
            if not self.is_outermost(edge.source, edge.source_key, self.direction(edge)):
                row = self.row_of(edge.source, edge.source_key)
                self._reserve(row + 1, ("exit", self.end_key(edge.source, edge.source_key)))
        self.bend: dict[int, float] = {}
        self.bus_rows: dict[int, list[int]] = {}
        for n, edge in self.bus:
            row = self.row_of(edge.target, edge.target_key)
            known = self.bus_rows.setdefault(edge.source, [])
            if row not in known:
                known.append(row)
            half = self.sizes[edge.source][1] / 2 + 3 if row == known[0] else TRACK / 2
            written = len(self.taps.get(n, ())) * SMALL * LINE_HEIGHT
            self._reserve(row, ("bus", edge.source), half, max(half, written + 6 if written else 0.0))
            if written:
                self.bend[row] = 0.0  # its height is known once the rows are placed
        self.rails: dict[int, int] = {}  # what passes all steps does so at the right of them
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

    # --- the page ----------------------------------------------------------------------------------------------------

    def _set_columns(self) -> None:
        """The columns from left to right, after the margin with its parameters."""
        self.margin_right = MARGIN + max((self.sizes[i][0] for i in self.margin), default=0.0)
        risers = sum(len(rows) > 1 for rows in self.bus_rows.values())
        x = self.margin_right + (18 + 7 * risers if self.margin else 0)
        width = max(self.template.right - self.template.left, LEAST_COLUMN)
        self.channel_width = CHANNEL + CHANNEL_LINE * len(self.channel)
        self.first_column = x
        for column in self.columns.values():
            column.left = x
            if column.elided:
                column.width = self._elided_width(column)
            elif column.step == 0:
                self._set_initial(column)
            else:
                column.width = width
                shift = x + (width - self.template.left - self.template.right) / 2
                column.x = {key: shift + at for key, at in self.template.x.items()}
            x += column.width + self.channel_width
        loops = any(self.distance(edge) == 0 for _, edge in self.across)
        self.last_column = max(x - self.channel_width, self.first_column)
        band = self.bands.right - self.bands.left
        bars = max((self.sizes[i][0] for i in self.bars), default=0.0)
        self.right = max(self.last_column, self.first_column + max(band, bars))
        self.band_x = (self.first_column + self.right) / 2 - (self.bands.left + self.bands.right) / 2
        self.rail_x = self.right + (self.channel_width if loops else RAIL)
        self.loop_label_x = self.right + self.channel_width - 8 + CHANNEL_LINE * len(self.rails)
        outside = RAIL + CHANNEL_LINE * len(self.rails) if self.rails else 0.0
        self.width = (self.loop_label_x + LOOP_LABEL if loops else self.right + outside) + MARGIN

    def _elided_width(self, column: Column) -> float:
        """Room for the name and for what is written at the taps."""
        texts = [text for i in column.members for n, _ in self.tapped.get(i, ()) for text in self.taps.get(n, ())]
        beside = max((text_width(text, SMALL) for text in texts), default=0.0)
        return max(ELIDED_WIDTH, beside + 2 * ELIDED_INSET + 14, *(self.sizes[i][0] for i in column.members))

    def _set_initial(self, column: Column) -> None:
        """The initial state: what shares a row stands side by side."""
        rows = {self.row[self.key(i)]: self._initial_row(i) for i in column.members}
        column.width = max(sum(self.sizes[i][0] + 8 for i in row) - 8 for row in rows.values())
        for row in rows.values():
            x = column.left + column.width
            for i in reversed(row):
                column.x[self.key(i)] = x - self.sizes[i][0] / 2
                x -= self.sizes[i][0] + 8

    def _set_rows(self) -> None:
        """The rows from the bottom up; then everything turned over, since y points down on a page."""
        heights = [0.0] * self.rows
        for i, vertex in enumerate(self.graph.vertices):
            if vertex.lane is not None:
                row = self.lane_rows[vertex.lane][1] if vertex.kind == "elided" else self.row[self.key(i)]
                heights[row] = max(heights[row], self.sizes[i][1])
        titled = {first for lane, (first, _) in zip(self.graph.lanes, self.lane_rows) if lane.title}
        after_titled = {last + 1 for lane, (_, last) in zip(self.graph.lanes, self.lane_rows) if lane.title}
        headed = max((last + 1 for lane, (_, last) in zip(self.graph.lanes, self.lane_rows) if lane.timed), default=-1)
        narrow = bool(self.into_bar) and self.template.right - self.template.left < NARROW
        self.headed_below = self.rolled or narrow  # where there is no room beside what leaves the column upward
        y = MARGIN + HEADING * self.headed_below
        middles: list[float] = []
        tracks: dict[tuple[int, Hashable], float] = {}
        tops: dict[int, float] = {}
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

    def row_top(self, row: int) -> float:
        """The upper end of a row."""
        return self.row_y[row] - self.row_height[row] / 2

    def row_bottom(self, row: int) -> float:
        """The lower end of a row."""
        return self.row_y[row] + self.row_height[row] / 2
