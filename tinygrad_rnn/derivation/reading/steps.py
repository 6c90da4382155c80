"""The step and the loop to which every value belongs.

``unroll`` has recorded the step of each value. A loop that the user wrote in Python has no such record: there, steps
are found where the same operations repeat.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import elementwise
from ...compiler.graph.trace import stop_gradient
from .items import Item
from .places import Places

LONGEST_STEP = 600  # operations in one step of a plain loop


def number_steps(items: Sequence[Item]) -> None:
    """Set the step and the loop of Items, which are in the order of recording."""
    _as_labelled(items)
    plain: list[Item] = []
    for item in [*items, None]:
        if item is not None and _is_beside(item):
            continue
        if item is not None and item.step is None:
            plain.append(item)
        elif plain:
            _number_plain(plain)
            plain = []
    _number_beside(items)


def _number_beside(items: Sequence[Item]) -> None:
    """Number the values through which no gradient flows.

    A mask belongs to the step that reads it. What several steps read, and a detached value, belong to the step of what
    they are made of.
    """
    readers: dict[int, set[Any]] = {}
    for item in reversed(items):
        places = readers.get(id(item), set())
        if item.is_plain and len(places) == 1:
            ((item.step, item.loop),) = places
        for given in item.inputs:
            readers.setdefault(id(given), set()).add((item.step, item.loop))
    for item in items:
        if _is_beside(item) and item.step is None:
            sources = [given for given in item.inputs if isinstance(given, Item) and given.step is not None]
            latest = max(sources, key=lambda source: source.order, default=item)
            item.step, item.loop = latest.step, latest.loop


def _is_beside(item: Item) -> bool:
    """Return True for values through which no gradient flows; they are numbered last."""
    return item.is_plain or item.op is stop_gradient


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


# --- loops without labels --------------------------------------------------------------------------------------------


def _number_plain(items: list[Item]) -> None:
    """Number the steps of plain loops; a loss that is added at some steps only doesn't make these another loop."""
    beside = _beside_loops(items)
    if 0 < len(beside) < len(items):
        _find_loops([item for item in items if id(item) not in beside])
        if _follow(items, beside):
            return
        for item in items:
            item.step = item.loop = item.place = None
    _find_loops(items)


def _beside_loops(items: list[Item]) -> dict[int, Any]:
    """The values that no state depends on, with their signatures: outputs, and terms of the loss with their sums."""
    signatures = dict(zip(map(id, items), _signatures(items)))
    readers: dict[Any, set[Any]] = {signature: set() for signature in signatures.values()}
    adding_up = {signatures[id(item)] for item in items if item.op in (elementwise.add, elementwise.subtract)}
    for item in items:
        for given in item.inputs:
            if id(given) in signatures:
                readers[signatures[id(given)]].add(signatures[id(item)])
    beside: set[Any] = set()
    before = -1
    while len(beside) > before:
        before = len(beside)
        beside |= {own for own in readers if readers[own] <= beside}
        sums = adding_up
        while wrong := {own for own in sums if readers[own] - beside - sums}:
            sums = sums - wrong
        beside |= sums  # they read each other: L + a - b
    return {place: signature for place, signature in signatures.items() if signature in beside}


def _follow(items: list[Item], beside: Mapping[int, Any]) -> bool:
    """Give values beside loops the step whose values they read; return True if some exist at some steps only."""
    often = {signature for signature, count in Counter(beside.values()).items() if count > 1}
    of_loops: dict[Any, set[Any]] = {}
    for item in items:
        if item.step is not None:
            of_loops.setdefault(item.loop, set()).add(item.step)
    steps: dict[Any, set[Any]] = {}
    for item in (item for item in items if beside.get(id(item)) in often):
        reads = [given for given in item.inputs if isinstance(given, Item) and given.loop in of_loops]
        if reads:
            latest = max(reads, key=lambda given: given.order)
            item.step, item.loop = latest.step, latest.loop
            steps.setdefault((beside[id(item)], item.loop), set()).add(latest.step)
            for given in item.inputs:
                if isinstance(given, Item) and given.step is None and beside.get(id(given)) in often:  # a row of data
                    given.step, given.loop = item.step, item.loop
    return any(len(of_loops[loop]) - 1 > len(some) > 1 for (_, loop), some in steps.items())


def _signatures(items: list[Item]) -> list[Any]:
    """The signatures that the values of a plain loop share from step to step.

    An operation reads the parameters and the data of its signature. If it comes once, and is like others but for one of
    these, that one is the first state: ``h0 @ W`` is like ``h @ W``.
    """
    read = [sorted(filter(None, (_leaf(given) for given in item.inputs))) for item in items]
    found = [_signature(item, names) for item, names in zip(items, read)]
    counts = Counter(found)
    for k, names in enumerate(read):
        if counts[found[k]] == 1:
            others = (_signature(items[k], names[:i] + names[i + 1 :]) for i in range(len(names)))
            found[k] = next((other for other in others if counts[other]), found[k])
    return found


def _leaf(given: Any) -> str | None:
    return (given.parameter or given.data) if isinstance(given, Item) and given.op is None else None


def _signature(item: Item, names: list[str]) -> Any:
    return item.operation, item.shape, tuple(names), item.scope.layer, tuple(label.name for label in item.labels)


class _Loop(NamedTuple):
    """A stretch in which operations repeat.

    Attributes:
        first: the position where the first whole step begins.
        period: the number of operations in a step.
        steps: the number of whole steps.
        before: the operations of incomplete steps before the first, each with its place; the nearest first.
        after: the operations of incomplete steps after the last, in the same way.
    """

    first: int
    period: int
    steps: int
    before: list[dict[int, int]]
    after: list[dict[int, int]]


def _find_loops(items: list[Item]) -> None:
    """Find where the operations repeat, the longest stretch first, and number the steps."""
    codes: dict[Any, int] = {}
    sequence = np.array([codes.setdefault(signature, len(codes)) for signature in _signatures(items)])
    where = {id(item): k for k, item in enumerate(items)}
    pending = [(0, len(items))]
    while pending:
        start, stop = pending.pop()
        found = _longest_repetition(sequence[start:stop])
        if found is None:
            continue
        begin, period, length = found
        first, count = _best_phase(items, begin + start, period, length, where)
        before, after = _incomplete_steps(items, start, stop, _Loop(first, period, count, [], []))
        loop = _Loop(first, period, count, before, after)
        for part in _unbroken(items, loop, where):
            _number(items, part)
        end = first + count * period
        pending.append((start, min([first, *itertools.chain(*before)])))
        pending.append((max([end - 1, *itertools.chain(*after)]) + 1, stop))


def _reads_any(items: list[Item], places: Iterable[int], first: int, end: int, where: dict[int, int]) -> bool:
    """Return True if Items read the results of a stretch before them."""
    return any(first <= where.get(id(source), -1) < end for k in places for source in items[k].inputs)


def _incomplete_steps(
    items: list[Item], start: int, stop: int, loop: _Loop
) -> tuple[list[dict[int, int]], list[dict[int, int]]]:
    """The incomplete steps before and after the whole ones: the places of their operations, by position."""
    slots = Places(items[start:stop], loop.first - start, loop.period, loop.steps).slots
    found: dict[int, dict[int, int]] = {}
    for k in range(start, stop):
        if id(items[k]) in slots:
            step, place = slots[id(items[k])]
            found.setdefault(step, {})[k] = place
    before: list[dict[int, int]] = []
    after: list[dict[int, int]] = []
    begin, end = loop.first, loop.first + loop.steps * loop.period
    while 2 * len(places := found.get(-1 - len(before), {})) >= max(loop.period, begin - min(places, default=0)):
        before.append(places)
        begin = min(places)
    while places := found.get(loop.steps + len(after), {}):
        given = itertools.chain(*(items[k].inputs for k in places))
        is_a_step = 2 * len(places) >= loop.period or any(map(_leaf, given))
        if not is_a_step or 2 * len(places) < max(places) + 1 - end:  # most of what comes next is something else
            break
        after.append(places)
        end = max(places) + 1
    return before, after


def _unbroken(items: list[Item], loop: _Loop, where: dict[int, int]) -> list[_Loop]:
    """A loop, split into several: a step that reads nothing of the steps before it begins another loop."""
    places = [range(loop.first + k * loop.period, loop.first + (k + 1) * loop.period) for k in range(loop.steps)]
    goes_on = [_reads_any(items, place, loop.first, place[0], where) for place in places]
    breaks = [k for k in range(1, loop.steps) if not goes_on[k]]
    if 2 * len(breaks) >= loop.steps - 1:
        return [loop]
    bounds = [0, *breaks, loop.steps]
    found = []
    for begin, end in itertools.pairwise(bounds):
        before = loop.before if not begin else []
        after = loop.after if end == loop.steps else []
        found.append(_Loop(loop.first + begin * loop.period, loop.period, end - begin, before, after))
    return found


def _longest_repetition(sequence: np.ndarray) -> tuple[int, int, int] | None:
    """A long stretch in which a pattern repeats: (begin, period, length).

    The longest may be a pattern of several steps; a shorter pattern that covers half as much is the step itself.
    """
    found: list[tuple[int, int, int, int]] = []
    for period in range(1, min(len(sequence) // 2, LONGEST_STEP) + 1):
        same = np.concatenate([[False], sequence[period:] == sequence[:-period], [False]])
        edges = np.flatnonzero(same[1:] != same[:-1])
        begins, ends = edges[::2], edges[1::2]
        if not len(begins):
            continue
        longest = int(np.argmax(ends - begins))
        length = int(ends[longest] - begins[longest]) + period
        whole = length // period * period
        if whole >= (3 if period == 1 else 2) * period:
            found.append((whole, int(begins[longest]), period, length))
    if not found:
        return None
    most = max(whole for whole, *_ in found)
    chosen = next(f for f in found if 2 * f[0] >= most and (f[0] == most or f[0] >= 3 * f[2]))
    return chosen[1:]


def _best_phase(items: list[Item], begin: int, period: int, length: int, where: dict[int, int]) -> tuple[int, int]:
    """The start of the first whole step, chosen so that steps pass on few values, and the number of steps."""
    choices = []
    for first in range(begin, begin + min(length % period + 1, period)):
        count, left_over = divmod(length - (first - begin), period)
        crossing = set()
        for k in range(first, first + count * period):
            for given in items[k].inputs:
                at = where.get(id(given), -1)
                if at >= first and (at - first) // period != (k - first) // period:
                    crossing.add((at, (k - first) // period))
        takes_input = any(isinstance(a, Item) and a.op is None and a.parameter is None for a in items[first].inputs)
        choices.append((len(crossing) / count, not takes_input, left_over, first, count))
    return min(choices)[-2:]


def _number(items: list[Item], loop: _Loop) -> None:
    """Number the steps of a loop: as the steps that it reads are numbered, or from 1."""
    name = ("plain", id(items[loop.first]))
    begin = 1 + len(loop.before)
    numbers = _numbers_read(items, loop) or list(range(begin, begin + loop.steps))
    for k, step in enumerate(numbers):
        for place, item in enumerate(items[loop.first + k * loop.period : loop.first + (k + 1) * loop.period]):
            item.step, item.loop, item.place = step, name, place
    direction = 1 if numbers[-1] >= numbers[0] else -1
    for steps, nearest, towards in ((loop.before, numbers[0], -direction), (loop.after, numbers[-1], direction)):
        for distance, places in enumerate(steps, 1):
            for k, place in places.items():
                items[k].step, items[k].loop, items[k].place = nearest + distance * towards, name, place


def _numbers_read(items: list[Item], loop: _Loop) -> list[int] | None:
    """The steps of values from another loop that each step of this one reads, if there is one for each."""
    own = {id(item) for item in items[loop.first : loop.first + loop.steps * loop.period]}
    for place in range(loop.period):
        for position in range(len(items[loop.first + place].inputs)):
            found = []
            for k in range(loop.steps):
                inputs = items[loop.first + k * loop.period + place].inputs
                given = inputs[position] if position < len(inputs) else None
                if isinstance(given, Item) and given.step is not None and id(given) not in own:
                    found.append(given.step)
            if len(found) == loop.steps and len(set(found)) == loop.steps:
                return found
    return None
