"""Other sums: sums for means, along the other axis, and the paths through means and variances left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...autodiff.rules import elementwise, reductions, shape
from ..equations.arithmetic import is_difference, is_sum, negative
from ..equations.expressions import Apply, Expression, Number, apply, one_axis
from ..equations.making import broadcast, times, unwrapped, zeros
from ..equations.parts import applies, parts, replaced, total
from .changing import applied, derivatives_in
from .edits import Edit

if TYPE_CHECKING:
    from .derived import Derived

_LINEAR = elementwise.multiply, elementwise.divide, elementwise.negative, shape.broadcast_to


def other_sums(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """The changes of all sums along an axis that is kept: sums for means, or along the other axis of a matrix."""
    found = (_kept_axis(p) for line in derivation.lines if line.kind == "backward" for p in parts(line.expression))
    for along, lengths in dict.fromkeys(kept for kept in found if kept is not None):
        n = lengths[along]
        changes = [(float(n), along, f"sums over {n} numbers stand where their means belong, everywhere")]
        if len(lengths) == 2:
            changes.append((n / lengths[1 - along], 1 - along, "the means over the other axis, everywhere"))
            changes.append((1.0, 1 - along, "the sums over the other axis, everywhere"))
        for by, to, what in changes:

            def change(part: Expression, by: Any = by, to: Any = to, kept: Any = (along, lengths)) -> Expression | None:
                if _kept_axis(part) != kept:
                    return None
                other = part if to == kept[0] else apply(reductions.sum, *part.operands, axis=(to,), keepdims=True)
                return times(Number(by), other)

            for edits in applied(derivation, change, what, (), ("backward",), 1):
                yield edits
                yield from ((edit,) for edit in edits if len(edits) > 1)  # each line by itself
        if n > 1:
            yield from _of_one_less(derivation, (along, lengths))


def _of_one_less(derivation: Derived, kept: tuple[int, tuple[int, ...]]) -> Iterator[tuple[Edit, ...]]:
    """The changes of all means that are subtracted, of a derivative and of its product with a value: n - 1 for n."""
    n = kept[1][kept[0]]

    def change(part: Expression) -> Expression | None:
        new = tuple(replaced(operand, divided) for operand in part.operands)
        return part.with_operands(new) if (is_sum(part) or is_difference(part)) and new != part.operands else None

    def divided(part: Expression) -> Expression | None:
        return times(Number(n / (n - 1)), part) if _kept_axis(part) == kept else None

    what = f"sums over {n} numbers were divided by {n - 1}, everywhere"
    yield from applied(derivation, change, what, (), ("backward", "gradient"), 1)


def without_statistics(part: Expression) -> Expression | None:
    """The rest of a derivative if the means and variances of a value's own elements are held constant."""
    if _is_of_a_statistic(part, part.shape):
        return zeros(part.shape)
    terms = _signed_terms(part)
    kept = [term for term in terms if not _is_of_a_statistic(unwrapped(term)[0], part.shape)]
    if len(kept) == len(terms):
        return None
    return broadcast(replaced(total(kept), without_statistics), part.shape)


def _is_of_a_statistic(part: Expression, of: tuple[int, ...]) -> bool:
    """Return True for derivatives that were summed over elements, and then spread over the same elements again."""
    if not isinstance(part, Apply):
        return False
    if part.operation is reductions.sum:
        return part.operands[0].shape == of != part.shape and bool(derivatives_in(part))
    if terms := _signed_terms(part):
        return all(_is_of_a_statistic(term, of) for term in terms)
    return part.operation in _LINEAR and any(_is_of_a_statistic(operand, of) for operand in part.operands)


def _signed_terms(part: Expression) -> tuple[Expression, ...]:
    """The terms of a sum or a difference; none of anything else."""
    if is_difference(part):
        return part.operands[0], negative(part.operands[1])
    return part.operands if is_sum(part) else ()


def _kept_axis(part: Expression) -> tuple[int, tuple[int, ...]] | None:
    """The axis over which derivatives are summed, to be spread over it again, and their shape; None for others."""
    if not (applies(part, reductions.sum) and derivatives_in(part)):
        return None
    axis, shape_ = one_axis(part.settings.get("axis")), part.operands[0].shape
    axis = 0 if axis is None and len(shape_) == 1 else axis
    is_spread = part.settings.get("keepdims") or axis == 0  # over rows as it is
    return (axis % len(shape_), shape_) if isinstance(axis, int) and is_spread and len(shape_) in (1, 2) else None
