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
    """Elements in an array.

    Attributes:
        array: the name of the array.
        lead: the first index, a time step or a turn; None if there is none.
        indices_of: returns the other indices of the array, for those of the Value.
        sizes: the shape of the array without the first index.
        offset: if the elements lie as a matrix in rows: the column of the first one; None if they don't.
        transposed: whether rows and columns of that matrix are exchanged.
    """

    array: str
    lead: str | None
    indices_of: Callable[[Indices], Indices]
    sizes: tuple[int, ...]
    offset: int | None = 0
    transposed: bool = False

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


def whole(array: str, sizes: Sequence[int], lead: str | None = None) -> Place:
    """The place that covers an array, or the part of it with this first index."""
    return Place(array, lead, _same, tuple(sizes))


def row(place: Place) -> Place:
    """Row t of a sequence."""
    if place.is_whole:
        return whole(place.array, place.sizes[1:], "t")
    return place._replace(indices_of=lambda indices: place.indices_of(["t", *indices]), offset=None)


def sliced(place: Place, of: tuple[int, ...], index: tuple[object, ...]) -> Place | None:
    """The place of a basic index (ints, slices, None) into a Value of shape ``of``."""
    index = _spelled_out(index, len(of))
    counted: list[tuple[int | None, int, int]] = []  # for each axis of the whole: (axis of the part, start, step)
    axis = dimension = 0
    for part in index:
        if part is None:
            axis += 1
        elif isinstance(part, slice):
            start, _, step = part.indices(of[dimension])
            counted.append((axis, start, step))
            axis, dimension = axis + 1, dimension + 1
        else:
            counted.append((None, int(part) % of[dimension], 1))  # type: ignore[call-overload]
            dimension += 1

    def back(indices: Indices) -> Indices:
        return place.indices_of([_counted(indices, axis, start, step) for axis, start, step in counted])

    return place._replace(indices_of=back, offset=_offset(place, index, counted))


def _spelled_out(index: tuple[object, ...], ndim: int) -> tuple[object, ...]:
    """An index with one part for each of the axes and for each new axis."""
    missing = ndim - sum(part is not None and part is not Ellipsis for part in index)
    at = next((i for i, part in enumerate(index) if part is Ellipsis), len(index))
    return (*index[:at], *(slice(None),) * missing, *index[at + 1 :])


def chosen(
    place: Place, of: tuple[int, ...], index: tuple[object, ...], element: Callable[[Value, Indices, int], str]
) -> Place:
    """The place of an index with arrays of whole numbers in it, into a Value of shape ``of``.

    As in NumPy, the axes of these arrays stand together in their place, or in front if a slice separates two of them.

    Args:
        place: the place of the whole.
        of: the shape of the whole.
        index: ints, slices, None, and arrays, as Values.
        element: returns the text of an element of such an array, which is a place along an axis of this length.
    """
    index = _spelled_out(index, len(of))
    counts = [i for i, part in enumerate(index) if not (part is None or isinstance(part, slice))]
    ndim = max(part.ndim if isinstance(part, Value) else 0 for part in index)
    first = counts[0] if counts == list(range(counts[0], counts[-1] + 1)) else 0

    def back(indices: Indices) -> Indices:
        shared, others = indices[first : first + ndim], iter([*indices[:first], *indices[first + ndim :]])
        found: Indices = []
        for part in index:
            length = of[len(found)] if len(found) < len(of) else 0
            if part is None:
                next(others)
            elif isinstance(part, slice):
                start, _, step = part.indices(length)
                found.append(_counted([next(others)], 0, start, step))
            elif isinstance(part, Value):
                found.append(element(part, aligned(shared, part.shape), length))
            else:
                found.append(str(int(part) % length))  # type: ignore[call-overload]
        return place.indices_of(found)

    return place._replace(indices_of=back, offset=None, transposed=False)


def _counted(indices: Indices, axis: int | None, start: int, step: int) -> str:
    if axis is None:
        return str(start)
    text = indices[axis] if step == 1 else f"{step} * ({indices[axis]})"
    return text if start == 0 else f"{start} + {text}"


def _offset(place: Place, index: tuple[object, ...], counted: list[tuple[int | None, int, int]]) -> int | None:
    """The offset of the matrix of a part, if the part has all rows and adjacent columns; else None."""
    plain = all(isinstance(part, slice) for part in index) and not place.transposed and counted
    if not plain or place.offset is None or any(start or step != 1 for _, start, step in counted[:-1]):
        return None
    return place.offset + counted[-1][1] if counted[-1][2] == 1 else None


def viewed(value: Value, place: Place) -> Place | None:
    """The place of a view, from the place of its base; None if no such place describes it."""
    base = value.args[0]
    if value.op is indexing.getitem:
        index = value.args[1]
        return sliced(place, base.shape, index if isinstance(index, tuple) else (index,))
    if value.op in (shape.reshape, shape.expand_dims, shape.squeeze):
        return _regrouped(place, base.shape, value.shape)
    if value.op is shape.broadcast_to:
        missing = value.ndim - base.ndim
        return place._replace(
            indices_of=lambda indices: place.indices_of(aligned(indices[missing:], base.shape)),
            offset=place.offset if value.shape == base.shape else None,
        )
    if value.op is shape.transpose and len(value.args) == 1 and not value.keywords:
        return place._replace(
            indices_of=lambda indices: place.indices_of(indices[::-1]),
            transposed=base.ndim == 2 and not place.transposed,
        )
    if value.op in (shape.transpose, shape.moveaxis, shape.swapaxes):
        return _reordered(place, value)
    return None


def _reordered(place: Place, value: Value) -> Place:
    """The place of a Value whose axes stand in another order."""
    base, order = value.args[0], order_of_axes(value)

    def back(indices: Indices) -> Indices:
        return place.indices_of([indices[order.index(axis)] for axis in range(base.ndim)])

    return place._replace(indices_of=back, offset=None, transposed=False)


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
