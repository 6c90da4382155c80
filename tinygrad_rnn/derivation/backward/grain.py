"""The grain of a derivation: which quantities get lines of their own, and which are written into others.

A person gives a line to a value with a name, to the argument of a nonlinearity, to a value that is used twice, and to
one whose derivative has a line: who reads dL/du has to know what u is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from ...autodiff.rules import activations, elementwise, indexing, log_probabilities, shape
from ...autodiff.rules.special import erf
from ..equations.arithmetic import is_sum, terms_of
from ..equations.choices import is_condition, is_masked
from ..equations.expressions import (
    Apply,
    Constant,
    Data,
    During,
    Expression,
    Number,
    Parameter,
    Reference,
    Stack,
    Steps,
)
from ..equations.making import unwrapped
from ..equations.norms import through_a_mean
from ..equations.parts import applies, as_read, parts, references, replaced, substituted
from ..equations.quantities import Equation, Quantity
from ..equations.simplifying import simplified

ACTIVATIONS = {
    elementwise.tanh, elementwise.sin, elementwise.cos, elementwise.arctan, activations.logistic,
    activations.rectifier, activations.soft_rectifier, activations.log_logistic, erf, elementwise.clipped,
}  # fmt: skip
NONLINEAR = ACTIVATIONS | {
    elementwise.exp, log_probabilities.softmax_of, log_probabilities.log_softmax_of, log_probabilities.log_sum_exp,
}  # fmt: skip
ARRANGES = {
    shape.transpose, shape.swapaxes, shape.moveaxis, shape.reshape, shape.expand_dims, shape.squeeze,
    shape.broadcast_to, shape.cast,
}  # fmt: skip
SCALES = {elementwise.multiply, elementwise.divide, elementwise.negative}


Use = tuple[Equation, Reference, Steps]


class Grain:
    """A simplifier that writes quantities into each other until only those are left that deserve a line."""

    def __init__(self, forward: list[Quantity], backward: list[Quantity]) -> None:
        self.quantities = [*forward, *backward]
        for quantity in self.quantities:
            for equation in quantity.equations:
                equation.expression = simplified(equation.expression)
        self._read_data_itself()
        self.arguments = set(_arguments_of_nonlinearities(forward))
        self.shown: set[Quantity] = set()

    def settle(self, root: Quantity) -> list[Quantity]:
        """The quantities that keep a line, in their order.

        Which derivatives have one is known in the end alone; the values that they are by then keep theirs, too.
        """
        everything = self.quantities
        before = [(equation, equation.expression) for q in everything for equation in q.equations]
        while True:
            self.quantities = list(everything)
            self._write_into_each_other(root)
            sources = {q.adjoint_of for q in self.quantities if isinstance(q.adjoint_of, Quantity)}
            unknown = {q for q in sources - set(self.quantities) if not self._is_view(q)}
            if not unknown:
                return self.quantities
            self.shown |= unknown
            for equation, expression in before:
                equation.expression = expression

    def _is_view(self, quantity: Quantity) -> bool:
        """Return True for another view of values that have lines, such as all of them: that takes a few words."""
        definitions = [equation.expression for equation in quantity.equations]
        read = (part.quantity for e in definitions for part in parts(e, Reference))
        return len(definitions) == 1 and all(map(is_slight, definitions)) and all(q in self.quantities for q in read)

    def _write_into_each_other(self, root: Quantity) -> None:
        changed = True
        while changed or self._joins_norms():
            changed = False
            uses = self._uses()
            for quantity in list(self.quantities):
                if quantity is root or isinstance(quantity.adjoint_of, str):
                    continue
                count = len(uses.get(quantity, ()))
                if not count:
                    self.quantities.remove(quantity)
                    changed = True
                elif self._is_written_in(quantity, uses[quantity]) and self._write_in(quantity, uses[quantity]):
                    self.quantities.remove(quantity)
                    changed = True
                    uses = self._uses()

    def _joins_norms(self) -> bool:
        """Write the derivative of each normalised value as one line, the path through the mean beside the others."""
        changed = False
        for equation in (e for q in self.quantities if q.adjoint_of is not None for e in q.equations):
            new = through_a_mean(equation.expression)
            if new is not equation.expression:
                equation.expression, changed = simplified(new), True
        return changed

    def _read_data_itself(self) -> None:
        """Write data in the place of a state that is nothing else at the steps at which it is read."""
        for quantity, uses in self._uses().items():
            if all(e.steps and is_slight(e.expression) and any(parts(e.expression, Data)) for e in quantity.equations):
                for equation, reference, steps in uses:
                    read = set(_read(reference, steps))
                    own = next((e.expression for e in quantity.equations if read.issubset(e.steps)), None)
                    if own is not None and reference.shift is not None:
                        new = own.shifted(reference.shift)
                        equation.expression = substituted(equation.expression, reference, new)

    def _uses(self) -> dict[Quantity, list[Use]]:
        """The uses of each quantity: the equations that read it, the references, and the steps from which they read."""
        found: dict[Quantity, list[Use]] = {}
        for quantity in self.quantities:
            for equation in quantity.equations:
                for reference, steps in references(equation.expression, equation.steps):
                    found.setdefault(reference.quantity, []).append((equation, reference, steps))
        return found

    # --- what is written into others -----------------------------------------------------------------------------

    def _is_written_in(self, quantity: Quantity, uses: list[Use]) -> bool:
        count = len(uses)
        expressions = [equation.expression for equation in quantity.equations]
        takes_no_time = all(map(is_free, expressions)) or (count == 1 and all(map(_has_rows, expressions)))
        if not quantity.steps and any(steps for _, _, steps in uses) and not takes_no_time:
            return False  # computed once, it is not to be computed at each step
        if quantity in self.shown or self._has_name(quantity):
            return False
        if count == 1 and self._is_passed_on(quantity, *uses):
            return False
        if all(map(is_slight, expressions)):
            return True
        _, reference, steps = uses[0]
        if reference.shift and steps and len(steps) <= max(steps) - min(steps) and any(map(_has_terms, expressions)):
            return False  # a derivative that steps carry on, but for some in between: said once for its terms
        source = quantity.adjoint_of
        if isinstance(source, Quantity) and _is_log_softmax(source) and not any(map(_has_terms, expressions)):
            return True  # a target times a number: once unchanged, and once summed to that number
        return count == 1 and (source if isinstance(source, Quantity) else quantity) not in self.arguments

    def _is_passed_on(self, quantity: Quantity, use: Use) -> bool:
        """Return True for a derivative that is the same as the only one that reads it, by a value without a line.

        Of those by ``u`` and by ``e = u - y``, the one by ``e`` stays.
        """
        equation, reference, steps = use
        reader = next(q for q in self.quantities if equation in q.equations)
        return (
            equation.expression is reference
            and reference.shift in (0, None)
            and [steps] == [e.steps for e in quantity.equations] == [e.steps for e in reader.equations]
            and quantity.adjoint_of in self.quantities
            and isinstance(reader.adjoint_of, Quantity)
            and reader.adjoint_of not in self.quantities
        )

    def _has_name(self, quantity: Quantity) -> bool:
        """Return True if the model, or a reader, has a name for the quantity."""
        source = quantity.adjoint_of
        if quantity.letter.base or (quantity.derivative is not None and quantity.derivative.is_kept):
            return True
        if isinstance(source, Quantity):
            if source not in self.quantities:
                return False
            return source.label("state", "value", "output") is not None and any(
                not isinstance(e.expression, (Reference, Number)) for e in quantity.equations
            )
        return quantity.label("state", "value", "output") is not None

    def _write_in(self, quantity: Quantity, uses: list[Use]) -> bool:
        """Write a quantity into all equations that read it; return False if that can't be done everywhere."""
        if len(quantity.equations) != 1:
            return False
        (own,) = quantity.equations

        def reads(part: Expression) -> TypeGuard[Reference]:
            return isinstance(part, Reference) and part.quantity is quantity

        if any(map(reads, parts(own.expression))):
            return False
        if own.steps and not all(set(own.steps).issuperset(_read(reference, steps)) for _, reference, steps in uses):
            return False
        written: list[tuple[Equation, Expression]] = []
        for equation in {id(e): e for e, _, _ in uses}.values():
            new = replaced(equation.expression, lambda part: as_read(own.expression, part) if reads(part) else None)
            new = _at_all_steps(simplified(_flat(new)), equation.steps)
            if not _is_well_formed(new):
                return False
            written.append((equation, new))
        for equation, new in written:
            equation.expression = new
        return True


def _read(reference: Reference, steps: Steps) -> Steps:
    """The steps of a quantity that a reference reads."""
    if reference.shift is not None:
        return tuple(t + reference.shift for t in steps)
    return (reference.at,) if reference.at is not None else ()


def _flat(expression: Expression) -> Expression:
    """The expression with sums in sums joined into one, and the steps of each term beside it."""
    if isinstance(expression, During):
        inner = _flat(expression.inner)
        if is_sum(inner):
            terms = tuple(_at_steps(term, expression.steps) for term in inner.operands)
            return inner.with_operands(terms)
        return _at_steps(inner, expression.steps)
    if is_sum(expression):
        found: list[Expression] = []
        for operand in map(_flat, expression.operands):
            same = operand.shape == expression.shape
            found.extend(operand.operands if is_sum(operand) and same else [operand])
        return expression.with_operands(tuple(found))
    return expression


def _has_terms(expression: Expression) -> bool:
    return applies(expression, elementwise.add, elementwise.subtract)


def _is_log_softmax(quantity: Quantity) -> bool:
    expressions = [equation.expression for equation in quantity.equations]
    return any(applies(e, log_probabilities.log_softmax_of) for e in expressions)


def _at_steps(term: Expression, steps: Steps) -> Expression:
    if isinstance(term, During):
        return During(tuple(t for t in term.steps if t in steps), term.inner)
    return During(steps, term)


def _at_all_steps(expression: Expression, steps: Steps) -> Expression:
    """The expression without steps beside terms that are there at all steps of its line."""
    terms = [t.inner if isinstance(t, During) and set(t.steps) >= set(steps) else t for t in terms_of(expression)]
    return expression.with_operands(tuple(terms)) if is_sum(expression) else terms[0]


def _is_well_formed(expression: Expression) -> bool:
    """Return True if terms that hold only at some steps are terms of the line, not hidden in a product."""
    terms = (unwrapped(term)[0] for term in terms_of(expression))
    return not any(any(parts(term, During)) for term in terms)


def is_free(expression: Expression) -> bool:
    """Return True for an expression that takes no time to read: another view, or a few operations on single numbers."""
    if isinstance(expression, Apply):
        is_scale = expression.shape == () and expression.operation in SCALES
        if is_scale or expression.operation in ARRANGES or not expression.operands:
            return all(map(is_free, expression.operands))
    return isinstance(expression, (Reference, Number, Parameter, Data)) or _is_number(expression)


def _is_number(expression: Expression) -> bool:
    """Return True for a number, however it is repeated or divided."""
    return isinstance(expression, Apply) and not any(parts(expression, Reference, Parameter, Data, Constant))


def _has_rows(expression: Expression) -> bool:
    """Return True for a stack of values times a number: each step can take its row."""
    if isinstance(expression, Stack):
        return isinstance(expression.inner, Reference)
    others = [operand for operand in expression.operands if not isinstance(operand, Number)]
    is_scaled = applies(expression, *SCALES) and len(others) == 1
    return is_scaled and _has_rows(others[0])


def is_slight(expression: Expression) -> bool:
    """Return True for an expression that is only another view of something: its row, its transpose."""
    if isinstance(expression, (Reference, Number, Parameter, Data)):
        return True
    if isinstance(expression, Stack):
        return isinstance(expression.inner, Reference)
    if not isinstance(expression, Apply):
        return False
    if _is_number(expression):
        return True
    if is_condition(expression):
        return all(map(is_slight, expression.operands))
    if is_masked(expression):
        return _is_number(expression.operands[1])  # [u > 0]
    if expression.operation is elementwise.subtract and isinstance(expression.operands[0], Number):
        return is_slight(expression.operands[1])  # 1 - z
    if expression.operation in (indexing.getitem, elementwise.negative) or expression.operation in ARRANGES:
        return is_slight(expression.operands[0])
    return False


def _arguments_of_nonlinearities(forward: list[Quantity]) -> Iterator[Quantity]:
    """Pre-activations: the arguments of nonlinear functions, and the values of which these are slices."""
    definition = {q: q.equations[-1].expression for q in forward if q.equations}
    for expression in definition.values():
        if applies(expression, *NONLINEAR):
            source = expression.operands[0]
            while isinstance(source, Reference):
                inner = definition.get(source.quantity)
                if applies(inner, indexing.getitem):
                    source = inner.operands[0]
                    continue
                if not (inner is None or is_slight(inner) or source.quantity.label("state", "value")):
                    yield source.quantity
                break
