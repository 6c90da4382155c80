"""The arrangement of lines in a program: the loops over time, their directions, and the lines around them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from ..equations.arithmetic import terms_of
from ..equations.expressions import Expression, Steps, Sum
from ..equations.lines import Line
from ..equations.not_writable import NotWritable
from ..equations.parts import places_read, references
from ..equations.quantities import Place

T = TypeVar("T")
WAITING = "loops that wait for each other"


class Loop:
    """Lines that run together, step by step.

    Attributes:
        lines: the lines of the loop's body.
        sums: lines without steps whose sums over steps are added up in the loop.
        backwards: whether it runs from the last step to the first.
    """

    def __init__(self, lines: list[Line]) -> None:
        self.lines = _in_step_order(lines)
        self.sums: list[Line] = []
        self.backwards = _runs_backwards(lines)

    @property
    def steps(self) -> Steps:
        """The steps that the loop takes."""
        return tuple(sorted({t for line in self.lines for t in line.steps}))

    def body(self) -> Iterator[tuple[Line, Steps, Expression]]:
        """The statements of one step, in order: a line, the steps for which it holds, and what is computed."""
        for line in self.lines:
            yield line, line.steps, line.expression
        for line in self.sums:
            for term in terms_of(line.expression):
                assert isinstance(term, Sum)
                yield line, term.steps, term.inner

    def has_taken(self, step: int, at: int) -> bool:
        """Return True if the loop has taken a step when it is at another one, or is at this one."""
        return at <= step if self.backwards else step <= at


Block = Loop | Line  # a loop, or a line that runs once


def program(lines: list[Line]) -> list[Block]:
    """The program of lines: loops and single statements, each after the values that it reads.

    Raises:
        NotWritable: there is no such order, because a loop waits for something that waits for the loop.
    """
    taken: dict[Any, set[int]] = {}
    for line in lines:
        if len(line.steps) > 1:
            taken.setdefault(line.quantity.loop, set()).update(line.steps)
    groups: dict[Any, list[Line]] = {}
    for line in lines:  # a single step that differs from the others of its loop stands in it
        is_inside = not taken.get(line.quantity.loop, set()).isdisjoint(line.steps)
        groups.setdefault(line.quantity.loop if is_inside else line, []).append(line)
    blocks = [key if isinstance(key, Line) else Loop(group) for key, group in groups.items()]
    blocks = _sorted(blocks, _reads, _gives, WAITING)
    while (fused := _with_two_fused(blocks)) is not None:
        blocks = fused
    _take_sums(blocks)
    return blocks


def _runs_backwards(lines: list[Line]) -> bool:
    """Return True for lines that read later steps of each other; backward lines also if they read no other steps."""
    own = {line.quantity for line in lines}
    read = (reference for line in lines for reference, _ in references(line.expression, line.steps))
    shifts = (reference.shift for reference in read if reference.shift and reference.quantity in own)
    return next(shifts, 1 if lines[0].kind == "backward" else -1) > 0


# --- order -----------------------------------------------------------------------------------------------------------


def _in_step_order(group: list[Line]) -> list[Line]:
    """The lines of a loop's body, each after the values of the same step that it reads."""
    moved = [moved_by(line) for line in group]  # derivatives by the same quantity stand together
    ranked = sorted(group, key=lambda line: moved.index(moved_by(line)))

    def read(line: Line) -> Iterator[Place]:
        for reference, steps in references(line.expression, line.steps):
            yield from ((reference.quantity, t) for t in steps if reference.shift == 0)

    return _sorted(ranked, read, lambda line: line.places, "a step in which two lines wait for each other")


def moved_by(line: Line) -> Any:
    """The parameter or the state by which a line of the forward mode is a derivative; None for other lines."""
    return line.quantity.derivative.by if line.kind == "sensitivity" and line.quantity.derivative else None


def _sorted(
    things: Sequence[T], read: Callable[[T], Iterable[Place]], given: Callable[[T], Iterable[Place]], problem: str
) -> list[T]:
    """Things, each after those that give what it reads; of several that could be next, the first."""
    giver = {place: thing for thing in things for place in given(thing)}
    needs = {thing: {giver[place] for place in read(thing) if place in giver} - {thing} for thing in things}
    found: dict[T, None] = {}
    while len(found) < len(things):
        ready = (thing for thing in things if thing not in found and needs[thing] <= found.keys())
        following = next(ready, None)
        if following is None:
            raise NotWritable(problem)
        found[following] = None
    return list(found)


def _lines(block: Block) -> list[Line]:
    return block.lines if isinstance(block, Loop) else [block]


def _gives(block: Block) -> list[Place]:
    """The values that a block computes."""
    return [place for line in _lines(block) for place in line.places]


def _reads(block: Block) -> Iterator[Place]:
    """The values that a block reads."""
    return (place for line in _lines(block) for place in places_read(line.expression, line.steps))


# --- one loop instead of several -------------------------------------------------------------------------------------


def _with_two_fused(blocks: list[Block]) -> list[Block] | None:
    """The blocks, with two loops in the same direction joined into one; None if no two can be joined."""
    for first, second in itertools.combinations(blocks, 2):
        if not (isinstance(first, Loop) and isinstance(second, Loop) and _can_join(first, second)):
            continue
        joined = Loop([*first.lines, *second.lines])
        rest = [joined if block is first else block for block in blocks if block is not second]
        try:
            return _sorted(rest, _reads, _gives, WAITING)
        except NotWritable:
            continue
    return None


def _can_join(first: Loop, second: Loop) -> bool:
    """Return True if no step of the second loop reads a value that the first computes later."""
    if first.backwards != second.backwards or not set(first.steps) & set(second.steps):
        return False
    computed = {line.quantity for line in first.lines}
    return not any(
        reference.quantity in computed and (reference.shift is None or not first.has_taken(reference.shift, 0))
        for line in second.lines
        for reference, _ in references(line.expression, line.steps)
    )


def _take_sums(blocks: list[Block]) -> None:
    """Move sums over the steps of a loop into it, as running sums."""
    for loop in [block for block in blocks if isinstance(block, Loop)]:
        for line in [block for block in blocks if isinstance(block, Line) and not block.steps]:
            others = [block for block in blocks[: blocks.index(loop)] if block is not line]
            before = {place for block in others for place in _gives(block)}
            read = {place for block in [*others, loop] for place in _reads(block)}  # while the sum isn't complete
            if read.isdisjoint(line.places) and _is_added_up_in(loop, line, before):
                loop.sums.append(line)
                blocks.remove(line)


def _is_added_up_in(loop: Loop, line: Line, before: set[Place]) -> bool:
    """Return True for sums of which each term has been computed when the loop reaches its step."""
    terms, given = terms_of(line.expression), set(_gives(loop))
    if not all(isinstance(term, Sum) and set(loop.steps).issuperset(term.steps) for term in terms):
        return False
    is_backward = any(own.quantity.adjoint_of is not None for own in loop.lines)
    reads = list(references(line.expression, ()))
    if not is_backward and not any((read.quantity, read.step(t)) in given for read, steps in reads for t in steps):
        return False
    return all(
        (is_backward and read.quantity.adjoint_of is None)  # all of the forward pass is there
        or (read.quantity, read.step(t)) in before
        or ((read.quantity, read.step(t)) in given and loop.has_taken(read.step(t) or 0, t))
        for read, steps in reads
        for t in steps
    )
