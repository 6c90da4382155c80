"""Gradients under other names: several parameters side by side in one array, or one in pieces, a gate each."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..measures import Tolerance
from .claims import Claim, Claims, plain_array

MOST_TOGETHER = 4
MOST_STRANGERS, MOST_TRIED = 24, 8  # the most unknown names to look at, and to try in all orders


def told_by_their_numbers(claims: Claims, right: Mapping[str, np.ndarray], tolerance: Tolerance) -> Claims:
    """The claims, where arrays under unknown names are assigned to the gradients whose numbers they hold.

    One array may hold several gradients, one below the other or side by side; a gradient may come in pieces.
    """
    missing = {n: right[n] for n, claim in claims.gradients.items() if claim.gradient is None and claim.given is None}
    strangers = {name: array for name, value in claims.strangers.items() if (array := _array(value)) is not None}
    gradients, known, notes = dict(claims.gradients), set[str](), list(claims.notes)
    if missing and 0 < len(strangers) <= MOST_STRANGERS:
        for whole, given in strangers.items():
            for parts, axis in _parts_of(given, missing, list(missing), tolerance):
                gradients |= {name: Claim(missing[name]) for name in parts}
                known.add(whole)
                notes.append(
                    f"{whole} is taken for {', '.join(parts)}, {('one below the other', 'side by side')[axis > 0]}."
                )
        for whole, given in missing.items():
            near = [name for name in strangers if whole.rpartition(".")[2] in name] or list(strangers)
            for parts, _ in _parts_of(given, strangers, near, tolerance):
                gradients[whole] = Claim(given)
                known |= set(parts)
                notes.append(f"{', '.join(parts)} are taken for {whole}, in pieces.")
    for name in claims.strangers.keys() - known:
        same = [one for one in claims.gradients if one.lower() == name.lower()]
        near = same or difflib.get_close_matches(name, list(claims.gradients), 1)
        notes.append(f"There is no parameter {name!r}{f'; did you mean {near[0]!r}?' if near else '.'}")
    return claims._replace(gradients=gradients, notes=notes)


def _parts_of(
    whole: np.ndarray, arrays: Mapping[str, np.ndarray], among: Sequence[str], tolerance: Tolerance
) -> Iterator[tuple[tuple[str, ...], int]]:
    """The names of arrays that together form a whole, and the axis along which they are joined."""
    for count in range(2, MOST_TOGETHER + 1):
        for names in itertools.permutations(among[:MOST_TRIED], count):
            if sum(arrays[name].size for name in names) == whole.size:
                axis = _joined_along(whole, [arrays[name] for name in names], tolerance)
                if axis is not None:
                    yield names, axis


def _joined_along(whole: np.ndarray, parts: Sequence[np.ndarray], tolerance: Tolerance) -> int | None:
    """The axis along which parts form a whole; None if there is none."""
    for axis in range(whole.ndim):
        try:
            shaped = [part if part.ndim == whole.ndim else np.expand_dims(part, axis) for part in parts]
            joined = np.concatenate(shaped, axis=axis)
        except ValueError:  # their other axes differ
            continue
        if joined.shape == whole.shape and tolerance.equal(joined, whole):
            return axis
    return None


def _array(value: object) -> np.ndarray | None:
    try:
        return plain_array(value)
    except (TypeError, ValueError):
        return None
