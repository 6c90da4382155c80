"""Rolling: from the values of all steps to quantities, and equations that hold at many steps.

Values with the same role at different steps become one quantity. Its equation at step t refers to other quantities by
their distance: ``h`` at t - 1. If the steps don't agree, there are several equations, each with the steps at which it
holds; so the equations always say exactly what was recorded, however values are grouped. Where the first step reads a
given value and later steps read the state, the given value becomes the state at step 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import indexing, shape
from ...autodiff.rules.elementwise import add, subtract
from ...compiler.graph.trace import stop_gradient
from ..equations.expressions import (
    Apply,
    Expression,
    Number,
    Operand,
    Parameter,
    Reference,
    setting_key,
)
from ..equations.order import after_reads
from ..equations.parts import references, values_of_steps
from ..equations.quantities import Equation, Place, Quantity
from .data import Sequences
from .grouping import grouped
from .items import Item
from .settings import are_alike, common_settings, from_step, operands_and_settings
from .starts import Start, extend_to_starts


class _Before(NamedTuple):
    """The quantity that is read for a state of a step before, and the values that it has at each step."""

    quantity: Quantity
    given: Mapping[int, Any]


class Rolling:
    """Quantities of a graph.

    Args:
        items: the operations, in the order of recording, with their steps.
        given: arrays that the loss was given, by name; a sequence that equals one of them gets its name.
        taken: names that no array may have.

    Attributes:
        quantities: the quantities, each after those that it reads at the same step; else in the order of recording.
        masks: those through which no gradient flows, since they were computed by comparisons.
        data: the arrays by name.
    """

    def __init__(self, items: Sequence[Item], given: Mapping[str, np.ndarray], taken: Collection[str] = ()) -> None:
        self.sequences = Sequences(given, taken)
        self.of: dict[Item, Place] = {}
        self._parts = {item: operands_and_settings(item, self.sequences.constants) for item in items}
        self._starts: dict[Place, Start] = {}
        groups = [(self._quantity(group), group) for group in grouped(items, self._parts)]
        self.masks = {quantity for quantity, group in groups if group[0].is_plain}
        for quantity, group in groups:
            for item in group:
                self.of[item] = (quantity, item.step)
        self._detached = {quantity for quantity, group in groups if group[0].op is stop_gradient}
        self._before = self._states_before(groups)
        for quantity, group in groups:
            quantity.equations += self._equations(group)
        quantities = [*(before.quantity for before in self._before.values()), *(quantity for quantity, _ in groups)]
        extend_to_starts(quantities, self._starts, self.data)
        self.quantities = after_reads(quantities, _read_at_once)

    @property
    def data(self) -> dict[str, np.ndarray]:
        """The arrays to which expressions refer by name."""
        return self.sequences.arrays

    def _quantity(self, group: list[Item]) -> Quantity:
        labels = tuple(dict.fromkeys(label._replace(step=None) for item in group for label in item.own_labels))
        variable = next((item.variable for item in reversed(group) if item.variable), None)
        quantity = Quantity(group[0].shape, group[0].scope.layer, labels, variable, loop=group[0].loop)
        for item in group:
            quantity.values[item.step] = item.value
        return quantity

    # --- equations -----------------------------------------------------------------------------------------------

    def _equations(self, group: list[Item]) -> list[Equation]:
        operands_of, settings_of = zip(*(self._parts[item] for item in group))
        if group[0].step is None:
            once = [self._once(given) for given in operands_of[0]]
            return [Equation((), self._apply(group[0], once, settings_of[0]))]
        if group[0].op is indexing.getitem:
            row = self._row_of_data(group, settings_of)
            if row is not None:
                return [Equation(tuple(sorted(item.step or 0 for item in group)), row)]
            operands_of, settings_of = self._places_as_data(group, operands_of, settings_of)
        rows = self._rows(group, operands_of)
        settings_of = common_settings(settings_of, [item.step or 0 for item in group])
        common = all(settings is settings_of[0] for settings in settings_of)
        found: dict[Any, tuple[list[int], Item, Any, dict[str, Any]]] = {}
        for item, operands, settings in zip(group, rows, settings_of):
            key = (operands, None if common else setting_key(settings), id(item.op) if item.is_single else None)
            found.setdefault(key, ([], item, operands, settings))[0].append(item.step or 0)
        return [Equation(tuple(sorted(steps)), self._apply(item, list(o), s)) for steps, item, o, s in found.values()]

    def _row_of_data(self, group: list[Item], settings_of: Sequence[dict[str, Any]]) -> Expression | None:
        """The row of an array of its own for rows of the data that take two places, ``X[n, t]``, not both by step."""
        array, indices = group[0].inputs[0], [settings["index"] for settings in settings_of]
        if not isinstance(array, Item) or array.data is None or any(item.inputs[0] is not array for item in group):
            return None
        if not all(type(index) is tuple and all(type(place) is int for place in index) for index in indices):
            return None
        if any(len(set(places)) == 1 for places in zip(*indices)):
            return None
        return self.sequences.own_rows(f"{array.data}_rows", group, [item.step or 0 for item in group])

    def _places_as_data(
        self, group: list[Item], operands_of: Sequence[list[Any]], settings_of: Sequence[dict[str, Any]]
    ) -> tuple[Sequence[list[Any]], Sequence[dict[str, Any]]]:
        """The operands and settings; places that differ from step to step (``E[word]``, ``p_t[k_t]``) become data."""
        indices = [settings["index"] for settings in settings_of]
        whole = [index if type(index) is tuple else (index,) for index in indices]
        if len(set(map(len, whole))) > 1:
            return operands_of, settings_of
        steps, given, columns = [item.step or 0 for item in group], list(map(list, operands_of)), []
        for places in zip(*whole):
            if self._is_data(places, steps, given, len(whole[0]) == 1):
                for operands, place in zip(given, places):
                    operands.append(Item(None, (), {}, np.asarray(place), -1))
                columns.append(tuple(Operand(len(operands) - 1) for operands in given))
            else:
                columns.append(places)
        new = [place if type(index) is tuple else place[0] for index, place in zip(indices, zip(*columns))]
        return given, [{**settings, "index": index} for settings, index in zip(settings_of, new)]

    def _is_data(self, places: Sequence[Any], steps: list[int], given: Sequence[list[Any]], is_all: bool) -> bool:
        """Return True for places that don't follow from the step, or are all data, for a value at its step."""
        if len(places) < 2 or not all(type(place) is int for place in places):
            return False
        of_steps = all(isinstance(operands[0], Item) and operands[0].step is not None for operands in given)
        if is_all and of_steps and self.sequences.is_at_hand(list(places), steps):
            return True
        by_step = ([{"index": from_step(k, t, sign)} for k, t in zip(places, steps)] for sign in (1, -1))
        return len(set(places)) > 1 and not any(map(are_alike, by_step))

    def _rows(self, group: list[Item], operands_of: Sequence[list[Any]]) -> list[tuple[Expression, ...]]:
        """The operands of each Item; sums may have more terms at some steps than at others."""
        found: dict[Item, tuple[Expression, ...]] = {}
        for count in sorted({len(operands) for operands in operands_of}):
            alike = [(item, operands) for item, operands in zip(group, operands_of) if len(operands) == count]
            items = [item for item, _ in alike]
            columns = [self._column(column, items) for column in zip(*(operands for _, operands in alike))]
            found |= dict(zip(items, zip(*columns) if columns else [()] * len(items)))
        return [found[item] for item in group]

    def _apply(self, item: Item, operands: list[Expression], settings: dict[str, Any]) -> Expression:
        is_stack = item.op is shape.stacked and settings.get("axis", 0) == 0
        stack = values_of_steps(operands) if is_stack else None
        return Apply(item.op, tuple(operands), settings, item.shape) if stack is None else stack

    def _once(self, given: Any) -> Expression:
        """An operand of a value without steps."""
        if isinstance(given, Item) and given in self.of:
            quantity, step = self.of[given]
            return Reference(quantity, None, step)
        return self._leaf(given)

    def _leaf(self, given: Any) -> Expression:
        if not isinstance(given, Item):
            return Number(given)
        if given.parameter is not None:
            return Parameter(given.parameter, given.shape)
        return self.sequences.single(given)

    def _states_before(self, groups: Sequence[tuple[Quantity, list[Item]]]) -> dict[Place, _Before]:
        """The quantities that all operations read in place of a state before, where that isn't the state at some steps.

        A state begins anew with the next sequence, or is detached with the next chunk: that is said once. Of a sum that
        nothing else reads, that is said where it is added up.
        """
        read: dict[Place, dict[int, set[Any]]] = {}
        for quantity, group in groups:
            columns = zip(*(self._parts[item][0] for item in group)) if group[0].step is not None else ()
            for column in columns:
                _, usual = self._sources(column, group)
                adds_up = usual is not None and usual[0] is quantity and group[0].op in (add, subtract)
                if usual is not None and usual[1] and usual[0].loop == group[0].loop and not adds_up:
                    for given, item in zip(column, group):
                        read.setdefault(usual, {}).setdefault(item.step or 0, set()).add(given)
        found: dict[Place, _Before] = {}
        for (target, shift), by_step in read.items():
            if all(len(given) == 1 for given in by_step.values()):
                given = {t: own for t, (own,) in by_step.items()}
                before = self._state_before(target, shift or 0, given)
                found |= {(target, shift): _Before(before, given)} if before else {}
        return found

    def _state_before(self, target: Quantity, shift: int, given: Mapping[int, Any]) -> Quantity | None:
        """The quantity that is read for a state; None if that is the state at all steps where it is known."""
        places = {t: self.of.get(own) if isinstance(own, Item) else None for t, own in given.items()}
        known = [t for t in target.values if t is not None]
        inner = range(min(known), max(known) + 1)
        others = [t for t in given if t + shift in inner and places[t] != (target, t + shift)]
        kept = [place[0] for t in others if (place := places[t]) and place[0] not in self._detached]
        if not others or any(quantity.loop == target.loop for quantity in kept):
            return None
        anew = [self._elsewhere(given[t], places[t], t, target.loop) for t in others]
        found: dict[Expression, list[int]] = {}
        for t in sorted(given):
            row = self._elsewhere(given[t], places[t], t, target.loop)
            row = row if row in anew else self._relative(given[t], places[t], t, target, shift)
            found.setdefault(row, []).append(t)
        equations = [Equation(tuple(steps), row) for row, steps in found.items()]
        before = Quantity(target.shape, target.layer, equations=equations, loop=target.loop)
        before.values = {t: np.asarray(own.value if isinstance(own, Item) else own) for t, own in given.items()}
        return before

    def _sources(
        self, column: tuple[Any, ...], group: list[Item]
    ) -> tuple[list[Place | None], tuple[Quantity, int] | None]:
        """The places from which the operands of one position come, and the source and the distance of most."""
        places = [self.of.get(given) if isinstance(given, Item) else None for given in column]
        usual = _usual_source(places, [item.step or 0 for item in group], group[0].loop) if any(places) else None
        return places, usual

    def _column(self, column: tuple[Any, ...], group: list[Item]) -> list[Expression]:
        """The operands in one place of an operation, at each of its steps."""
        steps, loop = [item.step or 0 for item in group], group[0].loop
        places, usual = self._sources(column, group)
        if not any(places):
            return self._column_of_leaves(column, steps)
        if usual is None:
            return [self._elsewhere(given, place, t, loop) for given, place, t in zip(column, places, steps)]
        target, shift = usual
        before = self._before.get(usual) if loop == target.loop else None
        if before is not None and all(before.given.get(t) == given for t, given in zip(steps, column)):
            return [Reference(before.quantity, 0)] * len(column)
        return [self._relative(given, place, t, target, shift) for given, place, t in zip(column, places, steps)]

    def _elsewhere(self, given: Any, place: Place | None, t: int, loop: Any) -> Expression:
        """The expression for an operand that differs from that of most steps."""
        if place is None:
            return self._leaf(given)
        if place[1] is not None and place[0].loop == loop:
            return Reference(place[0], place[1] - t)
        return Reference(place[0], None, place[1])

    def _relative(self, given: Any, place: Place | None, t: int, target: Quantity, shift: int) -> Expression:
        """The expression for an operand which in most steps is ``target``, a fixed number of steps away."""
        if place is not None and place[0] is target and place[1] == t + shift:
            return Reference(target, shift)
        value = np.asarray(given.value if isinstance(given, Item) else given)
        may_begin = value.shape == target.shape and (shift or place is None) and target not in self.masks
        if may_begin and self._begins(target, t + shift, given, place, value):
            return Reference(target, shift)
        return self._elsewhere(given, place, t, target.loop)

    def _begins(self, target: Quantity, step: int, given: Any, place: Place | None, value: np.ndarray) -> bool:
        """Return True if a given value is a state before its first step; if so, add an equation for it."""
        if (target, step) in self._starts:
            begun = self._starts[target, step].given
            return begun is given or (type(begun) is type(given) and not isinstance(given, Item) and begun == given)
        steps = [t for t in target.values if t is not None and (target, t) not in self._starts]
        if step in steps or (place is not None and place[0].loop == target.loop):
            return False
        is_recorded = place is not None or (isinstance(given, Item) and given.parameter is not None)
        self._starts[target, step] = Start(given, is_recorded)
        target.values[step] = value
        start = Reference(place[0], None, place[1]) if place else self._leaf(given)
        target.equations.append(Equation((step,), start))
        return True

    def _column_of_leaves(self, column: tuple[Any, ...], steps: list[int]) -> list[Expression]:
        """Parameters, numbers, and data that may differ from step to step."""
        plain = [not isinstance(given, Item) or given.parameter is not None for given in column]
        first = column[0]
        if all(given is first or (plain[0] and given == first) for given in column):
            return [self._leaf(first)] * len(column)
        if any(plain):
            return [self._leaf(given) for given in column]
        return self.sequences.rows(column, steps)


def _read_at_once(quantity: Quantity) -> list[Quantity]:
    """The quantities that one reads at the same step, as it does at most of its steps, or without steps."""
    usual = max(quantity.equations, key=lambda equation: len(equation.steps))
    return [read.quantity for read, _ in references(usual.expression, usual.steps) if not read.shift]


def _usual_source(places: Sequence[Place | None], steps: Sequence[int], loop: Any) -> tuple[Quantity, int] | None:
    """The quantity that most steps read a fixed number of steps away, and this number; None if one value is usual."""
    moving = Counter((p[0], p[1] - t) for p, t in zip(places, steps) if p and p[1] is not None)
    usual = max(moving, key=moving.__getitem__, default=None)
    often = max(Counter(place for place in places if place).values())
    same_loop = any(place and place[0].loop == loop for place in places)
    return usual if usual and (moving[usual] > often or (moving[usual] == often and same_loop)) else None
