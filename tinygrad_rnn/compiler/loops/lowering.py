"""Operations written as simpler ones, for which the compiler knows more ways to be fast.

An einsum becomes matrix products of two factors at a time; the letters that both factors have, but not the result,
form one axis. Padding becomes an assembled slice, a triangle a choice, and whatever rearranges axes a reshape or a
transpose.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import elementwise, indexing, linalg, rearranging, reductions, shape
from ..graph.shapes import letters_of, order_of_axes
from ..graph.trace import Trace, Tracer, tracer
from ..graph.values import Value, substitute

Current = Callable[[Any], Any]


def lowered(trace: Trace, value: Value, current: Current, keeps_rules: bool) -> Value | None:
    """A Value written with simpler operations; None if it stays unchanged.

    Args:
        trace: where to record.
        value: the Value.
        current: returns the replacement of an operand.
        keeps_rules: whether operations that only carry the user's own derivatives stay; they have to until the program
            has been differentiated.
    """
    if not keeps_rules and getattr(value.op, "passes_on", None):
        return None if value.op.outputs else current(value.args[0])
    if not keeps_rules and value.op is indexing.output and getattr(value.args[0].op, "passes_on", None):
        return current(value.args[0].args[value.args[1]])
    if value.op not in RULES:
        return None
    with trace.recording():
        args, keywords = (substitute(current(part), tracer) for part in (value.args, value.keywords))
        found = RULES[value.op](value, *args, **keywords)
    same = isinstance(found, Tracer) and (found._data.shape, found._data.dtype) == (value.shape, value.dtype)
    return found._data if same else None


def _padded(value: Value, a: Any, width: Any) -> Any:
    inside = tuple(slice(before, before + n) for (before, _), n in zip(width, a.shape))
    return indexing.assemble(a, indices=(inside,), shape=value.shape)


def _triangle(function: Any) -> Any:
    def rule(value: Value, m: Any, k: int = 0) -> Any:
        return np.where(function(np.ones(m.shape[-2:], bool), k), m, np.zeros((), m.dtype))

    return rule


def _in_shape(value: Value, a: Any, *_: Any, **keywords: Any) -> Any:
    return np.reshape(a, value.shape)


def _in_order(value: Value, a: Any, *_: Any, **keywords: Any) -> Any:
    order = order_of_axes(value)
    return np.transpose(a) if order == sorted(order, reverse=True) else np.transpose(a, order)


def _product(value: Value, a: Any, b: Any) -> Any:
    """A product of factors of two types: both are converted first."""
    if {a.dtype, b.dtype} == {value.dtype} or value.dtype.kind != "f":
        return None
    return np.matmul(*(f if f.dtype == value.dtype else f.astype(value.dtype) for f in (a, b)))


# --- einsum ----------------------------------------------------------------------------------------------------------


def _einsum(value: Value, *operands: Any, subscripts: str, optimize: bool = False) -> Any:
    terms, result = linalg.explicit_subscripts(subscripts, [a.shape for a in operands])
    sizes: dict[str, set[int]] = {}
    for letter, n in zip("".join(terms), itertools.chain(*(a.shape for a in operands))):
        sizes.setdefault(letter, set()).add(n)
    repeats = any(len(set(term)) < len(term) for term in terms)
    if repeats or any(len(found) > 1 for found in sizes.values()):  # diagonals, and axes that broadcast
        return None
    factors = [a if a.dtype == value.dtype else a.astype(value.dtype) for a in operands]
    return contracted(factors, terms, result)


def contracted(factors: Sequence[Any], terms: Sequence[str], result: str) -> Any:
    """An einsum of any number of factors; the pair with the smallest product goes first."""
    factors, terms = [*factors], [*terms]
    sizes = {letter: n for a, term in zip(factors, terms) for letter, n in zip(term, a.shape)}
    while len(factors) > 2:
        pairs = itertools.combinations(range(len(factors)), 2)
        kept = {pair: _kept(terms, pair, result) for pair in pairs}
        pair = min(kept, key=lambda pair: math.prod(sizes[letter] for letter in kept[pair]))
        i, j = pair
        product = _of_two(factors[i], terms[i], factors[j], terms[j], kept[pair])
        factors = [*(a for k, a in enumerate(factors) if k not in pair), product]
        terms = [*(term for k, term in enumerate(terms) if k not in pair), kept[pair]]
    if len(factors) == 2:
        return _of_two(factors[0], terms[0], factors[1], terms[1], result)
    return _transposed(*_summed(factors[0], terms[0], result), result)


def _kept(terms: Sequence[str], pair: tuple[int, ...], result: str) -> str:
    """The letters of a pair's product that later products or the result need."""
    others = {*result, *(letter for i, term in enumerate(terms) if i not in pair for letter in term)}
    return "".join(letter for letter in dict.fromkeys(terms[pair[0]] + terms[pair[1]]) if letter in others)


def _summed(a: Any, term: str, kept: str) -> tuple[Any, str]:
    """An operand summed over the axes whose letters aren't kept."""
    gone = tuple(axis for axis, letter in enumerate(term) if letter not in kept)
    left = "".join(letter for letter in term if letter in kept)
    return (reductions.sum(a, axis=gone) if gone else a), left


def _transposed(a: Any, term: str, order: str) -> Any:
    """An operand with its axes in this order; missing axes get length 1."""
    mine = [letter for letter in order if letter in term]
    a = a if mine == [*term] else np.transpose(a, [term.index(letter) for letter in mine])
    sizes = iter(a.shape)
    return np.reshape(a, [next(sizes) if letter in term else 1 for letter in order]) if len(mine) < len(order) else a


def _of_two(a: Any, left: str, b: Any, right: str, result: str) -> Any:
    """An einsum of two factors, as a product of matrices or, with nothing to sum over, of elements."""
    (a, left), (b, right) = _summed(a, left, right + result), _summed(b, right, left + result)
    batch = "".join(letter for letter in result if letter in left and letter in right)
    inner = "".join(letter for letter in left if letter in right and letter not in result)
    rows = "".join(letter for letter in result if letter not in right)
    columns = "".join(letter for letter in result if letter not in left)
    if not inner:
        return _transposed(a, left, result) * _transposed(b, right, result)
    if batch and not rows and not columns:
        return linalg.contraction(a, b, subscripts=f"{left},{right}->{result}")
    sizes = dict(zip(left + right, (*a.shape, *b.shape)))
    row_axes, column_axes = ([letters] if batch or letters else [] for letters in (rows, columns))
    product = _grouped(a, left, [*batch, *row_axes, inner]) @ _grouped(b, right, [*batch, inner, *column_axes])
    made = batch + rows + columns
    return _transposed(_reshaped(product, [sizes[letter] for letter in made]), made, result)


def _grouped(a: Any, term: str, groups: Sequence[str]) -> Any:
    """An operand whose axes are groups of letters, in this order: without a copy, where a group lies together."""
    sizes = dict(zip(term, a.shape))
    length = lambda group: math.prod(sizes[letter] for letter in group)  # noqa: E731
    if not all(group in term for group in groups):
        return _reshaped(_transposed(a, term, "".join(groups)), [*map(length, groups)])
    present = [group for group in groups if group]
    lying = sorted(present, key=term.index)
    a = _reshaped(a, [*map(length, lying)])
    order = [lying.index(group) for group in present]
    a = a if order == sorted(order) else np.transpose(a, order)
    return _reshaped(a, [*map(length, groups)])


def _reshaped(a: Any, new: Sequence[int]) -> Any:
    return a if a.shape == tuple(new) else np.reshape(a, tuple(new))


RULES: dict[Any, Callable[..., Any]] = {
    linalg.contraction: _einsum,
    linalg.matmul: _product,
    rearranging.padded: _padded,
    rearranging.lower: _triangle(np.tril),
    rearranging.upper: _triangle(np.triu),
    **dict.fromkeys((shape.squeeze, shape.expand_dims), _in_shape),
    **dict.fromkeys((shape.transpose, shape.swapaxes, shape.moveaxis), _in_order),
}


# --- products, summed over time --------------------------------------------------------------------------------------


class Factor(NamedTuple):
    """A factor of a product."""

    value: Value  # the factor
    term: str  # a letter for each of its axes; " " where the length is 1, and counts for nothing


def factors_of(product: Value, rows: Container[Value]) -> tuple[list[Factor], str] | None:
    """The factors of a product that is cheaper to sum over time than to keep, and the letters of its axes.

    Such a product is the gradient of a weight at one step: ``hᵀ Δ``, also of stacks of matrices; or an outer product.
    A factor that is one of the ``rows`` of sequences is taken as it is: a step doesn't have its operands.
    """
    args = product.args
    if len(args) != 2 or any(not isinstance(a, Value) or a.dtype != product.dtype for a in args):
        return None
    if product.op is linalg.matmul and min(a.ndim for a in args) > 1:
        terms, letters = letters_of(product)
    elif product.op is elementwise.multiply and product.size > max(a.size for a in args):
        letters = string.ascii_lowercase[: product.ndim]
        terms = [letters[product.ndim - a.ndim :] for a in args]
    else:
        return None
    found = [_looked_through(a, _without_ones(term, a, letters), rows) for a, term in zip(args, terms)]
    result = "".join(c if any(c in factor.term for factor in found) else " " for c in letters)
    return found, result


def _without_ones(term: str, a: Value, letters: str) -> str:
    """The letters of a factor; blanks for axes of the product along which it has length 1."""
    return "".join(" " if n == 1 and c in letters else c for c, n in zip(term, a.shape))


def _looked_through(a: Value, term: str, rows: Container[Value]) -> Factor:
    """A factor without the transpose on it, if it has one."""
    while a.op is shape.transpose and a not in rows:
        order = order_of_axes(a)
        a, term = a.args[0], "".join(term[order.index(axis)] for axis in range(a.ndim))
    return Factor(a, term)


def product_over_time(
    trace: Trace, product: Value, factors: Sequence[Factor], result: str, at_all_steps: Sequence[Value]
) -> Value:
    """The sum of a product over all steps, from its factors at all steps."""
    with trace.recording():
        ends = [
            _reshaped(tracer(a), [a.shape[0], *(n for n, c in zip(a.shape[1:], factor.term) if c != " ")])
            for a, factor in zip(at_all_steps, factors)
        ]
        terms = ["t" + factor.term.replace(" ", "") for factor in factors]
        found = contracted(ends, terms, result.replace(" ", ""))
        value: Value = _reshaped(found, product.shape)._data
    return value
