"""The memory of arrays: freed memory is kept for the next step, and large arrays begin where a line of the cache does.

A training step allocates the same arrays as the step before. By default glibc gives large freed blocks back to the
system at once, and every step then pays for getting the same pages again, one page fault for each 4 KiB: a third of a
step's time, as measured. Two settings of glibc's allocator (``mallopt(3)``) stop that. They hold for the whole process,
so importing the package doesn't make them: ``fit``, ``compile`` and the commands do, and a training loop of your own
can. On systems without glibc nothing happens.

NumPy's arrays begin 16 bytes behind a line of the cache, as a rule. Of the processor's largest vectors each then lies
in two lines: a sum of two arrays that the cache holds takes 1.7 times as long. So arrays that are used again and again,
parameters and the arrays of a compiled program, begin with a line; JAX takes such a one as it is, and copies others.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from typing import Any

import numpy as np

# From <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

KEPT_BYTES = 512 * 2**20  # of free memory at the end of the heap, before any goes back
HEAP_BLOCK_BYTES = 32 * 2**20  # blocks up to this size come from the heap; glibc allows no more


def keep_freed_memory() -> bool:
    """Ask the process's allocator to keep up to 512 MiB of freed memory; ``TINYGRAD_RNN_KEEP_MEMORY=0`` forbids it.

    Call it once before a training loop of your own; ``fit`` and ``compile`` call it by themselves.

    Returns:
        True if the setting was made; False if it is forbidden, or if there is no glibc.

    Example:
        >>> import tinygrad_rnn as tr
        >>> tr.keep_freed_memory() in (True, False)
        True
    """
    if not sys.platform.startswith("linux") or os.environ.get("TINYGRAD_RNN_KEEP_MEMORY") == "0":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))


CACHE_LINE = 64  # bytes; the size of the largest vectors, too
SMALL_BYTES = 1024  # up to which an array is so few vectors that where it begins makes no difference


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """A new array that begins with a line of the cache; its elements may be anything.

    Its memory is no array, so that it isn't taken for a view of another.
    """
    memory = bytearray(math.prod(shape) * np.dtype(dtype).itemsize + CACHE_LINE)
    return np.ndarray(shape, dtype, memory, offset=-np.frombuffer(memory, np.uint8).ctypes.data % CACHE_LINE)


def own_copy(data: Any, dtype: Any = None) -> np.ndarray:
    """A copy of data as an array, as of ``np.array(data, dtype)``; a large one begins with a line of the cache."""
    array = np.asarray(data, dtype)
    if array.nbytes <= SMALL_BYTES or not array.flags.c_contiguous:
        return np.array(array)
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy
