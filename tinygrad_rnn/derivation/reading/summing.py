"""Running sums: ``loss = loss + l_t`` at every step is the sum of l_t over the steps."""

from __future__ import annotations

import itertools

from ...autodiff.rules import elementwise
from ..equations.arithmetic import is_sum
from ..equations.expressions import Apply, Expression, Number, Reference, Shape, Sum
from ..equations.parts import applies, moves, parts, references_of, replaced, total
from ..equations.quantities import Equation, Quantity


def sum_at_once(quantities: list[Quantity]) -> None:
    """Turn every running sum into one sum over steps, if only its last value is used."""
    for quantity in list(quantities):
        _negate_what_is_taken_off(quantity, quantities)
    for quantity in list(quantities):
        _add_to_what_goes_on(quantity, quantities)
    for quantity in list(quantities):
        links = _links(quantity)
        if links is None:
            continue
        last, terms = links
        if _used_only_at(quantity, last, quantities):
            _replace(quantity, last, terms, quantities)


def _negate_what_is_taken_off(quantity: Quantity, quantities: list[Quantity]) -> None:
    """Turn ``loss = loss - l_t`` into a sum, of -l_t; also where more is added in the same step."""
    for equation in quantity.equations:
        whole = equation.expression
        if not (applies(whole, elementwise.subtract) and equation.steps):
            continue
        before, term = whole.operands
        if not isinstance(before, Reference) or term.shape != quantity.shape:
            continue
        if before.quantity in (quantity, _goes_on_in(quantity, quantities)):
            made = Quantity(term.shape, quantity.layer, loop=quantity.loop)
            made.equations = [Equation(equation.steps, Apply(elementwise.negative, (term,), {}, term.shape))]
            made.order = {t: quantity.order[t] - 0.125 for t in equation.steps}
            made.values = {t: quantity.values[t] - before.quantity.values[before.step(t)] for t in equation.steps}
            quantities.insert(quantities.index(quantity), made)
            equation.expression = total([before, Reference(made, 0)])


def _add_to_what_goes_on(quantity: Quantity, quantities: list[Quantity]) -> None:
    """Turn ``loss = loss + a_t; loss = loss + b_t`` into one sum of three terms, where one line is of the first two."""
    whole = _goes_on_in(quantity, quantities)
    sums = [equation for equation in quantity.equations if is_sum(equation.expression)]
    if whole is None or len(sums) != len(quantity.equations) or not any(_reads(e.expression, whole) for e in sums):
        return
    equations = []
    for outer, inner in itertools.product(whole.equations, sums):
        others = [o for o in outer.expression.operands if not (isinstance(o, Reference) and o.quantity is quantity)]
        steps = tuple(t for t in outer.steps if t in inner.steps)
        equations += [Equation(steps, total([*inner.expression.operands, *others]))] if steps else []
    kept = [e for e in whole.equations if not _reads(e.expression, quantity)]
    whole.equations = [*kept, *(e for e in equations if not any(t in k.steps for k in kept for t in e.steps))]
    quantities.remove(quantity)


def _goes_on_in(quantity: Quantity, quantities: list[Quantity]) -> Quantity | None:
    """The one quantity that reads another, if it is a sum with it at the same step, and of the same kind."""
    read = [(q, e.expression) for q in quantities for e in q.equations if _reads(e.expression, quantity)]
    if len({q for q, _ in read}) != 1 or read[0][0] is quantity or quantity.labels:
        return None
    is_added = all(_terms(e, quantity.shape).count(Reference(quantity, 0)) == 1 for _, e in read)
    whole = read[0][0]
    is_alike = (whole.shape, whole.loop) == (quantity.shape, quantity.loop) and set(quantity.steps) <= set(whole.steps)
    return whole if is_alike and is_added else None


def _links(quantity: Quantity) -> tuple[int, list[tuple[int, Expression]]] | None:
    """The last step of a running sum and the term of each step, if it is one."""
    if len(quantity.steps) < 2 or not any(_adds_to_itself(e.expression, quantity) for e in quantity.equations):
        return None
    before: dict[int, int] = {}
    terms: list[tuple[int, Expression]] = []
    for t in quantity.steps:
        equation = quantity.equation_at(t)
        assert equation is not None
        found = _terms(equation.expression, quantity.shape)
        own = [term for term in found if isinstance(term, Reference) and term.quantity is quantity]
        others = [term for term in found if not _reads(term, quantity)]
        if len(own) > 1 or len(own) + len(others) < len(found):
            return None
        if own:
            before[t] = own[0].step(t) or 0
        terms += [(t, term) for term in others]
    starts = [t for t in quantity.steps if t not in before]
    followers = {step: t for t, step in before.items()}
    if len(starts) != 1 or len(followers) != len(before):
        return None
    last, reached = starts[0], 1
    while last in followers:
        last, reached = followers[last], reached + 1
    return (last, terms) if reached == len(quantity.steps) else None


def _adds_to_itself(expression: Expression, quantity: Quantity) -> bool:
    is_sum = applies(expression, elementwise.add)
    return is_sum and any(isinstance(o, Reference) and o.quantity is quantity for o in expression.operands)


def _reads(expression: Expression, quantity: Quantity) -> bool:
    return any(isinstance(part, Reference) and part.quantity is quantity for part in parts(expression))


def _used_only_at(quantity: Quantity, last: int, quantities: list[Quantity]) -> bool:
    read = (read for other in quantities if other is not quantity for read, _ in references_of(other))
    return all(one.at == last for one in read if one.quantity is quantity)


def _terms(expression: Expression, shape: Shape) -> tuple[Expression, ...]:
    """The terms of a sum, if all have the same shape; any other expression is its own only term."""
    is_sum = applies(expression, elementwise.add)
    return expression.operands if is_sum and all(o.shape == shape for o in expression.operands) else (expression,)


def _replace(quantity: Quantity, last: int, terms: list[tuple[int, Expression]], quantities: list[Quantity]) -> None:
    """Replace the equations of a running sum by one without steps."""
    groups: list[tuple[Expression, list[int]]] = []
    single: list[Expression] = []
    for t, term in terms:
        step = term.step(t) if isinstance(term, Reference) else t
        if isinstance(term, Reference) and step is not None:
            term = Reference(term.quantity, 0)
        elif not moves(term):
            if not (isinstance(term, Number) and not term.value):
                single.append(term)
            continue
        assert step is not None
        at = next((steps for other, steps in groups if other == term and step not in steps), None)
        if at is None:
            groups.append((term, [step]))
        else:
            at.append(step)
    sums: list[Expression] = [Sum(tuple(sorted(steps)), term) for term, steps in groups]
    order = quantity.order[last]
    if len(sums) + len(single) > 1:  # an equation has one operation
        sums = [_of_its_own(part, order, quantities, quantity) for part in sums]
    found = [*single, *sums]
    quantity.equations = [Equation((), total(found) if found else Number(0.0))]
    quantity.values = {None: quantity.values[last]}
    quantity.order = {None: order}
    quantity.loop = None
    for other in quantities:
        for equation in other.equations:
            equation.expression = replaced(equation.expression, lambda part: _without_step(part, quantity))


def _of_its_own(part: Expression, order: float, quantities: list[Quantity], before: Quantity) -> Expression:
    """A sum over steps as a quantity."""
    made = Quantity(part.shape, before.layer)
    made.equations = [Equation((), part)]
    made.order, made.values = {None: order - 0.25}, {None: None}  # type: ignore[dict-item]
    quantities.insert(quantities.index(before), made)
    return Reference(made)


def _without_step(part: Expression, quantity: Quantity) -> Expression | None:
    return Reference(quantity) if isinstance(part, Reference) and part.quantity is quantity else None
