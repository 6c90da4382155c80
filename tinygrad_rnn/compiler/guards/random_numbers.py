"""A trace can't hold random numbers: each call would get the same ones. This module finds functions that draw some.

The state of a generator shows whether it has moved on. Generators that a function holds or names are its own. The
shared ones of NumPy and Python belong to everybody, though: another thread may have drawn from them. So if a shared
one has moved, the function runs again while the code on this thread is watched. The draw counts as the function's only
if code that ran there can have made it: code that mentions the generator, or had it in a variable.
"""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np

from ...autodiff.errors import CannotCompile, NotOnTensors
from .names_in_code import mentions, things_mentioned

Result = TypeVar("Result")

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
SHARED = [getattr(draw, "__self__") for draw in (np.random.normal, random.random)]  # noqa: B009  # unknown to mypy

DRAWS = (
    "this function draws random numbers inside, and they would be the same at each call. Draw them before the loop and "
    "pass them in: per step with xs, per sequence with the state. Or run it as it is, without compile()."
)


def without_draws(run: Callable[[], Result], generators: Sequence[Any]) -> Result:
    """Return the result of a function. Raise CannotCompile if it draws random numbers, even only to choose a branch.

    It is run again if a shared generator, of those that it can reach, has moved.

    The generators that it has drawn from are restored; those from which another thread has drawn are left alone.

    Raises:
        CannotCompile: the function draws random numbers.
    """
    reachable = {id(generator) for generator in generators}
    watched = [*generators, *(g for g in SHARED if id(g) not in reachable)]
    before = [(generator, _state(generator)) for generator in watched]
    try:
        result = run()
    except NotOnTensors:
        if _put_back_drawn(before, run, reachable):
            raise CannotCompile(DRAWS) from None
        raise
    if _put_back_drawn(before, run, reachable):
        raise CannotCompile(DRAWS)
    return result


def _put_back_drawn(before: list[tuple[Any, Any]], run: Callable[[], Any], reachable: set[int]) -> bool:
    """Put back the generators that a function has drawn from, and return whether there are any."""
    moved = [(generator, state) for generator, state in before if not _same(_state(generator), state)]
    others = [generator for generator, _ in moved if id(generator) not in reachable]
    own = reachable | (used_by(run, others) if others else set())
    drawn = [(generator, state) for generator, state in moved if id(generator) in own]
    for generator, state in drawn:
        _put_back(generator, state)
    return bool(drawn)


def used_by(run: Callable[[], Any], generators: Sequence[Any]) -> set[int]:
    """Return which generators the code that a function runs on this thread mentions, or has in a variable, by id.

    While another profiler is at work that can't be restored, the code isn't watched, and all generators count as used.
    """
    asked = {id(generator) for generator in generators}
    profiler: Any = sys.getprofile()
    if profiler is not None and not callable(profiler):
        return asked
    found: set[int] = set()
    known: set[types.CodeType] = set()

    def look(frame: types.FrameType, event: str, argument: Any) -> None:
        if event != "return":
            return
        found.update(asked & {id(_generator_of(thing)) for thing in frame.f_locals.values()})
        if frame.f_code not in known:
            known.add(frame.f_code)
            things = things_mentioned(mentions(frame.f_code), frame.f_globals, lambda module: True)
            found.update(asked & {id(_generator_of(thing)) for thing in things})

    sys.setprofile(look)
    try:
        with suppress(NotOnTensors):  # it was raised in the first run, too, and is reported there
            run()
    finally:
        sys.setprofile(profiler)
    return found


def _generator_of(thing: Any) -> Any:
    """Return the generator itself, or the one that a method of it, such as ``np.random.normal``, draws from."""
    return thing.__self__ if isinstance(thing, (types.MethodType, types.BuiltinMethodType)) else thing


def _state(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state() if isinstance(generator, np.random.RandomState) else generator.getstate()


def _put_back(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return all(_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple) and any(isinstance(part, np.ndarray) for part in a):
        return all(map(_same, a, b))
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else bool(a == b)
