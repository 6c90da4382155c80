"""Recurrent layers that run compiled while a model is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..data import Epochs
from ..nn import Module, Recurrent
from ..nn.compiled_cells import compiled

_MOST_LENGTHS = 16
"""A plan is made for batches of one shape, and keeps its buffers: for data of more lengths than this, plans would cost
more memory and time than they save."""


def has_few_lengths(*data: Epochs | None) -> bool:
    """Whether plans are worth their while for such data: of these alone, so that a resumed run gives the same bits."""
    lengths = set().union(*(part.step_counts() for part in data if part is not None))
    return len(lengths) <= _MOST_LENGTHS


@contextmanager
def compiled_layers(model: Module, executor: str | None) -> Iterator[None]:
    """Let the recurrent layers of a model run their loops over time compiled inside; afterwards they are as they were.

    A cell that can't be compiled, and one that goes through time in pieces (``truncate``, ``checkpoint_every``), runs
    as it is.

    Args:
        model: The model.
        executor: As in ``tinygrad_rnn.compile``; None: compile nothing.
    """
    if executor is None:
        yield
        return
    layers = [module for module in model.modules() if isinstance(module, Recurrent) and module.in_one_go]
    before = [(layer, layer.layers) for layer in layers]
    try:
        for layer, cells in before:
            layer.layers = [compiled(cell, executor, fallback=True) for cell in cells]
        yield
    finally:
        for layer, cells in before:
            layer.layers = cells
