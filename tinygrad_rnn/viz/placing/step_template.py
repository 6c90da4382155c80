"""The arrangement of one time step; every column of the picture is a copy of it.

The classic layered drawing (Sugiyama, Tagawa and Toda 1981), on a small graph: the step's operations, each once,
whatever the number of steps. Rows: an operation stands directly below what it is used for. An edge that passes a row
gets a place of its own in it, so no arrow crosses a box. Order within rows: the mean position of the neighbours, swept
up and down. Positions: again the mean of the neighbours, as near as order and widths permit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ..reading.paths import reachable

Key = Hashable
SPACE = 16.0
WIRE_WIDTH = 8.0
SWEEPS = 12
MOST_ORDERED = 600  # with more items, recording order is kept
LONGEST_WIRE = 60  # rows that an edge may pass on wires of its own


class Wire(NamedTuple):
    """The place of an edge in a row that it passes."""

    source: Key
    row: int


class Extent(NamedTuple):
    """The reach of an item to the left and to the right of its middle."""

    left: float
    right: float


def levels(keys: Sequence[Key], edges: Iterable[tuple[Key, Key]]) -> dict[Key, int]:
    """The row of each key, counted from the bottom: one below the lowest of its users, or at the top without users.

    An edge that would close a cycle (steps that differ in what they do) does not count.
    """
    users: dict[Key, list[Key]] = {key: [] for key in keys}
    unplaced: dict[Key, int] = dict.fromkeys(keys, 0)
    makers: dict[Key, list[Key]] = {key: [] for key in keys}
    for source, target in dict.fromkeys(edges):
        if source != target:
            users[source].append(target)
            makers[target].append(source)
            unplaced[source] += 1
    depth: dict[Key, int] = {}
    ready = [key for key in keys if not unplaced[key]]
    waiting = list(reversed(keys))
    while len(depth) < len(keys):
        if not ready:
            while waiting[-1] in depth:
                waiting.pop()
            ready.append(waiting.pop())
        key = ready.pop()
        if key in depth:
            continue
        depth[key] = 1 + max((depth[user] for user in users[key] if user in depth), default=-1)
        for maker in makers[key]:
            unplaced[maker] -= 1
            if not unplaced[maker]:
                ready.append(maker)
    top = max(depth.values(), default=0)
    return {key: top - depth[key] for key in keys}


def levels_from_below(
    keys: Sequence[Key], edges: Sequence[tuple[Key, Key]], made: Iterable[Key], hanging: Iterable[Key]
) -> dict[Key, int]:
    """The row of each key, counted from the bottom: one above the highest of its inputs.

    Args:
        keys: all keys.
        edges: the edges between them, upward.
        made: the keys that are results; their inputs stand below them, even if these are none of the keys.
        hanging: the keys that stand one below the lowest of their users.
    """
    ground: Key = ("ground",)
    upward = [*edges, *((ground, key) for key in made)]
    reached = levels([*keys, ground], [(target, source) for source, target in upward])
    top = max(reached.values())
    found = {key: top - reached[key] for key in keys}
    users: dict[Key, list[Key]] = {}
    for source, target in edges:
        users.setdefault(source, []).append(target)
    for key in hanging:
        found[key] = max(min((found[user] for user in users.get(key, ())), default=1) - 1, found[key])
    lowest = min(found.values(), default=0)
    return {key: level - lowest for key, level in found.items()}


class Template:
    """The template of a step: the place of each key.

    Args:
        rows: the row of each key, from the bottom.
        edges: between keys, upward.
        extents: the widths of the keys.
        sides: -1 for a key at which an edge from the left arrives, +1 for a key that an edge leaves to the right.
        in_order: whether to keep the keys of a row in the given order, even if edges then cross.

    Attributes:
        x: the middle of each key, and of each wire.
        left, right: the ends of the template.
        order: the items of each row, from left to right.
    """

    def __init__(
        self,
        rows: Mapping[Key, int],
        edges: Iterable[tuple[Key, Key]],
        extents: Mapping[Key, Extent],
        sides: Mapping[Key, int],
        in_order: bool = False,
    ) -> None:
        self.rows = dict(rows)
        self.in_order = in_order
        self.extents = extents
        self.sides = sides
        self.order: dict[int, list[Key]] = {}
        self.below: dict[Key, list[Key]] = {}
        self.above: dict[Key, list[Key]] = {}
        for key, row in rows.items():
            self.order.setdefault(row, []).append(key)
        for source, target in dict.fromkeys(edges):
            self._connect(source, target)
        self.x: dict[Key, float] = {}
        if self.order:
            self._arrange()
        self.left = min((self.x[key] - self._extent(key).left for key in self.x), default=0.0)
        self.right = max((self.x[key] + self._extent(key).right for key in self.x), default=0.0)

    def route(self, source: Key, target: Key) -> list[Key]:
        """The wires that an edge runs along, from the bottom; edges from one source share them."""
        if self.rows[target] - self.rows[source] > LONGEST_WIRE:
            return []
        return [Wire(source, row) for row in range(self.rows[source] + 1, self.rows[target])]

    def _connect(self, source: Key, target: Key) -> None:
        before = source
        for wire in self.route(source, target):
            if wire not in self.rows:
                self.rows[wire] = wire.row  # type: ignore[attr-defined]
                self.order.setdefault(wire.row, []).append(wire)  # type: ignore[attr-defined]
                self._link(before, wire)
            before = wire
        self._link(before, target)

    def _link(self, lower: Key, upper: Key) -> None:
        self.above.setdefault(lower, []).append(upper)
        self.below.setdefault(upper, []).append(lower)

    def _extent(self, key: Key) -> Extent:
        return Extent(WIRE_WIDTH / 2, WIRE_WIDTH / 2) if isinstance(key, Wire) else self.extents[key]

    def _arrange(self) -> None:
        for row in self.order.values():
            row.sort(key=lambda key: self.sides.get(key, 0))  # stable: recording order otherwise
        self._spread()
        best, best_crossings = {r: list(keys) for r, keys in self.order.items()}, self._crossings()
        for sweep in range(SWEEPS):
            if not best_crossings:
                break
            upward = sweep % 2 == 0
            for r in sorted(self.order, reverse=not upward):
                neighbours = self.below if upward else self.above
                self._sort_row(r, neighbours)
                self._place_row(r, [self.x[key] for key in self.order[r]])
            crossings = self._crossings()
            if crossings < best_crossings:
                best, best_crossings = {r: list(keys) for r, keys in self.order.items()}, crossings
        self.order = best
        self._spread()
        for sweep in range(2 * SWEEPS):
            upward = sweep % 2 == 0
            for r in sorted(self.order, reverse=not upward):
                every = [[*self.below.get(key, ()), *self.above.get(key, ())] for key in self.order[r]]
                one = self.below if upward else self.above
                wishes = [self._wish(key, one.get(key, ()) or both) for key, both in zip(self.order[r], every)]
                self._place_row(r, wishes)
        self._centre()

    def _sort_row(self, r: int, neighbours: Mapping[Key, Sequence[Key]]) -> None:
        """A row in the order of its neighbours; if keys have to keep their order, only the wires between them move."""
        kept = iter([key for key in self.order[r] if not isinstance(key, Wire)])
        self.order[r].sort(key=lambda key: self._wish(key, neighbours.get(key, ())))
        if self.in_order:
            self.order[r] = [key if isinstance(key, Wire) else next(kept) for key in self.order[r]]

    def _centre(self) -> None:
        """Align parts that are not connected and share no row (layers that run one after the other)."""
        left_over = set(self.x)
        while left_over:
            members = reachable([left_over.pop()], lambda key: [*self.below.get(key, ()), *self.above.get(key, ())])
            left_over -= members
            if all(members.issuperset(self.order[row]) for row in {self.rows[key] for key in members}):
                left = min(self.x[key] - self._extent(key).left for key in members)
                right = max(self.x[key] + self._extent(key).right for key in members)
                for key in members:
                    self.x[key] -= (left + right) / 2

    def _wish(self, key: Key, neighbours: Sequence[Key]) -> float:
        """The preferred position of an item: the middle of its neighbours."""
        if not neighbours:
            return self.x[key]
        return sum(self.x[n] for n in neighbours) / len(neighbours)

    def _spread(self) -> None:
        """Place the items of every row side by side, centred."""
        for r in sorted(self.order):
            keys = self.order[r]
            for key in keys:
                self.x.setdefault(key, 0.0)
            self._place_row(r, [0.0] * len(keys))

    def _place_row(self, r: int, wishes: list[float]) -> None:
        """The positions nearest to the wishes that keep order and distance (least squares, by pooling neighbours)."""
        offsets, position = [], 0.0
        keys = self.order[r]
        for i, key in enumerate(keys):
            if i:
                position += self._extent(keys[i - 1]).right + SPACE + self._extent(key).left
            offsets.append(position)
        pools: list[list[float]] = []  # [sum of wishes, how many]
        for wish, offset in zip(wishes, offsets):
            pools.append([wish - offset, 1])
            while len(pools) > 1 and pools[-2][0] * pools[-1][1] > pools[-1][0] * pools[-2][1]:
                total, count = pools.pop()
                pools[-1][0] += total
                pools[-1][1] += count
        places = [total / count for total, count in pools for _ in range(int(count))]
        for key, place, offset in zip(keys, places, offsets):
            self.x[key] = place + offset

    def _crossings(self) -> int:
        """The number of pairs of edges that cross, over all rows; not counted if the graph is too large."""
        if len(self.rows) > MOST_ORDERED:
            return 0
        place = {key: i for keys in self.order.values() for i, key in enumerate(keys)}
        total = 0
        for keys in self.order.values():
            ends = [end for key in keys for end in sorted(place[upper] for upper in self.above.get(key, ()))]
            total += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
        return total
