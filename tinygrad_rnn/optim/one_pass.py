"""Updates in one pass: a rule's operations on whole arrays, done element by element in machine code.

NumPy goes through memory once for every operation of a rule, some fourteen times for Adam's. So the rule is run on
stand-ins, which record its operations. This is done anew at every step, because the numbers (the learning rate, the
powers of Adam's betas) change. The recorded operations become one loop, in their order. Its results are those of the
rule up to rounding: where a product is added to something, machine code may round once instead of twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..autodiff.memory import aligned
from ..autodiff.tensor import Tensor

SHARED = 2**18  # the number of elements from which a second thread saves more than it costs
LONG_ROW = 64  # the number of elements from which a row is worth a loop

CHOICE = "({{0}} if {{0}} {} {{1}} or {{0}} != {{0}} else {{1}})"  # NaN stays, as in NumPy
EXPRESSIONS = {
    np.add: "({} + {})", np.subtract: "({} - {})", np.multiply: "({} * {})", np.divide: "({} / {})",
    np.negative: "(-{})", np.absolute: "abs({})", np.square: "({0} * {0})", np.sqrt: "np.sqrt({})",
    np.maximum: CHOICE.format(">"), np.minimum: CHOICE.format("<"),
}  # fmt: skip


class NotByElement(TypeError):
    """The rule uses something that can't be recorded, so it has to run on arrays, as it is written."""


class Recorded(NDArrayOperatorsMixin):
    """A stand-in for an array. It has no methods that look at its elements or its shape.

    Args:
        name: the array's name in the operations: ``a0`` for a given array, ``v0`` for a result.
        lines: the operations so far, in their order, as text. All stand-ins of a recording share them.
        numbers: likewise the values that ``c0``, ``c1``, ... have in them at this step.
    """

    __slots__ = ("lines", "name", "numbers")

    def __init__(self, name: str, lines: list[str], numbers: list[float]) -> None:
        self.name, self.lines, self.numbers = name, lines, numbers

    def __array_ufunc__(self, function: Any, method: str, *operands: Any, **keywords: Any) -> Recorded:
        (into,) = keywords.pop("out", (None,))
        if method != "__call__" or keywords or not (into is None or isinstance(into, Recorded)):
            raise NotByElement(method)
        if function is np.power and type(operands[1]) in (int, float) and operands[1] in (2, 0.5):
            function, operands = np.square if operands[1] == 2 else np.sqrt, operands[:1]
        if function not in EXPRESSIONS:
            raise NotByElement(function.__name__)
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {EXPRESSIONS[function].format(*map(self._text, operands))}")
        if into is None:
            return Recorded(name, self.lines, self.numbers)
        into.name = name  # as an array that was written to
        return into

    def _text(self, operand: Any) -> str:
        if isinstance(operand, Recorded):
            return operand.name
        if type(operand) not in (int, float):  # NumPy scalars would change the type of the result
            raise NotByElement(f"a {type(operand).__name__}")
        self.numbers.append(operand)
        return f"c{len(self.numbers) - 1}"

    def _refused(self, *args: Any) -> Any:
        raise NotByElement("a look at elements")

    __bool__ = __float__ = __int__ = __len__ = __iter__ = __array__ = _refused


Change = tuple[Recorded, "dict[str, Any]"]  # a parameter's new value, and the rule's new state, with stand-ins in it
Rule = Callable[[Any, Any, dict[str, Any], dict[str, Any]], Any]


class OnePass:
    """The updates of an optimiser, each in one pass of machine code.

    Args:
        rule: the optimiser's ``updated``.
        is_pure: whether it depends on its arguments alone, so that parameters with the same options share a recording.
    """

    def __init__(self, rule: Rule, is_pure: bool) -> None:
        self._rule, self._is_pure = rule, is_pure
        self._is_by_element = True
        self._changes: dict[Any, Change] = {}  # of the present step
        self._programs: dict[Any, Any] = {}

    def begin(self) -> None:
        """Begin a step, whose numbers differ from those of the last."""
        self._changes.clear()

    def update(self, parameter: Tensor, gradient: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> bool:
        """Set a parameter's new value, and update its state.

        Returns:
            False, with nothing changed, if the rule has to run on arrays: these have unusual types or layouts, or the
            rule doesn't go element by element.
        """
        memory = {name: a for name, a in state.items() if type(a) not in (int, float)}
        given = [parameter._data, gradient, *memory.values()]
        if not _are_alike(given):
            return False
        change = self._change(state, tuple(memory), group)
        if change is None:
            return False
        new, after = change
        remembered = {name: a.name for name, a in after.items() if isinstance(a, Recorded)}
        arrays = {f"a{i}": a for i, a in enumerate(given)}
        made = [name for name in dict.fromkeys((new.name, *remembered.values())) if name not in arrays]
        arrays = {**{name: aligned(parameter.shape, parameter.dtype) for name in made}, **arrays}
        if not self._run(new, made, arrays):
            return False
        parameter._data = arrays[new.name]
        state.update({name: arrays[remembered[name]] if name in remembered else a for name, a in after.items()})
        return True

    def _change(self, state: dict[str, Any], memory: tuple[str, ...], group: dict[str, Any]) -> Change | None:
        """The change that the rule makes, recorded for this state; None if the rule has to run on arrays."""
        key = id(group), memory, tuple([a for name, a in state.items() if name not in memory])
        if key in self._changes or not self._is_by_element:
            return self._changes.get(key)
        lines: list[str] = []
        numbers: list[float] = []
        value, gradient, *others = [Recorded(f"a{i}", lines, numbers) for i in range(2 + len(memory))]
        after = {**state, **dict(zip(memory, others))}
        try:
            new = self._rule(value, gradient, after, group)
        except Exception:  # on arrays the rule raises its own error, if something is wrong
            new = None
        if not isinstance(new, Recorded):
            self._is_by_element = False
            return None
        if self._is_pure:
            self._changes[key] = new, after
        return new, after

    def _run(self, recorded: Recorded, made: list[str], arrays: dict[str, np.ndarray]) -> bool:
        """Run the operations up to a result on arrays by name: results to write, and given arrays."""
        from ..compiler.runtime.failures import MachineCodeFailed  # imported only here: without machine code
        from ..compiler.runtime.threads import run_rows  # no compiler is needed

        first = next(iter(arrays.values()))
        key = first.dtype, tuple(recorded.lines), tuple(arrays)
        if key not in self._programs:
            self._programs[key] = _compiled(recorded, made, list(arrays))
        columns = first.shape[-1] if first.shape[-1] >= LONG_ROW else first.size
        rows = first.size // columns
        passed = [
            np.array(recorded.numbers, first.dtype),
            *(a.reshape(rows, columns) for a in arrays.values()),
            columns,
        ]
        try:
            if first.size < SHARED:
                self._programs[key](*passed, 0, rows)
            else:
                run_rows(self._programs[key], rows, *passed)
        except MachineCodeFailed:
            self._is_by_element = False
        return self._is_by_element


def _are_alike(arrays: list[Any]) -> bool:
    """Return True if arrays have one shape and dtype and lie in memory row by row."""
    first = arrays[0]
    return (
        first.size
        and first.ndim
        and all(
            isinstance(a, np.ndarray) and a.shape == first.shape and a.dtype == first.dtype and a.flags.c_contiguous
            for a in arrays
        )
    )


def _compiled(recorded: Recorded, made: list[str], names: list[str]) -> Any:
    """The compiled function of the numbers, the arrays of these names, their number of columns and a range of rows."""
    from ..compiler.runtime.cache import compiled_function  # imported only here, because llvmlite is an extra

    parameters = ", ".join(["numbers", *(f"all_{name}" for name in names), "columns", "first", "last"])
    lines = [
        *(f"c{i} = numbers[{i}]" for i in range(len(recorded.numbers))),
        "for i0 in range(first, last):",
        "    for i1 in range(0, columns):",
        *(f"        {name} = all_{name}[i0, i1]" for name in names if name not in made),
        *(f"        {line}" for line in recorded.lines),
        *(f"        all_{name}[i0, i1] = {name}" for name in made),
    ]
    kernel = f"def kernel_1({parameters}):\n" + "".join(f"    {line}\n" for line in lines)
    return compiled_function(f"{kernel}\n\ndef program({parameters}):\n    kernel_1({parameters})\n")
