"""NumPy's ``.npz`` files, written, and read with suspicion: arrays of numbers by name, and nothing else.

``np.load`` believes a file: it returns members that are no arrays as bytes, takes memory for shapes that are only
claimed, and lets a small file expand a thousandfold. Here the directory, and then each header, is checked against the
size of the file before anything is unpacked.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

MOST_EXPANDED = 20
"""The largest size of arrays relative to their file: numbers seldom pack to less than a half."""

ALWAYS_ALLOWED = 1 << 20
"""The number of bytes that any file may expand to."""

MOST_MEMBERS = 100_000
MOST_AXES = 64
MOST_HEADER_BYTES = 2000
NUMBERS = "biufc"
READ_AT_ONCE = 1 << 20

DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, OverflowError)

UNIX = 3  # among the systems that a ZIP file may come from
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # NumPy's own; others take as much memory as the file says


Also = Callable[[np.dtype[Any]], bool]


def write_npz(file: BinaryIO, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays by name as an ``.npz`` file, as ``np.savez`` does; the same arrays always give the same bytes."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            array = np.ascontiguousarray(array).reshape(array.shape)  # the former makes a row of a single number
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.create_system = UNIX  # also on Windows
            entry.file_size = array.nbytes  # only from 2 GB on in the form for large files, which Pythons write unlike
            with archive.open(entry, "w") as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(array))
                member.write(array.reshape(-1).view(np.uint8).data)  # in one piece, which takes half the time


def read_npz(file: BinaryIO, also: Also = lambda dtype: False, *, packed: bool = True) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of an ``.npz`` file.

    Args:
        file: a file open for reading, at its beginning.
        also: returns True for dtypes that are accepted besides those of numbers.
        packed: whether the arrays may be compressed.

    Raises:
        ValueError: the file is damaged, would expand to much more than its size, or holds anything but numbers.
    """
    size = os.fstat(file.fileno()).st_size
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_directory(members, size, packed)
            return {member.filename[:-4]: _read_member(archive, member, also) for member in members}
    except DAMAGED as error:
        raise ValueError(f"it is damaged, or not an .npz file: {error}") from None


def _check_directory(members: list[zipfile.ZipInfo], size: int, packed: bool) -> None:
    """Check the directory's claims against the size of the file."""
    names = [member.filename for member in members]
    for member in members:
        if not member.filename.endswith(".npy"):
            raise ValueError(f"its member {member.filename!r:.60} is not an array")
        if member.compress_type not in (_PLAIN if packed else _PLAIN[:1]) or member.flag_bits & 1:
            raise ValueError(f"its member {member.filename!r:.60} is compressed in a way that isn't used here")
        if not 0 <= member.header_offset < size:
            raise ValueError(f"its member {member.filename!r:.60} would lie outside of the file")
    if len(members) > MOST_MEMBERS or len(set(names)) != len(names):
        raise ValueError(f"it has more than {MOST_MEMBERS:,} members, or one name twice")
    expanded = sum(member.file_size for member in members)
    if expanded > (max(MOST_EXPANDED * size, ALWAYS_ALLOWED) if packed else size):
        raise ValueError(
            f"its {size:,} bytes would expand to {expanded:,}, more than {MOST_EXPANDED} times as many. If that "
            "is right, read it by np.load and save the arrays again, unpacked"
        )


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, also: Also) -> npt.NDArray[Any]:
    """An array from an archive; its header is checked against the size of the member before memory is taken."""
    name = f"its member {member.filename!r:.60}"
    with archive.open(member) as file:
        shape, is_by_columns, dtype = read_header(file, name)
        if dtype.kind not in NUMBERS and not also(dtype):
            raise ValueError(f"{name} holds {dtype!s:.60}, not numbers")
        if file.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"{name} has another length than an array of shape {shape!r:.60}")
        array = np.empty(math.prod(shape), dtype)
        data = array.view(np.uint8)
        for start in range(0, data.size, READ_AT_ONCE):
            part = data[start : start + READ_AT_ONCE]
            found = file.read(part.size)
            if len(found) < part.size:
                raise ValueError(f"{name} is cut short")
            part[:] = np.frombuffer(found, np.uint8)
        if file.read(1):  # at its end, its checksum is compared
            raise ValueError(f"{name} has more bytes than its array")
    if dtype.kind == "b" and data.size and data.max() > 1:
        raise ValueError(f"{name} holds truth values that are neither true nor false")
    return array.reshape(shape[::-1]).T if is_by_columns else array.reshape(shape)


def read_header(file: Any, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape, order and dtype of an array; its header is read as data and never executed."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, is_by_columns, dtype = read(file, max_header_size=MOST_HEADER_BYTES)
    except Exception as error:  # of parsers of several kinds
        raise ValueError(f"{name} doesn't begin with the header of an array: {error!s:.200}") from None
    if len(shape) > MOST_AXES or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise ValueError(f"{name} has the impossible shape {shape!r:.60}")
    return shape, is_by_columns, dtype
