"""The gradient at a named value of every step, as one array."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.graph import ancestors, backward_walk
from ..autodiff.tensor import Tensor
from ..recorded.landmarks import Landmarks, Layer
from ..recorded.replay import expanded


def gradients(loss: Tensor, at: str, layer: Layer = None) -> np.ndarray:
    """The vectors ∂L/∂h_t of all steps, from one backward walk that touches no ``.grad``.

    Each is the whole gradient, including the part that arrives through later steps. (To see only the direct gradient of
    the loss by the outputs, call ``retain_grad()`` on the outputs of ``unroll``.)

    Args:
        loss: a recorded loss, one number.
        at: the name of a state, an output or any other value that the cell has labelled: "h", "c", a gate "f".
        layer: the layer; may be left out if only one layer has such a value.

    Returns:
        An array (T, ...) with the gradient of step t at index t - 1; zeros where the loss doesn't depend on the value.

    Raises:
        TypeError: the loss isn't recorded.
        ValueError: nothing has that name in the steps, or several layers have it, or no gradient flows to it.
        RuntimeError: the graph was freed.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([0.5], requires_grad=True)
        >>> _, h = tr.unroll(lambda x, h: x + w * h, np.ones((3, 1)), state=np.zeros(1))
        >>> gradients(h.sum(), at="h")
        array([[0.25],
               [0.5 ],
               [1.  ]])
    """
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        raise TypeError("gradients: pass a recorded loss, one number that was computed from parameters")
    loss = expanded(loss)[loss]
    landmarks = Landmarks([loss])
    found: dict[int, Any] = landmarks.by_step(at, layer)
    if not found:
        names = sorted({name for step in range(1, landmarks.steps + 1) for name in landmarks.names(step)})
        raise ValueError(
            f"gradients: nothing is called {at!r} in the steps; there are {', '.join(names) or 'no names'}"
        )
    if not any(node.requires_grad for node in found.values()):
        raise ValueError(
            f"gradients: no gradient flows to {at!r}: make what it comes from a Tensor that requires one, "
            "as xs = tr.tensor(xs, requires_grad=True)"
        )
    reached = backward_walk({loss: loss._seed(None)}, ancestors([loss]), also=set(found.values()))
    inner = any(node.scope.within is not None for node in found.values())
    last = max(found) if inner else max(landmarks.steps, *found)
    there = {t: np.asarray(reached.get(node, np.zeros_like(node._data))) for t, node in found.items()}
    if len({row.shape for row in there.values()}) > 1:
        raise ValueError(f"gradients: {at!r} has another shape at each step: {[row.shape for row in there.values()]}")
    nothing = np.zeros_like(next(iter(there.values())))
    return np.stack([there.get(t, nothing) for t in range(1, last + 1)])
