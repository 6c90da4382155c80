"""Formulas read off the recorded operations: a cell's equations, and the derivative of each operation.

An expression is a small tree; three dialects write it: text (``h = tanh(x U + h' W + b)``), LaTeX and MathML. In text
a value of the step before carries a prime (one of the step after, in a layer that goes backward, ₊₁); in LaTeX and
MathML time is an index.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from ..reading.model import Edge, Graph, Vertex
from ..reading.symbols import index_text, number, plain_number, subscript

DEEPEST = 24  # an expression of more levels than this ends in an ellipsis

# How tightly an expression binds: one that binds less than its place asks for is put in brackets.
SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4

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


class Symbol(NamedTuple):
    """A named value; ``delay`` counts the steps that it is older than the result, None if it belongs to none."""

    name: str
    delay: int | None


class Number(NamedTuple):
    """A plain number, or any other text that stands for itself."""

    text: str


class Operation(NamedTuple):
    """An operation on expressions."""

    name: str
    arguments: tuple[Expression, ...]
    detail: str = ""


Expression = Symbol | Number | Operation


class Equation(NamedTuple):
    """``left = right``, one for each named value of a lane."""

    left: Symbol
    right: Expression

    def text(self) -> str:
        """The equation as plain text: ``h = tanh(x U + h' W + b)``."""
        return f"{TEXT.write(self.left)} = {TEXT.write(self.right)}"

    def latex(self) -> str:
        r"""The equation as LaTeX: ``h_{t} = \tanh\left(x_{t} U + h_{t-1} W + b\right)``."""
        return f"{LATEX.write(self.left)} = {LATEX.write(self.right)}"

    def mathml(self) -> str:
        """The equation as a MathML element."""
        inside = f"{MATHML.write(self.left)}<mo>=</mo>{MATHML.write(self.right)}"
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow>{inside}</mrow></math>'


def local_derivative(operation: str) -> str:
    """The formula by which an operation takes the gradient of its result back to its arguments."""
    return LOCAL_DERIVATIVES.get(operation, GENERAL_DERIVATIVE)


def equations(graph: Graph) -> dict[int, list[Equation]]:
    """The equations of every lane that has named values, in the order of computation; of one step: all are alike."""
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
        self.alike: dict[tuple[int | None, str], set[str]] = {}  # parameters of a lane that end in the same name
        for edge in graph.edges:
            source = graph.vertices[edge.source]
            if source.kind == "parameter":
                place = graph.vertices[edge.target].lane, _last_part(source.title)
                self.alike.setdefault(place, set()).add(source.title)

    def of_lanes(self) -> dict[int, list[Equation]]:
        """A lane's equations at the step that has most of them, a late one: the first may see the initial state."""
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
        return [Equation(self._symbol(i, i), self._expression(i, i, 0)) for i in sorted(heads)]

    def _symbol(self, i: int, seen_from: int) -> Symbol:
        vertex, here = self.graph.vertices[i], self.graph.vertices[seen_from]
        name = self.names.get(i) or vertex.title or vertex.kind
        if vertex.kind == "parameter" and len(self.alike.get((here.lane, _last_part(name)), ())) == 1:
            name = _last_part(name)  # within a layer "W" says enough of "layers.0.W"
        timed = vertex.step is not None and here.step is not None
        return Symbol(name, here.step - vertex.step if timed else None)  # type: ignore[operator]

    def _expression(self, i: int, head: int, depth: int) -> Expression:
        vertex = self.graph.vertices[i]
        if i != head:
            elsewhere = (vertex.step, vertex.lane) != (self.graph.vertices[head].step, self.graph.vertices[head].lane)
            if vertex.title or not vertex.symbol or i in self.names or elsewhere:
                return self._named_or_whole(i, head, depth)
        if depth > DEEPEST:
            return Number("…")
        node = vertex.value
        if vertex.symbol == "":  # a wire: what it selects
            return self._symbol(self.arguments[i][0].source, head)
        drawn = {edge.argument: edge.source for edge in self.arguments[i]}
        arguments: list[Expression] = []
        for argument, value in enumerate(node.inputs):
            if argument in drawn:
                arguments.append(self._expression(drawn[argument], head, depth + 1))
            else:
                plain = plain_number(value)
                if plain is not None and node.op.name != "getitem":
                    arguments.append(Number(number(plain)))
        keywords = getattr(node, "_keywords", {})
        if node.op.name == "power" and "exponent" in keywords:
            arguments.append(Number(number(keywords["exponent"])))
        detail = index_text(node.inputs[1]) if node.op.name == "getitem" and len(node.inputs) > 1 else ""
        return Operation(node.op.name, tuple(arguments), detail)

    def _named_or_whole(self, i: int, head: int, depth: int) -> Expression:
        """A value from another step: its name, or an ellipsis if it has none."""
        vertex = self.graph.vertices[i]
        if vertex.title or i in self.names or not vertex.symbol:
            return self._symbol(i, head)
        return Symbol("…", None)


def _last_part(name: str) -> str:
    """The last part of a qualified name: "W" of "layers.0.W"."""
    return name.rpartition(".")[2]


class Dialect:
    """Writes expressions in one notation; subclasses say how each form looks."""

    def write(self, expression: Expression, place: int = 0) -> str:
        """An expression, in brackets if it binds less tightly than its place asks for."""
        text, strength = self._written(expression)
        return text if strength >= place else self.bracketed(text)

    def _written(self, expression: Expression) -> tuple[str, int]:
        if isinstance(expression, Symbol):
            return self.symbol(expression.name, expression.delay), ATOM
        if isinstance(expression, Number):
            return self.number(expression.text), SUM if expression.text.startswith("−") else ATOM
        name, arguments = expression.name, expression.arguments
        if name in ("add", "subtract") and len(arguments) == 2:
            sign, right = ("+", SUM) if name == "add" else ("−", PRODUCT)
            return self.infix(sign, self.write(arguments[0], SUM), self.write(arguments[1], right)), SUM
        if name in ("matmul", "dot") and len(arguments) == 2:
            return self.infix("", *(self.write(a, PRODUCT) for a in arguments)), PRODUCT
        if name == "multiply" and len(arguments) == 2:
            plain = any(isinstance(a, Number) for a in arguments)
            return self.infix("·" if plain else "⊙", *(self.write(a, PRODUCT) for a in arguments)), PRODUCT
        if name == "divide" and len(arguments) == 2:
            return self.fraction(*arguments), PRODUCT
        if name == "negative":
            return self.infix("−", "", self.write(arguments[0], PRODUCT)), SUM
        if name in ("power", "square"):
            exponent = arguments[1] if len(arguments) > 1 else Number("2")
            return self.power(self.write(arguments[0], ATOM), self.write(exponent)), POWER
        if name == "getitem":
            return self.indexed(self.write(arguments[0], ATOM), expression.detail), ATOM
        return self.call({"sigmoid": "σ", "sum": "Σ"}.get(name, name), [self.write(a) for a in arguments]), ATOM

    def symbol(self, name: str, delay: int | None) -> str:
        """A named value."""
        later = f"₊{subscript(-delay)}" if delay and delay < 0 else ""
        return name + "'" * (delay or 0) + later

    def number(self, text: str) -> str:
        """A number."""
        return text

    def infix(self, sign: str, left: str, right: str) -> str:
        """Two expressions with a sign, or nothing, between them; or a sign before one."""
        return f"{left} {sign} {right}" if left and sign else f"{left} {right}" if left else f"{sign}{right}"

    def fraction(self, above: Expression, below: Expression) -> str:
        """A division."""
        return f"{self.write(above, PRODUCT)} / {self.write(below, POWER)}"

    def power(self, base: str, exponent: str) -> str:
        """A power."""
        return f"{base}^{exponent}"

    def indexed(self, value: str, index: str) -> str:
        """A part of a value."""
        return value + index

    def call(self, function: str, arguments: Sequence[str]) -> str:
        """A function of expressions."""
        return f"{function}({', '.join(arguments)})"

    def bracketed(self, text: str) -> str:
        """An expression in brackets."""
        return f"({text})"


LATEX_SIGNS = {"+": "+", "−": "-", "·": r"\cdot", "⊙": r"\odot", "": ""}
LATEX_FUNCTIONS = {"σ": r"\sigma", "Σ": r"\sum", "tanh": r"\tanh", "exp": r"\exp", "log": r"\log", "max": r"\max"}


class _Latex(Dialect):
    def symbol(self, name: str, delay: int | None) -> str:
        head = name if len(name) == 1 and name.isalnum() else rf"\mathrm{{{_latex_escaped(name)}}}"
        return head if delay is None else f"{head}_{{t{f'-{delay}' if delay > 0 else f'+{-delay}' if delay else ''}}}"

    def number(self, text: str) -> str:
        return text.replace("−", "-").replace("…", r"\dots")

    def infix(self, sign: str, left: str, right: str) -> str:
        return super().infix(LATEX_SIGNS[sign], left, right)

    def fraction(self, above: Expression, below: Expression) -> str:
        return rf"\frac{{{self.write(above)}}}{{{self.write(below)}}}"

    def power(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{exponent}}}"

    def indexed(self, value: str, index: str) -> str:
        return value + _latex_escaped(index).replace("…", r"\dots").replace("−", "-")

    def call(self, function: str, arguments: Sequence[str]) -> str:
        name = LATEX_FUNCTIONS.get(function) or rf"\operatorname{{{_latex_escaped(function)}}}"
        return rf"{name}\left({', '.join(arguments)}\right)"

    def bracketed(self, text: str) -> str:
        return rf"\left({text}\right)"


class _MathML(Dialect):
    def symbol(self, name: str, delay: int | None) -> str:
        head = f"<mi>{escape(name)}</mi>"
        if delay is None:
            return head
        shift = f"<mo>{'−' if delay > 0 else '+'}</mo><mn>{abs(delay)}</mn>" if delay else ""
        return f"<msub>{head}<mrow><mi>t</mi>{shift}</mrow></msub>"

    def number(self, text: str) -> str:
        return f"<mn>{escape(text)}</mn>"

    def infix(self, sign: str, left: str, right: str) -> str:
        return f"{left}<mo>{sign or chr(0x2062)}</mo>{right}"

    def fraction(self, above: Expression, below: Expression) -> str:
        return f"<mfrac><mrow>{self.write(above)}</mrow><mrow>{self.write(below)}</mrow></mfrac>"

    def power(self, base: str, exponent: str) -> str:
        return f"<msup><mrow>{base}</mrow><mrow>{exponent}</mrow></msup>"

    def indexed(self, value: str, index: str) -> str:
        return f"<mrow>{value}<mtext>{escape(index)}</mtext></mrow>"

    def call(self, function: str, arguments: Sequence[str]) -> str:
        return f"<mi>{escape(function)}</mi><mo>&#x2061;</mo>{self.bracketed('<mo>,</mo>'.join(arguments))}"

    def bracketed(self, text: str) -> str:
        return f"<mrow><mo>(</mo>{text}<mo>)</mo></mrow>"


TEXT, LATEX, MATHML = Dialect(), _Latex(), _MathML()


def _latex_escaped(text: str) -> str:
    special = {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim ", " ": r"\ "}
    return "".join(special.get(c) or ("\\" + c if c in "{}_#$%&" else c) for c in text)


def describe_operation(vertex: Vertex) -> str:
    """The local derivative of a vertex, if an operation made it."""
    op = getattr(vertex.value, "op", None)
    return local_derivative(op.name) if op is not None and vertex.symbol else ""
