"""The report of a comparison, as data, and as text, Markdown, HTML and plain dicts."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.tables import Table, compact, in_markdown, number
from ..autodiff.texts import printable
from ..derivation.edits.edits import Edit

AGREES, DIFFERS, NAN, NOTHING = "agrees", "differs", "NaN", "can't compare"


class Ruling(NamedTuple):
    """Finite differences of the loss by one parameter.

    Attributes:
        elements: the measured elements, as flat indices; all of a small parameter, none of a large one.
        numeric: the derivative by each of them, or along the direction.
        autograd_agrees: whether autograd's gradient has these values.
        manual_agrees: whether the manual gradient has these values; None if there is none.
        along: the direction in which a large parameter was moved; None if elements were measured.
        note: an addition to the sentence.
    """

    elements: np.ndarray
    numeric: np.ndarray
    autograd_agrees: bool
    manual_agrees: bool | None
    along: np.ndarray | None = None
    note: str = ""

    @property
    def sentence(self) -> str:
        """The ruling in words."""
        if self.manual_agrees is None:
            verb = "agrees" if self.autograd_agrees else "disagrees"
            said = f"autograd {verb} with finite differences"
        else:
            said = {
                (True, True): "finite differences can't tell them apart: they differ by less than these can see",
                (True, False): "autograd agrees with finite differences; the manual formula doesn't",
                (False, True): "the manual formula agrees with finite differences; autograd doesn't",
                (False, False): "neither agrees with finite differences",
            }[self.autograd_agrees, self.manual_agrees]
        return f"{said} ({self.note})" if self.note else said

    def off(self, gradient: np.ndarray) -> float:
        """The largest difference between a gradient and these numbers."""
        if self.along is not None:
            return float(abs(np.vdot(gradient, self.along) - self.numeric[0]))
        return float(np.max(np.abs(gradient.ravel()[self.elements] - self.numeric), initial=0.0))


@dataclass(frozen=True)
class Row:
    """A row of the report: a parameter.

    Attributes:
        name: the parameter.
        shape: its shape.
        verdict: "agrees", "differs", "NaN" or "can't compare".
        autograd: autograd's gradient.
        manual: the other one, or None.
        absolute: the largest difference of two elements; None where there is nothing to compare.
        relative: that, divided by the largest element of both gradients.
        angle: between the two gradients as vectors, in degrees; None if one of them is zero.
        problem: the reason why there is nothing to compare, or the place of a NaN.
        ruling: the result of finite differences, if they were measured.
    """

    name: str
    shape: tuple[int, ...]
    verdict: str
    autograd: np.ndarray
    manual: np.ndarray | None = None
    absolute: float | None = None
    relative: float | None = None
    angle: float | None = None
    problem: str = ""
    ruling: Ruling | None = None

    @property
    def difference(self) -> np.ndarray:
        """The difference of the two gradients, if both are there."""
        assert self.manual is not None
        return self.autograd - self.manual

    def off(self, gradient: np.ndarray | None) -> float | None:
        """The largest difference between a gradient and finite differences, if these were measured."""
        if self.ruling is None or gradient is None:
            return None
        return self.ruling.off(gradient)

    @property
    def sentence(self) -> str:
        """A sentence on the mistake, and who is right; empty where all is well."""
        parts = [self.problem] if self.problem else []
        if self.ruling is not None and self.verdict != AGREES:
            parts.append(self.ruling.sentence)
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The row as numbers, texts and lists."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "verdict": self.verdict,
            "absolute": self.absolute,
            "relative": self.relative,
            "angle": self.angle,
            "problem": self.problem,
            "autograd": self.autograd.tolist(),
            "manual": None if self.manual is None else self.manual.tolist(),
            "numeric": None
            if self.ruling is None
            else {"elements": self.ruling.elements.tolist(), "values": self.ruling.numeric.tolist()},
            "referee": None if self.ruling is None else self.ruling.sentence,
        }


@dataclass(frozen=True)
class Line:
    """A named line of the derivation.

    Attributes:
        name: as it was given, "delta[4]".
        verdict: "agrees", "differs", "NaN" or "can't compare".
        absolute: the largest difference.
        relative: that, divided by the largest element of both.
        problem: why there is nothing to compare; where a NaN is.
    """

    name: str
    verdict: str
    absolute: float | None = None
    relative: float | None = None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The line as numbers and texts."""
        return dict(vars(self))


@dataclass(frozen=True)
class Diagnosis:
    """A mistake that leads to exactly the given gradients.

    Attributes:
        mistake: its short name, "s_t for s_(t-1)".
        parameters: the names of the gradients that it explains.
        sentence: the mistake in words, with the step and the formula.
        complete: whether it explains every wrong gradient, alone or together with the others in the report.
        edits: the edits of lines that lead to these gradients; none if the mistake is visible in an array itself.
    """

    mistake: str
    parameters: tuple[str, ...]
    sentence: str
    complete: bool = True
    edits: tuple[Edit, ...] = field(default=(), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as texts."""
        texts = {name: value for name, value in vars(self).items() if name != "edits"}
        return {**texts, "parameters": list(self.parameters)}


@dataclass(frozen=True)
class Report:
    """The report that ``compare`` returns. It prints itself, in notebooks as well; it is true if everything agrees.

    Attributes:
        rows: one for each parameter.
        tolerance: the relative error up to which two gradients count as equal.
        lines: one for each named line of the derivation, in its order.
        breakdown: the places where the gradients differ: by step, loss term, gate and unit.
        diagnoses: the mistakes that fit exactly.
        notes: further remarks.
    """

    rows: Sequence[Row]
    tolerance: float
    lines: Sequence[Line] = ()
    breakdown: Sequence[Table] = ()
    diagnoses: Sequence[Diagnosis] = ()
    notes: Sequence[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """True if every gradient was there and equal, and no line was wrong."""
        return all(row.verdict == AGREES for row in self.rows) and self.first_wrong_line is None

    def __bool__(self) -> bool:
        return self.agrees

    def __getitem__(self, name: str) -> Row:
        """The row of a parameter."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} was not compared; there are {', '.join(row.name for row in self.rows)}")

    @property
    def first_wrong_line(self) -> Line | None:
        """The first wrong line of the derivation; None if all comparable lines are right."""
        return next((line for line in self.lines if line.verdict in (DIFFERS, NAN)), None)

    # --- as tables and sentences -------------------------------------------------------------------------------------

    @property
    def summary(self) -> str:
        """A summary in one sentence."""
        wrong = [row.name for row in self.rows if row.verdict != AGREES]
        if wrong:
            return f"{len(self.rows) - len(wrong)} of {len(self.rows)} gradients agree; look at {', '.join(wrong)}."
        if self.first_wrong_line is not None:
            return f"All gradients agree, but a line on the way doesn't: {self.first_wrong_line.name}."
        several = "The gradient agrees" if len(self.rows) == 1 else f"All {len(self.rows)} gradients agree"
        return f"{several} (largest relative error {number(max(row.relative or 0.0 for row in self.rows))})."

    def table(self) -> Table:
        """The parameters with their errors, also against finite differences if these were measured."""
        refereed = any(row.ruling is not None for row in self.rows)
        header = ["parameter", "shape", "largest error", "relative", "angle", "verdict"]
        header += ["autograd - numeric", "manual - numeric"] if refereed else []
        rows = []
        for row in self.rows:
            angle = "-" if row.angle is None else f"{row.angle:.1f}°"
            cells = [row.name, str(row.shape), number(row.absolute), number(row.relative), angle, row.verdict]
            if refereed:
                cells += [number(row.off(row.autograd)), number(row.off(row.manual))]
            rows.append(cells)
        return Table("", header, rows)

    def values(self, digits: int = 4) -> Table:
        """The gradients themselves, side by side: autograd, manual, numeric. Large ones by their shape and norm."""
        rows = []
        for row in self.rows:
            complete = row.ruling is not None and len(row.ruling.elements) == row.autograd.size > 0
            numeric = compact(row.ruling.numeric.reshape(row.shape), digits) if row.ruling and complete else "-"
            manual = "-" if row.manual is None else compact(row.manual, digits)
            rows.append([row.name, compact(row.autograd, digits), manual, numeric])
        return Table("", ["parameter", "autograd", "manual", "numeric"], rows)

    def line_table(self) -> Table:
        """The lines of the derivation."""
        rows = [
            [line.name, number(line.absolute), number(line.relative), line.verdict, line.problem] for line in self.lines
        ]
        return Table("Line by line", ["line", "largest error", "relative", "verdict", ""], rows)

    def sentences(self) -> list[str]:
        """The sentences that accompany the tables."""
        of_rows: dict[str, list[str]] = {}
        for row in self.rows:
            of_rows.setdefault(row.sentence, []).append(row.name)
        said = [f"{', '.join(names)}: {sentence}." for sentence, names in of_rows.items() if sentence]
        if self.first_wrong_line is not None:
            said.append(f"The first wrong line is {self.first_wrong_line.name}.")
        elif self.lines and all(line.verdict == AGREES for line in self.lines):
            said.append(f"All {len(self.lines)} lines of the derivation agree.")
        said += [diagnosis.sentence for diagnosis in self.diagnoses]
        return [*said, *self.notes]

    def tables(self) -> list[Table]:
        """The tables, in the order in which they are read."""
        lines = [] if all(line.verdict == AGREES for line in self.lines) else [self.line_table()]
        return [self.table(), *lines, *self.breakdown]

    # --- rendered ----------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The report for a terminal."""
        sentences = "\n".join(map(printable, self.sentences()))
        parts = [printable(self.summary), *(table.text() for table in self.tables()), sentences]
        return "\n\n".join(part for part in parts if part)

    __str__ = text

    def __repr__(self) -> str:
        return f"<Report: {printable(self.summary)}>"

    def markdown(self) -> str:
        """The report as Markdown, for a document."""
        bullets = "\n".join(f"- {in_markdown(sentence)}" for sentence in self.sentences())
        parts = [in_markdown(self.summary), *(table.markdown() for table in self.tables()), bullets]
        return "\n\n".join(part for part in parts if part)

    def html(self) -> str:
        """The report for a web page: a ``<section>``, everything escaped."""
        sentences = "\n".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.sentences())
        parts = [f"<p>{html.escape(self.summary)}</p>", *(table.html() for table in self.tables())]
        parts += [f"<ul>\n{sentences}\n</ul>"] if sentences else []
        return "\n".join(["<section>", *parts, "</section>"])

    _repr_html_ = html
    _repr_markdown_ = markdown

    def to_dict(self) -> dict[str, Any]:
        """The report as dicts, lists, numbers and texts, ready for JSON."""
        return {
            "agrees": self.agrees,
            "summary": self.summary,
            "tolerance": self.tolerance,
            "parameters": [row.to_dict() for row in self.rows],
            "lines": [line.to_dict() for line in self.lines],
            "breakdown": [{"title": t.title, "header": list(t.header), "rows": list(t.rows)} for t in self.breakdown],
            "diagnoses": [diagnosis.to_dict() for diagnosis in self.diagnoses],
            "notes": list(self.notes),
        }
