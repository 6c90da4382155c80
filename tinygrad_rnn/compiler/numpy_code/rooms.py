"""Arrays that are used again: as soon as nothing reads a Value any more, the next one lies there.

So it is in the steps of loops and outside of them. Arrays that the forward pass hands to the backward pass stay as they
are, so that a backward pass can run twice. All others outside of loops are free at the end of the forward pass, and the
backward pass begins with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...autodiff.rules import shape
from ..graph.shapes import acts_by_element
from ..graph.values import Value
from ..program.program import Step
from .generated import Buffer
from .kernels import READS_AFTER_WRITING, has_kernel


class Rooms:
    """The buffers of Values, and which of them are free."""

    def __init__(self) -> None:
        self._of: dict[Value, str] = {}
        self._free: dict[tuple[int, np.dtype], list[str]] = {}

    def taken(self, value: Value, buffers: dict[str, Buffer], new: str) -> str:
        """The text of the array of a Value: a free buffer of its size, or one that is added under a new name."""
        waiting = self._free.get((value.size, value.dtype))
        name = self._of[value] = waiting.pop() if waiting else new
        buffer = buffers.setdefault(name, Buffer(value.shape, value.dtype))
        return name if buffer.shape == value.shape else f"{name}.reshape({value.shape!r})"

    def release(self, values: Iterable[Value]) -> None:
        """Note that nobody reads these Values any more."""
        for value in values:
            name = self._of.pop(value, None)
            if name is not None:
                self._free.setdefault((value.size, value.dtype), []).append(name)


class Liveness:
    """The steps of a program after which Values aren't read any more.

    Args:
        order: the steps.
        reads: returns the Values that a step reads.
        kept: the Values that are read after all of them.
        shares: returns whether the result of an operation may lie in the arrays of its operands.
    """

    def __init__(
        self,
        order: Sequence[Step],
        reads: Callable[[Any], Sequence[Value]],
        kept: Iterable[Value],
        shares: Callable[[Value], bool],
    ) -> None:
        self._lies_in: dict[Value, set[Value]] = {}  # the Values in whose arrays a view may lie, or any other result
        last: dict[Value, int] = {}
        for place, step in enumerate(order):
            read = [*reads(step), step] if isinstance(step, Value) else reads(step)
            if isinstance(step, Value) and shares(step):
                self._lies_in[step] = {step}.union(*map(self._arrays_of, step.operands))
            last |= {v: place for a in read for v in self._arrays_of(a)}
        later = {v for a in kept for v in self._arrays_of(a)}
        steps = set(order)
        self._ends: dict[int, list[Value]] = {}
        for v, place in last.items():
            if v not in later and (v in steps or v.op in steps):
                self._ends.setdefault(place, []).append(v)

    def _arrays_of(self, value: Value) -> set[Value]:
        return self._lies_in.get(value, {value})

    def ending(self, place: int) -> list[Value]:
        """The Values that the step in this place reads for the last time."""
        return self._ends.get(place, [])

    def written_over(self, value: Value, place: int) -> list[Value]:
        """An operand that ends in this place, in whose array the result of an elementwise operation may lie, if any."""
        if not acts_by_element(value.op) or value.op in READS_AFTER_WRITING or not has_kernel(value):
            return []
        for a in self.ending(place):
            readers = [v for v in value.args if isinstance(v, Value) and a in self._arrays_of(v)]
            is_alike = (a.size, a.dtype) == (value.size, value.dtype)
            if is_alike and readers and all(_has_all_in_order(v, a) for v in readers):
                return [a]
        return []


def _has_all_in_order(value: Value, base: Value) -> bool:
    """Return True for a Value itself, and for the same elements in another shape."""
    while value is not base and value.op is shape.reshape:
        value = value.args[0]
    return value is base
