"""Recurrent layers that run compiled while a model is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..compiler import compile
from ..data import Epochs
from ..nn import Module, Recurrent
from ..nn.compiled_cells import is_compiled

_MOST_LENGTHS = 16
"""A plan is made for batches of one shape, and keeps its buffers: for data of more lengths than this, plans would cost
more memory and time than they save."""


@contextmanager
def compiled_layers(model: Module, executor: str | None, *data: Epochs | None) -> Iterator[None]:
    """Let the recurrent layers of a model run their loops over time compiled inside; afterwards they are as they were.

    Whether they do depends on the data alone, so a run that is resumed gives the same bits. A cell that can't be
    compiled, and one that goes through time in pieces (``truncate``, ``checkpoint_every``), runs as it is.

    Args:
        model: The model.
        executor: As in ``tinygrad_rnn.compile``; None: compile nothing.
        data: What the model will be called with.
    """
    lengths = set().union(*(part.step_counts() for part in data if part is not None))
    layers = [module for module in model.modules() if isinstance(module, Recurrent) and _in_one_go(module)]
    before = [(layer, layer.layers) for layer in layers if executor is not None and len(lengths) <= _MOST_LENGTHS]
    try:
        for layer, cells in before:
            layer.layers = [_compiled(cell, executor) for cell in cells]
        yield
    finally:
        for layer, cells in before:
            layer.layers = cells


def _in_one_go(layer: Recurrent) -> bool:
    return layer.truncate is None and layer.checkpoint_every is None


def _compiled(layer: Any, executor: Any) -> Any:
    """A cell compiled, or a pair of cells, forward and reverse; what is compiled already as it is."""
    if isinstance(layer, tuple):
        return tuple(_compiled(cell, executor) for cell in layer)
    return layer if is_compiled(layer) else compile(layer, executor=executor, fallback=True)
