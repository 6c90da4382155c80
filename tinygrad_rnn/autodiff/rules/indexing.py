"""Indexing, and its transpose, which adds pieces up in an array.

The cotangent of ``x[i]`` is zero outside ``i``. Written out for each of T steps of a sequence, those zeros would cost
T². So an index contributes its piece and the piece's place, ``Pieces``; once all contributions to ``x`` are there, one
primitive, ``assemble``, adds all pieces up; and the transpose of that is indexing again, so that higher derivatives
work.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..registry import Primitive, linear, linear_in_all, overrides, primitive
from .arrays import array_of
from .axes import along_axis, flat_or_axis, one_axis
from .parts import Parts


def is_basic(index: Any) -> bool:
    """Return True if an index selects a view (ints, slices, None, ...), so that no element can be selected twice."""
    parts = index if isinstance(index, tuple) else (index,)
    views = int, slice, np.integer, type(None), type(Ellipsis)
    # True adds an axis, and copies, though Python takes it for the int 1.
    return all(isinstance(part, views) and part is not True and part is not False for part in parts)


def selected_shape(shape: tuple[int, ...], index: Any) -> tuple[int, ...]:
    """The shape of the selected elements; instead of an array of whole numbers, any object with a shape will do."""
    parts = index if isinstance(index, tuple) else (index,)
    known = (np.zeros(a.shape, a.dtype) if hasattr(a, "shape") and a.dtype.kind in "iuf" else a for a in parts)
    selected: tuple[int, ...] = np.broadcast_to(False, shape)[tuple(known)].shape
    return selected


def spelled_out(index: Any, ndim: int) -> tuple[Any, ...]:
    """An index with a part for each axis and for each new axis, none of them an Ellipsis; its arrays are of one axis.

    Example:
        >>> spelled_out((..., 0), 3)
        (slice(None, None, None), slice(None, None, None), 0)
    """
    parts = index if isinstance(index, tuple) else (index,)
    missing = ndim - sum(part is not None and part is not Ellipsis for part in parts)
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    return (*parts[:at], *[slice(None)] * missing, *parts[at + 1 :])


LONG_ROW = 8  # the number of elements from which sorting rows pays
VERY_LONG_ROW = 256  # the number of elements from which a separate sum for equal indices pays


def _assemble(*pieces: Any, indices: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    whole = np.zeros_like(pieces[0], shape=shape)
    for piece, index in zip(pieces, indices):
        if is_basic(index):
            whole[index] += piece
        elif isinstance(index, np.ndarray) and index.dtype.kind in "iu" and index.size and whole[0].size >= LONG_ROW:
            _add_rows(whole, index, piece)
        else:
            np.add.at(whole, index, piece)  # an index may name an element more than once: contributions add up
    return whole


def _add_rows(whole: Any, index: Any, rows: Any) -> None:
    """``np.add.at(whole, index, rows)``, with equal indices sorted together: several times as fast for long rows.

    ``np.add.reduceat`` goes down one column after another, so very long rows of one index are summed separately.
    """
    places = index.astype(np.intp).ravel() % len(whole)  # counted from the front, in a dtype that can hold them
    order = np.argsort(places, kind="stable")
    places = places[order]
    starts = np.flatnonzero(np.concatenate([[True], places[1:] != places[:-1]]))
    rows = np.broadcast_to(rows, index.shape + whole.shape[1:]).reshape(len(places), *whole.shape[1:])
    rows = rows[order]
    if rows[0].size < VERY_LONG_ROW:
        whole[places[starts]] += np.add.reduceat(rows, starts, axis=0)
        return
    for place, group in zip(places[starts], np.split(rows, starts[1:])):
        whole[place] += np.add.reduce(group, axis=0)


assemble = linear_in_all(
    _assemble,
    lambda wanted, g, ans, *pieces, indices, shape: [g[indices[i]] for i in wanted],
    name="assemble",
)


class Pieces(Parts):
    """Cotangents of some elements of an array: (piece, index)."""

    __slots__ = ()

    def _put_together(self, shape: tuple[int, ...]) -> Any:
        pieces, indices = zip(*self.parts)
        return assemble(*pieces, indices=indices, shape=shape)


class Outputs(Parts):
    """Cotangents of some results of an operation with several: (cotangent, number of the result)."""

    __slots__ = ()

    def _put_together(self, shape: tuple[int, ...]) -> Any:
        whole: list[Any] = [None] * shape[0]
        for g, i in self.parts:
            whole[i] = g if whole[i] is None else whole[i] + g
        return tuple(whole)


getitem = linear(lambda x, index: x[index], lambda g, ans, x, index: Pieces([(g, index)]), None, name="getitem")

# One result of an operation that has several.
output = Primitive(
    "output",
    lambda results, index: results[index],
    [lambda g, ans, results, index: Outputs([(g, index)])],
    [lambda v, ans, results, index: v[index]],
)


# --- NumPy's functions that select by indices ------------------------------------------------------------------------


@overrides(np.take)
def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """np.take: the elements at these places along an axis, or of the flattened array."""
    a, axis = flat_or_axis(a, axis)
    n = a.shape[axis]
    if array_of(indices).dtype == np.bool_:  # places 0 and 1, where an index would be a mask
        indices = array_of(indices).astype(np.intp)
    if mode == "wrap":
        indices = np.remainder(indices, n)
    elif mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    elif mode != "raise":
        raise ValueError(f"take: mode={mode!r} is not 'raise', 'wrap' or 'clip'")
    return a[along_axis(axis, a.ndim, indices)]


@overrides(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """np.take_along_axis: along one axis, with separate indices for each row, column, ..."""
    arr, axis = (np.ravel(arr), 0) if axis is None else (arr, one_axis(axis, arr.ndim))
    if np.ndim(indices) != arr.ndim:
        raise ValueError(
            f"take_along_axis: `indices` and `arr` must have the same number of dimensions, not {np.ndim(indices)} and "
            f"{arr.ndim}"
        )
    grid = [np.reshape(np.arange(n), (*[1] * i, n, *[1] * (arr.ndim - 1 - i))) for i, n in enumerate(arr.shape)]
    grid[axis] = indices
    return arr[tuple(grid)]


@overrides(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """np.delete: all but the elements at these places along an axis."""
    arr, axis = (np.ravel(arr), 0) if axis is None else (arr, one_axis(axis, arr.ndim))
    return take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis)


@overrides(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    """np.compress: the elements where a list of conditions holds, along an axis or of the flattened array."""
    if np.ndim(condition) != 1:
        raise ValueError(f"compress: condition must be a 1-d array, not of shape {np.shape(condition)}")
    return take(a, np.flatnonzero(condition), axis)


@overrides(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """np.extract: the elements of the flattened array where a condition holds."""
    return take(arr, np.flatnonzero(condition))


# --- in place of assignment ----------------------------------------------------------------------------------------


def _updated(x: Any, value: Any, index: Any) -> Any:
    result = np.array(x, dtype=np.result_type(x, value) if np.asarray(x).dtype.kind != "f" else None)
    result[index] = value
    return result


def _that_stay(g: Any, selected: tuple[int, ...], index: Any) -> Any:
    """A mask of the written values that remain: if an index names an element twice, the last value remains."""
    order = np.reshape(np.arange(math.prod(selected)), selected)
    return updated((g != g).astype(order.dtype), order, index)[index] == order


def _update_to_value(g: Any, ans: Any, x: Any, value: Any, index: Any) -> Any:
    written = g[index]
    if not is_basic(index):
        written = np.where(_that_stay(g, written.shape, index), written, 0)
    too_many = np.ndim(value) - written.ndim  # axes of length 1, which NumPy allows in front
    return np.reshape(written, (1,) * too_many + written.shape) if too_many > 0 else written


def _update_tangent(tangents: Any, ans: Any, x: Any, value: Any, index: Any) -> Any:
    of_x, of_value = tangents[0], tangents[1]
    if of_x is None:
        of_x = np.zeros_like(ans)
    return updated(of_x, 0.0 if of_value is None else of_value, index)


updated: Primitive = primitive(
    _updated,
    [lambda g, ans, x, value, index: updated(g, 0.0, index), _update_to_value, None],
    _update_tangent,
    name="index_update",
)


def index_update(x: Any, index: Any, value: Any) -> Any:
    """A copy of x in which ``x[index]`` is ``value``: the functional form of ``x[index] = value``.

    Args:
        x: Tensor or array.
        index: anything that NumPy takes as an index.
        value: Tensor, array or number that broadcasts to ``x[index]``. Where an index names an element more than once,
            the last value stays.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.index_update(np.zeros(3), 1, 5.0).tolist()
        [0.0, 5.0, 0.0]
    """
    return updated(x, value, _kept_index(index))


def index_add(x: Any, index: Any, value: Any) -> Any:
    """A copy of x with ``value`` added to ``x[index]``; where an index names an element more than once, all are added.

    Args:
        x: Tensor or array.
        index: anything that NumPy takes as an index.
        value: Tensor, array or number that broadcasts to ``x[index]``.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.index_add(np.zeros(3), [1, 1], 5.0).tolist()
        [0.0, 10.0, 0.0]
    """
    shape = np.shape(x)
    index = _kept_index(index)
    dtype = np.result_type(x, value)
    x, value = (a.astype(dtype) if hasattr(a, "astype") else np.asarray(a, dtype) for a in (x, value))
    value = np.broadcast_to(value, selected_shape(shape, index))
    return assemble(x, value, indices=(Ellipsis, index), shape=shape)


def _kept_index(index: Any) -> Any:
    """An index with its arrays copied (and lists made arrays), as the graph keeps it and the caller may change them.

    A Tensor's array never changes, so it isn't copied; while a function is traced for the compiler, its stand-in is
    kept.
    """
    if isinstance(index, tuple):
        return tuple(map(_kept_index, index))
    if is_basic(index):
        return index
    return index._data if hasattr(index, "_data") else np.array(index)
