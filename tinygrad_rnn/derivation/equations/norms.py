"""Normalised values: the derivative by m of s = (m - mean(m)) / r in the form of the papers (layer norm, batch norm).

The rules of its operations give the paths through the mean and through the norm r one by one. Since r comes from the
same values, and the mean of s is 0, they can be written with s itself: (g - mean(g) - s mean(g s)) / r.
"""

from __future__ import annotations

import itertools
from typing import Any

from ...autodiff.rules import elementwise, reductions, shape
from .arithmetic import factors, is_difference, is_negative, negative, product, repeated, scaled, terms_of
from .expressions import Apply, Expression, Number, Reference, apply, one_axis
from .parts import applies, total
from .quantities import Quantity
from .recognising import meaning, without_axes


def through_a_norm(whole: Apply) -> Expression | None:
    """The path to x through the norm r of s = x / r: s Σ g s / r, where the rules give Σ (g s / r) (1 / 2 r) 2 x."""
    found, divisor = _all_factors(whole)
    below = [f for f in found if applies(f, elementwise.divide) and isinstance(f.operands[0], Number)]
    sums = [f for f in found if applies(f, reductions.sum)]
    for (one, two), x, g_s in itertools.product(itertools.combinations(below, 2), found, sums):
        r = one.operands[1]
        s = next((s for s in factors(g_s.operands[0]) if meaning(s) == apply(elementwise.divide, x, r)), None)
        if two.operands[1] == r and s is not None:
            others = [f for f in found if f not in (one, two, x, g_s)]
            path = apply(elementwise.divide, product([*others, g_s, s]), r)
            return repeated(product([one.operands[0], two.operands[0], scaled(path, 1.0, divisor)]), whole.shape)
    return None


def through_a_mean(whole: Expression) -> Expression:
    """The derivative by m of a normalised value s = (m - mean(m)) / r, whose mean is 0: (g - mean(g) - s ...) / r."""
    terms = [whole.operands[0], negative(whole.operands[1])] if is_difference(whole) else list(terms_of(whole))
    derivatives = [term for term in terms if isinstance(term, Reference)]
    for of, mean in itertools.product(derivatives, terms):
        inner = _unspread(mean)
        (summed, *others), n = _all_factors(inner.operands[0]) if is_negative(inner) else ([of], 1.0)
        if others or not applies(summed, reductions.sum) or summed.operands[0] != of:
            continue
        quotient = meaning(of)
        if not applies(quotient, elementwise.divide) or not is_difference(quotient.operands[0]):
            continue
        (g, path), r = quotient.operands[0].operands, quotient.operands[1]
        if any(_is_centred_over(s, r, of, summed.settings["axis"]) for s in _all_factors(path)[0]):
            mean_of_g = scaled(apply(reductions.sum, g, **summed.settings), 1.0, n)
            less = [repeated(negative(part), g.shape) for part in (mean_of_g, path)]
            new = apply(elementwise.divide, total([g, *less]), r)
            return total([new, *(term for term in terms if term is not of and term is not mean)])
    return whole


def _is_centred_over(s: Expression, r: Expression, of: Reference, axis: Any) -> bool:
    """Return True for s = x / r, where ``of`` is the derivative by x, a value less its mean over the axis."""
    if not isinstance(of.quantity.adjoint_of, Quantity):
        return False
    x = of.to(of.quantity.adjoint_of)
    centred = meaning(x)
    mean = without_axes(centred.operands[1]) if is_difference(centred) else x
    if not applies(mean, reductions.mean) or mean.operands[0] != centred.operands[0]:
        return False
    return one_axis(mean.settings.get("axis")) in (axis, None) and meaning(s) == apply(elementwise.divide, x, r)


def _all_factors(whole: Expression) -> tuple[list[Expression], float]:
    """The factors of a product, also those in quotients and repeated ones, 1 / r for divisors, and a number below."""
    found: list[Expression] = []
    divisor = 1.0
    for factor in factors(whole):
        inner, below = _unspread(factor), 1.0
        if applies(inner, elementwise.divide) and isinstance(number := inner.operands[1], Number):
            inner, below = inner.operands[0], number.value
        if applies(inner, elementwise.divide) and not isinstance(inner.operands[0], Number):
            found.append(apply(elementwise.divide, Number(1.0), inner.operands[1]))
            inner = inner.operands[0]
        more, further = ([inner], 1.0) if inner is factor or not inner.operands else _all_factors(inner)
        found, divisor = [*found, *more], divisor * below * further
    return found, divisor


def _unspread(expression: Expression) -> Expression:
    """The value that is spread over further axes in front."""
    while applies(expression, shape.broadcast_to, shape.expand_dims):
        inner = expression.operands[0]
        if inner.shape != expression.shape[expression.ndim - inner.ndim :] and applies(expression, shape.expand_dims):
            break
        expression = inner
    return expression
