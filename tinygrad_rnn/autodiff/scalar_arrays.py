"""Object arrays of Scalars: made from numbers, and their gradients as numbers again."""

from __future__ import annotations

from typing import Any

import numpy as np

from .scalar import Scalar


def scalars(array: Any, requires_grad: bool = True, name: str | None = None) -> np.ndarray:
    """An object array of Scalars, one for each number.

    Args:
        array: numbers, of any shape.
        requires_grad: True if gradients are wanted for them.
        name: the first part of each Scalar's name; its index follows: ``W[0,1]``.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import scalars
        >>> W = scalars([[0.1, -0.2], [0.3, 0.4]], name="W")
        >>> loss = np.tanh(np.ones(2) @ W).sum()
        >>> loss.backward()
        >>> W[0, 1].name, round(W[0, 1].grad, 4)
        ('W[0,1]', 0.961)
    """
    values = np.asarray(array, dtype=np.float64)
    result = np.empty(values.shape, dtype=object)
    for index in np.ndindex(values.shape):
        label = f"{name}[{','.join(map(str, index))}]" if name and index else name
        result[index] = Scalar(values[index].item(), requires_grad, label)
    return result


def gradients(array: np.ndarray) -> np.ndarray:
    """The gradients of an object array of Scalars, as an array of floats; 0 where none arrived.

    Example:
        >>> from tinygrad_rnn import gradients, scalars
        >>> x = scalars([1.0, 2.0])
        >>> (x * x).sum().backward()
        >>> gradients(x)
        array([2., 4.])
    """
    found = [0.0 if s.grad is None else s.grad for s in np.ravel(array)]
    return np.array(found, dtype=np.float64).reshape(np.shape(array))
