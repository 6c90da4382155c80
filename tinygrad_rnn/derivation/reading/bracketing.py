"""Bracketing: ``gain * c / s``, where s is the scale of c's own elements, is ``gain * (c / s)``.

Code computes it from the left; a derivation of a layer norm by hand has a letter for the normalised value.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeGuard

from ...autodiff.rules import elementwise
from ..equations.arithmetic import is_product
from ..equations.expressions import Parameter, Reference
from ..equations.making import over, times
from ..equations.parts import applies, closure, parts, references_of
from ..equations.quantities import Equation, Quantity


def bracket_norms(quantities: list[Quantity]) -> None:
    """Write each gain on a normalised value as such.

    Args:
        quantities: the quantities in the order of recording.
    """
    uses = Counter(read.quantity for quantity in quantities for read, _ in references_of(quantity))
    for whole in list(quantities):
        for equation in whole.equations:
            scaled = _scaled(equation)
            if scaled is None or uses[scaled] > 1 or scaled.labels or scaled.equations[0].steps != equation.steps:
                continue
            gain, centred = scaled.equations[0].expression.operands
            scale = equation.expression.operands[1]
            if isinstance(centred, Parameter):
                gain, centred = centred, gain
            if not (isinstance(gain, Parameter) and _is_here(centred) and centred.shape == whole.shape):
                continue
            if not (_is_here(scale) and _is_computed_from(scale.quantity, centred.quantity)):
                continue
            (here,) = (read for read in parts(equation.expression) if _is_here(read) and read.quantity is scaled)
            scaled.equations[0].expression = over(centred, scale)
            scaled.values = {t: centred.quantity.values[t] / scale.quantity.values[t] for t in scaled.values}
            equation.expression = times(gain, here)
            quantities.remove(scaled)
            quantities.insert(quantities.index(whole), scaled)


def _scaled(equation: Equation) -> Quantity | None:
    """The product that an equation divides."""
    whole = equation.expression
    if not (applies(whole, elementwise.divide) and _is_here(whole.operands[0])):
        return None
    scaled = whole.operands[0].quantity
    return scaled if len(scaled.equations) == 1 and is_product(scaled.equations[0].expression) else None


def _is_here(part: object) -> TypeGuard[Reference]:
    """Return True for a reference to a quantity at the same step."""
    return type(part) is Reference and part.at is None and not part.shift


def _is_computed_from(quantity: Quantity, other: Quantity) -> bool:
    """Return True if a quantity is computed from another one of the same step."""
    return other in closure([quantity], lambda one: (r.quantity for r, _ in references_of(one) if _is_here(r)))
