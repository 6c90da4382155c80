"""The form of arguments: all properties that a plan depends on, except the lengths of axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autodiff.tensor import Tensor
from ...autodiff.trees import children

COMPARED = {int, bool, str, bytes, type(None)}


class Itself:
    """A key that is equal only to the key of the same object, however the objects compare."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Itself) and other.thing is self.thing


def form_of(a: Any, arrays: list[Any], lengths: list[int], things: list[Any]) -> Any:
    """The form of an argument, on which a plan depends: an array's axes and dtype, a tree's form, else the value.

    Args:
        a: an argument, or a tree of arguments.
        arrays: a list to which the arrays in it are appended.
        lengths: a list to which the lengths of all their axes are appended.
        things: a list to which objects that may hold anything are appended: models, settings.
    """
    kind = a.__class__
    if kind is tuple:  # as all arguments together are
        return kind, tuple([form_of(part, arrays, lengths, things) for part in a])
    if isinstance(a, Tensor):
        arrays.append(a)
        lengths += a._data.shape
        return a._data.ndim, a._data.dtype, True
    if isinstance(a, np.ndarray):
        arrays.append(a)
        lengths += a.shape
        return a.ndim, a.dtype, False
    if kind in COMPARED:
        return kind, a
    if kind is float:
        return kind, repr(a)  # distinguishes -0.0 from 0.0, but not one NaN from another
    if isinstance(a, np.generic):
        return kind, a.dtype, a.tobytes()
    if isinstance(a, dict):
        return (dict, *[(key, form_of(part, arrays, lengths, things)) for key, part in a.items()])
    forms = [form_of(part, arrays, lengths, things) for part in children(a) or ()]
    if isinstance(a, (tuple, list)):
        return kind, tuple(forms)
    things.append(a._tree_origin() if hasattr(a, "_tree_origin") else a)
    return (kind, Itself(things[-1]), *forms)
