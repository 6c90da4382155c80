"""A derivation as text, in the notation of textbooks: row vectors, ``∘`` for products by element, ``Δ_t`` for delta."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...autodiff.texts import printable
from ..equations.entries import Unit
from ..equations.expressions import Apply, Steps
from ..equations.lines import Line
from ..equations.parts import parts
from ..reading.rules import Vjp
from .writer import TextWriter

KINDS = {"forward": "Forward", "sensitivity": "Sensitivities", "backward": "Backward", "gradient": "Gradients"}


def written(lines: Sequence[Line], columns: bool = False) -> str:
    """The text of all lines, under headings: forward, backward, gradients; with vectors as rows or as columns."""
    writer = TextWriter.of(lines, columns)
    text: list[str] = []
    for title, chosen in sections(lines):
        text += ["", title] if text else [title]
        text += _block(chosen, writer, chosen[0].kind == "backward")
    found = notes(lines)
    return "\n".join([*text, "", *found] if found else text)


def sections(lines: Sequence[Line]) -> Iterator[tuple[str, list[Line]]]:
    """The parts of a derivation: the title of each, and its lines."""
    for kind, title in KINDS.items():
        chosen = [line for line in lines if line.kind == kind]
        if chosen:
            yield title, chosen


def notes(lines: Sequence[Line]) -> list[str]:
    """The notes on signs that some lines have."""
    found = []
    everything = [part for line in lines for part in parts(line.expression)]
    if any(isinstance(part, Apply) and isinstance(part.operation, Vjp) for part in everything):
        found.append("vjp_of_...: by the rule of the operation itself, which can't be written in lines")
    if any(isinstance(part, Unit) for part in everything):
        found.append("E: 1 in the entry by which is differentiated, 0 elsewhere")
    if any(line.quantity.derivative and line.quantity.derivative.direct for line in lines):
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
    text = writer.steps(steps, backwards)
    return f"{text} (T = {writer.last})" if "T" in text else text
