"""The facts in which the processes of a run must agree: model, optimiser, data, loss and settings, as short texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..autodiff.trees import leaves
from ..data import Epochs
from ..nn import Module
from ..optim import Optimizer
from .prediction import Loss
from .ranks import digest_of

PACKAGE = __name__.partition(".")[0]


def facts_of(
    model: Module,
    optimizer: Optimizer,
    data: Epochs,
    validation: Epochs | None,
    loss: Loss,
    schedule: Any,
    settings: Mapping[str, Any],
) -> dict[str, str]:
    """The facts in which the processes of a run must agree, each as a short text under its name.

    Of what people write themselves (modules, losses, schedules) only the name is compared: an attribute of theirs may
    well differ from process to process.
    """
    import sys

    facts = {
        "the version of tinygrad_rnn": sys.modules[PACKAGE].__version__,
        "NumPy's version": np.__version__,
        "the model": f"{type(model).__name__} with {[(path, p.shape) for path, p in model.named_parameters()]}",
        "the weights": digest_of(p.data for p in model.parameters()),
    }
    facts |= {f"the model's {path or 'options'}": described(module) for path, module in model.named_modules()}
    facts |= {
        "the optimiser": f"{type(optimizer).__name__} {_groups_of(model, optimizer)}",
        "the optimiser's state": digest_of(_arrays_in(optimizer.state_dict()["state"])),
        "the loss": described(loss),
        "the schedule": described(schedule),
    }
    for name, batches in (("the data", data), ("the validation data", validation)):
        facts[name] = "none" if batches is None else f"examples {_digest_of_data(batches)}, {batches.state_dict()}"
    return facts | {f"the settings: {name}": str(value) for name, value in settings.items()}


def described(value: Any) -> str:
    """Return a short text that says what something is, without its place in memory."""
    if isinstance(value, partial):
        options = ", ".join(f"{name}={described(option)}" for name, option in sorted(value.keywords.items()))
        return f"{described(value.func)} with {', '.join(map(described, value.args))}({options})"
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} {digest_of([value])}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(described, value))}]"
    if value is None or isinstance(value, (bool, int, float, complex, str, np.generic)):
        return repr(value)
    if hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    name = type(value).__name__
    return f"{name}({', '.join(_options_in(value))})" if type(value).__module__.startswith(PACKAGE) else name


def _options_in(value: Any) -> Iterator[str]:
    """The options of an object of this package: numbers, words and functions, not its parts."""
    for name, option in sorted(getattr(value, "__dict__", {}).items()):
        if option is None or isinstance(option, (bool, int, float, str)) or hasattr(option, "__qualname__"):
            yield f"{name}={described(option)}"


def _groups_of(model: Module, optimizer: Optimizer) -> list[dict[str, Any]]:
    """The options of each group of parameters, which ones those are among them."""
    names = {id(parameter): path for path, parameter in model.named_parameters()}
    return [
        {**group, "params": ", ".join(names.get(id(p), "one of another model") for p in group["params"])}
        for group in optimizer.param_groups
    ]


def _arrays_in(state: Any) -> list[np.ndarray]:
    if isinstance(state, Mapping):
        return [array for key in sorted(state, key=str) for array in (np.array(str(key)), *_arrays_in(state[key]))]
    return [np.asarray(leaf) for leaf in leaves(state)]


def _digest_of_data(data: Epochs) -> str:
    held: Sequence[Any] = [getattr(data, name) for name in ("inputs", "targets", "symbols") if hasattr(data, name)]
    arrays = (array for part in held for array in (part if isinstance(part, (list, tuple)) else [part]))
    return digest_of(map(np.asarray, arrays))
