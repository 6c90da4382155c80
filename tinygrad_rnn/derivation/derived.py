"""The parts of a derivation that its editors and markers read."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from .lines import Line
from .quantities import Quantity


class Derived(Protocol):
    """A network, derived: its lines, and the numbers that it was recorded with.

    Attributes:
        lines: in the order in which they are written down.
        forward: the quantities of the forward pass.
        backward: those of the backward pass.
        loss: the quantity that is derived.
        names: what each parameter is called in the lines.
        parameters: their values, by their own names.
        data: the other arrays, by name.
    """

    lines: list[Line]
    forward: list[Quantity]
    backward: list[Quantity]
    loss: Quantity
    names: dict[str, str]
    parameters: dict[str, np.ndarray]
    data: dict[str, Any]
