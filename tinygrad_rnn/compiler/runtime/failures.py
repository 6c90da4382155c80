"""The error for machine code that can't be made, though every operation has a form."""

from __future__ import annotations


class MachineCodeFailed(Exception):
    """The error for text that can't be translated, or that LLVM can't compile; the message has the reason."""

    def __init__(self, error: BaseException) -> None:
        lines = str(error).strip().splitlines() or [""]
        super().__init__(f"machine code couldn't be made ({type(error).__name__}: {lines[0]})")
