"""What a trace took for granted: the attributes of models, and what functions close over.

A trace follows the Python code of a function once, and with it whatever that code looked at: which activation an
attribute names, whether a model is training, which Parameters it holds. If one of those is replaced by something else,
the function has to be traced again. The values *in* Tensors don't matter: they are read at each call.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..autodiff.graph import Node

Read = Callable[[], list[Any]]

OPAQUE = (
    Node, np.ndarray, np.generic, np.ufunc, np.random.Generator, type, types.ModuleType, types.BuiltinFunctionType, str,
    bytes,
)  # fmt: skip

LIBRARIES = {"numpy", __name__.partition(".")[0]}


class Guards:
    """What a function depends on, as it was when this was made.

    Args:
        function: a function, a module, or any object that is called.
    """

    def __init__(self, function: Any) -> None:
        self._watched: list[tuple[Read, list[int]]] = []
        self._kept: list[Any] = []  # so that no id is given to something else
        seen: set[int] = set()
        stack = [function]
        while stack:
            thing = stack.pop()
            if id(thing) in seen or isinstance(thing, OPAQUE) or _is_library_function(thing):
                continue
            seen.add(id(thing))
            for read in _readers(thing):
                found = read()
                self._watched.append((read, list(map(id, found))))
                self._kept.append(found)
                stack += found

    def changed(self) -> bool:
        """Whether something has been replaced since."""
        return any(list(map(id, read())) != before for read, before in self._watched)


def _is_library_function(thing: Any) -> bool:
    """A function of NumPy's or of this package looks at nothing that changes."""
    module = getattr(thing, "__module__", None) if isinstance(thing, types.FunctionType) else None
    return isinstance(module, str) and module.partition(".")[0] in LIBRARIES


def _readers(thing: Any) -> Iterator[Read]:
    """Functions that give what a thing holds, at the moment when they are called."""
    if isinstance(thing, types.MethodType):
        yield lambda: [thing.__self__, thing.__func__]
    elif isinstance(thing, types.FunctionType):
        yield from _function_readers(thing)
    elif isinstance(thing, dict):
        yield lambda: list(thing.values())
    elif isinstance(thing, (list, tuple)):
        if isinstance(thing, list) or thing:
            yield lambda: list(thing)
    elif hasattr(thing, "__dict__"):
        attributes = thing.__dict__
        yield lambda: list(attributes.values())
    if hasattr(thing, "func") and hasattr(thing, "keywords"):  # functools.partial
        yield lambda: [thing.func, thing.args, thing.keywords]


def _function_readers(function: types.FunctionType) -> Iterator[Read]:
    cells = function.__closure__ or ()
    if cells:
        yield lambda: [cell.cell_contents for cell in cells]
    if function.__defaults__:
        yield lambda: list(function.__defaults__ or ())
    names = [name for name in function.__code__.co_names if name in function.__globals__]
    if names:
        scope = function.__globals__
        yield lambda: [scope.get(name) for name in names]
