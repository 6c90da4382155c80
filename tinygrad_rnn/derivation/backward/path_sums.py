"""The sum over paths: the gradient of each step's loss through each earlier step, with products of Jacobians.

``∂L/∂W = Σ_t Σ_{k≤t} ∂⁺L/∂h_t · ∂h_t/∂h_{t-1} ⋯ ∂h_{k+1}/∂h_k · ∂⁺h_k/∂W``: the loss acts on h_t directly, h_t on
each state before it by the Jacobians of the steps between, and W on h_k directly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..equations.expressions import Expression, OverSteps, Reference, Shape, Steps
from ..equations.not_writable import NotWritable
from ..equations.parts import references, total
from ..equations.quantities import Equation, Place, Quantity
from .adjoints import active
from .sensitivities import Moved, carried, held_adjoints, upstream


def over_paths(forward: list[Quantity], root: Place, parameters: Mapping[str, Shape]) -> list[Quantity]:
    """Jacobians of a step, direct derivatives, and the gradients as sums over paths.

    Args:
        forward: the quantities of the forward pass.
        root: the loss, at its last step if it has steps.
        parameters: the shape of each, by name.

    Raises:
        NotWritable: a step depends on others than the one before it; the error names the line.
    """
    states = carried(forward, root[0])
    _refuse_other_steps(forward, states)
    direct = held_adjoints(forward, root, parameters, states)
    by_state = {made.adjoint_of: made for made in direct if made.adjoint_of in states and made.equations}
    found: list[Quantity] = []
    jacobians: dict[tuple[Quantity, Quantity], Quantity] = {}
    for state in states:
        moved = Moved(forward, state, state.shape, held=states).of(states)
        found += moved.values()
        jacobians |= {(state, later): moved[later] for later in states if later in moved}
    for made in (made for made in direct if isinstance(made.adjoint_of, str)):
        moved = Moved(forward, made.adjoint_of, parameters[made.adjoint_of], held=states).of(states)
        begun = {state: moved[state] for state in states if state in moved}
        if begun and by_state:
            found += moved.values()
            paths = Paths(states, by_state, jacobians, begun, made.adjoint_of, parameters[made.adjoint_of])
            made.equations = [Equation((), total([paths, *(equation.expression for equation in made.equations)]))]
    return [*found, *direct]


def _refuse_other_steps(forward: list[Quantity], states: list[Quantity]) -> None:
    """Raise NotWritable if a step reads anything but its own values and the states of the step before."""
    moving = set(active(forward))
    for quantity in upstream(forward, states):
        for equation in quantity.equations:
            is_whole = isinstance(equation.expression, OverSteps) or not quantity.steps
            for reference, _ in references(equation.expression, equation.steps):
                at_hand = reference.shift == 0 or (reference.shift == -1 and reference.quantity in states)
                if reference.quantity in moving and reference.quantity.steps and (is_whole or not at_hand):
                    raise NotWritable(
                        'style="sums" needs a loop in which each step reads only the step before it, and here a step '
                        "reads others (the end of another loop, an earlier or later step, or several). "
                        'Use style="rtrl" or the usual style.'
                    )


class Paths(OverSteps):
    """The sum over paths from the loss at each step to a parameter at each earlier one.

    Args:
        states: the states that are handed from step to step.
        ends: the loss's direct derivatives by the states.
        jacobians: the Jacobians of a state by a state of the step before.
        begun: the states' direct derivatives by the parameter.
        parameter: the name of the parameter.
        shape: the shape of the parameter.
    """

    def __init__(
        self,
        states: list[Quantity],
        ends: Mapping[Quantity, Quantity],
        jacobians: Mapping[tuple[Quantity, Quantity], Quantity],
        begun: Mapping[Quantity, Quantity],
        parameter: str,
        shape: Shape,
    ) -> None:
        self.parameter = parameter
        self.states = states
        self.ends = dict(ends)
        self.jacobians = dict(jacobians)
        self.begun = dict(begun)
        self.shape = shape
        self.steps: Steps = tuple(sorted({t for e in self.ends.values() for t in e.steps}))
        read = [*self.ends.values(), *self.jacobians.values(), *self.begun.values()]
        self.operands: tuple[Expression, ...] = tuple(Reference(quantity, 0) for quantity in read)

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """The same expression: the quantities that it reads have lines of their own."""
        return self

    @property
    def first(self) -> int:
        """The first step at which the parameter acts."""
        return min(t for quantity in self.begun.values() for t in quantity.steps)

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function of a run that gives its value."""

        def run_paths(run: Any, _: Any) -> Any:
            total = np.zeros(self.shape)
            for t in self.steps:
                reach = {s: run.values[e][t] for s, e in self.ends.items() if t in e.steps}
                for k in range(t, self.first - 1, -1):
                    for state, g in reach.items():
                        if state in self.begun and k in self.begun[state].steps:
                            total = total + _contracted(run.values[self.begun[state]][k], g)
                    reach = self._one_step_back(run, reach, k)
            return total

        return run_paths

    def written(self, writer: Any) -> tuple[str, int]:
        """The text of the expression, and how tightly it binds."""
        written: tuple[str, int] = writer.paths(self)
        return written

    def _one_step_back(self, run: Any, reach: Mapping[Quantity, Any], k: int) -> dict[Quantity, Any]:
        found: dict[Quantity, Any] = {}
        for (earlier, later), jacobian in self.jacobians.items():
            if later in reach and k in jacobian.steps:
                found[earlier] = found.get(earlier, 0) + _contracted(run.values[jacobian][k], reach[later])
        return found


def _contracted(sensitivity: Any, g: Any) -> Any:
    """A row times a Jacobian, summed over the axes of the differentiated value, which come last in the row."""
    return np.tensordot(sensitivity, g, np.ndim(g))
