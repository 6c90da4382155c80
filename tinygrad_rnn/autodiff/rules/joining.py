"""Joining arrays into one, and splitting one."""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

import numpy as np

from ..registry import linear_in_all, overrides
from .axes import along_axis

# --- lists -----------------------------------------------------------------------------------------------------------


def is_list_of_arrays(a: Any) -> bool:
    """Return True for a list, nested or not, that holds an object with NumPy's protocol, such as a Tensor."""
    return isinstance(a, (list, tuple)) and any(_has_a_say(part) or is_list_of_arrays(part) for part in a)


def _has_a_say(a: Any) -> bool:
    return hasattr(a.__class__, "__array_function__") and not isinstance(a, np.ndarray)


def from_list(a: Any) -> Any:
    """The array that NumPy would make of a list; any other object as it is."""
    return np.stack([from_list(part) for part in a]) if isinstance(a, (list, tuple)) else a


# Functions that take a list of arrays, not a list for an array: its members stand for arrays.
TAKE_LISTS = {
    np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.block, np.select,
    np.linalg.multi_dot,
}  # fmt: skip


def without_lists(function: Any, a: Any) -> Any:
    """An argument of a function, with lists of Tensors replaced by arrays."""
    if not is_list_of_arrays(a):
        return a
    if function not in TAKE_LISTS:
        return from_list(a)
    return a if function is np.block else [without_lists(None, part) for part in a]


@overrides(np.array, np.asarray, np.asanyarray, np.ascontiguousarray)
def array(a: Any, dtype: Any = None) -> Any:
    """np.array(..., like=tensor): a list with Tensors in it as one."""
    made = np.copy(a) if hasattr(a, "shape") else from_list(a)
    return made if dtype is None else made.astype(dtype)


# --- concatenate and stack -------------------------------------------------------------------------------------------


def _joined(*arrays: Any, axis: int | None, starts: list[int]) -> Any:
    return np.concatenate(arrays, axis=axis)


def _pieces_of_joined(
    wanted: list[int], g: Any, ans: Any, *arrays: Any, axis: int | None, starts: list[int]
) -> list[Any]:
    if axis is None:
        return [np.reshape(g[starts[i] : starts[i + 1]], arrays[i].shape) for i in wanted]
    return [g[along_axis(axis, g.ndim, slice(starts[i], starts[i + 1]))] for i in wanted]


def _cast(whole: Any, dtype: Any) -> Any:
    """The joined array in a dtype of the same kind, to which alone NumPy casts unless it is told ``casting=``."""
    if dtype is None:
        return whole
    if not np.can_cast(whole.dtype, dtype, "same_kind"):
        raise TypeError(f"cannot cast array data from {whole.dtype} to {np.dtype(dtype)} by the rule 'same_kind'")
    return whole.astype(dtype)


joined = linear_in_all(_joined, _pieces_of_joined, name="concatenate")


@overrides(np.concatenate)
def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Any:
    """np.concatenate, of Tensors and arrays."""
    arrays = [a if hasattr(a, "shape") else np.asarray(a) for a in arrays]
    sizes = [math.prod(shape[axis:][:1] if axis is not None else shape) for shape in map(np.shape, arrays)]
    return _cast(joined(*arrays, axis=axis, starts=[0, *itertools.accumulate(sizes)]), dtype)


def _stacked(*arrays: Any, axis: int = 0) -> Any:
    return np.stack(arrays, axis=axis)


def _layers_of_stacked(wanted: list[int], g: Any, ans: Any, *arrays: Any, axis: int = 0) -> list[Any]:
    return [g[along_axis(axis, g.ndim, i)] for i in wanted]


stacked = linear_in_all(_stacked, _layers_of_stacked, name="stack")


@overrides(np.stack)
def stack(arrays: Any, axis: int = 0, dtype: Any = None) -> Any:
    """np.stack, of Tensors and arrays."""
    return _cast(stacked(*(a if hasattr(a, "shape") else np.asarray(a) for a in arrays), axis=axis), dtype)


# --- by name of the axis ---------------------------------------------------------------------------------------------


@overrides(np.vstack)
def vstack(tup: Any, dtype: Any = None) -> Any:
    """np.vstack: one below the other; vectors are rows."""
    return concatenate([np.atleast_2d(a) for a in tup], 0, dtype)


@overrides(np.hstack)
def hstack(tup: Any, dtype: Any = None) -> Any:
    """np.hstack: side by side."""
    arrays = [np.atleast_1d(a) for a in tup]
    return concatenate(arrays, 0 if np.ndim(arrays[0]) == 1 else 1, dtype)


@overrides(np.dstack)
def dstack(tup: Any) -> Any:
    """np.dstack: one behind the other, along the third axis."""
    return concatenate([np.atleast_3d(a) for a in tup], 2)


@overrides(np.column_stack)
def column_stack(tup: Any) -> Any:
    """np.column_stack: side by side; vectors are columns."""
    return concatenate([np.reshape(a, (np.size(a), 1)) if np.ndim(a) < 2 else a for a in tup], 1)


@overrides(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """np.append; without an axis, both are flattened."""
    return concatenate([np.ravel(arr), np.ravel(values)] if axis is None else [arr, values], axis or 0)


@overrides(np.block)
def block(arrays: Any) -> Any:
    """np.block: the innermost lists are joined along the last axis, those around them along the one before, ..."""
    depth = _depth(arrays)
    ndim = max([depth, *(np.ndim(a) for a in _leaves(arrays))])

    def build(part: Any, level: int) -> Any:
        if level == depth:
            return np.reshape(part, (1,) * (ndim - np.ndim(part)) + np.shape(part))
        return concatenate([build(p, level + 1) for p in part], level - depth)

    return build(arrays, 0)


def _depth(nested: Any) -> int:
    if not isinstance(nested, list):
        return 0
    depths = {_depth(part) for part in nested}
    if len(depths) != 1:
        raise ValueError("block: lists must be nested to the same depth everywhere, and none may be empty")
    return 1 + depths.pop()


def _leaves(nested: Any) -> list[Any]:
    return [leaf for part in nested for leaf in _leaves(part)] if isinstance(nested, list) else [nested]


# --- taking apart ----------------------------------------------------------------------------------------------------


def _cut(ary: Any, bounds: list[int], axis: int) -> list[Any]:
    """The slices between bounds, each an array of its own."""
    ends = zip([0, *bounds], [*bounds, ary.shape[axis]])
    return [ary[along_axis(axis, ary.ndim, slice(start, stop))] for start, stop in ends]


@overrides(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """np.array_split: into parts of nearly equal size, or at the given places."""
    if np.ndim(indices_or_sections):
        return _cut(ary, [operator.index(i) for i in indices_or_sections], axis)
    parts = operator.index(indices_or_sections)
    if parts < 1:
        raise ValueError(f"array_split: {parts} parts")
    size, longer = np.divmod(ary.shape[axis], parts)  # the first few are longer by one
    return _cut(ary, [int(k * size + np.minimum(k, longer)) for k in range(1, parts)], axis)


@overrides(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """np.split: slices of the array, each a Tensor of its own."""
    if not np.ndim(indices_or_sections) and ary.shape[axis] % indices_or_sections:
        n = ary.shape[axis]
        raise ValueError(
            f"split of shape {ary.shape} along axis {axis}: {n} is not a multiple of {indices_or_sections}"
        )
    return array_split(ary, indices_or_sections, axis)


if hasattr(np, "unstack"):  # NumPy 2.1

    @overrides(np.unstack)
    def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
        """np.unstack: the layers along an axis."""
        if np.ndim(x) == 0:
            raise ValueError("unstack: unstack: a number has no axes")
        return tuple(np.moveaxis(x, axis, 0))


@overrides(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """np.hsplit: along the second axis, or the only one."""
    return split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


@overrides(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """np.vsplit: along the first axis."""
    if ary.ndim < 2:
        raise ValueError(f"vsplit of shape {ary.shape}: needs at least 2 axes")
    return split(ary, indices_or_sections, 0)


@overrides(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """np.dsplit: along the third axis."""
    if ary.ndim < 3:
        raise ValueError(f"dsplit of shape {ary.shape}: needs at least 3 axes")
    return split(ary, indices_or_sections, 2)
