"""The check that every size given by a user goes through."""

from __future__ import annotations

import operator
from typing import Any


def whole_number(name: str, value: Any, minimum: int = 1) -> int:
    """The argument called ``name`` as an ``int``, at least ``minimum``.

    Raises:
        TypeError: if it isn't a whole number (``True`` isn't one, nor is ``2.0``).
        ValueError: if it is smaller than ``minimum``.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, not {number}")
    return number
