"""The search for a mistake: small edits of the right derivation, until one gives the numbers that were handed in."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..derivation.derivation import Derivation
from ..derivation.editing import Bench, EditedRun
from ..derivation.edits import Edit, edits_of, edits_of_edited, edits_of_uses
from ..derivation.everywhere import everywhere, one_instance
from ..derivation.hand import Hand
from ..derivation.lines import Line

Edits = tuple[Edit, ...]
ISOLATED = "edits that show where a parameter is zero"
MOST_TWOS = 8000
MOST_FIRSTS = 40  # edits that explain a part, each of which is held while a second one is looked for


@dataclass(frozen=True)
class Explanation:
    """An explanation: edits that give the numbers that were handed in.

    Attributes:
        edits: together.
        names: the wrong gradients that they explain.
        complete: whether these are all wrong ones, and no right one changes.
    """

    edits: Edits
    names: tuple[str, ...]
    complete: bool = True


@dataclass
class Search:
    """A search for edits of a derivation that give certain gradients.

    Attributes:
        derivation: the right one.
        wrong: the gradients to be explained, by the names that lines give to parameters.
        right: the names of the gradients that have to stay as they are.
        equal: whether two arrays are equal, beside a third that says how large such arrays are.
        deadline: when to stop, by ``time.perf_counter``.
        usual_alone: whether only the usual edits are of interest, since there is another explanation.
        at: other values of the parameters than the recorded ones, by the parameters' own names.
        untried: what there was no time for.
    """

    derivation: Derivation
    wrong: Mapping[str, np.ndarray]
    right: frozenset[str]
    equal: Callable[..., bool]
    deadline: float
    usual_alone: bool = False
    at: Mapping[str, np.ndarray] | None = None
    bench: Bench = field(init=False)
    untried: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bench = Bench(self.derivation, self.at)
        self.hand = Hand(self.derivation)
        self._partial: list[Explanation] = []
        self._edits: dict[tuple[Line, int], list[Edit]] = {}

    # --- one edit ----------------------------------------------------------------------------------------------------

    def usual(self) -> Iterator[list[Explanation]]:
        """The explanations of all wrong gradients, stage by stage: one edit of the usual ones."""
        yield self._fitting(self._singles(0), "usual edits")
        yield self._fitting(one_instance(self.derivation, self.wrong), "one instance of the batch")
        if not self.usual_alone:
            yield self._fitting(self._singles(1), "other edits")
            yield self._fitting(everywhere(self.derivation, self.hand, self._common), "the same edit in several lines")

    def rare(self) -> Iterator[list[Explanation]]:
        """The same with edits that are rare, and two edits of which one explains a part."""
        yield self._fitting(self._singles(2), "rare edits")
        yield self._fitting(self._uses(), "edits of what a line reads")
        yield self.pairs(0)

    def rarest(self) -> Iterator[list[Explanation]]:
        """The remaining explanations: other pairs, edits where a line is read, of one step, of the forward pass."""
        yield self.pairs(1)
        yield self._fitting(self._at_ends(), "edits at the first or last step alone")
        yield self._fitting(self._forward(), "edits of the forward pass")
        yield self._fitting(itertools.islice(self._twos(), MOST_TWOS), "two edits that reach the same gradients")

    def singles(self, ranks: Iterable[int]) -> list[Explanation]:
        """The single edits, of the first of these ranks that has any."""
        stages = (self._fitting(self._singles(rank), ISOLATED) for rank in ranks)
        return next((found for found in stages if found), [])

    def elsewhere(self, at: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]) -> Search | None:
        """The same search at other values of the parameters; None if nothing is wrong there.

        Args:
            at: the values.
            given: the gradients that the manual side has there.
        """
        other = replace(self, at=at)
        right = {name: other.bench.gradient(name) for name in given}
        wrong = {name: g for name, g in given.items() if not self.equal(g, right[name], right[name])}
        if not wrong:
            return None
        other.wrong, other.right, other._edits = wrong, frozenset(given.keys() - wrong.keys()), self._edits
        return other

    def partial(self) -> list[Explanation]:
        """The first explanation of each wrong gradient that has one."""
        found: dict[frozenset[str], Explanation] = {}
        for one in self._partial:
            found.setdefault(frozenset(one.names), one)
        return list(found.values())

    def _lines(self, all_wrong: bool = True) -> list[Line]:
        """The lines that all wrong gradients depend on, or some; first those on which little else does."""
        wrong = set(self.wrong)
        reach = {line: self.bench.reached(line) for line in self.derivation.lines if line.kind != "forward"}
        lines = [line for line, reached in reach.items() if (reached >= wrong if all_wrong else reached & wrong)]
        return sorted(lines, key=lambda line: len(reach[line] - wrong))

    def edits(self, line: Line, rank: int) -> list[Edit]:
        """The edits of a line: 0 the usual ones, 1 others, 2 the rare ones."""
        if (line, rank) not in self._edits:
            self._edits[line, rank] = list(edits_of(line, self.hand, rank))
        return self._edits[line, rank]

    def _common(self, line: Line) -> list[Edit]:
        return [*self.edits(line, 0), *self.edits(line, 1)]

    def _singles(self, rank: int) -> Iterator[Edits]:
        for line in self._lines():
            yield from ((edit,) for edit in self.edits(line, rank))

    def _twos(self) -> Iterator[Edits]:
        """Any two of the usual edits, of lines that all wrong gradients depend on: of two lines, then of one."""
        lines = self._lines()
        for one, other in itertools.combinations(lines, 2):
            yield from itertools.product(self.edits(one, 0), self.edits(other, 0))
        for line in lines:
            for edit in self.edits(line, 0):
                yield from ((both,) for both in edits_of_edited(edit, self.hand, 0))

    def _uses(self) -> Iterator[Edits]:
        for line in self._lines():
            yield from ((edit,) for edit in edits_of_uses(line, self.hand))

    def _at_ends(self) -> Iterator[Edits]:
        for line in self._lines():
            if len(line.steps) > 1:
                for edit in self._common(line):
                    yield from ((replace(edit, steps=end),) for end in ("last", "first"))

    def _forward(self) -> Iterator[Edits]:
        for line in self.derivation.lines:
            if line.kind == "forward" and line.quantity is not self.derivation.loss:
                yield from ((edit,) for edit in self._common(line))

    def _fitting(self, candidates: Iterable[Edits], what: str) -> list[Explanation]:
        """The candidates that explain all wrong gradients, and leave the others alone."""
        found = []
        for edits in candidates:
            if self._is_late(what):
                break
            if self._explains_all(edits):
                found.append(Explanation(edits, tuple(self.wrong)))
        return found

    def _is_late(self, what: str) -> bool:
        late = time.perf_counter() > self.deadline
        if late and what not in self.untried:
            self.untried.append(what)
        return late

    def _explains_all(self, edits: Edits) -> bool:
        try:
            run = self.bench.run(edits)
            return all(self._gives(run, name) for name in self.wrong) and self._spares(run)
        except Exception:  # an edit that can't be run can't have been made
            return False

    def _gives(self, run: EditedRun, name: str) -> bool:
        """Return True if a run gives the numbers that were handed in."""
        return self.equal(run.gradient(name), self.wrong[name], self.bench.gradient(name))

    def _spares(self, run: EditedRun) -> bool:
        """Return True if the right gradients stay right."""
        touched = [name for name in self.right if name in run.touched]
        return all(self.equal(run.gradient(name), self.bench.gradient(name)) for name in touched)

    # --- two edits ---------------------------------------------------------------------------------------------------

    def _some(self, edits: Edits) -> tuple[str, ...]:
        """The wrong gradients that edits explain, if they leave the right ones alone."""
        try:
            run = self.bench.run(edits)
            touched = [name for name in self.wrong if name in run.touched]
            hits = tuple(name for name in touched if self._gives(run, name))
            return hits if hits and self._spares(run) else ()
        except Exception:  # an edit that can't be run can't have been made
            return ()

    def pairs(self, rank: int) -> list[Explanation]:
        """Two edits: one of a rank that explains a part, and with it another that explains the rest."""
        for edits in self._firsts(rank) if len(self.wrong) > 1 else ():
            if self._is_late("two edits together"):
                return []
            hits = self._some(edits)
            if hits:
                self._partial.append(Explanation(edits, hits, False))
        return self.with_a_second(sorted(self._partial, key=lambda one: -len(one.names)))

    def _firsts(self, rank: int) -> Iterator[Edits]:
        for line in self._lines(all_wrong=False):
            yield from ((edit,) for edit in self.edits(line, rank))
        if rank:
            yield from everywhere(self.derivation, self.hand, self._common)

    def with_a_second(self, firsts: Iterable[Explanation]) -> list[Explanation]:
        """Another edit beside one of those that are held, so that the two explain all.

        Args:
            firsts: what to hold; the gradients that one explains are to stay as it gives them.
        """
        for first in self._different(firsts)[:MOST_FIRSTS]:
            found = self._fitting(self._beside(first), "two edits together")
            if found:
                return found
        return []

    def _beside(self, first: Explanation) -> Iterator[Edits]:
        done = set(first.names) or self.bench.reached(first.edits[-1].line)
        rest = set(self.wrong) - done
        lines = [line for line in self._lines(all_wrong=False) if self.bench.reached(line) >= rest]
        lines.sort(key=lambda line: len(self.bench.reached(line) - rest))
        held = [edit.line for edit in first.edits]
        for rank in (0, 1):
            for line in lines:
                if line not in held:
                    yield from ((*first.edits, edit) for edit in self.edits(line, rank))
            for edit in first.edits[-1:]:
                yield from ((*first.edits[:-1], both) for both in edits_of_edited(edit, self.hand, rank))

    def _different(self, explanations: Iterable[Explanation]) -> list[Explanation]:
        """The explanations without those that give the same gradients everywhere as an earlier one."""
        found: list[Explanation] = []
        seen: list[dict[str, np.ndarray]] = []
        for one in explanations:
            run = self.bench.run(one.edits)
            gradients = {name: run.gradient(name) for name in run.touched if isinstance(name, str)}
            if not any(g.keys() == gradients.keys() and all(self.equal(g[n], gradients[n]) for n in g) for g in seen):
                seen.append(gradients)
                found.append(one)
        return found
