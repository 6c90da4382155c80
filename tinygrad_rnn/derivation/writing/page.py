"""A derivation as an HTML page of its own: equations as MathML, which browsers show without a script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from ...autodiff.texts import printable
from ..equations.lines import Line
from .mathml import MathMLWriter, math
from .text import notes, sections

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
table { border-collapse: collapse; width: 100%; }
td { padding: 0.35rem 0.8rem; border-top: 1px solid #d7dce1; vertical-align: middle; }
td math { display: inline math; math-style: normal; }
td.why { color: #4d5a68; font-size: 0.9em; min-width: 16rem; }
math { font-size: 1.15em; }
@media (prefers-color-scheme: dark) { body { background: #12181f; color: #e6ebf0; } td.why { color: #a9b4c0; } }
"""

# Without a font for mathematics, browsers leave subscripts on the line: a_t looks like a product of a and t. So the
# usual ones of each system are named: "math" alone may be none.
FONTS = '"Latin Modern Math","STIX Two Math","Cambria Math","Noto Sans Math","DejaVu Math TeX Gyre",math'
MATH_STYLE = f"<style>.derivation math{{font-family:{FONTS}}}</style>"

STEP = re.compile(r"_(?:\{(t[+-]\d+)\}|(t|T|\d+)(?![A-Za-z0-9_]))")  # in words


def fragment(lines: Sequence[Line], columns: bool = False, heading: str = "h2") -> str:
    """The derivation as a part of a page: a table for each part; a row has an equation, its steps and its reasons.

    Args:
        lines: of the derivation.
        columns: write vectors as columns.
        heading: the element of the heading above each part.
    """
    writer = MathMLWriter.of(lines, columns)
    parts = []
    for title, chosen in sections(lines):
        rows = []
        for line in chosen:
            when = math(writer.steps(line.steps, line.kind == "backward")) if line.steps else ""
            why = STEP.sub(r"<sub>\1\2</sub>", escape(printable("; ".join(line.why))))
            rows.append(f'<tr><td>{math(writer.line(line))}</td><td>{when}</td><td class="why">{why}</td></tr>')
        parts.append(f'<{heading}>{title}</{heading}>\n<table class="derivation">\n' + "\n".join(rows) + "\n</table>")
    return "\n".join([*parts, *(f"<p>{escape(note)}</p>" for note in notes(lines)), MATH_STYLE])


def html(lines: Sequence[Line], columns: bool = False, title: str = "Derivation") -> str:
    """The derivation as a page of its own."""
    body = f"<h1>{escape(title)}</h1>\n{fragment(lines, columns)}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    top = f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>'
    return f"{top}\n<body>\n{body}\n</body></html>\n"
