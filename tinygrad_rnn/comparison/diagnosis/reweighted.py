"""Terms of a sum with other numbers: of a line that has to give known values, all combinations are one solve."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...derivation.edits.edits import Edit
from ...derivation.equations.arithmetic import is_sum
from ...derivation.equations.expressions import Expression, Number
from ...derivation.equations.lines import Line
from ...derivation.equations.making import broadcast, times, unwrapped
from ...derivation.equations.parts import places, put, total
from .needed import Needed

FEWEST_TERMS = 3  # of which several can be wrong; two are tried one by one
NUMBERS = {0.0: "left out", -1.0: "taken with the other sign", 2.0: "taken twice", 0.5: "halved"}
NEAR = 1e-4  # the distance up to which a number is taken for a usual one


def reweighted(line: Line, needed: Needed) -> Iterator[Edit]:
    """The edits that leave out, double, halve or turn some of the terms of a sum, if they give what the line has to."""
    for place, part in places(line.expression):
        if is_sum(part) and len(part.operands) >= FEWEST_TERMS:
            numbers = _numbers(line, place, part, needed)
            if numbers is not None:
                terms = [_times(term, number) for term, number in zip(part.operands, numbers) if number]
                new = put(line.expression, place, broadcast(total(terms), part.shape)) if terms else None
                wrong = {n: [t for t, c in zip(part.operands, numbers) if c == n] for n in NUMBERS}
                said = " and ".join(f"the terms {{}} were {NUMBERS[n]}" for n, found in wrong.items() if found)
                of = tuple(total([unwrapped(term)[0] for term in found]) for found in wrong.values() if found)
                if new is not None and said:
                    yield Edit(line, new, said, of, place)


def _times(term: Expression, number: float) -> Expression:
    inner, again = unwrapped(term)
    return term if number == 1 else again(times(Number(number), inner))


def _numbers(line: Line, place: tuple[int, ...], part: Expression, needed: Needed) -> list[float] | None:
    """The numbers of the terms with which the line gives what it has to; None unless all are usual ones."""
    alone = [put(line.expression, place, broadcast(term, part.shape)) for term in part.operands]
    try:
        values = np.stack([needed.values(line, expression) for expression in alone], axis=1)
        whole, wanted = needed.values(line, line.expression), needed.wanted(line)
    except Exception:  # a term that can't stand alone
        return None
    if not np.allclose(values.sum(axis=1), whole, atol=1e-9 * np.max(np.abs(whole), initial=0.0)):
        return None  # what is around the sum isn't linear in it
    found, _, rank, _ = np.linalg.lstsq(values, wanted, rcond=1e-9)
    usual = [min((1.0, *NUMBERS), key=lambda number: abs(number - c)) for c in found]
    is_known = rank == len(alone) < len(wanted)
    return usual if is_known and np.allclose(found, usual, atol=NEAR) else None
