"""Reasons, in words, for the form of each line of the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...autodiff.rules import activations, elementwise, linalg, reductions, shape
from ...autodiff.rules.axes import all_axes
from ..equations.arithmetic import is_difference, is_negative, is_product, is_sum, terms_of
from ..equations.entries import Unit
from ..equations.expressions import Apply, Data, During, Expression, Number, Parameter, Reference, Rows, Sum
from ..equations.parts import applies, is_derivative, parts
from ..equations.quantities import Quantity
from ..equations.recognising import one_hot
from ..reading.rules import Vjp
from .writer import TextWriter

# Functions whose derivative is recognised by their result: how it is written, with the result for {}.
SLOPES = {elementwise.tanh: "tanh' = 1 - {}²", activations.logistic: "σ' = {} ∘ (1 - {})"}


def reasons(quantity: Quantity, expression: Expression, forward: list[Quantity], last: int | None) -> tuple[str, ...]:
    """The reasons for the form of a derivative's line."""
    writer = TextWriter(last)
    found = [*_view(quantity, forward, writer), *_paths(quantity, expression, writer)]
    for part in parts(expression):
        found += _of_part(part, writer)
    if isinstance(quantity.adjoint_of, str):
        found += _of_parameter(quantity.adjoint_of, expression, forward)
    return tuple(dict.fromkeys(found))


def _view(quantity: Quantity, forward: list[Quantity], writer: TextWriter) -> Iterator[str]:
    """The meaning of a letter that has no line, since it is another view of values that have one."""
    source = quantity.adjoint_of
    if isinstance(source, Quantity) and source not in forward:
        for equation in source.equations:
            symbol = writer.symbol(source, "t" if equation.steps else "")
            yield f"{symbol} is {writer.write(equation.expression)}"


def _paths(quantity: Quantity, expression: Expression, writer: TextWriter) -> Iterator[str]:
    """The number of paths by which something acts on the loss, in words."""
    source = quantity.adjoint_of
    yield from _ways(quantity, expression, writer)
    if not isinstance(source, Quantity) or not is_sum(expression):
        return
    users = [_user(term, writer) for term in expression.operands]
    if len(users) > 1 and all(users):
        name = writer.symbol(source, "t" if source.steps else "")
        number = {2: "two", 3: "three", 4: "four"}.get(len(users), str(len(users)))
        yield f"{name} is used by {' and by '.join(dict.fromkeys(users))}: {number} paths, added"


def _ways(quantity: Quantity, expression: Expression, writer: TextWriter) -> Iterator[str]:
    """The ways in which something acts on a value: by itself, and through others."""
    if quantity.derivative is None or quantity.derivative.of is None:
        return
    by, of = quantity.derivative.by, quantity.derivative.of
    ways = []
    for part in parts(expression):
        if isinstance(part, Unit):
            ways.append("directly")
        elif isinstance(part, Reference) and part.quantity.kind == "sensitivity":
            ways.append(f"through {writer.symbol(part.quantity.derivative.of, writer.step_of(part))}")
    ways = sorted(set(ways), key=lambda way: (way != "directly", way))
    if len(ways) > 1:
        what = by if isinstance(by, str) else writer.symbol(by, "t-1")
        yield f"{what} acts on {writer.symbol(of, 't' if quantity.steps else '')} {' and '.join(ways)}"


def _user(term: Expression, writer: TextWriter) -> str:
    """The quantity through which a term flows: the one whose derivative is in it."""
    for part in parts(term):
        if is_derivative(part):
            return writer.symbol(part.quantity.adjoint_of, writer.step_of(part))
    return "the loss"


def _of_part(part: Expression, writer: TextWriter) -> Iterator[str]:
    """The rules from which the parts of an expression come."""
    if not isinstance(part, Apply):
        return
    if is_product(part):
        yield from _slope(part, writer)
    if part.operation is elementwise.subtract:
        if any(applies(o, one_hot) for o in part.operands):
            yield "softmax with cross-entropy: p - y"
        elif any(data.adds_up for data in parts(part.operands[1], Data)):
            yield f"softmax with cross-entropy: p - y, since {writer.write(part.operands[1])} adds up to 1"
    elif part.operation is elementwise.where and len(part.operands) == 3:
        if isinstance(part.operands[2], Number) and not isinstance(part.operands[1], Number):
            yield "no gradient where another value was chosen"
    elif part.operation is shape.joined:
        yield "parts that stand side by side, and so do their derivatives"
    elif isinstance(part.operation, Vjp):
        yield f"the rule of {part.operation.operation.name}, which runs as it is"


def _slope(whole: Expression, writer: TextWriter) -> Iterator[str]:
    """The derivative of an activation, in terms of its result: 1 - h² of tanh, o (1 - o) of a sigmoid."""
    for factor in whole.operands:
        if not is_difference(factor):
            continue
        one, result = factor.operands
        if not (isinstance(one, Number) and one.value == 1):
            continue
        is_square = applies(result, elementwise.square)
        result = result.operands[0] if is_square else result
        if is_square or result in whole.operands:
            wanted = elementwise.tanh if is_square else activations.logistic
            if _is_result_of(wanted, result):
                yield SLOPES[wanted].replace("{}", writer.write(result))


def _is_result_of(operation: Any, result: Expression) -> bool:
    """Return True if a quantity is the result of an operation."""
    if not isinstance(result, Reference):
        return False
    meanings = [equation.expression for equation in result.quantity.equations]
    return any(applies(meaning, operation) for meaning in meanings)


def _of_parameter(name: str, expression: Expression, forward: list[Quantity]) -> Iterator[str]:
    terms = terms_of(expression)
    inner = [term.operands[0] if is_negative(term) else term for term in terms]
    if any(isinstance(term, Sum) for term in inner):
        yield f"{name} is used at each step: its contributions are added"
    if any(parts(expression, Rows)):
        yield f"{name} is used at each step: with the rows of all steps below each other, all is added up at once"
    for term in inner:
        summed = [] if any(parts(term, Rows)) else list(_summed_over(term))
        if summed:
            over = " over the batch" if isinstance(term, Sum) and _batches(forward).issuperset(summed) else ""
            yield f"{name} was broadcast{over}: summed"
    if len(terms) > 1:
        yield f"{name} is used in {len(terms)} places: added"
    if any(_is_penalised(term, name) for term in inner):
        yield f"the loss has a term of {name} itself"


def _summed_over(term: Expression) -> Iterator[tuple[int, ...]]:
    """The lengths of the axes over which the sums in a term run."""
    for part in parts(term):
        if applies(part, reductions.sum):
            (summed,) = part.operands
            yield tuple(summed.shape[a] for a in all_axes(part.settings.get("axis"), summed.ndim))


def _batches(forward: list[Quantity]) -> set[tuple[int, ...]]:
    """The sizes of batches: the numbers of rows, or columns, that are multiplied by a parameter at once."""
    products = [
        part.operands
        for quantity in forward
        for equation in quantity.equations
        for part in parts(equation.expression)
        if applies(part, linalg.matmul)
    ]
    rows = {(a.shape[0],) for a, b in products if isinstance(b, Parameter) and a.ndim == 2}
    return rows | {(b.shape[1],) for a, b in products if isinstance(a, Parameter) and b.ndim == 2}


def _is_penalised(term: Expression, name: str) -> bool:
    """Return True for a term that contains only the parameter."""
    found: list[Any] = list(parts(term, Parameter, Reference, During))
    return bool(found) and all(isinstance(p, Parameter) and p.name == name for p in found)
