"""Formulas as they are written so that no power overflows, as what they are.

A cross-entropy of two classes, ``max(a, 0) - y a + log(1 + exp(-|a|))`` or ``y softplus(-a) + (1 - y) softplus(a)``, is
softplus(a) - y a, with the derivative σ(a) - y. A softmax, logsumexp or log_softmax of ``u - max(u)`` is that of u: the
maximum adds nothing to the derivative.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, TypeGuard

from ...autodiff.rules import activations, elementwise, indexing, log_probabilities, reductions
from .arithmetic import is_product
from .expressions import Apply, Expression, Number, Reference, apply, one_axis
from .making import one_minus, times
from .parts import total
from .quantities import Equation, Quantity
from .recognising import meaning, without_axes
from .simplifying import simplified

Term = tuple[int, Expression]  # of a sum, with its sign
Values = Mapping[int | None, Any]


def name_stable_forms(quantities: list[Quantity]) -> None:
    """Write each such formula as what it is."""
    for whole in list(quantities):
        for equation in whole.equations:
            equation.expression = _of_shifted(equation.expression) or equation.expression
        terms = _terms(whole)
        if all(isinstance(term, (Reference, Number)) for _, term in terms):
            _join_two(whole, terms, quantities)


def _join_two(whole: Quantity, terms: list[Term], quantities: list[Quantity]) -> None:
    """Write softplus(a), softplus(a) - y a, logsumexp(u) or logsumexp(u) - u_y for two terms that add up to it."""
    for one, other in itertools.permutations(terms, 2):
        for known in (_max_and_rest, _two_sides, _maximum_and_rest, _one_of_shifted):
            found = known(one, other)
            if found:
                joined = [(one[0] * sign, _beside(whole, e, values, quantities)) for sign, e, values in found]
                _write(whole, [*joined, *(term for term in terms if term not in (one, other))], quantities)
                return


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


# --- u - max(u) ------------------------------------------------------------------------------------------------------


def _unshifted(z: Expression, axis: Any) -> tuple[Expression, Expression] | None:
    """The u of ``z = u - max(u)``, and the maximum, if it is the same all along the axis."""
    found, axis = meaning(z), one_axis(axis)
    if not isinstance(found, Apply) or found.operation is not elementwise.subtract or not isinstance(axis, int):
        return None
    u, largest = found.operands
    of_u, behind = without_axes(largest), u.ndim - axis % u.ndim
    if not isinstance(of_u, Apply) or of_u.operation is not reductions.max or of_u.operands[0] != u:
        return None
    is_constant = len(largest.shape) < behind or largest.shape[-behind] == 1
    return (u, of_u) if is_constant and u.shape == z.shape else None


def _of_shifted(whole: Expression) -> Expression | None:
    """The softmax or log_softmax of u, if this is it of ``u - max(u)``."""
    if not isinstance(whole, Apply) or whole.operation not in (
        log_probabilities.softmax_of, log_probabilities.log_softmax_of
    ):  # fmt: skip
        return None
    found = _unshifted(whole.operands[0], whole.settings.get("axis"))
    return whole.with_operands((found[0],)) if found else None


def _log_sum(term: Expression) -> tuple[Apply, Reference, Expression] | None:
    """A logsumexp of ``u - max(u)``, the u and the maximum."""
    whole = meaning(term)
    if not isinstance(whole, Apply) or whole.operation is not log_probabilities.log_sum_exp:
        return None
    u, largest = _unshifted(whole.operands[0], whole.settings.get("axis")) or (None, None)
    return (whole, u, largest) if isinstance(u, Reference) and largest is not None else None


# --- what two terms are, as terms: sign, expression, and its values at each step; none if it is a quantity -----------

Known = list[tuple[int, Expression, Values | None]]


def _maximum_and_rest(one: Term, other: Term) -> Known | None:
    """Return ``max(u) + logsumexp(u - max(u))`` as logsumexp(u)."""
    found = _log_sum(other[1]) if one[0] == other[0] and one[1].shape == other[1].shape else None
    if not found or without_axes(one[1]) != found[2]:
        return None
    return [(1, found[0].with_operands((found[1],)), _sum([(1, one[1]), (1, other[1])]))]


def _one_of_shifted(one: Term, other: Term) -> Known | None:
    """Return ``logsumexp(z) - z_y``, with z = u - max(u), as logsumexp(u) - u_y."""
    found, item = _log_sum(one[1]) if one[0] != other[0] else None, meaning(other[1])
    if not found or not isinstance(item, Apply) or item.operation is not indexing.getitem:
        return None
    whole, u, _ = found
    if item.operands[0] != whole.operands[0] or item.shape != whole.shape:
        return None
    of_u = {t: log_probabilities.log_sum_exp.forward(value, **whole.settings) for t, value in u.quantity.values.items()}
    less = {t: of_u[t] - value for t, value in _sum([(1, one[1]), (-1, other[1])]).items()}
    return [(1, whole.with_operands((u,)), of_u), (-1, item.with_operands((u, *item.operands[1:])), less)]


def _max_and_rest(one: Term, other: Term) -> Known | None:
    """Return ``max(a, 0) + softplus(-|a|)`` as softplus(a)."""
    a, whole = _inside(one[1], activations.rectifier), meaning(one[1])
    if isinstance(whole, Apply) and whole.operation is elementwise.maximum and Number(0) in whole.operands:
        a = whole.operands[whole.operands[0] == Number(0)]
    size = _inside(other[1], activations.soft_rectifier, elementwise.negative, elementwise.absolute)
    if a is None or a != size or one[0] != other[0]:
        return None
    return [(1, apply(activations.soft_rectifier, a), _sum([(1, one[1]), (1, other[1])]))]


def _two_sides(one: Term, other: Term) -> Known | None:
    """Return ``y softplus(-a) + (1 - y) softplus(a)`` as softplus(a) - y a."""
    sides = [meaning(term) for _, term in (one, other)]
    if one[0] != other[0] or not all(is_product(side) and len(side.operands) == 2 for side in sides):
        return None
    for (y, minus), (rest, plus) in itertools.product(*(itertools.permutations(side.operands) for side in sides)):
        a = _inside(plus, activations.soft_rectifier)
        if a is None or _inside(minus, activations.soft_rectifier, elementwise.negative) != a:
            continue
        y, rest = simplified(meaning(y)), simplified(meaning(rest))
        if rest == one_minus(y) or y == one_minus(rest):
            return [(1, plus, None), (-1, times(y, a), _sum([(1, plus), (-1, one[1]), (-1, other[1])]))]
    return None


# --- writing ---------------------------------------------------------------------------------------------------------


def _write(whole: Quantity, terms: list[Term], quantities: list[Quantity]) -> None:
    """Make a quantity the sum of these terms."""
    signed = [
        _beside(whole, apply(elementwise.negative, term), _sum([(-1, term)]), quantities) if sign < 0 else term
        for sign, term in terms
    ]
    whole.equations[0].expression = total(signed)


def _sum(terms: list[Term]) -> Values:
    """The sum of the values of quantities with signs, at each step."""
    found = [(sign, term.quantity.values) for sign, term in terms if isinstance(term, Reference)]
    return {t: sum(sign * values[t] for sign, values in found) for t in (found[0][1] if found else ())}


def _beside(whole: Quantity, expression: Expression, values: Values | None, quantities: list[Quantity]) -> Expression:
    """A new quantity, computed just before the sum; what has no values of its own stays as it is."""
    if not values:
        return expression
    made = Quantity(expression.shape, whole.layer, equations=[Equation(whole.steps, expression)], loop=whole.loop)
    made.values = {t: values[t] for t in whole.values}
    made.order = {t: order - 1 / 16 for t, order in whole.order.items()}
    quantities.insert(quantities.index(whole), made)
    return Reference(made, 0 if whole.steps else None)
