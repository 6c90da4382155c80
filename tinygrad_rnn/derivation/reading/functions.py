"""Functions, recognised by what they compute.

There are many ways to write a softmax, a tanh or a softplus, and one derivative that a textbook has. So a value that is
computed from one other value alone is computed again, from numbers drawn at random, and called by the name of the
function that gives the same. An ``eps`` that changes the result is found in this way, too: then it is another function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import activations, elementwise, linalg, log_probabilities, reductions, shape
from ...compiler.graph.trace import stop_gradient
from ..equations.arithmetic import scaled
from ..equations.choices import is_condition
from ..equations.expressions import Apply, Expression, Number, Parameter, Reference, Shape, Steps, apply
from ..equations.parts import applies, parts, substituted
from ..equations.quantities import Equation, Quantity
from ..equations.recognising import adds_axes
from ..running.evaluate import Running, compiled
from .draft import Draft

COMMON = {
    reductions.sum, reductions.mean, reductions.max, linalg.matmul,
    shape.reshape, shape.expand_dims, shape.broadcast_to,
    log_probabilities.softmax_of, log_probabilities.log_softmax_of, log_probabilities.log_sum_exp,
}  # fmt: skip
MOST_LINES, MOST_PARTS = 12, 80  # of a function that is written out
SHARES = log_probabilities.softmax_of, log_probabilities.log_softmax_of
Draws = tuple[np.ndarray, ...]


class Written(NamedTuple):
    """A value as a function of one other, written out."""

    of: Reference | Parameter  # the other value, or a parameter
    whole: Expression  # the expression, in which nothing but that value and numbers stands

    def has(self, *operations: Any) -> bool:
        """Return True if one of these operations stands in it."""
        return any(applies(part, *operations) for part in parts(self.whole))

    def at(self, draws: Draws) -> Iterator[np.ndarray]:
        """Its results for each of several arrays."""
        run, function = Running({}, {}), compiled(self.whole)
        with np.errstate(all="ignore"):
            for array in draws:
                if isinstance(self.of, Parameter):
                    run.parameters = {self.of.name: array}
                else:
                    run.values[self.of.quantity] = {self.of.step(0): array}
                yield function(run, 0)


def as_function(draft: Draft, quantity: Quantity, equation: Equation) -> Expression | None:
    """Call a value by the name of the function that it is of another one; a state of a step before has its own."""
    if isinstance(equation.expression, Reference) and equation.expression.shift:
        return None
    known = as_known(draft, equation.steps, equation.expression)
    squares = _as_squares(draft, equation.steps, known or equation.expression) if len(quantity.equations) == 1 else None
    return draft.laid_out(quantity, equation.steps, _times(*squares)) if squares else known


def as_known(draft: Draft, steps: Steps, whole: Expression) -> Expression | None:
    """The function that gives the same, of the first value that all of an expression is computed from."""
    for written in reversed(list(_ways_to_write(draft, steps, whole))):
        found = _known(written)
        if found is not None:
            return None if found == whole else found
    return None


def _ways_to_write(draft: Draft, steps: Steps, whole: Expression) -> Iterator[Written]:
    """The expression as a function of one value, then of that from which this one is computed, and so on."""
    for _ in range(MOST_LINES):
        found = list(dict.fromkeys(part for part in parts(whole) if not isinstance(part, (Apply, Number))))
        reads = [part for part in found if isinstance(part, Reference)]
        if not all(map(_is_common, parts(whole))):
            return
        if len(found) == 1 and isinstance(found[0], (Reference, Parameter)):
            yield Written(found[0], whole)
        if not reads or len(reads) < len(found):
            return
        last = max(reads, key=lambda read: (not read.shift, draft.quantities.index(read.quantity)))
        meaning = definition(last, steps)
        if meaning is None or last.quantity.labels:
            return
        whole = substituted(whole, last, meaning)
        if sum(1 for _ in parts(whole)) > MOST_PARTS:
            return


def _is_common(part: Expression) -> bool:
    """Return True for an operation of which functions are made, whose derivative is that of what it computes."""
    if not isinstance(part, Apply) or part.operation in COMMON or is_condition(part) or adds_axes(part):
        return True
    operation = part.operation
    return getattr(operation, "by_element", False) and operation is not stop_gradient and not operation.is_single


def definition(read: Reference, steps: Steps) -> Expression | None:
    """The right-hand side of what an equation reads at these steps, if it is the same at all of them."""
    for equation in read.quantity.equations:
        if {read.step(t) for t in steps or (None,)}.issubset(equation.steps or (None,)):
            is_relative = read.shift is not None or not equation.steps
            return equation.expression.shifted(read.shift or 0) if is_relative else None
    return None


def _known(written: Written) -> Expression | None:
    """The function that a value is of another, by its name; None if it has none."""
    u, whole = written
    of_elements = whole.shape == u.shape and all(map(_is_of_elements, parts(whole)))
    known = _of_elements() if of_elements else _along_axes(u.shape)
    found: Draws = ()
    for make, expected in known.functions:
        if of_elements or expected[0].shape == whole.shape:
            found = found or tuple(written.at(known.draws))
            if _is_same(found, expected, 1e-15 if of_elements else 1e-13):
                made = make(u)
                # -log(1 - σ(a)) isn't a softplus, but a term of the cross-entropy
                is_term = made.operation is activations.soft_rectifier and written.has(activations.logistic)
                return None if is_term or _is_kinked(made, written) else made
    return None


def _is_of_elements(part: Expression) -> bool:
    return not isinstance(part, Apply) or getattr(part.operation, "by_element", False) or is_condition(part)


def _is_kinked(made: Apply, written: Written) -> bool:
    """Return True if a value is 0 where the derivative there is a matter of choice."""
    is_choice = made.operation is activations.rectifier or written.has(elementwise.where)
    return is_choice and isinstance(written.of, Reference) and any(map(_has_zeros, written.of.quantity.values.values()))


def _has_zeros(value: Any) -> bool:
    return bool(np.any(np.equal(value, 0)))


Make = Callable[[Expression], Apply]


class Functions(NamedTuple):
    """The functions that have a name, with their results: for small numbers, then for as many arrays of large ones."""

    draws: Draws
    functions: list[tuple[Make, Draws]]


@cache
def _of_elements() -> Functions:
    """The functions of each element, for a vector dense enough for a kink or a threshold to show, wherever it is."""
    sizes = np.concatenate([np.linspace(0.01, 6, 600), np.geomspace(1e-9, 0.01, 200)])
    draws = np.concatenate([sizes, -sizes]), np.outer([1, -1], np.geomspace(6, 3000, 200)).ravel()
    operations = elementwise.tanh, activations.logistic, activations.soft_rectifier, activations.rectifier
    return Functions(draws, [(partial(apply, of), tuple(map(of.forward, draws))) for of in operations])


@lru_cache(maxsize=8)
def _along_axes(shape: Shape) -> Functions:
    """The functions along an axis of an array of this shape."""
    rng = np.random.default_rng(0)
    draws = (*rng.uniform(-6, 6, (3, *shape)), *(rng.normal(size=shape) * size for size in (30, 300, 3000)))
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    made = [(of, {"axis": axis}) for of in SHARES for axis in axes]
    if axes and axes[-1] == len(shape) - 1:
        made += [(log_probabilities.log_sum_exp, {"axis": axes[-1], "keepdims": kept}) for kept in (False, True)]
    return Functions(draws, [(partial(apply, of, **s), tuple(of.forward(a, **s) for a in draws)) for of, s in made])


def _is_same(found: Draws, expected: Draws, rounding: float) -> bool:
    """Return True for the same numbers near 0 up to rounding; far away, where a result overflowed, any will do."""
    near = len(found) // 2
    for number, (f, e) in enumerate(zip(found, expected)):
        alike = np.abs(f - e) <= (1e-12 if number < near else 1e-2) * np.abs(e) + rounding
        if not np.all(alike if number < near else alike | ~np.isfinite(f)):
            return False
    return True


# --- squares ---------------------------------------------------------------------------------------------------------


def _as_squares(draft: Draft, steps: Steps, whole: Expression) -> tuple[float, Apply] | None:
    """A number and a sum of squares, if their product is this: ``0.5 * e @ e``, or ``norm(e)**2``."""
    for written in reversed(list(_ways_to_write(draft, steps, whole))):
        u = written.of
        has_root = written.has(elementwise.sqrt)
        if not u.ndim or not (has_root or any(map(_is_product_of_two, parts(written.whole)))):
            continue
        draws = _along_axes(u.shape).draws[:3]
        found = list(written.at(draws))
        for axis in (None, *range(u.ndim)):
            expected = [np.sum(array**2, axis=axis) for array in draws]
            number = np.ravel(found[0])[0] / np.ravel(expected[0])[0]
            alike = (f.shape == e.shape and np.allclose(f, number * e, rtol=1e-12) for f, e in zip(found, expected))
            if np.isfinite(number) and number and all(alike):
                squares = apply(reductions.sum, apply(elementwise.square, u), axis=axis, keepdims=False)
                return number, squares if has_root else apply(linalg.matmul, u, u)
    return None


def _is_product_of_two(part: Expression) -> bool:
    """Return True for the product of two different vectors, one of which is a multiple of the other."""
    return applies(part, linalg.matmul) and part.operands[0] != part.operands[1]


def _times(number: float, value: Expression) -> Expression:
    """A value times a number, which is a fraction of a whole number where it can be."""
    below = round(1 / number)
    is_fraction = abs(number) < 1 and abs(number * below - 1) < 1e-12
    return scaled(value, 1.0, below) if is_fraction else scaled(value, float(f"{number:.15g}"))
