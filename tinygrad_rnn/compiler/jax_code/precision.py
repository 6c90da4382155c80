"""NumPy's numbers in JAX: float64 and int64, and products with all digits.

JAX makes numbers 32 bits wide unless it is told otherwise, and on a GPU or TPU its matrix products may keep fewer
digits than their type has. Both can be changed for a whole process; but the process is the user's, and other code in it
may rely on JAX's defaults. So they are changed only during our own calls, and only for the thread that makes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import jax
import numpy as np


@contextmanager
def as_numpy_computes() -> Iterator[None]:
    """A context in which JAX computes with NumPy's types and with all their digits.

    If the user has set ``jax_default_matmul_precision``, that setting is kept.
    """
    precision = jax.config.jax_default_matmul_precision or "highest"
    with _with_64_bits(), jax.default_matmul_precision(precision):
        yield


def _with_64_bits() -> AbstractContextManager[Any]:
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # where it was before version 0.8

    return enable_x64()


def as_jax_has_it(dtype: Any) -> np.dtype[Any]:
    """The type that JAX uses now for a NumPy type: with 64 bits or 32, and bytes in the machine's order."""
    return np.dtype(jax.dtypes.canonicalize_dtype(np.dtype(dtype).newbyteorder("=")))
