"""The layout: from the ground plan to a scene in which every box, line and label has its coordinates.

A line is vertical or horizontal in a place that the plan has reserved for lines, or climbs from one row to the next
along the template's wires; so none crosses a box. ``dot`` would search for such a drawing for minutes, since a shared
weight is a hub with an edge for every step.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..reading.model import Edge, Graph
from ..scene import (
    LINE_HEIGHT,
    SMALL,
    Box,
    Dot,
    Label,
    Panel,
    Path,
    Point,
    Scene,
    joined,
    rising,
    rounded,
    straight,
)
from ..writing.norm_colors import ink_on
from . import loops
from .belonging import Numbered
from .boxes import box_lines, names_again
from .ground_plan import CHANNEL_LINE, ELIDED_INSET, HEADING, Plan
from .step_template import Template


def place(graph: Graph, taps: dict[int, list[str]] | None = None, rolled: bool = False) -> Scene:
    """The scene with everything in a graph; its arguments are those of ``Plan``."""
    return _Layout(graph, taps or {}, rolled).scene


class _Layout:
    """The layout of a picture: it fills a scene by a plan."""

    def __init__(self, graph: Graph, taps: dict[int, list[str]], rolled: bool) -> None:
        self.graph = graph
        self.taps = taps
        self.lines = [box_lines(vertex) for vertex in graph.vertices]
        self.plan = Plan(graph, self.lines, taps, rolled)
        self.scene = Scene(self.plan.width, self.plan.height)
        self.tint = _tints(graph, self.plan.margin)
        self.boxes: dict[int, Box] = {}
        self.runs: list[loops.Run] = []
        self._draw_panels()
        self._draw_boxes()
        self._draw_margin()
        self._assign_ports()
        self._draw_edges()
        self.scene.labels += loops.labels(self.runs, (path for path in self.scene.paths if path.kind == "bus"))

    # --- areas and boxes ---------------------------------------------------------------------------------------------

    def _draw_panels(self) -> None:
        plan, scene = self.plan, self.scene
        timed = [i for i, lane in enumerate(self.graph.lanes) if lane.timed]
        for column in plan.columns.values():
            if column.step == 0:
                continue
            top = plan.lane_top[timed[-1]] - (4 if plan.headed_below else HEADING + 4)
            bottom = plan.lane_bottom[timed[0]] + (28 if plan.headed_below else 2)
            left, width = column.left - 10, column.width + 20
            kind = "hidden" if column.elided else "column"
            scene.panels.append(Panel(f"column{column.step}", kind, left, top, width, bottom - top, step=column.step))
            if column.elided:
                continue
            heading = "t = 1 … T" if plan.rolled else f"t = {column.step}"
            beside = plan.into_bar and not plan.headed_below
            x, anchor = (column.left, "start") if beside else (column.middle, "middle")
            y = bottom - 12 if plan.headed_below else top + 20
            scene.labels.append(Label(heading, x, y, 13, anchor, "heading", step=column.step))
        for lane, (first, last) in enumerate(plan.lane_rows):
            title = self.graph.lanes[lane].title
            if title and last >= first:
                top, bottom = plan.lane_top[lane], plan.lane_bottom[lane]
                left, width = plan.first_column - 6, plan.right - plan.first_column + 12
                scene.panels.append(Panel(f"lane{lane}", "lane", left, top, width, bottom - top, title))

    def _draw_boxes(self) -> None:
        plan = self.plan
        for i, vertex in enumerate(self.graph.vertices):
            if vertex.lane is None:
                continue
            width, height = plan.sizes[i]
            if vertex.kind == "elided":
                column = plan.column_of(i)
                first, last = plan.lane_rows[vertex.lane]
                top, bottom = plan.row_top(last), plan.row_bottom(first)
                self._add_box(i, column.middle, (top + bottom) / 2, column.width, bottom - top)
                self._write_elided(i, top, bottom)
                continue
            if i in plan.bars:
                width = max(plan.right - plan.first_column, width)
            self._add_box(i, self._x_of(i), plan.row_y[plan.row[plan.key(i)]], width, height)
            self.scene.labels += names_again(self.boxes[i])

    def _x_of(self, i: int) -> float:
        plan = self.plan
        if i in plan.bars:
            return (plan.first_column + plan.right) / 2
        if not plan.timed[i]:
            return plan.band_x + plan.bands.x[plan.key(i)]
        return plan.column_of(i).x[plan.key(i)]

    def _add_box(self, i: int, x: float, y: float, width: float, height: float) -> None:
        vertex = self.graph.vertices[i]
        lines = [] if vertex.kind == "elided" else self.lines[i]
        box = Box(f"n{i}", vertex.kind, x, y, width, height, lines, vertex=i, step=vertex.step)
        box.dimmed = not vertex.lit
        if vertex.fill:
            box.fill, box.ink = vertex.fill, ink_on(vertex.fill)
        self.boxes[i] = box
        self.scene.boxes.append(box)

    def _write_elided(self, i: int, top: float, bottom: float) -> None:
        """Write the note on elided steps where no line of a parameter runs through it, as near the middle as can be."""
        lines, vertex = self.lines[i], self.graph.vertices[i]
        written = {edge.source: len(self.taps.get(n, ())) for n, edge in self.plan.tapped.get(i, ())}
        free, start = [], top
        for y, (_, track) in sorted((y, place) for place, y in self.plan.track_y.items() if top < y < bottom):
            above = written.get(track[1], 0) if isinstance(track, tuple) and track[0] == "bus" else 0
            free.append((start, y - above * SMALL * LINE_HEIGHT - 6))
            start = y + 6
        free.append((start, bottom))
        needed = sum(line.size for line in lines) * LINE_HEIGHT
        wide = [gap for gap in free if gap[1] - gap[0] >= needed] or [max(free, key=lambda gap: gap[1] - gap[0])]
        first, last = min(wide, key=lambda gap: abs(gap[0] + gap[1] - top - bottom))
        y = (first + last - needed) / 2
        for line in lines:
            y += line.size * LINE_HEIGHT
            kind = "tap" if line.tone else "elided-title"
            x, baseline = self.plan.column_of(i).middle, y - line.size * 0.32
            label = Label(line.text, x, baseline, line.size, "middle", kind, vertex.step, dimmed=not vertex.lit)
            self.scene.labels.append(label)

    # --- parameters --------------------------------------------------------------------------------------------------

    def _draw_margin(self) -> None:
        """Draw each parameter once, at the height of its first bus, and the lines from which its taps leave."""
        plan, risers = self.plan, 0
        self._assign_taps()
        for i in plan.margin:
            rows = plan.bus_rows.get(i)
            if not rows:
                continue
            width, height = plan.sizes[i]
            self._add_box(i, plan.margin_right - width / 2, plan.track_y[rows[0], ("bus", i)], width, height)
            riser = plan.margin_right + 9 + 7 * risers
            risers += len(rows) > 1
            self._draw_bus(i, rows, riser)

    def _draw_bus(self, i: int, rows: list[int], riser: float) -> None:
        taps: dict[int, Numbered] = {}
        for n, edge in self.plan.bus_of[i]:
            taps.setdefault(self.plan.row_of(edge.target, edge.target_key), []).append((n, edge))
        first = self.plan.track_y[rows[0], ("bus", i)]
        for row in rows:
            y = self.plan.track_y[row, ("bus", i)]
            start = [(self.plan.margin_right, first)] if row == rows[0] else [(riser, first), (riser, y)]
            name = f"n{i}"
            for lit in (True, False):  # the highlighted part ends at its last tap, where the rest begins
                ends = [(self.tap_x[n], n) for n, edge in taps[row] if edge.lit == lit]
                if not ends or max(ends)[0] <= start[-1][0]:
                    continue
                x, n = max(ends)
                points = rounded([*start, (x, y)])
                bus = Path("bus", points, name, f"d{n}", "", tint=self.tint[i], vertex=i, dimmed=not lit)
                self.scene.paths.append(bus)
                start, name = [(x, y)], f"d{n}"
            for n, edge in taps[row]:
                self._draw_tap(i, n, edge, y)

    def _assign_taps(self) -> None:
        """Assign the points where taps arrive at a box."""
        self.tap_x: dict[int, float] = {}
        for target, taps in self.plan.tapped.items():
            box = self.boxes[target]
            if box.kind == "elided":
                self.tap_x.update({n: box.x - box.width / 2 + ELIDED_INSET for n, _ in taps})
            else:
                self.tap_x.update({n: box.x + at for n, at in self.plan.tap_distances(target).items()})

    def _draw_tap(self, i: int, n: int, edge: Edge, y: float) -> None:
        box, x = self.boxes[edge.target], self.tap_x[n]
        step, tint = self.graph.vertices[edge.target].step, self.tint[i]
        dimmed = not edge.lit
        self.scene.dots.append(Dot(f"d{n}", x, y, tint, dimmed, step, n))
        if box.kind != "elided":
            points = straight([(x, y), (x, box.y + box.height / 2)])
            tap = Path("tap", points, f"d{n}", box.name, tint=tint, step=step, edge=n, dimmed=dimmed)
            tap.flows = bool(edge.uses)
            self.scene.paths.append(tap)
        texts = self.taps.get(n, [])
        for place, text in enumerate(texts):
            baseline = y - 4 - (len(texts) - 1 - place) * SMALL * LINE_HEIGHT
            self.scene.labels.append(Label(text, x + 5, baseline, SMALL, "start", "tap", step, n, dimmed))

    # --- edges -------------------------------------------------------------------------------------------------------

    def _draw_edges(self) -> None:
        plan = self.plan
        for n, edge in plan.inner:
            lower, upper = plan.key(edge.source), plan.key(edge.target)
            if "elided" in (self.boxes[edge.source].kind, self.boxes[edge.target].kind):
                self._draw_straight(n, edge)
            else:
                column = plan.column_of(edge.source)
                self._draw_rising(n, edge, plan.template, column.x, lower, upper)
        for n, edge in plan.band:
            shifted = {key: x + plan.band_x for key, x in self._wires_of(edge).items()}
            self._draw_rising(n, edge, plan.bands, shifted, plan.key(edge.source), plan.key(edge.target))
        for n, edge in plan.past:
            self._draw_past(n, edge)
        for n, edge in plan.into_bar + plan.from_bar:
            self._draw_bar(n, edge)
        for n, edge in plan.across:
            self._draw_across(n, edge)

    def _wires_of(self, edge: Edge) -> dict[Hashable, float]:
        bands = self.plan.bands
        lower, upper = self.plan.key(edge.source), self.plan.key(edge.target)
        if lower not in bands.rows or upper not in bands.rows:
            return {}
        return {wire: bands.x[wire] for wire in bands.route(lower, upper)}

    def _assign_ports(self) -> None:
        """Assign the points where edges arrive at a box from below: side by side, in the order of their sources."""
        arriving: dict[int, list[tuple[float, int]]] = {}
        for n, edge in self.plan.inner + self.plan.band + self.plan.past:
            if self.boxes[edge.target].kind != "elided" and edge.target not in self.plan.bars:
                arriving.setdefault(edge.target, []).append((self._comes_from(edge), n))
        self.port: dict[int, float] = {}
        for target, found in arriving.items():
            found.sort()
            box = self.boxes[target]
            if len(found) == 1:
                self.port[found[0][1]] = box.x
                continue
            left, room = (-0.36, 0.4) if target in self.plan.tapped else (-0.3, 0.6)
            for place, (_, n) in enumerate(found):
                self.port[n] = box.x + box.width * (left + room * (place + 0.5) / len(found))

    def _comes_from(self, edge: Edge) -> float:
        """The horizontal position of an edge's source, in the row below its target."""
        plan = self.plan
        if edge.source in plan.rails:
            return plan.rail_x
        template = plan.template if plan.timed[edge.source] else plan.bands
        lower, upper = plan.key(edge.source), plan.key(edge.target)
        source = self.boxes[edge.source].x
        if lower in template.rows and upper in template.rows:
            wires = template.route(lower, upper)
            if wires and wires[-1] in template.x:
                return source + template.x[wires[-1]] - template.x[lower]
        return source

    def _edge(self, n: int, edge: Edge, kind: str, points: list[Point]) -> None:
        kind = "constant" if kind == "flow" and not edge.uses else kind
        step = self.graph.vertices[edge.target].step
        source, target = self.boxes[edge.source].name, self.boxes[edge.target].name
        path = Path(kind, points, source, target, step=step, edge=n, dimmed=not edge.lit, flows=bool(edge.uses))
        self.scene.paths.append(path)

    def _draw_straight(self, n: int, edge: Edge) -> None:
        """Draw an edge to or from elided steps, at their right end; taps have the left one."""
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        elided = target if target.kind == "elided" else source
        x = elided.x + elided.width / 2 - ELIDED_INSET
        self._edge(n, edge, "flow", straight([(x, source.y - source.height / 2), (x, target.y + target.height / 2)]))

    def _draw_rising(
        self, n: int, edge: Edge, template: Template, at: dict[Hashable, float], lower: Hashable, upper: Hashable
    ) -> None:
        """Draw an edge upward, along the wires of its template, which are at ``at``."""
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        end = (self.port.get(n, at.get(upper, target.x)), target.y + target.height / 2)
        start_x = at.get(lower, source.x) if lower in at or edge.source not in self.plan.bars else end[0]
        now, parts = (start_x, source.y - source.height / 2), []
        wires = template.route(lower, upper) if lower in template.rows and upper in template.rows else []
        for wire in wires:
            if wire not in at:
                continue
            row = template.rows[wire]
            low, high = (at[wire], self.plan.row_bottom(row)), (at[wire], self.plan.row_top(row))
            parts += [rising(now, low), straight([low, high])]
            now = high
        gap = (now[0], self.plan.row_top(template.rows[lower])) if not wires and lower in template.rows else now
        if gap[1] < now[1] - 0.5:  # a box lower than its row: leave it straight
            parts.append(straight([now, gap]))
            now = gap
        bend = self.plan.bend.get(template.rows.get(upper, -1))
        if bend is not None and bend < now[1] - 0.5 and abs(end[0] - now[0]) > 0.5:
            parts.append(rising(now, (end[0], bend)))
            now = (end[0], bend)
        bottom = self.plan.row_bottom(template.rows[upper]) if upper in template.rows else end[1]
        if bottom > end[1] + 0.5:
            parts += [rising(now, (end[0], bottom)), straight([(end[0], bottom), end])]
        elif abs(end[0] - now[0]) > 2 * abs(end[1] - now[1]):  # so flat that its arrow head would stand off
            foot = (end[0], end[1] + (now[1] - end[1]) * 0.4)
            parts += [rising(now, foot), straight([foot, end])]
        else:
            parts.append(rising(now, end))
        self._edge(n, edge, "flow", joined(*parts))

    def _draw_bar(self, n: int, edge: Edge) -> None:
        """Draw an edge between a step and a bar, which spans all steps."""
        plan = self.plan
        column = plan.column_of(edge.source if edge.target in plan.bars else edge.target)
        if column.elided or column.step == 0:
            self._draw_straight(n, edge)
        else:
            lower, upper = plan.key_in_step(edge.source), plan.key_in_step(edge.target)
            self._draw_rising(n, edge, plan.template, column.x, lower, upper)

    def _draw_past(self, n: int, edge: Edge) -> None:
        """Draw an edge from outside of all steps past them, to a layer above, at their right."""
        plan = self.plan
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        x = plan.rail_x + CHANNEL_LINE * plan.rails[edge.source]
        points = [(source.x + source.width / 2, source.y), (x, source.y)]
        if edge.target in plan.bars:
            points += [(x, target.y), (target.x + target.width / 2, target.y)]
        else:
            y = plan.track_y[plan.row_of(edge.target, edge.target_key), ("rail", edge.source)]
            end = self.port[n]
            points += [(x, y), (end, y), (end, target.y + target.height / 2)]
        self._edge(n, edge, "flow", rounded(points))

    def _draw_across(self, n: int, edge: Edge) -> None:
        """Draw an edge from a step to another: out of the box sideways, along a channel, into the other box."""
        plan = self.plan
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        direction, side = plan.direction(edge), plan.entry_side(edge)
        row, target_row = plan.row_of(edge.source, edge.source_key), plan.row_of(edge.target, edge.target_key)
        leaving, arriving = plan.column_of(edge.source), plan.column_of(edge.target)
        offset = plan.channel_x(edge)
        if source is target and plan.is_outermost(edge.source, edge.source_key, side):
            x, right = leaving.right + offset, source.x + source.width / 2
            up, down = source.y - source.height * 0.25, source.y + source.height * 0.25
            self._run(n, edge, [(right, up), (x, up), (x, down), (right, down)])
            return
        x_out = leaving.right + offset if direction > 0 else leaving.left - leaving.channel + offset
        x_in = arriving.right + offset if side > 0 else arriving.left - arriving.channel + offset
        if plan.is_outermost(edge.source, edge.source_key, direction):
            y = plan.row_y[row]
            points = [(source.x + direction * source.width / 2, y)]
        else:
            y = plan.track_y[row + 1, ("exit", plan.end_key(edge.source, edge.source_key))]
            x = source.x + direction * source.width * 0.32
            points = [(x, source.y - source.height / 2), (x, y)]
        points.append((x_out, y))
        if abs(plan.distance(edge)) > 1:
            y = plan.track_y[target_row, plan.long_track(edge)]
            points += [(x_out, y), (x_in, y)]
            x_out = x_in
        if plan.enters_sideways(edge):
            y = plan.row_y[target_row]
            points += [(x_out, y), (target.x + side * target.width / 2, y)]
        else:
            y = plan.track_y.get((target_row, ("entry", edge.source_key, edge.target_key)), y)
            x = target.x - target.width * 0.34
            points += [(x_out, y), (x, y), (x, target.y + target.height / 2)]
        self._run(n, edge, points)

    def _run(self, n: int, edge: Edge, points: list[Point]) -> None:
        """Draw a line from step to step; in a rolled view, it has its name, and is dotted if only one step uses it."""
        ends = self.graph.vertices[edge.source], self.graph.vertices[edge.target]
        begins = self.plan.rolled and loops.begins(edge, *ends)
        self._edge(n, edge, "initial" if begins else "carry", rounded(points))
        if self.plan.rolled:
            self.runs.append(loops.Run(n, loops.name(edge, *ends), begins, points))


def _tints(graph: Graph, margin: list[int]) -> dict[int, int]:
    """A colour for each parameter; the elements of one array share theirs."""
    names: dict[str, int] = {}
    return {i: names.setdefault(graph.vertices[i].title.partition("[")[0] or f"#{i}", len(names)) for i in margin}
