"""Changes of a whole derivation: what stands in the place of a value, in all lines of the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

from ...autodiff.rules import elementwise, shape
from ..equations.arithmetic import is_product
from ..equations.expressions import Expression, Reference
from ..equations.making import ONE, broadcast, times
from ..equations.parts import applies, is_derivative, parts, replaced
from .edits import Edit
from .hand import Hand
from .of_uses import definition

if TYPE_CHECKING:
    from .derived import Derived


def applied(
    derivation: Derived,
    change: object,
    what: str,
    of: tuple[Expression, ...],
    kinds: tuple[str, ...] = ("backward", "gradient"),
    fewest: int = 2,
    reads: Collection[Any] | None = None,
) -> Iterator[tuple[Edit, ...]]:
    """The lines in which a change makes a difference, each with it.

    Args:
        derivation: the derivation.
        change: returns what stands in the place of a part, or None.
        what: the change in words, with a place {} for each expression that it mentions.
        of: these expressions.
        kinds: the kinds of lines that are changed.
        fewest: the number of lines that have to change.
        reads: expressions and quantities, without which the change leaves a line as it is; by default it may change
            any line.
    """
    edits = []
    for line in derivation.lines:
        if line.kind in kinds and not (reads is not None and read_by(line.expression).isdisjoint(reads)):
            try:
                changed = replaced(line.expression, change)  # type: ignore[arg-type]
                new = changed if changed is line.expression else without_ones(changed)
            except ValueError:  # the shapes don't fit: nobody can have written it
                return
            if new is not line.expression and new.shape == line.shape:
                edits.append(Edit(line, new, what, of))
    if len(edits) >= fewest:
        yield tuple(edits)


def read_by(expression: Expression) -> frozenset[Any]:
    """The parts of a line's right-hand side and the quantities in it; also of the forward values that it reads."""
    if "_read_by" not in expression.__dict__:  # most changes concern few lines: those that they leave alone are many
        found: set[Any] = set()
        for part in parts(expression):
            found.add(part)
            if isinstance(part, Reference):
                found.add(part.quantity)
                meaning = definition(part.quantity)
                for inner in parts(meaning) if meaning is not None else ():
                    found |= {inner, getattr(inner, "quantity", inner)}
        expression.__dict__["_read_by"] = frozenset(found)
    return expression.__dict__["_read_by"]


def without_ones(expression: Expression) -> Expression:
    """An expression without the factors and divisors in whose place there is a 1."""

    def change(part: Expression) -> Expression | None:
        if applies(part, elementwise.divide) and _is_one(part.operands[1]):
            return broadcast(without_ones(part.operands[0]), part.shape)
        if not (is_product(part) and any(map(_is_one, part.operands))):
            return None
        rest = [without_ones(factor) for factor in part.operands if not _is_one(factor)]
        return broadcast(times(*rest) if rest else ONE, part.shape)

    return replaced(expression, change)


def _is_one(part: Expression) -> bool:
    return part == ONE or (applies(part, shape.broadcast_to) and part.operands[0] == ONE)


def where_they_are_read(
    other: Any, hand: Hand, alone: bool = False, states: bool = False, anew: bool = False
) -> Callable[[Expression], Expression | None]:
    """A change of values in the backward pass, also in the values of the forward pass that are computed from them.

    Args:
        other: returns what stands in the place of a value, or None.
        hand: the available values.
        alone: only in values that are computed from no quantity besides.
        states: also in states of this step; those of other steps stay as they are.
        anew: also in values that are computed from such values; else these were kept.
    """

    def change(part: Expression) -> Expression | None:
        new: Expression | None = other(part)
        if new is None and type(part) is Reference and part.at is None and part.quantity.adjoint_of is None:
            is_open = part.quantity not in hand.states or (states and not part.shift)
            meaning = definition(part.quantity) if is_open else None
            if meaning is not None and not (alone and any(parts(meaning, Reference))):
                changed = replaced(meaning, change if anew else other)
                return None if changed is meaning else changed.shifted(part.shift or 0)
        return new

    return change


def exchanged(
    derivation: Derived, before: Expression, after: Expression, what: str, of: tuple[Expression, ...] = ()
) -> Iterator[tuple[Edit, ...]]:
    """A value in the place of another, in all lines."""

    def change(part: Expression) -> Expression | None:
        return after if part == before else None

    yield from applied(derivation, change, what, of or (after, before), reads=(before,))


def derivatives_in(part: Expression) -> frozenset[Any]:
    """The derivatives that an expression reads."""
    return frozenset(p.quantity for p in parts(part) if is_derivative(p))
