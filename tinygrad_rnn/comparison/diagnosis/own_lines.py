"""The user's own lines in words: where a function leaves the derivation, and what belongs there."""

from __future__ import annotations

import linecache
from collections.abc import Collection, Sequence
from functools import cached_property
from types import CodeType

from ...derivation.edits.budget import Budget
from ...derivation.edits.editing import Bench
from ...derivation.edits.edits import Edit
from ...derivation.equations.lines import Line
from ..own_code.numbers import count
from ..own_code.parting import Exchange, OwnCode
from ..own_code.watching import Place
from ..report import Diagnosis
from ..rows import Sides
from .whereabouts import first_row
from .wording import Words

MISTAKE = "a line of your function"
SECONDS, SECONDS_TO_POINT = 1.0, 0.4  # for a proof; where the mistake has a name, for that of its line
SUSPECT = "value that the derivation doesn't have, and that leads to none that it has"
NOTHING_WRONG = (
    "All that your function assigns is in the derivation, or leads to what is: a right value stands in a wrong place, "
    "a line is missing, or what is returned is wrong."
)
# Numbers in the derivation's lines and their parts, for a proof and where the mistake has a name: these take a second
# to be made, and a tenth of one.
MOST_NUMBERS, MOST_NUMBERS_TO_POINT = 3 * 10**6, 3 * 10**5
LONGEST = 100  # characters of a line of code that is repeated


class OwnLines:
    """The lines of a user's function that a diagnosis mentions.

    Args:
        sides: the two sides.
        bench: the right run of the derivation.
        budget: the time that is left; the proof uses a part of it.
    """

    def __init__(self, sides: Sides, bench: Bench, budget: Budget) -> None:
        self.sides, self.bench, self.budget = sides, bench, budget

    @cached_property
    def code(self) -> OwnCode | None:
        """The function beside the derivation; None if there is none, or it assigns nothing that can be followed."""
        can_be_made = self.sides.can_be_asked and self._count <= MOST_NUMBERS
        found = OwnCode(self.sides, self.bench) if can_be_made else None
        return found if found is not None and found.assigned else None

    @cached_property
    def _count(self) -> int:
        return sum(map(count, self.bench.lines))

    def proved(self, lines: Collection[Line] | None = None) -> Exchange | None:
        """The proof that a line of the function is at fault, if there is one.

        Args:
            lines: the lines of the derivation of which one belongs there, if they are known.
        """
        budget = self.budget.at_most(SECONDS if lines is None else SECONDS_TO_POINT)
        return None if self.code is None else self.code.proved(budget, lines)

    def diagnosis(self, names: Sequence[str], proved: Exchange) -> Diagnosis:
        """The diagnosis that says which line of the function is at fault, and what belongs there."""
        words, (line, expression, _) = Words(self.bench.lines), proved.belongs
        part = "" if proved.belongs.is_whole else f"`{words.writer.write(expression)}` of "
        said = f"{', '.join(names)}: in {_where(proved.place)}, the values of {part}`{words.writer.line(line)}` belong"
        meanings = words.meanings([Edit(line, line.expression, "")])
        said += f"; with them, all gradients are right. {self._numbers(proved)}"
        said += f" Here {', '.join(meanings)}." if meanings else ""
        return Diagnosis(MISTAKE, tuple(names), said)

    def _numbers(self, proved: Exchange) -> str:
        """The first numbers that differ, and those that belong there; of an array with more axes, the first row."""
        assert self.code is not None
        one = self.code.assigned[proved.first]
        given, right = (one.added if proved.adds else one.value), proved.new[proved.first]
        assert given is not None
        adds = "it adds" if proved.adds else f"`{one.name}` is"
        return f"First {adds} {first_row(given)}, where {first_row(right)} belongs."

    def pointer(self, lines: Collection[Line]) -> list[str]:
        """A remark in which line of the function these lines of the derivation are wrong, if that can be proved."""
        found = self.proved(lines) if self._count <= MOST_NUMBERS_TO_POINT else None
        return [] if found is None else [f"In your function, {_where(found.place)}, has to give other numbers."]

    def suspect(self) -> list[str]:
        """A remark about the first value that the derivation doesn't have."""
        if self.code is None or not self.code.is_exact:
            return []
        if not self.code.suspects:
            return [NOTHING_WRONG]
        one = self.code.assigned[self.code.suspects[0]]
        return [f"Your function leaves the derivation in {_where(one.place)}: `{one.name}` is the first {SUSPECT}."]


def _where(place: Place) -> str:
    """A line of a function in words, with its text where that is at hand."""
    code = place.code
    said, text = f"line {place.line} of {code.co_name}", linecache.getline(code.co_filename, place.line).strip()
    is_told = 0 < len(text) <= LONGEST and _is_current(code)
    return f"{said}, `{text}`" if is_told else f"{said}, where `{place.target}` is assigned"


def _is_current(code: CodeType) -> bool:
    """Return True if the text of its file still is what a function was compiled from."""
    try:
        waiting = [compile("".join(linecache.getlines(code.co_filename)), code.co_filename, "exec", dont_inherit=True)]
    except SyntaxError:  # a notebook's cell with commands of the notebook
        return True
    while waiting:
        one = waiting.pop()
        if one == code:
            return True
        waiting += [constant for constant in one.co_consts if isinstance(constant, CodeType)]
    return False
