"""Products that loops read column by column, as products with columns of the weight.

The gates of a cell are columns of one product of all steps: ``(xs @ U + b)[..., :d]``, and so on. If nobody reads all
of it, ``xs @ U[:, :d] + b[:d]`` does without its memory and without copies of its columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ...autodiff.rules import elementwise, indexing, linalg, shape
from ..graph.values import Value
from ..loops.loop import Loop
from ..loops.rewriting import columns_of
from .program import Program, Step, in_order_of_computing

BETWEEN = (linalg.matmul, shape.reshape, elementwise.add)


class ByColumns:
    """The products of a program that loops read column by column."""

    def __init__(self, program: Program) -> None:
        self._trace = program.trace
        roots = [*program.outputs, *program.gradients.values()]
        self._readers: dict[Value, list[Step | None]] = {v: [None] for v in roots}  # None: whoever gets the results
        for step in in_order_of_computing(roots, program.results):
            for v in program.reads(step):
                self._readers.setdefault(v, []).append(step)

    def narrower(self, value: Value, current: Callable[[Any], Any]) -> Value | None:
        """Columns of a product, computed without its others; None for any other Value.

        ``current`` returns the replacement of an operand.
        """
        columns = columns_of(value)
        if columns is None or not any(isinstance(reader, Loop) for reader in self._readers[value]):
            return None
        path = self._path(value.args[0])
        if not path:
            return None
        made = self._trace.made

        def cut(a: Any) -> Any:
            a = current(a)
            is_wide = isinstance(a, Value) and a.shape[-1:] == path[0].shape[-1:]
            return made(indexing.getitem, (a, (..., columns)), {}) if is_wide else a

        rows, weight = path[0].args
        found = made(linalg.matmul, (current(rows), cut(weight)), {})
        for before, v in itertools.pairwise(path):
            if v.op is shape.reshape:
                found = made(shape.reshape, (found, (*v.shape[:-1], found.shape[-1])), {})
            else:
                found = made(v.op, tuple(found if a is before else cut(a) for a in v.args), {})
        return found

    def _path(self, value: Value) -> list[Value]:
        """The Values from a product with a weight to this one, each read by the next alone, and this one by columns."""
        if not all(isinstance(reader, Value) and columns_of(reader) is not None for reader in self._readers[value]):
            return []
        path = [value]
        while path[0].op is not linalg.matmul:
            first = path[0]
            wide = [a for a in first.operands if a.op in BETWEEN and a.shape[-1:] == value.shape[-1:]]
            inner = next((a for a in wide if self._readers[a] == [first]), None)
            if inner is None or first.op not in BETWEEN or first.keywords:
                return []
            path.insert(0, inner)
        return path if path[0].args[1].ndim == 2 and path[0].ndim > 1 else []
