"""Operands and settings of an operation: arguments to compute with, and others that belong to it, such as an axis."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ...autodiff.rules import indexing
from ..equations.expressions import Operand, Step, changed, setting_key
from .items import Constants, Item

# Arguments that are numbers of axes, also where they are a list or an array.
NAMES_OF_AXES = {("axes",), ("axis",), ("source",), ("destination",)}


@cache
def setting_names(op: Any) -> tuple[str, ...]:
    """The names of an operation's positional arguments; none where it takes any number of them."""
    try:
        parameters = inspect.signature(getattr(op, "forward", op)).parameters.values()
    except (TypeError, ValueError):  # a ufunc
        return ()
    is_open = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return () if is_open else tuple(p.name for p in parameters)


def is_setting(op: Any, position: int, given: Any) -> bool:
    """Return True for an argument that is a setting of the operation, not an operand."""
    if op in (indexing.getitem, indexing.output):
        return position == 1
    if op is indexing.updated:
        return position == 2
    if setting_names(op)[position : position + 1] in NAMES_OF_AXES:
        return True
    if isinstance(given, Item):
        return False
    rules = getattr(op, "vjps", None)
    return isinstance(rules, (list, tuple)) and 0 < position < len(rules) and rules[position] is None


def as_setting(given: Any) -> Any:
    """A setting as numbers and tuples, which can be compared and written."""
    if isinstance(given, Item):
        given = given.value
    if isinstance(given, np.ndarray):
        given = given.tolist()
    return tuple(map(as_setting, given)) if isinstance(given, (list, range)) else given


def operands_and_settings(item: Item, constants: Constants) -> tuple[list[Any], dict[str, Any]]:
    """The operands of an Item and the settings of its operation; arrays in an index are operands, too."""
    operands: list[Any] = []
    settings = dict(item.keywords)
    names = setting_names(item.op)
    for position, given in enumerate(item.inputs):
        if is_setting(item.op, position, given):
            settings[names[position]] = given if names[position] == "index" else as_setting(given)
        else:
            operands.append(given)
    if "index" in settings and item.op is not indexing.output:
        index = _index(settings["index"], operands, constants)
        settings["index"] = index[0] if type(index) is tuple and len(index) == 1 else index
    return operands, {name: as_setting(part) if name != "index" else part for name, part in settings.items()}


def _index(index: Any, operands: list[Any], constants: Constants) -> Any:
    """An index, with a place for each array in it."""
    if isinstance(index, tuple):
        return tuple(_index(part, operands, constants) for part in index)
    if isinstance(index, (np.ndarray, list, Item)):
        array = np.asarray(index.value if isinstance(index, Item) else index)
        if array.ndim == 0 and array.dtype.kind in "iu":
            return int(array)
        operands.append(index if isinstance(index, Item) else constants.item(array))
        return Operand(len(operands) - 1)
    return int(index) if isinstance(index, np.integer) else index


def common_settings(settings: Sequence[dict[str, Any]], steps: list[int]) -> Sequence[dict[str, Any]]:
    """The settings of an operation at its steps; numbers that move along with the step are marked as such."""
    if are_alike(settings):
        return [settings[0]] * len(settings)
    if not all(s.keys() == settings[0].keys() for s in settings):
        return settings
    for sign in (1, -1):
        columns = {name: _from_steps([s[name] for s in settings], steps, sign) for name in settings[0]}
        moved = [dict(zip(columns, row)) for row in zip(*columns.values())]
        if are_alike(moved):
            return [moved[0]] * len(settings)
    return settings


def are_alike(settings: Sequence[dict[str, Any]]) -> bool:
    """Return True if the settings of several steps are the same."""
    if not any(settings):
        return True
    try:
        return all(s == settings[0] for s in settings)
    except ValueError:  # arrays, which have to be compared by their elements
        return all(setting_key(s) == setting_key(settings[0]) for s in settings)


def _from_steps(column: list[Any], steps: list[int], sign: int) -> list[Any]:
    """A setting at several steps; numbers that are the same at all of them stay: ``x[0, t]``."""
    if all(type(part) is int and part == column[0] for part in column):
        return column
    if all(type(part) is tuple and len(part) == len(column[0]) for part in column):
        return list(zip(*(_from_steps(list(place), steps, sign) for place in zip(*column))))
    return [from_step(part, t, sign) for part, t in zip(column, steps)]


def from_step(setting: Any, t: int, sign: int = 1) -> Any:
    """The setting with its numbers relative to the step: t + 1 if it was 5 at step 4."""
    return changed(setting, lambda part: Step(part - sign * t, sign) if type(part) is int else part)
