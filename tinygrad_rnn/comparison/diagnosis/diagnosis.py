"""The order in which a mistake is looked for: in the arrays themselves, in the lines, in another network.

First come changes of a single array, such as its transpose. Then lines of the derivation are edited until one edit, or
several, lead to all wrong gradients; what fits is told apart at other numbers. Last comes the edit that leads to the
first wrong line. A mistake that explains every wrong gradient comes before those that explain some.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...derivation.derivation import Derivation
from ...derivation.edits.budget import Budget
from ...derivation.edits.editing import Bench, has_kinks
from ...derivation.edits.edits import Edit
from ...derivation.edits.identities import identities
from ...derivation.edits.posteriors import posteriors
from ..measures import ROUNDING, constant_of, largest
from ..referee import seconds_of
from ..report import DIFFERS, Diagnosis, Line, Row
from ..rows import Sides
from ..smaller import shortened
from .arrays import CONSTANT, PENALTY, changed_arrays, in_one_sentence, misshapen
from .asking_again import still_so, told_apart
from .equal_instances import with_equal_instances
from .other_networks import other_networks
from .own_lines import OwnLines
from .search import Explanation, Search
from .stages import further_stages, rare_stages, single_rare_stages, usual_stages
from .telling_apart import Judge
from .together import Together
from .whereabouts import whereabouts
from .wording import Words
from .wrong_line import explain_line

BESIDE_A_CONVENTION = "; besides, yours has the derivative 0 at a kink, which is a convention and not a mistake."
SECONDS, SECONDS_OF_A_LARGE_ONE = 10.0, 0.5
SECONDS_A_PARAMETER = 0.1  # of a large one with many: each layer has lines of its own, which are looked at in turn
STEPS, INSTANCES = 4, 3  # of the smaller data that are looked at instead of large ones
SECONDS_FOR_A_BETTER_ONE = 2.0  # answer, once it is known which line of the user's function is wrong
SEARCHED = 0.8  # the share of the allowed time; the rest is for the work before and after
EVALUATIONS = 10  # of the loss: the search may take as long as they do, as the rest of a comparison does
# Seconds that one evaluation of the loss takes, as estimated: from where on smaller data are looked at instead,
# from where on not for long, and from where on there is no search without them.
DEAR, LONG, TOO_DEAR = 3e-3, 6e-3, 0.05
USUAL, ONE_EDIT, ALL = "usual", "one edit", "all"  # how much is tried, given what is visible in the arrays
SMALLER = "The mistake was looked for in the first steps and instances alone."
TOO_LARGE = "There is no diagnosis for a computation of this size: compare a shorter sequence, or a smaller network."


def diagnose(sides: Sides, lines: Sequence[Line], seconds: float | None = None) -> tuple[list[Diagnosis], list[str]]:
    """The mistakes that fit, and remarks about the search for them.

    Args:
        sides: the two sides; the manual side is called again if possible.
        lines: the comparison of each line.
        seconds: how long to search; by default 10, and less if a single edit takes long.
    """
    found = [
        Diagnosis("shape", (row.name,), f"{row.name}: your gradient equals {what}.")
        for row in sides.rows
        if (given := sides.claims.gradients[row.name].given) is not None
        and (what := misshapen(row.autograd, given, sides.tolerance)) is not None
    ]
    wrong_line = next((one.name for one in lines if one.verdict == DIFFERS and one.name in sides.claims.lines), None)
    if not sides.wrong and wrong_line is None:
        return found, []
    cost, limit, short = seconds_of(sides.recording), SECONDS, None
    if cost > DEAR:
        short = shortened(sides, STEPS, INSTANCES) if sides.wrong and wrong_line is None else None
        if short is not None and [row.name for row in short.wrong] != [row.name for row in sides.wrong]:
            short = None  # it shows less of the mistake
        if short is None and cost > TOO_DEAR:
            return found, [TOO_LARGE]
        if short is None or cost > LONG:
            limit = max(SECONDS_OF_A_LARGE_ONE, SECONDS_A_PARAMETER * len(sides.rows), EVALUATIONS * cost)
        sides = short or sides
    budget = Budget(SEARCHED * (min(limit, SECONDS) if seconds is None else seconds))
    with np.errstate(all="ignore"):  # a wrong line may divide by zero
        try:
            explained, notes = _Case(sides, budget).explained()
        except Exception as error:  # the comparison stands without its explanation
            explained, notes = [], [f"The search for the mistake failed ({type(error).__name__}: {error})."]
        if wrong_line is not None and sides.derived[0] is not None:
            explained += explain_line(sides, wrong_line, budget)
    return [*found, *explained], [*([SMALLER] if short is not None else []), *notes]


def _with_numbers(rows: Sequence[Row]) -> list[Row]:
    """The wrong gradients; not those whose numbers are nothing but rounding errors beside those of other wrong ones."""
    wrong = [row for row in rows if row.manual is not None]
    sizes = [max(largest(row.autograd), largest(np.asarray(row.manual))) for row in wrong]
    return [row for row, size in zip(wrong, sizes) if size > ROUNDING * max(sizes)]


class _Case:
    """Wrong gradients, and the budget for explaining them."""

    def __init__(self, sides: Sides, budget: Budget) -> None:
        self.sides, self.budget = sides, budget
        self.recording, self.wrong, self.tolerance = sides.recording, _with_numbers(sides.wrong), sides.tolerance

    def explained(self) -> tuple[list[Diagnosis], list[str]]:
        """The explanations of the wrong gradients: a change of one array, an edit, another network, two edits."""
        if not self.wrong:
            return [], []
        by_itself = self._visible_in_arrays()
        is_sure = any(one.complete and one.mistake != CONSTANT for one in by_itself)
        if is_sure and len(self.wrong) == 1:
            alone, notes = told_apart(self.sides, [one for one in by_itself if one.mistake != CONSTANT])
            return in_one_sentence(alone), notes
        by_itself = in_one_sentence(by_itself)
        alone = [one for one in by_itself if one.complete]
        derivation, problem = self.sides.derived
        if derivation is None:
            return alone or by_itself, [problem]
        only_zeros = not any(np.any(row.manual) for row in self.wrong)  # many an unusual edit leads to zeros
        told = [one for one in by_itself if one.mistake != CONSTANT or _is_round(constant_of(*_both(self.wrong[0])))]
        explained = {name for one in told for name in one.parameters}
        extent = USUAL if is_sure or only_zeros else ONE_EDIT if explained >= {row.name for row in self.wrong} else ALL
        found, notes = self._searched(derivation, extent)
        if not alone and not any(one.complete for one in found):
            found, notes = self._searched_beside_a_convention(derivation) or (found, notes)
        complete = [one for one in found if one.complete]
        return complete or alone or _covering([*by_itself, *found], self.wrong), notes

    def _visible_in_arrays(self) -> list[Diagnosis]:
        """The mistakes that are visible in an array itself; a number that fits has to fit at other values, too."""
        found = list(changed_arrays(self.sides, self.wrong))
        found = [one for one in found if one.complete or one.mistake != CONSTANT]  # one number for all, or none
        fitted = [one for one in found if one.mistake in (PENALTY, CONSTANT)]
        kept = still_so(self.sides, fitted)
        return [one for one in found if one not in fitted or one in kept]

    def _searched_beside_a_convention(self, derivation: Derivation) -> tuple[list[Diagnosis], list[str]] | None:
        """The explanations of a derivation with a mistake that also takes 0 for the derivative at a kink."""
        kinks = Bench(derivation).kinks() if has_kinks(derivation.lines) else []
        if not kinks or self.budget.is_spent:
            return None
        found, said = self._searched(derivation.with_lines({kink.line: kink.expression for kink in kinks}), ALL)
        found = [replace(one, sentence=f"{one.sentence[:-1]}{BESIDE_A_CONVENTION}") for one in found if one.complete]
        return (found, said) if found else None

    def _searched(self, derivation: Derivation, extent: str) -> tuple[list[Diagnosis], list[str]]:
        """The explanations that the search over edits finds."""
        names = derivation.names
        given = {names[row.name]: row.manual for row in self.wrong if row.manual is not None}
        right = frozenset(names[row.name] for row in self.sides.right)
        search = Search(derivation, given, right, self.tolerance, self.budget)
        judge, code = Judge(derivation, self.sides, given), OwnLines(self.sides, search.bench, self.budget)
        search.at_fault = with_equal_instances(derivation, search.recorded, judge.witness) or search.at_fault
        further = further_stages(search) if extent != USUAL else ()
        found, notes = judge.first_that_stand(itertools.chain(usual_stages(search), further))
        if not found and extent == ALL:
            found, notes = self._beside_identities(search, judge)
        if not found and extent == ALL:
            other = self._of_another_network(search.bench)
            if other is not None:
                return [other], []
            together, proved = Together(search, judge.witness), code.proved()
            if proved is not None:  # there is an answer: a better one is looked for, but not for long
                search.budget = self.budget.at_most(SECONDS_FOR_A_BETTER_ONE)
            found, notes = judge.first_that_stand(rare_stages(search, together))
            if proved is not None and not any(one.complete for one in found):
                return [code.diagnosis([row.name for row in self.wrong], proved)], []
            found = found or [one for one in together.partial() if judge.told_apart([one])[0]]
        words, own = Words(derivation.lines), {short: name for name, short in names.items()}
        diagnoses = [words.diagnosis(one.edits, [own[name] for name in one.names], one.complete) for one in found]
        if extent == ALL and not any(one.complete for one in found):
            notes += whereabouts(search.at_fault, words.writer)
        if search.untried and not any(one.complete for one in found):
            untried = ", ".join(search.untried)
            notes.append(
                f"The search for the mistake stopped for its time was over; not tried, or not to the end: {untried}. "
                "Give it longer with seconds=."
            )
        edits = [edit for one in found if one.complete for edit in one.edits]
        mistaken = [edit.line for edit in edits if not edit.is_convention]
        notes += code.pointer(mistaken) if mistaken else [] if edits else code.suspect()
        return list({one.sentence: one for one in diagnoses}.values()), notes

    def _beside_identities(self, search: Search, judge: Judge) -> tuple[list[Explanation], list[str]]:
        """The explanations of a derivation in which sums that are one number are written as this number."""
        known = identities((search.bench, judge.bench))
        on_the_way = [edit for edit in known if edit.line.kind == "backward"]
        for chosen in (known, on_the_way) if 0 < len(on_the_way) < len(known) else (known,) if known else ():
            found, notes = self._beside(chosen, search, judge)
            if found:
                return found, notes
        return [], []

    def _beside(self, known: Sequence[Edit], search: Search, judge: Judge) -> tuple[list[Explanation], list[str]]:
        """The explanations of a derivation with some lines written otherwise."""
        other = search.derivation.with_lines({edit.line: edit.expression for edit in known})
        again = Search(other, search.wrong, search.right, self.tolerance, self.budget)
        of_posteriors = posteriors(other, (search.bench, judge.bench))
        stages = itertools.chain(
            usual_stages(again),
            (again.fitting(edits, "other posteriors") for edits in [of_posteriors]),
            further_stages(again),
            single_rare_stages(again),
        )
        found, notes = Judge(other, self.sides, search.wrong).first_that_stand(stages)
        lines = dict(zip(other.lines, search.derivation.lines))
        explained = []
        for one in found:
            edits = tuple(replace(edit, line=lines[edit.line]) for edit in one.edits)
            rest = [edit for edit in known if edit.line not in [other.line for other in edits]]
            for edit in list(rest):  # what makes no difference need not be said
                others = [other for other in rest if other is not edit]
                rest = others if search.recorded.is_explained((*edits, *others)) else rest
            explained.append(replace(one, edits=(*edits, *rest)))
        return explained, notes

    def _of_another_network(self, bench: Bench) -> Diagnosis | None:
        """The other network whose right gradients the given ones are; None if there is none."""
        names = tuple(row.name for row in self.wrong)
        for candidate in other_networks(self.recording, bench):
            if self.budget.is_spent:
                break
            found = {row.name: candidate.gradients.get(row.name, row.autograd) for row in self.sides.rows}
            given = {row.name: row.autograd for row in self.sides.right} | {row.name: row.manual for row in self.wrong}
            if all(array is not None and self.tolerance.equal(found[name], array) for name, array in given.items()):
                several = "your gradients equal" if len(names) > 1 else "your gradient equals"
                return Diagnosis(candidate.mistake, names, f"{', '.join(names)}: {several} {candidate.phrase}.")
        return None


def _both(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """The right gradient, and the given one."""
    return row.autograd, np.asarray(row.manual)


def _is_round(number: float) -> bool:
    """Return True for a number of one digit, such as a learning rate; others are a ratio of something."""
    return bool(np.isclose(number, float(f"{number:.1g}"), rtol=1e-9))


def _covering(diagnoses: Sequence[Diagnosis], wrong: Sequence[Row]) -> list[Diagnosis]:
    """Explanations that each cover some gradients; they are complete if together they cover all."""
    first: dict[tuple[str, ...], Diagnosis] = {}
    for one in diagnoses:
        first.setdefault(one.parameters, one)
    explained = {name for one in first.values() for name in one.parameters}
    complete = explained >= {row.name for row in wrong}
    return [replace(one, complete=complete) for one in first.values()]
