"""The whole numbers in a program that follow the sizes of its arguments.

A program is traced for arguments of one size, and every length in it is a number. Traced again with other numbers of
steps and sequences, the same program has other lengths: a number that is 35 for T = 7 and B = 5, and 143 for T = 11 and
B = 13, is T · B. So each number is read off several programs, side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..graph.values import Value, name_of
from ..loops.loop import Loop
from ..program.program import Program
from .reading import DependsOnSize, Reader, Size, together


class Sized(Reader):
    """A program, with the sizes of the arguments in place of the numbers that follow them.

    Args:
        programs: the same function, traced for arguments of several sizes.
        sizes: those sizes, by name: one number for each program.

    Raises:
        DependsOnSize: the programs differ in more than that.
    """

    def __init__(self, programs: Sequence[Program], sizes: Mapping[str, Sequence[int]]) -> None:
        self.program = programs[0]
        super().__init__(sizes)
        self._alike: dict[Any, tuple[Any, ...]] = {}
        for same in zip(*(program.inputs for program in programs)):
            self._alike[same[0]] = same
        for same in together(*(program.forward_order() for program in programs)):
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
        return self.merged(*(v.args for v in same)), self.merged(*(v.keywords for v in same))

    def constant(self, value: Value) -> Any:
        """The array of a constant Value."""
        return self.array(*(v.array for v in self._alike.get(value, (value,))))

    # --- walking through the programs side by side -------------------------------------------------------------------

    def _meet(self, programs: Sequence[Program], same: tuple[Any, ...]) -> None:
        """Record that these are one Value, or one loop, in all programs."""
        first = same[0]
        if not isinstance(first, Loop):
            self._meet_value(same)
            return
        self._alike[first] = same
        results = [program.results[loop] for program, loop in zip(programs, same)]
        for parts in zip(*(loop.carried for loop in same)):
            self._alike[parts[0].before] = tuple(part.before for part in parts)
        for inner in together(*(list(loop.slices) for loop in same)):
            self._alike[inner[0]] = inner
        for body in together(*(loop.body(wanted) for loop, wanted in zip(same, results))):
            self._meet_value(body)
        for each in together(*results):
            self._alike[each[0]] = each

    def _meet_value(self, same: tuple[Value, ...]) -> None:
        names = {name_of(v.op) if v.op is not None else "" for v in same}
        if len(names) > 1:
            raise DependsOnSize(f"it does something else for larger arguments: {' or '.join(sorted(names))}")
        self._alike[same[0]] = same

    def merged(self, *trees: Any) -> Any:
        """A tree of arguments, from those of all programs; of a Value, the first program's."""
        return trees[0] if isinstance(trees[0], Value) else super().merged(*trees)
