"""Making expressions: products, quotients, and parts put into them."""

from __future__ import annotations

from typing import Any

from ...autodiff.rules import elementwise, shape
from .expressions import During, Expression, Number, apply

ONE, TWO = Number(1.0), Number(2.0)


def times(*factors: Expression) -> Expression:
    """A product by element."""
    return factors[0] if len(factors) == 1 else apply(elementwise.multiply, *factors)


def over(a: Expression, b: Expression) -> Expression:
    """A quotient."""
    return apply(elementwise.divide, a, b)


def one_minus(a: Expression) -> Expression:
    """1 - a."""
    return apply(elementwise.subtract, ONE, a)


def with_operand(part: Expression, i: int, new: Expression) -> Expression:
    """An expression with another operand in one place."""
    return part.with_operands((*part.operands[:i], new, *part.operands[i + 1 :]))


def broadcast(part: Expression, to: tuple[int, ...]) -> Expression:
    """An expression, repeated to a shape if it has another."""
    return part if part.shape == to else apply(shape.broadcast_to, part, shape=to)


def unwrapped(term: Expression) -> tuple[Expression, Any]:
    """A term without its steps, and a function that restricts another term to these steps."""
    if isinstance(term, During):
        return term.inner, lambda new: During(term.steps, new)
    return term, lambda new: new


def zeros(to: tuple[int, ...]) -> Expression:
    """Zeros of a shape."""
    return broadcast(Number(0.0), to)
