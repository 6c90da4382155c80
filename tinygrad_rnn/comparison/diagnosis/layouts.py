"""Layouts in which other people and libraries keep a gradient: transposed, gates stacked, in another order, flat."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

BLOCKS = (2, 3, 4)  # the numbers of gates in the usual cells
Layout = tuple[str, np.ndarray]  # a phrase, and the right array in this layout


def layouts(right: np.ndarray, shape: tuple[int, ...]) -> Iterator[Layout]:
    """The right array in the layouts that fit a shape, up to axes of length 1; the usual ones come first.

    Args:
        right: the array.
        shape: the shape of the given array.

    Example:
        >>> next(layouts(np.arange(6.0).reshape(2, 3), (6,)))[0]
        'in the shape (6,)'
    """
    if math.prod(shape) != right.size:
        return
    without_ones = _without_ones(shape)
    for words, mixed in itertools.chain([("", right)], in_blocks(right)):
        for how, arranged in _arranged(mixed, shape):
            if _without_ones(arranged.shape) == without_ones:
                yield ", ".join(filter(None, (how, words))), arranged


def in_blocks(array: np.ndarray) -> Iterator[Layout]:
    """An array with the blocks of its last axis in other orders."""
    for count in BLOCKS:
        if array.ndim and array.shape[-1] % count == 0:
            blocks = np.split(array, count, axis=-1)
            for order in itertools.permutations(range(count)):
                if list(order) != sorted(order):
                    said = ", ".join(str(i + 1) for i in order)
                    mixed = np.concatenate([blocks[i] for i in order], axis=-1)
                    yield f"with its blocks of columns in the order {said}", mixed


def _arranged(array: np.ndarray, shape: tuple[int, ...]) -> Iterator[Layout]:
    if array.ndim == 2:
        yield ("transposed" if len(shape) == 2 else f"transposed, in the shape {shape}"), array.T
    for count in BLOCKS:
        if array.ndim and array.shape[-1] % count == 0:
            blocks = np.split(array, count, axis=-1)
            yield "with its gates stacked along a new first axis", np.stack(blocks)
            if array.ndim == 2:
                turned = np.stack([block.T for block in blocks])
                yield "with its gates stacked along a new first axis, each transposed", turned
                yield "with its gates stacked along a new axis in the middle", np.stack(blocks, axis=1)
            yield "with its gates stacked along a new last axis", np.stack(blocks, axis=-1)
    yield f"in the shape {shape}", array if _without_ones(array.shape) == _without_ones(shape) else array.ravel()
    yield f"transposed, in the shape {shape}", array.T.ravel()


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)
