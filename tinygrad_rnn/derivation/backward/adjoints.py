"""Adjoints: for each quantity, the derivative of the loss by it, as a sum over all uses of the quantity.

Where ``h`` is used one step later, its derivative gets a term from one step later. A value without steps that is used
at each step, such as a parameter, gets a sum over the steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import elementwise, indexing, shape
from ...compiler.graph.trace import stop_gradient
from ..equations.expressions import (
    Apply,
    During,
    Expression,
    Number,
    Parameter,
    Reference,
    Shape,
    Stack,
    Step,
    Steps,
    Sum,
    apply,
    are_consecutive,
    indexed_operands,
)
from ..equations.order import in_order
from ..equations.parts import applies, parts, total
from ..equations.quantities import Derivative, Equation, Place, Quantity
from ..equations.recognising import chosen_share, log_of_logistic
from ..reading.rules import Results, vjp
from ..reading.settings import common_settings

Used = Reference | Parameter
LARGER = {elementwise.maximum: np.greater, elementwise.minimum: np.less}
Target = Any  # a Quantity, or the name of a parameter


class Term(NamedTuple):
    """The contribution to a target from one use of it."""

    steps: Steps  # the steps of the target; none if it has no steps
    expression: Expression  # the contribution, seen from the target's step


class _Adjoint:
    """The derivative by one target, as far as it is known."""

    def __init__(self, made: Quantity) -> None:
        self.made = made
        self.steps: set[int | None] = set()
        self.terms: list[Term] = []


def adjoints(
    quantities: list[Quantity],
    root: Place,
    parameters: Mapping[str, Shape],
    held: Collection[Quantity] = (),
) -> list[Quantity]:
    """The derivatives of the loss by all quantities on the way from the parameters, and by the parameters.

    Args:
        quantities: the quantities of the forward pass.
        root: the loss, at its last step if it has steps.
        parameters: the shape of each parameter, by name.
        held: quantities that are held fixed: whatever acts on the loss only through them gets no derivative.

    Returns:
        First the derivatives by quantities, in the order in which the backward pass needs them; then those by
        parameters.
    """
    of: dict[Target, _Adjoint] = {
        q: _Adjoint(Quantity(q.shape, q.layer, derivative=Derivative(q), loop=q.loop)) for q in active(quantities)
    }
    of |= {name: _Adjoint(Quantity(shape, derivative=Derivative(name))) for name, shape in parameters.items()}
    loss, end = root
    of[loss].steps.add(end)
    of[loss].terms.append(Term(() if end is None else (end,), Number(1.0)))
    walked = _find_steps([quantity for quantity in quantities if quantity in of], of, held)
    for quantity in (q for q in reversed(quantities) if q in of and q not in held):
        for equation in quantity.equations:
            _add_terms(quantity, equation, of)
    for target, adjoint in of.items():
        if adjoint.terms:
            adjoint.made.equations = _equations(target, adjoint)
    return [of[target].made for target in (*walked, *parameters) if of[target].made.equations or target in parameters]


def active(quantities: list[Quantity]) -> list[Quantity]:
    """Quantities that depend on a parameter in a differentiable way."""
    found: set[Quantity] = set()
    changed = True
    while changed:
        changed = False
        for quantity in quantities:
            if quantity not in found and any(_reads_active(e.expression, found) for e in quantity.equations):
                found.add(quantity)
                changed = True
    return [quantity for quantity in quantities if quantity in found]


def _reads_active(expression: Expression, active: set[Quantity]) -> bool:
    if not _passes_gradients(expression):
        return False
    return any(
        isinstance(part, Parameter) or (isinstance(part, Reference) and part.quantity in active)
        for part in parts(expression)
    )


def _passes_gradients(expression: Expression) -> bool:
    """Return False for an operation without a derivative: a comparison, or a detached value."""
    if not isinstance(expression, Apply):
        return True
    return expression.operation is not stop_gradient and hasattr(expression.operation, "vjps")


def uses(expression: Expression) -> Iterator[tuple[Used, int]]:
    """The references and parameters that an equation reads, with the numbers of their operands; -1 for all of it."""
    through = log_of_logistic(expression) or chosen_share(expression)
    if through is not None:  # as everybody writes it: the slopes of log and σ cancel
        yield through[0], 0
    elif isinstance(expression, Used):
        yield expression, -1
    elif isinstance(expression, (Apply, Sum, Stack)) and _passes_gradients(expression):
        in_index = indexed_operands(expression) if isinstance(expression, Apply) else set()
        for number, operand in enumerate(expression.operands):
            if isinstance(operand, Used) and number not in in_index:
                yield operand, number


def _find_steps(
    quantities: list[Quantity], of: Mapping[Target, _Adjoint], held: Collection[Quantity]
) -> list[Quantity]:
    """Find the steps at which the loss depends on each quantity, by a walk from the last value to the first."""
    read = {id(e): [used for used, _ in uses(e.expression)] for q in quantities for e in q.equations}
    walked: dict[Quantity, None] = {}
    for (quantity, t), equation in reversed(in_order((q, e) for q in quantities for e in q.equations).items()):
        if t not in of[quantity].steps:
            continue
        walked[quantity] = None
        if quantity in held:
            continue
        at = equation.expression.steps if isinstance(equation.expression, (Sum, Stack)) else (t,)
        for used in read[id(equation)]:
            if isinstance(used, Reference) and used.quantity in of:
                of[used.quantity].steps.update(map(used.step, at))
    return list(walked)


def _add_terms(consumer: Quantity, equation: Equation, of: Mapping[Target, _Adjoint]) -> None:
    """Add the contributions to the operands of an equation that come through it."""
    steps = tuple(t for t in equation.steps if t in of[consumer].steps)
    if not steps and (equation.steps or None not in of[consumer].steps):
        return
    g, ans = (Reference(quantity, 0 if steps else None) for quantity in (of[consumer].made, consumer))
    for used, number in uses(equation.expression):
        target = used.name if isinstance(used, Parameter) else used.quantity
        if target not in of:
            continue
        expression = _through(equation.expression, number, g, ans)
        if expression is not None:
            of[target].terms.append(_seen_from(used, expression, steps, equation))
        elif isinstance(equation.expression, Stack) and isinstance(used, Reference) and used.shift is not None:
            for place, t in enumerate(equation.expression.steps):  # if steps are far apart, each row is a separate term
                taken = Apply(indexing.getitem, (g,), {"index": place}, g.shape[1:])
                of[target].terms.append(Term((t + used.shift,), taken))


def _through(expression: Expression, number: int, g: Reference, ans: Reference) -> Expression | None:
    """The contribution of a result's cotangent to one operand, seen from the result's step."""
    if number < 0 or isinstance(expression, Sum):
        return g
    if isinstance(expression, Stack):
        return _row_of(g, expression.steps)
    assert isinstance(expression, Apply)
    through = log_of_logistic(expression)
    if through is not None:
        return Apply(elementwise.multiply, (g, through[1]), {}, expression.shape)
    share = chosen_share(expression)
    if share is not None:
        weighted = apply(elementwise.multiply, g, ans)
        spread = apply(elementwise.multiply, apply(shape.expand_dims, weighted, axis=-1), share[1])
        return apply(elementwise.negative, apply(elementwise.subtract, spread, _put_back(expression, weighted)))
    if expression.operation is indexing.getitem:
        return _put_back(expression, g)
    if expression.operation is indexing.output:
        (hidden,) = expression.operands
        count = len(next(iter(hidden.quantity.values.values())))  # type: ignore[attr-defined]
        return Apply(Results((expression.settings["index"],), count), (g,), {}, ())
    if expression.operation is elementwise.add:  # a sum of many terms counts as this term plus the rest
        return vjp(Apply(elementwise.add, (expression.operands[number], ans), {}, expression.shape), 0, g, ans)
    expression, number = _without_ties(expression, number)
    return vjp(expression, number, g, ans)


def _without_ties(expression: Apply, number: int) -> tuple[Apply, int]:
    """The larger or the smaller of two values that are nowhere equal, as a choice: at a tie, each has a half of it."""
    if expression.operation not in LARGER or not all(isinstance(a, (Reference, Number)) for a in expression.operands):
        return expression, number
    values = [a.quantity.values.values() if isinstance(a, Reference) else (a.value,) for a in expression.operands]  # type: ignore[attr-defined]
    if any(np.any(np.equal(*pair)) for pair in itertools.product(*values)):
        return expression, number
    condition = apply(LARGER[expression.operation], *expression.operands)
    return apply(elementwise.where, condition, *expression.operands), number + 1


def _row_of(g: Expression, steps: Steps) -> Expression | None:
    """The row of a stack that belongs to the step, if the steps are regular."""
    for sign in (1, -1):
        if len(steps) > 1 and are_consecutive(steps[::sign]):
            return Apply(indexing.getitem, (g,), {"index": Step(-sign * steps[0], sign)}, g.shape[1:])
    return None


def _put_back(taken: Apply, g: Expression) -> Expression:
    """The transpose of an index: zeros, with the cotangent in the place of the index."""
    settings = {"indices": (taken.settings["index"],), "shape": taken.operands[0].shape}
    return Apply(indexing.assemble, (g, *taken.operands[1:]), settings, taken.operands[0].shape)


def _seen_from(used: Used, expression: Expression, steps: Steps, equation: Equation) -> Term:
    """A contribution as a term of the target's own equation."""
    if isinstance(used, Reference) and used.shift is not None:
        at = equation.expression.steps if isinstance(equation.expression, (Sum, Stack)) else steps
        return Term(tuple(t + used.shift for t in at), expression.shifted(-used.shift))
    if steps:
        expression = over_steps(steps, expression)
    return Term((used.at,) if isinstance(used, Reference) and used.at is not None else (), expression)


def over_steps(steps: Steps, expression: Expression) -> Expression:
    """The sum over steps; if each step puts back one row, it is a stack."""
    if applies(expression, indexing.assemble):
        index = expression.settings["indices"][0]
        if isinstance(index, Step) and expression.settings["shape"] == (len(steps), *expression.operands[0].shape):
            ordered = sorted(steps, key=index.at)
            if [index.at(t) for t in ordered] == list(range(len(steps))):
                return Stack(tuple(ordered), expression.operands[0])
    return Sum(steps, expression)


def _equations(target: Target, adjoint: _Adjoint) -> list[Equation]:
    """The equation of an adjoint, which joins its terms; none if no terms are left."""
    terms = list(_rows_joined(adjoint.terms))
    if isinstance(target, str):
        return [Equation((), _together([term.expression for term in terms]))]
    if all(t is None for t in target.values):
        return [Equation((), _together([term.expression for term in terms]))]
    given = _starts(target)
    steps = tuple(sorted({t for term in terms for t in term.steps} - given))
    joined: list[tuple[Expression, set[int]]] = []
    for term in terms:  # an equal term at other steps is joined; at the same steps it counts twice
        alike = (at for e, at in joined if e == term.expression and at.isdisjoint(term.steps))
        found_at = next(alike, None)
        if found_at is None:
            joined.append((term.expression, set(term.steps)))
        else:
            found_at.update(term.steps)
    found = []
    for expression, at in joined:
        held = tuple(t for t in steps if t in at)
        if held:
            found.append(expression if held == steps else During(held, expression))
    return [Equation(steps, _together(found))] if found else []


def _rows_joined(terms: list[Term]) -> Iterator[Term]:
    """The terms, those that take one part of an array each joined into one: ``G[:, t]`` at all its steps."""
    rows: dict[Any, list[Term]] = {}
    for term in terms:
        taken = term.expression
        is_row = applies(taken, indexing.getitem) and len(term.steps) == 1
        key = (taken.operands[0], taken.shape) if is_row and len(taken.operands) == 1 else id(term)
        rows.setdefault(key, []).append(term)
    for alike in rows.values():
        steps = tuple(term.steps[0] for term in alike if term.steps)
        first = alike[0].expression
        if len(alike) > 1 and len(set(steps)) == len(alike) and isinstance(first, Apply):
            settings = common_settings([term.expression.settings for term in alike], list(steps))  # type: ignore[attr-defined]
            if all(setting is settings[0] for setting in settings):
                yield Term(steps, Apply(indexing.getitem, first.operands, settings[0], first.shape))
                continue
        yield from alike


def _together(terms: list[Expression]) -> Expression:
    """The sum of terms; for cotangents of several results, their tuple."""
    inner: list[Any] = [term.inner if isinstance(term, During) else term for term in terms]
    if not all(isinstance(term, Apply) and isinstance(term.operation, Results) for term in inner):
        return total(terms)
    places = tuple(place for term in inner for place in term.operation.places)
    given = [term.operands[0] for term in inner]
    held = [During(term.steps, g) if isinstance(term, During) else g for term, g in zip(terms, given)]
    return Apply(Results(places, inner[0].operation.count), tuple(held), {}, ())


def _starts(target: Quantity) -> set[int]:
    """The steps of given values before all others, or after them; where a state begins anew, its derivative goes on."""
    made = [t for equation in target.equations if not _is_given(equation) for t in equation.steps]
    first, last = min(made, default=0), max(made, default=0)
    given = [equation.steps for equation in target.equations if _is_given(equation)]
    return set(itertools.chain(*(steps for steps in given if not any(first < t < last for t in steps))))


def _is_given(equation: Equation) -> bool:
    """Return True if the equation defines a given value, such as an initial state, whose derivative nobody needs."""
    return not any(parts(equation.expression, Reference, Parameter))
