"""What a sample is: a function in plain NumPy, with inputs, for some functions of the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np


class Sample(NamedTuple):
    """One case.

    Attributes:
        functions: the functions of the registry that it stands for.
        name: for test ids.
        f: a function of arrays, in plain NumPy.
        inputs: its arguments, float64.
        analytic: whether plain NumPy computes it on complex numbers, so that the complex step can judge it.
        order: to which order it is tested.
    """

    functions: tuple[Any, ...]
    name: str
    f: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    analytic: bool
    order: int


SAMPLES: list[Sample] = []


def label(function: Any) -> str:
    """What a function is called in test ids and in the docs."""
    module = getattr(function, "__module__", None) or ""
    prefix = next((f"{part}." for part in ("linalg", "fft") if module.startswith(f"numpy.{part}")), "")
    return prefix + getattr(function, "__name__", getattr(function, "name", repr(function)))


def on(*functions: Any, analytic: bool = False, order: int = 2) -> Callable[..., None]:
    """Add samples for these functions: pairs of a function in plain NumPy and a list of inputs."""

    def add(*cases: tuple[Callable[..., Any], list[Any]]) -> None:
        for i, (f, inputs) in enumerate(cases):
            arrays = tuple(np.array(a, dtype=np.float64) for a in inputs)
            SAMPLES.append(Sample(functions, f"{label(functions[0])}-{i}", f, arrays, analytic, order))

    return add


def by_function(samples: Iterable[Sample]) -> dict[str, dict[str, Sample]]:
    """The samples in groups: of each function, by names of their own."""
    groups: dict[str, dict[str, Sample]] = {}
    for sample in samples:
        group = groups.setdefault(label(sample.functions[0]), {})
        group[f"{sample.name}, {len(group)}"] = sample
    return groups


def real(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers of both signs, none of them near 0."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 2.0, shape) * rng.choice([-1, 1], shape)


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers above 0."""
    return np.random.default_rng(seed).uniform(0.3, 2.0, shape)


def inside(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers between -1 and 1."""
    return np.random.default_rng(seed).uniform(-0.8, 0.8, shape)


def above_1(*shape: int, seed: int = 0) -> np.ndarray:
    return 1 + positive(*shape, seed=seed)


def square_matrices(*shape: int, seed: int = 0) -> np.ndarray:
    """Well-conditioned matrices."""
    return real(*shape, seed=seed) / 2 + 2 * np.eye(shape[-1])
