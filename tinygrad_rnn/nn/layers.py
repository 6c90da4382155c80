"""Layers without time: each works on single vectors or elements."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..autodiff import stop_gradient
from . import init
from .compiled_cells import is_traced
from .module import Module, Parameter


class Linear(Module):
    """``y = x W + b``.

    Args:
        inputs: n, the size of x's last axis.
        outputs: k, the size of y's last axis.
        bias: whether there is a b.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.

    Attributes:
        W: (n, k).
        b: (k,), or None.

    Both start uniform between ±1/√n, as PyTorch's do.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.Linear(3, 2, seed=0)(np.ones((5, 3), np.float32)).shape
        (5, 2)
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool = True, seed: init.Seed = None, dtype: Any = np.float32
    ) -> None:
        if min(inputs, outputs) < 1:
            raise ValueError(f"Linear({inputs}, {outputs}): sizes are 1 or more")
        rng = init.generator(seed)
        bound = 1 / math.sqrt(inputs)
        self.W = Parameter(init.uniform((inputs, outputs), rng, bound, dtype))
        self.b = Parameter(init.uniform((outputs,), rng, bound, dtype)) if bias else None

    def describe(self) -> str:
        """The expected input, for error messages."""
        n, k = self.W.shape
        return f"Linear({n}, {k}) takes x of shape (..., {n})."

    def forward(self, x: Any) -> Any:
        """Args: x (..., n). Returns: y (..., k)."""
        y = x @ self.W
        return y if self.b is None else y + self.b


class Embedding(Module):
    """A learnt vector for each symbol: ``y = E[x]``.

    Args:
        symbols: the number of symbols.
        units: d, the size of a vector.
        padding_idx: a symbol whose vector starts as zeros and is never learnt, as no gradient flows to it; a negative
            number counts from the last symbol; None for none. You may set or load this vector, as in PyTorch.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameter.

    Attributes:
        E: (symbols, d), from the standard normal distribution, as PyTorch's.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.Embedding(10, 4)(np.array([[1, 2], [3, 3], [0, 9]])).shape
        (3, 2, 4)
    """

    def __init__(
        self,
        symbols: int,
        units: int,
        *,
        padding_idx: int | None = None,
        seed: init.Seed = None,
        dtype: Any = np.float32,
    ) -> None:
        if padding_idx is not None and not -symbols <= operator.index(padding_idx) < symbols:
            raise ValueError(f"Embedding({symbols}, {units}): there is no symbol padding_idx={padding_idx}")
        self.padding_idx = None if padding_idx is None else operator.index(padding_idx) % symbols
        vectors = init.generator(seed).standard_normal((symbols, units)).astype(dtype)
        if self.padding_idx is not None:
            vectors[self.padding_idx] = 0
        self.E = Parameter(vectors)

    def forward(self, x: Any) -> Any:
        """Look up the vectors of symbols.

        Args:
            x: integers, of any shape (...).

        Returns:
            (..., d).

        Raises:
            IndexError: there is no such symbol.
        """
        symbols = len(self.E)
        x = x if is_traced(x) else np.asarray(x)
        if x.dtype.kind not in "iu":
            raise TypeError(f"Embedding({symbols}, ...) takes integers, not {x.dtype}")
        if is_traced(x):  # while compiling, the symbols aren't known, so numbers below 0 are moved out of range
            x = np.where(x < 0, symbols, x.astype(np.intp))
        elif x.size and (x.min() < 0 or x.max() >= symbols):
            raise IndexError(f"Embedding: symbols from {x.min()} to {x.max()}, but there are {symbols}, from 0")
        y = self.E[x]
        return y if self.padding_idx is None else np.where((x != self.padding_idx)[..., None], y, stop_gradient(y))


class LayerNorm(Module):
    """``y = (x - mean) / √(variance + eps) · g + b``, with mean and variance over the last axis.

    Args:
        units: d, the size of that axis.
        eps: added to the variance, so that nothing is divided by zero.
        dtype: of the parameters.

    Attributes:
        g: (d,), gain, ones at the start.
        b: (d,), bias, zeros at the start.

    Source: Ba, Kiros and Hinton, "Layer normalization" (2016).

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.LayerNorm(2)(np.array([[1.0, 3.0]])).numpy().round(3).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(self, units: int, *, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        self.eps = eps
        self.g = Parameter(np.ones(units, dtype))
        self.b = Parameter(np.zeros(units, dtype))

    def describe(self) -> str:
        """The expected input, for error messages."""
        d = len(self.g)
        return f"LayerNorm({d}) takes x of shape (..., {d})."

    def forward(self, x: Any) -> Any:
        """Args: x (..., d). Returns: y (..., d)."""
        centred = x - np.mean(x, axis=-1, keepdims=True)
        variance = np.mean(centred * centred, axis=-1, keepdims=True)
        return centred / np.sqrt(variance + self.eps) * self.g + self.b


class Dropout(Module):
    """Dropout: in training, zero each element with probability p and scale the others by 1/(1-p).

    Args:
        p: the probability.
        seed: an int, a numpy.random.Generator, or None for the package's own.

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.Dropout(0.5, seed=1)(np.ones(4)).tolist(), nn.Dropout(0.5).eval()(np.ones(4)).tolist()
        ([2.0, 2.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0])
    """

    def __init__(self, p: float = 0.5, *, seed: init.Seed = None) -> None:
        self.p = probability(p, "Dropout: p")
        self.generator = init.generator(seed)

    def forward(self, x: Any) -> Any:
        """Args: x, of any shape. Returns: the same shape."""
        return x * self.mask(np.shape(x), x.dtype) if self.training and self.p else x

    def mask(self, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        """A mask of factors: 0 with probability p, else 1/(1-p)."""
        dtype = np.dtype(dtype) if np.dtype(dtype).kind == "f" else np.dtype(np.float64)
        return (self.generator.random(shape) >= self.p) / dtype.type(1 - self.p)


def probability(p: float, name: str) -> float:
    """The number itself, checked.

    Raises:
        ValueError: the number isn't in [0, 1).
    """
    if not 0 <= p < 1:
        raise ValueError(f"{name} is a probability from 0 up to but not including 1, not {p}")
    return p


class Sequential(Module):
    """Modules (or any functions) one after another.

    Args:
        parts: the modules; each takes the result of the one before it.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.Sequential(nn.Linear(3, 4), np.tanh, nn.Linear(4, 2))(np.ones((5, 3), np.float32)).shape
        (5, 2)
    """

    def __init__(self, *parts: Any) -> None:
        self.length = len(parts)
        for number, part in enumerate(parts):
            setattr(self, str(number), part)  # so that parameters go by PyTorch's names: 0.W, 2.W

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> Any:
        return getattr(self, str(range(self.length)[number]))

    def forward(self, x: Any) -> Any:
        """Args: x, the input of the first part. Returns: the output of the last one."""
        for number in range(self.length):
            if isinstance(x, tuple):
                raise TypeError(
                    f"Sequential: part {number - 1}, {type(self[number - 1]).__name__}, returns {len(x)} values; the "
                    "next takes one. A recurrent layer returns (output, state): put it into ManyToOne or ManyToMany"
                )
            x = self[number](x)
        return x
