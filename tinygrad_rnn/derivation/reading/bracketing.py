"""Bracketing: ``gain * c / s``, where s is the scale of c's own elements, is ``gain * (c / s)``.

Code computes it from the left; a derivation of a layer norm by hand has a letter for the normalised value.
"""

from __future__ import annotations

from ...autodiff.rules import elementwise
from ..equations.arithmetic import is_product
from ..equations.expressions import Expression, Parameter
from ..equations.making import over, times
from ..equations.parts import applies, closure, is_here, references_of
from ..equations.quantities import Equation, Quantity
from .draft import Draft


def bracketed_norm(draft: Draft, whole: Quantity, equation: Equation) -> Expression | None:
    """Write the gain on a normalised value as such."""
    scaled = _scaled(equation)
    if scaled is None or draft.uses(scaled) > 1 or scaled.labels or scaled.equations[0].steps != equation.steps:
        return None
    gain, centred = scaled.equations[0].expression.operands
    scale = equation.expression.operands[1]
    if isinstance(centred, Parameter):
        gain, centred = centred, gain
    if not (isinstance(gain, Parameter) and is_here(centred) and centred.shape == whole.shape):
        return None
    if not (is_here(scale) and _is_computed_from(scale.quantity, centred.quantity)):
        return None
    draft.quantities.remove(scaled)
    return draft.laid_out(whole, equation.steps, times(gain, over(centred, scale)))


def _scaled(equation: Equation) -> Quantity | None:
    """The product that an equation divides."""
    whole = equation.expression
    if not (applies(whole, elementwise.divide) and is_here(whole.operands[0])):
        return None
    scaled = whole.operands[0].quantity
    return scaled if len(scaled.equations) == 1 and is_product(scaled.equations[0].expression) else None


def _is_computed_from(quantity: Quantity, other: Quantity) -> bool:
    """Return True if a quantity is computed from another one of the same step."""
    return other in closure([quantity], lambda one: (r.quantity for r, _ in references_of(one) if is_here(r)))
