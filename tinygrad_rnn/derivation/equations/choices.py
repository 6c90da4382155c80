"""Conditions, and choices by them: [u > 0] ∘ g is g where u > 0, and 0 elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

import numpy as np

from ...autodiff.rules import elementwise, indexing, shape
from .arithmetic import is_negative, is_quotient_by_number, is_zero, negative, number_of, over_number, product, scaled
from .expressions import Apply, Data, Expression, Number, Step, apply
from .parts import applies

OPPOSITES = {np.greater: np.less_equal, np.less: np.greater_equal, np.greater_equal: np.less,
             np.less_equal: np.greater, np.equal: np.not_equal, np.not_equal: np.equal}  # fmt: skip
AND, OR = (np.logical_and, np.bitwise_and), (np.logical_or, np.bitwise_or)
NOT = np.logical_not, np.invert
CONDITIONS = {*OPPOSITES, *AND, *OR, *NOT}


def is_condition(expression: Expression) -> TypeGuard[Apply]:
    """Return True for a comparison, or several that are combined."""
    return isinstance(expression, Apply) and expression.operation in CONDITIONS


def step_number(step: int) -> int:
    """The number of a step, as an operation: a comparison can have it for an operand."""
    return step


def within(lengths: Expression, offset: int = 0) -> Apply:
    """The condition that a step lies within lengths: [t ≤ n]; with an offset, [t + offset ≤ n]."""
    number = Apply(step_number, (), {"step": Step(offset)}, ())
    return Apply(np.less_equal, (number, lengths), {}, lengths.shape)


def numbers_a_step(expression: Expression) -> bool:
    """Return True for a condition on the number of the step: [t ≤ n]."""
    return is_condition(expression) and applies(expression.operands[0], step_number)


def is_boolean(expression: Expression) -> bool:
    """Return True for an array of conditions, or a part of one."""
    if isinstance(expression, Data):
        return expression.dtype == np.bool_
    return applies(expression, indexing.getitem) and is_boolean(expression.operands[0])


# --- conditions ------------------------------------------------------------------------------------------------------


def either(whole: Apply) -> Expression | None:
    """``(x > y) | (x != x)``, with which a rule follows NaNs: x > y; and ``False | condition``, of a missing bound."""
    for condition, other in (whole.operands, whole.operands[::-1]):
        if is_zero(condition):
            return other
        if applies(other, np.not_equal) and other.operands[0] == other.operands[1]:
            return condition
    return None


def as_it_is(whole: Apply) -> Expression | None:
    """``(x > y) != 0``, by which a rule takes any condition: x > y."""
    condition, other = whole.operands
    return condition if (is_condition(condition) or is_boolean(condition)) and other == Number(0) else None


def opposite(whole: Apply) -> Expression | None:
    """``not (x > y)``, where neither is a NaN: x ≤ y; and not (p or q): not p, and not q."""
    (condition,) = whole.operands
    if not isinstance(condition, Apply) or condition.operation not in CONDITIONS:
        return None
    if condition.operation in OPPOSITES:
        return Apply(OPPOSITES[condition.operation], condition.operands, condition.settings, condition.shape)
    opposites = tuple(apply(np.logical_not, operand) for operand in condition.operands)
    if condition.operation in NOT:
        return condition.operands[0]
    return apply(np.logical_or if condition.operation in AND else np.logical_and, *opposites)


# --- choices ---------------------------------------------------------------------------------------------------------


def chosen(whole: Apply) -> Expression | None:
    """A choice that is decided; and numbers, signs and conditions taken out of one between a value and 0."""
    condition, yes, no = whole.operands
    if isinstance(condition, Number):
        return yes if condition.value else no
    if not is_zero(no):
        return None
    if condition.shape == whole.shape and applies(yes, shape.broadcast_to):
        return where(condition, yes.operands[0])
    number = number_of(yes)
    if number is not None:
        return None if number == 1 else scaled(bracket(condition), number)
    if is_negative(yes):
        return negative(where(condition, yes.operands[0]))
    if is_quotient_by_number(yes):
        return over_number(where(condition, yes.operands[0]), yes.operands[1])
    factors = yes.operands if applies(yes, elementwise.multiply) else ()
    numbers = [factor for factor in factors if isinstance(factor, Number)]
    if numbers:
        return product([*numbers, where(condition, product([f for f in factors if not isinstance(f, Number)]))])
    if is_masked(yes):
        return where(apply(np.logical_and, condition, yes.operands[0]), yes.operands[1])
    return None


def where(condition: Expression, value: Expression) -> Apply:
    """A value where a condition holds, and 0 elsewhere."""
    return apply(elementwise.where, condition, value, Number(0.0))


def bracket(condition: Expression) -> Apply:
    """1 where a condition holds, and 0 elsewhere: Iverson's bracket."""
    return where(condition, Number(1.0))


def is_masked(expression: Expression) -> bool:
    """Return True for a value where a condition holds, and 0 elsewhere."""
    return applies(expression, elementwise.where) and is_zero(expression.operands[2])


def masked(whole: Apply) -> Expression | None:
    """A product of which one factor is 0 where a condition doesn't hold: so is the product."""
    numbers = [factor for factor in whole.operands if isinstance(factor, Number)]
    others = [factor for factor in whole.operands if not isinstance(factor, Number)]
    place = next((i for i, factor in enumerate(others) if is_masked(factor)), None)
    if place is None or len(others) == 1:
        return None
    condition, value, _ = others[place].operands
    inside = [factor for factor in (*others[:place], value, *others[place + 1 :]) if number_of(factor) != 1]
    return product([*numbers, where(condition, product(inside))])


def complement(whole: Apply) -> Expression | None:
    """``1 - [u > 0]``: [u ≤ 0]."""
    one, other = whole.operands
    if number_of(one) == 1 and is_masked(other) and number_of(other.operands[1]) == 1:
        return bracket(apply(np.logical_not, other.operands[0]))
    return None


CHOICES: dict[object, tuple[Callable[[Apply], Expression | None], ...]] = {
    elementwise.where: (chosen,),
    elementwise.multiply: (masked,),
    elementwise.subtract: (complement,),
    np.not_equal: (as_it_is,),
    np.logical_not: (opposite,),
    np.invert: (opposite,),
    np.bitwise_or: (either,),
    np.logical_or: (either,),
}
