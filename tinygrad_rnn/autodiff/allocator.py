"""Keep freed memory instead of handing it back to the system after every training step.

A training step allocates the same arrays as the step before. By default glibc gives large freed blocks back to the
system at once, and every step then pays for getting the same pages again, one page fault for each 4 KiB: a third of a
step's time, as measured. Two settings of glibc's allocator (``mallopt(3)``) stop that. They hold for the whole process,
so importing the package doesn't make them: ``fit``, ``compile`` and the commands do, and a training loop of your own
can. On systems without glibc nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import sys

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
