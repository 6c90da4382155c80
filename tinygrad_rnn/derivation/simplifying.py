"""Simplifying expressions, as a person does who writes a derivation down.

Local rules, tried from the inside out until none applies: no multiplication by 1, no addition of 0, no reshape that
changes nothing; signs and numbers to the front, what all terms have in common outside the brackets. The rules know
nothing of networks; what a network's formulas are recognised by stands in ``recognising``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..autodiff.rules import elementwise, indexing, linalg, reductions, shape
from .expressions import Apply, During, Expression, Number, Reference, Stack, Step, Sum, apply, moves, total
from .recognising import RECOGNISED

Rule = Callable[[Apply], "Expression | None"]

LOOKS = {shape.reshape, shape.squeeze, shape.expand_dims}
MOST_ROUNDS = 100


def simplified(expression: Expression) -> Expression:
    """The simpler form of an expression.

    Example:
        >>> from tinygrad_rnn.autodiff.rules import elementwise
        >>> from tinygrad_rnn.derivation.expressions import Number, Parameter, apply
        >>> x = Parameter("x", (3,))
        >>> simplified(apply(elementwise.multiply, x, Number(1.0))) == x
        True
    """
    operands = tuple(map(simplified, expression.operands))
    if any(a is not b for a, b in zip(operands, expression.operands)):
        expression = expression.with_operands(operands)
    for _ in range(MOST_ROUNDS):
        new = _once(expression)
        if new is None:
            return expression
        expression = new
    return expression


def _once(expression: Expression) -> Expression | None:
    """One rule's result; None if no rule applies."""
    if isinstance(expression, Sum):
        return _summed(expression)
    if isinstance(expression, During):
        return None if expression.steps else Number(0.0)
    if not isinstance(expression, Apply):
        return None
    for rule in RULES.get(expression.operation, ()):
        new = rule(expression)
        if new is not None and new != expression:
            return _in_shape(simplified_parts(new), expression.shape)
    return None


def simplified_parts(expression: Expression) -> Expression:
    """The expression with simpler operands."""
    operands = tuple(map(simplified, expression.operands))
    return expression.with_operands(operands) if operands != expression.operands else expression


def _in_shape(expression: Expression, wanted: tuple[int, ...]) -> Expression:
    """The expression, repeated where it lost an axis by a rule."""
    if expression.shape == wanted:
        return expression
    return Apply(shape.broadcast_to, (expression,), {"shape": wanted}, wanted)


# --- products --------------------------------------------------------------------------------------------------------


def is_product(expression: Expression) -> bool:
    """Whether it is a product by element."""
    return isinstance(expression, Apply) and expression.operation is elementwise.multiply


def is_sum(expression: Expression) -> bool:
    """Whether it is a sum of terms."""
    return isinstance(expression, Apply) and expression.operation is elementwise.add


def is_negative(expression: Expression) -> bool:
    """Whether it has a minus sign."""
    return isinstance(expression, Apply) and expression.operation is elementwise.negative


def negative(expression: Expression) -> Expression:
    """The expression with the other sign."""
    if is_negative(expression):
        return expression.operands[0]
    if isinstance(expression, Number):
        return Number(-expression.value)
    return Apply(elementwise.negative, (expression,), {}, expression.shape)


def factors(expression: Expression) -> tuple[Expression, ...]:
    """The factors of a product; of anything else that itself."""
    return expression.operands if is_product(expression) else (expression,)


def product(of: list[Expression]) -> Expression:
    """The product of factors."""
    if not of:
        return Number(1)
    if len(of) == 1:
        return of[0]
    return Apply(elementwise.multiply, tuple(of), {}, np.broadcast_shapes(*(factor.shape for factor in of)))


def _multiplied(whole: Apply) -> Expression | None:
    found: list[Expression] = []
    number, sign, divisor = 1.0, 1, 1.0
    changed = False
    for operand in whole.operands:
        if is_negative(operand):
            operand, sign, changed = operand.operands[0], -sign, True
        if _is_quotient_by_number(operand):
            divisor *= operand.operands[1].value  # type: ignore[attr-defined]
            operand, changed = operand.operands[0], True
        for factor in factors(operand):
            factor = _unrepeated(factor, whole, found)
            if isinstance(factor, Number):
                number *= factor.value
            else:
                found.append(factor)
    squares = _squared(found)
    single = number == 1 and not any(isinstance(o, Number) for o in whole.operands)
    if not changed and single and len(squares) == len(whole.operands) and all(map(_same, squares, whole.operands)):
        return None
    return _scaled(product(squares), sign * number, divisor)


def _same(a: Expression, b: Expression) -> bool:
    return a is b


def _is_quotient_by_number(expression: Expression) -> bool:
    return (
        isinstance(expression, Apply)
        and expression.operation is elementwise.divide
        and isinstance(expression.operands[1], Number)
    )


def _unrepeated(factor: Expression, whole: Apply, others: list[Expression]) -> Expression:
    """A factor without being repeated along axes that the product has anyhow."""
    if not (isinstance(factor, Apply) and factor.operation is shape.broadcast_to):
        return factor
    inner = factor.operands[0]
    rest = [o.shape for o in whole.operands if o is not factor] + [inner.shape]
    return inner if np.broadcast_shapes(*rest) == whole.shape else factor


def _squared(found: list[Expression]) -> list[Expression]:
    """Factors that come twice as a square."""
    squares: list[Expression] = []
    for factor in found:
        if factor in squares:
            place = squares.index(factor)
            squares[place] = Apply(elementwise.square, (factor,), {}, factor.shape)
        else:
            squares.append(factor)
    return squares


def _scaled(expression: Expression, number: float, divisor: float = 1.0) -> Expression:
    """An expression times a number, over another; the sign in front."""
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


def _divided(whole: Apply) -> Expression | None:
    above, below = whole.operands
    if is_negative(above):
        return negative(Apply(elementwise.divide, (above.operands[0], below), {}, whole.shape))
    if not isinstance(below, Number):
        return None
    if below.value == 1:
        return above
    if _is_quotient_by_number(above):
        upper, divisor = above.operands
        return Apply(elementwise.divide, (upper, Number(divisor.value * below.value)), {}, whole.shape)  # type: ignore[attr-defined]
    numbers = [f for f in factors(above) if isinstance(f, Number)]
    if numbers and len(factors(above)) > 1:
        rest = product([f for f in factors(above) if not isinstance(f, Number)])
        new = _scaled(rest, float(np.prod([n.value for n in numbers])), below.value)
        return None if new == whole else new
    if isinstance(above, Apply) and above.operation is shape.broadcast_to:
        inner = above.operands[0]
        return _repeated(Apply(elementwise.divide, (inner, below), {}, inner.shape), whole.shape)
    return None


def _repeated(inner: Expression, wanted: tuple[int, ...]) -> Expression:
    return Apply(shape.broadcast_to, (inner,), {"shape": wanted}, wanted)


def _power(whole: Apply) -> Expression | None:
    exponent = whole.settings["exponent"]
    (base,) = whole.operands
    if exponent == 1:
        return base
    if exponent == 0:
        return Number(1)
    return Apply(elementwise.square, (base,), {}, whole.shape) if exponent == 2 else None


def _negated(whole: Apply) -> Expression | None:
    (inner,) = whole.operands
    if is_negative(inner):
        return inner.operands[0]
    if isinstance(inner, Number):
        return Number(-inner.value)
    if isinstance(inner, Apply) and inner.operation is shape.broadcast_to:
        return _repeated(negative(inner.operands[0]), whole.shape)
    if isinstance(inner, Apply) and inner.operation is elementwise.subtract:
        a, b = inner.operands
        return Apply(elementwise.subtract, (b, a), {}, whole.shape)
    return None


# --- sums ------------------------------------------------------------------------------------------------------------


def _added(whole: Apply) -> Expression | None:
    terms = list(_terms(whole))
    kept = [term for term in terms if not _is_zero(term)]
    if len(kept) != len(whole.operands) or any(a is not b for a, b in zip(kept, whole.operands)):
        return total(kept) if kept else Number(0.0)
    if any(isinstance(term, During) for term in terms):
        return None
    return _doubled(terms) or _sums_together(terms) or _in_common(terms) or _difference(terms)


def _terms(whole: Apply) -> Iterator[Expression]:
    for operand in whole.operands:
        if is_sum(operand) and operand.shape == whole.shape:
            yield from operand.operands
        else:
            yield operand


def _is_zero(term: Expression) -> bool:
    while isinstance(term, Apply) and term.operation is shape.broadcast_to:
        term = term.operands[0]
    return isinstance(term, Number) and term.value == 0


def _doubled(terms: list[Expression]) -> Expression | None:
    """A term that comes twice as twice the term."""
    distinct = list(dict.fromkeys(terms))
    if len(distinct) == len(terms):
        return None
    return total([t if terms.count(t) == 1 else _scaled(t, terms.count(t)) for t in distinct])


def _sums_together(terms: list[Expression]) -> Expression | None:
    """Sums over the same steps as one."""
    first = next((term for term in terms if isinstance(term, Sum)), None)
    if first is None:
        return None
    alike = [t for t in terms if isinstance(t, Sum) and t.steps == first.steps and t.shape == first.shape]
    if len(alike) < 2:
        return None
    one = Sum(first.steps, total([term.inner for term in alike]))
    rest = [term for term in terms if not any(term is other for other in alike)]
    return total([one, *rest])


def _signed(term: Expression) -> tuple[int, Expression]:
    return (-1, term.operands[0]) if is_negative(term) else (1, term)


def _in_common(terms: list[Expression]) -> Expression | None:
    """What all terms have as a factor, outside the brackets."""
    if len(terms) < 2 or any(isinstance(term, Sum) for term in terms):
        return None
    signed = [_signed(term) for term in terms]
    divisors = [inner.operands[1] if _is_quotient_by_number(inner) else None for _, inner in signed]
    if divisors[0] is not None and all(d == divisors[0] for d in divisors):
        inside = [negative(i.operands[0]) if sign < 0 else i.operands[0] for sign, i in signed]
        whole = total(inside)
        return Apply(elementwise.divide, (whole, divisors[0]), {}, whole.shape)
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


def _difference(terms: list[Expression]) -> Expression | None:
    """The first of two terms less the second."""
    if len(terms) == 2 and is_negative(terms[0]) != is_negative(terms[1]):
        first, second = terms if is_negative(terms[1]) else reversed(terms)
        return apply(elementwise.subtract, first, second.operands[0])
    return None


def _subtracted(whole: Apply) -> Expression | None:
    a, b = whole.operands
    if is_negative(b):
        return total([a, b.operands[0]])
    if _is_zero(b) and a.shape == whole.shape:
        return a
    if isinstance(a, Number) and isinstance(b, Number):
        return Number(a.value - b.value)
    if a == b:
        return Number(0.0)
    return _in_common([a, negative(b)])


def _summed(whole: Sum) -> Expression | None:
    """A sum over one step, or of what is the same at all of them; the sign in front."""
    if is_negative(whole.inner):
        return negative(Sum(whole.steps, whole.inner.operands[0]))
    if not moves(whole.inner) and not isinstance(whole.inner, During):
        return _scaled(whole.inner, len(whole.steps))
    return None


# --- axes ------------------------------------------------------------------------------------------------------------


def _looked_at(whole: Apply) -> Expression | None:
    """Reshapes: none that changes nothing, one instead of several, and of a repeated number that number."""
    inner = whole.operands[0]
    if inner.shape == whole.shape:
        return inner
    if isinstance(inner, Apply) and inner.operation is shape.broadcast_to and not inner.operands[0].shape:
        return _repeated(inner.operands[0], whole.shape)
    if whole.operation is shape.reshape and isinstance(inner, Apply) and inner.operation in LOOKS:
        return Apply(shape.reshape, inner.operands, {"shape": whole.shape}, whole.shape)
    if is_negative(inner):
        return negative(whole.with_operands(inner.operands))
    return None


def _broadcast(whole: Apply) -> Expression | None:
    inner = whole.operands[0]
    if inner.shape == whole.shape:
        return inner
    if isinstance(inner, Apply) and inner.operation is shape.broadcast_to:
        return _repeated(inner.operands[0], whole.shape)
    return None


def _filled(whole: Apply) -> Expression | None:
    return _repeated(Number(whole.settings["fill_value"]), whole.shape)


def _transposed(whole: Apply) -> Expression | None:
    inner = whole.operands[0]
    axes = whole.settings.get("axes")
    if inner.ndim < 2:
        return inner
    order = list(range(inner.ndim))[::-1] if axes is None else [axis % inner.ndim for axis in axes]
    if order == sorted(order):
        return inner
    if isinstance(inner, Apply) and inner.operation is shape.transpose and axes is inner.settings.get("axes") is None:
        return inner.operands[0]
    if axes is not None and order == sorted(order, reverse=True):
        return Apply(shape.transpose, (inner,), {}, whole.shape)
    return None


def _swapped(whole: Apply) -> Expression | None:
    inner = whole.operands[0]
    if inner.ndim == 2:
        axes = {whole.settings["axis1"] % 2, whole.settings["axis2"] % 2}
        return inner if len(axes) == 1 else Apply(shape.transpose, (inner,), {}, whole.shape)
    if isinstance(inner, Apply) and inner.operation is shape.swapaxes and inner.settings == whole.settings:
        return inner.operands[0]
    return None


def _taken(whole: Apply) -> Expression | None:
    """A part of a repeated number, of a stack, or of a product whose other factors are numbers."""
    inner = whole.operands[0]
    if isinstance(inner, Apply) and inner.operation is shape.broadcast_to and not inner.operands[0].shape:
        return _repeated(inner.operands[0], whole.shape)
    if is_negative(inner):
        return negative(whole.with_operands((inner.operands[0], *whole.operands[1:])))
    if isinstance(inner, Apply) and _is_quotient_by_number(inner):
        above = whole.with_operands((inner.operands[0], *whole.operands[1:]))
        return Apply(elementwise.divide, (above, inner.operands[1]), {}, whole.shape)
    place = whole.settings["index"]
    if isinstance(inner, Stack) and isinstance(place, Step) and isinstance(inner.inner, Reference):
        if place.sign == 1 and inner.steps == tuple(range(inner.steps[0], inner.steps[0] + len(inner.steps))):
            return inner.inner.shifted(place.offset + inner.steps[0])
    if isinstance(place, Step) and is_product(inner):
        return _row_of_each(inner, whole)
    return None


def _row_of_each(inner: Expression, whole: Apply) -> Expression | None:
    """The row of a product is the product of rows, where all factors have as many axes or are numbers."""
    if not all(f.ndim == inner.ndim and f.shape[0] == inner.shape[0] or not f.shape for f in inner.operands):
        return None
    rows = [f if not f.shape else whole.with_operands((f,)) for f in inner.operands]
    return product([simplified(row) for row in rows])


def _put(whole: Apply) -> Expression | None:
    """Signs and divisors of a piece in front of the whole."""
    if len(whole.settings["indices"]) > 1:
        return None
    piece, *places = whole.operands
    if is_negative(piece):
        return negative(Apply(whole.operation, (piece.operands[0], *places), whole.settings, whole.shape))
    if _is_quotient_by_number(piece):
        above = Apply(whole.operation, (piece.operands[0], *places), whole.settings, whole.shape)
        return Apply(elementwise.divide, (above, piece.operands[1]), {}, whole.shape)
    return None


def _summed_over(whole: Apply) -> Expression | None:
    """A sum over axes: the sign in front, and of no axes nothing."""
    inner = whole.operands[0]
    if whole.settings.get("axis") == () or (not inner.shape):
        return inner
    return negative(whole.with_operands(inner.operands)) if is_negative(inner) else None


def _matrix_product(whole: Apply) -> Expression | None:
    """Signs and divisors in front of a matrix product."""
    a, b = whole.operands
    if is_negative(a):
        return negative(Apply(whole.operation, (a.operands[0], b), {}, whole.shape))
    if is_negative(b):
        return negative(Apply(whole.operation, (a, b.operands[0]), {}, whole.shape))
    return None


RULES: dict[object, tuple[Rule, ...]] = {
    elementwise.add: (_added,),
    elementwise.subtract: (_subtracted,),
    elementwise.multiply: (_multiplied,),
    elementwise.divide: (_divided,),
    elementwise.negative: (_negated,),
    elementwise.power_by_number: (_power,),
    shape.reshape: (_looked_at,),
    shape.squeeze: (_looked_at,),
    shape.expand_dims: (_looked_at,),
    shape.broadcast_to: (_broadcast,),
    shape.transpose: (_transposed,),
    shape.swapaxes: (_swapped,),
    np.full: (_filled,),
    indexing.getitem: (_taken,),
    indexing.assemble: (_put,),
    reductions.sum: (_summed_over,),
    linalg.matmul: (_matrix_product,),
}
for _operation, _rules in RECOGNISED.items():
    RULES[_operation] = (*_rules, *RULES.get(_operation, ()))
