"""Scalar: reverse-mode autodiff with one number per node. Read this file first.

Every operation makes a new Scalar that remembers its inputs and, for each of them, the local derivative: by how much
the result changes when that input does. The chain rule does the rest: going through the nodes from the last to the
first, each hands its inputs ``(its own gradient) x (local derivative)``, and contributions to one node add up.

    s = Scalar(2.0); y = s * s + 1        y.backward()        s.grad == 4.0

``scalars(array)`` turns an array into an object array of Scalars. NumPy runs ``x @ U``, ``+`` and ``np.tanh`` on it
element by element, by calling these very operators and methods, so a cell written for Tensors runs on Scalars
unchanged, and one engine can be held against the other. It uses nothing but ``math``: it is an independent second
opinion, away from ties.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import numpy as np

from .graph import Node, ancestors, backward_walk, initialise, retained
from .keeping import is_kept
from .letting_go import EVERY, Knot
from .scope import context
from .updating import InPlaceOperators

Number = Union["Scalar", float, int]


class Operation(NamedTuple):
    """What made a Scalar, for errors and pictures."""

    name: str


ADD, MULTIPLY, POWER = Operation("add"), Operation("multiply"), Operation("power")
EXP, LOG, SQRT = Operation("exp"), Operation("log"), Operation("sqrt")
TANH, SIGMOID, RELU = Operation("tanh"), Operation("sigmoid"), Operation("relu")


class Scalar(InPlaceOperators, Node):
    """One number in the graph.

    Args:
        data: the number.
        requires_grad: whether a gradient is wanted for it.
        name: what pictures call it.

    Attributes:
        data: the number, a float.
        grad: the gradient that ``backward()`` left here, a float; None before.

    Example:
        >>> from tinygrad_rnn import Scalar
        >>> x, w = Scalar(0.5), Scalar(-2.0)
        >>> y = (x * w).tanh()
        >>> y.backward()
        >>> round(w.grad, 4), round(x.grad, 4)
        (0.21, -0.8399)
    """

    __slots__ = ("_slopes", "data")

    def __init__(self, data: float, requires_grad: bool = True, name: str | None = None) -> None:
        initialise(self, requires_grad, name)
        self.data = float(data)
        self._slopes: tuple[float, ...] = ()

    def backward(self, gradient: float = 1.0, retain_graph: bool = False, *, keep: bool | None = None) -> None:
        """Add the gradient of this number to the ``.grad`` of every leaf that it was made of.

        Args:
            gradient: the cotangent to start with.
            retain_graph: retain the graph for another ``backward()``; by default it is freed on the way, or kept.
            keep: keep the graph to be looked at. By default a small one is kept until the next ``backward()``.

        Raises:
            RuntimeError: nothing here requires a gradient, or the graph was freed.
        """
        if not self.requires_grad:
            raise RuntimeError("backward(): nothing that this Scalar was made of requires a gradient")
        nodes = ancestors([self], spent=False)
        spend = not retain_graph and is_kept(self, nodes, keep)
        free = not (retain_graph or spend)
        reached = backward_walk({self: float(gradient)}, nodes, also=retained(nodes), free=free, spend=spend)
        for leaf, g in reached.items():
            leaf.grad = g if leaf.grad is None else leaf.grad + g

    def _seed(self, gradient: Any) -> float:
        return 1.0 if gradient is None else float(gradient)

    def _pull_back(self, g: float) -> Sequence[float]:
        return [g * self._slopes[i] for i in self.edges or ()]

    def _push_forward(self, tangents: list[float | None]) -> float:
        return math.fsum(slope * v for slope, v in zip(self._slopes, tangents) if v is not None)

    # --- arithmetic --------------------------------------------------------------------------------------------------

    def __add__(self, other: Number) -> Scalar:
        if not is_number(other):
            return NotImplemented
        return record(ADD, value(self) + value(other), (self, other), (1.0, 1.0))

    def __mul__(self, other: Number) -> Scalar:
        if not is_number(other):
            return NotImplemented
        return record(MULTIPLY, value(self) * value(other), (self, other), (value(other), value(self)))

    def __pow__(self, other: Number) -> Scalar:
        if not is_number(other):
            return NotImplemented
        return power(self, other)

    def __rpow__(self, other: float) -> Scalar:
        return power(other, self)

    def __neg__(self) -> Scalar:
        return self * -1.0

    def __sub__(self, other: Number) -> Scalar:
        return self + -other if is_number(other) else NotImplemented

    def __rsub__(self, other: float) -> Scalar:
        return -self + other

    def __truediv__(self, other: Number) -> Scalar:
        return self * other**-1.0 if is_number(other) else NotImplemented

    def __rtruediv__(self, other: float) -> Scalar:
        return self**-1.0 * other

    def _is_updated_in_place(self) -> bool:
        # Outside of no_grad(), += sums up a loss; but where a gradient has arrived an update is meant, to be refused.
        return self.is_leaf and self.requires_grad and not (context.recording and self.grad is None)

    __radd__ = __add__
    __rmul__ = __mul__

    # --- functions: NumPy calls these by name on object arrays -------------------------------------------------------

    def exp(self) -> Scalar:
        """E to this power."""
        y = math.exp(self.data)
        return record(EXP, y, (self,), (y,))

    def log(self) -> Scalar:
        """The natural logarithm."""
        return record(LOG, math.log(self.data), (self,), (1 / self.data,))

    def sqrt(self) -> Scalar:
        """The square root."""
        y = math.sqrt(self.data)
        return record(SQRT, y, (self,), (0.5 / y if y else math.inf,))

    def tanh(self) -> Scalar:
        """The hyperbolic tangent."""
        y = math.tanh(self.data)
        return record(TANH, y, (self,), (1 - y * y,))

    def sigmoid(self) -> Scalar:
        """1 / (1 + exp(-x)), without overflow."""
        decay = math.exp(-abs(self.data))
        y = (1.0 if self.data >= 0 else decay) / (1 + decay)
        return record(SIGMOID, y, (self,), (y * (1 - y),))

    def relu(self) -> Scalar:
        """The larger of this number and 0; its derivative at 0 is 0."""
        positive = self.data > 0
        return record(RELU, self.data if positive else 0.0, (self,), (float(positive),))

    # --- comparisons look at values only -----------------------------------------------------------------------------

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
    """Whether x is a Scalar or a plain number; arrays are NumPy's to take apart."""
    return isinstance(x, (Scalar, float, int, np.floating, np.integer))


def value(x: Any) -> Any:
    """The plain number."""
    return x.data if isinstance(x, Scalar) else x


def power(base: Number, exponent: Number) -> Scalar:
    """Base to the power exponent; the slope towards a base of 0 is 0 where the exponent is, as 0·x is."""
    b, e = value(base), value(exponent)
    if b == 0 and e < 0:
        raise ZeroDivisionError(f"division by zero: power: {b} ** {e}")
    y = b**e
    if isinstance(y, complex):
        raise ValueError(f"power: {b} ** {e}: a fractional power of a negative number is complex")
    towards_exponent = y * math.log(b) if isinstance(exponent, Scalar) and b > 0 else 0.0
    return record(POWER, y, (base, exponent), (e * b ** (e - 1) if e else 0.0, towards_exponent))


def record(op: Operation, result: float, inputs: tuple[Any, ...], slopes: tuple[float, ...]) -> Scalar:
    """A new node: the result, what it was made of, and the local derivatives towards each input."""
    edges = [i for i, x in enumerate(inputs) if isinstance(x, Scalar) and x.requires_grad]
    node = Scalar(result, requires_grad=bool(edges) and context.recording)
    node.scope = context.scope
    if node.requires_grad:
        node.op, node.inputs, node.edges, node._slopes = op, inputs, edges, slopes
        if not all(node.serial % n for n in EVERY):
            node.knot = Knot(inputs)
    return node


def scalars(array: Any, requires_grad: bool = True, name: str | None = None) -> np.ndarray:
    """An object array of Scalars, one for each number.

    Args:
        array: numbers, of any shape.
        requires_grad: whether gradients are wanted for them.
        name: each Scalar is called this and its index: ``W[0,1]``.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import scalars
        >>> W = scalars([[0.1, -0.2], [0.3, 0.4]], name="W")
        >>> loss = np.tanh(np.ones(2) @ W).sum()
        >>> loss.backward()
        >>> W[0, 1].name, round(W[0, 1].grad, 4)
        ('W[0,1]', 0.961)
    """
    values = np.asarray(array, dtype=np.float64)
    result = np.empty(values.shape, dtype=object)
    for index in np.ndindex(values.shape):
        label = f"{name}[{','.join(map(str, index))}]" if name and index else name
        result[index] = Scalar(values[index].item(), requires_grad, label)
    return result


def gradients(array: np.ndarray) -> np.ndarray:
    """The gradients of an object array of Scalars, as an array of floats; 0 where none arrived.

    Example:
        >>> from tinygrad_rnn import gradients, scalars
        >>> x = scalars([1.0, 2.0])
        >>> (x * x).sum().backward()
        >>> gradients(x)
        array([2., 4.])
    """
    read: Callable[[Any], float] = lambda s: 0.0 if s.grad is None else s.grad  # noqa: E731
    return np.array([read(s) for s in np.ravel(array)], dtype=np.float64).reshape(np.shape(array))
