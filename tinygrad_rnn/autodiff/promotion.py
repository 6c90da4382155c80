"""NumPy 2's types of results, on NumPy 1 too.

NumPy 1 lets values decide: a float32 number without axes times 2.0 is float64, and a float32 array times a float64
number stays float32. NumPy 2 lets types alone decide, and a Python number adapts to the array beside it. This package
promises NumPy 2's types; so on NumPy 1 the results of elementwise operations are converted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .registry import Primitive

NUMPY_1 = np.__version__.startswith("1.")


def as_promised(data: np.ndarray, op: Primitive, operands: Iterable[Any]) -> np.ndarray:
    """The result of an elementwise operation in the float type that NumPy 2 gives it."""
    types = [a.dtype for a in operands if isinstance(a, (np.ndarray, np.generic))]
    promised = np.result_type(*types)
    if op.forward is np.float_power or promised.kind != "f" or data.dtype.kind != "f":
        return data
    return data.astype(promised, copy=False)
