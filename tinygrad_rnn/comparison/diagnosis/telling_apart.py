"""A test between edits that give the same numbers here: the user's function is run at other values.

Edits that agree at other values of the parameters are one mistake, described in two ways; the first is kept. If they
differ there, the manual side decides: its function is called again at these values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from ...derivation.derivation import Derivation
from ...derivation.edits.editing import Bench
from ...derivation.edits.edits import Edit
from ...derivation.edits.of_terms import LEFT_OUT
from ...derivation.equations.expressions import Number
from ...derivation.equations.parts import reads_derivatives
from ..measures import Tolerance
from ..rows import Sides
from .search import Explanation
from .witness import Witness

MOST_SHOWN, PLACES = 4, 3


class Judge:
    """A judge of explanations: it tests them at other values of the parameters.

    Args:
        derivation: the right derivation.
        sides: the two sides.
        names: the wrong gradients, by their names in lines.
    """

    def __init__(self, derivation: Derivation, sides: Sides, names: Iterable[str]) -> None:
        self.derivation, self.names = derivation, list(names)
        self.tolerance = Tolerance(max(sides.tolerance.relative, 1e-8))
        self.witness = Witness(derivation, sides, self.tolerance)
        self.bench, self.values = self._elsewhere()

    def _elsewhere(self) -> tuple[Bench, dict[str, np.ndarray]]:
        """Other values of the parameters, with the right run there; none at a kink, where conventions differ."""
        for far in (0.3, 0.1, 0.03, 0.01):
            rng = np.random.default_rng(0)
            values = {
                name: value + far * (np.std(value) or 0.5) * rng.normal(size=value.shape)
                for name, value in self.derivation.parameters.items()
            }
            bench = Bench(self.derivation, values)
            if not bench.kinks():
                break
        return bench, values

    def first_that_stand(self, stages: Iterable[list[Explanation]]) -> tuple[list[Explanation], list[str]]:
        """The explanations from the first stage of the search at which some pass the test, and remarks about them."""
        for found in stages:
            kept, notes = self.told_apart(found)
            if kept:
                return kept, notes
        return [], []

    def told_apart(self, found: Sequence[Explanation]) -> tuple[list[Explanation], list[str]]:
        """The explanations that pass the test, one of each kind."""
        if not found:
            return [], []
        kinds: list[tuple[Explanation, dict[str, np.ndarray]]] = []
        for one in sorted(filter(self._holds_far_away, found), key=_is_unusual):
            gradients = self._gradients(one)
            if gradients is not None and not any(self._same(gradients, other) for _, other in kinds):
                kinds.append((one, gradients))
        conventions = [kind for kind in kinds if all(edit.is_convention for edit in kind[0].edits)]
        asked = self._asked
        if asked is not None:
            left = [one for one, gradients in kinds if all(self._equal(gradients[n], asked[n]) for n in one.names)]
            said = f"Of {len(kinds)} mistakes that fit, {len(left)} still did at other values of the parameters."
            if not left and conventions:
                left = [one for one, _ in conventions][:1]
            return left, [said] if len(left) < len(kinds) and left else []
        if conventions:  # another value at a kink is no mistake, so none is looked for
            return [one for one, _ in conventions][:1], []
        kept = [one for one, _ in kinds][:MOST_SHOWN]
        several = "These numbers fit several mistakes. A manual function could be asked again, at other values."
        return kept, [several] if len(kinds) > 1 else []

    @cached_property
    def _far_away(self) -> list[tuple[Bench, dict[str, np.ndarray]]]:
        """Runs at values far away, where signs and choices differ, and with other data, each with the claims there.

        A weight of 2 can't be told from a factor 2 by the same data. Whole numbers come in another order: a word that
        comes again overwrites its row, and what comes when?
        """
        parameters, given = self.derivation.parameters, self.derivation.given
        places: list[tuple[Mapping[str, np.ndarray], dict[str, np.ndarray]]] = []
        for rng in map(np.random.default_rng, range(PLACES)):
            places.append(({name: _other(value, rng) for name, value in parameters.items()}, {}))
        rng = np.random.default_rng(0)
        real = {
            name: array * np.exp(0.3 * rng.normal(size=array.shape)) for name, array in given.items() if _is_real(array)
        }
        whole = {n: rng.permuted(a.ravel()).reshape(a.shape) for n, a in given.items() if _is_whole(a)}
        found = [self._asked_at(values, data) for values, data in places]
        for data in (real, whole):  # all together, or each alone, as others may be constants in the lines
            together = self._asked_at(parameters, data) if data else None
            alone = [{name: array} for name, array in data.items()] if together is None else []
            found += [together, *(self._asked_at(parameters, one) for one in alone)]
        return [run for run in found if run is not None]

    def _asked_at(
        self, values: Mapping[str, np.ndarray], data: dict[str, np.ndarray]
    ) -> tuple[Bench, dict[str, np.ndarray]] | None:
        """A run with other numbers, and the claims there; None if there are no finite ones."""
        try:
            bench = Bench(self.derivation, values, {**self.derivation.data, **data})
            asked = None if bench.kinks() else self.witness.at(values, bench, data)
        except Exception:  # numbers with which the network can't be run
            return None
        return (bench, asked) if asked is not None and all(np.isfinite(g).all() for g in asked.values()) else None

    def _holds_far_away(self, one: Explanation) -> bool:
        """Return False for an explanation that is refuted far away: its numbers were right by chance."""
        try:
            return all(edit.is_convention for edit in one.edits) or all(
                self.tolerance.equal(run.gradient(name), asked[name], beside=bench.largest)
                for bench, asked in self._far_away
                for run in [bench.run(one.edits)]
                for name in one.names
            )
        except Exception:  # values at which these edits can't be run
            return False

    def _gradients(self, one: Explanation) -> dict[str, np.ndarray] | None:
        try:
            run = self.bench.run(one.edits)
            return {name: run.gradient(name) for name in self.names}
        except Exception:  # values at which these edits can't be run
            return None

    def _same(self, a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
        return all(self._equal(a[name], b[name]) for name in self.names)

    def _equal(self, a: np.ndarray, b: np.ndarray) -> bool:
        return self.tolerance.equal(a, b, beside=self.bench.largest)

    @cached_property
    def _asked(self) -> dict[str, np.ndarray] | None:
        """The claims of the manual side at other values; None if it can't be called, or the lines don't hold there."""
        return self.witness.at(self.values, self.bench)


def _other(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other numbers of the same size; positive ones stay positive."""
    if value.size and np.all(value > 0):
        return np.asarray(value * np.exp(0.4 * rng.normal(size=value.shape)))
    return np.asarray((np.std(value) or 0.5) * rng.normal(size=value.shape))


def _is_real(array: np.ndarray) -> bool:
    """Return True for real numbers; not for a mask, of zeros and one other number."""
    return array.dtype.kind == "f" and not ((np.any(array == 0) and len(np.unique(array)) < 3) or np.all(array == 1))


def _is_whole(array: np.ndarray) -> bool:
    """Return True for whole numbers that aren't all alike."""
    return array.dtype.kind in "iu" and len(np.unique(array)) > 1


def _is_unusual(one: Explanation) -> int:
    """The rank of an edit among equal ones: most often a line, or a part of it, is left out; least often, counted."""
    return max(map(_rank, one.edits))


def _rank(edit: Edit) -> int:
    if edit.what.endswith("left out, and the minus sign"):
        return 3
    if edit.what == LEFT_OUT or "left out" in edit.what:
        is_a_derivative = edit.what == "{} was left out" and reads_derivatives(edit.of[0])  # seldom is one forgotten
        return 0 if edit.what == LEFT_OUT else 2 if is_a_derivative else 1
    if edit.what.startswith("the term {} was"):  # halved, or taken twice
        return 4
    is_a_number = bool(edit.of) and isinstance(edit.of[0], Number) and "stands where" in edit.what
    return 3 if is_a_number or "taken twice" in edit.what or "+= for =" in edit.what else 2
