"""Edits of whole loops of the backward pass: in the other direction, over fewer steps, or one step further."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..equations.arithmetic import is_product
from ..equations.expressions import During, Expression, Reference, Steps, Sum
from ..equations.lines import Line
from ..equations.parts import fixed, is_derivative, moves, parts, replaced, total
from ..equations.quantities import Quantity
from .edits import Edit
from .hand import Hand
from .misplaced import Moved
from .of_steps import fewer
from .of_terms import left_over, moves_back
from .of_uses import Switched, definition

if TYPE_CHECKING:
    from .derived import Derived


def of_loops(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Edits of whole loops, each of which is several edits of lines."""
    yield from loops_forwards(derivation)
    yield from loops_shorter(derivation, hand)
    yield from loops_longer(derivation)
    yield from nothing_reset(derivation, hand)


def loops_forwards(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """Backward loops that run from the first step to the last: one or all, with what they begin with or not."""
    what = "the loop runs from the first step to the last, not backwards"
    for with_its_beginning in (False, True):
        edits: dict[Any, list[Edit]] = {}
        for line in derivation.lines:
            if line.kind == "backward" and any(type(part) is During for part in parts(line.expression)):
                new = replaced(line.expression, _handed_forwards(line, with_its_beginning))
                edits.setdefault(line.quantity.loop, []).append(Edit(line, new, what))
        yield from map(tuple, edits.values())
        if len(edits) > 1:
            yield tuple(edit for found in edits.values() for edit in found)


def _handed_forwards(line: Line, with_its_beginning: bool) -> Callable[[Expression], Expression | None]:
    """A change of the terms that a step receives from the step after it: it receives them from the step before."""

    def change(part: Expression) -> Expression | None:
        if type(part) is not During:
            return None
        for p in parts(part.inner):
            if is_derivative(p) and p.shift:
                shift, loop = p.shift, p.quantity.steps
                last = (loop[-1] if shift > 0 else loop[0]) - shift  # read behind the loop
                sources = {t: t - 2 * shift if t in loop else last for t in line.steps}
                handed = {t: s for t, s in sources.items() if t not in loop or t - shift in part.steps}
                return Moved(part.inner, {t: s for t, s in handed.items() if s + shift in loop})
        ends = line.steps[-1], line.steps[0]
        if with_its_beginning and len(part.steps) == 1 and part.steps[0] in ends:
            first = ends[1 - ends.index(part.steps[0])]
            return Moved(part.inner, {first: part.steps[0]})
        return None

    return change


def loops_shorter(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Backward loops over fewer steps: one or all, with the sums over these steps or without.

    What is computed before a loop that begins too early arrives at its first step instead, or not at all; an initial
    state gets what the last of the fewer steps hands on.
    """
    gradients = [line for line in derivation.lines if line.kind == "gradient"]
    for lines in _loops(derivation):
        backward = {line.quantity for line in lines}
        steps = tuple(sorted({t for line in lines for t in line.steps if t >= hand.first}))
        for kept, what in (*fewer(steps), *_some_of_pieces(lines, steps)):
            said = f"the loop runs {what}"
            sums = [
                Edit(line, Sum(tuple(t for t in kept if t in line.expression.steps), line.expression.inner), said)
                for line in gradients
                if isinstance(line.expression, Sum) and line.expression.steps in (steps, steps[1:])
            ]

            def handed(part: Expression, to: int = kept[0]) -> Expression | None:
                is_first = type(part) is Reference and part.quantity in backward and part.at == steps[0] != to  # noqa: B023
                return Reference(part.quantity, None, to) if is_first else None  # type: ignore[attr-defined]

            read_at = {line: {p.at for p in parts(line.expression) if is_derivative(p)} for line in gradients}
            new = [(line, replaced(line.expression, handed)) for line in gradients if read_at[line] == {steps[0]}]
            starts = [Edit(line, other, said) for line, other in new if other is not line.expression]
            for arrives in (False, True) if kept[-1] != steps[-1] else (False,):
                edits = [*starts, *(Edit(line, _during(kept, steps[0], line, arrives), said) for line in lines)]
                yield tuple(edits)
                if sums:
                    yield (*edits, *sums)


def _some_of_pieces(lines: list[Line], steps: Steps) -> Iterator[tuple[Steps, str]]:
    """The steps without the ends of pieces, or those of one piece, if nothing is handed from one to the next."""
    terms = (p for line in lines for p in parts(line.expression) if type(p) is During and len(p.steps) > 1)
    handed = [term.steps for term in terms if moves_back(term)]
    cut = set(steps[:-1]).difference(*handed)
    if handed and cut:
        yield tuple(t for t in steps[:-1] if t not in cut), "without the last step of each piece"
        yield tuple(t for t in steps[1:] if t - 1 not in cut), "without the first step of each piece"
        yield tuple(t for t in steps if t > max(cut)), "over the last piece alone"
        yield tuple(t for t in steps if t <= min(cut)), "over the first piece alone"


def nothing_reset(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Pieces of a loop that begin with what another one left: all carries of the backward pass, or states, or one."""
    backward = [line for line in derivation.lines if line.kind == "backward"]
    found = [(line, *edit) for line in backward for edit in left_over(line.expression, line, hand)]
    carries = [Edit(*one) for one in found if one[-1] != (Reference(one[0].quantity, 1),)]  # a sum has no carry
    if len(carries) > 1:  # one alone is an edit of its line
        yield tuple(carries)
    states = list(filter(None, map(_state_kept, derivation.lines)))
    if states:
        yield tuple(states)
    yield from ((edit,) for edit in states if len(states) > 1)


def _state_kept(line: Line) -> Edit | None:
    """The state of the step before, for a given value with which a sequence begins."""
    definitions = (equation.expression for equation in line.quantity.equations)
    read = next((e for e in definitions if isinstance(e, Reference) and e.shift), None)
    if line.kind != "forward" or read is None or any(parts(line.expression, Reference)):
        return None
    known = tuple(t for t in line.steps if read.step(t) in read.quantity.values)
    others = tuple(t for t in line.steps if t not in known)
    terms: list[Expression] = [Switched(steps, e) for steps, e in ((known, read), (others, line.expression)) if steps]
    what = "{} stands where {} belongs: the state wasn't reset"
    return Edit(line, total(terms), what, (read, line.expression)) if known else None


def _loops(derivation: Derived) -> Iterator[list[Line]]:
    """The lines of each backward loop, and those of all."""
    loops: dict[Any, list[Line]] = {}
    for line in derivation.lines:
        if line.kind == "backward" and len(line.steps) > 1:
            loops.setdefault(line.quantity.loop, []).append(line)
    yield from loops.values()
    if len(loops) > 1:
        yield [line for lines in loops.values() for line in lines]


def _during(kept: Steps, first: int, line: Line, arrives: bool) -> Expression:
    """The right-hand side of a line at some of its steps.

    Args:
        kept: these steps.
        first: the first step; before it, there are derivatives by an initial state.
        line: the line.
        arrives: whether what comes to the last step arrives at the last of these.
    """

    def change(part: Expression) -> Expression | None:
        if type(part) is During and part.steps == line.steps[-1:]:
            inner = fixed(part.inner, line.steps[-1])
            return None if moves(inner) else During(kept[-1:], inner)
        return None

    new = replaced(line.expression, change) if arrives else line.expression
    before = tuple(t for t in line.steps if t < first)
    if not before or kept[0] == first:
        return Switched((*before, *kept), new)
    handed = [term for term in line.expression.operands if isinstance(term, During) and moves_back(term)]
    return total([Switched(kept, new), *(Moved(term.inner, dict.fromkeys(before, kept[0] - 1)) for term in handed)])


def loops_longer(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """Backward loops that run one step further than the first: one or all. Indices of -1 wrap round there."""
    for lines in _loops(derivation):
        backward = {line.quantity: line for line in lines}
        first = min(line.steps[0] for line in lines)

        def change(part: Expression, backward: Any = backward, first: int = first) -> Expression | None:
            if isinstance(part, Sum) and part.steps[0] == first:
                return total([part, _further(part.inner, first - 1, backward)])
            if type(part) is Reference and part.quantity in backward and part.at == first:
                return _further(backward[part.quantity].expression, first - 1, backward)
            return None

        gradients = [line for line in derivation.lines if line.kind == "gradient"]
        edits = [(line, replaced(line.expression, change)) for line in gradients]
        what = "the loop runs one step further than the first"
        yield tuple(Edit(line, new, what) for line, new in edits if new is not line.expression)


def _further(expression: Expression, t: int, backward: Mapping[Quantity, Line]) -> Expression:
    """An expression at the step before the first, where lists of values are read from their ends.

    Args:
        expression: the expression.
        t: the step before the first.
        backward: the line of each derivative of the loop.
    """

    def held(part: Expression) -> Expression | None:
        return During((t, *part.steps), part.inner) if type(part) is During and t + 1 in part.steps else None

    def found(part: Expression) -> Expression | None:
        if type(part) is not Reference or part.at is None or part.at in part.quantity.steps:
            return None
        if part.at == t and part.quantity in backward:
            return _further(backward[part.quantity].expression, t, backward)
        meaning = definition(part.quantity)
        if part.at == t and meaning is not None and is_product(meaning):  # nobody keeps it, beside its factors
            return _further(meaning, t, backward)
        return Reference(part.quantity, None, part.at + len(part.quantity.steps))

    return replaced(fixed(replaced(expression, held), t), found)
