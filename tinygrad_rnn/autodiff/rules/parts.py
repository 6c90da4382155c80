"""Cotangents that arrive in parts.

Some contributions are expensive to write out and cheap to put together: T slices of one sequence (each zero outside its
slice), T outer products for one weight. The backward walk collects them separately, and puts all of a node's parts
together when it comes to the node.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Parts:
    """A cotangent in parts; it can be added to other cotangents of the same node like an array.

    Args:
        parts: the parts that ``assembled`` puts together.
        rest: the sum of contributions of any other kind, or None.
    """

    __slots__ = ("parts", "rest")

    def __init__(self, parts: list[tuple[Any, Any]], rest: Any = None) -> None:
        self.parts = parts
        self.rest = rest

    def __add__(self, other: Any) -> Any:
        total = type(self)(list(self.parts), self.rest)  # a new list: an observer of the parts may keep the old one
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
        """``array + parts`` and ``array += parts``, for which NumPy calls this method."""
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
