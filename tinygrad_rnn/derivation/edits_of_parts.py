"""Edits of factors, terms, matrices, functions, and of the values that stand in an expression."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autodiff.rules import activations, elementwise, indexing, joining, linalg, log_probabilities, reductions, shape
from .arithmetic import is_product, is_sum, negative
from .expressions import Apply, Data, During, Expression, Number, Parameter, Reference, Step, Sum, apply
from .hand import Hand
from .lines import Line
from .reading import parts, replaced, total

Found = Iterator[tuple[Any, ...]]
ONE, TWO = Number(1.0), Number(2.0)


def times(*factors: Expression) -> Expression:
    """A product by element."""
    return factors[0] if len(factors) == 1 else apply(elementwise.multiply, *factors)


def over(a: Expression, b: Expression) -> Expression:
    """A quotient."""
    return apply(elementwise.divide, a, b)


def one_minus(a: Expression) -> Expression:
    """1 - a."""
    return apply(elementwise.subtract, ONE, a)


# --- products and quotients ------------------------------------------------------------------------------------------


def factors_of(part: Expression, line: Line, hand: Hand) -> Found:
    """A factor left out, taken twice, or replaced by 1 minus itself."""
    if not is_product(part):
        return
    whole = part.operands
    for i, factor in enumerate(whole):
        rest = whole[:i] + whole[i + 1 :]
        grown = times(*rest)
        yield (grown if grown.shape == part.shape else _broadcast(grown, part.shape)), "{} was left out", (factor,)
    for i, factor in enumerate(whole):
        if isinstance(factor, Number):
            yield _with(part, i, Number(factor.value * 2)), "2 times {} for {}", (factor, factor)
            continue
        yield times(*whole, factor), "{} was taken twice", (factor,)
        if not _speaks_of_backward(factor):
            inner = factor.operands[1] if _is_one_minus(factor) else one_minus(factor)
            yield _with(part, i, inner), "{} stands where {} belongs", (inner, factor)


def groups_left_out(part: Expression, line: Line, hand: Hand) -> Found:
    """All factors that are a function of one quantity (a slope) left out."""
    for source, group, rest in _groups(part):
        if is_product(group):
            yield _broadcast(times(*rest) if rest else ONE, part.shape), _left_out(source, hand), (group,)


def _groups(part: Expression) -> Iterator[tuple[Reference, Expression, list[Expression]]]:
    """The factors that are a function of one quantity, together, and the rest; for each such quantity."""
    groups: dict[Reference, list[int]] = {}
    for i, factor in enumerate(part.operands if is_product(part) else ()):
        source = _only_source(factor)
        if source is not None:
            groups.setdefault(source, []).append(i)
    for source, places in groups.items():
        group = times(*(part.operands[i] for i in places))
        yield source, group, [f for i, f in enumerate(part.operands) if i not in places]


def groups_of(part: Expression, line: Line, hand: Hand) -> Found:
    """The factors that are a function of one quantity, of another quantity, or another function of it."""
    for source, group, rest in _groups(part):
        if group == source:
            continue
        for other, what, of in _other_slopes(group, source, hand):
            yield times(*rest, other), what, of


def slopes(part: Expression, line: Line, hand: Hand) -> Found:
    """A function of one quantity by itself, replaced by another one of it."""
    source = None if isinstance(part, (Reference, Data, Parameter)) or is_product(part) else _only_source(part)
    if source is not None and part.shape == source.shape:
        yield from _other_slopes(part, source, hand)
        yield _broadcast(ONE, part.shape), _left_out(source, hand), (part,)


def _other_slopes(group: Expression, source: Reference, hand: Hand) -> Found:
    """Slopes of all kinds, at all values that are at hand."""
    at: list[Expression] = [
        source,
        *(Reference(source.quantity, source.shift + by) for by in (-1, 1) if source.shift is not None),
    ]
    argument, function = hand.argument_of(source), hand.function_of(source)
    if argument is not None:
        at.append(argument)
    if function is not None and function.shape == source.shape:
        at.append(function.with_operands((source,)))
    for y in at:
        square = apply(elementwise.square, y)
        for form in (
            one_minus(square), times(y, one_minus(y)), one_minus(y), square, y,
            times(one_minus(square), one_minus(square)), times(y, one_minus(square)), times(square, one_minus(y)),
            over(ONE, group) if y is source else None, times(group, group) if y is source else None,
        ):  # fmt: skip
            if form is not None:
                what = (
                    "{}, at the pre-activation, stands where {} belongs"
                    if y is argument
                    else "{} stands where {} belongs"
                )
                yield form, what, (form, group)
    for other in hand.like(source):
        moved = _substituted(group, source, other)
        if moved is not None:
            yield moved, "{} stands where {} belongs", (moved, group)
            yield from (
                (f, "{} stands where {} belongs", (f, group))
                for f in (times(other, one_minus(other)), one_minus(apply(elementwise.square, other)))
            )


def quotients(part: Expression, line: Line, hand: Hand) -> Found:
    """A divisor left out, of another size, or multiplied by."""
    if not (isinstance(part, Apply) and part.operation is elementwise.divide):
        return
    above, below = part.operands
    yield _broadcast(above, part.shape), "the division by {} was left out", (below,)
    yield times(above, below), "times {} where one divides by it", (below,)
    yield over(part, below), "divided by {} twice", (below,)
    if isinstance(below, Number):
        for size in hand.sizes:
            if size != below.value:
                yield over(above, Number(size)), "divided by {} instead of {}", (Number(size), below)
    yield _broadcast(over(ONE, below), part.shape), "{} was left out", (above,)


# --- sums ------------------------------------------------------------------------------------------------------------


def terms_of(part: Expression, line: Line, hand: Hand) -> Found:
    """A term left out, with the other sign, doubled, halved; or alone, as with = for +=."""
    if not is_sum(part):
        return
    terms = part.operands
    for i, term in enumerate(terms):
        inner, again = _unwrapped(term)
        rest = total([*terms[:i], *terms[i + 1 :]])
        yield _broadcast(rest, part.shape), "the term {} was left out", (inner,)
        yield _with(part, i, again(negative(inner))), "the term {} has the other sign", (inner,)
        yield _with(part, i, again(times(TWO, inner))), "the term {} was taken twice", (inner,)
        yield _with(part, i, again(times(Number(0.5), inner))), "the term {} was halved", (inner,)
        if isinstance(term, During):
            others = [_outside(other, term, line) for j, other in enumerate(terms) if j != i]
            others = [other for other in others if other.steps]
            if not others:
                continue
            yield total([*others, term]), "{} was overwritten by the term {}: = for +=", (rest, inner)
            for t in (term.steps[0], term.steps[-1]) if len(term.steps) > 1 else ():
                left = During(tuple(s for s in term.steps if s != t), inner)
                yield _with(part, i, left), "the term {} was left out at its " + _end(t, term.steps) + " step", (inner,)
        for j, other in enumerate(terms):
            if j != i and len(terms) > 2 and _steps_of(other, line):
                alone = During(_steps_of(other, line), Number(0.0))
                yield total([term, alone]), "{} was overwritten by the term {}", (other, inner)


def terms_together(part: Expression, line: Line, hand: Hand) -> Found:
    """All terms that come from another step, left out, doubled, or at fewer steps, together."""
    if not is_sum(part):
        return
    carried = [i for i, term in enumerate(part.operands) if isinstance(term, During) and _moves_back(term)]
    if len(carried) < 2:
        return
    rest = [term for i, term in enumerate(part.operands) if i not in carried]
    terms = [term for i in carried if isinstance(term := part.operands[i], During)]
    inner = total([term.inner for term in terms])
    steps = terms[0].steps
    times_what = {0.0: "were left out", 2.0: "were taken twice", 0.5: "were halved", -1.0: "have the other sign"}
    changes = [(During(steps, times(Number(c), inner)), what) for c, what in times_what.items()]
    changes += [
        (During(steps[-1:], inner), "at the last step alone"),
        (During(steps[:1], inner), "at the first step alone"),
        (During(steps[:-1], inner), "without the last step"),
        (During(steps[1:], inner), "without the first step"),
    ]
    for length in range(2, min(4, len(steps)) + 1):
        for offset in range(length):
            changes.append(
                (During(tuple(t for t in steps if (t - offset) % length), inner), f"are cut after every {length} steps")
            )
    for new, what in changes:
        yield total([*rest, new]), "the terms {} " + what, (inner,)


def factors_too_many(part: Expression, line: Line, hand: Hand) -> Found:
    """A factor that doesn't belong to one of the terms, or to a value that is handed on."""
    if is_sum(part) and line.kind != "forward":
        for i, term in enumerate(part.operands):
            inner, again = _unwrapped(term)
            for factor in _factors_at_hand(part, line, hand):
                yield (
                    _with(part, i, again(times(inner, factor))),
                    "{} is a factor too many of the term {}",
                    (factor, inner),
                )
    elif isinstance(part, Reference) and part.quantity.adjoint_of is not None:
        for factor in _factors_at_hand(part, line, hand, part.shift):
            yield times(part, factor), "{} is a factor too many of {}", (factor, part)


def _factors_at_hand(part: Expression, line: Line, hand: Hand, shift: int | None = None) -> Iterator[Expression]:
    shift = (0 if line.steps else None) if shift is None else shift
    for value in hand.values(part.shape, shift):
        yield value
        if isinstance(value, Reference):
            square = apply(elementwise.square, value)
            yield from (one_minus(square), times(value, one_minus(value)), one_minus(value))
            yield one_minus(apply(elementwise.square, apply(elementwise.tanh, value)))
        else:
            yield one_minus(value)


def terms_too_many(part: Expression, line: Line, hand: Hand) -> Found:
    """A term that doesn't belong there: another derivative of the same shape."""
    if line.kind != "backward":
        return
    for quantity in hand.backward:
        if quantity.shape == part.shape and quantity is not line.quantity and bool(quantity.steps) == bool(line.steps):
            for shift in (0, 1, -1) if line.steps else (None,):
                steps = tuple(t for t in line.steps if t + (shift or 0) in quantity.steps)
                term = Reference(quantity, shift)
                yield total([part, During(steps, term) if line.steps else term]), "{} is a term too many", (term,)


def softmax_of_the_loss(part: Expression, line: Line, hand: Hand) -> Found:
    """Of p - y: the softmax forgotten (-y / p), the diagonal of its Jacobian alone (-y (1 - p))."""
    if isinstance(part, Apply) and part.operation is elementwise.subtract:
        a, b = part.operands
        for p in parts(a):
            if isinstance(p, Reference) and p.shape == b.shape == part.shape:
                function = p.quantity.equations[-1].expression if p.quantity.equations else None
                if isinstance(function, Apply) and function.operation is log_probabilities.softmax_of:
                    yield negative(over(b, p)), "the Jacobian of the softmax was forgotten", ()
                    yield negative(times(b, one_minus(p))), "the diagonal of the softmax's Jacobian alone", ()
                    yield times(b, part), "the diagonal of the softmax's Jacobian alone", ()


def softmaxes(part: Expression, line: Line, hand: Hand) -> Found:
    """The diagonal of a softmax's Jacobian alone: p (1 - p) g for p (g - Σ p g)."""
    if not is_product(part) or len(part.operands) != 2:
        return
    for p, other in (part.operands, part.operands[::-1]):
        if isinstance(other, Apply) and other.operation is elementwise.subtract:
            g, mean = other.operands
            if isinstance(mean, Apply) and mean.operation is reductions.sum and any(q == p for q in parts(mean)):
                yield times(p, one_minus(p), g), "the diagonal of the softmax's Jacobian alone", ()
                yield g, "the Jacobian of the softmax was left out", ()


def forgotten_masks(part: Expression, line: Line, hand: Hand) -> Found:
    """A mask forgotten, and with it the difference between what it keeps and what it lets through."""
    masks = [p for p in parts(part) if isinstance(p, Apply) and p.name == "where"]
    for mask in masks:
        without = _exchanged(part, mask, _broadcast(mask.operands[1], mask.shape))
        for reference in {p for p in parts(without) if isinstance(p, Reference) and p.quantity.adjoint_of is None}:
            for other in hand.like(reference):
                new = _exchanged(without, reference, other)
                yield new, "the mask {} was forgotten", (mask.operands[0],)


def _exchanged(whole: Expression, before: Expression, after: Expression) -> Expression:
    return replaced(whole, lambda part: after if part == before else None)


def differences(part: Expression, line: Line, hand: Hand) -> Found:
    """One side of a difference left out, the other sign."""
    if not (isinstance(part, Apply) and part.operation is elementwise.subtract):
        return
    a, b = part.operands
    yield _broadcast(a, part.shape), "{} was left out", (b,)
    yield _broadcast(negative(b), part.shape), "{} was left out", (a,)
    yield _broadcast(b, part.shape), "{} was left out, and the minus sign", (a,)
    yield apply(elementwise.add, a, b), "{} was added, not subtracted", (b,)
    yield apply(elementwise.subtract, b, a), "{} minus {}, the wrong way round", (b, a)
    for x, i in ((b, 1), (a, 0)):
        if not isinstance(x, Number):
            yield _with(part, i, times(TWO, x)), "{} was taken twice", (x,)
            yield _with(part, i, times(Number(0.5), x)), "{} was halved", (x,)


def inside_of_terms(part: Expression, line: Line, hand: Hand) -> Found:
    """A factor left out for one of the terms that stand in the line of another factor."""
    if not is_product(part):
        return
    for i, factor in enumerate(part.operands):
        if not (isinstance(factor, Reference) and factor.quantity.adjoint_of is not None):
            continue
        equation = factor.quantity.equation_at(line.steps[0] if line.steps else None)
        if equation is None or not is_sum(equation.expression) or factor.shift not in (0, None):
            continue
        for term in equation.expression.operands:
            inner, again = _unwrapped(term)
            for j, other in enumerate(part.operands):
                if j != i:
                    rest = [f for k, f in enumerate(part.operands) if k not in (i, j)]
                    off = times(inner, *rest, apply(elementwise.subtract, ONE, other))
                    what = "{} was left out of what comes by the term {}"
                    yield apply(elementwise.add, part, again(off)), what, (other, inner)
            off = again(negative(times(inner, *(f for k, f in enumerate(part.operands) if k != i))))
            yield apply(elementwise.add, part, off), "the term {} was left out here", (inner,)


# --- matrices --------------------------------------------------------------------------------------------------------


def transposes(part: Expression, line: Line, hand: Hand) -> Found:
    """A transpose left out, or taken; the factors of an outer product exchanged."""
    if isinstance(part, Apply) and part.operation is shape.transpose:
        yield part.operands[0], "{} stands where its transpose belongs", (part.operands[0],)
    elif isinstance(part, Parameter) and part.ndim == 2:
        yield _transposed(part), "the transpose of {} stands where {} itself belongs", (part, part)
    elif isinstance(part, Apply) and part.operation in (linalg.matmul,) and part.ndim == 2:
        yield _transposed(part), "{} was transposed", (part,)
    elif isinstance(part, Apply) and part.name == "outer":
        yield part.with_operands(part.operands[::-1]), "{} was transposed", (part,)
        for i in (0, 1):
            vector, other = part.operands[i], part.operands[1 - i]
            if vector.shape != other.shape:
                continue


def other_parameters(part: Expression, line: Line, hand: Hand) -> Found:
    """Another parameter of the same shape, or its transpose."""
    if isinstance(part, Parameter):
        for other in hand.parameters:
            if other == part:
                continue
            if other.shape == part.shape:
                yield other, "{} stands where {} belongs", (other, part)
            elif other.ndim == 2 and other.shape == part.shape[::-1]:
                yield _transposed(other), "{} stands where {} belongs", (_transposed(other), part)
            if other.ndim == 2 and part.ndim == 2 and other.shape == part.shape[::-1] == part.shape:
                yield _transposed(other), "{} stands where {} belongs", (_transposed(other), part)


# --- values ----------------------------------------------------------------------------------------------------------


def references_to_others(part: Expression, line: Line, hand: Hand) -> Found:
    """Another value of the same shape, where a quantity stands."""
    if not isinstance(part, Reference):
        return
    argument = hand.argument_of(part)
    if argument is not None and argument.shape == part.shape and part.quantity.adjoint_of is None:
        yield argument, "{}, the pre-activation, stands where {} belongs", (argument, part)
    for other in hand.like(part):
        yield other, "{} stands where {} belongs", (other, part)
    if part.shift is None and part.at is not None:
        for by in (-1, 1):
            beside = Reference(part.quantity, None, part.at + by)
            yield beside, "{} stands where {} belongs", (beside, part)
    if part.shift is None and part.quantity.adjoint_of is None:
        for quantity in hand.forward:
            if quantity.shape == part.shape and quantity.steps and quantity is not part.quantity:
                for t in (quantity.steps[-1], quantity.steps[0]):
                    end = Reference(quantity, None, t)
                    yield end, "{} stands where {} belongs", (end, part)
    if part.quantity.adjoint_of is None:
        for value in hand.values(part.shape, part.shift):
            if isinstance(value, (Parameter, Data)):
                yield _broadcast(value, part.shape), "{} stands where {} belongs", (value, part)
        for array in hand.data:
            if part.shift is not None and array.ndim == part.ndim + 1 and array.shape[1:] == part.shape:
                row = Apply(indexing.getitem, (array,), {"index": Step(part.shift - 1)}, part.shape)
                yield row, "{} stands where {} belongs", (row, part)


def other_data(part: Expression, line: Line, hand: Hand) -> Found:
    """Another array of the data, of the same shape."""
    if isinstance(part, Data):
        for other in hand.data:
            if other != part and other.shape == part.shape and other.dtype.kind == part.dtype.kind:
                yield other, "{} stands where {} belongs", (other, part)
            longer = other.ndim == part.ndim and other.shape[1:] == part.shape[1:] and part.ndim
            if longer and other != part and other.dtype.kind == part.dtype.kind:
                for start in range(min(other.shape[0] - part.shape[0] + 1, 4)):
                    rows = slice(start, start + part.shape[0], None)
                    piece = Apply(indexing.getitem, (other,), {"index": rows}, part.shape)
                    yield piece, "{} stands where {} belongs", (piece, part)
    if isinstance(part, Apply) and part.operation is indexing.getitem and isinstance(part.settings["index"], Step):
        for value in hand.values(part.shape, 0):
            yield value, "{} stands where {} belongs", (value, part)


def masks(part: Expression, line: Line, hand: Hand) -> Found:
    """A mask without its scale, the other half of it, none at all."""
    inner = part.operands[0] if isinstance(part, Apply) and part.operation is indexing.getitem else part
    if isinstance(inner, Data) and inner.name in hand.masks:
        scale = hand.masks[inner.name]
        if scale != 1:
            yield over(part, Number(scale)), "{} without its scale", (part,)
        yield apply(elementwise.subtract, Number(scale), part), "the other half of the mask {}", (part,)
        yield _broadcast(ONE, part.shape), "the mask {} was left out", (part,)
        if scale != 1:
            yield one_minus(part), "1 minus the mask {}", (part,)


def functions(part: Expression, line: Line, hand: Hand) -> Found:
    """A function left out, taken twice, or taken for another one."""
    if not (isinstance(part, Apply) and len(part.operands) == 1 and part.operands[0].shape == part.shape):
        return
    inner = part.operands[0]
    if part.operation is elementwise.negative:
        yield inner, "the minus sign of {} was left out", (inner,)
        return
    if part.operation in (shape.transpose, shape.reshape):
        return
    yield inner, "{} stands where {} belongs", (inner, part)
    yield part.with_operands((part,)), "{} stands where {} belongs", (part.with_operands((part,)), part)
    for other in (elementwise.tanh, activations.logistic, elementwise.square):
        if other is not part.operation:
            new = apply(other, inner)
            yield new, "{} stands where {} belongs", (new, part)


def constants(part: Expression, line: Line, hand: Hand) -> Found:
    """A number for another one."""
    if isinstance(part, Number) and isinstance(part.value, (int, float)) and not isinstance(part.value, bool):
        for value in (part.value * 2, part.value / 2, part.value**2, -part.value):
            if value != part.value:
                yield Number(value), "{} stands where {} belongs", (Number(value), part)


def choices(part: Expression, line: Line, hand: Hand) -> Found:
    """A mask forgotten, or turned round."""
    if isinstance(part, Apply) and part.name == "where":
        condition, yes, no = part.operands
        yield _broadcast(yes, part.shape), "the mask {} was forgotten", (condition,)
        yield _broadcast(no, part.shape), "of {} only the other case, {}", (part, no)
        yield part.with_operands((condition, no, yes)), "the mask {} was turned round", (condition,)


# --- axes ------------------------------------------------------------------------------------------------------------


def sums_over_axes(part: Expression, line: Line, hand: Hand) -> Found:
    """A mean for a sum, one instance for all of them, another axis."""
    if not (isinstance(part, Apply) and part.operation is reductions.sum):
        return
    inner, axis = part.operands[0], part.settings.get("axis")
    axes = tuple(range(inner.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    count = int(np.prod([inner.shape[a] for a in axes]))
    if count == 1:
        return
    yield over(part, Number(count)), "the mean for the sum over {}", (inner,)
    for place, which in ((-1, "last"), (0, "first")):
        index = tuple(place if a in [x % inner.ndim for x in axes] else slice(None) for a in range(inner.ndim))
        one = apply(indexing.getitem, inner, index=index)
        if not part.settings.get("keepdims"):
            yield one, f"the {which} instance of {{}} alone, not their sum", (inner,)
    if len(axes) == 1 and inner.ndim == 2:
        yield (
            apply(reductions.sum, inner, **{**part.settings, "axis": (1 - axes[0] % 2,)}),
            "the sum over the other axis of {}",
            (inner,),
        )


def blocks(part: Expression, line: Line, hand: Hand) -> Found:
    """Parts side by side (gates): one left out, in another order."""
    if isinstance(part, Apply) and part.operation is joining.joined and isinstance(part.settings.get("axis"), int):
        sizes = {operand.shape for operand in part.operands}
        if len(sizes) == 1 and len(part.operands) <= 4:
            for order in itertools.permutations(range(len(part.operands))):
                if list(order) != sorted(order):
                    yield (
                        part.with_operands(tuple(part.operands[i] for i in order)),
                        "the order " + _order(order) + " of the parts of {}",
                        (part,),
                    )
        for i, operand in enumerate(part.operands):
            yield _with(part, i, times(Number(0.0), operand)), "{} was left out", (operand,)
    elif isinstance(part, Reference) and part.quantity.equations:
        meaning = part.quantity.equations[-1].expression
        if isinstance(meaning, Apply) and meaning.operation is joining.joined and meaning.shape == part.shape:
            starts, axis = _starts(meaning), meaning.settings["axis"]
            for i, (begin, end) in enumerate(itertools.pairwise(starts)):
                yield _masked(part, axis, begin, end), "the part {} was left out of {}", (meaning.operands[i], part)
            width = starts[1]
            if all(b - a == width for a, b in itertools.pairwise(starts)) and len(starts) <= 5:
                for order in itertools.permutations(range(len(starts) - 1)):
                    if list(order) != sorted(order):
                        taken = np.concatenate([np.arange(k * width, (k + 1) * width) for k in order])
                        new = (
                            apply(indexing.take, part, indices=taken, axis=axis) if hasattr(indexing, "take") else None
                        )
                        if new is not None:
                            yield new, "the order " + _order(order) + " of the parts of {}", (part,)


def slices(part: Expression, line: Line, hand: Hand) -> Found:
    """The columns or rows of another part (another gate, another direction)."""
    if not (isinstance(part, Apply) and part.operation is indexing.getitem):
        return
    index = part.settings["index"]
    for axis, piece in enumerate(index if isinstance(index, tuple) else (index,)):
        if isinstance(piece, slice) and piece.step in (None, 1) and (piece.start is not None or piece.stop is not None):
            length = part.operands[0].shape[axis] if axis < part.operands[0].ndim else 0
            begin, end, _ = piece.indices(length)
            for other in range(-end, length - end + 1):
                is_a_block = other % max(end - begin, 1) == 0 or begin + other == 0 or end + other == length
                if other and is_a_block and begin + other >= 0:
                    new = slice(begin + other, end + other, None)
                    places = (*index[:axis], new, *index[axis + 1 :]) if isinstance(index, tuple) else new
                    moved = Apply(part.operation, part.operands, {**part.settings, "index": places}, part.shape)
                    yield moved, "{} stands where {} belongs", (moved, part)


# --- whole lines -----------------------------------------------------------------------------------------------------


def whole_lines(part: Expression, line: Line, hand: Hand) -> Found:
    """The other sign, a factor too many, everything left out."""
    yield negative(part), "with the other sign", ()
    for factor in (2.0, 0.5):
        yield times(Number(factor), part), "times {}", (Number(factor),)
    for size in hand.sizes:
        yield over(part, Number(size)), "divided by {}", (Number(size),)
        yield times(Number(size), part), "times {}", (Number(size),)
    if line.kind != "forward":
        for reference in [p for p in parts(part) if isinstance(p, Reference) and p.quantity.adjoint_of is not None]:
            if reference.shape == part.shape and reference.quantity is not line.quantity:
                yield reference, "{} alone", (reference,)


def lines_times_something(part: Expression, line: Line, hand: Hand) -> Found:
    """A factor too many of all of a line."""
    shift = 0 if line.steps else None
    for value in hand.values(part.shape, shift):
        yield times(part, value), "{} is a factor too many", (value,)
        if isinstance(value, Reference):
            for slope in (
                one_minus(apply(elementwise.square, value)),
                times(value, one_minus(value)),
                one_minus(value),
            ):
                yield times(part, slope), "{} is a factor too many", (slope,)
            if shift == 0:
                before = Reference(value.quantity, -1)
                yield times(part, one_minus(apply(elementwise.square, before))), "{} is a factor too many", (before,)


# --- helpers ---------------------------------------------------------------------------------------------------------


def _with(part: Expression, i: int, new: Expression) -> Expression:
    return part.with_operands((*part.operands[:i], new, *part.operands[i + 1 :]))


def _moves_back(term: Expression) -> bool:
    """Whether a term speaks of derivatives at another step."""
    return any(isinstance(p, Reference) and p.quantity.adjoint_of is not None and p.shift for p in parts(term))


def _broadcast(part: Expression, to: tuple[int, ...]) -> Expression:
    return part if part.shape == to else apply(shape.broadcast_to, part, shape=to)


def _transposed(part: Expression) -> Expression:
    return apply(shape.transpose, part)


def _unwrapped(term: Expression) -> tuple[Expression, Any]:
    """A term without the steps at which it is there, and what puts them round another one."""
    if isinstance(term, During):
        return term.inner, lambda new: During(term.steps, new)
    return term, lambda new: new


def _outside(other: Expression, term: During, line: Line) -> During:
    """A term at the steps at which another one isn't there."""
    inner, _ = _unwrapped(other)
    return During(tuple(t for t in _steps_of(other, line) if t not in term.steps), inner)


def _steps_of(term: Expression, line: Line) -> tuple[int, ...]:
    return term.steps if isinstance(term, During) else line.steps


def _end(t: int, steps: tuple[int, ...]) -> str:
    return "first" if t == steps[0] else "last"


def _is_one_minus(part: Expression) -> bool:
    return (
        isinstance(part, Apply)
        and part.operation is elementwise.subtract
        and isinstance(part.operands[0], Number)
        and part.operands[0].value == 1
    )


def _speaks_of_backward(part: Expression) -> bool:
    return any(isinstance(p, Reference) and p.quantity.adjoint_of is not None for p in parts(part))


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


def _substituted(group: Expression, source: Reference, other: Reference) -> Expression | None:
    if group == source:
        return other
    if not group.operands:
        return group
    return group.with_operands(tuple(_substituted(o, source, other) or o for o in group.operands))


def _left_out(source: Reference, hand: Hand) -> str:
    function = hand.function_of(source)
    return f"the derivative of {function.name}, {{}}, was left out" if function is not None else "{} was left out"


def _starts(meaning: Apply) -> list[int]:
    ends = np.cumsum([operand.shape[meaning.settings["axis"]] for operand in meaning.operands])
    return [0, *map(int, ends)]


def _masked(part: Expression, axis: int, begin: int, end: int) -> Expression:
    from .expressions import Constant

    mask = np.ones(part.shape[axis])
    mask[begin:end] = 0
    return times(part, Constant(mask if axis in (-1, part.ndim - 1) else mask.reshape(-1, *[1] * (part.ndim - 1))))


def _order(order: tuple[int, ...]) -> str:
    return ", ".join(str(i + 1) for i in order)


# From the usual to the rare: what parts of lines become, and what whole lines do.
KINDS = (
    (
        factors_of, groups_left_out, terms_of, differences, transposes, other_parameters, functions, choices, quotients,
        sums_over_axes, terms_together, softmaxes, softmax_of_the_loss, masks,
    ),
    (groups_of, slopes, references_to_others, other_data, blocks, slices, inside_of_terms, constants),
    (factors_too_many,),
)  # fmt: skip
WHOLE = ((whole_lines,), (), (lines_times_something, terms_too_many, forgotten_masks))
PLAIN = (*KINDS[0], references_to_others, blocks)
