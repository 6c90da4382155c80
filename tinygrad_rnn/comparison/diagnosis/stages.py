"""The order in which edits of the lines are tried: usual slips first, then rarer ones, and several at once.

Each stage gives the explanations that it finds, which are told apart before the next one begins.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ...derivation.edits.alike import alike
from ...derivation.edits.everywhere import one_instance, recomputed
from ...derivation.edits.loops import of_loops
from ...derivation.edits.of_factors import factors_of, groups_left_out, groups_of
from ...derivation.equations.lines import Line
from .at_fault import MOST_LINES
from .search import Explanation, Search
from .together import Together

Stages = Iterator[list[Explanation]]


def usual_stages(search: Search) -> Stages:
    """The edits that are tried even if the arrays themselves show a mistake."""
    last, first = one_instance(search.derivation, search.wrong)
    # The last instance, left over from a loop, comes before a term: where the others end early, both are the same.
    yield search.fitting(itertools.chain(last, search.singles(0), first), "usual edits")


def further_stages(search: Search) -> Stages:
    """Single edits of other kinds, or the same one in several lines: first of lines that lead to no right gradient.

    If a single gradient is wrong, its own line comes first, with what that reads.
    """
    wrong, fitting = search.wrong.keys(), search.fitting
    own, every = search.lines_of(wrong), search.lines_that_reach(wrong, all_of_them=False)
    first = _behind(search)
    later = [line for line in search.lines_that_reach(wrong) if line not in first]
    yield fitting(search.singles(1, first), "other edits")
    gradients = [line for line in first if line.kind == "gradient"]
    yield fitting(search.uses(gradients, (factors_of, groups_left_out)), "factors left out of what a line reads")
    yield fitting(search.uses(gradients), "edits of what it reads")
    yield fitting(search.singles(1, later), "other edits")
    yield fitting(search.bounded(), "bounds of derivatives")
    yield fitting(search.located(1), "an edit in each of several lines")
    yield fitting(search.where_it_matters(of_loops), "edits of whole loops")
    yield fitting(search.located(2), "an edit in each of several lines")
    if not first:  # a line of each gate, say, or of each layer
        yield fitting(search.repeated(own, (0, 1)), "the same edit in several lines")
    is_all = len(own) == len(every)
    for rank in (0, 1) if first or not is_all else ():
        yield fitting(search.repeated(every, (rank,)), "the same edit in several lines")
    for size in range(3, MOST_LINES + 1):
        yield fitting(search.located(size), "an edit in each of several lines")
    for lines in (own,) if is_all else (own, every):  # where a state is 0, gradients stay right
        usual = alike(lines, lambda line: search.edits(line, 0), search.can_explain)
        yield fitting(usual, "the same usual edit in several lines")
    yield fitting(search.in_several_lines(all_of_them=True), "the same edit in several lines")


def _behind(search: Search) -> list[Line]:
    """The lines on which all wrong gradients depend, and no right one."""
    own = set(search.lines_of(search.wrong.keys()))
    return [line for line in search.lines_that_reach(search.wrong.keys()) if line in own]


def single_rare_stages(search: Search) -> Stages:
    """Rare edits, and edits of what a line reads."""
    lines, fitting = search.lines_that_reach(search.wrong.keys()), search.fitting
    left_out = search.uses(lines, (factors_of, groups_left_out))
    yield fitting(left_out, "factors left out of what a line reads")
    yield fitting(search.singles(2), "rare edits")
    yield fitting(search.uses(lines), "edits of what a line reads")


def rare_stages(search: Search, together: Together) -> Stages:
    """Rare edits, edits of what a line reads, and several edits together."""
    wrong, fitting = search.wrong.keys(), search.fitting
    lines = search.lines_that_reach(wrong)
    yield from single_rare_stages(search)
    yield fitting(search.uses(lines, (groups_of,)), "other slopes of what a line reads")
    if search.at_fault.located:
        for size in (1, 2):
            yield fitting(search.located(size, are_rare=True), "rare edits in each of several lines")
    yield fitting(search.at_ends(), "edits at the first or last step alone")
    yield fitting(recomputed(search.derivation, search.common), "values computed anew")
    yield fitting(search.forward(), "edits of the forward pass")
    for size in (1, 2) if not search.at_fault.located else ():
        yield fitting(search.located(size, are_rare=True), "rare edits in each of several lines")
    yield fitting(search.chained(), "edits of two lines, of which one reads the other")
    if search.at_fault.located:  # what these lines have to give was looked for
        return
    if not search.at_fault.are_many:
        yield from together.visible()
    several = alike(search.lines_of(wrong), search.edits_of_uses, search.can_explain)
    yield fitting(several, "the same edit of what several lines read")
    if search.at_fault.are_many:
        return
    yield from together.two(0)
    yield from together.two(1)
    yield from together.three()
    yield from together.two(2)
    yield from together.three()
    yield from together.hidden()
