"""Suggestions for a misspelled or missing name: NumPy's own function, or our name for PyTorch's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np

# Functions and methods that people know from PyTorch, and what does the same; {x} is the Tensor.
FROM_TORCH = {
    "bmm": "{x} @ other",
    "cat": "np.concatenate([a, b], axis=0)",
    "clamp": "np.clip({x}, low, high)",
    "clone": "{x}.copy()",
    "contiguous": "{x} itself: arrays need no such call",
    "cpu": "{x} itself: arrays are on the CPU",
    "cuda": "{x} itself: arrays are on the CPU",
    "dim": "{x}.ndim",
    "double": "{x}.astype(np.float64)",
    "expand": "np.broadcast_to({x}, shape)",
    "float": "{x}.astype(np.float32)",
    "from_numpy": "tr.tensor(array)",
    "gather": "np.take_along_axis({x}, indices, axis)",
    "index_select": "np.take({x}, indices, axis)",
    "long": "{x}.astype(int)",
    "masked_fill": "np.where(mask, value, {x})",
    "mm": "{x} @ other",
    "norm": "np.linalg.norm({x})",
    "numel": "{x}.size",
    "permute": "np.transpose({x}, axes)",
    "pow": "{x} ** exponent",
    "rand": "np.random.default_rng(0).random(shape)",
    "randn": "np.random.default_rng(0).normal(size=shape)",
    "rsqrt": "1 / np.sqrt({x})",
    "scatter": "tr.index_update({x}, index, values)",
    "scatter_add": "tr.index_add({x}, index, values)",
    "t": "{x}.T",
    "to": "{x}.astype(dtype)",
    "type": "{x}.astype(dtype)",
    "unsqueeze": "np.expand_dims({x}, axis), or {x}[None]",
    "view": "{x}.reshape(shape)",
}
# Methods that change a Tensor in PyTorch.
IN_PLACE = {
    "add_": "{x} += other",
    "copy_": "{x}[...] = other",
    "div_": "{x} /= other",
    "fill_": "{x}[...] = value",
    "mul_": "{x} *= other",
    "sub_": "{x} -= other",
    "zero_": "{x}[...] = 0",
}
# Functions of an array that the package has, since NumPy hasn't.
OWN = (
    *(
        "elu",
        "erf",
        "gelu",
        "hard_sigmoid",
        "hard_tanh",
        "leaky_relu",
        "log_sigmoid",
        "log_softmax",
        "logsumexp",
        "relu",
    ),
    *("selu", "sigmoid", "silu", "softmax", "softplus"),
)
NEEDS_NO_TENSOR = ("zeros", "ones", "empty", "full", "arange", "linspace", "eye", "array", "asarray")


def method(name: str) -> str:
    """The error for an attribute that a Tensor hasn't, with the way to write it."""
    said = f"a Tensor has no attribute {name!r}"
    if name in IN_PLACE:
        return f"{said}: in tr.no_grad(), for a leaf that requires a gradient, write {IN_PLACE[name].format(x='x')}"
    if name == "requires_grad_":
        return f"{said}: write x.requires_grad = True"
    if name in OWN:
        return f"{said}: write tr.{name}(x)"
    if name in FROM_TORCH:
        return f"{said}: write {FROM_TORCH[name].format(x='x')}"
    if callable(getattr(np, name, None)):
        return f"{said}: NumPy's own functions take Tensors; write np.{name}(x)"
    return said


def function(name: str, known: Iterable[str], rooms: Iterable[tuple[str, Iterable[str]]]) -> str:
    """The error for a name that the package hasn't, with the way to write it.

    Args:
        name: what was asked for.
        known: the package's own names.
        rooms: its rooms, and what each offers.
    """
    said = f"tinygrad_rnn has no {name!r}"
    for room, offered in rooms:
        if name in offered:
            return f"{said}: it is tr.{room}.{name}"
    if name in FROM_TORCH:
        return f"{said}: write {FROM_TORCH[name].format(x='x')}"
    if callable(getattr(np, name, None)):
        example = f"np.{name}(...)" if name in NEEDS_NO_TENSOR else f"np.{name}(x)"
        wrapped = f", or tr.tensor({example}, requires_grad=True)" if name in NEEDS_NO_TENSOR else ""
        return f"{said}: models are written in NumPy, whose functions take Tensors; write {example}{wrapped}"
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"{said}: did you mean tr.{close[0]}?" if close else said
