"""Machine code for arrays that are assembled from pieces: slices, stacks, updates of a part, running sums."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...autodiff.rules import cumulative, indexing, shape
from ..elements.addresses import Place, aligned, indices_of, part
from ..elements.expressions import TYPES, WHOLE_NUMBER, converted, literal
from ..elements.function import NoMachineCode
from ..graph.values import Value, name_of
from .placement import Placement

RUNNING = {cumulative.running_sum: "+", cumulative.running_product: "*"}


def _assemble(placement: Placement, value: Value) -> list[str]:
    """Write zeros, and add each piece in its place."""
    home, indices = placement.home(value), indices_of(value.shape)
    lines = placement.code.nest(value.shape, [f"{home.at(indices)} = {literal(0, value.dtype)}"])
    for piece, index in zip(value.args, value.keywords["indices"]):
        place, own = _part(placement, value, home, index)
        term = placement.place_of(piece).at(aligned(indices_of(own), piece.shape))
        lines += placement.code.nest(own, [f"{place.at(indices_of(own))} += {term}"], _in_memory(place, own))
    return lines


def _gather(placement: Placement, value: Value) -> list[str]:
    """Write the elements at the places in an array of whole numbers."""
    base, index = value.args
    place, _ = _part(placement, base, placement.place_of(base), index)
    indices = indices_of(value.shape)
    line = f"{placement.home(value).at(indices)} = {place.at(indices)}"
    return placement.code.nest(value.shape, [line], _in_memory(place, value.shape))


def _stack(placement: Placement, value: Value) -> list[str]:
    home = placement.home(value)
    axis = value.keywords.get("axis", 0) % value.ndim
    lines: list[str] = []
    for i, piece in enumerate(value.args):
        if not isinstance(piece, Value):
            raise NoMachineCode("a stack of Tensors and numbers")
        place, own = _part(placement, value, home, (*(slice(None),) * axis, i))
        term = placement.place_of(piece).at(indices_of(own))
        lines += placement.code.nest(own, [f"{place.at(indices_of(own))} = {term}"])
    return lines


def _update(placement: Placement, value: Value) -> list[str]:
    """Write a copy in which one part is replaced."""
    before, new, index = value.args
    home, indices = placement.home(value), indices_of(value.shape)
    if not isinstance(before, Value):
        raise NoMachineCode(f"{name_of(value.op)} of this form")
    lines = placement.code.nest(value.shape, [f"{home.at(indices)} = {placement.place_of(before).at(indices)}"])
    place, written = _part(placement, value, home, index)
    own = indices_of(written)
    if not isinstance(new, Value):
        text = literal(new, value.dtype)
    elif new.ndim > len(written):
        raise NoMachineCode(f"{name_of(value.op)} of this form")
    else:
        text = converted(placement.place_of(new).at(aligned(own, new.shape)), new.dtype, value.dtype)
    return lines + placement.code.nest(written, [f"{place.at(own)} = {text}"])


def _running(placement: Placement, value: Value) -> list[str]:
    """Write a running sum or product: each element, combined with the result before it."""
    a = value.args[0]
    axis = (value.args[1] if len(value.args) > 1 else value.keywords["axis"]) % a.ndim
    home, indices = placement.home(value), indices_of(a.shape)
    before = home.at([f"{index} - 1" if i == axis else index for i, index in enumerate(indices)])
    source = converted(placement.place_of(a).at(indices), a.dtype, value.dtype)
    step = f"{source} {RUNNING[value.op]} {before} if {indices[axis]} > 0 else {source}"
    return placement.code.nest(a.shape, [f"{home.at(indices)} = {step}"])


def _part(placement: Placement, value: Value, place: Place, index: Any) -> tuple[Place, tuple[int, ...]]:
    """The place of a part of a Value that lies in a place, and the shape of the part."""
    index = index if isinstance(index, tuple) else (index,)
    if any(isinstance(each, (bool, np.bool_)) for each in index):  # a new axis, though Python says that True is 1
        raise NoMachineCode("a condition as an index")
    if not {value.dtype, *(each.dtype for each in index if isinstance(each, Value))} <= TYPES:
        raise NoMachineCode(f"an index into elements of type {value.dtype}")
    found = part(place, value.shape, index, placement.code.written, partial(_place_along, placement))
    return found, indexing.selected_shape(value.shape, index)


def _place_along(placement: Placement, index: Value, indices: list[str], length: int) -> str:
    """The text of an element of an index: a place along an axis, checked and counted from the front."""
    element = placement.place_of(index).at(indices)
    if index.array is None or np.any(index.array < 0):
        return f"place_along({converted(element, index.dtype, WHOLE_NUMBER)}, {placement.code.written(length)})"
    if index.size and np.max(index.array) >= length:
        raise NoMachineCode("an index that is out of bounds")  # NumPy says it
    return element


def _in_memory(place: Place, sizes: tuple[int, ...]) -> list[int]:
    """The order of loops over a part that stays longest with what is in the caches; the last axis is the innermost.

    The diagonals of tables, ``tables[row, :, column]``, touch each table once, and not once for each diagonal.
    """
    texts = place.indices_of(indices_of(sizes))

    def slowest(axis: int) -> int:
        return next((n for n, text in enumerate(texts) if f"i{axis}" in re.findall(r"\w+", text)), 0)

    return [*sorted(range(len(sizes) - 1), key=slowest), *range(len(sizes))[-1:]]


LINES: dict[Any, Callable[[Placement, Value], list[str]]] = {
    indexing.getitem: _gather,
    indexing.assemble: _assemble,
    indexing.updated: _update,
    shape.stacked: _stack,
    **dict.fromkeys(RUNNING, _running),
}


def write(placement: Placement, value: Value) -> None:
    """Write one of the ``LINES``."""
    placement.code.kernel("pieces", LINES[value.op](placement, value))
