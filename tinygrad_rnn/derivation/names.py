"""Names: what the lines of a derivation are called.

The user's own names where there are any, the letters of textbooks elsewhere: ``a`` for the argument of a nonlinearity,
``delta`` for its derivative.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from ..autodiff.rules import reductions
from .expressions import Apply, Parameter, Reference
from .grain import NONLINEAR
from .quantities import Quantity
from .reading import parts


def short_names(parameters: Iterable[str]) -> dict[str, str]:
    """What parameters are called in lines: ``W`` for ``rnn.W``, if there is no other W."""
    names = list(parameters)
    last = [name.rpartition(".")[2] for name in names]
    return {name: short if last.count(short) == 1 else name for name, short in zip(names, last)}


def name_quantities(forward: list[Quantity], backward: list[Quantity], root: Quantity, taken: Iterable[str]) -> None:
    """Give every quantity a name of its own.

    Args:
        forward: those of the forward pass that have lines.
        backward: those of the backward pass.
        root: the loss.
        taken: names that parameters and data bear.
    """
    wanted = {quantity: _wanted(quantity, root, forward) for quantity in forward}
    used = {re.sub(r"\W", "_", name) for name in taken}
    for base in dict.fromkeys(wanted.values()):
        bearers = [quantity for quantity in forward if wanted[quantity] == base]
        for quantity in bearers:
            quantity.name = _free(base, quantity, len(bearers) > 1, used)
            used.add(quantity.name)
    for quantity in backward:
        source = quantity.adjoint_of
        name = source.name if isinstance(source, Quantity) else source
        if isinstance(source, Quantity) and not name:  # written into other lines, so it has none
            source.name = name = _free(_wanted(source, root, forward), source, False, used)
            used.add(name)
        base, _, rest = name.partition("_")
        is_argument = isinstance(source, Quantity) and base == "a" and source.label("state", "value", "output") is None
        quantity.name = (f"delta_{rest}" if rest else "delta") if is_argument else f"dL/d{name}"


def _free(base: str, quantity: Quantity, shared: bool, used: set[str]) -> str:
    layer = re.sub(r"\W", "_", str(quantity.layer)) if quantity.layer is not None else ""
    name = f"{base}_{layer}" if shared and layer else base
    if keyword.iskeyword(name):
        name += "_"
    number = 2
    free = name
    while free in used:
        free, number = f"{name}_{number}", number + 1
    return free


def _wanted(quantity: Quantity, root: Quantity, forward: list[Quantity]) -> str:
    label = quantity.label("state", "value", "output")
    if label is not None:
        return re.sub(r"\W", "_", label)
    if quantity is root:
        return "L"
    expression = quantity.equations[-1].expression
    if isinstance(expression, Apply):
        name = expression.name.replace(".", "_")
        inner = expression.operands[0] if expression.operands else None
        if expression.operation in NONLINEAR and isinstance(inner, Reference) and inner.quantity.name:
            return f"{name}_{inner.quantity.name}"
        if expression.operation is reductions.softmax_of:
            return "p"
    if _is_argument(quantity, forward):
        return "a"
    return "z" if any(isinstance(part, Parameter) for part in parts(expression)) else "u"


def _is_argument(quantity: Quantity, forward: list[Quantity]) -> bool:
    """Whether a nonlinear function is taken of it, or of a part of it."""
    return any(
        isinstance(reference, Reference) and reference.quantity is quantity
        for other in forward
        for equation in other.equations
        for part in parts(equation.expression)
        if isinstance(part, Apply) and part.operation in NONLINEAR
        for reference in parts(part)
    )
