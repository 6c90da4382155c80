"""The symbols of operations in boxes (``+``, ``@``, ``× 0.5``, ``[2]``), and the numbers beside them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autodiff.graph import Node
from ...autodiff.tensor import Tensor
from ...autodiff.texts import printable

SYMBOLS = {
    "matmul": "@",
    "dot": "·",
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "divide": "÷",
    "negative": "−",
    "power": "^",
    "square": "x²",
    "sqrt": "√",
    "sigmoid": "σ",
    "sum": "Σ",
    "absolute": "|x|",
    "transpose": "ᵀ",
}
SUBSCRIPTS = str.maketrans("0123456789-", "₀₁₂₃₄₅₆₇₈₉₋")


def subscript(step: int | None) -> str:
    """A time step, as an index below the line; "" without a step."""
    return "" if step is None else str(step).translate(SUBSCRIPTS)


def plain_number(value: Any) -> float | None:
    """The number of a constant, if it is written into the box of the operation that uses it; else None."""
    if isinstance(value, Node):
        if value.requires_grad or value.name or value.labels:
            return None
        value = value._data if isinstance(value, Tensor) else getattr(value, "data", None)
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "fiu":
        return float(value.item())
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return float(value)
    return None


def number(value: Any) -> str:
    """A number with four digits and a true minus sign; words for NaN and infinity.

    Example:
        >>> number(-0.12345678), number(0.0), number(4e-12)
        ('−0.1235', '0', '4e−12')
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    text = f"{float(value) or 0.0:.4g}"  # "or": a zero has no sign
    return text.replace("e-0", "e-").replace("e+0", "e+").replace("-", "−")


def index_text(index: Any) -> str:
    """An index as it was written.

    Example:
        >>> index_text((slice(None), 3)), index_text(-1), index_text((Ellipsis, slice(0, 4)))
        ('[:, 3]', '[−1]', '[…, 0:4]')
    """
    parts = index if isinstance(index, tuple) else (index,)
    return f"[{', '.join(map(_index_part, parts))}]"


def _index_part(part: Any) -> str:
    if isinstance(part, slice):
        bounds = ["" if bound is None else str(bound) for bound in (part.start, part.stop)]
        return ":".join(bounds) + (f":{part.step}" if part.step not in (None, 1) else "")
    if part is Ellipsis:
        return "…"
    if part is None:
        return "new"
    if isinstance(part, (int, np.integer)):
        return str(part).replace("-", "−")
    return "index"


def operation_symbol(name: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """The text in the box of an operation, with the plain numbers that took part."""
    symbol = SYMBOLS.get(name, name)
    if name == "getitem":
        return index_text(inputs[1])
    if name == "power" and "exponent" in keywords:
        return f"^ {number(keywords['exponent'])}"
    plain = {i: plain_number(value) for i, value in enumerate(inputs)}
    numbers = {i: number(value) for i, value in plain.items() if value is not None}
    if len(inputs) == 2 and len(numbers) == 1:
        ((i, text),) = numbers.items()
        return f"{text} {symbol}" if i == 0 and name in ("subtract", "divide", "power") else f"{symbol} {text}"
    return symbol


def settings_text(keywords: dict[str, Any]) -> str:
    """The keywords of an operation, as they would be written in a call."""
    shown = {k: v for k, v in keywords.items() if k not in ("starts", "indices", "exponent") and v is not None}
    return printable(", ".join(f"{k}={v}" for k, v in shown.items() if v is not False))
