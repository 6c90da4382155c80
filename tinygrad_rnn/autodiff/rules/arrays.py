"""Arrays of any library that has NumPy's protocols: rules use them as they are."""

from __future__ import annotations

from typing import Any

import numpy as np


def array_of(x: Any) -> Any:
    """An array as it is, NumPy's or another library's; the array of a number or a list."""
    return x if hasattr(x, "dtype") else np.asarray(x)
