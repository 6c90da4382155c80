"""Plain arrays that remember their origin: the masks that a loss makes by comparisons.

A comparison of Tensors returns a plain array, through which no gradient flows, so a graph knows its numbers alone. Who
reads the graph as formulas has to know that they are ``a > 0``. Within ``remembering()`` such arrays are written down
with their origin, also what NumPy makes of them: ``1 - mask``, ``mask[:, None]``; and so is what operations make of
detached Tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .rules import indexing, shape
from .scope import changed, context


class Origin(NamedTuple):
    """The origin of a plain array."""

    array: Any  # the array; it is kept, so that its identity stays its own
    function: Callable[..., Any]  # the function that made it
    inputs: tuple[Any, ...]  # the arguments of that function


Origins = dict[int, Origin]  # by the identity of the array


@contextmanager
def remembering(origins: Origins | None = None) -> Iterator[Origins]:
    """A context in which the results of comparisons remember their origin; it provides the origins.

    Args:
        origins: those that are known already, to which more are added.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> from tinygrad_rnn.autodiff.remembering import remembering
        >>> a = tr.tensor([1.0, -2.0], requires_grad=True)
        >>> with remembering() as origins:
        ...     mask = a > 0
        >>> origins[id(mask)].function.__name__, origins[id(mask)].inputs[0] is a
        ('greater', True)
    """
    origins = {} if origins is None else origins
    with changed(context, origins=origins):
        yield origins


def remembered(function: Callable[..., Any], inputs: tuple[Any, ...], result: Any) -> Any:
    """Return the result of a function, as an array whose origin is known from now on."""
    if context.origins is None or not isinstance(result, (np.ndarray, np.generic)):
        return result
    array = np.asarray(result).view(Remembered)
    context.origins[id(array)] = Origin(array, function, inputs)
    return array


def copied(original: Any, copy: np.ndarray) -> None:
    """Give a copy the origin of its original."""
    if context.origins is not None and id(original) in context.origins:
        context.origins[id(copy)] = context.origins[id(original)]._replace(array=copy)


class Remembered(np.ndarray):
    """An array of a known origin. What is computed from it, element by element or by an index, has one as well."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        """Run a ufunc; a Tensor among the inputs is asked instead."""
        if any(not isinstance(a, np.ndarray) and hasattr(a, "__array_ufunc__") for a in inputs):
            return NotImplemented
        if "out" in keywords:
            keywords["out"] = tuple(map(_plain, keywords["out"]))
        result = getattr(ufunc, method)(*map(_plain, inputs), **keywords)
        return remembered(ufunc, inputs, result) if method == "__call__" and not keywords else result

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        """Run a NumPy function; ``np.where`` is remembered."""
        result = super().__array_function__(function, types, args, keywords)
        if function is np.where and len(args) == 3 and result is not NotImplemented:
            return remembered(function, args, result)
        return result

    def __getitem__(self, index: Any) -> Any:
        """The elements at an index."""
        return remembered(indexing.getitem, (self, index), super().__getitem__(index))

    def astype(self, dtype: Any, *args: Any, **keywords: Any) -> Any:
        """The elements in another dtype."""
        return remembered(shape.cast, (self, np.dtype(dtype)), super().astype(dtype, *args, **keywords))


def _plain(a: Any) -> Any:
    return a.view(np.ndarray) if isinstance(a, Remembered) else a
