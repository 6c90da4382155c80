"""Other walks over the steps: losses that look back some steps only, steps visited from the first to the last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..equations.arithmetic import is_sum
from ..equations.expressions import Expression, Reference
from ..equations.lines import Line
from ..equations.making import unwrapped
from ..equations.parts import parts, total
from ..equations.quantities import Quantity
from ..running.evaluate import Running, compiled
from .editing import Bench, Values, Visit
from .of_uses import Switched

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


def visited_forward(bench: Bench) -> Iterator[tuple[bool, dict[str, np.ndarray]]]:
    """The gradients if the steps are visited from the first to the last; whether in all loops, or else in one.

    What a step hands to the one before then reaches the one after.

    Args:
        bench: the right run of a derivation.
    """
    loops = dict.fromkeys(q.loop for q in bench.derivation.backward if len(q.steps) > 1 and q in _read_behind(bench, q))
    for chosen in [set(loops), *({loop} for loop in loops if len(loops) > 1)]:
        turned = {q for q in bench.derivation.backward if len(q.steps) > 1 and q.loop in chosen}
        visits = [visit for visit in bench.visits if visit[0].quantity in bench.downstream(turned)]
        own = [visit for visit in visits if visit[0].quantity in turned]
        functions = {line: compiled(_handed_on(line, turned)) for line, *_ in own}
        again = iter(sorted(((line, t, functions[line]) for line, t, _ in own), key=lambda visit: visit[1] or 0))
        run = _run(bench, [next(again) if visit[0].quantity in turned else visit for visit in visits])
        yield chosen == set(loops), _gradients(bench, run)


def _handed_on(line: Line, turned: set[Quantity]) -> Expression:
    """The right-hand side with what comes from the step before in place of what comes from the step after."""
    terms: list[Expression] = []
    for term in line.expression.operands if is_sum(line.expression) else (line.expression,):
        inner, _ = unwrapped(term)
        shifts = (p.shift for p in parts(inner) if isinstance(p, Reference) and p.quantity in turned and p.shift)
        by = next(shifts, 0)
        steps = tuple(t for t in line.steps if t - by in line.steps)
        terms.append(Switched(steps, inner.shifted(-2 * by)) if by else term)
    return total(terms)


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
