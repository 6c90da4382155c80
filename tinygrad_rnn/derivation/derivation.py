"""A derivation of backpropagation through time: made from a recording, as a list of lines."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from ..autodiff.array_node import value_of
from ..autodiff.tensor import Tensor
from ..recorded.outside import reading_others
from ..recorded.recording import Recording, record
from .backward.adjoints import adjoints
from .backward.all_steps import multiply_at_once
from .backward.grain import Grain
from .backward.names import Names, short_names
from .backward.path_sums import over_paths
from .backward.sensitivities import real_time
from .equations.expressions import ARRIVING, Data, Expression
from .equations.lines import Line
from .equations.not_writable import NotWritable
from .equations.parts import moves, parts
from .equations.quantities import Quantity
from .reading.forward import read_forward
from .reading.taking_in import arrays_by_name, taken_in, with_other_arrays
from .running.checking import WrongDerivation, differences, tolerance_of, wrong_gradients
from .running.evaluate import Values, evaluate
from .running.generated import Run, function_of
from .worksheets.worksheet import Worksheet
from .writing.latex import latex, markdown
from .writing.page import html
from .writing.reasons import reasons
from .writing.source import Source
from .writing.text import written

Function = Callable[..., dict[str, Any]]
Named = Mapping[str, Any]


# The styles of gradients: the backward recursion, sums over paths, real-time recurrent learning.
STYLES: dict[str, Callable[..., list[Quantity]]] = {"recursion": adjoints, "sums": over_paths, "rtrl": real_time}

OVER_ALL_STEPS = "over all steps"
PRODUCTS = ("by step", OVER_ALL_STEPS)


class Derivation:
    """The forward equations, the backward recursion and the gradients of a recorded loss, each once.

    Attributes:
        lines: its lines, in the order in which they are written down.
        parameters: the values of the parameters, by name.
        data: the other arrays in the lines, by name.
        given: all arrays that the loss was given, by name.
        names: the name of each parameter in the lines.
        recording: the loss that was derived.
        begins_outside: whether a layer is derived alone, whose outputs get their derivatives from outside.
        style: the style of the gradients, as in ``in_style``.
        products: how the products of all steps are added up, as in ``in_style``.
    """

    def __init__(
        self,
        recording: Recording,
        data: Mapping[Tensor, str],
        given: Mapping[str, np.ndarray],
        style: str = "recursion",
        products: str = "by step",
    ) -> None:
        self.recording = recording
        self.begins_outside = any(name.startswith(ARRIVING) for name in data.values())
        self.style, self.products = style, products
        make = partial(Derivation, recording, data, given)
        self._in_style: Callable[[str, str], Derivation] = cache(make)
        self.parameters = recording.values()
        self.names = short_names(self.parameters)
        taken = set(self.names.values())
        self._arguments = list(given)
        self._renamed = {name: f"{name}_data" for name in {*data.values(), *given} & taken}  # called as a parameter is
        self.given = {self._renamed.get(name, name): array for name, array in given.items()}
        leaves = {leaf: self._renamed.get(name, name) for leaf, name in data.items()}
        names = {leaf: self.names[name] for name, leaf in recording.parameters.items()}
        forward, root, arrays, self._adding_up = read_forward(recording, names, leaves, self.given)
        self.loss, self._end = root
        shapes = {self.names[name]: value.shape for name, value in self.parameters.items()}
        backward = STYLES[style](forward, root, shapes)
        kept = Grain(forward, backward).settle(self.loss)
        if products == OVER_ALL_STEPS:
            multiply_at_once(kept)
        expressions = [equation.expression for quantity in kept for equation in quantity.equations]
        read = {part.name for expression in expressions for part in parts(expression, Data)}
        self.data = {name: array for name, array in arrays.items() if name in read}
        for name, _ in arrays_by_name([*recording.outside], [*recording.outside.values()]):
            called = self._renamed.get(name, name)
            if called not in read:  # a function may find many arrays on which its loss doesn't depend
                self.given.pop(called, None)
        self.backward = [quantity for quantity in kept if quantity.kind != "forward"]
        self.forward = [quantity for quantity in kept if quantity.kind == "forward"]
        Names(self.forward, self.backward, self.loss, [*shapes, *self.data])
        self.lines = self._lines()

    def _lines(self) -> list[Line]:
        """The lines in order, initial values first, with their reasons."""
        last = max((q.steps[-1] for q in self.forward if len(q.steps) > 1), default=None)
        found = []
        for quantity in (*self.forward, *self.backward):
            for equation in quantity.equations if quantity is not self.loss or not self.begins_outside else ():
                is_given = quantity.kind == "forward"
                why = () if is_given else reasons(quantity, equation.expression, self.forward, last)
                found.append(Line(quantity, quantity.kind, equation.steps, equation.expression, why))
        starts = [line for line in found if line.kind == "forward" and _is_start(line)]
        return [*sorted(starts, key=lambda line: line.steps), *(line for line in found if line not in starts)]

    def with_lines(self, new: Mapping[Line, Expression]) -> Derivation:
        """The same derivation with other right-hand sides for some lines."""
        other = copy.copy(self)
        other.lines = [replace(line, expression=new[line]) if line in new else line for line in self.lines]
        other.__dict__.pop("_values", None)
        other.__dict__.pop("_program", None)
        return other

    def evaluate(
        self, parameters: Mapping[str, Any] | None = None, edits: Mapping[Line, Expression] | None = None
    ) -> Values:
        """The value of every line at each step, by its quantity and the step.

        Args:
            parameters: other values than the recorded ones, by name.
            edits: other right-hand sides for some lines.
        """
        return evaluate(self.lines, self._called(parameters or {}), self.data, edits or {})

    @cached_property
    def _values(self) -> Values:
        """The value of every line, at the recorded parameters."""
        return self.evaluate()

    @cached_property
    def _program(self) -> tuple[Source, Function]:
        """The text, with its function, which has been run and agrees with the lines."""
        right = self.gradients(self._values)
        for loops in (True, False):
            source = Source(self.lines, self.names.values(), self.data, self.loss, self._end, loops)
            function = function_of(source.text)
            try:
                run = self._run_text(source, function, self._called({}), self.data)
            except (LookupError, NameError, TypeError, ValueError, ArithmeticError):  # a loop that isn't in order
                continue
            errors = differences(run.gradients, right)
            agrees = all(error <= tolerance_of(right[name]) for name, error in errors.items())
            if agrees and self._holds_nearby(source, function):
                return source, function
        raise NotWritable("the lines of this derivation can't be written as a NumPy function; evaluate() computes them")

    def _holds_nearby(self, source: Source, function: Function) -> bool:
        """Return True if the text agrees with the lines at parameters near the recorded ones, too.

        Where a weight is 0, lines in a wrong order may give the right numbers.
        """
        rng = np.random.default_rng(0)
        moved = {name: a + 0.1 * rng.normal(size=a.shape) for name, a in self.parameters.items()}
        with np.errstate(all="ignore"):
            try:
                right = self.gradients(self.evaluate(moved))
                run = self._run_text(source, function, self._called(moved), self.data)
            except (LookupError, TypeError, ValueError, ArithmeticError):  # what has no inverse there, for example
                return True
            return all(error <= 1e-6 for error in differences(run.gradients, right).values())

    def source(self, *, style: str | None = None, products: str | None = None) -> str:
        """The derivation as a NumPy function, ``derivative(parameters..., data...)``, that a person could have written.

        It imports only NumPy, and returns the loss and the gradients by name.

        Args:
            style: as in ``text``.
            products: as in ``text``.

        Raises:
            NotWritable: an operation has no short form in NumPy; the error names it.
        """
        return self.in_style(style, products)._program[0].text

    def run(
        self,
        parameters: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        *,
        style: str | None = None,
        products: str | None = None,
    ) -> Run:
        """Run the text of ``source()``, and nothing else.

        If an operation can't be written in NumPy, the lines are run one by one instead.

        Args:
            parameters: other values than the recorded ones, by name.
            data: other arrays than the recorded ones, by name.
            style: as in ``text``.
            products: as in ``text``.

        Returns:
            The loss, the value of every line at each step, and the gradients.

        Raises:
            ValueError: at these numbers, the loss function computes something else than the lines, or these can't be
                computed; or there is no parameter or array of such a name.
        """
        form = self.in_style(style, products)
        if form is not self:
            return form.run(parameters, data)
        if not parameters and not data:
            return self._run({}, {})
        self._check_names(parameters or {}, data or {})
        try:
            found = self._run(parameters or {}, data or {})
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            if str(error).startswith("run:"):
                raise
            raise ValueError(
                f"run: the lines can't be computed at these numbers ({type(error).__name__}: {error}). They hold for "
                "the shapes and the indices that were recorded. Derive the loss at these numbers."
            ) from error
        self._check_against_function(found, parameters or {}, data or {})
        return found

    def all_data(self, data: Mapping[str, Any]) -> tuple[Any, ...]:
        """The data of the loss, given or read from outside, with other arrays for some: ``data``, by name."""
        return with_other_arrays(self.recording.all_data, self._arguments, data)

    def _check_names(self, parameters: Named, data: Named) -> None:
        """Names that nothing reads would change nothing, without a word."""
        for what, given, known in (
            ("parameter", parameters, [*self.parameters]),
            ("array", data, list(dict.fromkeys([*self._arguments, *self.data]))),
        ):
            unknown = next((name for name in given if name not in known), None)
            if unknown is not None:
                raise ValueError(
                    f"run: there is no {what} {unknown!r} in this derivation; there are {', '.join(known) or 'none'}. "
                    "Single numbers among the data are constants in the lines."
                )

    def _check_against_function(self, found: Run, parameters: Named, data: Named) -> None:
        """Compare loss and gradients at other numbers with the user's function, if there is one that repeats itself.

        The loss alone says nothing of what doesn't reach it at these numbers, as where a layer's weights are zeros.
        """
        recording = self.recording
        if recording.function is None or not set(data) <= set(self._arguments):
            return
        all_data = self.all_data(data)
        recorded = recording.values()
        values = {**recorded, **{name: np.asarray(value_of(a)) for name, a in parameters.items()}}
        right = recording.evaluate(values, all_data)
        same = partial(np.isclose, rtol=1e-6, atol=1e-9, equal_nan=True)
        if not same(found.loss, right):
            differs = f"the loss function returns {right:.6g}, and the lines {float(found.loss):.6g}"
        else:
            (function,) = reading_others([recording.function], recording.others(all_data))
            arguments = recording.arguments(values), all_data[: len(recording.data)]
            wrong = wrong_gradients(found.gradients, record(function, *arguments), 1e-6)
            if not wrong:
                return
            differs = f"autograd finds another gradient of {', '.join(wrong)} than the lines"
        if not same(recording.evaluate(recorded), recording.loss.item()):
            return
        constants = ", ".join(name for name in self.data if name not in self.given)
        raise ValueError(
            f"run: at these numbers {differs}. They hold for what was recorded: a branch, or what plain Python and "
            f"NumPy computed{f' ({constants})' if constants else ''}, is a constant in them. Derive the loss at these "
            "numbers."
        )

    def _run(self, parameters: Named, data: Named) -> Run:
        moved = {self._renamed.get(name, name): array for name, array in data.items()}
        called, given = self._called(parameters), {**self.data, **moved}
        for name in self._adding_up & moved.keys():
            if not np.allclose(np.sum(moved[name], axis=-1), 1, rtol=0, atol=1e-9):
                raise ValueError(
                    f"run: each row of {name!r} has to add up to 1, as in the data of this derivation, in which the "
                    "derivative of the cross-entropy is p - y. For other rows, derive again with them."
                )
        try:
            source, function = self._program
        except NotWritable:
            found = evaluate(self.lines, called, given, {})
            return self._as_run({q.name: by_step.get(None, by_step) for q, by_step in found.items()})
        return self._run_text(source, function, called, given)

    def _called(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The values of parameters, by their names in the lines."""
        values = {**self.parameters, **parameters}
        return {self.names[name]: np.asarray(value_of(value)) for name, value in values.items()}

    def _run_text(self, source: Source, function: Function, called: Named, given: Named) -> Run:
        everything = {**called, **given}
        variables = function(*[everything[name] for name in source.arguments])
        return self._as_run({line.name: variables[source.names[line.quantity]] for line in self.lines})

    def _as_run(self, values: dict[str, Any]) -> Run:
        gradients = {name: self._as_gradient(values.get(f"dL/d{self.names[name]}"), name) for name in self.parameters}
        loss = values.get(self.loss.name)
        if isinstance(loss, dict):
            loss = loss[self._end]
        return Run(loss, values, gradients)

    def _as_gradient(self, value: Any, name: str) -> np.ndarray:
        shape = self.parameters[name].shape
        value = np.asarray(0.0 if value is None else value)
        return np.broadcast_to(value * 1.0 if value.dtype == np.bool_ else value, shape)  # a mask, for example

    def gradients(self, values: Values | None = None) -> dict[str, np.ndarray]:
        """The gradients that the lines give, by parameter.

        Args:
            values: the values of an evaluation; by default of one at the recorded parameters.
        """
        values = self.evaluate() if values is None else values
        found = {q.adjoint_of: values[q][None] for q in self.backward if isinstance(q.adjoint_of, str) and q in values}
        return {name: self._as_gradient(found.get(self.names[name]), name) for name in self.parameters}

    def check(self) -> None:
        """Compare the gradients of the lines with autograd's.

        Raises:
            WrongDerivation: they differ.
        """
        with contextlib.suppress(NotWritable):
            _ = self._program  # which is compared with the lines
        for name, error in wrong_gradients(self.gradients(self._values), self.recording).items():
            raise WrongDerivation(
                f"derive: the line dL/d{self.names[name]} gives another gradient than autograd (relative difference "
                f"{error:.1e}). This is a fault in the derivation, which must not be trusted; please report it."
            )

    def in_style(self, style: str | None = None, products: str | None = None) -> Derivation:
        """Return the same derivation with its gradients written in another way.

        Args:
            style: "recursion", backward from step to step; "sums", over all paths from the loss at a step to a
                parameter at an earlier one, with products of Jacobians; "rtrl", by derivatives that are carried forward
                in time (real-time recurrent learning).
            products: for the recursion: "by step", one outer product for each weight and step; or "over all steps", one
                product for each weight, of the rows of all steps below each other.

        Raises:
            NotWritable: the network can't be written in this style; the error says why.
        """
        style, products = style or self.style, products or self.products
        for what, given, known in (("style", style, STYLES), ("form of products", products, PRODUCTS)):
            if given not in known:
                raise ValueError(f"there is no {what} {given!r}; there are {', '.join(map(repr, known))}")
        return self if (style, products) == (self.style, self.products) else self._in_style(style, products)

    def text(self, *, columns: bool = False, style: str | None = None, products: str | None = None) -> str:
        """Return the lines as text, as ``print`` shows them.

        Args:
            columns: whether to write vectors as columns, as most articles do: ``U x`` for ``x U``. Matrices and shapes
                are then the transposes of those in the code.
            style: the style of the gradients, as in ``in_style``.
            products: as in ``in_style``.
        """
        return written(self.in_style(style, products).lines, columns)

    def latex(self, *, columns: bool = False, style: str | None = None, products: str | None = None) -> str:
        """Return the lines as LaTeX: one ``align*`` for each of the forward pass, the backward pass and the gradients.

        The arguments are those of ``text``.
        """
        return latex(self.in_style(style, products).lines, columns)

    def markdown(self, *, columns: bool = False, style: str | None = None, products: str | None = None) -> str:
        """Return the lines as Markdown, with an equation in LaTeX and the reasons for each.

        The arguments are those of ``text``.
        """
        return markdown(self.in_style(style, products).lines, columns)

    def html(self, *, columns: bool = False, style: str | None = None, products: str | None = None) -> str:
        """Return the lines as an HTML page of its own, with equations as MathML.

        The arguments are those of ``text``.
        """
        return html(self.in_style(style, products).lines, columns)

    def worksheet(
        self,
        blanks: float | str | Iterable[str] = 0.5,
        seed: int = 0,
        *,
        hints: bool = False,
        columns: bool = False,
    ) -> Worksheet:
        """Return the derivation with some right-hand sides blank, as an exercise that marks itself.

        Args:
            blanks: how many lines of the backward pass are blank, as a number (3) or a share (0.5); or the names of
                lines, which may also be forward lines.
            seed: the seed by which lines are chosen; the same seed gives the same worksheet.
            hints: whether to show the reasons of blank lines.
            columns: as in ``text``; answers have vectors as columns, too, and the transposes of all matrices.
        """
        return Worksheet(self, blanks, seed, hints, columns)

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def __str__(self) -> str:
        return written(self.lines)

    def __repr__(self) -> str:
        return f"<derivation of {len(self.lines)} lines>"


def _is_start(line: Line) -> bool:
    """Return True for a line that gives a state before the first step."""
    return len(line.steps) == 1 and len(line.quantity.equations) > 1 and not any(map(moves, parts(line.expression)))


def derive(loss: Any, parameters: Any = None, data: Any = (), *, check: bool = True) -> Derivation:
    """Derive backpropagation through time of a network, as a list of lines.

    Args:
        loss: a recorded loss; a function ``loss(parameters, *data)``; or a Module that returns its loss when called
            with the data. It may also be a cell, to derive a layer alone: the next two arguments are then ``xs`` and
            the initial state.
        parameters: for a function, their values, as a dict, NamedTuple or any tree of arrays; for a recorded loss, the
            leaves, by name.
        data: further arguments of the function.
        check: whether to compare the lines with autograd.

    Returns:
        The derivation. Its printed form is what a person would write: parameters and data have their own names, also
        data that the function reads from outside; other values have those of the variables that hold them, or the
        letters of textbooks.

    Raises:
        WrongDerivation: the lines don't give autograd's gradients.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> def loss(p, xs):
        ...     h = np.zeros(2)
        ...     for x in xs:
        ...         h = np.tanh(x @ p["U"] + h @ p["W"])
        ...     return np.sum(h**2)
        >>> rng = np.random.default_rng(0)
        >>> p = {"U": rng.normal(size=(3, 2)), "W": rng.normal(size=(2, 2))}
        >>> derivation = tr.derive(loss, p, [rng.normal(size=(4, 3))])
        >>> derivation.gradients()["W"].shape
        (2, 2)
    """
    recording, tracked, given = taken_in(loss, parameters, data)
    derivation = Derivation(recording, tracked, given)
    if check:
        derivation.check()
    return derivation
