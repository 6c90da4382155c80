"""A thread pool that divides independent rows among its threads; the threads meet once, at the end.

A training step of a millisecond is divided several times, so handing on a part may take only microseconds: tasks wait
in one queue, and their outcomes in another. An idle thread of the pool sleeps. BLAS' own threads stay busy for
milliseconds after each product, waiting for the next, and so keep a core from every other process; and if one of them
has no core, the others wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np

from .tiles import TILE_ROWS

Task = tuple[Callable[..., Any], tuple[Any, ...]]  # a function and its arguments


class Ends:
    """The ends of tasks: noted by the threads that carry them out, and waited for by the one that gave them."""

    def __init__(self) -> None:
        self._found: list[BaseException | None] = []
        self._news: SimpleQueue[None] = SimpleQueue()

    def note(self, failure: BaseException | None = None) -> None:
        """Note that a task has ended, and how."""
        self._found.append(failure)
        self._news.put(None)

    def of(self, count: int) -> list[BaseException | None]:
        """The ends of so many tasks, and Ctrl-C if it came meanwhile: nothing shortens the wait for them."""
        interruption: BaseException | None = None
        while True:
            try:
                while len(self._found) < count:  # what was noted stays noted, though news of it may be lost
                    self._news.get()
                return [*self._found, interruption]
            except BaseException as error:  # of a signal's handler
                interruption = error


Tasks = SimpleQueue["tuple[Ends, Any, Task]"]

_most: int | None = None  # the most threads that this process may use at a time; None for no limit


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
    """Run a program on all rows, a part of them on each thread.

    Args:
        threads: the number of threads; fewer run if there are fewer tiles of rows.
        program: takes the arguments, the first of its rows, and the one after its last.
        rows: how many there are.
        arguments: for the program.
    """
    cuts = cuts_of(rows, threads_for(threads, rows))
    at_once([(program, (*arguments, first, last)) for first, last in pairwise(cuts)])


def threads_for(threads: int, rows: int) -> int:
    """The number of threads that have work: each takes at least one tile of rows."""
    return max(1, min(-(-rows // TILE_ROWS), threads, _most or threads))


def cuts_of(rows: int, parts: int) -> list[int]:
    """The rows at which this number of parts begin and end, in whole tiles."""
    tiles = -(-rows // TILE_ROWS)
    return [min(rows, tiles * i // parts * TILE_ROWS) for i in range(parts + 1)]


def at_once(tasks: Sequence[Task]) -> None:
    """Carry out tasks, the first on this thread and each other one on its own thread; return when all have ended."""
    ends = Ends()
    for task in tasks[1:]:
        _pool(len(tasks) - 1).put((ends, np.geterr(), task))
    program, arguments = tasks[0]
    try:
        program(*arguments)
    finally:  # also after a failure: the other tasks write to arrays that the next call may use
        failures = ends.of(len(tasks) - 1)
    for failure in failures:
        if failure is not None:
            raise failure


def run_rows(program: Callable[..., Any], rows: int, *arguments: Any) -> None:
    """Run machine code on all rows, on as many threads as it may use.

    Args:
        program: takes the arguments, the first of its rows, and the one after its last.
        rows: how many there are.
        arguments: for the program.
    """
    in_parts(_thread_count(), program, rows, *arguments)


def run_parts(program: Callable[..., Any], parts: int, *arguments: Any) -> None:
    """Run machine code on a number of parts, each with a result of its own, on as many threads as it may use.

    Args:
        program: takes the arguments, the first of its parts, and the one after its last.
        parts: how many there are.
        arguments: for the program.
    """
    count = max(1, min(parts, _thread_count(), _most or parts))
    cuts = [parts * i // count for i in range(count + 1)]
    at_once([(program, (*arguments, first, last)) for first, last in pairwise(cuts)])


def are_enough(parts: int) -> bool:
    """Return True if so many parts leave no thread without work."""
    return parts >= _thread_count()


@cache
def _thread_count() -> int:
    """The environment's TINYGRAD_RNN_THREADS, or the number of cores that this process may use."""
    try:
        return max(1, int(os.environ["TINYGRAD_RNN_THREADS"]))
    except (KeyError, ValueError):
        pass
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool(threads: int) -> Tasks:
    """The queue from which this number of threads take tasks."""
    tasks: Tasks = SimpleQueue()
    for _ in range(threads):
        Thread(target=_serve, args=(tasks,), name="tinygrad_rnn rows", daemon=True).start()
    return tasks


def _serve(tasks: Tasks) -> None:
    while True:
        _carry_out(*tasks.get())  # no reference to a task is kept while this waits for the next


def _carry_out(ends: Ends, handling: Any, task: Task) -> None:
    """Carry out a task with the ``np.errstate`` of the thread that gave it, and say when it ends, and how."""
    program, arguments = task
    try:
        with np.errstate(**handling):
            program(*arguments)
    except BaseException as failure:
        ends.note(failure)
    else:
        ends.note()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has none of the threads
