"""Attention: at each step of a decoder, a weighted mean of all states of the encoder, with learnt weights.

    e_j = score(s, h_j)           how well a query s matches each state h_j of the memory
    α = softmax(e)                over the steps j of the memory
    r = Σ_j α_j h_j               the context

The part of the score that depends on the memory alone (the keys) is computed once, before the loop.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..autodiff import named, softmax
from . import init
from .module import Module, Parameter
from .through_time import along_batch, within_lengths


class Memory(NamedTuple):
    """The memory that attention looks at.

    Attributes:
        values: h, (S, B, m), zeros in the padding.
        keys: the vectors that queries are compared with, (S, B, q).
        valid: (S, B), False in the padding; None without padding.
    """

    values: Any
    keys: Any
    valid: Any


class Attention(Module):
    """The base of the kinds of attention. A subclass writes ``keys_of`` and ``scores``."""

    def memory(self, values: Any, lengths: Any = None) -> Memory:
        """Prepare the states of an encoder for attention.

        Args:
            values: (S, B, m), or (S, m) without a batch.
            lengths: (B,), the lengths of the sequences in a padded batch; the padding gets no attention.
        """
        valid = None
        if lengths is not None:
            valid = within_lengths(lengths, np.shape(values))
            values = np.where(along_batch(valid, values), values, 0)
        return Memory(values, self.keys_of(values), valid)

    def keys_of(self, values: Any) -> Any:
        """The keys that queries are compared with, (S, B, q); subclasses define them."""
        raise TypeError(f"{type(self).__name__} has no keys_of() method")

    def scores(self, query: Any, keys: Any) -> Any:
        """The scores of a query (B, d) against each key, (S, B); subclasses define them."""
        raise TypeError(f"{type(self).__name__} has no scores() method")

    def forward(self, query: Any, memory: Memory) -> tuple[Any, Any]:
        """Compute the context of a query.

        Args:
            query: s, (B, d).
            memory: the memory that ``memory(values)`` returned.

        Returns:
            The context r (B, m), and the weights α (S, B).
        """
        e = self.scores(query, memory.keys)
        if memory.valid is not None:
            e = np.where(memory.valid, e, -1e30)  # e^-1e30 is 0; if nothing is valid, the mean of zeros is 0 too
        weights = named("attention", softmax(e, axis=0))
        return np.sum(np.expand_dims(weights, -1) * memory.values, axis=0), weights


class AdditiveAttention(Attention):
    """Additive (Bahdanau's) attention, ``e_j = tanh(s A + h_j B) · v``.

    Args:
        query_size: d, the size of s.
        memory_size: m, the size of h.
        units: q.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.

    Attributes:
        A: (d, q).
        B: (m, q).
        v: (q,).

    Source: Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate" (2015),
    appendix A.1.2.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> attention = nn.AdditiveAttention(4, 3, 5)
        >>> memory = attention.memory(np.ones((7, 2, 3), np.float32), lengths=[7, 4])  # S = 7, B = 2
        >>> context, weights = attention(np.zeros((2, 4), np.float32), memory)
        >>> context.shape, weights.tolist()[6][1]
        ((2, 3), 0.0)
    """

    def __init__(
        self, query_size: int, memory_size: int, units: int, *, seed: init.Seed = None, dtype: Any = np.float32
    ) -> None:
        rng = init.generator(seed)
        self.A = Parameter(init.xavier((query_size, units), rng, dtype=dtype))
        self.B = Parameter(init.xavier((memory_size, units), rng, dtype=dtype))
        self.v = Parameter(init.uniform((units,), rng, 1 / math.sqrt(units), dtype))

    def keys_of(self, values: Any) -> Any:
        """See the base."""
        return values @ self.B

    def scores(self, query: Any, keys: Any) -> Any:
        """See the base."""
        return np.tanh(query @ self.A + keys) @ self.v


class DotProductAttention(Attention):
    """Dot-product (Luong's) attention, ``e_j = s · h_j``; or, "general", ``e_j = s · (h_j B)``.

    Args:
        query_size: d, the size of s, for general attention.
        memory_size: m, the size of h. Without both sizes there are no parameters, and s and h have one size.
        scaled: whether scores are divided by √d, so that they don't grow with d.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameter.

    Attributes:
        B: (m, d), or None.

    Source: Luong, Pham and Manning, "Effective approaches to attention-based neural machine translation" (2015), eq. 8;
    Vaswani et al., "Attention is all you need" (2017), scaling.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> attention = nn.DotProductAttention()
        >>> context, weights = attention(np.array([9.0, 0.0]), attention.memory(np.eye(2)))
        >>> weights.round(3).tolist()
        [1.0, 0.0]
    """

    def __init__(
        self,
        query_size: int | None = None,
        memory_size: int | None = None,
        *,
        scaled: bool = False,
        seed: init.Seed = None,
        dtype: Any = np.float32,
    ) -> None:
        if (query_size is None) != (memory_size is None):
            raise ValueError("DotProductAttention: give both sizes, or neither")
        self.scaled = scaled
        self.B = None
        if query_size is not None and memory_size is not None:
            self.B = Parameter(init.xavier((memory_size, query_size), init.generator(seed), dtype=dtype))

    def keys_of(self, values: Any) -> Any:
        """See the base."""
        return values if self.B is None else values @ self.B

    def scores(self, query: Any, keys: Any) -> Any:
        """See the base."""
        if np.shape(query)[-1] != np.shape(keys)[-1]:
            raise ValueError(
                f"DotProductAttention: a query of size {np.shape(query)[-1]} and a memory of size {np.shape(keys)[-1]} "
                "can't be multiplied; DotProductAttention(query_size, memory_size) learns a matrix between them"
            )
        e = np.sum(query * keys, axis=-1)
        return e / math.sqrt(np.shape(keys)[-1]) if self.scaled else e
