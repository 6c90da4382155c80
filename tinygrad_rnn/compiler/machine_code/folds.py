"""Machine code for operations along axes: maximum and minimum, any and all, products, softmax and similar ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...autodiff.rules import log_probabilities, reductions
from .. import thresholds
from ..elements.addresses import Place, whole
from ..elements.expressions import CONDITION, TYPES, converted, literal, number_type
from ..elements.function import MachineCode, NoMachineCode
from ..graph.values import Value
from .placement import Placement

# How an element x is combined with a result y, which begins as ``_start`` says. A NaN stays.
FOLDS = {
    reductions.max: "y if y >= x or y != y else x",
    reductions.min: "y if y <= x or y != y else x",
    reductions.prod: "y * x",
    np.any: "y or x",
    np.all: "y and x",
    np.count_nonzero: "y + i64(1) if x else y",
}
PLACES = {np.argmax: ">", np.argmin: "<"}
OF_CONDITIONS = {np.any, np.all, np.count_nonzero}
LOGARITHMS = (log_probabilities.log_sum_exp, log_probabilities.log_softmax_of)
PROBABILITIES = (log_probabilities.softmax_of, log_probabilities.shares, *LOGARITHMS)


class Folds:
    """A writer of operations along axes.

    Args:
        code: the function to write to.
        placement: where the elements lie.
    """

    def __init__(self, code: MachineCode, placement: Placement) -> None:
        self._code, self._placement = code, placement

    def fold(self, value: Value) -> None:
        """Write one of the ``FOLDS``."""
        a, axes, keepdims = _reduction(value)
        taken = CONDITION if value.op in OF_CONDITIONS else value.dtype
        indices = [f"i{axis}" for axis in range(a.ndim)]
        source = converted(self._placement.place_of(a).at(indices), a.dtype, taken)
        home = self._placement.home(value)
        result = home.at(left_over(indices, axes, keepdims))
        begun = home.at([f"i{axis}" for axis in range(value.ndim)])
        lines = [
            *self._code.nest(value.shape, [f"{begun} = {_start(value)}"]),
            *self._code.nest(a.shape, [f"x = {source}", f"y = {result}", f"{result} = {FOLDS[value.op]}"]),
        ]
        self._code.kernel("fold", lines)

    def place(self, value: Value) -> None:
        """Write one of the ``PLACES``: the index of the first largest or smallest, along an axis or among all elements.

        As in NumPy, a NaN counts as the largest and as the smallest.
        """
        a, axes, keepdims = _reduction(value)
        indices = [f"i{axis}" for axis in range(a.ndim)]
        source = self._placement.place_of(a).at(indices)
        result = self._placement.home(value).at(left_over(indices, axes, keepdims))
        first = self._placement.place_of(a).at(left_over(indices, axes, keepdims=True))
        better = f"x {PLACES[value.op]} y or (x != x and y == y)"
        search = ["k += 1", f"x = {source}", f"if {better}:", "    y = x", "    n = k"]
        outer = [axis for axis in range(a.ndim) if axis not in axes]
        inner = self._code.nest_along(a.shape, sorted(axes), search)
        body = ["k = i64(-1)", "n = i64(0)", f"y = {first}", *inner, f"{result} = n"]
        self._code.kernel("place", self._code.nest_along(a.shape, outer, body))

    def probabilities(self, value: Value) -> None:
        """Write one of the ``PROBABILITIES``; subtract the largest element first, so that no exponential is too large.

        For a logarithm, the sum leaves out the largest element, whose term is 1, and the rest goes to ``log1p``.
        """
        (a,) = value.args
        count = a.size // max(math.prod(n for i, n in enumerate(a.shape) if i not in reduced_axes(value)), 1)
        is_real = a.dtype == value.dtype and a.dtype in (np.float32, np.float64)
        if not 0 < count <= thresholds.SMALL_SUM or a.size == 0 or not is_real:
            raise NoMachineCode(f"a {value.op.name} of {a.dtype} with {a.size} elements")
        axes, real = reduced_axes(value), number_type(a.dtype)
        indices = [f"i{axis}" for axis in range(a.ndim)]
        shape = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
        kept = left_over(indices, axes, keepdims=True)
        source, home = self._placement.place_of(a).at(indices), self._placement.home(value)
        top, total, ones = (self._temporary(kind, shape, a.dtype).at(kept) for kind in ("top", "total", "ones"))
        weight = f"exp{real[1:]}({source} - {top})"
        nest = self._code.nest
        if a.ndim - 1 in axes and value.op not in LOGARITHMS:
            self._shares_of_rows(a, axes, source, weight, home.at(indices), top, total, value.op)
            return
        lines = [
            *nest(shape, [f"{top} = {real}(-np.inf)", f"{total} = {real}(0.0)", f"{ones} = {real}(-1.0)"]),
            *nest(a.shape, [f"x = {source}", f"y = {top}", f"{top} = y if y >= x or y != y else x"]),
        ]
        if value.op is not log_probabilities.softmax_of:
            lines += nest(shape, [f"{top} = {top} if np.isfinite({top}) else {real}(0.0)"])
        if value.op in LOGARITHMS:
            add = [f"x = {weight}", f"{total} += {real}(0.0) if x == 1 else x", f"{ones} += {real}(x == 1)"]
            lines += nest(a.shape, add)
            logarithm = f"log1p{real[1:]}({total} + {ones})"
            if value.op is log_probabilities.log_softmax_of:
                lines += nest(a.shape, [f"{home.at(indices)} = {source} - {top} - {logarithm}"])
            else:
                result = home.at(left_over(indices, axes, bool(value.keywords.get("keepdims"))))
                lines += nest(shape, [f"{result} = {logarithm} + {top}"])
        else:
            lines += nest(a.shape, [f"x = {weight}", f"{home.at(indices)} = x", f"{total} += x"])
            if value.op is log_probabilities.shares:
                lines += nest(shape, [f"{total} = {real}(1.0) if {total} == 0 else {total}"])
            lines += nest(a.shape, [f"{home.at(indices)} /= {total}"])
        self._code.kernel("probabilities", lines)

    def _shares_of_rows(
        self, a: Value, axes: set[int], source: str, weight: str, result: str, top: str, total: str, op: object
    ) -> None:
        """Write a softmax along the last axis: kernels in whose inner loops neighbours in memory are one vector.

        Only the sums may be added up in any order, so they have a kernel of their own, without exponentials.
        """
        real, nest_along = number_type(a.dtype), self._code.nest_along
        outer, inner = [i for i in range(a.ndim) if i not in axes], sorted(axes)
        largest = nest_along(a.shape, inner, [f"y = np.maximum(y, {source})"])
        begun, ended = f"y = {real}(-np.inf)", f"{top} = y"
        if op is log_probabilities.shares:
            ended += f" if np.isfinite(y) else {real}(0.0)"
        self._code.kernel("largest", nest_along(a.shape, outer, [begun, *largest, ended]))
        self._code.kernel("exponentials", self._code.nest(a.shape, [f"{result} = {weight}"]))
        summed = nest_along(a.shape, inner, [f"x += {result}"])
        ended = f"{total} = x" if op is log_probabilities.softmax_of else f"{total} = {real}(1.0) if x == 0 else x"
        lines = nest_along(a.shape, outer, [f"x = {real}(0.0)", *summed, ended])
        self._code.kernel("sum", lines, reorders=True)
        self._code.kernel("shares", self._code.nest(a.shape, [f"{result} /= {total}"]))

    def _temporary(self, kind: str, shape: tuple[int, ...], dtype: np.dtype) -> Place:
        return whole(self._code.numbered_buffer(kind, shape, dtype), shape)


def _reduction(value: Value) -> tuple[Value, set[int], bool]:
    """The operand of a reduction, its axes, and whether they are kept as axes of length 1."""
    (a,) = value.args
    if a.size == 0 or not {a.dtype, value.dtype} <= TYPES or not value.keywords.keys() <= {"axis", "keepdims"}:
        raise NoMachineCode(f"a reduction of {a.dtype} with {a.size} elements")
    return a, reduced_axes(value), bool(value.keywords.get("keepdims"))


def _start(value: Value) -> str:
    """The number that a fold begins with."""
    if value.op not in (reductions.max, reductions.min):
        return literal(value.op in (reductions.prod, np.all), value.dtype)
    is_max = value.op is reductions.max
    if value.dtype.kind == "f":
        return literal(-np.inf if is_max else np.inf, value.dtype)
    if value.dtype.kind == "b":
        return str(not is_max)
    limits = np.iinfo(value.dtype)
    return literal(limits.min if is_max else limits.max, value.dtype)


def reduced_axes(value: Value) -> set[int]:
    """The axes of its operand along which a Value is computed."""
    (a,), axis = value.args, value.keywords.get("axis")
    return {i % a.ndim for i in (range(a.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,))}


def left_over(indices: Sequence[str], axes: set[int], keepdims: bool) -> list[str]:
    """The indices of a result, from those of the operand."""
    if keepdims:
        return ["0" if i in axes else index for i, index in enumerate(indices)]
    return [index for i, index in enumerate(indices) if i not in axes]
