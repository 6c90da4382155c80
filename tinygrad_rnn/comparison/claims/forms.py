"""The forms in which people hand in gradients, all converted to entries by the name of their parameter."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

ALIAS = re.compile(
    r"(?:grad(?:ient)?|[dD]elta|nabla|bar|(?:[d∂](?:loss|cost|[A-Z])_?)?[dD∂]|[g∇δΔ])_?(?P<after>.+)"
    r"|(?P<before>.+?)(?:[._]?(?:grad(?:ient)?|bar)|')"
)


def unpacked(given: Any, names: list[str]) -> Any:
    """Gradients as a dict, a sequence or an array; taken out of pairs, attributes, or a tuple with the loss.

    Example:
        >>> unpacked((0.5, {"W": 1.0}), ["W"])
        {'W': 1.0}
        >>> unpacked(iter([("W", 1.0), ("b", 2.0)]), ["W", "b"])
        {'W': 1.0, 'b': 2.0}
    """
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    if isinstance(given, SimpleNamespace):
        return vars(given)
    if isinstance(given, Iterator) or type(given).__name__ in ("dict_items", "dict_values"):
        given = list(given)
    if isinstance(given, np.ndarray) and given.dtype == object:
        given = list(given)
    if isinstance(given, list) and given and all(_is_pair(entry) for entry in given):
        return dict(given)
    if type(given) in (tuple, list) and given:
        if any(_holds_parameters(k, entry, names) for k, entry in enumerate(given)) and not _is_number(given[0]):
            return dict(enumerate(given))
        named = [entry for entry in given if not _is_array(entry) and isinstance(unpacked(entry, names), Mapping)]
        if len(named) == 1:  # beside the loss, or states
            return unpacked(named[0], names)
        if _is_number(given[0]):
            if len(given) == 2 and not _is_number(given[1]) and not _is_array(given[1]):
                return unpacked(given[1], names)
            if len(given) == len(names) + 1 and not any(map(_is_number, given[1:])):
                return given[1:]
    if hasattr(given, "_asdict"):
        return {name: array for name, array in given._asdict().items() if array is not None}
    return given


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)


def _holds_parameters(place: int, entry: Any, names: list[str]) -> bool:
    """Return True for a part of gradients that are nested as the parameters are: a layer in a list of layers."""
    return isinstance(entry, (Mapping, tuple, list)) and any(name.startswith(f"{place}.") for name in names)


def _is_number(value: Any) -> bool:
    return not isinstance(value, (str, Mapping, tuple, list)) and np.ndim(value) == 0


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def called_as_parameters(given: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Entries under the names of parameters: ``dW``, ``grad_W`` and ``W_grad`` are the gradient of W.

    Letters may be large or small, and underscores left out, where that still is the name of one parameter alone.

    Example:
        >>> called_as_parameters({"dW": 1.0, "grad_b": 2.0, "x": 3.0}, ["W", "b"])
        {'W': 1.0, 'b': 2.0, 'x': 3.0}
        >>> called_as_parameters({"dwx": 1.0}, ["W_x", "W_h"])
        {'W_x': 1.0}
    """
    known = {*names, *(name.rpartition(".")[2] for name in names)}
    spelled: dict[str, set[str]] = {}
    for name in known:
        spelled.setdefault(_spelling(name), set()).add(name)
    found: dict[str, Any] = {}
    for key, value in given.items():
        match = None if key in known else ALIAS.fullmatch(key)
        meant = (match["after"] or match["before"]) if match else key
        for one in (meant, key):
            alike = spelled.get(_spelling(one), set())
            if meant not in known and len(alike) == 1:
                (meant,) = alike
        is_free = meant in known and meant not in given and meant not in found
        found[meant if is_free else key] = value
    return found


def _spelling(name: str) -> str:
    return name.replace("_", "").casefold()


def is_object(manual: Any) -> bool:
    """Return True for an object with ``forward`` and ``backward`` that is no module of derivations."""
    has_both = callable(getattr(manual, "forward", None)) and callable(getattr(manual, "backward", None))
    return has_both and not isinstance(manual, (ModuleType, type))


def run_object(manual: Any, parameters: Any, data: tuple[Any, ...], names: list[str]) -> Any:
    """Run an object's ``forward``, then ``backward``; gradients may be a result, or attributes (``dW``, ``grads``)."""
    manual.forward(*_as_many(manual.forward, (parameters, *data), data))
    given = manual.backward(*_as_many(manual.backward, (), data))
    if given is not None:
        return given
    for name in ("grads", "gradients", "grad"):
        if isinstance(getattr(manual, name, None), Mapping):
            return getattr(manual, name)
    attributes = called_as_parameters({k: v for k, v in vars(manual).items() if _is_array(v) and k not in names}, names)
    return {name: value for name, value in attributes.items() if name in names}


def _as_many(method: Any, whole: tuple[Any, ...], data: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments that a method takes: all of these, the data alone, or none."""
    for arguments in (whole, data, ()):
        try:
            inspect.signature(method).bind(*arguments)
        except TypeError:
            continue
        return arguments
    return whole
