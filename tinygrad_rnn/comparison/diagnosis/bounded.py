"""Derivatives that are bounded in a backward loop, as against explosion: numbers clipped, or scaled to a norm.

The bound isn't known. How far the gradients have moved towards the given ones is one number, so the bound at which they
arrive there is the zero of a function.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from ...derivation.edits.budget import Budget
from ...derivation.edits.editing import Bench
from ...derivation.edits.edits import Edit
from ...derivation.edits.misplaced import BOUNDS, Bounded
from ...derivation.edits.of_terms import moves_back
from ...derivation.equations.arithmetic import is_sum
from ...derivation.equations.expressions import Expression
from ...derivation.equations.lines import Line
from ...derivation.equations.making import unwrapped
from ...derivation.equations.parts import total
from .situation import Edits, Situation

SMALLEST, PLACES = 1e-2, 12  # bounds that are tried, from the largest number there is down to this share of it
MOST_HALVINGS = 60
WHAT = "{{}} was bounded, with {}. If that was on purpose, the gradients are no longer those of the loss"
Terms = tuple[int, ...]  # of the sum that a line is; none stands for the whole line
Places = Sequence[tuple[Line, Terms]]


def bounded(alone: Sequence[Line], together: Sequence[Line], recorded: Situation, budget: Budget) -> Iterator[Edits]:
    """The edits that bound what a line gives, or what is handed to the step before, with the bound that fits.

    Args:
        alone: the lines of which one may be bounded.
        together: the lines of which all that are handed something may be, as the h and the c of an LSTM.
        recorded: the given gradients.
        budget: how long to search.
    """
    groups: list[Places] = [[(line, terms)] for line in alone for terms in ((), *_handed_on(line))]
    handed = [(line, found[-1]) for line in together if (found := _handed_on(line))]
    groups += [handed, [(line, ()) for line, _ in handed]] if len(handed) > 1 else []
    for places, how in itertools.product(groups, BOUNDS):
        if budget.is_spent:
            return
        make = partial(_edits, places, how)
        with contextlib.suppress(Exception):  # a bound that can't be run can't have been made
            yield from map(make, _bounds(make, places, recorded))


def _handed_on(line: Line) -> list[Terms]:
    """The terms of a sum that come from the step after: each of them, and at the end all together."""
    terms = line.expression.operands if is_sum(line.expression) else ()
    found = [i for i, term in enumerate(terms) if moves_back(term)]
    alike = len({getattr(terms[i], "steps", None) for i in found}) == 1
    return [*((i,) for i in found), *([tuple(found)] if alike and len(found) > 1 else [])]


def _part(line: Line, terms: Terms) -> Expression:
    """The sum of some terms of a line, or all of it."""
    if not terms:
        return line.expression
    inner, again = zip(*(unwrapped(line.expression.operands[i]) for i in terms))
    return again[0](total(list(inner)))


def _edits(places: Places, how: str, bound: float) -> Edits:
    """The edits that bound the values in some places."""
    made, what = [], WHAT.format(BOUNDS[how].format(f"{bound:.6g}"))
    for line, terms in places:
        inner, again = unwrapped(_part(line, terms))
        rest = [term for i, term in enumerate(line.expression.operands) if i not in terms] if terms else []
        made.append(Edit(line, total([*rest, again(Bounded(inner, how, bound))]), what, (inner,)))
    return tuple(made)


def _bounds(make: Callable[[float], Edits], places: Places, recorded: Situation) -> Iterator[float]:
    """The bounds with which the given gradients come out, as far as one number tells."""
    largest = max(_largest(recorded.bench, line, terms) for line, terms in places)
    toward = {name: recorded.given[name] - recorded.bench.gradient(name) for name in recorded.wrong}
    whole = sum(float(np.sum(change**2)) for change in toward.values())

    def off(bound: float) -> float:
        """The distance of the gradients from the given ones, as a share of the way: below 0 if not yet there."""
        run = recorded.bench.run(make(bound))
        moved = (np.sum((run.gradient(n) - recorded.bench.gradient(n)) * change) for n, change in toward.items())
        return float(sum(moved)) / whole - 1

    tried = [float(bound) for bound in largest * np.geomspace(1, SMALLEST, PLACES)]
    values = [off(bound) for bound in tried]
    for (high, low), (a, b) in zip(itertools.pairwise(tried), itertools.pairwise(values)):
        if (a < 0) != (b < 0):
            yield _rounded(_zero(off, high, low, a, b))


def _zero(f: Callable[[float], float], a: float, b: float, at_a: float, at_b: float) -> float:
    """The zero of a function between two places, by the Illinois variant of the false position."""
    for _ in range(MOST_HALVINGS):
        c = b - at_b * (b - a) / (at_b - at_a)
        value = f(c)
        if value == 0 or abs(b - a) < 1e-13 * abs(c):
            return c
        if (value < 0) != (at_b < 0):
            a, at_a = b, at_b
        else:
            at_a /= 2
        b, at_b = c, value
        if abs(value) < 1e-14:
            return c
    return b


def _rounded(bound: float) -> float:
    """A bound as somebody writes it, if it is as good as that."""
    short = float(f"{bound:.4g}")
    return short if abs(bound - short) < 1e-8 * abs(bound) else bound


def _largest(bench: Bench, line: Line, terms: Terms) -> float:
    """The largest norm of what is to be bounded, at any step."""
    part, run = _part(line, terms), bench.run(())
    values = [run.evaluated(part, t) for t in line.steps or (None,)]
    return max(float(np.linalg.norm(value)) for value in values if value is not None)
