"""The findings of a kind of edit: a new part, the change in words, and the expressions that the words mention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..equations.expressions import Expression

Found = Iterator[tuple[Any, ...]]


def instead(new: Expression, old: Expression, said: str = "") -> tuple[Expression, str, tuple[Expression, ...]]:
    """An expression in the place of another, with what is said besides."""
    return new, "{} stands where {} belongs" + said, (new, old)
