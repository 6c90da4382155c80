"""The likelihood of a mixture: the logarithm of a sum of densities with weights, as a logsumexp of their logarithms.

With ``w = softmax(u)`` and ``s = exp(q)``, ``log(sum(w * exp(-d**2 / 2) / s))`` is a logsumexp of
``log_softmax(u) - d**2 / 2 - q``. The derivatives are those that everybody writes: w - γ by u, with γ, the
responsibilities, the softmax of what is summed.
"""

from __future__ import annotations

import math

from ...autodiff.rules import elementwise, indexing, log_probabilities, reductions, shape
from ..equations.arithmetic import is_product
from ..equations.expressions import Expression, Number, Reference, apply, one_axis
from ..equations.making import times
from ..equations.parts import applies, total
from ..equations.quantities import Equation, Quantity
from ..equations.recognising import meaning
from .draft import Draft

ARRANGING = (indexing.getitem, shape.expand_dims, shape.reshape, shape.broadcast_to)  # they commute with a logarithm


def as_mixture(draft: Draft, quantity: Quantity, equation: Equation) -> Expression | None:
    """Write the logarithm of such a sum as a logsumexp, unless the terms or the sum are read elsewhere, too."""
    if not applies(equation.expression, elementwise.log):
        return None
    (given,) = equation.expression.operands
    summed = meaning(given)
    if not applies(summed, reductions.sum):
        return None
    (terms,) = summed.operands
    axis = -1 if terms.ndim == 1 else one_axis(summed.settings.get("axis"))
    is_read_here = all(isinstance(read, Reference) and draft.uses(read.quantity) == 1 for read in (given, terms))
    logs = logarithm(terms) if isinstance(axis, int) and is_read_here else None
    if logs is None:
        return None
    joined = apply(log_probabilities.log_sum_exp, logs, **{**summed.settings, "axis": axis})
    return draft.laid_out(quantity, equation.steps, joined)


def logarithm(value: Expression) -> Expression | None:
    """The logarithm of a product of powers and of shares, as a sum; None of anything else."""
    found = meaning(value)
    if isinstance(found, Number):
        return Number(math.log(found.value)) if found.value > 0 else None
    if applies(found, elementwise.exp):
        return found.operands[0]
    if applies(found, log_probabilities.softmax_of):
        return apply(log_probabilities.log_softmax_of, *found.operands, **found.settings)
    if not found.operands:
        return None
    first, *others = found.operands
    log = logarithm(first)
    if log is None:
        return None
    if applies(found, *ARRANGING):
        return found.with_operands((log, *others))
    if applies(found, elementwise.square, elementwise.sqrt):
        return times(Number(2.0 if found.operation is elementwise.square else 0.5), log)
    logs = [log, *filter(None, map(logarithm, others))]
    if len(logs) < len(found.operands) or not (is_product(found) or applies(found, elementwise.divide)):
        return None
    return total(logs) if is_product(found) else apply(elementwise.subtract, *logs)
