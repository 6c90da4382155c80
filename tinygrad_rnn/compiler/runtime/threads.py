"""A thread pool that divides independent rows among its threads; the threads meet once, at the end.

A training step of a millisecond is divided several times, so handing on a part may take but microseconds: parts wait in
a queue, and how they ended in another. An idle thread of the pool sleeps. BLAS' own threads stay busy for milliseconds
after each product, waiting for the next, and so keep a core from every other process; and if one of them has no core,
the others wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np

from .tiles import TILE_ROWS

Ends = SimpleQueue["BaseException | None"]
Parts = SimpleQueue["tuple[Ends, Any, Callable[..., Any], tuple[Any, ...]]"]

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
    ends: Ends = SimpleQueue()
    for i in range(1, parts):
        _pool(threads - 1).put((ends, np.geterr(), program, (*arguments, cuts[i], cuts[i + 1])))
    try:
        program(*arguments, 0, cuts[1])
    finally:  # if it failed, too: the others write to arrays that the next call may use
        failures = [ends.get() for _ in range(1, parts)]
    for failure in failures:
        if failure is not None:
            raise failure


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


@cache
def _pool(threads: int) -> Parts:
    """The queue from which so many threads take the parts that they carry out."""
    parts: Parts = SimpleQueue()
    for _ in range(threads):
        Thread(target=_serve, args=(parts,), name="tinygrad_rnn rows", daemon=True).start()
    return parts


def _serve(parts: Parts) -> None:
    while True:
        _carry_out(*parts.get())  # nothing of a part is kept here while this waits for the next


def _carry_out(ends: Ends, handling: Any, program: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Run a program on this thread with the ``np.errstate`` of the calling thread, and say when it ends, and how."""
    try:
        with np.errstate(**handling):
            program(*arguments)
    except BaseException as failure:
        ends.put(failure)
    else:
        ends.put(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has none of the threads
