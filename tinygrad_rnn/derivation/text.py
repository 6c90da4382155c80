"""A derivation as text."""

from __future__ import annotations

from collections.abc import Iterable

from .expressions import Apply, Constant, Data, During, Expression, Number, Parameter, Reference, Stack, Sum
from .lines import Line


def equation(line: Line) -> str:
    """One line."""
    return (
        f"{line.name}[{_steps(line.steps)}] = {plain(line.expression)}"
        if line.steps
        else f"{line.name} = {plain(line.expression)}"
    )


def _steps(steps: tuple[int, ...]) -> str:
    return f"{steps[0]}..{steps[-1]}" if len(steps) > 1 else str(steps[0])


def plain(e: Expression) -> str:
    """An expression, as nested calls."""
    if isinstance(e, Apply):
        settings = ", ".join(f"{k}={v}" for k, v in e.settings.items())
        return f"{e.name}({', '.join(map(plain, e.operands))}{'; ' + settings if settings else ''})"
    if isinstance(e, Reference):
        where = (
            ""
            if e.shift is None and e.at is None
            else f"[{e.at}]"
            if e.at is not None
            else f"[t{e.shift:+d}]"
            if e.shift
            else "[t]"
        )
        return f"{e.quantity.name}{where}"
    if isinstance(e, Number):
        return str(e.value)
    if isinstance(e, Constant):
        return str(e.array.tolist())
    if isinstance(e, (Parameter, Data)):
        return e.name
    if isinstance(e, (Sum, Stack, During)):
        return f"{type(e).__name__}[{_steps(e.steps)}]({plain(e.inner)})"
    raise TypeError(type(e))


def written(lines: Iterable[Line]) -> str:
    """All lines."""
    return "\n".join(map(equation, lines))
