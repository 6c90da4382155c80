"""Things that are watched: each is a list that a function reads, with what it read first, and how to restore that.

Every call of a compiled function reads them again. So they are compared by identity, in plain loops: a generator
expression would cost as much as the comparisons.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from operator import is_
from typing import Any

Read = Callable[[], Sequence[Any]]
Write = Callable[[Sequence[Any]], None]

NOTHING: Any = object()
OF_FUNCTIONS, CONTENT = ("__code__", "__defaults__", "__kwdefaults__"), "cell_contents"
BUFFERS = (bytearray, memoryview, array)  # objects that are plain memory


class Watched:
    """The lists that functions read, as they were when they were first read."""

    def __init__(self) -> None:
        self._all: list[tuple[Read, Sequence[Any], Write | None]] = []

    def __len__(self) -> int:
        return len(self._all)

    def watch(self, read: Read, write: Write | None = None) -> Sequence[Any]:
        """Watch the result of a function, which another one can restore; return the present result."""
        self._all.append((read, read(), write))
        return self._all[-1][1]

    def changed(self) -> bool:
        """Return True if a function returns something else."""
        for read, before, _ in self._all:
            now = read()
            if len(now) != len(before) or not all(map(is_, now, before)):
                return True
        return False

    def put_back(self) -> None:
        """Restore what was read first, where that can be done."""
        for read, before, write in self._all:
            if write is not None and not same(read(), before):
                write(before)


def same(now: Sequence[Any], before: Sequence[Any]) -> bool:
    """Return True for the same things in the same order."""
    return len(now) == len(before) and all(map(is_, now, before))


# --- attributes, and variables of closures ---------------------------------------------------------------------------


def attribute(owner: Any, name: str) -> Any:
    """An attribute, or NOTHING; the variable of a closure, to which nothing has been assigned yet, has no contents."""
    try:
        return getattr(owner, name)
    except (AttributeError, ValueError):
        return NOTHING


def attributes(places: Sequence[tuple[Any, str]]) -> list[Any]:
    """The attributes at these places, owners and names."""
    try:
        return [getattr(owner, name) for owner, name in places]
    except (AttributeError, ValueError):
        return [attribute(owner, name) for owner, name in places]


def set_attribute(owner: Any, name: str, thing: Any) -> None:
    """Set an attribute, or delete it where there was NOTHING, even if the owner customises assignment."""
    base = type if isinstance(owner, type) else object
    if thing is NOTHING:
        base.__delattr__(owner, name)
    else:
        base.__setattr__(owner, name, thing)


def set_each(places: Sequence[tuple[Any, str]], things: Sequence[Any]) -> None:
    """Restore attributes: ``places`` are owners and names."""
    for (owner, name), thing in zip(places, things):
        if attribute(owner, name) is not thing:
            set_attribute(owner, name, thing)


# --- variables of modules --------------------------------------------------------------------------------------------


def variables(space: dict[str, Any], names: Sequence[str]) -> list[Any]:
    """The values of variables. A missing one is NOTHING: it may appear later, and hide a builtin function."""
    return [space.get(name, NOTHING) for name in names]


def set_variables(space: dict[str, Any], names: Sequence[str], things: Sequence[Any]) -> None:
    """Restore the values of variables."""
    for name, thing in zip(names, things):
        if thing is NOTHING:
            space.pop(name, None)
        elif space.get(name, NOTHING) is not thing:
            space[name] = thing


# --- dicts, and the attributes of classes ----------------------------------------------------------------------------


def entries(mapping: Mapping[Any, Any]) -> Read:
    """A function that returns the keys of a dict, or of what shows one, and then its values."""
    # The stored values themselves: the own methods of some dicts return something new each time.
    own = _methods_of(mapping) if isinstance(mapping, dict) else type(mapping)
    keys, values = own.keys(mapping), own.values(mapping)
    return lambda: [*keys, *values]


def set_entries(mapping: Mapping[Any, Any], owner: type | None, before: Sequence[Any]) -> None:
    """Restore the entries of a dict, in their earlier order; or those of a class, whose dict can't be written to."""
    keys = before[: len(before) // 2]
    entries = dict(zip(keys, before[len(keys) :]))
    if owner is not None:
        for name in {*mapping, *entries}:
            if mapping.get(name, NOTHING) is not entries.get(name, NOTHING):
                set_attribute(owner, name, entries.get(name, NOTHING))
    elif isinstance(mapping, dict):  # any other mapping only shows a dict, which is itself restored
        own = _methods_of(mapping)
        for key in [key for key in mapping if key not in entries]:
            own.__delitem__(mapping, key)
        for key, value in entries.items():
            if own.get(mapping, key, NOTHING) is not value:
                own.__setitem__(mapping, key, value)
        if not same(list(mapping), keys):
            for key in keys:
                own.__setitem__(mapping, key, own.pop(mapping, key))


def _methods_of(mapping: Any) -> Any:
    """The type whose methods show what lies in a dict; OrderedDict for an ordered one, which has its own order."""
    return OrderedDict if isinstance(mapping, OrderedDict) else dict


# --- plain memory ----------------------------------------------------------------------------------------------------


def content(buffer: Any) -> Any:
    """The bytes of an object that is plain memory; None for a view that was released."""
    try:
        return bytes(buffer)
    except ValueError:
        return None


def set_content(buffer: Any, before: Sequence[Any]) -> None:
    """Restore the bytes of an object that is plain memory."""
    if isinstance(buffer, bytearray):
        buffer[:] = before[0]
    elif isinstance(buffer, array):
        buffer[:] = array(buffer.typecode, before[0])
    elif not buffer.readonly and buffer.c_contiguous:
        buffer.cast("B")[:] = before[0]
