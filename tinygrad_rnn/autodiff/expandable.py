"""Nodes that stand for a part of a graph, such as checkpoints: they can record that part again.

Examples are a checkpoint and a compiled loop: such a node holds inputs and results, and none of the values between. The
contract with code that walks a graph is one method of its operation: ``node.op.expand()`` returns the same results once
more, recorded node by node from the same inputs. Drawing and explaining use that; so do derivatives without a faster
way of their own (here all of them; for compiled code tangents and second order).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph import Node, ancestors, backward_walk, forward_walk, leading_to
from .registry import Primitive
from .scope import context, enable_grad
from .tensor import Tensor, constant
from .texts import printable


class Expandable(Primitive):
    """An operation whose rules follow from its expansion. Subclasses write ``forward`` and ``record``.

    Args:
        name: the name in errors and pictures.
        inputs: the arguments of its node; its expansion ends at the Tensors among them.
        outputs: whether the operation returns a tuple of arrays.
    """

    __slots__ = ("inputs",)

    # Methods replace Primitive's attributes, so its __init__ isn't called.
    def __init__(self, name: str, inputs: Sequence[Any], outputs: bool) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.outputs = outputs
        self.by_element = self.is_linear = False
        self.is_single = True

    def forward(self, *arrays: Any) -> Any:
        """The results, as arrays."""
        raise NotImplementedError

    def record(self) -> list[Tensor]:
        """The results, recorded from ``inputs``."""
        raise NotImplementedError

    def expand(self, arrays: Sequence[Any] = ()) -> list[Tensor]:
        """The results once more, recorded from the same inputs.

        Args:
            arrays: the inputs as they were at forward time, to check that they are unchanged.

        Raises:
            RuntimeError: the data of an input was replaced since then.
        """
        for source, array in zip(self.inputs, arrays):
            if isinstance(source, Tensor) and array is not source and array is not source._data:
                name = printable(source.name or "an input")
                raise RuntimeError(
                    f"{self.name}: the data of {name} was replaced after the forward pass, "
                    "so that can't be run again. Look at its graph, and take its gradients, before the update."
                )
        with enable_grad():
            return self.record()

    def vjps(self, wanted: Sequence[int], g: Any, ans: Any, *args: Any) -> list[Any]:
        """Cotangents of the inputs; recorded if a cotangent of a result is."""
        cotangents = list(g) if self.outputs else [g]
        recorded = any(isinstance(c, Tensor) for c in cotangents)
        start: dict[Node, Any] = {}
        for y, c in zip(self.expand(args), cotangents):
            if c is not None and y.requires_grad:
                c = constant(c) if recorded and not isinstance(c, Tensor) else c
                start[y] = start[y] + c if y in start else c
        targets = [self.inputs[i] for i in wanted]
        with enable_grad():
            nodes = leading_to(ancestors(start, stop=set(targets)), targets)
            goal = frozenset(targets)
            reached = backward_walk(start, nodes, targets=goal, free=not recorded, observer=context.anomaly)
        return [reached.pop(a, None) for a in targets]  # an input that stands twice gets its whole gradient once

    def jvps(self, tangents: Sequence[Any], ans: Any, *args: Any) -> Any:
        """Tangents of the results; recorded if a tangent of an input is."""
        outputs = self.expand(args)
        start = {a: v for a, v in zip(self.inputs, tangents) if v is not None}
        with enable_grad():
            known = forward_walk(start, leading_to(ancestors(outputs, stop=start), start))
        found = [known[y] if y in known else np.zeros_like(y._data) for y in outputs]
        return tuple(found) if self.outputs else found[0]
