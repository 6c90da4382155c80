"""The available values: those that somebody may have confused with another one of the same shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...autodiff.rules import indexing, joining
from ..equations.arithmetic import factors, is_sum
from ..equations.expressions import (
    Apply,
    Data,
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
)
from ..equations.parts import applies, closure, parts, reads_derivatives, references_of
from ..equations.quantities import Quantity
from .misplaced import FromTheEnd
from .of_uses import definition, pieces

if TYPE_CHECKING:
    from .derived import Derived


class Hand:
    """The quantities, parameters and data of a derivation.

    Attributes:
        forward: the quantities of the forward pass.
        backward: the quantities of the backward pass that have lines of their own.
        parameters: the shapes of the parameters, by name.
        contributions: the term of each step in the gradients of parameters that are sums over steps, by name.
        masks: the largest number of each array of the data that is a mask, by name.
        signs: the names of the arrays of the data that are 1 and -1 alone.
        counts: the names of the arrays of the data that are whole numbers above 0, such as lengths.
        shares: for each array of the data that holds equal shares, m / Σ m of a mask m: the mask, and the axis.
        probabilities: the names of the arrays of the data whose rows are probabilities, and not all 0 or 1.
        stacks: the values of the forward pass at all steps, as lines read them.
        smoothed: the number of the class and that of the others, for each array of smoothed zeros and a one.
        vectors: for each array of the data that is another one's classes as vectors of zeros and a one, the vectors
            of further classes, with their names.
        divisors: the whole numbers by which the lines divide.
        sizes: numbers by which one may divide, with what they count.
        factor: the number that wrong gradients are times the right ones, if it is one number for all.
    """

    def __init__(self, derivation: Derived, factor: float = 1.0) -> None:
        self.factor = factor
        forward = [line.expression for line in derivation.lines if line.kind == "forward"]
        self._numbers = {number.value for whole in forward for number in parts(whole, Number)}
        self.forward = [q for q in derivation.forward if q is not derivation.loss]
        self.backward = [q for q in derivation.backward if isinstance(q.adjoint_of, Quantity)]
        self.parameters = [
            Parameter(derivation.names[name], value.shape) for name, value in derivation.parameters.items()
        ]
        self.contributions = {
            str(line.quantity.adjoint_of): During(line.expression.steps, line.expression.inner)
            for line in derivation.lines
            if line.kind == "gradient" and isinstance(line.expression, Sum)
        }
        self.divisors = {
            int(part.operands[1].value)
            for line in derivation.lines
            for part in parts(line.expression)
            if isinstance(part, Apply) and part.name == "divide" and isinstance(part.operands[1], Number)
            if part.operands[1].value > 1 and float(part.operands[1].value).is_integer()
        }
        self._gradients = {
            line.quantity.adjoint_of: line.expression for line in derivation.lines if line.kind == "gradient"
        }
        read = (part for line in derivation.lines if line.kind != "forward" for part in parts(line.expression))
        self.stacks = [part for part in dict.fromkeys(read) if isinstance(part, Stack) and not reads_derivatives(part)]
        data = {**derivation.given, **derivation.data}
        self.masks = {name: float(array.max()) for name, array in data.items() if _is_mask(array)}
        self.signs = {name for name, array in data.items() if array.size and np.all(np.abs(array) == 1)}
        self.probabilities = {name for name, array in data.items() if _are_probabilities(array)}
        self.smoothed = {name: found for name in self.probabilities if (found := _smoothed(data[name])) is not None}
        self.vectors = {name: others for name, array in data.items() if (others := _vectors_of_others(array, data))}
        self.counts = {name for name, array in data.items() if array.ndim == 1 and _are_counts(array)}
        self.shares = {name: found_shares for name, array in data.items() if (found_shares := _shares(array))}
        self.data = [Data(name, array.shape, array.dtype) for name, array in data.items()]

    @cached_property
    def states(self) -> set[Quantity]:
        """The quantities of the forward pass that the step after reads."""
        read = (p for q in self.forward for e in q.equations for p in parts(e.expression, Reference))
        return {reference.quantity for reference in read if reference.shift}

    @cached_property
    def rates(self) -> list[float]:
        """The numbers in the lines that are no whole ones, nor one divided by such: of a leak, a step, a discount."""
        return sorted(x for x in self._numbers if x and not float(x).is_integer() and not (1 / x).is_integer())

    @cached_property
    def penalties(self) -> set[float]:
        """The numbers with which parameters are terms of their own gradients: of a weight decay."""
        found = set()
        for name, gradient in self._gradients.items():
            for term in gradient.operands if is_sum(gradient) else ():
                numbers = [f.value for f in factors(term) if isinstance(f, Number)]
                others = [f for f in factors(term) if not isinstance(f, Number)]
                if len(others) == 1 and isinstance(others[0], Parameter) and others[0].name == name:
                    found.add(float(np.prod(numbers)))
        return found

    @cached_property
    def before_states(self) -> set[Quantity]:
        """The states, and the quantities of the forward pass from which they are computed."""
        return closure(self.states, lambda quantity: (read.quantity for read, _ in references_of(quantity)))

    def made_of(self, quantity: Quantity) -> set[Quantity]:
        """A quantity of the forward pass, and those that are computed from it in the same step."""
        return closure([quantity], lambda other: self._readers.get(other, ()))

    @cached_property
    def _readers(self) -> dict[Quantity, set[Quantity]]:
        """The quantities that read each quantity of their own step, but for states."""
        found: dict[Quantity, set[Quantity]] = {}
        for reader in self.forward:
            meaning = definition(reader) if reader not in self.states else None
            for read in parts(meaning, Reference) if meaning is not None else ():
                if not read.shift:
                    found.setdefault(read.quantity, set()).add(reader)
        return found

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """The steps that the network takes."""
        return tuple(sorted({t for q in self.forward for t in q.steps}))

    @cached_property
    def first(self) -> int:
        """The step with which loops begin; an initial state is there one step before."""
        return min((steps[0] for steps in self._loops), default=0)

    @cached_property
    def ends_of_pieces(self) -> list[int]:
        """The last steps of pieces of the sequence that hand nothing back to these; none if it is whole."""
        return next(filter(None, (pieces(definition(q), q.steps)[1] for q in self.backward)), [])

    @cached_property
    def begins(self) -> tuple[int, ...]:
        """The steps that read no state of the step before: with which the later ones of several sequences begin."""
        lines = [(e, p) for q in self.forward for e in q.equations for p in parts(e.expression, Reference)]
        read = {t for equation, reference in lines if reference.shift == -1 for t in equation.steps}
        return tuple(t for t in range(self.first, self.last + 1) if t not in read) if read else ()

    @cached_property
    def last(self) -> int:
        """The step with which loops end."""
        return max((steps[-1] for steps in self._loops), default=0)

    @cached_property
    def _loops(self) -> list[Steps]:
        """The steps of each quantity's loop, without those of an initial value."""
        lines = (max(q.equations, key=lambda e: len(e.steps)) for q in self.forward if q.equations)
        return [line.steps for line in lines if line.steps]

    @cached_property
    def T(self) -> int:
        """The number of steps."""
        return len({t for q in self.backward for t in q.steps} or self.steps)

    @cached_property
    def sizes(self) -> list[int]:
        """Lengths of axes, the number of steps, products of two of them, divisors, and how much data there are."""
        single = {self.T, *(n for q in self.forward for n in q.shape), *(n for p in self.parameters for n in p.shape)}
        single -= {0, 1}
        of_data = {n for array in self.data for n in (*array.shape[:1], int(np.prod(array.shape)))} - {0, 1}
        return sorted(single | of_data | self.divisors | {a * b for a in single for b in single})

    def like(self, reference: Reference) -> Iterator[Expression]:
        """Other quantities of the same kind and shape, at the same step and the ones beside it."""
        among = self.backward if reference.quantity.adjoint_of is not None else self.forward
        for quantity in among:
            is_alike = quantity.shape == reference.shape and bool(quantity.steps) == bool(reference.quantity.steps)
            if is_alike and quantity is not reference.quantity:
                yield Reference(quantity, reference.shift, reference.at)
                meaning = definition(quantity) if quantity.adjoint_of is None and reference.shift is not None else None
                is_rare = len(quantity.steps) < len(reference.quantity.steps) - 1  # users may have it at all steps
                if meaning is not None and is_rare:
                    yield meaning.shifted(reference.shift or 0)
        if reference.shift is reference.at is None and reference.quantity.adjoint_of is None:
            yield from (stack for stack in self.stacks if stack.shape == reference.shape)
        if reference.shift is not None:
            yield from self._of_other_directions(reference, among)
            yield from self._of_other_gates(reference)
            for piece, read_at in self._pieces.items() if reference.quantity.adjoint_of is None else ():
                if piece.shape == reference.shape and read_at is not None:
                    yield from (piece.shifted(shift - read_at) for shift in dict.fromkeys((reference.shift, 0)))
        if reference.shift is not None and reference.quantity.adjoint_of is None:
            for quantity in among:
                if quantity.shape == reference.shape and quantity.steps and quantity is not reference.quantity:
                    for by in (-1, 1):
                        if abs(reference.shift + by) < 2:
                            yield Reference(quantity, reference.shift + by)

    def beside(self, reference: Reference) -> Iterator[Expression]:
        """The same quantity a step before and after, and other quantities."""
        if reference.shift is not None:
            yield from (Reference(reference.quantity, reference.shift + by) for by in (-1, 1))
        yield from self.like(reference)

    def _of_other_directions(self, reference: Reference, among: Sequence[Quantity]) -> Iterator[Reference]:
        """Quantities of other loops at the steps counted from the end: the same time, in the other direction."""
        own = reference.quantity
        for quantity in among:
            if quantity.shape == own.shape and quantity.steps and quantity.loop != own.loop:
                yield FromTheEnd(quantity, reference.shift or 0, self.first, self.last)

    def _of_other_gates(self, reference: Reference) -> Iterator[Expression]:
        """Derivatives of the same shape that stand side by side in another one, without lines of their own."""
        for quantity in self.backward if reference.quantity.adjoint_of is not None else ():
            whole = definition(quantity)
            for gate in whole.operands if applies(whole, joining.joined, joining.stacked) and whole is not None else ():
                if gate.shape == reference.shape and not isinstance(gate, Reference):
                    yield gate.shifted(reference.shift or 0)

    def values(self, shape: Shape, shift: int | None) -> Iterator[Expression]:
        """The values of the forward pass with a shape, at a step; also parameters with the shape of the last axis."""
        for quantity in self.forward:
            whole = shape[len(shape) - len(quantity.shape) :]
            is_there = bool(quantity.steps) == (shift is not None)
            if is_there and (quantity.shape or not shape) and _fits(quantity.shape, whole):
                yield Reference(quantity, shift)
        for piece, read_at in self._pieces.items():
            if piece.shape == shape and (shift is None) == (read_at is None):
                yield piece.shifted((shift or 0) - (read_at or 0))
        for parameter in self.parameters:
            if parameter.shape and parameter.shape == shape[-len(parameter.shape) :]:
                yield parameter
        for array in self.data:
            if array.shape and array.dtype.kind == "f" and array.shape in (shape, shape[-1:]):
                yield array

    def scalars(self, shift: int | None) -> Iterator[Expression]:
        """The single numbers of the forward pass that can be a factor of anything: at a step, or the same at all."""
        for quantity in self.forward:
            if not quantity.shape and (shift is not None or not quantity.steps):
                yield Reference(quantity, shift if quantity.steps else None)
                if shift is not None and quantity in self.of_the_past:  # what was known before the step after, too
                    yield Reference(quantity, shift + 1)
        yield from (parameter for parameter in self.parameters if not parameter.shape)

    @cached_property
    def of_the_past(self) -> set[Quantity]:
        """The quantities of a step that are computed from values of the step before alone."""
        meanings = {q: meaning for q in self.forward if q.steps and (meaning := definition(q)) is not None}
        read = {q: list(parts(meaning, Reference)) for q, meaning in meanings.items()}
        return {q for q, references in read.items() if references and all((p.shift or 0) < 0 for p in references)}

    @cached_property
    def _pieces(self) -> dict[Expression, int | None]:
        """The parts of quantities that the forward pass reads (gates side by side), with how far away they are."""
        read = (p for q in self.forward for e in q.equations for p in parts(e.expression, Apply))
        pieces = (p for p in read if p.operation is indexing.getitem and type(p.operands[0]) is Reference)
        return {p: of.shift for p in pieces if isinstance(of := p.operands[0], Reference) and of.at is None and p.shape}

    def rows(self, shape: Shape, shift: int) -> Iterator[Expression]:
        """The rows of the data at a step that can be factors of a value of this shape: weights, masks."""
        for array in self.data:
            row = array.shape[1:]
            if array.shape[:1] == (self.T,) and array.dtype.kind == "f" and row in ((), shape, shape[-1:]):
                yield Apply(indexing.getitem, (array,), {"index": Step(shift - 1)}, row)

    def functions_of(self, reference: Reference) -> Iterator[Expression]:
        """The functions of a value that the forward pass computes, at its step: also those of an initial state."""
        for quantity in self.forward if reference.shift else ():
            for equation in quantity.equations[-1:] if quantity.shape == reference.shape else ():
                read = {part for part in parts(equation.expression) if not isinstance(part, (Apply, Number))}
                if read == {Reference(reference.quantity, 0)}:
                    yield equation.expression.shifted(reference.shift or 0)

    def left_over(self, reference: Reference) -> Iterator[Reference]:
        """The values that are there when the loop of the forward pass is over, in place of one of a step."""
        is_of_a_step = reference.shift is not None and reference.quantity.adjoint_of is None
        for quantity in self.forward if is_of_a_step else ():
            if quantity.shape == reference.shape and quantity is not reference.quantity:
                yield Reference(quantity, None, quantity.steps[-1] if quantity.steps else None)

    def masks_of(self, reference: Reference) -> Iterator[Expression]:
        """The masks that can be a factor of a quantity at its step."""
        masks = [array for array in self.data if array.name in self.masks]
        yield from (array for array in masks if array.shape in (reference.shape, reference.shape[-1:]))
        if reference.shift is not None:
            yield from (row for row in self.rows(reference.shape, reference.shift) if row.operands[0] in masks)

    def argument_of(self, reference: Reference) -> Expression | None:
        """The argument of the function that computes a quantity: its pre-activation."""
        function = self.function_of(reference)
        return None if function is None else function.operands[0].shifted(reference.shift or 0)

    def function_of(self, reference: Reference) -> Apply | None:
        """The function that computes a quantity, with its argument."""
        for equation in reference.quantity.equations[::-1]:
            inner = equation.expression
            if isinstance(inner, Apply) and len(inner.operands) == 1 and inner.operands[0].shape == inner.shape:
                return inner
        return None


def _fits(shape: Shape, whole: Shape) -> bool:
    """Return True if a value of one shape can be a factor of another: its axes are equal, or have length 1."""
    return len(shape) == len(whole) and all(a in (1, b) for a, b in zip(shape, whole))


def _is_mask(array: np.ndarray) -> bool:
    """Return True for an array of zeros and one other number."""
    found = np.unique(array) if array.dtype.kind in "fb" and array.size > 1 else np.zeros(0)
    return len(found) == 2 and not found[0] and bool(found[1] > 0)


def _are_counts(array: np.ndarray) -> bool:
    """Return True for whole numbers above 0 that differ."""
    return array.dtype.kind in "iuf" and len(np.unique(array)) > 1 and bool(np.all((array > 0) & (array == array // 1)))


def _shares(array: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """The masks of which an array holds equal shares, each with the axis along which these add up to 1."""
    kept = np.asarray(array > 0, float) if array.dtype.kind == "f" and array.ndim > 1 else np.zeros(0)
    if not kept.size or kept.all() or len(np.unique(array)) < 3:
        return []
    counts = [(axis, kept.sum(axis=axis, keepdims=True)) for axis in range(array.ndim)]
    return [(kept, axis) for axis, n in counts if n.all() and np.allclose(array, kept / n)]


def _vectors_of_others(array: np.ndarray, data: Mapping[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """The classes of the data as vectors like those of an array, if it has the vectors of some."""
    if array.dtype.kind != "f" or array.ndim < 2 or not np.all((array == 0) | (array == 1)):
        return []
    found = []
    for name, classes in data.items():
        places = np.asarray(classes)
        n = array.size // max(places.size, 1)
        if places.dtype.kind in "iu" and n in array.shape[1:] and np.all((places >= 0) & (places < n)):
            found.append((name, np.eye(n)[places].reshape(array.shape)))
    others = [(name, vectors) for name, vectors in found if not np.array_equal(vectors, array)]
    return others if len(others) < len(found) else []


def _are_probabilities(array: np.ndarray) -> bool:
    """Return True for an array of positive numbers, of which each row adds up to 1."""
    several = array.dtype.kind == "f" and array.ndim and array.shape[-1] > 1
    return bool(several and np.all((array >= 0) & (array < 1)) and np.allclose(array.sum(axis=-1), 1))


def _smoothed(array: np.ndarray) -> tuple[float, float] | None:
    """The number of the class and the number of all others; None for an array that has other numbers in its rows."""
    ordered = np.sort(array, axis=-1).reshape(-1, array.shape[-1])
    is_one = np.allclose(ordered, ordered[0]) and np.allclose(ordered[0, :-1], ordered[0, 0])
    return (float(ordered[0, -1]), float(ordered[0, 0])) if is_one and ordered[0, 0] < ordered[0, -1] else None
