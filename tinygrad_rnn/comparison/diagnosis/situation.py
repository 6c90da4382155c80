"""A situation: values of the parameters for which the manual side's gradients are known."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np

from ...derivation.edits.editing import Bench
from ...derivation.edits.edits import Edit
from ..measures import Tolerance

Edits = tuple[Edit, ...]
Off = Mapping[str, np.ndarray]  # the unexplained elements of each gradient


class Situation:
    """Values of the parameters for which the manual side's gradients are known.

    Args:
        bench: the runs of the lines at these values.
        given: the gradients of the manual side, by their names in lines.
        tolerance: the difference up to which two numbers are equal.
        wrong: the names of gradients that are known to be wrong, however small they are beside the others.
    """

    def __init__(
        self, bench: Bench, given: Mapping[str, np.ndarray], tolerance: Tolerance, wrong: Container[str] = ()
    ) -> None:
        self.bench, self.given, self.tolerance = bench, given, tolerance
        self.scales = {name: bench.gradient(name) if name in wrong else bench.largest for name in given}
        self.off: Off = {name: self._differs(bench.gradient(name), name) for name in given}
        self.wrong = [name for name, off in self.off.items() if off.any()]

    def _differs(self, gradient: np.ndarray, name: str) -> np.ndarray:
        return ~self.tolerance.elements(gradient, self.given[name], beside=self.scales[name])

    def left(self, edits: Edits, before: Off) -> Off | None:
        """The elements that these edits leave unexplained; None if they spoil one that was explained before."""
        try:
            run = self.bench.run(edits)
            after = dict(before)
            for name in run.touched:
                if name in before:
                    after[name] = self._differs(run.gradient(name), name)
                    if np.any(after[name] & ~before[name]):
                        return None
        except Exception:  # an edit that can't be run can't have been made
            return None
        return after

    def is_explained(self, edits: Edits) -> bool:
        """Return True if these edits lead to all wrong gradients."""
        try:
            run = self.bench.run(edits)
            touched = [name for name in run.touched if name in self.off]
            return all(name in run.touched for name in self.wrong) and not any(
                np.any(self._differs(run.gradient(name), name)) for name in touched
            )
        except Exception:  # edits that can't be run can't have been made
            return False

    def explains(self, edits: Edits, name: str) -> bool:
        """Return True if these edits lead to one of the given gradients."""
        try:
            return not np.any(self._differs(self.bench.run(edits).gradient(name), name))
        except Exception:  # edits that can't be run can't have been made
            return False

    def effect(self, edits: Edits) -> bytes:
        """The gradients with these edits, to seven digits."""
        run = self.bench.run(edits)
        found = []
        for name, given in self.given.items():
            scale = np.max(np.abs(given), initial=0.0) or 1.0
            found.append(np.round(run.gradient(name) / scale, 7) + 0.0)
        return b"".join(array.tobytes() for array in found)


def count(off: Off) -> int:
    """The number of elements that aren't explained."""
    return sum(map(np.count_nonzero, off.values()))
