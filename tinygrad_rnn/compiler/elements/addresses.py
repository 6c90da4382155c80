"""Addresses of a Value's elements in generated machine code: an array, and the indices into it.

A view (a gate's slice of a product, a row of a sequence) has no array of its own, only another way to count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...autodiff.rules import indexing, shape
from ..graph.shapes import order_of_axes
from ..graph.values import Value

Indices = list[str]


class Place(NamedTuple):
    """Elements in an array."""

    array: str  # the name of the array
    lead: str | None  # the first index, a time step or a turn; None if there is none
    indices_of: Callable[[Indices], Indices]  # returns the other indices of the array, for those of the Value
    sizes: tuple[int, ...]  # the shape of the array without the first index
    offset: int | None = 0  # if the elements lie as a matrix in rows: the column of the first one; None if they don't
    transposed: bool = False  # whether rows and columns of that matrix are exchanged

    @property
    def is_whole(self) -> bool:
        """True if the place is all of an array, element by element."""
        return self.indices_of is _same and self.lead is None

    def covers(self, sizes: tuple[int, ...]) -> bool:
        """Return True if all elements of a Value of this shape lie here, one after another."""
        return self.indices_of is _same and self.sizes == sizes

    def nth(self, n: str, size: str) -> str:
        """The text of an element by its number, for a Value of so many elements that this covers."""
        return f"{self.array}.flat[{n}]" if self.lead is None else f"{self.array}.flat[({self.lead}) * {size} + {n}]"

    def at(self, indices: Indices) -> str:
        """The text of one element."""
        return f"{self.array}[{', '.join([*([self.lead] if self.lead else []), *self.indices_of(indices)]) or '()'}]"


def _same(indices: Indices) -> Indices:
    return indices


def indices_of(shape: Sequence[int]) -> Indices:
    """The indices that loops over all axes of an array have: i0, i1, ..."""
    return [f"i{axis}" for axis in range(len(shape))]


def whole(array: str, sizes: Sequence[int], lead: str | None = None) -> Place:
    """The place that covers an array, or the part of it with this first index."""
    return Place(array, lead, _same, tuple(sizes))


def row(place: Place) -> Place:
    """Row t of a sequence."""
    if place.is_whole:
        return whole(place.array, place.sizes[1:], "t")
    return place._replace(indices_of=lambda indices: place.indices_of(["t", *indices]), offset=None)


def part(
    place: Place,
    of: tuple[int, ...],
    index: tuple[object, ...],
    written: Callable[[int], str],
    element: Callable[[Value, Indices, int], str] | None = None,
) -> Place:
    """The place of an index into a Value of shape ``of``.

    As in NumPy, the axes of arrays in it stand together in their place, or in front if a slice separates two of them.

    Args:
        place: the place of the whole.
        of: the shape of the whole.
        index: ints, slices, None, and arrays of whole numbers, as Values.
        written: returns the text of a place along an axis, which may follow the sizes of the arguments.
        element: returns the text of an element of such an array, which is a place along an axis of this length.
    """
    index = indexing.spelled_out(index, len(of))
    counts = [i for i, each in enumerate(index) if not (each is None or isinstance(each, slice))]
    ndim = max((each.ndim for each in index if isinstance(each, Value)), default=0)
    first = counts[0] if counts and counts == list(range(counts[0], counts[-1] + 1)) else 0

    def back(indices: Indices) -> Indices:
        shared, others = indices[first : first + ndim], iter([*indices[:first], *indices[first + ndim :]])
        found: Indices = []
        for each in index:
            length = of[len(found)] if len(found) < len(of) else 0
            if each is None:
                next(others)
            elif isinstance(each, slice):
                start, _, step = each.indices(length)
                found.append(_counted(next(others), written(start) if start else "", step))
            elif isinstance(each, Value):
                assert element is not None
                found.append(element(each, aligned(shared, each.shape), length))
            else:
                found.append(written(int(each) % length))  # type: ignore[call-overload]
        return place.indices_of(found)

    return place._replace(indices_of=back, offset=_offset(place, of, index))


def _counted(index: str, start: str, step: int) -> str:
    text = index if step == 1 else f"{step} * ({index})"
    return f"{start} + {text}" if start else text


def _offset(place: Place, of: tuple[int, ...], index: tuple[object, ...]) -> int | None:
    """The offset of the matrix of a part, if the part has all rows and adjacent columns; else None."""
    counted = [each.indices(n) for each, n in zip(index, of) if isinstance(each, slice)]
    if place.offset is None or place.transposed or not counted or len(counted) < len(index):
        return None
    *rows, (start, _, step) = counted
    return place.offset + start if step == 1 and all((r[0], r[2]) == (0, 1) for r in rows) else None


def viewed(value: Value, place: Place, written: Callable[[int], str]) -> Place | None:
    """The place of a view, from the place of its base; None if no such place describes it.

    Args:
        value: the view.
        place: the place of its base.
        written: as for ``part``.
    """
    base = value.args[0]
    if value.op is indexing.getitem:
        index = value.args[1]
        return part(place, base.shape, index if isinstance(index, tuple) else (index,), written)
    if value.op is shape.reshape:
        return _regrouped(place, base.shape, value.shape)
    if value.op is shape.broadcast_to:
        missing = value.ndim - base.ndim
        return place._replace(
            indices_of=lambda indices: place.indices_of(aligned(indices[missing:], base.shape)),
            offset=place.offset if value.shape == base.shape else None,
        )
    if value.op is shape.transpose:
        order = order_of_axes(value)
        return place._replace(
            indices_of=lambda indices: place.indices_of([indices[order.index(axis)] for axis in range(base.ndim)]),
            offset=place.offset if order == [1, 0] else None,
            transposed=not place.transposed,
        )
    return None


def _regrouped(place: Place, old: tuple[int, ...], new: tuple[int, ...]) -> Place | None:
    """The place after axes of length 1 were inserted or removed."""
    kept = [i for i, n in enumerate(new) if n != 1]
    if [n for n in old if n != 1] != [new[i] for i in kept]:
        return None

    def back(indices: Indices) -> Indices:
        rest = iter(indices[i] for i in kept)
        return place.indices_of(["0" if n == 1 else next(rest) for n in old])

    keeps_rows = old == new or (old[-1:] == new[-1:] and not place.transposed)
    return place._replace(indices_of=back, offset=place.offset if keeps_rows else None)


def aligned(indices: Indices, shape: tuple[int, ...]) -> Indices:
    """The indices of an operand that is broadcast: its axes are the last ones, and a length of 1 repeats."""
    used = indices[len(indices) - len(shape) :]
    return ["0" if n == 1 else i for i, n in zip(used, shape)]
