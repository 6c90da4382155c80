"""The error for machine code that can't be made, though every operation has a form."""

from __future__ import annotations


class MachineCodeFailed(Exception):
    """numba can't compile something; the message says why, in its words.

    Args:
        error: what it raised.
    """

    def __init__(self, error: BaseException) -> None:
        lines = str(error).strip().splitlines() or [""]
        super().__init__(f"numba failed ({type(error).__name__}: {lines[0]})")
