"""The step and the loop to which every value belongs.

``unroll`` has recorded the step of each value. A loop that the user wrote in Python has no such record: ``plain_loops``
finds its steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from ...autodiff.rules import elementwise
from ...compiler.graph.trace import stop_gradient
from .items import Item
from .plain_loops import number_plain


def number_steps(items: Sequence[Item]) -> None:
    """Set the step and the loop of Items, which are in the order of recording."""
    _as_labelled(items)
    beside = _beside(items)
    plain: list[Item] = []
    for item in [*items, None]:
        if item in beside:
            continue
        if item is not None and item.step is None:
            plain.append(item)
        elif plain:
            number_plain(plain)
            plain = []
    _number_beside(items, beside)


def _number_beside(items: Sequence[Item], beside: Collection[Item | None]) -> None:
    """Number the values through which no gradient flows.

    A mask belongs to the step that reads it. What several steps read, and a detached value, belong to the step of what
    they are made of.
    """
    readers: dict[int, set[Any]] = {}
    for item in reversed(items):
        places = readers.get(id(item), set())
        if item in beside and item.op is not stop_gradient and item.step is None and len(places) == 1:
            ((item.step, item.loop),) = places
        for given in item.inputs:
            readers.setdefault(id(given), set()).add((item.step, item.loop))
    for item in items:
        if item in beside and item.step is None:
            sources = [given for given in item.inputs if isinstance(given, Item) and given.step is not None]
            latest = max(sources, key=lambda source: source.order, default=item)
            item.step, item.loop = latest.step, latest.loop


def _beside(items: Sequence[Item]) -> set[Item | None]:
    """The values through which no gradient flows, and what only masks are made of; they are numbered last."""
    found: set[Item | None] = set()
    readers: dict[int, bool] = {}  # whether all that reads a value makes masks
    for item in reversed(items):
        makes_masks = item.is_plain or readers.get(id(item), False)
        if makes_masks or item.op is stop_gradient:
            found.add(item)
        for given in item.inputs:
            readers[id(given)] = makes_masks and readers.get(id(given), True)
    return found


def merge_sums(items: Sequence[Item]) -> list[Item]:
    """Join sums of several terms within a step into one operation: ``x U + h W + b``.

    What other steps read twice isn't joined in a last step, of which the loss reads less.
    """
    uses = Counter(id(given) for item in items for given in item.inputs)
    often = {(item.loop, item.place) for item in items if item.place is not None and uses[id(item)] > 1}
    merged: set[int] = set()
    for item in items:
        if item.op is not elementwise.add:
            continue
        inputs: list[Any] = []
        for given in item.inputs:
            once = uses[id(given)] == 1 and isinstance(given, Item) and (given.loop, given.place) not in often
            if once and _is_part_of(given, item):
                inputs += given.inputs
                merged.add(id(given))
            else:
                inputs.append(given)
        item.inputs = tuple(inputs)
    return [item for item in items if id(item) not in merged]


def _is_part_of(part: Item, whole: Item) -> bool:
    """Return True if one sum is no more than some terms of another."""
    same_place = (part.step, part.loop) == (whole.step, whole.loop)
    return part.op is elementwise.add and same_place and part.shape == whole.shape and not part.labels


def _as_labelled(items: Sequence[Item]) -> None:
    """Take the steps from the scopes. If a layer begins anew, that is another loop."""
    latest: dict[Any, tuple[int, int, int]] = {}  # layer -> (number of the loop, last step, direction)
    for item in items:
        step = item.scope.step
        if step is None or step < 1:
            continue
        layer = item.scope.layer
        loop, last, direction = latest.get(layer, (0, step, 0))
        moved = (step > last) - (step < last)
        if moved and direction and moved != direction:
            loop, direction, moved = loop + 1, 0, 0
        latest[layer] = (loop, step, moved or direction)
        item.step, item.loop = step, ("labelled", layer, loop)
