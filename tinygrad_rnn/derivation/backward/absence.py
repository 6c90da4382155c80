"""Terms that need no remark: a term is missing because its quantities don't exist there, such as delta at T + 1."""

from __future__ import annotations

from collections.abc import Iterable

from ...autodiff.rules import indexing
from ..equations.arithmetic import terms_of
from ..equations.expressions import During, Expression, Step, Steps
from ..equations.lines import Line
from ..equations.parts import applies, parts, references
from ..equations.quantities import Quantity


def follows_from_absence(term: During, steps: Steps | None = None) -> bool:
    """Return True if a term is missing only where its quantities don't exist: delta at T + 1.

    Args:
        term: the term, and the steps at which it exists.
        steps: the steps of its line; by default those that read its quantities.
    """
    missing = [t for t in steps if t not in term.steps] if steps is not None else []
    for reference, read_from in references(term.inner, term.steps):
        quantity = reference.quantity
        if quantity.adjoint_of is not None and reference.shift:
            if any(t + reference.shift in quantity.steps for t in missing):
                return False
            return {t + reference.shift for t in read_from} >= set(quantity.steps) - _first(quantity, reference.shift)
    return False


def _first(quantity: Quantity, shift: int) -> set[int]:
    """The steps of a quantity that no step at this distance reads: those at its beginning."""
    steps = quantity.steps
    return set(steps[:shift] if shift > 0 else steps[shift:])


def reads_zeros(term: During, steps: Steps) -> bool:
    """Return True if a missing term would be 0 anyway, because all its other quantities exist."""
    if not follows_from_absence(term, steps):
        return False
    missing = tuple(t for t in steps if t not in term.steps)
    return all(
        reference.quantity.adjoint_of is not None
        or {t + (reference.shift or 0) for t in missing} <= reference.quantity.values.keys()
        for reference, _ in references(term.inner, missing)
    ) and all(_has_rows(part, missing) for part in parts(term.inner))


def _has_rows(part: Expression, steps: Steps) -> bool:
    """Return True if an array has rows for these steps, provided that they read it."""
    if not applies(part, indexing.getitem) or not part.operands[0].shape:
        return True
    index = part.settings["index"]
    places = [p for p in (index if type(index) is tuple else (index,)) if isinstance(p, Step)]
    return all(0 <= place.at(t) < part.operands[0].shape[0] for place in places for t in steps)


def zeros_beyond(lines: Iterable[Line]) -> dict[Quantity, Steps]:
    """The steps at which quantities that don't exist are read as zeros: delta at T + 1."""
    found: dict[Quantity, set[int]] = {}
    for line in lines:
        for term in terms_of(line.expression):
            if not (isinstance(term, During) and reads_zeros(term, line.steps)):
                continue
            for t in set(line.steps) - set(term.steps):
                for reference, _ in references(term.inner, (t,)):
                    if reference.shift and reference.quantity.adjoint_of is not None:
                        found.setdefault(reference.quantity, set()).add(t + reference.shift)
    return {quantity: tuple(sorted(steps - set(quantity.steps))) for quantity, steps in found.items()}
