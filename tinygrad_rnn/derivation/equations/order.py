"""The order in which values can be computed: each after those that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from .expressions import Expression, Steps
from .parts import places_read
from .quantities import Place, Quantity


class Definition(Protocol):
    """The definition of a quantity at some steps: an equation, or a line."""

    @property
    def steps(self) -> Steps:
        """The steps for which it holds; none if it has no steps."""

    @property
    def expression(self) -> Expression:
        """The right-hand side."""


D = TypeVar("D", bound=Definition)
T = TypeVar("T")


def in_order(definitions: Iterable[tuple[Quantity, D]]) -> dict[Place, D]:
    """The definition of every value, each after those of the values that it reads.

    Where that leaves a choice, the first loop comes first, in it the first step, and in that the first definition.
    """
    loops: dict[Any, int] = {}
    listed: list[tuple[int, int, Place, D]] = []
    for quantity, definition in definitions:
        loop = loops.setdefault(quantity.loop or quantity, len(loops))
        listed += [(loop, t or 0, (quantity, t), definition) for t in definition.steps or (None,)]
    listed.sort(key=lambda one: one[:2])
    of = {place: definition for _, _, place, definition in listed}
    places = after_reads(of, lambda place: places_read(of[place].expression, () if place[1] is None else (place[1],)))
    return {place: of[place] for place in places}


def after_reads(things: Iterable[T], reads: Callable[[T], Iterable[T]]) -> list[T]:
    """These things, each after those that it reads; otherwise in their own order. Circles are broken somewhere."""
    given = dict.fromkeys(things)
    found: dict[T, None] = {}
    begun: set[T] = set()
    for first in given:
        waiting = [first]
        while waiting:
            thing = waiting.pop()
            if thing in begun:  # all that it reads has been found
                found[thing] = None
                continue
            begun.add(thing)
            read = [other for other in reads(thing) if other in given and other not in begun]
            waiting += [thing, *reversed(read)]
    return list(found)
