"""The same edit in several places: in all lines, in all parts of one form, or about one value wherever it is."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from ...autodiff.rules import indexing, shape
from ..equations.expressions import Apply, Data, Expression, Parameter, Reference, Step
from ..equations.lines import Line
from ..equations.parts import applies, at, is_derivative, parts, places, put
from ..equations.quantities import Quantity
from .edits import Edit
from .of_uses import definition

MOST_ALIKE, MOST_OF_THE_SAME = 6, 24


def alike(
    lines: Iterable[Line],
    edits: Callable[[Line], list[Edit]],
    matters: Callable[[Collection[Line]], bool] = lambda lines: True,
) -> Iterator[tuple[Edit, ...]]:
    """The same edit in all lines, of all parts, or about all expressions of one form, or about one wherever it is.

    Args:
        lines: the lines.
        edits: the edits of a line.
        matters: returns whether edits of these lines together could explain anything.
    """
    groups: dict[Any, list[Edit]] = {}
    origins_of = cache(origins)
    for line in lines:
        if line.kind != "forward":
            whole, counts, of_line = form(line.expression), Counter[Any](), edits(line)
            all_taken = taken(line.expression)
            totals = Counter((edit.place, edit.what) for edit in of_line)
            for edit in of_line:
                counts[edit.place, edit.what] += 1
                part, number = form(at(edit.before, edit.place)), counts[edit.place, edit.what]
                outer = at(edit.before, edit.place[:-1])
                around = form(outer), edit.place[-1:], number
                of_lines = whole, edit.place, number
                alike_are: list[Any] = [of_lines, (part, number), (line, part, number), around, (line, around)]
                alike_are += [(edit.place, form_of_values(at(edit.before, edit.place)), number)]
                alike_are += [(all_taken, of_lines), (taken(outer), around)]
                alike_are += [(edit.place, number), (edit.place, number - totals[edit.place, edit.what] - 1)]
                about: list[Any] = [tuple(map(how, edit.of)) for how in FORMS]
                about += [*relations(edit), edit.of or line, frozenset(edit.of), (about[0], edit.place, number)]
                about += [(part[0], about[0], *map(origins_of, edit.of)), (about[0], layers(edit))]
                arrays = tuple(map(array_of, edit.of)) if edit.written_out is None else ()
                about += [arrays] if arrays and None not in arrays else []
                about += [*steps_apart(edit, outer), *made_beside(edit)]
                about += [(line, edit.of[0], part)] if len(edit.of) == 2 else []  # the same value in place of several
                for key in (*((line.kind, key) for key in alike_are), *about):
                    groups.setdefault((key, edit.what), []).append(edit)
    seen = set()
    for (key, _), group in groups.items():
        together = list({(edit.line, edit.key): edit for edit in group}.values())
        made = frozenset(together)
        is_of_the_same = key == together[0].of
        is_once_a_line = len({edit.line for edit in together}) == len(together)  # in four gates of three layers, say
        most = MOST_OF_THE_SAME if is_of_the_same or is_once_a_line else MOST_ALIKE
        if 1 < len(together) <= most and made not in seen:
            seen.add(made)
            by_line = {edit.line: [other for other in together if other.line is edit.line] for edit in together}
            if matters(by_line) and all(map(_are_apart, by_line.values())):
                yield tuple(map(_made_together, by_line.values()))


def relations(edit: Edit) -> Iterator[Any]:
    """Keys for the relation between a value and what stands in its place: one is made of the other, for example."""
    if len(edit.of) == 2:
        both = (list(parts(e, Reference))[:1] for e in edit.of)
        for new, old in itertools.product(*both):
            way = _way(new, old, edit.line)
            if way is not None:
                alike_are = edit.line.kind, *map(form, edit.of), new.shift, old.shift, *way
                yield from (alike_are, (alike_are, edit.place))


def layers(edit: Edit) -> tuple[str, ...]:
    """The names of the parameters that an edit mentions, the layers numbered anew: W1 and V1 are like W2 and V2."""
    numbers: dict[str, str] = {}
    names = (part.name for expression in edit.of for part in parts(expression, Parameter))
    return tuple(re.sub(r"\d+", lambda found: numbers.setdefault(found[0], f"#{len(numbers)}"), name) for name in names)


def origins(expression: Expression) -> Any:
    """The parameters from which the values in an expression are made, but for the number of the layer; and their steps.

    A gate of one layer is like that of another: both are made of a ``W_f`` and a ``b_f``.
    """
    found = []
    for part in parts(expression):
        if isinstance(part, Reference):
            source = part.quantity.adjoint_of
            found.append((part.shift, source is None, _made_of(part.quantity if source is None else source)))
    return tuple(found)


def _made_of(source: Any, depth: int = 2) -> frozenset[str]:
    if not isinstance(source, Quantity):
        return frozenset()
    found: set[str] = set()
    meaning = definition(source)
    for part in parts(meaning) if meaning is not None else ():
        if isinstance(part, Parameter):
            found.add(re.sub(r"\d+", "", part.name))
        elif isinstance(part, Reference) and not part.shift and depth > 1:
            found |= _made_of(part.quantity, depth - 1)
    return frozenset(found)


def steps_apart(edit: Edit, around: Expression) -> Iterator[Any]:
    """A key for how far a value is from the derivative beside it: a first step has a term of its own, with fixed steps.

    Args:
        edit: the edit.
        around: what is around its place.
    """
    beside = {p for p in parts(around) if type(p) is Reference and p.quantity.adjoint_of is not None}
    if len(edit.of) == 2 and len(beside) == 1 and type(edit.of[0]) is Reference:
        new, derivative = edit.of[0], *beside
        steps = _steps_between(new, derivative)
        if steps is not None:
            yield edit.line, new.quantity, steps


def _steps_between(new: Reference, derivative: Reference) -> int | None:
    """The number of steps from a derivative to a value, where both are of one loop or at fixed steps."""
    there, here = (p.shift if p.at is None else p.at for p in (new, derivative))
    return None if there is None or here is None else there - here


def made_beside(edit: Edit) -> Iterator[Any]:
    """Keys for a state beside the derivative by its own pre-activation: of each layer its state, for its input, say."""
    new = edit.of[0] if len(edit.of) == 2 else None
    new = new.operands[0] if applies(new, shape.transpose) else new
    around = (at(edit.before, edit.place[:depth]) for depth in reversed(range(len(edit.place))))
    beside = next(filter(None, ({p for p in parts(outer, Reference) if is_derivative(p)} for outer in around)), ())
    if type(new) is Reference and len(beside) == 1:
        (derivative,) = beside
        meaning = definition(new.quantity)
        for place, part in places(meaning) if meaning is not None else ():
            if isinstance(part, Reference) and part.quantity is derivative.quantity.adjoint_of:
                steps = _steps_between(new, derivative)
                yield from ((edit.line, steps, place), (steps, place))


def _way(new: Reference, old: Reference, line: Line) -> Any:
    """The way from one of two values to the other: they are of one quantity, or one is made of the other."""
    if new.quantity is old.quantity:
        return ("itself",)
    meanings = (new, _of_its_argument(old)), (old, _of_its_argument(new)), (new, line.expression)
    for how, (wanted, meaning) in enumerate(meanings):
        for place, part in places(meaning) if meaning is not None else ():
            if isinstance(part, Reference) and part.quantity is wanted.quantity:
                return how, place
    return None


def _of_its_argument(reference: Reference) -> Expression | None:
    """The definition of a quantity; if that is a function of a pre-activation alone, the definition of this."""
    found = definition(reference.quantity)
    read = list(parts(found, Reference)) if found is not None else []
    return definition(read[0].quantity) or found if len(read) == 1 and read[0].shift == 0 else found


def _are_apart(edits: list[Edit]) -> bool:
    """Return True if no edit of a line changes what another one changes."""
    return not any(b[: len(a)] == a for a, b in itertools.permutations((edit.changed_place for edit in edits), 2))


def _made_together(edits: list[Edit]) -> Edit:
    """An edit of a line that makes several of other places in it."""
    whole = edits[0].line.expression
    for edit in edits:
        place = edit.changed_place
        whole = put(whole, place, at(edit.expression, place))
    alike = "" if len({(edit.what, edit.of) for edit in edits}) == 1 else ", and likewise elsewhere in the line"
    return replace(edits[0], expression=whole, what=edits[0].what + alike)


def form(expression: Expression) -> Any:
    """The form of an expression: equal for expressions that differ in names and sizes, or read rows of other arrays."""
    if "_form" not in expression.__dict__:  # of parts that many edits share
        expression.__dict__["_form"] = _form(expression)
    return expression.__dict__["_form"]


def _form(expression: Expression) -> Any:
    name = expression.operation if isinstance(expression, Apply) else type(expression).__name__
    is_row = isinstance(expression, Apply) and isinstance(expression.settings.get("index"), Step)
    return name, expression.ndim, () if is_row else tuple(map(form, expression.operands))


def form_of_values(expression: Expression) -> Any:
    """The form of an expression and its steps; a row of an array counts as a value: an input is like a state."""
    if isinstance(expression, Reference):
        return Reference.__name__, expression.ndim, expression.shift
    index = expression.settings.get("index") if isinstance(expression, Apply) else None
    for place in index if type(index) is tuple else (index,):
        if isinstance(place, Step):
            return Reference.__name__, expression.ndim, place.offset + 1
    name = expression.operation if isinstance(expression, Apply) else type(expression).__name__
    return name, expression.ndim, tuple(map(form_of_values, expression.operands))


def array_of(expression: Expression) -> Any:
    """The array of the data that a value is a part of: a mask's row of each layer; None if it isn't one."""
    meaning = definition(expression.quantity) if isinstance(expression, Reference) else expression
    of = meaning.operands[0] if meaning is not None and applies(meaning, indexing.getitem) else None
    return of if isinstance(of, Data) else None


def taken(expression: Expression) -> tuple[str, ...]:
    """The places that are taken from arrays: the row of the step or of that counted from the end, one half of two."""
    return tuple(repr(p.settings["index"]) for p in parts(expression, Apply) if "index" in p.settings)


def form_and_parameters(expression: Expression) -> Any:
    """The form of an expression, and the parameters in it: equal for ``W[0] x`` and ``W[1] y``."""
    return form(expression), tuple(part.name for part in parts(expression, Parameter))


def form_and_steps(expression: Expression) -> Any:
    """The form of an expression, and how far away it reads: equal for what two layers hand to the step before."""
    return form(expression), tuple(part.shift for part in parts(expression, Reference))


FORMS = (form, form_and_parameters, form_and_steps, form_of_values)
