"""Other libraries' layers, as contenders of ``bench``. No other module of the package imports one of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np


def torch_is_there() -> bool:
    """Return True if PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def torch_step(kind: str, xs: np.ndarray, units: int, threads: int) -> Callable[[], None]:
    """A training step of PyTorch's "RNN", "LSTM" or "GRU" on inputs (T, B, n): the gradients of mean(y²)."""
    import torch

    torch.set_num_threads(threads)
    layer = getattr(torch.nn, kind)(xs.shape[-1], units)
    inputs = torch.from_numpy(xs)

    def step() -> None:
        layer.zero_grad(set_to_none=True)
        layer(inputs)[0].square().mean().backward()

    return step
