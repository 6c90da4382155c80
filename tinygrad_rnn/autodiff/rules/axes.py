"""The meaning of an axis argument: counted from the front, or NumPy's own error."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

Axis = Any  # int, tuple of ints or None, as in NumPy


def one_axis(axis: Any, ndim: int, name: str | None = None) -> int:
    """Return an axis, given from either end, counted from the front; ``name`` is the argument's, for the error.

    Raises:
        AxisError: there is no such axis.
        TypeError: ``axis`` isn't a whole number.
    """
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim, name)
    return axis if axis >= 0 else axis + ndim


def several_axes(axis: Any, ndim: int, name: str | None = None) -> tuple[int, ...]:
    """Return axes, given from either end, counted from the front; one int is a tuple of one.

    Raises:
        AxisError: there is no such axis.
        ValueError: an axis is named twice.
    """
    axes = tuple(axis) if np.ndim(axis) else (axis,)
    axes = tuple(one_axis(i, ndim, name) for i in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"repeated axis in `{name}` argument" if name else "repeated axis")
    return axes


def all_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Return the axes that an argument ``axis`` names, as a tuple: None names all of them."""
    return tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)


def along_axis(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """Return the index that takes a part of one axis, given from either end, and all of the axes before it."""
    return (*[slice(None)] * (axis % ndim), part)


def flat_or_axis(a: Any, axis: Any) -> tuple[Any, int]:
    """Return an array and one axis of it; without an axis, the flattened array and its only axis.

    A number has the axes 0 and -1 here, as in NumPy.

    Raises:
        AxisError: there is no such axis.
        TypeError: ``axis`` isn't a whole number.
    """
    if isinstance(axis, bool):
        raise TypeError("an integer is required for the axis")
    if axis is None or (a.ndim == 0 and operator.index(axis) in (0, -1)):
        return np.ravel(a), 0
    return a, one_axis(axis, a.ndim)


def counted_axes(axis: Axis, ndim: int) -> Axis:
    """Return the axes of a mean, which counts elements: as ``reduced_axes``, but a number has no axes.

    Raises:
        AxisError: there is no such axis.
    """
    if ndim == 0 and axis is not None and not (isinstance(axis, tuple) and not axis):
        several_axes(axis, 0)
    return reduced_axes(axis, ndim)


def reduced_axes(axis: Axis, ndim: int) -> Axis:
    """Return the axes of a reduction: None for all axes, an int or a tuple of ints counted from the front.

    For a number, which has no axes, NumPy accepts axis 0 and -1 as well; these reduce nothing, as an empty tuple does.

    Raises:
        AxisError: there is no such axis.
        ValueError: an axis is named twice.
        TypeError: ``axis`` isn't a whole number or a tuple of whole numbers.
    """
    if axis is None:
        return None
    if isinstance(axis, bool):
        raise TypeError("an integer is required for the axis")
    if not isinstance(axis, tuple):
        return () if ndim == 0 and operator.index(axis) in (0, -1) else one_axis(axis, ndim)
    axes = tuple(one_axis(i, ndim) for i in axis)
    if len(set(axes)) != len(axes):
        raise ValueError("duplicate value in 'axis'")
    return axes
