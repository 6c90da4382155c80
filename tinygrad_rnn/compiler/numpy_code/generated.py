"""A program, ready to run: the functions that an executor wrote, and the arrays that they work on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np


class Buffer(NamedTuple):
    """An array to be allocated."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)

    def allocated(self) -> np.ndarray:
        """A new array; its elements are whatever was there."""
        return np.empty(self.shape, self.dtype)


class View(NamedTuple):
    """A part of a buffer, or all of it in another shape.

    Attributes:
        buffer: the name of that buffer.
        text: as it was written.
        of: makes it of the buffer's array, and of the code's numbers.
    """

    buffer: str
    text: str
    of: Callable[..., np.ndarray]


class Function(NamedTuple):
    """A generated function.

    Attributes:
        source: its text.
        kept: the names of its first parameters: buffers, views and numbers, the same ones at many calls.
        given: the names of its other parameters, which are new at each call.
        run: the function itself.
    """

    source: str
    kept: list[str]
    given: list[str]
    run: Callable[..., Any]


class Code(NamedTuple):
    """A program, ready to run.

    Attributes:
        buffers: the arrays that the functions share, by name.
        views: views of these that the functions are given, too, by name.
        forward: gives ``(outputs, saved)``.
        backward: gives the gradients; None for a program without.
        saved: the names of what ``forward`` hands to ``backward`` besides buffers.
        left_to_numpy: why loops of machine code call NumPy at their steps, for each that does.
        numbers: what functions that serve arguments of many sizes are given to know the sizes, by name: lengths, and
            constants that follow them.
        sizes: for which sizes it is, of those that its functions serve.
    """

    buffers: dict[str, Buffer]
    views: dict[str, View]
    forward: Function
    backward: Function | None
    saved: list[str]
    left_to_numpy: list[str]
    numbers: Mapping[str, Any] = MappingProxyType({})
    sizes: tuple[int, ...] = ()
