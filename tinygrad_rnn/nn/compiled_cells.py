"""Helpers for models with compiled cells. The compiler is imported only where something is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeGuard

from ..autodiff.scope import context
from ..autodiff.tensor import Tensor


class CompiledCell(Protocol):
    """A cell that runs its whole loop as generated code.

    Attributes:
        function: the function or object before compiling.
        executor, fallback: as in ``compile``.
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
    """Return True for an array of a function that is being compiled: it has no values yet."""
    return context.trace is not None and isinstance(a, Tensor)


def compiled(layer: Any, executor: str, fallback: Any = False) -> Any:
    """A cell, or a pair of cells (forward and reverse), as ``compile`` makes it; a compiled cell is returned."""
    if isinstance(layer, tuple):
        return tuple(compiled(cell, executor, fallback) for cell in layer)
    if is_compiled(layer):
        return layer
    from ..compiler import compile

    return compile(layer, executor=executor, fallback=fallback)


def uncompiled(value: Any) -> Any:
    """The object before it was compiled, once or several times; any other object is returned as it is.

    Code that asks for the class of a cell or a module uses this function, or tests for a method: a compiled object has
    another class.
    """
    while is_compiled(value):
        value = value.function
    return value
