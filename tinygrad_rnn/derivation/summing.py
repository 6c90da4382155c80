"""Running sums: ``loss = loss + l_t`` at every step is the sum of l_t over the steps."""

from __future__ import annotations

from ..autodiff.rules import elementwise
from .expressions import Apply, Expression, Number, Reference, Sum
from .quantities import Equation, Quantity
from .reading import moves, parts, replaced, total


def sum_at_once(quantities: list[Quantity]) -> None:
    """Turn every running sum of which only the last value is used into one sum over steps."""
    for quantity in quantities:
        links = _links(quantity)
        if links is None:
            continue
        last, terms = links
        if _used_only_at(quantity, last, quantities):
            _replace(quantity, last, terms, quantities)


def _links(quantity: Quantity) -> tuple[int, list[tuple[int, Expression]]] | None:
    """The last step of a running sum and the term of each step, if it is one."""
    if len(quantity.steps) < 2 or not any(_adds_to_itself(e.expression, quantity) for e in quantity.equations):
        return None
    before: dict[int, int] = {}
    terms: list[tuple[int, Expression]] = []
    for t in quantity.steps:
        equation = quantity.equation_at(t)
        assert equation is not None
        expression = equation.expression
        own = [o for o in expression.operands if isinstance(o, Reference) and o.quantity is quantity]
        if isinstance(expression, Apply) and expression.operation is elementwise.add and len(own) == 1:
            (other,) = (o for o in expression.operands if o is not own[0]) if len(expression.operands) == 2 else (None,)
            if other is None or other.shape != quantity.shape or _reads(other, quantity):
                return None
            before[t] = own[0].step(t) or 0
            terms.append((t, other))
        elif not _reads(expression, quantity):
            terms.append((t, expression))
        else:
            return None
    starts = [t for t in quantity.steps if t not in before]
    followers = {step: t for t, step in before.items()}
    if len(starts) != 1 or len(followers) != len(before):
        return None
    last, reached = starts[0], 1
    while last in followers:
        last, reached = followers[last], reached + 1
    return (last, terms) if reached == len(quantity.steps) else None


def _adds_to_itself(expression: Expression, quantity: Quantity) -> bool:
    is_sum = isinstance(expression, Apply) and expression.operation is elementwise.add
    return is_sum and any(isinstance(o, Reference) and o.quantity is quantity for o in expression.operands)


def _reads(expression: Expression, quantity: Quantity) -> bool:
    return any(isinstance(part, Reference) and part.quantity is quantity for part in parts(expression))


def _used_only_at(quantity: Quantity, last: int, quantities: list[Quantity]) -> bool:
    for other in quantities:
        for equation in other.equations if other is not quantity else ():
            for part in parts(equation.expression):
                if isinstance(part, Reference) and part.quantity is quantity and part.at != last:
                    return False
    return True


def _replace(quantity: Quantity, last: int, terms: list[tuple[int, Expression]], quantities: list[Quantity]) -> None:
    """Give a running sum one equation without steps."""
    by_step: dict[Expression, list[int]] = {}
    single: list[Expression] = []
    summed = {term for _, term in terms}
    for t, term in [(t, part) for t, whole in terms for part in _parts_of_start(whole)]:
        step = term.step(t) if isinstance(term, Reference) else None
        if isinstance(term, Number) and not term.value:
            continue
        if isinstance(term, Reference) and step is not None and Reference(term.quantity, 0) in summed:
            by_step.setdefault(Reference(term.quantity, 0), []).append(step)
        elif moves(term):
            by_step.setdefault(term, []).append(t)
        else:
            single.append(term)
    found = [*single, *(Sum(tuple(sorted(steps)), term) for term, steps in by_step.items())]
    quantity.equations = [Equation((), total(found) if found else Number(0.0))]
    quantity.values = {None: quantity.values[last]}
    quantity.order = {None: quantity.order[last]}
    quantity.loop = None
    for other in quantities:
        for equation in other.equations:
            equation.expression = replaced(equation.expression, lambda part: _without_step(part, quantity))


def _parts_of_start(term: Expression) -> tuple[Expression, ...]:
    """The terms of a sum of two values, as which a running sum may begin."""
    is_sum = isinstance(term, Apply) and term.operation is elementwise.add
    return term.operands if is_sum and all(isinstance(o, Reference) for o in term.operands) else (term,)


def _without_step(part: Expression, quantity: Quantity) -> Expression | None:
    return Reference(quantity) if isinstance(part, Reference) and part.quantity is quantity else None
