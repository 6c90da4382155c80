"""Starts: the states before the first steps of loops, and equations that give them.

For an initial state, ``0.9 * h`` is plain arithmetic, which leaves no trace except its value: the first step seems to
read a given value. If an equation of later steps has this value as its result, it holds at the first step, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..equations.arithmetic import repeated
from ..equations.expressions import Number, Reference
from ..equations.parts import closure, parts, places_read
from ..equations.quantities import Equation, Place, Quantity
from ..running.evaluate import Running, compiled


class Start(NamedTuple):
    """A state before the first step."""

    given: Any  # the value that was found in its place: an Item, or a number
    is_recorded: bool  # whether it is a parameter, or the result of a recorded operation


class _Made(NamedTuple):
    """The value that an equation gives at a step where none was recorded."""

    equation: Equation
    value: Any


def extend_to_starts(
    quantities: Sequence[Quantity], starts: dict[Place, Start], arrays: Mapping[str, np.ndarray]
) -> None:
    """Extend equations to first steps where they give the start.

    Args:
        quantities: all quantities.
        starts: the starts of states; those that equations give are removed.
        arrays: the data that expressions read, by name.
    """
    while any(_extend(place, quantities, starts, arrays) for place in list(starts)):
        pass


def _extend(
    place: Place, quantities: Sequence[Quantity], starts: dict[Place, Start], arrays: Mapping[str, np.ndarray]
) -> bool:
    """Return True if an equation gives a start; it then takes the place of the start's own."""
    (target, step), start = place, starts[place]
    given = target.equation_at(step)
    recorded = (q.values for q in quantities if q.steps and q.loop == target.loop and (q, step) not in starts)
    if given is None or step is None or start.is_recorded or not any(step in values for values in recorded):
        return False
    for equation in target.equations:
        if equation is given:
            continue
        zeros = [] if np.any(target.values[step]) else _without_value(equation, step)
        for quantity, t in zeros:
            quantity.values[t] = np.zeros(quantity.shape)
        made: dict[Quantity, _Made | None] = {target: None}
        found = _computed(equation, step, made, arrays)
        if found is not None and np.allclose(found.value, target.values[step], rtol=1e-13, atol=0):
            made[target] = found
        if made[target] is None or _reads_itself(place, made):
            for quantity, t in zeros:
                del quantity.values[t]
            continue
        for quantity, t in zeros:
            quantity.equations.append(Equation((t or 0,), repeated(Number(0.0), quantity.shape)))
        target.equations.remove(given)
        for quantity, new in made.items():
            assert new is not None
            new.equation.steps = tuple(sorted((*new.equation.steps, step)))
            quantity.values[step] = new.value
        del starts[place]
        return True
    return False


def _without_value(equation: Equation, step: int) -> list[Place]:
    """The states that an equation reads at a step and that have no value, since it is before their first step."""
    read = ((r.quantity, r.step(step)) for r in parts(equation.expression, Reference) if r.shift)
    return list(dict.fromkeys(place for place in read if place[1] == min(place[0].values) - 1))


def _reads_itself(place: Place, made: Mapping[Quantity, _Made | None]) -> bool:
    """Return True if equations would compute a start from values that are computed from it."""

    def read(at: Place) -> Iterable[Place]:
        quantity, t = at
        new = made.get(quantity) if t == place[1] else None
        equation = new.equation if new else quantity.equation_at(t)
        return places_read(equation.expression, () if t is None else (t,)) if equation else ()

    return place in closure(read(place), read)


def _computed(
    equation: Equation, step: int, made: dict[Quantity, _Made | None], arrays: Mapping[str, np.ndarray]
) -> _Made | None:
    """The result of an equation at a step, from values at hand and others that equations give there."""
    reads = list(parts(equation.expression, Reference))
    known = Running({}, arrays)
    for read in reads:
        quantity, at = read.quantity, read.step(step)
        known.values[quantity] = values = dict(quantity.values)
        if at in values:
            continue
        if at == step and quantity not in made:
            made[quantity] = None
            nearest = min(quantity.equations, key=lambda e: min(abs(t - step) for t in e.steps or (step,)))
            made[quantity] = _computed(nearest, step, made, arrays)
        new = made.get(quantity) if at == step else None
        if new is None:
            return None
        values[step] = new.value
    try:
        value = compiled(equation.expression)(known, step) if reads else None
    except (KeyError, IndexError):
        return None
    return None if value is None else _Made(equation, value)
