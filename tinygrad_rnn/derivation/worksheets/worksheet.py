"""A worksheet: a derivation with some right-hand sides left blank, and a marker of what is filled in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..edits.budget import Budget
from ..equations.expressions import Expression
from ..equations.lines import Line
from ..equations.not_writable import NotWritable
from ..writing.latex import latex, markdown
from ..writing.notation import ATOM
from ..writing.numpy_text import NumpyWriter
from ..writing.page import fragment, html
from ..writing.text import written
from .marking import Marker
from .marks import Marks

if TYPE_CHECKING:
    from ..edits.derived import Derived

HOW_TO = (
    "Write each right-hand side in NumPy, with the names of the lines: a value of step t is `h[t]` (or `h`), that of "
    "the step before `h[t - 1]`; `@` is a matrix product, `*` one by element, `np.outer(a, b)` is a ⊗ b, and a sum "
    "over all steps `sum(... for t in range(1, T + 1))`. Any form that has the right values is right."
)


class Blank(Expression):
    """A right-hand side that is left out.

    Args:
        number: the number of the blank, from 1.
        shape: the shape of the value that belongs there.
    """

    def __init__(self, number: int, shape: tuple[int, ...]) -> None:
        self.number, self.shape = number, shape
        self.details = (number,)

    def written(self, writer: Any) -> tuple[str, int]:
        """The text of a blank: a line or a box to write in, with its number."""
        return writer.notation.blank(self.number), ATOM


class Worksheet:
    """A derivation with some right-hand sides blank.

    Attributes:
        derivation: the whole derivation.
        blanks: the lines whose right-hand sides are blank, by name, in their order.
        lines: all lines, as they are shown.
    """

    def __init__(
        self,
        derivation: Derived,
        blanks: float | str | Iterable[str] = 0.5,
        seed: int = 0,
        hints: bool = False,
        columns: bool = False,
    ) -> None:
        self.derivation, self.columns = derivation, columns
        self.seed = seed
        names = _names_of(derivation.lines)
        chosen = _chosen(names, self._could_be_asked, blanks, seed)
        self.blanks: dict[str, Line] = {name: line for line, name in names.items() if line in chosen}
        numbers = {line: i for i, line in enumerate(self.blanks.values(), 1)}
        self.lines = [
            replace(line, expression=Blank(numbers[line], line.shape), why=line.why if hints else ())
            if line in numbers
            else line
            for line in derivation.lines
        ]

    @cached_property
    def _marker(self) -> Marker:
        return Marker(self.derivation, self.seed, self.columns)

    # --- showing it --------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """Return the worksheet as text, as ``print`` shows it."""
        return written(self.lines, self.columns)

    def latex(self) -> str:
        """Return the worksheet as LaTeX; blanks are boxes with numbers."""
        return latex(self.lines, self.columns)

    def markdown(self) -> str:
        """Return the worksheet as Markdown, with equations in LaTeX."""
        return markdown(self.lines, self.columns)

    def html(self, title: str = "Worksheet") -> str:
        """Return the worksheet as a page of its own, with equations as MathML.

        Args:
            title: the title of the page.
        """
        return html(self.lines, self.columns, title=title)

    def notebook(self, setup: str | None = None, title: str = "Worksheet") -> dict[str, Any]:
        """Return the worksheet as a notebook (format 4), with a cell for the answers and one that marks them.

        Args:
            setup: code that makes the variable ``derivation``; by default, a cell asks the reader to make it.
            title: the heading.
        """
        columns = ", columns=True" if self.columns else ""
        remake = f"worksheet = derivation.worksheet(blanks={list(self.blanks)!r}, seed={self.seed!r}{columns})"
        first = setup or "# Make `derivation` here, as by tr.derive(loss, parameters, data), before you go on."
        rows = ["answers = {"]
        rows += [f'    {name!r}: "",  # ({i}) {self._marker.writer.left(line)}, {line.shape}'
                 for i, (name, line) in enumerate(self.blanks.items(), 1)]  # fmt: skip
        cells = [
            _cell("markdown", f"# {title}\n\n{HOW_TO}"),
            _cell("markdown", self.markdown()),
            _cell("code", f"{first.rstrip()}\n{remake}"),
            _cell("code", "\n".join([*rows, "}"])),
            _cell("code", "worksheet.check(answers)"),
        ]
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        about = {"kernelspec": kernel, "language_info": {"name": "python"}}
        return {"nbformat": 4, "nbformat_minor": 4, "metadata": about, "cells": cells}

    def save(self, path: str | Path, **keywords: Any) -> None:
        """Write the worksheet to a file, in the format of its ending: .txt, .md, .tex, .html or .ipynb.

        Args:
            path: the path of the file.
            keywords: further arguments of the method for that format.

        Raises:
            ValueError: there is no format with this ending.
        """
        forms = {".txt": self.text, ".md": self.markdown, ".tex": self.latex, ".html": self.html}
        ending = Path(path).suffix.lower()
        if ending == ".ipynb":
            text = json.dumps(self.notebook(**keywords), indent=1, ensure_ascii=False)
        elif ending in forms:
            text = forms[ending](**keywords)
        else:
            raise ValueError(f"a worksheet is saved as .ipynb, {', '.join(forms)}; {str(path)!r} is none of these")
        Path(path).write_text(text.rstrip("\n") + "\n", encoding="utf-8")

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<worksheet of {len(self.lines)} lines, {len(self.blanks)} of them blank>"

    def _repr_html_(self) -> str:
        return fragment(self.lines, self.columns)

    # --- answers -----------------------------------------------------------------------------------------------------

    def check(self, answers: Mapping[Any, Any] | Sequence[Any], *, seconds: float = 5.0) -> Marks:
        """Mark each blank by the values of its answer, at all steps, with the recorded numbers and others.

        A blank is marked with the right values of all other lines, so that one slip costs one mark.

        Args:
            answers: for each blank its right-hand side, by the blank's name or number, or all in their order. As text
                in NumPy (``"dL_dh[t] * (1 - h[t]**2)"``), which is read, never run as code; as a function of names
                (``lambda t, dL_dh, h: ...``); or as values, in a dict by step or an array with all steps.
            seconds: how long to look for the slip in wrong answers.

        Raises:
            KeyError: there is no such blank; the error lists the blanks.
        """
        given = self._by_name(answers)
        budget = Budget(seconds)
        return Marks(self._marker.mark(line, name, given.get(name), budget) for name, line in self.blanks.items())

    def solutions(self) -> dict[str, str]:
        """Return the right-hand side of each blank by its name, as it can be handed in.

        A right-hand side that isn't one expression of NumPy is given as the derivation prints it.
        """
        return {name: self._solution(line) for name, line in self.blanks.items()}

    def _could_be_asked(self, line: Line) -> bool:
        """Return True if a line of the backward pass can be answered in one expression."""
        return line.kind != "forward" and self._expression(line) is not None

    def _solution(self, line: Line) -> str:
        return (not self.columns and self._expression(line)) or self._marker.writer.line(line).partition(" = ")[2]

    def _expression(self, line: Line) -> str | None:
        """The right-hand side as one expression of NumPy; None if there is none."""
        writer = NumpyWriter(self._marker.source.names, self._marker.writer.last)
        try:
            text = writer.write(line.expression, line.steps)
        except NotWritable:
            return None
        return None if writer.before else text

    def _by_name(self, answers: Any) -> dict[str, Any]:
        names = list(self.blanks)
        if isinstance(answers, (list, tuple)):
            if len(answers) > len(names):
                raise ValueError(f"there are {len(names)} blanks, and {len(answers)} answers")
            return dict(zip(names, answers))
        if not isinstance(answers, Mapping):
            raise TypeError(f"answers are a dict by the blanks' names, or a list in their order; not {type(answers)}")
        return {self._name(key): answer for key, answer in answers.items()}

    def _name(self, key: Any) -> str:
        """The name of a blank, from its number, its name, its printed name or its variable."""
        names = list(self.blanks)
        if isinstance(key, (int, np.integer)) and 1 <= key <= len(names):
            return names[int(key) - 1]
        if key in self.blanks:
            return str(key)
        left = [name for name, line in self.blanks.items() if key in self._calls(line)]
        if len(left) == 1:
            return left[0]
        raise KeyError(f"there is no blank {key!r}; there are {', '.join(names)} (or their numbers, from 1)")

    def _calls(self, line: Line) -> tuple[str, ...]:
        writer = self._marker.writer
        return line.variable, writer.left(line), writer.symbol(line.quantity), self._marker.source.names[line.quantity]


def _cell(kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": text.strip("\n").splitlines(keepends=True)}
    return {**cell, "execution_count": None, "outputs": []} if kind == "code" else cell


def _names_of(lines: Sequence[Line]) -> dict[Line, str]:
    """A name for each line: that of its quantity, with its steps where the quantity has several lines."""
    often = Counter(line.name for line in lines)
    ends = {line: dict.fromkeys((*line.steps[:1], *line.steps[-1:])) for line in lines}
    steps = {line: f"[{'..'.join(map(str, found))}]" if found else "" for line, found in ends.items()}
    return {line: line.name if often[line.name] == 1 else line.name + steps[line] for line in lines}


def _chosen(names: Mapping[Line, str], could_be_asked: Callable[[Line], bool], blanks: Any, seed: int) -> set[Line]:
    """The lines that are left blank: by name, or a number of those of the backward pass."""
    writable = [line for line in names if not line.quantity.entries and not hasattr(line.expression, "written")]
    if not isinstance(blanks, (int, float, np.number)):
        asked = [blanks] if isinstance(blanks, str) else list(blanks)
        return {line for name in asked for line in _called(name, writable, names)}
    among = [line for line in writable if could_be_asked(line)]
    if not among:
        raise ValueError("this derivation has no line that could be blank; write it in the style 'recursion'")
    is_share = isinstance(blanks, (float, np.floating)) and 0 < blanks <= 1
    if not is_share and blanks not in range(1, len(among) + 1):
        raise ValueError(
            f"blanks= is a number of lines from 1 to {len(among)}, a fraction between 0.0 and 1.0, or names of lines; "
            f"not {blanks!r}"
        )
    count = max(1, round(blanks * len(among))) if is_share else int(blanks)
    return {among[i] for i in np.random.default_rng(seed).choice(len(among), count, replace=False)}


def _called(name: str, lines: Sequence[Line], names: Mapping[Line, str]) -> list[Line]:
    found = [line for line in lines if name in (names[line], line.name, line.variable)]
    if not found:
        raise ValueError(
            f"there is no line {name!r} that could be blank; there are {', '.join(names[li] for li in lines)}"
        )
    return found
