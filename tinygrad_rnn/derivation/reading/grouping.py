"""Grouping: the values that have the same role at different steps, which will be one quantity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...autodiff.rules import elementwise
from ..equations.expressions import setting_key
from .items import Item

MOVING = ("index", "indices", "starts")  # settings that may differ from step to step


def grouped(items: Iterable[Item], parts: Mapping[Item, tuple[list[Any], dict[str, Any]]]) -> list[list[Item]]:
    """The groups of Items with the same role, one at each step, in the order of their first Items."""
    kinds: dict[Any, dict[Any, list[Item]]] = {}
    for item in items:
        if item.step is None:
            kinds[item] = {None: [item]}
            continue
        settings = {name: part for name, part in parts[item][1].items() if name not in MOVING}
        labels = tuple((label.role, label.name) for label in item.own_labels)
        kind = (item.loop, item.place, item.operation, item.shape, setting_key(settings), labels)
        kinds.setdefault(kind, {}).setdefault(item.step, []).append(item)
    groups = [group for by_step in kinds.values() for group in _aligned(by_step)]
    loss = max(parts, key=lambda item: item.order)
    for group in [group for group in groups if loss in group and len(group) > 1]:
        if not any(term in group for term in _terms(loss)):  # it is no running sum, but one of several of these
            group.remove(loss)
            loss.step = loss.loop = None
            groups.append([loss])
    return sorted(groups, key=lambda group: min(item.order for item in group))


def _terms(whole: Item) -> Iterator[Item]:
    """The terms of a sum, and those of sums among them."""
    pending = [whole]
    while pending:
        terms = [given for given in pending.pop().inputs if isinstance(given, Item)]
        yield from terms
        pending += [term for term in terms if term.op in (elementwise.add, elementwise.subtract)]


def _aligned(by_step: dict[Any, list[Item]]) -> list[list[Item]]:
    """The groups of Items of one kind, by their order in the step; by their operands if some are missing."""
    most = max(map(len, by_step.values()))
    model = next(items for items in by_step.values() if len(items) == most)
    groups: list[list[Item]] = [[] for _ in model]
    for items in by_step.values():
        places = range(most) if len(items) == most else _places(items, model)
        for place, item in zip(places, items):
            groups[place].append(item)
    return groups


def _places(items: list[Item], model: list[Item]) -> list[int]:
    """The Item of the model step to which each Item corresponds: by the operations before it, as far as they agree."""
    free = list(range(len(model)))
    found: dict[int, int] = {}
    for depth in (4, 3, 2, 1):
        for k, item in enumerate(items):
            alike = (place for place in free if _reading(model[place], depth) == _reading(item, depth))
            place = next(alike, None) if k not in found else None
            if place is not None:
                found[k] = place
                free.remove(place)
    for k, item in enumerate(items):
        if k not in found:
            found[k] = max(free, key=lambda place: _in_common(model[place], item))
            free.remove(found[k])
    return [found[k] for k in range(len(items))]


def _in_common(one: Item, other: Item) -> int:
    """The number of operands in the same places that come from the same operations."""
    return sum(_reading(a, 1) == _reading(b, 1) for a, b in zip(one.inputs, other.inputs))


def _reading(given: Any, depth: int) -> Any:
    """The origin of an Item, some operations deep: its numbers, parameters, and the operations of its operands."""
    if not isinstance(given, Item):
        return "number", repr(given)
    if given.op is None:
        return "leaf", given.parameter
    return given.operation, tuple(_reading(a, depth - 1) for a in given.inputs) if depth else ()
