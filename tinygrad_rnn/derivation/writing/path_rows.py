"""Sums over paths as rows of a program: from each step back to all earlier ones, with one more Jacobian each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..backward.path_sums import Paths
from ..equations.arithmetic import terms_of
from ..equations.lines import Line
from ..equations.not_writable import NotWritable
from ..equations.quantities import Quantity
from .numpy_text import LoopVariable, NumpyWriter


def over_paths(line: Line) -> Paths | None:
    """The sum over paths in a line, if there is one."""
    return next((term for term in terms_of(line.expression) if isinstance(term, Paths)), None)


def path_rows(lines: Sequence[Line], names: Mapping[Any, str], writer: NumpyWriter) -> Iterator[tuple[int, str]]:
    """Rows that add the sums over paths to their gradients, each with its depth."""
    sums = {line: found for line in lines if (found := over_paths(line)) is not None}
    paths = next(iter(sums.values()))
    k, first = names[LoopVariable.EARLIER_STEP], min(found.first for found in sums.values())
    variables = {state: f"path_{names[state]}" for state in paths.states}
    all_steps = range(first, paths.steps[-1] + 1)
    yield 1, f"for t in {writer.range(paths.steps)}:"
    starts = [_end(paths.ends.get(state), state, paths.steps, names) for state in paths.states]
    yield 2, f"{', '.join(variables.values())} = {', '.join(starts)}  # what the loss gives to step t directly"
    yield 2, f"for {k} in range(t, {first - 1}, -1):"
    for line, found in sums.items():
        for state, begun in found.begun.items():
            depth = 3
            if not set(all_steps) <= set(begun.steps):
                yield 3, f"if {k} in {names[begun]}:"
                depth = 4
            yield depth, f"{names[line.quantity]} += {_product(begun, variables[state], state, names, k)}"
    depth = 3
    if not all(set(all_steps) <= set(jacobian.steps) for jacobian in paths.jacobians.values()):
        if not all(set(all_steps[1:]) <= set(jacobian.steps) for jacobian in paths.jacobians.values()):
            raise NotWritable("a sum over paths whose Jacobians begin at different steps")
        yield 3, f"if {k} > {first}:"
        depth = 4
    further = [_one_back(state, paths, variables, names, k) for state in paths.states]
    if len(further) == 1:
        yield depth, f"{variables[paths.states[0]]} = {further[0]}  # one step further back"
        return
    yield depth, f"{', '.join(variables.values())} = (  # one step further back"
    for row in further:
        yield depth + 1, f"{row},"
    yield depth, ")"


def _end(e: Quantity | None, state: Quantity, steps: Sequence[int], names: Mapping[Any, str]) -> str:
    zeros = f"np.zeros({state.shape})"
    if e is None:
        return zeros
    return f"{names[e]}[t]" if set(steps) <= set(e.steps) else f"{names[e]}.get(t, {zeros})"


def _one_back(
    state: Quantity, paths: Paths, variables: Mapping[Quantity, str], names: Mapping[Any, str], k: str
) -> str:
    products = [
        _product(jacobian, variables[later], later, names, k)
        for (earlier, later), jacobian in paths.jacobians.items()
        if earlier is state
    ]
    return " + ".join(products) or f"np.zeros({state.shape})"


def _product(sensitivity: Quantity, path: str, state: Quantity, names: Mapping[Any, str], k: str) -> str:
    return f"np.tensordot({names[sensitivity]}[{k}], {path}, {len(state.shape)})"
