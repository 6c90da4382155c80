"""The numbers of a derivation, and whether an array consists of them, in whatever layout.

An array of real numbers from a computation has numbers that nothing else has. So an array is known if each of its
elements occurs anywhere: a row of a matrix, the gates side by side and a transpose need no rule.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from ...derivation.edits.editing import Bench
from ...derivation.equations.arithmetic import is_product, is_sum, product
from ...derivation.equations.expressions import Expression, Steps, WithSteps
from ...derivation.equations.lines import Line
from ...derivation.equations.parts import total
from ...derivation.running.evaluate import compiled

MOST_OPERANDS = 4  # of which some are taken together
SMALL = 1e-3  # the share of an array's largest element below which its elements have fewer digits


class Numbers:
    """A collection of numbers, which tells whether an array consists of some of them.

    Args:
        arrays: the arrays that hold them.
        relative: the relative difference up to which two numbers are equal.

    Example:
        >>> some = Numbers([np.array([[0.3, 0.7], [0.2, 0.9]])], 1e-9)
        >>> some.make_up(np.array([0.2, 0.7])), some.make_up(np.array([0.2, 0.8])), some.make_up(np.zeros(2))
        (True, False, None)
    """

    def __init__(self, arrays: Iterable[np.ndarray], relative: float) -> None:
        flat = [np.sort(array, axis=None) for array in arrays if array.dtype.kind in "fiu"]
        self.relative = relative
        self.sorted = np.sort(np.concatenate([*flat, [-np.inf, np.inf]]))
        self.repeating: dict[int, list[np.ndarray]] = defaultdict(list)  # arrays with a number twice, by their sizes
        for array in flat:
            if _repeats(array):
                self.repeating[array.size].append(array)

    def make_up(self, array: np.ndarray) -> bool | None:
        """Return True if each element is one of these numbers; None if there is nothing to tell: zeros and ones."""
        ordered = np.sort(array, axis=None)
        telling = ordered[(ordered != 0) & (np.abs(ordered) != 1)]
        if not telling.size:
            return None
        if not np.isfinite(telling).all():
            return False
        allowed = self.relative * np.maximum(np.abs(telling), SMALL * np.abs(telling).max())
        after = np.searchsorted(self.sorted, telling)
        distance = np.minimum(self.sorted[after] - telling, telling - self.sorted[after - 1])
        if np.any(distance > allowed):
            return False
        if not _repeats(telling):  # else its numbers aren't its own: signs over N, say
            return True
        return any(np.all(np.abs(other - ordered) <= allowed.max()) for other in self.repeating[array.size])


def _repeats(ordered: np.ndarray) -> bool:
    """Return True if a sorted array has a number twice, other than 0."""
    return bool(np.any((ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)))


def with_steps(expression: Expression, steps: Steps) -> Iterator[tuple[Expression, Steps]]:
    """An expression and all its parts, each with the steps at which it is computed."""
    yield expression, steps
    inner = expression.steps if isinstance(expression, WithSteps) else steps
    for operand in expression.operands:
        yield from with_steps(operand, inner)


def pieces(line: Line) -> Iterator[tuple[Expression, Steps]]:
    """The parts of a line, and some terms or factors of longer sums and products, each with its steps."""
    for part, steps in dict.fromkeys(with_steps(line.expression, line.steps)):
        yield part, steps
        if 2 < len(part.operands) <= MOST_OPERANDS and (is_sum(part) or is_product(part)):
            together = total if is_sum(part) else product
            for count in range(2, len(part.operands)):
                yield from ((together(list(some)), steps) for some in itertools.combinations(part.operands, count))


def count(line: Line) -> int:
    """The number of numbers in a line and its parts."""
    return sum(int(np.prod(part.shape)) * max(len(steps), 1) for part, steps in pieces(line))


def evaluated(bench: Bench, expression: Expression, steps: Steps) -> dict[int | None, np.ndarray]:
    """The right values of an expression at some steps, as real numbers; a condition is 0 or 1."""
    run, found = compiled(expression), {}
    for t in steps or (None,):
        try:
            value = run(bench.right, t)
        except (LookupError, TypeError):  # beyond the first step, say, or all terms are of other steps
            continue
        if value is not None:
            found[t] = np.asarray(value, float)
    return found


def numbers_of(bench: Bench, lines: Iterable[Line]) -> Iterator[np.ndarray]:
    """The right numbers: parameters, data, the values of lines and of all their parts, and sums on their way."""
    yield from bench.parameters.values()
    yield from map(np.asarray, bench.data.values())
    for line in lines:
        yield from (np.asarray(value) for value in bench.right.values[line.quantity].values() if value is not None)
        for part, steps in pieces(line):
            values = list(evaluated(bench, part, steps).values())
            yield from values
            if steps and not line.steps:  # summed up, from either end
                yield from np.cumsum(values, axis=0)
                yield from np.cumsum(values[::-1], axis=0)
