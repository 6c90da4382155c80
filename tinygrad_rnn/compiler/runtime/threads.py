"""A thread pool that divides independent rows among its threads; the threads meet once, at the end.

An idle thread of the pool sleeps. BLAS' own threads stay busy for milliseconds after each product, waiting for the
next, and so keep a core from every other process; and if one of them has no core, the others wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from .tiles import TILE_ROWS

_most: int | None = None  # of threads that this process may use at a time; None for as many as are asked for


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """A context that limits the number of threads, because other processes have a share of the cores."""
    global _most
    before, _most = _most, count
    try:
        yield
    finally:
        _most = before


def in_parts(threads: int, program: Callable[..., Any], rows: int, *arguments: Any) -> None:
    """Run a program on all rows: a part of them on each thread.

    Args:
        threads: how many; fewer, if there aren't as many tiles of rows.
        program: takes the arguments, the first of its rows, and the one after its last.
        rows: how many there are.
        arguments: for the program.
    """
    tiles = -(-rows // TILE_ROWS)
    parts = max(1, min(tiles, threads, _most or threads))
    cuts = [min(rows, tiles * i // parts * TILE_ROWS) for i in range(parts + 1)]
    handling = np.geterr()
    others = [
        _pool(threads - 1).submit(_as_here, handling, program, *arguments, cuts[i], cuts[i + 1])
        for i in range(1, parts)
    ]
    try:
        program(*arguments, 0, cuts[1])
    finally:
        wait(others)  # if it failed, too: they write to arrays that the next call may use
    for other in others:
        other.result()


def run_rows(program: Callable[..., Any], rows: int, *arguments: Any) -> None:
    """Run machine code on all rows, on as many threads as numba would use.

    Args:
        program: takes the arguments, the first of its rows, and the one after its last.
        rows: how many there are.
        arguments: for the program.
    """
    in_parts(_thread_count(), program, rows, *arguments)


def _thread_count() -> int:
    """The environment's NUMBA_NUM_THREADS, or the number of cores that this process may use."""
    from numba import config

    count: int = config.NUMBA_NUM_THREADS
    return count


def _as_here(handling: Any, program: Callable[..., Any], *arguments: Any) -> None:
    """Run a program on another thread with the ``np.errstate`` of the calling thread."""
    with np.errstate(**handling):
        program(*arguments)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "tinygrad_rnn rows")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has none of the threads
