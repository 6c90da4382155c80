"""Rows put into their places in an array in the ways of slips: overwritten, divided, or moved, where they add up.

As in ``misplaced``, each says how it runs and how it is written.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..equations.expressions import Apply, Data, Expression, setting_key, settled
from ..equations.parts import parts
from ..running.evaluate import Running, compiled


class PutInTurn(Expression):
    """Rows put into their places step by step, each overwriting what came before.

    Args:
        row: the row in its place.
        beside: what each step adds besides.
        onto: the values before the first step.
        steps: the steps, in their order.
        is_first: whether a step puts its row before it adds the other term.
        after: a row that is put when the steps are over; None if there is none.
    """

    def __init__(
        self,
        row: Expression,
        beside: Expression,
        onto: Expression,
        steps: tuple[int, ...],
        is_first: bool = False,
        after: Expression | None = None,
    ) -> None:
        self.operands = (row, beside, onto) if after is None else (row, beside, onto, after)
        self.shape, self.steps, self.is_first = row.shape, steps, is_first
        self.details = steps, is_first

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """Other rows."""
        row, beside, onto, *after = operands
        return PutInTurn(row, beside, onto, self.steps, self.is_first, after[0] if after else None)

    def written(self, writer: Any) -> tuple[str, int]:
        """The values that are overwritten, and the rows."""
        row, beside, onto, *after = map(writer.write, self.operands)
        under = " + ".join(text for text in (onto, beside) if text != "0") or "0"
        return f"overwritten({', '.join([under, row, *after])})", 4

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that computes it in a run."""
        row, *after = map(_putting, (self.operands[0], *self.operands[3:]))
        beside, onto = map(compiled, self.operands[1:3])
        steps, shape, is_first = self.steps, self.shape, self.is_first

        def put(run: Any, t: Any) -> Any:
            result = np.zeros(shape) + onto(run, t)
            for s in steps:
                result += 0 if is_first else beside(run, s)
                row(result, run, s)
                result += beside(run, s) if is_first else 0
            for last in after:
                last(result, run, t)
            return result

        return put


def _putting(row: Expression) -> Callable[..., None]:
    """The function that assigns rows to their places in an array."""
    values = list(map(compiled, row.operands))

    def assign(result: np.ndarray, run: Any, t: Any) -> None:
        assert isinstance(row, Apply)
        piece, *places = (value(run, t) for value in values)
        (index,) = settled(row.settings["indices"], t, [piece, *places])
        result[index] = piece

    return assign


class PutAtOnce(Expression):
    """Rows of all steps, put at once where an array of places says: of those in one place, the last stays.

    Args:
        rows: the rows in their places; those of one element of the array of places are added up.
        steps: the steps.
        by_instance: whether the array has an instance in each row, rather than a step.
    """

    def __init__(self, rows: tuple[Expression, ...], steps: tuple[int, ...], by_instance: bool) -> None:
        self.operands, self.shape = rows, rows[0].shape
        self.details = self.steps, self.by_instance = steps, by_instance

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """Other rows."""
        return PutAtOnce(operands, self.steps, self.by_instance)

    def written(self, writer: Any) -> tuple[str, int]:
        """The rows."""
        return f"overwritten({', '.join(map(writer.write, self.operands))})", 4

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that computes it in a run."""
        whole = [(row.operands, any(parts(row.operands[1], Data))) for row in self.operands]
        rows = [(compiled(piece), compiled(place), is_read) for (piece, place), is_read in whole]
        shape, steps, by_instance = self.shape, self.steps, self.by_instance

        def put(run: Any, t: Any) -> Any:
            numbers = {name: np.arange(np.size(array)).reshape(np.shape(array)) for name, array in run.data.items()}
            numbered, added, place_of = Running(run.parameters, numbers), dict[Any, Any](), dict[Any, int]()
            for s, (piece, place, is_read) in itertools.product(steps, rows):
                order: Iterable[int] = place(numbered, s) if is_read else itertools.repeat(s)
                for n, (row, at, number) in enumerate(zip(piece(run, s), place(run, s), order)):
                    key = (n, number) if by_instance else (number, n)
                    added[key], place_of[key] = added.get(key, 0) + row, at
            result = np.zeros(shape)
            for key in sorted(added):
                result[place_of[key]] = added[key]
            return result

        return put


class Put(Expression):
    """Rows put into their places, but not added up."""

    def __init__(self, of: Apply, how: str) -> None:
        self.of, self.how = of, how
        self.operands = of.operands
        self.shape, self.dtype = of.shape, of.dtype
        self.details = how, setting_key(of.settings)

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """Another expression, put in the same way."""
        return Put(self.of.with_operands(operands), self.how)  # type: ignore[arg-type]

    def written(self, writer: Any) -> tuple[str, int]:
        """The text of the value and the way it is put."""
        return f"put({writer.write(self.of)}, {self.how})", 4

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that computes it in a run."""
        pieces, how, shape = list(map(compiled, self.operands)), self.how, self.shape

        def put(run: Any, t: Any) -> Any:
            piece, place, *others = (np.asarray(part(run, t)) for part in pieces)
            if others or place.dtype.kind not in "iu":
                raise ValueError("put: one index")
            result = np.zeros(shape)
            if how == "last":
                result[place] = piece
            elif how == "first":
                result[place[::-1]] = piece[::-1]
            elif how == "each":
                for here, rows in zip(place, piece):
                    result[here] += rows
            elif how.startswith("shifted"):
                np.add.at(result, np.roll(place, -int(how.split()[1])), piece)
            else:
                np.add.at(result, place, piece)
                if how == "all":
                    result = np.zeros(shape) + result.sum(axis=0)
                else:
                    there = np.any(piece.reshape(len(place), -1) != 0, axis=1)
                    count = np.maximum(np.bincount(place[there], minlength=shape[0]), 1)
                    result = result / count.reshape(-1, *[1] * (len(shape) - 1))
            return result

        return put
