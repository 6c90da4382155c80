"""The node of a compiled call in the graph: a primitive that stands for everything the call does.

Its backward pass runs generated code. To look inside, or to differentiate once more, expand it into the graph that
the function itself records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..autodiff.expandable import Expandable
from ..autodiff.scope import resumed
from ..autodiff.tensor import Tensor, constant
from ..autodiff.trees import leaves, tree_map
from .executable import Executable, Run


class Call(Expandable):
    """A call of a compiled function.

    Args:
        executable: the executable that runs.
        args: the function's arguments, with their trees.
        inputs: its inputs: the arrays among the arguments, and the other Tensors that the function uses.
        eager: the function itself.
    """

    __slots__ = ("_args", "_eager", "_executable", "_run")

    def __init__(self, executable: Executable, args: Any, inputs: Any, eager: Callable[..., Any]) -> None:
        super().__init__("compiled", inputs, len(executable.program.outputs) != 1)
        self._executable, self._args, self._eager = executable, args, eager
        self._run: Run | None = None

    def forward(self, *arrays: np.ndarray) -> Any:
        """Run the generated code."""
        self._run = self._executable.run(arrays)
        return self._run.outputs if self.outputs else self._run.outputs[0]

    def vjps(self, wanted: Sequence[int], g: Any, ans: Any, *args: Any) -> list[Any]:
        """The cotangents of the inputs; they are recorded if the cotangent of the result is."""
        if isinstance(ans, Tensor):
            with resumed(ans.scope):
                return super().vjps(wanted, g, ans, *args)
        assert self._run is not None
        cotangents = list(g) if self.outputs else [g]
        zeros, places = self._executable.start(tuple([c is not None for c in cotangents]))
        found = self._run.gradients([zero if c is None else c for c, zero in zip(cotangents, zeros)])
        return [None if place is None else found[place] for place in map(places.__getitem__, wanted)]

    def expand(self, arrays: Sequence[Any] = ()) -> list[Tensor]:
        """The results once more, as the function itself records them from the inputs of the call."""
        assert self._run is not None
        return super().expand(self._run.inputs)

    def record(self) -> list[Tensor]:
        """Run the function itself, on its arguments as they were."""
        assert self._run is not None
        given = iter(self._run.inputs)
        args = tree_map(lambda a: _as_given(a, given), self._args)
        return [y if isinstance(y, Tensor) else constant(np.asarray(y)) for y in leaves(self._eager(*args))]


def _as_given(a: Any, arrays: Iterator[np.ndarray]) -> Any:
    """An argument as it was when the function ran: the caller may have written into the array since."""
    if not isinstance(a, (Tensor, np.ndarray)):
        return a
    array = next(arrays)
    return a if isinstance(a, Tensor) else array
