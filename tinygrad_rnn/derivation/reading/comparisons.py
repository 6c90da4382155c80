"""Masks that a network computes by comparisons: written where they are read, ``where(a > 0, a, 0)``.

Of a loss that came recorded, there are only the results of comparisons; those with 0 are recognised by their values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

import numpy as np

from ...autodiff.rules import activations, elementwise
from ..equations.expressions import Apply, Data, Expression, Number, Reference, Steps, apply
from ..equations.parts import applies, as_read, parts, references_of, replaced
from ..equations.quantities import Equation, Quantity
from ..equations.recognising import meaning
from ..running.evaluate import Running, compiled
from .draft import Draft

COMPARISONS = (np.greater, np.less, np.greater_equal, np.less_equal)
FEWEST = 8  # elements of a mask in all: fewer are those of some comparison by chance


def write_out_masks(draft: Draft) -> None:
    """Write the definition of each mask in its place; a mask without the same definition at all steps stays a line."""
    draft.rewrite(_with_masks)
    still_read = {read.quantity for quantity in draft.quantities for read, _ in references_of(quantity)}
    draft.quantities = [q for q in draft.quantities if q not in draft.masks or q in still_read]


def _with_masks(draft: Draft, quantity: Quantity, equation: Equation) -> Expression:
    written = replaced(equation.expression, partial(_written_out, draft.masks, equation.steps))
    return written if quantity in draft.masks else _as_relu(written)


def _written_out(masks: Collection[Quantity], steps: Steps, part: Expression) -> Expression | None:
    """The definition of a mask, seen from the step where it is read; None for anything else."""
    if not isinstance(part, Reference) or part.quantity not in masks:
        return None
    equations = [part.quantity.equation_at(part.step(t)) for t in steps or (None,)]
    first = equations[0]
    if first is None or any(equation is not first for equation in equations):
        return None
    return as_read(replaced(first.expression, partial(_written_out, masks, first.steps)), part)


def _as_relu(whole: Expression) -> Expression:
    """The function relu for its spelling with a mask; anything else itself."""
    if not applies(whole, elementwise.where, elementwise.multiply):
        return whole
    return _rectified(whole.operands, whole.shape) or whole


def as_comparison(draft: Draft, quantity: Quantity, equation: Equation) -> Expression | None:
    """Write ``a > 0`` for a mask that equals it at each step, where it multiplies a, or chooses a or what a makes.

    At other numbers, the mask is another one: only the comparison tells which. Where it makes a relu, that is written.
    """
    whole = equation.expression
    if not applies(whole, elementwise.where, elementwise.multiply):
        return None
    operands = tuple(_comparison(a, whole.operands, equation.steps, draft) or a for a in whole.operands)
    return _as_relu(whole.with_operands(operands)) if operands != whole.operands else None


def _comparison(mask: Expression, beside: tuple[Expression, ...], steps: Steps, draft: Draft) -> Expression | None:
    """The comparison that gives a mask; None if it is no mask, or was given to the loss."""
    data = list(parts(mask, Data))
    is_alone = not any(parts(mask, Reference))
    if not data or data[0].dtype != np.bool_ or data[0].name in draft.given or not is_alone:
        return None
    run = Running({}, draft.data)
    masks = [np.asarray(compiled(mask)(run, t)) for t in steps or (None,)]
    everywhere = np.concatenate([np.ravel(value) for value in masks])
    if len(everywhere) < FEWEST or np.all(everywhere == everywhere[0]):
        return None  # many comparisons give it
    for a in _values(beside, mask):
        values = [a.quantity.values.get(a.step(t), np.nan) for t in steps or (None,)]
        if not all(np.isrealobj(value) and np.all(np.isfinite(value)) for value in values):
            continue  # a mask of what is no number has other reasons
        for compare in COMPARISONS:
            if all(np.array_equal(compare(value, 0), m) for value, m in zip(values, masks)):
                return Apply(compare, (a, Number(0)), {}, a.shape)
    return None


def _values(beside: tuple[Expression, ...], mask: Expression) -> Iterator[Reference]:
    """The values of which a mask can be made: those that it chooses or multiplies, and what these are computed from."""
    for operand in beside:
        for value in (operand, *meaning(operand).operands):
            if isinstance(value, Reference) and value.shape == mask.shape:
                yield value


def _rectified(operands: tuple[Expression, ...], to: tuple[int, ...]) -> Expression | None:
    """The function relu, if this is it: ``where(a > 0, a, 0)``, or ``a (a > 0)``."""
    mask, a, *rest = operands if isinstance(operands[0], Apply) else operands[::-1]
    is_mask = applies(mask, np.greater) and mask.operands == (a, Number(0))
    return apply(activations.rectifier, a) if is_mask and rest in ([], [Number(0)]) and a.shape == to else None
