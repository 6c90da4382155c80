"""Marks: the comments on the answers of a worksheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from ..edits.edits import Edit


@dataclass(frozen=True)
class Mark:
    """A mark: the comment on one answer.

    Attributes:
        name: the name of the blank.
        shown: the left side of its line, as it is printed.
        verdict: "right", "wrong", "wrong shape", "circular" (it reads values that depend on the line), "unreadable" or
            "blank".
        sentence: the verdict in words, with the slip if it was found.
        answer: the answer that was handed in.
        slip: the edit of the right line that gives the answer's values.
    """

    name: str
    shown: str
    verdict: str
    sentence: str
    answer: Any = None
    slip: Edit | None = None

    @property
    def is_right(self) -> bool:
        """True if the answer gives the line's values."""
        return self.verdict == "right"

    def __str__(self) -> str:
        typed = " ".join(self.answer.split()) if isinstance(self.answer, str) else ""
        return f"{'✓' if self.is_right else '✗'} {self.shown}{f' = {typed} --' if typed else ':'} {self.sentence}"


class Marks(list[Mark]):
    """The marks of a worksheet, in the order of its blanks."""

    @property
    def right(self) -> int:
        """The number of right answers."""
        return sum(mark.is_right for mark in self)

    @property
    def all_right(self) -> bool:
        """True if all answers are right."""
        return self.right == len(self)

    def of(self, name: str) -> Mark:
        """The mark of one blank.

        Raises:
            KeyError: there is no such blank.
        """
        for mark in self:
            if mark.name == name:
                return mark
        raise KeyError(f"there is no blank {name!r}; there are {', '.join(mark.name for mark in self)}")

    def __str__(self) -> str:
        return "\n".join([*map(str, self), f"{self.right} of {len(self)} right."])

    def __repr__(self) -> str:
        return f"<marks: {self.right} of {len(self)} right>"

    def _repr_html_(self) -> str:
        return f"<table>{''.join(self._rows())}</table><p>{self.right} of {len(self)} right.</p>"

    def _rows(self) -> Iterator[str]:
        for mark in self:
            typed = mark.answer.strip() if isinstance(mark.answer, str) else ""
            cells = "✓" if mark.is_right else "✗", mark.shown, typed, mark.sentence
            yield "<tr>" + "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in cells) + "</tr>"
