"""The options of a picture."""

from __future__ import annotations

from typing import NamedTuple

from .reading.paths import Highlight


class Options(NamedTuple):
    """The arguments of ``draw``, checked."""

    level: str = "op"
    view: str = "unrolled"
    direction: str = "forward"
    shapes: bool = False
    values: bool = False
    gradients: bool = False
    color: str | None = None
    highlight: Highlight | None = None
    formulas: bool = False
    elide: bool = True
    title: str | None = None

    @property
    def is_rolled(self) -> bool:
        """True if one step stands for all; layers have no steps, so their view is rolled."""
        return self.view == "rolled" or self.level == "layer"

    @property
    def needs_gradients(self) -> bool:
        """True if a backward walk has to be observed."""
        return self.gradients or self.color == "gradient"

    @property
    def shows_equations(self) -> bool:
        """True if the equations of the cells are written below."""
        return self.formulas or self.level in ("cell", "layer")
