"""A program, ready to run: the functions that an executor wrote, and the arrays that they work on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.memory import aligned


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
        """A new array with arbitrary elements."""
        return aligned(self.shape, self.dtype)


class View(NamedTuple):
    """A part of a buffer, or all of it in another shape."""

    buffer: str  # the name of that buffer
    text: str  # its expression in the code
    of: Callable[..., np.ndarray]  # computes it from the buffer's array and the code's numbers


class Function(NamedTuple):
    """A generated function."""

    source: str  # its text
    kept: list[str]  # its first parameters: buffers, views and numbers, which stay the same over many calls
    given: list[str]  # its other parameters, which are new at each call
    run: Callable[..., Any]  # the function itself


class Code(NamedTuple):
    """A program, ready to run.

    Attributes:
        buffers: the arrays that the functions share, by name.
        views: the views of these that the functions take, too, by name.
        forward: returns ``(outputs, saved)``.
        backward: returns the gradients; None for a program without a backward pass.
        saved: the names of the values that ``forward`` hands to ``backward`` besides buffers.
        left_to_numpy: for each loop of machine code that calls NumPy at its steps, the reason.
        numbers: lengths, and constants that follow them, by name; the arguments by which functions for many sizes know
            the sizes.
        sizes: the sizes of this program, if its functions serve several.
    """

    buffers: dict[str, Buffer]
    views: dict[str, View]
    forward: Function
    backward: Function | None
    saved: list[str]
    left_to_numpy: list[str]
    numbers: Mapping[str, Any] = MappingProxyType({})
    sizes: tuple[int, ...] = ()
