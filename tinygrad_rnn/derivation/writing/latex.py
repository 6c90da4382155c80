r"""A derivation as LaTeX, and as Markdown with LaTeX in it: the notation of ``text``, in the signs of ``amsmath``.

Names come from users, so each is written letter by letter: anything that LaTeX would obey is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...autodiff.tables import in_markdown
from ..equations.lines import Line
from .notation import ATOM, BY_ELEMENT, GREEK, Notation, Piece, letter_and_accent
from .text import notes, sections
from .writer import TextWriter

ESCAPED = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "_": r"\_", "^": r"\wedge ", "%": r"\%", "#": r"\#", "&": r"\&",
    "$": r"\$", "~": r"\sim ", "'": "'", " ": r"\ ",
}  # fmt: skip
NAMED = {"tanh", "exp", "log", "sin", "cos", "max", "min", "sinh", "cosh"}  # LaTeX has a command of that name


SIGNS = {
    "∘": r"\odot", "⊗": r"\otimes", "·": r"\cdot", "⋯": r"\cdots", "≥": r"\ge", "≤": r"\le", "≠": r"\ne",
    "and": r"\wedge", "or": r"\vee",
}  # fmt: skip


class _Latex(Notation):
    r"""LaTeX: ``\Delta_{t} = \frac{\partial L}{\partial h_{t}} \odot \left(1 - {h_{t}}^{2}\right)``."""

    has_bars = True

    def name(self, base: str, mark: str = "", step: str = "") -> str:
        above = f"^{{({name(mark)})}}" if mark else ""
        return f"{name(base)}{above}{self._below(step)}"

    def _below(self, step: str) -> str:
        return f"_{{{step.replace('..', ':')}}}" if step else ""

    def number(self, text: str) -> Piece:
        mantissa, e, exponent = text.partition("e")
        return (rf"{mantissa} \cdot 10^{{{int(exponent)}}}", BY_ELEMENT) if e else (text, ATOM)

    def plain(self, text: str) -> str:
        if text == "·":
            return r"\cdot"
        if text == "...":
            return r"\dots"
        if text.startswith(("t = ", "k = ")):
            return text.replace("..", r", \dots, ")
        if text.startswith("t in "):
            return rf"t \in \{{{text[6:-1]}\}}"
        return text if re.fullmatch(r"[-+\w:, ]*", text, re.ASCII) and "_" not in text else rf"\text{{{escaped(text)}}}"

    def derivative(self, of: str, by: str, direct: bool = False) -> str:
        return rf"\frac{{\partial{'^{+}' if direct else ''} {of}}}{{\partial {by}}}"

    def equals(self, left: str, right: str) -> str:
        return f"{left} &= {right}"  # lines are aligned at this sign

    def bracketed(self, text: str) -> str:
        return rf"\left({text}\right)"

    def listed(self, parts: Sequence[str], mark: str = ", ") -> str:
        return rf"\left[{mark.join(parts)}\right]"

    def infix(self, sign: str, parts: Sequence[str]) -> str:
        return (f" {SIGNS.get(sign, sign)} " if sign else r"\, ").join(parts)

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def power(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{TRANSPOSED if exponent == 'T' else exponent}}}"

    def taken(self, array: str, index: str) -> str:
        return f"{{{array}}}_{{[{index}]}}"

    def call(self, function: str, arguments: Sequence[str]) -> str:
        if function == "sqrt":
            return rf"\sqrt{{{arguments[0]}}}"
        if function == "abs":
            return rf"\left|{arguments[0]}\right|"
        return rf"{function_name(function)}\left({', '.join(arguments)}\right)"

    def sum_over(self, what: str, inner: str) -> str:
        if what == "t":
            return rf"\sum_{{t=1}}^{{T}} {inner}"
        letter, is_range, ends = what.partition(" = ")
        if is_range and letter == "k":
            first, _, last = ends.partition("..")
            return rf"\sum_{{k={first}}}^{{{last}}} {inner}"
        below = rf"\text{{{what}}}" if what.isalpha() else self.plain(what)
        return rf"\sum_{{{below}}} {inner}"

    def during(self, term: str, steps: str) -> str:
        return rf"{term}\, [{self.plain(steps)}]"

    def cases(self, chosen: str, condition: str, other: str) -> str:
        return rf"\begin{{cases}} {chosen} & {condition} \\ {other} & \text{{otherwise}} \end{{cases}}"

    def blank(self, number: int) -> str:
        return rf"\boxed{{\quad \text{{({number})}} \quad}}"


TRANSPOSED = r"\top"


LATEX = _Latex()


class LatexWriter(TextWriter):
    """Writes expressions as LaTeX."""

    notation = LATEX


def name(text: str) -> str:
    r"""A name of a user's, as LaTeX: one letter as a variable, more of them as a word.

    Example:
        >>> print(name("W"), name("W_hh"), name("σ"), name("x²"))
        W \mathit{W\_hh} \sigma \mathit{x^{2}}
        >>> print(name("gamma"), name("c_hat"))
        \gamma \hat{c}
    """
    text, accent = letter_and_accent(text)
    if accent:
        return rf"\{accent}{{{name(text)}}}"
    if text == "…":
        return r"\dots"
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


def function_name(word: str) -> str:
    """The LaTeX name of a function."""
    if word == "σ":
        return r"\sigma"
    return rf"\{word}" if word in NAMED else rf"\operatorname{{{escaped(word)}}}"


def latex(lines: Sequence[Line], columns: bool = False) -> str:
    """The derivation as ``align*`` environments, one for each part, under a comment with its title."""
    writer, blocks = LatexWriter.of(lines, columns), []
    for title, chosen in sections(lines):
        rows = [(writer.line(line), _when(writer, line)) for line in chosen]
        body = " \\\\\n".join(f"{equation} && {when}" if when else equation for equation, when in rows)
        blocks.append(f"% {title}\n\\begin{{align*}}\n{body}\n\\end{{align*}}")
    return "\n\n".join(blocks)


def markdown(lines: Sequence[Line], columns: bool = False) -> str:
    """The derivation as Markdown: a heading for each part, an equation for each line, with its reason."""
    writer = LatexWriter.of(lines, columns)
    text: list[str] = []
    for title, chosen in sections(lines):
        text.append(f"### {title}")
        for line in chosen:
            when, why = _when(writer, line), in_markdown("; ".join(line.why))
            shown = writer.line(line).replace(" &= ", " = ", 1) + (rf" \qquad {when}" if when else "")
            text.append(f"$$\n{shown}\n$$" + (f"\n\n{why}" if why else ""))
    return "\n\n".join([*text, *notes(lines)]) + "\n"


def _when(writer: TextWriter, line: Line) -> str:
    """The steps for which a line holds."""
    return writer.steps(line.steps, line.kind == "backward") if line.steps else ""
