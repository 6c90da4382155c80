"""Independent rows of a batch: each part of them goes through a whole loop on a thread of its own.

So threads meet once, at the end, and not at every step. A row's numbers don't depend on who computes it (see
``runtime.tiled_product``), so what loops compute is the same, bit for bit, with any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...autodiff.rules import indexing, linalg, reductions, shape
from ..graph.shapes import acts_by_element
from ..graph.values import Value, values_in
from .loop import Loop, LoopResult


def batch_of(loop: Loop, results: Sequence[LoopResult]) -> int:
    """The number of rows that a loop computes independently: the length of the first axis of all that it computes.

    Returns:
        0 if some row depends on another one, or might.
    """
    body = loop.body(results)
    made = {*body, *loop.befores}
    computed = [*made, *loop.ends(results)]
    rows = computed[0].shape[0] if computed and computed[0].ndim else 0
    if rows < 2 or any(v.shape[:1] != (rows,) for v in computed):
        return 0
    return rows if all(_keeps_rows(v, [a for a in values_in(v.args) if a in made]) for v in body) else 0


def _keeps_rows(value: Value, inside: Sequence[Value]) -> bool:
    """Return True if each row of a Value needs only the same row of the operands computed inside.

    All of them have equally many rows; what else an operation reads is there already, and may be read anywhere.
    """
    if acts_by_element(value.op) or value.op is shape.broadcast_to:
        return all(a.ndim == value.ndim for a in inside)
    if value.op in (shape.reshape, shape.expand_dims, shape.squeeze):
        return True
    if value.op is indexing.getitem:
        index = value.args[1]
        first = index[0] if isinstance(index, tuple) and index else index
        return first is Ellipsis or first == slice(None)
    if value.op is linalg.matmul:
        return value.ndim == 2 and inside == [value.args[0]]
    if value.op is shape.joined:
        return value.keywords["axis"] is not None and value.keywords["axis"] % value.ndim > 0
    if value.op in (reductions.sum, reductions.mean):
        (a,), axis = value.args, value.keywords.get("axis")
        axes = axis if isinstance(axis, tuple) else (axis,)
        return axis is not None and all(i % a.ndim > 0 for i in axes)
    return False
