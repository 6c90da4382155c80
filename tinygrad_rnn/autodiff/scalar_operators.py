"""The rest of a Scalar: more functions with their derivatives, operators made of others, comparisons, printing.

Read ``scalar.py`` first. It has everything that differentiation needs, and the rules of ``+``, ``*`` and ``tanh``;
the rules here are of the same kind.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np

from .graph import Node
from .scope import context
from .updating import InPlaceOperators

Number = Union["NumberNode", float, int]


class Operation(NamedTuple):
    """The name of the operation that made a Scalar, for errors and pictures."""

    name: str
    is_single: bool = False  # as for a primitive made for one node


POWER, EXP, LOG = Operation("power"), Operation("exp"), Operation("log")
SQRT, SIGMOID, RELU = Operation("sqrt"), Operation("sigmoid"), Operation("relu")


class NumberNode(InPlaceOperators, Node):
    """A node that holds one number. Comparisons look at values only."""

    __slots__ = ("data",)

    data: float

    if TYPE_CHECKING:  # in Scalar

        def __add__(self, other: Any) -> Any: ...

        def __mul__(self, other: Any) -> Any: ...

    def _record(self, op: Operation, result: float, inputs: tuple[Any, ...], slopes: tuple[float, ...]) -> Any:
        raise NotImplementedError

    # --- functions: NumPy calls these by name on object arrays -------------------------------------------------------

    def exp(self) -> Any:
        """The exponential function."""
        y = math.exp(self.data)
        return self._record(EXP, y, (self,), (y,))

    def log(self) -> Any:
        """The natural logarithm."""
        return self._record(LOG, math.log(self.data), (self,), (1 / self.data,))

    def sqrt(self) -> Any:
        """The square root."""
        y = math.sqrt(self.data)
        return self._record(SQRT, y, (self,), (0.5 / y if y else math.inf,))

    def sigmoid(self) -> Any:
        """1 / (1 + exp(-x)), without overflow."""
        decay = math.exp(-abs(self.data))
        y = (1.0 if self.data >= 0 else decay) / (1 + decay)
        return self._record(SIGMOID, y, (self,), (y * (1 - y),))

    def relu(self) -> Any:
        """The larger of this number and 0; its derivative at 0 is 0."""
        positive = self.data > 0
        return self._record(RELU, self.data if positive else 0.0, (self,), (float(positive),))

    # --- operators ---------------------------------------------------------------------------------------------------

    def __pow__(self, other: Number) -> Any:
        return self._power(self, other) if is_number(other) else NotImplemented

    def __rpow__(self, other: float) -> Any:
        return self._power(other, self)

    def _power(self, base: Number, exponent: Number) -> Any:
        """Base to the power exponent; if base and exponent are 0, the slope towards the base is 0."""
        b, e = value(base), value(exponent)
        if b == 0 and e < 0:
            raise ZeroDivisionError(f"division by zero: power: {b} ** {e}")
        y = b**e
        if isinstance(y, complex):
            raise ValueError(f"power: {b} ** {e}: a fractional power of a negative number is complex")
        towards_exponent = y * math.log(b) if isinstance(exponent, NumberNode) and b > 0 else 0.0
        return self._record(POWER, y, (base, exponent), (e * b ** (e - 1) if e else 0.0, towards_exponent))

    def __neg__(self) -> Any:
        return self * -1.0

    def __sub__(self, other: Number) -> Any:
        return self + -other if is_number(other) else NotImplemented

    def __rsub__(self, other: float) -> Any:
        return -self + other

    def __truediv__(self, other: Number) -> Any:
        return self * other**-1.0 if is_number(other) else NotImplemented

    def __rtruediv__(self, other: float) -> Any:
        return self**-1.0 * other

    def _is_updated_in_place(self) -> bool:
        # Outside of no_grad(), += sums up a loss; but once a gradient has arrived an update is meant: an error.
        return self.is_leaf and self.requires_grad and not (context.recording and self.grad is None)

    # --- comparisons and printing ------------------------------------------------------------------------------------

    __hash__ = Node.__hash__

    def __eq__(self, other: object) -> bool:
        return self.data == value(other)

    def __lt__(self, other: Number) -> bool:
        return self.data < value(other)

    def __le__(self, other: Number) -> bool:
        return self.data <= value(other)

    def __gt__(self, other: Number) -> bool:
        return self.data > value(other)

    def __ge__(self, other: Number) -> bool:
        return self.data >= value(other)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        raise TypeError("float() of a Scalar would lose the gradient; use .data for the plain number")

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)

    def __repr__(self) -> str:
        return f"Scalar({self.data:.6g}{', name=' + repr(self.name) if self.name else ''})"


def is_number(x: Any) -> bool:
    """Return True for a Scalar or a plain number. Arrays are not numbers: NumPy takes them apart."""
    return isinstance(x, (NumberNode, float, int, np.floating, np.integer))


def value(x: Any) -> Any:
    """The plain number of a Scalar; any other object as it is."""
    return x.data if isinstance(x, NumberNode) else x
