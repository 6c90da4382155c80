"""Softmaxes: a line for each, and the logarithm of one taken at once, so that derivatives contain p - y."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np

from ...autodiff.rules import elementwise, indexing, log_probabilities
from ..equations.arithmetic import is_product
from ..equations.expressions import Apply, Data, Expression, Number, Reference, Steps, apply, one_axis
from ..equations.parts import applies, parts, replaced
from ..equations.quantities import Equation, Quantity
from ..equations.recognising import axis_of, meaning
from .draft import Draft


def chosen_first(draft: Draft, quantity: Quantity, equation: Equation) -> Expression | None:
    """Write ``clip(p, eps, 1)[y]``, where p is a softmax, as ``clip(p[y], eps, 1)``: p[y] has a short derivative."""
    taken = equation.expression
    if len(quantity.equations) > 1 or not applies(taken, indexing.getitem):
        return None
    found = _chosen_first(draft, taken.operands[0], taken)
    return draft.laid_out(quantity, equation.steps, found) if found is not None and found != taken else None


def _chosen_first(draft: Draft, value: Expression, taken: Apply) -> Expression | None:
    whole = meaning(value)
    if applies(whole, log_probabilities.softmax_of):
        draft.call_softmax(value.quantity, whole.operands[0])  # type: ignore[attr-defined]
        return taken.with_operands((value, *taken.operands[1:]))
    if not isinstance(whole, Apply) or not getattr(whole.operation, "by_element", False):
        return None
    read = [a for a in whole.operands if not isinstance(a, Number)]
    if len(read) != 1 or not isinstance(read[0], Reference) or read[0].shape != whole.shape:
        return None
    inner = _chosen_first(draft, read[0], taken)
    if inner is None:
        return None
    return apply(whole.operation, *(a if isinstance(a, Number) else inner for a in whole.operands), **whole.settings)


def as_log_softmax(draft: Draft, quantity: Quantity, equation: Equation) -> Expression | None:
    """Take the logarithm of a softmax, or of one of its elements, at once."""
    if not applies(equation.expression, elementwise.log):
        return None
    (given,) = equation.expression.operands
    inner = meaning(given)
    p = inner.operands[0] if applies(inner, indexing.getitem) else given
    whole = meaning(p)
    if not isinstance(p, Reference) or not applies(whole, log_probabilities.softmax_of) or axis_of(whole) < 0:
        return None
    if not all(np.all(value > 0) for value in p.quantity.values.values()):  # log 0, which log_softmax never is
        return None
    (own,) = p.quantity.equations
    draft.call_softmax(p.quantity, own.expression.operands[0])
    if not applies(inner, indexing.getitem):
        return _log_softmax(whole)
    logs = draft.after(p.quantity, own.steps, _log_softmax(own.expression)).quantity
    return inner.with_operands((p.to(logs), *inner.operands[1:]))


def _log_softmax(softmax: Apply) -> Expression:
    return apply(log_probabilities.log_softmax_of, *softmax.operands, **softmax.settings)


def add_softmaxes(draft: Draft) -> None:
    """Add a line p = softmax(z) beside each logsumexp(z) and log_softmax(z), whose derivatives contain it."""
    for quantity in list(draft.quantities):
        for equation in quantity.equations:
            whole = equation.expression
            if not applies(whole, log_probabilities.log_sum_exp, log_probabilities.log_softmax_of):
                continue
            z, axis = whole.operands[0], one_axis(whole.settings.get("axis"))
            if isinstance(axis, int) and isinstance(z, Reference) and not z.shift and z.quantity.softmax is None:
                own = Reference(z.quantity, 0 if z.quantity.steps else None)
                draft.call_softmax(_softmax(draft, own, axis % z.ndim, equation.steps), own)


def _softmax(draft: Draft, z: Reference, axis: int, steps: Steps) -> Quantity:
    """The softmax of a value: that which the network computes at these steps, or a new line."""
    for quantity in draft.quantities:
        for equation in quantity.equations if set(steps).issubset(quantity.steps) else ():
            whole = equation.expression
            if applies(whole, log_probabilities.softmax_of) and whole.operands == (z,) and axis_of(whole) == axis:
                return quantity
    softmax = apply(log_probabilities.softmax_of, z, axis=-1 if axis == z.ndim - 1 else axis)
    found: Quantity = draft.after(z.quantity, z.quantity.steps, softmax).quantity
    return found


def mark_distributions(draft: Draft) -> set[str]:
    """Mark targets of a cross-entropy whose rows add up to 1, so that the derivative is p - y; return their names."""
    found = {name for quantity in draft.quantities for e in quantity.equations for name in _distributions(draft, e)}
    draft.rewrite(lambda draft, quantity, equation: replaced(equation.expression, partial(_marked, found)))
    return found


def _distributions(draft: Draft, equation: Equation) -> list[str]:
    """The targets that an equation multiplies by the logarithm of a softmax, if their rows add up to 1."""
    found = []
    for y, logs in itertools.permutations(equation.expression.operands, 2) if is_product(equation.expression) else ():
        target = y.quantity.equations[0] if isinstance(y, Reference) else equation
        data = list(parts(target.expression, Data))
        is_logs = applies(meaning(logs), log_probabilities.log_softmax_of)
        if not is_logs or len(data) != 1 or y.shape != logs.shape:
            continue
        array = draft.data[data[0].name]
        if array.shape[-1:] == y.shape[-1:] and np.allclose(np.sum(array, axis=-1), 1, rtol=0, atol=1e-12):
            found.append(data[0].name)
    return found


def _marked(names: set[str], part: Expression) -> Expression | None:
    if not isinstance(part, Data) or part.name not in names:
        return None
    return Data(part.name, part.shape, part.dtype, adds_up=True)
