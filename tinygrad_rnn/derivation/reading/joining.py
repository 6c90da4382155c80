"""Joining: what the network computes twice is one quantity.

Code says ``a - mean(a)`` in a variance and again in the quotient; a derivation by hand has one letter for both, and two
paths to its derivative. Compilers call this the elimination of common subexpressions.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from ...autodiff.rules import reductions
from ..equations.expressions import Apply, Expression, Reference, apply, one_axis
from ..equations.parts import applies, replaced
from ..equations.quantities import Quantity


def join_equal(quantities: list[Quantity]) -> dict[Quantity, Quantity]:
    """Remove each quantity that another one equals at all steps, with the same equations.

    Values that are alike at some steps only, such as two states that begin at zero, stay apart. So do values to which
    the model gives different names.

    Returns:
        For each quantity that was removed, the one that stands in its place.
    """
    joined: dict[Quantity, Quantity] = {}

    def standing(part: Expression) -> Expression | None:
        if isinstance(part, Reference) and part.quantity in joined:
            return part.to(joined[part.quantity])
        return None

    plain: dict[Quantity, Quantity] = {}  # equal but for leading axes of length 1: sums over a batch with keepdims

    def without_ones(part: Expression) -> Expression | None:
        if isinstance(part, Reference) and part.quantity in plain:
            return part.to(plain[part.quantity])
        if not _keeps_first_axis(part):
            return None
        settings = {"axis": 0, "keepdims": False} if part.ndim > 1 else {}
        return apply(part.operation, *part.operands, **settings)

    found: dict[Any, Quantity] = {}
    for quantity in list(quantities):
        for equation in quantity.equations if joined else ():
            equation.expression = replaced(equation.expression, standing)
        equations = frozenset((e.steps, replaced(e.expression, without_ones)) for e in quantity.equations)
        is_row = all(_keeps_first_axis(equation.expression) for equation in quantity.equations)
        wanted = quantity.shape[1:] if is_row else quantity.shape
        first = found.setdefault((quantity.loop, quantity.layer, wanted, equations), quantity)
        if first.shape != quantity.shape:
            plain[quantity] = first
        elif first is not quantity and _may_be_one(first, quantity):
            first.labels = first.labels or quantity.labels
            joined[quantity] = first
            quantities.remove(quantity)
    for quantity in quantities if joined else ():  # a state is read before the line that makes it
        for equation in quantity.equations:
            equation.expression = replaced(equation.expression, standing)
    return joined


def _keeps_first_axis(part: Expression) -> TypeGuard[Apply]:
    """Return True for a sum or mean over the first axis, with keepdims: it is broadcast as that without."""
    if not applies(part, reductions.sum, reductions.mean):
        return False
    axis = 0 if part.ndim == 1 else one_axis(part.settings.get("axis"))
    return axis == 0 and bool(part.settings.get("keepdims"))


def _may_be_one(first: Quantity, second: Quantity) -> bool:
    """Return True unless the model names both, or one is its state or output: those are letters of their own."""
    labels = (*first.labels, *second.labels)
    return all(label.role == "value" for label in labels) and not (first.labels and second.labels)
