"""Running a derivation: from equations to numbers, with or without edits.

Each expression becomes a Python function once; a run computes all quantities in the order of their dependences. Only
the data and the parameters are taken from the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, reduce
from typing import Any

import numpy as np

from ..equations.entries import Entry, Unit
from ..equations.expressions import (
    OF_MANY,
    Apply,
    Constant,
    Data,
    During,
    Expression,
    Number,
    Operand,
    Parameter,
    Reference,
    Rows,
    Stack,
    Step,
    Sum,
    indexed_operands,
    innermost,
    settled,
)
from ..equations.lines import Line, in_order_of_computation
from ..equations.quantities import Quantity

Values = dict[Quantity, dict[int | None, Any]]
Run = Callable[["Running", "int | None"], Any]


class Running:
    """The numbers of one run.

    Attributes:
        parameters: the parameters, by name.
        data: the data, by name.
        values: the values of each quantity, by step.
        entry: the entry of a parameter that the current equation is about.
    """

    __slots__ = ("data", "entry", "parameters", "values")

    def __init__(self, parameters: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.parameters = parameters
        self.data = data
        self.values: Values = {}
        self.entry: tuple[int, ...] = ()


def compiled(expression: Expression) -> Run:
    """An expression as a function of a run and a step; made once, since edits share most of their parts."""
    if "_run" not in expression.__dict__:
        expression.__dict__["_run"] = _compiled(expression)
    found: Run = expression.__dict__["_run"]
    return found


def _compiled(expression: Expression) -> Run:
    kind = type(expression)
    if hasattr(expression, "runs"):  # an edited line may bring its own way to run
        return expression.runs()
    if isinstance(expression, Number):
        value = expression.value
        return lambda run, t: value
    if isinstance(expression, Constant):
        array = expression.array
        return lambda run, t: array
    if isinstance(expression, Parameter):
        name = expression.name
        return lambda run, t: run.parameters[name]
    if isinstance(expression, Data):
        name = expression.name
        return lambda run, t: run.data[name]
    if isinstance(expression, Reference):
        return _entry_of(_reference(expression)) if expression.quantity.entries else _reference(expression)
    if isinstance(expression, Unit):
        shape = expression.shape
        return lambda run, t: unit(shape, run.entry)
    if isinstance(expression, Entry):
        return _entry_of(compiled(expression.operands[0]))
    if isinstance(expression, (Sum, Stack, Rows)):
        return _over_steps(expression)
    if isinstance(expression, During):
        inner, steps = compiled(expression.inner), frozenset(expression.steps)
        return lambda run, t: inner(run, t) if t in steps else None
    assert isinstance(expression, Apply), kind
    return _applied(expression)


def _reference(expression: Reference) -> Run:
    quantity, shift, at = expression.quantity, expression.shift, expression.at
    if shift is None:
        return lambda run, t: run.values[quantity][at]
    if shift == 0:
        return lambda run, t: run.values[quantity][t]
    return lambda run, t: run.values[quantity][t + shift]  # type: ignore[operator]


def _entry_of(whole: Run) -> Run:
    return lambda run, t: whole(run, t)[run.entry]


def unit(shape: tuple[int, ...], entry: tuple[int, ...]) -> np.ndarray:
    """1 in one entry, 0 elsewhere."""
    made = np.zeros(shape)
    made[entry] = 1
    return made


def _for_each_entry(function: Run, entries: tuple[int, ...], shape: tuple[int, ...]) -> Run:
    """A function that gives the values at all entries as one array."""

    def each(run: Running, t: int | None) -> Any:
        found = np.empty((*entries, *shape))
        for run.entry in np.ndindex(*entries):
            found[run.entry] = function(run, t)
        return found

    return each


def _over_steps(expression: Sum | Stack | Rows) -> Run:
    inner, steps = compiled(expression.inner), expression.steps
    if isinstance(expression, Stack):
        return lambda run, t: np.stack([inner(run, s) for s in steps])
    if isinstance(expression, Rows):
        return lambda run, t: np.vstack([inner(run, s) for s in steps])

    def summed(run: Running, t: int | None) -> Any:
        found = [value for value in (inner(run, s) for s in steps) if value is not None]
        return np.add.reduce(found) if found else 0.0

    return summed


def _applied(expression: Apply) -> Run:
    operation = expression.operation
    function = getattr(operation, "forward", operation)
    operands = [compiled(operand) for operand in expression.operands]
    if operation in OF_MANY:
        return _folded(function, operands, any(isinstance(operand, During) for operand in expression.operands))
    settings = expression.settings
    inside = (part for setting in settings.values() for part in innermost(setting))
    if any(isinstance(part, (Step, Operand)) for part in inside):
        return _open(function, operands, expression)
    if not settings and len(operands) == 1:
        (only,) = operands
        return lambda run, t: function(only(run, t))
    if not settings and len(operands) == 2:
        first, second = operands
        return lambda run, t: function(first(run, t), second(run, t))
    return lambda run, t: function(*[operand(run, t) for operand in operands], **settings)


def _folded(function: Any, operands: list[Run], some_are_missing: bool) -> Run:
    """A sum or product of operands; at some steps, some may be missing."""

    def folded(run: Running, t: int | None) -> Any:
        values = [operand(run, t) for operand in operands]
        if some_are_missing:
            values = [value for value in values if value is not None]
        return reduce(function, values) if values else None

    return folded


def _open(function: Any, operands: list[Run], expression: Apply) -> Run:
    """An operation whose settings depend on the step or on operands."""
    in_settings = indexed_operands(expression)
    settings = expression.settings
    if not in_settings:
        at_step = cache(lambda t: {name: settled(part, t) for name, part in settings.items()})
        return lambda run, t: function(*[operand(run, t) for operand in operands], **at_step(t))

    def run_open(run: Running, t: int | None) -> Any:
        values = [operand(run, t) for operand in operands]
        filled = {name: settled(part, t, values) for name, part in settings.items()}
        return function(*[value for i, value in enumerate(values) if i not in in_settings], **filled)

    return run_open


def evaluate(
    lines: Iterable[Line], parameters: Mapping[str, Any], data: Mapping[str, Any], edits: Mapping[Line, Expression]
) -> Values:
    """The values of all lines at all their steps.

    Args:
        lines: the lines, forward lines first.
        parameters: the parameters, by name.
        data: the data, by name.
        edits: other right-hand sides for some lines.
    """
    lines = list(lines)
    functions = {line: compiled_line(line, edits.get(line)) for line in lines}
    run = Running(parameters, data)
    for line, t in in_order_of_computation(lines):
        run.values.setdefault(line.quantity, {})[t] = functions[line](run, t)
    return run.values


def compiled_line(line: Line, edited: Expression | None = None) -> Run:
    """A line's right-hand side, or another one in its place, as a function of a run and a step."""
    function, quantity = compiled(line.expression if edited is None else edited), line.quantity
    return _for_each_entry(function, quantity.entries, quantity.shape) if quantity.entries else function
