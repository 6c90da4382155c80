"""Data: the arrays besides the parameters from which a loss is computed, and their rows that steps read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ...autodiff.rules import indexing
from ...autodiff.rules.shape import broadcast_to, expand_dims
from ...autodiff.scope import Label
from ...autodiff.texts import unused
from ..equations.choices import bracket, within
from ..equations.expressions import Apply, Constant, Data, Expression, Number, Step, setting_key
from ..equations.making import one_minus, times
from ..equations.parts import row
from ..equations.recognising import one_hot
from .items import Constants, Item

FEWEST = 3  # zeros and ones, for which it is no chance that others are what they leave of 1


class Sequences:
    """The arrays by name, and the search for the array in which a value is a row.

    Args:
        given: the arrays that the loss was called with, by name.
        taken: names that no array may have.

    Attributes:
        arrays: all arrays to which expressions refer by name.
        constants: the arrays that stand in indices.
    """

    def __init__(self, given: Mapping[str, np.ndarray], taken: Collection[str] = ()) -> None:
        self.taken = {*given, *taken}
        self.given = given
        self.arrays: dict[str, np.ndarray] = {}
        self._single: dict[Item, Expression] = {}
        self._own: dict[Any, Expression] = {}
        self._found: dict[tuple[tuple[int, Item], ...], Expression] = {}
        self.constants = Constants()

    def single(self, item: Item) -> Expression:
        """An array that has no steps."""
        if item not in self._single:
            self._single[item] = self._as_single(item)
        return self._single[item]

    def _as_single(self, item: Item) -> Expression:
        value = np.asarray(item.value)
        if item.data is not None:
            return self._named(item.data, value)
        is_real = value.dtype.kind == "f"
        is_uniform = not value.size or (is_real and np.all(value == value.flat[0]))  # such as zeros
        if not is_uniform and (found := self._equal(self.given, value)):
            return found
        if value.ndim == 0:
            return Number(value.item())
        classes = _classes([value])
        if classes and (found := self._equal(self.given, classes[0])) and found.dtype.kind in "iu":
            return _one_hot_of(found, value.shape)
        if value.dtype.kind in "iu" and not item.labels and np.array_equal(np.ravel(value), np.arange(value.size)):
            return Constant(value)  # the places along an axis
        if is_real and not item.labels and value.ndim == 2 and 1 < len(value) == value.shape[1]:
            size = value[0, 0].item()
            if size and np.array_equal(value, np.diag(np.full(len(value), size))):
                return times(Number(size), Constant(np.eye(len(value))))
        if is_real and not value.any():
            return Apply(broadcast_to, (Number(0.0),), {"shape": value.shape}, value.shape)
        if _are_of_two([value]) and (found := self._equal({**self.given, **self.arrays}, 1 - value)):
            return one_minus(found)
        return self._newly_named(next(map(_name_of, item.labels), "k"), value)

    def _equal(self, arrays: Mapping[str, np.ndarray], value: np.ndarray) -> Data | None:
        """The first of these arrays that has this value."""
        for name, array in arrays.items():
            if np.array_equal(array, value) and _may_stand_for(array, value):
                return self._named(name, array)
        return None

    def rows(self, column: Sequence[Any], steps: Sequence[int]) -> list[Expression]:
        """Arrays that differ from step to step."""
        values = [np.asarray(item.value) for item in column]
        key = tuple(zip(steps, column))
        if key not in self._found:
            name = next((f"{label.name}s" for item in column for label in item.labels), "ks")
            place = self._known_rows(values, steps) or self.own_rows(name, column, steps)
            if place is None:
                return [self.single(item) for item in column]
            self._found[key] = place
        return [self._found[key]] * len(column)

    def is_at_hand(self, places: Sequence[int], steps: Sequence[int]) -> bool:
        """Return True if whole numbers, one for each step, are a sequence that the loss was given."""
        first = min(steps)
        if max(steps) - first >= len(steps):
            return False
        ordered = [place for _, place in sorted(zip(steps, places))]
        return any(a.dtype.kind in "iu" and a.ndim == 1 and a.tolist() == ordered for a in self.given.values())

    def _known_rows(
        self, values: list[np.ndarray], steps: Sequence[int], may_be_rest: bool = True
    ) -> Expression | None:
        """The rows of a named array, or what is made of such rows: ``onehot(y_t)``, ``1 - y_t``, ``m_t[..., None]``."""
        found = (
            self._row_of(self.given, values, steps)
            or self._one_hot_rows(values, steps)
            or self._within_lengths(values, steps)
        )
        if found is None and may_be_rest and _are_of_two(values):
            rest = [1 - value for value in values]
            rows = self._row_of(self.arrays, rest, steps) or self._known_rows(rest, steps, False)
            found = rows and one_minus(rows)
        if found is None and all(value.ndim and value.shape[-1] == 1 for value in values):
            rows = self._known_rows([value[..., 0] for value in values], steps, False)
            found = rows and Apply(indexing.getitem, (rows,), {"index": (Ellipsis, None)}, values[0].shape)
        return found

    def _row_of(
        self, arrays: Mapping[str, np.ndarray], values: list[np.ndarray], steps: Sequence[int]
    ) -> Expression | None:
        """The rows of one of these arrays, if the values are such rows."""
        first, last = values[0], values[-1]
        for name, array in arrays.items():
            for axis in range(min(array.ndim, 2)):
                along = np.moveaxis(array, axis, 0)
                if along.shape[1:] != first.shape or not _may_stand_for(array, first):
                    continue
                for place in _places(along, first, steps[0]):
                    places = [place.at(t) for t in steps]
                    if not 0 <= min(places) <= max(places) < len(along) or not np.array_equal(along[places[-1]], last):
                        continue
                    if all(np.array_equal(along[k], value) for k, value in zip(places, values)):
                        return _row(self._named(name, array), axis, place)
        return None

    def _one_hot_rows(self, values: list[np.ndarray], steps: Sequence[int]) -> Expression | None:
        """The one-hot rows of classes that the loss was given, if the values are such rows: ``np.eye(n)[ys[t]]``."""
        classes = _classes(values)
        found = self._row_of(self.given, classes, steps) if classes else None
        is_whole = found is not None and found.operands[0].dtype.kind in "iu"
        return _one_hot_of(found, values[0].shape) if found is not None and is_whole else None

    def _within_lengths(self, values: list[np.ndarray], steps: Sequence[int]) -> Expression | None:
        """The condition that a step lies within lengths that the loss was given, if the values are that: [t ≤ n]."""
        if len({value.shape for value in values}) > 1 or values[0].size < 2:  # of one instance it may be by chance
            return None
        masks = np.stack(values)
        if masks.dtype.kind not in "bf" or not _is_a_mask(masks):
            return None
        for name, lengths in self.given.items():
            if lengths.dtype.kind not in "iu" or lengths.ndim != 1 or lengths.size != values[0].size:
                continue
            for offset in (0, 1, -1):
                is_within = np.array([t + offset <= lengths for t in steps]).reshape(masks.shape)
                turned = np.array_equal(masks, ~is_within)
                if turned or np.array_equal(masks, is_within):
                    condition = within(_spread(self._named(name, lengths), values[0].shape), offset)
                    if turned:
                        condition = Apply(np.greater, condition.operands, {}, condition.shape)
                    return condition if masks.dtype == np.bool_ else bracket(condition)
        return None

    def own_rows(self, name: str, column: Sequence[Any], steps: Sequence[int]) -> Expression | None:
        """The rows of an array made of them; None if they differ in shape."""
        values = [np.asarray(item.value) for item in column]
        if len({value.shape for value in values}) > 1:
            return None
        low, high = min(1, *steps), max(steps)
        array = np.zeros((high - low + 1, *values[0].shape), values[0].dtype)
        for t, value in zip(steps, values):
            array[t - low] = value
        key = setting_key(array), low
        if key not in self._own:
            self._own[key] = row(self._newly_named(name, array), Step(-low))
        return self._own[key]

    def _newly_named(self, name: str, array: np.ndarray) -> Data:
        return self._named(unused(name, self.arrays.keys() | self.taken), array)

    def _named(self, name: str, array: np.ndarray) -> Data:
        self.arrays[name] = array
        return Data(name, array.shape, array.dtype)


def _name_of(label: Label) -> str:
    """A name for a labelled array, at its step: ``c0``; ``h1_0`` for a state that has a number for its name."""
    name = label.name if label.name.isidentifier() else f"h{label.name}_"
    return name if label.step is None else f"{name}{label.step}"


def _may_stand_for(array: np.ndarray, value: np.ndarray) -> bool:
    """Return True unless whole numbers, which may be indices, would be read from an array of real ones."""
    return array.dtype.kind != "f" or value.dtype.kind not in "iu"


def _are_of_two(values: list[np.ndarray]) -> bool:
    """Return True for zeros and ones, several of them, that aren't all alike: a mask, or targets of two classes."""
    if not all(value.dtype.kind in "iuf" for value in values):
        return False
    everything = np.concatenate([np.ravel(value) for value in values])
    return len(everything) >= FEWEST and _is_a_mask(everything)


def _is_a_mask(values: np.ndarray) -> bool:
    """Return True for zeros and ones, or conditions, that aren't all alike."""
    both = np.any(values == 0) and np.any(values == 1)
    return bool(both and np.all((values == 0) | (values == 1)))


def _classes(values: list[np.ndarray]) -> list[np.ndarray]:
    """The classes of one-hot rows; none if the values are other rows, or all of one class."""
    if not all(value.ndim and value.shape[-1] > 1 and value.dtype.kind in "iuf" for value in values):
        return []
    if not all(np.all((value == 0) | (value == 1)) and np.all(value.sum(axis=-1) == 1) for value in values):
        return []
    classes = [value.argmax(axis=-1) for value in values]
    return classes if len(np.unique(classes)) > 1 else []


def _one_hot_of(classes: Expression, to: tuple[int, ...]) -> Expression:
    return Apply(one_hot, (classes,), {"size": to[-1]}, to)


def _places(along: np.ndarray, first: np.ndarray, step: int) -> list[Step]:
    """The possible places of a row, as they follow from the step: the usual ones first, those from the end last."""
    usual = [-1, 0, 1, -2]
    rows = np.flatnonzero(np.all((along == first).reshape(len(along), -1), axis=1)).tolist()
    offsets = sorted((k - step for k in rows), key=lambda o: usual.index(o) if o in usual else 10 + abs(o))
    return [*map(Step, offsets), *(Step(k + step, -1) for k in rows)]


def _spread(lengths: Data, to: tuple[int, ...]) -> Expression:
    """Lengths, one for each instance, with further axes of length 1."""
    axes = tuple(axis for axis in range(len(to)) if axis != to.index(*lengths.shape))
    return Apply(expand_dims, (lengths,), {"axis": axes}, to) if axes else lengths


def _row(data: Data, axis: int, place: Step) -> Expression:
    if axis == 0:
        return row(data, place)
    index = (*[slice(None)] * axis, place)
    return Apply(indexing.getitem, (data,), {"index": index}, (*data.shape[:axis], *data.shape[axis + 1 :]))
