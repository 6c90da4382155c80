"""Arrays of any library that has NumPy's protocols: rules use them as they are."""

from __future__ import annotations

from typing import Any

import numpy as np


def array_of(x: Any) -> Any:
    """An array as it is, NumPy's or another library's; the array of a number or a list."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def in_real_numbers(x: Any) -> Any:
    """An array as it is, whole numbers and conditions in float64; what has no dtype as it is.

    Unsigned numbers have no negatives, and NumPy computes exponentials of short whole numbers in half precision.
    Functions call this before an operation is recorded, so that compiled ones begin with real numbers, too.
    """
    kind = getattr(getattr(x, "dtype", None), "kind", None)
    return x.astype(np.float64) if kind in ("b", "u", "i") else x


def in_dtype(a: Any, dtype: Any, kinds: str = "f") -> Any:
    """An array in the dtype in which a function is asked to compute, None for its own.

    Raises:
        TypeError: real numbers would lose their fractions, or the dtype is of none of these kinds.
    """
    if dtype is None:
        return a
    if np.dtype(dtype).kind not in (kinds if a.dtype.kind != "f" else "f"):
        raise TypeError(
            f"dtype={np.dtype(dtype)} for elements of type {a.dtype}: a Tensor is computed with in real numbers. Leave "
            "dtype= out, and convert the result, or the argument, by astype()."
        )
    return a.astype(dtype)


def total_in_dtype(total: Any, dtype: Any) -> Any:
    """A sum or product in the dtype that was asked for: NumPy's of short whole numbers is a long one if none was."""
    return total if dtype is None or total.dtype == dtype else total.astype(dtype)
