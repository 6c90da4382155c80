"""Machine code for operations along axes: maximum and minimum, any and all, products, softmax and similar ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...autodiff.rules import log_probabilities, reductions
from .. import thresholds
from ..elements.addresses import Place, whole
from ..elements.expressions import number_type
from ..elements.function import MachineCode, NoMachineCode
from ..graph.values import Value
from .placement import Placement

# What each begins with, and how an element x goes into a result y. A NaN stays.
FOLDS = {
    reductions.max: ("{real}(-np.inf)", "{y} if {y} >= {x} or {y} != {y} else {x}"),
    reductions.min: ("{real}(np.inf)", "{y} if {y} <= {x} or {y} != {y} else {x}"),
    reductions.prod: ("{real}(1.0)", "{y} * {x}"),
    np.any: ("False", "{y} or {x}"),
    np.all: ("True", "{y} and {x}"),
}
LOGARITHMS = (log_probabilities.log_sum_exp, log_probabilities.log_softmax_of)
PROBABILITIES = (log_probabilities.softmax_of, log_probabilities.shares, *LOGARITHMS)


class Folds:
    """A writer of operations along axes.

    Args:
        code: where to.
        placement: where the elements lie.
    """

    def __init__(self, code: MachineCode, placement: Placement) -> None:
        self._code, self._placement = code, placement

    def fold(self, value: Value) -> None:
        """Write one of the ``FOLDS``."""
        (a,) = value.args
        axes = reduced_axes(value)
        if a.size == 0 or a.dtype != value.dtype:
            raise NoMachineCode(f"a reduction of {a.dtype} with {a.size} elements")
        start, step = FOLDS[value.op]
        indices = [f"i{axis}" for axis in range(a.ndim)]
        source = self._placement.place_of(a).at(indices)
        home = self._placement.home(value)
        result = home.at(left_over(indices, axes, bool(value.keywords.get("keepdims"))))
        begun = home.at([f"i{axis}" for axis in range(value.ndim)])
        lines = [
            *self._code.nest(value.shape, [f"{begun} = {start.format(real=number_type(value.dtype))}"]),
            *self._code.nest(a.shape, [f"x = {source}", f"y = {result}", f"{result} = {step.format(x='x', y='y')}"]),
        ]
        self._code.kernel("fold", lines)

    def probabilities(self, value: Value) -> None:
        """Write one of the ``PROBABILITIES``, less the largest element, so that no exponential is too large.

        Of the sum for a logarithm, the largest, which counts 1, is left out, and the others go to ``log1p``.
        """
        (a,) = value.args
        if not 0 < a.size <= thresholds.SMALL_SUM or a.dtype != value.dtype or a.dtype not in (np.float32, np.float64):
            raise NoMachineCode(f"a {value.op.name} of {a.dtype} with {a.size} elements")
        axes, real = reduced_axes(value), number_type(a.dtype)
        indices = [f"i{axis}" for axis in range(a.ndim)]
        shape = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
        kept = left_over(indices, axes, keepdims=True)
        source, home = self._placement.place_of(a).at(indices), self._placement.home(value)
        top, total, ones = (self._temporary(kind, shape, a.dtype).at(kept) for kind in ("top", "total", "ones"))
        weight = f"exp{real[1:]}({source} - {top})"
        nest = self._code.nest
        lines = [
            *nest(shape, [f"{top} = {real}(-np.inf)", f"{total} = {real}(0.0)", f"{ones} = {real}(-1.0)"]),
            *nest(a.shape, [f"x = {source}", f"y = {top}", f"{top} = y if y >= x or y != y else x"]),
        ]
        if value.op is not log_probabilities.softmax_of:
            lines += nest(shape, [f"{top} = {top} if np.isfinite({top}) else {real}(0.0)"])
        if value.op in LOGARITHMS:
            add = [f"x = {weight}", f"{total} += {real}(0.0) if x == 1 else x", f"{ones} += {real}(x == 1)"]
            lines += nest(a.shape, add)
            logarithm = f"np.log1p({total} + {ones})"
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

    def _temporary(self, kind: str, shape: tuple[int, ...], dtype: np.dtype) -> Place:
        return whole(self._code.numbered_buffer(kind, shape, dtype), shape)


def reduced_axes(value: Value) -> set[int]:
    """The axes of its operand that a Value goes along."""
    (a,), axis = value.args, value.keywords.get("axis")
    return {i % a.ndim for i in (range(a.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,))}


def left_over(indices: Sequence[str], axes: set[int], keepdims: bool) -> list[str]:
    """The indices of a result, from those of the operand."""
    if keepdims:
        return ["0" if i in axes else index for i, index in enumerate(indices)]
    return [index for i, index in enumerate(indices) if i not in axes]
