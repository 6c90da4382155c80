"""The Values of a program, computed on JAX arrays. Under JAX's tracing that writes the program in JAX's own form."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from ...autodiff.errors import CannotCompile
from ...autodiff.rules import shape
from ..graph.values import Value, is_constant, name_of_operation, substitute
from ..loops.loop import Loop, LoopResult
from ..program.program import Results, Step
from . import places, told_anew  # noqa: F401  # told_anew: for what it adds to a table
from .precision import as_jax_has_it
from .stand_in import lifted, no_form, plain, run


class Interpreter:
    """Computes Values.

    Args:
        results: the wanted results of each loop.
        known: the arrays of inputs, and of other Values that exist already.

    Attributes:
        known: the same, and the arrays of what has been computed.
        series: the Values with a row for each step that loops have read or written, inputs among them.
    """

    def __init__(self, results: Results, known: dict[Value, Any]) -> None:
        self.results = results
        self.known = dict(known)
        self.series: list[Value] = []

    def of(self, value: Value) -> Any:
        """The array of a Value (a tuple of arrays, where an operation has several results)."""
        if value not in self.known and is_constant(value):
            return jnp.asarray(value.array)
        return self.known[value]

    def run(self, order: Iterable[Step]) -> None:
        """Compute these Values and Loops, each after its operands."""
        for step in order:
            if isinstance(step, Loop):
                self._loop(step)
            elif step.op is not None and step not in self.known:
                self.known[step] = self._operation(step)

    def _operation(self, value: Value) -> Any:
        try:
            args, keywords = (substitute(tree, self._operand) for tree in (value.args, value.keywords))
            result = plain(run(value.op, args, keywords))
        except CannotCompile:
            raise
        except Exception as error:
            raise no_form(name_of_operation(value), f"{type(error).__name__}: {error}") from error
        if getattr(value.op, "outputs", False):
            return tuple(map(jnp.asarray, result))
        return jnp.asarray(result, as_jax_has_it(value.dtype))

    def _operand(self, value: Value) -> Any:
        return lifted(self.of(value))

    def _loop(self, loop: Loop) -> None:
        """Run all steps as one scan: state and sums over time are carried, values wanted at each step are stacked."""
        results = self.results[loop]
        body = loop.body(results)
        rows, _ = loop.inputs(results)
        sums = [result for result in results if result.how == "sum"]
        series = [result for result in results if result.how == "rows"]
        held = held_by_others(loop, series)
        stacks = [result for result in series if result not in held]

        def step(carried: Any, now: Any) -> Any:
            states, totals, in_range = carried
            inside = Interpreter(self.results, self.known)
            inside.known |= dict(zip((c.before for c in loop.carried), states))
            inside.known |= dict(zip(rows, now))
            with places.watched() as conditions:
                inside.run(body)
            after = tuple(inside.of(c.after) for c in loop.carried)
            totals = tuple(total + inside.of(result.inner) for total, result in zip(totals, sums))
            in_range = places.all_hold([in_range, *conditions]) if conditions else in_range
            return (after, totals, in_range), tuple(inside.of(result.inner) for result in stacks)

        starts = tuple(self.of(c.start) for c in loop.carried)
        zeros = tuple(jnp.zeros(result.shape, as_jax_has_it(result.dtype)) for result in sums)
        sequences = tuple(self.of(loop.slices[v]) for v in rows)
        carried = (starts, zeros, jnp.asarray(True))
        (last, totals, in_range), stacked = lax.scan(step, carried, sequences, loop.steps, reverse=loop.backwards)
        places.note(in_range)
        states = dict(zip((c.before for c in loop.carried), last))
        self.known |= dict(zip(sums, totals))
        self.known |= dict(zip(stacks, stacked))
        self.known |= {result: states[result.inner] for result in results if result.how == "last"}
        for result, (by, columns, start) in held.items():
            self.known[result] = self.of(by)[..., columns] if start is None else self._moved_on(loop, start, by)
        moved_on = (result for result, where in held.items() if where.start is not None)
        self.series += [*(loop.slices[v] for v in rows), *stacks, *moved_on]

    def _moved_on(self, loop: Loop, start: Value, after: LoopResult) -> Any:
        """The states before each step, from those after each step."""
        first, rows = self.of(start)[None], self.of(after)
        return jnp.concatenate([rows, first])[1:] if loop.backwards else jnp.concatenate([first, rows])[:-1]


class Held(NamedTuple):
    """The place of a result at all steps among those of another result, so that a loop needn't write it twice.

    Attributes:
        by: the other result.
        columns: the columns of the other result, if its rows are joined from this one's and others.
        start: the state before the first step, if the other result has the states after each step, and this one those
            before.
    """

    by: LoopResult
    columns: slice = slice(None)
    start: Value | None = None


def held_by_others(loop: Loop, series: Sequence[LoopResult]) -> dict[LoopResult, Held]:
    """The results at all steps that others hold: states before each step, and parts of joined rows."""
    wanted = {result.inner: result for result in series}
    possible: list[tuple[Value, Value, slice, Value | None]] = []
    possible += [(c.before, c.after, slice(None), c.start) for c in loop.carried if c.before is not c.after]
    for inner in sorted(wanted, key=lambda inner: -inner.size):
        if inner.op is shape.joined and inner.keywords["axis"] in (-1, inner.ndim - 1):
            ends = itertools.pairwise(inner.keywords["starts"])
            possible += [(part, inner, slice(*columns), None) for part, columns in zip(inner.args, ends)]
    held: dict[LoopResult, Held] = {}
    for one, by, columns, start in possible:
        taken = {*held, *(other.by for other in held.values())}
        if one in wanted and by in wanted and wanted[by] not in held and wanted[one] not in taken:
            held[wanted[one]] = Held(wanted[by], columns, start)
    return held
