"""The rounding error of gradients: what tells a gradient that is zero from one that is small.

Where all terms of a gradient cancel, as those of a loss that adds up a softmax, what is left of it is rounding. Two
right derivations then differ by as much as the gradient itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autodiff.graph import Node, Observer, observe_backward
from ..autodiff.scope import enable_grad
from ..autodiff.tensor import Tensor, tensor
from .recording import Recording
from .replay import replay

TIMES_MOVED = 8
HARDLY = 1e-9  # of the loss; for larger differences, the graph isn't run again


class _Largest(Observer):
    """An observer that keeps the largest number of all cotangents."""

    number = 0.0

    def cotangent(self, node: Node, g: Any) -> None:
        self.number = max(self.number, float(np.max(np.abs(np.asarray(g)), initial=0.0)))


def rounded(recording: Recording, differences: Mapping[str, float]) -> set[str]:
    """The names of gradients whose largest differences from other ones are no more than rounding."""
    possible = {name for name, difference in differences.items() if difference <= HARDLY * abs(recording.loss.item())}
    errors = rounding(recording) if possible else {}
    return {name for name in possible if differences[name] <= 10 * errors[name]}


def rounding(recording: Recording) -> dict[str, float]:
    """The rounding error of each gradient: its largest change as the parameters change in their last places.

    A gradient of zeros doesn't change; for it, it is that of the largest cotangent.

    Example:
        >>> import tinygrad_rnn as tr
        >>> from tinygrad_rnn.recorded.recording import record
        >>> recording = record(lambda w: np.sum(tr.softmax(w)), np.array([0.1, 0.2, 0.7]))
        >>> recording.gradients()[""].max() < 10 * rounding(recording)[""] < 1e-14
        True
    """
    rng, gradients, largest = np.random.default_rng(0), recording.gradients(), _Largest()
    observe_backward(recording.loss, largest)
    least = float(np.finfo(np.float64).eps) * largest.number
    found = {name: 0.0 if gradient.any() else least for name, gradient in gradients.items()}
    for _ in range(TIMES_MOVED):
        moved: dict[Node, Any] = {leaf: _in_its_last_places(leaf, rng) for leaf in recording.parameters.values()}
        with enable_grad():
            loss = replay(recording.loss, moved)[recording.loss]
        reached = observe_backward(loss, Observer())
        for name, leaf in recording.parameters.items():
            change = np.abs(np.subtract(reached.get(moved[leaf], 0.0), gradients[name]))
            found[name] = max(found[name], float(np.max(change, initial=0.0)))
    return found


def _in_its_last_places(leaf: Tensor, rng: np.random.Generator) -> Tensor:
    data = leaf._data
    change = 4 * np.finfo(data.dtype).eps * rng.uniform(-1, 1, data.shape)
    return tensor((data * (1 + change)).astype(data.dtype), requires_grad=True)
