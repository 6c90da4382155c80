"""Places along an axis for machine code, which are checked as NumPy checks them."""

from __future__ import annotations

from typing import Any


def place_along(k: Any, n: Any) -> Any:
    """A place along an axis of length n, counted from the front.

    Raises:
        IndexError: there is none.
    """
    if k < -n or k >= n:
        raise IndexError("an index inside of a compiled loop is out of bounds for its axis")
    return k + n if k < 0 else k
