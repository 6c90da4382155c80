"""The order in which Values are written as machine code: as much as possible runs in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...autodiff.rules import linalg, shape
from ..elements.expressions import has_expression
from ..elements.function import NoMachineCode
from ..graph.shapes import is_view
from ..graph.values import Value, name_of
from . import folds, passes, pieces, products
from .placement import Placement

WRITERS: dict[Any, Callable[[Placement, Value], None]] = {
    **dict.fromkeys((linalg.matmul, linalg.contraction), products.compute),
    **dict.fromkeys(pieces.LINES, pieces.write),
    **folds.WRITERS,
}


def write(placement: Placement, values: Iterable[Value]) -> None:
    """Write Values in an order that makes passes large: other operations first, then all that fit into one pass.

    Raises:
        NoMachineCode: something can't be written.
    """
    waiting = list(values)
    while waiting:
        unmade = set(waiting)
        others = (v for v in waiting if not has_expression(v) and unmade.isdisjoint(v.operands))
        value = next(others, None)
        if value is not None:
            _write_alone(placement, value)
            waiting.remove(value)
        else:
            chosen = _one_pass(waiting)
            if not chosen:
                raise NoMachineCode(name_of(waiting[0].op))
            sums = [
                v for v in waiting if passes.is_summed_in_pass(v, placement.code.writer.fixed) and v.args[0] in chosen
            ]
            passes.compute(placement, chosen, sums)
            for value in sums:
                _hand_on(placement, value)
            waiting = [v for v in waiting if v not in chosen and v not in sums]


def _write_alone(placement: Placement, value: Value) -> None:
    if is_view(value):
        if not placement.view(value):
            passes.copy(placement, placement.copied(value), value.args[0])
    elif value.op is shape.joined:
        _join(placement, value)
    elif value.op in WRITERS:
        WRITERS[value.op](placement, value)
        _hand_on(placement, value)
    else:
        raise NoMachineCode(name_of(value.op))


def _join(placement: Placement, value: Value) -> None:
    """Copy the parts that have to be copied; the other parts were written in their places."""
    if value not in placement.writes:
        placement.join(value)
    for place, piece in placement.parts.get(value, []):
        passes.copy(placement, place, piece)
    placement.home(value)
    passes.accumulate(placement, value)


def _hand_on(placement: Placement, value: Value) -> None:
    """Copy a Value from its home to all other places where it is wanted."""
    for place in placement.writes[value][1:]:
        passes.copy(placement, place, value)
    passes.accumulate(placement, value)


def _one_pass(waiting: list[Value]) -> dict[Value, None]:
    """The elementwise Values of one shape whose operands are known, or are computed in the same pass."""
    unmade = set(waiting)
    chosen: dict[Value, None] = {}
    for v in waiting:
        if not has_expression(v) or (chosen and v.shape != next(iter(chosen)).shape):
            continue
        if all(a not in unmade or (a in chosen and a.shape == v.shape) for a in v.operands):
            chosen[v] = None
    return chosen
