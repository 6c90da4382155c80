"""A program for arguments of all sizes: its functions are made once, and called with the sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import thresholds
from .executable import GeneratedExecutable
from .numpy_code.generated import Code
from .program.program import Program
from .sizes.code import SizedCode
from .sizes.following import formula
from .sizes.reading import Reader


class SizedExecutable:
    """A program with functions that serve arguments of all sizes, and memory that grows with them.

    Args:
        made: the program and its code, for arguments of several sizes.
        sizes: those sizes: for each name, its value in each example.

    Raises:
        DependsOnSize: the code differs in more than in numbers that follow the sizes.
    """

    def __init__(self, made: Sequence[tuple[Program, Code]], sizes: Mapping[str, Sequence[int]]) -> None:
        self.program = made[0][0]
        self.code = SizedCode([code for _, code in made], sizes)
        reader = Reader(sizes)
        outputs = zip(*(program.outputs for program, _ in made))
        self._shapes = formula(sizes, [reader.merged(*(v.shape for v in same)) for same in outputs])
        self._first: GeneratedExecutable | None = None
        self._known: dict[tuple[int, ...], GeneratedExecutable] = {}

    def at(self, sizes: tuple[int, ...]) -> GeneratedExecutable:
        """The executable for arguments of certain sizes; making it takes microseconds, at the first call with these."""
        found = self._known.get(sizes)
        if found is None:
            if len(self._known) >= thresholds.MOST_SIZES:
                self._known.clear()
            found = GeneratedExecutable(self.program, self.code.at(sizes), self._shapes(*sizes), self._first)
            self._first = self._first or found
            self._known[sizes] = found
        return found
