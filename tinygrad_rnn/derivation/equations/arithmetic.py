"""Simplifying sums and products: numbers and signs move to the front, and common factors out of the brackets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autodiff.rules import elementwise, shape
from .expressions import Apply, During, Expression, Number, Sum, apply
from .making import with_operand
from .parts import applies, total

# --- products --------------------------------------------------------------------------------------------------------


def is_product(expression: Expression) -> bool:
    """Return True for a product by element."""
    return applies(expression, elementwise.multiply)


def is_sum(expression: Expression) -> bool:
    """Return True for a sum of terms."""
    return applies(expression, elementwise.add)


def is_negative(expression: Expression) -> bool:
    """Return True for an expression with a minus sign."""
    return applies(expression, elementwise.negative)


def negative(expression: Expression) -> Expression:
    """The expression with the other sign."""
    if is_negative(expression):
        return expression.operands[0]
    if isinstance(expression, Number):
        return Number(-expression.value)
    return Apply(elementwise.negative, (expression,), {}, expression.shape)


def factors(expression: Expression) -> tuple[Expression, ...]:
    """The factors of a product; anything else is its own only factor."""
    return expression.operands if is_product(expression) else (expression,)


def terms_of(expression: Expression) -> tuple[Expression, ...]:
    """The terms of a sum; anything else is its own only term."""
    return expression.operands if is_sum(expression) else (expression,)


def product(of: list[Expression]) -> Expression:
    """The product of factors."""
    if not of:
        return Number(1)
    if len(of) == 1:
        return of[0]
    return Apply(elementwise.multiply, tuple(of), {}, np.broadcast_shapes(*(factor.shape for factor in of)))


def multiplied(whole: Apply) -> Expression | None:
    """A product with its numbers, signs and divisors in front."""
    found: list[Expression] = []
    below: list[Expression] = []
    number, sign, divisor = 1.0, 1, 1.0
    changed = False
    for operand in whole.operands:
        operand = _un_repeated(operand, whole, found)
        if is_negative(operand):
            operand, sign, changed = operand.operands[0], -sign, True
        if is_quotient_by_number(operand):
            divisor *= operand.operands[1].value  # type: ignore[attr-defined]
            operand, changed = operand.operands[0], True
        for factor in factors(operand):
            factor = _un_repeated(factor, whole, found)
            if _is_reciprocal(factor):
                below.append(factor.operands[1])
                factor = factor.operands[0]
            if isinstance(factor, Number):
                number *= factor.value
                continue
            own, factor = _number_above(factor)
            number, changed = number * own, changed or own != 1
            found.append(factor)
    if number == 0 or any(map(is_zero, found)):
        return repeated(Number(0.0), whole.shape)
    squares = _squared(found)
    single = number == 1 and not any(isinstance(o, Number) for o in whole.operands)
    if not changed and single and len(squares) == len(whole.operands) and all(map(_same, squares, whole.operands)):
        return None
    if below:
        quotient = apply(elementwise.divide, scaled(product(squares), number), scaled(product(below), divisor))
        return negative(quotient) if sign < 0 else quotient
    return scaled(product(squares), sign * number, divisor)


def _number_above(factor: Expression) -> tuple[float, Expression]:
    """The number in front of a quotient, and the quotient without it."""
    above, below = factor.operands if applies(factor, elementwise.divide) else (factor, None)
    if below is None or not (is_product(above) and isinstance(above.operands[0], Number)):
        return 1.0, factor
    return above.operands[0].value, apply(elementwise.divide, product(list(above.operands[1:])), below)


def _is_reciprocal(factor: Expression) -> bool:
    """Return True for a number divided by something else."""
    is_quotient = applies(factor, elementwise.divide)
    return is_quotient and isinstance(factor.operands[0], Number) and not isinstance(factor.operands[1], Number)


def number_of(expression: Expression) -> float | None:
    """The number that an expression is, however it is repeated; None if it is something else."""
    expression = _unrepeated(expression)
    is_number = isinstance(expression, Number) and isinstance(expression.value, (int, float))
    return expression.value if is_number else None  # type: ignore[attr-defined]


def _unrepeated(expression: Expression) -> Expression:
    while applies(expression, shape.broadcast_to):
        expression = expression.operands[0]
    return expression


def over_number(expression: Expression, number: Expression) -> Apply:
    """An expression divided by a number."""
    return Apply(elementwise.divide, (expression, number), {}, expression.shape)


def in_front(whole: Apply, place: int = 0) -> Expression | None:
    """An operation that is linear in an operand, with the operand's sign, or a number that divides it, in front."""
    operand = whole.operands[place]
    if is_negative(operand):
        return negative(with_operand(whole, place, operand.operands[0]))
    if is_quotient_by_number(operand):
        return over_number(with_operand(whole, place, operand.operands[0]), operand.operands[1])
    return None


def _same(a: Expression, b: Expression) -> bool:
    return a is b


def is_quotient_by_number(expression: Expression) -> bool:
    """Return True for a quotient whose divisor is a number."""
    return applies(expression, elementwise.divide) and isinstance(expression.operands[1], Number)


def _quotient(expression: Expression) -> tuple[Expression, Expression | None]:
    """The two sides of a quotient, a number above rather than below: a / 2 and r of a / r / 2."""
    if not applies(expression, elementwise.divide):
        return expression, None
    above, below = expression.operands
    if isinstance(below, Number) and applies(above, elementwise.divide):
        upper, divisor = above.operands
        return Apply(elementwise.divide, (upper, below), {}, upper.shape), divisor
    return above, below


def _un_repeated(factor: Expression, whole: Apply, others: list[Expression]) -> Expression:
    """A factor that isn't repeated along axes which the product has anyway."""
    views = shape.broadcast_to, shape.reshape, shape.expand_dims
    if not applies(factor, *views):
        return factor
    inner = factor.operands[0]
    if factor.operation is shape.reshape and inner.shape:
        return factor
    if factor.operation is shape.expand_dims and factor.shape != (1,) * (factor.ndim - inner.ndim) + inner.shape:
        return factor
    if isinstance(inner, Number):
        return inner
    rest = [o.shape for o in whole.operands if o is not factor] + [inner.shape]
    return inner if np.broadcast_shapes(*rest) == whole.shape else factor


def _squared(found: list[Expression]) -> list[Expression]:
    """The factors, with equal pairs of them as squares."""
    squares: list[Expression] = []
    for factor in found:
        if factor in squares:
            squares[squares.index(factor)] = Apply(elementwise.square, (factor,), {}, factor.shape)
        else:
            squares.append(factor)
    return squares


def scaled(expression: Expression, number: float, divisor: float = 1.0) -> Expression:
    """An expression times one number and divided by another, with the sign in front."""
    if isinstance(expression, Number):
        expression, number = Number(1), number * expression.value
    sign, number = (-1, -number) if number < 0 else (1, number)
    if divisor != 1 and number != 1:
        if (number / divisor).is_integer():
            number, divisor = number / divisor, 1.0
        elif (divisor / number).is_integer():
            number, divisor = 1.0, divisor / number
    result = expression
    if number != 1:
        result = product([Number(_plain(number)), *factors(expression)]) if expression != Number(1) else Number(number)
    if divisor != 1:
        result = Apply(elementwise.divide, (result, Number(_plain(divisor))), {}, result.shape)
    return negative(result) if sign < 0 else result


def _plain(number: float) -> float | int:
    return int(number) if float(number).is_integer() and abs(number) < 1e15 else number


def divided(whole: Apply) -> Expression | None:
    """A quotient with its sign and numbers in front."""
    above, below = whole.operands
    if is_negative(above) or (isinstance(above, Number) and above.value < 0):
        return negative(Apply(elementwise.divide, (negative(above), below), {}, whole.shape))
    if is_zero(above):
        return repeated(Number(0.0), whole.shape)
    if applies(above, shape.broadcast_to) and below.shape == whole.shape:
        return Apply(elementwise.divide, (above.operands[0], below), {}, whole.shape)
    if not isinstance(below, Number):
        return _cancelled(factors(above), factors(below))
    if below.value == 1:
        return above
    if is_quotient_by_number(above):
        upper, divisor = above.operands
        return Apply(elementwise.divide, (upper, Number(divisor.value * below.value)), {}, whole.shape)  # type: ignore[attr-defined]
    numbers = [f for f in factors(above) if isinstance(f, Number)]
    if numbers and len(factors(above)) > 1:
        rest = product([f for f in factors(above) if not isinstance(f, Number)])
        new = scaled(rest, float(np.prod([n.value for n in numbers])), below.value)
        return None if new == whole else new
    if applies(above, shape.broadcast_to):
        inner = above.operands[0]
        return repeated(Apply(elementwise.divide, (inner, below), {}, inner.shape), whole.shape)
    return None


def _cancelled(above: tuple[Expression, ...], below: tuple[Expression, ...]) -> Expression | None:
    """A quotient without the factors that both its sides have, and with all numbers that divide below."""
    rest, others, number = [], list(below), 1.0
    for factor in above:
        if is_quotient_by_number(factor):
            factor, divisor = factor.operands
            number *= divisor.value  # type: ignore[attr-defined]
        own = factor.operands[0] if applies(factor, elementwise.square) else factor
        if own in others and not isinstance(factor, Number):
            others.remove(own)
            rest += [own] if own is not factor else []
        else:
            rest.append(factor)
    if number == 1 and len(others) == len(below):
        return None
    return apply(elementwise.divide, product(rest), scaled(product(others), number))


def repeated(inner: Expression, wanted: tuple[int, ...]) -> Expression:
    """An expression, repeated to a shape."""
    return Apply(shape.broadcast_to, (inner,), {"shape": wanted}, wanted)


def power(whole: Apply) -> Expression | None:
    """A power with an exponent that is short to write."""
    exponent = whole.settings["exponent"]
    (base,) = whole.operands
    if exponent == 1:
        return base
    if exponent == 0:
        return Number(1)
    return Apply(elementwise.square, (base,), {}, whole.shape) if exponent == 2 else None


def negated(whole: Apply) -> Expression | None:
    """A sign moved further inside or outside."""
    (inner,) = whole.operands
    if is_negative(inner):
        return inner.operands[0]
    if isinstance(inner, Number):
        return Number(-inner.value)
    if applies(inner, shape.broadcast_to):
        return repeated(negative(inner.operands[0]), whole.shape)
    if is_difference(inner):
        a, b = inner.operands
        return None if isinstance(a, Number) else Apply(elementwise.subtract, (b, a), {}, whole.shape)
    if applies(inner, elementwise.divide) and is_difference(inner.operands[0]):
        above = negated(Apply(elementwise.negative, inner.operands[:1], {}, inner.operands[0].shape))
        return None if above is None else Apply(elementwise.divide, (above, inner.operands[1]), {}, whole.shape)
    return None


# --- sums ------------------------------------------------------------------------------------------------------------


def added(whole: Apply) -> Expression | None:
    """A sum without zeros and brackets, with the common factor of its terms outside."""
    terms = list(_terms(whole))
    kept = [term for term in terms if not is_zero(term) and not _is_zero_beside(term, terms)]
    if len(kept) != len(whole.operands) or any(a is not b for a, b in zip(kept, whole.operands)):
        return total(kept) if kept else Number(0.0)
    numbers = [term.value for term in terms if isinstance(term, Number)]
    if len(numbers) > 1:
        return total([*(term for term in terms if not isinstance(term, Number)), Number(sum(numbers))])
    together = _steps_together(terms)
    if together is not None or any(isinstance(term, During) for term in terms):
        return together or _less_target(terms)
    return _doubled(terms) or _sums_together(terms) or _in_common(terms) or _less_target(terms) or _difference(terms)


def _terms(whole: Apply) -> Iterator[Expression]:
    for operand in whole.operands:
        if is_sum(operand) and operand.shape == whole.shape:
            yield from operand.operands
        else:
            yield operand


def _is_zero_beside(term: Expression, terms: list[Expression]) -> bool:
    """Return True for a 0 at some steps, if there are other terms at each of these."""
    if not isinstance(term, During) or not is_zero(term.inner):
        return False
    others = [other for other in terms if not (isinstance(other, During) and is_zero(other.inner))]
    steps = [other.steps for other in others if isinstance(other, During)]
    return len(steps) < len(others) or set(term.steps) <= set().union(*steps)


def is_zero(term: Expression) -> bool:
    """Return True for 0, also if it is repeated."""
    return isinstance(number := _unrepeated(term), Number) and number.value == 0


def _doubled(terms: list[Expression]) -> Expression | None:
    """A sum in which two equal terms are written as twice the term."""
    distinct = list(dict.fromkeys(terms))
    if len(distinct) == len(terms):
        return None
    return total([t if terms.count(t) == 1 else scaled(t, terms.count(t)) for t in distinct])


def _steps_together(terms: list[Expression]) -> Expression | None:
    """A sum in which the same at some steps and at others is one term."""
    found: dict[Any, Expression] = {}
    for term in terms:
        inner = term.operands[0] if is_negative(term) else term
        if not isinstance(inner, Sum | During):
            found[id(term), len(found)] = term
            continue
        key = type(inner), is_negative(term), inner.operands
        other = found.get(key)
        if other is not None:
            steps = (other.operands[0] if is_negative(other) else other).steps  # type: ignore[attr-defined]
            if not set(steps).isdisjoint(inner.steps):
                return None
            inner = type(inner)(tuple(sorted((*steps, *inner.steps))), inner.inner)
        found[key] = negative(inner) if is_negative(term) else inner
    return total(list(found.values())) if len(found) < len(terms) else None


def _sums_together(terms: list[Expression]) -> Expression | None:
    """Sums over the same steps, joined into one."""
    signed = [(term, *_signed(term)) for term in terms]
    first = next((inner for _, _, inner in signed if isinstance(inner, Sum)), None)
    if first is None:
        return None
    alike = [
        (term, negative(inner.inner) if sign < 0 else inner.inner)
        for term, sign, inner in signed
        if isinstance(inner, Sum) and inner.steps == first.steps and inner.shape == first.shape
    ]
    if len(alike) < 2:
        return None
    one = Sum(first.steps, total([inner for _, inner in alike]))
    rest = [term for term in terms if not any(term is other for other, _ in alike)]
    return total([one, *rest])


def _signed(term: Expression) -> tuple[int, Expression]:
    return (-1, term.operands[0]) if is_negative(term) else (1, term)


def _in_common(terms: list[Expression]) -> Expression | None:
    """The common factor of the terms, put outside the brackets; None without one."""
    if len(terms) < 2 or any(isinstance(term, Sum) for term in terms):
        return None
    signed = [_signed(term) for term in terms]
    quotients = [_quotient(inner) for _, inner in signed]
    divisor = quotients[0][1]
    if divisor is not None and all(below == divisor for _, below in quotients):
        whole = total([negative(above) if sign < 0 else above for (sign, _), (above, _) in zip(signed, quotients)])
        return Apply(elementwise.divide, (whole, divisor), {}, whole.shape)
    lists = [list(factors(inner)) for _, inner in signed]
    common = [f for f in lists[0] if not isinstance(f, Number) and all(f in others for others in lists[1:])]
    common = common or [f for f in lists[0] if isinstance(f, Number) and all(f in others for others in lists[1:])]
    if not common:
        return None
    rests = []
    for (sign, _), fs in zip(signed, lists):
        rest = list(fs)
        for factor in common:
            rest.remove(factor)
        rests.append(negative(product(rest)) if sign < 0 else product(rest))
    return product([*common, total(rests)])


def _less_target(terms: list[Expression]) -> Expression | None:
    """A probability less its target, p - y, in the place of (1 - y) p - y (1 - p)."""
    for first, second in itertools.permutations(terms, 2):
        (sign, left, below), (other_sign, right, other_below) = map(_signed_factors, (first, second))
        if below != other_below:
            continue
        common = [f for f in left if f in right]
        left, right = ([f for f in found if f not in common] for found in (left, right))
        for p, beside in (left, left[::-1]) if sign > other_sign and len(left) == len(right) == 2 else ():
            y = less_than_one(beside)
            if y is not None and y in right and any(less_than_one(f) == p for f in right):
                less = apply(elementwise.subtract, p, y)
                rest = [term for term in terms if term is not first and term is not second]
                found = product([*common, less]) if common else less
                return total([found if below is None else apply(elementwise.divide, found, below), *rest])
    return None


def _signed_factors(term: Expression) -> tuple[int, list[Expression], Expression | None]:
    """The sign of a product, its factors, of which x - 1 is taken as 1 - x with the other sign, and a number below."""
    sign, inner = _signed(term)
    below = None
    if is_quotient_by_number(inner):
        inner, below = inner.operands
        own, inner = _signed(inner)
        sign *= own
    found = []
    for factor in factors(inner):
        if below is None and is_quotient_by_number(factor):
            factor, below = factor.operands
        if is_difference(factor) and factor.operands[1] == Number(1):
            factor, sign = apply(elementwise.subtract, factor.operands[1], factor.operands[0]), -sign
        found.append(factor)
    return sign, found, below


def is_difference(expression: Expression) -> bool:
    """Return True for one value minus another."""
    return applies(expression, elementwise.subtract)


def less_than_one(factor: Expression) -> Expression | None:
    """X of 1 - x."""
    return factor.operands[1] if is_difference(factor) and factor.operands[0] == Number(1) else None


def _difference(terms: list[Expression]) -> Expression | None:
    """The first of two terms minus the second."""
    if len(terms) == 2 and is_negative(terms[0]) != is_negative(terms[1]):
        first, second = terms if is_negative(terms[1]) else reversed(terms)
        return apply(elementwise.subtract, first, second.operands[0])
    return None


def subtracted(whole: Apply) -> Expression | None:
    """A difference without double signs, with the common factor of both terms outside."""
    a, b = whole.operands
    if is_negative(b):
        return total([a, b.operands[0]])
    if is_zero(b) and a.shape == whole.shape:
        return a
    if isinstance(a, Number) and isinstance(b, Number):
        return Number(a.value - b.value)
    if a == b:
        return Number(0.0)
    return _in_common([a, negative(b)]) or _less_target([a, negative(b)])
