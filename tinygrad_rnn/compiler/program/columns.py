"""Products that are taken apart by columns, as products with columns of the weight.

The gates of a cell are columns of one product of all steps, ``(xs @ U + b)[..., :d]`` and so on. Where nobody reads it
as a whole, ``xs @ U[:, :d] + b[:d]`` needs no memory for it, and no copies of its columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...autodiff.rules import indexing, linalg, shape
from ..graph.shapes import acts_by_element
from ..graph.values import Value
from ..loops.loop import Loop
from ..loops.rewriting import columns_of
from .program import Program, Step, in_order_of_computing


class TakenApart:
    """The Values of a program outside of loops of which others read columns alone."""

    def __init__(self, program: Program) -> None:
        self._trace = program.trace
        ends = [*program.outputs, *program.gradients.values()]
        self._ends = set(ends)
        self._readers: dict[Value, list[Step]] = {}
        for step in in_order_of_computing(ends, program.results):
            for v in program.reads(step):
                self._readers.setdefault(v, []).append(step)

    def columns(self, step: Value, current: Callable[[Any], Any]) -> Value | None:
        """Columns of a product, computed without the others; None for any other Value."""
        columns = columns_of(step)
        if columns is None or not self._holds_product(step.args[0]):
            return None
        return self._of(step.args[0], columns, current)

    def _holds_product(self, value: Any) -> bool:
        """Return True for a product with a weight, or what is computed from one by element, if it is taken apart."""
        if not isinstance(value, Value) or value in self._ends or value.ndim == 0:
            return False
        if not all(self._is_apart(reader, value) for reader in self._readers[value]):
            return False
        if value.op is linalg.matmul:
            return value.args[1].ndim == 2
        return self._passes_columns(value) and any(map(self._holds_product, value.args))

    def _is_apart(self, reader: Step, value: Value) -> bool:
        return not isinstance(reader, Loop) and (columns_of(reader) is not None or self._passes_columns(reader))

    def _passes_columns(self, value: Value) -> bool:
        """Return True if a column of a Value is computed from the same column of its operands."""
        is_reshape = value.op is shape.reshape and value.ndim and value.args[0].shape[-1:] == value.shape[-1:]
        return bool(is_reshape) or (acts_by_element(value.op) and not value.keywords)

    def _of(self, value: Any, columns: slice, current: Callable[[Any], Any]) -> Any:
        if not isinstance(value, Value) or value.ndim == 0 or value.shape[-1] == 1:
            return current(value)
        if not self._holds_product(value):
            return self._trace.made(indexing.getitem, (current(value), (..., columns)), {})
        if value.op is linalg.matmul:
            weight = self._trace.made(indexing.getitem, (current(value.args[1]), (..., columns)), {})
            return self._trace.made(linalg.matmul, (current(value.args[0]), weight), {})
        first = self._of(value.args[0], columns, current)
        if value.op is shape.reshape:
            return self._trace.made(shape.reshape, (first, (*value.shape[:-1], first.shape[-1])), {})
        return self._trace.made(value.op, (first, *(self._of(a, columns, current) for a in value.args[1:])), {})
