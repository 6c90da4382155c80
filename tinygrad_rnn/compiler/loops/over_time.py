"""The over-time form of operations: a single operation for all steps at once.

An operation on the arrays of one time step can often be run once, on arrays with a time axis in front, instead of T
times: elementwise functions as they are, a product with a weight as one product of T·B rows. The table below says how.
Operations that aren't in it stay in the loop.

Every rule gets the Value of one step, its operands at all steps (an operand that doesn't change comes as it is), and
whether each operand changes. It returns the result for all steps, or None if that can't be done.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autodiff.rules import indexing, linalg, reductions, shape
from ...autodiff.scope import context
from ..graph.shapes import ALONG_AXES, REDUCTIONS, REDUCTIONS_WITHOUT_GRADIENT, acts_by_element, order_of_axes
from ..graph.trace import Trace, Tracer, tracer
from ..graph.values import Value, is_constant

Rule = Callable[..., Any]


def over_time(trace: Trace, steps: int, step: Value, args: Sequence[Any], moving: Sequence[bool]) -> Value | None:
    """The values of all steps, (T, ...), of an operation that is known for one step.

    Args:
        trace: where to record it.
        steps: T.
        step: the Value of one step.
        args: its operands; those that change from step to step have a time axis in front.
        moving: for each operand, whether it changes.
    """
    rule = by_element if acts_by_element(step.op) else RULES.get(step.op)
    if rule is None:
        return None
    with trace.recording():
        stand_ins = [tracer(a) if isinstance(a, Value) else a for a in args]
        result = rule(steps, step, stand_ins, moving, **step.keywords)
    return result._data if isinstance(result, Tracer) else None


def spread(a: Any, moving: bool, ndim: int) -> Any:
    """Axes of length 1 between time and the rest, so that operands of fewer axes broadcast as they do in one step."""
    missing = ndim + 1 - np.ndim(a)
    return a if not moving or missing <= 0 else np.reshape(a, (a.shape[0], *(1,) * missing, *a.shape[1:]))


def repeated(steps: int, a: Any, moving: bool) -> Any:
    """An operand with a time axis, whether it changes or not."""
    return a if moving else np.broadcast_to(a, (steps, *np.shape(a)))


def by_element(steps: int, step: Value, args: Any, moving: Any, **keywords: Any) -> Any:
    """Elementwise functions: broadcasting aligns trailing axes, so a time axis in front doesn't affect them."""
    aligned = [spread(a, m, step.ndim) for a, m in zip(args, moving)]
    return _record(step.op, aligned, keywords)


def _record(op: Any, args: Sequence[Any], keywords: dict[str, Any]) -> Any:
    return context.trace.record(op, tuple(args), keywords)


def _as_rows(a: Any) -> Any:
    """A matrix of all rows. The number of rows is explicit, since NumPy can't infer it if there are no elements."""
    return np.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))


def _matmul(steps: int, step: Value, args: Any, moving: Any) -> Any:
    """Rows times one matrix: one product over all steps. Two that change: a product for each step."""
    a, b = args
    if not moving[1]:
        if b.ndim > 2:
            return None
        return np.reshape(_rows_times(a, b), (steps, *step.shape))
    if not moving[0]:  # W h: (hᵀ Wᵀ)ᵀ, where that needs no copy
        return np.reshape(b @ a.T, (steps, *step.shape)) if b.ndim == 2 and a.ndim == 2 else None
    if a.ndim < 3 or b.ndim < 3 or a.ndim != b.ndim:
        return None
    return a @ b


def is_looked_up(value: Any) -> bool:
    """Return True for rows of a table that has fewer rows than are looked up in it."""
    table, index = value.args if isinstance(value, Value) and value.op is indexing.getitem else (value, None)
    is_index = isinstance(index, Value) and index.dtype.kind in "iu"
    return is_index and table.ndim == 2 and index.size > table.shape[0]


def _rows_times(a: Any, b: Any) -> Any:
    """The product of all rows and a matrix. A table with fewer rows than are looked up is multiplied first.

    A row that isn't looked up counts as zero: if it holds infinities or NaN, they must not reach the matrix's gradient.
    """
    value = a._data
    if not is_looked_up(value):
        return _as_rows(a) @ b
    table, index = value.args
    once, where = np.ones(index.shape, table.dtype), {"indices": (index,), "shape": table.shape[:1]}
    if is_constant(index):
        times = indexing.assemble.forward(once, **{**where, "indices": (index.array,)})
    else:
        times = _record(indexing.assemble, [once], {**where, "indices": (tracer(index),)})
    return (np.where((times > 0)[:, None], tracer(table), 0) @ b)[tracer(index)]


def _later(axis: Any, ndim: int) -> Any:
    """Axes of one step, counted from the end, so that a time axis in front doesn't shift them."""
    if axis is None:
        return tuple(range(-ndim, 0))
    return tuple(_later(i, ndim) for i in axis) if isinstance(axis, tuple) else int(axis) % ndim - ndim


def _reduction(steps: int, step: Value, args: Any, moving: Any, axis: Any = None, **keywords: Any) -> Any:
    (a,) = args
    return _record(step.op, [a], {"axis": _later(axis, a.ndim - 1), **keywords})


def _arg_reduction(steps: int, step: Value, args: Any, moving: Any, axis: Any = None, **keywords: Any) -> Any:
    if axis is None or len(args) > 1:
        return None
    return _record(step.op, args, {"axis": _later(axis, args[0].ndim - 1), **keywords})


def _new_shape(steps: int, step: Value, args: Any, moving: Any, **keywords: Any) -> Any:
    return np.reshape(args[0], (steps, *step.shape))


def _transpose(steps: int, step: Value, args: Any, moving: Any) -> Any:
    return np.transpose(args[0], (0, *(axis + 1 for axis in order_of_axes(step))))


def _broadcast(steps: int, step: Value, args: Any, moving: Any, **keywords: Any) -> Any:
    return np.broadcast_to(spread(args[0], True, step.ndim), (steps, *step.shape))


def _joined(steps: int, step: Value, args: Any, moving: Any, axis: int | None, starts: Any) -> Any:
    if axis is None:
        return None
    arrays = [repeated(steps, a, m) for a, m in zip(args, moving)]
    return _record(step.op, arrays, {"axis": axis % step.ndim - step.ndim, "starts": starts})


def _stacked(steps: int, step: Value, args: Any, moving: Any, axis: int = 0) -> Any:
    arrays = [repeated(steps, a, m) for a, m in zip(args, moving)]
    return _record(step.op, arrays, {"axis": axis % step.ndim - step.ndim})


def _getitem(steps: int, step: Value, args: Any, moving: Any) -> Any:
    a, index = args
    if not moving[0]:  # an embedding: rows of one table, by indices that change
        return a[index] if isinstance(index, Tracer) else None
    if not indexing.is_basic(index):
        return None
    return a[(slice(None), *(index if isinstance(index, tuple) else (index,)))]


def _assemble(steps: int, step: Value, args: Any, moving: Any, indices: Any, shape: tuple[int, ...]) -> Any:
    if not all(map(indexing.is_basic, indices)):
        return None
    later = tuple((slice(None), *(index if isinstance(index, tuple) else (index,))) for index in indices)
    pieces = [repeated(steps, a, m) for a, m in zip(args, moving)]
    return _record(step.op, pieces, {"indices": later, "shape": (steps, *shape)})


def _einsum(steps: int, step: Value, args: Any, moving: Any, subscripts: str, **options: Any) -> Any:
    shapes = [a.shape[1:] if m else a.shape for a, m in zip(args, moving)]
    terms, result = linalg.explicit_subscripts(subscripts, shapes)
    time = next(letter for letter in string.ascii_letters if letter not in "".join(terms) + result)
    left = ",".join(time + term if m else term for term, m in zip(terms, moving))
    return _record(step.op, args, {"subscripts": f"{left}->{time}{result}", **options})


RULES: dict[Any, Rule] = {
    linalg.matmul: _matmul,
    linalg.contraction: _einsum,
    shape.reshape: _new_shape,
    shape.transpose: _transpose,
    shape.broadcast_to: _broadcast,
    shape.joined: _joined,
    shape.stacked: _stacked,
    indexing.getitem: _getitem,
    indexing.assemble: _assemble,
    **dict.fromkeys(REDUCTIONS | ALONG_AXES, _reduction),
    **dict.fromkeys(REDUCTIONS_WITHOUT_GRADIENT, _arg_reduction),
}


# --- sums over time --------------------------------------------------------------------------------------------------


def sum_over_time(trace: Trace, a: Value) -> Value:
    """The sum over the time axis."""
    with trace.recording():
        value: Value = reductions.sum(tracer(a), axis=0)._data
    return value
