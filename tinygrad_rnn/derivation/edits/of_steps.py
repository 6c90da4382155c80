"""Edits of steps: the step before or after, too few or many steps, only the last, pieces; repeated rows overwritten."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...autodiff.rules import elementwise, indexing
from ..backward.absence import follows_from_absence
from ..equations.arithmetic import is_product, is_sum
from ..equations.choices import numbers_a_step
from ..equations.expressions import (
    Apply,
    Constant,
    Data,
    During,
    Expression,
    Number,
    Operand,
    OverSteps,
    Reference,
    Step,
    Sum,
    apply,
)
from ..equations.lines import Line
from ..equations.making import broadcast, one_minus, times, with_operand, zeros
from ..equations.parts import applies, is_derivative, parts, replaced, substituted, total
from ..equations.recognising import meaning
from .found import Found, instead
from .hand import Hand
from .misplaced import Elsewhere, Mask, Moved, Rolled, Row
from .of_uses import Switched
from .putting import Put, PutAtOnce, PutInTurn

LONGEST_PIECE = 4
OTHERWISE_PUT = {
    "last": "= for +=: a place that comes again overwrites what it had",
    "first": "= for +=, from the last step to the first: a place that comes again overwrites",
    "each": "a place that comes again in one step is overwritten",
    "mean": "the mean for the sum of what comes to the same place",
    "all": "the sum of all rows in every place",
}


def steps_beside(part: Expression, line: Line, hand: Hand) -> Found:
    """A value of the step before or after; steps in reverse; an index that wraps round; a value kept at the end."""
    if isinstance(part, Reference) and part.quantity.adjoint_of is None:
        yield from _beside(part, line, hand)


def derivatives_beside(part: Expression, line: Line, hand: Hand) -> Found:
    """The same edits of derivatives."""
    if is_derivative(part):
        yield from _beside(part, line, hand)


def terms_beside(part: Expression, line: Line, hand: Hand) -> Found:
    """A term of derivatives that exist only at some steps, taken a step earlier or later, where these exist."""
    if isinstance(part, During) and line.steps:
        for reference in dict.fromkeys(filter(is_derivative, parts(part.inner))):
            is_missing = reference.at is None and set(line.steps) - set(reference.quantity.steps)
            for by in (-1, 1) if is_missing or follows_from_absence(part) else ():
                shift = (reference.shift or 0) + by
                steps = tuple(t for t in line.steps if t + shift in reference.quantity.steps)
                new = Reference(reference.quantity, shift)
                inner = substituted(part.inner, reference, new)
                yield During(steps, inner), "{} stands where {} belongs", (new, reference)


def terms_late(part: Expression, line: Line, hand: Hand) -> Found:
    """A term of derivatives that is added a step too late, since two lines of the loop stand in the wrong order."""
    if line.kind == "backward" and is_sum(part) and len(line.steps) > 1:
        for i, term in enumerate(part.operands):
            if not isinstance(term, During):
                for by in (1, -1):
                    steps = tuple(t for t in line.steps if t + by in line.steps)
                    late = Switched(steps, term.shifted(by))
                    of = term.shifted(by), term
                    yield with_operand(part, i, late), "{} stands where {} belongs: two lines in the wrong order", of
                    yield total([part, late]), "{} is a term too many, beside {}", of


def _beside(part: Reference, line: Line, hand: Hand) -> Found:
    if part.shift is not None and type(part) is Reference:
        quantity, shift = part.quantity, part.shift
        steps = quantity.steps
        for by in (1, -1, 2, -2):
            yield instead(Reference(quantity, shift + by), part)
        if not steps:
            return
        first, last = steps[0], steps[-1]
        for by in (-1, 1):
            clipped = Elsewhere(quantity, shift + by, _clipped(shift + by, first, last), f"clipped {by}")
            yield instead(clipped, part)
            for ring in dict.fromkeys((steps, line.steps or steps)):  # with an initial value, and without one
                step_for = _wrapped(shift + by, ring[0], len(ring))
                wrapped = Elsewhere(quantity, shift + by, step_for, f"wraps {by} from {ring[0]}")
                yield instead(wrapped, part, ", and wraps round at the end")
        if first < hand.first <= last:
            kept = Elsewhere(quantity, shift, lambda t: max(t + shift, hand.first), "without the initial one")
            yield kept, "{} stands where the initial one belongs", (Reference(quantity, None, hand.first),)
        wraps = Elsewhere(quantity, shift, lambda t: t + shift if t + shift > first else last, "wraps")
        yield wraps, "the last {} stands where the first belongs: an index of -1 wraps round", (part,)
        for end, which in ((last, "last"), (first, "first")):
            kept = Elsewhere(quantity, shift, lambda t, end=end: end, which)  # type: ignore[misc]
            yield kept, f"the {which} {{}} at all steps, as if it hadn't been kept", (part,)
        whole = line.expression
        own = line.steps or (whole.steps if isinstance(whole, Sum) else steps)
        turned = Elsewhere(quantity, shift, lambda t: own[0] + own[-1] - t + shift, "reversed")
        yield turned, "{} is taken in reverse order of the steps", (part,)
        if quantity.adjoint_of is None:
            zeroed, after = (
                Elsewhere(quantity, shift + by, _but_the_first(shift, by, first), f"zero at first, {by}")
                for by in (0, 1)
            )
            yield zeroed, "zeros stand where the first {} belongs", (part,)
            yield instead(after, part, ", after the first step")


def _but_the_first(shift: int, by: int, first: int) -> Callable[[int], int]:
    return lambda t: t + shift + by if t + shift != first else 10**9


def _clipped(shift: int, first: int, last: int) -> Callable[[int], int]:
    return lambda t: min(max(t + shift, first), last)


def _wrapped(shift: int, first: int, count: int) -> Callable[[int], int]:
    return lambda t: first + (t + shift - first) % count


def rows_beside(part: Expression, line: Line, hand: Hand) -> Found:
    """A row of the data that belongs to another step, to the one at the end, or to the same one at all steps."""
    if numbers_a_step(part):
        for by in (-1, 1):
            yield part.shifted(by), "{} of the step " + ("before" if by < 0 else "after"), (part,)
        at_its_end = Apply(np.equal, part.operands, {}, part.shape)
        yield at_its_end, "{} at the last step of each instance alone", (part,)
        return
    axis = axis_of_steps(part)
    if axis is None or not isinstance(part, Apply):
        return
    of, index = part.operands[0], part.settings["index"]
    places = index if type(index) is tuple else (index,)
    at = next(i for i, other in enumerate(places) if isinstance(other, Step))
    place, length, rest = places[at], of.shape[axis], (*places[:at], *places[at + 1 :])
    for by in (-1, 1):
        for how in ("zeros", "wraps", "clipped"):
            row = Row(of, _moved(place, by, length, how), f"{how} {by}", axis, part.shifted(by), rest)
            yield row, "{} of the step " + ("before" if by < 0 else "after"), (part,)
    turned = Row(
        of, lambda t: length - 1 - place.at(t) if 0 <= place.at(t) < length else None, "reversed", axis, None, rest
    )
    yield turned, "{} is taken in reverse order of the steps", (part,)
    if isinstance(of, Data) and hand.masks.get(of.name) == 1:
        at_the_end = times(part, one_minus(Row(of, _moved(place, 1, length, "zeros"), "zeros 1", axis, None, rest)))
        yield at_the_end, "{} at the last step of each instance alone", (part,)
    for piece in (n for n in range(2, LONGEST_PIECE + 1) if n < length and length % n == 0):
        again = Row(of, lambda t, piece=piece: place.at(t) % piece, f"of the first {piece}", axis, None, rest)  # type: ignore[misc]
        yield again, f"{{}} by its number in each piece of {piece} steps, not in the whole sequence", (part,)
    if ends := hand.ends_of_pieces:
        again = Row(
            of,
            lambda t: place.at(t - max((e for e in ends if e < t), default=0)),
            "of the first piece",
            axis,
            None,
            rest,
        )
        yield again, "{} by its number in each piece, not in the whole sequence", (part,)
    for row_number, which in ((length - 1, "last"), (0, "first")):
        same = Row(of, lambda t, kept=row_number: kept, which, axis, None, rest)  # type: ignore[misc]
        yield same, f"{{}} of the {which} step at all steps", (part,)


def axis_of_steps(part: Expression) -> int | None:
    """The axis along which an array is read step by step: ``xs[t]``, ``xs[:, t]``, ``xs[t, 0]``, ``xs[:, t, None]``."""
    if not applies(part, indexing.getitem):
        return None
    index = part.settings["index"]
    places = index if type(index) is tuple else (index,)
    before = list(itertools.takewhile(lambda place: not isinstance(place, Step), places))
    others = [place for place in places if not isinstance(place, Step)]
    are_plain = all(place is None or type(place) is int or place == slice(None) for place in others)
    if len(others) != len(places) - 1 or not are_plain:
        return None
    return sum(place is not None for place in before)


def _moved(place: Step, by: int, length: int, how: str) -> Callable[[int], int | None]:
    def row_for(t: int) -> int | None:
        row = place.at(t + by)
        if how == "clipped":
            return min(max(row, 0), length - 1)
        return row % length if how == "wraps" else row if 0 <= row < length else None

    return row_for


def sums_over_steps(part: Expression, line: Line, hand: Hand) -> Found:
    """Steps too few or too many at either end, only the last or the first, their mean."""
    if isinstance(part, OverSteps) and len(part.steps) > 1 and isinstance(part, Sum):
        steps, inner = part.steps, part.inner
        for kept, what in fewer(steps):
            yield Sum(kept, inner), what + " in the sum of {}", (inner,)
        yield Sum(steps, over_number(inner, len(steps))), "the mean over the steps for the sum of {}", (inner,)
        for t, which in ((steps[0], "first"), (steps[-1], "last")):
            once_more = Sum((t,), inner)
            yield apply(elementwise.add, part, once_more), f"the {which} step twice in the sum of {{}}", (inner,)
        for t in (steps[0] - 1, steps[-1] + 1):
            yield Sum((*steps, t), inner), "one step too many in the sum of {}", (inner,)
        for i, term in enumerate(inner.operands) if is_sum(inner) else ():
            for kept, what in fewer(steps) if not isinstance(term, During) else ():
                yield Sum(steps, with_operand(inner, i, During(kept, term))), what + " in the sum of {}", (term,)


def sequences_in_turn(part: Expression, line: Line, hand: Hand) -> Found:
    """A state of a wrong step, where a loop takes several sequences in turn: each begins with zeros."""
    begins, loop = hand.begins, range(hand.first, hand.last + 1)
    if begins and type(part) is Reference and part.shift == 0 and part.quantity in hand.states:
        before = Elsewhere(part.quantity, -1, lambda t: 10**9 if t in begins else t - 1, "of its own sequence")
        yield instead(before, part)
    if begins and isinstance(part, Sum) and set(part.steps) == set(loop).difference(begins):
        for read in parts(part.inner, Reference):
            if read.shift == -1 and read.quantity in hand.states:
                here = read.shifted(1)
                yield Sum(tuple(loop), substituted(part.inner, read, here)), "{} stands where {} belongs", (here, read)


def means_of_sequences(part: Expression, line: Line, hand: Hand) -> Found:
    """The mean over the steps of each sequence for that over all steps, where a loop takes several in turn."""
    starts = (hand.first, *hand.begins, hand.last + 1)
    if hand.begins and line.kind == "backward" and len(line.steps) == hand.last + 1 - hand.first:
        lengths = [end - start for start, end in itertools.pairwise(starts) for _ in range(start, end)]
        own = Row(Mask(np.array(lengths, float), "lengths"), lambda t: t - hand.first, "of each sequence")
        mean = apply(elementwise.divide, times(Number(len(lengths)), part), own)
        yield mean, "divided by the number of steps of each sequence, not of all", ()


def over_number(part: Expression, n: int) -> Expression:
    """A quotient by a number."""
    return apply(elementwise.divide, part, Number(n))


def fewer(steps: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Choices of some of the steps, each with its name in words."""
    yield steps[1:], "without the first step"
    yield steps[:-1], "without the last step"
    yield steps[-1:], "only the last step"
    yield steps[:1], "only the first step"
    for k in range(2, min(len(steps) - 1, LONGEST_PIECE + 1)):
        yield steps[k:], f"without the first {k} steps"
        yield steps[:-k], f"without the last {k} steps"
    for t in steps[1:-1][:8]:
        yield tuple(s for s in steps if s != t), f"without step {t}"


def terms_at_steps(part: Expression, line: Line, hand: Hand) -> Found:
    """A term at fewer steps, at all of them, or cut between pieces of the sequence."""
    if isinstance(part, During):
        inner, steps = part.inner, part.steps
        if len(steps) > 1:
            for kept, what in fewer(steps):
                yield During(kept, inner), "the term {} " + what, (inner,)
            for length in range(2, min(LONGEST_PIECE, len(steps)) + 1):
                for offset in range(length):
                    kept = tuple(t for t in sorted({*steps, *line.steps[:-1]}) if (t - offset) % length)
                    yield During(kept, inner), f"the term {{}} is cut after every {length} steps", (inner,)
        if steps == line.steps[-1:] and len(line.steps) > 1:  # an index of 0 for -1
            yield Moved(inner, {line.steps[0]: steps[0]}), "the term {} at the first step, not at the last", (inner,)
        in_the_loop = tuple(t for t in line.steps if t >= hand.first)  # an initial state is there one step before
        others = tuple(t for t in in_the_loop if t not in steps)
        if others:
            yield During(others, inner), "the term {} at the other steps", (inner,)
        for everywhere in dict.fromkeys((line.steps, in_the_loop)):
            if set(everywhere) > set(steps):
                yield During(everywhere, inner), "the term {} at all steps", (inner,)
    elif not line.steps and is_sum(part):
        for i, term in enumerate(part.operands):
            for axis in _axes_of_steps(term, hand):
                for new, what in _with_fewer_rows(term, axis, hand):
                    yield with_operand(part, i, new), "the term {} " + what, (term,)
    elif is_sum(part):
        for i, term in enumerate(part.operands):
            if not isinstance(term, During) and len(line.steps) > 1:
                for kept, what in fewer(line.steps):
                    yield with_operand(part, i, During(kept, term)), "the term {} " + what, (term,)
                for j, factor in enumerate(term.operands) if is_product(term) else ():
                    if isinstance(factor, (Data, Apply)) and not any(parts(factor, Reference)):
                        rest = broadcast(times(*term.operands[:j], *term.operands[j + 1 :]), term.shape)
                        new = with_operand(part, i, During(line.steps[-1:], rest))
                        yield new, "{} at the last step alone, for all of {}", (rest, term)


def sums_for_one_step(part: Expression, line: Line, hand: Hand) -> Found:
    """The sum over all steps of what belongs to one: of the gradient of a first state, or of a first input."""
    fixed = {p for p in parts(part) if is_derivative(p) and p.at is not None}
    if line.kind == "gradient" and len(fixed) == 1:
        (one,) = fixed
        steps = tuple(sorted(one.quantity.steps))
        for chosen in (steps, steps[:-1], steps[1:]) if len(steps) > 2 else ():
            added_up = Sum(chosen, substituted(part, one, Reference(one.quantity, 0)))
            yield added_up, "the sum over all steps stands where {} alone belongs", (one,)


def first_steps(part: Expression, line: Line, hand: Hand) -> Found:
    """A line at only some of its steps."""
    if len(line.steps) > 1:
        for kept, what in fewer(line.steps):
            yield Switched(kept, part), what, ()
    for axis in _axes_of_steps(part, hand) if not line.steps else ():
        for new, what in _with_fewer_rows(part, axis, hand):
            yield new, what, ()
        for by in (-1, 1) if axis == 0 else ():
            yield Rolled(part, by), "the rows of {} a step too " + ("late" if by > 0 else "early"), (part,)
        turned = (*[slice(None)] * axis, slice(None, None, -1))
        yield apply(indexing.getitem, part, index=turned), "the rows of {} in reverse", (part,)


def _axes_of_steps(part: Expression, hand: Hand) -> list[int]:
    """The axes of an array of all steps, behind the batch at most, that may be the steps."""
    return [axis for axis in range(min(part.ndim, 2)) if part.shape[axis] == hand.T > 1]


def _with_fewer_rows(part: Expression, axis: int, hand: Hand) -> Iterator[tuple[Expression, str]]:
    """An array of all steps with zeros at some of them."""
    for kept, what in fewer(tuple(range(hand.T))):
        mask = np.zeros(hand.T)
        mask[list(kept)] = 1
        rows = Mask(mask.reshape(-1, *[1] * (part.ndim - 1 - axis)), f"[{_counted_from_one(what)}]")
        yield apply(elementwise.multiply, part, rows), _counted_from_one(what)


def rows_of_derivatives(part: Expression, line: Line, hand: Hand) -> Found:
    """The changes that leave out some steps of a derivative of all steps, where a gradient reads it."""
    if line.kind == "gradient" and isinstance(part, Reference) and part.shift is part.at is None:
        yield from first_steps(part, line, hand)


def _counted_from_one(what: str) -> str:
    head, _, number = what.rpartition(" step ")
    return f"{head} step {int(number) + 1}" if number.isdigit() else what


def puts(part: Expression, line: Line, hand: Hand) -> Found:
    """Assignment instead of addition where rows are put in their places; or each sum divided by its number of terms."""
    if not applies(part, indexing.assemble):
        return
    if any(isinstance(place, Operand) for place in _flat(part.settings["indices"])):
        yield from ((Put(part, how), f"{what}, in {{}}", (part,)) for how, what in OTHERWISE_PUT.items())
    piece, *index = part.operands

    def whole(p: Expression) -> Expression | None:
        if applies(p, indexing.getitem) and p.operands[0].shape == part.shape:
            return p.operands[0]
        return replaced(meaning(p), whole) if isinstance(p, Reference) and meaning(p) is not p else None

    every = replaced(piece, whole)  # the outputs of all steps, not of the last ones alone
    if every.shape == part.shape:
        yield every, "all of {}, not {} alone", (every, piece)
    if len(index) == 1 and piece.ndim == 2 and index[0].shape == piece.shape[:1] and piece.shape[0] > 1:
        for end, which in ((-1, "last"), (0, "first")):
            rows = np.zeros((piece.shape[0], 1))
            rows[end] = 1
            one = times(piece, Mask(rows, f"[the {which} instance]"))
            yield with_operand(part, 0, one), f"the {which} instance alone, in {{}}", (part,)
    if len(index) == 2 and index[0].shape == index[1].shape:
        yield part.with_operands((piece, *index[::-1])), "{} and {} stand in each other's place", tuple(index)
    for i, place in enumerate(index, 1):
        for by, which in ((1, "after"), (-1, "before")) if isinstance(place, (Data, Constant)) else ():
            yield Put(part, f"shifted {by}"), f"the place of the step {which} in {{}}", (part,)
        for other in hand.data if isinstance(place, (Data, Constant)) else ():
            if other != place and other.shape == place.shape and other.dtype.kind in "iu":
                yield with_operand(part, i, other), "{} stands where {} belongs", (other, place)


def puts_over_steps(part: Expression, line: Line, hand: Hand) -> Found:
    """Assignment instead of addition where each step adds to a row: repeated or earlier rows are overwritten."""
    terms = part.operands if is_sum(part) else (part,)
    for i, term in enumerate(terms):
        if not isinstance(term, Sum):
            continue
        of_a_step = term.inner.operands if is_sum(term.inner) else term.operands
        if all(_puts_one(row) and row.operands[0].ndim > 1 for row in of_a_step):  # array[y] += rows, of (B, T)
            for by_instance in (True, False)[: len(of_a_step)]:
                at_once = total([*terms[:i], PutAtOnce(of_a_step, term.steps, by_instance), *terms[i + 1 :]])
                yield at_once, "= for +=, all at once: a place that comes again is overwritten, in {}", (term,)
        for j, row in enumerate(of_a_step):
            if _puts_one(row):
                beside, onto = (
                    total([*others[:k], *others[k + 1 :]]) if len(others) > 1 else zeros(part.shape)
                    for others, k in ((of_a_step, j), (terms, i))
                )
                others = [other for other in terms if other is not term and _puts_one(other)]
                cuts = [0, *(k + 1 for k, t in enumerate(term.steps[:-1]) if t in hand.ends_of_pieces), len(term.steps)]
                each = tuple(t for a, b in itertools.pairwise(cuts) for t in term.steps[a:b][::-1])
                turns = ((term.steps, ""), (term.steps[::-1], ", from the last step to the first"))
                for turn, order in (*turns, *[(each, ", piece by piece, each from its end")][: len(cuts) - 2]):
                    what = f"= for +={order}: a place that comes again is overwritten, in {{}}"
                    for is_first in (False, True)[: len(of_a_step)]:
                        for after in others if turn is not term.steps and others else (None,):
                            new = PutInTurn(row, beside, onto, turn, is_first, after)
                            yield new, what, (term,)


def _puts_one(row: Expression) -> bool:
    """Return True for one piece among zeros."""
    return applies(row, indexing.assemble) and len(row.settings["indices"]) == 1


def _flat(setting: Any) -> Iterator[Any]:
    if isinstance(setting, tuple) and not isinstance(setting, Operand):
        for part in setting:
            yield from _flat(part)
    else:
        yield setting
