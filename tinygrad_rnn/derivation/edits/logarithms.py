"""Forms of lines in log space: a softmax as people have it there, the exponential of a sum of logarithms.

The forward algorithm computes h_t = logsumexp(z_t) + e_t with z_t = h_{t-1} + A; ``exp(h_{t-1} + A + e_t - h_t)`` is
written for softmax(z_t), and each of these terms may be missing there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ...autodiff.rules import elementwise, indexing, log_probabilities
from ..equations.arithmetic import is_sum
from ..equations.expressions import Expression, Reference, apply, one_axis
from ..equations.lines import Line
from ..equations.making import over, times
from ..equations.parts import applies, as_read, at, parts, places, put
from ..equations.quantities import Quantity
from .of_uses import Path, definition, written_out


def in_logarithms(line: Line, forward: Sequence[Quantity]) -> Iterator[tuple[Path, Expression]]:
    """The right-hand sides of a line with one softmax written as a product of exponentials; each with its place.

    Args:
        line: the line.
        forward: the quantities of the forward pass.
    """
    for start, whole in itertools.chain([((), line.expression)], written_out(line) if line.kind != "forward" else ()):
        for place, part in places(at(whole, start), start):
            form = _exponentials(part, forward)
            if form is not None:
                yield place, put(whole, place, form)


def _exponentials(part: Expression, forward: Sequence[Quantity]) -> Expression | None:
    """A softmax of a sum in which there are logarithms of probabilities, as the exponentials of its terms."""
    found = definition(part.quantity) if isinstance(part, Reference) else None
    if not isinstance(part, Reference) or not applies(found, log_probabilities.softmax_of):
        return None
    (z,) = found.operands
    meaning = definition(z.quantity) if isinstance(z, Reference) else z
    added = meaning.operands if meaning is not None and is_sum(meaning) else ()
    if not any(_is_of_logarithms(p.quantity) for term in added for p in parts(term, Reference)):
        return None
    whole, others = _its_sum(z, forward)

    def each(term: Expression) -> Expression:
        is_row = term.ndim in (0, found.ndim) or one_axis(found.settings["axis"]) == 0
        return apply(elementwise.exp, term if is_row else apply(indexing.getitem, term, index=(slice(None), None)))

    return as_read(over(times(*map(each, (*added, *others))), each(whole)), part)


def _is_of_logarithms(quantity: Quantity) -> bool:
    found = definition(quantity)
    return found is not None and any(applies(p, log_probabilities.log_sum_exp) for p in parts(found))


def _its_sum(z: Expression, forward: Sequence[Quantity]) -> tuple[Expression, list[Expression]]:
    """The value in which the logsumexp of z is a term, and the other terms; or the logsumexp itself."""
    for quantity in forward:
        meaning = definition(quantity)
        terms = meaning.operands if meaning is not None and is_sum(meaning) else ()
        others = [t for t in terms if not (applies(t, log_probabilities.log_sum_exp) and t.operands == (z,))]
        if len(others) < len(terms):
            return Reference(quantity, 0 if quantity.steps else None), others
    return apply(log_probabilities.log_sum_exp, z), []
