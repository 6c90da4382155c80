"""NumPy kernels: lines of Python that compute each operation into an array that is already there.

``statements(value, out, args)`` returns the lines that write ``value`` to ``out``. Views have an expression instead.
Any other operation is called without ``out=``, and its result is copied.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autodiff.rules import activations, elementwise, indexing, linalg, reductions, shape
from ..graph.values import Value

Statements = Callable[..., "list[str] | None"]

REDUCERS: dict[Any, str] = {
    reductions.sum: "add",
    reductions.mean: "add",
    reductions.max: "maximum",
    reductions.min: "minimum",
}


def _power(value: Value, out: str, x: str) -> list[str] | None:
    """``x ** exponent``, for which NumPy has shorter ways that differ from its ``power`` at -0.0 and -inf.

    They are for arrays whose powers have their own dtype: a condition has no ``positive``.
    """
    exponent = value.keywords["exponent"]
    if not is_written_out(exponent):
        return None
    keeps_dtype = value.args[0].dtype == value.dtype
    shorter = {2: "square", 1: "positive", 0.5: "sqrt", -1: "reciprocal"}.get(exponent) if keeps_dtype else None
    return [f"{shorter}({x}, out={out})" if shorter else f"power({x}, {exponent!r}, out={out})"]


def _reduction(value: Value, out: str, a: str) -> list[str]:
    axis, keepdims = value.keywords.get("axis"), value.keywords.get("keepdims", False)
    lines = [f"{REDUCERS[value.op]}.reduce({a}, axis={written(axis)}, keepdims={written(keepdims)}, out={out})"]
    if value.op is reductions.mean:
        lines.append(f"divide({out}, {reductions.size_along(value.args[0], axis)}, out={out})")
    return lines


def _joined(value: Value, out: str, *arrays: str) -> list[str]:
    name = "concatenate" if value.op is shape.joined else "stack"
    return [f"{name}(({', '.join(arrays)},), axis={written(value.keywords.get('axis', 0))}, out={out})"]


KERNELS: dict[Any, Statements] = {
    elementwise.power_by_number: _power,
    **dict.fromkeys((shape.joined, shape.stacked), _joined),
    **dict.fromkeys(REDUCERS, _reduction),
}

# The lines of others, with places for the operands.
LINES: dict[Any, Sequence[str]] = {
    activations.logistic: [  # 1 / (1 + exp(-x)), which is 0 where exp is infinite
        "negative({0}, out={out})", "exp_or_inf({out}, out={out})", "add({out}, 1, out={out})",
        "reciprocal({out}, out={out})",
    ],
    activations.rectifier: ["maximum({0}, 0, out={out})"],
    elementwise.where: ["copyto({out}, {2})", "copyto({out}, {1}, where={0})"],
    elementwise.clipped: ["clip({0}, {1}, {2}, out={out})"],
    linalg.matmul: ["matmul({0}, {1}, out={out})"],
    shape.cast: ["copyto({out}, {0}, casting='unsafe')"],
}  # fmt: skip

# Kernels that may not write where they still have to read.
READS_AFTER_WRITING = {elementwise.where}


VIEWS: dict[Any, Callable[[Value, str], str]] = {
    shape.reshape: lambda value, a: f"{a}.reshape({value.shape!r})",
    shape.transpose: lambda value, a: f"{a}.T" if len(value.args) == 1 else f"{a}.transpose({value.args[1]!r})",
    shape.broadcast_to: lambda value, a: f"broadcast_to({a}, {value.shape!r})",
    indexing.output: lambda value, a: f"asarray({a}[{written(value.args[1])}])",
}


def index_text(index: Any) -> str:
    """An index as it is written between brackets."""
    parts = index if isinstance(index, tuple) else (index,)
    return ", ".join(map(_part_text, parts)) + ("," if isinstance(index, tuple) and len(parts) == 1 else "") or "()"


def _part_text(part: Any) -> str:
    if not isinstance(part, slice):
        return "..." if part is Ellipsis else repr(part) if part is None or isinstance(part, bool) else str(int(part))
    ends = ["" if end is None else str(int(end)) for end in (part.start, part.stop)]
    return ":".join(ends) + ("" if part.step is None else f":{int(part.step)}")


def view(value: Value, a: str) -> str:
    """The expression of a view."""
    return f"{a}[{index_text(value.args[1])}]" if value.op is indexing.getitem else VIEWS[value.op](value, a)


def statements(value: Value, out: str, args: list[str]) -> list[str] | None:
    """The lines that compute a Value into ``out``; None if there is no kernel for it."""
    ufunc = getattr(value.op, "forward", value.op)
    if isinstance(ufunc, np.ufunc) and ufunc.nout == 1 and not value.keywords:
        return [f"{ufunc.__name__}({', '.join(args)}, out={out})"]
    if value.op in LINES:
        return [line.format(*args, out=out) for line in LINES[value.op]]
    kernel = KERNELS.get(value.op)
    return None if kernel is None else kernel(value, out, *args)


def has_kernel(value: Value) -> bool:
    """Return True if a Value is computed into an array that is already there."""
    return statements(value, "", [""] * len(value.args)) is not None


def is_written_out(a: Any) -> bool:
    """Return True for a constant that can stand in generated code as a literal; NumPy's own numbers can't.

    Nor can a string: no text that was given to a program becomes a part of its source.
    """
    return a is None or type(a) in (bool, int) or (type(a) is float and math.isfinite(a))


def written(axes: Any) -> str:
    """The text of an axis, of several axes, of None, or of a condition; whole numbers may be of any type."""
    if axes is None or isinstance(axes, (bool, np.bool_)):
        return str(axes)
    if np.ndim(axes):
        return f"({''.join(f'{operator.index(axis)}, ' for axis in axes)})"
    return str(operator.index(axes))


def numbers(array: np.ndarray) -> list[np.ndarray]:
    """The elements of an array (T,), as arrays that can be written to."""
    return [array[t, ...] for t in range(len(array))]


def exp_or_inf(a: np.ndarray, out: np.ndarray) -> None:
    """Compute exp(a), without a warning where it overflows."""
    with np.errstate(over="ignore"):
        np.exp(a, out=out)


# What generated code may call.
NAMESPACE: dict[str, Any] = {"numbers": numbers, "exp_or_inf": exp_or_inf} | {
    name: getattr(np, name)
    for name in {
        "array", "asarray", "ascontiguousarray", "broadcast_to", "clip", "concatenate", "copyto", "matmul",
        "stack",
        *(name for name, function in vars(np).items() if isinstance(function, np.ufunc)),
    }
}  # fmt: skip
