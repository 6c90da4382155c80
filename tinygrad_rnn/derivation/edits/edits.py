"""Edits: the forms that a line of a derivation takes when somebody makes a slip.

This module knows no network, and no mistake by name. Every part of a line's right-hand side is altered in a handful of
general ways: left out, doubled, with the other sign, transposed, exchanged for another available value of the same
shape, taken at another step or for other steps. (``editing`` runs the results.)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from ..equations.arithmetic import is_sum
from ..equations.expressions import Expression, Number
from ..equations.lines import Line
from ..equations.parts import at, parts, places, put, reads_derivatives
from .budget import Budget
from .found import instead
from .hand import Hand
from .kinds import OF_USES, PARTS, RANKS, WHOLE
from .kinks import without_kinks
from .of_terms import brackets_turned
from .of_uses import written_out
from .of_values import transposes_together

Path = tuple[int, ...]
Kind = Callable[[Expression, Line, Hand], Iterator[tuple[Any, ...]]]
Forms = Callable[[Line], Iterator[tuple[Path, Expression]]]
MOST_PIECES = 8
AROUND: tuple[Kind, ...] = (transposes_together, brackets_turned)  # of what is around a value that is written out
# Where an edit is made that isn't made at all steps: a loop may begin with a step that is written by itself.
SOME_STEPS: dict[str, Callable[[int, Sequence[int]], bool]] = {
    "at the last step alone": lambda t, steps: t == steps[-1],
    "at the first step alone": lambda t, steps: t == steps[0],
    "at all steps but the last": lambda t, steps: t != steps[-1],
    "at all steps but the first": lambda t, steps: t != steps[0],
}


class Change(NamedTuple):
    """A change of a part of a line.

    Attributes:
        after: the new part.
        what: the change in words, with a place {} for each expression that it mentions.
        of: these expressions.
    """

    after: Expression
    what: str
    of: tuple[Expression, ...] = ()


@dataclass(frozen=True, eq=False)
class Edit:
    """An edit: a line with something else on its right-hand side.

    Attributes:
        line: the line.
        expression: the new right-hand side.
        what: the edit in words, with a place {} for each expression that it mentions.
        of: these expressions.
        place: the position in the line, as operands of operands; with ``what``, it finds the same edit in another
            derivation.
        steps: where it is made, one of ``SOME_STEPS``; None for all steps.
        is_convention: whether only the value at a kink changes, which is a matter of choice.
        written_out: the right-hand side with a value's definition in its place, if the edit is in that definition.
    """

    line: Line
    expression: Expression
    what: str
    of: tuple[Expression, ...] = ()
    place: Path = ()
    steps: str | None = None
    is_convention: bool = False
    written_out: Expression | None = None

    @property
    def before(self) -> Expression:
        """The right-hand side before the edit, in which its position is."""
        return self.line.expression if self.written_out is None else self.written_out

    def said(self, write: Callable[[Expression], str]) -> str:
        """The description of the edit in words, with its expressions as a writer prints them."""
        at = "" if self.steps is None else f", {self.steps}"
        return self.what.format(*map(write, self.of)) + at

    @cached_property
    def key(self) -> Any:
        """A key that the same edit has in any derivation of the same network."""
        return self.line.name, self.line.steps[:1], self.place, self.what, tuple(map(_named, self.of)), self.steps

    @cached_property
    def changed_place(self) -> Path:
        """The place of the smallest part of the line that holds all that it changes."""
        place: Path = ()
        before, after = self.line.expression, self.expression
        while [o.shape for o in before.operands] == [o.shape for o in after.operands]:
            differ = [i for i, (a, b) in enumerate(zip(before.operands, after.operands)) if a != b]
            if len(differ) != 1 or before.with_operands(after.operands) != after:
                break
            place = (*place, differ[0])
            before, after = before.operands[differ[0]], after.operands[differ[0]]
        return place


def edits_of(line: Line, hand: Hand, rank: int | None = None) -> Iterator[Edit]:
    """Every edit of one line.

    Args:
        line: the line.
        hand: the values that could stand in it instead.
        rank: 0 for the usual edits alone, 1 for others, 2 for rare ones; by default all.
    """
    seen, smooth = {line.expression}, without_kinks(line.expression)
    for place, part in places(line.expression):
        for change in changes_of(part, line, place, hand, range(RANKS) if rank is None else (rank,)):
            expression = _new(line.expression, place, change.after, seen)
            if expression is not None:
                is_convention = smooth is not line.expression and without_kinks(expression) == smooth
                yield Edit(line, expression, change.what, change.of, place, None, is_convention)


def _new(whole: Expression, place: Path, after: Expression, seen: set[Expression]) -> Expression | None:
    """A right-hand side with another part in a place; None if nobody can have written it, or if it was there before."""
    try:
        expression = put(whole, place, after)
    except Exception:  # the shapes don't fit
        return None
    if expression in seen or expression.shape != whole.shape:
        return None
    seen.add(expression)
    return expression


def edits_of_edited(edit: Edit, hand: Hand, rank: int | None = None) -> Iterator[Edit]:
    """The edits of a line that combine a first edit with a second.

    Args:
        edit: the first edit.
        hand: the values that could stand in the line instead.
        rank: the rank of the second edit, as for ``edits_of``.
    """
    for second in edits_of(replace(edit.line, expression=edit.expression), hand, rank):
        if second.expression != edit.line.expression:
            what, of = f"{edit.what}; and {second.what}", edit.of + second.of
            yield replace(second, line=edit.line, what=what, of=of, steps=edit.steps)


def edits_of_uses(
    line: Line, hand: Hand, kinds: Sequence[Kind] = OF_USES, forms: Forms = written_out
) -> Iterator[Edit]:
    """The edits of what a line reads, made in this line alone.

    Args:
        line: which.
        hand: what else could stand in it.
        kinds: of the edits.
        forms: the forms of the right-hand side in which they are made, each with the place of what has another form.
    """
    seen = {line.expression}
    for start, whole in forms(line):
        meaning = at(whole, start)
        for piece in _pieces(meaning) if kinds is OF_USES else ():
            expression = _new(whole, start, piece, seen)
            if expression is not None:
                yield Edit(line, expression, *instead(piece, meaning)[1:], start, written_out=whole)
        around = [(start[:k], at(whole, start[:k])) for k in range(len(start))]
        for place, part in itertools.chain(places(meaning, start), around):
            for kind in kinds if len(place) >= len(start) else AROUND:
                for after, what, of in _all(kind(part, line, hand)):
                    expression = _new(whole, place, after, seen)
                    if expression is not None:
                        term = _term_around(whole, start, place)
                        if term is not None:
                            what, of = what + ", in the term {}", (*of, term)
                        yield Edit(line, expression, what, of, place, written_out=whole)


def _pieces(whole: Expression) -> Iterator[Expression]:
    """The parts of a value of the forward pass that can stand in its place: x of x ∘ mask / 0.8."""
    if reads_derivatives(whole):
        return
    found = dict.fromkeys(part for part in parts(whole) if part.shape == whole.shape and type(part) is not Number)
    yield from itertools.islice(found, 1, MOST_PIECES)


def _term_around(whole: Expression, start: Path, place: Path) -> Expression | None:
    """The innermost term of a sum around a place, from where a definition was written out; None if it is in no sum."""
    around = (
        at(whole, place[: k + 1]) for k in range(len(place) - 1, len(start) - 1, -1) if is_sum(at(whole, place[:k]))
    )
    return next(around, None)


def edits_that_fit(lines: Iterable[Line], hand: Hand, fits: Callable[[Edit], bool], budget: Budget) -> Iterator[Edit]:
    """The fitting edits of lines, line by line, the usual ones first, until the time is over.

    Args:
        lines: the lines.
        hand: the values that could stand in them instead.
        fits: returns whether an edit has the expected values; an error means that nobody can have made it.
        budget: how long to search.
    """
    for line, rank in itertools.product(lines, range(RANKS)):
        for edit in itertools.chain(edits_of(line, hand, rank), edits_of_uses(line, hand) if rank == 1 else ()):
            if budget.is_spent:
                return
            try:
                if fits(edit):
                    yield edit
            except Exception:  # an edit that can't be run can't have been made
                continue


def changes_of(part: Expression, line: Line, place: Path, hand: Hand, ranks: Iterable[int]) -> Iterator[Change]:
    """The possible changes of a part of a line."""
    for rank in ranks:
        for kind in (*PARTS[rank], *(() if place else WHOLE[rank])):
            yield from (Change(*found) for found in _all(kind(part, line, hand)))


def _all(found: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The changes up to the first one whose shapes don't fit."""
    while True:
        try:
            yield next(found)
        except Exception:  # no more changes, or shapes that don't fit
            return


def _named(expression: Expression) -> Any:
    names = (getattr(p, "name", None) or getattr(getattr(p, "quantity", None), "name", "") for p in parts(expression))
    return tuple(itertools.islice(names, 4))
