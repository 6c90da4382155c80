"""Simplifying views: reshapes, transposes, parts and repetitions."""

from __future__ import annotations

import math

from ...autodiff.rules import elementwise, linalg, reductions, shape
from ...autodiff.rules.axes import all_axes
from .arithmetic import in_front, is_negative, is_product, is_zero, product, repeated, scaled
from .expressions import Apply, Expression, Number, Stack, Step, apply, are_consecutive, one_axis
from .parts import applies

LOOKS = {shape.reshape, shape.squeeze, shape.expand_dims}


def looked_at(whole: Apply) -> Expression | None:
    """A reshape, removed if it changes nothing, joined with others, or reduced to the number that is repeated."""
    inner = whole.operands[0]
    if inner.shape == whole.shape:
        return inner
    if applies(inner, shape.broadcast_to) and not inner.operands[0].shape:
        return repeated(inner.operands[0], whole.shape)
    if isinstance(inner, Number):
        return repeated(inner, whole.shape)
    if whole.operation is shape.reshape and applies(inner, *LOOKS):
        return Apply(shape.reshape, inner.operands, {"shape": whole.shape}, whole.shape)
    return in_front(whole) or _vector_product(inner, whole) or _sum_without(inner, whole)


def _sum_without(inner: Expression, whole: Apply) -> Expression | None:
    """A sum over axes whose places are removed afterwards, instead of kept."""
    if not (applies(inner, reductions.sum) and inner.settings.get("keepdims")):
        return None
    axes = all_axes(inner.settings.get("axis"), inner.ndim)
    left = tuple(n for i, n in enumerate(inner.shape) if i not in {a % inner.ndim for a in axes})
    settings = {name: value for name, value in inner.settings.items() if name != "keepdims"}
    return Apply(inner.operation, inner.operands, settings, whole.shape) if left == whole.shape else None


def _vector_product(inner: Expression, whole: Apply) -> Expression | None:
    """A vector times a matrix, if the vector had been reshaped to a matrix of one row for this product."""
    if not (applies(inner, linalg.matmul) and whole.ndim == 1 and inner.ndim == 2):
        return None
    row, matrix = inner.operands
    while applies(row, *LOOKS):
        row = row.operands[0]
    if row.ndim == 1 and matrix.ndim == 2 and row.shape[0] == matrix.shape[0]:
        return Apply(linalg.matmul, (row, matrix), {}, whole.shape)
    return None


def broadcast(whole: Apply) -> Expression | None:
    """A repetition, removed if the shape stays the same, and joined with others."""
    inner = whole.operands[0]
    if inner.shape == whole.shape:
        return inner
    return repeated(inner.operands[0], whole.shape) if applies(inner, shape.broadcast_to) else None


def filled(whole: Apply) -> Expression | None:
    """An array of one number as that number, repeated."""
    return repeated(Number(whole.settings["fill_value"]), whole.shape)


def transposed(whole: Apply) -> Expression | None:
    """A transpose, removed if it changes nothing, and joined with another transpose."""
    inner = whole.operands[0]
    axes = whole.settings.get("axes")
    if inner.ndim < 2:
        return inner
    order = list(range(inner.ndim))[::-1] if axes is None else [axis % inner.ndim for axis in axes]
    if order == sorted(order):
        return inner
    if applies(inner, shape.transpose) and axes is inner.settings.get("axes") is None:
        return inner.operands[0]
    if axes is not None and order == sorted(order, reverse=True):
        return Apply(shape.transpose, (inner,), {}, whole.shape)
    if applies(inner, linalg.matmul) and all(o.ndim == 2 for o in inner.operands):
        a, b = inner.operands
        if any(applies(o, shape.transpose) for o in (a, b)):  # (Aᵀ B)ᵀ = Bᵀ A
            return apply(linalg.matmul, apply(shape.transpose, b), apply(shape.transpose, a))
    return None


def swapped(whole: Apply) -> Expression | None:
    """An exchange of the two axes of a matrix, written as its transpose."""
    inner = whole.operands[0]
    if inner.ndim == 2:
        axes = {whole.settings["axis1"] % 2, whole.settings["axis2"] % 2}
        return inner if len(axes) == 1 else Apply(shape.transpose, (inner,), {}, whole.shape)
    if applies(inner, shape.swapaxes) and inner.settings == whole.settings:
        return inner.operands[0]
    return None


def taken(whole: Apply) -> Expression | None:
    """A part of a repeated number, of a stack, or of a product whose other factors are numbers."""
    inner = whole.operands[0]
    if applies(inner, shape.broadcast_to) and not inner.operands[0].shape:
        return repeated(inner.operands[0], whole.shape)
    signed = in_front(whole)
    if signed is not None:
        return signed
    place = whole.settings["index"]
    if isinstance(inner, Stack) and isinstance(place, Step) and place.sign == 1 and are_consecutive(inner.steps):
        return inner.inner.shifted(place.offset + inner.steps[0])
    if isinstance(place, Step) and is_product(inner):
        return _row_of_each(inner, whole)
    return None


def _row_of_each(inner: Expression, whole: Apply) -> Expression | None:
    """The row of a product as the product of rows, if each factor has the same number of axes or is a number."""
    if not all((f.ndim == inner.ndim and f.shape[0] == inner.shape[0]) or not f.shape for f in inner.operands):
        return None
    rows = [f if not f.shape else whole.with_operands((f,)) for f in inner.operands]
    return product(rows)


def put(whole: Apply) -> Expression | None:
    """An assembled array, with signs and divisors of its pieces moved in front."""
    if len(whole.settings["indices"]) > 1:
        return None
    if _only_adds_axes(whole.settings["indices"][0]):
        return Apply(shape.reshape, whole.operands[:1], {"shape": whole.shape}, whole.shape)
    return in_front(whole)


def _only_adds_axes(index: object) -> bool:
    """Return True for an index such as ``[:, None]``, which takes everything and adds axes of length 1."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in parts)


def summed_over(whole: Apply) -> Expression | None:
    """A sum over axes, with the sign in front; without axes, no sum at all."""
    inner = whole.operands[0]
    axis = one_axis(whole.settings.get("axis"))
    if axis == () or (not inner.shape):
        return inner
    if axis != whole.settings.get("axis"):
        return Apply(whole.operation, whole.operands, {**whole.settings, "axis": axis}, whole.shape)
    if axis is not None and inner.ndim and not whole.shape:
        return Apply(whole.operation, (inner,), {**whole.settings, "axis": None}, whole.shape)
    if inner.shape and math.prod(inner.shape) == math.prod(whole.shape):  # over axes of length 1
        return Apply(shape.reshape, (inner,), {"shape": whole.shape}, whole.shape)
    if applies(inner, elementwise.divide) and inner.operands[0].shape == inner.shape:
        above, below = inner.operands
        if _is_the_same_along(axis, below, inner) and (below.ndim < inner.ndim or whole.settings.get("keepdims")):
            return Apply(elementwise.divide, (whole.with_operands((above,)), below), {}, whole.shape)
    return in_front(whole)


def _is_the_same_along(axis: object, part: Expression, whole: Expression) -> bool:
    """Return True for a part of a product or quotient that has the same value all along an axis."""
    if not isinstance(axis, int):
        return not part.shape
    place = axis % whole.ndim - (whole.ndim - part.ndim)
    return place < 0 or part.shape[place] == 1


def matrix_product(whole: Apply) -> Expression | None:
    """A matrix product, with signs and divisors in front; a product with zeros is zero."""
    if any(map(is_zero, whole.operands)):
        return repeated(Number(0.0), whole.shape)
    return in_front(whole, 0) or in_front(whole, 1)


def contracted(whole: Apply) -> Expression | None:
    """An einsum with signs and numbers in front; one with zeros is zero."""
    if any(map(is_zero, whole.operands)):
        return repeated(Number(0.0), whole.shape)
    terms, arrow, result = whole.settings["subscripts"].partition("->")
    number, kept = 1.0, []
    for term, operand in zip(terms.split(","), whole.operands):
        if is_negative(operand):
            number, operand = -number, operand.operands[0]
        if isinstance(operand, Number):
            number *= operand.value
        else:
            kept.append((term, operand))
    if not arrow or not kept or (number == 1 and len(kept) == len(whole.operands)):
        return None
    terms, operands = ",".join(term for term, _ in kept), tuple(operand for _, operand in kept)
    is_itself = terms == result and len(kept) == 1
    settings = {**whole.settings, "subscripts": f"{terms}->{result}"}
    return scaled(operands[0] if is_itself else Apply(whole.operation, operands, settings, whole.shape), number)
