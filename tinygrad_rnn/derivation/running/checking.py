"""Comparing gradients: how much they differ, and how much they may."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


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


def tolerance_of(gradient: np.ndarray) -> float:
    """The tolerance for gradients of this precision."""
    return max(1e-10, 1e4 * float(np.finfo(gradient.dtype).eps)) if gradient.dtype.kind == "f" else 1e-10
