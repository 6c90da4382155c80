"""The sizes of a network, and the columns of its parameters that belong to each gate."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ...recorded.gates import gate_columns
from ...recorded.landmarks import Landmarks
from ...recorded.loss_terms import entering_cotangents
from ...recorded.recording import Recording


class Sizes:
    """A recording, read for the sizes by which formulas divide, and for gates side by side.

    Attributes:
        recording: the loss and its parameters.
        landmarks: the named values of the model.
        T: the number of steps.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.landmarks = Landmarks([recording.loss])
        self.T = self.landmarks.steps

    @cached_property
    def right(self) -> dict[str, np.ndarray]:
        """The right gradients."""
        return self.recording.gradients()

    @cached_property
    def gates(self) -> dict[str, dict[str, np.ndarray]]:
        """The columns of each gate, for each parameter."""
        return {name: gate_columns(self.landmarks, leaf) for name, leaf in self.recording.parameters.items()}

    @cached_property
    def by_letter(self) -> dict[str, int]:
        """The sizes, by their letters: T, B, n, d, k, and m, the number of loss terms."""
        found = {"T": self.T}
        for layer in self.landmarks.layers()[:1]:
            state = self._value(self.landmarks.state_components(layer)[0], layer, "state")
            if state is not None and state.ndim:
                found["d"] = state.shape[-1]
            if state is not None and state.ndim > 1:
                found["B"] = state.shape[0]
            x = self._value("x", layer, "input")
            if x is not None and x.ndim:
                found["n"] = x.shape[-1]
        terms = len(self.recording.terms) or len(entering_cotangents(self.recording.loss))
        if terms != self.T:
            found["m"] = terms
        widths = [leaf.shape[-1] for leaf in self.recording.parameters.values() if leaf.ndim]
        if widths and widths[-1] not in (found.get("d"), found.get("n")):
            found["k"] = widths[-1]
        return {letter: size for letter, size in found.items() if size > 1}

    def _value(self, name: str, layer: Any, role: str) -> np.ndarray | None:
        found = self.landmarks.find_all(name, self.T, layer, role)
        return np.asarray(found[0]._data) if len(found) == 1 else None  # type: ignore[attr-defined]
