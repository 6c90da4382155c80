"""Arrays in a few short lines: all numbers if there are few, else shape, type, mean and extremes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reading.symbols import number

MOST_NUMBERS = 9
GAP = "\u2002"  # between two numbers: a space that no format folds


def value_lines(value: Any) -> list[str]:
    r"""A value, for a box.

    Example:
        >>> import numpy as np
        >>> value_lines(np.array([[1.0, -2.0], [0.5, 0.25]]))
        ['1\u2002−2', '0.5\u20020.25']
        >>> value_lines(np.linspace(0, 1, 20).reshape(4, 5))
        ['(4, 5) float64', 'mean 0.5', '0 … 1']
    """
    if isinstance(value, tuple):
        return [f"{len(value)} results"]
    array = np.asarray(value)
    if array.size <= MOST_NUMBERS:
        return _rows(array)
    return [f"{array.shape} {array.dtype}", *_statistics(array)]


def gradient_lines(g: Any) -> list[str]:
    """A gradient, for a box: its numbers if there are few, else its norm.

    Example:
        >>> gradient_lines(0.25)
        ['∇ 0.25']
    """
    if isinstance(g, tuple):
        parts = [part for part in g if part is not None]
        return [f"∇ of {len(parts)} results"]
    first, *rest = contribution_lines(g)
    return [f"∇ {first}", *rest]


def contribution_lines(c: Any) -> list[str]:
    """The lines beside a tap: the contribution of one step to a parameter's gradient."""
    array = np.asarray(c, dtype=np.float64)
    if array.size <= MOST_NUMBERS:
        return _rows(array)
    return [f"norm {number(np.linalg.norm(array.ravel()))}"]


def _rows(array: np.ndarray) -> list[str]:
    """The numbers, a line for each row; a long row in lines of four."""
    if array.size == 0:
        return [f"{array.shape} empty"]
    if array.ndim == 0:
        return [number(array)]
    rows = array.reshape(-1, array.shape[-1])
    width = 4 if array.shape[-1] > 5 else 5
    return [GAP.join(map(number, row[i : i + width])) for row in rows for i in range(0, len(row), width)]


def _statistics(array: np.ndarray) -> list[str]:
    if array.dtype.kind not in "fiub":
        return []
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    lines = []
    if finite.size:
        lines = [f"mean {number(finite.mean())}", f"{number(finite.min())} … {number(finite.max())}"]
    if finite.size < array.size:
        lines.append(f"{np.isnan(array).sum()} NaN, {np.isinf(array).sum()} inf")
    return lines
