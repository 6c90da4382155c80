"""Gradients under other names: several parameters side by side in one array, or one in pieces, a gate each."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .claims import Claim, Claims, plain_array
from .measures import Tolerance

MOST_TOGETHER = 4
MOST_STRANGERS, MOST_TRIED = 24, 8  # the most unknown names to look at, and to try in all orders
Found = tuple[dict[str, np.ndarray], set[str], str]  # gradients by parameter, the names that they use, a sentence


def told_by_their_numbers(claims: Claims, right: Mapping[str, np.ndarray], tolerance: Tolerance) -> Claims:
    """The claims, where arrays under unknown names are assigned to the gradients whose numbers they hold.

    Args:
        claims: the claims of the manual side.
        right: the gradients of autograd.
        tolerance: the difference up to which two arrays are equal.
    """
    missing = {n: right[n] for n, claim in claims.gradients.items() if claim.gradient is None and claim.given is None}
    strangers = {name: array for name, value in claims.strangers.items() if (array := _array(value)) is not None}
    gradients, known, notes = dict(claims.gradients), set[str](), list(claims.notes)
    if missing and 0 < len(strangers) <= MOST_STRANGERS:
        for found, names, said in (*_wholes(strangers, missing, tolerance), *_pieces(strangers, missing, tolerance)):
            gradients.update({name: Claim(array) for name, array in found.items()})
            known |= names
            notes.append(said)
    for name in claims.strangers.keys() - known:
        same = [one for one in claims.gradients if one.lower() == name.lower()]
        near = same or difflib.get_close_matches(name, list(claims.gradients), 1)
        notes.append(f"There is no parameter {name!r}{f'; did you mean {near[0]!r}?' if near else '.'}")
    return claims._replace(gradients=gradients, notes=notes)


def _wholes(
    strangers: Mapping[str, np.ndarray], missing: Mapping[str, np.ndarray], tolerance: Tolerance
) -> Iterator[Found]:
    """Arrays that hold several gradients one below the other, or side by side; biases as rows or columns."""
    for name, given in strangers.items():
        for count in range(2, MOST_TOGETHER + 1):
            for names in itertools.permutations(list(missing)[:MOST_TRIED], count):
                if sum(missing[n].size for n in names) != given.size:
                    continue
                axis = _joined_along(given, [missing[n] for n in names], tolerance)
                if axis is not None:
                    how = "one below the other" if axis == 0 else "side by side"
                    yield {n: missing[n] for n in names}, {name}, f"{name} is taken for {', '.join(names)}, {how}."


def _pieces(
    strangers: Mapping[str, np.ndarray], missing: Mapping[str, np.ndarray], tolerance: Tolerance
) -> Iterator[Found]:
    """Gradients that came in pieces, such as a gate each."""
    for name, right in missing.items():
        near = [n for n, array in strangers.items() if name.rpartition(".")[2] in n] or list(strangers)
        for count in range(2, MOST_TOGETHER + 1):
            for names in itertools.permutations(near[:MOST_TRIED], count):
                if sum(strangers[n].size for n in names) != right.size:
                    continue
                if _joined_along(right, [strangers[n] for n in names], tolerance) is not None:
                    yield {name: right}, set(names), f"{', '.join(names)} are taken for {name}, in pieces."


def _joined_along(whole: np.ndarray, parts: Sequence[np.ndarray], tolerance: Tolerance) -> int | None:
    """The axis along which parts form a whole; None if there is none."""
    for axis in range(whole.ndim):
        shaped = [part if part.ndim == whole.ndim else np.expand_dims(part, axis) for part in parts]
        if all(part.ndim == whole.ndim for part in shaped):
            sizes = [part.shape[:axis] + part.shape[axis + 1 :] for part in shaped]
            if all(size == whole.shape[:axis] + whole.shape[axis + 1 :] for size in sizes):
                joined = np.concatenate(shaped, axis=axis)
                if joined.shape == whole.shape and tolerance.equal(joined, whole):
                    return axis
    return None


def _array(value: object) -> np.ndarray | None:
    try:
        return plain_array(value)
    except (TypeError, ValueError):
        return None
