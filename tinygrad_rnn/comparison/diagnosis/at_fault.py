"""The lines that can be at fault: those that could lead to the wrong gradients, if their values were others.

Derivatives enter the lines of a backward pass linearly. Whatever somebody writes in some lines, their values differ
from the right ones by some numbers, and the gradients by a linear function of these numbers, which is known before any
edit is tried. Where no numbers lead to the given gradients, no edit of these lines does. Where the numbers are unique,
it is known what each line has to give: its edits are tried alone, however many lines are wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...derivation.edits.editing import Bench, Values
from ...derivation.equations.expressions import Expression, Sum
from ...derivation.equations.lines import Line
from ...derivation.equations.parts import places_read
from ...derivation.equations.quantities import Place, Quantity
from ...derivation.running.evaluate import Running, compiled
from ..measures import ROUNDING, Tolerance, largest
from .needed import Needed

# All derivatives of an LSTM with 12 units and of an Elman network with 24, in 4 steps: pairs of lines take a third of a
# second then, by singular values; with twice as many units, 20 times as long.
MOST_NUMBERS = 5 * 10**5
MARGIN = 10.0  # a line is excluded by more than the tolerance: of a sum over many numbers
RANK = 1e-13  # the share of the largest singular value below which others are rounding errors
KNOWN = 1e-8  # the share below which what they multiply isn't known
MOST_SETS = 200  # that are extended; a plain network has about ten
MOST_LINES = 4  # that are wrong


class AtFault:
    """A test of lines: whether other values of them could lead to the given gradients.

    Args:
        bench: the right run of the lines.
        given: the gradients, right and wrong ones, by their names in lines.
        tolerance: the difference up to which two numbers are equal.
        batch_axes: the axis of each quantity along which all its values are equal, whatever they are.
    """

    def __init__(
        self,
        bench: Bench,
        given: Mapping[str, np.ndarray],
        tolerance: Tolerance,
        batch_axes: Mapping[Quantity, int] | None = None,
    ) -> None:
        self.bench, self.given, self.tolerance = bench, given, tolerance
        self.batch_axes = batch_axes or {}
        self._known: dict[frozenset[Line], bool] = {}
        self._explained: dict[int, dict[frozenset[Line], int]] = {}

    def can_be(self, lines: Iterable[Line]) -> bool:
        """Return False if no values of these lines lead to the given gradients."""
        together = frozenset(lines)
        if together not in self._known:
            self._known[together] = self._test(together)
        return self._known[together]

    def can_explain(self, line: Line, name: str) -> bool:
        """Return False if no values of a line lead to one of the gradients."""
        if self._jacobians is None or line.kind == "forward":
            return True
        return self._explains(self._by_values([line]), self._elements[name])

    def _test(self, lines: frozenset[Line]) -> bool:
        if self._jacobians is None or any(line.kind == "forward" for line in lines):
            return True
        return self._explains(self._by_values(lines))

    def _explains(self, by_values: np.ndarray, elements: Any = slice(None)) -> bool:
        """Return True if some values lead to the given gradients, in all elements or some."""
        whole, off = by_values[elements], self._off[elements]
        reached = whole.any(axis=1)
        if np.any(np.abs(off[~reached]) > 1):
            return False
        if self._surplus(whole) >= 0:
            return True
        u, s, _ = np.linalg.svd(whole, full_matrices=False)
        u = u[:, s > RANK * s[0]]
        return not np.any(np.abs(off - u @ (u.T @ off)) > 1)

    @staticmethod
    def _surplus(by_values: np.ndarray) -> int:
        """The number of values, less that of the elements of gradients that they reach."""
        return by_values.shape[1] - int(np.count_nonzero(by_values.any(axis=1)))

    def _by_values(self, lines: Iterable[Line]) -> np.ndarray:
        """The derivatives of all gradients by all values of some lines."""
        nothing = np.zeros((len(self._off), 0))
        return np.concatenate([nothing, *(self._by_value(place) for line in lines for place in line.places)], axis=1)

    def _by_value(self, place: Place) -> np.ndarray:
        assert self._jacobians is not None
        found = self._jacobians.get(place)
        return np.zeros((len(self._off), int(np.prod(self._shape(place[0]))))) if found is None else found

    @cached_property
    def located(self) -> list[tuple[Line, ...]]:
        """The lines that can be at fault alone, or else in pairs, if it is known what they have to give; else none.

        More is known than the lines have values: that some fit is no chance. They are wrong, or what they read, or all
        that reads them.
        """
        few = self.sets(1) or self.sets(2)
        return few if all(map(self._is_known, few)) else []

    def _is_known(self, lines: Sequence[Line]) -> bool:
        """Return True if more is known than these lines have values, or if the values themselves are given."""
        return all(line.kind == "gradient" for line in lines) or self._surplus(self._by_values(lines)) < 0

    @property
    def are_several(self) -> bool:
        """True if no line can be at fault alone."""
        return self._jacobians is not None and not self.sets(1)

    @cached_property
    def are_many(self) -> bool:
        """True if no few lines can be at fault together."""
        return self._jacobians is not None and not any(self.sets(size) for size in range(1, MOST_LINES + 1))

    def sets(self, size: int) -> list[tuple[Line, ...]]:
        """The sets of this many lines that can be at fault, of which each is needed.

        Beyond the second one, each line has to explain one gradient more: so few sets are extended.
        """
        every = len(self._cones)
        found = [lines for lines, count in self._of_size(size).items() if count == every]
        needed = [lines for lines in found if not any(self.can_be(lines - {line}) for line in lines)]
        return [tuple(line for line in self.bench.lines if line in lines) for lines in needed]

    def _of_size(self, size: int) -> dict[frozenset[Line], int]:
        """Sets of lines with the number of gradients that they explain, in the order of the cones."""
        if size not in self._explained:
            shorter = self._of_size(size - 1) if size else {}
            longer = {} if size or self._jacobians is None else {frozenset[Line](): self._count(frozenset(), 0)}
            counts: dict[frozenset[Line], int] = {}
            for lines, count in itertools.islice(shorter.items(), MOST_SETS):
                for several in (lines | {line} for cone in self._cones[count : count + 1] for line in cone.lines):
                    if several not in counts:
                        counts[several] = self._count(several, count)
                    if counts[several] > count or size == 1:
                        longer[several] = counts[several]
            self._explained[size] = longer
        return self._explained[size]

    def _count(self, lines: frozenset[Line], count: int) -> int:
        """The number of gradients, of which so many are known to be explained by other values of these lines."""
        whole = self._by_values(lines)
        return next(
            (k for k in range(count, len(self._cones)) if not self._explains(whole, self._cones[k].elements)),
            len(self._cones),
        )

    @cached_property
    def _cones(self) -> list[_Cone]:
        """The lines behind more and more gradients: first those behind the one that depends on the fewest."""
        lines = [line for line in self.bench.lines if line.kind != "forward"]
        behind = {name: [line for line in lines if name in self.bench.reached(line)] for name in self.given}
        found = [_Cone([], np.zeros(0, int))]
        for name in sorted(self.given, key=lambda name: len(behind[name])):
            new = [line for line in behind[name] if line not in found[-1].lines]
            found.append(_Cone([*found[-1].lines, *new], np.concatenate([found[-1].elements, self._elements[name]])))
        return found[1:]

    def needed(self, lines: Sequence[Line]) -> Needed | None:
        """The numbers that these lines have to give, for the given gradients to come out; None if not known."""
        if self._jacobians is None:
            return None
        whole = self._by_values(lines)
        if self._surplus(whole) > 0:
            return None
        u, s, v = np.linalg.svd(whole, full_matrices=False)
        kept = s > KNOWN * s[0]
        by = (v[kept].T / s[kept]) @ (u[:, kept].T @ self._off)
        is_known = np.sum(v[kept] ** 2, axis=0) > 1 - KNOWN
        added: dict[Place, np.ndarray] = {}
        known: dict[Place, np.ndarray] = {}
        for quantity, t in itertools.chain.from_iterable(line.places for line in lines):
            shape, place = self._shape(quantity), (quantity, t)
            n = int(np.prod(shape))
            added[place], by = by[:n].reshape(shape), by[n:]
            known[place], is_known = is_known[:n].reshape(shape), is_known[n:]
        return Needed(self.bench, lines, added, known, self._of_one_instance)

    @cached_property
    def _elements(self) -> dict[str, np.ndarray]:
        """The places of the elements of each gradient among all."""
        ends = np.cumsum([array.size for array in self.given.values()])
        return {name: np.arange(end - array.size, end) for (name, array), end in zip(self.given.items(), ends)}

    @cached_property
    def _allowed(self) -> np.ndarray:
        """The difference up to which each element counts as equal."""
        rounding = ROUNDING * largest(self.bench.largest)
        sizes = [max(largest(array), largest(self.bench.gradient(name))) for name, array in self.given.items()]
        allowed = [MARGIN * max(self.tolerance.relative * size, rounding) for size in sizes]
        return np.repeat(allowed, [array.size for array in self.given.values()])

    @cached_property
    def _off(self) -> np.ndarray:
        """The differences of all elements, in the allowed ones."""
        off = [np.ravel(array - self.bench.gradient(name)) for name, array in self.given.items()]
        return np.concatenate(off) / self._allowed

    @cached_property
    def _jacobians(self) -> dict[Place, np.ndarray] | None:
        """The derivatives of all gradients by the values of lines, for each value; None if they are too many to use."""
        visits = [(line, t) for line, t, _ in self.bench.visits if line.kind != "forward"]
        read = [(line, t, list(_derivatives_read(line, t))) for line, t in visits]
        units = sum(int(np.prod(self._shape(term.quantity))) for _, _, terms in read for term in terms)
        is_linear = all(line.quantity.adjoint_of is not None and not line.quantity.entries for line, _ in visits)
        if units * len(self._off) > MOST_NUMBERS or not is_linear or self.tolerance.decimals is not None:
            return None
        found: dict[Place, np.ndarray] = {
            (line.quantity, None): self._of_gradient(line) for line, _ in visits if line.kind == "gradient"
        }
        for line, t, terms in reversed(read):
            of_line = found.get((line.quantity, t))
            for term in terms if of_line is not None else ():
                new, place = of_line @ self._local(line, term), (term.quantity, term.step)
                found[place] = found[place] + new if place in found else new
        return found if np.isfinite(self._off).all() else None

    def _of_gradient(self, line: Line) -> np.ndarray:
        """The elements of all gradients that each element of one line is."""
        name, rows = str(line.quantity.adjoint_of), []
        for other, array in self.given.items():
            units = list(self._units(line.quantity)) if other == name else [np.zeros(())] * int(np.prod(line.shape))
            rows.append(np.stack([np.broadcast_to(unit, array.shape).ravel() for unit in units], axis=1))
        return np.concatenate(rows) / self._allowed[:, None]

    def _local(self, line: Line, term: _Term) -> np.ndarray:
        """The derivative of a line's value by one value that it reads."""
        function, values = compiled(term.expression), self._zeros.values[term.quantity]

        def result() -> Any:
            value = function(self._zeros, term.at)
            return self._of_one_instance(line.quantity, value).ravel()

        nothing, columns = result(), []
        for unit in self._units(term.quantity):
            values[term.step] = unit
            columns.append(result() - nothing)
        del values[term.step]
        return np.stack(columns, axis=1)

    def _shape(self, quantity: Quantity) -> tuple[int, ...]:
        """The shape of a quantity's unknown values: those of one instance, where all are equal."""
        batch = self.batch_axes.get(quantity)
        return tuple(1 if axis == batch else size for axis, size in enumerate(quantity.shape))

    def _of_one_instance(self, quantity: Quantity, value: Any) -> np.ndarray:
        """The mean over equal instances: gradients depend on nothing else."""
        whole = np.broadcast_to(0.0 if value is None else value, quantity.shape)
        batch = self.batch_axes.get(quantity)
        return whole if batch is None else whole.mean(axis=batch, keepdims=True)

    def _units(self, quantity: Quantity) -> Iterator[np.ndarray]:
        """Each array of a quantity's shape with a single 1, for all instances."""
        for place in np.ndindex(*self._shape(quantity)):
            unit = np.zeros(self._shape(quantity))
            unit[place] = 1.0
            yield np.broadcast_to(unit, quantity.shape)

    @cached_property
    def _zeros(self) -> Running:
        """A run in which all derivatives are zero."""
        running = Running(self.bench.parameters, self.bench.data)
        running.values = dict(self.bench.right.values)
        for line in self.bench.lines:
            if line.kind != "forward":
                running.values[line.quantity] = Values(np.zeros(line.quantity.shape), ())
        return running


class _Term(NamedTuple):
    """An expression at a step, and a derivative that it reads there."""

    expression: Expression
    at: int | None
    quantity: Quantity
    step: int | None


def _derivatives_read(line: Line, t: int | None) -> Iterator[_Term]:
    """The derivatives that a line reads at a step; in a sum over steps, those of each term."""
    whole = line.expression
    terms = [(whole.inner, s) for s in whole.steps] if isinstance(whole, Sum) else [(whole, t)]
    for expression, at in terms:
        for quantity, step in dict.fromkeys(places_read(expression, () if at is None else (at,))):
            if quantity.adjoint_of is not None and step in (quantity.steps or (None,)):
                yield _Term(expression, at, quantity, step)


class _Cone(NamedTuple):
    """Lines, and the elements of the gradients to which only they lead."""

    lines: list[Line]
    elements: np.ndarray
