"""Formulas read off the recorded operations: a cell's equations, and the derivative of each operation.

The equations consist of expressions of ``derivation``, and its writers write them, so pictures and derivations agree.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.registry import Primitive
from ...autodiff.rules import activations, elementwise, linalg
from ...derivation.equations.expressions import Apply, Data, Expression, Number, Parameter, Reference
from ...derivation.equations.quantities import Letter, Quantity
from ...derivation.reading.settings import is_setting, setting_names
from ...derivation.writing.latex import LatexWriter
from ...derivation.writing.mathml import MathMLWriter, math
from ...derivation.writing.writer import TextWriter
from ..reading.model import Edge, Graph, Vertex
from ..reading.symbols import plain_number

DEEPEST = 24  # an expression of more levels than this ends in an ellipsis
ELLIPSIS = Data("…", ())

# The array operations for operations on single numbers.
OF_ARRAYS = {op.name: op for op in (
    elementwise.add, elementwise.subtract, elementwise.multiply, elementwise.divide, elementwise.negative,
    elementwise.square, elementwise.tanh, elementwise.absolute, activations.logistic, activations.rectifier,
)}  # fmt: skip

# ∂(result)/∂(argument): y is the result, a and b are the arguments, ȳ is the gradient at the result.
LOCAL_DERIVATIVES = {
    "add": "∂y/∂a = 1, ∂y/∂b = 1",
    "subtract": "∂y/∂a = 1, ∂y/∂b = −1",
    "multiply": "∂y/∂a = b, ∂y/∂b = a",
    "divide": "∂y/∂a = 1/b, ∂y/∂b = −y/b",
    "negative": "∂y/∂a = −1",
    "power": "∂y/∂a = b a^(b−1)",
    "square": "∂y/∂a = 2a",
    "sqrt": "∂y/∂a = 1/(2y)",
    "exp": "∂y/∂a = y",
    "log": "∂y/∂a = 1/a",
    "tanh": "∂y/∂a = 1 − y²",
    "sigmoid": "∂y/∂a = y (1 − y)",
    "relu": "∂y/∂a = 1 where a > 0, else 0",
    "absolute": "∂y/∂a = sign(a)",
    "maximum": "1 for the larger argument, else 0",
    "minimum": "1 for the smaller argument, else 0",
    "matmul": "ā = ȳ bᵀ, b̄ = aᵀ ȳ",
    "dot": "ā = ȳ bᵀ, b̄ = aᵀ ȳ",
    "sum": "ā = ȳ, for each element",
    "mean": "ā = ȳ / n, for each element",
    "logsumexp": "∂y/∂a = softmax(a)",
    "softmax": "ā = y ȳ − y Σ y ȳ",
    "log_softmax": "ā = ȳ − softmax(a) Σ ȳ",
    "getitem": "ā = ȳ at the index, 0 elsewhere",
    "stack": "each part gets its slice of ȳ",
    "concatenate": "each part gets its slice of ȳ",
    "reshape": "ā = ȳ, in the shape of a",
    "transpose": "ā = ȳᵀ",
    "where": "ȳ goes to the argument that was chosen",
}
GENERAL_DERIVATIVE = "ā = (∂y/∂a)ᵀ ȳ"


class Equation(NamedTuple):
    """``left = right``, one for each named value of a lane."""

    name: str
    left: Expression
    right: Expression

    def text(self) -> str:
        """The equation as plain text: ``h_t = tanh(x_t U + h_{t-1} W + b)``."""
        return self._written(TextWriter())

    def latex(self) -> str:
        r"""The equation as LaTeX: ``h_{t} = \tanh\left(x_{t}\, U + h_{t-1}\, W + b\right)``."""
        return self._written(LatexWriter())

    def mathml(self) -> str:
        """The equation as a MathML element."""
        return math(self._written(MathMLWriter(), "<mo>=</mo>"))

    def _written(self, writer: TextWriter, sign: str = " = ") -> str:
        return f"{writer.write(self.left)}{sign}{writer.write(self.right)}"


def local_derivative(operation: str) -> str:
    """The formula by which an operation takes the gradient of its result back to its arguments."""
    return LOCAL_DERIVATIVES.get(operation, GENERAL_DERIVATIVE)


def equations(graph: Graph) -> dict[int, list[Equation]]:
    """The equations of one step, since all are alike, for every lane with named values, in the order of computation."""
    return _Equations(graph).of_lanes()


class _Equations:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.arguments: list[list[Edge]] = [[] for _ in graph.vertices]
        self.users: list[set[int]] = [set() for _ in graph.vertices]
        for edge in graph.edges:
            self.arguments[edge.target].append(edge)
            self.users[edge.source].add(edge.target)
        self.names: dict[Hashable, str] = {}
        self.quantities: dict[str, Quantity] = {}
        read: dict[int | None, set[str]] = {}
        for edge in graph.edges:
            source = graph.vertices[edge.source]
            if source.kind == "parameter" and source.title:
                read.setdefault(graph.vertices[edge.target].lane, set()).add(source.title)
        self.owners = {lane: _owner(names) for lane, names in read.items()}

    def of_lanes(self) -> dict[int, list[Equation]]:
        """A lane's equations at a late step that has most of them, since the first step may use the initial state."""
        found: dict[int, list[Equation]] = {}
        for lane, info in enumerate(self.graph.lanes):
            steps: dict[int | None, list[int]] = {}
            for i, vertex in enumerate(self.graph.vertices):
                if vertex.lane == lane and vertex.symbol:
                    steps.setdefault(vertex.step, []).append(i)
            if not info.timed or not steps:
                continue
            members = max(steps.values(), key=lambda found: (len(found), found[0]))
            written = self._of_step(members)
            if written:
                found[lane] = written
        return found

    def _of_step(self, members: list[int]) -> list[Equation]:
        inside = set(members)
        named = [i for i in members if self.graph.vertices[i].title and self.arguments[i]]
        heads = [i for i in named if self.graph.vertices[i].kind != "input"]  # inputs come from elsewhere
        letters = iter("aeuvpqwzαβγδ")
        taken = {vertex.title for vertex in self.graph.vertices}
        for i in members if heads else ():
            vertex = self.graph.vertices[i]
            shared = len(self.users[i] & inside) > 1 and vertex.value.op.name != "getitem"
            if shared and not vertex.title:
                self.names[i] = next((letter for letter in letters if letter not in taken), "…")
                heads.append(i)
        return [Equation(self._name(i, i), self._symbol(i, i), self._expression(i, i, 0)) for i in sorted(heads)]

    def _name(self, i: int, seen_from: int) -> str:
        vertex, here = self.graph.vertices[i], self.graph.vertices[seen_from]
        name = self.names.get(i) or vertex.title or vertex.kind
        if vertex.kind == "parameter":  # within a layer, "W" is enough for "layers.0.W", as in the cell's own code
            return name.removeprefix(self.owners.get(here.lane, ""))
        return name

    def _symbol(self, i: int, seen_from: int) -> Expression:
        vertex, here = self.graph.vertices[i], self.graph.vertices[seen_from]
        name, shape = self._name(i, seen_from), np.shape(getattr(vertex.value, "data", 0.0))
        if vertex.step is None or here.step is None:
            return Parameter(name, shape)
        quantity = self.quantities.setdefault(name, Quantity(shape, letter=Letter(name)))
        return Reference(quantity, vertex.step - here.step)

    def _expression(self, i: int, head: int, depth: int) -> Expression:
        vertex = self.graph.vertices[i]
        if i != head:
            if vertex.title or not vertex.symbol or i in self.names:
                return self._symbol(i, head)
            here = self.graph.vertices[head]
            if (vertex.step, vertex.lane) != (here.step, here.lane):
                return ELLIPSIS
        if depth > DEEPEST:
            return ELLIPSIS
        if vertex.symbol == "":  # a wire: what it selects
            return self._symbol(self.arguments[i][0].source, head)
        return self._operation(i, head, depth)

    def _operation(self, i: int, head: int, depth: int) -> Expression:
        """An operation on vertices and numbers, with its settings."""
        node = self.graph.vertices[i].value
        drawn = {edge.argument: edge.source for edge in self.arguments[i]}
        operands: list[Expression] = []
        settings = dict(getattr(node, "_keywords", {}))
        names = setting_names(node.op)
        for position, given in enumerate(node.inputs):
            if position in drawn:
                operands.append(self._expression(drawn[position], head, depth + 1))
            elif is_setting(node.op, position, given):
                settings[names[position]] = given
            else:
                plain = plain_number(given)
                operands.append(Number(plain) if plain is not None else ELLIPSIS)
        shape = np.shape(getattr(node, "data", 0.0))
        return Apply(_operation_on_arrays(node.op, settings), tuple(operands), settings, shape)


def _operation_on_arrays(op: Any, settings: dict[str, Any]) -> Any:
    if "exponent" in settings:
        return elementwise.power_by_number
    if op.name == "dot":
        return linalg.matmul
    return op if isinstance(op, Primitive) else OF_ARRAYS.get(op.name, op)


def _owner(names: Iterable[str]) -> str:
    """The module of all these parameters, with its dot: "layers.0." for "layers.0.W" and "layers.0.read.b"."""
    levels = zip(*(name.split(".")[:-1] for name in names))
    shared = itertools.takewhile(lambda level: len(set(level)) == 1, levels)
    return "".join(f"{level[0]}." for level in shared)


def describe_operation(vertex: Vertex) -> str:
    """The local derivative of a vertex, if an operation made it."""
    op = getattr(vertex.value, "op", None)
    return local_derivative(op.name) if op is not None and vertex.symbol else ""
