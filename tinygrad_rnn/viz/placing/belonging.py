"""The lane, the row and the column of every vertex, and the kind of way that each edge takes.

All of it follows from the graph; where rows and columns are on the page is the ground plan's business.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from ..reading.model import Edge, Graph
from .step_template import Template, levels, levels_from_below

Key = Hashable
Numbered = list[tuple[int, Edge]]


@dataclass
class Column:
    """A time step on the page.

    Attributes:
        x: the middle of each key and wire of the template; empty for the initial state and for elided steps.
        channel: the width of the channel at its left.
    """

    step: int
    left: float = 0.0
    width: float = 0.0
    channel: float = 0.0
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


class Places:
    """The row, column and lane of each part of a graph.

    Args:
        graph: the graph to draw.
        rolled: whether one column stands for all steps, so that an edge to a later step comes back to it.

    Attributes:
        inner, across, bus, band, past, into_bar, from_bar: the edges with their indices: within a step; from step to
            step; from the margin; between vertices outside all steps, within a lane or past steps; to and from a bar.
        row: the row of each key, from the bottom; lane_rows: the first and last of each lane.
        template: the arrangement of a step.
    """

    template: Template

    def __init__(self, graph: Graph, rolled: bool) -> None:
        self.graph = graph
        self.rolled = rolled
        self.timed = [vertex.lane is not None and graph.lanes[vertex.lane].timed for vertex in graph.vertices]
        self.margin = [i for i, vertex in enumerate(graph.vertices) if vertex.lane is None]
        self._sort_edges()
        self._find_columns()
        self._find_rows()

    # --- what belongs where ------------------------------------------------------------------------------------------

    def key(self, i: int) -> Key:
        """The key of a vertex in its lane, with the lane."""
        vertex = self.graph.vertices[i]
        return (vertex.lane, vertex.key)

    def key_in_step(self, i: int) -> Key:
        """The key of a vertex in the arrangement of a step; for a bar, that of the port where edges meet it."""
        return ("port", self.key(i)) if i in self.bars else self.key(i)

    def end_key(self, i: int, key: Hashable) -> Key:
        """The key and lane of an end of an edge, which may be hidden in elided steps."""
        return (self.graph.vertices[i].lane, key)

    def row_of(self, i: int, key: Hashable) -> int:
        """The row of an end of an edge."""
        return self.row.get(self.end_key(i, key), self.lane_rows[self.graph.vertices[i].lane or 0][1])

    def column_of(self, i: int) -> Column:
        """The column of a vertex that has a step."""
        return self.columns[self.graph.vertices[i].step or 0]

    def distance(self, edge: Edge) -> int:
        """The number of columns that an edge goes to the right."""
        source, target = self.graph.vertices[edge.source], self.graph.vertices[edge.target]
        return self.place_of[target.step or 0] - self.place_of[source.step or 0]

    def direction(self, edge: Edge) -> int:
        """1 for an edge that leaves to the right (a loop does), -1 to the left."""
        return -1 if self.distance(edge) < 0 else 1

    def entry_side(self, edge: Edge) -> int:
        """-1 for an edge that arrives from the left, 1 from the right."""
        return 1 if self.distance(edge) <= 0 else -1

    def is_outermost(self, i: int, key: Hashable, side: int) -> bool:
        """Return True if nothing stands between a vertex and the channel on a side."""
        vertex = self.graph.vertices[i]
        if vertex.kind == "elided":
            return True
        if vertex.step == 0:
            return self._initial_row(i)[-1] == i
        row = self.template.order.get(self.row_of(i, key), [])
        return bool(row) and row[-1 if side > 0 else 0] == self.end_key(i, key)

    def enters_sideways(self, edge: Edge) -> bool:
        """Return True if an edge from another step arrives at the side of its target, not from below.

        In a layer that runs back in time, the initial state and the edge to the second step would meet at the same
        side.
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
        """The line that an edge takes in a channel; edges from one value to the same later step share it."""
        kind = "long" if abs(self.distance(edge)) > 1 else "next"
        key = self.end_key(edge.source, edge.source_key)
        return (kind, key, edge.delay, bool(self.distance(edge))) if self.rolled else (kind, key)

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
        for i in alone:  # no step is shown: its lane holds only the initial state
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
            self._stack_lane(keys, self._levels(keys, edges))
            self.lane_rows.append((first, self.rows - 1))
        self._place_strays(strays)

    def _levels(self, keys: dict[Key, int], edges: list[tuple[Key, Key]]) -> dict[Key, int]:
        """The level of each key in its lane: as high as possible; single numbers as low as possible, to align units."""
        if not self.graph.of_numbers:
            return levels(list(keys), edges)
        kinds = {key: self.graph.vertices[i].kind for key, i in keys.items()}
        made = [key for key, i in keys.items() if self.graph.vertices[i].symbol]
        return levels_from_below(list(keys), edges, made, [key for key, kind in kinds.items() if kind == "constant"])

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
        """Place each part of the initial state that is no result of a step in a free row next to its user's.

        The parts that a cell takes stand side by side, in its row.
        """
        users = {edge.source: self.row.get(self.end_key(edge.target, edge.target_key)) for _, edge in self.across}
        of_cells = {edge.source for _, edge in self.across if self.graph.vertices[edge.target].kind == "cell"}
        taken = {self.row[self.key(i)] for i in self.initial() if self.key(i) in self.row}
        for i in strays:
            first, last = self.lane_rows[self.graph.vertices[i].lane or 0]
            wish = users.get(i)
            wish = last if wish is None else wish
            free = [row for row in range(first, last + 1) if row not in taken and i not in of_cells] or [wish]
            self.row[self.key(i)] = min(free, key=lambda row: (abs(row - wish), row))
            taken.add(self.row[self.key(i)])

    def _initial_row(self, i: int) -> list[int]:
        """The parts of the initial state that stand in one row, from left to right."""
        return [other for other in self.initial() if self.row[self.key(other)] == self.row[self.key(i)]]

    def initial(self) -> list[int]:
        """The vertices of step 0."""
        return self.columns[0].members if 0 in self.columns else []
