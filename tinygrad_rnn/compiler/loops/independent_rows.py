"""Independent rows of a batch: each part of them goes through a whole loop on a thread of its own.

So threads meet once, at the end, and not at every step. A row's numbers don't depend on the thread that computes them
(see ``runtime.tiled_product``), so the results of loops are the same, bit for bit, with any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...autodiff.rules import cumulative, indexing, linalg, shape
from ..graph.shapes import (
    ALONG_AXES,
    REDUCTIONS,
    REDUCTIONS_WITHOUT_GRADIENT,
    acts_by_element,
    letters_of,
    order_of_axes,
    reduced_axes,
)
from ..graph.values import Value
from .loop import Loop, LoopResult

ALONG_ONE_AXIS = {shape.joined, shape.stacked, cumulative.running_sum, cumulative.running_product}


def batch_of(loop: Loop, results: Sequence[LoopResult]) -> int:
    """The number of rows that a loop computes independently: the length of the first axis of all its Values.

    Returns:
        0 if some row depends on another one, or might.
    """
    body = loop.body(results)
    made = {*body, *loop.befores}
    computed = [*made, *loop.ends(results)]
    rows = computed[0].shape[0] if computed and computed[0].ndim else 0
    if rows < 2 or any(v.shape[:1] != (rows,) for v in computed):
        return 0
    return rows if all(_keeps_rows(v, [a for a in v.operands if a in made]) for v in body) else 0


def _keeps_rows(value: Value, inside: Sequence[Value]) -> bool:
    """Return True if each row of a Value needs only the same row of the operands computed inside.

    All Values computed inside have the same number of rows. Other operands exist already, and may be read anywhere.
    """
    if acts_by_element(value.op) or value.op is shape.broadcast_to:
        return all(a.ndim == value.ndim for a in inside)
    if value.op is shape.reshape:  # of other rows, also of a given one, which is copied as a whole
        return value.operands[0].shape[:1] == value.shape[:1]
    if value.op is indexing.getitem:
        base, index = value.args
        return _stays_in_rows(index, base.shape, inside, may_be_anywhere=base not in inside)
    if value.op is indexing.updated:
        _, new, index = value.args
        return _is_aligned(value, new, index, inside) and _stays_in_rows(index, value.shape, inside)
    if value.op is indexing.assemble:
        parts = [*zip(value.args, value.keywords["indices"])]
        return all(_is_aligned(value, a, i, inside) and _stays_in_rows(i, value.shape, inside) for a, i in parts)
    if value.op in (linalg.matmul, linalg.contraction):
        terms, result = letters_of(value)
        return all(term[:1] == result[:1] for term, a in zip(terms, value.args) if a in inside)
    if value.op is shape.transpose:
        return order_of_axes(value)[0] == 0
    if value.op in ALONG_ONE_AXIS:
        axis = value.keywords.get("axis", value.args[1] if len(value.args) > 1 else 0)
        return axis is not None and axis % value.ndim > 0
    if value.op in REDUCTIONS | ALONG_AXES | REDUCTIONS_WITHOUT_GRADIENT:
        return 0 not in reduced_axes(value)
    return False


def _is_aligned(whole: Value, piece: object, index: object, inside: Sequence[Value]) -> bool:
    """Return True if the first axis of a piece is that of the part where it belongs."""
    return piece not in inside or len(indexing.selected_shape(whole.shape, index)) == getattr(piece, "ndim", 0)


def _stays_in_rows(
    index: object, whole: tuple[int, ...], inside: Sequence[Value], may_be_anywhere: bool = False
) -> bool:
    """Return True if what an index selects for each row of the result lies in the same row of the whole.

    The arrays of the index, if there are any, stand together behind the first axis; or one of them counts the rows.
    If the whole ``may_be_anywhere``, it exists already, and only the index is computed by rows.
    """
    parts = indexing.spelled_out(index, len(whole))
    arrays = [part for part in parts if isinstance(part, Value)]
    first = parts[0] if parts else slice(None)
    if not arrays:
        return _takes_all(first, whole)
    ndim, places = max(a.ndim for a in arrays), [isinstance(part, Value) for part in parts]
    if isinstance(first, slice):
        chosen = [isinstance(part, (Value, int, np.integer)) for part in parts]  # an int is as good as an array here
        together = chosen[chosen.index(True) : len(chosen) - chosen[::-1].index(True)]
        return _takes_all(first, whole) and all(together) and not any(a in inside for a in arrays)
    if not isinstance(first, Value) or places != sorted(places, reverse=True):
        return False
    counts = may_be_anywhere or (first.ndim == ndim and _counts_rows(first, whole[0]))
    return counts and all(a.ndim == ndim for a in arrays if a in inside)


def _takes_all(part: object, whole: tuple[int, ...]) -> bool:
    """Return True for a slice of all rows in their order, also where it is written out, as padding does."""
    return isinstance(part, slice) and (part == slice(None) or part.indices(whole[0]) == (0, whole[0], 1))


def _counts_rows(index: Value, rows: int) -> bool:
    """Return True for 0, 1, 2, ... along the first axis: each of the rows once."""
    is_column = index.size == rows and index.shape[:1] == (rows,)
    return is_column and index.array is not None and np.array_equal(index.array.ravel(), np.arange(rows))
