"""Followers of the sizes other than lengths: floats and constant arrays, and the formulas that compute them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..numpy_code.writer import as_tuple
from .reading import Counted, DependsOnSize, Filled, Reader, Share, Size


class Typed(NamedTuple):
    """A number of another type than int that follows the sizes: a length, or one divided by a length."""

    kind: Any
    number: Size | Share


class FollowingReader(Reader):
    """A reader of what code may hold besides lengths: floats, and arrays of them."""

    def setting(self, *settings: Any) -> Any:
        """A float that is a length, or one divided by a length."""
        kinds = set(map(type, settings))
        if (
            len(kinds) > 1
            or not issubclass(type(settings[0]), (float, np.floating))
            or not np.all(np.isfinite(settings))
        ):
            return super().setting(*settings)
        are_whole = all(n == int(n) for n in settings)
        found = self.number(*map(int, settings)) if are_whole else self.share(*settings)
        assert not isinstance(found, int)
        return Typed(kinds.pop(), found)

    def other_array(self, *arrays: np.ndarray) -> Any:
        """An array that has one number everywhere, which follows the sizes."""
        if len({a.ndim for a in arrays}) > 1 or not all(a.size and np.all(a == a.flat[0]) for a in arrays):
            return super().other_array(*arrays)
        numbers = [a.flat[0] for a in arrays]
        number = self.merged(*numbers)
        typed = number if isinstance(number, Typed) else Typed(type(numbers[0]), number)
        return Filled(typed, self._lengths(arrays))


def follows(found: Any) -> bool:
    """Return True if something in it follows the sizes."""
    if isinstance(found, (Size, Typed, Filled, Counted)):
        return True
    if isinstance(found, slice):
        return follows((found.start, found.stop, found.step))
    return isinstance(found, (tuple, list)) and any(map(follows, found))


def text(found: Any) -> str:
    """The expression that computes it, or the arguments from which ``_made`` builds it."""
    if isinstance(found, (Size, Share)) or found is None or type(found) is int:
        return str(found)
    if isinstance(found, Typed):
        return str(found.number)
    if isinstance(found, Filled) and isinstance(found.number, Typed):
        return text((found.number, found.shape))
    if isinstance(found, (Filled, Counted)):
        return text(found.shape)
    if isinstance(found, slice):
        return f"slice({text(found.start)}, {text(found.stop)}, {text(found.step)})"
    if type(found) is tuple:
        return as_tuple(map(text, found))
    raise DependsOnSize(f"{found!r} stands beside what follows the sizes of the arguments")


def made(found: Any, value: Any) -> Any:
    """The object that code is given for the value of its expression."""
    if isinstance(found, Typed):
        return found.kind(value)
    if isinstance(found, Filled) and isinstance(found.number, Typed):
        number, shape = value
        return np.full(shape, found.number.kind(number))
    if isinstance(found, Filled):
        return np.full(value, found.number)
    if isinstance(found, Counted):
        return np.arange(math.prod(value), dtype=found.dtype).reshape(value)
    return value


def formula(names: Iterable[str], found: Iterable[Any]) -> Callable[..., tuple[Any, ...]]:
    """A function of the sizes that computes all of these, each as ``made`` wants it."""
    function: Callable[..., tuple[Any, ...]] = eval(f"lambda {', '.join(names)}: {as_tuple(map(text, found))}", {})
    return function
