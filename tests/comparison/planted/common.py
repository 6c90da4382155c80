"""Networks with a derivation by hand into which slips are planted, and what runs them.

A derivation is plain NumPy. At each place where somebody could slip it calls ``slip(name, right, wrong)``, which gives
what belongs there, or, if this is the slip to be planted, what somebody wrote instead. (A function is called for its
value, so that only the one that is needed is computed.)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_rnn as tr

AND = " & "  # between the names of slips that are made at once


class Slip:
    """The slip that is made, or the two."""

    def __init__(self, name: str | None = None) -> None:
        self.names, self.places = (name or "").split(AND), {}

    def __call__(self, name: str, right: Any, wrong: Any) -> Any:
        self.places[name] = None
        chosen = wrong if name in self.names else right
        return chosen() if callable(chosen) else chosen


@dataclass(frozen=True)
class Network:
    """A loss and its derivation by hand.

    Attributes:
        name: what kind of network it is.
        loss: ``loss(parameters, *data)``.
        by_hand: ``by_hand(slip, parameters, *data)``, the gradients.
        parameters: where to compare.
        data: what both are called with besides.
    """

    name: str
    loss: Callable[..., Any]
    by_hand: Callable[..., Any]
    parameters: Mapping[str, np.ndarray]
    data: tuple[Any, ...]

    def manual(self, name: str | None = None) -> Callable[..., Any]:
        """The derivation with a slip in it, or the right one."""
        return lambda p, *data: self.by_hand(Slip(name), p, *data)

    def slips(self) -> list[str]:
        """The names of all slips."""
        slip = Slip()
        self.by_hand(slip, self.parameters, *self.data)
        return list(slip.places)

    def several(self, size: int, count: int) -> list[str]:
        """Some groups of slips that can be made at once and all show."""
        every = list(itertools.combinations(self.slips(), size))
        chosen = [every[i] for i in np.random.default_rng(len(every)).permutation(len(every))[: 3 * count]]
        return [AND.join(group) for group in chosen if self._all_show(group)][:count]

    def _all_show(self, group: tuple[str, ...]) -> bool:
        """Whether slips together give something else than they do without one of them."""
        groups = [group, *itertools.combinations(group, len(group) - 1)]
        whole, *others = (self.manual(AND.join(names))(self.parameters, *self.data) for names in groups)
        return all(any(np.max(np.abs(whole[name] - g[name])) > 1e-6 for name in whole) for g in others)

    def compare(self, name: str | None = None, **options: Any) -> Any:
        """What ``compare`` reports of a slip."""
        return tr.compare(self.loss, self.manual(name), self.parameters, self.data, **options)


NETWORKS: dict[str, Network] = {}


def weights(seed: int, scale: float = 0.7, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Random parameters."""
    rng = np.random.default_rng(seed)
    return {name: scale * rng.normal(size=shape) for name, shape in shapes.items()}


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random data."""
    return np.random.default_rng(1000 + seed).normal(size=shape)


def network(loss: Callable[..., Any], parameters: Mapping[str, np.ndarray], *data: Any) -> Callable[..., Any]:
    """Register the decorated derivation, by its name."""

    def register(by_hand: Callable[..., Any]) -> Callable[..., Any]:
        name = by_hand.__name__.replace("_", " ")
        assert name not in NETWORKS, f"there are two networks called {name}"
        NETWORKS[name] = Network(name, loss, by_hand, parameters, data)
        return by_hand

    return register


def zeros(p: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A gradient to add to."""
    return {name: np.zeros_like(value) for name, value in p.items()}


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
