"""Machine code for passes over elements, and for copies.

Elementwise operations of one shape run together, in one pass over the elements; intermediate results stay in
registers.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np

from ...autodiff.rules import reductions
from .. import thresholds
from ..elements.addresses import Place, aligned, indices_of, whole
from ..elements.expressions import converted, expression, literal, number_type, operand_type
from ..elements.function import MachineCode, NoMachineCode
from ..graph.shapes import reduced_axes
from ..graph.values import Value
from ..runtime.tiles import vector_registers
from .placement import Placement

LARGEST_LENGTH = 2**40


def compute(placement: Placement, values: Mapping[Value, None], sums: Sequence[Value] = ()) -> None:
    """Write a pass that computes elementwise Values of one shape, in this order, and some sums of them."""
    sizes = next(iter(values)).shape
    rows = {value: _begun(placement, value) for value in sums}
    computed = {*values, *sums}
    for v in values:
        if placement.is_wanted(v, computed):
            placement.home(v)
    indices = indices_of(sizes)
    is_one_row = not rows and _is_one_row(placement, values)
    size = f"({placement.code.size(sizes[0])} * {placement.code.written(sizes[1])})" if is_one_row else ""

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
        element = at(placement.place_of(a), a.shape)
        return loads.setdefault(element, f"x{len(loads)}")

    for v in values:
        types = [operand_type(v, i) for i in range(len(v.args))]
        args = [
            converted(name(a), a.dtype, dtype) if isinstance(a, Value) else _constant(placement, a, dtype)
            for a, dtype in zip(v.args, types)
        ]
        text = expression(v, args)
        names[v] = f"v{len(names)}"
        lines.append(f"{names[v]} = {text}")
        stores += [f"{at(place, sizes)} = {names[v]}" for place in placement.writes.get(v, [])]
        stores += [f"{at(place, sizes)} += {names[v]}" for place in placement.sums.get(v, [])]
    for value, (row, dtype) in rows.items():
        (a,) = value.args
        stores.append(f"{row.at(indices[-1:])} += {converted(names[a], a.dtype, dtype)}")
    lines = [*(f"{x} = {element}" for element, x in loads.items()), *lines, *stores]
    placement.code.kernel("elements", (placement.code.nest_as_one if is_one_row else placement.code.nest)(sizes, lines))
    for value, (row, _) in rows.items():
        if placement.code.parts:
            _add_parts(placement, value, placement.code.passed(row.array))
        elif not value.ndim:
            summed = placement.code.nest(value.args[0].shape[-1:], [f"x += {row.at(['i0'])}"])
            total = f"{placement.home(value).at([])} = {number_type(value.dtype)}(x){scale_of(placement.code, value)}"
            placement.code.kernel("sum", ["x = f64(0.0)", *summed, total])


def _is_one_row(placement: Placement, values: Mapping[Value, None]) -> bool:
    """Return True if a pass within a loop over time goes through its rows as if they were one.

    Rows that aren't whole vectors end in elements that are computed one by one, each of which takes as long as a
    vector.
    """
    value = next(iter(values))
    if not placement.code.is_in_loop or value.ndim != 2 or not placement.code.is_written(value.shape[1]):
        return False
    if value.shape[1] * value.dtype.itemsize % vector_registers().size == 0:
        return False
    placement = placement
    read = [a for v in values for a in v.operands if a not in values and a.ndim]
    written = [p for v in values for places in (placement.writes, placement.sums) for p in places.get(v, [])]
    return all(place.covers(value.shape) for place in [*map(placement.place_of, read), *written])


def _begun(placement: Placement, value: Value) -> tuple[Place, np.dtype]:
    """The row to which a pass adds all rows of a Value, with zeros in it: the sum itself, or what it is made of."""
    row, dtype = value.args[0].shape[-1:], value.dtype if value.ndim else np.dtype(np.float64)
    if placement.code.parts:
        place = whole(placement.code.numbered_buffer("rows", (placement.code.parts, *row), dtype), row, "part")
    elif value.ndim:
        place = placement.home(value)
    else:
        place = whole(placement.code.numbered_buffer("row", row, dtype), row)
    placement.code.kernel("zeros", placement.code.nest(row, [f"{place.at(['i0'])} = {literal(0, dtype)}"]))
    return place, dtype


def _add_parts(placement: Placement, value: Value, parts: str) -> None:
    """Add the line by which NumPy adds up the rows of all parts, in one order whatever threads computed them."""
    home = placement.code.passed(placement.home(value).array)
    count = value.args[0].size // value.size if value.op is reductions.mean else 1
    total = f"add.reduce({parts}, axis={0 if value.ndim else None})"
    placement.code.after.append(f"divide({total}, {count}, out={home})")


def _constant(placement: Placement, a: object, dtype: np.dtype) -> str:
    """An operand that isn't a Value; if it may follow the sizes of the arguments, it is computed from arguments."""
    if not isinstance(a, (bool, np.bool_, int, float, np.number)):
        if a is None or isinstance(a, (type, np.dtype)):  # a missing bound, the type of a cast
            return "None"
        raise NoMachineCode(f"the constant {a!r}")
    written = literal(a, dtype)
    kind, has_kind, _ = written.partition("(")
    if placement.code.writer.fixed is None or not has_kind:
        return written
    number = float(a)
    if 1 < number < LARGEST_LENGTH and number.is_integer() and not placement.code.is_written(int(number)):
        return f"{kind}({placement.code.size(int(number))})"
    if 1 / LARGEST_LENGTH < number < 1 and not placement.code.is_written(length := round(1 / number)):
        return f"{kind}(1.0 / {placement.code.size(length)})" if 1.0 / length == number else written
    return written


def copy(placement: Placement, place: Place, value: Value) -> None:
    """Write a Value to a second place."""
    indices = indices_of(value.shape)
    line = f"{place.at(indices)} = {placement.place_of(value).at(indices)}"
    placement.code.kernel("copy", placement.code.nest(value.shape, [line]))


def accumulate(placement: Placement, value: Value) -> None:
    """Add a Value to its sum over time, if one is wanted."""
    indices = indices_of(value.shape)
    for place in placement.sums.get(value, []):
        line = f"{place.at(indices)} += {placement.place_of(value).at(indices)}"
        placement.code.kernel("sum", placement.code.nest(value.shape, [line]))


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
