"""Truncated sums: the gradients of losses that each look back some steps only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..equations.quantities import Quantity
from ..running.evaluate import Running
from .editing import Bench, Values, Visit

MOST_STEPS = 64


def windows(bench: Bench) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """The gradients for each length of the window, from one step to all but one.

    What comes to step s from the losses at steps s to a is the derivative at s of a backward pass that begins at
    step a. So the derivatives of a window of k steps are, at each s, those of the pass that begins at s + k - 1.

    Args:
        bench: the right run of a derivation.
    """
    recurrent = [q for q in bench.derivation.backward if q.steps and q in _read_behind(bench, q)]
    steps = sorted({t for quantity in recurrent for t in quantity.steps})
    if not 1 < len(steps) <= MOST_STEPS:
        return
    visits = [visit for visit in bench.visits if visit[0].quantity in set(recurrent)]
    begun = {t: _run(bench, [visit for visit in visits if visit[1] is not None and visit[1] <= t]) for t in steps}
    behind = bench.downstream(recurrent) - set(recurrent)
    for length in range(1, len(steps)):
        within = {
            quantity: {t: begun[min(t + length - 1, steps[-1])].values[quantity][t] for t in quantity.steps}
            for quantity in recurrent
        }
        run = _run(bench, [visit for visit in bench.visits if visit[0].quantity in behind], within)
        yield length, _gradients(bench, run)


def _gradients(bench: Bench, run: Running) -> dict[str, np.ndarray]:
    return {name: bench.shaped(name, run.values[q][None]) for name, q in bench.gradient_of.items()}


def _read_behind(bench: Bench, quantity: Quantity) -> set[Quantity]:
    """The quantities that depend on those that read this one."""
    return bench.downstream(_read_by(bench, quantity))


def _read_by(bench: Bench, quantity: Quantity) -> list[Quantity]:
    return [line.quantity for line in bench.readers.get(quantity, ())]


def _run(bench: Bench, visits: list[Visit], known: dict[Quantity, Any] | None = None) -> Running:
    """The right run with other values for some quantities, and these visits made anew; zeros where none is made."""
    run = Running(bench.parameters, bench.data)
    run.values = {**bench.right.values, **(known or {})}
    for quantity in {line.quantity for line, *_ in visits}:
        run.values[quantity] = Values(np.zeros(quantity.shape), ())
    for line, t, function in visits:
        run.values[line.quantity][t] = function(run, t)
    return run
