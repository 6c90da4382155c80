"""Recurrent layers that run compiled while a model is trained."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from ..autodiff.scope import changed
from ..data import Epochs
from ..nn import Module, Recurrent
from ..nn.compiled_cells import compiled, uncompiled
from .history import History

_MOST_LENGTHS = 16
"""JAX compiles for each length anew: with more lengths than this, compiling would take longer than it saves."""


def many_lengths(executor: str | None, *data: Epochs | None) -> str | None:
    """The reason why data have too many lengths for JAX, or None; it depends on the data alone, for resuming."""
    if executor != "jax":
        return None
    lengths = set().union(*(part.step_counts() for part in data if part is not None))
    if len(lengths) <= _MOST_LENGTHS:
        return None
    return (
        f"batches have {len(lengths)} different lengths, and JAX would compile it for each. Pad them to at most "
        f'{_MOST_LENGTHS}, or pass executor="numpy" or "llvm", which serve all lengths at once'
    )


def say_not_compiled(history: History, what: str, why: object) -> None:
    """Warn, once for each part of a model, that it isn't compiled, and note it in the history."""
    if what not in history.not_compiled:
        history.not_compiled[what] = str(why)
        warnings.warn(f"fit: {what} isn't compiled: {why}", UserWarning, stacklevel=2)


def layers_to_compile(model: Module) -> list[tuple[str, Recurrent]]:
    """The recurrent layers that can be compiled, with their paths."""
    found = [(path, module) for path, module in model.named_modules() if isinstance(module, Recurrent)]
    return [(path, layer) for path, layer in found if layer.truncate is None]


@contextmanager
def compiled_layers(model: Module, executor: str | None, history: History) -> Iterator[None]:
    """A context in which the recurrent layers of a model run their loops compiled; afterwards they are as before.

    The history records which cells aren't compiled, and why. With None as executor, nothing is compiled.

    A cell that can't be compiled, or whose graph is cut along time (``truncate``), runs uncompiled.
    """
    with ExitStack() as stack:
        if executor is not None:
            for path, layer in layers_to_compile(model):
                said = partial(say_not_compiled, history, f"layer {path}" if path else "the layer")
                cells = [compiled(cell, executor, fallback=said) for cell in layer.layers]
                stack.enter_context(changed(layer, layers=cells))
        yield


@contextmanager
def as_written(model: Module) -> Iterator[None]:
    """A context in which the recurrent layers of a model run uncompiled: for a single call."""
    with ExitStack() as stack:
        for _, layer in layers_to_compile(model):
            cells = [tuple(map(uncompiled, c)) if isinstance(c, tuple) else uncompiled(c) for c in layer.layers]
            stack.enter_context(changed(layer, layers=cells))
        yield
