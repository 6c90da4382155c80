"""Running sums: ``loss = loss + l_t`` at every step is the sum of l_t over the steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from ...autodiff.rules import elementwise, reductions
from ..equations.expressions import Apply, Expression, Number, Reference, Stack, Steps, Sum, apply, one_axis
from ..equations.making import over
from ..equations.parts import applies, fixed, moves, parts, references_of, replaced, total
from ..equations.quantities import Equation, Quantity
from ..equations.recognising import meaning
from .draft import Draft


def sum_at_once(draft: Draft) -> None:
    """Turn every running sum into one sum over steps, if only its last value is used; and a sum of a stack of steps."""
    draft.rewrite(_sum_of_rows)
    for quantity in list(draft.quantities):
        pieces = _pieces(quantity, draft)
        for piece in _apart(quantity, pieces, draft) if pieces else [quantity]:
            chain = _chain(piece, draft)
            if chain is not None:
                _replace(piece, chain, draft)


def _sum_of_rows(draft: Draft, quantity: Quantity, equation: Equation) -> Expression | None:
    """Write ``np.stack(terms).sum()``, and ``mean()``, as a sum over steps."""
    whole = equation.expression
    if not applies(whole, reductions.sum, reductions.mean) or equation.steps:
        return None
    rows = meaning(whole.operands[0])
    if not isinstance(rows, Stack) or not isinstance(rows.inner, Reference) or rows.inner.shape != whole.shape:
        return None
    if whole.shape and one_axis(whole.settings.get("axis")) != 0:
        return None
    found = Sum(tuple(sorted(rows.steps)), rows.inner)
    if whole.operation is reductions.sum:
        return found
    return over(draft.before(quantity, (), found), Number(len(rows.steps)))


# --- a sum of each piece ----------------------------------------------------------------------------------------------


def _pieces(quantity: Quantity, draft: Draft) -> list[Steps]:
    """The steps of each piece of a running sum that begins anew in between; none of any other quantity.

    Its ends are read by sums and by quotients alone: the loss of a chunk, divided by its length.
    """
    if quantity.shape or len(quantity.steps) < 2 or not all(map(_is_sum_or_start, quantity.equations)):
        return []
    pieces: list[list[int]] = []
    for t in quantity.steps:
        equation = quantity.equation_at(t)
        assert equation is not None
        own = [part.step(t) for part in parts(equation.expression, Reference) if part.quantity is quantity]
        if not own:
            pieces.append([])
        elif not pieces or own != pieces[-1][-1:]:
            return []
        pieces[-1].append(t)
    ends = {piece[-1] for piece in pieces}
    others = [other for other in draft.quantities if other is not quantity]
    reads = [(other, read, at) for other in others for read, at in references_of(other) if read.quantity is quantity]
    is_read_at_ends = all({read.step(t) for t in at or (None,)} <= ends for _, read, at in reads)
    are_single = 1 < len(pieces) < len(quantity.steps) and is_read_at_ends and quantity is not draft.loss
    return [tuple(piece) for piece in pieces] if are_single and all(_is_linear(other) for other, _, _ in reads) else []


def _is_sum_or_start(equation: Equation) -> bool:
    return _is_sum(equation) or not any(parts(equation.expression, Reference))


def _is_linear(quantity: Quantity) -> bool:
    """Return True for a number that is a sum, or a product or quotient with numbers."""
    expressions = [equation.expression for equation in quantity.equations]
    return not quantity.shape and all(
        isinstance(e, Reference | Number)
        or (applies(e, *SIGNS) and all(isinstance(o, Reference | Number) for o in e.operands))
        or (
            applies(e, elementwise.multiply, elementwise.divide)
            and isinstance(e.operands[0], Reference | Number)
            and isinstance(e.operands[1], Number)
        )
        for e in expressions
    )


def _apart(quantity: Quantity, pieces: list[Steps], draft: Draft) -> list[Quantity]:
    """A quantity for each piece in the place of one for all; what is made of their ends alone has no steps any more."""
    made: dict[int, Quantity] = {}
    for steps in pieces:
        piece = replace(quantity, equations=[], values={t: quantity.values[t] for t in steps})
        made |= dict.fromkeys(steps, piece)
        for equation in quantity.equations:
            own = tuple(t for t in equation.steps if t in steps)
            if own:
                inner = partial(_of_piece, quantity, piece)
                piece.equations.append(Equation(own, replaced(equation.expression, inner)))
    _stand_for(quantity, made, draft)
    return list(dict.fromkeys(made.values()))


def _of_piece(whole: Quantity, piece: Quantity, part: Expression) -> Expression | None:
    return part.to(piece) if isinstance(part, Reference) and part.quantity is whole else None


def _stand_for(quantity: Quantity, made: dict[int, Quantity], draft: Draft) -> None:
    """Put quantities in the place of one, each at its steps; also of those that read nothing else."""
    place = draft.quantities.index(quantity)
    draft.quantities[place : place + 1] = dict.fromkeys(made.values())
    for other in list(draft.quantities):
        if not any(read.quantity is quantity for read, _ in references_of(other)):
            continue
        apart: list[Equation] = []
        for equation in other.equations:
            for t in equation.steps or (None,):
                fix = partial(_fixed, quantity, made, t)
                apart.append(Equation(() if t is None else (t,), replaced(equation.expression, fix)))
        other.equations = apart
        if other.steps and other is not draft.loss and not any(_reads_quantity(e.expression, other) for e in apart):
            alone = {e.steps[0]: fixed(e.expression, e.steps[0]) for e in apart}
            ends = {t: replace(other, equations=[Equation((), one)], loop=None) for t, one in alone.items()}
            for t, end in ends.items():
                end.values = {None: other.values[t]}
            _stand_for(other, ends, draft)


def _fixed(whole: Quantity, made: dict[int, Quantity], t: int | None, part: Expression) -> Expression | None:
    """The piece that a reference reads, from step t."""
    if not isinstance(part, Reference) or part.quantity is not whole:
        return None
    step = part.step(t)
    assert step is not None
    piece = made[step]
    return Reference(piece, None, step if piece.loop is not None else None)


# --- running sums ----------------------------------------------------------------------------------------------------


class _Term(NamedTuple):
    """A term that a running sum gets at a step."""

    t: int
    sign: int
    value: Expression


class _Chain(NamedTuple):
    """A running sum: its last step, its terms, and the quantities between two of its values."""

    last: int
    terms: list[_Term]
    between: set[Quantity]


def _chain(quantity: Quantity, draft: Draft) -> _Chain | None:
    """The terms of a quantity that adds to itself from step to step, and is read at its last step alone."""
    if not quantity.steps:
        return None
    uses = Counter([draft.loss, *(part.quantity for part in _reads(draft.quantities))])
    between = _between(quantity, uses)
    before: dict[int, int] = {}
    terms: list[_Term] = []
    for t in quantity.steps:
        equation = quantity.equation_at(t)
        assert equation is not None
        found = list(_terms(equation.expression, t, quantity, uses, between))
        own = [term for term in found if isinstance(term.value, Reference) and term.value.quantity is quantity]
        if len(own) > 1 or any(term.sign < 0 for term in own):
            return None
        if own:
            before[t] = own[0].value.step(t) or 0  # type: ignore[attr-defined]
        terms += [term for term in found if term not in own]
    last = _end(quantity, before)
    if last is None or any(_reads_quantity(term.value, quantity) for term in terms):
        return None
    if any(isinstance(term.value, Apply) and moves(term.value) for term in terms):  # a sum is one of quantities
        return None
    others = [other for other in draft.quantities if other is not quantity and other not in between]
    return _Chain(last, terms, between) if all(r.at == last for r in _reads(others) if r.quantity is quantity) else None


def _between(whole: Quantity, uses: Counter[Quantity]) -> set[Quantity]:
    """The sums through which a quantity reads itself: v of ``v = total + a; total = v - b``."""
    found: set[Quantity] = set()

    def leads_back(quantity: Quantity) -> bool:
        read = {part.quantity for part in _reads([quantity])}
        inner = [other for other in read if other is not whole and uses[other] == 1 and not other.labels]
        leading = [other for other in inner if all(map(_is_sum, other.equations)) and leads_back(other)]
        found.update(leading)
        return whole in read or bool(leading)

    leads_back(whole)
    return found


def _is_sum(equation: Equation) -> bool:
    return applies(equation.expression, *SIGNS)


def _end(quantity: Quantity, before: dict[int, int]) -> int | None:
    """The last step of a chain in which each step adds to the one that is given; None if it is no single chain."""
    starts = [t for t in quantity.steps if t not in before]
    followers = {step: t for t, step in before.items()}
    if len(starts) != 1 or len(followers) != len(before):
        return None
    last, reached = starts[0], 1
    while last in followers:
        last, reached = followers[last], reached + 1
    return last if reached == len(quantity.steps) else None


def _reads(quantities: list[Quantity]) -> Iterator[Reference]:
    for quantity in quantities:
        for equation in quantity.equations:
            yield from parts(equation.expression, Reference)


def _reads_quantity(expression: Expression, quantity: Quantity) -> bool:
    return any(part.quantity is quantity for part in parts(expression, Reference))


def _terms(
    expression: Expression, t: int, whole: Quantity, uses: Counter[Quantity], between: set[Quantity], sign: int = 1
) -> Iterator[_Term]:
    """The terms of a sum at a step, and those of the sums between it and the step before, or at the start."""
    is_alike = all(o.shape == whole.shape or o == Number(0) for o in expression.operands)
    if isinstance(expression, Apply) and is_alike and expression.operation in SIGNS:
        for operand, own in zip(expression.operands, SIGNS[expression.operation](len(expression.operands))):
            yield from _terms(operand, t, whole, uses, between, sign * own)
        return
    if isinstance(expression, Reference) and expression.quantity is not whole and uses[expression.quantity] == 1:
        quantity, step = expression.quantity, expression.step(t)
        equation = quantity.equation_at(step)
        is_start = len(quantity.steps) < 2 and not quantity.labels and all(map(_is_sum, quantity.equations))
        if equation is not None and (is_start or quantity in between):
            between.add(quantity)
            for term in _terms(equation.expression, t if step is None else step, whole, uses, between, sign):
                yield _Term(t, term.sign, term.value if step in (t, None) else fixed(term.value, step))
            return
    yield _Term(t, sign, expression)


SIGNS: dict[Any, Callable[[int], tuple[int, ...]]] = {
    elementwise.add: lambda count: (1,) * count,
    elementwise.subtract: lambda count: (1, -1),
    elementwise.negative: lambda count: (-1,),
}


def _replace(quantity: Quantity, chain: _Chain, draft: Draft) -> None:
    """Replace the equations of a running sum by one without steps."""
    groups: list[tuple[int, Expression, list[int]]] = []
    single: list[Expression] = []
    draft.quantities = [other for other in draft.quantities if other not in chain.between]
    for t, sign, term in chain.terms:
        step = term.step(t) if isinstance(term, Reference) else t
        if isinstance(term, Reference) and step is not None:
            term = Reference(term.quantity, 0)
        elif not moves(term):
            if not (isinstance(term, Number) and not term.value):
                single.append(_signed(sign, term, draft, quantity))
            continue
        assert step is not None
        at = next((steps for own, other, steps in groups if (own, other) == (sign, term) and step not in steps), None)
        if at is None:
            groups.append((sign, term, [step]))
        else:
            at.append(step)
    sums: list[Expression] = [Sum(tuple(sorted(steps)), term) for _, term, steps in groups]
    if len(sums) + len(single) > 1 or any(sign < 0 for sign, _, _ in groups):  # an equation has one operation
        own = [draft.before(quantity, (), part) for part in sums]
        sums = [_signed(sign, part, draft, quantity) for (sign, _, _), part in zip(groups, own)]
        single = [draft.before(quantity, (), part) if isinstance(part, Apply) else part for part in single]
    found = [*single, *sums]
    quantity.equations = [Equation((), total(found) if found else Number(0.0))]
    quantity.values = {None: quantity.values[chain.last]}
    quantity.loop = None
    draft.rewrite(lambda draft, other, equation: replaced(equation.expression, partial(_without_step, quantity)))


def _signed(sign: int, part: Expression, draft: Draft, whole: Quantity) -> Expression:
    """A term with its sign, as a quantity if that is a minus."""
    return part if sign > 0 else draft.before(whole, (), apply(elementwise.negative, part))


def _without_step(quantity: Quantity, part: Expression) -> Expression | None:
    return Reference(quantity) if isinstance(part, Reference) and part.quantity is quantity else None
