"""A derivation as text, in the notation of textbooks: row vectors, ``∘`` for products by element, ``Δ_t`` for delta."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..autodiff.rules import activations, elementwise, indexing, linalg, log_probabilities, reductions, shape
from ..autodiff.texts import printable
from .absence import follows_from_absence
from .entries import Entry, Unit
from .expressions import (
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
)
from .lines import Line
from .quantities import Quantity
from .reading import fixed, moves, parts
from .recognising import one_hot
from .tracing import Vjp

# How tightly a piece holds together: a sum, a product by element, a quotient, a matrix product, a power, a name.
SUM, BY_ELEMENT, MATRIX, POWER, ATOM = range(5)
Piece = tuple[str, int]

FUNCTIONS: dict[Any, str] = {activations.logistic: "σ", activations.rectifier: "relu", elementwise.absolute: "abs"}
COMPARISONS = {"greater": ">", "less": "<", "greater_equal": "≥", "less_equal": "≤", "equal": "=", "not_equal": "≠",
               "logical_and": "and", "logical_or": "or", "bitwise_or": "or", "bitwise_and": "and"}  # fmt: skip
KINDS = {"forward": "Forward", "sensitivity": "Sensitivities", "backward": "Backward", "gradient": "Gradients"}
LOOKS = {shape.expand_dims, shape.squeeze, shape.broadcast_to, shape.cast}


class TextWriter:
    """Writes expressions as text.

    Args:
        last: the last step, which is written T; None where the loops have none in common.
        columns: whether vectors are written as columns, as in most articles. All is transposed then: ``U x`` stands for
            ``x U``, and matrices are the transposes of those in the code.
    """

    def __init__(self, last: int | None = None, columns: bool = False) -> None:
        self.last = last
        self.columns = columns
        self.of_gradient = False

    # --- names -------------------------------------------------------------------------------------------------------

    def symbol(self, quantity: Quantity, step: str = "") -> str:
        """What a quantity is called, at a step."""
        if quantity.sensitivity is not None:
            return self._sensitivity(quantity, step)
        source = quantity.adjoint_of
        if quantity.base == "delta":
            return self._indexed("Δ", quantity.mark, step)
        if source is None:
            return self._indexed(quantity.base, quantity.mark, step)
        if isinstance(source, str):
            return self.ratio("L", self.name(source, entry(quantity.entries)))
        return self.ratio("L", self._indexed(source.base, source.mark, step), quantity.direct)

    def _sensitivity(self, quantity: Quantity, step: str) -> str:
        of, by, direct = quantity.sensitivity  # type: ignore[misc]
        place = entry(quantity.entries)
        if isinstance(by, str):
            below = self.name(by, place)
        else:
            below = self._indexed(by.base, by.mark, f"{before(step)},{place}" if place else before(step))
        return self.ratio(self._indexed(of.base, of.mark, step), below, direct and isinstance(by, str))

    def ratio(self, of: str, by: str, direct: bool = False) -> str:
        """The derivative of something by something."""
        return f"∂{'⁺' if direct else ''}{of}/∂{by}"

    def name(self, text: str, step: str = "") -> str:
        """A parameter, or an entry of it."""
        return self._indexed(text, "", step)

    def vector(self, quantities: Sequence[Quantity], step: str) -> str:
        """Some quantities of one step as one."""
        if len(quantities) == 1:
            return self._indexed(quantities[0].base, quantities[0].mark, step)
        return self._indexed(f"({', '.join(self._indexed(q.base, q.mark, '') for q in quantities)})", "", step)

    def paths(self, e: Any) -> Piece:
        """A sum over paths, with the products of Jacobians written as such."""
        single = len(e.steps) == 1
        end = self.step_name(e.steps[0]) if single else "t"
        at = partial(self.vector, e.states)
        factors = [
            self.ratio("L", at(end), True),
            self.ratio(at(end), at(before(end))) + self.DOTS + self.ratio(at("k+1"), at("k")),
            self.ratio(at("k"), self.name(e.parameter), True),
        ]
        sums = "" if single else f"{self._sum_sign(e.steps)} "
        return f"{sums}{self.sum_to('k', str(e.first), end)} {self.DOT.join(factors)}", BY_ELEMENT

    DOT, DOTS = " · ", " ⋯ "

    def sum_to(self, letter: str, first: str, last: str) -> str:
        """The sign of a sum over another number than the step."""
        return f"Σ_{{{letter} = {first}..{last}}}"

    def _indexed(self, base: str, mark: str, step: str) -> str:
        if mark and all(c in SUPERSCRIPTS for c in mark):  # in brackets, for it is no exponent
            mark = f"⁽{''.join(SUPERSCRIPTS[c] for c in mark)}⁾"
        elif mark:
            mark = f"^{mark}"
        subscript = f"_{step}" if len(step) <= 1 else f"_{{{step}}}"
        return f"{base}{mark}{subscript if step else ''}"

    def step_name(self, step: int) -> str:
        """A certain step: T if it is the last."""
        return "T" if step == self.last else str(step)

    def moving_step(self, shift: int) -> str:
        """A step that moves along: t - 1."""
        return f"t{shift:+d}" if shift else "t"

    def steps(self, steps: Steps) -> str:
        """Several steps: t = 1..T."""
        if len(steps) == 1:
            return f"t = {self.step_name(steps[0])}"
        if steps == tuple(range(steps[0], steps[-1] + 1)):
            return f"t = {self.step_name(steps[0])}..{self.step_name(steps[-1])}"
        return f"t in {{{', '.join(map(self.step_name, steps))}}}"

    # --- expressions -------------------------------------------------------------------------------------------------

    def write(self, expression: Expression) -> str:
        """An expression."""
        return self.piece(expression)[0]

    def within(self, expression: Expression, binding: int) -> str:
        """An expression as part of another, in brackets if it holds together less tightly."""
        text, own = self.piece(expression)
        return text if own >= binding else f"({text})"

    def piece(self, e: Expression) -> Piece:
        """An expression, and how tightly it holds together."""
        if hasattr(e, "written"):  # an edited line may say itself how it is written
            written: Piece = e.written(self)
            return written
        if isinstance(e, Number):
            return self._number(e.value)
        if isinstance(e, Constant):
            return self._constant(e.array), ATOM
        if isinstance(e, (Parameter, Data)):
            return e.name, ATOM
        if isinstance(e, Reference):
            step = "" if e.shift is None else self.moving_step(e.shift)
            return self.symbol(e.quantity, self.step_name(e.at) if e.at is not None else step), ATOM
        if isinstance(e, Unit):
            return self.name("E", entry(e.shape)), ATOM
        if isinstance(e, Entry):
            return self.entry_of(e.operands[0]), ATOM
        if isinstance(e, (Stack, Rows)):
            return self._stack(e), ATOM
        if isinstance(e, Sum):
            return f"{self._sum_sign(e.steps)} {self.within(e.inner, BY_ELEMENT)}", BY_ELEMENT
        if isinstance(e, During):
            return f"{self.write(e.inner)}", SUM
        assert isinstance(e, Apply)
        return self.applied(e)

    def entry_of(self, array: Expression) -> str:
        """The entry of an array that a line is about."""
        return f"({self.write(array)})_{{{entry(array.shape)}}}"

    def _number(self, value: Any) -> Piece:
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            value = int(value)
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        return text, SUM if text.startswith("-") else ATOM

    def _constant(self, array: np.ndarray) -> str:
        if array.ndim == 2 and array.shape[0] == array.shape[1] and np.array_equal(array, np.eye(len(array))):
            return "I"
        if array.dtype.kind in "iu" and np.array_equal(np.ravel(array), np.arange(array.size)):
            return "·"
        return np.array2string(array, separator=", ", threshold=6).replace("\n", "")

    def _stack(self, e: Stack | Rows) -> str:
        steps, inner = e.steps, e.inner
        regular = steps == tuple(range(steps[0], steps[-1] + 1))
        if regular and isinstance(inner, Reference) and inner.shift is not None:
            return self.symbol(inner.quantity, self._from_to(steps[0] + inner.shift, steps[-1] + inner.shift))
        if regular and isinstance(inner, Apply) and inner.operation is indexing.getitem:
            array, place = inner.operands[0], inner.settings["index"]
            if isinstance(array, Data) and isinstance(place, Step) and place.sign == 1:
                return self.rows_of(array, self._from_to(place.at(steps[0]) + 1, place.at(steps[-1]) + 1))
        return self.bracketed(f"{self.write(inner)}; {self.steps(steps)}")

    def bracketed(self, text: str) -> str:
        """In square brackets."""
        return f"[{text}]"

    def _from_to(self, first: int, last: int) -> str:
        ends = ("T-1" if self.last is not None and t == self.last - 1 else self.step_name(t) for t in (first, last))
        return self.TO.join(ends)

    TO = ".."

    def rows_of(self, array: Any, step: str) -> str:
        """The row of an array for a step; the derivatives that arrive from outside by their name."""
        if array.name.startswith("dL_d"):
            return self.ratio("L", self.name(array.name[4:], step))
        return self.name(row_name(array.name), step)

    def _sum_sign(self, steps: Steps) -> str:
        whole = self.last is not None and steps == tuple(range(1, self.last + 1))
        return "Σ_t" if whole else f"Σ_{{{self.steps(steps)}}}"

    def applied(self, e: Apply) -> Piece:
        """An operation."""
        operation, operands = e.operation, e.operands
        if operation is elementwise.add:
            return self._added(operands), SUM
        if operation is elementwise.subtract:
            return f"{self.within(operands[0], SUM)} - {self.within(operands[1], BY_ELEMENT)}", SUM
        if operation is elementwise.negative:
            return f"-{self.within(operands[0], BY_ELEMENT)}", SUM
        if operation is elementwise.multiply:
            return self._multiplied(operands), BY_ELEMENT
        if operation is elementwise.divide:
            return f"{self.within(operands[0], BY_ELEMENT)} / {self.within(operands[1], MATRIX)}", BY_ELEMENT
        if operation in (elementwise.square, elementwise.power_by_number):
            exponent = "²" if operation is elementwise.square else f"^{e.settings['exponent']}"
            return f"{self.within(operands[0], ATOM)}{exponent}", POWER
        if operation is linalg.matmul:
            first, second = self.in_order(operands)
            return f"{self.within(first, MATRIX)} {self.within(second, POWER)}", MATRIX
        if operation is np.outer:
            first, second = self.in_order(operands)
            return f"{self.within(first, POWER)} ⊗ {self.within(second, POWER)}", MATRIX
        if operation is shape.transpose and not e.settings.get("axes"):
            return f"{self.within(operands[0], ATOM)}ᵀ", POWER
        return self._called(e)

    def in_order(self, factors: Sequence[Expression]) -> Sequence[Expression]:
        """The factors of a matrix product, as they are written."""
        return factors[::-1] if self.columns else factors

    def is_below(self, e: Apply) -> bool:
        """Whether the parts of a concatenation stand below each other."""
        return (e.settings["axis"] in (0, -len(e.shape)) and len(e.shape) > 1) != self.columns

    def shape(self, line: Line) -> tuple[int, ...]:
        """The shape of a line's value."""
        if not self.columns:
            return line.shape
        return (*line.quantity.entries[::-1], *line.quantity.shape[::-1])

    def _added(self, terms: Sequence[Expression]) -> str:
        text = ""
        for term in terms:
            inner = term.inner if isinstance(term, During) else term
            written = self.within(inner, SUM)
            if isinstance(term, During) and not follows_from_absence(term):
                written = f"{self.within(inner, BY_ELEMENT)} [{self.steps(term.steps)}]"
            if not text:
                text = written
            elif written.startswith("-"):
                text += f" - {written[1:]}"
            else:
                text += f" + {written}"
        return text

    def _multiplied(self, operands: Sequence[Expression]) -> str:
        numbers = [o for o in operands if isinstance(o, Number)]
        others = [o for o in operands if not isinstance(o, Number)]
        text = " ∘ ".join(self.within(o, MATRIX) for o in others)
        return " ".join([*(self.within(n, ATOM) for n in numbers), text])

    def _called(self, e: Apply) -> Piece:
        """An operation that is written as a function, an index or a condition."""
        operation, operands = e.operation, e.operands
        if operation in LOOKS or (operation is shape.reshape and e.operands[0].shape == ()):
            return self.piece(operands[0])
        if operation is indexing.getitem:
            return self._indexing(e)
        if operation is indexing.assemble:
            pieces = ", ".join(
                f"{self.write(o)} at [{self._index(i, operands)}]" for o, i in zip(operands, e.settings["indices"])
            )
            return f"put({pieces})", ATOM
        if operation is shape.joined:
            mark = "; " if self.is_below(e) else ", "
            return f"[{mark.join(map(self.write, operands))}]", ATOM
        if operation is shape.stacked:
            return f"[{'; '.join(map(self.write, operands))}]", ATOM
        if operation is one_hot:
            return f"onehot({self.write(operands[0])})", ATOM
        if operation is elementwise.where:
            return self._where(operands)
        if _is_over_rows(e):
            rows = "batch" if self.of_gradient and moves(operands[0]) else "rows"
            return f"Σ_{rows} {self.within(operands[0], BY_ELEMENT)}", BY_ELEMENT
        name = getattr(operation, "name", None) or operation.__name__
        if name in COMPARISONS:
            return f" {COMPARISONS[name]} ".join(self.within(o, BY_ELEMENT) for o in operands), SUM
        arguments = [self.write(o) for o in operands if not (isinstance(o, Number) and o.value is None)]
        return f"{FUNCTIONS.get(operation, name)}({', '.join([*arguments, *self._settings(e)])})", ATOM

    def _settings(self, e: Apply) -> list[str]:
        """What of the settings a reader needs."""
        usual: dict[str, Any] = {"axis": -1 if e.operation in SOFTMAXES else None, "keepdims": False, "optimize": False}
        shown = {
            k: v
            for k, v in e.settings.items()
            if k not in ("starts", "shape", "indices") and v != usual.get(k, "unusual")
        }
        if e.operation in SOFTMAXES and shown.get("axis") == e.operands[0].ndim - 1:
            del shown["axis"]
        return [f"{name}={value!r}" for name, value in shown.items()]

    def _where(self, operands: Sequence[Expression]) -> Piece:
        condition, chosen, other = operands
        if isinstance(other, Number) and other.value == 0:
            return f"{self.within(chosen, MATRIX)} ∘ [{self.write(condition)}]", BY_ELEMENT
        return f"where({', '.join(map(self.write, operands))})", ATOM

    def _indexing(self, e: Apply) -> Piece:
        inner, index = e.operands[0], e.settings["index"]
        if isinstance(index, Step) and index.sign == 1:
            if isinstance(inner, Data):
                return self.rows_of(inner, self.moving_step(index.offset + 1)), ATOM
            if isinstance(inner, Reference) and inner.shift is None and inner.at is None:
                return self.symbol(inner.quantity, self.moving_step(index.offset + 1)), ATOM
            return f"{self.within(inner, ATOM)}[{self.moving_step(index.offset + 1)}]", ATOM
        return f"{self.within(inner, ATOM)}[{self._index(index, e.operands)}]", ATOM

    def _index(self, index: Any, operands: Sequence[Expression]) -> str:
        if isinstance(index, Step):
            sign = "t" if index.sign == 1 else "-t"
            return f"{sign}{index.offset + index.sign:+d}" if index.offset + index.sign else sign
        if isinstance(index, Operand):
            return self.write(operands[index.number])
        if isinstance(index, slice):
            start, stop = (str(bound or "") for bound in (index.start, index.stop))
            return f"{start}:{stop}" + (f":{index.step}" if index.step not in (None, 1) else "")
        if isinstance(index, tuple):
            return ", ".join(self._index(part, operands) for part in (index[::-1] if self.columns else index))
        return "..." if index is Ellipsis else str(index)

    # --- lines -------------------------------------------------------------------------------------------------------

    def left(self, line: Line) -> str:
        """What a line defines."""
        if not line.steps:
            return self.symbol(line.quantity)
        return self.symbol(line.quantity, self.step_name(line.steps[0]) if len(line.steps) == 1 else "t")

    def line(self, line: Line) -> str:
        """A line, with the steps for which it holds if these aren't all; in one row, whatever names are in it."""
        expression = line.expression
        self.of_gradient = line.kind == "gradient"
        if len(line.steps) == 1:
            expression = fixed(expression, line.steps[0])
        return printable(f"{self.left(line)} = {self.write(expression)}")


def entry(shape: tuple[int, ...]) -> str:
    """The letters for an entry of an array of such a shape."""
    return "ijlmnopq"[: len(shape)]


def before(step: str) -> str:
    """The step before one: t-1, of t."""
    if step.isdigit():
        return str(int(step) - 1)
    letter, shift = step[:1], int(step[1:] or 0) - 1
    return f"{letter}{shift:+d}" if shift else letter


SUPERSCRIPTS = dict(zip("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
SOFTMAXES = {log_probabilities.softmax_of, log_probabilities.log_softmax_of, log_probabilities.log_sum_exp}


def _is_over_rows(e: Apply) -> bool:
    """Whether it is the sum of the rows of a matrix."""
    rows = e.operation is reductions.sum and e.settings.get("axis") in (0, (0,)) and not e.settings.get("keepdims")
    return rows and len(e.operands[0].shape) == 2


def row_name(name: str) -> str:
    """What the rows of an array are called: those of ``xs`` are x."""
    return name[:-1] if len(name) == 2 and name.endswith("s") else name


def common_last_step(lines: Iterable[Line]) -> int | None:
    """T: the last step, if all loops end with it."""
    ends = {line.steps[-1] for line in lines if len(line.steps) > 1 and line.kind == "forward"}
    return max(ends) if ends else None


def equation(line: Line) -> str:
    """The text of a line."""
    return TextWriter().line(line)


def written(lines: Sequence[Line], columns: bool = False) -> str:
    """The text of all lines, under headings: forward, backward, gradients; with vectors as rows or as columns."""
    last = common_last_step(lines)
    writer = TextWriter(last, columns)
    text: list[str] = []
    for kind, title in KINDS.items():
        chosen = [line for line in lines if line.kind == kind]
        if not chosen:
            continue
        text += ["", title] if text else [title]
        text += _block(chosen, writer, kind == "backward")
    found = notes(lines)
    return "\n".join([*text, "", *found] if found else text)


def notes(lines: Sequence[Line]) -> list[str]:
    """What has to be said of signs that some lines have."""
    found = []
    everything = [part for line in lines for part in parts(line.expression)]
    if any(isinstance(part, Apply) and isinstance(part.operation, Vjp) for part in everything):
        found.append("vjp_of_...: by the rule of the operation itself, which can't be written in lines")
    if any(isinstance(part, Unit) for part in everything):
        found.append("E: 1 in the entry by which is differentiated, 0 elsewhere")
    if any(line.quantity.direct or (line.quantity.sensitivity or (0, 0, 0))[2] for line in lines):
        found.append("∂⁺: directly, with the states of all other steps held fixed")
    return found


def _block(lines: list[Line], writer: TextWriter, backwards: bool) -> list[str]:
    left = [writer.line(line) for line in lines]
    width = min(max(map(len, left)), 72)
    rows = []
    steps: Any = None
    for text, line in zip(left, lines):
        if line.steps != steps:
            steps = line.steps
            if steps:
                rows.append(f"  for {_direction(writer, steps, backwards)}")
            elif rows:
                rows.append("  once")
        why = printable("; ".join(line.why))
        rows.append(f"    {text:<{width}}  {writer.shape(line)}" + (f"  {why}" if why else ""))
    return rows


def _direction(writer: TextWriter, steps: Steps, backwards: bool) -> str:
    if len(steps) == 1:
        return f"t = {steps[0]}"
    text = writer.steps(steps)
    if backwards and steps == tuple(range(steps[0], steps[-1] + 1)):
        text = f"t = {writer.step_name(steps[-1])}..{writer.step_name(steps[0])}"
    return f"{text} (T = {writer.last})" if "T" in text else text
