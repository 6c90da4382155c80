"""Machine code for sums of products over axes: small matrix products, stacks of matrices, dots, and other einsums.

Such a sum can run in three orders; the fast one depends on how the numbers lie in memory. If the last axis of a factor
is also that of the result, rows of the factor are added up. A sum along the last axis of both factors is kept in
registers. Anything else is computed number by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .. import thresholds
from ..elements.expressions import literal
from ..elements.function import MachineCode, NoMachineCode
from ..graph.shapes import letters_of
from ..graph.values import Value
from .placement import Placement


class _Term(NamedTuple):
    """An element of an array, as text; and the letter of the axis along which its neighbours in memory lie."""

    text: str
    last: str


def compute(placement: Placement, value: Value) -> None:
    """Write a sum of products of one or two factors to its home."""
    code = placement.code
    terms, result = letters_of(value)
    if {a.dtype for a in value.args} != {value.dtype} or value.dtype.kind == "b":
        raise NoMachineCode("a product of several types")
    sizes: dict[str, int] = {}
    for term, a in zip(terms, value.args):
        for letter, n in zip(term, a.shape):
            sizes[letter] = n if n != 1 else sizes.get(letter, 1)
    names = {letter: f"i{axis}" for axis, letter in enumerate(dict.fromkeys([*result, *sorted(sizes)]))}
    factors = []
    for term, a in zip(terms, value.args):
        indices = [names[letter] if n != 1 else "0" for letter, n in zip(term, a.shape)]
        factors.append(_term(placement.place_of(a).at(indices), names))
    target = _term(placement.home(value).at([names[letter] for letter in result]), names)
    inner = [letter for letter in names if letter not in result]
    lengths = tuple(sizes[letter] for letter in names)
    axes = {letter: axis for axis, letter in enumerate(names)}
    zero = literal(0, value.dtype)
    moving = [factor for factor in factors if target.last and factor.last == target.last]
    if len(inner) == 1 and moving and all(f is moving[0] or names[target.last] not in f.text for f in factors):
        outer = [axes[letter] for letter in result if letter != target.last]
        lines = _rows(code, target, factors, axes[inner[0]], axes[target.last], lengths, zero)
        code.kernel("product", code.nest(lengths, lines, outer))
        return
    product = " * ".join(factor.text for factor in factors)
    along = [axes[letter] for letter in inner]
    summed = code.nest(lengths, [f"x += {product}"], along)
    lines = [f"x = {zero}", *summed, f"{target.text} = x"]
    code.kernel("dot", code.nest(lengths, lines, range(len(result))), reorders=True)


def _rows(
    code: MachineCode, target: _Term, factors: Sequence[_Term], k: int, j: int, lengths: tuple[int, ...], zero: str
) -> list[str]:
    """The sum of one factor's rows, each times a number of the other; several are added before each write."""
    unrolled, row = thresholds.UNROLLED, f"i{j}"
    moving = next(factor for factor in factors if factor.last == target.last)
    others = [factor for factor in factors if factor is not moving]
    at = lambda text, place: text.replace(f"i{k}", place)  # noqa: E731
    number = lambda place: " * ".join(at(other.text, place) for other in others) or "1"  # noqa: E731
    width = code.bounds(lengths[j], j, True)
    length = code.written(lengths[k]) if code.is_in_loop else code.size(lengths[k])
    products = " + ".join(f"x{u} * {at(moving.text, f'(i{k} + {u})')}" for u in range(unrolled))
    return [
        f"for {row} in range({width}):",
        f"    {target.text} = {zero}",
        f"for i{k} in range(0, {length} - {length} % {unrolled}, {unrolled}):",
        *(f"    x{u} = {number(f'(i{k} + {u})')}" for u in range(unrolled)),
        f"    for {row} in range({width}):",
        f"        {target.text} += {products}",
        f"for i{k} in range({length} - {length} % {unrolled}, {length}):",
        f"    x = {number(f'i{k}')}",
        f"    for {row} in range({width}):",
        f"        {target.text} += x * {moving.text}",
    ]


def _term(text: str, names: dict[str, str]) -> _Term:
    last = text.rpartition("[")[2].rstrip("]").rpartition(", ")[2]
    return _Term(text, next((letter for letter, name in names.items() if name == last), ""))
