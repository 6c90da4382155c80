"""Simplifying expressions, as a person does who writes a derivation down.

Local rules, tried from the inside out until none applies: no multiplication by 1, no addition of 0, no reshape that
changes nothing; signs and numbers move to the front, and common factors out of the brackets. The rules know nothing of
networks; ``recognising`` has the formulas of networks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...autodiff.rules import elementwise, indexing, linalg, reductions, shape
from . import arithmetic, axes
from .arithmetic import is_negative, negative, repeated, scaled
from .choices import CHOICES
from .expressions import Apply, During, Expression, Number, Sum
from .norms import through_a_norm
from .parts import fixed, moves
from .recognising import RECOGNISED

Rule = Callable[[Apply], "Expression | None"]

MOST_ROUNDS = 100


def simplified(expression: Expression, around: frozenset[Expression] = frozenset()) -> Expression:
    """The simpler form of an expression.

    Args:
        expression: the expression.
        around: the expressions whose simpler forms contain it; none of them is made again.

    Example:
        >>> from tinygrad_rnn.autodiff.rules import elementwise
        >>> from tinygrad_rnn.derivation.equations.expressions import Number, Parameter, apply
        >>> x = Parameter("x", (3,))
        >>> simplified(apply(elementwise.multiply, x, Number(1.0))) == x
        True
    """
    operands = tuple(simplified(operand, around) for operand in expression.operands)
    if any(a is not b for a, b in zip(operands, expression.operands)):
        expression = expression.with_operands(operands)
    for _ in range(MOST_ROUNDS):
        new = _once(expression, around)
        if new is None:
            return expression
        expression = new
    return expression


def _once(expression: Expression, around: frozenset[Expression]) -> Expression | None:
    """The result of one rule; None if no rule applies."""
    if isinstance(expression, Sum):
        return _summed(expression)
    if isinstance(expression, During):
        return None if expression.steps else Number(0.0)
    if not isinstance(expression, Apply):
        return None
    for rule in RULES.get(expression.operation, ()):
        new = rule(expression)
        if new is not None and new != expression and new not in around:
            return _in_shape(_with_simple_parts(new, around | {new}), expression.shape)
    return None


def _with_simple_parts(expression: Expression, around: frozenset[Expression]) -> Expression:
    """The expression with simpler operands."""
    operands = tuple(simplified(operand, around) for operand in expression.operands)
    return expression.with_operands(operands) if operands != expression.operands else expression


def _in_shape(expression: Expression, wanted: tuple[int, ...]) -> Expression:
    """The expression, repeated to its old shape if a rule removed an axis."""
    if expression.shape == wanted:
        return expression
    return repeated(expression, wanted)


def _summed(whole: Sum) -> Expression | None:
    """A sum over one step, or of a term that is the same at all steps, simplified; the sign stands in front."""
    if is_negative(whole.inner):
        return negative(Sum(whole.steps, whole.inner.operands[0]))
    if len(whole.steps) == 1:
        return fixed(whole.inner, whole.steps[0])
    if not moves(whole.inner) and not isinstance(whole.inner, During):
        return scaled(whole.inner, len(whole.steps))
    return None


RULES: dict[object, tuple[Rule, ...]] = {
    elementwise.add: (arithmetic.added,),
    elementwise.subtract: (arithmetic.subtracted,),
    elementwise.multiply: (through_a_norm, arithmetic.multiplied),
    elementwise.divide: (arithmetic.divided,),
    elementwise.negative: (arithmetic.negated,),
    elementwise.power_by_number: (arithmetic.power,),
    shape.reshape: (axes.looked_at,),
    shape.squeeze: (axes.looked_at,),
    shape.expand_dims: (axes.looked_at,),
    shape.broadcast_to: (axes.broadcast,),
    shape.transpose: (axes.transposed,),
    shape.swapaxes: (axes.swapped,),
    np.full: (axes.filled,),
    indexing.getitem: (axes.taken,),
    indexing.assemble: (axes.put,),
    reductions.sum: (axes.summed_over,),
    linalg.matmul: (axes.matrix_product,),
    linalg.contraction: (axes.contracted,),
}
for _rules in (CHOICES, RECOGNISED):
    for _operation, _first in _rules.items():
        RULES[_operation] = (*_first, *RULES.get(_operation, ()))
