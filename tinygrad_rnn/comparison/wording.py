"""An edit in words: its line, the right form of the line, and the edited form."""

from __future__ import annotations

from collections.abc import Sequence

from ..derivation.edits.edits import Edit
from ..derivation.equations.lines import Line
from ..derivation.writing.writer import TextWriter
from .report import Diagnosis


class Words:
    """The wording of edits, in the words of their derivation.

    Args:
        lines: the lines of the derivation.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self.writer = TextWriter.of(lines)

    def diagnosis(self, edits: Sequence[Edit], names: Sequence[str], complete: bool) -> Diagnosis:
        """A diagnosis that says how edits lead to the numbers of some gradients (or of a line)."""
        meant = {(edit.what, tuple(map(self.writer.write, edit.of))): edit for edit in reversed(edits)}
        distinct = list(meant.values())[::-1]  # the same edit in several lines is described once
        said = "; and ".join(map(self.cause, distinct))
        if any(edit.is_convention for edit in edits):
            said += " (a convention at a kink, where the derivative jumps: not a mistake)"
        mistake = "; ".join(edit.what.replace("{}", "").strip(" ,:") for edit in distinct)
        return Diagnosis(mistake, tuple(names), f"{', '.join(names)}: {said}.", complete, tuple(edits))

    def cause(self, edit: Edit) -> str:
        """The description of an edit: the line, its new form, and the change."""
        line = edit.line
        before = self.writer.line(line)
        after = f"{self.writer.left(line)} = {self.writer.write(edit.expression)}"
        what = edit.said(self.writer.write)
        if len(after) > 3 * len(before) + 60 or after == before:
            return f"line `{before}`: yours is what one gets when {what}"
        return f"line `{before}`: yours is what one gets with `{after}`: {what}"
