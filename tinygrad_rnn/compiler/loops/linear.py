"""Linear recurrences: which states of a loop are ``h_t = a_t ∘ h_{t-1} + b_t``, whatever the cell looks like.

Such a state needn't be computed step by step: two of its steps together have the same form, with factor ``a_2 ∘ a_1``
and term ``a_2 ∘ b_1 + b_2``, and so have all steps of a chunk. Executors may then compute many chunks at once (a
*scan*). So each such state becomes a loop of its own, and whatever depends on it is computed for all steps at once,
like everything that needs no recurrence. A recurrence inside of a larger loop is found, too, if nothing that it needs
depends on it.

Source: Blelloch, "Prefix sums and their applications", 1990; for networks Martin and Cundy, "Parallelizing linear
recurrent neural nets over sequence length", 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.rules import elementwise
from ..graph.trace import Trace, stop_gradient, tracer
from ..graph.values import Dependence, Value, in_order
from .loop import Carried, Linear, Loop


class Group(NamedTuple):
    """States that one loop computes."""

    carried: list[Carried]  # these states, which are components of the state of a larger loop
    step: Linear | None  # the factor and the term of one step if they are a linear recurrence; None for any other group


def groups(trace: Trace, loop: Loop) -> list[Group]:
    """The states of a loop in the order in which loops of their own can compute them: linear ones one by one.

    The last group isn't linear, and may have no state: everything that can't be computed for all steps at once remains
    in its loop. Factors and terms are recorded in the trace.
    """
    needs = _needs(loop)
    linear = {c.before: step for c in loop.carried if (step := linear_step(trace, c, needs)) is not None}
    found: list[Group] = []
    waiting = list(loop.carried)
    while waiting:
        missing = {c.before for c in waiting}
        ready = [c for c in waiting if c.before in linear and needs[c.before] & missing <= {c.before}]
        if ready:
            found += [Group([c], linear[c.before]) for c in ready]
            chosen = ready
        else:  # a linear state that needs others comes after those
            later = {before for before in missing if before in linear}
            chosen = [c for c in waiting if c.before not in later and needs[c.before].isdisjoint(later)]
            found.append(Group(chosen, None))
        waiting = [c for c in waiting if c not in chosen]
    return found if found and found[-1].step is None else [*found, Group([], None)]


def _needs(loop: Loop) -> dict[Value, set[Value]]:
    """The states that each state depends on, perhaps only after several steps."""
    stop = loop.befores | loop.slices.keys()
    needs = {
        c.before: set(in_order([c.after], parents=lambda v: [] if v in stop else v.operands)) & loop.befores
        for c in loop.carried
    }
    for middle in loop.befores:
        for before, needed in needs.items():
            if middle in needed:
                needs[before] = needed | needs[middle]
    return needs


# --- one step --------------------------------------------------------------------------------------------------------

Part = Any  # a Tracer, or a number; with 0 and 1 nothing is computed


class _Affine(NamedTuple):
    """A Value of the step as ``factor * state + term``."""

    factor: Part
    term: Part


def linear_step(trace: Trace, carried: Carried, needs: dict[Value, set[Value]]) -> Linear | None:
    """The factor and the term of a state that is linear in its value before the step; None if that can't be shown."""
    before, after = carried.before, carried.after
    if before.dtype.kind != "f" or any(before in needs[other] for other in needs[before] - {before}):
        return None
    depends = Dependence([before])
    known: dict[Value, _Affine] = {before: _Affine(1, 0)}
    with trace.recording():
        for v in in_order([after], stop=lambda v: v in known or not depends(v)):
            rule = RULES.get(v.op)
            if rule is None or (v.shape, v.dtype) != (before.shape, before.dtype) or v.keywords:
                return None
            found = rule(*(known.get(a) or _Affine(0, _number(a, v, before.dtype)) for a in v.args))
            if found is None:
                return None
            known[v] = found
        factor, term = known[after] if after in known else _Affine(0, tracer(after))
        return Linear(_like(trace, factor, before), _like(trace, term, before))


def _number(a: Any, user: Value, dtype: np.dtype) -> Part:
    """An operand that doesn't depend on the state, as a Tracer or a number; booleans count as 0 and 1."""
    part = tracer(a) if isinstance(a, Value) else a
    is_condition = user.op is elementwise.where and a is user.args[0]
    if not isinstance(a, (Value, np.generic)) or a.dtype == dtype or is_condition:
        return part
    return part.astype(dtype)  # also a number of NumPy's: Python's beside it would take its fewer digits


def _like(trace: Trace, part: Part, state: Value) -> Value:
    """A factor or term in the form of the state."""
    made = trace.lowered(np.asarray(part, state.dtype) if np.isscalar(part) else part)
    if made.dtype != state.dtype:
        made = trace.lowered(tracer(made).astype(state.dtype))
    return trace.lowered(np.broadcast_to(tracer(made), state.shape))


def _is(part: Part, number: int) -> bool:
    return type(part) is int and part == number


def _plus(a: Part, b: Part) -> Part:
    return b if _is(a, 0) else a if _is(b, 0) else a + b


def _times(a: Part, b: Part) -> Part:
    if _is(a, 0) or _is(b, 0):
        return 0
    return b if _is(a, 1) else a if _is(b, 1) else a * b


def _add(x: _Affine, y: _Affine) -> _Affine:
    return _Affine(_plus(x.factor, y.factor), _plus(x.term, y.term))


def _negative(x: _Affine) -> _Affine:
    return _Affine(*(part if _is(part, 0) else -part for part in x))


def _multiply(x: _Affine, y: _Affine) -> _Affine | None:
    if not _is(x.factor, 0):
        x, y = y, x
    if not _is(x.factor, 0):
        return None
    return _Affine(_times(x.term, y.factor), _times(x.term, y.term))


def _divide(x: _Affine, y: _Affine) -> _Affine | None:
    if not _is(y.factor, 0):
        return None
    return _Affine(*(part if _is(part, 0) else part / y.term for part in x))


def _where(condition: _Affine, x: _Affine, y: _Affine) -> _Affine | None:
    if not _is(condition.factor, 0):
        return None
    pairs = zip(x, y)
    return _Affine(*(a if _is(a, 0) and _is(b, 0) else np.where(condition.term, a, b) for a, b in pairs))


RULES: dict[Any, Callable[..., _Affine | None]] = {
    elementwise.add: _add,
    elementwise.subtract: lambda x, y: _add(x, _negative(y)),
    elementwise.negative: _negative,
    elementwise.multiply: _multiply,
    elementwise.divide: _divide,
    elementwise.where: _where,
    stop_gradient: lambda x: x,
}
