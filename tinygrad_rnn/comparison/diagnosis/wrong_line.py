"""The first wrong line of a derivation, and the edit that leads to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...derivation.derivation import Derivation, derive
from ...derivation.edits.budget import Budget
from ...derivation.edits.editing import Bench
from ...derivation.edits.edits import Edit, edits_that_fit
from ...derivation.edits.hand import Hand
from ...derivation.equations.quantities import Quantity
from ...recorded.recording import Recording
from ..claims.claims import plain_array
from ..lines import Book, Request, requested
from ..measures import Tolerance
from ..report import Diagnosis
from ..rows import Sides
from .arrays import CHANGES_OF_AN_ARRAY, Given
from .sizes import Sizes
from .wording import Words


def explain_line(sides: Sides, name: str, budget: Budget) -> list[Diagnosis]:
    """The explanations of a wrong line, by its name: a change of the array, another line's numbers, or an edit."""
    recording, tolerance = sides.recording, sides.tolerance
    derivation, book = sides.derived[0], Book(sides)
    request = requested(name)
    place = book.place(request)
    right, array = book.look_up(request, place), plain_array(sides.claims.lines[name])
    if place.leaf is not None or right.shape != array.shape:
        return []  # gradients are examined elsewhere; a wrong shape tells nothing more
    found = [
        Diagnosis(mistake, (name,), f"{name}: your line equals {phrase}.")
        for mistake in OF_LINES
        for phrase, changed in CHANGES_OF_AN_ARRAY[mistake](Given(Sizes(recording), "", right, array))
        if tolerance.equal(changed, array)
    ]
    found += [
        Diagnosis("mixed up", (name,), f"{name}: your line equals the right numbers of {other}.")
        for other in _mixed_up(book, name, request, array, tolerance)
    ]
    if request.term in recording.terms:
        alone = Recording(recording.terms[request.term], recording.parameters, recording.tree)
        derivation = derive(alone, check=False)
    if not found and request.is_derivative and derivation is not None:
        quantity = _quantity_of(derivation, place.nodes, request.step)
        if quantity is not None:
            edits = _edits_that_give(derivation, quantity, request.step, array, tolerance, budget)
            found += [Words(derivation.lines).diagnosis([edit], [name], True) for edit in itertools.islice(edits, 1)]
    return list({one.sentence: one for one in found}.values())


OF_LINES = ("sign", "transposed", "left out", "factor")


def _quantity_of(derivation: Derivation, nodes: Any, step: int | None) -> Quantity | None:
    """The derivative in the derivation that belongs to a value of the recording."""
    if len(nodes) != 1:
        return None
    value = np.asarray(nodes[0]._data)
    for quantity in derivation.backward:
        source = quantity.adjoint_of
        is_there = isinstance(source, Quantity) and step in source.values and step in (quantity.steps or (None,))
        if is_there and source.shape == value.shape and np.array_equal(source.values[step], value):
            return quantity
    return None


def _edits_that_give(
    derivation: Derivation,
    quantity: Quantity,
    step: int | None,
    given: np.ndarray,
    tolerance: Tolerance,
    budget: Budget,
) -> Iterator[Edit]:
    """The edits that lead to a line's numbers: edits of the line itself first, then of lines before it."""
    bench = Bench(derivation)
    upstream = [
        line for line in derivation.lines if line.kind != "forward" and quantity in bench.downstream([line.quantity])
    ]

    def gives(edit: Edit) -> bool:
        return tolerance.equal(np.broadcast_to(bench.run([edit]).value(quantity, step), given.shape), given)

    lines = sorted(upstream, key=lambda line: line.quantity is not quantity)
    return edits_that_fit(lines, Hand(derivation), gives, budget)


def _mixed_up(book: Book, name: str, request: Request, wrong: np.ndarray, tolerance: Tolerance) -> Iterator[str]:
    """The lines of the same kind, at this step or another, that have these right numbers."""
    prefix = f"L{request.term}: " if request.term is not None else ""
    for step in range(book.landmarks.steps + 1):
        names = [*book.landmarks.names(step), *(["a"] if step else [])]
        kinds = [f"dL/d{other}" for other in names if other != "a"] + (["delta"] if step else [])
        for kind in kinds if request.is_derivative else names:
            line = f"{prefix}{kind}[{step}]"
            if line == name:
                continue
            try:
                other = requested(line)
                array = book.look_up(other, book.place(other))
            except (KeyError, ValueError):
                continue
            if array.shape == wrong.shape and array.any() and tolerance.equal(array, wrong):
                yield line
