"""The steps of plain loops, which users write in Python: they are found where the same operations repeat."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import elementwise, indexing
from .items import Item
from .places import Places

LONGEST_STEP = 600  # operations in one step
Reads = Sequence[Sequence[int]]  # for each operation, the positions of the operations that it reads


def number_plain(items: list[Item]) -> None:
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
    known = dict(zip(map(id, items), _signatures(items)))
    signatures = {  # with those of what is read: u - max is no m - log, and h ∘ m / 0.8 of a state none of an output
        id(item): (known[id(item)], *(known.get(id(given)) for given in item.inputs if _is_computed(given)))
        for item in items
    }
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
    return {place: known[place] for place, signature in signatures.items() if signature in beside}


def _is_computed(given: Any) -> bool:
    """Return True for an input that an operation made; False for what was there before."""
    return isinstance(given, Item) and given.op is not None


def _follow(items: list[Item], beside: Mapping[int, Any]) -> bool:
    """Give values beside loops the step whose values they read; return True if some exist at some steps only."""
    often = {signature for signature, count in Counter(beside.values()).items() if count > 1}
    of_loops: dict[Any, set[Any]] = {}
    for item in items:
        if item.step is not None:
            of_loops.setdefault(item.loop, set()).add(item.step)
    of_one_kind: dict[Any, list[Item]] = {}
    for item in (item for item in items if beside.get(id(item)) in often):
        of_one_kind.setdefault(beside[id(item)], []).append(item)
    turned = {signature: _place_of_steps(alike) for signature, alike in of_one_kind.items()}
    steps: dict[Any, set[Any]] = {}
    for item in (item for item in items if beside.get(id(item)) in often):
        reads = [given for given in item.inputs if isinstance(given, Item) and given.loop in of_loops]
        if reads:
            place = turned[beside[id(item)]]
            source = item.inputs[place] if place is not None else max(reads, key=lambda given: given.order)
            item.step, item.loop = source.step, source.loop
            steps.setdefault((beside[id(item)], item.loop), set()).add(source.step)
            _give_step(item, lambda given: given.step is None and beside.get(id(given)) in often)
    return any(len(of_loops[loop]) - 1 > len(some) > 1 for (_, loop), some in steps.items())


def _give_step(item: Item, is_free: Callable[[Item], bool]) -> None:
    """Give what a value is made of its step: rows of data, and what is made of them."""
    for given in item.inputs:
        if isinstance(given, Item) and is_free(given):
            given.step, given.loop = item.step, item.loop
            _give_step(given, is_free)


def _place_of_steps(alike: list[Item]) -> int | None:
    """The operand by which values are numbered that read two loops in opposite directions; None for the latest one.

    ``[f_t, b_t]`` belongs to step t of the first loop, though b_t is the later value in some steps.
    """
    columns = [column for column in zip(*(item.inputs for item in alike)) if all(map(_is_numbered, column))]
    latest = [max(of_one, key=lambda given: given.order) for of_one in zip(*columns)]
    if _are_of_one_loop(latest):
        return None
    found = next((column for column in columns if _are_of_one_loop(column)), None)
    return None if found is None else next(i for i, given in enumerate(alike[0].inputs) if given is found[0])


def _is_numbered(given: Any) -> bool:
    return isinstance(given, Item) and given.step is not None


def _are_of_one_loop(values: Sequence[Item]) -> bool:
    """Return True for values of one loop, each of another step."""
    return len({value.loop for value in values}) == 1 and len({value.step for value in values}) == len(values)


def _signatures(items: list[Item]) -> list[Any]:
    """The signatures that the values of a plain loop share from step to step.

    An operation reads the parameters and the data of its signature. If it comes no more often than others that are like
    it but for one of these, that one is the first state: ``h0 @ W`` is like ``h @ W``. If it comes several times, with
    several sequences, the state stands beside a weight somewhere: a bias does not.
    """
    read = [sorted(filter(None, (_leaf(given) for given in item.inputs))) for item in items]
    found = [_signature(item, names) for item, names in zip(items, read)]
    counts = Counter(found)
    firsts = {name for item, names in zip(items, read) if len(names) == len(item.inputs) > 1 for name in names}
    for k, names in enumerate(read):
        count = counts[found[k]]
        states = [i for i, name in enumerate(names) if count == 1 or name in firsts]
        others = (_signature(items[k], names[:i] + names[i + 1 :]) for i in states)
        found[k] = next((other for other in others if counts[other] >= count), found[k])
    return found


def _leaf(given: Any) -> str | None:
    return (given.parameter or given.data) if isinstance(given, Item) and given.op is None else None


def _signature(item: Item, names: list[str]) -> Any:
    return item.operation, item.shape, tuple(names), item.scope.layer, tuple(label.name for label in item.labels)


class _Loop(NamedTuple):
    """A stretch in which operations repeat."""

    first: int  # the position where the first whole step begins
    period: int  # the number of operations in a step
    steps: int  # the number of whole steps
    before: Sequence[dict[int, int]] = ()  # the operations of incomplete steps, each with its place; the nearest first
    after: Sequence[dict[int, int]] = ()  # likewise, after the last step

    @property
    def whole(self) -> range:
        """The positions of all operations in whole steps."""
        return range(self.first, self.first + self.steps * self.period)

    def step(self, k: int) -> range:
        """The positions of the operations of a whole step."""
        return self.whole[k * self.period : (k + 1) * self.period]


def _find_loops(items: list[Item]) -> None:
    """Find where the operations repeat, the longest stretch first, and number the steps."""
    codes: dict[Any, int] = {}
    sequence = np.array([codes.setdefault(signature, len(codes)) for signature in _signatures(items)])
    where = {id(item): k for k, item in enumerate(items)}
    reads = [[where[id(given)] for given in item.inputs if id(given) in where] for item in items]
    parts: list[tuple[_Loop, set[int]]] = []
    pending = [(0, len(items))]
    while pending:
        start, stop = pending.pop()
        found = _longest_repetition(sequence[start:stop])
        if found is None:
            continue
        begin, period, length = found
        loop = _with_whole_steps(_Loop(*_best_phase(items, begin + start, period, length, reads)), items, reads)
        before, after = _incomplete_steps(items, start, stop, loop)
        for part in _unbroken(loop._replace(before=before, after=after), reads):
            parts += [(part, places) for places in _directions(items, part, reads)]
        pending.append((start, min([loop.first, *itertools.chain(*before)])))
        pending.append((max([loop.whole[-1], *itertools.chain(*after)]) + 1, stop))
    recursions: dict[Any, list[_Recursion]] = {}
    for part, chosen in sorted(parts, key=lambda one: one[0].first):
        _number(items, part, chosen, recursions.setdefault(tuple(sequence[part.step(0)][sorted(chosen)]), []))


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
    begin, end = loop.first, loop.whole[-1] + 1
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


def _unbroken(loop: _Loop, reads: Reads) -> Iterator[_Loop]:
    """A loop, split into several: a step that reads nothing of the steps before it begins another loop."""
    breaks = [
        k
        for k in range(1, loop.steps)
        if not any(loop.first <= at < loop.step(k)[0] for position in loop.step(k) for at in reads[position])
    ]
    if 2 * len(breaks) >= loop.steps - 1:
        breaks = []
    for begin, end in itertools.pairwise([0, *breaks, loop.steps]):
        before = loop.before if not begin else ()
        after = loop.after if end == loop.steps else ()
        yield _Loop(loop.first + begin * loop.period, loop.period, end - begin, before, after)


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


def _best_phase(items: list[Item], begin: int, period: int, length: int, reads: Reads) -> tuple[int, int, int]:
    """The start of the first whole step, chosen so that steps pass on few values; the period; the number of steps."""
    choices = []
    for first in range(begin, begin + min(length % period + 1, period)):
        count, left_over = divmod(length - (first - begin), period)
        crossing = {
            (at, (k - first) // period)
            for k in range(first, first + count * period)
            for at in reads[k]
            if at >= first and (at - first) // period != (k - first) // period
        }
        takes_input = any(isinstance(a, Item) and a.op is None and a.parameter is None for a in items[first].inputs)
        choices.append((len(crossing) / count, not takes_input, left_over, first, period, count))
    return min(choices)[-3:]


def _with_whole_steps(loop: _Loop, items: list[Item], reads: Reads) -> _Loop:
    """The loop whose step is a turn of several chains, where one cell serves them all: both directions, for example.

    The chains read states as many turns back as they are, and rows of the data that follow each other in each alone.
    """
    back = {
        k - (at - loop.first) // loop.period
        for k in range(loop.steps)
        for position in loop.step(k)
        for at in reads[position]
        if loop.first <= at < loop.step(k)[0]
    }
    chains = math.gcd(*back)
    if chains < 2 or loop.steps % chains:
        return loop
    whole = loop._replace(period=loop.period * chains, steps=loop.steps // chains)
    is_one_row_a_step, would_be = (
        all(map(_follow_each_other, _rows_read(items, a_loop, range(a_loop.period)))) for a_loop in (loop, whole)
    )
    return loop if is_one_row_a_step or not would_be else whole


def _rows_read(items: list[Item], loop: _Loop, chosen: Iterable[int]) -> Iterator[list[int]]:
    """The numbers of the rows of data that the steps read, for each place in a step that reads one."""
    for place in chosen:
        rows = [_row_number(items[loop.step(k)[place]]) for k in range(loop.steps)]
        if None not in rows:
            yield rows  # type: ignore[misc]


def _follow_each_other(rows: list[int]) -> bool:
    """Return True for numbers that grow, or shrink, by the same from step to step."""
    return len({b - a for a, b in itertools.pairwise(rows)}) < 2


def _directions(items: list[Item], loop: _Loop, reads: Reads) -> list[set[int]]:
    """The places in a step of each loop that is in one stretch: a chain that reads the data backwards is another one.

    Two directions in one loop of the user's code, ``f = cell(x[t], f); b = cell(x[-1 - t], b)``, share no value.
    """
    chain_of = {place: {place} for place in range(loop.period)}
    read = ((k, at) for k in loop.whole for at in reads[k] if at >= loop.first)
    for pair in {tuple((k - loop.first) % loop.period for k in both) for both in read}:
        joined = set().union(*(chain_of[place] for place in pair))
        chain_of.update(dict.fromkeys(joined, joined))
    chains = list({min(chain): chain for chain in chain_of.values()}.values())
    turned = [chain for chain in chains if _rows_from_the_end(items, loop, chain)]
    others = set(range(loop.period)).difference(*turned)
    return [others, *turned] if others else [others.union(*turned)]


class _Recursion(NamedTuple):
    """Loops of the same operations over sequences one after another: their steps are numbered on."""

    name: Any
    numbers: list[int]
    data: list[list[str]]  # the rows that each loop reads
    computed: set[int]  # the arrays among those that these are rows of which are computed


def _number(items: list[Item], loop: _Loop, chosen: set[int], recursions: list[_Recursion]) -> None:
    """Number the steps of a loop: as the steps that it reads are numbered, or from 1, or as the rows of data to 1.

    A loop goes on with one of the recursions if that has read other data; else it is one of its own.
    """
    begin = 1 + len(loop.before)
    numbers = _numbers_read(items, loop, chosen) or _rows_from_the_end(items, loop, chosen)
    numbers = numbers or list(range(begin, begin + loop.steps))
    direction = 1 if numbers[-1] >= numbers[0] else -1
    places = [(number, dict(zip(loop.step(k), itertools.count()))) for k, number in enumerate(numbers)]
    places += [(numbers[0] - distance * direction, some) for distance, some in enumerate(loop.before, 1)]
    places += [(numbers[-1] + distance * direction, some) for distance, some in enumerate(loop.after, 1)]
    own = {id(items[k]) for k in loop.whole}
    taken = [row for k in loop.whole if (row := _row_taken(items[k])) and row[0] not in own]
    rows, computed = sorted(map(str, taken)), {array for array, _ in taken if isinstance(array, int)}
    found = next((one for one in recursions if rows and rows not in one.data and computed <= one.computed), None)
    if found is None:
        found = _Recursion(("plain", id(items[loop.first + min(chosen)])), [], [], computed)
        recursions.append(found)
    overlaps = not {number for number, _ in places}.isdisjoint(found.numbers)
    last = max(found.numbers) if overlaps else 0
    found.numbers.extend(last + number for number, _ in places)
    found.data.append(rows)
    for number, some in places:
        for k, place in some.items():
            if place in chosen:
                items[k].step, items[k].loop, items[k].place = last + number, found.name, place


def _row_taken(item: Item) -> tuple[str | int, Any] | None:
    """The row that a value is: the array's name, or its number if it is computed, and the place; None if it is none."""
    if item.op is not indexing.getitem:
        return None
    array, index = item.inputs
    name = _leaf(array) or (id(array) if isinstance(array, Item) else None)
    return (name, _place(index)) if name else None


def _place(index: Any) -> Any:
    """An index, with arrays as lists."""
    if isinstance(index, tuple):
        return tuple(map(_place, index))
    return np.asarray(index.value).tolist() if isinstance(index, Item) else index


def _numbers_read(items: list[Item], loop: _Loop, chosen: set[int]) -> list[int] | None:
    """The steps of values from another loop that each step of this one reads, if there is one for each."""
    own = {id(items[k]) for k in loop.whole}
    for place in sorted(chosen):
        for operands in itertools.zip_longest(*(items[loop.step(k)[place]].inputs for k in range(loop.steps))):
            others = (given for given in operands if isinstance(given, Item) and id(given) not in own)
            found = [given.step for given in others if given.step is not None]
            if len(found) == len(set(found)) == loop.steps:
                return found
    return None


def _rows_from_the_end(items: list[Item], loop: _Loop, chosen: set[int]) -> list[int] | None:
    """The numbers of the rows that the steps read, if they read an array from its end to its start, and none onward."""
    read = list(_rows_read(items, loop, chosen))
    turned = (rows for rows in read if rows == list(range(rows[0], rows[0] - loop.steps, -1)))
    return None if any(rows[0] < rows[-1] for rows in read) else next(turned, None)


def _row_number(item: Item) -> int | None:
    """The number of a row of the data, counted from 1: that of ``xs[t]``, ``xs[:, t]``, ``xs[::-1][t]``; or None."""
    if item.op is not indexing.getitem:
        return None
    array, index = item.inputs
    whole = slice(None)
    *before, place = index if isinstance(index, tuple) else (index,)
    if type(place) is not int or len(before) > 1 or any(type(part) is not slice or part != whole for part in before):
        return None
    return None if array.data is None else range(1, array.shape[len(before)] + 1)[place]
