"""Masks that a network computes by a comparison with 0, of which a recording has only the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ...autodiff.rules import activations, elementwise
from ..equations.expressions import Apply, Data, Expression, Number, Reference, Steps, apply
from ..equations.parts import applies, parts
from ..equations.quantities import Quantity
from ..equations.recognising import meaning
from ..running.evaluate import Running, compiled

COMPARISONS = (np.greater, np.less, np.greater_equal, np.less_equal)
FEWEST = 8  # elements of a mask in all: fewer are those of some comparison by chance


def name_comparisons(quantities: list[Quantity], arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``a > 0`` for a mask that equals it at each step, where it multiplies a, or chooses a or what a makes.

    At other numbers, the mask is another one: only the comparison tells which. Where it makes a relu, that is written.

    Args:
        quantities: the quantities of the forward pass.
        arrays: the data that the loss was not given, by name: a mask among those given is no comparison.
    """
    for quantity in quantities:
        for equation in quantity.equations:
            whole = equation.expression
            if not isinstance(whole, Apply) or whole.operation not in (elementwise.where, elementwise.multiply):
                continue
            operands = tuple(_comparison(a, whole.operands, equation.steps, arrays) or a for a in whole.operands)
            if operands != whole.operands:
                equation.expression = _rectified(operands, whole.shape) or whole.with_operands(operands)


def _comparison(
    mask: Expression, beside: tuple[Expression, ...], steps: Steps, arrays: Mapping[str, np.ndarray]
) -> Expression | None:
    """The comparison that gives a mask; None if it is no mask, or comes from elsewhere."""
    data = [part for part in parts(mask) if isinstance(part, Data)]
    is_alone = not any(isinstance(part, Reference) for part in parts(mask))
    if not data or data[0].dtype != np.bool_ or data[0].name not in arrays or not is_alone:
        return None
    run = Running({}, arrays)
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
