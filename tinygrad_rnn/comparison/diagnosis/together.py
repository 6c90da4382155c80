"""The search for several mistakes at once: one that explains a part is fixed, and the others are searched with it.

Two mistakes seldom hide each other everywhere. One is visible alone in a gradient that the other doesn't reach, in the
columns of one gate, or where a parameter is zero: with W = 0, nothing comes back from the step after. So an edit is
judged by the elements that it explains in all these situations. Edits that explain most, and spoil nothing, are fixed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...derivation.edits.alike import alike
from ...derivation.edits.editing import Bench
from ...derivation.edits.edits import edits_of_edited
from ...derivation.equations.lines import Line
from .search import Explanation, Search
from .situation import Edits, Off, Situation, count
from .witness import Witness

SEVERAL = "several edits together"
MOST_TOGETHER = 4
MOST_HELD = 24  # edits that are fixed in turn
MOST_OF_THREE = 4
MOST_TRIED = 20000  # pairs of edits that show nowhere without each other


def situations(search: Search, witness: Witness) -> Iterator[Situation]:
    """The recorded situation, and those with one parameter at zero, if the manual side can be called there."""
    yield search.recorded
    values = search.derivation.parameters
    for name, value in sorted(values.items(), key=lambda item: -item[1].ndim):
        at = {**values, name: np.zeros_like(value)}
        bench = Bench(search.derivation, at)
        given = witness.at(at, bench)
        if given is not None:
            there = Situation(bench, given, search.tolerance)
            if count(there.off):
                yield there


class _Part(NamedTuple):
    """Edits that explain a part.

    Attributes:
        left: the share of the wrong elements that they leave, summed over the situations.
        number: the number of parts that were found before.
        edits: the edits, applied together.
        off: the elements that they leave unexplained in each situation.
    """

    left: float
    number: int
    edits: Edits
    off: tuple[Off, ...]


class Together:
    """A search for several edits that explain all.

    Args:
        search: the search for single edits.
        witness: the manual side.
    """

    def __init__(self, search: Search, witness: Witness) -> None:
        self.search, self.witness = search, witness
        self._found: list[_Part] = []
        self._held: set[Edits] = set()  # those beside which two more were looked for
        self._several: dict[frozenset[str], list[Edits]] = {}
        self._alike: dict[bytes, list[Edits]] = {}  # edits that spoil nothing, by their effect in one situation

    @cached_property
    def _places(self) -> list[Situation]:
        """The situations; the recorded one first."""
        return list(situations(self.search, self.witness))

    @cached_property
    def _smallest(self) -> Situation:
        """The situation in which the fewest elements are wrong."""
        return min(self._places, key=lambda place: count(place.off))

    @cached_property
    def _nothing(self) -> _Part:
        return _Part(0.0, 0, (), tuple(place.off for place in self._places))

    def visible(self) -> Iterator[list[Explanation]]:
        """The explanations by pairs of which one explains a part of the recorded numbers, which takes least time."""
        recorded = self._nothing._replace(off=self._nothing.off[:1])
        for rank in (0, 1):
            for part in self._different(self._parts(recorded, rank)):
                yield self.search.fitting(self._one_more(part), SEVERAL)

    def two(self, rank: int) -> Iterator[list[Explanation]]:
        """The explanations by edits that each explain a part, and by pairs in which one does.

        Args:
            rank: the rank of the edits that explain a part.
        """
        parts = self._parts(self._nothing, rank)
        self._found = sorted([*self._found, *parts], key=lambda part: part[:2])
        yield from self._joined()
        for part in self._different(parts):
            yield self.search.fitting(self._one_more(part), SEVERAL)

    def hidden(self) -> Iterator[list[Explanation]]:
        """The explanations by two edits that show nowhere without each other."""
        yield self.search.fitting(itertools.islice(self._two_of_one_line(), MOST_TRIED), SEVERAL)
        yield self.search.fitting(self._two_of_two_lines(), SEVERAL)

    def three(self) -> Iterator[list[Explanation]]:
        """The explanations by three edits, each of which explains a part of what the others leave."""
        new = [part for part in self._different(self._found) if part.edits not in self._held]
        for part in new[:MOST_OF_THREE]:
            self._held.add(part.edits)
            for more in self._different(self._parts(part, 0))[:MOST_OF_THREE]:
                yield self.search.fitting(self._one_more(more), SEVERAL)

    def partial(self) -> list[Explanation]:
        """The first explanation of each wrong gradient that has one; of those that have the same, once."""
        found: dict[str, Edits] = {}
        for part in self._found:
            for name in self.search.wrong:
                if not part.off[0][name].any():
                    found.setdefault(name, part.edits)
        names: dict[Edits, list[str]] = {}
        for name, edits in found.items():
            names.setdefault(edits, []).append(name)
        return [Explanation(edits, tuple(explained), False) for edits, explained in names.items()]

    def _parts(self, held: _Part, rank: int) -> list[_Part]:
        """The edits that explain more beside the fixed ones, and spoil nothing in any situation; the best first."""
        found: list[_Part] = []
        wrong = {name for off in held.off for name, elements in off.items() if elements.any()}
        lines = self.search.lines_that_reach(wrong, all_of_them=False)
        candidates = self._beside(held, rank, lines)
        if not held.edits and rank == 1:
            candidates = itertools.chain(candidates, self.search.in_several_lines())
        if not held.edits and rank == 2:
            uses = itertools.chain.from_iterable(map(self.search.edits_of_uses, lines))
            candidates = itertools.chain(candidates, ((edit,) for edit in uses))
        for edits in candidates:
            if self.search.is_late(SEVERAL):
                break
            off = self._off(edits, held.off)
            if off is not None and any(count(new) < count(old) for new, old in zip(off, held.off)):
                found.append(_Part(self._left(off), len(found), edits, off))
            elif off is not None and not held.edits and len(edits) == 1 and len(off) == len(self._places):
                self._keep(edits)
        return sorted(found, key=lambda part: part[:2])

    def _off(self, edits: Edits, before: tuple[Off, ...]) -> tuple[Off, ...] | None:
        """The elements that edits leave unexplained in each situation; None if they spoil something."""
        after = []
        for place, off in zip(self._places, before):
            left = place.left(edits, off)
            if left is None:
                return None
            after.append(left)
        return tuple(after)

    def _left(self, off: tuple[Off, ...]) -> float:
        return sum(count(left) / count(place.off) for left, place in zip(off, self._places))

    def _joined(self) -> Iterator[list[Explanation]]:
        """The explanations by separately found parts, as many as are needed."""
        for first in self._different(self._found):
            edits, off = first.edits, first.off
            for part in self._found:
                if self.search.is_late(SEVERAL):
                    return
                if len(edits) < MOST_TOGETHER and count(off[0]) and part.edits[0].line not in [e.line for e in edits]:
                    both = self._off((*edits, *part.edits), off)
                    if both is not None and self._left(both) < self._left(off):
                        edits, off = (*edits, *part.edits), both
            if len(edits) > 1 and not count(off[0]):
                yield [Explanation(edits, tuple(self.search.wrong))]

    def _one_more(self, held: _Part) -> Iterator[Edits]:
        """Another edit beside the fixed ones: of a line on which all unexplained gradients depend; of several lines."""
        unexplained = {name for name, off in held.off[0].items() if off.any()}
        for rank in (0, 1):
            yield from self._beside(held, rank, self.search.lines_that_reach(unexplained))
        if 1 < len(unexplained) < len(self.search.wrong):
            edited = {edit.line for edit in held.edits}
            several = self._in_several_lines(frozenset(unexplained))
            yield from ((*held.edits, *edits) for edits in several if edited.isdisjoint(edit.line for edit in edits))

    def _in_several_lines(self, unexplained: frozenset[str]) -> list[Edits]:
        """The same edit in several lines on which only these gradients depend."""
        if unexplained not in self._several:
            rest = self.search.wrong.keys() - unexplained
            lines = [line for line in self.search.lines_of(unexplained) if not self.search.bench.reached(line) & rest]
            self._several[unexplained] = list(alike(lines, self.search.common))
        return self._several[unexplained]

    def _beside(self, held: _Part, rank: int, lines: Iterable[Line]) -> Iterator[Edits]:
        edited = [edit.line for edit in held.edits]
        for line in lines:
            if line not in edited:
                yield from ((*held.edits, edit) for edit in self.search.edits(line, rank))
        for edit in held.edits[-1:]:
            yield from ((*held.edits[:-1], both) for both in edits_of_edited(edit, self.search.hand, rank))

    def _different(self, parts: list[_Part]) -> list[_Part]:
        """The parts without those that give the same gradients everywhere as an earlier one."""
        found: dict[bytes, _Part] = {}
        for part in parts:
            found.setdefault(self._places[0].effect(part.edits), part)
            if len(found) == MOST_HELD:
                break
        return list(found.values())

    # --- two edits that show nowhere without each other --------------------------------------------------------------

    def _keep(self, edits: Edits) -> None:
        """Keep edits that spoil nothing and change something: each may be half of an explanation."""
        effect = self._smallest.effect(edits)
        if effect != self._smallest.effect(()):
            self._alike.setdefault(effect, []).append(edits)

    def _two_of_two_lines(self) -> Iterator[Edits]:
        """Two edits that together explain the smallest situation; usual ones first."""
        groups = list(self._alike.values())
        pairs = ((groups[i], groups[total - i]) for total in range(2 * len(groups)) for i in _halves(total, groups))
        for one, other in itertools.islice(pairs, MOST_TRIED):
            if self.search.is_late(SEVERAL):
                return
            if one[0][0].line is not other[0][0].line and self._smallest.is_explained((*one[0], *other[0])):
                yield from ((*a, *b) for a in one for b in other)

    def _two_of_one_line(self) -> Iterator[Edits]:
        for of_one_effect in self._alike.values():
            for (edit,) in of_one_effect:
                yield from ((both,) for both in edits_of_edited(edit, self.search.hand, 0))


def _halves(total: int, groups: list[list[Edits]]) -> range:
    """The smaller of two different places in a list that add up to a total."""
    return range(max(0, total - len(groups) + 1), (total + 1) // 2)
