"""Joining: what the network computes twice is one quantity.

Code says ``a - mean(a)`` in a variance and again in the quotient; a derivation by hand has one letter for both, and two
paths to its derivative. Compilers call this the elimination of common subexpressions.
"""

from __future__ import annotations

from typing import Any

from ..equations.expressions import Expression, Reference
from ..equations.parts import replaced
from ..equations.quantities import Quantity


def join_equal(quantities: list[Quantity]) -> dict[Quantity, Quantity]:
    """Remove each quantity that another one equals at all steps, with the same equations.

    Values that are alike at some steps only, such as two states that begin at zero, stay apart. So do values to which
    the model gives different names.

    Args:
        quantities: the quantities in the order of recording.

    Returns:
        For each quantity that was removed, the one that stands in its place.
    """
    joined: dict[Quantity, Quantity] = {}

    def standing(part: Expression) -> Expression | None:
        if isinstance(part, Reference) and part.quantity in joined:
            return Reference(joined[part.quantity], part.shift, part.at)
        return None

    found: dict[Any, Quantity] = {}
    for quantity in list(quantities):
        for equation in quantity.equations if joined else ():
            equation.expression = replaced(equation.expression, standing)
        equations = frozenset((equation.steps, equation.expression) for equation in quantity.equations)
        first = found.setdefault((quantity.loop, quantity.layer, quantity.shape, equations), quantity)
        if first is not quantity and _may_be_one(first, quantity):
            first.labels = first.labels or quantity.labels
            joined[quantity] = first
            quantities.remove(quantity)
    for quantity in quantities if joined else ():  # a state is read before the line that makes it
        for equation in quantity.equations:
            equation.expression = replaced(equation.expression, standing)
    return joined


def _may_be_one(first: Quantity, second: Quantity) -> bool:
    """Return True unless the model names both, or one is its state or output: those are letters of their own."""
    labels = (*first.labels, *second.labels)
    return all(label.role == "value" for label in labels) and not (first.labels and second.labels)
