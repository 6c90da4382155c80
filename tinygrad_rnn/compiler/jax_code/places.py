"""Indices that point past the end of an axis. NumPy raises IndexError; JAX, which can't, takes some other element.

So wherever an index is known only when a program runs, the program also computes whether all of them are in range.
The caller looks at that one boolean. It is also False for a matrix without an inverse or a Cholesky factor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax.numpy as jnp

from ...autodiff.rules.indexing import spelled_out

_found: ContextVar[list[Any] | None] = ContextVar("found", default=None)


@contextmanager
def watched() -> Iterator[list[Any]]:
    """Collect the conditions under which all indices inside are in range."""
    found: list[Any] = []
    token = _found.set(found)
    try:
        yield found
    finally:
        _found.reset(token)


def all_hold(conditions: list[Any]) -> Any:
    """A single boolean for all conditions."""
    result = jnp.asarray(True)
    for condition in conditions:
        result = result & condition
    return result


def note(condition: Any) -> None:
    """Note a condition under which indices are in range, or a matrix has an inverse."""
    found = _found.get()
    if found is not None:
        found.append(condition)


def watch(index: Any, shape: tuple[int, ...]) -> None:
    """Note when an index of an array of this shape is in range. It has slices, numbers and arrays of integers."""
    parts = index if isinstance(index, tuple) else (index,)
    if not any(hasattr(part, "dtype") for part in parts):
        return
    for part, n in zip((part for part in spelled_out(parts, len(shape)) if part is not None), shape):
        if hasattr(part, "dtype") and part.size:
            part = part.astype(int)  # unsigned numbers would take -n for a large one
            note(((part >= -n) & (part < n)).all())
