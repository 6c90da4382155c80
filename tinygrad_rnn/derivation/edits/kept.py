"""Values of a wrong step: kept values, states of this step for those of the step before, losses at other steps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..equations.expressions import During, Expression, Reference, Sum
from ..equations.parts import closure, parts, references_of, replaced
from ..equations.quantities import Quantity
from .changing import applied, where_they_are_read
from .edits import Edit
from .hand import Hand
from .misplaced import Elsewhere
from .of_uses import definition

if TYPE_CHECKING:
    from .derived import Derived


def states_beside(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """States of this step for those of the step before, or the reverse: one state, or all."""
    reads = (p for line in derivation.lines if line.kind == "forward" for p in parts(line.expression))
    states = list(dict.fromkeys(p.quantity for p in reads if type(p) is Reference and p.shift == -1))
    for group in [*([state] for state in states), *([states] if len(states) > 1 else [])]:
        for here, there in ((-1, 0), (0, -1)):
            of = Reference(group[0], there), Reference(group[0], here)
            moved = {Reference(state, here): Reference(state, there) for state in group}
            what = "{} stands where {} belongs, " + "and so for the other states, " * (len(group) > 1) + "everywhere"
            for kinds in (("gradient",), ("backward", "gradient")):
                yield from applied(derivation, where_they_are_read(moved.get, hand), what, of, kinds, 1, moved)


class _Kept(NamedTuple):
    """The step from which kept values are read instead.

    Attributes:
        by: -1 for the step before, 1 for the step after, each round the ends; 0 for the last step.
        shorter: the outputs that only some steps have: at the others they are written out.
        hand: the steps of the loop.
    """

    by: int
    shorter: set[Quantity]
    hand: Hand


def kept_beside(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Kept values of a wrong step: of the step before or after, or the last; one value, those behind a state, all."""
    kept = [quantity for quantity in hand.forward if len(quantity.steps) > 1]
    results = [quantity for quantity in kept if quantity not in hand.before_states]
    rest = [quantity for quantity in kept if quantity not in hand.states]
    inside = [quantity for quantity in rest if quantity not in results]
    every = max((len(_computed_at(quantity, hand)) for quantity in kept), default=0)
    shorter = {quantity for quantity in results if len(_computed_at(quantity, hand)) < every}
    groups = {tuple(group): None for group in (*([quantity] for quantity in kept), results, inside, rest, kept)}
    for group in filter(None, groups):
        of = (Reference(group[0], 0),)
        others = "" if len(group) == 1 else " and what was kept with it"
        for by, where in ((-1, "of the step before"), (1, "of the step after"), (0, "of the last step")):
            how = _Kept(by, shorter, hand)
            changes = [where_they_are_read(partial(_kept_elsewhere, among=set(group), how=how), hand)]
            changes += [partial(_from_elsewhere, among=set(results), how=how)] if group == tuple(results) else []
            for change in changes:
                yield from applied(derivation, change, f"{{}}{others} {where}, everywhere", of, fewest=1)


def losses_elsewhere(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Losses of some steps taken at all steps, at one more or at one fewer."""
    lines = [line for line in derivation.lines if line.kind == "backward"]
    in_the_loop = (tuple(t for t in line.steps if t >= hand.first) for line in lines)
    every = max(in_the_loop, key=len, default=())
    quantities = [*derivation.forward, *derivation.backward]
    for some in dict.fromkeys(quantity.steps for quantity in quantities if 1 < len(quantity.steps) < len(every)):
        own = {quantity for quantity in quantities if set(quantity.steps) == set(some)}
        if any(quantity in closure(_read_by(quantity), _read_by) for quantity in own):
            continue  # a loop of its own, and no loss
        choices = {
            every: "at all steps", (some[0] - 1, *some): "also at the step before the first of them",
            (*some, some[-1] + 1): "also at the step after the last of them",
            some[1:]: "without the first of them", some[:-1]: "without the last of them",
            tuple(t for t in every if t not in some): "at the other steps",
        }  # fmt: skip
        for kept, what in choices.items():
            if set(kept) <= set(every):
                change = partial(_at_other_steps, some=set(some), kept=kept, own=own)
                yield from applied(derivation, change, f"the loss of some steps is taken {what}", ())


def _read_by(quantity: Quantity) -> Iterator[Quantity]:
    return (read.quantity for read, _ in references_of(quantity))


def _at_other_steps(part: Expression, some: set[int], kept: tuple[int, ...], own: set[Quantity]) -> Expression | None:
    """A term or a sum at other steps, in which values that only the right steps have are written out."""

    def written_out(inner: Expression) -> Expression | None:
        if type(inner) is not Reference or inner.quantity not in own or inner.shift is None:
            return None
        meaning = definition(inner.quantity)
        return None if meaning is None else replaced(meaning, written_out).shifted(inner.shift)

    if isinstance(part, (During, Sum)) and set(part.steps) == some:
        return type(part)(kept, replaced(part.inner, written_out))
    return None


def _from_elsewhere(part: Expression, among: set[Quantity], how: _Kept, inside: bool = False) -> Expression | None:
    """A value that is computed anew, with the data of its step, from kept values of another step."""
    if inside and type(part) is Reference and part.quantity.adjoint_of is None and part.quantity not in among:
        return _kept_elsewhere(part, {part.quantity}, how)
    if type(part) is not Reference or part.shift is None or part.quantity not in among:
        return None
    meaning = definition(part.quantity)
    change = partial(_from_elsewhere, among=among, how=how, inside=True)
    return None if meaning is None else replaced(meaning, change).shifted(part.shift)


def _kept_elsewhere(part: Expression, among: set[Quantity] | None, how: _Kept) -> Expression | None:
    """A kept value at another step; of these quantities, or of all."""
    is_kept = type(part) is Reference and part.shift is not None and part.quantity.adjoint_of is None
    if not isinstance(part, Reference) or not is_kept or (among is not None and part.quantity not in among):
        return None
    steps, meaning, shift = _computed_at(part.quantity, how.hand), definition(part.quantity), part.shift or 0
    if len(steps) < 2:
        return None
    if part.quantity in how.shorter and meaning is not None:
        return replaced(meaning, partial(_kept_elsewhere, among=None, how=how)).shifted(shift)
    back = min(shift, 0)  # what a step had from before it was kept with its values

    def step_for(t: int) -> int:
        return back + (steps[0] + (t + shift - back + how.by - steps[0]) % len(steps) if how.by else steps[-1])

    return Elsewhere(part.quantity, shift + how.by, step_for, f"kept {how.by}")


def _computed_at(quantity: Quantity, hand: Hand) -> tuple[int, ...]:
    """The steps of the loop at which a quantity has a value, without that of an initial one."""
    return tuple(t for t in quantity.steps if hand.first <= t <= hand.last)
