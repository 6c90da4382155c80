"""Calls of one function whose arguments differ in their lengths alone, and the one plan that may serve them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..autodiff.errors import NotOnTensors
from . import thresholds
from .plans import Chosen, Plan
from .sized_plan import Request, SizedPlan
from .sizes.reading import DependsOnSize

Make = Callable[[Request, Sequence["tuple[int, ...]"], "set[int]"], SizedPlan]


class Family:
    """Arguments of one form, apart from their lengths.

    The first arguments get a plan of their own, since most functions are called with one size only. When other lengths
    come, one plan is made for all. Lengths that haven't differed so far are fixed in it, until they do.

    Attributes:
        sized: the plan for all lengths, if there is one.
        why_none: the reason why there is no plan for all; "" if there is one, or if none was tried yet.
    """

    def __init__(self) -> None:
        self.why_none = ""
        self._forms: list[tuple[int, ...]] = []
        self._taken: set[int] = set()
        self.sized: SizedPlan | None = None
        self._made = 0
        self._alone: set[tuple[int, ...]] = set()

    def has_own(self, lengths: tuple[int, ...], plan: Plan) -> None:
        """Take note of a plan for arguments of certain lengths alone."""
        if self._forms:
            plan.why_fixed = self.why_none
        else:
            self._forms.append(lengths)
        self._taken |= {n for v in plan.program.inputs for n in v.shape}

    def plan(self, request: Request, make: Make) -> Chosen | None:
        """The plan for all, at the lengths of a request; None if these lengths need a plan of their own."""
        lengths = request.lengths
        if not self._forms or lengths in self._alone:
            return None
        try:
            plan = self._fitting(request, make)
            if plan is not None and plan.serves(lengths):
                return plan.at(lengths)
            why = "it does something else with arguments of other lengths"
        except (DependsOnSize, NotOnTensors) as error:
            why = str(error)
        except Exception as error:  # the function fails with lengths that we chose, not the caller
            why = f"with arguments of other lengths, {type(error).__name__}: {error}"
        if not self.why_none:
            self.why_none = why
        self._alone.add(lengths)
        return None

    def close(self, why: str) -> None:
        """Give up on a plan for all lengths."""
        self.why_none, self.sized, self._made = why, None, thresholds.MOST_SIZED_PLANS

    def _fitting(self, request: Request, make: Make) -> SizedPlan | None:
        """The plan for all lengths; a new one if the old one doesn't fit these arguments, or is out of date."""
        plan = self.sized
        if plan is None or not plan.fits(request.lengths):
            if self._made >= thresholds.MOST_SIZED_PLANS or request.lengths in self._forms:
                return None
            self._made += 1
            self._forms.append(request.lengths)
        elif not plan.guards.changed():
            return plan
        self.sized = None
        self.sized = make(request, self._forms, self._taken)
        return self.sized
