"""The same step, written so that more of it leaves the loop, and less is done inside.

Three rewritings, all exact except for rounding:

- ``[x, h] @ W`` becomes ``x @ W_x + h @ W_h``: the first product then leaves the loop;
- sums and products are put in another order, what depends on the recurrence last: in ``(h @ W + x @ U) + b`` the part
  ``x @ U + b`` can leave, in ``(g * o) * (1 - c * c)`` the factor ``o * (1 - c * c)``;
- products of the same rows with several weights become one product with the weights side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from ...autodiff.rules import elementwise, indexing, linalg, shape
from ..graph.trace import Trace
from ..graph.values import Dependence, Value, in_order, operands, substitute

Change = Callable[[Value, Callable[[Any], Any]], "Value | None"]
NOTHING: Mapping[Value, Value] = {}


def simplified_step(trace: Trace, roots: list[Value], states: Sequence[Value], inputs: Sequence[Value]) -> list[Value]:
    """The roots of one step after all rewritings.

    Args:
        trace: where to record.
        roots: the results of the step.
        states: the states before the step.
        inputs: the rows of sequences that it reads.
    """
    for rewriting in (split_products, join_products, regroup):
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
        if found is None and any(new.get(v, v) is not v for v in operands(value)):
            found = trace.made(value.op, current(value.args), current(value.keywords))
        new[value] = value if found is None else found
    return [new.get(v, v) for v in roots]


def with_others_outside(
    trace: Trace, roots: list[Value], moves: Dependence, outside: Mapping[Value, Value]
) -> list[Value]:
    """The roots of the same step after Values from outside of the loop were replaced."""
    return rewritten(trace, roots, moves, lambda value, current: None, outside)


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
    uses = Counter(v for value in step_values(roots, moves) for v in operands(value))
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
