"""Edits of one use: a value that a line reads is written out in it, so that it can be wrong only there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ...autodiff.rules import activations, elementwise, indexing, joining, linalg, reductions, shape
from ..backward.absence import follows_from_absence
from ..equations.arithmetic import factors, is_negative, is_product, is_sum, less_than_one, negative
from ..equations.choices import is_masked, where
from ..equations.expressions import Apply, During, Expression, Number, OverSteps, Reference, Steps, apply
from ..equations.lines import Line
from ..equations.making import one_minus, over, times, unwrapped, with_operand
from ..equations.parts import (
    applies,
    as_read,
    at,
    fixed,
    is_derivative,
    parts,
    places,
    put,
    replaced,
    substituted,
    total,
)
from ..equations.quantities import Quantity
from ..equations.recognising import meaning

Path = tuple[int, ...]
DEEPEST = 2


class Switched(During):
    """A term that counts as zero at other steps, so that it can stand inside a product."""

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """Another term at the same steps."""
        return Switched(self.steps, operands[0])

    def shifted(self, by: int) -> Expression:
        """The steps move the other way."""
        return Switched(tuple(t - by for t in self.steps), self.inner.shifted(by)) if by else self

    def written(self, writer: Any) -> tuple[str, int]:
        """The term, and its steps where these are no matter of course."""
        if follows_from_absence(During(self.steps, self.inner)):
            return str(writer.write(self.inner)), 0
        return f"{writer.within(self.inner, 1)} [{writer.steps(self.steps)}]", 0

    def runs(self) -> Callable[[Any, Any], Any]:
        """The function that computes it in a run."""
        from ..running.evaluate import compiled

        inner, steps, zeros = compiled(self.inner), frozenset(self.steps), np.zeros(self.shape)
        return lambda run, t: inner(run, t) if t in steps else zeros


def written_out(line: Line) -> Iterator[tuple[Path, Expression]]:
    """Right-hand sides of a line in which one reference is replaced by its definition; each with its place."""
    for place, part in places(line.expression):
        if type(part) is not Reference:
            continue
        whole: Expression = part
        reference: Reference = part
        for _ in range(DEEPEST + (part.at is not None) if part.quantity.adjoint_of is not None else 1):
            found = _meaning(reference, line)
            if found is None:
                break
            whole = replaced(whole, lambda part, old=reference, new=found: new if part is old else None)  # type: ignore[misc]
            yield place, put(line.expression, place, whole)
            numbers = replaced(whole, _with_its_number)  # 0.1 (1 - z) of a step of an oscillator
            if numbers is not whole and part.quantity.adjoint_of is not None:
                yield place, put(line.expression, place, numbers)
            apart = _with_slope_apart(whole)
            if apart is not None:
                yield place, put(line.expression, place, apart)
            around, each = _multiplied_out(line.expression, place, whole)
            if around != place:
                yield around, put(line.expression, around, each)
            inner = next(filter(is_derivative, parts(found)), None)
            if inner is None:
                break
            if reference.quantity is line.quantity:
                break
            reference = inner


def _with_its_number(part: Expression) -> Expression | None:
    """The definition of a value of the forward pass that is a number times another one; None of others."""
    if type(part) is not Reference or part.quantity.adjoint_of is not None or part.at is not None:
        return None
    found = definition(part.quantity)
    has_one = found is not None and is_product(found) and isinstance(found.operands[0], Number)
    return switched(found.shifted(part.shift or 0)) if has_one and found is not None else None


def distributed(line: Line) -> Iterator[tuple[Path, Expression]]:
    """Right-hand sides of a line in which each part of a value is computed by itself, so that one alone can be wrong.

    A product with values side by side (gates) is that of each with its own factors; the Jacobian of a softmax is
    applied to each term of the derivative that comes in; what h + z ∘ (c - h) keeps is g ∘ (1 - z), not g - g ∘ z; and
    (1 - y) ∘ p - w ∘ y ∘ (1 - p) is p - y with a weight; p - y is ((1 - y) / (1 - p) - y / p) ∘ p ∘ (1 - p); and rows
    of D Wᵀ are D times the transpose of rows of W; and the sum of g ∘ (a / r) along a row is that of g ∘ a, by r.
    """
    ways = (_by_block, _by_term, _by_what_is_kept, _by_weight, _with_slope_apart, _by_rows, _with_divisor_apart)
    for place, part in places(line.expression):
        for whole in (way(part) for way in ways):
            if whole is not None:
                yield place, put(line.expression, place, whole)


def _with_divisor_apart(part: Expression) -> Expression | None:
    """A sum along an axis in which a value was divided by its norm, or deviation, as a sum that is divided by this."""
    inner = part.operands[0] if applies(part, reductions.sum) and part.settings.get("keepdims") else part
    for factor in inner.operands if inner is not part and is_product(inner) else ():
        meant = meaning(factor)
        if applies(meant, elementwise.divide) and meant.operands[1].shape == part.shape:
            return over(part.with_operands((substituted(inner, factor, meant.operands[0]),)), meant.operands[1])
    return None


def _by_block(product: Expression) -> Expression | None:
    """A product of values side by side and other factors, as the products of each, side by side."""
    factors = product.operands if is_product(product) else ()
    among = [k for k, factor in enumerate(factors) if applies(factor, joining.joined)]
    if len(among) != 1 or not isinstance(joined := factors[among[0]], Apply) or joined.shape != product.shape:
        return None
    axis, begin, pieces = joined.settings["axis"] % joined.ndim, 0, []
    for piece in joined.operands:
        index = (*[slice(None)] * axis, slice(begin, begin + piece.shape[axis], None))
        others = (_piece(factor, index, joined.shape) for k, factor in enumerate(factors) if k != among[0])
        pieces.append(times(piece, *others))
        begin += piece.shape[axis]
    return joined.with_operands(tuple(pieces))


def _piece(factor: Expression, index: tuple[slice, ...], of: tuple[int, ...]) -> Expression:
    """The part of a factor that belongs to one of several values side by side."""
    if isinstance(factor, Apply) and factor.shape == of and factor.operation in _BY_ELEMENT:
        return factor.with_operands(tuple(_piece(operand, index, of) for operand in factor.operands))
    own = index[len(of) - factor.ndim :]
    return factor if not own or factor.shape[len(own) - 1] == 1 else apply(indexing.getitem, factor, index=own)


def _by_term(part: Expression) -> Expression | None:
    """The Jacobian of a softmax, p ∘ (g - Σ p ∘ g), applied to each term of g."""
    inner = next((f for f in part.operands if applies(f, elementwise.subtract)), None) if is_product(part) else None
    if inner is None:
        return None
    come_in, mean = inner.operands
    if type(come_in) is not Reference or not is_derivative(come_in) or come_in.at is not None:
        return None
    found = definition(come_in.quantity)
    if found is None or not is_sum(found) or not any(p == come_in for p in parts(mean)):
        return None
    each = []
    for term in found.shifted(come_in.shift or 0).operands:
        of, again = _taken_apart(term)
        each.append(again(substituted(part, come_in, of)))
    return total(each)


def _by_what_is_kept(part: Expression) -> Expression | None:
    """A sum with the terms g and -g ∘ z, the second of which may have a line of its own, as one with g ∘ (1 - z)."""
    terms = [unwrapped(term) for term in part.operands] if is_sum(part) else []
    for (i, (g, again)), (j, (other, _)) in itertools.permutations(enumerate(terms), 2):
        if type(g) is Reference and is_derivative(g) and g.at is None and is_negative(other):
            taken = other.operands[0]
            found = definition(taken.quantity) if type(taken) is Reference and is_derivative(taken) else None
            taken = as_read(found, taken) if found is not None and type(taken) is Reference else taken
            if is_product(taken) and g in taken.operands and taken.shape == g.shape:
                kept = one_minus(times(*(factor for factor in taken.operands if factor != g)))
                new = [again(times(g, kept)) if k == i else term for k, term in enumerate(part.operands)]
                return total([*new[:j], *new[j + 1 :]])
    return None


def _by_weight(part: Expression) -> Expression | None:
    """A difference (1 - y) ∘ σ(z) - w ∘ y ∘ σ(-z), with y 0 or 1, as (w ∘ y + 1 - y) ∘ (σ(z) - y)."""
    one, other = part.operands if applies(part, elementwise.subtract) else (part, part)
    for p, weight in ((f, w) for f in factors(one) for w in factors(one) if applies(f, activations.logistic)):
        y, below = less_than_one(weight), apply(activations.logistic, negative(p.operands[0]))
        if y is not None and below in factors(other):
            of_ones, of_zeros = (
                times(*(meaning(f) for f in factors(whole) if f != left)) for whole, left in ((other, below), (one, p))
            )
            if any(inner == y for inner in parts(of_ones)):
                return times(total([of_ones, of_zeros]), apply(elementwise.subtract, p, y))
    return None


def _with_slope_apart(part: Expression) -> Expression | None:
    """A derivative (p - y) / n by the argument of p = σ(a), as that by p times its slope; other terms have the same."""
    terms = part.operands if is_sum(part) else (part,)
    for i, (inner, again) in enumerate(map(_taken_apart, terms)):
        less, below = inner.operands if applies(inner, elementwise.divide) else (inner, None)
        if not applies(less, elementwise.subtract):
            continue
        p, y = less.operands
        if type(p) is not Reference or p.shape != part.shape:
            continue
        if not applies(definition(p.quantity), activations.logistic):
            continue
        slope = (p, one_minus(p))
        others = [[*factors(other)] for other, _ in map(_taken_apart, (*terms[:i], *terms[i + 1 :]))]
        if all(factor in of_one for of_one in others for factor in slope):
            by_p = apply(elementwise.subtract, over(one_minus(y), slope[1]), over(y, p))
            new = [again(by_p if below is None else over(by_p, below))]
            for of_one, (_, put_in) in zip(others, map(_taken_apart, (*terms[:i], *terms[i + 1 :]))):
                new.append(put_in(times(*(factor for factor in of_one if factor not in slope))))
            return times(total(new), *slope)
    return None


def _by_rows(part: Expression) -> Expression | None:
    """Columns of products D Wᵀ, as products with the transpose of the same rows of W; and rows of products Wᵀ D."""
    if not applies(part, indexing.getitem):
        return None
    index = part.settings["index"]
    places = index if isinstance(index, tuple) else (index,)
    products = part.operands[0].operands if is_sum(part.operands[0]) else part.operands
    if not all(applies(product, linalg.matmul) for product in products):
        return None
    is_last = len(places) == part.ndim > 1 and all(i == slice(None) for i in places[:-1])
    is_first = len(places) == 1 and isinstance(places[0], slice)
    side, rows_of = (1, places[-1:]) if is_last else (0, (slice(None), *places))
    if not (is_last or is_first) or not all(applies(p.operands[side], shape.transpose) for p in products):
        return None
    turned: list[Expression] = []
    for product in products:
        rows = apply(indexing.getitem, *product.operands[side].operands, index=rows_of)
        turned.append(with_operand(product, side, apply(shape.transpose, rows)))
    return total(turned)


def _taken_apart(term: Expression) -> tuple[Expression, Any]:
    """A term without its steps, and a function that restricts another one to these, so that it can be in a product."""
    return (term.inner, partial(Switched, term.steps)) if isinstance(term, During) else (term, _itself)


_BY_ELEMENT = elementwise.multiply, elementwise.subtract, elementwise.add, elementwise.square, elementwise.negative


def _multiplied_out(line: Expression, place: Path, value: Expression) -> tuple[Path, Expression]:
    """A sum with the factors and masks around its place in a line taken into each term, so that it can be wrong alone.

    Returns:
        The place that the new sum has in the line, and the sum.
    """
    while place and is_sum(value):
        outer, i, terms = at(line, place[:-1]), place[-1], []
        if not is_product(outer) and not (is_masked(outer) and i == 1):
            break
        for inner, again in map(_taken_apart, value.operands):
            others = (*outer.operands[:i], *outer.operands[i + 1 :])
            terms.append(again(times(inner, *others) if is_product(outer) else where(others[0], inner)))
        place, value = place[:-1], total(terms)
    return place, value


def _itself(term: Expression) -> Expression:
    return term


def _meaning(reference: Reference, line: Line) -> Expression | None:
    """The definition of a quantity as it reads from here; None if that differs from step to step."""
    found = definition(reference.quantity)
    if found is None or isinstance(found, (OverSteps, Reference)):
        return None
    return switched(found.shifted(reference.shift or 0) if reference.at is None else fixed(found, reference.at))


def definition(quantity: Quantity) -> Expression | None:
    """The right-hand side of a quantity; None if that differs from step to step (an initial value aside)."""
    equations = [e for e in quantity.equations if len(e.steps) > 1 or not quantity.steps] or quantity.equations
    return equations[0].expression if len(equations) == 1 else None


def switched(expression: Expression) -> Expression:
    """The expression with terms that count as zero at other steps."""
    if isinstance(expression, During):
        return Switched(expression.steps, switched(expression.inner))
    if isinstance(expression, OverSteps) or not expression.operands:
        return expression
    operands = tuple(map(switched, expression.operands))
    if all(a is b for a, b in zip(operands, expression.operands)):
        return expression
    if isinstance(expression, Apply):
        return Apply(expression.operation, operands, expression.settings, expression.shape)
    return expression.with_operands(operands)


def pieces(whole: Expression | None, steps: Steps) -> tuple[list[During], list[int]]:
    """The terms of a sum that a step hands to the one before, and the steps to which none does, each before a piece."""
    carried = [term for term, shift in carries(whole) if shift == 1] if whole is not None else []
    return carried, [t for t in steps[:-1] if not any(t in term.steps for term in carried)] if carried else []


def carries(whole: Expression) -> Iterator[tuple[During, int]]:
    """The terms of a sum that come from another step, and how far away that is."""
    for term in whole.operands if is_sum(whole) else ():
        if isinstance(term, During):
            shifts = (p.shift for p in parts(term) if is_derivative(p))
            yield from ((term, shift) for shift in itertools.islice(filter(None, shifts), 1))
