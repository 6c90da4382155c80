"""The node of a compiled call in the graph: a primitive that stands for everything the call does.

Its backward pass runs generated code. To look inside, or to differentiate once more, expand it into the graph that
the function itself records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..autodiff.graph import Node, ancestors, backward_walk, forward_walk, leading_to
from ..autodiff.registry import Primitive
from ..autodiff.scope import enable_grad, resumed
from ..autodiff.tensor import Tensor, constant
from ..autodiff.texts import printable
from ..autodiff.trees import leaves, tree_map
from .executable import Executable, Run


class Call(Primitive):
    """A call of a compiled function.

    Args:
        executable: the executable that runs.
        args: the function's arguments, with their trees.
        inputs: its inputs: the arrays among the arguments, and the other Tensors that the function uses.
        eager: the function itself.
    """

    __slots__ = ("_args", "_eager", "_executable", "_inputs", "_run")

    def __init__(self, executable: Executable, args: Any, inputs: Any, eager: Callable[..., Any]) -> None:
        self.name = "compiled"
        self.outputs = len(executable.program.outputs) != 1
        self.by_element = self.is_linear = False
        self.is_single = True
        self._executable, self._args, self._inputs, self._eager = executable, args, inputs, eager
        self._run: Run | None = None

    def forward(self, *arrays: np.ndarray) -> Any:
        """Run the generated code."""
        self._run = self._executable.run(arrays)
        return self._run.outputs if self.outputs else self._run.outputs[0]

    def vjps(self, wanted: Sequence[int], g: Any, ans: Any, *args: Any) -> list[Any]:
        """The cotangents of the inputs; they are recorded if the cotangent of the result is."""
        cotangents = list(g) if self.outputs else [g]
        if isinstance(ans, Tensor):
            with resumed(ans.scope):
                return self._recorded_cotangents(wanted, cotangents)
        assert self._run is not None
        zeros, places = self._executable.start(tuple([c is not None for c in cotangents]))
        found = self._run.gradients([zero if c is None else c for c, zero in zip(cotangents, zeros)])
        return [None if place is None else found[place] for place in map(places.__getitem__, wanted)]

    def jvps(self, tangents: Sequence[Any], ans: Any, *args: Any) -> Any:
        """The tangents of the results."""
        outputs = self.expand()
        start = {a: v for a, v in zip(self._inputs, tangents) if v is not None}
        with enable_grad():
            known = forward_walk(start, leading_to(ancestors(outputs, stop=start), start))
        found = [known[y] if y in known else np.zeros(y.shape, y.dtype) for y in outputs]
        return tuple(found) if self.outputs else found[0]

    def expand(self) -> list[Tensor]:
        """The results once more, as the function itself records them.

        Raises:
            RuntimeError: a parameter has been given other data since the call.
        """
        arrays = () if self._run is None else self._run.inputs
        for a, array in zip(self._inputs, arrays):
            if isinstance(a, Tensor) and a._data is not array:
                name = printable(a.name or "an input")
                raise RuntimeError(
                    f"the data of {name} was replaced after a compiled function ran, so what it "
                    "did can't be recorded any more. Look at it, or differentiate it twice, before the update."
                )
        given = iter(arrays)
        args = tree_map(lambda a: _as_given(a, given), self._args) if arrays else self._args
        with enable_grad():
            result = self._eager(*args)
        return [y if isinstance(y, Tensor) else constant(np.asarray(y)) for y in leaves(result)]

    def _recorded_cotangents(self, wanted: Sequence[int], cotangents: list[Any]) -> list[Any]:
        outputs = self.expand()
        start: dict[Node, Any] = {}
        for y, g in zip(outputs, cotangents):
            if g is not None:
                g = g if isinstance(g, Tensor) else constant(g)
                start[y] = start[y] + g if y in start else g
        inputs = [self._inputs[i] for i in wanted]
        targets = frozenset(inputs)
        with enable_grad():
            reached = backward_walk(start, leading_to(ancestors(start, stop=targets), targets), targets=targets)
        return [reached.pop(a, None) for a in inputs]  # an input that stands twice gets its whole gradient once


def _as_given(a: Any, arrays: Iterator[np.ndarray]) -> Any:
    """An argument as it was when the function ran: the caller may have written into the array since."""
    if not isinstance(a, (Tensor, np.ndarray)):
        return a
    array = next(arrays)
    return a if isinstance(a, Tensor) else array
