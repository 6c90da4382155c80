"""A file format for nested dicts, lists and tuples of arrays, numbers and strings: what a training run consists of.

A file may be cut short, damaged, or made by someone who means harm. So it ends with a checksum of everything before
it; nothing in it is executed or unpickled; and nothing that it says about sizes is believed before it agrees with
the size of the file.

=====================  =========================================================================================
bytes                  what
=====================  =========================================================================================
18                     ``tinygrad_rnn tree`` and a line end
8                      the length of the header, little-endian
that many              the header, JSON: the tree, with places for the arrays; their dtypes and shapes
the rest but 32        the arrays, one after another, in C order
32                     SHA-256 of all the bytes before it
=====================  =========================================================================================

In the JSON tree, ``null``, booleans, numbers, strings and lists stand for themselves. Everything else is an object
with one entry, which says what it is: ``{"dict": [[key, value], ...]}``, ``{"tuple": [...]}``, ``{"array": place}``,
or ``{"scalar": place}`` for a number of NumPy's own.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..data.files import open_to_read, replace_file

MAGIC = b"tinygrad_rnn tree\n"
LENGTH_BYTES = 8
CHECKSUM_BYTES = 32
MAX_HEADER_BYTES = 64 << 20
"""Numbers belong into arrays; JSON takes many times its size in memory when it is read."""
PLAIN = (type(None), bool, int, float, str)
DTYPE = re.compile(r"[<|>][?biufc][0-9]{1,2}")


def save_tree(tree: Any, path: str | os.PathLike[str]) -> None:
    """Write a tree to a file, whole or not at all: an older file is replaced in one step, when all is on the disk.

    Args:
        tree: Nested dicts (with strings or whole numbers as keys), lists and tuples of arrays, numbers, strings and
            None.
        path: The file.

    Raises:
        TypeError: There is something else in the tree; the message says where.
        ValueError: Without its arrays, the tree takes more than ``MAX_HEADER_BYTES``.
        OSError: The file can't be written.

    Example:
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "file")
        ...     save_tree({"weights": np.arange(3.0), "step": (7, None)}, path)
        ...     load_tree(path)
        {'weights': array([0., 1., 2.]), 'step': (7, None)}
    """
    arrays: list[np.ndarray] = []
    layout = _encoded(tree, "the tree", arrays)
    header = json.dumps({"tree": layout, "arrays": [[a.dtype.str, list(a.shape)] for a in arrays]}).encode()
    if len(header) > MAX_HEADER_BYTES:
        raise ValueError(
            f"without its arrays, the tree takes {len(header):,} bytes, more than the {MAX_HEADER_BYTES:,} that are "
            "read back; keep long lists of numbers as arrays"
        )
    with replace_file(path) as file:
        checksum = hashlib.sha256()
        for part in _parts(header, arrays):
            file.write(part)
            checksum.update(part)
        file.write(checksum.digest())


def load_tree(path: str | os.PathLike[str]) -> Any:
    """Read what ``save_tree`` wrote. The arrays are new ones, that may be written to.

    Args:
        path: The file.

    Raises:
        ValueError: The file is damaged, or something else altogether.
        OSError: The file can't be read.
    """
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        _check(path, file, size)
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        begin = len(MAGIC) + LENGTH_BYTES + length
        space = size - begin - CHECKSUM_BYTES
        try:
            if space < 0 or length > MAX_HEADER_BYTES:
                raise ValueError(f"its header can't have {length:,} bytes")
            header = json.loads(file.read(length))
            return _decoded(header["tree"], _read_arrays(file, header["arrays"], space))
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            # Its checksum is right, so it was not damaged but made so.
            raise ValueError(f"{Path(path)} holds no tree of arrays: {error!r:.200}") from None


def _parts(header: bytes, arrays: list[np.ndarray]) -> Iterator[Any]:
    """The bytes of a file but for the checksum, piece by piece."""
    yield MAGIC
    yield len(header).to_bytes(LENGTH_BYTES, "little")
    yield header
    for array in arrays:
        if array.size:  # the memory of an empty array can't be viewed as bytes
            yield array.reshape(-1).view(np.uint8).data


def _check(path: str | os.PathLike[str], file: BinaryIO, size: int) -> None:
    """Hold a file to its checksum, without keeping it in memory; leave it open behind its magic."""
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError(f"{Path(path)} is damaged, or no file of this kind: it doesn't begin with {MAGIC!r}")
    checksum = hashlib.sha256(MAGIC)
    left = size - len(MAGIC) - CHECKSUM_BYTES
    while left > 0 and (part := file.read(min(left, 1 << 20))):
        checksum.update(part)
        left -= len(part)
    if left != 0 or file.read() != checksum.digest():
        raise ValueError(f"{Path(path)} is damaged: its checksum is wrong")
    file.seek(len(MAGIC))


def _encoded(tree: Any, place: str, arrays: list[np.ndarray]) -> Any:
    """The tree as JSON can hold it; its arrays are added to ``arrays``."""
    if isinstance(tree, (np.ndarray, np.generic)):
        array = np.asarray(tree)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{place} is an array of {array.dtype}; only numbers can be saved")
        # ascontiguousarray makes a row of a single number
        arrays.append(np.ascontiguousarray(array).reshape(array.shape))
        return {"array" if isinstance(tree, np.ndarray) else "scalar": len(arrays) - 1}
    if type(tree) in PLAIN:
        return tree
    if type(tree) is list:
        return [_encoded(part, f"{place}[{i}]", arrays) for i, part in enumerate(tree)]
    if type(tree) is tuple:
        return {"tuple": [_encoded(part, f"{place}[{i}]", arrays) for i, part in enumerate(tree)]}
    if isinstance(tree, dict) and all(type(key) in (str, int) for key in tree):
        return {"dict": [[key, _encoded(tree[key], f"{place}[{key!r}]", arrays)] for key in tree]}
    raise TypeError(
        f"{place} is a {type(tree).__name__}; only arrays, numbers, strings, None, and lists, tuples and dicts of them "
        "(with strings or whole numbers as keys) can be saved"
    )


def _decoded(layout: Any, arrays: list[np.ndarray]) -> Any:
    if type(layout) in PLAIN:
        return layout
    if isinstance(layout, list):
        return [_decoded(part, arrays) for part in layout]
    ((kind, content),) = layout.items()
    if kind == "tuple":
        return tuple(_decoded(part, arrays) for part in content)
    if kind == "dict":
        return {key: _decoded(value, arrays) for key, value in content}
    if kind == "array":
        return arrays[content]
    if kind == "scalar":
        return arrays[content][()]
    raise ValueError(f"unknown kind {kind!r}")


def _read_arrays(file: BinaryIO, descriptions: list[Any], space: int) -> list[np.ndarray]:
    """The arrays of a file that has ``space`` bytes left for them."""
    dtypes, shapes = [], []
    for name, shape in descriptions:
        if not DTYPE.fullmatch(name) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"no array of numbers: {name}, {shape}")
        dtypes.append(np.dtype(name))
        shapes.append(tuple(shape))
    if sum(dtype.itemsize * math.prod(shape) for dtype, shape in zip(dtypes, shapes)) != space:
        raise ValueError("its arrays don't fill it")
    arrays = []
    for dtype, shape in zip(dtypes, shapes):
        data = bytearray(file.read(dtype.itemsize * math.prod(shape)))  # a bytearray makes a writable array
        arrays.append(np.frombuffer(data, dtype).reshape(shape))
    return arrays
