"""Machine code for passes over elements, and for copies.

Elementwise operations of one shape run together, in one pass over the elements; intermediate results stay in
registers.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np

from ...autodiff.rules import reductions
from .. import thresholds
from ..elements.addresses import Place, aligned, whole
from ..elements.expressions import converted, expression, literal, number_type, operand_type
from ..elements.function import MachineCode, NoMachineCode
from ..graph.shapes import reduced_axes
from ..graph.values import Value
from ..runtime.tiles import vector_registers
from .placement import Placement

LARGEST_LENGTH = 2**40


class Elements:
    """A writer of passes over elements."""

    def __init__(self, code: MachineCode, placement: Placement) -> None:
        self._code, self._placement = code, placement
        self._computed = 0

    def compute(self, values: Mapping[Value, None], sums: Sequence[Value] = ()) -> None:
        """Write a pass that computes elementwise Values of one shape, in this order, and some sums of them."""
        sizes = next(iter(values)).shape
        rows = {value: self._begun(value) for value in sums}
        computed = {*values, *sums}
        for v in values:
            if self._placement.is_wanted(v, computed):
                self._placement.home(v)
        indices = _indices(len(sizes))
        is_one_row = not rows and self._is_one_row(values)
        size = f"({self._code.size(sizes[0])} * {self._code.written(sizes[1])})" if is_one_row else ""

        def at(place: Place, shape: tuple[int, ...]) -> str:
            return place.nth("i", size) if is_one_row and shape else place.at(aligned(indices, shape))

        names: dict[Value, str] = {}
        loads: dict[str, str] = {}
        lines: list[str] = []
        stores: list[str] = []

        def name(a: Value) -> str:
            """A Value of the same pass, or one that is loaded."""
            if a in names:
                return names[a]
            element = at(self._placement.place_of(a), a.shape)
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
            stores += [f"{at(place, sizes)} = {names[v]}" for place in self._placement.writes.get(v, [])]
            stores += [f"{at(place, sizes)} += {names[v]}" for place in self._placement.sums.get(v, [])]
        for value, (row, dtype) in rows.items():
            (a,) = value.args
            stores.append(f"{row.at(indices[-1:])} += {converted(names[a], a.dtype, dtype)}")
        lines = [*(f"{x} = {element}" for element, x in loads.items()), *lines, *stores]
        self._code.kernel("elements", (self._code.nest_as_one if is_one_row else self._code.nest)(sizes, lines))
        for value, (row, _) in rows.items():
            if self._code.parts:
                self._add_parts(value, self._code.passed(row.array))
            elif not value.ndim:
                summed = self._code.nest(value.args[0].shape[-1:], [f"x += {row.at(['i0'])}"])
                total = (
                    f"{self._placement.home(value).at([])} = {number_type(value.dtype)}(x){scale_of(self._code, value)}"
                )
                self._code.kernel("sum", ["x = f64(0.0)", *summed, total])

    def _is_one_row(self, values: Mapping[Value, None]) -> bool:
        """Return True if a pass within a loop over time goes through its rows as if they were one.

        Rows that aren't whole vectors end in elements that are computed one by one, each of which takes as long as a
        vector.
        """
        value = next(iter(values))
        if not self._code.is_in_loop or value.ndim != 2 or not self._code.is_written(value.shape[1]):
            return False
        if value.shape[1] * value.dtype.itemsize % vector_registers().size == 0:
            return False
        placement = self._placement
        read = [a for v in values for a in v.operands if a not in values and a.ndim]
        written = [p for v in values for places in (placement.writes, placement.sums) for p in places.get(v, [])]
        return all(place.covers(value.shape) for place in [*map(placement.place_of, read), *written])

    def _begun(self, value: Value) -> tuple[Place, np.dtype]:
        """The row to which a pass adds all rows of a Value, with zeros in it: the sum itself, or what it is made of."""
        row, dtype = value.args[0].shape[-1:], value.dtype if value.ndim else np.dtype(np.float64)
        if self._code.parts:
            place = whole(self._code.numbered_buffer("rows", (self._code.parts, *row), dtype), row, "part")
        elif value.ndim:
            place = self._placement.home(value)
        else:
            place = whole(self._code.numbered_buffer("row", row, dtype), row)
        self._code.kernel("zeros", self._code.nest(row, [f"{place.at(['i0'])} = {literal(0, dtype)}"]))
        return place, dtype

    def _add_parts(self, value: Value, parts: str) -> None:
        """Add the line by which NumPy adds up the rows of all parts, in one order whatever threads computed them."""
        home = self._code.passed(self._placement.home(value).array)
        count = value.args[0].size // value.size if value.op is reductions.mean else 1
        total = f"add.reduce({parts}, axis={0 if value.ndim else None})"
        self._code.after.append(f"divide({total}, {count}, out={home})")

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


def scale_of(code: MachineCode, value: Value) -> str:
    """The factor behind the sum of a mean; nothing for a sum."""
    if value.op is not reductions.mean:
        return ""
    count = value.args[0].size // value.size
    share = f"{1 / count!r}" if code.is_written(count) else f"1.0 / {code.size(count)}"
    return f" * {number_type(value.dtype)}({share})"


def is_summed_in_pass(value: Value, fixed: Container[int] | None) -> bool:
    """Return True for a sum that the pass of its operand can compute: of all elements, or of all rows.

    It adds whole rows to one row, neighbours in memory at the same time; for the sum of all elements in float64.
    """
    if value.op not in (reductions.sum, reductions.mean) or value.keywords.get("keepdims"):
        return False
    (a,) = value.args
    if a.ndim < 2 or a.size == 0 or a.dtype != value.dtype or a.dtype not in (np.float32, np.float64):
        return False
    if a.shape[-1] not in thresholds.ROW_OF_SUMS or not (fixed is None or a.shape[-1] in fixed):
        return False
    return value.ndim == 0 or (value.op is reductions.sum and reduced_axes(value) == {*range(a.ndim - 1)})


def _indices(ndim: int) -> list[str]:
    return [f"i{axis}" for axis in range(ndim)]
