"""The same step, written so that more of it leaves the loop, and less is done inside.

Four rewritings, all exact except for rounding:

- ``[x, h] @ W`` becomes ``x @ W_x + h @ W_h``: the first product then leaves the loop;
- sums and products are put in another order, what depends on the recurrence last: in ``(h @ W + x @ U) + b`` the part
  ``x @ U + b`` can leave, in ``(g * o) * (1 - c * c)`` the factor ``o * (1 - c * c)``;
- products of the same rows with several weights become one product with the weights side by side;
- on request, a slice of a sum becomes a sum of slices: of ``(x @ U + h @ W)[:, :d]`` the part ``(x @ U)[:, :d]`` can
  leave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from ...autodiff.rules import elementwise, indexing, linalg, shape
from ..graph.shapes import acts_by_element
from ..graph.trace import Trace
from ..graph.values import Dependence, Value, in_order, substitute

Change = Callable[[Value, Callable[[Any], Any]], "Value | None"]
NOTHING: Mapping[Value, Value] = {}


def simplified_step(
    trace: Trace, roots: list[Value], states: Sequence[Value], inputs: Sequence[Value], slices_first: bool
) -> list[Value]:
    """The roots of one step after all rewritings.

    Args:
        trace: where to record.
        roots: the results of the step.
        states: the states before the step.
        inputs: the rows of sequences that it reads.
        slices_first: whether slices are taken of a sum's terms instead of the sum.
    """
    for rewriting in (split_products, join_products, regroup, *([take_slices_first] if slices_first else [])):
        with trace.recording():
            roots = rewriting(trace, roots, Dependence(states), Dependence([*states, *inputs]))
    return roots


def step_values(roots: list[Value], moves: Dependence) -> list[Value]:
    """The Values that a step computes for these roots, each after its operands."""
    return in_order(roots, stop=lambda v: v in moves.sources or not moves(v))


def rewritten(
    trace: Trace, roots: list[Value], moves: Dependence, change: Change, outside: Mapping[Value, Value] = NOTHING
) -> list[Value]:
    """The roots after some Values were replaced; whatever depends on these is built again.

    Args:
        trace: where to record.
        roots: the results of a step.
        moves: returns whether a Value changes from step to step.
        change: returns the replacement of a Value, or None.
        outside: the replacements of Values that don't change from step to step.
    """
    new = dict(outside)

    def current(a: Any) -> Any:
        return substitute(a, lambda v: new.get(v, v))

    for value in step_values(roots, moves):
        found = change(value, current)
        if found is None and any(new.get(v, v) is not v for v in value.operands):
            found = trace.made(value.op, current(value.args), current(value.keywords))
        new[value] = value if found is None else found
    return [new.get(v, v) for v in roots]


def _same_kind(values: Sequence[Value]) -> bool:
    return len({v.dtype for v in values}) == 1


# --- [x, h] @ W ------------------------------------------------------------------------------------------------------


def split_products(trace: Trace, roots: list[Value], recurs: Dependence, moves: Dependence) -> list[Value]:
    """A product of concatenated parts, as a sum of products, if one part needs the recurrence and another doesn't."""

    def change(value: Value, current: Callable[[Any], Any]) -> Value | None:
        if value.op is not linalg.matmul:
            return None
        rows, weight = map(current, value.args)
        if not (isinstance(rows, Value) and rows.op is shape.joined and isinstance(weight, Value)):
            return None
        if moves(weight) or weight.ndim != 2 or rows.keywords["axis"] not in (-1, rows.ndim - 1):
            return None
        if len({recurs(part) for part in rows.args}) == 1 or not _same_kind([*rows.args, weight]):
            return None
        starts = rows.keywords["starts"]
        parts = [
            trace.made(linalg.matmul, (part, trace.made(indexing.getitem, (weight, slice(start, stop)), {})), {})
            for part, start, stop in zip(rows.args, starts, starts[1:])
        ]
        return reduce(lambda a, b: trace.made(elementwise.add, (a, b), {}), parts)

    return rewritten(trace, roots, moves, change)


# --- h @ W_1, h @ W_2, ... -------------------------------------------------------------------------------------------


def join_products(trace: Trace, roots: list[Value], recurs: Dependence, moves: Dependence) -> list[Value]:
    """Products of the same rows with several weights, as one product."""
    groups: dict[Value, list[Value]] = {}
    for v in step_values(roots, moves):
        if v.op is linalg.matmul and moves(v.args[0]) and not moves(v.args[1]) and v.args[1].ndim == 2:
            groups.setdefault(v.args[0], []).append(v)
    places: dict[Value, tuple[list[Value], int]] = {}
    for products in groups.values():
        weights = list(dict.fromkeys(v.args[1] for v in products))
        if len(weights) > 1 and _same_kind([*weights, products[0].args[0]]):
            places |= {v: (weights, weights.index(v.args[1])) for v in products}

    def change(value: Value, current: Callable[[Any], Any]) -> Value | None:
        if value not in places:
            return None
        weights, place = places[value]
        starts = [0]
        for w in weights:
            starts.append(starts[-1] + w.shape[1])
        side_by_side = trace.made(shape.joined, tuple(weights), {"axis": -1, "starts": tuple(starts)})
        product = trace.made(linalg.matmul, (current(value.args[0]), side_by_side), {})
        index = (*(slice(None),) * (product.ndim - 1), slice(starts[place], starts[place + 1]))
        return trace.made(indexing.getitem, (product, index), {})

    return rewritten(trace, roots, moves, change)


# --- (a + b) + c -----------------------------------------------------------------------------------------------------


def regroup(trace: Trace, roots: list[Value], recurs: Dependence, moves: Dependence) -> list[Value]:
    """Sums and products of several terms, those that don't need the recurrence first."""
    uses = Counter(v for value in step_values(roots, moves) for v in value.operands)
    uses.update(roots)

    def chain_of(value: Value) -> list[Value] | None:
        """The terms of a sum or a product, from left to right; nested sums (or products) are flattened."""
        found: list[Value] = []
        stack: list[Any] = [value]
        while stack:
            v = stack.pop()
            if not isinstance(v, Value):
                return None
            if v.op is value.op and (v is value or (uses[v] == 1 and recurs(v))):
                stack += reversed(v.args)
            else:
                found.append(v)
        return found

    def combined(op: Any, terms: list[Value]) -> Value:
        return reduce(lambda a, b: trace.made(op, (a, b), {}), terms)

    def change(value: Value, current: Callable[[Any], Any]) -> Value | None:
        if value.op not in (elementwise.add, elementwise.multiply) or not recurs(value):
            return None
        chain = chain_of(value)
        if chain is None or not _same_kind([value, *chain]):
            return None
        late = [current(v) for v in chain if recurs(v)]
        early = [current(v) for v in sorted((v for v in chain if not recurs(v)), key=moves)]
        if len(early) < 2:
            return None
        found = combined(value.op, [combined(value.op, late), combined(value.op, early)])
        return found if found.shape == value.shape else None

    return rewritten(trace, roots, moves, change)


# --- (a + b)[:, :d] --------------------------------------------------------------------------------------------------


def take_slices_first(trace: Trace, roots: list[Value], recurs: Dependence, moves: Dependence) -> list[Value]:
    """A slice of the last axis of an elementwise result, as that operation on slices, if one of these can leave."""
    readers: dict[Value, list[Value]] = {}
    for value in step_values(roots, moves):
        for v in value.operands:
            readers.setdefault(v, []).append(value)

    def is_taken_apart(v: Any) -> bool:
        """Return True if an operation needs the recurrence, and nobody reads all of its result."""
        if not (isinstance(v, Value) and acts_by_element(v.op) and recurs(v)) or v.keywords or v in roots:
            return False
        return all(columns_of(reader) is not None or is_taken_apart(reader) for reader in readers.get(v, ()))

    def has_part_that_leaves(v: Any) -> bool:
        return any(moves(a) and (not recurs(a) or (is_taken_apart(a) and has_part_that_leaves(a))) for a in v.operands)

    def change(value: Value, current: Callable[[Any], Any]) -> Value | None:
        columns = columns_of(value)
        if columns is None or not is_taken_apart(value.args[0]) or not has_part_that_leaves(value.args[0]):
            return None

        def sliced(a: Any) -> Any:
            if not isinstance(a, Value) or a.ndim == 0 or a.shape[-1] == 1:
                return a
            if is_taken_apart(a):
                return trace.made(a.op, tuple(map(sliced, a.args)), {})
            return trace.made(indexing.getitem, (current(a), (..., columns)), {})

        return sliced(value.args[0])

    return rewritten(trace, roots, moves, change)


def columns_of(value: Value) -> slice | None:
    """The slice that a Value takes of the last axis of its operand, if it takes nothing else."""
    if value.op is not indexing.getitem or not isinstance(value.args[1], tuple) or not value.args[1]:
        return None
    *others, last = value.args[1]
    is_last = len(others) == value.args[0].ndim - 1 or others == [...]
    whole = all(index is ... or index == slice(None) for index in others)
    return last if is_last and whole and isinstance(last, slice) and value.ndim == value.args[0].ndim else None
