"""A program as an ONNX graph: each Value by its nodes, each loop over time as a Scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..compiler.graph.values import Value, name_of
from ..compiler.loops.loop import Loop, LoopResult
from ..compiler.sizes.programs import Sized
from ..compiler.sizes.reading import Size
from .onnx_graph import Graph
from .onnx_operations import Operation, computed_in, nodes_of


class ProgramWriter:
    """A writer of a program's steps into a graph, in which some Values have names already."""

    def __init__(self, sized: Sized, graph: Graph, names: Mapping[Value, str]) -> None:
        self.sized, self.graph, self.names = sized, graph, dict(names)

    def write(self, step: Value | Loop) -> None:
        """Add a Value, or a loop with its results."""
        if isinstance(step, Loop):
            self._loop(step, self.sized.program.results[step])
        elif step.op is not None:
            args, keywords = self.sized.arguments(step)
            dtype = computed_in(step, args)
            operation = Operation(
                step,
                args,
                keywords,
                dtype,
                self.sized.shape(step),
                self.sized.shape,
                lambda a: self.operand(a, dtype),
                self.operand,
            )
            self.names[step] = nodes_of(self.graph, name_of(step.op), operation)

    def operand(self, a: Any, dtype: Any = None) -> str:
        """The name of an operand; a number becomes a constant of a type."""
        if isinstance(a, Size):
            number = self.graph.scalar(a)
            return number if dtype is None else self.graph.cast(number, dtype)
        if not isinstance(a, Value):
            return self.graph.constant(np.asarray(a, None if isinstance(a, np.ndarray) else dtype))
        if a not in self.names:
            self.names[a] = self.graph.array(self.sized.constant(a))
        name = self.names[a]
        kinds = "biuf" if np.dtype(dtype).kind == "f" else "biu"  # an integer is no operand's type beside a float's
        mixed = dtype is not None and a.dtype != dtype and a.dtype.kind in kinds and np.dtype(dtype).kind in "iuf"
        return self.graph.cast(name, dtype) if mixed else name  # ONNX's operands have one type

    def info(self, name: str, value: Value) -> Any:
        """The description of an input or output for ONNX: its name, type and lengths."""
        from onnx import helper

        lengths = [str(n) if isinstance(n, Size) else n for n in self.sized.shape(value)]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), lengths)

    def _loop(self, loop: Loop, results: list[LoopResult]) -> None:
        from onnx import helper

        body = loop.body(results)
        rows, _ = loop.inputs(results)
        inside = ProgramWriter(self.sized, Graph(self.graph), self.names)
        befores = [c.before for c in loop.carried]
        inside.names |= {v: self.graph.unique("in") for v in [*befores, *rows]}
        given = [inside.info(inside.names[v], v) for v in [*befores, *rows]]
        sequences = [self.operand(loop.slices[v]) for v in rows]
        if not rows:  # a Scan takes its number of steps from a sequence
            count = self.graph.lengths([self.sized.steps(loop)])
            sequences.append(self.graph.node("ConstantOfShape", [count]))
            given.append(helper.make_tensor_value_info(self.graph.unique("step"), 1, []))
        for value in body:
            inside.write(value)
        wanted = [result for result in results if result.how != "last"]
        made = [*(c.after for c in loop.carried), *(result.inner for result in wanted)]
        ends = [inside.graph.node("Identity", [inside.operand(v)]) for v in made]
        graph = helper.make_graph(inside.graph.nodes, loop.name, given, [inside.info(e, v) for e, v in zip(ends, made)])
        lasts = {v: self.graph.unique("last") for v in befores}
        stacks = [self.graph.unique("over_time") for _ in wanted]
        self.graph.nodes.append(
            helper.make_node(
                "Scan",
                [*(self.operand(c.start) for c in loop.carried), *sequences],
                [*lasts.values(), *stacks],
                body=graph,
                num_scan_inputs=len(sequences),
                scan_input_directions=[int(loop.backwards)] * len(sequences),
                scan_output_directions=[int(loop.backwards)] * len(stacks) or None,  # else onnx looks for a type in it
            )
        )
        self.names |= {result: lasts[result.inner] for result in results if result.how == "last"}
        for result, stack in zip(wanted, stacks):
            first = self.graph.constant(np.array([0], np.int64))
            is_sum = result.how == "sum"
            self.names[result] = self.graph.node("ReduceSum", [stack, first], keepdims=0) if is_sum else stack
