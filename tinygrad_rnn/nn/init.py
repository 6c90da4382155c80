"""Initial values of parameters, each from an explicit random generator: the same seed gives the same numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Seed = Any  # a numpy.random.Generator, or an int that makes one


def generator(seed: Seed) -> np.random.Generator:
    """The generator itself, or a new one made from a seed.

    Raises:
        TypeError: None: a model that can't be made again is refused.
    """
    if seed is None:
        raise TypeError("give a seed: an int, or a numpy.random.Generator, so that the same numbers can be had again")
    return np.random.default_rng(seed)


def uniform(shape: tuple[int, ...], seed: Seed, bound: float, dtype: Any = np.float32) -> np.ndarray:
    """Uniform between ``-bound`` and ``bound``.

    Example:
        >>> from tinygrad_rnn.nn import init
        >>> bool((abs(init.uniform((3, 4), 0, bound=0.5)) <= 0.5).all())
        True
    """
    return generator(seed).uniform(-bound, bound, shape).astype(dtype)


def xavier(shape: tuple[int, int], seed: Seed, gain: float = 1.0, dtype: Any = np.float32) -> np.ndarray:
    """Uniform with variance ``gain² · 2 / (n + m)``, which keeps a signal's size both forward and backward.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010), eq.
    16.

    Example:
        >>> from tinygrad_rnn.nn import init
        >>> init.xavier((3, 4), seed=0).shape
        (3, 4)
    """
    return uniform(shape, seed, gain * math.sqrt(6 / (shape[0] + shape[1])), dtype)
