"""Telling apart mistakes that shapes hide: both functions are asked again, on arrays whose sizes all differ.

X, a factor of 1/B is a factor of 1/n. Which sizes belong together (the columns of U, the rows and columns of
W) is found by trying: axes that have to grow together for the loss to run are one size.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...autodiff.scope import no_grad
from ...recorded.landmarks import Landmarks
from ...recorded.recording import Recording
from ..report import Diagnosis
from ..rows import Sides
from .arrays import changed_arrays

Axis = tuple[int, int]  # the name of an array, and the number of an axis
MOST_TRIALS = 500
MOST_AXES = 7  # that belong to one size

NOBODY_TO_ASK = (
    "These numbers fit several mistakes. A manual function, with its data given by data=, could be asked again on "
    "other shapes to tell them apart."
)


def told_apart(sides: Sides, diagnoses: Sequence[Diagnosis]) -> tuple[list[Diagnosis], list[str]]:
    """The mistakes, of several that fit, that still fit when no two sizes are equal; and sentences about the test."""
    doubtful = [
        one for one in diagnoses if sum(set(one.parameters) == set(other.parameters) for other in diagnoses) > 1
    ]
    if not doubtful:
        return list(diagnoses), []
    problem = distinct_sizes(sides.recording) if sides.can_be_asked and sides.recording.function is not None else None
    again = None if problem is None else sides.again(*problem)
    if again is None:
        return list(diagnoses), [NOBODY_TO_ASK]
    still = {(one.mistake, _without_sizes(one.sentence)) for one in changed_arrays(again)}
    left = [one for one in diagnoses if one not in doubtful or (one.mistake, _without_sizes(one.sentence)) in still]
    if not left or len(left) == len(diagnoses):
        return list(diagnoses), []
    return left, [f"Of {len(diagnoses)} mistakes that fit, {len(left)} still did on arrays whose sizes all differ."]


def still_so(sides: Sides, diagnoses: Sequence[Diagnosis]) -> list[Diagnosis]:
    """The mistakes that fit at other values of the parameters, too; all of them, if there is no function to call."""
    rng, values = np.random.default_rng(0), sides.recording.values()
    moved = {name: a + 0.1 * (np.std(a) or 0.5) * rng.normal(size=a.shape) for name, a in values.items()}
    again = sides.again(moved) if diagnoses and sides.recording.function is not None else None
    if again is None:
        return list(diagnoses)
    still = {one.sentence for one in changed_arrays(again)}
    return [one for one in diagnoses if one.sentence in still]


def _without_sizes(sentence: str) -> str:
    """A sentence about a mistake, without sizes such as ``(B = 3, ...)`` and without the names of parameters."""
    return re.sub(r" \(\w+ = \d+[^)]*\)", "", sentence).partition(": ")[2]


def distinct_sizes(recording: Recording) -> tuple[dict[str, np.ndarray], tuple[Any, ...]] | None:
    """Parameters by name, and data, for the same functions, in which no two sizes are equal; None if nothing can grow.

    The number of steps stays. So do sizes that can't grow (because a function has them written in it).
    """
    values = recording.values()
    given = [*values.values(), *recording.all_data]
    T = Landmarks([recording.loss]).steps
    arrays = {i: np.asarray(a) for i, a in enumerate(given) if isinstance(a, np.ndarray) and a.dtype.kind in "fiub"}
    timed = {(i, 0) for i, a in arrays.items() if i >= len(values) and a.ndim and len(a) == T}
    axes = [(i, j) for i, a in arrays.items() for j in range(a.ndim) if a.shape[j] > 1 and (i, j) not in timed]

    def arranged(growth: Mapping[Axis, int]) -> tuple[dict[str, np.ndarray], tuple[Any, ...]]:
        rng, grown = np.random.default_rng(0), dict(arrays)
        for (i, axis), more in growth.items():
            grown[i] = _longer(grown[i], axis, more, rng) if more else grown[i]
        everything = [grown.get(i, a) for i, a in enumerate(given)]
        return dict(zip(values, everything)), tuple(everything[len(values) :])

    def runs(growth: Mapping[Axis, int]) -> bool:
        try:
            with no_grad(), np.errstate(all="ignore"):
                recording.evaluate(*arranged(growth))
        except Exception:  # a user's function may fail in any way when shapes don't fit
            return False
        return True

    growth: dict[Axis, int] = {}
    used = {T}
    for group in _groups(arrays, axes, runs):
        sizes = {axis: arrays[axis[0]].shape[axis[1]] for axis in group}
        unit = min(sizes.values())
        new = next(u for u in itertools.count(unit) if not used & {u * size // unit for size in sizes.values()})
        used |= {new * size // unit for size in sizes.values()}
        growth.update({axis: (new - unit) * size // unit for axis, size in sizes.items()})
    return arranged(growth) if any(growth.values()) and runs(growth) else None


def _groups(arrays: Mapping[int, np.ndarray], axes: Sequence[Axis], runs: Any) -> Iterator[list[Axis]]:
    """Axes that belong to one size: the fewest that can grow together."""
    remaining = list(axes)
    trials = 0
    while remaining:
        first = remaining[0]
        group = [first]
        for others in _company(arrays, first, remaining[1:]):
            trials += 1
            if trials > MOST_TRIALS:
                return
            together = [first, *others]
            unit = min(arrays[i].shape[j] for i, j in together)
            if runs({(i, j): arrays[i].shape[j] // unit for i, j in together}):
                group = together
                yield group
                break
        remaining = [axis for axis in remaining if axis not in group]


def _company(arrays: Mapping[int, np.ndarray], first: Axis, rest: Sequence[Axis]) -> Iterator[tuple[Axis, ...]]:
    """The sets of other axes that may belong to the same size: none, one, two, ... of those with multiples of it."""
    size = arrays[first[0]].shape[first[1]]
    related = [(i, j) for i, j in rest if arrays[i].shape[j] % size == 0 or size % arrays[i].shape[j] == 0]
    for count in range(min(len(related), MOST_AXES - 1) + 1):
        yield from itertools.combinations(related, count)


def _longer(array: np.ndarray, axis: int, more: int, rng: np.random.Generator) -> np.ndarray:
    """An array with one axis longer: zeros are added to probabilities, new numbers to real ones."""
    shape = (*array.shape[:axis], more, *array.shape[axis + 1 :])
    if array.dtype.kind == "f" and np.allclose(array.sum(axis=axis), 1):
        added = np.zeros(shape, array.dtype)
    elif array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        added = (rng.normal(size=shape) * (array.std() or 1.0)).astype(array.dtype)
    else:
        added = np.take(array, np.arange(more) % array.shape[axis], axis=axis)
    return np.concatenate([array, added], axis=axis)
