"""``checkpoint``: forget the intermediate values of a function, and compute them again for the backward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .expandable import Expandable
from .graph import ancestors, next_serial
from .scalar import Scalar
from .scope import context, resumed
from .tensor import Tensor, apply
from .trees import leaves, tree_map


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the same values and gradients as ``f`` that stores only its inputs and results.

    Intermediate values of ``f`` are computed again in the backward pass: less memory, more time. Over a long sequence,
    checkpointing every √T steps brings memory from T down to about 2√T, for one more forward pass.

    Args:
        f: a pure function of arrays and trees of them, which returns an array or a tree; it may use Tensors from
            outside, and they get their gradients. Draw random numbers before, and pass them in.

    Raises:
        RuntimeError: (in the backward pass) ``f`` had other results the second time, or the data of a Tensor that it
            uses was replaced in between.

    Source: Chen et al., "Training deep nets with sublinear memory cost" (2016).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> W = tr.tensor([[0.5]], requires_grad=True)
        >>> step = tr.checkpoint(lambda x, h: np.tanh(x + h @ W))
        >>> h = step(np.ones(1), step(np.ones(1), np.zeros(1)))
        >>> h.op.name
        'checkpoint'
        >>> h.sum().backward()
        >>> round(W.grad.item(), 4)
        0.1703
    """

    @functools.wraps(f)
    def checkpointed(*args: Any, **keywords: Any) -> Any:
        if not context.recording or context.trace is not None:
            return f(*args, **keywords)
        args, keywords = tree_map(_kept, args), tree_map(_kept, keywords)
        began = next_serial()
        result = f(*args, **keywords)
        found = [y for y in leaves(result) if isinstance(y, Tensor) and y.requires_grad and y.serial > began]
        if not found:
            return result
        op = _Checkpoint(functools.partial(f, *args, **keywords), found, began)
        results = apply(op, op.inputs)
        standing_in = dict(zip(found, results if op.outputs else [results]))
        return tree_map(lambda y: standing_in.get(y, y) if isinstance(y, Tensor) else y, result)

    return checkpointed


def _kept(a: Any) -> Any:
    """An argument, copied if it is the caller's array: it is needed again, and the caller may change it."""
    return np.array(a) if isinstance(a, np.ndarray) and a.dtype != object else a


class _Before:
    """The set of nodes that were recorded before a moment: the graph of a checkpoint ends at them."""

    def __init__(self, serial: int) -> None:
        self.serial = serial

    def __contains__(self, node: Any) -> bool:
        return node.serial < self.serial


class _Checkpoint(Expandable):
    """A call of a checkpointed function.

    ``again`` runs the function on the same arguments; ``began`` is the serial number of the moment before it ran first.
    The graph behind its results is not kept.
    """

    __slots__ = ("_again", "_scope", "_values")

    def __init__(self, again: Callable[[], Any], results: Sequence[Tensor], began: int) -> None:
        nodes = ancestors(results, stop=_Before(began), spent=False)
        inputs = [node for node in reversed(nodes) if node.serial < began]
        made_inside = [node for node in nodes if node.is_leaf and node.serial > began]
        if made_inside:
            raise ValueError(
                "checkpoint: the function makes a Tensor that requires a gradient, and would make another one when it "
                "runs again. Make it outside."
            )
        super().__init__("checkpoint", inputs, outputs=len(results) != 1)
        self._again = again
        self._scope = context.scope
        self._values = tuple(y._data for y in results)

    def forward(self, *arrays: Any) -> Any:
        """The values that the function returned when it ran before recording."""
        return self._values if self.outputs else self._values[0]

    def record(self) -> list[Tensor]:
        """Run the function again, in the scope in which it ran first."""
        began = next_serial()
        with resumed(self._scope):
            result = self._again()
        found = [y for y in leaves(result) if isinstance(y, Tensor) and y.requires_grad and y.serial > began]
        same = len(found) == len(self._values) and all(map(_same, found, self._values))
        if not same:
            raise RuntimeError(
                "checkpoint: the function had other results when it ran again. It must be pure: draw random numbers "
                "before and pass them in, and update parameters after the backward pass."
            )
        return found


def _same(y: Tensor, value: Any) -> bool:
    """Return True if two values agree to about half of their digits: products may be summed in another order."""
    tolerance = float(np.sqrt(np.finfo(value.dtype).eps))
    return y.shape == value.shape and np.allclose(y._data, value, rtol=tolerance, atol=tolerance, equal_nan=True)


def stop_gradient(tree: Any) -> Any:
    """The same values, through which no gradient flows: ``detach()`` for an array or a tree of them.

    Args:
        tree: Tensors, Scalars and arrays, nested or not.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> float(tr.grad(lambda x: x * tr.stop_gradient(x))(3.0))
        3.0
    """
    return tree_map(_detached, tree)


def _detached(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x.detach()
    if isinstance(x, Scalar):
        return Scalar(x.data, requires_grad=False)
    if isinstance(x, np.ndarray) and x.dtype == object:
        return np.array([_detached(number) for number in x.flat], dtype=object).reshape(x.shape)
    return x
