"""Rows of Python that fit: long statements and comments are broken where a person would break them."""

from __future__ import annotations

import itertools

INDENTED = "#     "


def wrapped(comment: str, width: int) -> list[str]:
    """A comment that is too long, as several rows; all but the first are indented."""
    rows = []
    while len(comment) > width:
        place = comment.rfind(" ", 0, width)
        if place < len(INDENTED):  # one long word
            break
        rows.append(comment[:place])
        comment = INDENTED + comment[place + 1 :]
    return [*rows, comment]


def broken(statement: str, width: int) -> list[str]:
    """A statement that is too long, broken after the commas of its outermost brackets, or before its signs."""
    if len(statement) <= width or "  # " in statement:
        return [statement]
    openings = (i for i, c in enumerate(statement) if c in "([{" and _closing(statement, i) >= len(statement) - 12)
    opening = next(openings, None)
    if opening is not None:
        end = _closing(statement, opening)
        pieces = _split(statement[opening + 1 : end])
        if len(pieces) > 1:
            rows = _filled_rows(pieces, width - 4)
            return [statement[: opening + 1], *(f"    {row}" for row in rows), statement[end:]]
    target, equals, value = statement.partition(" = ")
    terms = _split(value, " + ")
    if equals and len(terms) > 1:
        rows = _filled_rows([terms[0], *(f"+ {term}" for term in terms[1:])], width - 4)
        return [f"{target} = (", *(f"    {row}" for row in rows), ")"]
    return [statement]


def _filled_rows(pieces: list[str], width: int) -> list[str]:
    """The pieces in rows that are as full as possible."""
    rows = [pieces[0]]
    for piece in pieces[1:]:
        if len(rows[-1]) + len(piece) < width:
            rows[-1] += f" {piece}"
        else:
            rows.append(piece)
    return rows


def _closing(statement: str, opening: int) -> int:
    depths = itertools.accumulate((c in "([{") - (c in ")]}") for c in statement[opening:])
    return opening + next((i for i, depth in enumerate(depths) if not depth), len(statement))


def _split(text: str, at: str = ",") -> list[str]:
    """The pieces between outermost commas, each with its comma; or between other signs, without them."""
    pieces, depth, begin = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if not depth and text.startswith(at, i):
            pieces.append(text[begin : i + len(at)].strip() if at == "," else text[begin:i])
            begin = i + len(at)
    last = text[begin:].strip()
    return [*pieces, last] if last else pieces
