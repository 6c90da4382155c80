"""Kinks: places where a derivative jumps, so that its value there is a matter of choice."""

from __future__ import annotations

from ...autodiff.rules import elementwise, reductions
from ..equations.arithmetic import is_sum
from ..equations.expressions import Apply, Expression, Reference
from ..equations.making import broadcast, unwrapped, zeros
from ..equations.parts import applies, parts, replaced, total
from .of_uses import definition


def without_kinks(expression: Expression) -> Expression:
    """An expression as it reads where no two values are equal: one element alone is the largest."""

    def change(part: Expression) -> Expression | None:
        if is_sum(part):
            terms = [term for term in part.operands if not _vanishes(unwrapped(term)[0])]
            if len(terms) < len(part.operands):
                rest = total([without_kinks(term) for term in terms]) if terms else zeros(part.shape)
                return broadcast(rest, part.shape)
        if _vanishes(part):
            return zeros(part.shape)
        if applies(part, elementwise.divide) and _is_a_count_of_ties(part.operands[1]):
            return broadcast(without_kinks(part.operands[0]), part.shape)
        return None

    return replaced(expression, change)


def _vanishes(part: Expression) -> bool:
    """Return True for a kink, and for products with one."""
    products = elementwise.multiply, elementwise.divide, elementwise.negative
    is_product = applies(part, *products)
    return is_kink(part) or (is_product and any(map(_vanishes, part.operands)))


def is_kink(part: Expression) -> bool:
    """Return True for a part that exists only where two values are equal: the derivative at a kink."""
    is_choice = isinstance(part, Apply) and part.name == "where" and _compares_equal(part.operands[0])
    return is_choice and not any(map(_is_extreme, part.operands[0].operands))


def _compares_equal(condition: Expression) -> bool:
    return isinstance(condition, Apply) and condition.name == "equal" and condition.operands[0] != condition.operands[1]


def _is_a_count_of_ties(part: Expression) -> bool:
    return applies(part, reductions.sum) and _compares_equal(part.operands[0])


def _is_extreme(value: Expression) -> bool:
    """Return True for the largest or smallest of some values: one of these is always equal to it."""
    for part in parts(value):
        meaning = definition(part.quantity) if isinstance(part, Reference) else part
        if applies(meaning, reductions.max, reductions.min):
            return True
    return False
