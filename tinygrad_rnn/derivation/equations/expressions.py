"""Expressions: the right-hand sides of a derivation's lines, as small immutable trees.

An expression refers to quantities relative to an open step: ``h`` one step before, ``delta`` one step after, a
parameter, a row of the data. Its operations are the engine's own primitives. Expressions of the same form are equal,
and a change makes a new expression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import elementwise
from ...compiler.graph.shapes import infer
from ...compiler.graph.values import new_input

Shape = tuple[int, ...]
Steps = tuple[int, ...]

ARRIVING = "dL_d"  # how the names of data begin that are derivatives, which arrive at a layer from outside
# Sums and products may have any number of operands.
OF_MANY = {elementwise.add: np.add, elementwise.multiply: np.multiply}


def are_consecutive(steps: Steps) -> bool:
    """Return True for steps without a gap, in their order: 2, 3, 4."""
    return steps == tuple(range(steps[0], steps[0] + len(steps)))


class Step(NamedTuple):
    """A place in an index that moves with the step: ``sign * t + offset``."""

    offset: int
    sign: int = 1

    def at(self, t: int) -> int:
        """The place at step t."""
        return self.sign * t + self.offset


class Operand(NamedTuple):
    """A placeholder for an operand in a setting: ``E[tokens]`` is indexed by its second operand."""

    number: int


class Expression:
    """The base of all expressions."""

    shape: Shape  # the length of each axis
    operands: tuple[Expression, ...] = ()  # the expressions that it consists of
    details: tuple[Any, ...] = ()  # what distinguishes it from others of its class with the same operands
    dtype: Any = np.dtype(np.float64)

    @cached_property
    def key(self) -> Any:
        """A key that equal expressions share."""
        return type(self).__name__, *self.details, *[operand.key for operand in self.operands]

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """The same expression with other operands."""
        return self

    def shifted(self, by: int) -> Expression:
        """The expression moved by this number of steps."""
        if not by:
            return self
        return self.with_operands(tuple(operand.shifted(by) for operand in self.operands))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.key == other.key

    @cached_property
    def _hash(self) -> int:
        return hash(self.key)

    def __hash__(self) -> int:
        return self._hash


class Number(Expression):
    """A plain number, or None where an operation takes none (a bound of ``clip``)."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.shape = ()

    @cached_property
    def key(self) -> Any:
        """The number; its type too, unless it is one of Python's: 1 and 1.0 mean the same in a formula."""
        value, kind = self.value, type(self.value)
        if kind is int and abs(value) <= 2**53:
            value, kind = float(value), float
        return "number", kind.__name__, repr(value)


class Constant(Expression):
    """An array of fixed numbers that a rule brings along, such as an identity matrix."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype

    @cached_property
    def key(self) -> Any:
        """Its elements."""
        return "constant", self.shape, self.dtype.str, self.array.tobytes()


class Parameter(Expression):
    """A parameter of the network, by name."""

    def __init__(self, name: str, shape: Shape) -> None:
        self.name = name
        self.shape = shape
        self.details = (name,)


class Data(Expression):
    """An array other than a parameter that the loss is computed from; if it differs by step, the array of all steps.

    Args:
        name: its name.
        shape: the length of each axis.
        dtype: the type of its elements.
        adds_up: whether its rows add up to 1, as one-hot rows and other distributions do.
    """

    def __init__(self, name: str, shape: Shape, dtype: Any = np.float64, adds_up: bool = False) -> None:
        self.name = name
        self.adds_up = adds_up
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.details = (name,)


class Reference(Expression):
    """A reference to a quantity: some steps away, at a fixed step, or without steps.

    Args:
        quantity: the Quantity.
        shift: 0 for the same step, -1 for the one before; None if it is not relative.
        at: the step, if it is always the same.
    """

    def __init__(self, quantity: Any, shift: int | None = None, at: int | None = None) -> None:
        self.quantity = quantity
        self.shift = shift
        self.at = at
        self.shape = quantity.shape
        self.details = id(quantity), shift, at

    def shifted(self, by: int) -> Expression:
        """The same reference moved along, if it is relative to the step."""
        return self if self.shift is None else Reference(self.quantity, self.shift + by)

    def to(self, other: Any) -> Reference:
        """A reference to another quantity, at the same step."""
        return Reference(other, self.shift, self.at)

    def step(self, t: int | None) -> int | None:
        """The step that it means, seen from step t."""
        if self.shift is not None:
            assert t is not None
            return t + self.shift
        return self.at


class Apply(Expression):
    """An operation on operands.

    Args:
        operation: a primitive, or a NumPy function without a gradient.
        operands: the operands in order; a sum or a product may have more than two.
        settings: the other arguments of the operation, by name: axes, an index.
        shape: the shape of the result.
    """

    def __init__(
        self, operation: Any, operands: tuple[Expression, ...], settings: Mapping[str, Any], shape: Shape
    ) -> None:
        self.operation = operation
        self.operands = operands
        self.settings = dict(settings)
        self.shape = shape

    @cached_property
    def key(self) -> Any:
        """Operation, operands and settings."""
        return "apply", id(self.operation), tuple(o.key for o in self.operands), setting_key(self.settings)

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """The same operation on other operands."""
        if [o.shape for o in operands] == [o.shape for o in self.operands]:
            return Apply(self.operation, operands, self.settings, self.shape)
        return apply(self.operation, *operands, **self.settings)

    def shifted(self, by: int) -> Expression:
        """The same expression with everything relative moved along."""
        if not by:
            return self
        operands = tuple(operand.shifted(by) for operand in self.operands)
        settings = {name: _shifted_setting(part, by) for name, part in self.settings.items()}
        return Apply(self.operation, operands, settings, self.shape)

    @property
    def name(self) -> str:
        """The name of the operation."""
        return getattr(self.operation, "name", None) or self.operation.__name__


class WithSteps(Expression):
    """An expression that holds at certain steps; the base of ``OverSteps`` and ``During``."""

    def __init__(self, steps: Steps, inner: Expression) -> None:
        self.steps = steps
        self.operands = (inner,)
        self.shape = inner.shape
        self.details = (steps,)

    @property
    def inner(self) -> Expression:
        """The expression at each step."""
        return self.operands[0]

    def with_operands(self, operands: tuple[Expression, ...]) -> Expression:
        """The same steps of another expression."""
        return type(self)(self.steps, operands[0])


class OverSteps(WithSteps):
    """An expression at several steps, taken together: references in it are relative to these steps."""

    def shifted(self, by: int) -> Expression:
        """The expression itself: its steps are fixed."""
        return self


class Sum(OverSteps):
    """The sum over steps."""


class Stack(OverSteps):
    """An array of the values at several steps, time first."""

    def __init__(self, steps: Steps, inner: Expression) -> None:
        super().__init__(steps, inner)
        self.shape = (len(steps), *inner.shape)


class Rows(OverSteps):
    """The rows of an expression at several steps, all below each other; a vector is one row."""

    def __init__(self, steps: Steps, inner: Expression) -> None:
        super().__init__(steps, inner)
        rows, columns = (1, *inner.shape)[-2:]
        self.shape = (len(steps) * rows, columns)


class During(WithSteps):
    """A term that exists only at some steps."""

    def shifted(self, by: int) -> Expression:
        """The steps move the other way."""
        return During(tuple(t - by for t in self.steps), self.inner.shifted(by)) if by else self


# --- making and reading ----------------------------------------------------------------------------------------------


def apply(operation: Any, *operands: Expression, **settings: Any) -> Apply:
    """An operation on expressions; the shape of the result is found.

    Raises:
        Exception: the operation has no result for operands of such shapes.
    """
    if operation in OF_MANY:
        return Apply(operation, operands, settings, np.broadcast_shapes(*(o.shape for o in operands)))
    stand_ins = [o.value if isinstance(o, Number) else new_input(o.shape, o.dtype, "input") for o in operands]
    in_settings = _operands_in(settings)

    def filled(part: Any) -> Any:
        if isinstance(part, Operand):
            return np.zeros(operands[part.number].shape, operands[part.number].dtype)
        return 0 if isinstance(part, Step) else part

    args = tuple(stand_in for i, stand_in in enumerate(stand_ins) if i not in in_settings)
    shape, *_ = infer(operation, args, {name: changed(part, filled) for name, part in settings.items()})
    return Apply(operation, operands, settings, tuple(shape))


def innermost(setting: Any) -> Iterator[Any]:
    """The parts of a setting that are no tuples."""
    if isinstance(setting, tuple) and not isinstance(setting, (Step, Operand)):
        for part in setting:
            yield from innermost(part)
    else:
        yield setting


def changed(setting: Any, change: Callable[[Any], Any]) -> Any:
    """A setting, with each innermost part replaced by what ``change`` makes of it."""
    if isinstance(setting, tuple) and not isinstance(setting, (Step, Operand)):
        return tuple(changed(part, change) for part in setting)
    return change(setting)


def settled(setting: Any, t: int | None, operands: Any = None) -> Any:
    """A setting as it is at step t, with arrays in the places of operands if they are given."""

    def settle(part: Any) -> Any:
        if isinstance(part, Operand) and operands is not None:
            return operands[part.number]
        return part.at(t or 0) if isinstance(part, Step) else part

    return changed(setting, settle)


def one_axis(axis: Any) -> Any:
    """The axis that stands alone in a tuple; anything else unchanged."""
    return axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis


def renumbered(setting: Any, by: int) -> Any:
    """A setting whose operands have moved by some places."""
    return changed(setting, lambda part: Operand(part.number + by) if isinstance(part, Operand) else part)


def indexed_operands(expression: Apply) -> set[int]:
    """The numbers of the operands that are places in an index."""
    return _operands_in(expression.settings)


def _operands_in(settings: Mapping[str, Any]) -> set[int]:
    return {part.number for setting in settings.values() for part in innermost(setting) if isinstance(part, Operand)}


def _shifted_setting(setting: Any, by: int) -> Any:
    def shift(part: Any) -> Any:
        return Step(part.offset + part.sign * by, part.sign) if isinstance(part, Step) else part

    return changed(setting, shift)


def setting_key(setting: Any) -> Any:
    """A key under which equal settings are found."""
    if isinstance(setting, dict):
        return tuple(sorted((name, setting_key(part)) for name, part in setting.items()))
    if isinstance(setting, (Step, Operand)):
        return type(setting).__name__, *setting
    if isinstance(setting, (tuple, list)):
        return ("tuple", *map(setting_key, setting))
    if isinstance(setting, np.ndarray):
        return setting.shape, setting.dtype.str, setting.tobytes()
    return type(setting).__name__, repr(setting)
