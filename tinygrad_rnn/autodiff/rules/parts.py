"""Cotangents that arrive in parts.

Some contributions are dear to write out and cheap to put together: T slices of one sequence (each zero outside its
slice), T outer products for one weight. They are kept apart while the backward walk collects them, and put together at
once when the turn of their node comes.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Parts:
    """A cotangent in parts; it sums with other cotangents of the same node like the array that it stands for.

    Args:
        parts: what ``assembled`` puts together.
        rest: the sum of contributions of any other kind, or None.
    """

    __slots__ = ("parts", "rest")

    def __init__(self, parts: list[tuple[Any, Any]], rest: Any = None) -> None:
        self.parts = parts
        self.rest = rest

    def __add__(self, other: Any) -> Any:
        total = type(self)(list(self.parts), self.rest)  # a list of its own: whoever observed the parts may keep them
        total += other
        return total

    __radd__ = __add__

    def __iadd__(self, other: Any) -> Any:
        if type(other) is type(self):
            self.parts.extend(other.parts)
            other = other.rest
        if isinstance(self.rest, Parts):
            self.rest += other
        elif self.rest is not None:
            self.rest = self.rest if other is None else self.rest + other
        else:
            self.rest = type(other)(list(other.parts), other.rest) if isinstance(other, Parts) else other
        return self

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **keywords: Any) -> Any:
        """``array + parts`` and ``array += parts``, of which NumPy asks us."""
        if ufunc is not np.add or method != "__call__":
            return NotImplemented
        return self + (operands[0] if operands[1] is self else operands[1])

    def assembled(self, shape: tuple[int, ...]) -> Any:
        """The whole cotangent, for a node of this shape."""
        whole = self._put_together(shape)
        if self.rest is None:
            return whole
        return whole + (self.rest.assembled(shape) if isinstance(self.rest, Parts) else self.rest)

    def _put_together(self, shape: tuple[int, ...]) -> Any:
        raise NotImplementedError
