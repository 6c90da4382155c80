"""A derivation of one layer, with the parts that it leaves open: its inputs, and the gradients that enter its states.

``manual.lstm`` and ``manual.gru`` derive a layer, and no loss: their ``backward`` begins with ∂L_t/∂h_t. In a recorded
network these are the cotangents with which the backward walk enters the states. Everything above the layer then comes
from autograd on both sides, and only the derived recurrence is tested.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ...autodiff.graph import Node
from ...recorded.landmarks import Landmarks, label_of
from ...recorded.loss_terms import entering_cotangents


def derives_a_layer(module: Any) -> bool:
    """Return True if a module's ``backward`` takes the gradient that reaches the states from above."""
    return "dLt_dh" in inspect.signature(module.backward).parameters


def run_layer(module: Any, parameters: Any, loss: Node) -> Any:
    """Run ``module.backward`` for the one layer of a recorded loss.

    Args:
        module: ``manual.lstm``, ``manual.gru``, or one with the same two functions.
        parameters: the first argument of its ``forward``.
        loss: the recorded loss; it provides the inputs and initial states of its layer.

    Raises:
        ValueError: there isn't just one layer, run from step 1 on, whose states alone lead to the loss.
    """
    marks = Landmarks([loss])
    layers = marks.layers()
    cure = f"call {module.__name__}'s forward and backward yourself, and hand in what backward returns"
    if len(layers) != 1 or marks.order(layers[0]) != list(range(marks.steps + 1)):
        raise ValueError(f"{module.__name__} derives one layer, run from step 1 on: {cure}")
    inputs = [marks.find("x", t, layers[0], "input") for t in range(1, marks.steps + 1)]
    components = marks.state_components(layers[0])
    initial = [marks.find(name, 0, layers[0], "state") for name in components]
    if any(node is None for node in (*inputs, *initial)):
        raise ValueError(f"the inputs and the initial state of the layer have no names in the recording: {cure}")
    trace = module.forward(parameters, np.stack([_value(x) for x in inputs]), *map(_value, initial))
    above = {name: np.stack([np.zeros_like(_value(s))] * marks.steps) for name, s in zip(components, initial)}
    for step, entries in entering_cotangents(loss).items():
        for node, g in entries.items():
            label = label_of(node, "state")
            if label is None or (label.name != "h" and step != marks.steps):
                raise ValueError(f"the loss reaches step {step} by more than its hidden state: {cure}")
            above[label.name][step - 1] += g
    return module.backward(trace, above["h"], *(above[name][-1] for name in components if name != "h"))


def _value(node: Any) -> np.ndarray:
    return np.asarray(node._data)
