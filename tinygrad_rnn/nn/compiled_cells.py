"""Helpers for models with compiled cells. The compiler is imported only where something is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeGuard

from ..autodiff.scope import context
from ..autodiff.tensor import Tensor


class CompiledCell(Protocol):
    """A cell that runs its whole loop as generated code.

    Attributes:
        function: what was compiled.
        executor: as in ``compile``.
        fallback: as in ``compile``.
    """

    function: Callable[..., Any]
    executor: str
    fallback: Any

    def over_time(
        self, xs: Any, state: Any, steps: int, reverse: bool, step: Callable[..., Any], eager: Callable[..., Any]
    ) -> tuple[Any, Any]:
        """The outputs of all steps and the state after the last."""


def is_compiled(cell: Any) -> TypeGuard[CompiledCell]:
    """Return True if a cell was compiled."""
    return hasattr(cell, "over_time")


def is_traced(a: Any) -> bool:
    """Return True for an array of a function that is being compiled: it has no values to look at."""
    return context.trace is not None and isinstance(a, Tensor)


def compiled(layer: Any, executor: str, fallback: Any = False) -> Any:
    """A cell compiled, or a pair of cells, forward and reverse; what is compiled already as it is.

    Args:
        layer: a cell or a pair of cells.
        executor: as in ``compile``.
        fallback: as in ``compile``.
    """
    if isinstance(layer, tuple):
        return tuple(compiled(cell, executor, fallback) for cell in layer)
    if is_compiled(layer):
        return layer
    from ..compiler import compile

    return compile(layer, executor=executor, fallback=fallback)


def uncompiled(value: Any) -> Any:
    """The object before it was compiled, once or more often; anything else as it is.

    Whoever asks for the class of a cell or a module asks with this, or asks for what it does: a compiled one is of
    another class.
    """
    while is_compiled(value):
        value = value.function
    return value
