"""Weights in files: arrays by name, as NumPy's ``.npz`` or as safetensors. Nothing is ever unpickled.

``from_torch_state_dict`` takes PyTorch's weights. Weights of other libraries are rearranged by hand; this table shows
their layout. d is the number of units, and ``cut`` means ``np.split(..., gates, axis)``:

==============  =====================  ===========================  ==================================================
                here                   Keras                        ONNX
==============  =====================  ===========================  ==================================================
U               (n, gates · d)         ``kernel``, the same shape   ``W``, (directions, gates · d, n): transpose
W               (d, gates · d)         ``recurrent_kernel``, same   ``R``, (directions, gates · d, d): transpose
LSTM gates      i, f, g, o             i, f, c, o: the same order   i, o, f, c: cut and reorder
GRU gates       r, z, n                z, r, h: cut and reorder     z, r, h: cut and reorder
biases          b; b_hn of a GRU       LSTM ``bias`` (4d,): b       ``B``, (directions, 2 · gates · d), those of W and
                                                                    then those of R: their sum is b
GRU reset       "after" or "before"    ``reset_after=True``/False   ``linear_before_reset`` 1 / 0
  after: b      b, b_hn                ``bias`` (2, 3d), of kernel  likewise; but the last third of those of R is b_hn
                                       and recurrent kernel: their
                                       sum is b, but the last
                                       third of the second is b_hn
  before: b     b                      ``bias`` (3d,): b            their sum is b
  before: W     W (d, 2d), W_n (d, d)  the last third is W_n        the last third is W_n
GRU z = 1       keeps the old state    keeps the old state          keeps the old state
LSTM peepholes  P, rows i, f, o        none                         ``P``, (directions, 3d): i, o, f
state           (h, c)                 [h, c]                       ``initial_h``, ``initial_c``
sequence        (T, B, n)              (B, T, n)                    (T, B, n); ``layout`` 1: (B, T, n)
==============  =====================  ===========================  ==================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..autodiff.extras import optional
from ..autodiff.foreign import as_numpy, widened
from ..autodiff.texts import printable

FORMATS = (".npz", ".safetensors")


def save_weights(arrays: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write arrays by name to a file, whole or not at all; an existing file is replaced.

    Args:
        arrays: a dict as ``state_dict()`` returns it.
            PyTorch tensors are accepted, too; bfloat16 is written as float32, which holds it exactly.
        path: its ending determines the format: ``.npz`` or ``.safetensors`` (which needs the extra ``io``).

    Raises:
        ValueError: the path has another ending; or an array doesn't hold numbers.

    Example:
        >>> import os, tempfile
        >>> from tinygrad_rnn import nn
        >>> layer, twin = nn.Linear(3, 2, seed=1), nn.Linear(3, 2, seed=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "weights.npz")
        ...     nn.save_weights(layer.state_dict(), path)
        ...     twin.load_state_dict(nn.load_weights(path))
        >>> bool((twin.W.data == layer.W.data).all())
        True
    """
    from ..data.files import replace_file  # imported only here: most models are never saved, and ``data`` is large
    from ..data.npz_file import write_npz

    form = _format(path)
    # Made contiguous explicitly: safetensors would write the memory of any other array in the wrong order.
    given = {name: as_numpy(array) for name, array in arrays.items()}
    plain = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in given.items()}
    for name, array in plain.items():
        if array.dtype.kind not in "fiub":
            raise ValueError(f"save_weights: {printable(name)} holds {array.dtype}, not numbers")
    with replace_file(path) as file:
        if form == ".npz":
            write_npz(file, plain)
        else:
            file.write(_safetensors().save(plain))


def load_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the arrays of a file from ``save_weights``, or of any other file of these formats.

    Args:
        path: of a ``.npz`` or ``.safetensors`` file.

    Returns:
        Arrays by name, for ``load_state_dict`` or ``from_torch_state_dict``. bfloat16 becomes float32, which holds it
        exactly.

    Raises:
        ValueError: the path has another ending; or the file is damaged, or holds anything but numbers, such as text or
            Python objects; or a small .npz file would expand to more than 20 times its size.
        OSError: the file can't be read.
    """
    from ..data.files import open_to_read
    from ..data.npz_file import read_npz

    form = _format(path)
    try:
        with open_to_read(path) as file:
            if form == ".npz":
                arrays = read_npz(file, also=_is_short_float)
                return {name: widened(a.view("<u2")) if _is_short_float(a.dtype) else a for name, a in arrays.items()}
            entries = _safetensors().deserialize(file.read())
            return {name: _from_safetensors(entry) for name, entry in entries}
    except ImportError:
        raise
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise
    except Exception as error:  # each format raises its own errors for a file that isn't whole
        raise ValueError(f"{os.fspath(path)} can't be read as {form}: {printable(str(error)):.500}") from error


def _format(path: str | os.PathLike[str]) -> str:
    ending = Path(path).suffix
    if ending not in FORMATS:
        raise ValueError(f"{os.fspath(path)}: the file's name must end in {' or '.join(FORMATS)}, not {ending!r}")
    return ending


def _safetensors() -> Any:
    return optional("io", "safetensors.numpy", "safetensors files need safetensors")


SAFETENSORS_TYPES = {
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"{kind}{bits}": f"<{kind.lower()}{bits // 8}" for kind in "IU" for bits in (8, 16, 32, 64)},
    "C64": "<c8",
    "BOOL": "?",
    "BF16": "<u2",
}


def _from_safetensors(entry: Mapping[str, Any]) -> np.ndarray:
    """An array of a safetensors file, from its type, shape and bytes."""
    if entry["dtype"] not in SAFETENSORS_TYPES:
        raise ValueError(f"its numbers are of type {entry['dtype']}; it can be {', '.join(SAFETENSORS_TYPES)}")
    array = np.frombuffer(entry["data"], SAFETENSORS_TYPES[entry["dtype"]]).reshape(entry["shape"])
    if entry["dtype"] == "BOOL" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError("it holds truth values that are neither true nor false")
    return widened(array) if entry["dtype"] == "BF16" else array.astype(array.dtype.newbyteorder("="), copy=False)


def _is_short_float(dtype: np.dtype[Any]) -> bool:
    """Return True for the dtype of bfloat16 in an .npz file: two bytes without a type, as NumPy doesn't know it."""
    return dtype == np.dtype("V2")
