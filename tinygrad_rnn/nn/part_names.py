"""Names of the parts of a state that is a tuple, read from a user's cell: ``h, c = state`` or ``return h, (h, c)``.

The names are read off the cell's byte code, which exists for lambdas and in notebooks as well. If it doesn't show them,
there are none; nothing is run.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator
from functools import cache, partial
from types import CodeType
from typing import Any, NamedTuple

DEEPEST = 4  # the largest number of functions that are followed when each only calls the next


class _Code(NamedTuple):
    """The names that the code of a cell gives to the parts of its state."""

    taken: tuple[str, ...]  # the names of the parts of the incoming state
    given: tuple[str, ...]  # the names of the parts of the returned state
    callee: str | None  # the function that the code passes the state on to, if it does nothing else
    place: int  # the position of the argument that gets the state


def part_names(cell: Any, count: int) -> tuple[str, ...] | None:
    """The names in a cell's code for the ``count`` parts of its state; None if the code shows none.

    Example:
        >>> def cell(x, state):
        ...     h, c = state
        ...     return h, (h + x, c)
        >>> part_names(cell, 2)
        ('h', 'c')
    """
    place = 1
    for _ in range(DEEPEST):
        found = _function(cell)
        if found is None:
            return None
        function, bound = found
        said = _said(function.__code__, bound + place)
        for names in sorted((said.taken, said.given), key=lambda names: sum(map(len, names))):
            if len(names) == count == len(set(names)) and all(map(_is_name, names)):
                return names
        if said.callee is None:
            return None
        seen = inspect.getclosurevars(function)
        cell, place = {**seen.globals, **seen.nonlocals}.get(said.callee), said.place
    return None


def _function(cell: Any) -> tuple[Any, int] | None:
    """The Python function behind a callable, and the number of its arguments that are bound already."""
    given = 0
    if isinstance(cell, partial):
        cell, given = cell.func, len(cell.args)
    if inspect.ismethod(cell):
        return cell.__func__, given + 1
    if inspect.isfunction(cell):
        return cell, given
    method = next((found for name in ("forward", "__call__") if (found := getattr(type(cell), name, None))), None)
    return (method, given + 1) if inspect.isfunction(method) else None


def _is_name(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_")


@cache
def _said(code: CodeType, place: int) -> _Code:
    """The names in some code for the parts of one of its arguments."""
    if place >= code.co_argcount:
        return _Code((), (), None, 0)
    state = code.co_varnames[place]
    steps = [i for i in dis.get_instructions(code) if i.opname not in ("RESUME", "PRECALL", "PUSH_NULL", "CACHE")]
    return _Code(_unpacked(steps, state), _returned(steps), *_handed_on(steps, state))


def _names(step: Any, kind: str) -> list[str]:
    """The variables that an instruction loads or stores; newer Pythons handle two at once."""
    kinds = [part for part in step.opname.split("_") if part in ("LOAD", "STORE")]
    names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
    return [str(name) for found, name in zip(kinds, names) if found == kind]


def _unpacked(steps: list[Any], state: str) -> tuple[str, ...]:
    """The variables of ``h, c = state``."""
    for k, step in enumerate(steps[:-1]):
        if _names(step, "LOAD")[-1:] == [state] and steps[k + 1].opname == "UNPACK_SEQUENCE":
            stored = [name for later in steps[k + 2 :] for name in (_names(later, "STORE") or [""])]
            names = tuple(stored[: steps[k + 1].argval])
            return names if all(names) else ()
    return ()


def _returned(steps: list[Any]) -> tuple[str, ...]:
    """The variables of ``return y, (h, c)``."""
    for k, step in enumerate(steps):
        before = steps[:k]
        is_pair = step.opname == "RETURN_VALUE" and len(before) > 2 and before[-1].opname == "BUILD_TUPLE"
        if is_pair and before[-1].argval == 2 and before[-2].opname == "BUILD_TUPLE":
            count: int = before[-2].argval
            names: list[str] = []
            for earlier in reversed(before[:-2]):
                loaded = _names(earlier, "LOAD") if "STORE" not in earlier.opname else []
                if not loaded or len(names) >= count:
                    break
                names = [*loaded, *names]
            return tuple(names[-count:]) if len(names) >= count else ()
    return ()


def _handed_on(steps: list[Any], state: str) -> Iterator[Any]:
    """The function of ``lambda x, s: cell(p, x, s)``, and the position of the argument that gets the state."""
    loaded: list[str] = []
    for step in steps:
        if step.opname.startswith("LOAD") and isinstance(step.argval, (str, tuple)):
            loaded += _names(step, "LOAD")
        elif step.opname == "CALL" or step.opname == "CALL_FUNCTION":
            if state in loaded[1:] and len(loaded) == step.argval + 1:
                return iter((loaded[0], loaded.index(state) - 1))
            break
        elif step.opname != "COPY_FREE_VARS":
            break
    return iter((None, 0))
