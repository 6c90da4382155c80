"""The same edit wherever it can be made: one value is exchanged for another in all lines of the backward pass."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...autodiff.rules import elementwise, indexing, reductions, shape
from ..equations.arithmetic import is_product, is_sum, negative
from ..equations.expressions import (
    Apply,
    During,
    Expression,
    Number,
    Parameter,
    Reference,
    Step,
    Sum,
    apply,
    one_axis,
)
from ..equations.lines import Line
from ..equations.making import ONE, broadcast, over, times, unwrapped, zeros
from ..equations.parts import at, closure, parts, places, put, references_of, replaced, total
from ..equations.quantities import Quantity
from .edits import Edit
from .hand import Hand
from .loops import loops_forwards, loops_longer, loops_shorter
from .misplaced import Elsewhere, Mask
from .of_uses import definition
from .of_values import rolls

if TYPE_CHECKING:
    from .derived import Derived

_LINEAR = elementwise.multiply, elementwise.divide, elementwise.negative, shape.broadcast_to
MOST_ALIKE, MOST_OF_THE_SAME = 6, 24


def everywhere(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Every such edit: of parameters, of factors, of data, and of quantities of the forward pass.

    Args:
        derivation: the derivation.
        hand: the available values.
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
        for rolled, what in rolls(array) if array.ndim else ():
            yield from _exchanged(derivation, array, rolled, f"{what}, everywhere", (array,))
            for alone in (True, False):
                change = _where_they_are_read({array: rolled}.get, hand, alone)
                yield from _changed(derivation, change, f"{what}, everywhere", (array,), fewest=1)
    yield from loops_forwards(derivation)
    yield from loops_shorter(derivation)
    yield from loops_longer(derivation)
    yield from lines_exchanged(derivation)
    yield from _factors(derivation, hand)
    yield from _states_beside(derivation, hand)
    yield from _kept_beside(derivation, hand)
    yield from _losses_elsewhere(derivation)
    yield from _masks(derivation, hand)
    yield from _parts_exchanged(derivation)
    yield from _other_sums(derivation)
    what = "the paths through sums over the same elements (a mean, a variance) were left out, everywhere"
    yield from _changed(derivation, _without_statistics, what, (), fewest=1)
    for quantity in hand.forward:
        here = Reference(quantity, 0 if quantity.steps else None)
        argument = hand.argument_of(here)
        others: list[Expression] = [argument] if argument is not None else []
        others += list(hand.like(here))
        for instead in others:
            yield from _exchanged_quantity(derivation, hand, here, instead)
        for factor in (2.0, 0.5, -1.0):
            yield from _exchanged_quantity(derivation, hand, here, times(Number(factor), here))
    yield from quantities_exchanged(derivation, hand)


def recomputed(derivation: Derived, edits: Callable[[Line], list[Edit]]) -> Iterator[tuple[Edit, ...]]:
    """Values that the backward pass computes anew, and wrongly: a pre-activation without its bias.

    Args:
        derivation: the derivation.
        edits: the edits of a line.
    """
    forward = [line for line in derivation.lines if line.kind == "forward" and len(line.steps) != 1]
    for line in forward:
        here = Reference(line.quantity, 0 if line.steps else None)
        functions = [other for other in forward if {read for read, _ in references_of(other.quantity)} == {here}]
        for edit in edits(line):
            new: Any = {here: edit.expression}
            new |= {line.quantity: edit.expression}
            new |= {other.quantity: replaced(other.expression, new.get) for other in functions}

            def change(part: Expression, new: Any = new) -> Expression | None:
                if not isinstance(part, Reference) or part.at is not None or part.quantity not in new:
                    return None
                shift = part.shift or 0
                return None if shift < 0 else new[part.quantity].shifted(shift)  # what is earlier was kept

            said = f"{{}} is computed anew in the backward pass: {edit.what}"
            for changed in _changed(derivation, change, said, (here, *edit.of), fewest=1):
                yield changed
                yield from ((alone,) for alone in changed if len(changed) > 1)


def _factors(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """A factor left out, or taken twice, wherever it is read: also in values that are computed with it."""
    seen: set[Expression] = set()
    left_out, twice = "{} was left out, everywhere", "{} was taken twice, everywhere"
    for line in derivation.lines:
        for factor in dict.fromkeys(_factors_in(line.expression)) if line.kind != "forward" else ():
            moved = [factor.shifted(by) for by in (0, 1, -1)]
            without = {f: broadcast(ONE, factor.shape) for f in moved}
            change = _where_they_are_read(without.get, hand)
            if factor not in seen:
                seen |= without.keys()
                yield from _changed(derivation, change, left_out, (factor,))
                found: list[tuple[Edit, ...]] = []
                for new, said in ((without, left_out), ({f: times(f, f) for f in moved}, twice)):
                    for states in (False, True):
                        change_all = _where_they_are_read(new.get, hand, states=states)
                        found += _changed(derivation, change_all, said, (factor,), ("backward",), 1)
                yield from dict.fromkeys(found)
            here = _without_ones(replaced(line.expression, change))
            if here.shape == line.shape:
                yield (Edit(line, here, "{} was left out of all that this line reads", (factor,)),)


def _factors_in(expression: Expression) -> Iterator[Expression]:
    """The factors of products by element that belong to the forward pass, and the vectors among the parameters."""
    for part in parts(expression):
        for factor in part.operands if is_product(part) else ():
            if not isinstance(factor, Number) and not _derivatives_in(factor):
                yield factor
        if isinstance(part, Parameter) and part.ndim == 1:
            yield part


def _without_ones(expression: Expression) -> Expression:
    """An expression without the factors in whose place there is a 1."""

    def change(part: Expression) -> Expression | None:
        if not (is_product(part) and any(map(_is_one, part.operands))):
            return None
        rest = [_without_ones(factor) for factor in part.operands if not _is_one(factor)]
        return broadcast(times(*rest) if rest else ONE, part.shape)

    return replaced(expression, change)


def _is_one(part: Expression) -> bool:
    return part == ONE or (isinstance(part, Apply) and part.operation is shape.broadcast_to and part.operands[0] == ONE)


def _states_beside(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """States of this step for those of the step before, or the reverse: one state, or all."""
    reads = (p for line in derivation.lines if line.kind == "forward" for p in parts(line.expression))
    states = list(dict.fromkeys(p.quantity for p in reads if type(p) is Reference and p.shift == -1))
    for group in [*([state] for state in states), *([states] if len(states) > 1 else [])]:
        for here, there in ((-1, 0), (0, -1)):
            of = Reference(group[0], there), Reference(group[0], here)
            moved = {Reference(state, here): Reference(state, there) for state in group}
            what = "{} stands where {} belongs, " + "and so for the other states, " * (len(group) > 1) + "everywhere"
            for kinds in (("gradient",), ("backward", "gradient")):
                yield from _changed(derivation, _where_they_are_read(moved.get, hand), what, of, kinds, 1)


class _Kept(NamedTuple):
    """The step from which kept values are read instead.

    Attributes:
        by: -1 for the step before, 1 for the step after, each round the ends; 0 for the last step.
        shorter: the outputs that only some steps have: at the others they are written out.
        first: the first step of the loop.
    """

    by: int
    shorter: set[Quantity]
    first: int


def _kept_beside(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Kept values of a wrong step: of the step before or after, or the last; one value, those behind a state, all."""
    kept = [quantity for quantity in hand.forward if len(quantity.steps) > 1]
    results = [quantity for quantity in kept if quantity not in hand.before_states]
    rest = [quantity for quantity in kept if quantity not in hand.states]
    inside = [quantity for quantity in rest if quantity not in results]
    every = max((len(_computed_at(quantity, hand.first)) for quantity in kept), default=0)
    shorter = {quantity for quantity in results if len(_computed_at(quantity, hand.first)) < every}
    groups = {tuple(group): None for group in (*([quantity] for quantity in kept), results, inside, rest, kept)}
    for group in filter(None, groups):
        of = (Reference(group[0], 0),)
        others = "" if len(group) == 1 else " and what was kept with it"
        for by, where in ((-1, "of the step before"), (1, "of the step after"), (0, "of the last step")):
            how = _Kept(by, shorter, hand.first)
            changes = [_where_they_are_read(partial(_kept_elsewhere, among=set(group), how=how), hand)]
            changes += [partial(_from_elsewhere, among=set(results), how=how)] if group == tuple(results) else []
            for change in changes:
                yield from _changed(derivation, change, f"{{}}{others} {where}, everywhere", of, fewest=1)


def _losses_elsewhere(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """Losses of some steps taken at all steps, at one more or at one fewer."""
    lines = [line for line in derivation.lines if line.kind == "backward"]
    every = max((line.steps for line in lines), key=len, default=())
    for some in dict.fromkeys(line.steps for line in lines if 1 < len(line.steps) < len(every)):
        own = {quantity for quantity in (*derivation.forward, *derivation.backward) if set(quantity.steps) == set(some)}
        if any(quantity in closure(_read_by(quantity), _read_by) for quantity in own):
            continue  # a loop of its own, and no loss
        choices = {
            every: "at all steps", (some[0] - 1, *some): "also at the step before the first of them",
            (*some, some[-1] + 1): "also at the step after the last of them",
            some[1:]: "without the first of them", some[:-1]: "without the last of them",
        }  # fmt: skip
        for kept, what in choices.items():
            if set(kept) <= set(every):
                change = partial(_at_other_steps, some=set(some), kept=kept, own=own)
                yield from _changed(derivation, change, f"the loss of some steps is taken {what}", ())


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
    steps, meaning, shift = _computed_at(part.quantity, how.first), definition(part.quantity), part.shift or 0
    if len(steps) < 2:
        return None
    if part.quantity in how.shorter and meaning is not None:
        return replaced(meaning, partial(_kept_elsewhere, among=None, how=how)).shifted(shift)
    back = min(shift, 0)  # what a step had from before it was kept with its values

    def step_for(t: int) -> int:
        return back + (steps[0] + (t + shift - back + how.by - steps[0]) % len(steps) if how.by else steps[-1])

    return Elsewhere(part.quantity, shift + how.by, step_for, f"kept {how.by}")


def _computed_at(quantity: Quantity, first: int) -> tuple[int, ...]:
    """The steps of the loop at which a quantity has a value, without that of an initial one."""
    return tuple(t for t in quantity.steps if t >= first)


def _masks(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """A mask, or all masks, left out or without scale wherever they are read."""
    masks = [array for array in hand.data if array.name in hand.masks]
    for group in [*([mask] for mask in masks), *([masks] if len(masks) > 1 else [])]:
        said = "the mask {} was" if len(group) == 1 else "the masks were"
        edits: dict[str, dict[Expression, Expression]] = {
            "left out": {mask: broadcast(ONE, mask.shape) for mask in group},
            "taken without scale": {mask: over(mask, Number(hand.masks[mask.name])) for mask in group},
        }
        for what, without in edits.items():
            yield from _changed(derivation, without.get, f"{said} {what}, everywhere", tuple(group))
            read = _where_they_are_read(without.get, hand)
            yield from _changed(derivation, read, f"{said} {what}, everywhere", tuple(group), ("backward",), 1)


def _parts_exchanged(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """The changes that exchange the two parts into which a derivative is cut: what goes to x, and to the state."""
    cuts: dict[Any, dict[Apply, Any]] = {}
    for line in derivation.lines:
        for part in parts(line.expression) if line.kind != "forward" else ():
            if isinstance(part, Apply) and part.operation is indexing.getitem and (read := _derivatives_in(part)):
                cuts.setdefault(read, {})[part] = part.settings["index"]
    pairs: dict[Expression, Expression] = {}
    for cut in cuts.values():
        first, *others = {repr(index): index for index in cut.values()}.values()
        others = others or _other_half(next(iter(cut)))
        if len(others) == 1:
            turned = {repr(first): others[0], repr(others[0]): first}
            new: dict[Expression, Expression] = {p: _with_index(p, turned[repr(index)]) for p, index in cut.items()}
            pairs |= new
            whole = next(iter(cut)).operands
            yield from _changed(derivation, new.get, "the two parts of {} stand in each other's place", whole)
    yield from _changed(derivation, pairs.get, "the two parts of derivatives in each other's place, everywhere", ())


def _other_half(part: Apply) -> list[Any]:
    """The index of the other half, if a part is one half of the last axis."""
    (whole,), index, width = part.operands, part.settings["index"], part.shape[-1] if part.shape else 0
    places = index if isinstance(index, tuple) else (index,)
    if part.ndim != whole.ndim or not isinstance(places[-1], slice) or whole.shape[-1] != 2 * width:
        return []
    begin = width - (places[-1].start or 0)
    other = (*places[:-1], slice(begin, begin + width, None))
    return [other if isinstance(index, tuple) else other[-1]]


def _with_index(part: Expression, index: Any) -> Expression:
    return Apply(indexing.getitem, part.operands, {"index": index}, part.shape)


def _derivatives_in(part: Expression) -> frozenset[Any]:
    """The derivatives that an expression reads."""
    return frozenset(p.quantity for p in parts(part) if isinstance(p, Reference) and p.quantity.adjoint_of is not None)


def _other_sums(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
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

            yield from _changed(derivation, change, what, (), ("backward",), 1)


def _without_statistics(part: Expression) -> Expression | None:
    """The rest of a derivative if the means and variances of a value's own elements are held constant."""
    if _is_of_a_statistic(part, part.shape):
        return zeros(part.shape)
    terms = _signed_terms(part)
    kept = [term for term in terms if not _is_of_a_statistic(unwrapped(term)[0], part.shape)]
    if len(kept) == len(terms):
        return None
    return broadcast(replaced(total(kept), _without_statistics), part.shape)


def _is_of_a_statistic(part: Expression, of: tuple[int, ...]) -> bool:
    """Return True for derivatives that were summed over elements, and then spread over the same elements again."""
    if not isinstance(part, Apply):
        return False
    if part.operation is reductions.sum:
        return part.operands[0].shape == of != part.shape and bool(_derivatives_in(part))
    if terms := _signed_terms(part):
        return all(_is_of_a_statistic(term, of) for term in terms)
    return part.operation in _LINEAR and any(_is_of_a_statistic(operand, of) for operand in part.operands)


def _signed_terms(part: Expression) -> tuple[Expression, ...]:
    """The terms of a sum or a difference; none of anything else."""
    if isinstance(part, Apply) and part.operation is elementwise.subtract:
        return part.operands[0], negative(part.operands[1])
    return part.operands if is_sum(part) else ()


def _kept_axis(part: Expression) -> tuple[int, tuple[int, ...]] | None:
    """The axis over which derivatives are summed, to be spread over it again, and their shape; None for others."""
    if not (isinstance(part, Apply) and part.operation is reductions.sum and _derivatives_in(part)):
        return None
    axis, shape_ = one_axis(part.settings.get("axis")), part.operands[0].shape
    axis = 0 if axis is None and len(shape_) == 1 else axis
    is_spread = part.settings.get("keepdims") or axis == 0  # over rows as it is
    return (axis % len(shape_), shape_) if isinstance(axis, int) and is_spread and len(shape_) in (1, 2) else None


def _exchanged(
    derivation: Derived, before: Expression, after: Expression, what: str, of: tuple[Expression, ...] = ()
) -> Iterator[tuple[Edit, ...]]:
    def change(part: Expression) -> Expression | None:
        return after if part == before else None

    yield from _changed(derivation, change, what, of or (after, before))


def _where_they_are_read(
    other: Any, hand: Hand, alone: bool = False, states: bool = False
) -> Callable[[Expression], Expression | None]:
    """A change of values in the backward pass, also in the values of the forward pass that are computed from them.

    Args:
        other: returns what stands in the place of a value, or None.
        hand: the available values.
        alone: only in values that are computed from no quantity besides.
        states: also in states of this step; those of other steps stay as they are.
    """

    def change(part: Expression) -> Expression | None:
        new: Expression | None = other(part)
        if new is None and type(part) is Reference and part.at is None and part.quantity.adjoint_of is None:
            is_open = part.quantity not in hand.states or (states and not part.shift)
            meaning = definition(part.quantity) if is_open else None
            if meaning is not None and not (alone and any(isinstance(p, Reference) for p in parts(meaning))):
                changed = replaced(meaning, other)
                return None if changed is meaning else changed.shifted(part.shift or 0)
        return new

    return change


def _exchanged_quantity(
    derivation: Derived, hand: Hand, before: Reference, after: Expression
) -> Iterator[tuple[Edit, ...]]:
    def change(part: Expression) -> Expression | None:
        if isinstance(part, Reference) and part.quantity is before.quantity:
            return after.shifted(part.shift) if part.shift else after
        return None

    for changes in (change, _where_they_are_read(change, hand)):
        yield from _changed(derivation, changes, "{} stands where {} belongs, everywhere", (after, before))


def quantities_exchanged(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Two quantities of the forward pass that are taken for each other in the whole backward pass."""
    for a, b in itertools.combinations(hand.forward, 2):
        if a.shape == b.shape and a.shape and a.steps and b.steps:

            def change(part: Expression, other: dict[Quantity, Quantity] = {a: b, b: a}) -> Expression | None:  # noqa: B006
                if type(part) is Reference and part.quantity in other:
                    return Reference(other[part.quantity], part.shift, part.at)
                return None

            of = Reference(a, 0), Reference(b, 0)
            for places in (change, _where_they_are_read(change, hand)):
                yield from _changed(derivation, places, "{} and {} stand in each other's place, everywhere", of)
    here, before = ([Reference(q, shift) for q in hand.forward if q.shape and q.steps] for shift in (0, -1))
    for of in (*itertools.combinations(here, 2), *itertools.product(here, before)):
        is_kept_twice = of[1].shift or not hand.states.isdisjoint(reference.quantity for reference in of)
        if is_kept_twice and of[0].shape == of[1].shape:  # a state is also kept as that of the step before
            turned = dict(zip(of, of[::-1]))
            yield from _changed(derivation, turned.get, "{} and {} stand in each other's place, everywhere", of)


def lines_exchanged(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """Two derivatives, each of which is computed where the other belongs."""
    backward = [line for line in derivation.lines if line.kind == "backward"]
    for a, b in itertools.combinations(backward, 2):
        if (a.shape, a.steps, a.quantity.loop) == (b.shape, b.steps, b.quantity.loop):
            of = Reference(a.quantity, 0), Reference(b.quantity, 0)
            what = "{} and {} stand in each other's place"
            yield Edit(a, b.expression, what, of), Edit(b, a.expression, what, of)


def _changed(
    derivation: Derived,
    change: object,
    what: str,
    of: tuple[Expression, ...],
    kinds: tuple[str, ...] = ("backward", "gradient"),
    fewest: int = 2,
) -> Iterator[tuple[Edit, ...]]:
    edits = []
    for line in derivation.lines:
        if line.kind in kinds:
            try:
                new = _without_ones(replaced(line.expression, change))  # type: ignore[arg-type]
            except ValueError:  # the shapes don't fit: nobody can have written it
                return
            if new is not line.expression and new.shape == line.shape:
                edits.append(Edit(line, new, what, of))
    if len(edits) >= fewest:
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
            mask = np.zeros((part.shape[-2], 1))  # time comes first, then the instances
            mask[place] = 1
            return apply(elementwise.multiply, part, Mask(mask, f"[the {which} instance]"))

        what = f"the {which} instance of the batch alone: the sum over the instances was left out"
        edits = [Edit(line, replaced(line.expression, change), what) for line in lines]
        if edits and all(edit.expression is not edit.line.expression for edit in edits):
            yield tuple(edits)


def alike(lines: Iterable[Line], edits: Callable[[Line], list[Edit]]) -> Iterator[tuple[Edit, ...]]:
    """The same edit in all lines, of all parts, or about all expressions of one form, or about one wherever it is."""
    groups: dict[Any, list[Edit]] = {}
    for line in lines:
        if line.kind != "forward":
            whole, counts = form(line.expression), Counter[Any]()
            for edit in edits(line):
                counts[edit.place, edit.what] += 1
                part, number = form(at(edit.before, edit.place)), counts[edit.place, edit.what]
                around = form(at(edit.before, edit.place[:-1])), edit.place[-1:], number
                alike_are = (whole, edit.place, number), (part, number), (line, part, number), around, (line, around)
                about: list[Any] = [tuple(map(how, edit.of)) for how in (form, form_and_parameters, form_and_steps)]
                about += [*relations(edit), edit.of or line, frozenset(edit.of), (about[0], edit.place, number)]
                about += [(line, edit.of[0], part)] if len(edit.of) == 2 else []  # the same value in place of several
                for key in (*((line.kind, key) for key in alike_are), *about):
                    groups.setdefault((key, edit.what), []).append(edit)
    seen = set()
    for (key, _), group in groups.items():
        together = list({(edit.line, edit.key): edit for edit in group}.values())
        made = frozenset(together)
        is_of_the_same = key == together[0].of
        if 1 < len(together) <= (MOST_OF_THE_SAME if is_of_the_same else MOST_ALIKE) and made not in seen:
            seen.add(made)
            by_line = {edit.line: [other for other in together if other.line is edit.line] for edit in together}
            if all(map(_are_apart, by_line.values())):
                yield tuple(map(_made_together, by_line.values()))


def relations(edit: Edit) -> Iterator[Any]:
    """Keys for the relation between a value and what stands in its place: one is made of the other, for example."""
    if len(edit.of) == 2:
        both = ([p for p in parts(e) if isinstance(p, Reference)][:1] for e in edit.of)
        for new, old in itertools.product(*both):
            way = _way(new, old, edit.line)
            if way is not None:
                alike_are = edit.line.kind, *map(form, edit.of), new.shift, old.shift, *way
                yield from (alike_are, (alike_are, edit.place))


def _way(new: Reference, old: Reference, line: Line) -> Any:
    """The way from one of two values to the other: they are of one quantity, or one is made of the other."""
    if new.quantity is old.quantity:
        return ("itself",)
    meanings = (new, definition(old.quantity)), (old, definition(new.quantity)), (new, line.expression)
    for how, (wanted, meaning) in enumerate(meanings):
        for place, part in places(meaning) if meaning is not None else ():
            if isinstance(part, Reference) and part.quantity is wanted.quantity:
                return how, place
    return None


def _are_apart(edits: list[Edit]) -> bool:
    """Return True if no edit of a line changes what another one changes."""
    return not any(b[: len(a)] == a for a, b in itertools.permutations(map(_changed_place, edits), 2))


def _made_together(edits: list[Edit]) -> Edit:
    """An edit of a line that makes several of other places in it."""
    whole = edits[0].line.expression
    for edit in edits:
        place = _changed_place(edit)
        whole = put(whole, place, at(edit.expression, place))
    alike = "" if len({(edit.what, edit.of) for edit in edits}) == 1 else ", and likewise elsewhere in the line"
    return replace(edits[0], expression=whole, what=edits[0].what + alike)


def _changed_place(edit: Edit) -> tuple[int, ...]:
    """The place of the smallest part of a line that holds all that an edit changes."""
    place: tuple[int, ...] = ()
    before, after = edit.line.expression, edit.expression
    while [o.shape for o in before.operands] == [o.shape for o in after.operands]:
        differ = [i for i, (a, b) in enumerate(zip(before.operands, after.operands)) if a != b]
        if len(differ) != 1 or before.with_operands(after.operands) != after:
            break
        place = (*place, differ[0])
        before, after = before.operands[differ[0]], after.operands[differ[0]]
    return place


def form(expression: Expression) -> Any:
    """The form of an expression: equal for expressions that differ in names and sizes, or read rows of other arrays."""
    name = expression.operation if isinstance(expression, Apply) else type(expression).__name__
    is_row = isinstance(expression, Apply) and isinstance(expression.settings.get("index"), Step)
    return name, expression.ndim, () if is_row else tuple(map(form, expression.operands))


def form_and_parameters(expression: Expression) -> Any:
    """The form of an expression, and the parameters in it: equal for ``W[0] x`` and ``W[1] y``."""
    return form(expression), tuple(part.name for part in parts(expression) if isinstance(part, Parameter))


def form_and_steps(expression: Expression) -> Any:
    """The form of an expression, and how far away it reads: equal for what two layers hand to the step before."""
    return form(expression), tuple(part.shift for part in parts(expression) if isinstance(part, Reference))
