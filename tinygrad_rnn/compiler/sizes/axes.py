"""The free lengths of arguments: those that have differed so far; lengths that were always equal count as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations_with_replacement
from math import gcd, prod

SPREAD = (0, 17, 38)  # even, odd and far apart, so that rounding (to eights, for example) shows
NEAR = 2  # what is added to a length, as in T - 1, makes it no other one


class Axes:
    """The free lengths among the lengths of all axes of all arguments.

    Args:
        forms: these lengths, as they were at several calls.

    Example:
        >>> from tinygrad_rnn.compiler.sizes.axes import Axes
        >>> axes = Axes([(7, 2, 3, 7), (9, 5, 3, 9)])
        >>> axes.names, axes.of((4, 1, 3, 4)), axes.of((4, 1, 3, 5)), axes.lengths((8, 6))
        (('n0', 'n1'), (4, 1), None, (8, 6, 3, 8))
    """

    def __init__(self, forms: Sequence[tuple[int, ...]]) -> None:
        self._form = forms[-1]
        columns = list(zip(*forms))
        free = dict.fromkeys(column for column in columns if len(set(column)) > 1)
        order = {column: i for i, column in enumerate(free)}
        self._groups = [order.get(column) for column in columns]
        self.names = tuple(f"n{i}" for i in range(len(free)))
        self._largest = [max(column) for column in free]

    def of(self, form: tuple[int, ...]) -> tuple[int, ...] | None:
        """The free lengths among those of all axes; None if others differ, too, or equal ones no longer are."""
        sizes = tuple(form[self._groups.index(i)] for i in range(len(self.names)))
        return sizes if self.lengths(sizes) == form else None

    def lengths(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """The lengths of all axes, for these free lengths."""
        return tuple([n if i is None else sizes[i] for n, i in zip(self._form, self._groups)])

    def places(self, size: int) -> list[int]:
        """The places of a free length among the lengths of all axes."""
        return [place for place, i in enumerate(self._groups) if i == size]

    def examples(self, taken: Iterable[int], attempt: int = 0) -> dict[str, tuple[int, ...]]:
        """Three lengths for each free one, none of which is equal to anything else in the program.

        Products of lengths, the sizes of arrays, differ as well: each of these lengths has a prime factor of its own.
        And no two of them grow alike: else the same number could be B - 1 and T - 4.

        Args:
            taken: the fixed lengths in the program.
            attempt: the number of smaller examples that were tried before.
        """
        seen = {*taken, *(n for n, i in zip(self._form, self._groups) if i is None)}
        found: dict[str, tuple[int, ...]] = {}
        for name, largest in zip(self.names, self._largest):
            for more in SPREAD:
                n = max(largest, 5) * 2**attempt + more
                if not attempt and more == SPREAD[-1]:  # twice as long: a number of doublings shows, too
                    n += max(largest, 5)
                smaller, n = found.get(name, ()), _unlike(seen, n)
                while _grow_alike({**found, name: (*smaller, n)}.values()):
                    n = _unlike(seen, n + 1)
                found[name] = (*smaller, n)
                seen.add(n)
        return found


def _grow_alike(examples: Iterable[tuple[int, ...]]) -> bool:
    """Return True if the same lengths are some product of sizes plus a number, and another product plus a number."""
    known = [lengths for lengths in examples if len(lengths) == len(SPREAD)]
    groups = (group for count in (1, 2, 3) for group in combinations_with_replacement(known, count))
    products = [[prod(lengths) for lengths in zip(*group)] for group in groups]
    return len({Fraction(b - a, c - a) for a, b, c in products}) < len(products)


def _unlike(seen: set[int], n: int) -> int:
    """The next number that is none of these, nor near one, and has a prime factor that none of them has."""
    while not (seen.isdisjoint(range(n - NEAR, n + NEAR + 1)) and _has_its_own_factor(n, seen)):
        n += 1
    return n


def _has_its_own_factor(n: int, others: Iterable[int]) -> bool:
    for other in others:
        while other and (shared := gcd(n, other)) > 1:
            n //= shared
    return n > 1
