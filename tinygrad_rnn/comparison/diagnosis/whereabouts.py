"""The whereabouts of a mistake without a name: the lines that give other numbers, and which, at some step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ...autodiff.tables import compact
from ...derivation.equations.lines import Line
from ...derivation.writing.writer import TextWriter
from ..measures import largest
from .at_fault import AtFault
from .needed import CLOSE, Needed

MOST_SHOWN = 3

SEVERAL = (
    "No single line of the backward pass leads to these gradients, whatever it gives: several are wrong, or something "
    "that several read, such as what is kept of the forward pass."
)


def whereabouts(at_fault: AtFault, writer: TextWriter) -> list[str]:
    """The lines where a mistake without a name can be, in sentences; none if nothing is known.

    Args:
        at_fault: the lines that can be at fault, and what they have to give.
        writer: writes the lines down.
    """
    located = at_fault.located
    if not located:
        return [SEVERAL] if at_fault.are_several else []
    places = [" and ".join(f"`{writer.line(line)}`" for line in lines) for lines in located[:MOST_SHOWN]]
    rest = [f"{len(located) - MOST_SHOWN} other places"] if len(located) > MOST_SHOWN else []
    what = "A single line" if len(located[0]) == 1 else "Two lines"
    where = ", or ".join(places + rest)
    found = [f"{what} would explain your gradients, with other numbers there and all else right: {where}."]
    for lines in located if sum(map(len, located)) <= MOST_SHOWN else ():
        if (needed := at_fault.needed(lines)) is not None:
            for line in lines:
                found += _numbers(line, needed, at_fault, writer)
    return [" ".join(found)]


def _numbers(line: Line, needed: Needed, at_fault: AtFault, writer: TextWriter) -> Iterator[str]:
    """The numbers of a line where it is wrong first, and the right ones; none of a gradient, which is in the report."""
    steps = [t for other, t, _ in at_fault.bench.visits if other is line and line.kind != "gradient"]
    pairs = {t: pair for t in steps if (pair := needed.given_and_right(line, t)) is not None}
    size = max((largest(array) for pair in pairs.values() for array in pair), default=0.0)
    wrong = [t for t, (given, right) in pairs.items() if largest(given - right) > CLOSE * size]
    for t in wrong[:1]:
        given, right = (first_row(array, CLOSE * size) for array in pairs[t])
        row = "the first row of " if len(line.shape) > 1 else ""
        alike = " (if all instances are like one of them)" if at_fault.batch_axes else ""
        only = "" if len(wrong) == len(steps) else f"; of t = {_listed(pairs)}, it would be wrong at {_listed(wrong)}"
        where = writer.symbol(line.quantity, "" if t is None else str(t))
        yield f"For {row}{where}, yours would give {given} where {right} belongs{alike}{only}."


def _listed(steps: Iterable[int | None]) -> str:
    return ", ".join(map(str, sorted(t for t in steps if t is not None)))


def first_row(array: np.ndarray, least: float = 0.0) -> str:
    """The first row of an array in text; what is smaller than the least number counts as 0."""
    row = array if array.ndim < 2 else array.reshape(-1, array.shape[-1])[0]
    return compact(np.where(np.abs(row) >= least, row, 0.0))
