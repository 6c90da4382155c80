"""A text as an array of its symbols' numbers, in the smallest dtype; for a text of any size."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.files import replace_file
from .number_file import largest_number, map_numbers, write_numbers
from .text import stream_text
from .vocabulary import Vocabulary

Array = npt.NDArray[Any]


def encode_file(
    path: str | os.PathLike[str],
    vocabulary: Vocabulary,
    *,
    out: str | os.PathLike[str] | None = None,
    encoding: str = "utf-8",
) -> Array:
    """Encode a text file of any size, of which little is in memory at a time.

    Args:
        path: the file; see ``stream_text`` for what can be wrong
            with it.
        vocabulary: the vocabulary, which maps symbols to numbers.
        out: as in ``encode_text``.
        encoding: any text encoding that Python knows.

    Returns:
        As ``encode_text`` does.

    Raises:
        OSError: if the file may not be read, or ``out`` can't be written.
        ValueError: if the file isn't such text; or if a symbol isn't in the vocabulary, and that has
            no ``unknown``.
    """
    return encode_text(stream_text(path, encoding), vocabulary, out=out)


def encode_text(
    text: str | Iterable[str],
    vocabulary: Vocabulary,
    *,
    out: str | os.PathLike[str] | None = None,
) -> Array:
    """Encode a text, whole or in pieces, into one array, in the smallest dtype that holds the numbers.

    With 256 symbols or fewer a symbol takes one byte, with 65,536 or fewer two, else four.

    Args:
        text: one text, or its consecutive pieces, in any lengths.
        vocabulary: the vocabulary, which maps symbols to numbers.
        out: a file to write the numbers to (``.npy``), whole or not at all; an older one is replaced. The result is
            then mapped from that file, read-only, and takes no memory of its own. ``load_encoded`` maps it again later.

    Returns:
        An array of shape (number of symbols,) of ``uint8``, ``uint16`` or ``uint32``. (These wrap around in arithmetic:
        convert them before you calculate.)

    Raises:
        OSError: if ``out`` can't be written.
        ValueError: if a symbol isn't in the vocabulary, and that has no ``unknown``.
    """
    dtype = _compact_dtype(vocabulary)
    pieces = [text] if isinstance(text, str) else text
    parts = (numbers.astype(dtype) for numbers in vocabulary.encode_stream(pieces))
    if out is None:
        # Grown in place: joining a list of parts would need the memory twice.
        collected = bytearray()
        for part in parts:
            collected += part.data
        return np.frombuffer(collected, dtype)
    with replace_file(out) as file:
        write_numbers(file, parts, dtype)
    return map_numbers(out, dtype)


def load_encoded(path: str | os.PathLike[str], vocabulary: Vocabulary) -> Array:
    """Map the numbers that ``encode_file(..., out=path)`` wrote, without reading them into memory.

    Args:
        path: a ``.npy`` file.
        vocabulary: the vocabulary that the text was encoded with.

    Returns:
        A read-only array of shape (number of symbols,), mapped from the file.

    Raises:
        OSError: if there is no such file or it may not be read.
        ValueError: if the file is damaged, is something else, or holds a number that no symbol of this vocabulary has.
    """
    name = os.fspath(path)
    try:
        numbers = map_numbers(path, _compact_dtype(vocabulary))
    except ValueError as error:
        raise ValueError(
            f"{name} is not a text encoded with this vocabulary of {len(vocabulary):,} "
            f"{vocabulary.kind}: {error}. Encode the text again: encode_file(text, vocabulary, "
            "out=...)."
        ) from None
    largest = largest_number(path, numbers)
    if largest >= len(vocabulary):
        raise ValueError(
            f"{name} holds the number {largest}, but this vocabulary ends at "
            f"{len(vocabulary) - 1}: it was encoded with another one, or it is damaged"
        )
    return numbers


def _compact_dtype(vocabulary: Vocabulary) -> np.dtype[Any]:
    """The smallest unsigned dtype that holds every number of the vocabulary."""
    return np.min_scalar_type(len(vocabulary) - 1)
