"""Indexing, and its transpose: putting pieces together.

The cotangent of ``x[i]`` is zero outside ``i``. Written out for each of T steps of a sequence, those zeros would cost
T². So an index contributes its piece and where it belongs, ``Pieces``; when the turn of ``x`` comes, one primitive,
``assemble``, puts all pieces together; and the transpose of that is indexing again, which closes the circle for
higher derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import Primitive, linear, linear_in_all
from .parts import Parts


def is_basic(index: Any) -> bool:
    """Whether an index selects a view (ints, slices, None, ...), so that no element can be selected twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, (int, slice, np.integer)) for part in parts)


def _assemble(*pieces: Any, indices: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    whole = np.zeros_like(pieces[0], shape=shape)
    for piece, index in zip(pieces, indices):
        if is_basic(index):
            whole[index] += piece
        else:
            np.add.at(whole, index, piece)  # an index may name an element more than once: contributions add up
    return whole


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
    """Cotangents of some results of an operation that has several: (cotangent, which)."""

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
