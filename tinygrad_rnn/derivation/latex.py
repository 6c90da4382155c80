r"""A derivation as LaTeX, and as Markdown with LaTeX in it: the notation of ``text``, in the signs of ``amsmath``.

Names come from users, so each is written letter by letter: what LaTeX would obey is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff.rules import elementwise, indexing, linalg, reductions, shape
from .absence import follows_from_absence
from .expressions import Apply, Data, During, Expression, Number, Parameter, Reference, Step, Steps
from .lines import Line
from .quantities import Quantity
from .recognising import one_hot
from .text import (
    ATOM,
    BY_ELEMENT,
    COMPARISONS,
    KINDS,
    LOOKS,
    MATRIX,
    POWER,
    SUM,
    Piece,
    TextWriter,
    common_last_step,
    entry,
)

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
ESCAPED = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "_": r"\_", "^": r"\wedge ", "%": r"\%", "#": r"\#", "&": r"\&",
    "$": r"\$", "~": r"\sim ", "'": "'", " ": r"\ ",
}  # fmt: skip
NAMED = {"tanh", "exp", "log", "sin", "cos", "max", "min", "sinh", "cosh"}  # LaTeX has a command of that name
SIGNS = {"≥": r"\ge", "≤": r"\le", "≠": r"\ne", "and": r"\wedge", "or": r"\vee"}


class LatexWriter(TextWriter):
    """Writes expressions as LaTeX.

    Args:
        last: the last step, which is written T; None where the loops have none in common.
        columns: whether vectors are written as columns.
    """

    # --- names -------------------------------------------------------------------------------------------------------

    DOT, DOTS = r" \cdot ", r" \cdots "

    def ratio(self, of: str, by: str, direct: bool = False) -> str:
        """The derivative of something by something."""
        return rf"\frac{{\partial{'^{+}' if direct else ''} {of}}}{{\partial {by}}}"

    def vector(self, quantities: Sequence[Quantity], step: str) -> str:
        """Some quantities of one step as one."""
        if len(quantities) == 1:
            return super().vector(quantities, step)
        return rf"\left({', '.join(self._indexed(q.base, q.mark, '') for q in quantities)}\right)_{{{step}}}"

    def sum_to(self, letter: str, first: str, last: str) -> str:
        """The sign of a sum over another number than the step."""
        return rf"\sum_{{{letter}={first}}}^{{{last}}}"

    def entry_of(self, array: Expression) -> str:
        """The entry of an array that a line is about."""
        return rf"\left({self.write(array)}\right)_{{{entry(array.shape)}}}"

    def _indexed(self, base: str, mark: str, step: str) -> str:
        above = f"^{{({name(mark)})}}" if mark else ""
        return f"{name(base)}{above}" + (f"_{{{step}}}" if step else "")

    def steps(self, steps: Steps) -> str:
        """Several steps: t = 1, …, T."""
        if len(steps) == 1:
            return f"t = {self.step_name(steps[0])}"
        if steps == tuple(range(steps[0], steps[-1] + 1)):
            return rf"t = {self.step_name(steps[0])}, \dots, {self.step_name(steps[-1])}"
        return rf"t \in \{{{', '.join(map(self.step_name, steps))}\}}"

    # --- expressions -------------------------------------------------------------------------------------------------

    def within(self, expression: Expression, binding: int) -> str:
        """An expression as part of another, in brackets if it holds together less tightly."""
        text, own = self.piece(expression)
        return text if own >= binding else rf"\left({text}\right)"

    def piece(self, e: Expression) -> Piece:
        """An expression, and how tightly it holds together."""
        return (name(e.name), ATOM) if isinstance(e, (Parameter, Data)) else super().piece(e)

    def _number(self, value: Any) -> Piece:
        text, binding = super()._number(value)
        mantissa, e, exponent = text.partition("e")
        return (rf"{mantissa} \cdot 10^{{{int(exponent)}}}", BY_ELEMENT) if e else (text, binding)

    def _constant(self, array: np.ndarray) -> str:
        text = super()._constant(array)
        return text if text == "I" else r"\cdot" if text == "·" else rf"\text{{{text.replace('...', '…')}}}"

    TO = ":"

    def bracketed(self, text: str) -> str:
        """In square brackets."""
        return rf"\left[{text}\right]"

    def _sum_sign(self, steps: Steps) -> str:
        if self.last is not None and steps == tuple(range(1, self.last + 1)):
            return r"\sum_{t=1}^{T}"
        return rf"\sum_{{{self.steps(steps)}}}"

    def applied(self, e: Apply) -> Piece:
        """An operation."""
        operation, operands = e.operation, e.operands
        if operation is elementwise.divide:
            return rf"\frac{{{self.write(operands[0])}}}{{{self.write(operands[1])}}}", POWER
        if operation in (elementwise.square, elementwise.power_by_number):
            exponent = 2 if operation is elementwise.square else e.settings["exponent"]
            return f"{{{self.within(operands[0], ATOM)}}}^{{{exponent}}}", POWER
        if operation is linalg.matmul:
            first, second = self.in_order(operands)
            return rf"{self.within(first, MATRIX)}\, {self.within(second, POWER)}", MATRIX
        if operation is np.outer:
            first, second = self.in_order(operands)
            return rf"{self.within(first, POWER)} \otimes {self.within(second, POWER)}", MATRIX
        if operation is shape.transpose and not e.settings.get("axes"):
            return rf"{{{self.within(operands[0], ATOM)}}}^{{\top}}", POWER
        if operation is elementwise.sqrt:
            return rf"\sqrt{{{self.write(operands[0])}}}", ATOM
        if operation is elementwise.absolute:
            return rf"\left|{self.write(operands[0])}\right|", ATOM
        return super().applied(e)

    def _added(self, terms: Sequence[Expression]) -> str:
        text = ""
        for term in terms:
            inner = term.inner if isinstance(term, During) else term
            written = self.within(inner, SUM)
            if isinstance(term, During) and not follows_from_absence(term):
                written = rf"{self.within(inner, BY_ELEMENT)}\, [{self.steps(term.steps)}]"
            text += written if not text else f" - {written[1:]}" if written.startswith("-") else f" + {written}"
        return text

    def _multiplied(self, operands: Sequence[Expression]) -> str:
        numbers = [self.within(o, ATOM) for o in operands if isinstance(o, Number)]
        others = [self.within(o, MATRIX) for o in operands if not isinstance(o, Number)]
        return r"\, ".join([*numbers, *([r" \odot ".join(others)] if others else [])])

    def _called(self, e: Apply) -> Piece:
        """An operation that is written as a function, an index or a condition."""
        operation, operands = e.operation, e.operands
        if operation in LOOKS or (operation is shape.reshape and operands[0].shape == ()):
            return self.piece(operands[0])
        if operation is indexing.getitem:
            return self._indexing(e)
        if operation in (shape.joined, shape.stacked):
            down = operation is shape.stacked or self.is_below(e)
            return rf"\left[{('; ' if down else ', ').join(map(self.write, operands))}\right]", ATOM
        if operation is elementwise.where:
            return self._where(operands)
        word = "onehot" if operation is one_hot else getattr(operation, "name", None) or operation.__name__
        if word in COMPARISONS:
            sign = SIGNS.get(COMPARISONS[word], COMPARISONS[word])
            return f" {sign} ".join(self.within(o, BY_ELEMENT) for o in operands), SUM
        is_sum = operation is reductions.sum and e.settings.get("axis") in (0, (0,)) and not e.settings.get("keepdims")
        if is_sum and len(operands[0].shape) == 2:
            return rf"\sum_{{\text{{rows}}}} {self.within(operands[0], BY_ELEMENT)}", BY_ELEMENT
        arguments = [self.write(o) for o in operands if not (isinstance(o, Number) and o.value is None)]
        settings = [] if word == "onehot" else [rf"\text{{{escaped(setting)}}}" for setting in self._settings(e)]
        return rf"{function(word)}\left({', '.join([*arguments, *settings])}\right)", ATOM

    def _where(self, operands: Sequence[Expression]) -> Piece:
        condition, chosen, other = operands
        if isinstance(other, Number) and other.value == 0:
            return rf"{self.within(chosen, MATRIX)} \odot \left[{self.write(condition)}\right]", BY_ELEMENT
        cases = rf"{self.write(chosen)} & {self.write(condition)} \\ {self.write(other)} & \text{{otherwise}}"
        return rf"\begin{{cases}} {cases} \end{{cases}}", ATOM

    def _indexing(self, e: Apply) -> Piece:
        inner, index = e.operands[0], e.settings["index"]
        if isinstance(index, Step) and index.sign == 1:
            step = self.moving_step(index.offset + 1)
            if isinstance(inner, Data):
                return self.rows_of(inner, step), ATOM
            if isinstance(inner, Reference) and inner.shift is None and inner.at is None:
                return self.symbol(inner.quantity, step), ATOM
            return rf"{{{self.within(inner, ATOM)}}}_{{[{step}]}}", ATOM
        return rf"{{{self.within(inner, ATOM)}}}_{{[{self._index(index, e.operands)}]}}", ATOM

    def _index(self, index: Any, operands: Sequence[Expression]) -> str:
        return r"\dots" if index is Ellipsis else super()._index(index, operands)

    def line(self, line: Line) -> str:
        """A line, with ``&`` before the sign that lines are aligned at."""
        left, _, right = super().line(line).partition(" = ")
        return f"{left} &= {right}"


def name(text: str) -> str:
    r"""A name of a user's, as LaTeX: one letter as a variable, more of them as a word.

    Example:
        >>> print(name("W"), name("W_hh"), name("σ"), name("x²"))
        W \mathit{W\_hh} \sigma \mathit{x^{2}}
    """
    if len(text) == 1 and (text in GREEK or (text.isascii() and text.isalnum())):
        return rf"\{GREEK[text]}" if text in GREEK else text
    return rf"\mathit{{{''.join(map(_letter, text))}}}"


def _letter(c: str) -> str:
    if c in GREEK:
        return rf"\{GREEK[c]} "
    if c in "²³¹":
        return f"^{{{'¹²³'.index(c) + 1}}}"
    if c in ESCAPED:
        return ESCAPED[c]
    return c if c.isascii() and c.isprintable() else rf"\text{{{c}}}" if c.isprintable() else rf"\text{{{ord(c):x}}}"


def escaped(text: str) -> str:
    r"""Words, for ``\text``."""
    signs = {"\\": r"\textbackslash ", "^": r"\^{}", "~": r"\~{}"}
    return "".join(signs.get(c, f"\\{c}" if c in "{}_%#&$" else c if c.isprintable() else "?") for c in text)


def function(word: str) -> str:
    """What a function is called."""
    if word == "sigmoid":
        return r"\sigma"
    return rf"\{word}" if word in NAMED else rf"\operatorname{{{escaped(word)}}}"


def latex(lines: Sequence[Line], columns: bool = False) -> str:
    """All lines as three ``align*`` environments, each under a comment that says what it holds."""
    blocks = []
    for title, rows in sections(lines, columns):
        body = " \\\\\n".join(f"{equation} && {when}" if when else equation for equation, when, _ in rows)
        blocks.append(f"% {title}\n\\begin{{align*}}\n{body}\n\\end{{align*}}")
    return "\n\n".join(blocks)


def markdown(lines: Sequence[Line], columns: bool = False) -> str:
    """All lines as Markdown: a heading for each part, an equation for each line, and why it is so."""
    text: list[str] = []
    for title, rows in sections(lines, columns):
        text.append(f"### {title}")
        for equation, when, why in rows:
            shown = equation.replace(" &= ", " = ", 1) + (rf" \qquad {when}" if when else "")
            text.append(f"$$\n{shown}\n$$" + (f"\n\n{why}" if why else ""))
    return "\n\n".join(text) + "\n"


def sections(lines: Sequence[Line], columns: bool = False) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """For each part of a derivation its title and its rows: equation, steps, reasons."""
    writer = LatexWriter(common_last_step(lines), columns)
    sections = []
    for kind, title in KINDS.items():
        rows = []
        for line in (line for line in lines if line.kind == kind):
            when = _direction(writer, line.steps, kind == "backward") if line.steps else ""
            rows.append((writer.line(line), when, "; ".join(line.why)))
        if rows:
            sections.append((title, rows))
    return sections


def _direction(writer: LatexWriter, steps: Steps, backwards: bool) -> str:
    text = writer.steps(steps)
    if backwards and len(steps) > 1 and steps == tuple(range(steps[0], steps[-1] + 1)):
        return rf"t = {writer.step_name(steps[-1])}, \dots, {writer.step_name(steps[0])}"
    return text
