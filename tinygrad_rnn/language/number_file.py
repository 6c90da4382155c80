"""A file of whole numbers, NumPy's ``.npy`` of one sequence, written part by part and mapped into memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..data.files import open_to_read
from ..data.npz_file import READ_AT_ONCE, read_header


def write_numbers(file: BinaryIO, parts: Iterable[npt.NDArray[Any]], dtype: np.dtype[Any]) -> None:
    """Write an array that arrives in parts; its length is put in front at the end, when it is known.

    Args:
        file: an empty file, open for writing.
        parts: arrays of shape (n,), each of ``dtype``.
        dtype: a dtype of whole numbers.
    """
    length = 0
    _write_header(file, dtype, length)  # NumPy leaves room in it for any length
    for part in parts:
        file.write(part.data)
        length += len(part)
    file.seek(0)
    _write_header(file, dtype, length)


def _write_header(file: BinaryIO, dtype: np.dtype[Any], length: int) -> None:
    fields = {"descr": dtype.str, "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, fields)


def map_numbers(path: str | os.PathLike[str], dtype: np.dtype[Any]) -> np.memmap[Any, Any]:
    """Map the numbers that ``write_numbers`` wrote, read-only.

    Raises:
        OSError: if there is no such file or it may not be read.
        ValueError: if it doesn't hold numbers of this dtype, or not as many as it says.
    """
    with open_to_read(path) as file:
        shape, _, found = read_header(file, "it")
        if found != dtype or len(shape) != 1:
            raise ValueError(f"it is not a .npy file of one sequence of {dtype}")
        begin, size = file.tell(), os.fstat(file.fileno()).st_size
        if size != begin + shape[0] * dtype.itemsize:
            raise ValueError(
                f"it is damaged: {shape[0]:,} numbers of {dtype} and their header take "
                f"{begin + shape[0] * dtype.itemsize:,} bytes, but it has {size:,}"
            )
        return np.memmap(file, dtype, "r", offset=begin, shape=shape)


def largest_number(path: str | os.PathLike[str], numbers: np.memmap[Any, Any]) -> int:
    """The largest of the numbers that were mapped from a file, -1 if there are none.

    They are read part by part and not through the map, because pages read through a map count as memory in use.
    """
    largest = -1
    with open_to_read(path) as file:
        file.seek(numbers.offset)
        while data := file.read(READ_AT_ONCE):
            largest = max(largest, int(np.frombuffer(data, numbers.dtype).max()))
    return largest
