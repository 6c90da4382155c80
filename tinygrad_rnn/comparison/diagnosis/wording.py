"""An edit in words: its line, the right form of the line, and the edited form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...derivation.backward.names import LETTERS as OF_ARRAYS
from ...derivation.edits.edits import Edit
from ...derivation.edits.of_terms import LEFT_OUT, OTHER_SIGN
from ...derivation.equations.expressions import Expression, Number, Reference
from ...derivation.equations.lines import Line
from ...derivation.equations.parts import parts, replaced
from ...derivation.equations.quantities import Equation, Quantity
from ...derivation.writing.writer import TextWriter
from ..report import Diagnosis

LETTERS = OF_ARRAYS + "l"  # of the derivation's own; l is a number
LONGEST_MEANING = 150  # characters; what is longer explains nothing


class Words:
    """The wording of edits, in the words of their derivation.

    Args:
        lines: the lines of the derivation.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self.writer = TextWriter.of(lines)
        values = (_source(quantity) for line in lines for quantity in (line.quantity, *_read(line.expression)))
        letters = [value.letter for value in values if value is not None]
        numbered = any(letter.base == "a" and letter.mark.isdigit() for letter in letters)
        self.letters = LETTERS + "a" * numbered  # a alone is the argument of the activation, as everybody calls it

    def diagnosis(self, edits: Sequence[Edit], names: Sequence[str], complete: bool) -> Diagnosis:
        """A diagnosis that says how edits lead to the numbers of some gradients (or of a line)."""
        meant = {
            (edit.what, tuple(map(self.writer.write, edit.of)), edit.line if _is_of_its_line(edit) else None): edit
            for edit in reversed(edits)
        }
        distinct = list(meant.values())[::-1]  # the same edit in several lines is described once
        said = "; and ".join(map(self.cause, distinct))
        if any(edit.is_convention for edit in edits):
            said += " (a convention at a kink, where the derivative jumps: not a mistake)"
        mistake = "; ".join(edit.what.replace("{}", "").strip(" ,:") for edit in distinct)
        meanings = self.meanings(distinct)
        said += f". Here {', '.join(meanings)}" if meanings else ""
        return Diagnosis(mistake, tuple(names), f"{', '.join(names)}: {said}.", complete, tuple(edits))

    def meanings(self, edits: Sequence[Edit]) -> list[str]:
        """The meanings of the derivation's own letters in some edits: of values without a name in the model."""
        found: dict[Quantity, str] = {}
        for edit in edits:
            for quantity in (edit.line.quantity, *_read(edit.line.expression), *_read(edit.expression)):
                value = _source(quantity)
                if value is None or not _is_letter(value, self.letters) or not _has_usual(value):
                    continue
                meaning = self.writer.write(_written_out(value))
                if quantity.letter.base == "delta":
                    found[quantity] = f"{self.writer.symbol(quantity, 't')} = ∂L/∂({meaning})"
                else:
                    found[value] = f"{self.writer.symbol(value, 't' if value.steps else '')} = {meaning}"
        return [text for text in found.values() if len(text) <= LONGEST_MEANING]

    def cause(self, edit: Edit) -> str:
        """The description of an edit: the line, its new form, and the change."""
        line = edit.line
        before = self.writer.line(line)
        after = f"{self.writer.left(line)} = {self.writer.write(edit.expression)}"
        what = edit.said(self.writer.write)
        if len(after) > 3 * len(before) + 60 or after == before:
            return f"line `{before}`: yours is what one gets when {what}"
        return f"line `{before}`: yours is what one gets with `{after}`: {what}"


def _is_of_its_line(edit: Edit) -> bool:
    """Return True for an edit whose words say nothing without its line: they mention no value."""
    if not edit.of:
        return edit.what in (LEFT_OUT, OTHER_SIGN)
    return all(isinstance(expression, Number) for expression in edit.of)


def _read(expression: Expression) -> Iterator[Quantity]:
    """The quantities that an expression reads."""
    return (part.quantity for part in parts(expression, Reference))


def _source(quantity: Quantity) -> Quantity | None:
    """The value that a derivative is taken by, or the value itself; None for a parameter's gradient."""
    source = quantity.adjoint_of
    return quantity if source is None else source if isinstance(source, Quantity) else None


def _is_letter(value: Quantity, letters: str) -> bool:
    """Return True for a value that the derivation calls by one of its letters, for lack of a name in the model."""
    base, mark, _ = value.letter
    is_named = value.label("state", "value", "output") is not None or (mark and not mark.isdigit())
    return base in set(letters) and not is_named


def _written_out(value: Quantity, levels: int = 3) -> Expression:
    """The definition of a value, with those of other unnamed values of the same step in their places."""

    def definition(part: Expression) -> Expression | None:
        if levels and isinstance(part, Reference) and part.shift == 0 and _is_letter(part.quantity, OF_ARRAYS + "a"):
            return _written_out(part.quantity, levels - 1) if _has_usual(part.quantity) else None
        return None

    return replaced(_usual(value).expression, definition)


def _usual(value: Quantity) -> Equation:
    """The equation of a value at most steps: that of the first may be another."""
    return max(value.equations, key=lambda equation: len(equation.steps))


def _has_usual(value: Quantity) -> bool:
    """Return False for a value that each step computes in a way of its own."""
    return len(value.equations) == 1 or len(_usual(value).steps) > 1
