"""Functions that move elements around: all linear, so each needs its transpose and nothing more."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..registry import linear, linear_in_all, overrides, without_gradient


def _back_to_shape(g: Any, ans: Any, a: Any, *args: Any, **kwargs: Any) -> Any:
    return np.reshape(g, a.shape)


def _reshape(a: Any, shape: Any) -> Any:
    return np.reshape(a, shape)


def _transposed_axes(g: Any, ans: Any, a: Any, axes: Any = None) -> Any:
    return np.transpose(g, None if axes is None else tuple(int(i) for i in np.argsort([i % a.ndim for i in axes])))


reshape = overrides(np.reshape)(linear(_reshape, _back_to_shape, None))
squeeze = overrides(np.squeeze)(linear(lambda a, axis=None: np.squeeze(a, axis), _back_to_shape, None, name="squeeze"))
expand_dims = overrides(np.expand_dims)(
    linear(lambda a, axis: np.expand_dims(a, axis), _back_to_shape, None, name="expand_dims")
)
transpose = overrides(np.transpose)(
    linear(lambda a, axes=None: np.transpose(a, axes), _transposed_axes, None, name="transpose")
)
swapaxes = overrides(np.swapaxes)(
    linear(
        lambda a, axis1, axis2: np.swapaxes(a, axis1, axis2),
        lambda g, ans, a, axis1, axis2: np.swapaxes(g, axis1, axis2),
        None,
        None,
        name="swapaxes",
    )
)
moveaxis = overrides(np.moveaxis)(
    linear(
        lambda a, source, destination: np.moveaxis(a, source, destination),
        lambda g, ans, a, source, destination: np.moveaxis(g, destination, source),
        None,
        None,
        name="moveaxis",
    )
)
# The backward pass undoes broadcasting and dtypes by itself, so the transposes of these two are the identity.
broadcast_to = overrides(np.broadcast_to)(
    linear(
        lambda array, shape: np.broadcast_to(array, shape), lambda g, ans, array, shape: g, None, name="broadcast_to"
    )
)
cast = linear(lambda a, dtype: a.astype(dtype), lambda g, ans, a, dtype: g, None, name="astype")


def astype(a: Any, dtype: Any) -> Any:
    """a, with its elements as another dtype; the cotangent goes back as a's own."""
    return cast(a, np.dtype(dtype))


# --- joining and splitting -------------------------------------------------------------------------------------------


def _joined(*arrays: Any, axis: int | None, starts: list[int]) -> Any:
    return np.concatenate(arrays, axis=axis)


def _pieces_of_joined(
    wanted: list[int], g: Any, ans: Any, *arrays: Any, axis: int | None, starts: list[int]
) -> list[Any]:
    if axis is None:
        return [np.reshape(g[starts[i] : starts[i + 1]], arrays[i].shape) for i in wanted]
    before = (slice(None),) * (axis % g.ndim)
    return [g[(*before, slice(starts[i], starts[i + 1]))] for i in wanted]


joined = linear_in_all(_joined, _pieces_of_joined, name="concatenate")


@overrides(np.concatenate)
def concatenate(arrays: Any, axis: int | None = 0) -> Any:
    """np.concatenate, of Tensors and arrays."""
    sizes = [math.prod(shape[axis:][:1] if axis is not None else shape) for shape in map(np.shape, arrays)]
    return joined(*arrays, axis=axis, starts=[0, *itertools.accumulate(sizes)])


def _stacked(*arrays: Any, axis: int = 0) -> Any:
    return np.stack(arrays, axis=axis)


def _layers_of_stacked(wanted: list[int], g: Any, ans: Any, *arrays: Any, axis: int = 0) -> list[Any]:
    before = (slice(None),) * (axis % g.ndim)
    return [g[(*before, i)] for i in wanted]


stacked = linear_in_all(_stacked, _layers_of_stacked, name="stack")


@overrides(np.stack)
def stack(arrays: Any, axis: int = 0) -> Any:
    """np.stack, of Tensors and arrays."""
    return stacked(*arrays, axis=axis)


@overrides(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """np.split: slices of the array, each a Tensor of its own."""
    n = ary.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        if n % indices_or_sections:
            raise ValueError(
                f"split of shape {ary.shape} along axis {axis}: {n} is not a multiple of {indices_or_sections}"
            )
        bounds = [n // indices_or_sections * k for k in range(1, indices_or_sections)]
    else:
        bounds = [int(i) for i in indices_or_sections]
    before = (slice(None),) * (axis % ary.ndim)
    return [ary[(*before, slice(start, stop))] for start, stop in zip([0, *bounds], [*bounds, n])]


without_gradient(np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.result_type)
