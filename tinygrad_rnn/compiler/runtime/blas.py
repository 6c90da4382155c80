"""NumPy's BLAS on our own threads: OpenBLAS is set to one thread, and each of ours gives it a part of the rows.

If NumPy comes with another library than OpenBLAS, nothing is set, and that library chooses its threads.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...autodiff.rules.transposes import copy_transposed, pays
from .. import thresholds
from .threads import at_once, cuts_of, threads_for

Product = tuple[np.ndarray, np.ndarray, np.ndarray]
Sum = tuple[np.ndarray, np.ndarray]

# The names under which builds of OpenBLAS with 64-bit integers export it; NumPy's wheels have no other.
SPELLINGS = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_")

_lock = threading.Lock()
_users = 0
_before = 1


@contextmanager
def single_threaded() -> Iterator[int]:
    """A context in which products run on the calling threads; it holds until the last of several callers leaves.

    Returns:
        The number of threads on which products would run otherwise.
    """
    global _users, _before
    get, put = _thread_functions()
    with _lock:
        if _users == 0:
            _before = get()
            put(1)
        _users += 1
    try:
        yield _before
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                put(_before)


def matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """A product on one thread; or, if it is large, on as many as BLAS would use, but on ours."""
    if a.ndim == 2 and out.ndim == 2:
        together([(a, b, out)])
    else:
        with single_threaded():
            np.matmul(a, b, out=out)


def together(products: Sequence[Product], sums: Sequence[Sum] = ()) -> None:
    """Products of matrices, and sums over rows; if they are large, each thread computes a part of every one.

    Args:
        products: triples of two factors and the array for their product.
        sums: pairs of an array and the array for its sum over all axes but the last.
    """
    with single_threaded() as count:
        work = sum([a.size * out.shape[1] for a, _, out in products])
        is_large = work > thresholds.SHARED_ELEMENT * sum([a.size + b.size + out.size for a, b, out in products])
        parts = threads_for(count, max([len(a) for a, _, _ in products], default=1)) if is_large else 1
        at_once([(_part, (products, sums, i, parts)) for i in range(parts)])


def laid_out(transpose: np.ndarray, rows: int, times: int, out: np.ndarray) -> np.ndarray:
    """The transpose of a matrix, to multiply so many rows by so many times: in the order of memory, if that pays.

    Args:
        transpose: a view of the matrix.
        rows: the number of rows of each product.
        times: the number of products.
        out: the array for a copy.
    """
    if not pays(transpose, rows, times):
        return transpose
    copy_transposed(transpose.T, out)
    return out


def _part(products: Sequence[Product], sums: Sequence[Sum], i: int, parts: int) -> None:
    """Compute one part of each product and each sum."""
    for a, b, out in products:
        first, last = cuts_of(len(a), parts)[i : i + 2]
        np.matmul(a[first:last], b, out=out[first:last])
    for a, out in sums:
        first, last = cuts_of(len(out), parts)[i : i + 2]
        np.add.reduce(a[..., first:last], axis=tuple(range(a.ndim - 1)), out=out[first:last])


def _begin_in_child() -> None:
    """Reset the number of users in a child process, which has none of the parent's threads."""
    global _users
    if _users:
        _users = 0
        _thread_functions()[1](_before)
    _lock.release()


if hasattr(os, "register_at_fork"):  # not while another thread holds the lock: nobody would release it in the child
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_begin_in_child)


@functools.cache
def _thread_functions() -> tuple[Callable[[], int], Callable[[int], Any]]:
    """The functions that get and set OpenBLAS' number of threads; without OpenBLAS they do nothing."""
    for path in _libraries():
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for spelling in SPELLINGS:
            get, put = (getattr(library, spelling.format(what), None) for what in ("get", "set"))
            if get is not None and put is not None:
                return get, put
    return lambda: 1, lambda count: None


def _libraries() -> list[Path]:
    """The BLAS libraries that came with NumPy's wheel."""
    package = Path(np.__file__).parent
    folders = [package.parent / "numpy.libs", package / ".libs", package / ".dylibs"]
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir() if "blas" in path.name)
