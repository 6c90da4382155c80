"""What went wrong: the mistakes of the catalogue that give exactly the numbers that were handed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .altered import altered_walk
from .case import Case
from .claims import Claims, plain_array
from .lines import Book, Request
from .measures import Tolerance
from .mistakes import CATALOGUE, CHANGES_OF_AN_ARRAY, Candidate
from .mistakes.arrays import misshapen
from .recording import Recording
from .report import AGREES, DIFFERS, Diagnosis, Line, Row

LARGEST = 20_000  # operations in a recording up to which it is walked once for every mistake


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
    found = [
        _diagnosis("shape", [row.name], what, "")
        for row in rows
        if (given := claims.gradients[row.name].given) is not None
        and (what := misshapen(row.autograd, given, tolerance)) is not None
    ]
    wrong = {row.name: row.manual for row in rows if row.verdict == DIFFERS and row.manual is not None}
    line = next((one for one in lines if one.verdict == DIFFERS), None)
    if (not wrong and line is None) or len(recording.nodes) > LARGEST:
        return found
    case = Case(recording)
    with np.errstate(all="ignore"):  # a wrong rule may divide by zero
        candidates = [candidate for mistake in CATALOGUE for candidate in mistake.candidates(case)]
        if wrong:
            right = {row.name: row.autograd for row in rows if row.verdict == AGREES}
            found += _of_gradients(case, candidates, wrong, right, tolerance)
        if line is not None and line.name in claims.lines:
            found += _of_line(recording, case, candidates, line.name, claims.lines, tolerance)
    return found


def _of_gradients(
    case: Case,
    candidates: Sequence[Candidate],
    wrong: Mapping[str, np.ndarray],
    right: Mapping[str, np.ndarray],
    tolerance: Tolerance,
) -> list[Diagnosis]:
    complete: list[Diagnosis] = []
    partial: list[Diagnosis] = []
    for mistake, phrase, names in _changed_arrays(case, wrong, tolerance):
        diagnosis = _diagnosis(mistake, names, phrase, "")
        (complete if len(names) == len(wrong) else partial).append(diagnosis)
    for candidate in candidates:
        fits = [
            name
            for name, given in wrong.items()
            if name in candidate.gradients and tolerance.equal(candidate.gradients[name], given)
        ]
        if not fits:
            continue
        contradicts = not candidate.by_parameter and any(
            not tolerance.equal(candidate.gradients.get(name, g), g) for name, g in right.items()
        )
        diagnosis = _diagnosis(candidate.mistake, fits, candidate.phrase, candidate.see)
        (complete if len(fits) == len(wrong) and not contradicts else partial).append(diagnosis)
    if complete:
        return _each_once(complete)
    return [Diagnosis(d.mistake, d.parameters, d.sentence, complete=False) for d in _each_once(partial)]


def _changed_arrays(
    case: Case, wrong: Mapping[str, np.ndarray], tolerance: Tolerance
) -> Iterator[tuple[str, str, list[str]]]:
    """Mistakes that act on an array by itself: (mistake, phrase, the arrays that it explains)."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, given in wrong.items():
        for mistake in CHANGES_OF_AN_ARRAY:
            for phrase, changed in mistake.changes(case, name, case.right[name], given):
                if tolerance.equal(changed, given):
                    found.setdefault((mistake.name, phrase), []).append(name)
    for (mistake_name, phrase), names in found.items():
        yield mistake_name, phrase, names


def _of_line(
    recording: Recording,
    case: Case,
    candidates: Sequence[Candidate],
    name: str,
    given: Mapping[str, Any],
    tolerance: Tolerance,
) -> list[Diagnosis]:
    """What the first wrong line is instead."""
    book = Book(recording)
    request = book.read(name)
    place = book.place(request)
    if place.leaf is not None and place.step is None and request.term is None:
        return []  # a gradient: it has been looked at already
    right, wrong = book.look_up(request, place), plain_array(given[name])
    if right.shape != wrong.shape:
        return []
    phrases = [
        (mistake.name, phrase, "")
        for mistake in CHANGES_OF_AN_ARRAY
        for phrase, changed in mistake.changes(case, name, right, wrong)
        if tolerance.equal(changed, wrong)
    ]
    phrases += [
        ("mixed up", f"the right numbers of {other}", "") for other in _mixed_up(book, name, request, wrong, tolerance)
    ]
    if place.leaf is None and request.is_derivative:
        root, wanted = book.root(request.term), frozenset(place.nodes)
        for candidate in candidates:
            if candidate.alteration is not None:
                walked = altered_walk(root, candidate.alteration, wanted)
                array = book.look_up(request, place, walked)
                if not tolerance.equal(array, right) and tolerance.equal(array, wrong):
                    phrases.append((candidate.mistake, candidate.phrase, candidate.see))
    return _each_once([_diagnosis(mistake, [name], phrase, see, "line") for mistake, phrase, see in phrases])


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
