"""Comparing gradients: how much they differ, and how much they may."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...recorded.recording import Recording
from ...recorded.rounding import rounded


class WrongDerivation(AssertionError):
    """The error for a derivation whose lines don't give autograd's gradients: a fault of this package."""


def differences(mine: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The differences of gradients, relative to their sizes, or to a fraction of the largest if one cancels to 0."""
    sizes = {name: float(np.max(np.abs(value), initial=0.0)) for name, value in right.items()}
    least = 1e-3 * max(sizes.values(), default=0.0) or 1e-30
    found = {}
    for name, value in right.items():
        difference = np.abs(np.nan_to_num(mine[name]) - np.nan_to_num(value))
        found[name] = float(np.max(difference, initial=0.0)) / max(sizes[name], least)
    return found


def wrong_gradients(mine: Mapping[str, np.ndarray], right: Recording, least: float = 0.0) -> dict[str, float]:
    """The gradients that differ from autograd's by more than rounding, and by how much.

    Args:
        mine: the gradients, by parameter.
        right: the recording, which has autograd's.
        least: the relative difference that is allowed at least.
    """
    gradients = right.gradients()
    errors = {
        name: error
        for name, error in differences(mine, gradients).items()
        if error > max(least, tolerance_of(gradients[name])) and np.all(np.isfinite(gradients[name]))
    }
    forgiven = rounded(right, {name: float(np.max(np.abs(mine[name] - gradients[name]))) for name in errors})
    return {name: error for name, error in errors.items() if name not in forgiven}


def tolerance_of(gradient: np.ndarray) -> float:
    """The tolerance for gradients of this precision."""
    return max(1e-10, 1e4 * float(np.finfo(gradient.dtype).eps)) if gradient.dtype.kind == "f" else 1e-10
