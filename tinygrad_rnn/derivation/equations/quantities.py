"""Quantities: the values of a network as the letters of a derivation, each with its equations.

A quantity is a value at every step (``h``), or a value without steps (``L``). An equation defines it at some steps;
most quantities have one equation, and the first step has its own only if the network differs there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.scope import Label
from .expressions import Expression, Shape, Steps


@dataclass
class Equation:
    """An equation: the definition of a quantity at some steps; without steps if they are ``()``."""

    steps: Steps
    expression: Expression


class Letter(NamedTuple):
    """The letter of a quantity that is no derivative, or whose derivative this one is."""

    base: str = ""  # the letter alone; ``delta`` for the derivative by a pre-activation, which has a letter of its own
    mark: str = ""  # the mark that distinguishes it from others with this letter: a gate, a layer, a number
    is_silent: bool = False  # whether the mark isn't printed, because others have steps and this one has none

    @property
    def printed(self) -> tuple[str, str]:
        """The letter and the mark that are printed."""
        return self.base, "" if self.is_silent else self.mark

    def __str__(self) -> str:
        return f"{self.base}_{self.mark}" if self.mark else self.base


NO_LETTER = Letter()


class Derivative(NamedTuple):
    """The derivative that a quantity is.

    Attributes:
        by: the name of a parameter, or a quantity: for derivatives of the loss one of the same step, else a state of
            the step before.
        of: the quantity that is differentiated; None for the loss.
        direct: whether the states of other steps are held fixed, where that makes a difference.
        is_kept: whether it keeps a line of its own, whatever its form.
    """

    by: str | Quantity
    of: Quantity | None = None
    direct: bool = False
    is_kept: bool = False


@dataclass(eq=False)
class Quantity:
    """A letter of the derivation."""

    shape: Shape  # the shape of its value at a step
    layer: Any = None  # the layer in which it was made
    labels: tuple[Label, ...] = ()  # its names in the model
    variable: str | None = None  # what the user calls it, if known
    equations: list[Equation] = field(default_factory=list)  # its definitions
    values: dict[int | None, np.ndarray] = field(default_factory=dict)  # by step; under None if it has no steps
    loop: Any = None  # the number of the loop over time that computes it; None if it has no steps
    derivative: Derivative | None = None  # the derivative that it is, if it is one
    entries: Shape = ()  # the shape of ``W`` if its equations are about a derivative by one entry of ``W``
    softmax: Quantity | None = None  # the softmax of it, if that is a quantity
    letter: Letter = NO_LETTER  # given from the beginning if textbooks have one: then it has a line of its own

    @property
    def steps(self) -> Steps:
        """The steps at which it has a value; none if it has no steps."""
        return tuple(sorted(t for equation in self.equations for t in equation.steps))

    @property
    def kind(self) -> str:
        """The part of a derivation that it belongs to: forward, backward, gradient or sensitivity."""
        if self.derivative is None:
            return "forward"
        if self.derivative.of is not None:
            return "sensitivity"
        return "gradient" if isinstance(self.derivative.by, str) else "backward"

    @property
    def adjoint_of(self) -> Any:
        """The quantity or the parameter by which it is the derivative of the loss; None if it is something else."""
        return None if self.derivative is None or self.derivative.of is not None else self.derivative.by

    @property
    def name(self) -> str:
        """The name in plain letters: ``h``, ``dL/dh``, ``delta_f``."""
        if self.derivative is None or self.letter.base == "delta":
            return str(self.letter)
        by, of, direct, _ = self.derivative
        below = by if isinstance(by, str) else by.name
        return f"d{'+' if direct else ''}{'L' if of is None else of.name}/d{below}"

    def label(self, *roles: str) -> str | None:
        """The name that the model gives it in one of these roles."""
        return next((label.name for role in roles for label in self.labels if label.role == role), None)

    def equation_at(self, t: int | None) -> Equation | None:
        """The equation that holds at a step; None if it has no value there."""
        return next((e for e in self.equations if t in e.steps or (t is None and not e.steps)), None)

    def __repr__(self) -> str:
        return f"<{self.name or 'quantity'} {self.shape}>"


Place = tuple[Quantity, "int | None"]  # of a value: the quantity, and the step if it has steps
