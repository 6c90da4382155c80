"""The order in which Values are written as machine code: as much as possible runs in one pass."""

from __future__ import annotations

from collections.abc import Iterable

from ...autodiff.rules import shape
from ..elements.expressions import has_expression
from ..elements.function import MachineCode, NoMachineCode
from ..graph.shapes import is_view
from ..graph.values import Value, name_of
from .folds import Folds
from .passes import Elements, is_summed_in_pass
from .pieces import Pieces
from .placement import Placement
from .products import Products


class Schedule:
    """A writer of Values in an order that makes passes large: other operations first, then all that fit into one pass.

    Attributes:
        code: the function to write to.
        placement: where Values lie.
        elements: the writer of passes and copies.
        products: the writer of products.
    """

    def __init__(self, code: MachineCode) -> None:
        self.code = code
        self.placement = Placement(code)
        self.elements = Elements(code, self.placement)
        self.products = Products(code, self.placement)
        self._writers = {
            **self.products.of,
            **Pieces(code, self.placement).of,
            **Folds(code, self.placement).of,
        }

    def write(self, values: Iterable[Value]) -> None:
        """Write everything.

        Raises:
            NoMachineCode: something can't be written.
        """
        waiting = list(values)
        while waiting:
            unmade = set(waiting)
            others = (v for v in waiting if not has_expression(v) and unmade.isdisjoint(v.operands))
            value = next(others, None)
            if value is not None:
                self._write_alone(value)
                waiting.remove(value)
            else:
                chosen = _one_pass(waiting)
                if not chosen:
                    raise NoMachineCode(name_of(waiting[0].op))
                sums = [v for v in waiting if is_summed_in_pass(v, self.code.writer.fixed) and v.args[0] in chosen]
                self.elements.compute(chosen, sums)
                for value in sums:
                    self._hand_on(value)
                waiting = [v for v in waiting if v not in chosen and v not in sums]

    def _write_alone(self, value: Value) -> None:
        if is_view(value):
            if not self.placement.view(value):
                self.elements.copy(self.placement.copied(value), value.args[0])
        elif value.op is shape.joined:
            self._join(value)
        elif value.op in self._writers:
            self._writers[value.op](value)
            self._hand_on(value)
        else:
            raise NoMachineCode(name_of(value.op))

    def _join(self, value: Value) -> None:
        """Copy the parts that have to be copied; the other parts were written in their places."""
        if value not in self.placement.writes:
            self.placement.join(value)
        for place, piece in self.placement.parts.get(value, []):
            self.elements.copy(place, piece)
        self.placement.home(value)
        self.elements.accumulate(value)

    def _hand_on(self, value: Value) -> None:
        """Copy a Value from its home to all other places where it is wanted."""
        for place in self.placement.writes[value][1:]:
            self.elements.copy(place, value)
        self.elements.accumulate(value)


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
