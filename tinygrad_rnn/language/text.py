"""Text to train on: Python's own documentation, or a file of any size.

A file is decoded piece by piece, so a text far larger than the memory passes through in little of
it. What can't be decoded is an error that says where it stands and what to do.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterator

from ..data.files import open_to_read

CHUNK_BYTES = 1 << 18
"""The amount of a file that is decoded at a time."""

_PUNCTUATION = re.compile(r"[^\w\s'’-]|(?<!\w)['’-]|['’-](?!\w)")


def python_documentation() -> str:
    """The documentation that ships inside Python itself: real English text, always there.

    These are the chapters of the language reference that ``help()`` shows (``pydoc_data.topics``),
    in alphabetical order of their names, one blank line apart. It is some 460,000 to 520,000
    characters of about 100 kinds; each version of Python has its own text.

    Raises:
        ImportError: if this Python was installed without it.

    Example:
        >>> text = python_documentation()
        >>> text.startswith('The "assert" statement')
        True
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise ImportError(
            "this Python was installed without its own documentation (the module "
            "pydoc_data.topics). Pass the path of a text file to train on instead."
        ) from None
    return "\n\n".join(topics[name].strip("\n") for name in sorted(topics)) + "\n"


def stream_text(path: str | os.PathLike[str], encoding: str = "utf-8") -> Iterator[str]:
    r"""The text of a file, piece by piece, in memory that doesn't grow with the file.

    As with Python's ``open``, the line ends of Windows and of old Macs become ``"\n"``, so that
    the same text gives the same symbols everywhere. A byte order mark is no part of the text.

    Args:
        path: a regular file.
        encoding: any text encoding that Python knows.

    Yields:
        Pieces of text, none of them empty. A piece may end in the middle of a word.

    Raises:
        OSError: if there is no such file or it may not be read.
        ValueError: if the file is empty, isn't in this encoding (the message names the byte), or
            isn't a regular file.
        LookupError: if there is no such text encoding.
    """
    decoder = _decoder(encoding)
    one_newline = io.IncrementalNewlineDecoder(None, translate=True)
    with open_to_read(path) as file:
        position = 0
        at_start = True
        while True:
            data = file.read(CHUNK_BYTES)
            waiting = len(decoder.getstate()[0])  # bytes of a character cut in two
            try:
                piece = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                offset = position - waiting + error.start
                raise ValueError(_undecodable(path, encoding, offset, error)) from None
            position += len(data)
            if at_start and piece:
                piece = piece.removeprefix("\ufeff")
            piece = one_newline.decode(piece, final=not data)
            if piece:
                at_start = False
                yield piece
            if not data:
                break
    if at_start:
        raise ValueError(f"{os.fspath(path)} is empty. Give a file that holds some text.")


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8") -> str:
    """The whole text of a file that fits in memory.

    For one that doesn't, see ``stream_text`` and
    ``encode_file``.

    Args:
        path: a regular file.
        encoding: any text encoding that Python knows.

    Raises:
        OSError: if there is no such file or it may not be read.
        ValueError: if the file is empty, isn't in this encoding, or isn't a regular file.
        LookupError: if there is no such text encoding.
    """
    return "".join(stream_text(path, encoding))


def separate_punctuation(text: str) -> str:
    """Put spaces around punctuation, so that each mark becomes a word of its own.

    An apostrophe or a hyphen inside a word stays there.

    Example:
        >>> separate_punctuation("Stay at home, it's a well-known place.").split()
        ['Stay', 'at', 'home', ',', "it's", 'a', 'well-known', 'place', '.']
    """
    return _PUNCTUATION.sub(r" \g<0> ", text)


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    """A decoder of a *text* encoding; Python also calls ``zlib`` and ``hex`` codecs."""
    "".encode(encoding)  # raises a LookupError that says which of the two is wrong
    if codecs.lookup(encoding).name == "utf-8-sig":
        encoding = "utf-8"  # the byte order mark is dropped anyway; -sig would miscount by it
    return codecs.getincrementaldecoder(encoding)()


def _undecodable(path: str | os.PathLike[str], encoding: str, offset: int, error: UnicodeDecodeError) -> str:
    """The message for a file that isn't text: where it stops being text, and the cure."""
    message = f"{os.fspath(path)} is not {encoding.upper()} text: {error.reason} at byte {offset:,}"
    if error.start < len(error.object):
        message += f" (0x{error.object[error.start]:02X})"
    first = error.object[:2] if offset == 0 else b""
    if first in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return f"{message}. It begins as UTF-16 does: pass encoding='utf-16'."
    return (
        f"{message}. Save the file as UTF-8, or pass the encoding that it was written in, "
        "for example encoding='cp1252' for an older Windows text."
    )
