"""The line of a user's function at which its numbers leave the derivation, and the numbers that belong there.

Every value that the function assigns is held against the numbers of the derivation. The first one that is none of
them, though all that its line reads is right, is suspect. The proof is a run in which the lines near it assign what the
derivation has and the function lacks: if all gradients are right then, the mistake is in that line. (Shapiro,
"Algorithmic Program Debugging", 1983, with the derivation as the oracle that he asks.)
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from ...derivation.edits.budget import Budget
from ...derivation.edits.editing import Bench
from ...derivation.equations.expressions import Expression, Steps
from ...derivation.equations.lines import Line
from ...derivation.equations.parts import closure, places_read
from ...derivation.equations.quantities import Place as Valued
from ..claims.claims import Claims, read_claims
from ..rows import Sides
from .numbers import Numbers, evaluated, numbers_of, pieces
from .watching import Assigned, Place, watched

MOST_LINES = 8  # of the derivation, from the first that is missing
MOST_PLACES = 10  # of the function, before the first suspect value
MOST_RUNS = 150
CHANCE = 1e-7  # the relative difference from which on numbers may be equal by chance: in float32


class Belongs(NamedTuple):
    """A line of the derivation, or a part of one, that belongs somewhere in the function."""

    line: Line
    expression: Expression  # its right-hand side, or a part of that
    steps: Steps  # the steps at which it is computed

    @property
    def is_whole(self) -> bool:
        """True for the whole line."""
        return self.expression is self.line.expression


Wanted = tuple[Belongs, list[np.ndarray]]  # with its values at its steps


class Exchange(NamedTuple):
    """Other values for those that a line of the function assigns."""

    place: Place  # the line
    belongs: Belongs  # what they are
    new: dict[int, np.ndarray]  # the values, by the numbers of those in whose place they stand
    adds: bool  # whether they are what is added to a value, rather than the value
    first: int  # the number of the first one that changes

    @property
    def key(self) -> object:
        """A key that exchanges of the same values have in common."""
        return self.place, self.adds, tuple((i, np.round(new, 9).tobytes()) for i, new in self.new.items())


class OwnCode:
    """A user's function beside the derivation of its loss.

    Args:
        sides: the two sides, of which the manual one is a function.
        bench: the right run of the derivation.

    Attributes:
        assigned: the values that the function assigns.
    """

    def __init__(self, sides: Sides, bench: Bench) -> None:
        self.sides, self.bench = sides, bench
        self.relative = max(sides.tolerance.relative, 1e-9)
        _, self.assigned, self.returned = watched(self._claims)
        self.right = Numbers(numbers_of(bench, bench.lines), self.relative)
        self.of_place: dict[Place, list[int]] = defaultdict(list)
        for i, one in enumerate(self.assigned):
            self.of_place[one.place].append(i)

    def _claims(self) -> Claims:
        return read_claims(self.sides.manual, self.sides.recording)

    # --- the user's values ---------------------------------------------------------------------------------------

    @cached_property
    def suspects(self) -> list[int]:
        """The values that lead to the result and are none of the derivation's, nor of what it computes on its way."""
        known = [self.right.make_up(one.value) for one in self.assigned]
        several = {line for line, count in Counter(place[:2] for place in self.of_place).items() if count > 1}
        accepted = [is_known is not False or self._adds_right(one) for is_known, one in zip(known, self.assigned)]
        lines = [one.place[:2] for one in self.assigned]
        passed_on = {j for i, one in enumerate(self.assigned) for j in one.reads if lines[j] != lines[i]}
        right_lines = {line for line, is_known in zip(lines, known) if is_known}
        for j, line in enumerate(lines):  # of a line that assigns several: a step on the way to what is right
            if line in several & right_lines and j not in passed_on and j not in self.returned:
                accepted[j] = True
        mixed = several & {line for line, is_known in zip(lines, known) if is_known is False}
        for i in reversed(range(len(self.assigned))):
            is_read = lines[i] not in mixed  # else it may be for what else the line assigns
            if is_read and (known[i] or (accepted[i] and known[i] is False)):
                for j in self.assigned[i].reads:  # another form of what the derivation has: something right comes of it
                    if self.assigned[j].is_whole and known[j] is False:
                        accepted[j] = True
        matters = closure(self.returned, lambda i: self.assigned[i].reads)
        return [i for i in sorted(matters) if not accepted[i]]

    def _adds_right(self, one: Assigned) -> bool:
        """Return True for a sum to which something right was added."""
        return one.added is not None and bool(self.right.make_up(one.added))

    @cached_property
    def places(self) -> list[Place]:
        """The lines that may be at fault: that of the first suspect value, and those from which it was computed.

        Where none is suspect, a right value stands where another one belongs: then it is looked for from the result on.
        """
        found: dict[Place, None] = {}
        waiting = deque(self.suspects[:1] or sorted(set(self.returned), reverse=True))
        seen = set(waiting)
        while waiting and len(found) < MOST_PLACES:
            i = waiting.popleft()
            found[self.assigned[i].place] = None
            before = [j for j in sorted(self.assigned[i].reads, reverse=True) if j not in seen and not self._is_done(j)]
            seen.update(before)
            waiting += before
        return list(found)

    def _is_done(self, i: int) -> bool:
        """Return True for a value of the forward pass, where all of that is right."""
        is_right = not any(line.kind == "forward" for line in self.missing)
        return is_right and bool(self._forward.make_up(self.assigned[i].value))

    @cached_property
    def _forward(self) -> Numbers:
        lines = [line for line in self.bench.lines if line.kind == "forward"]
        return Numbers(numbers_of(self.bench, lines), self.relative)

    @property
    def is_exact(self) -> bool:
        """True if numbers aren't equal by chance, so that what is known is right."""
        return self.relative < CHANCE

    # --- the derivation's values that the user doesn't have --------------------------------------------------------

    @cached_property
    def _own(self) -> Numbers:
        arrays = (array for one in self.assigned for array in (one.value, one.added) if array is not None)
        return Numbers(arrays, self.relative)

    def _lacks(self, array: np.ndarray) -> bool:
        """Return True for an array that the function doesn't compute."""
        return self._own.make_up(array) is False

    @cached_property
    def missing(self) -> list[Line]:
        """The lines of the derivation whose values the function doesn't have at each step, in order of computation."""
        there = set[Valued]()
        missing = []
        for line, t, _ in reversed(self.bench.visits):
            value = self.bench.right.values[line.quantity][t]
            if (line.quantity, t) in there or value is None or not self._lacks(np.asarray(value)):
                there.update(places_read(line.expression, () if t is None else (t,)))  # if only within an expression
            elif line.quantity is not self.bench.derivation.loss:
                missing.append(line)
        return list(dict.fromkeys(reversed(missing)))

    def _parts_of(self, lines: Collection[Line]) -> Iterator[Wanted]:
        """Lines, then their parts, each with its values."""
        whole = [Belongs(line, line.expression, line.steps) for line in lines]
        of_lines = [Belongs(line, part, steps) for line in lines for part, steps in pieces(line)]
        for one in (*whole, *of_lines):
            yield one, list(evaluated(self.bench, one.expression, one.steps).values())

    def _lacking(self, lines: Collection[Line]) -> Iterator[Wanted]:
        """The lines that the function lacks, then the parts of lines that it lacks."""
        return (one for one in self._parts_of(lines) if any(map(self._lacks, one[1])))

    # --- the proof -------------------------------------------------------------------------------------------------

    def proved(self, budget: Budget, lines: Collection[Line] | None = None) -> Exchange | None:
        """The exchange with which all gradients are right; of several, the one that changes something first.

        Args:
            budget: how long to look.
            lines: the lines of the derivation that may belong there; by default the first that are missing.
        """
        lines = self.missing[:MOST_LINES] if lines is None else lines
        wanted = self._lacking(lines) if self.suspects else self._parts_of(lines)
        for one in sorted(self._exchanges(wanted), key=lambda one: one.first)[:MOST_RUNS]:
            if budget.is_spent:
                break
            if self._is_right_with(one):
                return one
        return None

    def _exchanges(self, wanted: Iterable[Wanted]) -> Iterator[Exchange]:
        """The exchanges at the suspect lines, in the orders and layouts that fit."""
        seen = set()
        for place, (belongs, values), adds in itertools.product(self.places, wanted, (False, True)):
            for group in self._runs_of(place):
                for new in self._arranged(group, values):
                    exchange = self._exchange(place, belongs, dict(zip(group, new)), adds)
                    if exchange is not None and exchange.key not in seen:
                        seen.add(exchange.key)
                        yield exchange

    def _runs_of(self, place: Place) -> list[list[int]]:
        """The values that were assigned at a place: all of them, or those of each call of its function."""
        by_call: dict[int, list[int]] = defaultdict(list)
        for i in self.of_place[place]:
            by_call[self.assigned[i].call].append(i)
        return [self.of_place[place], *(by_call.values() if len(by_call) > 1 else ())]

    def _arranged(self, group: Sequence[int], values: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """The values of the steps in the orders and layouts in which they can be assigned one after the other."""
        orders: list[Sequence[np.ndarray]] = []
        if len(group) == 1 < len(values):
            orders = [[np.stack(values, axis)] for axis in range(min(values[0].ndim + 1, 2))]
        elif abs(len(values) - len(group)) <= 1:
            orders = [values[::-1], values] if len(values) > 1 else [values]
            if len(values) > len(group):
                orders += [values[-2::-1], values[1:]]
        for order in orders:
            laid = [_like(new, self.assigned[i].value) for i, new in zip(group, order)]
            if laid and all(new is not None for new in laid):
                yield [new for new in laid if new is not None]

    def _exchange(self, place: Place, belongs: Belongs, new: dict[int, np.ndarray], adds: bool) -> Exchange | None:
        """The exchange of some values; None if nothing changes."""
        old = {i: self.assigned[i].added if adds else self.assigned[i].value for i in new}
        pairs = [(i, a, new[i]) for i, a in old.items() if a is not None]
        changed = [i for i, a, b in pairs if not np.allclose(a, b, rtol=1e-7, atol=1e-12)]
        return Exchange(place, belongs, {i: b for i, _, b in pairs}, adds, changed[0]) if changed else None

    def _is_right_with(self, exchange: Exchange) -> bool:
        """Return True if all gradients are right with other values at a place."""
        numbers = iter(self.of_place[exchange.place])

        def instead(one: Assigned) -> np.ndarray | None:
            new = exchange.new.get(next(numbers, -1)) if one.place == exchange.place else None
            return new if new is None or not exchange.adds or one.before is None else one.before + new

        claims = watched(self._claims, instead).result.gradients
        equal = partial(self.sides.tolerance.equal, beside=self.bench.largest)
        return all((g := claims[row.name].gradient) is not None and equal(row.autograd, g) for row in self.sides.rows)


def _like(array: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    """An array in the layout of another; None if it has none."""
    if array.shape == like.shape:
        return array
    if array.T.shape == like.shape:
        return array.T
    return array.reshape(like.shape) if array.size == like.size else None
