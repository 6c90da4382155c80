"""The networks that the tour, the report and ``draw`` show: each a loss, recorded and ready to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import nn, unroll
from ..autodiff import Tensor, named, scope, sigmoid, tensor
from ..manual import worked_example as article


class Recorded(NamedTuple):
    """A network that has been run once."""

    loss: Tensor
    terms: dict[int, Tensor]  # the losses of the steps that have one, by step; their sum is the loss
    parameters: dict[str, Tensor]  # its parameters, by name


def worked_example() -> Recorded:
    """The article's network: it reads 1, 3, 5 in binary and shall answer 5, 3, 1, in six steps.

    Example:
        >>> round(worked_example().loss.item(), 2)
        3.3
    """
    p = {name: tensor(value, requires_grad=True, name=name) for name, value in article.PARAMS._asdict().items()}

    def cell(x: Any, h: Any) -> Any:
        h = np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
        return sigmoid(named("z", h @ p["V"] + p["c"])), h

    outputs, _ = unroll(cell, article.INPUTS, state=np.zeros(2))
    terms = {}
    for t, y in zip(article.OUTPUT_STEPS, article.TARGETS):
        with scope(step=t):  # so that the picture has it in the column of its step
            terms[t] = named("L", -np.sum(y * np.log(outputs[t - 1])))
    return Recorded(_total(terms), terms, p)


def elman(steps: int = 4, seed: int = 0) -> Recorded:
    """An Elman network with a target and a squared error at every step."""
    rng = np.random.default_rng(seed)
    shapes = {"U": (2, 3), "W": (3, 3), "V": (3, 2), "b": (3,), "c": (2,)}
    p = {name: tensor(rng.normal(size=s) / 2, requires_grad=True, name=name) for name, s in shapes.items()}

    def cell(x: Any, h: Any) -> Any:
        h = np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
        return h @ p["V"] + p["c"], h

    ys, _ = unroll(cell, rng.normal(size=(steps, 2)), state=np.zeros(3))
    return _squared_errors(ys, rng, p)


def gated(kind: type[nn.LSTMCell] | type[nn.GRUCell], steps: int = 3, seed: int = 0) -> Recorded:
    """An LSTM or a GRU whose outputs have a target and a squared error at every step."""
    rng = np.random.default_rng(seed)
    cell = kind(2, 3, seed=rng, dtype=np.float64)
    ys, _ = unroll(cell, rng.normal(size=(steps, 2)))
    return _squared_errors(ys, rng, dict(cell.named_parameters()))


def lstm(steps: int = 3, seed: int = 0) -> Recorded:
    """An LSTM with a target and a squared error at every step."""
    return gated(nn.LSTMCell, steps, seed)


def gru(steps: int = 3, seed: int = 0) -> Recorded:
    """A GRU with a target and a squared error at every step."""
    return gated(nn.GRUCell, steps, seed)


BY_NAME: dict[str, Callable[..., Recorded]] = {
    "worked-example": worked_example,
    "elman": elman,
    "lstm": lstm,
    "gru": gru,
}


def _squared_errors(ys: Tensor, rng: np.random.Generator, parameters: dict[str, Any]) -> Recorded:
    terms = {}
    for t in range(1, len(ys) + 1):
        with scope(step=t):
            target = tensor(rng.normal(size=ys.shape[1:]), name="target")
            terms[t] = named("L", np.sum(np.square(ys[t - 1] - target)))
    return Recorded(_total(terms), terms, parameters)


def _total(terms: dict[int, Tensor]) -> Tensor:
    first, *rest = terms.values()
    return sum(rest, first)
