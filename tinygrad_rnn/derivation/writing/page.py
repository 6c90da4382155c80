"""A derivation as an HTML page of its own: equations as MathML, which browsers show without a script."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from html import escape

from ...autodiff.texts import printable
from ..equations.lines import Line
from .mathml import MathMLWriter, in_pieces, math
from .text import notes, sections

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: 0.35rem 0.8rem; border-top: 1px solid #d7dce1; vertical-align: middle; text-align: left; }
th { font-weight: normal; color: #4d5a68; }
td.why { color: #4d5a68; font-size: 0.9em; min-width: 14rem; }
math { font-size: 1.15em; }
@media (prefers-color-scheme: dark) { body { background: #12181f; color: #e6ebf0; } th, td.why { color: #a9b4c0; } }
"""

# Without a font for mathematics, browsers leave subscripts on the line: a_t looks like a product of a and t. So the
# usual ones of each system are named: "math" alone may be none.
FONTS = '"Latin Modern Math","STIX Two Math","Cambria Math","Noto Sans Math","DejaVu Math TeX Gyre",math'
MATH_STYLE = f"<style>.derivation math{{display:inline math;math-style:normal;font-family:{FONTS}}}</style>"

MARK = re.compile(r"\^(\w+?)(?=_(?:\{t|t|T|\d+)(?![A-Za-z0-9_]))")  # of a^i_t, in words
STEP = re.compile(r"_(?:\{(t[+-]\d+)\}|(t|T|\d+)(?![A-Za-z0-9_]))")  # in words


def fragment(lines: Sequence[Line], columns: bool = False, heading: str = "h2") -> str:
    """The derivation as a part of a page: a table for each part, whose rows have an equation and its reasons.

    Args:
        lines: of the derivation.
        columns: write vectors as columns.
        heading: the element of the heading above each part.
    """
    writer = MathMLWriter.of(lines, columns)
    parts = []
    for title, chosen in sections(lines):
        rows: list[str] = []
        for steps, alike in itertools.groupby(chosen, lambda line: line.steps):
            if steps or rows:
                when = f"for {math(writer.steps(steps, chosen[0].kind == 'backward'))}" if steps else "once"
                rows.append(f'<tr><th colspan="2">{when}</th></tr>')
            for line in alike:
                why = MARK.sub(r"<sup>\1</sup>", escape(printable("; ".join(line.why))))
                why = STEP.sub(r"<sub>\1\2</sub>", why)
                rows.append(f'<tr><td>{in_pieces(writer.line(line))}</td><td class="why">{why}</td></tr>')
        parts.append(f'<{heading}>{title}</{heading}>\n<table class="derivation">\n' + "\n".join(rows) + "\n</table>")
    return "\n".join([*parts, *(f"<p>{escape(note)}</p>" for note in notes(lines)), MATH_STYLE])


def html(lines: Sequence[Line], columns: bool = False, title: str = "Derivation") -> str:
    """The derivation as a page of its own."""
    body = f"<h1>{escape(title)}</h1>\n{fragment(lines, columns)}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    top = f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>'
    return f"{top}\n<body>\n{body}\n</body></html>\n"
