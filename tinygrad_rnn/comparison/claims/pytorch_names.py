"""Gradients of PyTorch's recurrent layers, by the names and in the shapes that parameters have here.

PyTorch multiplies by transposed matrices and adds two biases, so ``weight_ih_l0`` is ``U`` transposed, ``weight_hh_l0``
is ``W`` transposed, and the gradient of ``b`` is that of either bias; in a GRU the last third of ``bias_hh_l0`` is
``b_hn``. If the parameters have other names than these, the first one with the right shape is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...autodiff.array_node import value_of

PATTERN = re.compile(
    r"(?P<prefix>(?:.*\.)?)(?P<kind>weight|bias)_(?P<of>ih|hh|hr)(?:_l(?P<layer>\d+)(?P<reverse>_reverse)?)?"
)
MATRICES = {"ih": "U", "hh": "W", "hr": "V"}


def translated(given: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Entries with PyTorch's names by the names they have here; all others as they are.

    Args:
        given: gradients by name.
        parameters: the parameters here; names among these stay unchanged.

    Example:
        >>> import numpy as np
        >>> found = translated({"weight_ih_l0": np.zeros((8, 3)), "V": np.zeros(2)}, {"U": None, "V": None})
        >>> {name: array.shape for name, array in found.items()}
        {'U': (3, 8), 'V': (2,)}
    """
    matches = {name: PATTERN.fullmatch(name) for name in given if name not in parameters}
    several = len({match["layer"] for match in matches.values() if match is not None}) > 1
    both_ways = any(match is not None and match["reverse"] for match in matches.values())
    found: dict[str, Any] = {}
    for name, value in given.items():
        match = matches.get(name)
        if match is None:
            found[name] = value
            continue
        path = f"layers.{match['layer']}." if several or both_ways else ""
        path += f"{int(bool(match['reverse']))}." if both_ways else ""
        for own, array in _own(match, value, parameters).items():
            called = f"{path}{own}"
            if not any(name == called or name.endswith(f".{called}") for name in parameters):
                like_it = (p for p, leaf in parameters.items() if p not in given and np.shape(leaf) == array.shape)
                called = next((p for p in like_it if p not in found), called)
            if own != "second bias" or called in parameters:
                found[called] = array
    return found


def _own(match: re.Match[str], value: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    value = value_of(value)
    if match["kind"] == "weight":
        return {MATRICES[match["of"]]: value.T}
    if match["of"] == "ih":
        return {"b": value}
    own = {name.rpartition(".")[2] for name in parameters}
    if "b_hn" in own:
        return {"b_hn": value[2 * len(value) // 3 :]}
    return {} if "b" in own else {"second bias": value}
