"""A draft of the forward pass, which one rewriting after another brings into the form of a textbook.

A rewriting is a function of one equation. It returns another right-hand side, or None if the equation stays as it is.
If the new one has several operations, the draft gets lines for all but the last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from ..equations.expressions import Apply, Expression, Parameter, Reference, Steps
from ..equations.parts import is_here, parts, references_of
from ..equations.quantities import Equation, Letter, Quantity
from ..running.evaluate import Running, compiled

Rewriting = Callable[["Draft", Quantity, Equation], "Expression | None"]


class Draft:
    """The quantities of a forward pass, with the numbers from which they are computed.

    Args:
        quantities: the quantities, each after those that it reads at the same step.
        loss: the one that is derived.
        masks: those through which no gradient flows, since they were computed by comparisons.
        parameters: the parameters, by name.
        data: the arrays that equations read, by name.
        given: the names of those that the loss was given.
    """

    def __init__(
        self,
        quantities: list[Quantity],
        loss: Quantity,
        masks: Collection[Quantity],
        parameters: Mapping[str, np.ndarray],
        data: Mapping[str, np.ndarray],
        given: Collection[str],
    ) -> None:
        self.quantities = quantities
        self.loss = loss
        self.masks = masks
        self.parameters = parameters
        self.data = data
        self.given = given

    def rewrite(self, rewriting: Rewriting) -> None:
        """Replace the right-hand side of each equation for which a rewriting has another."""
        for quantity in list(self.quantities):
            for equation in quantity.equations:
                equation.expression = rewriting(self, quantity, equation) or equation.expression

    def uses(self, quantity: Quantity) -> int:
        """The number of times that equations read a quantity."""
        return sum(read.quantity is quantity for other in self.quantities for read, _ in references_of(other))

    def laid_out(self, whole: Quantity, steps: Steps, expression: Expression) -> Expression:
        """An expression whose operations have a quantity each, but for the last: an equation has one.

        Args:
            whole: the quantity that it defines; the others are computed just before it.
            steps: the steps for which it holds.
            expression: the expression.
        """
        operands = tuple(
            self.before(whole, steps, self.laid_out(whole, steps, operand)) if _takes_a_line(operand) else operand
            for operand in expression.operands
        )
        return expression.with_operands(operands)

    def before(self, whole: Quantity, steps: Steps, expression: Expression) -> Reference:
        """A new quantity, computed just before another."""
        return self._insert(self.quantities.index(whole), whole, steps, expression)

    def after(self, source: Quantity, steps: Steps, expression: Expression) -> Reference:
        """A new quantity, computed just after another."""
        return self._insert(self.quantities.index(source) + 1, source, steps, expression)

    def _insert(self, place: int, beside: Quantity, steps: Steps, expression: Expression) -> Reference:
        run = Running(self.parameters, self.data)
        run.values = {quantity: quantity.values for quantity in self.quantities}
        made = Quantity(expression.shape, beside.layer, equations=[Equation(steps, expression)])
        made.loop = beside.loop if steps else None
        with np.errstate(all="ignore"):  # where the recorded numbers overflow, these do
            made.values = {t: compiled(expression)(run, t) for t in steps or (None,)}
        self.quantities.insert(place, made)
        return Reference(made, 0 if steps else None)

    def call_softmax(self, p: Quantity, z: Any) -> None:
        """Give the softmax of a value its usual letter, and let the value know it, unless it has another already."""
        if is_here(z) and z.quantity.softmax is None:
            z.quantity.softmax, p.letter = p, Letter("p")


def _takes_a_line(operand: Expression) -> bool:
    """Return True for an operation on values, not on numbers alone."""
    return isinstance(operand, Apply) and any(parts(operand, Reference, Parameter))
