"""The error for machine code that can't be made, though every operation has a form."""

from __future__ import annotations


class MachineCodeFailed(Exception):
    """The error for code that numba can't compile; the message has numba's own reason.

    Args:
        error: what it raised.
    """

    def __init__(self, error: BaseException) -> None:
        lines = str(error).strip().splitlines() or [""]
        super().__init__(f"numba failed ({type(error).__name__}: {lines[0]})")
