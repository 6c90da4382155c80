"""Edits of factors: left out, twice, another function of the same quantity; divisors; the softmax's Jacobian."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ...autodiff.rules import activations, elementwise, indexing, log_probabilities, reductions, shape
from ..equations.arithmetic import is_difference, is_product, is_sum, less_than_one, negative
from ..equations.expressions import Apply, Data, During, Expression, Number, Parameter, Reference, Sum, apply, one_axis
from ..equations.lines import Line
from ..equations.making import ONE, broadcast, one_minus, over, times, unwrapped, with_operand
from ..equations.parts import applies, parts, reads_derivatives, substituted
from ..equations.recognising import meaning
from .found import Found, instead
from .hand import Hand
from .of_uses import definition


def factors_of(part: Expression, line: Line, hand: Hand) -> Found:
    """A factor left out, taken twice, or replaced by 1 minus itself."""
    if not is_product(part):
        return
    whole = part.operands
    for i, factor in enumerate(whole):
        rest = whole[:i] + whole[i + 1 :]
        if reads_derivatives(factor) and all(isinstance(other, Number) for other in rest):
            continue  # nobody writes a derivative as a number
        grown = times(*rest)
        yield (grown if grown.shape == part.shape else broadcast(grown, part.shape)), "{} was left out", (factor,)
    for i, factor in enumerate(whole):
        if isinstance(factor, Number):
            yield with_operand(part, i, Number(factor.value * 2)), "2 times {} for {}", (factor, factor)
            yield with_operand(part, i, Number(factor.value**2)), "{} was taken twice", (factor,)
            continue
        yield times(*whole, factor), "{} was taken twice", (factor,)
        if not reads_derivatives(factor):
            inner = less_than_one(factor) or one_minus(factor)
            yield with_operand(part, i, inner), "{} stands where {} belongs", (inner, factor)


def factors_of_einsums(part: Expression, line: Line, hand: Hand) -> Found:
    """A factor left out of an einsum, where the others still have all axes of the result."""
    if not (isinstance(part, Apply) and part.name == "einsum") or len(part.operands) < 2:
        return
    inputs, result = part.settings["subscripts"].replace(" ", "").split("->")
    axes = inputs.split(",")
    for i, factor in enumerate(part.operands):
        others = axes[:i] + axes[i + 1 :]
        if set(result) <= set("".join(others)) and not reads_derivatives(factor):
            settings = {**part.settings, "subscripts": f"{','.join(others)}->{result}"}
            rest = part.operands[:i] + part.operands[i + 1 :]
            yield Apply(part.operation, rest, settings, part.shape), "{} was left out", (factor,)


def factors_together(part: Expression, line: Line, hand: Hand) -> Found:
    """Two factors of several left out, or taken twice: 2 and w of 2 w; all left out but one; 1 + m for m.

    A factor and a divisor are one for their users, too: a mask and the share that it keeps.
    """
    if applies(part, elementwise.divide) and is_product(above := part.operands[0]):
        below = part.operands[1]
        for i, factor in enumerate(above.operands if isinstance(below, Number) else ()):
            if not isinstance(factor, Number) and not reads_derivatives(factor):
                rest = broadcast(times(*above.operands[:i], *above.operands[i + 1 :]), part.shape)
                yield rest, "{} was left out", (over(factor, below),)
                yield over(times(part, factor), below), "{} was taken twice", (over(factor, below),)
    whole = part.operands if is_product(part) else ()
    for i, j in itertools.combinations(range(len(whole)), 2) if len(whole) > 2 else ():
        rest = times(*(factor for k, factor in enumerate(whole) if k not in (i, j)))
        yield broadcast(rest, part.shape), "{} and {} were left out", (whole[i], whole[j])
        if not isinstance(whole[i], Number):
            yield times(part, whole[i], whole[j]), "{} and {} were taken twice", (whole[i], whole[j])
    for i, factor in enumerate(whole):
        if len(whole) > 3:
            yield broadcast(factor, part.shape), "{} alone, without the other factors", (factor,)
        if not isinstance(factor, Number) and not reads_derivatives(factor):
            rest = times(*whole[:i], *whole[i + 1 :])
            yield broadcast(over(rest, factor), part.shape), "divided by {} where one multiplies by it", (factor,)
            more = apply(elementwise.add, ONE, factor)
            yield with_operand(part, i, more), "{} stands where {} belongs: += for =", (more, factor)


def groups_left_out(part: Expression, line: Line, hand: Hand) -> Found:
    """The changes that leave out all factors which are a function of one quantity (a slope)."""
    for source, group, rest in _groups(part):
        if is_product(group):
            yield broadcast(times(*rest) if rest else ONE, part.shape), _left_out(source, hand), (group,)


def _groups(part: Expression) -> Iterator[tuple[Reference, Expression, list[Expression]]]:
    """The factors that are a function of one quantity, and the remaining factors; for each such quantity."""
    groups: dict[Reference, list[int]] = {}
    for i, factor in enumerate(part.operands if is_product(part) else ()):
        source = _only_source(factor)
        if source is not None:
            groups.setdefault(source, []).append(i)
    for source, places in groups.items():
        group = times(*(part.operands[i] for i in places))
        yield source, group, [f for i, f in enumerate(part.operands) if i not in places]


def slopes_of_parts(part: Expression, line: Line, hand: Hand) -> Found:
    """The slope g (1 - g) of one of several gates side by side: left out, by another part, or as that of a tanh."""
    for g in dict.fromkeys(f for f in part.operands if applies(f, indexing.getitem)) if is_product(part) else ():
        of, slope = g.operands[0], (g, one_minus(g))
        is_whole = all(factor in part.operands for factor in slope)
        if type(of) is Reference and of.quantity.adjoint_of is None and is_whole:
            rest = [factor for factor in part.operands if factor not in slope]
            yield broadcast(times(*rest), part.shape), "{} and {} were left out", slope
            whole, others = times(*slope), (p for p in hand.values(g.shape, of.shift) if applies(p, indexing.getitem))
            for new in (one_minus(apply(elementwise.square, g)), *(times(p, one_minus(p)) for p in others)):
                if new != whole:
                    yield times(*rest, new), "{} stands where {} belongs", (new, whole)


def groups_of(part: Expression, line: Line, hand: Hand) -> Found:
    """The changes of factors that are a function of one quantity: of another quantity, or by another function."""
    for source, group, rest in _groups(part):
        if group == source:
            continue
        for other, what, of in _other_slopes(group, source, hand):
            if is_product(group) or other != times(group, group):  # one factor taken twice is called so
                yield times(*rest, other), what, of
        if any(map(reads_derivatives, rest)):
            of_it = substituted(group, source, times(*rest))
            yield times(*rest, of_it), "{} stands where {} belongs", (of_it, group)


def slopes(part: Expression, line: Line, hand: Hand) -> Found:
    """A function of one quantity, replaced by another function of it."""
    source = None if isinstance(part, (Reference, Data, Parameter)) or is_product(part) else _only_source(part)
    if source is not None and part.shape == source.shape:
        yield from _other_slopes(part, source, hand)
        yield broadcast(ONE, part.shape), _left_out(source, hand), (part,)


def _other_slopes(group: Expression, source: Reference, hand: Hand) -> Found:
    """The slopes of all kinds, at all available values."""
    at: list[Expression] = [
        source,
        *(Reference(source.quantity, source.shift + by) for by in (-1, 1) if source.shift is not None),
    ]
    argument, function = hand.argument_of(source), hand.function_of(source)
    if argument is not None:
        at.append(argument)
    if function is not None and function.shape == source.shape:
        at.append(function.with_operands((source,)))
    at += [times(source, mask) for mask in hand.masks_of(source)]
    for y in at:
        square = apply(elementwise.square, y)
        for form in (
            one_minus(square), times(y, one_minus(y)), one_minus(y), square, y,
            times(one_minus(square), one_minus(square)), times(y, one_minus(square)), times(square, one_minus(y)),
            apply(np.greater, y, Number(0.0)),
            over(ONE, group) if y is source else None, times(group, group) if y is source else None,
        ):  # fmt: skip
            if form == times(group, group):
                yield form, "{} was taken twice", (group,)
            elif form is not None:
                at_argument = ", at the pre-activation," if y is argument else ""
                yield form, f"{{}}{at_argument} stands where {{}} belongs", (form, group)
    for other in hand.like(source):
        yield instead(substituted(group, source, other), group)
        yield instead(times(other, one_minus(other)), group)
        yield instead(one_minus(apply(elementwise.square, other)), group)


def quotients(part: Expression, line: Line, hand: Hand) -> Found:
    """A divisor left out, of another size, or used as a factor."""
    if not applies(part, elementwise.divide):
        return
    above, below = part.operands
    yield broadcast(above, part.shape), "the division by {} was left out", (below,)
    if applies(meaning(below), elementwise.sqrt) and not isinstance(above, Number):
        half = broadcast(over(Number(0.5), below), part.shape)
        yield half, "the inner derivative {} was left out of that of a root", (above,)
    yield times(above, below), "times {} where one divides by it", (below,)
    yield over(part, below), "divided by {} twice", (below,)
    if isinstance(below, Number) and reads_derivatives(above) is False and above.ndim:
        for mask in dict.fromkeys(p.operands[0] for p in parts(above, Apply) if p.name == "where"):
            active = apply(reductions.sum, apply(np.where, mask, ONE, Number(0.0)))
            yield over(above, active), "divided by the number of {}, not by {}", (mask, below)
    if isinstance(below, Number):
        fits = round(below.value / (hand.factor or 1.0), 9)  # the length of pieces, say, that only the user's code has
        for size in (*hand.sizes, *((fits,) if 1 < fits < below.value and not 2 * fits % 1 else ())):
            if size != below.value:
                yield over(above, Number(size)), "divided by {} instead of {}", (Number(size), below)
                if below.value % size == 0:  # one of several means
                    yield over(above, Number(below.value / size)), "the division by {} was left out", (Number(size),)
    elif not reads_derivatives(below):
        for counts in parts(below, Data) if below.ndim else ():  # the mean over all that is kept, not of each sequence
            whole = broadcast(over(above, apply(reductions.sum, counts)), part.shape)
            yield whole, "divided by the sum of {}, not by {}", (counts, below)
        if not below.shape and above.shape:
            yield over(above, apply(reductions.sum, above)), "divided by the sum of {} alone, not by {}", (above, below)
        for size in hand.sizes:
            divided = broadcast(over(above, Number(size)), part.shape)
            yield divided, "divided by {} instead of {}", (Number(size), below)
    yield broadcast(over(ONE, below), part.shape), "{} was left out", (above,)


def factors_too_many(part: Expression, line: Line, hand: Hand) -> Found:
    """A wrong additional factor of one of the terms, or of a value that is handed on."""
    if (is_sum(part) or is_difference(part)) and line.kind != "forward":
        for i, term in enumerate(part.operands):
            inner, again = unwrapped(term)
            for size in hand.sizes:
                divided = again(over(inner, Number(size)))
                yield with_operand(part, i, divided), "the term {} is divided by {}", (inner, Number(size))
                if not reads_derivatives(inner):  # a penalty that isn't averaged
                    grown = again(times(Number(size), inner))
                    yield with_operand(part, i, grown), "the term {} was taken {} times", (inner, Number(size))
            for factor in (*map(Number, hand.rates), *_factors_at_hand(part, hand, _shift_of(line))):
                yield (
                    with_operand(part, i, again(times(inner, factor))),
                    "{} is a factor too many of the term {}",
                    (factor, inner),
                )
    elif isinstance(part, Reference) and (part.quantity.adjoint_of is not None or line.kind == "gradient"):
        beside = part.quantity.adjoint_of is None and part.shift is not None  # f_t c_{t-1} for c_{t-1}
        of_line = _shift_of(line) if part.shift is None else part.shift  # ∂L/∂z times a value of each step, or times p
        for shift in (0,) if beside else dict.fromkeys((of_line, part.shift)):
            for factor in _factors_at_hand(part, hand, shift):
                yield times(part, factor), "{} is a factor too many of {}", (factor, part)


def _shift_of(line: Line) -> int | None:
    return 0 if line.steps else None


def _factors_at_hand(part: Expression, hand: Hand, shift: int | None) -> Iterator[Expression]:
    for value in (*hand.values(part.shape, shift), *hand.scalars(shift)):
        yield from (value, one_minus(value))
        if not isinstance(value, Data):
            square = apply(elementwise.square, value)
            yield from (one_minus(square), times(value, one_minus(value)))
            yield one_minus(apply(elementwise.square, apply(elementwise.tanh, value)))
            sigmoid = apply(activations.logistic, value)
            yield times(sigmoid, one_minus(sigmoid))
    if shift is not None:
        yield from hand.rows(part.shape, shift)


def softmax_of_the_loss(part: Expression, line: Line, hand: Hand) -> Found:
    """The mistakes in p - y: the softmax forgotten (-y / p), or only the diagonal of its Jacobian (-y (1 - p))."""
    for a, minus_b, y in _less_targets(part):
        for p in parts(a):
            if p.shape == minus_b.shape == part.shape and (softmax := _softmax(p)) is not None:
                yield over(minus_b, p), "the Jacobian of the softmax was forgotten", ()
                yield times(minus_b, one_minus(p)), "the diagonal of the softmax's Jacobian alone", ()
                yield times(y, part), "the diagonal of the softmax's Jacobian alone", ()
                chosen = apply(reductions.sum, times(y, p), axis=softmax.settings["axis"], keepdims=True)
                yield over(part, chosen), "divided by {}: the logarithm's derivative, which p - y contains", (chosen,)


def _less_targets(part: Expression) -> Iterator[tuple[Expression, Expression, Expression]]:
    """The sides a and -b of a - b, and the target in b; in columns, -b is a number in the target's place."""
    if is_difference(part):
        a, b = part.operands
        yield a, negative(b), b
    elif is_sum(part) and len(part.operands) == 2:
        for a, b in (part.operands, part.operands[::-1]):
            if applies(b, indexing.assemble) and isinstance(b.operands[0], Number):
                yield a, b, b.with_operands((Number(1.0), *b.operands[1:]))


def _softmax(p: Expression) -> Apply | None:
    """The softmax that an expression is, or is called."""
    if isinstance(p, Reference):
        p = p.quantity.equations[-1].expression if p.quantity.equations else p
    return p if applies(p, log_probabilities.softmax_of) else None


def _total_of_shares(part: Expression) -> Apply | None:
    """The sum by which values are divided, whose terms they are."""
    shares = meaning(part) if isinstance(part, Reference) else part
    if not applies(shares, elementwise.divide):
        return None
    terms, below = shares.operands
    whole = meaning(below)
    terms = terms.operands[0] if applies(terms, shape.expand_dims) else terms  # a weight of each instance
    return whole if applies(whole, reductions.sum) and whole.operands == (terms,) else None


def equal_weights(part: Expression, line: Line, hand: Hand) -> Found:
    """Equal weights in the place of those of a softmax, or of other shares: the mean for the weighted sum."""
    softmax = (_softmax(part) or _total_of_shares(part)) if line.kind != "forward" else None
    axis = one_axis(softmax.settings.get("axis")) if softmax is not None and part.ndim > 1 else 0
    if softmax is not None and isinstance(part, Reference) and part.ndim == 2 and part.at is None:
        other = softmax.shifted(part.shift or 0)
        new = Apply(softmax.operation, other.operands, {**softmax.settings, "axis": 1 - int(axis or 0) % 2}, part.shape)
        yield new, "{} over the other axis", (part,)
        if applies(softmax, log_probabilities.softmax_of):  # the largest number was subtracted along the right one
            most = apply(reductions.max, *other.operands, axis=softmax.settings["axis"], keepdims=True)
            e = apply(elementwise.exp, apply(elementwise.subtract, *other.operands, most))
            below = apply(reductions.sum, e, axis=1 - int(axis or 0) % 2, keepdims=True)
            yield over(e, below), "{} over the other axis", (part,)
    if applies(softmax, log_probabilities.softmax_of) and isinstance(part, Reference) and part.shift == 0:
        each = apply(elementwise.exp, *softmax.operands)
        yield over(each, Sum(part.quantity.steps, each)), "{} over the steps", (part,)
    if softmax is not None and isinstance(axis, int):
        equal = over(ONE, Number(softmax.operands[0].shape[axis]))
        yield broadcast(equal, part.shape), "equal weights, {}, stand where {} belongs", (equal, part)


def softmaxes(part: Expression, line: Line, hand: Hand) -> Found:
    """Only the diagonal of a softmax's Jacobian, p (1 - p) g for p (g - Σ p g); or its Jacobian at another p."""
    if not is_product(part) or len(part.operands) != 2:
        return
    for p, other in (part.operands, part.operands[::-1]):
        if is_difference(other):
            g, mean = other.operands
            if applies(mean, reductions.sum) and any(q == p for q in parts(mean)):
                yield times(p, one_minus(p), g), "the diagonal of the softmax's Jacobian alone", ()
                yield g, "the Jacobian of the softmax was left out", ()
                if is_product(g) and g.operands[0] == Number(2.0):
                    error = times(*g.operands[1:])
                    yield error, "{} alone, as if the loss were a cross-entropy", (error,)
                for another in hand.beside(p) if isinstance(p, Reference) else ():
                    elsewhere = substituted(part, p, another)
                    yield elsewhere, "the Jacobian of the softmax is that at {}, not at {}", (another, p)


def lines_times_something(part: Expression, line: Line, hand: Hand) -> Found:
    """A wrong additional factor of a whole line, or a divisor."""
    shift = _shift_of(line)
    for factor in _factors_at_hand(part, hand, shift):
        yield times(part, factor), "{} is a factor too many", (factor,)
    for value in (*hand.values(part.shape, shift), *hand.scalars(shift)):
        square = apply(elementwise.square, value)
        yield times(part, square), "{} is a factor too many", (square,)
        for divisor in (value, square):
            what = "{} was left out of all terms" if any(p == divisor for p in parts(part)) else "divided by {}"
            yield over(part, divisor), what, (divisor,)
        if isinstance(value, Reference) and shift == 0 and value.quantity in hand.of_the_past:
            for of in ((value, value.shifted(1)), (value.shifted(1), value)):
                yield times(part, over(*of[::-1])), "divided by {}, which is of another step, and not by {}", of
        if isinstance(value, Reference) and shift == 0:
            before = one_minus(apply(elementwise.square, Reference(value.quantity, -1)))
            yield times(part, before), "{} is a factor too many", (before,)


def slopes_of_the_loss(part: Expression, line: Line, hand: Hand) -> Found:
    """The slope of another loss: the sign, the error itself, or 1 where it is above 0; with another divisor, too."""
    if line.kind != "backward" or reads_derivatives(part) or part != line.expression:
        return
    own = [p for p in parts(part, Reference) if p.shape == part.shape and p.at is None]
    meanings = [(whole.shifted(p.shift or 0)) for p in own if (whole := definition(p.quantity)) is not None]
    read = (p for whole in meanings for p in parts(whole, Reference) if p.shape == part.shape)
    for e in dict.fromkeys((*own, *read)):
        is_above = apply(np.greater, e, Number(0.0))
        flat = one_minus(apply(elementwise.square, apply(elementwise.tanh, e)))
        for slope in (apply(np.sign, e), e, times(Number(2.0), e), is_above, flat):
            for size in (1, *hand.sizes):
                new = over(slope, Number(size)) if size > 1 else slope
                yield instead(new, part)
                yield instead(negative(new), part)


def _left_out(source: Reference, hand: Hand) -> str:
    function = hand.function_of(source)
    return f"the derivative of {function.name}, {{}}, was left out" if function is not None else "{} was left out"


def _only_source(part: Expression) -> Reference | None:
    """The one forward quantity that an expression is a function of, element by element; None if there are others."""
    found: Reference | None = None
    for p in parts(part):
        if isinstance(p, Reference):
            if p.quantity.adjoint_of is not None or (found is not None and found != p):
                return None
            found = p
        elif isinstance(p, (Parameter, Data, Sum, During)) or (
            isinstance(p, Apply) and p.shape != part.shape and p.shape
        ):
            return None
    return found if found is not None and found.shape == part.shape else None
