"""A primitive's vjp rule as an expression: the rule runs once on stand-ins, which record its operations.

There is no second table of derivatives. The engine's rules are plain NumPy; the compiler's tracer records what a rule
does to arrays of these shapes, un-broadcasting included, and the record is the expression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...autodiff.array_node import conformed
from ...autodiff.rules.linalg import Products
from ...autodiff.rules.parts import Parts
from ...compiler.graph.trace import Trace, recorded, tracer
from ...compiler.graph.values import Value, new_input
from ..equations.expressions import Apply, Constant, Expression, Number, Operand, Reference, renumbered
from .settings import is_setting, setting_names


class Vjp:
    """An operation's vjp by one argument, as an operation itself: of the cotangent, the result and the arguments.

    It stands where a rule can't be written in lines; it runs the rule.
    """

    def __init__(self, operation: Any, argument: int) -> None:
        self.operation = operation
        self.argument = argument
        self.name = f"vjp_of_{getattr(operation, 'name', 'operation')}"

    def forward(self, g: Any, ans: Any, *args: Any, **settings: Any) -> Any:
        """The cotangent of the argument."""
        found = _by_rule(self.operation, self.argument, g, ans, args, settings)
        target = np.asarray(args[self.argument])
        found = found.assembled(target.shape) if isinstance(found, Parts) else found
        return np.zeros_like(target) if found is None else conformed(np.asarray(found), target)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vjp) and (self.operation, self.argument) == (other.operation, other.argument)

    def __hash__(self) -> int:
        return hash((id(self.operation), self.argument))


def _by_rule(operation: Any, argument: int, g: Any, ans: Any, args: Sequence[Any], settings: Mapping[str, Any]) -> Any:
    """The contribution to one argument, by the operation's own rule for it, or by its rule for all."""
    rules = operation.vjps
    if not callable(rules):
        return rules[argument](g, ans, *args, **settings)
    (found,) = rules([argument], g, ans, *args, **settings)
    return found


class Results:
    """The cotangents of an operation with several results, as the tuple that its rule takes."""

    name = "results"

    def __init__(self, places: tuple[int, ...], count: int) -> None:
        self.places = places
        self.count = count

    def forward(self, *cotangents: Any) -> tuple[Any, ...]:
        """The tuple; None where nothing has arrived."""
        found: list[Any] = [None] * self.count
        for place, g in zip(self.places, cotangents):
            if g is not None:
                found[place] = g if found[place] is None else found[place] + g
        return tuple(found)


def vjp(applied: Apply, argument: int, g: Reference, ans: Reference) -> Expression | None:
    """The contribution to one argument of an operation, as an expression; None if there is none.

    Args:
        applied: the operation on its operands.
        argument: the number of the operand.
        g: the cotangent of the result.
        ans: the result.
    """
    rules = applied.operation.vjps
    if not callable(rules) and rules[argument] is None:
        return None
    by_name = Apply(
        Vjp(applied.operation, argument),
        (g, ans, *applied.operands),
        {name: renumbered(part, 2) for name, part in applied.settings.items()},  # as g and ans stand before them
        applied.operands[argument].shape,
    )
    if applied.operation.is_single or applied.operation.outputs:
        return by_name
    try:
        return _traced(applied, argument, g, ans)
    except Exception:  # a rule that can't be followed can still run
        return by_name


def jvp(applied: Apply, tangents: Mapping[int, Expression], ans: Expression) -> Expression | None:
    """The tangent of an operation's result, as an expression; None if its rule can't be followed."""
    operation = applied.operation
    if operation.is_single or operation.outputs:
        return None
    tracing = _Tracing()
    rules, settings = operation.jvps, applied.settings
    try:
        with tracing.trace.recording():
            args = [tracing.stand_in(operand) for operand in applied.operands]
            moved = {number: tracing.stand_in(v) for number, v in tangents.items()}
            result = tracing.stand_in(ans)
            if callable(rules):
                found = rules([moved.get(i) for i in range(len(args))], result, *args, **settings)
            else:
                found = sum(rules[i](v, result, *args, **settings) for i, v in moved.items())
            return tracing.written(found)
    except Exception:  # whatever a rule does that can't be followed
        return None


class _Tracing:
    """A run of a rule on stand-ins for expressions."""

    def __init__(self) -> None:
        self.trace = Trace()
        self.trace.in_step = True  # products of stacks of matrices stay as they are
        self._stands_for: dict[Value, Expression] = {}

    def stand_in(self, expression: Expression) -> Any:
        """The stand-in that a rule takes as an array."""
        if isinstance(expression, Number):
            return expression.value
        value = new_input(expression.shape, expression.dtype, "input")
        self._stands_for[value] = expression
        return tracer(value)

    def written(self, found: Any) -> Expression:
        """The result of a rule, as an expression."""
        return _written(recorded(self.trace, found), self._stands_for)


def _traced(applied: Apply, argument: int, g: Reference, ans: Reference) -> Expression:
    tracing = _Tracing()
    with tracing.trace.recording():
        args = [tracing.stand_in(operand) for operand in applied.operands]
        of_result, result = tracing.stand_in(g), tracing.stand_in(ans)
        found = _by_rule(applied.operation, argument, of_result, result, args, applied.settings)
        return tracing.written(conformed(_whole(found), args[argument]))


def _whole(found: Any) -> Any:
    """A contribution that consists of parts, written out."""
    if isinstance(found, Products):
        ((rows, g),) = found.parts
        return rows.T @ g
    if isinstance(found, Parts):
        raise NotImplementedError
    return found


def _written(value: Value, stands_for: dict[Value, Expression]) -> Expression:
    """A recorded Value as an expression."""
    written: dict[Value, Expression] = dict(stands_for)

    def write(value: Value) -> Expression:
        if value not in written:
            written[value] = _applied(value, write) if value.array is None else _constant(value.array)
        return written[value]

    return write(value)


def _constant(array: np.ndarray) -> Expression:
    if array.ndim == 0:
        return Number(array.item())
    if array.size and np.all(array == array.flat[0]):
        settings = {"shape": array.shape, "fill_value": array.flat[0].item()}
        return Apply(np.full, (), settings, array.shape)
    return Constant(array)


def _applied(value: Value, write: Callable[[Value], Expression]) -> Expression:
    operands: list[Expression] = []
    settings = dict(value.keywords)
    names = setting_names(value.op)
    for position, given in enumerate(value.args):
        is_operand = isinstance(given, Value) and names[position : position + 1] != ("index",)
        if not is_operand and is_setting(value.op, position, given):
            settings[names[position]] = given
        else:
            operands.append(write(given) if isinstance(given, Value) else Number(given))

    def as_operand(setting: Any) -> Any:
        """The setting, with a place among the operands for each array in it."""
        if isinstance(setting, Value):
            operands.append(write(setting))
            return Operand(len(operands) - 1)
        return tuple(map(as_operand, setting)) if type(setting) in (tuple, list) else setting

    settings = {name: as_operand(part) for name, part in settings.items()}
    return Apply(value.op, tuple(operands), settings, value.shape)
