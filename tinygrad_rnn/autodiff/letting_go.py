"""Freeing a long chain of nodes piece by piece, so that the stack of a small thread is enough.

When the last node of a chain is dropped, Python frees it, then its inputs, and so on, each call inside of the one
before. Python limits this depth, but in versions 3.12 and 3.13 only at ten thousand objects, for which the stack of a
thread may be too small. So here and there in the graph is a **knot**, which holds a node's inputs as well: freeing
proceeds to the next knots, and from these on it continues one after another.
"""

from __future__ import annotations

import threading
from typing import Any

# A node whose serial number is a multiple of one of these has a knot. They are primes: from one node of a chain to the
# next, the serial number grows by some step, and a multiple occurs regularly unless that step is a multiple of both
# primes.
EVERY = (127, 131)


class _Dropped(threading.local):
    """The objects that a thread still has to free, and a flag that is set while it does so."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.busy = False


class Knot:
    """A knot, which holds the inputs of a node and frees them when nothing else is being freed."""

    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held

    def __del__(self, dropped: _Dropped = _Dropped()) -> None:  # noqa: B008  # one for all, as long-lived as this
        waiting = dropped.waiting
        waiting.append(self.held)
        self.held = None
        if not dropped.busy:
            dropped.busy = True
            try:
                while waiting:
                    waiting.pop()
            finally:
                dropped.busy = False
