"""The whole numbers in a program that follow the sizes of its arguments.

A program is traced for arguments of one size, and every length in it is a number. Traced again with other numbers of
steps and sequences, the same program has other lengths: what was 35 for T = 7 and B = 5, and 143 for T = 11 and B = 13,
is T · B. So each number is read off several programs, side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations_with_replacement
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..compiler.graph.values import Value, name_of_operation
from ..compiler.loops.loop import Loop
from ..compiler.program.program import Program


class DependsOnSize(ValueError):
    """The program is another one for arguments of another size."""


class Size(NamedTuple):
    """A length that follows the arguments' sizes: ``factor`` times a product of sizes, plus ``offset``.

    Attributes:
        names: the sizes that are multiplied, such as ("T", "B").
        factor: what they are multiplied by.
        offset: what is added.
    """

    names: tuple[str, ...]
    factor: int = 1
    offset: int = 0

    def __str__(self) -> str:
        text = "*".join(self.names if self.factor == 1 else (str(self.factor), *self.names))
        return text if not self.offset else f"{text}{self.offset:+d}"


class Filled(NamedTuple):
    """A constant array that has one number everywhere.

    Attributes:
        number: the number, of the array's type.
        shape: its lengths.
    """

    number: Any
    shape: tuple[int | Size, ...]


class Counted(NamedTuple):
    """The constant array 0, 1, 2, ... of some length.

    Attributes:
        dtype: its type.
        length: how long it is.
    """

    dtype: np.dtype[Any]
    length: int | Size


class Sized:
    """A program, with the sizes of the arguments in place of the numbers that follow them.

    Args:
        programs: the same function, traced for arguments of several sizes.
        sizes: those sizes, by name: one number for each program.

    Raises:
        DependsOnSize: the programs differ in more than that.
    """

    def __init__(self, programs: Sequence[Program], sizes: Mapping[str, Sequence[int]]) -> None:
        self.program = programs[0]
        self._sizes = sizes
        self._alike: dict[Any, tuple[Any, ...]] = {}
        for same in zip(*(program.inputs for program in programs)):
            self._alike[same[0]] = same
        for same in self._together(*(program.forward_order() for program in programs)):
            self._meet(programs, same)

    def shape(self, value: Value) -> tuple[int | Size, ...]:
        """The lengths of a Value."""
        return tuple(self.number(*lengths) for lengths in zip(*(v.shape for v in self._alike.get(value, (value,)))))

    def steps(self, loop: Loop) -> int | Size:
        """The number of steps of a loop."""
        return self.number(*(same.steps for same in self._alike.get(loop, (loop,))))

    def arguments(self, value: Value) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The operands of a Value and its keywords, with sizes in them; constants as arrays, Filled or Counted."""
        same = self._alike.get(value, (value,))
        return self._merged(*(v.args for v in same)), self._merged(*(v.keywords for v in same))

    def constant(self, value: Value) -> Any:
        """The array of a constant Value."""
        return self._array(*(v.array for v in self._alike.get(value, (value,))))

    def number(self, *numbers: int) -> int | Size:
        """A whole number, from what it is in each program.

        Raises:
            DependsOnSize: it follows no product of sizes.
        """
        if len(set(numbers)) == 1:
            return numbers[0]
        for wanted_offset in (False, True):
            for names in self._products():
                products = [prod(self._sizes[name][i] for name in names) for i in range(len(numbers))]
                pairs = {(n - numbers[0], p - products[0]) for n, p in zip(numbers[1:], products[1:])} - {(0, 0)}
                factors = {n / p if p else None for n, p in pairs}
                if len(factors) == 1 and (factor := factors.pop()) and factor == int(factor):
                    offset = numbers[0] - int(factor) * products[0]
                    if wanted_offset or not offset:
                        return Size(names, int(factor), offset)
        raise DependsOnSize(f"a length that is {' or '.join(map(str, numbers))} follows no size of the arguments")

    def _products(self) -> Iterator[tuple[str, ...]]:
        for count in (1, 2):
            yield from combinations_with_replacement(self._sizes, count)

    # --- walking through the programs side by side -------------------------------------------------------------------

    @staticmethod
    def _together(*orders: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        if len(set(map(len, orders))) != 1:
            raise DependsOnSize("it does more operations for larger arguments; a loop that isn't tr.unroll, perhaps")
        yield from zip(*orders)

    def _meet(self, programs: Sequence[Program], same: tuple[Any, ...]) -> None:
        """Take down that these are one Value, or one loop, in all programs."""
        first = same[0]
        if not isinstance(first, Loop):
            self._meet_value(same)
            return
        self._alike[first] = same
        results = [program.results[loop] for program, loop in zip(programs, same)]
        for parts in zip(*(loop.carried for loop in same)):
            self._alike[parts[0].before] = tuple(part.before for part in parts)
        for inner in self._together(*(list(loop.slices) for loop in same)):
            self._alike[inner[0]] = inner
        for body in self._together(*(loop.body(wanted) for loop, wanted in zip(same, results))):
            self._meet_value(body)
        for each in self._together(*results):
            self._alike[each[0]] = each

    def _meet_value(self, same: tuple[Value, ...]) -> None:
        names = {name_of_operation(v) if v.op is not None else "" for v in same}
        if len(names) > 1:
            raise DependsOnSize(f"it does something else for larger arguments: {' or '.join(sorted(names))}")
        self._alike[same[0]] = same

    def _merged(self, *trees: Any) -> Any:
        """A tree of arguments, from those of all programs."""
        first = trees[0]
        if isinstance(first, Value):
            return first
        if isinstance(first, (tuple, list)):
            return type(first)(self._merged(*parts) for parts in self._together(*trees))
        if isinstance(first, dict):
            return {key: self._merged(*(tree[key] for tree in trees)) for key in first}
        if isinstance(first, slice):
            ends = (self._merged(*(getattr(s, end) for s in trees)) for end in ("start", "stop", "step"))
            return slice(*ends)
        if isinstance(first, np.ndarray):
            return self._array(*trees)
        if isinstance(first, (int, np.integer)) and not isinstance(first, bool):
            return self.number(*map(int, trees))
        if any(tree is not first and tree != first for tree in trees):
            raise DependsOnSize(f"a number or setting that is {first!r} follows the sizes of the arguments")
        return first

    def _array(self, *arrays: np.ndarray) -> Any:
        """A constant array, which may grow with the arguments."""
        first = arrays[0]
        if all(a.shape == first.shape and np.array_equal(a, first) for a in arrays):
            return first
        if len({a.ndim for a in arrays}) == 1 and all(np.all(a == first.flat[0]) for a in arrays if a.size):
            lengths: Callable[..., Any] = self.number
            return Filled(first.flat[0], tuple(lengths(*n) for n in zip(*(a.shape for a in arrays))))
        if all(a.ndim == 1 and np.array_equal(a, np.arange(len(a))) for a in arrays):
            return Counted(first.dtype, self.number(*map(len, arrays)))
        raise DependsOnSize(f"a constant array of shape {first.shape} has other numbers for larger arguments")
