"""A comparison at a smaller size: on the first steps, and on the first instances of a batch.

A mistake shows on four steps as well as on a hundred, and it is found sooner there. What is long are the arrays of the
data. But functions in a notebook often read T, B or the data themselves from outside: then copies of them are run that
read smaller numbers and shorter arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..recorded.landmarks import Landmarks
from ..recorded.outside import Copies, read_from_outside
from ..recorded.recording import record
from .claims.claims import Claims, read_claims
from .rows import Sides

Sizes = Mapping[int, int]  # the lengths of axes, each with what it is cut to: {100: 4, 16: 3}
Shape = tuple[int, ...]
MOST_LENGTHS = 3  # that are taken for the number of steps


def shortened(sides: Sides, steps: int, instances: int = 0) -> Sides | None:
    """The same sides on the first steps; None if one of them can't be called on these.

    Args:
        sides: the two sides.
        steps: the number of steps that are left.
        instances: the number of instances of a batch that are left, if that can be done; 0 for all.
    """
    if not sides.can_be_asked or sides.recording.function is None:
        return None
    functions = sides.recording.function, sides.manual
    outside = [value for function in functions for value in read_from_outside(function).values()]
    shapes = [shape for value in (*sides.recording.data, *outside) for shape in _shapes(value)]
    for T in _numbers_of_steps(sides, outside):
        time = {T: steps, T + 1: steps + 1}  # h_0 to h_T; a text, whose symbols are inputs and targets
        beside = Counter(size for shape in shapes if time.keys() & shape for size in shape if size not in time)
        batch = [{size: instances} for size, _ in beside.most_common() if size > instances > 0][:1]
        for size in [*batch, {}]:
            sizes = {**(time if steps < T else {}), **size}
            short = (_at(sides, sizes, with_copies=True) or _at(sides, sizes, with_copies=False)) if sizes else None
            if short is not None:
                return short
    return None


def _numbers_of_steps(sides: Sides, outside: Sequence[Any]) -> list[int]:
    """The possible numbers of steps, the likeliest first: as recorded, or as long as arrays are."""
    recorded = Landmarks([sides.recording.loss]).steps
    if recorded:
        return [recorded]
    data = sides.recording.data
    lengths = {shape[0] for value in (data or outside) for shape in _shapes(value)}
    numbers = {value for value in outside if type(value) is int}
    called = numbers & (lengths | {length - 1 for length in lengths})
    return [*sorted(called, reverse=True), *sorted(lengths - called, reverse=True)][:MOST_LENGTHS]


def _at(sides: Sides, sizes: Sizes, with_copies: bool) -> Sides | None:
    """The sides with data that are cut to sizes; None if one can't be called, or if the manual one gives the same."""
    function, manual, values = sides.recording.function, sides.manual, sides.recording.values()
    data = [_cut(value, sizes) for value in sides.recording.data]
    try:
        if with_copies:
            copies = Copies(lambda value: _cut(value, sizes))
            function, manual = copies.of(function), copies.of(manual)
        recording = record(function, sides.recording.arguments(values), data)
        short = replace(sides, recording=recording, manual=manual, claims=read_claims(manual, recording, values))
    except Exception:  # a user's function may fail in any way at other sizes
        return None
    return short if short.claims.are_all_there and not _are_equal(sides.claims, short.claims) else None


def _are_equal(one: Claims, other: Claims) -> bool:
    """Return True if the gradients are the same: they were computed before, and depend on no data."""
    pairs = ((claim.gradient, other.gradients[name].gradient) for name, claim in one.gradients.items())
    return all(a is not None and b is not None and np.array_equal(a, b) for a, b in pairs)


def _shapes(value: Any) -> Iterator[Shape]:
    """The first two lengths of an array, or of a list of arrays or numbers; those of no other value."""
    if isinstance(value, np.ndarray) and value.ndim:
        yield value.shape[:2]
    elif type(value) in (list, tuple) and value:
        yield (len(value), *(np.shape(value[0])[:1] if isinstance(value[0], np.ndarray) else ()))


def _cut(value: Any, sizes: Sizes) -> Any:
    """A value at a smaller size; what has none of these sizes stays."""
    left = dict(sizes)
    if type(value) is int:
        return sizes.get(value, value)
    if isinstance(value, np.ndarray):
        return value[tuple(slice(left.pop(size, None)) for size in value.shape[:2])]
    if type(value) in (list, tuple):
        return type(value)(_cut(part, left) for part in value[: left.pop(len(value), None)])
    if type(value) is dict:
        return {key: _cut(part, sizes) for key, part in value.items()}
    return value
