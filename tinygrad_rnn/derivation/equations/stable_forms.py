"""The cross-entropy of two classes as it is written so that no power overflows, with its softplus(a), derivative σ(a).

It is ``max(a, 0) - y a + log(1 + exp(-|a|))``, or ``y softplus(-a) + (1 - y) softplus(a)``: softplus(a) - y a.
"""

from __future__ import annotations

import itertools
from typing import Any, TypeGuard

from ...autodiff.rules import activations, elementwise
from .arithmetic import is_product
from .expressions import Apply, Expression, Number, Reference, apply
from .making import one_minus, times
from .parts import total
from .quantities import Equation, Quantity
from .recognising import meaning
from .simplifying import simplified

Term = tuple[int, Expression]  # of a sum, with its sign


def name_stable_softplus(quantities: list[Quantity]) -> None:
    """Write softplus(a), or softplus(a) - y a, for two terms of a sum if that is what they add up to."""
    for whole in list(quantities):
        terms = _terms(whole)
        for one, other in itertools.permutations(terms, 2):
            known = _max_and_rest(one, other) or _two_sides(one, other)
            if known and one[0] == other[0] and all(isinstance(e, (Reference, Number)) for _, e in terms):
                joined = [(one[0] * sign, _beside(whole, e, sources, quantities)) for sign, e, sources in known]
                _write(whole, [*joined, *(term for term in terms if term not in (one, other))], quantities)
                break


def _terms(whole: Quantity) -> list[Term]:
    """The terms of a sum, also of sums in it; none if it is no sum, or another expression at some steps."""
    expression = whole.equations[0].expression if len(whole.equations) == 1 else None
    if not isinstance(expression, Apply) or expression.operation not in (elementwise.add, elementwise.subtract):
        return []
    others = 1 if expression.operation is elementwise.add else -1
    found: list[Term] = []
    for sign, operand in zip((1, *[others] * len(expression.operands)), expression.operands):
        inner = _terms(operand.quantity) if _is_of_this_step(operand, whole) and not operand.quantity.labels else []
        found += [(sign * own, term) for own, term in inner] or [(sign, operand)]
    return found


def _is_of_this_step(operand: Expression, whole: Quantity) -> TypeGuard[Reference]:
    if not isinstance(operand, Reference) or operand.at is not None or operand.shift:
        return False
    return operand.quantity.steps == whole.steps and operand.shape == whole.shape


def _inside(whole: Expression, *operations: Any) -> Expression | None:
    """The operand x of ``f(g(x))``, if the expression is that for these operations."""
    for operation in operations:
        found = meaning(whole)
        if not isinstance(found, Apply) or found.operation is not operation:
            return None
        whole = found.operands[0]
    return whole


# --- what two terms are, as terms: sign, expression, and the terms that add up to its value --------------------------

Known = list[tuple[int, Expression, list[Term]]]


def _max_and_rest(one: Term, other: Term) -> Known | None:
    """Return ``max(a, 0) + softplus(-|a|)`` as softplus(a)."""
    a, whole = _inside(one[1], activations.rectifier), meaning(one[1])
    if isinstance(whole, Apply) and whole.operation is elementwise.maximum and Number(0) in whole.operands:
        a = whole.operands[whole.operands[0] == Number(0)]
    size = _inside(other[1], activations.soft_rectifier, elementwise.negative, elementwise.absolute)
    if a is None or a != size:
        return None
    return [(1, apply(activations.soft_rectifier, a), [(1, one[1]), (1, other[1])])]


def _two_sides(one: Term, other: Term) -> Known | None:
    """Return ``y softplus(-a) + (1 - y) softplus(a)`` as softplus(a) - y a."""
    sides = [meaning(term) for _, term in (one, other)]
    if not all(is_product(side) and len(side.operands) == 2 for side in sides):
        return None
    for (y, minus), (rest, plus) in itertools.product(*(itertools.permutations(side.operands) for side in sides)):
        a = _inside(plus, activations.soft_rectifier)
        if a is None or _inside(minus, activations.soft_rectifier, elementwise.negative) != a:
            continue
        y, rest = simplified(meaning(y)), simplified(meaning(rest))
        if rest == one_minus(y) or y == one_minus(rest):
            return [(1, plus, []), (-1, times(y, a), [(1, plus), (-1, one[1]), (-1, other[1])])]
    return None


# --- writing ---------------------------------------------------------------------------------------------------------


def _write(whole: Quantity, terms: list[Term], quantities: list[Quantity]) -> None:
    """Make a quantity the sum of these terms."""
    signed = [
        _beside(whole, apply(elementwise.negative, term), [(-1, term)], quantities) if sign < 0 else term
        for sign, term in terms
    ]
    whole.equations[0].expression = total(signed)


def _beside(whole: Quantity, expression: Expression, sources: list[Term], quantities: list[Quantity]) -> Expression:
    """A new quantity, computed just before the sum; what is a quantity or a number already stays."""
    if not sources or isinstance(expression, Number):
        return expression
    made = Quantity(expression.shape, whole.layer, equations=[Equation(whole.steps, expression)], loop=whole.loop)
    found = [(sign, term.quantity) for sign, term in sources if isinstance(term, Reference)]
    made.values = {t: sum(sign * quantity.values[t] for sign, quantity in found) for t in whole.values}
    made.order = {t: order - 1 / 16 for t, order in whole.order.items()}
    quantities.insert(quantities.index(whole), made)
    return Reference(made, 0 if whole.steps else None)
