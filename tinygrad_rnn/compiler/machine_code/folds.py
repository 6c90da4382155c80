"""Machine code for operations along axes: sums, maximum and minimum, any and all, products, softmax and the like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import log_probabilities, reductions
from .. import thresholds
from ..elements.addresses import Place, indices_of, whole
from ..elements.expressions import CONDITION, TYPES, converted, literal, number_type
from ..elements.function import NoMachineCode
from ..graph.shapes import reduced_axes
from ..graph.values import Value
from .passes import scale_of
from .placement import Placement

# How an element x is combined with a result y, which begins as ``_start`` says. A NaN stays.
FOLDS: dict[Any, str] = {
    reductions.sum: "y + x",
    reductions.mean: "y + x",
    reductions.max: "y if y >= x or y != y else x",
    reductions.min: "y if y <= x or y != y else x",
    reductions.prod: "y * x",
    np.any: "y or x",
    np.all: "y and x",
    np.count_nonzero: "y + i64(1) if x else y",
}
SUMS = {reductions.sum, reductions.mean}
PLACES = {np.argmax: ">", np.argmin: "<"}
OF_CONDITIONS = {np.any, np.all, np.count_nonzero}
LOGARITHMS = (log_probabilities.log_sum_exp, log_probabilities.log_softmax_of)
PROBABILITIES = (log_probabilities.softmax_of, log_probabilities.shares, *LOGARITHMS)


class Accumulator(NamedTuple):
    """A number that elements x are combined with, one after another."""

    name: str  # its variable
    place: str  # the text of the element where it goes
    start: str  # what it begins with
    combined: str  # what it becomes with the next x
    finished: str  # what is written in the end


def _accumulate(
    placement: Placement, kind: str, a: Value, axes: set[int], x: str, *found: Accumulator, reorders: bool = False
) -> None:
    """Write a kernel that combines the elements of an array along axes.

    If the last axis is among them, a result stays in a register meanwhile. Otherwise it is read and written for
    each element, so that neighbours in memory go as a vector.
    """
    nest = placement.code.nest
    starts = [f"{y.name} = {y.start}" for y in found]
    steps = [f"x = {x}", *(f"{y.name} = {y.combined}" for y in found)]
    ends = [f"{y.place} = {y.finished}" for y in found]
    shape = _reduced_shape(a, axes)
    if a.ndim - 1 in axes or math.prod(shape) == 1:
        inner = nest(a.shape, steps, sorted(axes))
        lines = nest(a.shape, [*starts, *inner, *ends], [i for i in range(a.ndim) if i not in axes])
    else:
        loads = [f"{y.name} = {y.place}" for y in found]
        stores = [f"{y.place} = {y.name}" for y in found]
        lines = [
            *nest(shape, [*starts, *stores]),
            *nest(a.shape, [*loads, *steps, *stores]),
            *(nest(shape, [*loads, *ends]) if ends != stores else ()),
        ]
    placement.code.kernel(kind, lines, reorders and a.ndim - 1 in axes)


def _fold(placement: Placement, value: Value) -> None:
    """Write one of the ``FOLDS``; a sum that is a single number is added up in float64."""
    a, axes, keepdims = _reduction(value)
    is_sum = value.op in SUMS
    if is_sum and a.size // value.size > thresholds.SMALL_SUM:
        raise NoMachineCode("a sum of many elements")
    kind = np.dtype(np.float64) if is_sum and value.size == 1 and value.dtype.kind == "f" else value.dtype
    indices = indices_of(a.shape)
    x = converted(placement.place_of(a).at(indices), a.dtype, CONDITION if value.op in OF_CONDITIONS else kind)
    place = placement.home(value).at(left_over(indices, axes, keepdims))
    finished = converted("y", kind, value.dtype) + scale_of(placement.code, value)
    result = Accumulator("y", place, _start(value, kind), FOLDS[value.op], finished)
    _accumulate(placement, "fold", a, axes, x, result, reorders=is_sum)


def _place(placement: Placement, value: Value) -> None:
    """Write one of the ``PLACES``: the index of the first largest or smallest, along an axis or among all elements.

    As in NumPy, a NaN counts as the largest and as the smallest.
    """
    a, axes, keepdims = _reduction(value)
    indices = indices_of(a.shape)
    source = placement.place_of(a).at(indices)
    result = placement.home(value).at(left_over(indices, axes, keepdims))
    first = placement.place_of(a).at(left_over(indices, axes, keepdims=True))
    better = f"x {PLACES[value.op]} y or (x != x and y == y)"
    search = ["k += 1", f"x = {source}", f"if {better}:", "    y = x", "    n = k"]
    outer = [axis for axis in range(a.ndim) if axis not in axes]
    inner = placement.code.nest(a.shape, search, sorted(axes))
    body = ["k = i64(-1)", "n = i64(0)", f"y = {first}", *inner, f"{result} = n"]
    placement.code.kernel("place", placement.code.nest(a.shape, body, outer))


def _probabilities(placement: Placement, value: Value) -> None:
    """Write one of the ``PROBABILITIES``; subtract the largest element first, so that no exponential is too large.

    For a logarithm, the sum leaves out the largest element, whose term is 1, and the rest goes to ``log1p``.
    """
    (a,), axes, home = value.args, reduced_axes(value), placement.home(value)
    is_real = a.dtype == value.dtype and a.dtype in (np.float32, np.float64)
    if a.size == 0 or math.prod(a.shape[i] for i in axes) > thresholds.SMALL_SUM or not is_real:
        raise NoMachineCode(f"a {value.op.name} of {a.dtype} with {a.size} elements")
    real, nest, shape = number_type(a.dtype), placement.code.nest, _reduced_shape(a, axes)
    indices = indices_of(a.shape)
    source, kept = placement.place_of(a).at(indices), left_over(indices, axes, keepdims=True)
    top, total = (_temporary(placement, kind, shape, a.dtype).at(kept) for kind in ("top", "total"))
    exponential = f"exp{real[1:]}({source} - {top})"
    finite = "y" if value.op is log_probabilities.softmax_of else f"y if np.isfinite(y) else {real}(0.0)"
    largest = Accumulator("y", top, f"{real}(-np.inf)", "np.maximum(y, x)", finite)
    _accumulate(placement, "largest", a, axes, source, largest)
    if value.op in LOGARITHMS:
        ones = _temporary(placement, "ones", shape, a.dtype).at(kept)
        others = Accumulator("y", total, f"{real}(0.0)", "y if x == 1 else y + x", f"log1p{real[1:]}(y + z)")
        count = Accumulator("z", ones, f"{real}(-1.0)", f"z + {real}(x == 1)", "z")
        _accumulate(placement, "logarithm", a, axes, exponential, others, count)
        if value.op is log_probabilities.log_softmax_of:
            lines = nest(a.shape, [f"{home.at(indices)} = {source} - {top} - {total}"])
        else:
            place = home.at(left_over(indices, axes, bool(value.keywords.get("keepdims"))))
            lines = nest(shape, [f"{place} = {total} + {top}"])
    else:
        result = home.at(indices)
        placement.code.kernel("exponentials", nest(a.shape, [f"{result} = {exponential}"]))
        nonzero = f"{real}(1.0) if y == 0 else y" if value.op is log_probabilities.shares else "y"
        summed = Accumulator("y", total, f"{real}(0.0)", "y + x", nonzero)
        _accumulate(placement, "sum", a, axes, result, summed, reorders=True)
        lines = nest(a.shape, [f"{result} /= {total}"])
    placement.code.kernel("probabilities", lines)


def _temporary(placement: Placement, kind: str, shape: tuple[int, ...], dtype: np.dtype) -> Place:
    return whole(placement.code.numbered_buffer(kind, shape, dtype), shape)


def _reduction(value: Value) -> tuple[Value, set[int], bool]:
    """The operand of a reduction, its axes, and whether they are kept as axes of length 1."""
    (a,) = value.args
    if a.size == 0 or not {a.dtype, value.dtype} <= TYPES or not value.keywords.keys() <= {"axis", "keepdims"}:
        raise NoMachineCode(f"a reduction of {a.dtype} with {a.size} elements")
    return a, reduced_axes(value), bool(value.keywords.get("keepdims"))


def _reduced_shape(a: Value, axes: set[int]) -> tuple[int, ...]:
    return tuple(1 if i in axes else n for i, n in enumerate(a.shape))


def _start(value: Value, kind: np.dtype) -> str:
    """The number, of a type, that a fold begins with."""
    if value.op not in (reductions.max, reductions.min):
        return literal(value.op in (reductions.prod, np.all), kind)
    is_max = value.op is reductions.max
    if kind.kind == "f":
        return literal(-np.inf if is_max else np.inf, kind)
    if kind.kind == "b":
        return str(not is_max)
    limits = np.iinfo(kind)
    return literal(limits.min if is_max else limits.max, kind)


def left_over(indices: Sequence[str], axes: set[int], keepdims: bool) -> list[str]:
    """The indices of a result, from those of the operand."""
    if keepdims:
        return ["0" if i in axes else index for i, index in enumerate(indices)]
    return [index for i, index in enumerate(indices) if i not in axes]


WRITERS: dict[Any, Callable[[Placement, Value], None]] = {
    **dict.fromkeys(FOLDS, _fold),
    **dict.fromkeys(PLACES, _place),
    **dict.fromkeys(PROBABILITIES, _probabilities),
}
