"""Tracing: a function becomes a program. The function is run twice, to find out whether it does the same each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autodiff.errors import CannotCompile, NotOnTensors
from ...autodiff.tensor import Tensor
from ...autodiff.trees import leaves, tree_map
from ..graph.trace import Trace, recorded, tracer
from ..graph.values import Value, new_input
from ..guards.side_effects import nothing_changed
from .program import Program


def traced(
    function: Callable[..., Any], arguments: Any, watched: Sequence[Any] = (), executor: str | None = None
) -> Program:
    """The program of a function, which is run on tracers.

    Args:
        function: takes the arguments, and returns an array or a tree of arrays.
        arguments: a tuple; the arrays in it (or in trees in it) become inputs of the program, all else is fixed.
        watched: everything that it may look at, or change, besides the arrays.
        executor: as in ``Trace``.

    Raises:
        CannotCompile: the function asks for a value, changes something, does something else each time, or returns
            something other than arrays.
    """
    program = traced_once(function, arguments, executor)
    with nothing_changed(watched):
        again = traced_once(function, arguments, executor)
    if program.spelled_out() != again.spelled_out():
        raise CannotCompile(
            "this function did something else when it was run a second time: it draws random numbers inside, or "
            "changes an array that it uses, or makes a Tensor that it keeps. Have it depend on its arguments alone: "
            "draw before the loop and pass in what was drawn, per step with xs, per sequence with the state; make "
            "Tensors before it is called."
        )
    return program


def traced_once(function: Callable[..., Any], arguments: Any, executor: str | None = None) -> Program:
    """The program of a function that is known to do the same each time; the arguments are those of ``traced``."""
    trace = Trace(executor)
    inputs: list[Value] = []

    def stand_in(a: Any) -> Any:
        if not isinstance(a, (Tensor, np.ndarray)):
            return a
        inputs.append(new_input(a.shape, a.dtype, "input", getattr(a, "name", None) or ""))
        return tracer(inputs[-1])

    with trace.recording():
        try:
            result = function(*tree_map(stand_in, arguments))
        except Exception as error:
            raise _reason(error) from None
        outputs = [recorded(trace, a) for a in leaves(result)]
    captured = list(trace.captured)
    return Program(trace, [*inputs, *trace.captured.values()], outputs, captured, result)


def _reason(error: BaseException) -> BaseException:
    """The reason of a failed trace: a Tensor's own error, also where NumPy replaced it by another."""
    cause = error.__cause__ or error.__context__
    while cause is not None and not isinstance(cause, NotOnTensors):
        cause = cause.__cause__ or cause.__context__
    return error if cause is None else cause
