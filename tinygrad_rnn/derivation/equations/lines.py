"""Lines: a derivation as data, which other modules write, run or edit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .expressions import Expression, Shape, Steps
from .order import in_order
from .quantities import Place, Quantity


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a derivation: ``delta_t = dL/dh_t ∘ (1 - h_t²)`` for t = T..1.

    Attributes:
        quantity: the quantity that the line defines.
        kind: "forward", "backward" or "gradient"; "sensitivity" for lines of the forward mode.
        steps: the steps for which it holds; none if it has no steps.
        expression: the right-hand side.
        why: the reasons, in words.
    """

    quantity: Quantity
    kind: str
    steps: Steps
    expression: Expression
    why: tuple[str, ...] = ()

    @property
    def places(self) -> list[Place]:
        """The values that it gives: its quantity at each of its steps, or once."""
        return [(self.quantity, t) for t in self.steps or (None,)]

    @property
    def name(self) -> str:
        """The name of the line: ``delta``, ``dL/dh``, ``dL/dW``."""
        return self.quantity.name

    @property
    def variable(self) -> str:
        """The name as a Python variable: ``dL_dh``."""
        return self.name.replace("/", "_").replace(".", "_")

    @property
    def layer(self) -> Any:
        """The layer that it belongs to; None if there is no other."""
        return self.quantity.layer

    @property
    def shape(self) -> Shape:
        """The shape of its value at one step; for derivatives by each entry of a parameter, the entries come first."""
        return (*self.quantity.entries, *self.quantity.shape)

    def __repr__(self) -> str:
        return f"<line {self.name}>"


def in_order_of_computation(lines: Iterable[Line]) -> list[tuple[Line, int | None]]:
    """Each line at each of its steps, after those that it reads there."""
    return [(line, t) for (_, t), line in in_order((line.quantity, line) for line in lines).items()]
