"""Terms that need no word: where a term is missing because what it speaks of doesn't exist, as delta at T + 1."""

from __future__ import annotations

from .expressions import During
from .grain import references
from .quantities import Quantity


def follows_from_absence(term: During) -> bool:
    """Whether a term is missing just where what it speaks of doesn't exist: delta at T + 1."""
    for reference, steps in references(term.inner, term.steps):
        quantity = reference.quantity
        if quantity.adjoint_of is not None and reference.shift:
            return {t + reference.shift for t in steps} >= set(quantity.steps) - _first(quantity, reference.shift)
    return False


def _first(quantity: Quantity, shift: int) -> set[int]:
    """The steps of a quantity that no step so far away reads: those at its beginning."""
    steps = quantity.steps
    return set(steps[:shift] if shift > 0 else steps[shift:])
