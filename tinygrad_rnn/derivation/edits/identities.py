"""Identities: sums of a derivative that are one number whatever the values, in whose place people write that number.

In the forward algorithm (of an HMM, CTC, a CRF) ``Σ p ∘ ∂L/∂p`` is -1 at each step: the probabilities of all paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...autodiff.rules import reductions
from ..equations.expressions import During, Expression, Number, OverSteps, Steps
from ..equations.making import broadcast
from ..equations.parts import applies, parts, reads_derivatives, replaced
from ..running.evaluate import compiled
from .edits import Edit

if TYPE_CHECKING:
    from .editing import Bench


WHAT = "{} stands where {} belongs, which is right as long as all else is"


def identities(benches: Sequence[Bench]) -> list[Edit]:
    """The lines in which sums of derivatives are one number at all steps, with this number in their place.

    Args:
        benches: right runs at several values of the parameters, of one derivation: what is one number at all is none
            by chance.
    """
    found = []
    for line in benches[0].lines:
        numbers: dict[Expression, Number] = {}
        is_of_one_step = line.kind != "forward" and not any(parts(line.expression, OverSteps))
        for part, steps in _with_steps(line.expression, line.steps) if is_of_one_step else ():
            if applies(part, reductions.sum) and reads_derivatives(part):
                run = compiled(part)
                values = np.array([run(bench.right, t) for bench in benches for t in steps or (None,)])
                number = float(np.round(values.flat[0], 9)) if values.size else 0.0
                if number and np.allclose(values, number, rtol=0, atol=1e-9):
                    numbers[part] = Number(number)
        if numbers:
            new = replaced(
                line.expression,
                lambda p, of=numbers: broadcast(of[p], p.shape) if p in of else None,  # type: ignore[misc]
            )
            part, number_of_it = next(iter(numbers.items()))
            found.append(Edit(line, new, WHAT, (number_of_it, part)))
    return found


def _with_steps(whole: Expression, steps: Steps) -> Iterator[tuple[Expression, Steps]]:
    """The parts of an expression, each with the steps at which it is read."""
    steps = tuple(t for t in steps if t in whole.steps) if isinstance(whole, During) else steps
    yield whole, steps
    for operand in whole.operands:
        yield from _with_steps(operand, steps)
