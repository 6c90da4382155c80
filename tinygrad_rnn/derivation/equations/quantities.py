"""Quantities: the values of a network as the letters of a derivation, each with its equations.

A quantity is a value at every step (``h``), or a value without steps (``L``). An equation defines it at some steps;
most quantities have one equation, and the first step has its own only if the network differs there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.scope import Label
from .expressions import Expression, Reference, Shape, Steps


@dataclass
class Equation:
    """An equation: the definition of a quantity at some steps; without steps if they are ``()``."""

    steps: Steps
    expression: Expression


class Sensitivity(NamedTuple):
    """The kind of derivative that a quantity of the forward mode is.

    Attributes:
        of: the quantity that is differentiated.
        by: the name of a parameter, or a state of the step before.
        direct: whether the states of the step before are held fixed.
    """

    of: Quantity
    by: str | Quantity
    direct: bool


@dataclass(eq=False)
class Quantity:
    """A letter of the derivation.

    Attributes:
        shape: the shape of its value at a step.
        layer: the layer in which it was made.
        labels: its names in the model.
        equations: its definitions.
        values: the recorded value at each step; under None if it has no steps.
        adjoint_of: the quantity or the parameter whose derivative it is, if it is one.
        sensitivity: the kind of derivative of a forward quantity that it is, if it is one.
        entries: the shape of ``W`` if its equations are about a derivative by one entry of ``W``; else ().
        direct: whether it is a derivative of the loss with all states held fixed.
        name: in plain letters: ``dL/dh``, ``delta_f``.
        base: the letter: ``h`` of ``dL/dh``, ``delta`` of ``delta_f``.
        mark: the mark that distinguishes it from others with this letter: a gate, a layer, a number.
        loop: the number of the loop over time that computes it; None if it has no steps.
        hint: the letter that textbooks have for it, if known; it then has a line of its own.
        softmax: the softmax of it, if that is a quantity.
    """

    shape: Shape
    layer: Any = None
    labels: tuple[Label, ...] = ()
    equations: list[Equation] = field(default_factory=list)
    values: dict[int | None, np.ndarray] = field(default_factory=dict)
    adjoint_of: Any = None
    sensitivity: Sensitivity | None = None
    entries: Shape = ()
    direct: bool = False
    name: str = ""
    base: str = ""
    mark: str = ""
    loop: Any = None
    hint: str | None = None
    softmax: Quantity | None = None

    @property
    def steps(self) -> Steps:
        """The steps at which it has a value; none if it has no steps."""
        return tuple(sorted(t for equation in self.equations for t in equation.steps))

    @property
    def kind(self) -> str:
        """The part of a derivation that it belongs to: forward, backward, gradient or sensitivity."""
        if self.sensitivity is not None:
            return "sensitivity"
        if self.adjoint_of is None:
            return "forward"
        return "gradient" if isinstance(self.adjoint_of, str) else "backward"

    def at(self, t: int | None) -> Reference:
        """The reference to it at one step."""
        return Reference(self, None, t)

    def label(self, *roles: str) -> str | None:
        """The name that the model gives it in one of these roles."""
        return next((label.name for role in roles for label in self.labels if label.role == role), None)

    def equation_at(self, t: int | None) -> Equation | None:
        """The equation that holds at a step; None if it has no value there."""
        return next((e for e in self.equations if t in e.steps or (t is None and not e.steps)), None)

    def __repr__(self) -> str:
        return f"<{self.name or 'quantity'} {self.shape}>"


Place = tuple[Quantity, "int | None"]  # of a value: the quantity, and the step if it has steps
