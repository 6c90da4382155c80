"""A budget: how long a search may compute."""

from __future__ import annotations

import time


class Budget:
    """An amount of computing time: of this thread, so that a busy machine, which lets it wait, doesn't end it early.

    Args:
        seconds: how long.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.thread_time() + seconds

    @property
    def is_spent(self) -> bool:
        """True once nothing is left."""
        return time.thread_time() > self.end

    def at_most(self, seconds: float) -> Budget:
        """A part of what is left."""
        part = Budget(seconds)
        part.end = min(part.end, self.end)
        return part
