"""Side effects of a function, such as counting its calls: compiled, the count would stand still.

On its first run a function may create something that it keeps, such as a table. On later runs it must leave everything
unchanged: a change of its surroundings isn't part of the program, and its branches depend on what it finds there.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

from ...autodiff.errors import CannotCompile
from .guards import Guards, Spelled

CHANGES = (
    "this function changes {} each time that it is run. Compiled, its Python code isn't run at each call, so that "
    "would stand still, and so would every branch that depends on it. Keep a count in the state, or pass it in as an "
    "argument; or run this function as it is, without compile()."
)


TAKES = (
    "this function takes from an iterator, {}. Compiled, its Python code isn't run at each step, so that would stand "
    "still. Pass the elements in as an argument, one for each step with xs; or run this function as it is, without "
    "compile()."
)


def refuse_iterators(*guards: Guards) -> None:
    """Raise CannotCompile if functions take from an iterator: what was taken can't be put back, so they aren't run."""
    for name in (name for each in guards for name in each.iterators):
        raise CannotCompile(TAKES.format(name))


@contextmanager
def nothing_changed(things: Sequence[Any]) -> Iterator[Guards]:
    """A context that raises CannotCompile if something that ``things`` use changes; a replaced Tensor is no change.

    Args:
        things: functions and models, as ``Guards`` takes them.

    Yields:
        Their guards as they are before.

    Raises:
        CannotCompile: something has changed.
    """
    before = Guards(*things)
    yield before
    changed = difference(before.spelled, Guards(*things).spelled)
    if changed is not None:
        raise CannotCompile(CHANGES.format(changed))


def alike_each_time(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns, which stands for many calls of it; what it creates and keeps is no change.

    Raises:
        CannotCompile: it changes something each time, such as a count of the steps.
    """
    before = Guards(function)
    refuse_iterators(before)
    result = function(*arguments)
    if difference(before.spelled, Guards(function).spelled) is None:
        return result
    with nothing_changed([function]):
        return function(*arguments)


def difference(before: Spelled, after: Spelled) -> str | None:
    """The first thing that differs between two snapshots, with both values if they are plain; None if nothing does.

    Args:
        before: ``spelled`` of the Guards of some things.
        after: ``spelled`` of later Guards of the same things.
    """
    missing: Any = ((), None, None)
    for (where, kind, a), (place, other, b) in zip_longest(before, after, fillvalue=missing):
        if where != place or kind is not other or not (a is b or repr(a) == repr(b)):
            are_plain = not isinstance(a, tuple) and not isinstance(b, tuple)
            return "".join(where or place) + (f" (from {reprlib.repr(a)} to {reprlib.repr(b)})" if are_plain else "")
    return None
