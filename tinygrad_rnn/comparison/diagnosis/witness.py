"""The manual side as a witness: its claims at other values of the parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...derivation.derivation import Derivation
from ...derivation.edits.editing import Bench
from ..measures import Tolerance
from ..rows import Sides


class Witness:
    """A manual side that can be called again, if it is a function.

    Args:
        derivation: the right derivation.
        sides: the two sides.
        tolerance: the difference up to which two arrays are equal.
    """

    def __init__(self, derivation: Derivation, sides: Sides, tolerance: Tolerance) -> None:
        self.derivation, self.sides, self.tolerance = derivation, sides, tolerance

    def at(
        self, values: Mapping[str, np.ndarray], bench: Bench, data: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray] | None:
        """Its gradients, by their names in lines; None if it can't be called, or the lines don't hold there.

        Args:
            values: the values of the parameters, by their own names.
            bench: a run of the lines at these values.
            data: other arrays than the recorded ones, by name.
        """
        again = self.sides.again(values, self.derivation.all_data(data) if data else None)
        if again is None or not self._holds(again, bench):
            return None
        here, found = self._gradients(self.sides), self._gradients(again)
        is_constant = all(np.array_equal(here[name], found.get(name, here[name])) for name in here)
        return found if here.keys() == found.keys() and not is_constant else None

    def _holds(self, again: Sides, bench: Bench) -> bool:
        """Return True if the lines give the gradients there; they don't if another branch is taken."""
        right = again.recording.gradients() if again.recording is not self.sides.recording else {}
        names = self.derivation.names
        return all(self.tolerance.equal(bench.gradient(names[n]), g, beside=bench.largest) for n, g in right.items())

    def _gradients(self, sides: Sides) -> dict[str, np.ndarray]:
        claims = sides.claims.gradients.items()
        return {self.derivation.names[name]: claim.gradient for name, claim in claims if claim.gradient is not None}
