"""Edits of the values in a line: transposes, another parameter or quantity, functions, masks, sums over axes, gates."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autodiff.rules import activations, elementwise, indexing, joining, linalg, log_probabilities, reductions, shape
from ..equations.arithmetic import is_difference, is_product, is_sum, negative
from ..equations.choices import is_masked, where
from ..equations.expressions import Apply, Data, Expression, Number, Parameter, Reference, Stack, Step, Sum, apply
from ..equations.lines import Line
from ..equations.making import ONE, broadcast, one_minus, over, times, with_operand, zeros
from ..equations.parts import applies, is_derivative, parts, reads_derivatives, replaced, substituted
from ..equations.recognising import one_hot
from .found import Found, instead
from .hand import Hand
from .misplaced import AddedUp, Mask, Rolled
from .of_steps import axis_of_steps
from .smoothed import largest

MOST_PARTS = 4  # side by side, whose orders are tried
SHORT = 12  # the length up to which a slice may be any other one, and not only that of another part


def transposes(part: Expression, line: Line, hand: Hand) -> Found:
    """A transpose left out or added; the factors of an outer product exchanged; a column taken as a row."""
    if applies(part, shape.transpose):
        yield part.operands[0], "{} stands where its transpose belongs", (part.operands[0],)
    elif (isinstance(part, Parameter) and part.ndim == 2) or (isinstance(part, Data) and _is_square(part)):
        yield _transposed(part), "the transpose of {} stands where {} itself belongs", (part, part)
    elif applies(part, linalg.matmul) and part.ndim == 2:
        yield _transposed(part), "{} was transposed", (part,)
        for i, operand in enumerate(part.operands):
            is_turned = applies(operand, shape.transpose)
            if _is_square(operand) and not is_turned and not isinstance(operand, (Parameter, Reference)):
                yield with_operand(part, i, _transposed(operand)), "{} was transposed", (operand,)
    elif isinstance(part, Apply) and part.name == "outer":
        yield part.with_operands(part.operands[::-1]), "{} was transposed", (part,)
    elif isinstance(part, Reference) and _is_square(part):
        yield _transposed(part), "{} was transposed", (part,)
    if isinstance(part, (Reference, Parameter)) and part.ndim == 3 and part.shape[1] == part.shape[2]:
        turned = apply(shape.transpose, part, axes=(0, 2, 1))
        yield turned, "each {} was transposed", (part,)
    if part.ndim == 2 and min(part.shape) == 1 < max(part.shape):  # a vector without its new axis, keepdims left out
        yield _transposed(part), "{} goes along the other axis", (part,)


def transposes_together(part: Expression, line: Line, hand: Hand) -> Found:
    """A matrix on both sides of another one, A P Aᵀ, each time transposed."""
    if applies(part, linalg.matmul) and part.ndim == 2:
        square = Counter(p for p in parts(part, Parameter, Data) if _is_square(p))
        for a in (p for p, count in square.items() if count > 1):
            turned = {a: _transposed(a), _transposed(a): a}
            yield replaced(part, turned.get), "each {} is transposed", (a,)


def other_parameters(part: Expression, line: Line, hand: Hand) -> Found:
    """Another parameter of the same shape, or its transpose."""
    if applies(part, shape.transpose) and isinstance(part.operands[0], Parameter):
        for other in hand.parameters:
            if other.shape == part.shape and other.shape != part.operands[0].shape:
                yield instead(other, part)
    if isinstance(part, Parameter):
        for other in hand.parameters:
            if other == part:
                continue
            if other.shape == part.shape:
                yield instead(other, part)
            elif other.ndim == 2 and other.shape == part.shape[::-1]:
                yield instead(_transposed(other), part)
            if other.ndim == 2 and part.ndim == 2 and other.shape == part.shape[::-1] == part.shape:
                yield instead(_transposed(other), part)
        for after in (0, 1) if line.steps and part.name in hand.contributions else ():
            so_far = AddedUp(hand.contributions[part.name], after)
            yield so_far, "the gradient of {}, as far as it is added up, stands where {} belongs", (part, part)


def matrix_products(part: Expression, line: Line, hand: Hand) -> Found:
    """The factors of a matrix product exchanged, or one of them alone, where the shapes allow it."""
    if applies(part, linalg.matmul):
        a, b = part.operands
        if a.ndim == b.ndim == 2 and a.shape == b.shape[::-1]:
            turned = broadcast(apply(linalg.matmul, b, a), part.shape)
            yield turned, "{} and {} stand in each other's place", (a, b)
        for one, other in ((a, b), (b, a)):
            if one.shape == part.shape:
                yield one, "{} was left out", (other,)
        for i, factor in enumerate(a.operands) if is_product(a) and a.shape == part.shape else ():
            before = times(*a.operands[:i], *a.operands[i + 1 :])
            if factor.shape and not reads_derivatives(factor):
                yield (
                    times(with_operand(part, 0, before), factor),
                    "{} is a factor behind the product {}",
                    (factor, part),
                )
    if is_masked(part) and applies(part.operands[1], linalg.matmul):
        condition, product, _ = part.operands
        left, *right = product.operands
        if condition.shape == left.shape == product.shape:
            inside = product.with_operands((where(condition, left), *right))
            yield inside, "{} is a mask of {}, in front of the product", (condition, left)
    for i, product in enumerate(part.operands) if is_product(part) else ():
        if applies(product, linalg.matmul):
            left, *right = product.operands
            for k, factor in enumerate(part.operands):
                if k != i and factor.shape == left.shape == product.shape and factor.shape:
                    rest = [other for j, other in enumerate(part.operands) if j not in (i, k)]
                    inside = product.with_operands((times(left, factor), *right))
                    yield times(inside, *rest), "{} is a factor of {}, in front of the product", (factor, left)


def references_to_others(part: Expression, line: Line, hand: Hand) -> Found:
    """References to another value of the same shape, in place of a quantity, or of a part of one."""
    if applies(part, indexing.getitem) and isinstance(part.operands[0], Reference):
        whole = part.operands[0]
        found = hand.values(part.shape, whole.shift) if whole.quantity.adjoint_of is None else ()
        for value in found:
            if isinstance(value, Reference):
                for other in (value, value.shifted(-1)):
                    yield instead(other, part)
    if not isinstance(part, Reference):
        return
    argument = hand.argument_of(part)
    if argument is not None and argument.shape == part.shape and part.quantity.adjoint_of is None:
        yield argument, "{}, the pre-activation, stands where {} belongs", (argument, part)
    for other in (*hand.like(part), *hand.functions_of(part), *hand.left_over(part)):
        yield instead(other, part)
    if part.shift is None and part.at is not None:
        for by in (-1, 1):
            yield instead(Reference(part.quantity, None, part.at + by), part)
        for t in {part.quantity.steps[0], part.quantity.steps[-1]} - {part.at}:
            end = Reference(part.quantity, None, t)
            yield instead(end, part)
        steps = tuple(t for t in part.quantity.steps if t >= hand.first)
        every = Sum(steps, Reference(part.quantity, 0))
        for pooled in (over(every, Number(len(steps))), every) if part.quantity.adjoint_of is None and steps else ():
            yield instead(pooled, part)
        for quantity in hand.backward if is_derivative(part) else ():
            if quantity.shape == part.shape and part.at + 1 in quantity.steps and quantity is not part.quantity:
                after = Reference(quantity, None, part.at + 1)  # of an initial state: what its first step hands on
                yield instead(after, part)
    if part.quantity.adjoint_of is None:
        for quantity in hand.forward:
            is_elsewhere = part.shift is None or quantity.loop != part.quantity.loop  # the encoder's last, in a decoder
            if quantity.shape == part.shape and quantity.steps and quantity is not part.quantity and is_elsewhere:
                for t in (quantity.steps[-1], quantity.steps[0]):
                    yield instead(Reference(quantity, None, t), part)
    for quantity in hand.backward if part.shift is not None and part.quantity.adjoint_of is not None else ():
        if quantity.shape == part.shape and quantity.steps and quantity.loop != part.quantity.loop:
            for t in (quantity.steps[0], quantity.steps[-1]):
                left = Reference(quantity, None, t)
                yield left, "{}, left over from another loop, stands where {} belongs", (left, part)
    if part.quantity.adjoint_of is None:
        for value in hand.values(part.shape, part.shift):
            if isinstance(value, (Parameter, Data)):
                yield broadcast(value, part.shape), "{} stands where {} belongs", (value, part)
        for array in hand.data:
            if part.shift is not None and array.ndim == part.ndim + 1 and array.shape[1:] == part.shape:
                for by in (0, 1, -1):
                    row = Apply(indexing.getitem, (array,), {"index": Step(part.shift - 1 + by)}, part.shape)
                    yield instead(row, part)


def one_for_all(part: Expression, line: Line, hand: Hand) -> Found:
    """The last or the first instance in the place of each: a number that was left over from another loop."""
    is_row = applies(part, indexing.getitem) and isinstance(part.operands[0], Data)
    if part.ndim == 2 and part.shape[0] > 1 and line.kind != "forward" and (is_derivative(part) or is_row):
        for place, which in ((slice(-1, None), "last"), (slice(0, 1), "first")):
            one = apply(indexing.getitem, part, index=(place,))
            yield broadcast(one, part.shape), f"the {which} instance of {{}} for all", (part,)
    if applies(part, one_hot) and part.ndim == 2:
        of_all = Apply(columns_of_all, (part,), {}, part.shape)
        yield of_all, "{} has the classes of all instances in each row: [:, y] for [rows, y]", (part,)


def columns_of_all(rows: np.ndarray) -> np.ndarray:
    """An array with the largest number of each column in all rows."""
    return np.broadcast_to(rows.max(axis=0), rows.shape)


def other_values(part: Expression, line: Line, hand: Hand) -> Found:
    """Any value at hand in place of any part of the same shape."""
    is_a_value = part.shape or part == line.expression  # parts of one number are too many
    if is_a_value and line.kind != "forward" and not isinstance(part, (Number, Parameter, Data)):
        for shift in (0, -1) if line.steps else (None,):
            rows = hand.rows(part.shape, shift) if shift is not None else ()
            for value in (*hand.values(part.shape, shift), *rows):
                yield broadcast(value, part.shape), "{} stands where {} belongs", (value, part)
        for quantity in hand.backward:
            if quantity.shape == part.shape and bool(quantity.steps) == bool(line.steps):
                for shift in (0, 1, -1) if line.steps else (None,):
                    if shift or quantity is not line.quantity:
                        value = Reference(quantity, shift)
                        yield instead(value, part)


def other_data(part: Expression, line: Line, hand: Hand) -> Found:
    """Another array of the data, of the same shape; its rows moved by a step; classes for probabilities of classes."""
    if isinstance(part, Data):
        for rolled, what in rolls(part) if part.ndim and len(line.shape) else ():
            yield rolled, what, (part,)
        if part.name in hand.probabilities:
            classes = Apply(largest, (part,), {}, part.shape)
            yield instead(classes, part)
        for name, vectors in hand.vectors.get(part.name, ()):
            yield instead(Mask(vectors, f"onehot({name})"), part)
        for other in hand.data:
            if other != part and other.shape == part.shape and other.dtype.kind == part.dtype.kind:
                yield instead(other, part)
            if other.shape == (hand.T, *part.shape) and other.dtype.kind == part.dtype.kind:
                for by in (0, 1) if line.kind == "backward" else (0,):
                    yield instead(Apply(indexing.getitem, (other,), {"index": Step(by - 1)}, part.shape), part)
            longer = other.ndim == part.ndim and other.shape[1:] == part.shape[1:] and part.ndim
            if longer and other != part and other.dtype.kind == part.dtype.kind:
                for start in range(min(other.shape[0] - part.shape[0] + 1, 4)):
                    rows = slice(start, start + part.shape[0], None)
                    yield instead(Apply(indexing.getitem, (other,), {"index": rows}, part.shape), part)
    if applies(part, shape.expand_dims) and len(line.shape) == 2:
        for chosen in parts(part, Apply):  # the weights of the classes in the place of that of each instance's class
            if chosen.operation is indexing.getitem and chosen.operands[0].shape == line.shape[-1:] == chosen.shape:
                new = substituted(part.operands[0], chosen, chosen.operands[0])
                yield new, "{} stands where {} belongs: a weight for each column", (chosen.operands[0], chosen)
    if axis_of_steps(part) is not None:
        for value in (*hand.values(part.shape, 0), *hand.values(part.shape, -1)):
            yield instead(value, part)


def rolls(array: Expression) -> Iterator[tuple[Expression, str]]:
    """The rows of an array in other places, with the change in words."""
    for by in (-1, 1):
        for how, said in (("zeros", ""), ("wraps", ", round the end"), ("clipped", ", the one at the end twice")):
            yield Rolled(array, by, how), "the rows of {} a step too " + ("late" if by > 0 else "early") + said
        end = by * array.shape[0]
        yield Rolled(array, end, "clipped"), "the " + ("first" if by > 0 else "last") + " row of {} at all steps"
    yield Rolled(array, 0, "reversed"), "the rows of {} in reverse order"


def recoded(array: Data, hand: Hand) -> Iterator[tuple[Expression, str]]:
    """The labels 1 and -1 in the place of 1 and 0, and the reverse, with the change in words."""
    if hand.masks.get(array.name) == 1:
        yield apply(elementwise.subtract, times(Number(2.0), array), ONE), "1 and -1 for the 1 and 0 of {}"
    if array.name in hand.signs:
        yield over(apply(elementwise.add, array, ONE), Number(2.0)), "1 and 0 for the 1 and -1 of {}"


def masks(part: Expression, line: Line, hand: Hand) -> Found:
    """A mask without its scale, its other half, or no mask."""
    inner = part.operands[0] if applies(part, indexing.getitem) else part
    if isinstance(inner, Data) and inner.name in hand.masks:
        scale = hand.masks[inner.name]
        if scale != 1:
            yield over(part, Number(scale)), "{} without its scale", (part,)
        yield apply(elementwise.subtract, Number(scale), part), "the other half of the mask {}", (part,)
        yield broadcast(ONE, part.shape), "the mask {} was left out", (part,)
        if scale != 1:
            yield one_minus(part), "1 minus the mask {}", (part,)
        for axis in range(inner.ndim) if inner.ndim == 2 else ():
            of_each = apply(reductions.sum, inner, axis=axis, keepdims=True)
            for n, then in ((inner.shape[1 - axis], "of these"), (1, "their sum")):
                share = over(apply(reductions.sum, inner), times(Number(n), of_each) if n > 1 else of_each)
                shared = substituted(part, inner, times(inner, share))
                what = f"the mean of each sentence or step, then {then}, for the mean over all that {{}} keeps"
                yield shared, what, (inner,)


def shares(part: Expression, line: Line, hand: Hand) -> Found:
    """Equal shares of what a mask keeps, m / Σ m for each sequence, divided by another number, or by none."""
    inner = part.operands[0] if applies(part, indexing.getitem) else part
    name = inner.name if isinstance(inner, Data) else ""
    for kept, axis in hand.shares.get(name, ()):
        mask, of_each = Mask(kept, f"[{name} > 0]"), kept.sum() / (kept.size / kept.shape[axis])
        for number, what in (
            (of_each, "divided by the number of all that is kept, for that of each sequence"),
            (float(kept.shape[axis]), "divided by the number of steps, for that which is kept"),
            (1.0, "the sum over what is kept for its mean"),
        ):
            yield (
                substituted(part, inner, over(mask, Number(number)) if number != 1 else mask),
                f"{what}, in {{}}",
                (part,),
            )


def forgotten_masks(part: Expression, line: Line, hand: Hand) -> Found:
    """A mask forgotten, and with it the difference between what it keeps and what it lets through."""
    if isinstance(part, Apply) and part.name == "where":
        condition, without, _ = part.operands
        for reference in dict.fromkeys(p for p in parts(without, Reference) if p.quantity.adjoint_of is None):
            for other in hand.like(reference):
                yield substituted(without, reference, other), "the mask {} was forgotten", (condition,)


def functions(part: Expression, line: Line, hand: Hand) -> Found:
    """A function left out, applied twice, or exchanged for another."""
    if not (isinstance(part, Apply) and len(part.operands) == 1 and part.operands[0].shape == part.shape):
        return
    inner = part.operands[0]
    if part.operation is elementwise.negative:
        yield inner, "the minus sign of {} was left out", (inner,)
        return
    if part.operation in (shape.transpose, shape.reshape):
        return
    yield instead(inner, part)
    yield instead(part.with_operands((part,)), part)
    for slope in (times(part, one_minus(part)), one_minus(part), one_minus(apply(elementwise.square, part))):
        yield instead(slope, part)
    waves = elementwise.sin, elementwise.cos
    others = waves if part.operation in waves else (elementwise.tanh, activations.logistic, elementwise.square)
    for other in others:
        if other is not part.operation:
            yield instead(apply(other, inner), part)
    if part.operation is activations.logistic:  # the slope of a relu for that of a softplus
        yield instead(apply(np.greater, inner, Number(0.0)), part)
    if part.operation is activations.logistic and part.ndim:
        yield instead(Apply(log_probabilities.softmax_of, (inner,), {"axis": -1}, part.shape), part)


def powers(part: Expression, line: Line, hand: Hand) -> Found:
    """The square or the root of a value in its place: a deviation for a variance; one of its two factors is another.

    A star too few or too many exchanges a value's square and its double.
    """
    if applies(part, elementwise.square):
        yield instead(times(Number(2.0), part.operands[0]), part)
    if is_product(part) and part.operands[0] == Number(2.0):
        yield instead(apply(elementwise.square, times(*part.operands[1:])), part)
    if is_sum(part) or is_difference(part):
        for i, term in enumerate(part.operands):
            if applies(term, elementwise.square):
                inside = with_operand(part, i, term.operands[0])
                yield instead(apply(elementwise.square, inside), part)
    if applies(part, elementwise.square) and isinstance(part.operands[0], Reference):
        value = part.operands[0]
        for other in (*hand.beside(value), part):
            new = times(value, other)
            yield instead(new, part)
        function, argument = hand.function_of(value), hand.argument_of(value)
        if function is not None and argument is not None:
            yield instead(function.with_operands((apply(elementwise.square, argument),)), part)
    if isinstance(part, Reference) and part.quantity.adjoint_of is None:
        for operation in (elementwise.square, elementwise.sqrt):
            new = apply(operation, part)
            yield instead(new, part)


def constants(part: Expression, line: Line, hand: Hand) -> Found:
    """A number in place of another: with a factor too many or too few, such as the length of a step."""
    if isinstance(part, Number) and isinstance(part.value, (int, float)) and not isinstance(part.value, bool):
        by_rates = (again for rate in hand.rates for again in (part.value / rate, part.value * rate))
        others = [1 - part.value] if 0 < part.value < 1 else []
        shared = [part.value * size for size in hand.sizes if abs(part.value) < 1]  # 1 / n for each of n
        usual = (part.value * 2, part.value / 2, part.value**2, -part.value, *others, *by_rates, *shared)
        for value in (*usual, *hand.rates):
            if value != part.value:
                yield instead(Number(value), part)


def stacked_rows(part: Expression, line: Line, hand: Hand) -> Found:
    """The values of all steps in other places: too late, too early, in reverse."""
    if isinstance(part, Stack):
        for rolled, what in rolls(part):
            yield rolled, what, (part,)


def choices(part: Expression, line: Line, hand: Hand) -> Found:
    """A mask forgotten, or turned round; equal shares, as of a mean, for the derivative by the largest."""
    if isinstance(part, Apply) and part.name == "where":
        condition, yes, no = part.operands
        yield broadcast(yes, part.shape), "the mask {} was forgotten", (condition,)
        yield broadcast(no, part.shape), "of {} only the other case, {}", (part, no)
        yield part.with_operands((condition, broadcast(ONE, yes.shape), no)), "{} was left out", (yes,)
        yield part.with_operands((condition, times(yes, yes), no)), "{} was taken twice", (yes,)
        yield part.with_operands((condition, no, yes)), "the mask {} was turned round", (condition,)
        if condition.name == "equal" and part.ndim:  # type: ignore[attr-defined]
            for axis in range(part.ndim):
                shares = broadcast(over(yes, Number(part.shape[axis])), part.shape)
                yield shares, "equal shares of {}, as of a mean, not where {}", (yes, condition)
        if condition.name == "greater" and condition.operands[1] == Number(0.0):  # type: ignore[attr-defined]
            (a, zero), said = condition.operands, "the slope of another function, {}, stands where {} belongs"
            for y in (apply(np.maximum, a, zero), apply(elementwise.tanh, a), apply(activations.logistic, a)):
                for slope in (one_minus(apply(elementwise.square, y)), times(y, one_minus(y))):
                    yield broadcast(times(yes, slope), part.shape), said, (slope, condition)


def cases(part: Expression, line: Line, hand: Hand) -> Found:
    """A case of two taken always: the middle of a Huber loss, or its sides."""
    terms = part.operands if is_sum(part) or is_difference(part) else ()
    chosen = [[p for p in parts(term, Apply) if p.name == "where"] for term in terms]
    if len(terms) == 2 and all(len(found) == 1 for found in chosen) and line.kind != "forward":
        for i, (term, (one,)) in enumerate(zip(terms, chosen)):
            always = substituted(term, one, broadcast(one.operands[1], one.shape))
            yield always if is_sum(part) or not i else negative(always), "{} in both cases", (term,)


def sums_over_axes(part: Expression, line: Line, hand: Hand) -> Found:
    """A mean instead of a sum, one instance instead of all, another axis; what is spread again isn't added up."""
    summed = part.operands[0] if applies(part, shape.expand_dims) else part
    if not applies(summed, reductions.sum):
        return
    is_spread = summed is not part or part.settings.get("keepdims")
    if is_spread and reads_derivatives(part) and part.ndim == summed.operands[0].ndim:
        yield summed.operands[0], "the sum over {} was left out", summed.operands
    if summed is not part:
        return
    inner, axis = part.operands[0], part.settings.get("axis")
    axes = tuple(range(inner.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    count = int(np.prod([inner.shape[a] for a in axes]))
    if count == 1:
        return
    yield over(part, Number(count)), "the mean for the sum over {}", (inner,)
    if not reads_derivatives(inner):
        yield broadcast(Number(count), part.shape), "the number of its terms for the sum over {}", (inner,)
    for array in hand.data if axes == (0,) and inner.ndim == 2 else ():
        if array.shape == inner.shape[:1] and array.name in hand.counts:
            each = apply(indexing.getitem, array, index=(slice(None), None))
            yield (
                part.with_operands((over(inner, each),)),
                "each instance divided by its {} in the sum over {}",
                (array, inner),
            )
    keepdims = bool(part.settings.get("keepdims"))
    for place, which in ((-1, "last"), (0, "first")):
        at: Any = slice(place, place + 1 or None) if keepdims else place
        index = tuple(at if a in [x % inner.ndim for x in axes] else slice(None) for a in range(inner.ndim))
        one = apply(indexing.getitem, inner, index=index)
        yield one, f"the {which} instance of {{}} alone, not their sum", (inner,)
    for other in range(inner.ndim) if len(axes) == 1 else ():
        if other != axes[0] % inner.ndim:
            for kept in (keepdims, True):
                summed = apply(reductions.sum, inner, **{**part.settings, "axis": (other,), "keepdims": kept})
                yield summed, "the sum over the other axis of {}", (inner,)
                mean = times(Number(inner.shape[axes[0]] / inner.shape[other]), summed)
                yield mean, "the mean over the other axis of {}", (inner,)
                of_all = apply(reductions.sum, inner)
                yield broadcast(of_all, part.shape), "the sum over all of {}", (inner,)
                mean = over(of_all, Number(inner.shape[other]))
                yield broadcast(mean, part.shape), "the mean over all of {}", (inner,)
            if part.ndim == inner.ndim == 2 and inner.shape[0] == inner.shape[1]:
                yield apply(shape.transpose, summed), "the sum over the other axis of {}", (inner,)


def other_reductions(part: Expression, line: Line, hand: Hand) -> Found:
    """The largest or smallest terms of a sum of derivatives, or their absolute values, in its place."""
    if not applies(part, reductions.sum) or not reads_derivatives(part):
        return
    inner, axis = part.operands[0], part.settings.get("axis")
    sizes = part.with_operands((apply(elementwise.absolute, inner),))
    yield sizes, "the sum of absolute values for that of {}", (inner,)
    axes = tuple(range(inner.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    for reduce, which in ((reductions.max, "largest"), (reductions.min, "smallest")):
        yield Apply(reduce, part.operands, part.settings, part.shape), f"the {which} for the sum of {{}}", (inner,)
        for one in axes if len(axes) > 1 else ():
            each = part.with_operands((apply(reduce, inner, axis=one, keepdims=True),))
            yield each, f"the {which} along axis {one} for the sum of {{}}", (inner,)


def products_of_one(part: Expression, line: Line, hand: Hand) -> Found:
    """A product of matrices that sums over instances, of one instance alone."""
    if not applies(part, linalg.matmul) or part.operands[0].shape[-1] == 1:
        return
    a, b = part.operands
    if b.ndim > 2 or a.ndim > 2 or any(isinstance(p, Parameter) for p in (*parts(a), *parts(b))):
        return
    for place, which in ((slice(-1, None), "last"), (slice(0, 1), "first")):
        one = part.with_operands(
            (apply(indexing.getitem, a, index=(Ellipsis, place)), apply(indexing.getitem, b, index=(place,)))
        )
        yield one, f"the {which} instance of {{}} alone, not their sum", (part,)


def ends_for_beginnings(part: Expression, line: Line, hand: Hand) -> Found:
    """The last state in place of the initial one: an index of -1 wraps round."""
    if isinstance(part, (Data, Parameter)) and line.kind != "forward":
        for quantity in hand.forward:
            if quantity.shape == part.shape and quantity.steps:
                yield instead(Reference(quantity, None, quantity.steps[-1]), part, ": an index of -1 wraps round")


def blocks(part: Expression, line: Line, hand: Hand) -> Found:
    """Parts side by side (gates): one left out, doubled, halved, with the other sign, or another order."""
    if applies(part, joining.joined, joining.stacked) and isinstance(part.settings.get("axis"), int):
        for order, what in _other_orders(len(part.operands)):
            yield part.with_operands(tuple(part.operands[i] for i in order)), what, (part,)
        for i, operand in enumerate(part.operands):
            yield with_operand(part, i, zeros(operand.shape)), "{} was left out", (operand,)
            yield with_operand(part, i, negative(operand)), "{} has the other sign", (operand,)
            for number in map(Number, (2.0, 0.5)):
                yield with_operand(part, i, times(number, operand)), "{} was taken times {}", (operand, number)
    elif isinstance(part, Reference) and part.quantity.equations:
        meaning = part.quantity.equations[-1].expression
        if applies(meaning, joining.joined) and meaning.shape == part.shape:
            starts, axis = _starts(meaning), meaning.settings["axis"]
            for i, (begin, end) in enumerate(itertools.pairwise(starts)):
                yield _masked(part, axis, begin, end), "the part {} was left out of {}", (meaning.operands[i], part)
                alone = _masked(part, axis, begin, end, 1.0)
                yield alone, "the part {} alone, of all in {}", (meaning.operands[i], part)
            width = starts[1]
            is_even = all(b - a == width for a, b in itertools.pairwise(starts))
            for order, what in _other_orders(len(starts) - 1) if is_even else ():
                taken = np.concatenate([np.arange(k * width, (k + 1) * width) for k in order])
                yield apply(indexing.take, part, indices=taken, axis=axis), what, (part,)


def slices(part: Expression, line: Line, hand: Hand) -> Found:
    """The columns or rows of another part (another gate, another direction)."""
    if not applies(part, indexing.getitem):
        return
    index = part.settings["index"]
    for axis, piece in enumerate(index if isinstance(index, tuple) else (index,)):
        if type(piece) is int and not (type(index) is tuple and None in index):  # the row of another layer
            for other in set(range(part.operands[0].shape[axis])) - {piece}:
                settings = {**part.settings, "index": _with(index, axis, other)}
                yield instead(Apply(part.operation, part.operands, settings, part.shape), part)
        if isinstance(piece, slice) and piece.step in (None, 1) and (piece.start is not None or piece.stop is not None):
            length = part.operands[0].shape[axis] if axis < part.operands[0].ndim else 0
            begin, end, _ = piece.indices(length)
            for other in range(-end, length - end + 1):
                is_a_block = other % max(end - begin, 1) == 0 or begin + other == 0 or end + other == length
                if other and (is_a_block or length <= SHORT) and begin + other >= 0:
                    settings = {**part.settings, "index": _with(index, axis, slice(begin + other, end + other, None))}
                    moved = Apply(part.operation, part.operands, settings, part.shape)
                    yield instead(moved, part)


def _with(index: Any, axis: int, place: Any) -> Any:
    """An index with another place for an axis."""
    return (*index[:axis], place, *index[axis + 1 :]) if type(index) is tuple else place


def _is_square(part: Expression) -> bool:
    return part.ndim == 2 and part.shape[0] == part.shape[1]


def _transposed(part: Expression) -> Expression:
    return apply(shape.transpose, part)


def _starts(meaning: Apply) -> list[int]:
    ends = np.cumsum([operand.shape[meaning.settings["axis"]] for operand in meaning.operands])
    return [0, *map(int, ends)]


def _masked(part: Expression, axis: int, begin: int, end: int, inside: float = 0.0) -> Expression:
    mask = np.full(part.shape[axis], 1 - inside)
    mask[begin:end] = inside
    shape_ = (-1,) if axis in (-1, part.ndim - 1) else (-1, *[1] * (part.ndim - 1))
    return times(part, Mask(mask.reshape(shape_), f"[{inside:g} from {begin} to {end}, else {1 - inside:g}]"))


def _other_orders(count: int) -> Iterator[tuple[tuple[int, ...], str]]:
    """Every other order of a few parts, with what is said of it."""
    for order in itertools.islice(itertools.permutations(range(count)), 1, None) if count <= MOST_PARTS else ():
        yield order, "the order " + ", ".join(str(i + 1) for i in order) + " of the parts of {}"
