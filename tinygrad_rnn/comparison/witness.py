"""The manual side as a witness: its claims at other values of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ..derivation.derivation import Derivation
from ..derivation.edits.editing import Bench
from ..recorded.recording import Recording, record
from .claims import as_mapping, evaluated, matched, plain_array
from .measures import Tolerance


class Witness:
    """A manual side that can be called again, if it is a function.

    Args:
        derivation: the right derivation.
        recording: the recording that it was derived from.
        manual: the manual side.
        tolerance: the difference up to which two arrays are equal.
    """

    def __init__(self, derivation: Derivation, recording: Recording, manual: Any, tolerance: Tolerance) -> None:
        self.derivation, self.recording, self.manual, self.tolerance = derivation, recording, manual, tolerance

    def at(
        self, values: Mapping[str, np.ndarray], bench: Bench, data: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray] | None:
        """Its gradients, by their names in lines; None if it can't be called, or the lines don't hold there.

        Args:
            values: the values of the parameters, by their own names.
            bench: a run of the lines at these values.
            data: other arrays than the recorded ones, by name.
        """
        try:
            if self._here is None or (data and self.recording.function is None):
                return None
            again = self._again(values, data or {})
            if not self._holds(again, bench):
                return None
            found = self._gradients(again, values)
        except Exception:  # a user's function may fail in any way at unusual values
            return None
        changes = any(not np.array_equal(self._here[name], g) for name, g in found.items())
        return found if changes else None  # a function that always returns the same numbers tells nothing more

    @cached_property
    def _here(self) -> dict[str, np.ndarray] | None:
        """The claims at the recorded values; None if there is no function to run."""
        is_function = callable(self.manual) or callable(getattr(self.manual, "backward", None))
        return self._gradients(self.recording, self.recording.values()) if is_function else None

    def _again(self, values: Mapping[str, np.ndarray], data: Mapping[str, np.ndarray]) -> Recording:
        function = self.recording.function
        if function is None:
            return self.recording
        given = self.derivation.arguments(self.recording.data, data)
        return record(function, self.recording.arguments(values), given)

    def _holds(self, again: Recording, bench: Bench) -> bool:
        """Return True if the lines give the gradients there; they don't if another branch is taken."""
        if self.recording.function is None:
            return True
        own = self.derivation.names
        right = {own[name]: gradient for name, gradient in again.gradients().items()}
        return all(self.tolerance.equal(bench.gradient(name), g, beside=bench.largest) for name, g in right.items())

    def _gradients(self, recording: Recording, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = evaluated(self.manual, recording, values)
        found = matched(as_mapping(getattr(given, "gradients", given), recording), recording, lambda *_: None)
        return {self.derivation.names[name]: plain_array(value) for name, value in found.items()}
