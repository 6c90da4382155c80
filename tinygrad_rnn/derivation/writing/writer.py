"""The writing of equations: row vectors, brackets where they are needed, terms with their steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from ...autodiff.rules import activations, elementwise, indexing, linalg, log_probabilities, reductions, shape
from ...autodiff.texts import printable
from ..backward.absence import follows_from_absence
from ..backward.names import row_name
from ..equations.arithmetic import is_product, number_of
from ..equations.choices import is_masked, step_number
from ..equations.entries import Entry, Unit
from ..equations.expressions import (
    ARRIVING,
    Apply,
    Constant,
    Data,
    During,
    Expression,
    Number,
    Operand,
    Parameter,
    Reference,
    Rows,
    Stack,
    Step,
    Steps,
    Sum,
    are_consecutive,
)
from ..equations.lines import Line
from ..equations.parts import applies, fixed, moves, values_of_steps
from ..equations.quantities import Quantity
from ..equations.recognising import one_hot
from .indices import slice_text
from .notation import ATOM, BY_ELEMENT, COMPARISON, MATRIX, POWER, SUM, TEXT, Piece

FUNCTIONS: dict[Any, str] = {
    activations.logistic: "σ",
    activations.rectifier: "relu",
    elementwise.absolute: "abs",
    one_hot: "onehot",
}
COMPARISONS = {"greater": ">", "less": "<", "greater_equal": "≥", "less_equal": "≤", "equal": "=", "not_equal": "≠",
               "logical_and": "and", "logical_or": "or", "bitwise_or": "or", "bitwise_and": "and"}  # fmt: skip
LONGEST_LIST = 3  # of the values of several steps
LOOKS = {shape.expand_dims, shape.squeeze, shape.broadcast_to, shape.cast}


class TextWriter:
    """A writer of expressions as text; its subclasses write other notations.

    Args:
        last: the last step, which is written T; None if there are no steps.
        columns: whether vectors are written as columns, as in most articles. Everything is then transposed: ``U x``
            stands for ``x U``, and matrices are the transposes of those in the code.
    """

    notation = TEXT

    def __init__(self, last: int | None = None, columns: bool = False) -> None:
        self.last = last
        self.columns = columns
        self.of_gradient = False
        self.moving = "t"  # what the step is called: s in a sum over other steps
        self.line_steps: Steps | None = None

    @classmethod
    def of(cls, lines: Iterable[Line], columns: bool = False) -> TextWriter:
        """A writer of the lines of a derivation, which knows their last step."""
        return cls(last_step(lines), columns)

    # --- names -------------------------------------------------------------------------------------------------------

    def symbol(self, quantity: Quantity, step: str = "") -> str:
        """The symbol of a quantity, at a step."""
        name, place, (base, mark) = self.notation.name, entry(quantity.entries), quantity.letter.printed
        if quantity.derivative is None or base == "delta":
            return name("Δ" if base == "delta" else base, mark, step)
        by, of, direct, _ = quantity.derivative
        if isinstance(by, str):
            below = name(by, "", place)
        elif of is None:
            below = name(*by.letter.printed, step)
        else:
            below = name(*by.letter.printed, f"{before(step)},{place}" if place else before(step))
        above = name("L") if of is None else name(*of.letter.printed, step)
        return self.notation.derivative(above, below, direct)

    def paths(self, e: Any) -> Piece:
        """A sum over paths, with the products of Jacobians written as such."""
        single = len(e.steps) == 1
        end = self.step_name(e.steps[0]) if single else "t"
        at = partial(self._vector, e.states)
        derivative, times = self.notation.derivative, partial(self.notation.infix, "·")
        first, last = derivative(at(end), at(before(end))), derivative(at("k+1"), at("k"))
        jacobians = self.notation.infix("⋯", [first, last])
        begun = derivative(at("k"), self.notation.name(e.parameter), True)
        chain = times([derivative(self.notation.name("L"), at(end), True), jacobians, begun])
        inner = self.notation.sum_over(f"k = {e.first}..{end}", chain)
        return (inner if single else self._sum(e.steps, inner)), BY_ELEMENT

    def _vector(self, quantities: Sequence[Quantity], step: str) -> str:
        """The text of several quantities of one step as one vector."""
        if len(quantities) == 1:
            return self.notation.name(*quantities[0].letter.printed, step)
        return self.notation.vector([self.notation.name(*q.letter.printed) for q in quantities], step)

    def step_name(self, step: int) -> str:
        """A certain step: T if it is the last, T+1 after it."""
        return {self.last: "T", (self.last or 0) + 1: "T+1"}.get(step, str(step))

    def moving_step(self, shift: int) -> str:
        """A step that moves along: t - 1."""
        return f"{self.moving}{shift:+d}" if shift else self.moving

    def step_of(self, reference: Reference) -> str:
        """The step that a reference means: t - 1, T, or none."""
        if reference.at is not None:
            return self.step_name(reference.at)
        return "" if reference.shift is None else self.moving_step(reference.shift)

    def steps(self, steps: Steps, backwards: bool = False) -> str:
        """Several steps, as a piece of writing: t = 1..T."""
        return self.notation.plain(self._steps(steps, backwards))

    def _steps(self, steps: Steps, backwards: bool = False) -> str:
        if len(steps) == 1:
            return f"t = {self.step_name(steps[0])}"
        if are_consecutive(steps):
            ends = (steps[-1], steps[0]) if backwards else (steps[0], steps[-1])
            return f"t = {'..'.join(map(self.step_name, ends))}"
        return f"t in {{{', '.join(map(self.step_name, steps))}}}"

    # --- expressions -------------------------------------------------------------------------------------------------

    def write(self, expression: Expression) -> str:
        """An expression."""
        return self.piece(expression)[0]

    def within(self, expression: Expression, binding: int) -> str:
        """An expression as part of another, in brackets if it binds less tightly; a mask in Iverson's, ``[a > 0]``."""
        text, own = self.piece(expression)
        if own >= binding:
            return text
        return self.notation.listed([text]) if _is_condition(expression) else self.notation.bracketed(text)

    def piece(self, e: Expression) -> Piece:
        """An expression, and how tightly it binds."""
        if hasattr(e, "written"):  # an edited line may bring its own way to be written
            written: Piece = e.written(self)
            return written
        if isinstance(e, Number):
            return self._number(e.value)
        if isinstance(e, Constant):
            return self._constant(e.array), ATOM
        if isinstance(e, (Parameter, Data)):
            return self.notation.name(e.name), ATOM
        if isinstance(e, Reference):
            return self.symbol(e.quantity, self.step_of(e)), ATOM
        if isinstance(e, Unit):
            return self.notation.name("E", "", entry(e.shape)), ATOM
        if isinstance(e, Entry):
            return self.notation.entry(self.write(e.operands[0]), entry(e.operands[0].shape)), ATOM
        if isinstance(e, (Stack, Rows)):
            return self._stack(e), ATOM
        if isinstance(e, Sum):
            return self._sum(e.steps, self.within(e.inner, BY_ELEMENT)), BY_ELEMENT
        if isinstance(e, During):
            return self.write(e.inner), SUM
        assert isinstance(e, Apply)
        return self._applied(e)

    def _number(self, value: Any) -> Piece:
        if value is None or isinstance(value, (bool, np.bool_)):
            return self.notation.plain(str(value)), ATOM
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            value = int(value)
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        if isinstance(value, float) and float(text).is_integer():  # 1 - 1e-7 isn't 1
            text = f"{value:.12g}"
        if text.startswith("-"):
            return self.notation.minus + self.notation.number(text[1:])[0], SUM
        return self.notation.number(text)

    def _constant(self, array: np.ndarray) -> str:
        if array.ndim == 2 and array.shape[0] == array.shape[1] and np.array_equal(array, np.eye(len(array))):
            return self.notation.name("I")
        if array.dtype.kind in "iu" and np.array_equal(np.ravel(array), np.arange(array.size)):
            return self.notation.plain("·")
        return self.notation.plain(np.array2string(array, separator=", ", threshold=6).replace("\n", ""))

    def _stack(self, e: Stack | Rows) -> str:
        steps, inner = e.steps, e.inner
        if are_consecutive(steps) and isinstance(inner, Reference) and inner.shift is not None:
            return self.symbol(inner.quantity, self._from_to(steps[0] + inner.shift, steps[-1] + inner.shift))
        if are_consecutive(steps) and applies(inner, indexing.getitem):
            array, place = inner.operands[0], inner.settings["index"]
            if isinstance(array, Data) and isinstance(place, Step) and place.sign == 1:
                return self._row(array, self._from_to(place.at(steps[0]) + 1, place.at(steps[-1]) + 1))
        return self.notation.listed([self.write(inner), self.steps(steps)], "; ")

    def _from_to(self, first: int, last: int) -> str:
        ends = ("T-1" if self.last is not None and t == self.last - 1 else self.step_name(t) for t in (first, last))
        return "..".join(ends)

    def _row(self, array: Data, step: str) -> str:
        """The row of an array for a step; derivatives that arrive from outside have names of their own."""
        if array.name.startswith(ARRIVING):
            by = self.notation.name(array.name.removeprefix(ARRIVING), "", step)
            return self.notation.derivative(self.notation.name("L"), by)
        return self.notation.name(row_name(array.name), "", step)

    def _sum(self, steps: Steps, inner: str) -> str:
        whole = self.last is not None and steps == tuple(range(1, self.last + 1))
        return self.notation.sum_over("t" if whole else self._steps(steps), inner)

    def _applied(self, e: Apply) -> Piece:
        """An operation."""
        operation, operands = e.operation, e.operands
        if operation is elementwise.add:
            return self._added(operands), SUM
        if operation is elementwise.subtract:
            return self.notation.infix("-", [self.within(operands[0], SUM), self.within(operands[1], BY_ELEMENT)]), SUM
        if operation is elementwise.negative:
            return self.notation.minus + self.within(operands[0], BY_ELEMENT), SUM
        if operation is elementwise.multiply:
            return self._multiplied(operands), BY_ELEMENT
        if operation is elementwise.divide:
            if self.notation.has_bars:
                return self.notation.fraction(*map(self.write, operands)), POWER
            above, below = self.within(operands[0], BY_ELEMENT), self.within(operands[1], MATRIX)
            return self.notation.fraction(above, below), BY_ELEMENT
        if operation in (elementwise.square, elementwise.power_by_number):
            exponent = 2 if operation is elementwise.square else e.settings["exponent"]
            return self.notation.power(self.within(operands[0], ATOM), str(exponent)), POWER
        if operation in (linalg.matmul, np.outer):
            sign, binding = ("", MATRIX) if operation is linalg.matmul else ("⊗", POWER)
            first, second = operands[::-1] if self.columns else operands
            return self.notation.infix(sign, [self.within(first, binding), self.within(second, POWER)]), MATRIX
        if operation is shape.transpose and not e.settings.get("axes"):
            return self.notation.power(self.within(operands[0], ATOM), "T"), POWER
        return self._called(e)

    def _added(self, terms: Sequence[Expression]) -> str:
        text = ""
        for term in terms:
            inner = term.inner if isinstance(term, During) else term
            written = self.within(inner, SUM)
            if isinstance(term, During) and not follows_from_absence(term, self.line_steps):
                written = self.notation.during(self.within(inner, BY_ELEMENT), self._steps(term.steps))
            if not text:
                text = written
            elif written.startswith(self.notation.minus):
                text = self.notation.infix("-", [text, written.removeprefix(self.notation.minus)])
            else:
                text = self.notation.infix("+", [text, written])
        return text

    def _multiplied(self, operands: Sequence[Expression]) -> str:
        numbers = [self.within(o, ATOM) for o in operands if isinstance(o, Number)]
        others = [part for o in operands if not isinstance(o, Number) for part in self._factors(o)]
        return self.notation.infix("", [*numbers, *([self.notation.infix("∘", others)] if others else [])])

    def _factors(self, e: Expression) -> list[str]:
        """A factor; two for a value where a condition holds, and one if this value is 1."""
        if not is_masked(e):
            return [self.within(e, MATRIX)]
        condition, value, _ = e.operands
        inside = value.operands if is_product(value) else (value,)
        written = [] if number_of(value) == 1 else [self.within(part, MATRIX) for part in inside]
        return [*written, self.notation.listed([self.write(condition)])]

    def _called(self, e: Apply) -> Piece:
        """An operation that is written as a function, an index or a condition."""
        operation, operands = e.operation, e.operands
        if operation is step_number:
            step = e.settings["step"]
            text = self.moving_step(step.offset) if isinstance(step, Step) else self.step_name(step)
            return self.notation.plain(text), ATOM
        if operation in LOOKS or (operation is shape.reshape and operands[0].shape == ()):
            return self.piece(operands[0])
        if operation in (indexing.getitem, indexing.output):
            return self._indexing(e)
        if operation is indexing.assemble:
            return self.notation.call("put", list(self._placed(e))), ATOM
        if operation in (shape.joined, shape.stacked):
            mark = "; " if operation is shape.stacked or self._is_below(e) else ", "
            written = [self.write(o) for o in operands]
            values = values_of_steps(operands) if len(written) > LONGEST_LIST else None
            if values is not None and set(np.diff(values.steps)) in ({1}, {-1}):
                written[1:-1] = [self.notation.plain("…")]
            return self.notation.listed(written, mark), ATOM
        if is_masked(e):
            return self._multiplied([e]), BY_ELEMENT if len(self._factors(e)) > 1 else ATOM
        if operation is elementwise.where:
            return self._where(operands)
        if _is_over_rows(e):
            rows = "batch" if self.of_gradient and moves(operands[0]) else "rows"
            return self.notation.sum_over(rows, self.within(operands[0], BY_ELEMENT)), BY_ELEMENT
        name = getattr(operation, "name", None) or operation.__name__
        if name in COMPARISONS:
            return self.notation.infix(COMPARISONS[name], list(map(self._compared, operands))), COMPARISON
        arguments = [self.write(o) for o in operands if not (isinstance(o, Number) and o.value is None)]
        if operation is linalg.contraction:
            arguments.insert(0, self.notation.plain(repr(e.settings["subscripts"])))
        settings = [] if operation is one_hot else map(self.notation.plain, _settings(e))
        return self.notation.call(FUNCTIONS.get(operation, name), [*arguments, *settings]), ATOM

    def _compared(self, e: Expression) -> str:
        """A side of a comparison, or a condition that is combined with another."""
        if isinstance(e, Number):
            return self.write(e)
        return self.notation.bracketed(self.write(e)) if _is_condition(e) else self.within(e, BY_ELEMENT)

    def _placed(self, e: Apply) -> Iterator[str]:
        """Pieces that are put in places."""
        for piece, index in zip(e.operands, e.settings["indices"]):
            place = self.notation.listed([self._index(index, e.operands)])
            yield f"{self.write(piece)}{self.notation.plain(' at ')}{place}"

    def _is_below(self, e: Apply) -> bool:
        """Return True if the parts of a concatenation stand below each other."""
        return (e.settings["axis"] in (0, -len(e.shape)) and len(e.shape) > 1) != self.columns

    def _where(self, operands: Sequence[Expression]) -> Piece:
        condition, chosen, other = operands
        return self.notation.cases(self.write(chosen), self.write(condition), self.write(other)), ATOM

    def _indexing(self, e: Apply) -> Piece:
        inner, index = e.operands[0], e.settings["index"]
        if isinstance(index, Step) and index.sign == 1:
            step = self.moving_step(index.offset + 1)
            if isinstance(inner, Data):
                return self._row(inner, step), ATOM
            if isinstance(inner, Reference) and inner.shift is None and inner.at is None:
                return self.symbol(inner.quantity, step), ATOM
            return self.notation.taken(self.within(inner, ATOM), self.notation.plain(step)), ATOM
        return self.notation.taken(self.within(inner, ATOM), self._index(index, e.operands)), ATOM

    def _index(self, index: Any, operands: Sequence[Expression]) -> str:
        if isinstance(index, Operand):
            return self.write(operands[index.number])
        if isinstance(index, tuple) and not isinstance(index, Step):
            parts = [self._index(part, operands) for part in (index[::-1] if self.columns else index)]
            return self.notation.plain(", ").join(parts)
        if isinstance(index, Step):
            sign = self.moving if index.sign == 1 else f"-{self.moving}"
            text = f"{sign}{index.offset + index.sign:+d}" if index.offset + index.sign else sign
        elif isinstance(index, slice):
            text = slice_text(index)
        else:
            text = "..." if index is Ellipsis else str(index.tolist() if isinstance(index, np.ndarray) else index)
        return self.notation.plain(text)

    # --- lines -------------------------------------------------------------------------------------------------------

    def left(self, line: Line) -> str:
        """The left-hand side of a line."""
        if not line.steps:
            return self.symbol(line.quantity)
        return self.symbol(line.quantity, self.step_name(line.steps[0]) if len(line.steps) == 1 else "t")

    def shape(self, line: Line) -> tuple[int, ...]:
        """The shape of a line's value."""
        if not self.columns:
            return line.shape
        return (*line.quantity.entries[::-1], *line.quantity.shape[::-1])

    def line(self, line: Line) -> str:
        """A line as an equation."""
        expression = line.expression
        self.of_gradient, self.line_steps = line.kind == "gradient", line.steps
        if len(line.steps) == 1:
            expression = fixed(expression, line.steps[0])
        return printable(self.notation.equals(self.left(line), self.write(expression)))


def _is_condition(e: Expression) -> bool:
    return isinstance(e, Apply) and getattr(e.operation, "__name__", None) in COMPARISONS


def last_step(lines: Iterable[Line]) -> int | None:
    """T: the last step of any loop of the forward pass; None if there is no loop."""
    return max((line.steps[-1] for line in lines if len(line.steps) > 1 and line.kind == "forward"), default=None)


def entry(shape: tuple[int, ...]) -> str:
    """The letters for an entry of an array of such a shape."""
    return "ijlmnopq"[: len(shape)]


def before(step: str) -> str:
    """The step before one: t-1, of t."""
    if step.isdigit():
        return str(int(step) - 1)
    letter, shift = step[:1], int(step[1:] or 0) - 1
    return f"{letter}{shift:+d}" if shift else letter


def _settings(e: Apply) -> list[str]:
    """The settings that a reader needs."""
    usual: dict[str, Any] = {"axis": -1 if e.operation in SOFTMAXES else None, "keepdims": False, "optimize": False}
    hidden = ("starts", "shape", "indices", "subscripts")
    shown = {k: v for k, v in e.settings.items() if k not in hidden and v != usual.get(k, "unusual")}
    if e.operation in SOFTMAXES and shown.get("axis") == e.operands[0].ndim - 1:
        del shown["axis"]
    return [f"{name}={value!r}" for name, value in shown.items()]


SOFTMAXES = {log_probabilities.softmax_of, log_probabilities.log_softmax_of, log_probabilities.log_sum_exp}


def _is_over_rows(e: Apply) -> bool:
    """Return True for the sum of the rows of a matrix."""
    rows = e.operation is reductions.sum and e.settings.get("axis") in (0, (0,)) and not e.settings.get("keepdims")
    return rows and len(e.operands[0].shape) == 2
