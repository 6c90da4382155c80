"""The file format of checkpoints, models and vocabularies: nested dicts, lists and tuples of arrays, numbers, strings.

A file is an ``.npz`` of NumPy's, not compressed. Its member ``tree`` is the tree as JSON, in UTF-8, with places for the
arrays; the others, ``0``, ``1``, ..., are these arrays. Each member has a checksum, which is compared when it is read.

In the JSON, ``null``, booleans, numbers, strings and lists stand for themselves. Everything else is an object with its
kind as the only key: ``{"dict": [[key, value], ...]}``, ``{"tuple": [...]}``, ``{"array": place}``, or ``{"scalar":
place}`` for a NumPy scalar.

A file may be cut short, damaged, or made by someone who means harm. So nothing in it is executed or unpickled, and
nothing that it says about sizes is believed before it agrees with the size of the file. Reading takes no longer than a
file of its size may take, and at most some 25 times that size in memory (an empty list, two characters of JSON, takes
so much).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .files import open_to_read, replace_file
from .npz_file import MOST_MEMBERS, NUMBERS, read_npz, write_npz

MAX_JSON_BYTES = 32 << 20
"""The most bytes of JSON. Long lists of numbers belong in arrays; parsed JSON takes many times its size."""
MAX_PARTS = 1 << 20
"""The most values that a tree may hold, without the elements of its arrays."""
MAX_LARGE_KEYS = 100
"""The most whole numbers beyond 2**60 as keys of one dict: Python hashes them by remainders, which may all be equal."""
PLAIN = (type(None), bool, int, float, str)


def save_tree(tree: Any, path: str | os.PathLike[str]) -> None:
    """Write a tree to a file, whole or not at all: an older file is replaced in one step, when all is on the disk.

    Args:
        tree: nested dicts (with strings or whole numbers as keys), lists and tuples of arrays, numbers, strings and
            None.
        path: the file.

    Raises:
        TypeError: the tree holds something else; the message says where.
        ValueError: without its arrays, the tree takes more than ``MAX_JSON_BYTES``, or has more than ``MAX_PARTS``
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
    text = json.dumps(_encoded(tree, "the tree", arrays)).encode()
    _check_size(text)
    if len(arrays) >= MOST_MEMBERS:
        raise ValueError(f"the tree has {len(arrays):,} arrays; {MOST_MEMBERS:,} are too many to be read back")
    with replace_file(path) as file:
        write_npz(file, {"tree": np.frombuffer(text, np.uint8), **{str(i): a for i, a in enumerate(arrays)}})


def load_tree(path: str | os.PathLike[str]) -> Any:
    """Read what ``save_tree`` wrote. The arrays are new ones, that may be written to.

    Args:
        path: the file.

    Raises:
        ValueError: the file is damaged, or not of this kind.
        OSError: the file can't be read.
    """
    with open_to_read(path) as file:
        try:
            arrays = read_npz(file, packed=False)
        except ValueError as error:
            raise ValueError(f"{Path(path)} is damaged, or no file of this kind: {error}") from None
    try:
        text = arrays.pop("tree").tobytes()
        _check_size(text)
        tree = _decoded(json.loads(text), arrays)
        if arrays:
            raise ValueError("it holds arrays that have no place in the tree")
        return tree
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{Path(path)} is damaged, or holds no tree of arrays: {error!r:.200}") from None


def _check_size(text: bytes) -> None:
    """Raise ValueError for JSON that would take much memory; the number of its values is bounded without reading."""
    parts = text.count(b",") + text.count(b"[") + text.count(b"{")
    if len(text) > MAX_JSON_BYTES or parts > MAX_PARTS:
        raise ValueError(
            f"without its arrays, the tree takes {len(text):,} bytes and has some {parts:,} values, more than the "
            f"{MAX_JSON_BYTES:,} bytes, or the {MAX_PARTS:,} values, that are read; keep long lists of numbers as "
            "arrays"
        )


def _encoded(tree: Any, place: str, arrays: list[np.ndarray]) -> Any:
    """The tree in a form that JSON can hold; its arrays are appended to ``arrays``."""
    if isinstance(tree, (np.ndarray, np.generic)):
        array = np.asarray(tree)
        if array.dtype.kind not in NUMBERS:
            raise TypeError(f"{place} is an array of {array.dtype}; only numbers can be saved")
        arrays.append(array)
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


def _decoded(layout: Any, arrays: dict[str, Any]) -> Any:
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


def _taken(place: Any, arrays: dict[str, Any], is_scalar: bool) -> Any:
    """The array at a place, which may be taken only once; or the NumPy scalar in it."""
    if type(place) is not int or str(place) not in arrays:
        raise ValueError(f"array {place!r:.20} isn't there, or stands in two places")
    array = arrays.pop(str(place))
    if is_scalar and array.ndim:
        raise ValueError(f"a number of shape {array.shape}")
    return array[()] if is_scalar else array


def _decoded_dict(content: list[Any], arrays: dict[str, Any]) -> dict[Any, Any]:
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
