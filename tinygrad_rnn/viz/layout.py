"""Where everything stands: a column for each time step, a lane for each layer, a row for each operation.

One step is arranged once (``template``) and copied into every column, so rows align and the work that depends on the
shape of the cell is done once, whatever the number of steps. Then the rest is bookkeeping in straight lines:

- Between two rows there is a **gap**. In it run the **buses**: the line of a parameter, with a tap up to each of its
  users, and what else has to run sideways there.
- Between two columns there is a **channel**, through which what a step hands to the next one runs up or down.

So a line is vertical or horizontal in a place reserved for lines, or climbs from one row to the next; none crosses a
box. ``dot`` would search for such a drawing for minutes, since a shared weight is a hub with an edge for every step.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from .model import Edge, Graph, Vertex
from .scene import Box, Dot, Label, Line, Panel, Path, Scene, joined, rising, rounded, straight, text_width
from .symbols import subscript
from .template import Extent, Template, levels

Key = Hashable

MARGIN = 18.0
PADDING = 9.0
LINE_HEIGHT = 1.28
GAP = 34.0  # between two rows, when nothing runs there
TRACK = 11.0  # between two lines that run side by side
CHANNEL = 26.0
LANE_GAP = 20.0
HEADING = 30.0
ELIDED_WIDTH = 104.0
SMALL = 10.0


@dataclass
class Gap:
    """What runs below a row: keys of tracks, from the bottom, with the room that each takes."""

    tracks: dict[Hashable, float] = field(default_factory=dict)

    def reserve(self, key: Hashable, room: float) -> None:
        """Ask for a track."""
        self.tracks[key] = max(room, self.tracks.get(key, 0.0))

    @property
    def height(self) -> float:
        """The whole gap."""
        return GAP + sum(self.tracks.values())


@dataclass
class Column:
    """One time step on the page; x is its middle."""

    step: int
    left: float = 0.0
    width: float = 0.0
    elided: bool = False
    x: dict[Key, float] = field(default_factory=dict)

    @property
    def right(self) -> float:
        """Its right end."""
        return self.left + self.width


def box_lines(vertex: Vertex) -> list[Line]:
    """What is written in the box of a vertex."""
    lines = []
    index = subscript(vertex.step) if vertex.kind != "elided" and vertex.last_step is None else ""
    if vertex.last_step is not None and vertex.kind != "elided" and vertex.step is not None:
        index = "ₜ"
    if vertex.title:
        lines.append(Line(vertex.title + index, 13, bold=True))
        if vertex.symbol:
            lines.append(Line(vertex.symbol, 11, muted=True))
    elif vertex.symbol:
        lines.append(Line(vertex.symbol, 14 if len(vertex.symbol) < 3 else 12))
    else:
        lines.append(Line(vertex.kind, 10, muted=True))
    return lines + [Line(text, SMALL, muted=True) for text in vertex.lines]


def box_size(lines: list[Line]) -> tuple[float, float]:
    """Width and height of a box."""
    width = max(text_width(line.text, line.size, line.bold) for line in lines)
    height = sum(line.size * LINE_HEIGHT for line in lines)
    return max(width + 2 * PADDING, 36.0), max(height + PADDING, 26.0)


def place(graph: Graph, taps: dict[int, str] | None = None, rolled: bool = False) -> Scene:
    """Give everything in a graph its place.

    Args:
        graph: what to draw.
        taps: what is written beside an edge, by its index.
        rolled: the one column stands for all steps, so what goes to a later step comes back to it.
    """
    return _Layout(graph, taps or {}, rolled).scene()


class _Layout:
    def __init__(self, graph: Graph, taps: dict[int, str], rolled: bool) -> None:
        self.graph = graph
        self.taps = taps
        self.rolled = rolled
        self.result = Scene()
        self.lines = [box_lines(vertex) for vertex in graph.vertices]
        self.sizes = [box_size(lines) for lines in self.lines]
        self.margin = [i for i, vertex in enumerate(graph.vertices) if vertex.lane is None]
        self.tint = {i: n for n, i in enumerate(self.margin)}
        self.timed = [vertex.lane is not None and graph.lanes[vertex.lane].timed for vertex in graph.vertices]
        self.gaps: dict[int, Gap] = {}
        self.boxes: dict[int, Box] = {}

    def scene(self) -> Scene:
        self._find_columns()
        self._sort_edges()
        self._find_rows()
        self._arrange_step()
        self._arrange_bands()
        self._plan_tracks()
        self._set_columns()
        self._set_rows()
        self._draw_panels()
        self._draw_boxes()
        self._draw_margin()
        self._draw_edges()
        return self.result

    # --- sorting -----------------------------------------------------------------------------------------------------

    def key(self, i: int) -> Key:
        vertex = self.graph.vertices[i]
        return (vertex.lane, vertex.key)

    def _find_columns(self) -> None:
        self.columns: dict[int, Column] = {}
        for i, vertex in enumerate(self.graph.vertices):
            if self.timed[i] and vertex.step is not None:
                column = self.columns.setdefault(vertex.step, Column(vertex.step))
                column.elided |= vertex.kind == "elided"
        self.columns = dict(sorted(self.columns.items()))
        self.place_of = {step: n for n, step in enumerate(self.columns)}

    def _sort_edges(self) -> None:
        """Which edges rise within a step, run along a bus, join a bar, or go from step to step."""
        self.inner: list[tuple[int, Edge]] = []
        self.bus: list[tuple[int, Edge]] = []
        self.across: list[tuple[int, Edge]] = []
        self.into_bar: list[tuple[int, Edge]] = []
        self.from_bar: list[tuple[int, Edge]] = []
        self.band: list[tuple[int, Edge]] = []
        vertices = self.graph.vertices
        for n, edge in enumerate(self.graph.edges):
            source, target = vertices[edge.source], vertices[edge.target]
            if source.lane is None:
                self.bus.append((n, edge))
            elif self.timed[edge.source] and self.timed[edge.target]:
                same = source.step == target.step and not edge.delay and (source.lane or 0) <= (target.lane or 0)
                (self.inner if same else self.across).append((n, edge))
            elif self.timed[edge.source]:
                self.into_bar.append((n, edge))
            elif self.timed[edge.target]:
                self.from_bar.append((n, edge))
            else:
                self.band.append((n, edge))
        self.bars = {edge.target for _, edge in self.into_bar} | {edge.source for _, edge in self.from_bar}

    # --- rows --------------------------------------------------------------------------------------------------------

    def _find_rows(self) -> None:
        """Rows from the bottom, lane after lane; a bar has a row of its own."""
        vertices = self.graph.vertices
        in_lane: list[list[Key]] = [[] for _ in self.graph.lanes]
        vertex_of: dict[Key, int] = {}
        for i, vertex in enumerate(vertices):
            if vertex.lane is not None and vertex.kind != "elided" and self.key(i) not in vertex_of:
                vertex_of[self.key(i)] = i
                in_lane[vertex.lane].append(self.key(i))
        inner: list[list[tuple[Key, Key]]] = [[] for _ in self.graph.lanes]
        for _, edge in self.inner + self.band:
            source, target = self.key(edge.source), self.key(edge.target)
            lane = vertices[edge.source].lane
            if lane is not None and lane == vertices[edge.target].lane and vertices[edge.source].kind != "elided":
                inner[lane].append((source, target))
        self.row: dict[Key, int] = {}
        self.lane_rows: list[tuple[int, int]] = []
        first = 0
        for lane, keys in enumerate(in_lane):
            found = levels(keys, inner[lane])
            by_level: dict[int, list[Key]] = {}
            for key in keys:
                by_level.setdefault(found[key], []).append(key)
            row = first
            for level in sorted(by_level):
                bars = [key for key in by_level[level] if vertex_of[key] in self.bars]
                rest = [key for key in by_level[level] if vertex_of[key] not in self.bars]
                for group in [[bar] for bar in bars] + ([rest] if rest else []):
                    self.row.update(dict.fromkeys(group, row))
                    row += 1
            self.lane_rows.append((first, row - 1))
            first = row
        self.rows = first

    def _tap_width(self, n: int) -> float:
        return text_width(self.taps[n], SMALL) + 6 if n in self.taps else 0.0

    def _extents(self, members: list[int]) -> dict[Key, Extent]:
        extents: dict[Key, Extent] = {}
        wide: dict[Key, float] = {}
        for n, edge in self.bus:
            key = self.key(edge.target)
            wide[key] = max(wide.get(key, 0.0), self._tap_width(n))
        for i in members:
            half = self.sizes[i][0] / 2
            key = self.key(i)
            before = extents.get(key, Extent(0, 0))
            extents[key] = Extent(max(half, before.left), max(half, half / 2 + wide.get(key, 0.0), before.right))
        return extents

    def _arrange_step(self) -> None:
        """The template of a step, and the places of the bars' taps in it."""
        vertices = self.graph.vertices
        members = [
            i for i, vertex in enumerate(vertices) if self.timed[i] and vertex.kind != "elided" and vertex.step != 0
        ]
        keys = dict.fromkeys(self.key(i) for i in members)
        rows = {key: self.row[key] for key in keys}
        extents = self._extents(members)
        edges: list[tuple[Key, Key]] = []
        for _, edge in self.inner:
            source, target = self.key(edge.source), self.key(edge.target)
            if source in rows and target in rows and rows[source] < rows[target]:
                edges.append((source, target))
        for bars, end in ((self.into_bar, "target"), (self.from_bar, "source")):
            for _, edge in bars:
                source, target = self.key(edge.source), self.key(edge.target)
                bar = target if end == "target" else source
                inside = source if end == "target" else target
                if inside in rows:
                    port = ("port", bar)
                    rows[port] = self.row[bar]
                    extents[port] = Extent(5, 5)
                    edges.append((inside, port) if end == "target" else (port, inside))
        sides: dict[Key, int] = {}
        for _, edge in self.across:
            if edge.delay > 0 or not self.rolled:
                sides.setdefault(self._inner_key(edge.target, edge.target_key), 1 if self.rolled else -1)
                sides.setdefault(self._inner_key(edge.source, edge.source_key), 1)
        self.template = Template(rows, edges, extents, sides)

    def _inner_key(self, i: int, key: Hashable) -> Key:
        """The key of what an edge joins, also inside what was elided."""
        return (self.graph.vertices[i].lane, key)

    def _arrange_bands(self) -> None:
        """What belongs to no step stands in the middle, above or below the columns."""
        members = [
            i
            for i, vertex in enumerate(self.graph.vertices)
            if vertex.lane is not None and not self.timed[i] and i not in self.bars
        ]
        rows = {self.key(i): self.row[self.key(i)] for i in members}
        edges = [
            (self.key(edge.source), self.key(edge.target))
            for _, edge in self.band
            if self.key(edge.source) in rows and self.key(edge.target) in rows
        ]
        self.bands = Template(rows, edges, self._extents(members), {})

    # --- tracks ------------------------------------------------------------------------------------------------------

    def gap(self, row: int) -> Gap:
        return self.gaps.setdefault(row, Gap())

    def _plan_tracks(self) -> None:
        """Reserve a line in a gap for everything that runs sideways, and lines in the channels."""
        self.channel: dict[Hashable, int] = {}
        self.bus_rows: dict[int, list[int]] = {}
        for _, edge in self.across:
            exit_key = (edge.source_key, "exit")
            self.channel.setdefault((self.graph.vertices[edge.source].lane, edge.source_key), len(self.channel))
            row = self._row_of(edge.source, edge.source_key)
            if not self._is_outermost(edge.source, edge.source_key, self._direction(edge) or 1):
                self.gap(row + 1).reserve(exit_key, TRACK)
        for n, edge in self.bus:
            target = self.graph.vertices[edge.target]
            row = self._row_of(edge.target, edge.target_key)
            known = self.bus_rows.setdefault(edge.source, [])
            first = not known
            if row not in known:
                known.append(row)
            del target, n
            room = self.sizes[edge.source][1] + 8 if first else TRACK + (SMALL if self.taps else 0)
            self.gap(row).reserve(("bus", edge.source), room)
        for _, edge in self.across:
            row = self._row_of(edge.target, edge.target_key)
            outermost = self._is_outermost(edge.target, edge.target_key, -self._direction(edge) or 1)
            if abs(self._distance(edge)) > 1:
                self.gap(row).reserve(self._long_track(edge), TRACK)
            elif not outermost:
                self.gap(row).reserve((edge.source_key, edge.target_key, "entry"), TRACK)

    def _long_track(self, edge: Edge) -> Hashable:
        step = self.graph.vertices[edge.source].step or 0
        return (edge.source_key, edge.target_key, step % max(abs(edge.delay), 1), "long")

    def _row_of(self, i: int, key: Hashable) -> int:
        """The row of a vertex; inside what was elided, the row in which it would stand."""
        return self.row[self._inner_key(i, key)] if self._inner_key(i, key) in self.row else self._lane_top(i)

    def _lane_top(self, i: int) -> int:
        lane = self.graph.vertices[i].lane
        return self.lane_rows[lane or 0][1]

    def _distance(self, edge: Edge) -> int:
        """How many columns to the right an edge goes."""
        source, target = self.graph.vertices[edge.source], self.graph.vertices[edge.target]
        return self.place_of[target.step or 0] - self.place_of[source.step or 0]

    def _direction(self, edge: Edge) -> int:
        distance = self._distance(edge)
        return (distance > 0) - (distance < 0)

    def _is_outermost(self, i: int, key: Hashable, side: int) -> bool:
        """Whether nothing stands between a vertex and the channel on a side."""
        vertex = self.graph.vertices[i]
        if vertex.kind == "elided" or vertex.step == 0:
            return True
        inner = self._inner_key(i, key)
        row = self.template.order.get(self.row[inner], [])
        return bool(row) and row[-1 if side > 0 else 0] == inner

    # --- coordinates -------------------------------------------------------------------------------------------------

    def _set_columns(self) -> None:
        """The columns from left to right, after the margin with its parameters."""
        self.margin_right = MARGIN + max((self.sizes[i][0] for i in self.margin), default=0.0)
        risers = sum(len(rows) > 1 for rows in self.bus_rows.values())
        x = self.margin_right + (16 + 7 * risers if self.margin else 0)
        width = self.template.right - self.template.left
        self.channel_width = CHANNEL + 8 * len(self.channel)
        self.first_column = x
        for column in self.columns.values():
            column.left = x
            members = self._members(column.step)
            if column.elided:
                column.width = ELIDED_WIDTH
            elif column.step == 0:
                column.width = max((self.sizes[i][0] for i in members), default=0.0)
            else:
                column.width = width
                column.x = {key: x - self.template.left + at for key, at in self.template.x.items()}
            x += column.width + self.channel_width
        if self.columns:
            x -= self.channel_width
        band = self.bands.right - self.bands.left
        self.page_right = max(x, self.first_column + band)
        self.band_x = (self.first_column + self.page_right) / 2 - (self.bands.left + self.bands.right) / 2

    def _members(self, step: int) -> list[int]:
        if not hasattr(self, "_by_step"):
            self._by_step: dict[int, list[int]] = {}
            for i, vertex in enumerate(self.graph.vertices):
                if self.timed[i] and vertex.step is not None:
                    self._by_step.setdefault(vertex.step, []).append(i)
        return self._by_step.get(step, [])

    def _set_rows(self) -> None:
        """The rows from the bottom up; then everything turned over, since y points down on a page."""
        heights = [0.0] * self.rows
        for i, vertex in enumerate(self.graph.vertices):
            if vertex.lane is not None and vertex.kind != "elided":
                row = self.row[self.key(i)]
                heights[row] = max(heights[row], self.sizes[i][1])
        starts = {first for first, _ in self.lane_rows}
        y = MARGIN
        bottoms, middles, tracks = [], [], []
        for row in range(self.rows):
            gap = self.gaps.get(row, Gap())
            if row in starts and row:
                y += LANE_GAP
            y += 12 if row or gap.tracks else 0
            for key, room in gap.tracks.items():
                tracks.append((row, key, y + room / 2))
                y += room
            y += gap.height - sum(gap.tracks.values()) - 12 if row or gap.tracks else 0
            bottoms.append(y)
            middles.append(y + heights[row] / 2)
            y += heights[row]
        top = self.gaps.get(self.rows)
        if top:
            for key, room in top.tracks.items():
                tracks.append((self.rows, key, y + 12 + room / 2))
                y += room
            y += 16
        self.height = y + MARGIN + (HEADING if self.columns else 0)
        turn = self.height
        self.row_y = [turn - y for y in middles]
        self.row_height = heights
        self.track_y = {(row, key): turn - y for row, key, y in tracks}

    def row_top(self, row: int) -> float:
        return self.row_y[row] - self.row_height[row] / 2

    def row_bottom(self, row: int) -> float:
        return self.row_y[row] + self.row_height[row] / 2

    # --- drawing -----------------------------------------------------------------------------------------------------

    def _draw_panels(self) -> None:
        scene = self.result
        scene.width, scene.height = self.page_right + MARGIN, self.height
        for column in self.columns.values():
            if column.step > 0 and not column.elided:
                x, width = column.left - 10, column.width + 20
                scene.panels.append(
                    Panel(f"column{column.step}", "column", x, 8, width, self.height - 16, step=column.step)
                )
                heading = "t = 1 … T" if self.rolled else f"t = {column.step}"
                scene.labels.append(
                    Label(heading, column.left + column.width / 2, 26, 13, "middle", "heading", step=column.step)
                )
        for lane, (first, last) in enumerate(self.lane_rows):
            info = self.graph.lanes[lane]
            if info.timed and last >= first and info.title:
                top, bottom = self.row_top(last) - 14, self.row_bottom(first) + 10
                left = self.first_column - 4
                scene.panels.append(
                    Panel(f"lane{lane}", "lane", left, top, self.page_right + 4 - left, bottom - top, info.title)
                )

    def _draw_boxes(self) -> None:
        widths: dict[Key, float] = {}
        for i in range(len(self.graph.vertices)):
            widths[self.key(i)] = max(widths.get(self.key(i), 0.0), self.sizes[i][0])
        for i, vertex in enumerate(self.graph.vertices):
            if vertex.lane is None:
                continue
            if vertex.kind == "elided":
                self._draw_elided(i)
                continue
            row = self.row[self.key(i)]
            x, width = self._x_of(i), widths[self.key(i)]
            if i in self.bars:
                width = max(self.page_right - self.first_column, width)
            height = self.row_height[row] if self.timed[i] else self.sizes[i][1]
            if i in self.bars:
                height = self.sizes[i][1]
            self._add_box(i, x, self.row_y[row], width, height)

    def _x_of(self, i: int) -> float:
        vertex = self.graph.vertices[i]
        if i in self.bars:
            return (self.first_column + self.page_right) / 2
        if not self.timed[i]:
            return self.band_x + self.bands.x[self.key(i)]
        column = self.columns[vertex.step or 0]
        return column.x.get(self.key(i), column.left + column.width / 2)

    def _draw_elided(self, i: int) -> None:
        vertex = self.graph.vertices[i]
        column = self.columns[vertex.step or 0]
        first, last = self.lane_rows[vertex.lane or 0]
        top, bottom = self.row_top(last), self.row_bottom(first)
        self._add_box(i, column.left + column.width / 2, (top + bottom) / 2, column.width, bottom - top)

    def _add_box(self, i: int, x: float, y: float, width: float, height: float) -> None:
        vertex = self.graph.vertices[i]
        box = Box(f"n{i}", vertex.kind, x, y, width, height, self.lines[i], step=vertex.step, vertex=i)
        self.boxes[i] = box
        self.result.boxes.append(box)

    def _draw_margin(self) -> None:
        """Each parameter once, at the height of its first bus, and the lines that its taps leave from."""
        risers = 0
        for i in self.margin:
            rows = self.bus_rows.get(i, [])
            if not rows:
                continue
            width, height = self.sizes[i]
            first = self.track_y[rows[0], ("bus", i)]
            self._add_box(i, self.margin_right - width / 2, first, width, height)
            riser = self.margin_right
            if len(rows) > 1:
                riser += 9 + 7 * risers
                risers += 1
            self._draw_bus(i, rows, riser)

    def _draw_bus(self, i: int, rows: list[int], riser: float) -> None:
        taps: dict[int, list[tuple[float, int, Edge]]] = {}
        for n, edge in self._bus_of(i):
            row = self._row_of(edge.target, edge.target_key)
            taps.setdefault(row, []).append((self._tap_x(edge), n, edge))
        first = self.track_y[rows[0], ("bus", i)]
        for row in rows:
            y = self.track_y[row, ("bus", i)]
            found = sorted(taps[row], key=lambda tap: (tap[0], tap[1]))
            start = [(self.margin_right, first)] if row == rows[0] else [(riser, first), (riser, y)]
            end = f"d{found[-1][1]}"
            points = straight([*start, (found[-1][0], y)]) if row == rows[0] else rounded([*start, (found[-1][0], y)])
            self.result.paths.append(Path("bus", points, f"n{i}", end, arrow="", tint=self.tint[i]))
            for x, n, edge in found:
                self._draw_tap(i, n, edge, x, y)

    def _bus_of(self, i: int) -> list[tuple[int, Edge]]:
        if not hasattr(self, "_buses"):
            self._buses: dict[int, list[tuple[int, Edge]]] = {}
            for n, edge in self.bus:
                self._buses.setdefault(edge.source, []).append((n, edge))
        return self._buses.get(i, [])

    def _tap_x(self, edge: Edge) -> float:
        box = self.boxes[edge.target]
        if self.graph.vertices[edge.target].kind == "elided":
            return box.x
        shared = sum(other.target == edge.target for _, other in self._bus_of(edge.source))
        place = 0.25 if shared == 1 else 0.25 * edge.argument
        return box.x + box.width * place

    def _draw_tap(self, i: int, n: int, edge: Edge, x: float, y: float) -> None:
        box = self.boxes[edge.target]
        vertex = self.graph.vertices[edge.target]
        inside = vertex.kind == "elided"
        dot = Dot(f"d{n}", x, y, self.tint[i], step=vertex.step)
        self.result.dots.append(dot)
        if not inside:
            points = straight([(x, y), (x, box.y + box.height / 2)])
            self.result.paths.append(
                Path("tap", points, dot.name, box.name, tint=self.tint[i], step=vertex.step, edge=n)
            )
        if n in self.taps:
            where = x + 5 if not inside else box.x - box.width / 2 + 6
            self.result.labels.append(Label(self.taps[n], where, y - 4, SMALL, "start", "tap", vertex.step, n))

    # --- edges -------------------------------------------------------------------------------------------------------

    def _draw_edges(self) -> None:
        self._assign_ports()
        for n, edge in self.inner:
            self._draw_inner(n, edge)
        for n, edge in self.band:
            self._draw_rising(n, edge, self.bands, None)
        for n, edge in self.into_bar + self.from_bar:
            self._draw_bar(n, edge)
        for n, edge in self.across:
            self._draw_across(n, edge)

    def _assign_ports(self) -> None:
        """Where edges arrive at a box from below: side by side, in the order of where they come from."""
        arriving: dict[int, list[tuple[float, int]]] = {}
        for n, edge in self.inner + self.band:
            arriving.setdefault(edge.target, []).append((self._last_x(edge), n))
        tapped = {edge.target for _, edge in self.bus}
        self.port: dict[int, float] = {}
        for target, found in arriving.items():
            found.sort()
            box = self.boxes[target]
            if box.kind == "elided" or target in self.bars:
                continue
            room = box.width * (0.5 if target in tapped else 0.6)
            start = box.x - box.width * (0.25 if target in tapped else 0.3)
            for place, (_, n) in enumerate(found):
                share = (place + 0.5) / len(found)
                self.port[n] = start + room * share if len(found) > 1 or target in tapped else box.x

    def _last_x(self, edge: Edge) -> float:
        """Where an edge comes from, in the row below its target."""
        template = self.bands if not self.timed[edge.source] else self.template
        source, target = self.key(edge.source), self.key(edge.target)
        shift = self.boxes[edge.source].x - template.x.get(source, 0.0)
        if source in template.rows and target in template.rows:
            wires = template.route(source, target)
            if wires:
                return shift + template.x[wires[-1]]
        return self.boxes[edge.source].x

    def _edge(self, n: int, edge: Edge, kind: str, points: list[tuple[float, float]]) -> None:
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        if kind == "flow" and not edge.uses:
            kind = "constant"
        step = self.graph.vertices[edge.target].step
        self.result.paths.append(Path(kind, points, source.name, target.name, step=step, edge=n))

    def _draw_inner(self, n: int, edge: Edge) -> None:
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        if "elided" in (source.kind, target.kind):
            start, end = (source.x, source.y - source.height / 2), (target.x, target.y + target.height / 2)
            self._edge(n, edge, "flow", rising(start, end))
        elif self.row[self.key(edge.source)] < self.row[self.key(edge.target)]:
            shift = source.x - self.template.x[self.key(edge.source)]
            self._draw_rising(n, edge, self.template, shift)
        else:
            self._draw_across(n, edge)

    def _draw_rising(self, n: int, edge: Edge, template: Template, shift: float | None) -> None:
        """An edge upward, along its wires."""
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        shift = self.band_x if shift is None else shift
        wires = []
        if edge.source not in self.bars and edge.target not in self.bars:
            wires = template.route(self.key(edge.source), self.key(edge.target))
        end_x = self.port.get(n, target.x)
        start_x = source.x
        if edge.source in self.bars:
            start_x = end_x
        parts, at = [], (start_x, source.y - source.height / 2)
        for wire in wires:
            x, row = shift + template.x[wire], template.rows[wire]
            parts += [
                rising(at, (x, self.row_bottom(row))),
                straight([(x, self.row_bottom(row)), (x, self.row_top(row))]),
            ]
            at = (x, self.row_top(row))
        if at[1] > self.row_bottom(self.row[self.key(edge.target)]):
            parts.append(rising(at, (end_x, target.y + target.height / 2)))
        self._edge(n, edge, "flow", joined(*parts))

    def _draw_bar(self, n: int, edge: Edge) -> None:
        """An edge between a step and a bar, which spans all steps."""
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        if "elided" in (source.kind, target.kind):
            x = source.x if source.kind == "elided" else target.x
            points = straight([(x, source.y - source.height / 2), (x, target.y + target.height / 2)])
            self._edge(n, edge, "flow", points)
            return
        inside, bar = (edge.source, edge.target) if edge.target in self.bars else (edge.target, edge.source)
        port = ("port", self.key(bar))
        column = self.columns[self.graph.vertices[inside].step or 0]
        lower, upper = (self.key(inside), port) if bar == edge.target else (port, self.key(inside))
        if not column.x or lower not in self.template.rows or upper not in self.template.rows:
            x = self.boxes[inside].x
            points = straight([(x, source.y - source.height / 2), (x, target.y + target.height / 2)])
            self._edge(n, edge, "flow", points)
            return
        start = (column.x[port] if bar == edge.source else source.x, source.y - source.height / 2)
        end = (column.x[port] if bar == edge.target else target.x, target.y + target.height / 2)
        parts, at = [], start
        for wire in self.template.route(lower, upper):
            x, row = column.x[wire], self.template.rows[wire]
            parts += [
                rising(at, (x, self.row_bottom(row))),
                straight([(x, self.row_bottom(row)), (x, self.row_top(row))]),
            ]
            at = (x, self.row_top(row))
        self._edge(n, edge, "flow", joined(*parts, rising(at, end)))

    def _draw_across(self, n: int, edge: Edge) -> None:
        """What a step hands to another: out of the box sideways, along a channel, into the other box."""
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        direction = self._direction(edge) or 1
        line = self.channel[self.graph.vertices[edge.source].lane, edge.source_key]
        row, target_row = self._row_of(edge.source, edge.source_key), self._row_of(edge.target, edge.target_key)
        leaving = self.columns[self.graph.vertices[edge.source].step or 0]
        arriving = self.columns[self.graph.vertices[edge.target].step or 0]
        offset = 12 + 8 * line
        x_out = leaving.right + offset if direction > 0 else leaving.left - offset
        back = leaving is arriving
        entry_side = 1 if back else -direction
        x_in = arriving.right + offset if entry_side > 0 else arriving.left - self.channel_width + offset
        if self._is_outermost(edge.source, edge.source_key, direction):
            y = self.row_y[row]
            points = [(source.x + direction * source.width / 2, y)]
        else:
            y = self.track_y[row + 1, (edge.source_key, "exit")]
            points = [(source.x, source.y - source.height / 2), (source.x, y)]
        points.append((x_out, y))
        if abs(self._distance(edge)) > 1:
            y = self.track_y[target_row, self._long_track(edge)]
            points += [(x_out, y), (x_in, y)]
            x_out = x_in
        if self._is_outermost(edge.target, edge.target_key, entry_side):
            end = self.row_y[target_row]
            points += [(x_out, end), (target.x + entry_side * target.width / 2, end)]
        else:
            end = self.track_y.get((target_row, (edge.source_key, edge.target_key, "entry")), y)
            x = target.x - target.width * 0.3
            points += [(x_out, end), (x, end), (x, target.y + target.height / 2)]
        self._edge(n, edge, "carry", rounded(points))
