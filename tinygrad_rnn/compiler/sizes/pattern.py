"""The pattern of a program at all sizes: read off three programs, and compared with any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..graph.values import Value, name_of
from ..loops.loop import Loop
from ..program.program import Program
from ..program.spelling import Elements
from .following import FollowingReader, formula, made
from .reading import DependsOnSize, together


class Pattern:
    """The common pattern of several programs.

    Args:
        programs: the same function, traced for arguments of several sizes.
        sizes: those sizes, by name: one number for each program.

    Raises:
        DependsOnSize: the programs differ in more than in numbers that follow the sizes.
    """

    def __init__(self, programs: Sequence[Program], sizes: Mapping[str, Sequence[int]]) -> None:
        self._reader = FollowingReader(sizes)
        self._parts: list[Any] = []
        self._following: dict[int, Any] = {}
        for place, parts in enumerate(together(*(program.spelled_out() for program in programs))):
            self._parts.append(parts[0])
            if any(part != parts[0] for part in parts):
                self._following[place] = self._read(parts)
        self._formula = formula(sizes, self._following.values())

    def matches(self, program: Program, sizes: Sequence[int]) -> bool:
        """Return True if a program is the one for arguments of these sizes."""
        expected = list(self._parts)
        for (place, found), value in zip(self._following.items(), self._formula(*sizes)):
            made_of = made(found, value)
            expected[place] = Elements(made_of) if isinstance(self._parts[place], Elements) else made_of
        return expected == program.spelled_out()

    def _read(self, parts: Sequence[Any]) -> Any:
        if all(isinstance(part, Elements) for part in parts):
            return self._reader.array(*(part.array for part in parts))
        if all(type(part) is int for part in parts):
            return self._reader.number(*parts)
        words = sorted({part for part in parts if isinstance(part, str)})
        raise DependsOnSize(f"it does something else for larger arguments: {' or '.join(words)}")


def numbers_that_stay(programs: Iterable[Program]) -> frozenset[int]:
    """The lengths of axes and the numbers in indices that are in all of these programs: they don't follow the sizes."""
    trees = ([(v.shape, v.args, v.keywords) for v in _values(program)] for program in programs)
    return frozenset.intersection(*(frozenset(_numbers(tree)) for tree in trees))


def check_operations(programs: Iterable[Program]) -> None:
    """Raise DependsOnSize if their operations differ, as those of a running product's gradient do, by doublings."""
    orders = {tuple(name_of(v.op) if v.op else "" for v in _values(program)) for program in programs}
    if len(orders) > 1:
        raise DependsOnSize("its gradient needs other operations for larger arguments")


def _numbers(tree: Any) -> Iterator[int]:
    """The whole numbers in an argument, also inside tuples, lists, dicts and slices."""
    if isinstance(tree, (int, np.integer)) and not isinstance(tree, bool):
        yield int(tree)
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from _numbers(part)
    elif isinstance(tree, dict):
        yield from _numbers([*tree.values()])
    elif isinstance(tree, slice):
        yield from _numbers((tree.start, tree.stop, tree.step))


def _values(program: Program) -> Iterator[Value]:
    yield from (*program.inputs, *program.cotangents)
    for step in (*program.forward_order(), *program.backward_order()):
        if isinstance(step, Loop):
            yield from (*step.body(program.results[step]), *step.befores, *step.slices)
        else:
            yield step
