"""The Values of a program, computed on JAX arrays. Under JAX's tracing that writes the program in JAX's own form."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from ...autodiff.errors import CannotCompile
from ...autodiff.rules import shape
from ..graph.values import Value, is_constant, name_of, substitute
from ..loops.loop import Loop, LoopResult
from ..program.program import Results, Step
from . import places, told_anew  # noqa: F401  # told_anew: for what it adds to a table
from .precision import as_jax_has_it
from .stand_in import lifted, no_form, plain, run

NO_ROOM: Mapping[Value, Any] = {}


class Interpreter:
    """Computes Values.

    Args:
        results: the wanted results of each loop.
        known: the arrays of inputs, and of other Values that exist already.
        room: arrays that loops may overwrite, by the Value that they write there at all steps.

    Attributes:
        known: the same, and the arrays of what has been computed.
    """

    def __init__(self, results: Results, known: dict[Value, Any], room: Mapping[Value, Any] = NO_ROOM) -> None:
        self.results, self.room = results, room
        self.known = dict(known)

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
            raise no_form(name_of(value.op), f"{type(error).__name__}: {error}") from error
        if getattr(value.op, "outputs", False):
            return tuple(map(jnp.asarray, result))
        return jnp.asarray(result, as_jax_has_it(value.dtype))

    def _operand(self, value: Value) -> Any:
        return lifted(self.of(value))

    def _loop(self, loop: Loop) -> None:
        """Run all steps as one scan: state and sums over time are carried, values wanted at each step are stacked.

        Where there is room for a stack, it is carried, too. XLA would fill a new one with zeros.
        """
        results = self.results[loop]
        body = loop.body(results)
        rows, _ = loop.inputs(results)
        sums = [result for result in results if result.how == "sum"]
        series = [result for result in results if result.how == "rows"]
        held = held_by_others(loop, series)
        stacks = [result for result in series if result not in held]
        old, new = ([result for result in stacks if (result in self.room) is given] for given in (True, False))

        def step(carried: Any, now: Any) -> Any:
            states, totals, written, in_range = carried
            number, *now = now
            inside = Interpreter(self.results, self.known)
            inside.known |= dict(zip((c.before for c in loop.carried), states))
            inside.known |= dict(zip(rows, now))
            with places.watched() as conditions:
                inside.run(body)
            after = tuple(inside.of(c.after) for c in loop.carried)
            totals = tuple(total + inside.of(result.inner) for total, result in zip(totals, sums))
            ends = (inside.of(result.inner) for result in old)
            written = tuple(lax.dynamic_update_index_in_dim(a, row, number, 0) for a, row in zip(written, ends))
            in_range = places.all_hold([in_range, *conditions]) if conditions else in_range
            return (after, totals, written, in_range), tuple(inside.of(result.inner) for result in new)

        starts = tuple(self.of(c.start) for c in loop.carried)
        zeros = tuple(jnp.zeros(result.shape, as_jax_has_it(result.dtype)) for result in sums)
        sequences = (jnp.arange(loop.steps), *(self.of(loop.slices[v]) for v in rows))
        carried = (starts, zeros, tuple(self.room[result] for result in old), jnp.asarray(True))
        (last, totals, written, in_range), stacked = lax.scan(step, carried, sequences, reverse=loop.backwards)
        places.note(in_range)
        states = dict(zip((c.before for c in loop.carried), last))
        self.known |= dict(zip(sums, totals))
        self.known |= dict(zip([*old, *new], [*written, *stacked]))
        self.known |= {result: states[result.inner] for result in results if result.how == "last"}
        for result, (by, columns, start) in held.items():
            self.known[result] = self.of(by)[..., columns] if start is None else self._moved_on(loop, start, by)

    def _moved_on(self, loop: Loop, start: Value, after: LoopResult) -> Any:
        """The states before each step, from those after each step."""
        first, rows = self.of(start)[None], self.of(after)
        return jnp.concatenate([rows[1:], first] if loop.backwards else [first, rows[:-1]])


def series_of(loop: Loop, results: Sequence[LoopResult]) -> list[Value]:
    """The Values with an array of their own, a row for each step, that a loop reads or writes."""
    rows, _ = loop.inputs(results)
    series = [result for result in results if result.how == "rows"]
    held = held_by_others(loop, series)
    written = [result for result in series if result not in held or held[result].start is not None]
    return [*(loop.slices[v] for v in rows), *written]


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
