"""A file format for nested dicts, lists and tuples of arrays, numbers and strings: the format of checkpoints.

A file may be cut short, damaged, or made by someone who means harm. So it ends with a checksum of everything before
it; nothing in it is executed or unpickled; and nothing that it says about sizes is believed before it agrees with
the size of the file. Reading takes no longer than a file of its size may take, and at most some 25 times that size in
memory (an empty list, two characters of JSON, takes so much).

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
with its kind as the only key: ``{"dict": [[key, value], ...]}``, ``{"tuple": [...]}``, ``{"array": place}``,
or ``{"scalar": place}`` for a NumPy scalar.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..data.files import open_to_read, replace_file

MAGIC = b"tinygrad_rnn tree\n"
LENGTH_BYTES = 8
CHECKSUM_BYTES = 32
MAX_HEADER_BYTES = 16 << 20
"""The most bytes of a header. Long lists of numbers belong in arrays; parsed JSON takes many times its size."""
MAX_PARTS = 1 << 20
"""The most values that a header may hold, without the arrays."""
MAX_AXES = 64
"""NumPy's own limit."""
MAX_LARGE_KEYS = 100
"""The most whole numbers beyond 2**60 as keys of one dict: Python hashes them by remainders, which may all be equal."""
PLAIN = (type(None), bool, int, float, str)
DTYPE = re.compile(r"[<|>][?biufc][0-9]{1,2}")


def save_tree(tree: Any, path: str | os.PathLike[str]) -> None:
    """Write a tree to a file, whole or not at all: an older file is replaced in one step, when all is on the disk.

    Args:
        tree: nested dicts (with strings or whole numbers as keys), lists and tuples of arrays, numbers, strings and
            None.
        path: the file.

    Raises:
        TypeError: the tree holds something else; the message says where.
        ValueError: without its arrays, the tree takes more than ``MAX_HEADER_BYTES``, or has more than ``MAX_PARTS``
            values.
        OSError: the file can't be written.

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
    if len(header) > MAX_HEADER_BYTES or _parts_of(header) > MAX_PARTS:
        raise ValueError(
            f"without its arrays, the tree takes {len(header):,} bytes and has some {_parts_of(header):,} values, more "
            f"than the {MAX_HEADER_BYTES:,} bytes, or the {MAX_PARTS:,} values, that are read back; keep long lists of "
            "numbers as arrays"
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
        path: the file.

    Raises:
        ValueError: the file is damaged, or not of this kind.
        OSError: the file can't be read.
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
            data = file.read(length)
            if _parts_of(data) > MAX_PARTS:
                raise ValueError(f"its header can't have {_parts_of(data):,} values")
            header = json.loads(data)
            del data
            arrays = _read_arrays(file, header["arrays"], space)
            tree = _decoded(header["tree"], arrays)
            if any(array is not None for array in arrays):
                raise ValueError("it holds arrays that have no place in the tree")
            return tree
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            # Its checksum is right, so it was written this way and not damaged later.
            raise ValueError(f"{Path(path)} holds no tree of arrays: {error!r:.200}") from None


def _parts_of(header: bytes) -> int:
    """An upper bound on the number of values in JSON, found without reading it."""
    return header.count(b",") + header.count(b"[") + header.count(b"{")


def _parts(header: bytes, arrays: list[np.ndarray]) -> Iterator[Any]:
    """The bytes of a file but for the checksum, piece by piece."""
    yield MAGIC
    yield len(header).to_bytes(LENGTH_BYTES, "little")
    yield header
    for array in arrays:
        if array.size:  # the memory of an empty array can't be viewed as bytes
            yield array.reshape(-1).view(np.uint8).data


def _check(path: str | os.PathLike[str], file: BinaryIO, size: int) -> None:
    """Compare a file with its checksum, without keeping it in memory; leave the file open after its magic."""
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
    """The tree in a form that JSON can hold; its arrays are appended to ``arrays``."""
    if isinstance(tree, (np.ndarray, np.generic)):
        array = np.asarray(tree)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{place} is an array of {array.dtype}; only numbers can be saved")
        # because ascontiguousarray makes a row of a single number
        arrays.append(np.ascontiguousarray(array).reshape(array.shape))
        return {"array" if isinstance(tree, np.ndarray) else "scalar": len(arrays) - 1}
    if type(tree) in PLAIN:
        return tree
    if type(tree) is list:
        return [_encoded(part, f"{place}[{i}]", arrays) for i, part in enumerate(tree)]
    if type(tree) is tuple:
        return {"tuple": [_encoded(part, f"{place}[{i}]", arrays) for i, part in enumerate(tree)]}
    if isinstance(tree, dict) and all(type(key) in (str, int) for key in tree):
        _check_keys(tree)
        return {"dict": [[key, _encoded(tree[key], f"{place}[{key!r}]", arrays)] for key in tree]}
    raise TypeError(
        f"{place} is a {type(tree).__name__}; only arrays, numbers, strings, None, and lists, tuples and dicts of them "
        "(with strings or whole numbers as keys) can be saved"
    )


def _decoded(layout: Any, arrays: list[Any]) -> Any:
    """The tree that a layout describes. It reuses the layout's own lists, and takes arrays from ``arrays``."""
    if type(layout) in PLAIN:
        return layout
    if isinstance(layout, list):
        for i, part in enumerate(layout):
            layout[i] = _decoded(part, arrays)
        return layout
    ((kind, content),) = layout.items()
    if kind in ("array", "scalar"):
        return _taken(content, arrays, kind == "scalar")
    if type(content) is not list:
        raise ValueError(f"a {kind!r:.20} of {type(content).__name__}")
    if kind == "tuple":
        return tuple(_decoded(content, arrays))
    if kind == "dict":
        return _decoded_dict(content, arrays)
    raise ValueError(f"unknown kind {kind!r:.20}")


def _taken(place: Any, arrays: list[Any], is_scalar: bool) -> Any:
    """The array at a place, which may be taken only once; or the NumPy scalar in it."""
    if type(place) is not int or not 0 <= place < len(arrays) or arrays[place] is None:
        raise ValueError(f"array {place!r:.20} isn't there, or stands in two places")
    array, arrays[place] = arrays[place], None
    if is_scalar and array.ndim:
        raise ValueError(f"a number of shape {array.shape}")
    return array[()] if is_scalar else array


def _decoded_dict(content: list[Any], arrays: list[Any]) -> dict[Any, Any]:
    keys = [key for key, _ in content]
    if not all(type(key) in (str, int) for key in keys):
        raise ValueError("a key that is neither a string nor a whole number")
    _check_keys(keys)
    found = {key: _decoded(value, arrays) for key, value in content}
    if len(found) != len(content):
        raise ValueError("a dict with a key twice")
    return found


def _check_keys(keys: Iterable[Any]) -> None:
    if sum(type(key) is int and abs(key) >= 2**60 for key in keys) > MAX_LARGE_KEYS:
        raise ValueError(f"a dict with more than {MAX_LARGE_KEYS} keys as large as 2**60")


def _read_arrays(file: BinaryIO, descriptions: list[Any], space: int) -> list[Any]:
    """The arrays in the remaining ``space`` bytes of a file."""
    forms = [_form(name, shape) for name, shape in descriptions]
    if sum(dtype.itemsize * math.prod(shape) for dtype, shape in forms) != space:
        raise ValueError("its arrays don't fill it")
    return [_read_array(file, dtype, shape) for dtype, shape in forms]


def _form(name: Any, shape: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The dtype and shape of an array; the sizes in a shape are limited, so that their product is computed quickly."""
    is_shape = type(shape) is list and len(shape) <= MAX_AXES
    if not is_shape or not all(type(n) is int and 0 <= n < 2**63 for n in shape) or not DTYPE.fullmatch(name):
        raise ValueError(f"no array of numbers: {name!r:.20}, {shape!r:.60}")
    return np.dtype(name), tuple(shape)


def _read_array(file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(shape, dtype)
    if array.size:
        data = array.reshape(-1).view(np.uint8)
        if file.readinto(data) != data.size:  # type: ignore[attr-defined]
            raise ValueError("it became shorter while it was read")
        if dtype.kind == "b" and data.max() > 1:
            raise ValueError("a truth value that is neither true nor false")
    return array
