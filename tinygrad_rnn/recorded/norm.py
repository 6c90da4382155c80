"""The norm of an array, safe from overflow."""

from __future__ import annotations

import numpy as np


def norm(a: np.ndarray) -> float:
    """The Euclidean norm of all elements, also of tiny and huge ones whose squares would leave the range of floats.

    Example:
        >>> norm(np.array([3e-200, 4e-200]))
        5e-200
    """
    largest = float(np.max(np.abs(a), initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return largest
    return float(largest * np.linalg.norm(np.ravel(a).astype(np.float64) / largest))
