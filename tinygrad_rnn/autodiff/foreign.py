"""Arrays of other libraries as NumPy's: PyTorch's tensors, and the short types that NumPy doesn't have."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array_node import value_of


def as_numpy(value: Any) -> np.ndarray:
    """An array of NumPy's own types with the values of a Tensor, a PyTorch tensor on any device, a list or a number.

    Numbers of 16 bits that NumPy doesn't have (bfloat16) become float32, which holds each of them exactly.

    Example:
        >>> from tinygrad_rnn.autodiff.foreign import as_numpy
        >>> as_numpy([1, 2])
        array([1, 2])
    """
    value = value_of(value)
    if hasattr(value, "detach"):  # PyTorch's, perhaps on a GPU
        value = value.detach().cpu()
        if value.dtype.is_floating_point and value.element_size() < 4:
            value = value.float()
        return value.numpy()
    array = np.asarray(value)
    short = "float" in array.dtype.name and not issubclass(array.dtype.type, np.floating)  # a dtype of ml_dtypes
    return array.astype(np.float32) if short else array


def widened(bits: np.ndarray) -> np.ndarray:
    """The numbers whose bfloat16 bits these 16-bit integers are, as float32: bfloat16 is its upper half.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.autodiff.foreign import widened
        >>> widened(np.array([0x3F80, 0xC020], np.uint16))
        array([ 1. , -2.5], dtype=float32)
    """
    return (bits.astype(np.uint32) << 16).view(np.float32)
