"""Cross-entropies as they are written so that no power overflows, as what they are.

That of two classes, ``max(a, 0) - y a + log(1 + exp(-|a|))`` or ``y softplus(-a) + (1 - y) softplus(a)``, is
softplus(a) - y a, with the derivative σ(a) - y. In ``logsumexp(z) - z_y`` with ``z = u - max(u)``, the maximum adds
nothing to the derivative.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any, TypeGuard

from ...autodiff.rules import activations, elementwise, indexing, log_probabilities, reductions
from ..equations.arithmetic import is_difference, is_product
from ..equations.expressions import Apply, Expression, Number, Reference, Steps, apply, one_axis
from ..equations.making import one_minus, times
from ..equations.parts import applies, is_here, total
from ..equations.quantities import Equation, Quantity
from ..equations.recognising import meaning, without_axes
from ..equations.simplifying import simplified
from .draft import Draft
from .functions import as_known

Term = tuple[int, Expression]  # of a sum, with its sign


def as_stable_form(draft: Draft, whole: Quantity, equation: Equation) -> Expression | None:
    """Write such a formula as what it is."""
    terms = _terms(whole)
    if not all(isinstance(term, (Reference, Number)) for _, term in terms):
        return None
    joined = _joined(draft, whole, terms)
    return draft.laid_out(whole, equation.steps, joined) if joined else None


def _joined(draft: Draft, whole: Quantity, terms: list[Term]) -> Expression | None:
    """The sum with softplus(a), softplus(a) - y a, logsumexp(u) or logsumexp(u) - u_y for two of its terms."""
    for one, other in itertools.permutations(terms, 2):
        for join in (partial(_known, draft, whole.steps), _two_sides, _one_of_shifted):
            found = join(one, other)
            if found:
                rest = [term for term in terms if term not in (one, other)]
                signed = [*((one[0] * sign, term) for sign, term in found), *rest]
                return total([apply(elementwise.negative, term) if sign < 0 else term for sign, term in signed])
    return None


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
    return is_here(operand) and operand.quantity.steps == whole.steps and operand.shape == whole.shape


def _inside(whole: Expression, *operations: Any) -> Expression | None:
    """The operand x of ``f(g(x))``, if the expression is that for these operations."""
    for operation in operations:
        found = meaning(whole)
        if not isinstance(found, Apply) or found.operation is not operation:
            return None
        whole = found.operands[0]
    return whole


# --- what two terms are, as terms ------------------------------------------------------------------------------------


def _known(draft: Draft, steps: Steps, one: Term, other: Term) -> list[Term] | None:
    """Return ``max(a, 0) + softplus(-|a|)`` as softplus(a), and ``max(u) + logsumexp(u - max(u))`` as logsumexp(u)."""
    second = other[1] if one[0] == other[0] else apply(elementwise.negative, other[1])
    found = as_known(draft, steps, total([one[1], second]))
    return [(1, found)] if found else None


def _one_of_shifted(one: Term, other: Term) -> list[Term] | None:
    """Return ``logsumexp(z) - z_y``, with z = u - max(u), as logsumexp(u) - u_y."""
    logs, item = meaning(one[1]), meaning(other[1])
    if one[0] == other[0] or not applies(logs, log_probabilities.log_sum_exp) or not applies(item, indexing.getitem):
        return None
    u = _unshifted(logs.operands[0], logs.settings.get("axis"))
    if u is None or item.operands[0] != logs.operands[0] or item.shape != logs.shape:
        return None
    return [(1, logs.with_operands((u,))), (-1, item.with_operands((u, *item.operands[1:])))]


def _unshifted(z: Expression, axis: Any) -> Reference | None:
    """The u of ``z = u - max(u)``, if the maximum is the same all along the axis."""
    found, axis = meaning(z), one_axis(axis)
    if not is_difference(found) or not isinstance(axis, int):
        return None
    u, largest = found.operands
    of_u, behind = without_axes(largest), u.ndim - axis % u.ndim
    if not applies(of_u, reductions.max) or of_u.operands[0] != u:
        return None
    is_constant = len(largest.shape) < behind or largest.shape[-behind] == 1
    return u if is_constant and isinstance(u, Reference) and u.shape == z.shape else None


def _two_sides(one: Term, other: Term) -> list[Term] | None:
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
            return [(1, plus), (-1, times(y, a))]
    return None
