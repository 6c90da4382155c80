"""Expressions that slips alone write: a value at a wrong step, rows in a wrong place, = for +=.

Each says how it runs (``runs``) and how it is written (``written``); derivations themselves have none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..equations.expressions import Constant, During, Expression, Reference
from ..equations.parts import is_derivative, parts, substituted
from ..running.evaluate import compiled


class Elsewhere(Reference):
    """A quantity at a step that is found in an unusual way, such as counted from the end.

    Args:
        quantity: the quantity.
        shift: the number of steps by which it should be away.
        step_for: returns the step that is read instead, for the step at which it is read.
        name: its name, in words.
    """

    def __init__(self, quantity: Any, shift: int, step_for: Callable[[int], int], name: str) -> None:
        super().__init__(quantity, shift)
        self.step_for, self.name = step_for, name
        self.details = id(quantity), shift, name

    def shifted(self, by: int) -> Expression:
        """The same value, read from another step."""
        step_for = self.step_for
        return Elsewhere(self.quantity, (self.shift or 0) + by, lambda t: step_for(t + by), self.name) if by else self

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that looks it up in a run."""
        quantity, step_for = self.quantity, self.step_for
        return lambda run, t: run.values[quantity][step_for(t)]


class FromTheEnd(Elsewhere):
    """A quantity at the step that is as far from the last step as this one is from the first.

    Args:
        quantity: the quantity.
        shift: the number of steps by which it is away from there.
        first: the first step.
        last: the last step.
    """

    def __init__(self, quantity: Any, shift: int, first: int, last: int) -> None:
        super().__init__(quantity, shift, lambda t: first + last - t - shift, "from the end")
        self.first, self.last = first, last

    def shifted(self, by: int) -> Expression:
        """The same value, read from another step."""
        return FromTheEnd(self.quantity, (self.shift or 0) + by, self.first, self.last) if by else self

    def written(self, writer: Any) -> tuple[str, int]:
        """The quantity, and its step."""
        before = self.first - (self.shift or 0)
        return writer.symbol(self.quantity, f"T{before:+d}-t" if before else "T-t"), 4


class Row(Expression):
    """A row of an array, along an axis, that is found in an unusual way; zeros where there is none.

    Args:
        of: the array.
        row_for: returns the number of the row for a step.
        name: the way in words.
        axis: the axis.
        alike: what it is written like, if that says which row it is at most steps.
        rest: what is taken of the row, as an index.
    """

    def __init__(
        self,
        of: Expression,
        row_for: Callable[[int], int | None],
        name: str,
        axis: int = 0,
        alike: Expression | None = None,
        rest: tuple[Any, ...] = (),
    ) -> None:
        self.operands = (of,)
        self.shape = np.broadcast_to(0, (*of.shape[:axis], *of.shape[axis + 1 :]))[rest].shape
        self.dtype = of.dtype
        self.row_for, self.name, self.axis, self.alike, self.rest = row_for, name, axis, alike, rest
        self.details = name, axis, repr(rest)

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """The same row of another array."""
        return Row(operands[0], self.row_for, self.name, self.axis, None, self.rest)  # ``alike`` is of this array

    def shifted(self, by: int) -> Expression:
        """The row of another step."""
        row_for, alike = self.row_for, self.alike and self.alike.shifted(by)
        whole, name = self.operands[0].shifted(by), f"{self.name} {by}"
        return Row(whole, lambda t: row_for(t + by), name, self.axis, alike, self.rest)

    def written(self, writer: Any) -> tuple[str, int]:
        """The array, and which row of it."""
        if self.alike is not None:
            return writer.write(self.alike), 4
        return f"{writer.write(self.operands[0])}[{':, ' * self.axis}{self.name}]", 4

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that looks it up in a run."""
        of, row_for, shape, axis, rest = compiled(self.operands[0]), self.row_for, self.shape, self.axis, self.rest

        def run_row(run: Any, t: Any) -> Any:
            row = row_for(t)
            return np.zeros(shape) if row is None else np.take(of(run, t), row, axis)[rest]

        return run_row


class Rolled(Expression):
    """The rows of an array in other places.

    Args:
        of: the array.
        by: the number of places by which each row moves.
        how: what stands where no row is left: "zeros", the rows from the other end ("wraps"), the row at the end
            ("clipped"); or "reversed" for the opposite order.
    """

    def __init__(self, of: Expression, by: int, how: str = "zeros") -> None:
        self.operands = (of,)
        self.shape, self.dtype, self.by, self.how = of.shape, of.dtype, by, how
        self.details = by, how

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """The same for another array."""
        return Rolled(operands[0], self.by, self.how)

    def written(self, writer: Any) -> tuple[str, int]:
        """The array, and how far its rows have moved."""
        said = self.how if self.how == "reversed" else f"{self.by:+d}"
        return f"shifted({writer.write(self.operands[0])}, {said})", 4

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that computes it in a run."""
        of, by, how = compiled(self.operands[0]), self.by, self.how

        def rolled(run: Any, t: Any) -> Any:
            rows = np.asarray(of(run, t))
            places = np.arange(len(rows)) - by
            if how == "zeros":
                rows = np.concatenate([rows, np.zeros_like(rows[:1])])
                return rows[np.where((places >= 0) & (places < len(rows) - 1), places, -1)]
            if how == "reversed":
                return rows[::-1]
            return rows[places % len(rows) if how == "wraps" else np.clip(places, 0, len(rows) - 1)]

        return rolled


class AddedUp(Expression):
    """A term at this step and at all later ones, added: what is handed to the step before and never set anew.

    In the loop of the other direction, whose terms read what the step before hands on, these are the earlier ones.

    Args:
        of: the term.
        after: 1 for later steps alone.
    """

    def __init__(self, of: During, after: int = 0) -> None:
        self.of, self.after, self.operands, self.shape = of, after, of.operands, of.shape
        self.ahead = -1 if any(is_derivative(part) and (part.shift or 0) < 0 for part in parts(of.inner)) else 1
        self.details = after, *of.details

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """Another term at the same steps."""
        return AddedUp(During(self.of.steps, operands[0]), self.after)

    def written(self, writer: Any) -> tuple[str, int]:
        """The term, and for which steps."""
        signs = "≥>" if self.ahead > 0 else "≤<"
        around, writer.moving = writer.moving, "s"
        term = writer.within(self.of.inner, 2)
        writer.moving = around
        return f"Σ_{{s {signs[self.after]} {around}}} {term}", 1

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that computes it in a run."""
        inner, steps, shape = compiled(self.of.inner), frozenset(self.of.steps), self.shape

        def added_up(run: Any, t: Any) -> Any:
            result, s = np.zeros(shape), t + self.after * self.ahead
            while s in steps:  # a sequence in pieces: each begins anew
                result, s = result + inner(run, s), s + self.ahead
            return result

        return added_up


class CarriedAlone(Expression):
    """A carry that is made of the carry of the step after, and not of all that arrives there.

    Args:
        of: what is handed on, at the step that reads it.
        own: the derivative at the step after, in place of which stands what that one was handed.
        last: the last step that is handed something.
    """

    def __init__(self, of: Expression, own: Reference, last: int) -> None:
        self.operands, self.shape, self.own, self.last = (of,), of.shape, own, last
        self.details = own.key, last

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """The same with other terms."""
        return CarriedAlone(operands[0], self.own, self.last)

    def written(self, writer: Any) -> tuple[str, int]:
        """The terms, with the carry of the step after where the derivative stands."""
        return f"carried({writer.write(self.operands[0])})", 4

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that computes it in a run, from the last step on."""
        held, last = np.zeros(self.shape), self.last
        carry = compiled(substituted(self.operands[0], self.own, Constant(held)))

        def carried(run: Any, t: Any) -> Any:
            held[...] = 0
            for s in range(last, t, -1):
                held[...] = carry(run, s)
            return carry(run, t)

        return carried


class Moved(During):
    """A term as it is at other steps: what a backward loop hands on that runs from the first step to the last.

    Args:
        of: the right term.
        sources: for each step that has the term, the step whose term it has.
    """

    def __init__(self, of: Expression, sources: Mapping[int, int]) -> None:
        super().__init__(tuple(sorted(sources)), of)
        self.sources = sources
        self.details = tuple(sorted(sources.items()))

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """Another term, moved in the same way."""
        return Moved(operands[0], self.sources)

    def shifted(self, by: int) -> Expression:
        """The steps move the other way."""
        return Moved(self.inner, {t - by: source for t, source in self.sources.items()})

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that computes it in a run."""
        inner, sources = compiled(self.inner), self.sources
        return lambda run, t: inner(run, sources[t]) if t in sources else None


BOUNDS = {"number": "no number above {}", "norm": "no norm above {}", "norm of a row": "no norm of a row above {}"}


class Bounded(Expression):
    """A derivative that is kept small: its numbers are clipped, or it is scaled to a norm.

    Args:
        of: the derivative.
        how: what has a bound, one of ``BOUNDS``.
        bound: the bound.
    """

    def __init__(self, of: Expression, how: str, bound: float) -> None:
        self.operands, self.shape, self.how, self.bound = (of,), of.shape, how, bound
        self.details = how, bound

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """The same bound of another derivative."""
        return Bounded(operands[0], self.how, self.bound)

    def written(self, writer: Any) -> tuple[str, int]:
        """The derivative, and its bound."""
        return f"bounded({writer.write(self.operands[0])}, {self.how} ≤ {self.bound:.6g})", 4

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that computes it in a run."""
        of, how, bound = compiled(self.operands[0]), self.how, self.bound

        def bounded(run: Any, t: Any) -> Any:
            value = of(run, t)
            if value is None or how == "number":
                return None if value is None else np.clip(value, -bound, bound)
            norm = np.linalg.norm(value, axis=-1 if how == "norm of a row" else None, keepdims=True)
            return value * np.minimum(1, np.divide(bound, norm, out=np.ones_like(norm), where=norm > 0))

        return bounded


class Mask(Constant):
    """An array of zeros and ones, with a name.

    Args:
        array: the array.
        name: its name, in words.
    """

    def __init__(self, array: np.ndarray, name: str) -> None:
        super().__init__(array)
        self.name = name

    def written(self, writer: Any) -> tuple[str, int]:
        """Its name."""
        return self.name, 4
