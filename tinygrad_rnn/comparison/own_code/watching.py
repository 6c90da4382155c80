"""A function that is watched while it runs, as by a debugger: each value that one of its lines assigns."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import reduce
from operator import itemgetter
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from ...recorded.outside import NOT_THE_USERS
from .reads import Used, is_comprehension, own_variables, used_by_line, where_statements_end

SELF = "self"
DEEPEST = 3  # dicts and lists in each other
MOST = 20_000  # values that are kept of a run

Path = tuple[Any, ...]  # the name of a variable, and the keys of what is in it
Latest = dict[str, dict[str, int]]
Instead = Callable[["Assigned"], "np.ndarray | None"]


class Place(NamedTuple):
    """A place in the text of a function, where a line assigns."""

    code: CodeType  # the function
    line: int  # the line in its file
    variable: str  # the variable that it assigns to
    target: str  # what in it: ``grads['W']``


class Assigned(NamedTuple):
    """A value that a line assigned."""

    place: Place  # the line, and the variable
    name: str  # what was assigned, in the words of the code: ``delta``, ``h[3]``, ``grads['W']``
    value: np.ndarray
    before: np.ndarray | None  # the value before it, if the line could read that; zeros for what had another shape
    reads: tuple[int, ...]  # the values that the line could read, by their numbers among all that are kept
    call: int  # the number of the call of a function in which it ran

    @property
    def is_whole(self) -> bool:
        """True for all of a variable, rather than a part of it."""
        return self.name == self.place.variable

    @property
    def added(self) -> np.ndarray | None:
        """The difference to the value before."""
        return None if self.before is None else self.value - self.before


class Watched(NamedTuple):
    """A run that was watched.

    Attributes:
        result: the result of the function.
        assigned: each value that was assigned, in order; none of a run with more than 20,000.
        returned: the numbers of the values that lines with a ``return`` could read, or that objects have in the end.
    """

    result: Any
    assigned: list[Assigned]
    returned: list[int]


def watched(function: Callable[[], Any], instead: Instead | None = None) -> Watched:
    """Run a function, and keep each array and real number that a line of the user's code assigns.

    What it prints isn't shown: it did so before, when it was called for its gradients.

    Args:
        function: the function, without arguments.
        instead: what to assign instead of a value; by default all stays as it is. None leaves a value alone.

    Example:
        >>> def mean():
        ...     total = 0.0
        ...     for x in (1.0, 3.0):
        ...         total += x
        ...     return total / 2
        >>> [(one.name, float(one.value)) for one in watched(mean).assigned if one.name == "total"]
        [('total', 0.0), ('total', 1.0), ('total', 4.0)]
    """
    watch = _Watch(instead)
    before = sys.gettrace()
    sys.settrace(watch.begin)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            result = function()
    finally:
        sys.settrace(before)
    if len(watch.assigned) > MOST:
        return Watched(result, [], [])
    left = [i for part in watch.attributes.values() for i in part.values()]
    return Watched(result, watch.assigned, [*watch.returned, *left])


@dataclasses.dataclass(eq=False)
class _Call:
    """A call of a function of the user.

    Attributes:
        code: the function.
        number: its number among all calls.
        line: the line that runs.
        start: the offset of the instruction with which it began to run.
        read: the variables that were read since the last assignment: a statement may have several lines.
        known: the numbers in its variables, as they were last seen.
        objects: the variables themselves, as they were last seen.
        latest: the last value of each part of each variable, by its number.
        handed: the numbers of what functions could return that it called since then.
    """

    code: CodeType
    number: int
    line: int
    start: int
    known: dict[Path, np.ndarray]
    objects: dict[str, Any]
    read: set[str] = dataclasses.field(default_factory=set)
    latest: Latest = dataclasses.field(default_factory=dict)
    handed: dict[int, None] = dataclasses.field(default_factory=dict)


class _Watch:
    """The debugger's side of ``watched``."""

    def __init__(self, instead: Instead | None) -> None:
        self.instead = instead
        self.assigned: list[Assigned] = []
        self.returned: list[int] = []
        self.attributes: Latest = {}
        self.calls: dict[FrameType, _Call] = {}
        self.count = 0

    def begin(self, frame: FrameType, event: str, given: Any) -> Any:
        """Return the function that follows a frame line by line, if it runs code of the user."""
        if frame.f_code.co_filename.startswith(NOT_THE_USERS) or len(self.assigned) > MOST:
            return None
        around = self.calls.get(frame.f_back) if frame.f_back and is_comprehension(frame.f_code) else None
        if around is not None:  # its lines are lines of the function around it
            self.calls[frame] = dataclasses.replace(around, line=0, start=-1)
            return self.follow
        objects = dict(_variables(frame.f_locals))
        known = {path: np.array(value) for name, whole in objects.items() for path, value in _numbers((name,), whole)}
        self.calls[frame] = _Call(frame.f_code, self.count, frame.f_lineno, frame.f_lasti, known, objects)
        self.count += 1
        return self.follow

    def follow(self, frame: FrameType, event: str, given: Any) -> Any:
        """Look at what the last line did, whenever another begins."""
        if len(self.assigned) > MOST:
            return None
        call = self.calls[frame]
        if event in ("line", "return"):
            used = used_by_line(call.code).get(call.line, Used())
            within = own_variables(frame.f_code).get(frame.f_lasti)  # then the statement goes on
            call.read |= used.reads
            changes = self._changes(frame, call, used, within or ())
            if not within and (changes or call.start in where_statements_end(frame.f_code)):
                call.read.clear()
                call.handed.clear()
        if event == "return":
            if frame.f_code is call.code:
                call.read |= used_by_line(call.code).get(frame.f_lineno, Used()).reads
                returned = self._readable(call)
                self.returned += returned
                if frame.f_back in self.calls:
                    self.calls[frame.f_back].handed.update(dict.fromkeys(returned))
            del self.calls[frame]
        call.start = frame.f_lasti
        call.line = frame.f_lineno
        return self.follow

    def _changes(self, frame: FrameType, call: _Call, used: Used, but: Collection[str]) -> bool:
        """Keep what a line changed, but for some variables; return True if there is something."""
        count = len(self.assigned)
        touched = (used.reads | used.writes).difference(but)
        variables = frame.f_locals  # asked once: Python before 3.13 makes it anew, without what was put there
        for name, whole in sorted(_variables(variables), key=itemgetter(0)):
            is_assigned = name in used.writes and whole is not call.objects.get(name)
            for path, value in _numbers((name,), whole) if name in touched else ():
                before, is_new = call.known.get(path), len(path) == 1 and name in used.writes
                if before is None or (is_new and is_assigned) or not np.array_equal(before, value, equal_nan=True):
                    after = np.array(value)
                    keys = () if is_new else _changed_part(before, after)
                    one = Assigned(
                        Place(call.code, call.line, name, _words([one for one in path if isinstance(one, str)])),
                        _words(path, keys),
                        after[keys],
                        _before(before, after)[keys] if name in call.read else None,
                        self._readable(call, name),
                        call.number,
                    )
                    new = None if self.instead is None else self.instead(one)
                    if new is not None and _put(variables, path, keys, new):
                        after[keys] = new
                    call.known[path] = after
                    self._keep(call, one._replace(value=after[keys]))
        call.objects.update((name, whole) for name, whole in _variables(variables) if name in touched)
        return len(self.assigned) > count

    def _latest(self, call: _Call, name: str) -> Latest:
        """The last values of a call's own variables, or of attributes, which all calls share."""
        return self.attributes if "." in name else call.latest

    def _readable(self, call: _Call, but: str = "") -> tuple[int, ...]:
        """The numbers of the values that could be read; not those of the variable that is assigned."""
        parts = (self._latest(call, name).get(name, {}) for name in call.read if name != but)
        return (*(i for part in parts for i in part.values()), *call.handed)

    def _keep(self, call: _Call, one: Assigned) -> None:
        latest = self._latest(call, one.place.variable).setdefault(one.place.variable, {})
        own = (latest[one.name],) if one.name in latest and one.before is not None else ()
        if one.is_whole:
            latest.clear()
        latest[one.name] = len(self.assigned)
        self.assigned.append(one._replace(reads=(*one.reads, *own)))


def _before(before: np.ndarray | None, after: np.ndarray) -> np.ndarray:
    return before if before is not None and before.shape == after.shape else np.zeros_like(after)


def _words(path: Sequence[Any], keys: Path = ()) -> str:
    """The name of what was assigned, as code writes it."""
    within = f"[{', '.join(':' if isinstance(key, slice) else str(key) for key in keys)}]" if keys else ""
    return "".join((path[0], *(f"[{key!r}]" for key in path[1:]), within))


def _variables(variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The local variables of a function; the attributes of its object, and of dataclasses, are such."""
    for name, value in variables.items():
        is_object = name == SELF or (dataclasses.is_dataclass(value) and not isinstance(value, type))
        if is_object and hasattr(value, "__dict__"):
            yield from ((f"{name}.{key}", inner) for key, inner in vars(value).items())
        else:
            yield name, value


def _numbers(path: Path, value: Any, levels: int = DEEPEST) -> Iterator[tuple[Path, Any]]:
    """The arrays of real numbers in a value, with their paths."""
    if isinstance(value, (np.ndarray, np.floating, float)):
        if np.asarray(value).dtype.kind == "f":
            yield path, value
    elif levels and isinstance(value, (Mapping, list, tuple)):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _numbers((*path, key), inner, levels - 1)


def _changed_part(before: np.ndarray | None, after: np.ndarray) -> Path:
    """The index of the part that changed: one place of one axis; () for all."""
    if before is None or before.shape != after.shape or not after.ndim:
        return ()
    differs = ~((before == after) | (np.isnan(before) & np.isnan(after)))
    for axis, length in enumerate(after.shape):
        places = np.flatnonzero(differs.any(axis=tuple(other for other in range(after.ndim) if other != axis)))
        if len(places) == 1 < length:
            return (*[slice(None)] * axis, int(places[0]))
    return ()


def _put(variables: Any, path: Path, keys: Path, new: np.ndarray) -> bool:
    """Put other numbers where a line has just put its own; return False where that can't be done."""
    name, *inner = path
    owner, _, attribute = name.partition(".")
    where, name = (vars(variables[owner]), attribute) if attribute else (variables, name)
    try:
        *parents, last = (name, *inner)
        where = reduce(lambda whole, key: whole[key], parents, where)
        if keys:
            where[last][keys] = new
        else:
            old = where[last]
            where[last] = new.astype(old.dtype) if isinstance(old, np.ndarray) else type(old)(new)
    except (TypeError, KeyError, IndexError, ValueError):  # a tuple, say
        return False
    return True
