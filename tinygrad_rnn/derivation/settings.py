"""Operands and settings of an operation: arguments that are computed with, and those that belong to it, as an axis."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from ..autodiff.rules import indexing
from .items import Item


@cache
def setting_names(op: Any) -> tuple[str, ...]:
    """The names of an operation's positional arguments."""
    try:
        return tuple(inspect.signature(getattr(op, "forward", op)).parameters)
    except (TypeError, ValueError):  # a ufunc
        return ()


def is_setting(op: Any, position: int, given: Any) -> bool:
    """Return True for an argument that belongs to the operation, rather than being computed with."""
    if op in (indexing.getitem, indexing.output):
        return position == 1
    if op is indexing.updated:
        return position == 2
    if isinstance(given, Item):
        return False
    rules = getattr(op, "vjps", None)
    return isinstance(rules, (list, tuple)) and 0 < position < len(rules) and rules[position] is None
