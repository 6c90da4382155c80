"""Side effects of a function, such as counting its calls: compiled, the count would stand still.

The first time that a function is run it may make what it keeps, a table say. From then on it has to leave all as it
finds it: what it does to its surroundings isn't part of the program, and what it finds there decides its branches.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
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


@contextmanager
def nothing_changed(things: Sequence[Any]) -> Iterator[None]:
    """Refuse it if what some things use is changed meanwhile. A Tensor that takes another's place is no change.

    Args:
        things: as of ``Guards``.

    Raises:
        CannotCompile: something was changed.
    """
    before = Guards(*things).spelled
    yield
    changed = difference(before, Guards(*things).spelled)
    if changed is not None:
        raise CannotCompile(CHANGES.format(changed))


def difference(before: Spelled, after: Spelled) -> str | None:
    """The first thing that isn't the same at two moments, with both values if they are plain; None if all is.

    Args:
        before: the ``spelled`` of the Guards of some things.
        after: that of later Guards of the same things.
    """
    missing: Any = ((), None, None)
    for (where, kind, a), (place, other, b) in zip_longest(before, after, fillvalue=missing):
        if where != place or kind is not other or not (a is b or repr(a) == repr(b)):
            are_plain = not isinstance(a, tuple) and not isinstance(b, tuple)
            return "".join(where or place) + (f" (from {reprlib.repr(a)} to {reprlib.repr(b)})" if are_plain else "")
    return None
