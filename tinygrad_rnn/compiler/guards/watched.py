"""The kinds of watched things: each remembers what it saw, can tell a change, and can undo it.

Every call of a compiled function asks them. So they compare by identity, in plain loops: a generator expression would
cost as much as the comparisons.
"""

from __future__ import annotations

import types
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence, ValuesView
from operator import attrgetter, is_
from typing import Any, NamedTuple, Protocol

Read = Callable[[], list[Any]]
Write = Callable[[list[Any]], None]

NOTHING: Any = object()
CONTENT = attrgetter("cell_contents")


class Watched(Protocol):
    """A kind of thing that is watched."""

    def __len__(self) -> int: ...

    def changed(self) -> bool:
        """Return True if something has been replaced since."""

    def put_back(self) -> None:
        """Restore the earlier things."""


def same(now: Sequence[Any], before: Sequence[Any]) -> bool:
    """Return True for the same things in the same order."""
    return len(now) == len(before) and all(map(is_, now, before))


class Names:
    """Variables of modules, by name. A missing name may appear later, and hide a builtin function, for instance."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, str], tuple[dict[str, Any], str, Any]] = {}
        self._missing: dict[int, tuple[dict[str, Any], set[str]]] = {}

    def __len__(self) -> int:
        return len(self._held) + len(self._missing)

    def watch(self, space: dict[str, Any], name: str) -> Any:
        """Watch a variable; return its value, or NOTHING."""
        if name in space:
            return self._held.setdefault((id(space), name), (space, name, space[name]))[2]
        self._missing.setdefault(id(space), (space, set()))[1].add(name)
        return NOTHING

    def changed(self) -> bool:
        """Return True if a name stands for something else."""
        for space, name, thing in self._held.values():
            if space.get(name, NOTHING) is not thing:
                return True
        for space, missing in self._missing.values():  # noqa: SIM110
            if not space.keys().isdisjoint(missing):
                return True
        return False

    def put_back(self) -> None:
        """Restore the earlier values of the names."""
        for space, name, thing in self._held.values():
            if space.get(name, NOTHING) is not thing:
                space[name] = thing
        for space, missing in self._missing.values():
            for name in missing & space.keys():
                del space[name]


class Functions:
    """The code of functions, and their defaults."""

    PARTS = ("__code__", "__defaults__", "__kwdefaults__")

    def __init__(self) -> None:
        self._functions: list[tuple[types.FunctionType, tuple[Any, ...]]] = []

    def __len__(self) -> int:
        return len(self._functions)

    def watch(self, function: types.FunctionType) -> tuple[Any, ...]:
        """Watch a function, and return its parts."""
        self._functions.append((function, attrgetter(*self.PARTS)(function)))
        return self._functions[-1][1]

    def changed(self) -> bool:
        """Return True if a function has other code, or other defaults."""
        for function, (code, defaults, keyword_defaults) in self._functions:
            if (
                function.__code__ is not code
                or function.__defaults__ is not defaults
                or function.__kwdefaults__ is not keyword_defaults
            ):
                return True
        return False

    def put_back(self) -> None:
        """Restore the code and the defaults of the functions."""
        for function, parts in self._functions:
            for name, part in zip(self.PARTS, parts):
                if getattr(function, name) is not part:
                    setattr(function, name, part)


class Closures:
    """Variables that functions share with the function around them."""

    def __init__(self) -> None:
        self._cells: list[Any] = []
        self._held: list[Any] = []

    def __len__(self) -> int:
        return len(self._cells)

    def watch(self, cell: types.CellType) -> Any:
        """Watch a variable; return its value, or NOTHING."""
        self._cells.append(cell)
        self._held.append(_content(cell))
        return self._held[-1]

    def changed(self) -> bool:
        """Return True if a variable now holds something else."""
        try:
            return not all(map(is_, map(CONTENT, self._cells), self._held))
        except ValueError:  # a variable is empty
            return not same(list(map(_content, self._cells)), self._held)

    def put_back(self) -> None:
        """Restore the earlier values of the variables."""
        for cell, thing in zip(self._cells, self._held):
            if _content(cell) is not thing:
                set_attribute(cell, "cell_contents", thing)


class Types:
    """The classes of things, which can be replaced, too."""

    def __init__(self) -> None:
        self._things: list[Any] = []
        self._types: list[type] = []

    def __len__(self) -> int:
        return len(self._things)

    def watch(self, thing: Any) -> type:
        """Watch the class of a thing, and return it."""
        self._things.append(thing)
        self._types.append(type(thing))
        return self._types[-1]

    def changed(self) -> bool:
        """Return True if something is of another class."""
        return not all(map(is_, map(type, self._things), self._types))

    def put_back(self) -> None:
        """Restore the classes of the things."""
        for thing, kind in zip(self._things, self._types):
            if type(thing) is not kind:
                set_attribute(thing, "__class__", kind)


class Entries(NamedTuple):
    """The entries of a dict, or the attributes of an object.

    Attributes:
        mapping: the dict.
        keys: its keys, in their order.
        now: a live view of the values.
        values: the values when they were recorded.
        owner: the class whose attributes they are, since its dict can't be written to; None for anything else.
    """

    mapping: Mapping[Any, Any]
    keys: list[Any]
    now: ValuesView[Any]
    values: list[Any]
    owner: type | None

    def put_back(self) -> None:
        """Restore the entries of the dict."""
        entries = dict(zip(self.keys, self.values))
        if self.owner is not None:
            for name in {*self.mapping, *entries}:
                if self.mapping.get(name, NOTHING) is not entries.get(name, NOTHING):
                    set_attribute(self.owner, name, entries.get(name, NOTHING))
        elif isinstance(self.mapping, dict):  # any other mapping only shows a dict, which is itself restored
            own = methods_of(self.mapping)
            for key in [key for key in self.mapping if key not in entries]:
                own.__delitem__(self.mapping, key)
            for key, value in entries.items():
                if own.get(self.mapping, key, NOTHING) is not value:
                    own.__setitem__(self.mapping, key, value)
            if not same(list(self.mapping), self.keys):
                for key in self.keys:
                    own.__setitem__(self.mapping, key, own.pop(self.mapping, key))


class Mappings:
    """Dicts, and attributes."""

    def __init__(self) -> None:
        self._all: list[Entries] = []

    def __len__(self) -> int:
        return len(self._all)

    def watch(self, mapping: Mapping[Any, Any], owner: type | None = None) -> Entries:
        """Watch a dict, or the attributes of an owner; return what it holds."""
        # The stored values themselves: the own methods of some dicts return something new each time.
        now = methods_of(mapping).values(mapping) if isinstance(mapping, dict) else mapping.values()
        self._all.append(Entries(mapping, list(mapping), now, list(now), owner))
        return self._all[-1]

    def changed(self) -> bool:
        """Return True if a dict holds something else, or in another order."""
        try:
            for mapping, keys, now, values, _ in self._all:
                if list(mapping) != keys or not all(map(is_, now, values)):
                    return True
        except Exception:  # comparing keys may raise, or return something other than a boolean
            return True
        return False

    def put_back(self) -> None:
        """Restore the entries of the dicts, in their earlier order."""
        for entries in self._all:
            if not (same(list(entries.mapping), entries.keys) and same(list(entries.now), entries.values)):
                entries.put_back()


class Parts:
    """Other parts of a thing, as a list that a function reads: elements, slots, the parts of a method."""

    def __init__(self) -> None:
        self._all: list[tuple[Read, list[Any], Write | None]] = []

    def __len__(self) -> int:
        return len(self._all)

    def watch(self, read: Read, write: Write | None = None) -> list[Any]:
        """Watch the result of a function that another function can restore; return the present result."""
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
        """Restore the earlier parts, where that can be done."""
        for read, before, write in self._all:
            now = read()
            if write is not None and not same(now, before):
                write(before)


class Buffers:
    """The bytes of objects that are plain memory, such as arrays."""

    KINDS = (bytearray, memoryview, array)

    def __init__(self) -> None:
        self._all: list[tuple[Any, bytes]] = []

    def __len__(self) -> int:
        return len(self._all)

    def watch(self, buffer: Any) -> bytes:
        """Watch a buffer, and return its bytes."""
        self._all.append((buffer, _bytes_of(buffer)))
        return self._all[-1][1]

    def changed(self) -> bool:
        """Return True if a byte differs."""
        return any(_bytes_of(buffer) != before for buffer, before in self._all)

    def put_back(self) -> None:
        """Restore the earlier bytes."""
        for buffer, before in self._all:
            if _bytes_of(buffer) == before:
                continue
            if isinstance(buffer, bytearray):
                buffer[:] = before
            elif isinstance(buffer, array):
                buffer[:] = array(buffer.typecode, before)
            elif not buffer.readonly and buffer.c_contiguous:
                buffer.cast("B")[:] = before


def methods_of(mapping: Any) -> Any:
    """The type whose methods show what lies in a dict; OrderedDict for an ordered one, which has its own order."""
    return OrderedDict if isinstance(mapping, OrderedDict) else dict


def set_attribute(owner: Any, name: str, thing: Any) -> None:
    """Set an attribute, or delete it where there was NOTHING, even if the owner customises assignment."""
    base = type if isinstance(owner, type) else object
    if thing is NOTHING:
        base.__delattr__(owner, name)
    else:
        base.__setattr__(owner, name, thing)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing has been assigned to that variable yet
        return NOTHING


def _bytes_of(buffer: Any) -> Any:
    try:
        return bytes(buffer)
    except ValueError:  # a view that was released
        return None
