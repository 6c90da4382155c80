"""Simplifications while recording: operations that change nothing, and shorter ways for others.

A transpose of a transpose is the original array; only the last of several reshapes counts; a sum of a sum is one sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...autodiff.rules import elementwise, indexing, linalg, reductions, shape
from .shapes import inferred, order_of_axes
from .values import Value

ORDERS = {shape.transpose, shape.swapaxes, shape.moveaxis}
Made = Callable[[Any, "tuple[Any, ...]", "dict[str, Any]"], Value]


def simplified(
    made: Made, op: Any, args: tuple[Any, ...], keywords: dict[str, Any], in_step: bool = False
) -> Value | None:
    """A shorter way to the same value, or None.

    Args:
        made: returns the Value of an operation with these arguments and keywords.
        op: the operation to record.
        args: its arguments.
        keywords: its keywords.
        in_step: whether a step is being recorded that will stand in a loop.
    """
    a = args[0] if args else None
    if not isinstance(a, Value):
        return None
    if op is elementwise.positive:
        return a
    if op in (shape.broadcast_to, shape.cast) and next(iter((*args[1:], *keywords.values()))) in (a.shape, a.dtype):
        return a
    if op is elementwise.negative and a.op is elementwise.negative:
        return a.args[0]
    if op in ORDERS and a.op in ORDERS and (back := _reordered_back(op, a, args, keywords)) is not None:
        return back
    if op is shape.transpose:
        return _transposed(made, a, args, keywords)
    if op is shape.reshape:
        return _reshaped(made, a, inferred(op, args, keywords)[0], args[1])
    if op is reductions.sum and a.op is op:
        return _summed_at_once(made, a, keywords)
    if op is indexing.assemble:
        return as_concatenation(made, args, keywords["indices"], keywords["shape"])
    if op is indexing.getitem and a.op is shape.joined:
        return piece_of(a, args[1])
    if op is linalg.matmul and a.ndim > 2 and not in_step:
        return _product_of_rows(made, a, args[1])
    return None


def _reordered_back(op: Any, a: Value, args: tuple[Any, ...], keywords: dict[str, Any]) -> Value | None:
    """The Value before its axes were reordered, if this operation restores their order."""
    first, second = order_of_axes(a), order_of_axes(Value(op, args, keywords, a.shape, a.dtype))
    return a.args[0] if [first[axis] for axis in second] == [*range(a.ndim)] else None


def _transposed(made: Made, a: Value, args: tuple[Any, ...], keywords: dict[str, Any]) -> Value | None:
    """An order of axes is spelled out only where it is neither the old one nor its reverse."""
    inferred(shape.transpose, args, keywords)  # NumPy raises if there is no such order
    axes = keywords.get("axes", args[1] if len(args) > 1 else None)
    order = list(range(a.ndim))[::-1] if axes is None else [i % a.ndim for i in axes]
    if order == sorted(order):
        return a
    if order != sorted(order, reverse=True):
        return None
    if a.op is shape.transpose and len(a.args) == 1:
        return a.args[0]
    return None if axes is None else made(shape.transpose, (a,), {})


def _product_of_rows(made: Made, a: Value, b: Any) -> Value | None:
    """A stack of matrices times one matrix is one product of all rows."""
    if not isinstance(b, Value) or b.ndim != 2 or a.shape[-1] != b.shape[0]:
        return None
    rows = made(shape.reshape, (a, (math.prod(a.shape[:-1]), a.shape[-1])), {})
    return made(shape.reshape, (made(linalg.matmul, (rows, b), {}), (*a.shape[:-1], b.shape[-1])), {})


def _reshaped(made: Made, a: Value, new: tuple[int, ...], asked: Any) -> Value | None:
    """Shapes are spelled out, and only the last of several reshapes counts."""
    if new == a.shape:
        return a
    if a.op is shape.reshape:
        return made(shape.reshape, (a.args[0], new), {})
    return None if asked == new else made(shape.reshape, (a, new), {})


def _summed_at_once(made: Made, a: Value, keywords: dict[str, Any]) -> Value | None:
    """A sum of a sum over other axes is one sum over all of them, if no axis was kept."""
    axes = [k.get("axis") for k in (a.keywords, keywords)]
    if None in axes or keywords.get("keepdims") or a.keywords.get("keepdims"):
        return None
    ndim = a.args[0].ndim
    first, second = (axis if isinstance(axis, tuple) else (axis,) for axis in axes)
    gone = {i % ndim for i in first}
    left = [i for i in range(ndim) if i not in gone]
    both = sorted(gone | {left[i % len(left)] for i in second})
    return made(reductions.sum, a.args, {"axis": tuple(both)})


def as_concatenation(made: Made, pieces: tuple[Any, ...], indices: Any, whole: tuple[int, ...]) -> Value | None:
    """Pieces that lie side by side along one axis and leave no gap: no zeros are needed under them."""
    found = [part_of_axis(index, whole) for index in indices]
    axes = {part[0] for part in found if part is not None}
    if len(axes) != 1 or None in found:
        return None
    (axis,) = axes
    ordered = sorted(zip(found, pieces), key=lambda pair: pair[0][1])  # type: ignore[index]
    starts = [0]
    for (_, start, stop), piece in ordered:  # type: ignore[misc]
        if start != starts[-1] or piece.ndim != len(whole):
            return None
        starts.append(stop)
    if starts[-1] != whole[axis]:
        return None
    keywords = {"axis": axis - len(whole), "starts": tuple(starts)}
    return made(shape.joined, tuple(piece for _, piece in ordered), keywords)


def part_of_axis(index: Any, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """The (axis, start, stop) of an index that takes a contiguous part of one axis and all of the others; else None."""
    index = indexing.spelled_out(index, len(shape))
    if len(index) > len(shape) or not all(isinstance(part, slice) and part.step in (None, 1) for part in index):
        return None
    bounds = [(i, *part.indices(n)[:2]) for i, (part, n) in enumerate(zip(index, shape))]
    partial = [(i, start, stop) for i, start, stop in bounds if (start, stop) != (0, shape[i])]
    return partial[0] if len(partial) == 1 and partial[0][2] > partial[0][1] else None


def piece_of(whole: Value, index: Any) -> Value | None:
    """The piece of a concatenation that an index takes out; None if it isn't exactly one."""
    part = part_of_axis(index, whole.shape)
    axis, starts = whole.keywords["axis"], whole.keywords["starts"]
    if part is None or axis is None or part[0] != axis % whole.ndim:
        return None
    for piece, start, stop in zip(whole.args, starts, starts[1:]):
        if (start, stop) == part[1:]:
            return piece
    return None
