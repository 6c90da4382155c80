"""Marking: a check of an answer against a line's values, and a search for the mistake in a wrong answer."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backward.names import row_name
from ..edits.budget import Budget
from ..edits.draws import draws
from ..edits.editing import Bench
from ..edits.edits import Edit, edits_that_fit
from ..edits.hand import Hand
from ..equations.expressions import ARRIVING, Data, Step
from ..equations.lines import Line
from ..equations.parts import closure, parts, places_read
from ..equations.quantities import Place, Quantity
from ..running.evaluate import compiled
from ..writing.source import Source
from ..writing.writer import TextWriter
from .allowed import AtSteps, Circular, Once, Unreadable, WrongShape
from .answers import Answer
from .marks import Mark

if TYPE_CHECKING:
    from ..edits.derived import Derived

CLOSE = 1e-7  # the relative difference allowed between two right ways to compute a value


class Marker:
    """A marker of answers to the lines of a derivation, with the right values of all other lines at hand.

    Args:
        derivation: the derivation.
        seed: the seed of the numbers at which answers are tried, besides the recorded ones.
        columns: whether answers have vectors as columns: all matrices are then the transposes of those in the lines.
    """

    def __init__(self, derivation: Derived, seed: int = 0, columns: bool = False) -> None:
        self.derivation, self.columns = derivation, columns
        self.lines = derivation.lines
        self.writer = TextWriter.of(self.lines, columns)
        self.source = Source(self.lines, derivation.names.values(), derivation.data, derivation.loss)
        self.seed = seed
        self.hand = Hand(derivation)

    @cached_property
    def draws(self) -> list[Bench]:
        """The numbers at which answers are tried."""
        return list(draws(self.derivation, np.random.default_rng(self.seed)))

    @cached_property
    def _following(self) -> Callable[[Place], set[Place]]:
        return _what_follows(self.lines)

    # --- names -------------------------------------------------------------------------------------------------------

    @cached_property
    def _printed(self) -> dict[str, str]:
        """The printed names, each with its name in an answer: ``∂L/∂h``, ``Δ``, ``cell.W``."""
        found = {name: self.source.names[name] for name in self.derivation.names.values()}
        for row in self.rows.values():
            if row.startswith(ARRIVING):  # printed as the derivatives that they are
                by = row.removeprefix(ARRIVING)
                found[f"∂L/∂{by}"] = found[f"dL/d{by}"] = f"row_of_{row}"
        for line in self.lines:
            for printed in (self.writer.symbol(line.quantity), line.name):
                found[printed] = self.source.names[line.quantity]
        return found

    @cached_property
    def symbols(self) -> dict[str, str]:
        """The printed names that aren't Python."""
        return {printed: name for printed, name in self._printed.items() if printed and not printed.isidentifier()}

    @cached_property
    def rows(self) -> dict[str, str]:
        """The arrays that have a row for each step, by the name of a row: ``x`` for ``xs``."""
        found: dict[str, str] = {}
        for line in self.lines:
            for part in parts(line.expression):
                index = getattr(part, "settings", {}).get("index")
                if isinstance(index, Step) and isinstance(part.operands[0], Data):
                    found[row_name(part.operands[0].name)] = part.operands[0].name
        return found

    def _names(self, draw: Bench, line: Line, t: int | None) -> dict[str, Any]:
        """The values of an answer's names, at one step."""
        found: dict[str, Any] = {"t": t, "T": self.writer.last}
        arrays = {**draw.data, **draw.parameters}
        for name, whole in self.rows.items():
            called = f"row_of_{whole}" if whole.startswith(ARRIVING) else name
            rows = arrays[whole]
            found[called] = AtSteps(name, tuple(range(1, len(rows) + 1)), self._row_of(rows))
        for name, array in arrays.items():
            if name in self.source.names:
                found[self.source.names[name]] = self.turned(array)
        for quantity in dict.fromkeys(other.quantity for other in self.lines):
            if quantity.entries:
                continue
            name = self.source.names[quantity]
            at = self._reader(draw, quantity, (line.quantity, t))
            found[name] = AtSteps(name, quantity.steps, at) if quantity.steps else Once(at)
        alike = {unicodedata.normalize("NFKC", printed): name for printed, name in self._printed.items()}
        return {**{printed: found[name] for printed, name in alike.items() if name in found}, **found}

    def _reader(self, draw: Bench, quantity: Quantity, origin: Place) -> Callable[..., Any]:
        """A function that gives the values of a quantity for an answer, but none that depend on the answer's line."""

        def read(t: int | None = None) -> Any:
            if (quantity, t) in self._following(origin):
                name = f"{self.source.names[quantity]}{'' if t is None else f'[{t}]'}"
                why = "is what this line gives" if (quantity, t) == origin else "is computed from this line"
                raise Circular(f"{name} {why}; begin with what was known before")
            return self.turned(draw.right.values[quantity][t])

        return read

    def turned(self, value: Any) -> Any:
        """A value of the lines in the form of answers, or the reverse: transposed if vectors are columns."""
        return value.T if self.columns and np.ndim(value) > 1 else value

    def _row_of(self, rows: np.ndarray) -> Callable[[int], Any]:
        """The row of an array for a step; zeros where there is none."""
        return lambda t: self.turned(rows[t - 1] if 0 < t <= len(rows) else np.zeros_like(rows[0]))

    # --- marks -----------------------------------------------------------------------------------------------------

    def mark(self, line: Line, title: str, answer: Any, budget: Budget) -> Mark:
        """The mark for an answer.

        Args:
            line: the line that the answer is for.
            title: the name of the line.
            answer: text, a function of names, or values: by step, or all steps in one array.
            budget: how long to look for a slip.
        """

        def said(verdict: str, sentence: str, slip: Edit | None = None) -> Mark:
            return Mark(title, self.writer.left(line), verdict, sentence, answer, slip)

        if answer is None or (isinstance(answer, str) and not answer.strip()):
            return said("blank", "left blank")
        try:
            given = self._arrays(line, answer)
        except Unreadable as error:
            return said(error.verdict, str(error))
        wrong: set[int | None] = set()
        for draw, values in zip(self.draws, given):
            wrong |= {t for (_, t), value in zip(line.places, values) if not _close(value, _right(draw, line, t))}
        if not wrong:
            return said("right", "right")
        slip = next(edits_that_fit([line], self.hand, lambda edit: self._gives(edit, given), budget), None)
        if slip is not None and slip.is_convention:
            return said("right", f"right, by another convention at a kink: {slip.said(self.writer.write)}")
        where = self._where(wrong, line)
        if slip is not None:
            return said("wrong", f"wrong{where}: {slip.said(self.writer.write)}", slip)
        is_finite = all(np.all(np.isfinite(value)) for values in given for value in values)
        return said("wrong", f"wrong{where}{'' if is_finite else '; it has values that are no numbers'}")

    def _where(self, wrong: set[int | None], line: Line) -> str:
        """The wrong steps in words; "" if all are."""
        if len(wrong) == len(line.places):
            return ""
        steps = tuple(t for t in line.steps if t in wrong)
        return f" at {self.writer.steps(steps)}{' alone' if len(steps) == 1 else ''}"

    def _arrays(self, line: Line, answer: Any) -> list[list[np.ndarray]]:
        """The values of an answer at each step, for each draw, in the form of those of its line."""
        found = []
        for draw, values in zip(self.draws, self._values(line, answer)):
            rights = [self.turned(_right(draw, line, t)) for _, t in line.places]
            arrays = (_as_array(value, right, t) for value, right, (_, t) in zip(values, rights, line.places))
            found.append([self.turned(array) for array in arrays])
        return found

    def _values(self, line: Line, answer: Any) -> list[list[Any]]:
        """The values of an answer at each step, for each draw; an array has values only for the recorded numbers."""
        if isinstance(answer, str):
            parsed = Answer(answer, self.symbols)
            function: Callable[[dict[str, Any]], Any] = parsed.value
        elif callable(answer):
            function = _with_names(answer)
        else:
            return _by_step(line, answer, self.turned(np.empty(line.shape)).shape)
        return [[function(self._names(draw, line, t)) for _, t in line.places] for draw in self.draws]

    def _gives(self, edit: Edit, given: list[list[np.ndarray]]) -> bool:
        """Return True if an edit of a line gives an answer's values."""
        edited = compiled(edit.expression)

        def is_given(draw: Bench, t: int | None, value: np.ndarray) -> bool:
            found = edited(draw.right, t)
            return _close(value, np.broadcast_to(0.0 if found is None else found, edit.line.shape))

        with np.errstate(all="ignore"):
            return all(
                is_given(draw, t, value)
                for draw, values in zip(self.draws, given)
                for (_, t), value in zip(edit.line.places, values)
            )


def _what_follows(lines: Sequence[Line]) -> Callable[[Place], set[Place]]:
    """A function that gives all values which are computed from one, and that one."""
    followers: dict[Place, set[Place]] = {}
    for line in lines:
        for quantity, t in line.places:
            for read in places_read(line.expression, () if t is None else (t,)):
                followers.setdefault(read, set()).add((quantity, t))
    return cache(lambda origin: closure([origin], lambda place: followers.get(place, ())))


def _with_names(function: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
    """A function of some names, as a function of all names."""
    wanted = list(inspect.signature(function).parameters)

    def called(names: dict[str, Any]) -> Any:
        missing = [name for name in wanted if name not in names]
        if missing:
            raise Unreadable(f"the function takes {missing[0]!r}; there are {', '.join(sorted(names))}")
        given = [found.read() if isinstance(found, Once) else found for found in (names[name] for name in wanted)]
        try:
            return function(*given)
        except Unreadable:
            raise
        except Exception as error:  # whatever the user's function raises
            raise Unreadable(f"{_at(names['t'])}the function raised {type(error).__name__}: {error}") from error

    return called


def _by_step(line: Line, values: Any, shape: tuple[int, ...]) -> list[list[Any]]:
    """The values of an answer by step: given in a dict, or in one array with the steps first, in ascending order."""
    if not line.steps:
        return [[values]]
    if isinstance(values, Mapping):
        missing = [t for t in line.steps if t not in values]
        if missing:
            raise Unreadable(f"there is no value for step {missing[0]}; hand in a dict with a value for each step")
        return [[values[t] for t in line.steps]]
    array = np.asarray(values)
    if len(line.steps) == 1 and array.shape == shape:
        return [[array]]
    whole = (len(line.steps), *shape)
    if array.shape != whole:
        raise Unreadable(
            f"an array of all steps has shape {whole}, in the order of the steps; this one has {array.shape}"
        )
    return [list(array)]


def _right(draw: Bench, line: Line, t: int | None) -> np.ndarray:
    return np.broadcast_to(draw.right.values[line.quantity][t], line.shape)


def _as_array(value: Any, right: np.ndarray, t: int | None) -> np.ndarray:
    """A value of an answer as an array, in the shape of the right one."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise Unreadable(f"{_at(t)}it gives {type(value).__name__}, no numbers") from None
    if array.ndim and array.shape != right.shape:
        is_turned = array.T.shape == right.shape and _close(array.T, right)
        said = f"{_at(t)}it gives shape {array.shape}; the line has {right.shape}"
        raise WrongShape(f"{said}{'; transposed, it is right' if is_turned else ''}")
    return np.broadcast_to(array, right.shape)


def _close(value: Any, right: Any) -> bool:
    """Return True if two values are equal up to rounding."""
    size = float(np.max(np.abs(right), initial=0.0))
    return bool(np.all(np.abs(value - right) <= CLOSE * size + 1e-13))  # False where one is no number


def _at(t: int | None) -> str:
    return "" if t is None else f"at t = {t}: "
