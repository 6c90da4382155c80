"""Reading and altering expressions: their parts, references that move with the step, sums of terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeGuard, TypeVar, overload

import numpy as np

from ...autodiff.rules import elementwise, indexing
from .expressions import Apply, During, Expression, OverSteps, Reference, Stack, Step, Steps, innermost, settled
from .quantities import Place, Quantity

T = TypeVar("T")
E = TypeVar("E", bound=Expression)


def row(of: Expression, place: Step) -> Apply:
    """The row of an array that belongs to the step."""
    return Apply(indexing.getitem, (of,), {"index": place}, of.shape[1:])


def applies(expression: object, *operations: Any) -> TypeGuard[Apply]:
    """Return True for one of these operations, applied to something."""
    return isinstance(expression, Apply) and expression.operation in operations


@overload
def parts(expression: Expression) -> Iterator[Expression]: ...
@overload
def parts(expression: Expression, *kinds: type[E]) -> Iterator[E]: ...
def parts(expression: Expression, *kinds: type) -> Iterator[Any]:
    """An expression and all its parts, outermost first; or those of some kinds: ``parts(e, Parameter, Data)``."""
    waiting = [expression]  # not recursive: generators in generators hand on each part once a level
    while waiting:
        part = waiting.pop()
        if not kinds or isinstance(part, kinds):
            yield part
        waiting += part.operands[::-1]


def references(expression: Expression, steps: Steps) -> Iterator[tuple[Reference, Steps]]:
    """The references in an expression that is read at some steps, or once; each with the steps that read it."""
    if isinstance(expression, Reference):
        yield expression, steps
    elif isinstance(expression, During):
        steps = tuple(t for t in steps if t in expression.steps)
        yield from references(expression.inner, steps) if steps else ()
    else:
        for operand in expression.operands:
            yield from references(operand, expression.steps if isinstance(expression, OverSteps) else steps)


def places_read(expression: Expression, steps: Steps) -> Iterator[Place]:
    """The values that an expression reads, at some steps or once."""
    for reference, at in references(expression, steps):
        for t in at or (None,):
            yield reference.quantity, reference.step(t)


def references_of(quantity: Quantity) -> Iterator[tuple[Reference, Steps]]:
    """The references in the equations of a quantity, each with the steps that read it."""
    for equation in quantity.equations:
        yield from references(equation.expression, equation.steps)


def closure(starts: Iterable[T], onward: Callable[[T], Iterable[T]]) -> set[T]:
    """These things, and all that can be reached from them."""
    found = set(starts)
    waiting = list(found)
    while waiting:
        new = set(onward(waiting.pop())) - found
        found |= new
        waiting += new
    return found


def is_here(part: object) -> TypeGuard[Reference]:
    """Return True for a reference to a value of the same step, or without steps."""
    return isinstance(part, Reference) and part.at is None and not part.shift


def is_derivative(part: object) -> TypeGuard[Reference]:
    """Return True for a reference to a derivative of the loss."""
    return isinstance(part, Reference) and part.quantity.adjoint_of is not None


def reads_derivatives(expression: Expression) -> bool:
    """Return True for an expression in which a derivative stands."""
    return any(map(is_derivative, parts(expression)))


def replaced(expression: Expression, change: Callable[[Expression], Expression | None]) -> Expression:
    """The expression with every part replaced for which ``change`` returns another one, outermost first."""
    new = change(expression)
    if new is not None:
        return new
    if not expression.operands:
        return expression
    operands = tuple(replaced(operand, change) for operand in expression.operands)
    if all(a is b for a, b in zip(operands, expression.operands)):
        return expression
    return expression.with_operands(operands)


def substituted(expression: Expression, before: Expression, after: Expression) -> Expression:
    """The expression with another part in the place of one, wherever that is."""
    return replaced(expression, lambda part: after if part == before else None)


def as_read(meaning: Expression, reference: Reference) -> Expression:
    """The right-hand side of a quantity, as it reads from where a reference to the quantity stands."""
    if reference.shift is not None:
        return meaning.shifted(reference.shift)
    return meaning if reference.at is None else fixed(meaning, reference.at)


def moves(expression: Expression) -> bool:
    """Return True for an expression that depends on the step at which it is read."""
    if isinstance(expression, OverSteps):
        return False
    if isinstance(expression, Reference):
        return expression.shift is not None
    settings = expression.settings.values() if isinstance(expression, Apply) else ()
    if any(isinstance(part, Step) for setting in settings for part in innermost(setting)):
        return True
    return any(map(moves, expression.operands))


def fixed(expression: Expression, t: int) -> Expression:
    """The expression as it reads at step t, for use where there are no steps."""
    if isinstance(expression, OverSteps):
        return expression
    if isinstance(expression, Reference):
        return expression if expression.shift is None else Reference(expression.quantity, None, t + expression.shift)
    held = [o for o in expression.operands if not (isinstance(o, During) and t not in o.steps)]
    operands = tuple(fixed(operand, t) for operand in held)
    if isinstance(expression, During):
        return operands[0]
    if len(held) < len(expression.operands):
        return total(list(operands))
    if isinstance(expression, Apply):
        settings = {name: settled(part, t) for name, part in expression.settings.items()}
        return Apply(expression.operation, operands, settings, expression.shape)
    return expression


def total(terms: list[Expression]) -> Expression:
    """The sum of terms."""
    if len(terms) == 1:
        return terms[0]
    return Apply(elementwise.add, tuple(terms), {}, np.broadcast_shapes(*(term.shape for term in terms)))


# --- places ----------------------------------------------------------------------------------------------------------


def places(expression: Expression, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Expression]]:
    """Every part of an expression with the way to it, outermost first."""
    waiting = [(path, expression)]
    while waiting:
        place, part = waiting.pop()
        yield place, part
        waiting += [((*place, i), part.operands[i]) for i in range(len(part.operands) - 1, -1, -1)]


def at(expression: Expression, path: tuple[int, ...]) -> Expression:
    """The part in a place."""
    for i in path:
        expression = expression.operands[i]
    return expression


def put(expression: Expression, path: tuple[int, ...], new: Expression) -> Expression:
    """The expression with another part in one place."""
    if not path:
        return new
    operands = list(expression.operands)
    operands[path[0]] = put(operands[path[0]], path[1:], new)
    return expression.with_operands(tuple(operands))


def values_of_steps(operands: Sequence[Expression]) -> Stack | None:
    """The stack of one quantity at several steps, if the operands are that."""
    read = [operand for operand in operands if isinstance(operand, Reference) and operand.at is not None]
    if not 1 < len(read) == len(operands) or len({operand.quantity for operand in read}) > 1:
        return None
    return Stack(tuple(operand.at or 0 for operand in read), Reference(read[0].quantity, 0))
