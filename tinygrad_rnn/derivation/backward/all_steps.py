"""A single product over all steps in place of a sum of products: the rows of all steps stand below each other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...autodiff.rules import linalg, reductions, shape
from ..equations.expressions import Apply, During, Expression, Reference, Rows, Steps, Sum, apply
from ..equations.parts import applies, parts
from ..equations.quantities import Quantity
from ..equations.simplifying import simplified


def multiply_at_once(quantities: Iterable[Quantity]) -> None:
    """Write the gradients of parameters with one product over all steps each."""
    for quantity in quantities:
        for equation in quantity.equations if quantity.kind == "gradient" else ():
            equation.expression = simplified(_all_at_once(equation.expression))


def _all_at_once(expression: Expression) -> Expression:
    """A gradient in which ``Σ_t h_{t-1}ᵀ Δ_t`` is written as ``h_{0..T-1}ᵀ Δ_{1..T}``, and sums of rows likewise."""
    if isinstance(expression, Sum) and not any(parts(expression, During)):
        return _product(expression.steps, expression.inner) or expression
    operands = tuple(map(_all_at_once, expression.operands)) if isinstance(expression, Apply) else ()
    return expression.with_operands(operands) if operands else expression


def _product(steps: Steps, inner: Expression) -> Expression | None:
    if applies(inner, linalg.matmul) and all(o.ndim == 2 for o in inner.operands):
        first, second = inner.operands
        below = Rows(steps, apply(shape.transpose, first))
        return apply(linalg.matmul, apply(shape.transpose, below), Rows(steps, second))
    if applies(inner, np.outer) and all(o.ndim == 1 for o in inner.operands):
        first, second = inner.operands
        return apply(linalg.matmul, apply(shape.transpose, Rows(steps, first)), Rows(steps, second))
    if applies(inner, reductions.sum) and inner.ndim == 1:
        (matrix,) = inner.operands
        if matrix.ndim == 2 and inner.settings.get("axis") in (0, (0,)):
            return apply(reductions.sum, Rows(steps, matrix), axis=0)
    if isinstance(inner, Reference) and inner.ndim == 1:
        return apply(reductions.sum, Rows(steps, inner), axis=0)
    return None
