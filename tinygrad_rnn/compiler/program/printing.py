"""A program as text, to be read: one line for each operation, loops with their bodies indented.

A Value that isn't an operation of NumPy is called by its word in generated code (``input``, ``state``, ``result``) and
a number counted from 0, so the text of a program is the same in every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..graph.values import Value, name_of
from ..loops.loop import Loop, LoopResult

LONGEST_NAME = 40  # characters of a user's name that are shown
HOW = {"rows": "{} at each step", "sum": "the sum of {} over all steps", "last": "{} after the last step"}


class Printer:
    """A printer that numbers Values in their order and writes how each is made."""

    def __init__(self, results: Mapping[Loop, Sequence[LoopResult]]) -> None:
        self._results = results
        self._names: dict[Value, str] = {}

    def given(self, values: Sequence[Value]) -> list[str]:
        """A line for each input of a program."""
        return [f"    {self._declared(v)}{f'  # {v.name[:LONGEST_NAME]!a}' if v.name else ''}" for v in values]

    def computed(self, order: Sequence[Value | Loop], returned: Sequence[Value]) -> list[str]:
        """The lines that compute some Values and Loops, and the line that returns some of them."""
        lines: list[str] = []
        for step in order:
            if isinstance(step, Loop):
                lines += self._loop(step)
            elif step.op is not None:
                lines.append(self._operation(step))
        lines.append(f"return {', '.join(map(self._text, returned))}".rstrip())
        return [f"    {line}" for line in lines]

    def _loop(self, loop: Loop) -> list[str]:
        results = self._results[loop]
        rows, _ = loop.inputs(results)
        lines = []
        if loop.linear is not None:
            factor, term = map(self._text, loop.linear)
            state = self._name(loop.carried[0].before)
            lines.append(f"# a linear recurrence, for a scan: {state} = {factor} * {state} + {term}")
        lines += [f"{self._declared(c.before)} = {self._text(c.start)} before the first step" for c in loop.carried]
        lines.append(f"for each of {loop.steps} steps{', from the last to the first' if loop.backwards else ''}:")
        lines += [f"    {self._declared(v)} = a row of {self._text(loop.slices[v])}" for v in rows]
        lines += [f"    {self._operation(v)}" for v in loop.body(results)]
        lines += [f"    {self._text(c.before)} = {self._text(c.after)} from now on" for c in loop.carried]
        for result in results:
            taken = HOW[result.how].format(self._text(result.inner))
            lines.append(f"{self._declared(result)} = {taken}")
        return lines

    def _operation(self, value: Value) -> str:
        parts = [self._text(a) for a in value.args]
        parts += [f"{key}={self._text(a)}" for key, a in value.keywords.items()]
        name = name_of(value.op)
        return f"{self._declared(value)} = {name if name.isidentifier() else ascii(name)}({', '.join(parts)})"

    def _declared(self, value: Value) -> str:
        return f"{self._name(value)}: {value.dtype}[{', '.join(map(str, value.shape))}]"

    def _name(self, value: Value) -> str:
        if value not in self._names:
            word = "v" if value.kind == "value" else value.kind
            self._names[value] = f"{word}{len(self._names)}"
        return self._names[value]

    def _text(self, a: Any) -> str:
        if isinstance(a, Value):
            return _number(a) or self._name(a)
        if isinstance(a, tuple):
            return f"({', '.join(map(self._text, a))}{',' if len(a) == 1 else ''})"
        if isinstance(a, slice):
            ends = [a.start, a.stop] if a.step is None else [a.start, a.stop, a.step]
            return ":".join("" if end is None else str(end) for end in ends)
        return "..." if a is Ellipsis else ascii(a)


def _number(value: Value) -> str:
    """The number that every element of a constant is; nothing for any other Value."""
    elements = np.zeros(0) if value.array is None else np.unique(value.array)
    if len(elements) != 1:
        return ""
    number = elements[0].item()
    return f"{number:.6g}" if isinstance(number, float) else str(number)
