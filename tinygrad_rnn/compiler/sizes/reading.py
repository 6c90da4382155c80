"""A number that follows the sizes of arguments, read off its values at several sizes.

A number that is 35 for T = 7 and B = 5, 143 for T = 11 and B = 13, and 323 for T = 17 and B = 19 is T · B.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations_with_replacement, product
from math import prod
from typing import Any, NamedTuple

import numpy as np

LARGEST_SHIFT = 2  # such as T - 1, where each step is compared with the next


class DependsOnSize(ValueError):
    """The program is another one for arguments of another size."""


class Size(NamedTuple):
    """A length that follows the arguments' sizes: ``factor`` times a product of sizes, plus ``offset``.

    Example:
        >>> from tinygrad_rnn.compiler.sizes.reading import Size
        >>> str(Size(("T", "B"), 4, 1))
        '4*T*B+1'
    """

    names: tuple[str, ...]  # the sizes that are multiplied, such as ("T", "B")
    factor: int = 1  # the number by which they are multiplied
    offset: int = 0  # the number that is added to the product
    shifts: tuple[int, ...] = ()  # the numbers that are added to the sizes before they are multiplied; () for none

    def __str__(self) -> str:
        terms = [f"({name}{shift:+d})" if shift else name for name, shift in self.shifted()]
        text = "*".join(terms if self.factor == 1 else (str(self.factor), *terms))
        return text if not self.offset else f"{text}{self.offset:+d}"

    def shifted(self) -> list[tuple[str, int]]:
        """The sizes that are multiplied, each with what is added to it."""
        return list(zip(self.names, self.shifts or (0,) * len(self.names)))


class Share(NamedTuple):
    """The reciprocal of a length, as in a mean."""

    size: Size

    def __str__(self) -> str:
        return f"1.0 / ({self.size})"


class Filled(NamedTuple):
    """A constant array that has one number everywhere."""

    number: Any  # the number, of the array's type, or (in ``following``) how it follows the sizes
    shape: tuple[int | Size, ...]  # its lengths


class Counted(NamedTuple):
    """The constant array 0, 1, 2, ... in some shape, such as a column."""

    dtype: np.dtype[Any]
    shape: tuple[int | Size, ...]


class Reader:
    """Reads numbers off.

    Args:
        sizes: the sizes, by name: one number for each example.

    Example:
        >>> from tinygrad_rnn.compiler.sizes.reading import Reader
        >>> read = Reader({"T": (7, 11, 17), "B": (5, 13, 19)})
        >>> str(read.number(35, 143, 323)), str(read.number(8, 12, 18)), read.number(4, 4, 4)
        ('T*B', 'T+1', 4)
    """

    def __init__(self, sizes: Mapping[str, Sequence[int]]) -> None:
        self._sizes = sizes

    def number(self, *numbers: int) -> int | Size:
        """A whole number, from its values at each of the sizes.

        Raises:
            DependsOnSize: it follows no product of sizes.
        """
        if len(set(numbers)) == 1:
            return numbers[0]
        for wanted_offset in (False, True):
            for names, shifts in self._products(shifted=wanted_offset):
                sizes = [[n + shift for n in self._sizes[name]] for name, shift in zip(names, shifts)]
                products = list(map(prod, zip(*sizes)))
                pairs = {(n - numbers[0], p - products[0]) for n, p in zip(numbers[1:], products[1:])} - {(0, 0)}
                factors = {n / p if p else None for n, p in pairs}
                if len(factors) == 1 and (factor := factors.pop()) and factor == int(factor):
                    offset = numbers[0] - int(factor) * products[0]
                    if not offset or (wanted_offset and not any(shifts)):
                        return Size(names, int(factor), offset, shifts if any(shifts) else ())
        raise DependsOnSize(f"a length that is {' or '.join(map(str, numbers))} follows no size of the arguments")

    def share(self, *numbers: float) -> Share:
        """A number that is one divided by a length, of the type that it has.

        Raises:
            DependsOnSize: it is no such number.
        """
        kind = type(numbers[0])
        lengths = [round(1 / n) if n and np.isfinite(n) and abs(n) <= 1 else 0 for n in map(float, numbers)]
        if all(lengths) and all(kind(1.0 / length) == n for length, n in zip(lengths, numbers)):
            size = self.number(*lengths)
            if isinstance(size, Size):
                return Share(size)
        raise DependsOnSize(f"a number that is {' or '.join(map(str, numbers))} follows no size of the arguments")

    def merged(self, *trees: Any) -> Any:
        """A tree of numbers, slices and arrays, from its values at each of the sizes."""
        first = trees[0]
        if isinstance(first, (tuple, list)):
            return type(first)(self.merged(*parts) for parts in together(*trees))
        if isinstance(first, dict):
            return {key: self.merged(*(tree[key] for tree in trees)) for key in first}
        if isinstance(first, slice):
            ends = (self.merged(*(getattr(s, end) for s in trees)) for end in ("start", "stop", "step"))
            return slice(*ends)
        if isinstance(first, np.ndarray):
            return self.array(*trees)
        if all(isinstance(tree, (int, np.integer)) and not isinstance(tree, bool) for tree in trees):
            return self.number(*map(int, trees))
        if any(tree is not first and (type(tree) is not type(first) or tree != first) for tree in trees):
            return self.setting(*trees)
        return first

    def setting(self, *settings: Any) -> Any:
        """Read any other setting that differs.

        Raises:
            DependsOnSize: always; subclasses that can read it override this.
        """
        raise DependsOnSize(f"a number or setting that is {settings[0]!r} follows the sizes of the arguments")

    def array(self, *arrays: np.ndarray) -> Any:
        """A constant array, which may grow with the arguments."""
        first = arrays[0]
        if any(a.dtype != first.dtype for a in arrays):
            raise DependsOnSize(f"a constant array of shape {first.shape} has another type for larger arguments")
        if all(a.shape == first.shape and np.array_equal(a, first) for a in arrays):
            return first
        have_same_axes = len({a.ndim for a in arrays}) == 1
        number = next((a.flat[0] for a in arrays if a.size), first.dtype.type())
        if have_same_axes and all(np.all(a == number) for a in arrays):
            return Filled(number, self._lengths(arrays))
        if have_same_axes and all(np.array_equal(a.ravel(), np.arange(a.size)) for a in arrays):
            return Counted(first.dtype, self._lengths(arrays))
        return self.other_array(*arrays)

    def other_array(self, *arrays: np.ndarray) -> Any:
        """An array that is neither of these.

        Raises:
            DependsOnSize: always; subclasses that can read it override this.
        """
        raise DependsOnSize(f"a constant array of shape {arrays[0].shape} has other numbers for larger arguments")

    def _lengths(self, arrays: Sequence[np.ndarray]) -> tuple[int | Size, ...]:
        read: Callable[..., Any] = self.number
        return tuple(read(*n) for n in zip(*(a.shape for a in arrays)))

    def _products(self, shifted: bool) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
        """Products of sizes, the simple ones first; of two also with something added to each: (T - 1) · B."""
        for count in (1, 2, 3):
            for names in combinations_with_replacement(self._sizes, count):
                yield names, (0,) * count
        for names in combinations_with_replacement(self._sizes, 2) if shifted else ():
            for shifts in product(range(-LARGEST_SHIFT, LARGEST_SHIFT + 1), repeat=2):
                yield names, shifts


def together(*orders: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The parts of several sequences side by side.

    Raises:
        DependsOnSize: one is longer than another.
    """
    if len(set(map(len, orders))) != 1:
        raise DependsOnSize("it does more operations for larger arguments; a loop that isn't tr.unroll, perhaps")
    yield from zip(*orders)
