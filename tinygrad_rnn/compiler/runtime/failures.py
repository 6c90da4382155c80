"""The error for machine code that can't be made, though every operation has a form."""

from __future__ import annotations


class MachineCodeFailed(Exception):
    """The error for code that LLVM or numba can't compile; the message has their own reason.

    Args:
        error: the exception that was raised.
        compiler: the name of the compiler that raised it.
    """

    def __init__(self, error: BaseException, compiler: str = "numba") -> None:
        lines = str(error).strip().splitlines() or [""]
        super().__init__(f"{compiler} failed ({type(error).__name__}: {lines[0]})")
