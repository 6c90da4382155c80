"""The notation of MathML, which browsers show without a script: in pages, and in pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from xml.etree.ElementTree import Element, fromstring, tostring

from ...autodiff.texts import printable
from ..equations.expressions import Expression
from .notation import ACCENTS, ATOM, BY_ELEMENT, Notation, Piece, letter_and_accent
from .writer import TextWriter

SIGNS = {"-": "−", "∘": "⊙", "and": "∧", "or": "∨"}
LETTERS = set("ijlmnopq")  # of entries
TOKEN = re.compile(r"([A-Za-z]+)|([0-9]+(?:\.[0-9]+)?)|(\.\.\.?|[-+=∈,:;·(){}\[\]])|( +)|(.)")


def operator(sign: str) -> str:
    """A sign between two things, or before one."""
    return f"<mo>{escape(SIGNS.get(sign, sign)) or '&#x2062;'}</mo>"  # a product without a sign has an invisible one


def row(*parts: str) -> str:
    """Several elements as one."""
    return f"<mrow>{''.join(parts)}</mrow>"


class _MathML(Notation):
    """MathML: pieces are elements, one or several in a row."""

    minus = operator("-")
    has_bars = True

    def name(self, base: str, mark: str = "", step: str = "") -> str:
        letter, accent = letter_and_accent(base)
        head = f"<mi>{escape(printable(letter))}</mi>"
        head = f'<mover accent="true">{head}{operator(ACCENTS[accent])}</mover>' if accent else head
        above = row(operator("("), self.name(mark), operator(")")) if mark else ""
        below = row(self.plain(step)) if step else ""
        if above and below:
            return f"<msubsup>{head}{below}{above}</msubsup>"
        return f"<msub>{head}{below}</msub>" if below else f"<msup>{head}{above}</msup>" if above else head

    def vector(self, names: Sequence[str], step: str) -> str:
        return f"<msub>{row(self.bracketed(operator(',').join(names)))}{row(self.plain(step))}</msub>"

    def number(self, text: str) -> Piece:
        mantissa, e, exponent = text.partition("e")
        if not e:
            return f"<mn>{escape(text)}</mn>", ATOM
        power = f"<msup><mn>10</mn>{row(self.plain(str(int(exponent))))}</msup>"
        return f"<mn>{escape(mantissa)}</mn>{operator('·')}{power}", BY_ELEMENT

    def plain(self, text: str) -> str:
        found = []
        for word, number, sign, _, other in TOKEN.findall(text.replace(" in {", " ∈ {")):  # of steps
            if word and set(word) <= LETTERS:
                found += [f"<mi>{letter}</mi>" for letter in word]
            elif word:
                found.append(f"<mi>{word}</mi>" if len(word) == 1 else f"<mtext>{word}</mtext>")
            elif number:
                found.append(f"<mn>{number}</mn>")
            elif sign:
                found += map(operator, {"..": ",…,", "...": "…"}.get(sign, sign))
            elif other:
                found.append(f"<mtext>{escape(printable(other))}</mtext>")
        return "".join(found)

    def derivative(self, of: str, by: str, direct: bool = False) -> str:
        d = f"<msup>{operator('∂')}{operator('+')}</msup>" if direct else operator("∂")
        return f"<mfrac>{row(d, of)}{row(operator('∂'), by)}</mfrac>"

    def equals(self, left: str, right: str) -> str:
        return f"{left}{operator('=')}{right}"

    def bracketed(self, text: str) -> str:
        return row(operator("("), text, operator(")"))

    def listed(self, parts: Sequence[str], mark: str = ", ") -> str:
        return row(operator("["), operator(mark.strip()).join(parts), operator("]"))

    def infix(self, sign: str, parts: Sequence[str]) -> str:
        return operator(sign).join(parts)

    def fraction(self, above: str, below: str) -> str:
        return f"<mfrac>{row(above)}{row(below)}</mfrac>"

    def power(self, base: str, exponent: str) -> str:
        above = operator("⊤") if exponent == "T" else row(self.plain(exponent))
        return f"<msup>{row(base)}{above}</msup>"

    def taken(self, array: str, index: str) -> str:
        opening, closing = (f'<mo stretchy="false">{sign}</mo>' for sign in "[]")
        return f"<msub>{row(array)}{row(opening, index, closing)}</msub>"

    def entry(self, array: str, place: str) -> str:
        return f"<msub>{self.bracketed(array)}{row(self.plain(place))}</msub>"

    def call(self, function: str, arguments: Sequence[str]) -> str:
        if function == "sqrt":
            return f"<msqrt>{arguments[0]}</msqrt>"
        if function == "abs":
            return row(operator("|"), arguments[0], operator("|"))
        inside = self.bracketed(operator(",").join(arguments))
        return f"<mi>{escape(printable(function))}</mi><mo>&#x2061;</mo>{inside}"

    def sum_over(self, what: str, inner: str) -> str:
        below = "t = 1..T" if what == "t" else what
        return f"<munder>{operator('∑')}{row(self.plain(below))}</munder>{inner}"

    def during(self, term: str, steps: str) -> str:
        return term + row(self.listed([self.plain(steps)]))  # no list, whose parts may stand in different lines

    def cases(self, chosen: str, condition: str, other: str) -> str:
        rows = ((chosen, condition), (other, "<mtext>otherwise</mtext>"))
        table = "".join(f"<mtr><mtd>{row(value)}</mtd><mtd>{row(when)}</mtd></mtr>" for value, when in rows)
        return row(operator("{"), f"<mtable>{table}</mtable>")

    def blank(self, number: int) -> str:
        return f'<mtext style="border: 1px solid; border-radius: 3px; padding: 0.1em 2em">({number})</mtext>'


MATHML = _MathML()


class MathMLWriter(TextWriter):
    """Writes expressions as MathML."""

    notation = MATHML

    def piece(self, e: Expression) -> Piece:
        """An expression as elements, and how tightly it binds."""
        text, binding = super().piece(e)
        return (text if "<" in text else self.notation.plain(text)), binding


def math(inside: str) -> str:
    """An equation on a line of its own."""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow>{inside}</mrow></math>'


def in_pieces(inside: str) -> str:
    """An equation that may go on in the next line: an element for each of its terms, or for each part of a list."""
    pieces: list[list[Element]] = [[]]
    for element in _opened(fromstring(f"<mrow>{inside}</mrow>")):
        begun = pieces[-1]
        if _is(element, "+", SIGNS["-"]) and begun and not _is(begun[-1], "=", "["):
            element.set("form", "infix")  # a sign that begins a piece would be taken for that of a number
            pieces.append([])
        pieces[-1].append(element)
        if _is(element, ","):
            pieces.append([])
    return "<wbr/>".join(math("".join(tostring(element, "unicode") for element in piece)) for piece in pieces)


def _is(element: Element, *signs: str) -> bool:
    return element.tag == "mo" and element.text in signs


def _opened(row: Element) -> Iterator[Element]:
    """The elements of a row, and in the place of a list its brackets and its parts."""
    for element in row:
        is_list = element.tag == "mrow" and len(element) and element[0].text == "["
        yield from element if is_list else (element,)
