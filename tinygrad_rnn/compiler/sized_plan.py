"""A plan for arguments of all sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..autodiff.trees import leaves
from .executable import Executable
from .generate import generate, scheduled
from .guards.guards import Guards
from .guards.random_numbers import without_draws
from .guards.side_effects import nothing_changed
from .loops.fission import Cheap
from .plans import Chosen, Plan, stand_ins
from .program.program import Program
from .program.tracing import traced_once
from .sized_executable import SizedExecutable
from .sizes.axes import Axes
from .sizes.pattern import Pattern, check_operations, numbers_that_stay
from .sizes.reading import DependsOnSize

ATTEMPTS = 5  # each at lengths twice as large: from a few thousand steps times rows on, machine code is the same


class Request(NamedTuple):
    """A request for a program to run.

    Attributes:
        form: the form of the arguments, apart from their lengths.
        lengths: the number of steps, if that is given, and the lengths of all axes of the arguments.
        function: returns the function to trace, for a number of steps (0 if that isn't given).
        args: its arguments.
        things: the arguments that may hold anything, such as models.
        over_time: whether the function is a cell that runs over a sequence, its first argument; then the first of the
            lengths is the number of steps.
    """

    form: Any
    lengths: tuple[int, ...]
    function: Callable[[int], Callable[..., Any]]
    args: tuple[Any, ...]
    things: Sequence[Any]
    over_time: bool

    def program(self, lengths: tuple[int, ...], executor: str) -> Program:
        """The program for arguments of these lengths, for an executor."""
        return traced_once(self.function(lengths[0] if self.over_time else 0), self.arguments(lengths), executor)

    def unseen(self) -> set[int]:
        """The positions of lengths that a cell doesn't see: the number of steps, and the first axes of sequences."""
        ndims = [a.ndim for a in leaves(self.args[0])] if self.over_time else []
        return {1 + sum(ndims[:i]) for i in range(len(ndims))} | ({0} if self.over_time else set())

    def arguments(self, lengths: tuple[int, ...]) -> tuple[Any, ...]:
        """Arguments of these lengths, without elements."""
        return stand_ins(self.args, lengths[1:] if self.over_time else lengths)


class SizedPlan(Plan):
    """A function, traced for arguments of three sizes, and from then on run on those of all sizes.

    Whether it does the same at another size isn't taken for granted: it is traced there, which takes a millisecond, the
    first time, and has to be as predicted. Only how many steps a cell goes, which it doesn't see, needs no such trace.

    Args:
        request: what to trace; its arguments are of the last of the forms.
        forms: the lengths of arguments at several calls.
        taken: lengths of what the function uses besides.
        executor, guards, watched, by_numpy: as in ``Plan``.

    Raises:
        DependsOnSize: it does something else for arguments of other sizes.
        CannotCompile: it can't be traced.
    """

    def __init__(
        self,
        request: Request,
        forms: Sequence[tuple[int, ...]],
        taken: set[int],
        executor: str,
        guards: Guards,
        watched: Sequence[Any],
        by_numpy: Callable[[str], None],
    ) -> None:
        self._request = request._replace(args=stand_ins(request.args))
        self._axes = Axes(forms)
        self._taken = taken
        self._sizes = self._axes.examples(taken)
        super().__init__(request.function(0), request.args, executor, guards, watched, by_numpy)
        self._seen: set[tuple[int, ...]] = set()
        self._last = request.lengths

    def _traced(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Program:
        lengths = [self._axes.lengths(sizes) for sizes in zip(*self._sizes.values())]
        self._generators = Guards(*self._watched).generators
        self._programs = self._retraced(lengths)
        self._pattern = Pattern(self._programs, self._sizes)
        self._unseen = self._not_seen_by_cells(lengths[0])
        return self._programs[0]

    def _retraced(self, forms: Sequence[tuple[int, ...]]) -> list[Program]:
        """The programs for arguments of these lengths. Nothing may be changed, and nothing drawn."""
        with nothing_changed(self._watched):
            programs = lambda: [self._request.program(form, self._executor) for form in forms]  # noqa: E731
            return without_draws(programs, self._generators)

    def _not_seen_by_cells(self, lengths: tuple[int, ...]) -> tuple[int | None, int]:
        """The size that is only the number of steps, and the number of steps taken before the loop."""
        unseen = self._request.unseen()
        for i in range(len(self._axes.names)):
            places = self._axes.places(i)
            if 0 in places and unseen.issuperset(places):
                return i, lengths[0] - min((loop.steps for loop in self._programs[0].results), default=0)
        return None, 0

    def fits(self, lengths: tuple[int, ...]) -> bool:
        """Return True if arguments of these lengths differ only in free lengths."""
        return self._axes.of(lengths) is not None

    def serves(self, lengths: tuple[int, ...]) -> bool:
        """Return True if the function's program at these lengths is the predicted one."""
        sizes = self._axes.of(lengths)
        if sizes is None or 0 in sizes:
            return False
        steps, taken = self._unseen
        known = sizes
        if steps is not None and sizes[steps] > taken:
            known = (*sizes[:steps], *sizes[steps + 1 :])
        if known not in self._seen:
            (program,) = self._retraced([lengths])
            if not self._pattern.matches(program, sizes):
                return False
            self._seen.add(known)
        return True

    def at(self, lengths: tuple[int, ...]) -> Chosen:
        """The plan for arguments of certain lengths."""
        self._last = lengths
        return Chosen(self, self._axes.of(lengths) or ())

    def _compiled(self, wanted: tuple[bool, ...], machine_code: bool) -> SizedExecutable:
        """The functions for all sizes: where code is another from some size on, of examples on one side of it."""
        check_operations(scheduled(program, wanted, Cheap.BEFORE) for program in self._programs)
        failure: DependsOnSize | None = None
        for attempt in range(ATTEMPTS):
            sizes, programs = self._sizes, self._programs
            if attempt:
                sizes = self._axes.examples(self._taken, attempt)
                programs = self._retraced([self._axes.lengths(each) for each in zip(*sizes.values())])
            try:
                cheap = Cheap.INSIDE if machine_code else Cheap.BEFORE
                fixed = numbers_that_stay([scheduled(program, wanted, cheap) for program in programs])
                made = [generate(program, wanted, machine_code, fixed) for program in programs]
                return SizedExecutable(made, sizes)
            except DependsOnSize as error:
                failure = failure or error
        assert failure is not None
        raise failure

    def _shown(self, wanted: tuple[bool, ...]) -> tuple[Program, Executable]:
        program, _ = generate(self.program, wanted)
        return program, self._executables[wanted].at(self.at(self._last).sizes)

    @property
    def program(self) -> Program:
        """The program for arguments of the last new size."""
        return self._request.program(self._last, self._executor)

    def __str__(self) -> str:
        """The plan as text, with arguments of the last new size."""
        arrays = [a for a in leaves(self._request.arguments(self._last)) if hasattr(a, "shape")]
        shapes = ", ".join(str(a.shape) for a in arrays)
        return f"for arguments of all lengths; here for those of shapes {shapes}\n\n{super().__str__()}"
