"""A program, ready to run: the functions that an executor wrote, and the arrays that they work on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Buffer(NamedTuple):
    """An array to be allocated."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Function(NamedTuple):
    """A generated function.

    Attributes:
        source: its text.
        parameters: the names that it takes, in order.
        run: the function itself.
    """

    source: str
    parameters: list[str]
    run: Callable[..., Any]


class Code(NamedTuple):
    """A program, ready to run.

    Attributes:
        buffers: the arrays that the functions share, by name.
        forward: gives ``(outputs, saved)``.
        backward: gives the gradients; None for a program without.
        saved: the names of what ``forward`` hands to ``backward`` besides buffers.
    """

    buffers: dict[str, Buffer]
    forward: Function
    backward: Function | None
    saved: list[str]
