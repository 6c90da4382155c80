"""Scalar: reverse-mode autodiff with one number per node. Read this file first.

Every operation makes a new Scalar that remembers its inputs and, for each of them, the local derivative: by how much
the result changes when that input does. The chain rule does the rest: going through the nodes from the last to the
first (``graph.backpropagate``), each hands its inputs ``(its own gradient) x (local derivative)``, and contributions to
one node add up.

    s = Scalar(2.0); y = s * s + 1        y.backward()        s.grad == 4.0

On an object array of Scalars (``scalars(array)``) NumPy runs ``x @ U``, ``+`` and ``np.tanh`` element by element, by
calling these very operators and methods. So a cell written for Tensors runs on Scalars unchanged. This file computes
with ``math`` alone, which makes it an independent check of the array engine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .graph import initialise
from .keeping import gradients_of
from .letting_go import EVERY, Knot
from .scalar_operators import Number, NumberNode, Operation, is_number, value
from .scope import context

ONE, OTHER = EVERY
ADD, MULTIPLY, TANH = Operation("add"), Operation("multiply"), Operation("tanh")


class Scalar(NumberNode):
    """A number in the graph.

    Args:
        data: the number.
        requires_grad: True if a gradient is wanted for it.
        name: its name in pictures.

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

    __slots__ = ("_slopes",)

    def __init__(self, data: float, requires_grad: bool = True, name: str | None = None) -> None:
        initialise(self, requires_grad, name)
        self.data = float(data)
        self._slopes: tuple[float, ...] = ()

    def __add__(self, other: Number) -> Any:
        if not is_number(other):
            return NotImplemented
        return self._record(ADD, self.data + value(other), (self, other), (1.0, 1.0))

    def __mul__(self, other: Number) -> Any:
        if not is_number(other):
            return NotImplemented
        return self._record(MULTIPLY, self.data * value(other), (self, other), (value(other), self.data))

    __radd__ = __add__
    __rmul__ = __mul__

    def tanh(self) -> Scalar:
        """The hyperbolic tangent."""
        y = math.tanh(self.data)
        return self._record(TANH, y, (self,), (1 - y * y,))

    @staticmethod
    def _record(op: Operation, result: float, inputs: tuple[Any, ...], slopes: tuple[float, ...]) -> Scalar:
        """A new node with the result, its inputs, and the local derivatives towards each of them."""
        edges = [i for i, x in enumerate(inputs) if isinstance(x, Scalar) and x.requires_grad]
        node = Scalar(result, requires_grad=bool(edges) and context.recording)
        node.scope = context.scope
        if node.requires_grad:
            node.op, node.inputs, node.edges, node._slopes = op, inputs, edges, slopes
            if not (node.serial % ONE and node.serial % OTHER):  # no part of differentiation: see letting_go.py
                node.knot = Knot(inputs)
        return node

    def backward(self, gradient: float = 1.0, retain_graph: bool = False, *, keep: bool | None = None) -> None:
        """Add the gradient of this number to the ``.grad`` of every leaf that it was made of.

        Args:
            gradient: the cotangent to start with.
            retain_graph: retain the graph for another ``backward()``; by default it is freed on the way, or kept.
            keep: keep the graph for inspection. By default a small one is kept until the next ``backward()``.

        Raises:
            RuntimeError: nothing here requires a gradient, or the graph was freed.
        """
        if not self.requires_grad:
            raise RuntimeError("backward(): nothing that this Scalar was made of requires a gradient")
        for leaf, g in gradients_of(self, float(gradient), retain_graph, keep).items():
            leaf.grad = g if leaf.grad is None else leaf.grad + g

    def _pull_back(self, g: float) -> Sequence[tuple[Any, float]]:
        return [(self.inputs[i], g * self._slopes[i]) for i in self.edges or ()]

    def _push_forward(self, tangents: list[float | None]) -> float:
        return math.fsum(slope * v for slope, v in zip(self._slopes, tangents) if v is not None)

    def _seed(self, gradient: Any) -> float:
        return 1.0 if gradient is None else float(gradient)
