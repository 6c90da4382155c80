"""The search for a mistake: small edits of the right derivation, until one leads to the given numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ...derivation.derivation import Derivation
from ...derivation.edits.alike import alike, form, form_of_values
from ...derivation.edits.budget import Budget
from ...derivation.edits.derived import Derived
from ...derivation.edits.editing import Bench
from ...derivation.edits.edits import SOME_STEPS, Edit, Kind, edits_of, edits_of_uses
from ...derivation.edits.everywhere import everywhere
from ...derivation.edits.hand import Hand
from ...derivation.edits.kinds import BY_PART
from ...derivation.edits.logarithms import in_logarithms
from ...derivation.edits.of_uses import distributed
from ...derivation.equations.expressions import Expression, Reference
from ...derivation.equations.lines import Line
from ...derivation.equations.parts import at, parts
from ..measures import Tolerance, constant_of
from .at_fault import AtFault
from .bounded import bounded
from .needed import Needed
from .reweighted import reweighted
from .situation import Edits, Situation
from .two_of_one_line import two_of_one_line

MOST_FITTING = 4  # edits of a line that give the same numbers
SECONDS_FOR_BOUNDS = 0.5
USES = -1  # in place of a rank: the edits of what a line reads


@dataclass(frozen=True)
class Explanation:
    """An explanation: edits that lead to the given numbers.

    Attributes:
        edits: the edits, applied together.
        names: the wrong gradients that they explain.
        complete: whether these are all wrong gradients, and no right one changes.
    """

    edits: Edits
    names: tuple[str, ...]
    complete: bool = True


@dataclass
class Search:
    """A search for edits of a derivation that give certain gradients.

    Attributes:
        derivation: the right derivation.
        wrong: the gradients to be explained, by the names of parameters in lines.
        right: the names of the gradients that have to stay unchanged.
        tolerance: the difference up to which two numbers are equal.
        budget: how long to search.
        bench: the runs of its lines.
        recorded: the recorded values of the parameters, where all gradients are known.
        at_fault: the test which lines can lead to these gradients.
        untried: the stages for which there was no time.
    """

    derivation: Derivation
    wrong: Mapping[str, np.ndarray]
    right: frozenset[str]
    tolerance: Tolerance
    budget: Budget
    bench: Bench = field(init=False)
    recorded: Situation = field(init=False)
    at_fault: AtFault = field(init=False)
    untried: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bench = Bench(self.derivation)
        right = {name: self.bench.gradient(name) for name in self.right}
        self.recorded = Situation(self.bench, {**right, **self.wrong}, self.tolerance, self.wrong)
        self.at_fault = AtFault(self.bench, self.recorded.given, self.tolerance)
        self.hand = Hand(self.derivation, self._factor())
        self._edits: dict[tuple[Line, int], list[Edit]] = {}

    def _factor(self) -> float:
        """The number that all wrong gradients are times the right ones; 1 if there is none."""
        factor, *others = (constant_of(self.bench.gradient(name), given) for name, given in self.wrong.items())
        return factor if np.allclose(others, factor, rtol=1e-6) else 1.0

    # --- the lines, and the edits of each ------------------------------------------------------------------------

    def lines_that_reach(self, names: Set[str], all_of_them: bool = True) -> list[Line]:
        """The lines on which some of these gradients depend; lines on which little else depends come first."""
        among = [line for line in self.derivation.lines if line.kind != "forward" and self._may_be_at_fault(line)]
        reach = {line: self.bench.reached(line) for line in among}
        lines = [line for line, reached in reach.items() if (reached >= names if all_of_them else reached & names)]
        return sorted(lines, key=lambda line: len(reach[line] - names))

    def _may_be_at_fault(self, line: Line) -> bool:
        """Return False for a line beside the one that can be at fault alone: neither reads what the other gives."""
        alone = [other.quantity for (other,) in self.at_fault.sets(1) if self.at_fault.located]
        near = (self.bench.upstream(quantity) | self.bench.downstream([quantity]) for quantity in alone)
        return not alone or any(line.quantity in quantities for quantities in near)

    def lines_of(self, names: Set[str]) -> list[Line]:
        """The lines on which some of these wrong gradients depend, and no right one."""
        lines = self.lines_that_reach(names, all_of_them=False)
        nothing = np.zeros(())  # that some terms cancel may stay so: a bias in front of a batch norm has no gradient
        known = {name: self.bench.gradient(name) for name in self.right}
        right = {name for name, g in known.items() if not self.tolerance.equal(g, nothing, self.bench.largest)}
        return [line for line in lines if not self.bench.reached(line) & right]

    def edits(self, line: Line, rank: int) -> list[Edit]:
        """The edits of a line: 0 the usual ones, 1 others, 2 the rare ones."""
        if (line, rank) not in self._edits:
            by_part = edits_of_uses(line, self.hand, BY_PART, distributed) if rank == 1 else ()
            in_logs = partial(in_logarithms, forward=self.hand.forward)
            of_logs = edits_of_uses(line, self.hand, forms=in_logs) if rank == 1 else ()
            self._edits[line, rank] = [*edits_of(line, self.hand, rank), *by_part, *of_logs]
        return self._edits[line, rank]

    def in_several_lines(self, all_of_them: bool = False) -> Iterator[Edits]:
        """The same edit wherever it can be made; if it reaches all wrong gradients, or any."""
        lines = self.lines_of(self.wrong.keys())
        yield from alike(lines, self.common, self.can_explain) if all_of_them else alike(lines, self.common)
        yield from self.where_it_matters(everywhere)

    def where_it_matters(self, everywhere: Callable[[Derived, Hand], Iterator[Edits]]) -> Iterator[Edits]:
        """Edits of many lines at once: in all of them, or in those alone that lead to wrong gradients."""
        own = set(self.lines_of(self.wrong.keys()))
        for edits in everywhere(self.derivation, self.hand):
            yield edits
            kept = tuple(edit for edit in edits if edit.line in own)  # what leads to a right gradient is right
            if kept and len(kept) < len(edits):
                yield kept

    def repeated(self, lines: Iterable[Line], ranks: Iterable[int]) -> Iterator[Edits]:
        """The same edit in several lines, one of which alone explains the gradient that depends on the fewest lines.

        A slip in each of several layers is alone in the last one: nothing that comes back from there is wrong.
        """
        among = [line for line in lines if line.kind != "forward"]
        reached = {line: self.bench.reached(line) for line in among}
        behind = {name: sum(name in names for names in reached.values()) for name in self.wrong}
        first = min(self.wrong, key=lambda name: (behind[name], -self.wrong[name].size))
        alone = [line for line in among if first in reached[line] and self.at_fault.can_explain(line, first)]
        for rank, line in itertools.product(ranks, alone):
            for edit in self.edits(line, rank):
                if self.budget.is_spent:
                    return
                if self.recorded.explains((edit,), first):
                    for of in (form, form_of_values):
                        wanted = of(at(edit.before, edit.place))
                        like = [other for other in among if any(of(part) == wanted for part in parts(other.expression))]
                        groups = alike(like, partial(self._named_like, edit, rank, of), self.can_explain)
                        yield from (group for group in groups if any(one.line is line for one in group))

    def _named_like(self, edit: Edit, rank: int, of: Callable[[Expression], Any], line: Line) -> list[Edit]:
        """The edits of a line that are called the same, of values of the same form."""
        if self.budget.is_spent:
            return []
        wanted = edit.what, *map(of, edit.of)
        return [other for other in self.edits(line, rank) if (other.what, *map(of, other.of)) == wanted]

    def can_explain(self, lines: Collection[Line]) -> bool:
        """Return True if each wrong gradient depends on one of these lines, and some values of theirs lead to all."""
        return self.wrong.keys() <= set().union(*map(self.bench.reached, lines)) and self.at_fault.can_be(lines)

    def _alone(self, lines: Iterable[Line] | None = None) -> Iterator[Line]:
        """The lines that can be at fault alone; by default among those on which all wrong gradients depend."""
        every = self.lines_that_reach(self.wrong.keys()) if lines is None else lines
        return (line for line in every if self.can_explain((line,)))

    def common(self, line: Line) -> list[Edit]:
        """The usual and the other edits of a line."""
        if self.budget.is_spent:
            return []
        return [*self.edits(line, 0), *self.edits(line, 1)]

    def singles(self, rank: int, lines: Iterable[Line] | None = None) -> Iterator[Edits]:
        """Single edits of lines; by default of those on which all wrong gradients depend."""
        for line in self._alone(lines):
            yield from ((edit,) for edit in self.edits(line, rank))

    def uses(self, lines: Iterable[Line], kinds: Sequence[Kind] | None = None) -> Iterator[Edits]:
        """Single edits of what lines read, of all kinds or of some."""
        for line in self._alone(lines):
            edits = self.edits_of_uses(line) if kinds is None else edits_of_uses(line, self.hand, kinds)
            yield from ((edit,) for edit in edits)

    def edits_of_uses(self, line: Line) -> list[Edit]:
        """The edits of what a line reads."""
        if self.budget.is_spent:
            return []
        if (line, USES) not in self._edits:
            self._edits[line, USES] = list(edits_of_uses(line, self.hand))
        return self._edits[line, USES]

    def bounded(self) -> Iterator[Edits]:
        """Derivatives of a loop that are bounded; not looked for for long, where many lines may be at fault."""
        reach = self.lines_that_reach(self.wrong.keys(), all_of_them=False)
        lines, budget = [line for line in reach if line.kind == "backward"], self.budget.at_most(SECONDS_FOR_BOUNDS)
        yield from bounded(list(self._alone(lines)), lines, self.recorded, budget)

    def at_ends(self) -> Iterator[Edits]:
        """Single edits at the first or the last step alone, or at all others."""
        for line in self._alone():
            for edit in self.common(line) if len(line.steps) > 1 else ():
                yield from ((replace(edit, steps=some),) for some in SOME_STEPS)

    def forward(self) -> Iterator[Edits]:
        """Single edits of the forward pass, whose values the backward pass then reads."""
        for line in self.derivation.lines:
            if line.kind == "forward" and line.quantity is not self.derivation.loss:
                yield from ((edit,) for edit in self.common(line) if not self._feeds_back(edit))

    def _feeds_back(self, edit: Edit) -> bool:
        """Return True for an edit that reads a value of the step before that isn't there: zeros would stand for it."""
        read = [p for p in parts(edit.expression, Reference) if (p.shift or 0) < 0]
        return any(reference.quantity not in self.hand.states for reference in read)

    def located(self, size: int, are_rare: bool = False) -> Iterator[Edits]:
        """An edit in each of so many lines, each tried alone: the numbers that its line has to give are known.

        Args:
            size: the number of lines.
            are_rare: whether the edits may be rare ones, edits of what a line reads, or two of one line.
        """
        for lines in self.at_fault.sets(size) if size <= 2 or not self.at_fault.located else ():
            needed = self.at_fault.needed(lines)
            if needed is None:
                continue
            fitting: list[list[Edit]] = []
            for line in lines:
                fitting.append(list(itertools.islice(self._fitting_in(line, needed, are_rare), MOST_FITTING)))
                if not fitting[-1]:  # the others needn't be tried
                    break
            else:
                yield from itertools.product(*fitting)

    def _fitting_in(self, line: Line, needed: Needed, are_rare: bool) -> Iterator[Edit]:
        """The edits of a line that give what it has to give."""
        edits = self.rare(line) if are_rare else self.common(line)
        yield from filter(needed.fits, itertools.takewhile(lambda _: not self.budget.is_spent, edits))
        yield from reweighted(line, needed)
        if are_rare:
            yield from two_of_one_line(line, needed, self.edits(line, 0), self.hand)

    def chained(self) -> Iterator[Edits]:
        """Two usual edits, of a line whose numbers explain all, and of one that it reads: they act as one there."""
        for (line,) in self.at_fault.sets(1) if self.at_fault.located else ():
            needed = self.at_fault.needed((line,))
            read = [other for other in self.derivation.lines if line in self.bench.readers.get(other.quantity, ())]
            for other in read:
                for edit in self.edits(other, 0) if other.kind == "backward" and other is not line else ():
                    if needed is None or self.budget.is_spent:
                        return
                    try:
                        beside = needed.beside(edit)
                    except Exception:  # an edit that can't be run can't have been made
                        continue
                    yield from ((edit, own) for own in self.edits(line, 0) if beside.fits(own))

    def rare(self, line: Line) -> Iterator[Edit]:
        """Every edit of a line; the usual ones first."""
        yield from self.common(line)
        yield from self.edits_of_uses(line)
        yield from self.edits(line, 2)
        yield from (edit for (edit,) in alike((line,), self.common))

    # --- the test ------------------------------------------------------------------------------------------------

    def fitting(self, candidates: Iterable[Edits], what: str) -> list[Explanation]:
        """The candidates that explain all wrong gradients, and leave the others alone."""
        found = []
        for edits in candidates:
            if self.is_late(what):
                break
            if self.can_explain([edit.line for edit in edits]) and self.recorded.is_explained(edits):
                found.append(Explanation(edits, tuple(self.wrong)))
        return found

    def is_late(self, what: str) -> bool:
        """Return True if the time is over, and record the stage that was skipped."""
        late = self.budget.is_spent
        if late and what not in self.untried:
            self.untried.append(what)
        return late
