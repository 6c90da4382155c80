"""The Values of a program, computed on JAX arrays. Under JAX's tracing that writes the program in JAX's own form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
from jax import lax

from ...autodiff.errors import CannotCompile
from ...autodiff.rules import linalg, shape
from .. import thresholds
from ..graph.values import Value, is_constant, name_of_operation, substitute
from ..loops.loop import Loop
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
            if _is_turned(value):
                args = (lifted(_laid_out(plain(args[0]))), args[1])
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
        stacks = [result for result in results if result.how == "rows"]

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
        self.series += [*(loop.slices[v] for v in rows), *stacks]


def _is_turned(value: Value) -> bool:
    """Return True for a wide product whose left factor is the transpose of a matrix: the gradient of a weight."""
    if value.op is not linalg.matmul or value.ndim != 2 or value.shape[1] < thresholds.WIDE_PRODUCT:
        return False
    return isinstance(value.args[0], Value) and value.args[0].op is shape.transpose


def _laid_out(matrix: Any) -> Any:
    """A matrix in the order of memory: left to itself, XLA for CPUs would read a transpose across it."""
    return lax.platform_dependent(matrix, cpu=lax.optimization_barrier, default=lambda a: a)
