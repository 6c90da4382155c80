"""A trace can't hold random numbers: the same ones would come at each call. Whoever draws some is found out here."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...autodiff.errors import CannotCompile

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
SHARED = [getattr(draw, "__self__") for draw in (np.random.normal, random.random)]  # noqa: B009  # unknown to mypy

DRAWS = (
    "this function draws random numbers inside, and they would be the same at each call. Draw them before the loop and "
    "pass them in: per step with xs, per sequence with the state. Or run it as it is, without compile()."
)


@contextmanager
def none_drawn(generators: Sequence[Any]) -> Iterator[None]:
    """Refuse it if random numbers are drawn meanwhile, be it to decide a branch. The generators are put back.

    Args:
        generators: those to watch besides NumPy's and Python's own.

    Raises:
        CannotCompile: some were drawn.
    """
    watched = [*SHARED, *generators]
    before = [_state(generator) for generator in watched]
    refused = None
    try:
        yield
    except CannotCompile as error:
        refused = error
    finally:
        drawn = [(g, state) for g, state in zip(watched, before) if not _same(_state(g), state)]
        for generator, state in drawn:
            _put_back(generator, state)
    if drawn:
        raise CannotCompile(DRAWS)
    if refused:
        raise refused


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
