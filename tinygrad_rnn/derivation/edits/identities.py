"""Identities: sums of a derivative that are one number whatever the values, in whose place people write that number.

In the forward algorithm (of an HMM, CTC, a CRF) ``Σ p ∘ ∂L/∂p`` is -1 at each step: the probabilities of all paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...autodiff.rules import reductions
from ..equations.expressions import Expression, Number, OverSteps
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
        benches: right runs at several values of the parameters, of one derivation.
    """
    found = []
    for line in benches[0].lines:
        numbers: dict[Expression, Number] = {}
        is_of_one_step = line.kind == "backward" and not any(parts(line.expression, OverSteps))
        for part in parts(line.expression) if is_of_one_step else ():
            if applies(part, reductions.sum) and reads_derivatives(part):
                run = compiled(part)
                values = np.array([run(bench.right, t) for bench in benches for t in line.steps or (None,)])
                number = float(np.round(values.flat[0], 9))
                if number and values.size > len(benches) and np.allclose(values, number, rtol=0, atol=1e-9):
                    numbers[part] = Number(number)
        if numbers:
            new = replaced(
                line.expression,
                lambda p, of=numbers: broadcast(of[p], p.shape) if p in of else None,  # type: ignore[misc]
            )
            part, number_of_it = next(iter(numbers.items()))
            found.append(Edit(line, new, WHAT, (number_of_it, part)))
    return found
