"""The gradient at a named value of every step, as one array."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autodiff.graph import Node, Observer, observe_backward
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
        An array (T, ...) with the gradient of step t at index t - 1; zeros where the loss doesn't depend on the value;
        NaN at the last step of a padded batch if the loss depends there only on values computed from it (an LSTM's h
        from c), because the state of a padded batch is recorded apart from the one that its step computes.

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
    arriving = Arriving(found.values())
    observe_backward(loss, arriving)
    inner = any(node.scope.within is not None for node in found.values())
    last = max(found) if inner else max(landmarks.steps, *found)
    there = {t: np.asarray(arriving.found.get(node, np.zeros_like(node._data))) for t, node in found.items()}
    if len({row.shape for row in there.values()}) > 1:
        raise ValueError(f"gradients: {at!r} has another shape at each step: {[row.shape for row in there.values()]}")
    nothing = np.zeros_like(next(iter(there.values())))
    if arriving.chosen:
        layers = {label.layer for node in arriving.chosen for label in node.labels if label.name == at}
        labels = [label for node in landmarks.nodes for label in node.labels if label.layer in layers]
        unknown = {label.step for label in labels if label.role == "output"} - found.keys()
        there |= {t: np.full_like(nothing, np.nan) for t in unknown if t}
    return np.stack([there.get(t, nothing) for t in range(1, last + 1)])


class Arriving(Observer):
    """The gradients that arrive at some values.

    In a padded batch, the state after a step is a choice between the new state and the one before. Values that the cell
    computes from its new state in the same step (an LSTM's h from c) bypass that choice; their gradient counts, too.

    Args:
        wanted: the values.
        keep: a function of each gradient, such as its norm, whose result is kept.

    Attributes:
        found: what is kept, for each value that a gradient arrives at.
        chosen: the values that are such choices.
    """

    def __init__(self, wanted: Iterable[Node], keep: Callable[[Any], Any] = np.asarray) -> None:
        self.wanted, self.keep = set(wanted), keep
        self.found: dict[Node, Any] = {}
        self._chosen_from: dict[Node, list[Any]] = {}  # for a new state, the choices between it and the one before
        self._gradients: dict[Node, Any] = {}  # of what was chosen
        for node in self.wanted:
            new = _new_state(node)
            if new is not None:
                self._chosen_from.setdefault(new, []).append(node)
        self.chosen = [node for nodes in self._chosen_from.values() for node in nodes]

    def cotangent(self, node: Node, g: Any) -> None:
        """Keep a gradient; that of a new state belongs to what was chosen, where it was."""
        for state in self._chosen_from.get(node, ()):
            self.found[state] = self.keep(np.where(state._arrays[0], g, self._gradients.pop(state, 0.0)))
        if node in self.wanted:
            self.found[node] = self.keep(g)
            self._gradients[node] = g


def _new_state(node: Node) -> Node | None:
    """The new state, if a state is a choice between it and the state before; else None."""
    if node.op is None or node.op.name != "where":
        return None
    _, new, before = node.inputs
    layers = _layers_of_states(node)
    is_choice = layers & _layers_of_states(before) and not layers & _layers_of_states(new)
    return new if isinstance(new, Node) and is_choice else None


def _layers_of_states(value: Any) -> set[Layer]:
    """The layers in which a value is a state."""
    return {label.layer for label in getattr(value, "labels", ()) if label.role == "state"}
