"""Machine code for passes over elements, copies and sums.

Elementwise operations of one shape run together, in one pass over the elements; intermediate results stay in
registers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...autodiff.rules import reductions
from .. import thresholds
from ..elements.addresses import Place, aligned
from ..elements.expressions import TYPES, converted, expression, literal, number_type, operand_type
from ..elements.function import MachineCode, NoMachineCode
from ..graph.values import Value
from .placement import Placement

LARGEST_LENGTH = 2**40


class Elements:
    """A writer of passes over elements.

    Args:
        code: the function to write to.
        placement: where the elements lie.
    """

    def __init__(self, code: MachineCode, placement: Placement) -> None:
        self._code, self._placement = code, placement
        self._computed = 0

    def compute(self, values: Mapping[Value, None]) -> None:
        """Write a pass that computes elementwise Values of one shape, in this order."""
        sizes = next(iter(values)).shape
        indices = _indices(len(sizes))
        names: dict[Value, str] = {}
        loads: dict[str, str] = {}
        lines: list[str] = []
        stores: list[str] = []

        def name(a: Value) -> str:
            """A Value of the same pass, or one that is loaded."""
            if a in names:
                return names[a]
            element = self._placement.place_of(a).at(aligned(indices, a.shape))
            return loads.setdefault(element, f"x{len(loads)}_{self._computed}")

        for v in values:
            types = [operand_type(v, i) for i in range(len(v.args))]
            args = [
                converted(name(a), a.dtype, dtype) if isinstance(a, Value) else self._constant(a, dtype)
                for a, dtype in zip(v.args, types)
            ]
            text = expression(v, args)
            self._computed += 1
            names[v] = f"v{self._computed}"
            lines.append(f"{names[v]} = {text}")
            if self._placement.is_wanted(v, values.keys()):
                self._placement.home(v)
            stores += [f"{place.at(indices)} = {names[v]}" for place in self._placement.writes.get(v, [])]
            stores += [f"{place.at(indices)} += {names[v]}" for place in self._placement.sums.get(v, [])]
        lines = [*(f"{x} = {element}" for element, x in loads.items()), *lines, *stores]
        self._code.kernel("elements", self._code.nest(sizes, lines))

    def _constant(self, a: object, dtype: np.dtype) -> str:
        """An operand that isn't a Value; if it may follow the sizes of the arguments, it is computed from arguments."""
        if not isinstance(a, (bool, np.bool_, int, float, np.number)):
            if a is None or isinstance(a, (type, np.dtype)):  # a missing bound, the type of a cast
                return "None"
            raise NoMachineCode(f"the constant {a!r}")
        written = literal(a, dtype)
        kind, has_kind, _ = written.partition("(")
        if self._code.writer.fixed is None or not has_kind:
            return written
        number = float(a)
        if 1 < number < LARGEST_LENGTH and number.is_integer() and not self._code.is_written(int(number)):
            return f"{kind}({self._code.size(int(number))})"
        if 1 / LARGEST_LENGTH < number < 1 and not self._code.is_written(length := round(1 / number)):
            return f"{kind}(1.0 / {self._code.size(length)})" if 1.0 / length == number else written
        return written

    def copy(self, place: Place, value: Value) -> None:
        """Write a Value to a second place."""
        indices = _indices(value.ndim)
        line = f"{place.at(indices)} = {self._placement.place_of(value).at(indices)}"
        self._code.kernel("copy", self._code.nest(value.shape, [line]))

    def accumulate(self, value: Value) -> None:
        """Add a Value to its sum over time, if one is wanted."""
        indices = _indices(value.ndim)
        for place in self._placement.sums.get(value, []):
            line = f"{place.at(indices)} += {self._placement.place_of(value).at(indices)}"
            self._code.kernel("sum", self._code.nest(value.shape, [line]))

    def reduce(self, value: Value) -> None:
        """A sum or a mean; in float64 if the result is a single number."""
        (a,) = value.args
        axis = value.keywords.get("axis")
        axes = range(a.ndim) if axis is None else [i % a.ndim for i in (axis if isinstance(axis, tuple) else (axis,))]
        count = a.size // max(value.size, 1)
        if not 0 < count <= thresholds.SMALL_SUM or not {a.dtype, value.dtype} <= TYPES:
            raise NoMachineCode("a sum of many elements, or of none")
        indices = _indices(a.ndim)
        kept = ["0" if i in axes else index for i, index in enumerate(indices)]
        if not value.keywords.get("keepdims"):
            kept = [index for i, index in enumerate(indices) if i not in axes]
        source, home = self._placement.place_of(a).at(indices), self._placement.home(value)
        real = number_type(value.dtype)
        share = f"{1 / count!r}" if self._code.is_written(count) else f"1.0 / {self._code.size(count)}"
        scale = f" * {real}({share})" if value.op is reductions.mean else ""
        term = converted(source, a.dtype, value.dtype)
        summed, outer = sorted(axes), [i for i in range(a.ndim) if i not in axes]
        if value.size == 1 and value.dtype.kind == "f":
            inner = self._code.nest(a.shape, [f"x += f64({term})"])
            lines = ["x = f64(0.0)", *inner, f"{home.at(kept)} = {real}(x){scale}"]
        elif a.ndim - 1 in axes:  # neighbours in memory: they are added up as a vector
            inner = self._code.nest_along(a.shape, summed, [f"x += {term}"])
            lines = [f"x = {literal(0, value.dtype)}", *inner, f"{home.at(kept)} = x{scale}"]
            lines = self._code.nest_along(a.shape, outer, lines)
        else:
            lines = [
                *self._code.nest(value.shape, [f"{home.at(_indices(value.ndim))} = {literal(0, value.dtype)}"]),
                *self._code.nest(a.shape, [f"{home.at(kept)} += {term}{scale}"]),
            ]
        self._code.kernel("sum", lines, reorders=a.ndim - 1 in axes)


def _indices(ndim: int) -> list[str]:
    return [f"i{axis}" for axis in range(ndim)]
