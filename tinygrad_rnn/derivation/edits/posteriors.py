"""Posteriors: a forward probability times its derivative is, up to one number, the probability given all the data.

In the forward algorithm (of an HMM, CTC, a CRF) ``Σ α ∘ ∂L/∂α`` is one number at all steps; of logarithms, ``Σ ∂L/∂α``.
Who derives it by forward and backward probabilities has γ = α ∘ β there, and may take γ of another step, or α alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...autodiff.rules import elementwise, log_probabilities, reductions
from ..equations.arithmetic import scaled
from ..equations.expressions import Apply, Expression, Reference, Steps, apply
from ..equations.lines import Line
from ..equations.making import broadcast, over, times
from ..equations.parts import parts, replaced
from ..equations.quantities import Quantity
from ..running.evaluate import compiled
from .edits import Edit
from .of_uses import definition

if TYPE_CHECKING:
    from .derived import Derived
    from .editing import Bench

SMALLEST = 1e-6  # sum that is none of rounding errors
MOST_LINES = 4  # of which any may be wrong
Others = dict[str, Expression]


@dataclass(frozen=True)
class Posterior:
    """The posterior of a state at each step.

    Attributes:
        state: the forward probabilities, or their logarithms.
        derivative: the loss by these.
        is_log: whether they are logarithms.
        whole: the number to which it adds up.
        loss: the loss.
    """

    state: Quantity
    derivative: Quantity
    is_log: bool
    whole: float
    loss: Reference

    def at(self, shift: int | None, at: int | None = None) -> Expression:
        """The posterior of a step."""
        derivative = Reference(self.derivative, shift, at)
        return derivative if self.is_log else times(Reference(self.state, shift, at), derivative)

    def others(self, shift: int | None, at: int | None = None) -> Others:
        """The values that somebody may take in its place, by the change in words."""
        state, steps = Reference(self.state, shift, at), self.state.steps
        if self.is_log:
            filtered: Expression = Apply(log_probabilities.softmax_of, (state,), {"axis": -1}, state.shape)
        else:
            filtered = over(state, apply(reductions.sum, state))
        found = {
            "the forward probabilities alone stand for the posterior {}": scaled(filtered, self.whole),
            "the posterior of the last step stands for {}": self.at(None, steps[-1]),
            "the posterior of the first step stands for {}": self.at(None, steps[0]),
        }
        if not self.is_log:
            scale = apply(reductions.sum, state)
            backward = times(Reference(self.derivative, shift, at), scale)
            found["the backward probabilities alone stand for the posterior {}"] = backward
        # The likelihood of all data is exp(whole loss), where the loss is that of one sequence.
        by_all = apply(elementwise.exp, scaled(self.loss, -self.whole))
        forward = apply(elementwise.exp, state) if self.is_log else state
        unscaled = "the forward probabilities alone, by the likelihood, stand for the posterior {}"
        found[unscaled] = scaled(times(forward, by_all), self.whole)
        found["the posterior {} isn't divided by the likelihood"] = over(self.at(shift, at), by_all)
        for by, which in ((1, "after"), (-1, "before")) if at is None else ():
            found[f"the posterior of the step {which} stands for {{}}"] = self.at((shift or 0) + by)
        return found


def posteriors(derivation: Derived, benches: Sequence[Bench]) -> Iterator[tuple[Edit, ...]]:
    """The edits that take other probabilities for the posteriors, in the lines outside of the recursion.

    Args:
        derivation: the derivation.
        benches: right runs of its lines at several values of the parameters.
    """
    for posterior in _found(benches, Reference(derivation.loss)):
        edits: dict[str, list[Edit]] = {}
        for line in derivation.lines:
            if line.kind != "forward" and line.quantity not in benches[0].upstream(posterior.derivative):
                for what, new in _changes(line, posterior, benches):
                    edits.setdefault(what, []).append(Edit(line, new, what, (posterior.at(0),)))
        for alike in edits.values():
            sizes = range(1, len(alike) + 1) if len(alike) <= MOST_LINES else (1, len(alike))
            yield from itertools.chain.from_iterable(itertools.combinations(alike, size) for size in sizes)


def _found(benches: Sequence[Bench], loss: Reference) -> Iterator[Posterior]:
    """The posterior of the state that has most steps."""
    found, known = [], benches[0].right.values
    for derivative in benches[0].readers:
        state = derivative.adjoint_of
        if isinstance(state, Quantity) and state.shape and len(derivative.steps) > 1 and state in known:
            for is_log in (True, False):
                posterior = Posterior(state, derivative, is_log, 0.0, loss)
                values = (_values(posterior.at(0), derivative.steps, bench) for bench in benches)
                sums = np.array([np.sum(value) for value in itertools.chain.from_iterable(values)])
                if np.allclose(sums, sums[0], rtol=0, atol=1e-9) and abs(sums[0]) > SMALLEST:
                    found.append(replace(posterior, whole=float(np.round(sums[0], 9))))
    yield from sorted(found, key=lambda one: -len(one.derivative.steps))[:1]


def _changes(line: Line, posterior: Posterior, benches: Sequence[Bench]) -> Iterator[tuple[str, Expression]]:
    """The right-hand sides of a line with something else in the place of a posterior."""
    read = [p for p in parts(line.expression, Reference) if p.quantity is posterior.derivative]
    others = {p: posterior.others(p.shift, p.at) for p in read if posterior.is_log}
    for what in next(iter(others.values()), ()):
        new: dict[Expression, Expression] = {p: of[what] for p, of in others.items() if what in of}
        yield what, replaced(line.expression, new.get)
    value = line.quantity.adjoint_of
    meaning = definition(value) if isinstance(value, Quantity) else None
    if not isinstance(value, Quantity) or meaning is None or line.shape != posterior.state.shape:
        return
    shift = 0 if line.steps else None
    own = Reference(value, shift) if value in benches[0].right.values else meaning
    derivative = Reference(line.quantity, shift)
    for at, divisor in itertools.product((None,) if line.steps else posterior.state.steps, (None, own)):
        ours = derivative if divisor is None else times(divisor, derivative)
        if all(_are_equal(ours, posterior.at(shift, at), line.steps, bench) for bench in benches):
            for what, other in posterior.others(shift, at).items():
                yield what, broadcast(other if divisor is None else over(other, divisor), line.shape)


def _are_equal(a: Expression, b: Expression, steps: Steps, bench: Bench) -> bool:
    """Return True if two expressions have the same values at all steps."""
    return np.allclose(_values(a, steps, bench), _values(b, steps, bench), rtol=1e-9, atol=1e-12)


def _values(expression: Expression, steps: Steps, bench: Bench) -> list[np.ndarray]:
    """The right values of an expression at each step."""
    run = compiled(expression)
    return [np.asarray(run(bench.right, t)) for t in steps or (None,)]
