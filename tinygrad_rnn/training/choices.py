"""The arguments of ``fit``, by name or as an object: data, losses, optimisers, metrics. Anything else is refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from numbers import Real
from types import FunctionType
from typing import Any

from .. import nn, optim
from ..autodiff import no_grad
from ..data import Batch, Epochs
from ..data.examples import batches_of
from ..nn.calling import batch_axis, batch_first, dtype_of, evaluating, parameters_of
from .metrics import accuracy
from .prediction import Loss, Predict

LOSSES: dict[str, Loss] = {
    loss.__name__: loss
    for loss in (
        nn.mse,
        nn.l1,
        nn.huber,
        nn.cross_entropy,
        nn.nll,
        nn.binary_cross_entropy,
        nn.binary_cross_entropy_with_logits,
        nn.one_sided_cross_entropy,
    )
}
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    kind.__name__.lower(): kind for kind in (optim.SGD, optim.Adam, optim.AdamW, optim.Adagrad, optim.RMSprop)
}
METRICS: dict[str, Loss] = {"accuracy": accuracy, **LOSSES}
ELSEWHERE = {
    "bce": "binary_cross_entropy",
    "bcewithlogits": "binary_cross_entropy_with_logits",
    "ce": "cross_entropy",
    "categoricalcrossentropy": "cross_entropy",
    "sparsecategoricalcrossentropy": "cross_entropy",
    "smoothl1": "huber",
    "mae": "l1",
    "meanabsoluteerror": "l1",
    "meansquarederror": "mse",
    "negativeloglikelihood": "nll",
    "acc": "accuracy",
    "momentum": "sgd",
}
"""Names that other libraries, or people, use for some of them, in letters and without "loss" at the end."""
LIBRARIES = {
    "torch": "PyTorch",
    "keras": "Keras",
    "tensorflow": "TensorFlow",
    "optax": "Optax",
    "sklearn": "scikit-learn",
}


def as_loss(given: Any, *, batch_first: bool = False) -> Loss:
    """Return the loss function for a name or a function.

    Raises:
        ValueError: there is no loss of this name.
        TypeError: the loss is neither a name nor a function.
    """
    if isinstance(given, str):
        loss = _named("loss", given, LOSSES)
    elif isinstance(given, optim.Optimizer) or _is_class_of(given, optim.Optimizer):
        raise TypeError("fit: this is an optimiser in the loss's place: fit(model, data, loss, optimizer, ...)")
    elif not callable(given) or _library_of(given):
        raise TypeError(
            f"fit: the loss is a function of (prediction, targets) that returns one number, such as nn.mse, or a name "
            f"({', '.join(LOSSES)}), not {_shown(given)}"
        )
    else:
        loss = given
    return _told(loss, batch_first)


def as_optimizer(given: Any, parameters: Iterable[Any], lr: float | None = None) -> optim.Optimizer:
    """Return the optimiser for a name, a class, a function or an optimiser; ``lr`` is for one that is made here.

    Raises:
        ValueError: there is no optimiser of this name, or ``lr`` is given with an optimiser that exists already.
        TypeError: the argument is none of these.
    """
    if isinstance(given, optim.Optimizer):
        if lr is not None:
            raise ValueError(f"fit: lr={lr} is for an optimiser by name; this {given.name} has its learning rate")
        return given
    made: Any = None
    if isinstance(given, str):
        made = _named("optimizer", given, OPTIMIZERS)
    elif callable(given) and not _library_of(given):
        made = given
    options = {} if lr is None else {"lr": lr}
    try:
        optimizer = None if made is None else made(parameters, **options)
    except TypeError:
        if made is not given or isinstance(made, type):
            raise
        optimizer = None  # some other function, such as a loss
    if not isinstance(optimizer, optim.Optimizer):
        raise TypeError(
            f"fit: optimizer is one of tr.optim, such as optim.Adam(model.parameters(), lr=0.01), or a name "
            f"({', '.join(OPTIMIZERS)}), not {_shown(given if optimizer is None else optimizer)}"
        )
    return optimizer


# The columns that histories and logs have of their own, beside the metrics.
OWN_COLUMNS = ("loss", "smoothed", "step", "epoch", "seconds", "learning_rate")


def as_metrics(given: Any, *, batch_first: bool = False) -> dict[str, Loss]:
    """Return metric functions by name, from a dict, from functions or names of ``METRICS``, or from None.

    Raises:
        ValueError: there is no metric of this name; or two have one name, or that of a column of the history.
        TypeError: a metric is neither a name nor a function.
    """
    if given is None:
        return {}
    if isinstance(given, str) or callable(given):
        given = [given]
    if isinstance(given, (list, tuple)) and all(isinstance(one, str) or callable(one) for one in given):
        names = [one if isinstance(one, str) else getattr(one, "__name__", type(one).__name__) for one in given]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"fit: two metrics are called {name!r}: give a dict, with a name for each")
        given = dict(zip(names, given))
    if not isinstance(given, Mapping):
        raise TypeError(
            'fit: metrics is a dict from names to functions of (prediction, targets), such as {"accuracy": '
            f"training.accuracy}}, or names ({', '.join(METRICS)}), not {_shown(given)}"
        )
    found: dict[str, Loss] = {}
    for name, metric in given.items():
        if str(name) in (*OWN_COLUMNS, *found) or str(name).startswith("validation_"):
            raise ValueError(f"fit: a metric can't be called {name!r}, as a column of the history or of logs is")
        if isinstance(metric, str):
            metric = _named("metric", metric, METRICS)
        if not callable(metric) or _library_of(metric):
            raise TypeError(
                f"fit: the metric {name!r} is a function of (prediction, targets) that returns one number, or a name "
                f"({', '.join(METRICS)}), not {_shown(metric)}"
            )
        found[str(name)] = _told(metric, batch_first)
    return found


def check_model(model: Any) -> None:
    """Raise TypeError if an object is no model."""
    if isinstance(model, nn.Module):
        return
    if _is_class_of(model, nn.Module):
        raise TypeError(f"fit: {model.__name__} is a class; make a model of it first: {model.__name__}(...)")
    raise TypeError(
        f"fit: the model is an nn.Module, not {_shown(model)}. A function becomes one as the forward() of a class that "
        "holds its parameters as nn.Parameter"
    )


def check_numbers(given: Mapping[str, Any]) -> None:
    """Raise TypeError if an option is something else than a number, or None."""
    for name, value in given.items():
        if value is not None and not isinstance(value, Real):
            raise TypeError(f"fit: {name} is a number, not {value!r:.80}")


def as_schedule(given: Any, optimizer: optim.Optimizer) -> Any:
    """Return the schedule: one of the package's, the result of a function of the optimiser, or None.

    Raises:
        TypeError: the argument, or the function's result, is no schedule.
    """
    kinds = (optim.Schedule, optim.ReduceLROnPlateau)
    made = given(optimizer) if callable(given) and not isinstance(given, kinds) and not _library_of(given) else given
    if made is not None and not isinstance(made, kinds):
        raise TypeError(f"fit: schedule is one of tr.optim, such as optim.StepLR(optimizer, 100), not {_shown(made)}")
    return made


def as_batches(
    model: nn.Module, data: Any, predict: Predict, batch_size: int | None = None, shuffled: bool = False
) -> Epochs:
    """Return batches as they are, or make batches of a pair ``(X, y)``.

    Raises:
        TypeError: the data are neither batches nor a pair.
        ValueError: the pair can't be made into batches, or ``batch_size`` is given with data that are batches already.
    """
    if isinstance(data, Epochs):
        if batch_size is not None:
            raise ValueError(f"fit: batch_size={batch_size} is for a pair (X, y); these batches have their size")
        return data
    if not isinstance(data, (tuple, list)):
        raise TypeError(
            "fit takes data and validation as a pair (X, y) of arrays or lists, or as data.Batches or "
            f"data.StreamBatches, which know their place, not {_shown(data)}"
        )

    def gives_sequences(batch_of: Callable[[int], Batch]) -> bool:
        with evaluating(model), no_grad():
            return batch_axis(lambda count: predict(model, batch_of(count), None)[0]) == 1

    rng = nn.init.generator() if shuffled else None
    first, dtype = batch_first(model), dtype_of(model)
    return batches_of(data, gives_sequences, batch_size=batch_size, rng=rng, batch_first=first, dtype=dtype)


def as_callbacks(given: Any) -> list[Callable[[Any], None]]:
    """Return callbacks as a list; a single callback may be passed without a list.

    Raises:
        TypeError: a callback can't be called.
    """
    callbacks = [given] if callable(given) else list(given)
    for callback in callbacks:
        if not callable(callback) or isinstance(callback, type):
            raise TypeError(f"fit: a callback is a function of the run, called after each step, not {_shown(callback)}")
    return callbacks


def _named(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    """The entry of this name, in any spelling; for an unknown name the error suggests the closest one."""
    letters, spelt = _letters(name), {_letters(one): one for one in known}
    if letters in spelt:
        return known[spelt[letters]]
    short = letters.removesuffix("loss")
    meant = ELSEWHERE.get(short) or spelt.get(short)
    if meant not in known:
        meant = next((spelt[one] for one in difflib.get_close_matches(letters, spelt, n=1)), None)
    hint = f"; did you mean {meant!r}?" if meant else "."
    raise ValueError(f"fit: there is no {kind} {name!r}{hint} There are {', '.join(known)}")


def _told(function: Loss, batch_first: bool) -> Loss:
    """A loss or a metric with ``batch_first=True`` bound to it, if it has that parameter."""
    return partial(function, batch_first=True) if batch_first and "batch_first" in parameters_of(function) else function


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_class_of(value: Any, kind: type) -> bool:
    return isinstance(value, type) and issubclass(value, kind)


def _library_of(value: Any) -> str | None:
    """The name of the other library that an object comes from."""
    module = getattr(value, "__module__", None) or type(value).__module__
    return LIBRARIES.get(str(module).partition(".")[0])


def _shown(value: Any) -> str:
    library = _library_of(value)
    named = value if isinstance(value, (type, FunctionType)) else type(value)
    name = named.__name__
    if library:
        return f"{name} of {library}, which works on {library}'s own arrays"
    if isinstance(value, (str, int, float, type(None))):
        return f"{value!r:.80}"
    return f"the function {name}" if isinstance(value, FunctionType) else f"a {name}"
