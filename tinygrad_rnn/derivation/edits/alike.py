"""The same edit in several places: in all lines, in all parts of one form, or about one value wherever it is."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..equations.expressions import Apply, Expression, Parameter, Reference, Step
from ..equations.lines import Line
from ..equations.parts import at, parts, places, put
from .edits import Edit
from .of_uses import definition

MOST_ALIKE, MOST_OF_THE_SAME = 6, 24


def alike(lines: Iterable[Line], edits: Callable[[Line], list[Edit]]) -> Iterator[tuple[Edit, ...]]:
    """The same edit in all lines, of all parts, or about all expressions of one form, or about one wherever it is."""
    groups: dict[Any, list[Edit]] = {}
    for line in lines:
        if line.kind != "forward":
            whole, counts = form(line.expression), Counter[Any]()
            for edit in edits(line):
                counts[edit.place, edit.what] += 1
                part, number = form(at(edit.before, edit.place)), counts[edit.place, edit.what]
                around = form(at(edit.before, edit.place[:-1])), edit.place[-1:], number
                alike_are = (whole, edit.place, number), (part, number), (line, part, number), around, (line, around)
                about: list[Any] = [tuple(map(how, edit.of)) for how in FORMS]
                about += [*relations(edit), edit.of or line, frozenset(edit.of), (about[0], edit.place, number)]
                about += [(line, edit.of[0], part)] if len(edit.of) == 2 else []  # the same value in place of several
                for key in (*((line.kind, key) for key in alike_are), *about):
                    groups.setdefault((key, edit.what), []).append(edit)
    seen = set()
    for (key, _), group in groups.items():
        together = list({(edit.line, edit.key): edit for edit in group}.values())
        made = frozenset(together)
        is_of_the_same = key == together[0].of
        if 1 < len(together) <= (MOST_OF_THE_SAME if is_of_the_same else MOST_ALIKE) and made not in seen:
            seen.add(made)
            by_line = {edit.line: [other for other in together if other.line is edit.line] for edit in together}
            if all(map(_are_apart, by_line.values())):
                yield tuple(map(_made_together, by_line.values()))


def relations(edit: Edit) -> Iterator[Any]:
    """Keys for the relation between a value and what stands in its place: one is made of the other, for example."""
    if len(edit.of) == 2:
        both = ([p for p in parts(e) if isinstance(p, Reference)][:1] for e in edit.of)
        for new, old in itertools.product(*both):
            way = _way(new, old, edit.line)
            if way is not None:
                alike_are = edit.line.kind, *map(form, edit.of), new.shift, old.shift, *way
                yield from (alike_are, (alike_are, edit.place))


def _way(new: Reference, old: Reference, line: Line) -> Any:
    """The way from one of two values to the other: they are of one quantity, or one is made of the other."""
    if new.quantity is old.quantity:
        return ("itself",)
    meanings = (new, definition(old.quantity)), (old, definition(new.quantity)), (new, line.expression)
    for how, (wanted, meaning) in enumerate(meanings):
        for place, part in places(meaning) if meaning is not None else ():
            if isinstance(part, Reference) and part.quantity is wanted.quantity:
                return how, place
    return None


def _are_apart(edits: list[Edit]) -> bool:
    """Return True if no edit of a line changes what another one changes."""
    return not any(b[: len(a)] == a for a, b in itertools.permutations(map(_changed_place, edits), 2))


def _made_together(edits: list[Edit]) -> Edit:
    """An edit of a line that makes several of other places in it."""
    whole = edits[0].line.expression
    for edit in edits:
        place = _changed_place(edit)
        whole = put(whole, place, at(edit.expression, place))
    alike = "" if len({(edit.what, edit.of) for edit in edits}) == 1 else ", and likewise elsewhere in the line"
    return replace(edits[0], expression=whole, what=edits[0].what + alike)


def _changed_place(edit: Edit) -> tuple[int, ...]:
    """The place of the smallest part of a line that holds all that an edit changes."""
    place: tuple[int, ...] = ()
    before, after = edit.line.expression, edit.expression
    while [o.shape for o in before.operands] == [o.shape for o in after.operands]:
        differ = [i for i, (a, b) in enumerate(zip(before.operands, after.operands)) if a != b]
        if len(differ) != 1 or before.with_operands(after.operands) != after:
            break
        place = (*place, differ[0])
        before, after = before.operands[differ[0]], after.operands[differ[0]]
    return place


def form(expression: Expression) -> Any:
    """The form of an expression: equal for expressions that differ in names and sizes, or read rows of other arrays."""
    name = expression.operation if isinstance(expression, Apply) else type(expression).__name__
    is_row = isinstance(expression, Apply) and isinstance(expression.settings.get("index"), Step)
    return name, expression.ndim, () if is_row else tuple(map(form, expression.operands))


def form_and_parameters(expression: Expression) -> Any:
    """The form of an expression, and the parameters in it: equal for ``W[0] x`` and ``W[1] y``."""
    return form(expression), tuple(part.name for part in parts(expression) if isinstance(part, Parameter))


def form_and_layers(expression: Expression) -> Any:
    """The form of an expression, and the parameters in it without numbers: equal for ``Δ W1ᵀ`` and ``Δ W2ᵀ``."""
    whole, names = form_and_parameters(expression)
    return whole, tuple(re.sub(r"\d+", "", name) for name in names)


def form_and_steps(expression: Expression) -> Any:
    """The form of an expression, and how far away it reads: equal for what two layers hand to the step before."""
    return form(expression), tuple(part.shift for part in parts(expression) if isinstance(part, Reference))


FORMS = (form, form_and_parameters, form_and_layers, form_and_steps)
