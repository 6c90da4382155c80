"""Cotangents that arrive in parts.

Some contributions are dear to write out and cheap to put together: T slices of one sequence (each zero outside its
slice), T outer products for one weight. They are kept apart while the backward walk collects them, and put together at
once when the turn of their node comes.
"""

from __future__ import annotations

from typing import Any


class Parts:
    """A cotangent in parts; it sums with other cotangents of the same node like the array that it stands for.

    Args:
        parts: what ``assembled`` puts together.
        rest: the sum of contributions of any other kind, or None.
    """

    __slots__ = ("parts", "rest")
    __array_ufunc__ = None  # so that ``array + parts`` is asked of us

    def __init__(self, parts: list[tuple[Any, Any]], rest: Any = None) -> None:
        self.parts = parts
        self.rest = rest

    def __add__(self, other: Any) -> Any:
        parts, rest = self.parts, other
        if type(other) is type(self):
            parts, rest = self.parts + other.parts, other.rest
        if self.rest is not None:
            rest = self.rest if rest is None else self.rest + rest
        return type(self)(parts, rest)

    __radd__ = __add__

    def __iadd__(self, other: Any) -> Any:
        if type(other) is type(self) and other.rest is None:
            self.parts.extend(other.parts)
            return self
        return self + other

    def assembled(self, shape: tuple[int, ...]) -> Any:
        """The whole cotangent, for a node of this shape."""
        whole = self._put_together(shape)
        if self.rest is None:
            return whole
        return whole + (self.rest.assembled(shape) if isinstance(self.rest, Parts) else self.rest)

    def _put_together(self, shape: tuple[int, ...]) -> Any:
        raise NotImplementedError
