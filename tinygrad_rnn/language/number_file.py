"""A file of whole numbers, written part by part and mapped into memory.

It is the simplest kind of NumPy's ``.npy`` file (one dimension, format version 1.0), so that ``np.load`` reads it too.
But ``np.load`` believes all that a file says about its content. Here the header must be exactly as this module writes
it, so there is nothing in it to interpret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..data.files import open_to_read

_HEADER_BYTES = 128
"""NumPy's header for such an array has this length too, and room for 20 digits more."""

_READ_AT_ONCE = 1 << 20
"""The number of bytes read at a time; a multiple of every dtype's size."""

_BEGINNING = np.lib.format.magic(1, 0) + (_HEADER_BYTES - 10).to_bytes(2, "little")


def write_numbers(file: BinaryIO, parts: Iterable[npt.NDArray[Any]], dtype: np.dtype[Any]) -> None:
    """Write an array that arrives in parts; its length is put in front at the end, when it is known.

    Args:
        file: an empty file, open for writing.
        parts: arrays of shape (n,), each of ``dtype``.
        dtype: a dtype of whole numbers.
    """
    file.write(_header(dtype, 0))
    length = 0
    for part in parts:
        file.write(part.data)
        length += len(part)
    file.seek(0)
    file.write(_header(dtype, length))


def map_numbers(path: str | os.PathLike[str], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Map the numbers that ``write_numbers`` wrote, read-only.

    Raises:
        OSError: if there is no such file or it may not be read.
        ValueError: if it doesn't hold numbers of this dtype, or not as many as it says.
    """
    with open_to_read(path) as file:
        header = file.read(_HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size
        digits = re.search(rb"'shape': \((\d{1,18}),\)", header)
        length = int(digits[1]) if digits else 0
        if header != _header(dtype, length):
            raise ValueError(f"it is not a .npy file of one sequence of {dtype}")
        if size != _HEADER_BYTES + length * dtype.itemsize:
            raise ValueError(
                f"it is damaged: {length:,} numbers of {dtype} and their header take "
                f"{_HEADER_BYTES + length * dtype.itemsize:,} bytes, but it has {size:,}"
            )
        return np.memmap(file, dtype, "r", offset=_HEADER_BYTES, shape=(length,))


def largest_number(path: str | os.PathLike[str], dtype: np.dtype[Any]) -> int:
    """The largest of the numbers that ``write_numbers`` wrote, -1 if there are none.

    They are read part by part and not through the map, because pages read through a map count as memory in use.
    """
    largest = -1
    with open_to_read(path) as file:
        file.seek(_HEADER_BYTES)
        while data := file.read(_READ_AT_ONCE):
            largest = max(largest, int(np.frombuffer(data, dtype).max()))
    return largest


def _header(dtype: np.dtype[Any], length: int) -> bytes:
    fields = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': ({length},), }}"
    return _BEGINNING + fields.encode().ljust(_HEADER_BYTES - 11) + b"\n"
