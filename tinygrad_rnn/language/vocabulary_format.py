"""The file format of vocabularies: JSON with a checksum, read with suspicion.

A file may be damaged, or made by someone who means harm. Nothing in it is executed, everything is checked, and its size
is limited before memory is spent on it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple, NoReturn

import numpy as np

MAX_BYTES = 32 << 20
"""The largest size of a vocabulary that is written or read: some three million words."""

MAX_SYMBOL_LENGTH = 100_000
"""The largest number of characters of a symbol."""

MAX_CONTAINERS = 1000
"""The largest number of opening brackets; a vocabulary has two: an object, and the list of its symbols."""

_FORMAT = "tinygrad_rnn vocabulary, version 1"
_FIELDS = {"format", "kind", "unknown", "symbols", "sha256"}


class Content(NamedTuple):
    """The content of a vocabulary file: kind, symbols, and the symbol for unknown ones."""

    kind: str
    unknown: str | None
    symbols: tuple[str, ...]


def check_symbol(symbol: Any, number: int) -> None:
    """Raise an error for a symbol that no vocabulary may hold.

    Raises:
        TypeError: if it isn't a string.
        ValueError: if it is empty, too long, or can't be written as UTF-8.
    """
    if not isinstance(symbol, str):
        raise TypeError(f"symbol number {number} must be a string, not {type(symbol).__name__}")
    if not symbol:
        raise ValueError(f"symbol number {number} is empty")
    if len(symbol) > MAX_SYMBOL_LENGTH:
        raise ValueError(
            f"symbol number {number} has {len(symbol):,} characters ({symbol[:30]!r}...); "
            f"at most {MAX_SYMBOL_LENGTH:,} are allowed"
        )
    try:
        symbol.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"symbol number {number}, {symbol[:30]!r}, holds half of a surrogate pair, which is no character"
        ) from None


def to_bytes(content: Content) -> bytes:
    """A vocabulary as UTF-8 JSON.

    Raises:
        ValueError: if that is more than ``MAX_BYTES``.
    """
    fields = {"format": _FORMAT, **content._asdict(), "sha256": _checksum(content)}
    data = json.dumps(fields, ensure_ascii=False, indent=0).encode() + b"\n"
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"this vocabulary of {len(content.symbols):,} {content.kind} would take "
            f"{len(data):,} bytes, more than the {MAX_BYTES:,} that are read back. "
            "Leave out the rare ones: min_count=2, or max_size=..., with unknown=..."
        )
    return data


def from_bytes(data: bytes, source: str) -> Content:
    """The content of a vocabulary, read from bytes that ``to_bytes`` wrote.

    The symbols are strings, but not yet checked any further.

    Args:
        data: UTF-8 JSON.
        source: the name of the file, for the errors.

    Raises:
        ValueError: if ``data`` isn't a vocabulary, is too large, or is damaged.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"{source} is not a vocabulary: it has more than {MAX_BYTES:,} bytes")
    try:
        _check_structure(data)
        fields = json.loads(data.decode(), parse_int=_no_number, parse_float=_no_number, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # RecursionError: a million brackets
        raise ValueError(f"{source} is not a vocabulary: it is not such JSON ({error})") from None
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
        raise ValueError(
            f'{source} is not a vocabulary: it has no entry "format": "{_FORMAT}". '
            "Give a file that was written by a vocabulary's save()."
        )
    if fields.keys() != _FIELDS:
        odd = ", ".join(map(repr, sorted(_FIELDS ^ fields.keys())[:5]))
        raise ValueError(f"{source} is damaged: these entries are missing or unexpected: {odd:.200}")
    kind, unknown, symbols = fields["kind"], fields["unknown"], fields["symbols"]
    if (
        not isinstance(kind, str)
        or not isinstance(unknown, str | None)
        or not isinstance(symbols, list)
        or not all(isinstance(symbol, str) for symbol in symbols)
    ):
        raise ValueError(f'{source} is damaged: "kind", "unknown" or "symbols" has the wrong type')
    content = Content(kind, unknown, tuple(symbols))
    if fields["sha256"] != _checksum(content):
        raise ValueError(
            f"{source} is damaged or was changed by hand: its checksum is wrong. "
            "Restore it, or make the vocabulary from its text again."
        )
    return content


def _check_structure(data: bytes) -> None:
    """Raise ValueError for nested lists: an empty list takes twenty times as much memory as it has characters.

    Raises:
        ValueError: if there are more lists than a vocabulary has.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_CONTAINERS:
        return
    characters = np.frombuffer(data.replace(rb"\\", b"").replace(rb"\"", b""), np.uint8)
    is_inside = np.logical_xor.accumulate(characters == ord('"'))  # of a string: behind its first quote
    opens = (characters == ord("[")) | (characters == ord("{"))
    if np.count_nonzero(opens & ~is_inside) > MAX_CONTAINERS:
        raise ValueError("it holds lists of lists")


def _checksum(content: Content) -> str:
    """A fingerprint of the content, however its JSON is laid out."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _no_number(text: str) -> NoReturn:
    """Raise ValueError for numbers: a vocabulary has none, and a long one takes long to read."""
    raise ValueError(f"it holds the number {text[:30]}")
