"""What went wrong: the mistakes of the catalogue that give exactly the numbers that were handed in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ..recorded.recording import Recording
from .altered import altered_walk
from .case import Case
from .claims import Claims, plain_array
from .lines import Book, Request
from .measures import Tolerance
from .mistakes import CATALOGUE, CHANGES_OF_AN_ARRAY, Candidate
from .mistakes.arrays import misshapen
from .report import AGREES, DIFFERS, Diagnosis, Line, Row

# Up to where a recording is walked once for every mistake: operations, and multiplications with parameters.
MOST_OPERATIONS = 5_000
MOST_MULTIPLICATIONS = 200_000_000
TOO_LARGE = "There is no diagnosis for a computation of this size: compare a shorter sequence, or a smaller network."


def diagnose(
    recording: Recording, claims: Claims, rows: Sequence[Row], lines: Sequence[Line], tolerance: Tolerance
) -> list[Diagnosis]:
    """The mistakes that fit exactly.

    First those that explain every wrong gradient and leave right what is right. Only if there is none, those that
    explain some; a derivation can have two mistakes. And those that explain the first wrong line.

    Args:
        recording: the loss.
        claims: what the manual side says.
        rows: the comparison of each gradient.
        lines: the comparison of each line.
        tolerance: up to what difference two arrays are equal.
    """
    in_disguise = [
        _diagnosis("shape", [row.name], what, "")
        for row in rows
        if (given := claims.gradients[row.name].given) is not None
        and (what := misshapen(row.autograd, given, tolerance)) is not None
    ]
    is_wrong = any(row.verdict == DIFFERS for row in rows) or any(line.verdict == DIFFERS for line in lines)
    if not is_wrong or is_too_large(recording):
        return in_disguise
    case = Case(recording)
    suspects: list[_Suspect] = [_Gradients(case, rows, tolerance)]
    line = next((line.name for line in lines if line.verdict == DIFFERS), None)
    if line in claims.lines:
        suspects.append(_WrongLine(case, line, claims.lines, tolerance))
    with np.errstate(all="ignore"):  # a wrong rule may divide by zero
        for mistake in CATALOGUE:
            for candidate in mistake.candidates(case):  # one at a time: each holds an array for every parameter
                for suspect in suspects:
                    suspect.hold_against(candidate)
    return in_disguise + [diagnosis for suspect in suspects for diagnosis in suspect.diagnoses()]


def is_too_large(recording: Recording) -> bool:
    """Whether hundreds of walks through a recording would take minutes."""
    if len(recording.nodes) > MOST_OPERATIONS:
        return True
    leaves = set(recording.parameters.values())
    work = 0
    for node in recording.nodes:
        used = [node.inputs[i].size for i in node.edges or () if node.inputs[i] in leaves]
        if used and not isinstance(node._data, tuple):  # type: ignore[attr-defined]
            work += sum(used) * math.prod(node.shape[:-1])  # type: ignore[attr-defined]
    return work > MOST_MULTIPLICATIONS


class _Suspect(Protocol):
    """Something wrong, held against one mistake after the other."""

    def hold_against(self, candidate: Candidate) -> None:
        """Remember the candidate if it fits."""
        ...

    def diagnoses(self) -> list[Diagnosis]:
        """What fits."""
        ...


class _Gradients:
    """The wrong gradients, and the right ones, which a mistake has to leave alone."""

    def __init__(self, case: Case, rows: Sequence[Row], tolerance: Tolerance) -> None:
        self.case, self.tolerance = case, tolerance
        self.wrong = {row.name: row.manual for row in rows if row.verdict == DIFFERS and row.manual is not None}
        self.right = {row.name: row.autograd for row in rows if row.verdict == AGREES}
        self.complete: list[Diagnosis] = []
        self.partial: list[Diagnosis] = []
        for mistake, phrase, names in self._changed_arrays():
            self._remember(_diagnosis(mistake, names, phrase, ""), len(names) == len(self.wrong))

    def hold_against(self, candidate: Candidate) -> None:
        predicted, equal = candidate.gradients, self.tolerance.equal
        fits = [name for name, given in self.wrong.items() if name in predicted and equal(predicted[name], given)]
        if fits:
            contradicts = not candidate.by_parameter and any(
                not equal(predicted.get(name, gradient), gradient) for name, gradient in self.right.items()
            )
            diagnosis = _diagnosis(candidate.mistake, fits, candidate.phrase, candidate.see)
            self._remember(diagnosis, len(fits) == len(self.wrong) and not contradicts)

    def _remember(self, diagnosis: Diagnosis, complete: bool) -> None:
        (self.complete if complete else self.partial).append(replace(diagnosis, complete=complete))

    def diagnoses(self) -> list[Diagnosis]:
        return _each_once(self.complete or self.partial)

    def _changed_arrays(self) -> Iterator[tuple[str, str, list[str]]]:
        """Mistakes that act on an array by itself: (mistake, phrase, the arrays that it explains)."""
        found: dict[tuple[str, str], list[str]] = {}
        for name, given in self.wrong.items():
            for mistake in CHANGES_OF_AN_ARRAY:
                for phrase, changed in mistake.changes(self.case, name, self.case.right[name], given):
                    if self.tolerance.equal(changed, given):
                        found.setdefault((mistake.name, phrase), []).append(name)
        for (mistake_name, phrase), names in found.items():
            yield mistake_name, phrase, names


class _WrongLine:
    """The first wrong line of the derivation."""

    def __init__(self, case: Case, name: str, given: Mapping[str, Any], tolerance: Tolerance) -> None:
        self.case, self.name, self.tolerance = case, name, tolerance
        self.book = Book(case.recording)
        self.request = self.book.read(name)
        self.place = self.book.place(self.request)
        self.right, self.given = self.book.look_up(self.request, self.place), plain_array(given[name])
        self.found: list[Diagnosis] = []
        # a gradient is looked at as such; a wrong shape says nothing more
        self.is_open = self.place.leaf is None and self.right.shape == self.given.shape
        if self.is_open:
            self._changed()

    def _changed(self) -> None:
        for mistake in CHANGES_OF_AN_ARRAY:
            for phrase, changed in mistake.changes(self.case, self.name, self.right, self.given):
                if self.tolerance.equal(changed, self.given):
                    self._remember(mistake.name, phrase, "")
        for other in _mixed_up(self.book, self.name, self.request, self.given, self.tolerance):
            self._remember("mixed up", f"the right numbers of {other}", "")

    def hold_against(self, candidate: Candidate) -> None:
        if self.is_open and self.request.is_derivative and candidate.alteration is not None:
            root = self.book.root(self.request.term)
            walked = altered_walk(root, candidate.alteration, frozenset(self.place.nodes))
            array = self.book.look_up(self.request, self.place, walked)
            if not self.tolerance.equal(array, self.right) and self.tolerance.equal(array, self.given):
                self._remember(candidate.mistake, candidate.phrase, candidate.see)

    def _remember(self, mistake: str, phrase: str, see: str) -> None:
        self.found.append(_diagnosis(mistake, [self.name], phrase, see, "line"))

    def diagnoses(self) -> list[Diagnosis]:
        return _each_once(self.found)


def _mixed_up(book: Book, name: str, request: Request, wrong: np.ndarray, tolerance: Tolerance) -> Iterator[str]:
    """The lines of the same kind, of this step or another, whose right numbers these are."""
    prefix = f"L{request.term}: " if request.term is not None else ""
    for step in range(book.landmarks.steps + 1):
        names = [*book.landmarks.names(step), *(["a"] if step else [])]
        kinds = [f"dL/d{other}" for other in names if other != "a"] + (["delta"] if step else [])
        for kind in kinds if request.is_derivative else names:
            line = f"{prefix}{kind}[{step}]"
            if line == name:
                continue
            try:
                other = book.read(line)
                array = book.look_up(other, book.place(other))
            except (KeyError, ValueError):
                continue
            if array.shape == wrong.shape and array.any() and tolerance.equal(array, wrong):
                yield line


def _diagnosis(mistake: str, names: Sequence[str], phrase: str, see: str, what: str = "gradient") -> Diagnosis:
    several = f"your {what}s equal" if len(names) > 1 else f"your {what} equals"
    phrase = phrase.replace("the right one", "the right ones") if len(names) > 1 else phrase
    sentence = f"{', '.join(names)}: {several} {phrase}{f'; see {see}' if see else ''}."
    return Diagnosis(mistake, tuple(names), sentence)


def _each_once(diagnoses: Sequence[Diagnosis]) -> list[Diagnosis]:
    return list({diagnosis.sentence: diagnosis for diagnosis in diagnoses}.values())
