"""Expressions as NumPy text, as a person would type it; the text uses NumPy only, nothing of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cache
from typing import Any

import numpy as np

from ...autodiff.registry import OVERRIDES
from ...autodiff.rules import (
    activations,
    elementwise,
    indexing,
    linalg,
    log_probabilities,
    rearranging,
    reductions,
    shape,
)
from ...compiler.graph.trace import stop_gradient
from ..backward.absence import reads_zeros
from ..equations.choices import step_number
from ..equations.entries import Entry, Unit
from ..equations.expressions import (
    Apply,
    Constant,
    Data,
    During,
    Expression,
    Number,
    Operand,
    OverSteps,
    Parameter,
    Reference,
    Rows,
    Stack,
    Step,
    Steps,
    are_consecutive,
)
from ..equations.not_writable import NotWritable
from ..equations.parts import applies, values_of_steps
from ..equations.recognising import one_hot
from .indices import slice_text

SUM, PRODUCT, POWER, ATOM = range(4)
Piece = tuple[str, int]


@cache
def numpy_names() -> dict[int, str]:
    """The names of NumPy functions, by the primitives that stand for them."""
    found = {}
    for function, implementation in OVERRIDES.items():
        name = getattr(function, "__name__", "")
        for prefix, room in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
            if getattr(room, name, None) is function:
                found[id(implementation)] = f"{prefix}.{name}"
                break
    return found


class LoopVariable(Enum):
    """The variables, besides t, that loops run over; each has the name that it is given if that is free."""

    ENTRY = "entry"  # of a parameter or a state that is moved
    EARLIER_STEP = "k"  # in a sum over paths


class NumpyWriter:
    """Writes expressions as NumPy text.

    Args:
        names: the variable of each quantity, parameter, array, Unit and LoopVariable.
        last: the last step, which is called T; None if there are no steps.

    Attributes:
        before: statements that have to run before the expression that was written last.
    """

    def __init__(self, names: Mapping[Any, str], last: int | None = None) -> None:
        self.names = names
        self.last = last
        self.before: list[str] = []
        self._temporaries = 0
        self._steps: Steps = ()  # for which the current expression is written
        self._in_a_sum = False  # over steps, where no statement can stand

    # --- steps ---------------------------------------------------------------------------------------------------

    def step(self, t: int) -> str:
        """A certain step."""
        if self.last is None or t not in (self.last, self.last + 1):
            return str(t)
        return "T" if t == self.last else "T + 1"

    def moving(self, offset: int, sign: int = 1) -> str:
        """A place that moves with the step: ``t - 1``."""
        if sign > 0:
            return "t" if not offset else f"t {'+' if offset > 0 else '-'} {abs(offset)}"
        return f"{offset} - t"

    def range(self, steps: Steps, backwards: bool = False) -> str:
        """Steps as a range, or a tuple of them."""
        if are_consecutive(steps):
            if backwards:
                return f"range({self.step(steps[-1])}, {self.step(steps[0] - 1)}, -1)"
            end = "T + 1" if steps[-1] == self.last else steps[-1] + 1
            return f"range({self.step(steps[0])}, {end})"
        ordered = steps[::-1] if backwards else steps
        return f"({', '.join(map(str, ordered))}{',' if len(ordered) == 1 else ''})"

    def condition(self, steps: Steps, among: Steps) -> str:
        """The condition that t is one of some steps, among others."""
        inside = tuple(t for t in among if t in steps)
        if len(inside) == 1:
            return f"t == {self.step(inside[0])}"
        if inside == among[: len(inside)]:
            return f"t < {self.step(among[len(inside)])}"
        if inside == among[len(among) - len(inside) :]:
            return f"t > {self.step(among[-len(inside) - 1])}"
        return f"t in ({', '.join(map(str, inside))})"

    # --- expressions ---------------------------------------------------------------------------------------------

    def write(self, expression: Expression, steps: Steps = ()) -> str:
        """An expression that is read at some steps, or once."""
        self._steps = steps
        return self._text(expression)

    def statements(self) -> list[str]:
        """The statements that have to run first, which are the caller's to write from now on."""
        found, self.before = self.before, []
        return found

    def _text(self, expression: Expression) -> str:
        return self._piece(expression)[0]

    def _within(self, expression: Expression, binding: int) -> str:
        text, own = self._piece(expression)
        return text if own >= binding else f"({text})"

    @contextmanager
    def _aside(self, steps: Steps, in_a_sum: bool = False) -> Iterator[list[str]]:
        """A list for the statements of an expression that is written for other steps, apart from others."""
        held = self.before, self._steps, self._in_a_sum
        self.before, self._steps, self._in_a_sum = [], steps, in_a_sum or self._in_a_sum
        try:
            yield self.before
        finally:
            self.before, self._steps, self._in_a_sum = held

    def _piece(self, e: Expression) -> Piece:
        if isinstance(e, Number) and (e.value is None or isinstance(e.value, (bool, np.bool_))):
            return str(e.value), ATOM
        if isinstance(e, Number):
            text = repr(e.value) if np.isfinite(e.value) else f"{'-' if e.value < 0 else ''}np.{np.abs(e.value)}"
            return text, SUM if text.startswith("-") else ATOM
        if isinstance(e, Constant):
            return _array(e.array), ATOM
        if isinstance(e, (Parameter, Data)):
            return self.names[e.name], ATOM
        if isinstance(e, Reference):
            return f"{self.names[e.quantity]}{self._place(e)}{self._entry() if e.quantity.entries else ''}", ATOM
        if isinstance(e, Unit):
            return f"{self.names[e]}{self._entry()}", ATOM
        if isinstance(e, Entry):
            return f"{self._within(e.operands[0], ATOM)}{self._entry()}", ATOM
        if isinstance(e, Rows):
            return self._rows(e), ATOM
        if isinstance(e, OverSteps):
            inner = self._alone(e.inner, e.steps)
            found = f"{inner} for t in {self.range(e.steps)}"
            return (f"np.stack([{found}])" if isinstance(e, Stack) else f"sum({found})"), ATOM
        if isinstance(e, During):
            return self._during(e), SUM
        assert isinstance(e, Apply)
        return self._applied(e)

    def _place(self, e: Reference) -> str:
        if e.at is not None:
            return f"[{self.step(e.at)}]"
        return "" if e.shift is None else f"[{self.moving(e.shift)}]"

    def _entry(self) -> str:
        return f"[{self.names[LoopVariable.ENTRY]}]"

    def _alone(self, e: Expression, steps: Steps) -> str:
        """An expression where no statement can run before it."""
        with self._aside(steps, in_a_sum=True) as before:
            text = self._text(e)
        if before:
            raise NotWritable("a sum over steps of pieces that are put in places")
        return text

    def _rows(self, e: Rows) -> str:
        """The rows of all steps: an existing array if there is one."""
        taken = e.inner
        if applies(taken, indexing.getitem) and isinstance(taken.operands[0], Data):
            (array,) = taken.operands[:1]
            if taken.settings["index"] == Step(-1) and e.steps == tuple(range(1, array.shape[0] + 1)):
                name = self._text(array)
                return name if array.ndim == 2 else f"np.concatenate({name})"
        return f"np.vstack([{self._alone(taken, e.steps)} for t in {self.range(e.steps)}])"

    def _during(self, e: During) -> str:
        if set(self._steps) <= set(e.steps) or reads_zeros(e, self._steps):
            return self._within(e.inner, SUM)
        with self._aside(e.steps) as before:
            inner = self._text(e.inner)
        condition = self.condition(e.steps, self._steps)
        if not before:
            return f"({inner} if {condition} else 0)"
        name = self._temporary("term")
        rows = [*before, f"{name} = {inner}"]
        self.before += [f"{name} = 0", f"if {condition}:", *(f"    {row}" for row in rows)]
        return name

    def _applied(self, e: Apply) -> Piece:
        operation = e.operation
        if operation in INFIX:
            return self._infix(e, *INFIX[operation])
        if operation in FORMS:
            form, inside, binding = FORMS[operation]
            return form.format(self._within(e.operands[0], inside)), binding
        if operation is elementwise.power_by_number:
            return f"{self._within(e.operands[0], ATOM)}**{e.settings['exponent']!r}", POWER
        if operation is shape.transpose and not e.settings.get("axes"):
            return f"{self._within(e.operands[0], ATOM)}.T", ATOM
        if operation is indexing.getitem:
            index = self._index(e.settings["index"], e.operands)
            return f"{self._within(e.operands[0], ATOM)}[{index}]", ATOM
        if operation is indexing.assemble:
            return self._put_together(e), ATOM
        if operation is stop_gradient:
            return self._piece(e.operands[0])
        return self._called(e)

    def _infix(self, e: Apply, sign: str, level: int) -> Piece:
        first, *others = e.operands
        text = self._within(first, level)
        for other in others:
            tighter = level + (sign != "+" and (sign != "*" or not isinstance(other, Number)))
            written = self._within(other, SUM if sign == "+" else tighter)
            if sign == "+" and written.startswith("-"):
                text += f" - {written[1:]}"
            else:
                text += f" {sign} {written}"
        return text, level

    def _called(self, e: Apply) -> Piece:
        operation = e.operation
        axis = e.settings.get("axis")
        if operation in SHIFTED:
            return self._shifted_first(e, axis, self._within(e.operands[0], ATOM))
        if operation is indexing.updated:
            return self._put_over(e), ATOM
        if operation is step_number:
            step = e.settings["step"]
            return (self.moving(step.offset), SUM) if isinstance(step, Step) else (str(step), ATOM)
        if operation is one_hot:
            return f"np.eye({e.settings['size']})[{self._text(e.operands[0])}]", ATOM
        if operation in (shape.joined, shape.stacked):
            name = "concatenate" if operation is shape.joined else "stack"
            values = values_of_steps(e.operands)
            if values is None:
                inside = ", ".join(self._text(o) for o in e.operands)
            else:
                inside = f"{self._alone(values.inner, values.steps)} for t in {self.range(values.steps)}"
            return f"np.{name}([{inside}], axis={axis})", ATOM
        if operation is linalg.contraction:
            inside = ", ".join(self._text(o) for o in e.operands)
            return f"np.einsum({e.settings['subscripts']!r}, {inside})", ATOM
        if operation is shape.cast:
            return f"{self._within(e.operands[0], ATOM)}.astype(np.{np.dtype(e.settings['dtype']).name})", ATOM
        if operation is shape.broadcast_to and isinstance(e.operands[0], Number):
            value = e.operands[0].value
            is_zero = type(value) is float and value == 0
            return (f"np.zeros({e.shape})" if is_zero else f"np.full({e.shape}, {value!r})"), ATOM
        return self._by_name(e), ATOM

    def _shifted_first(self, e: Apply, axis: Any, z: str) -> Piece:
        """Softmax, its logarithm, or logsumexp; the largest element is subtracted first, so that no digits are lost."""
        largest = f"np.max({z}, axis={axis}, keepdims=True)"
        shifted = f"{z} - {largest}"
        if not self._in_a_sum:
            shifted = self._assigned("shifted", shifted)

        def log_of_sum(keep: str) -> str:
            if isinstance(axis, int):
                return f"np.logaddexp.reduce({shifted}, axis={axis}{keep})"
            return f"np.log(np.sum(np.exp({shifted}), axis={axis}{keep}))"

        if e.operation is log_probabilities.log_sum_exp:
            keep = ", keepdims=True" if e.settings.get("keepdims") else ""
            return f"np.max({z}, axis={axis}{keep}) + {log_of_sum(keep)}", SUM
        logs = f"{shifted} - {log_of_sum(', keepdims=True')}"
        return (f"np.exp({logs})", ATOM) if e.operation in SHARES else (logs, SUM)

    def _by_name(self, e: Apply) -> str:
        """A call of the NumPy function with the same name and the same arguments."""
        operation = e.operation
        name = DIRECT.get(operation) or numpy_names().get(id(operation))
        own = getattr(operation, "__name__", "") or getattr(operation, "name", "")
        if name is None and own and _has(np, own):  # the text is run and compared: another function can't slip in
            name = f"np.{own}"
        if name is None or getattr(operation, "is_single", False):
            raise NotWritable(getattr(operation, "name", None) or repr(operation))
        usual = {"axis": None, "keepdims": False, "axes": None}
        settings = {k: _short_axis(v) for k, v in e.settings.items() if k not in usual or v != usual[k]}
        arguments = [self._text(o) for o in e.operands]
        if operation in POSITIONAL:
            arguments += [repr(value) for value in settings.values()]
            settings = {}
        return f"{name}({', '.join([*arguments, *(f'{k}={v!r}' for k, v in settings.items())])})"

    # --- indices -------------------------------------------------------------------------------------------------

    def _index(self, index: Any, operands: Sequence[Expression]) -> str:
        if isinstance(index, Step):
            return self.moving(index.offset, index.sign)
        if isinstance(index, Operand):
            return self._text(operands[index.number])
        if isinstance(index, slice):
            return slice_text(index)
        if isinstance(index, tuple):
            inside = ", ".join(self._index(part, operands) for part in index)
            return inside or "()"
        if isinstance(index, (np.ndarray, list)):
            return _array(np.asarray(index))
        return "..." if index is Ellipsis else "None" if index is None else repr(index)

    def put(self, variable: str, e: Apply, steps: Steps) -> list[str]:
        """Statements that add the pieces of an ``assemble`` to a variable, each in its place."""
        self._steps = steps
        placed = self._put(variable, e)
        return [*self.statements(), *placed]

    def _put(self, variable: str, e: Apply) -> list[str]:
        found = []
        for piece, index in zip(e.operands, e.settings["indices"]):
            place, value = self._index(index, e.operands), self._text(piece)
            if any(isinstance(part, ARRAYS) for part in (index if type(index) is tuple else (index,))):
                found.append(f"np.add.at({variable}, {_as_tuple(index, place)}, {value})")
            else:
                found.append(f"{variable}[{place}] += {value}")
        return found

    def _temporary(self, name: str) -> str:
        self._temporaries += 1
        return f"{name}_{self._temporaries}"

    def _assigned(self, name: str, value: str) -> str:
        """A variable of this value, assigned before the expression."""
        variable = self._temporary(name)
        self.before.append(f"{variable} = {value}")
        return variable

    def _put_together(self, e: Apply) -> str:
        name = self._temporary("whole")
        statements = self._put(name, e)
        self.before += [f"{name} = np.zeros({e.shape})", *statements]
        return name

    def _put_over(self, e: Apply) -> str:
        """A copy of an array, in which a part is written over."""
        array, value = (self._text(o) for o in e.operands[:2])
        name = self._temporary("whole")
        place = self._index(e.settings["index"], e.operands)
        self.before += [f"{name} = np.array({array})", f"{name}[{place}] = {value}"]
        return name


def _has(room: Any, name: str) -> bool:
    """Return True for a function of NumPy, such as ``linalg.solve``."""
    for part in name.split("."):
        room = getattr(room, part, None)
    return callable(room)


def _short_axis(setting: Any) -> Any:
    """A single axis without brackets."""
    return setting[0] if isinstance(setting, tuple) and len(setting) == 1 and isinstance(setting[0], int) else setting


def _as_tuple(index: Any, place: str) -> str:
    return f"({place.replace(':', 'slice(None)') if ':' in place else place})" if type(index) is tuple else place


def _array(array: np.ndarray) -> str:
    """A fixed array, as a call of the function that makes it if there is one."""
    if array.ndim == 2 and array.shape[0] == array.shape[1] and np.array_equal(array, np.eye(len(array))):
        return f"np.eye({len(array)})"
    if array.size and np.array_equal(np.ravel(array), np.arange(array.size)):
        return f"np.arange({array.size})" + ("" if array.ndim == 1 else f".reshape({array.shape})")
    return f"np.array({array.tolist()!r})"


INFIX: dict[Any, tuple[str, int]] = {
    elementwise.add: ("+", SUM),
    elementwise.subtract: ("-", SUM),
    elementwise.multiply: ("*", PRODUCT),
    elementwise.divide: ("/", PRODUCT),
    linalg.matmul: ("@", PRODUCT),
}
FORMS: dict[Any, tuple[str, int, int]] = {  # with how tightly the operand has to bind, and how tightly the whole does
    elementwise.negative: ("-{}", PRODUCT, SUM),
    elementwise.square: ("{}**2", ATOM, POWER),
    activations.logistic: ("1 / (1 + np.exp(-{}))", ATOM, PRODUCT),
    activations.rectifier: ("np.maximum({}, 0)", SUM, ATOM),
    activations.soft_rectifier: ("np.logaddexp(0, {})", SUM, ATOM),
    activations.log_logistic: ("-np.logaddexp(0, -{})", ATOM, SUM),
}
SHARES = {log_probabilities.softmax_of, log_probabilities.shares}
SHIFTED = {*SHARES, log_probabilities.log_softmax_of, log_probabilities.log_sum_exp}
ARRAYS = (Operand, np.ndarray, list)  # what chooses elements one by one, in an index
POSITIONAL = {rearranging.padded, shape.reshape, shape.transpose, shape.expand_dims, shape.squeeze, shape.swapaxes,
              shape.moveaxis, shape.broadcast_to}  # fmt: skip
DIRECT: dict[Any, str] = {
    elementwise.where: "np.where",
    elementwise.clipped: "np.clip",
    elementwise.power_of: "np.power",
    shape.reshape: "np.reshape",
    reductions.sum: "np.sum",
    reductions.mean: "np.mean",
    reductions.max: "np.max",
    reductions.min: "np.min",
    reductions.prod: "np.prod",
}
