"""A program: what a traced function computes, with its loops over time as Loops, and perhaps with its backward pass."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ...autodiff.tensor import Tensor
from ...autodiff.trees import paths
from ..graph.trace import Trace
from ..graph.values import Value, in_order
from ..loops.loop import Loop, LoopResult
from .printing import Printer
from .spelling import Spelling

Step = Value | Loop
Results = Mapping[Loop, "list[LoopResult]"]


@dataclass(frozen=True, repr=False)
class Program:
    """A program: its outputs and gradients, and all that computes them. It never changes; passes return new ones.

    A reader (an executor, a printer) goes through ``forward_order()`` and ``backward_order()``: Values, each
    after its operands, and Loops, each once, after all that they read. A ``LoopResult`` is computed by its Loop.
    ``results[loop]`` says what is wanted of a loop, and so ``loop.body(results[loop])`` what each step computes.

    Attributes:
        trace: the trace in which its Values were recorded, and passes will record theirs.
        inputs: its inputs: the arrays among the arguments, then the captured Tensors.
        outputs: its outputs.
        captured: the Tensors that the last inputs stand for.
        result: the result of the traced function, for its form as a tree.
        cotangents: the inputs of the backward pass, one for each output.
        gradients: the gradients that the backward pass computes, by input.
        outputs_as_traced: the outputs as the function computes them, before any pass changed them; empty until then.
    """

    trace: Trace
    inputs: list[Value]
    outputs: list[Value]
    captured: list[Tensor]
    result: Any
    cotangents: list[Value] = field(default_factory=list)
    gradients: dict[Value, Value] = field(default_factory=dict)
    outputs_as_traced: list[Value] = field(default_factory=list)

    @cached_property
    def results(self) -> Results:
        """The wanted results of each loop, forward and backward."""
        return results_in([*self.outputs, *self.gradients.values()])

    def forward_order(self) -> list[Step]:
        """The Values and Loops of the forward pass, each after everything that it reads."""
        return list(self._orders[0])

    def backward_order(self) -> list[Step]:
        """The steps that only the backward pass needs, in order."""
        return list(self._orders[1])

    @cached_property
    def _orders(self) -> tuple[list[Step], list[Step]]:
        """The order of the forward pass, and that of the backward pass."""
        forward = in_order_of_computing(self.outputs, self.results)
        known = set(forward)
        both = in_order_of_computing([*self.outputs, *self.gradients.values()], self.results)
        return forward, [step for step in both if step not in known]

    def reads(self, step: Step) -> Sequence[Value]:
        """The Values that a Value or a Loop reads."""
        return step.reads(self.results[step]) if isinstance(step, Loop) else step.operands

    def __str__(self) -> str:
        """The program as text, one line for each operation."""
        printer = Printer(self.results)
        lines = ["given", *printer.given(self.inputs), "forward"]
        lines += printer.computed(self.forward_order(), self.outputs)
        if self.gradients:
            lines += ["given", *printer.given(self.cotangents), "backward"]
            lines += printer.computed(self.backward_order(), list(self.gradients.values()))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def spelled_out(self) -> list[Any]:
        """The whole program as one flat list, so that two programs can be compared, or their differences read off.

        In it, each Value goes by its number, lengths are whole numbers, and arrays and other numbers are Elements.
        """
        spelling = Spelling()
        spelling.add(*(str(id(tensor)) for tensor in self.captured))
        for value in self.inputs:
            spelling.value(value)
        for step in self.forward_order():
            if isinstance(step, Loop):
                spelling.loop(step, self.results[step])
            else:
                spelling.value(step)
        spelling.tree(self.outputs)
        return [*spelling.parts, *paths(self.result)]


def results_in(roots: Iterable[Value]) -> dict[Loop, list[LoopResult]]:
    """The results of loops among the ancestors of some Values, by loop, in the order in which they were asked for."""
    found: dict[Loop, list[LoopResult]] = {}
    for value in in_order(roots, parents=lambda v: v.op.reads([v]) if isinstance(v, LoopResult) else v.operands):
        if isinstance(value, LoopResult):
            found.setdefault(value.op, []).append(value)
    return {loop: sorted(results, key=lambda result: result.serial) for loop, results in found.items()}


def in_order_of_computing(roots: Iterable[Value], results: Results) -> list[Step]:
    """The steps that compute some Values: Values, and each Loop once, after all that they read."""

    def parents(step: Step) -> Sequence[Step]:
        if isinstance(step, Loop):
            return step.reads(results[step])
        return [step.op] if isinstance(step, LoopResult) else step.operands

    return [step for step in in_order(list[Step](roots), parents=parents) if not isinstance(step, LoopResult)]
