"""What models need to know of a compiled cell. The compiler is not imported here: whoever compiles does that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeGuard


class CompiledCell(Protocol):
    """A cell that runs its whole loop as generated code.

    Attributes:
        function: what was compiled.
        executor: as in ``compile``.
        fallback: as in ``compile``.
    """

    function: Callable[..., Any]
    executor: str
    fallback: bool

    def over_time(self, xs: Any, state: Any, steps: int, reverse: bool, eager: Callable[..., Any]) -> tuple[Any, Any]:
        """The outputs of all steps and the state after the last."""


def is_compiled(cell: Any) -> TypeGuard[CompiledCell]:
    """Whether a cell was compiled."""
    return hasattr(cell, "over_time")


def uncompiled(value: Any) -> Any:
    """What was compiled; anything else as it is."""
    return value.function if is_compiled(value) else value
