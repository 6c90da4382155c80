"""Edits of terms: left out, doubled, with the other sign, overwritten, too many."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from functools import partial
from operator import is_
from typing import Any

from ...autodiff.rules import elementwise, shape
from ..equations.arithmetic import (
    factors,
    is_difference,
    is_negative,
    is_product,
    is_quotient_by_number,
    is_sum,
    less_than_one,
    negative,
    product,
    scaled,
)
from ..equations.choices import is_masked, where
from ..equations.expressions import Data, During, Expression, Number, Parameter, Reference, apply
from ..equations.lines import Line
from ..equations.making import ONE, TWO, broadcast, one_minus, over, times, unwrapped, with_operand, zeros
from ..equations.parts import (
    applies,
    fixed,
    is_derivative,
    parts,
    places,
    put,
    reads_derivatives,
    replaced,
    substituted,
    total,
)
from ..equations.quantities import Quantity
from .found import Found, instead
from .hand import Hand
from .misplaced import AddedUp, CarriedAlone, Moved
from .of_uses import Switched, carries, definition, pieces, switched

MOST_PRODUCTS = 8  # in a line, of which two exchange factors
LEFT_OUT, OTHER_SIGN = "all of it was left out", "with the other sign"


def terms_of(part: Expression, line: Line, hand: Hand) -> Found:
    """A term left out, with the other sign, doubled or halved; or a term alone, as by = instead of +=."""
    if not is_sum(part):
        return
    terms = part.operands
    for i, term in enumerate(terms):
        yield broadcast(total([*terms[:i], *terms[i + 1 :]]), part.shape), "the term {} was left out", (_inner(term),)
    for i, term in enumerate(terms):
        inner, again = unwrapped(term)
        rest = total([*terms[:i], *terms[i + 1 :]])
        if len(terms) > 2:
            doubled = [put_in(times(TWO, other)) for other, put_in in map(unwrapped, (*terms[:i], *terms[i + 1 :]))]
            yield total([*doubled, term]), "the terms {} were taken twice: += for =", (rest,)
        yield with_operand(part, i, again(negative(inner))), "the term {} has the other sign", (inner,)
        yield with_operand(part, i, again(times(TWO, inner))), "the term {} was taken twice", (inner,)
        yield with_operand(part, i, again(times(Number(0.5), inner))), "the term {} was halved", (inner,)
        if isinstance(term, During):
            if moves_back(term):
                yield with_operand(part, i, AddedUp(term)), "{} was added to that of later steps: += for =", (inner,)
            others = [_outside(other, term, line) for j, other in enumerate(terms) if j != i]
            others = [other for other in others if other.steps]
            if not others:
                continue
            yield total([*others, term]), "{} was overwritten by the term {}: = for +=", (rest, inner)
            for t in (term.steps[0], term.steps[-1]) if len(term.steps) > 1 else ():
                left = During(tuple(s for s in term.steps if s != t), inner)
                yield (
                    with_operand(part, i, left),
                    "the term {} was left out at its " + _end(t, term.steps) + " step",
                    (inner,),
                )
        if not line.steps and hand.T > 1 and not reads_derivatives(term):
            each = times(Number(hand.T), term)
            yield with_operand(part, i, each), f"the term {{}} was added at each of the {hand.T} steps", (term,)
        if len(terms) > 2:
            yield _alone(term, part), "{} was overwritten by the term {}", (rest, inner)


def terms_by_number(part: Expression, line: Line, hand: Hand) -> Found:
    """A term divided, or multiplied, by a number by which another one is divided: a mean over the steps of both."""
    for i, term in enumerate(part.operands) if is_sum(part) and line.kind != "forward" else ():
        inner, again = unwrapped(term)
        for number in map(Number, sorted(hand.divisors - {2})):
            yield with_operand(part, i, again(over(inner, number))), "the term {} is divided by {}", (inner, number)
            yield with_operand(part, i, again(times(number, inner))), "the term {} is taken times {}", (inner, number)


def numbers_of_steps(part: Expression, line: Line, hand: Hand) -> Found:
    """The weights of the steps left out: one number at all steps, in place of several, each at some steps."""
    terms = part.operands if is_sum(part) else ()
    weights = [(term.steps, coefficient(term.inner)) for term in terms if isinstance(term, During)]
    reads = any(isinstance(p, (Reference, Parameter, Data)) for p in parts(part))
    if len(weights) == len(terms) > 1 and line.steps and not reads:
        mean = sum(len(steps) * weight for steps, weight in weights) / len(line.steps)
        for weight in dict.fromkeys((*(weight for _, weight in weights), mean)):
            same = Number(weight)
            yield Switched(line.steps, same), "{} at all steps: the weights of the steps were left out", (same,)


def numbers_exchanged(part: Expression, line: Line, hand: Hand) -> Found:
    """Two terms with the factors of each other: 1 - q and q of a quantile, of which each belongs to one side."""
    terms = list(addends(part))
    if len(terms) == 2 and line.kind != "forward":
        (a, again_a), (b, again_b) = map(unwrapped, terms)
        of_a, of_b = map(coefficient, (a, b))
        if abs(of_a) != abs(of_b) and of_a and of_b:
            by = abs(of_b / of_a)
            new = total([again_a(scaled(a, by)), again_b(scaled(b, 1 / by))])
            yield new, "the numbers of {} and {} stand in each other's place", (a, b)


def coefficient(term: Expression) -> float:
    """The number by which a term is multiplied."""
    if applies(term, elementwise.divide) and isinstance(term.operands[1], Number):
        return coefficient(term.operands[0]) / term.operands[1].value
    if is_negative(term):
        return -coefficient(term.operands[0])
    found = 1.0
    for factor in factors(term):
        found *= factor.value if isinstance(factor, Number) else 1.0 if factor is term else coefficient(factor)
    return found


def halves_exchanged(part: Expression, line: Line, hand: Hand) -> Found:
    """A mask, or a gate, and what it leaves, each in the other's place: z h + (1 - z) c for (1 - z) h + z c."""
    if is_sum(part) or is_difference(part):
        for rest in dict.fromkeys(p for p in parts(part) if less_than_one(p) is not None):
            y = less_than_one(rest)
            if y is not None and any(p == y for p in parts(substituted(part, rest, ONE))):
                yield replaced(part, {rest: y, y: rest}.get), "{} and {} stand in each other's place", (y, rest)


def terms_together(part: Expression, line: Line, hand: Hand) -> Found:
    """The changes of all terms from another step at once: left out, doubled, or at fewer steps."""
    if not is_sum(part):
        return
    carried = [i for i, term in enumerate(part.operands) if isinstance(term, During) and moves_back(term)]
    if len(carried) < 2:
        return
    rest = [term for i, term in enumerate(part.operands) if i not in carried]
    terms = [term for i in carried if isinstance(term := part.operands[i], During)]
    inner = total([term.inner for term in terms])
    steps = terms[0].steps
    yield total(rest) if rest else zeros(part.shape), "the terms {} were left out", (inner,)
    if rest:
        yield Switched(steps, inner), "the terms of this step, {}, were left out", (total([*map(_inner, rest)]),)
    times_what = {2.0: "were taken twice", 0.5: "were halved", -1.0: "have the other sign"}
    changes: list[tuple[Expression, str]] = [
        *((During(steps, times(Number(c), inner)), what) for c, what in times_what.items()),
        (During(steps[-1:], inner), "at the last step alone"),
        (During(steps[:1], inner), "at the first step alone"),
        (During(steps[:-1], inner), "without the last step"),
        (During(steps[1:], inner), "without the first step"),
        (AddedUp(During(steps, inner)), "were added to those of later steps: += for ="),
    ]
    for length in range(2, min(4, len(steps)) + 1):
        for offset in range(length):
            changes.append(
                (During(tuple(t for t in steps if (t - offset) % length), inner), f"are cut after every {length} steps")
            )
    for new, what in changes:
        yield total([*rest, new]), "the terms {} " + what, (inner,)


def carries_times_something(part: Expression, line: Line, hand: Hand) -> Found:
    """A wrong additional factor of all that comes from the step after; or a part of all that arrives there.

    With dh = dy + carry, it is ``carry = dh * z + ...``, not ``carry = carry * z + ...`` or ``carry = dy * z + ...``.
    """
    carried = [term for term in part.operands if isinstance(term, During) and moves_back(term)] if is_sum(part) else []
    rest = [term for term in part.operands if term not in carried]
    if len(carried) < 2 or not rest:
        return
    numbers = (e for scalar in hand.scalars(None) for e in (scalar, one_minus(scalar)))
    for factor in (*map(Number, hand.rates), *numbers):
        made = [During(term.steps, times(factor, term.inner)) for term in carried]
        yield total([*rest, *made]), "{} is a factor too many of all terms of the other step", (factor,)
    own = Reference(line.quantity, 1)
    if any(p == own for term in carried for p in parts(term)):
        inner = total([term.inner for term in carried])
        stale = During(carried[0].steps, CarriedAlone(inner, own, carried[0].steps[-1]))
        yield total([*rest, stale]), "what {} has of the step after it alone stands where {} belongs", (own, own)
        here = switched(total(rest).shifted(1))
        fresh = [During(term.steps, substituted(term.inner, own, here)) for term in carried]
        yield total([*rest, *fresh]), "what {} has of its own step alone stands where {} belongs", (own, own)


def terms_left_out(part: Expression, line: Line, hand: Hand) -> Found:
    """Terms left out: those before or after one, two or three of several, also of the sums and differences in a sum."""
    for k in range(2, len(part.operands) - 1) if is_sum(part) else ():
        for others, some in ((part.operands[k:], part.operands[:k]), (part.operands[:k], part.operands[k:])):
            yield broadcast(total([*some]), part.shape), "the terms {} were left out", (total([*map(_inner, others)]),)
    for few in itertools.combinations(part.operands, 3) if is_sum(part) and 4 < len(part.operands) < 8 else ():
        rest = [term for term in part.operands if term not in few]
        yield broadcast(total(rest), part.shape), "the terms {} were left out", (total([*map(_inner, few)]),)
    terms = list(addends(part)) if is_sum(part) else []
    for i, j in itertools.combinations(range(len(terms)), 2) if len(terms) > 2 else ():
        rest = [term for k, term in enumerate(terms) if k not in (i, j)]
        left = total(rest) if len(rest) > 1 else _alone(rest[0], part)
        of = _inner(terms[i]), _inner(terms[j])
        yield broadcast(left, part.shape), "the terms {} and {} were left out", of


def brackets_turned(part: Expression, line: Line, hand: Hand) -> Found:
    """A difference the wrong way round, whose factor stands in both of its terms: g ∘ (a - b) is g ∘ a - g ∘ b here."""
    terms = list(addends(part)) if is_sum(part) or is_difference(part) else []
    for i, j in itertools.combinations(range(len(terms)), 2) if len(terms) > 2 else ():
        of = _inner(terms[i]), _inner(terms[j])
        if _factors(of[0]) & _factors(of[1]):
            rest = [term for k, term in enumerate(terms) if k not in (i, j)]
            turned = [again(negative(inner)) for inner, again in map(unwrapped, (terms[i], terms[j]))]
            yield broadcast(total([*rest, *turned]), part.shape), "the terms {} and {} have the other sign", of


def brackets(part: Expression, line: Line, hand: Hand) -> Found:
    """A factor of one term, used as a factor of the whole sum."""
    if not is_sum(part):
        return
    for i, term in enumerate(part.operands):
        inner, _ = unwrapped(term)
        above, below = inner.operands if applies(inner, elementwise.divide) else (inner, None)
        shared = [over(factor, below) for factor in factors(above)] if isinstance(below, Number) else []
        conditions = inner.operands[:1] if is_masked(inner) else ()
        for factor in (*(inner.operands if is_product(inner) else ()), *shared, *conditions):
            by = partial(where, factor) if factor in conditions else partial(times, factor)
            others = (*part.operands[:i], *part.operands[i + 1 :])
            made = [again(by(other)) for other, again in map(unwrapped, others)]
            every = "all terms"
            said = "{{}} is a factor of {}, not of {{}} alone"
            yield broadcast(total([*made, term]), part.shape), said.format(every), (factor, inner)
            if isinstance(term, During) and moves_back(term):
                every = "all terms of the other step"
                made = [new if moves_back(other) else other for new, other in zip(made, others)]
                yield broadcast(total([*made, term]), part.shape), said.format(every), (factor, inner)
            for j, other in enumerate(others) if len(others) > 1 else ():
                if made[j] is not other:
                    of, too = (factor, _inner(other), inner), total([term, made[j], *others[:j], *others[j + 1 :]])
                    yield too, "{} is a factor of {} too, not of {} alone", of
                    but_one = total([term, other, *made[:j], *made[j + 1 :]])
                    yield but_one, said.format(f"{every} but {{}}"), of


def factors_of_some_terms(part: Expression, line: Line, hand: Hand) -> Found:
    """A factor or divisor of a whole sum, used as one of a single term, or of all but one: p - w y for w (p - y)."""
    for whole, by, factor, again in _factors_around(part):
        terms = list(addends(whole))
        for k, term in enumerate(terms):
            others = (*terms[:k], *terms[k + 1 :])
            if not any(isinstance(one, During) for one in terms):
                for some, rest, what in (
                    ((term,), others, "{} is a factor or divisor of {} alone, not of all terms"),
                    (others, (term,), "{} is no factor or divisor of {}"),
                )[: len(terms) - 1]:
                    new = total([*rest, *map(by, some)])
                    yield broadcast(again(new), part.shape), what, (factor, term)


def _factors_around(part: Expression) -> Iterator[tuple[Expression, Any, Expression, Any]]:
    """The factors and the divisors of each sum in a product or quotient.

    Yields:
        The sum; the function that applies the factor; the factor; and the function that applies all the others.
    """
    if applies(part, elementwise.divide):
        above, below = part.operands
        if is_sum(above) or is_difference(above):
            yield above, partial(_over, below), below, _itself
    for i, inner in enumerate(part.operands) if is_product(part) else ():
        for j, factor in enumerate(part.operands) if is_sum(inner) or is_difference(inner) else ():
            rest = [f for k, f in enumerate(part.operands) if k not in (i, j)]
            if j != i and not isinstance(factor, Number):
                yield inner, partial(times, factor), factor, partial(times, *rest)
                if (quotient := _quotient(factor)) is not None:  # w / n (p - y)
                    above, below = quotient
                    yield inner, partial(times, above), above, partial(times, *rest, over(ONE, below))


def _quotient(factor: Expression) -> tuple[Expression, Expression] | None:
    """The dividend and the divisor of a quotient, also if it has another axis behind."""
    inner = factor.operands[0] if applies(factor, shape.expand_dims) else factor
    if not applies(inner, elementwise.divide) or (inner is not factor and inner.operands[1].shape):
        return None
    above, below = inner.operands
    return (above if inner is factor else factor.with_operands((above,))), below


def _over(below: Expression, above: Expression) -> Expression:
    return over(above, below)


def _itself(term: Expression) -> Expression:
    return term


def terms_of_others(part: Expression, line: Line, hand: Hand) -> Found:
    """A term from another step that belongs to another quantity: the carry of another layer."""
    if not is_sum(part) or line.kind != "backward":
        return
    others = [q for q in hand.backward if q.shape == part.shape and q is not line.quantity and q.equations]
    for i, own in enumerate(part.operands):
        if not isinstance(own, During) or not moves_back(own):
            continue
        for quantity in others:
            for term in parts(quantity.equations[-1].expression):
                if isinstance(term, During) and term.shape == own.shape and moves_back(term) and term != own:
                    yield with_operand(part, i, term), "{} stands where {} belongs", (term.inner, own.inner)
                    yield total([*part.operands, term]), "{} is a term too many", (term.inner,)
                    now = term.inner.shifted(-1)
                    yield with_operand(part, i, During(line.steps, now)), "{} stands where {} belongs", (now, own.inner)


def read_too_late(part: Expression, line: Line, hand: Hand) -> Found:
    """A derivative in one term of a sum for which another term stands: it was overwritten by that."""
    terms = [*map(_inner, part.operands)] if is_sum(part) and line.kind == "backward" else []
    for i, j in itertools.permutations(range(len(terms)), 2):
        for read in parts(terms[i]):
            is_kept = type(read) is Reference and read.quantity.adjoint_of is not None and read.shift == 1
            if is_kept and read.shape == terms[j].shape and read not in (terms[i], terms[j]):
                inner = unwrapped(part.operands[i])[1](substituted(terms[i], read, terms[j]))
                yield with_operand(part, i, inner), "{} stands where {} belongs: it was overwritten", (terms[j], read)


def handed_on(part: Expression, line: Line, hand: Hand) -> Found:
    """The value that a derivative hands on, in its place: a variable was overwritten by that before it was read."""
    if line.kind == "gradient" and is_derivative(part) and part.at is not None:  # of another first state
        for quantity in hand.backward:
            whole = definition(quantity)
            back = [_inner(term) for term in whole.operands if moves_back(term)] if whole is not None else []
            if back and quantity.shape == part.shape and quantity is not part.quantity:
                yield instead(fixed(total(back), part.at), part)
    if line.kind != "forward" and type(part) is Reference and part.at is None and part.quantity.adjoint_of is not None:
        for quantity in hand.backward:
            whole = definition(quantity)
            terms = (whole.operands if is_sum(whole) else (whole,)) if whole is not None else ()
            back = [_inner(term) for term in terms if moves_back(term)]
            for inner in (*map(_inner, terms), *([total(back)] if len(back) > 1 else [])):
                for read in parts(inner) if inner.shape == part.shape and quantity is not line.quantity else ():
                    if type(read) is Reference and read.quantity is part.quantity and read.at is None and inner != read:
                        yield instead(inner.shifted((part.shift or 0) - (read.shift or 0)), part)


def carried_whole(part: Expression, line: Line, hand: Hand) -> Found:
    """A derivative that is never set anew: its own value at the step after is a term too many."""
    if line.kind == "backward" and len(line.steps) > 1:
        whole = Reference(line.quantity, 1)
        yield total([part, During(line.steps[:-1], whole)]), "{} is a term too many: += for =", (whole,)


def terms_too_many(part: Expression, line: Line, hand: Hand) -> Found:
    """A term that doesn't belong there: another derivative of the same shape."""
    if line.kind != "backward":
        return
    for quantity in hand.backward:
        if quantity.shape == part.shape and bool(quantity.steps) == bool(line.steps):
            beside = (-1,) if quantity is line.quantity else (0, 1, -1)
            for shift in beside if line.steps else (None,) * (quantity is not line.quantity):
                steps = tuple(t for t in line.steps if t + (shift or 0) in quantity.steps)
                term = Reference(quantity, shift)
                yield total([part, During(steps, term) if line.steps else term]), "{} is a term too many", (term,)


def carries_kept(part: Expression, line: Line, hand: Hand) -> Found:
    """The last carry of another loop, or of another piece of the sequence, that wasn't reset before this one began."""
    if line.kind != "backward" or len(line.steps) < 2:
        return
    yield from left_over(part, line, hand)
    begins = line.steps[:1] if any(shift < 0 for _, shift in carries(part)) else line.steps[-1:]
    for quantity in hand.backward:
        for equation in quantity.equations:
            for term, shift in carries(equation.expression):
                if term.shape == part.shape:
                    left = fixed(term.inner, equation.steps[0] - 1 if shift > 0 else equation.steps[-1] + 1)
                    yield total([part, During(begins, left)]), "{} was left over: the carry wasn't reset", (left,)


def left_over(part: Expression, line: Line, hand: Hand) -> Found:
    """The last carry of another piece of the sequence, where pieces are taken from the first to the last."""
    carried, cut = pieces(part, line.steps)
    if cut:
        handed = dict(zip([*cut[1:], line.steps[-1]], [hand.first - 1, *cut]))
        rest = [term for term in part.operands if term not in carried]
        kept = [Moved(term.inner, {**{t: t for t in term.steps}, **handed}) for term in carried]
        what = "{} of the piece before was left over: the carry wasn't reset"
        yield total([*rest, *kept]), what, (total([term.inner for term in carried]),)


def lengths_of_pieces(part: Expression, line: Line, hand: Hand) -> Found:
    """The mean over the steps of each piece, in place of another mean, or besides."""
    if line.kind == "forward" or not line.steps or not is_quotient_by_number(part):
        return
    ends = [hand.first - 1, *hand.ends_of_pieces, max(line.steps)]
    of_length: dict[int, list[int]] = {}
    for begin, end in itertools.pairwise(ends):
        of_length.setdefault(end - begin, []).extend(t for t in line.steps if begin < t <= end)
    if len(of_length) > 1:
        each = total([Switched(tuple(steps), over(ONE, Number(n))) for n, steps in of_length.items() if steps])
        for of in part.operands[0], part:
            yield product([of, each]), "{} was divided by the number of steps of its piece", (of,)


def starts_of_pieces(part: Expression, line: Line, hand: Hand) -> Found:
    """The derivative by the state before the last of several pieces, or those before all, for that before the first."""
    if line.kind != "gradient" or not is_derivative(part) or part.at is None:
        return
    carried, cut = pieces(definition(part.quantity), part.quantity.steps)
    if cut:
        handed = [total([fixed(term.inner, t) for term in carried]) for t in cut]
        yield instead(handed[-1], part, ": it comes from the last piece, not from the first")
        yield total([part, *handed]), "the sum over all pieces stands where {}, of the first, belongs", (part,)


def differences(part: Expression, line: Line, hand: Hand) -> Found:
    """The changes of a difference: one side left out, or the other sign."""
    if not is_difference(part):
        return
    a, b = part.operands
    yield broadcast(a, part.shape), "{} was left out", (b,)
    yield broadcast(negative(b), part.shape), "{} was left out", (a,)
    yield broadcast(b, part.shape), "{} was left out, and the minus sign", (a,)
    yield apply(elementwise.add, a, b), "{} was added, not subtracted", (b,)
    yield apply(elementwise.subtract, b, a), "{} minus {}, the wrong way round", (b, a)
    for x, i in ((b, 1), (a, 0)):
        if not isinstance(x, Number):
            yield with_operand(part, i, times(TWO, x)), "{} was taken twice", (x,)
            yield with_operand(part, i, times(Number(0.5), x)), "{} was halved", (x,)
            if not reads_derivatives(x):
                yield with_operand(part, i, one_minus(x)), "{} stands where {} belongs", (one_minus(x), x)


def whole_lines(part: Expression, line: Line, hand: Hand) -> Found:
    """The other sign, a factor too many, everything left out."""
    if line.kind == "backward":
        yield zeros(part.shape), LEFT_OUT, ()
    yield negative(part), OTHER_SIGN, ()
    for factor in (2.0, 0.5):
        yield times(Number(factor), part), "times {}", (Number(factor),)
    for size in hand.sizes:
        yield over(part, Number(size)), "divided by {}", (Number(size),)
        yield times(Number(size), part), "times {}", (Number(size),)
        yield times(Number(size**2), part), "times {} where one divides by it", (Number(size),)
    if line.kind != "forward":
        for reference in [p for p in parts(part) if is_derivative(p)]:
            if reference.shape == part.shape and reference.quantity is not line.quantity:
                yield reference, "{} alone", (reference,)


def penalties(part: Expression, line: Line, hand: Hand) -> Found:
    """A penalty on a parameter that has none: a weight decay of the biases, too."""
    if line.kind == "gradient":
        for own in hand.parameters:
            if own.name == line.quantity.adjoint_of and not any(p == own for p in parts(part)):
                for term in (times(Number(rate), own) for rate in hand.penalties):
                    yield total([part, term]), "{} is a term too many", (term,)


def exchanges(part: Expression, line: Line, hand: Hand) -> Found:
    """Two parameters, or two quantities, of a line in each other's place."""
    found = dict.fromkeys(p for p in parts(part, Parameter, Reference) if p.shape)
    for a, b in itertools.combinations(found, 2):
        if type(a) is type(b) and a.shape == b.shape:
            new = replaced(part, lambda p, places={a: b, b: a}: places.get(p))  # type: ignore[misc]
            yield new, "{} and {} stand in each other's place", (a, b)


def factors_exchanged(part: Expression, line: Line, hand: Hand) -> Found:
    """A factor of one product and a factor of another one in each other's place: the inputs of two gates."""
    products = [(place, p) for place, p in places(part) if is_product(p)]
    for (a_is_at, a), (b_is_at, b) in itertools.combinations(products[:MOST_PRODUCTS], 2):
        if b_is_at[: len(a_is_at)] == a_is_at:
            continue
        for (i, x), (j, y) in itertools.product(enumerate(a.operands), enumerate(b.operands)):
            if with_operand(a, i, ONE) == with_operand(b, j, ONE):  # then the terms have each other's sign
                continue
            if x != y and x.shape == y.shape and not isinstance(x, Number) and not isinstance(y, Number):
                new = put(put(part, (*a_is_at, i), y), (*b_is_at, j), x)
                yield new, "{} and {} stand in each other's place, each in one product", (x, y)


def derivatives_left_out(part: Expression, line: Line, hand: Hand) -> Found:
    """A derivative left out of several terms of a line: the path through one of two values."""
    counts = Counter(p.quantity for p in parts(part, Reference) if is_derivative(p))
    for quantity, count in counts.items() if len(counts) > 1 else ():
        if count > 1:
            of = Reference(quantity, 0 if quantity.steps else None)
            yield without(part, quantity), "{} was left out, wherever it stands", (of,)


def without(whole: Expression, quantity: Quantity) -> Expression:
    """A line without the terms in which a derivative stands: zeros if there are no others."""
    rest = _rest(whole, quantity)
    return zeros(whole.shape) if rest is None else rest if rest.shape == whole.shape else broadcast(rest, whole.shape)


def _rest(part: Expression, quantity: Quantity) -> Expression | None:
    if isinstance(part, Reference) and part.quantity is quantity:
        return None
    left = [_rest(operand, quantity) for operand in part.operands]
    kept = [operand for operand in left if operand is not None]
    if is_sum(part) and kept:
        return part if len(kept) == len(left) == sum(map(is_, left, part.operands)) else total(kept)
    if is_difference(part) and len(kept) == 1:
        return kept[0] if left[0] is not None else negative(kept[0])
    if len(kept) < len(left):
        return None
    return part if all(map(is_, left, part.operands)) else part.with_operands(tuple(kept))


def addends(term: Expression) -> Iterator[Expression]:
    """The terms of a sum or a difference, and of those in it."""
    inner, again = unwrapped(term)
    if is_sum(inner):
        yield from (again(addend) for operand in inner.operands for addend in addends(operand))
    elif is_difference(inner):
        a, b = inner.operands
        yield from map(again, addends(a))
        yield from (again(negative(addend)) for addend in addends(b))
    else:
        yield term


def _alone(term: Expression, whole: Expression) -> Expression:
    """A term of a sum without the others."""
    return broadcast(Switched(term.steps, term.inner) if isinstance(term, During) else term, whole.shape)


def _inner(term: Expression) -> Expression:
    return unwrapped(term)[0]


def _factors(term: Expression) -> set[Expression]:
    """The factors of a term that aren't numbers."""
    bare = term.operands[0] if is_negative(term) else term
    return {factor for factor in factors(bare) if not isinstance(factor, Number)}


def moves_back(term: Expression) -> bool:
    """Return True for a term with derivatives at another step."""
    return any(is_derivative(p) and p.shift for p in parts(term))


def _outside(other: Expression, term: During, line: Line) -> During:
    """A term at the steps at which another one is missing."""
    inner, _ = unwrapped(other)
    return During(tuple(t for t in _steps_of(other, line) if t not in term.steps), inner)


def _steps_of(term: Expression, line: Line) -> tuple[int, ...]:
    return term.steps if isinstance(term, During) else line.steps


def _end(t: int, steps: tuple[int, ...]) -> str:
    return "first" if t == steps[0] else "last"
