"""The same edit wherever it can be made: one value is exchanged for another in all lines of the backward pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autodiff.rules import elementwise, indexing
from ..equations.arithmetic import is_product, is_sum
from ..equations.expressions import Apply, Data, During, Expression, Number, Parameter, Reference, apply
from ..equations.lines import Line
from ..equations.making import ONE, broadcast, times, unwrapped
from ..equations.parts import applies, is_derivative, parts, references_of, replaced, total
from ..equations.quantities import Quantity
from .changing import applied, derivatives_in, exchanged, read_by, where_they_are_read, without_ones
from .edits import Edit
from .hand import Hand
from .kept import kept_beside, losses_elsewhere, states_beside
from .misplaced import Mask
from .of_sums import other_sums, without_statistics
from .of_terms import moves_back, without
from .of_uses import definition, switched
from .of_values import recoded, rolls

if TYPE_CHECKING:
    from .derived import Derived

OPPOSITE = {"greater": "less_equal", "less_equal": "greater", "less": "greater_equal", "greater_equal": "less"}
MOST_READERS = 4  # of a derivative, of which any may read it before it is whole


def everywhere(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Every such edit: of factors, of data, and of quantities of the forward pass; ``alike`` finds those of parameters.

    Args:
        derivation: the derivation.
        hand: the available values.
    """
    for array in hand.data:
        for rolled, what in rolls(array) if array.ndim else ():
            yield from exchanged(derivation, array, rolled, f"{what}, everywhere", (array,))
            for alone in (True, False):
                change = where_they_are_read({array: rolled}.get, hand, alone)
                yield from applied(derivation, change, f"{what}, everywhere", (array,), fewest=1, reads=(array,))
        for labels, what in recoded(array, hand):
            recode = {array: labels}.get
            for anywhere in (recode, where_they_are_read(recode, hand)):
                yield from applied(derivation, anywhere, what, (array,), fewest=1, reads=(array,))
    yield from lines_exchanged(derivation)
    yield from read_in_between(derivation)
    yield from _factors(derivation, hand)
    yield from states_beside(derivation, hand)
    yield from kept_beside(derivation, hand)
    yield from losses_elsewhere(derivation, hand)
    yield from _states_kept(derivation, hand)
    yield from _conditions(derivation)
    yield from _numbers(derivation, hand)
    yield from _added_numbers(derivation, hand)
    yield from carries_shared(derivation)
    yield from _parts_exchanged(derivation)
    yield from other_sums(derivation)
    what = "the paths through sums over the same elements (a mean, a variance) were left out, everywhere"
    yield from applied(derivation, without_statistics, what, (), fewest=1)
    for quantity in hand.forward:
        here = Reference(quantity, 0 if quantity.steps else None)
        argument = hand.argument_of(here)
        others: list[Expression] = [argument] if argument is not None else []
        others += list(hand.like(here))
        for instead in others:
            yield from _exchanged_quantity(derivation, hand, here, instead)
        for factor in (2.0, 0.5, -1.0):
            yield from _exchanged_quantity(derivation, hand, here, times(Number(factor), here))
    yield from derivatives_left_out(derivation, hand)
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
            for changed in applied(derivation, change, said, (here, *edit.of), fewest=1, reads=new):
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
            change = where_they_are_read(without.get, hand, anew=True)
            if factor not in seen:
                seen |= without.keys()
                yield from applied(derivation, change, left_out, (factor,))
                found: list[tuple[Edit, ...]] = []
                for new, said in ((without, left_out), ({f: times(f, f) for f in moved}, twice)):
                    for states in (False, True):
                        change_all = where_they_are_read(new.get, hand, states=states)
                        found += applied(derivation, change_all, said, (factor,), ("backward",), 1, moved)
                yield from dict.fromkeys(found)
            here = without_ones(replaced(line.expression, change))
            if here.shape == line.shape:
                yield (Edit(line, here, "{} was left out of all that this line reads", (factor,)),)


def _factors_in(expression: Expression) -> Iterator[Expression]:
    """The factors of products by element that belong to the forward pass, and the vectors among the parameters."""
    for part in parts(expression):
        for factor in part.operands if is_product(part) else ():
            if not isinstance(factor, Number) and not derivatives_in(factor):
                yield factor
        if isinstance(part, Parameter) and part.ndim == 1:
            yield part


def _states_kept(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """A state that is kept where its sequence has ended, where(m, c, h), taken as one that goes on to the last step."""
    for state in hand.states:
        whole = definition(state)
        if not isinstance(whole, Apply) or whole.name != "where":
            continue
        mask, candidate, _ = whole.operands
        read = {p.operands[0] if p.operands else p for p in parts(mask, Apply, Data)}
        opposites = "logical_not", OPPOSITE.get(mask.name, "")  # type: ignore[attr-defined]

        def change(part: Expression, of: Any, candidate: Any) -> Expression | None:
            if type(part) is Reference and type(candidate) is Reference and part.quantity is candidate.quantity:
                return Reference(of[0], part.shift, part.at)
            if not isinstance(part, Apply) or part.name != "where":
                return None
            condition, yes, no = part.operands
            if of[1].isdisjoint(p for p in parts(condition)):
                return None
            kept = no if condition.name in of[2] else yes  # type: ignore[attr-defined]
            return broadcast(replaced(kept, partial(change, of=of, candidate=candidate)), part.shape)

        for other in (candidate, None):
            turned = partial(change, of=(state, read, opposites), candidate=other)
            what = "the mask {} was left out, everywhere: as if each sequence went on to the last step"
            yield from applied(derivation, turned, what, (mask,), ("backward",), 1)
        if type(candidate) is Reference:
            yield from _other_masks(derivation, state, candidate, list(parts(mask, Data)))


def _other_masks(
    derivation: Derived, state: Quantity, candidate: Reference, masks: list[Data]
) -> Iterator[tuple[Edit, ...]]:
    """A mask whose rows are those of other steps: beside it one can see that the state is taken for the candidate."""
    for mask in masks:
        for other, what in rolls(mask) if mask.ndim else ():

            def change(part: Expression, mask: Data = mask, other: Expression = other) -> Expression | None:
                if type(part) is Reference and part.quantity is candidate.quantity:
                    return Reference(state, part.shift, part.at)
                return other if part == mask else None

            said, of = f"{what}, everywhere; and {{}} stands where {{}} belongs", (mask, Reference(state, 0), candidate)
            for edits in applied(derivation, change, said, of, ("backward",), reads=(mask, candidate.quantity)):
                if any(p == other for edit in edits for p in parts(edit.expression)):
                    yield edits


def _conditions(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """The changes that take one of several cases always: the middle of a Huber loss, a square, or its sides."""
    backward = [line for line in derivation.lines if line.kind != "forward"]
    read = (part for line in backward for part in parts(line.expression, Apply))
    conditions = dict.fromkeys(part for part in read if part.name in OPPOSITE and part.shape)
    for one in conditions:
        others = [c for c in conditions if c.operands == one.operands and c.name == OPPOSITE[one.name]]
        both: Any = {c: broadcast(Number(float(c is one)), c.shape) for c in (one, *others)}
        yield from applied(derivation, both.get, "as if {} were always true", (one,), fewest=1, reads=both)


def _numbers(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """The changes that leave a number out wherever it stands, also as its half or double: a weight in the loss.

    A temperature is also left out of the probabilities that the backward pass computes anew.
    """
    read = dict.fromkeys(part for line in derivation.lines for part in parts(line.expression, Number))
    for rate in hand.rates:
        ratios = {number: number.value / rate for number in read}
        left: Any = {n: Number(r) for n, r in ratios.items() if np.isclose(abs(r), (0.5, 1, 2), rtol=1e-12).any()}
        said, of = "{} was left out, everywhere", (Number(rate),)
        yield from applied(derivation, left.get, said, of, reads=left)
        yield from applied(derivation, where_they_are_read(left.get, hand, anew=True), said, of)


def _added_numbers(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """The changes that leave out a number that the forward pass adds to a value: the small one under a root."""
    forward = [part for line in derivation.lines if line.kind == "forward" for part in parts(line.expression)]
    for part in dict.fromkeys(forward):
        rest = [term for term in part.operands if not isinstance(term, Number)] if is_sum(part) else []
        if 0 < len(rest) < len(part.operands):
            change = where_they_are_read({part: broadcast(total(rest), part.shape)}.get, hand, anew=True)
            of, what = (total(rest), part), "{} stands where {} belongs, everywhere"
            for edits in applied(derivation, change, what, of, fewest=1):
                yield edits
                yield from ((edit,) for edit in edits if len(edits) > 1)


def carries_shared(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """A single variable for what all layers hand to the step before: each reads what the layer before has left."""
    own: list[tuple[Line, During]] = []
    for line in derivation.lines:
        back = [term for term in line.expression.operands if isinstance(term, During) and moves_back(term)]
        if line.kind == "backward" and is_sum(line.expression) and len(back) == 1:
            own.append((line, back[0]))
    shapes = {line.shape for line, _ in own}
    if len(own) > 1 and len(shapes) == 1:
        what, edits = "one variable for what all layers hand to the step before: each overwrites it", []
        for i, (line, term) in enumerate(own):
            (_, left), now = own[i - 1], i > 0
            new: Expression = During(line.steps, left.inner.shifted(-1)) if now else During(term.steps, left.inner)
            terms = [new if other is term else other for other in line.expression.operands]
            edits.append(Edit(line, total(terms), what))
        yield tuple(edits)


def _parts_exchanged(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """The changes that exchange the two parts into which a derivative is cut: what goes to x, and to the state."""
    cuts: dict[Any, dict[Apply, Any]] = {}
    for line in derivation.lines:
        for part in parts(line.expression) if line.kind != "forward" else ():
            if applies(part, indexing.getitem) and (read := derivatives_in(part)):
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
            yield from applied(derivation, new.get, "the two parts of {} stand in each other's place", whole)
    yield from applied(derivation, pairs.get, "the two parts of derivatives in each other's place, everywhere", ())


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


def _exchanged_quantity(
    derivation: Derived, hand: Hand, before: Reference, after: Expression
) -> Iterator[tuple[Edit, ...]]:
    def change(part: Expression) -> Expression | None:
        if isinstance(part, Reference) and part.quantity is before.quantity:
            return after.shifted(part.shift) if part.shift else after
        return None

    of, what = (after, before), "{} stands where {} belongs, everywhere"
    seen = set()
    reads = {before.quantity}, {before.quantity}, hand.made_of(before.quantity)
    for changes, among in zip((change, *(where_they_are_read(change, hand, anew=a) for a in (False, True))), reads):
        for edits in applied(derivation, changes, what, of, reads=among):
            made = frozenset((edit.line, edit.expression) for edit in edits)
            if made not in seen:
                seen.add(made)
                yield edits


def derivatives_left_out(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """A derivative left out of all lines that read it: of those that lead to one gradient, it may be of these alone."""
    for quantity in hand.backward:
        reads = [line for line in derivation.lines if quantity in read_by(line.expression)]
        of = (Reference(quantity, 0 if quantity.steps else None),)
        left = [(line, without(line.expression, quantity)) for line in reads]
        edits = [Edit(line, new, "{} was left out, everywhere", of) for line, new in left if new is not line.expression]
        if len(edits) > 1:
            yield tuple(edits)


def quantities_exchanged(derivation: Derived, hand: Hand) -> Iterator[tuple[Edit, ...]]:
    """Two quantities of the forward pass that are taken for each other in the whole backward pass."""
    for a, b in itertools.combinations(hand.forward, 2):
        if a.shape == b.shape and a.shape and a.steps and b.steps:

            def change(part: Expression, other: dict[Quantity, Quantity] = {a: b, b: a}) -> Expression | None:  # noqa: B006
                if type(part) is Reference and part.quantity in other:
                    return Reference(other[part.quantity], part.shift, part.at)
                return None

            of = Reference(a, 0), Reference(b, 0)
            for places in (change, where_they_are_read(change, hand)):
                said = "{} and {} stand in each other's place, everywhere"
                yield from applied(derivation, places, said, of, reads=(a, b))
    here, before = ([Reference(q, shift) for q in hand.forward if q.shape and q.steps] for shift in (0, -1))
    for of in (*itertools.combinations(here, 2), *itertools.product(here, before)):
        is_kept_twice = of[1].shift or not hand.states.isdisjoint(reference.quantity for reference in of)
        if is_kept_twice and of[0].shape == of[1].shape:  # a state is also kept as that of the step before
            turned = dict(zip(of, of[::-1]))
            said = "{} and {} stand in each other's place, everywhere"
            yield from applied(derivation, turned.get, said, of, reads=of)


def lines_exchanged(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """Two derivatives, each of which is computed where the other belongs."""
    backward = [line for line in derivation.lines if line.kind == "backward"]
    for a, b in itertools.combinations(backward, 2):
        if (a.shape, a.steps, a.quantity.loop) == (b.shape, b.steps, b.quantity.loop):
            of = Reference(a.quantity, 0), Reference(b.quantity, 0)
            what = "{} and {} stand in each other's place"
            yield Edit(a, b.expression, what, of), Edit(b, a.expression, what, of)


def read_in_between(derivation: Derived) -> Iterator[tuple[Edit, ...]]:
    """A derivative that some lines read before its last term is added, and others afterwards."""
    lines = derivation.lines
    for line in lines:
        whole, own = line.expression, line.quantity
        if line.kind != "backward" or not is_sum(whole) or own.loop is None:
            continue
        reads = [(other, {p.shift for p in parts(other.expression, Reference) if p.quantity is own}) for other in lines]
        here = [other for other, shifts in reads if shifts == {0}]
        sizes = range(2, len(here) + 1) if len(here) <= MOST_READERS else (len(here),)
        groups = [some for n in sizes for some in itertools.combinations(here, n)]
        groups += [tuple(other for other, shifts in reads if shifts - {0, None})]
        for i, term in enumerate(whole.operands):
            rest = switched(total([*whole.operands[:i], *whole.operands[i + 1 :]]))

            def change(part: Expression, own: Quantity = own, rest: Expression = rest) -> Expression | None:
                if not isinstance(part, Reference) or part.quantity is not own or part.shift is None:
                    return None
                return rest.shifted(part.shift)

            what, of = "{} is read before its term {} is added", (Reference(own, 0), unwrapped(term)[0])
            changed = applied(derivation, change, what, of, fewest=1, reads=(own,))
            edits = {edit.line: edit for made in changed for edit in made}
            for some in groups:
                if len(some) > 1 and all(other in edits for other in some):  # one alone is among the edits of uses
                    yield tuple(edits[other] for other in some)


def one_instance(derivation: Derived, names: Iterable[str]) -> Iterator[list[tuple[Edit, ...]]]:
    """The changes by which gradients have the last instance of a batch alone; and those for the first one."""
    wanted = set(names)
    lines = [line for line in derivation.lines if line.kind == "gradient" and line.quantity.adjoint_of in wanted]
    for place, which in ((-1, "last"), (0, "first")):

        def change(part: Expression, place: int = place, which: str = which) -> Expression | None:
            if not is_derivative(part) or part.ndim < 2:
                return None
            mask = np.zeros((part.shape[-2], 1))  # time comes first, then the instances
            mask[place] = 1
            return apply(elementwise.multiply, part, Mask(mask, f"[the {which} instance]"))

        what = f"the {which} instance of the batch alone: the sum over the instances was left out"
        edits = [Edit(line, replaced(line.expression, change), what) for line in lines]
        is_made = edits and all(edit.expression is not edit.line.expression for edit in edits)
        yield [tuple(edits)] if is_made else []
