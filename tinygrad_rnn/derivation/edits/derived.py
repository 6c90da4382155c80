"""The parts of a derivation that its editors and markers read."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..equations.lines import Line
from ..equations.quantities import Quantity


class Derived(Protocol):
    """The derivation of a network: its lines, and the numbers with which it was recorded.

    Attributes:
        lines: its lines, in the order in which they are written down.
        forward: the quantities of the forward pass.
        backward: the quantities of the backward pass.
        loss: the quantity that is derived.
        names: the name of each parameter in the lines.
        parameters: the values of the parameters, by their own names.
        data: the other arrays, by name.
        given: all arrays that the loss was given, by name.
    """

    lines: list[Line]
    forward: list[Quantity]
    backward: list[Quantity]
    loss: Quantity
    names: dict[str, str]
    parameters: dict[str, np.ndarray]
    data: dict[str, Any]
    given: dict[str, Any]
