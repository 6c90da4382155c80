"""Formulas that a person knows by name: softmax, a one-hot target, gates side by side, an outer product."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...autodiff.rules import activations, elementwise, indexing, log_probabilities, reductions, shape
from ...autodiff.rules.axes import all_axes
from ...compiler.graph.simplify import part_of_axis
from .arithmetic import product, repeated
from .expressions import Apply, Constant, Data, Expression, Number, Operand, Reference, Step, apply, one_axis
from .parts import applies, is_here, parts, total
from .quantities import Quantity

Rule = Callable[[Apply], "Expression | None"]


def one_hot(classes: Any, size: int) -> Any:
    """The one-hot rows of classes: zeros with a 1 in the place of each."""
    return np.eye(size)[classes]


def meaning(expression: Expression) -> Expression:
    """The definition of a quantity, if it is the same at all steps; anything else itself."""
    if isinstance(expression, Reference) and len(expression.quantity.equations) == 1:
        found: Expression = expression.quantity.equations[0].expression
        if expression.shift is not None:
            return found.shifted(expression.shift)
        return found if expression.at is None else expression
    return expression


# --- softmax ---------------------------------------------------------------------------------------------------------


def _softmax(whole: Apply) -> Expression | None:
    """``exp(log_softmax(z))``, and ``exp(z - logsumexp(z))``."""
    inner = whole.operands[0]
    logs = meaning(inner)
    if applies(logs, log_probabilities.log_softmax_of):
        return _probabilities(logs.operands[0], logs.settings.get("axis"))
    if not applies(inner, elementwise.subtract):
        return None
    z, below = inner.operands
    u = without_axes(below)
    if applies(u, log_probabilities.log_sum_exp) and u.operands[0] == z:
        return _probabilities(z, u.settings.get("axis"))
    return None


def without_axes(expression: Expression) -> Expression:
    """The meaning of an expression, before axes of length 1 were added to it."""
    found = meaning(expression)
    while isinstance(found, Apply) and (found.operation in (shape.expand_dims, shape.reshape) or adds_axes(found)):
        found = meaning(found.operands[0])
    return found


def adds_axes(whole: Apply) -> bool:
    """Return True for ``x[:, None]``."""
    index = whole.settings.get("index") if whole.operation is indexing.getitem else None
    return isinstance(index, tuple) and all(part is None or part == slice(None) for part in index)


def _shares(whole: Apply) -> Expression | None:
    """The softmax by which logsumexp's rule distributes a cotangent."""
    return _probabilities(whole.operands[0], whole.settings.get("axis"))


def axis_of(whole: Expression) -> int:
    """The axis along which a softmax is taken."""
    axis = one_axis(whole.settings["axis"]) if isinstance(whole, Apply) else None
    return axis % whole.ndim if isinstance(axis, int) else -1


def softmaxes_in(quantity: Quantity) -> list[Apply]:
    """The softmaxes that equations of a quantity are; a state has another one for its start."""
    found = [equation.expression for equation in quantity.equations]
    return [whole for whole in found if applies(whole, log_probabilities.softmax_of)]


def _probabilities(z: Expression, axis: Any) -> Expression | None:
    """softmax(z), by its name if it has one, or over the last axis."""
    softmax = z.quantity.softmax if isinstance(z, Reference) else None
    known = [] if softmax is None else softmaxes_in(softmax)
    if isinstance(z, Reference) and any(axis_of(whole) == axis % z.ndim for whole in known):
        return z.to(softmax)
    if axis not in (-1, z.ndim - 1):
        return None
    return Apply(log_probabilities.softmax_of, (z,), {"axis": -1}, z.shape)


def chosen_share(expression: Expression) -> tuple[Reference, Expression] | None:
    """The value z of ``p[y]`` with ``p = softmax(z)``, and p: the derivative is p[y] (onehot(y) - p)."""
    p = expression.operands[0] if applies(expression, indexing.getitem) else expression
    softmax = meaning(p)
    if not is_here(p) or not applies(softmax, log_probabilities.softmax_of):
        return None
    is_one_of_each = len(expression.operands) > 1 and expression.shape == p.shape[:-1]
    (z,) = softmax.operands
    return (z, p) if is_one_of_each and isinstance(z, Reference) and axis_of(softmax) == p.ndim - 1 else None


def log_of_logistic(expression: Expression) -> tuple[Reference, Expression] | None:
    """The value a of ``log(h)`` and ``log(1 - h)`` with ``h = σ(a)``, and the derivative by it: 1 - h or -h."""
    if not applies(expression, elementwise.log):
        return None
    (h,) = expression.operands
    difference = meaning(h)
    is_other_side = applies(difference, elementwise.subtract) and difference.operands[0] == Number(1)
    h = difference.operands[1] if is_other_side else h
    if not is_here(h):
        return None
    equations = [equation.expression for equation in h.quantity.equations]
    computed = [whole for whole in equations if any(parts(whole, Reference))]
    a = computed[0].operands[0] if len(computed) == 1 and applies(computed[0], activations.logistic) else None
    slope = apply(elementwise.negative, h) if is_other_side else apply(elementwise.subtract, Number(1), h)
    return (a, slope) if isinstance(a, Reference) else None


# --- targets ---------------------------------------------------------------------------------------------------------


def adds_up(part: Expression) -> bool:
    """Return True for rows that add up to 1: one-hot rows, the results of a softmax, and data that does."""
    if isinstance(part, Reference) and len(part.quantity.equations) == 1:
        return adds_up(part.quantity.equations[0].expression)
    if applies(part, log_probabilities.softmax_of):
        return axis_of(part) == part.ndim - 1
    if applies(part, indexing.getitem) and len(part.operands) == 1:
        index = part.settings["index"]
        places = index if type(index) is tuple else (index,)
        are_first = all(isinstance(place, (Step, int)) or place == slice(None) for place in places)
        return are_first and len(places) < part.operands[0].ndim and adds_up(part.operands[0])
    return applies(part, one_hot) or (isinstance(part, Data) and part.adds_up)


def _sum_of_one_hot(whole: Apply) -> Expression | None:
    """A sum along a row that adds up to 1: only the factors that are constant along the row remain."""
    inner, axis = whole.operands[0], whole.settings.get("axis")
    if axis not in (-1, (-1,), inner.ndim - 1, (inner.ndim - 1,)) and not (axis is None and inner.ndim == 1):
        return None
    factors = inner.operands if applies(inner, elementwise.multiply) else (inner,)
    others = [f for f in factors if not adds_up(f)]
    if len(others) != len(factors) - 1 or any(f.shape[-1:] not in ((), (1,)) for f in others):
        return None
    rest = product(others) if others else Number(1.0)
    if math.prod(rest.shape) != math.prod(whole.shape):
        return repeated(rest, whole.shape) if not rest.shape else None
    return Apply(shape.reshape, (rest,), {"shape": whole.shape}, whole.shape)


def _sum_of_one_entry(whole: Apply) -> Expression | None:
    """A sum along a column that has a number in one place, and zeros elsewhere: that number."""
    inner = whole.operands[0]
    axes = all_axes(whole.settings.get("axis"), inner.ndim)
    is_all = math.prod(inner.shape[a] for a in axes) == math.prod(inner.shape)
    if not is_all or not applies(inner, indexing.assemble):
        return None
    if len(inner.settings["indices"]) > 1 or inner.operands[0].shape:
        return None
    return repeated(inner.operands[0], whole.shape)


def _chosen(whole: Apply) -> Expression | None:
    """A cotangent in the place of each row's class, written as the one-hot target times it."""
    index = whole.settings["indices"][0]
    piece, *places = whole.operands
    if type(index) is int and len(whole.settings["indices"]) == len(whole.shape) == 1 and isinstance(piece, Number):
        target = Apply(one_hot, (Number(index % whole.shape[0]),), {"size": whole.shape[0]}, whole.shape)
        return Apply(elementwise.multiply, (piece, target), {}, whole.shape)
    index = (index,) if isinstance(index, Operand) else index
    if len(whole.settings["indices"]) > 1 or not isinstance(index, tuple) or len(index) != len(whole.shape):
        return None
    *rows, last = index
    if not isinstance(last, Operand) or not all(map(_counts_up, rows, range(len(rows)), [places] * len(rows))):
        return None
    classes = places[last.number - 1]
    if classes.shape != piece.shape or piece.shape != whole.shape[:-1]:
        return None
    target = Apply(one_hot, (classes,), {"size": whole.shape[-1]}, whole.shape)
    spread = Apply(shape.expand_dims, (piece,), {"axis": -1}, (*piece.shape, 1))
    return Apply(elementwise.multiply, (spread, target), {}, whole.shape)


def _counts_up(place: Any, axis: int, places: list[Expression]) -> bool:
    """Return True for an index that selects every row of an axis in order."""
    if not isinstance(place, Operand):
        return False
    array = places[place.number - 1]
    if not isinstance(array, Constant):
        return False
    grid = np.squeeze(array.array)
    n = grid.size
    ahead = array.shape.index(n) if n in array.shape else -1
    return grid.ndim <= 1 and np.array_equal(np.ravel(grid), np.arange(n)) and (n == 1 or ahead == axis)


# --- parts side by side ----------------------------------------------------------------------------------------------


def _side_by_side(whole: Apply) -> Expression | None:
    """A sum of pieces, each in its place among zeros, that leave no gap: a concatenation."""
    pieces: dict[int, list[tuple[int, int, Expression]]] = {}
    rest = []
    for term in whole.operands:
        place = _place(term)
        if place is None:
            rest.append(term)
        else:
            pieces.setdefault(place[0], []).append((place[1], place[2], term))
    for axis, found in pieces.items():
        merged = _merged(found)
        starts = [0, *(stop for _, stop, _ in merged)]
        if len(merged) > 1 and [start for start, _, _ in merged] == starts[:-1] and starts[-1] == whole.shape[axis]:
            side = axis - len(whole.shape)
            settings = {"axis": side, "starts": tuple(starts)}
            joined = Apply(shape.joined, tuple(piece for _, _, piece in merged), settings, whole.shape)
            others = [t for other, parts in pieces.items() if other != axis for _, _, t in parts]
            return total([joined, *others, *rest])
    return None


def _place(term: Expression) -> tuple[int, int, int] | None:
    sign = term.operands[0] if applies(term, elementwise.negative) else term
    if not applies(sign, indexing.assemble) or len(sign.settings["indices"]) > 1:
        return None
    index = sign.settings["indices"][0]
    return None if len(sign.operands) > 1 or not _is_plain(index) else part_of_axis(index, sign.shape)


def _is_plain(index: Any) -> bool:
    parts = index if isinstance(index, tuple) and not isinstance(index, Operand) else (index,)
    return all(isinstance(part, slice) or part is Ellipsis for part in parts)


def _merged(found: list[tuple[int, int, Expression]]) -> list[tuple[int, int, Expression]]:
    """The pieces in the order of their places; pieces of the same place are added."""
    by_place: dict[tuple[int, int], list[Expression]] = {}
    for start, stop, term in found:
        piece = term.operands[0]
        if applies(term, elementwise.negative):
            piece = Apply(elementwise.negative, (piece.operands[0],), {}, piece.operands[0].shape)
        by_place.setdefault((start, stop), []).append(piece)
    return [(start, stop, total(terms)) for (start, stop), terms in sorted(by_place.items())]


def _rows_one_by_one(whole: Apply) -> Expression | None:
    """A sum of rows, each in its place: a stack of them."""
    rows: dict[int, Expression] = {}
    for term in whole.operands:
        if not applies(term, indexing.assemble):
            return None
        first, *others = term.settings["indices"]
        if others or not isinstance(first, int) or len(term.operands) > 1 or first % term.shape[0] in rows:
            return None
        rows[first % term.shape[0]] = term.operands[0]
    if sorted(rows) != list(range(whole.shape[0])) or any(row.shape != whole.shape[1:] for row in rows.values()):
        return None
    return Apply(shape.stacked, tuple(rows[k] for k in sorted(rows)), {"axis": 0}, whole.shape)


# --- outer products --------------------------------------------------------------------------------------------------


def _outer(whole: Apply) -> Expression | None:
    """A column times a row."""
    if len(whole.operands) != 2 or len(whole.shape) != 2:
        return None
    column, row = whole.operands
    a, b = _expanded(column, -1), _expanded(row, -2)
    if a is None and row.ndim == 2:
        a, b = _expanded(row, -1), _expanded(column, -2)
        column, row = row, column
    if a is not None and b is None and row.ndim == 1:
        b = row
    if a is None or b is None or a.ndim != 1 or b.ndim != 1:
        return None
    return Apply(np.outer, (a, b), {}, whole.shape)


def _expanded(expression: Expression, axis: int) -> Expression | None:
    if not applies(expression, shape.expand_dims):
        return None
    added = np.atleast_1d(expression.settings["axis"]) % expression.ndim
    return expression.operands[0] if added.tolist() == [axis % expression.ndim] else None


RECOGNISED: dict[object, tuple[Rule, ...]] = {
    elementwise.exp: (_softmax,),
    log_probabilities.shares: (_shares,),
    reductions.sum: (_sum_of_one_hot, _sum_of_one_entry),
    indexing.assemble: (_chosen,),
    elementwise.add: (_side_by_side, _rows_one_by_one),
    elementwise.multiply: (_outer,),
}
