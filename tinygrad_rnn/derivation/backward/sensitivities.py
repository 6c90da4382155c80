"""Sensitivities: derivatives carried forward in time, one for each entry of what is moved.

If an entry of ``W`` is moved, the engine's own jvp rules say how the value of each forward line moves. From one step to
the next, this is the recursion of real-time recurrent learning; within one step, for a moved state of the step before,
it is a Jacobian. The loss adds its direct derivatives by the states, with the other states held fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...autodiff.rules import elementwise, reductions
from ..equations.arithmetic import is_zero
from ..equations.entries import Entry, Unit
from ..equations.expressions import Apply, Expression, Number, Parameter, Reference, Shape, Stack, Sum
from ..equations.making import broadcast, with_operand
from ..equations.not_writable import NotWritable
from ..equations.parts import closure, places_read, references_of, total
from ..equations.quantities import Derivative, Equation, Place, Quantity
from ..reading.rules import jvp
from .adjoints import active, adjoints, over_steps, uses


def real_time(forward: list[Quantity], root: Place, parameters: Mapping[str, Shape]) -> list[Quantity]:
    """Real-time recurrent learning: the derivatives of the states by each parameter, and the gradients.

    Args:
        forward: the quantities of the forward pass.
        root: the loss, at its last step if it has steps.
        parameters: the shape of each, by name.

    Raises:
        NotWritable: an operation's forward rule can't be written in lines; the error names it.
    """
    states = carried(forward, root[0])
    direct = held_adjoints(forward, root, parameters, states)
    by_state = {made.adjoint_of: made for made in direct if made.adjoint_of in states and made.equations}
    found: list[Quantity] = []
    for made in (made for made in direct if isinstance(made.adjoint_of, str)):
        name = made.adjoint_of
        sensitivities = Moved(forward, name, parameters[name]).of(by_state)
        if any(state in sensitivities for state in by_state):
            found += sensitivities.values()
            terms = [_through(e, sensitivities[state]) for state, e in by_state.items() if state in sensitivities]
            _add_to_gradient(made, terms, parameters[name])
    return [*found, *direct]


def carried(forward: list[Quantity], root: Quantity) -> list[Quantity]:
    """The states: quantities that depend on a parameter, and are read at another step of their own loop."""
    found = ((read, quantity) for quantity in forward for read, _ in references_of(quantity))
    read = {read.quantity for read, quantity in found if read.shift and read.quantity.loop == quantity.loop}
    return [quantity for quantity in active(forward) if quantity in read and quantity is not root]


def held_adjoints(
    forward: list[Quantity], root: Place, parameters: Mapping[str, Shape], states: list[Quantity]
) -> list[Quantity]:
    """The derivatives of the loss that don't pass through a state."""
    direct = adjoints(forward, root, dict(parameters), held=states)
    before = set(upstream(forward, states))
    for made in direct:
        by = made.adjoint_of
        made.derivative = Derivative(by, direct=by in before, is_kept=by in states)
    return direct


def upstream(forward: list[Quantity], of: Iterable[Quantity]) -> list[Quantity]:
    """These quantities and their ancestors, in the order of the forward pass."""
    found = closure(of, lambda quantity: (read.quantity for read, _ in references_of(quantity)))
    return [quantity for quantity in forward if quantity in found]


def _through(e: Quantity, sensitivity: Quantity) -> Expression:
    """The contribution to a gradient by way of a state."""
    steps = tuple(t for t in e.steps if t in sensitivity.steps)
    shift = 0 if steps else None
    whole = Apply(elementwise.multiply, (Reference(e, shift), Reference(sensitivity, shift)), {}, e.shape)
    inner = Apply(reductions.sum, (whole,), {}, ()) if e.shape else whole
    return over_steps(steps, inner) if steps else inner


def _add_to_gradient(made: Quantity, terms: list[Expression], shape: Shape) -> None:
    """Write a gradient entry by entry, with more terms than the direct ones."""
    own = [Entry(equation.expression) if shape else equation.expression for equation in made.equations]
    made.equations = [Equation((), total([*terms, *own]))]
    made.shape, made.entries = (), shape


class Moved:
    """The derivatives of quantities by each entry of a parameter, or of a state of the step before.

    Args:
        forward: the quantities of the forward pass.
        by: the parameter or state that is moved.
        shape: its shape.
        held: states that are held fixed at the step before, so that only one step is differentiated; their derivatives
            keep lines of their own.
    """

    def __init__(
        self, forward: list[Quantity], by: str | Quantity, shape: Shape, held: Iterable[Quantity] = ()
    ) -> None:
        self.forward = forward
        self.by = by
        self.unit: Expression = Unit(by, shape) if shape else Number(1.0)
        self.shape = shape
        self.held = set(held)
        self.found: dict[Quantity, Quantity] = {}

    def of(self, wanted: Iterable[Quantity]) -> dict[Quantity, Quantity]:
        """The sensitivities of some quantities, and of all quantities in between, by quantity."""
        within = upstream(self.forward, wanted)
        self.found = {quantity: self._made(quantity) for quantity in self._moving(within)}
        for quantity, made in self.found.items():
            made.equations = [Equation(e.steps, self._moved(quantity, e)) for e in quantity.equations]
        if self.held:
            self._leave_out_zeros_before()
        return self.found

    def _leave_out_zeros_before(self) -> None:
        """Leave out sensitivities that are 0 before anything moves, if nothing reads them."""
        made = self.found.values()
        equations = [e for quantity in made for e in quantity.equations]
        begin = min((t for e in equations if not is_zero(e.expression) for t in e.steps), default=0)
        read = {place for e in equations for place in places_read(e.expression, e.steps)}
        for quantity in made:
            quantity.equations = [
                e
                for e in quantity.equations
                if not (e.steps and is_zero(e.expression) and max(e.steps) < begin)
                or any((quantity, t) in read for t in e.steps)
            ]

    def _made(self, quantity: Quantity) -> Quantity:
        direct = bool(self.held) and isinstance(self.by, str)
        which = Derivative(self.by, quantity, direct, is_kept=quantity in self.held)
        made = Quantity(quantity.shape, quantity.layer, quantity.labels, derivative=which, entries=self.shape)
        made.loop = quantity.loop and ("sensitivities", quantity.loop)
        return made

    def _moving(self, among: list[Quantity]) -> list[Quantity]:
        """The quantities that move at all."""
        self.found = {}
        size = -1
        while size < len(self.found):
            size = len(self.found)
            for quantity in among:
                if any(self._tangents(equation.expression) for equation in quantity.equations):
                    self.found[quantity] = quantity  # until the real one exists
        return [quantity for quantity in among if quantity in self.found]

    def _tangents(self, expression: Expression) -> dict[int, Expression]:
        """The tangents of an equation's operands, by their numbers; -1 is the whole right-hand side."""
        rules = getattr(expression.operation, "jvps", None) if isinstance(expression, Apply) else ()
        if rules is None:  # a comparison or a count: it doesn't move
            return {}
        found = {}
        for used, number in uses(expression):
            moved = self._operand(used)
            if moved is not None and not _has_no_rule(rules, number):
                found[number] = moved
        return found

    def _operand(self, used: Expression) -> Expression | None:
        if isinstance(used, Parameter):
            return self.unit if used.name == self.by else None
        assert isinstance(used, Reference)
        if used.quantity in self.held and used.shift == -1:
            return self.unit if used.quantity is self.by else None
        return used.to(self.found[used.quantity]) if used.quantity in self.found else None

    def _moved(self, quantity: Quantity, equation: Equation) -> Expression:
        """The tangent of a quantity, by one of its equations."""
        expression = equation.expression
        tangents = self._tangents(expression)
        moved = self._rule(quantity, expression, tangents, bool(equation.steps)) if tangents else Number(0.0)
        return broadcast(moved, quantity.shape)

    def _rule(
        self, quantity: Quantity, expression: Expression, tangents: dict[int, Expression], stepped: bool
    ) -> Expression:
        if isinstance(expression, (Sum, Stack)):
            return expression.with_operands((tangents[0],))
        if -1 in tangents:
            return tangents[-1]
        assert isinstance(expression, Apply)
        if expression.operation is elementwise.add:
            return total(list(tangents.values()))
        if expression.operation.is_linear and not callable(expression.operation.jvps):
            return total([with_operand(expression, number, tangent) for number, tangent in tangents.items()])
        found = jvp(expression, tangents, Reference(quantity, 0 if stepped else None))
        if found is None:
            raise NotWritable(f"{expression.name} has no forward rule that can be written in lines")
        return found


def _has_no_rule(rules: Any, number: int) -> bool:
    return not callable(rules) and 0 <= number < len(rules) and rules[number] is None
