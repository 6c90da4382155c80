"""Typed derivations as Python text: people type signs such as ``∂L/∂h_{t+1} ∘ (1 - h_t²)``, which isn't Python yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

SIGNS = {"∘": "*", "⊙": "*", "·": "*", "×": "*", "−": "-", "²": "**2", "³": "**3", "ᵀ": ".T", "_{": "_[", "}": "]",
         "≤": "<=", "≥": ">=", "≠": "!="}  # fmt: skip
HINTS = {
    "⊗": "write an outer product as np.outer(a, b)",
    "∂": "there is no such derivative here",
    "..": "write all steps out, as sum(... for t in range(1, T + 1))",
}
LEFT_SIDE = re.compile(r"\s*[^=<>!()]*[^=<>!()\s]\s*\+?=(?!=)\s*")


class Typed(NamedTuple):
    """An answer as Python text."""

    text: str  # the answer in Python
    origin: list[int]  # for each character of ``text``, its place in ``typed``
    typed: str  # the typed text

    def column(self, place: int) -> int:
        """The column in the typed text, counted from 1, for a place in the Python text."""
        inside = self.origin[min(place, len(self.origin) - 1)] if self.origin else 0
        return inside + 1


def as_python(typed: str, symbols: Mapping[str, str]) -> Typed:
    """An answer as Python text, without its left side if it has one.

    Args:
        typed: the typed text.
        symbols: printed names that aren't valid Python, with their names in Python.

    Example:
        >>> as_python("Δ_t = ∂L/∂h_t ∘ (1 - h_t²)", {"∂L/∂h": "dL_dh"}).text
        'dL_dh_t * (1 - h_t**2)'
    """
    left = LEFT_SIDE.match(typed)
    begin = left.end() if left is not None else len(typed) - len(typed.lstrip())
    known = {**symbols, **SIGNS, "\n": " ", "\r": " "}
    pattern = _any_of(known)
    text, origin, place = "", [], begin
    while place < len(typed):
        found = pattern.match(typed, place)
        new = known[found.group()] if found else typed[place]
        text += new
        origin += [place] * len(new)
        place = found.end() if found else place + 1
    return Typed(text.rstrip(), [*origin[: len(text.rstrip())], len(typed.rstrip())], typed)


def _any_of(signs: Iterable[str]) -> re.Pattern[str]:
    """A pattern of the signs, the longest first; a name neither begins nor ends within a word."""
    return re.compile("|".join(map(_pattern, sorted(signs, key=len, reverse=True))))


def _pattern(sign: str) -> str:
    begins = r"(?<![\w.])" if sign[0].isalnum() and sign not in SIGNS else ""
    ends = r"(?![^\W_])" if sign[-1].isalnum() and sign not in SIGNS else ""
    return begins + re.escape(sign) + ends


def hint(text: str) -> str:
    """A hint for a sign that Python can't read; "" if nothing is known."""
    found = next((advice for sign, advice in HINTS.items() if sign in text), "")
    if not found and re.search(r"[\w\])]\s+[\w(]", text):
        found = "write a matrix product with @, a product by element with *"
    return found
