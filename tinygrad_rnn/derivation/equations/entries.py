"""Entries: the form of an equation for one entry of a parameter, or of a state."""

from __future__ import annotations

from typing import Any

from .expressions import Expression, Shape


class Unit(Expression):
    """1 in the entry that an equation is about, 0 elsewhere: the direction in which a parameter or a state is moved."""

    def __init__(self, by: Any, shape: Shape) -> None:
        self.by = by
        self.shape = shape
        self.details = (by if isinstance(by, str) else id(by),)


class Entry(Expression):
    """The entry of an array that an equation is about."""

    def __init__(self, inner: Expression) -> None:
        self.operands = (inner,)
        self.shape = ()

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """The same entry of another array."""
        return Entry(operands[0])
