"""A program as one flat list, by which programs are compared and their differences are read off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..graph.values import Value, name_of
from ..loops.loop import Loop, LoopResult


class Elements:
    """The elements of an array or a number: equal to others that are the same bit for bit."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Elements):
            return False
        a, b = self.array, other.array
        return a is b or ((a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self.array.dtype}{self.array.shape}{self.array.tobytes()!r}"  # an array's own text leaves out many


class Spelling:
    """The spelling of a program, as far as it has been written.

    Attributes:
        parts: words, lengths and other whole numbers, and Elements.
    """

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self._numbers: dict[Value, str] = {}

    def add(self, *parts: Any) -> None:
        """Add parts as they are."""
        self.parts += parts

    def value(self, value: Value) -> None:
        """Number a Value, and add its operation and operands."""
        if value in self._numbers:
            return
        self.add("" if value.op is None else name_of(value.op))
        self.tree(value.args)
        self.tree(value.keywords)
        self.add(*value.shape, value.dtype.str, None if value.array is None else Elements(value.array))
        self._numbers[value] = f"v{len(self._numbers)}"

    def loop(self, loop: Loop, results: Sequence[LoopResult]) -> None:
        """Add a loop, with all that its body computes for these results."""
        rows, _ = loop.inputs(results)  # a sequence whose rows no step reads needn't be computed
        parts = [*rows, *(loop.slices[v] for v in rows), *(v for c in loop.carried for v in (c.start, c.before))]
        for value in (*(v for v in parts if v not in loop.slices or v.op is None), *loop.body(results)):
            self.value(value)
        self.add(loop.steps, str(loop.backwards))
        self.tree([*parts, *(c.after for c in loop.carried)])
        for result in results:
            self.add(result.how, self._numbers[result.inner])
            self.value(result)

    def tree(self, tree: Any) -> None:
        """Add an argument: numbers by value and type, Values by their numbers."""
        if isinstance(tree, Value):
            self.add(self._numbers[tree])
        elif isinstance(tree, (tuple, list)):
            self.add("(")
            for part in tree:
                self.tree(part)
            self.add(")")
        elif isinstance(tree, dict):
            for key in sorted(tree):
                self.add(key)
                self.tree(tree[key])
        elif isinstance(tree, slice):
            self.add("slice", tree.start, tree.stop, tree.step)
        elif isinstance(tree, (int, np.integer)) and not isinstance(tree, bool):
            self.add(type(tree).__name__, int(tree))
        elif isinstance(tree, (float, complex, np.generic, np.ndarray)):
            self.add(type(tree).__name__, Elements(tree))
        else:
            self.add(f"{type(tree).__name__} {tree!r}")
