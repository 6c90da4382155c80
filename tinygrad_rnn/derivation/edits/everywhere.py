"""The same edit wherever it can be made: one value is exchanged for another in all lines of the backward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autodiff.rules import elementwise, shape
from ..equations.expressions import Apply, Expression, Number, Reference, apply
from ..equations.lines import Line
from ..equations.making import ONE, broadcast, times
from ..equations.parts import replaced
from .edits import Edit
from .hand import Hand
from .misplaced import Mask, Rolled

if TYPE_CHECKING:
    from .derived import Derived

MOST_ALIKE = 6


def everywhere(derivation: Derived, hand: Hand, edits: Callable[[Line], list[Edit]]) -> Iterator[tuple[Edit, ...]]:
    """Every such edit: of parameters, of quantities of the forward pass, and of lines that are alike.

    Args:
        derivation: the derivation.
        hand: the available values.
        edits: the edits of a line.
    """
    for parameter in hand.parameters:
        if parameter.ndim == 2:
            turned = apply(shape.transpose, parameter)
            if turned.shape == parameter.shape:
                yield from _exchanged(
                    derivation, turned, parameter, "{} stands where its transpose belongs, everywhere"
                )
        for other in hand.parameters:
            if other != parameter and other.shape == parameter.shape:
                yield from _exchanged(derivation, parameter, other, "{} stands where {} belongs, everywhere")
    for array in hand.data:
        if array.name in hand.masks:
            yield from _exchanged(
                derivation, array, broadcast(ONE, array.shape), "the mask {1} was left out, everywhere"
            )
        for by in (-1, 1):
            for rolled in (Rolled(array, by), Rolled(array, by, wraps=True)) if array.ndim else ():
                what = "the rows of {} a step too " + ("late" if by > 0 else "early") + ", everywhere"
                yield from _exchanged(derivation, array, rolled, what)
    yield from alike(derivation, edits)
    for quantity in hand.forward:
        here = Reference(quantity, 0 if quantity.steps else None)
        argument = hand.argument_of(here)
        others: list[Expression] = [argument] if argument is not None else []
        others += list(hand.like(here))
        for instead in others:
            yield from _exchanged_quantity(derivation, here, instead)
        for factor in (2.0, 0.5, -1.0):
            yield from _exchanged_quantity(derivation, here, times(Number(factor), here))


def _exchanged(derivation: Derived, before: Expression, after: Expression, what: str) -> Iterator[tuple[Edit, ...]]:
    def change(part: Expression) -> Expression | None:
        return after if part == before else None

    yield from _changed(derivation, change, what, (after, before))


def _exchanged_quantity(derivation: Derived, before: Reference, after: Expression) -> Iterator[tuple[Edit, ...]]:
    def change(part: Expression) -> Expression | None:
        if isinstance(part, Reference) and part.quantity is before.quantity:
            return after.shifted(part.shift) if part.shift else after
        return None

    yield from _changed(derivation, change, "{} stands where {} belongs, everywhere", (after, before))


def _changed(derivation: Derived, change: object, what: str, of: tuple[Expression, ...]) -> Iterator[tuple[Edit, ...]]:
    edits = []
    for line in derivation.lines:
        if line.kind != "forward":
            new = replaced(line.expression, change)  # type: ignore[arg-type]
            if new is not line.expression and new.shape == line.shape:
                edits.append(Edit(line, new, what, of))
    if len(edits) > 1:
        yield tuple(edits)


def one_instance(derivation: Derived, names: Iterable[str]) -> Iterator[tuple[Edit, ...]]:
    """Only the last or the first instance of a batch, in the gradients of some parameters."""
    wanted = set(names)
    lines = [line for line in derivation.lines if line.kind == "gradient" and line.quantity.adjoint_of in wanted]
    for place, which in ((-1, "last"), (0, "first")):

        def change(part: Expression, place: int = place, which: str = which) -> Expression | None:
            is_derivative = isinstance(part, Reference) and part.quantity.adjoint_of is not None
            if not is_derivative or part.ndim < 2:
                return None
            mask = np.zeros((part.shape[0], *[1] * (part.ndim - 1)))
            mask[place] = 1
            return apply(elementwise.multiply, part, Mask(mask, f"[the {which} instance]"))

        what = f"the {which} instance of the batch alone: the sum over the instances was left out"
        edits = [Edit(line, replaced(line.expression, change), what) for line in lines]
        if edits and all(edit.expression is not edit.line.expression for edit in edits):
            yield tuple(edits)


def alike(derivation: Derived, edits: Callable[[Line], list[Edit]]) -> Iterator[tuple[Edit, ...]]:
    """The same edit in all lines of one form: of two layers, of two pieces of a sequence."""
    groups: dict[Any, list[Line]] = {}
    for line in derivation.lines:
        if line.kind != "forward":
            groups.setdefault((line.kind, line.shape, form(line.expression)), []).append(line)
    for group in groups.values():
        if 1 < len(group) <= MOST_ALIKE:
            found: dict[Any, list[Edit]] = {}
            for line in group:
                counts: Counter[Any] = Counter()
                for edit in edits(line):
                    counts[edit.place, edit.what] += 1
                    found.setdefault((edit.place, edit.what, counts[edit.place, edit.what]), []).append(edit)
            yield from (tuple(together) for together in found.values() if len(together) == len(group))


def form(expression: Expression) -> Any:
    """The form of an expression: equal for expressions that differ in their names only."""
    name = expression.operation if isinstance(expression, Apply) else type(expression).__name__
    return name, expression.shape, tuple(map(form, expression.operands))
